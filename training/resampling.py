"""Intervals from a bootstrap over people: whole people are drawn with replacement, with all of their rows and topics.

It is `models.metrics.bootstrap` for many measures of many pairs: a draw is a vector of whole weights per person, so a measure is computed
for all draws at once from sums per person, in a twentieth of the time. Values and formulas are those of `models.metrics`, which the
tests hold these against; intervals are value ± z·se, as there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.metrics import Estimate

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_CELLS = 4_000_000
"""Largest array of draws by pairs held at once."""


class PersonBootstrap:
    """Draws of people for n rows; `person` (n,) says whose each row is.

    `weights` (draws, n_people) say how often each person is drawn. Equal seeds give equal draws, so two measures of the same rows are
    paired.
    """

    def __init__(self, person: ArrayLike, *, draws: int, seed: int, coverage: float) -> None:
        people, codes = np.unique(np.asarray(person), return_inverse=True)
        self.codes: Integers = codes.astype(np.int64)
        self.n_people = len(people)
        self.coverage = coverage
        chance = np.full(self.n_people, 1 / self.n_people)
        self.weights: Floats = np.random.default_rng(seed).multinomial(self.n_people, chance, size=draws).astype(np.float64)

    def mean(self, name: str, values: Floats, counts: Floats | None = None) -> Estimate:
        """Return sum(values) / sum(counts) over rows (n,); both may be sums over a row's topics. Counts are 1 by default."""
        counts = np.ones(len(values)) if counts is None else counts
        return self._estimate(name, float(values.sum() / counts.sum()), self._draw(values) / self._draw(counts))

    def ratio(self, name: str, top: tuple[Floats, Floats], bottom: tuple[Floats, Floats]) -> Estimate:
        """Return the ratio of two means, each given as (values, counts) over rows (n,)."""
        (a, b), (c, d) = top, bottom
        value = (a.sum() / b.sum()) / (c.sum() / d.sum()) if c.sum() > 0 else float("nan")
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._estimate(name, float(value), (self._draw(a) / self._draw(b)) / (self._draw(c) / self._draw(d)))

    def calibration_error(self, name: str, label: Floats, probability: Floats, row: Integers, *, bins: int = 15) -> Estimate:
        """Return Σ over bins of share · |mean prediction - observed rate| for pairs (m,) that belong to the rows `row` (m,)."""
        cells = _bins(probability, bins)
        gaps = np.zeros((self.n_people, bins))
        np.add.at(gaps, (self.codes[row], cells), probability - label)
        pairs = np.bincount(self.codes[row], minlength=self.n_people).astype(np.float64)
        value = float(np.abs(gaps.sum(axis=0)).sum() / pairs.sum())
        return self._estimate(name, value, np.abs(self.weights @ gaps).sum(axis=1) / (self.weights @ pairs))

    def auc(self, label: Floats, score: Floats, row: Integers) -> tuple[float, Floats]:
        """Return the AUC of pairs (m,) of the rows `row` (m,), and its draws; ties count half, NaN where a label is missing."""
        return self._ranked(_auc, label, score, row)

    def average_precision(self, label: Floats, score: Floats, row: Integers) -> tuple[float, Floats]:
        """Return the average precision of pairs (m,) of the rows `row` (m,), and its draws; equal scores are one level."""
        return self._ranked(_average_precision, label, -score, row)

    def average(self, name: str, parts: Sequence[tuple[float, Floats]]) -> Estimate:
        """Return the mean of measures given with their draws, over those that are defined."""
        defined = [part for part in parts if np.isfinite(part[0])]
        if not defined:
            return Estimate.normal(name, float("nan"), float("nan"), self.coverage)
        return self._estimate(name, float(np.mean([value for value, _ in defined])), np.mean([draws for _, draws in defined], axis=0))

    def _ranked(self, measure: Callable[..., Floats], label: Floats, score: Floats, row: Integers) -> tuple[float, Floats]:
        """Return a measure of pairs in rising order of score, and its draws."""
        order = np.argsort(score, kind="stable")
        ranked, positive, person = score[order], label[order] > 0, self.codes[row][order]
        starts = np.r_[0, np.flatnonzero(np.diff(ranked)) + 1]
        value = float(measure(np.ones((1, len(order))), positive, starts)[0])
        step = max(1, _CELLS // max(len(order), 1))
        draws = [measure(self.weights[first : first + step][:, person], positive, starts) for first in range(0, len(self.weights), step)]
        return value, np.concatenate(draws)

    def _draw(self, values: Floats) -> Floats:
        return np.asarray(self.weights @ np.bincount(self.codes, values, minlength=self.n_people))

    def _estimate(self, name: str, value: float, draws: Floats) -> Estimate:
        known = draws[np.isfinite(draws)]
        return Estimate.normal(name, value, float(np.std(known, ddof=1)) if len(known) > 1 else float("nan"), self.coverage)


def _bins(probability: Floats, bins: int) -> Integers:
    """Return the bin (m,) of equal mass of each pair, as `models.metrics.reliability` cuts them: equal predictions share a bin."""
    _, place, count = np.unique(probability, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - count / 2
    return np.minimum((middle / len(probability) * bins).astype(np.int64), bins - 1)[place]


def _auc(weights: Floats, positive: NDArray[np.bool_], starts: Integers) -> Floats:
    """Return the AUC of each row of `weights` (draws, m) on pairs in rising order of score; equal scores begin at `starts`."""
    hits = np.add.reduceat(weights * positive, starts, axis=1)
    misses = np.add.reduceat(weights * ~positive, starts, axis=1)
    below = np.cumsum(misses, axis=1) - misses
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((hits * (below + misses / 2)).sum(axis=1) / (hits.sum(axis=1) * misses.sum(axis=1)))


def _average_precision(weights: Floats, positive: NDArray[np.bool_], starts: Integers) -> Floats:
    """Return the average precision of each row of `weights` (draws, m) on pairs whose scores fall; equal scores begin at `starts`."""
    hits = np.add.reduceat(weights * positive, starts, axis=1)
    reached, addressed = np.cumsum(hits, axis=1), np.cumsum(np.add.reduceat(weights, starts, axis=1), axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(addressed > 0, reached / addressed, 0.0)
        return np.asarray((hits * precision).sum(axis=1) / reached[:, -1])
