"""What every measure of uplift is made from: scores with their units and weights, rankings of them, and influences on an estimate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.folds import group_codes
from models.metrics import Estimate

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NEIGHBOURHOOD = 0.05
"""Half the width, as a share of people, in which the effect at a threshold is averaged; it enters standard errors only."""
ROUNDING = 1e-9
"""A spread smaller than this share of the values themselves is rounding, not variation."""


@dataclass(frozen=True, slots=True)
class Influence:
    """An estimate's value and what each of C assignment units has to do with its error: `totals` (C,) are Σ_{i in c} ψ_i.

    Estimates of one sample are added, subtracted and scaled as numbers are; the error of the result is that of the paired estimate.
    """

    value: float
    totals: Floats

    def __add__(self, other: Influence) -> Influence:
        return Influence(self.value + other.value, self.totals + other.totals)

    def __sub__(self, other: Influence) -> Influence:
        return Influence(self.value - other.value, self.totals - other.totals)

    def __rmul__(self, factor: float) -> Influence:
        return Influence(factor * self.value, factor * self.totals)


class Sample:
    """Scores, units and weights (mean 1) in canonical order; `columns` are whatever else belongs to the rows, in the same order.

    `codes` (n,) are the units' numbers; `unit_weight`, `unit_effect` (C,) are the units' sums of weights, and of weights times centred scores.
    """

    def __init__(self, scores: ArrayLike, *columns: ArrayLike, groups: Any = None, sample_weight: ArrayLike | None = None) -> None:
        gamma = finite("scores", scores)
        values = [finite("priority, uplift or fold", column, len(gamma)) for column in columns]
        weight = unit_weights(sample_weight, len(gamma))
        codes = np.zeros(len(gamma), dtype=np.int64) if groups is None else group_codes(groups, len(gamma))
        order = np.lexsort((*values, weight, gamma, codes))
        self.gamma, self.weight, self.columns = gamma[order], weight[order], [value[order] for value in values]
        self.codes: Integers = np.arange(len(gamma)) if groups is None else codes[order]
        self.n_groups = int(self.codes.max()) + 1
        if self.n_groups < 2:
            raise ValueError("a standard error needs at least 2 assignment units (groups), given 1")
        self.average = float(self.weight @ self.gamma / len(self.gamma))
        self.centred = self.gamma - self.average
        self.unit_weight, self.unit_effect = self.totals(self.weight), self.totals(self.weight * self.centred)

    def totals(self, psi: Floats) -> Floats:
        """Return the sums (C,) within units of each row's influence (n,), rows in the sample's order."""
        return np.bincount(self.codes, psi, self.n_groups).astype(np.float64, copy=False)

    def average_effect(self) -> Influence:
        """Return E[Γ]."""
        return Influence(self.average, self.unit_effect)

    def mean(self, values: Floats) -> Influence:
        """Return E[v] of any values (n,) in the sample's order."""
        value = float(self.weight @ values / len(values))
        return Influence(value, self.totals(self.weight * (values - value)))

    def nothing(self) -> Influence:
        """Return the number 0, which is certain."""
        return Influence(0.0, np.zeros(self.n_groups))

    def covariance(self, *influences: Influence) -> Floats:
        """Return the clustered covariance (m, m) of m estimates."""
        sums = np.stack([each.totals for each in influences])
        return np.asarray(sums @ sums.T * (self.n_groups / (self.n_groups - 1) / len(self.gamma) ** 2))

    def estimate(self, name: str, influence: Influence, coverage: float) -> Estimate:
        """Return the value with its clustered standard error and the normal interval."""
        return Estimate.normal(name, influence.value, float(np.sqrt(self.covariance(influence)[0, 0])), coverage)


class Ranking:
    """A sample sorted by falling priority; rows of equal priority share their places, as if drawn at random among them.

    `order` (n,) are the sample's rows from first to last, `level` (n,) counts the distinct priorities down to each place.
    """

    def __init__(self, sample: Sample, priority: Floats) -> None:
        self.sample, self.order = sample, np.argsort(-priority, kind="stable")
        ranked = priority[self.order]
        self.weight, self.gamma, self.codes = sample.weight[self.order], sample.centred[self.order], sample.codes[self.order]
        self.level = np.cumsum(np.r_[False, ranked[1:] != ranked[:-1]])
        self.size = np.bincount(self.level, self.weight)
        self.cumulative, self.ends = np.cumsum(self.weight), np.cumsum(self.size)
        self.total = float(self.ends[-1])

    def rate(self, kind: Literal["autoc", "qini"]) -> Influence:
        """Return ∫ h(q)·TOC(q) dq with h(q) = 1 or q, as the mean of ω(U)·Γ for the weight ω that the integral gives each place."""
        if len(self.size) == 1:
            return self.sample.nothing()
        density = 1.0 / self.cumulative if kind == "autoc" else np.full(len(self.order), 1.0 / self.total)
        omega = self._centre(self._shared(_suffix_sums(self.weight * density)))
        value = float(self.weight @ (omega * self.gamma) / self.total)
        place = self._centre(self._shared(_suffix_sums(self.weight * self._shared(self.gamma) * density)))
        return Influence(value, self._totals(self.weight * (omega * self.gamma - value - place), 0, len(self.order)))

    def toc(self, fraction: float) -> Influence:
        """Return the TOC at a fraction in (0, 1]."""
        return next(self.tocs([fraction]))

    def tocs(self, fractions: Iterable[float]) -> Iterator[Influence]:
        """Yield the TOC at each fraction in (0, 1]; rising fractions read the rows once in all.

        ψ = w·((π·(Γ - t) + t·q)/q - Γ - TOC) for a share π of the row that is chosen, where t is the effect at the threshold. Everyone,
        and a ranking that does not tell people apart, have exactly 0.
        """
        mass = self.weight * self.gamma
        effect, people, done = np.zeros(self.sample.n_groups), np.zeros(self.sample.n_groups), 0
        for fraction in fractions:
            if fraction >= 1 or len(self.size) == 1:
                yield self.sample.nothing()
                continue
            start, stop, part = self._threshold(fraction)
            if start < done:
                effect, people, done = np.zeros_like(effect), np.zeros_like(people), 0
            effect, people, done = effect + self._totals(mass, done, start), people + self._totals(self.weight, done, start), start
            reached, chosen = effect + part * self._totals(mass, start, stop), people + part * self._totals(self.weight, start, stop)
            value = float(reached.sum() / (fraction * self.total))
            near = self._near(fraction)
            yield Influence(value, (reached - near * chosen) / fraction + (near - value) * self.sample.unit_weight - self.sample.unit_effect)

    def among_first(self, values: Floats, fraction: float) -> float:
        """Return the mean of any values (n,), in the sample's order, among the first `fraction` of people."""
        start, stop, part = self._threshold(fraction)
        ranked = self.weight * values[self.order]
        return float((ranked[:start].sum() + part * ranked[start:stop].sum()) / (fraction * self.total))

    def _threshold(self, fraction: float) -> tuple[int, int, float]:
        """Return start and stop of the level that the fraction ends in, and the share of that level that is chosen."""
        goal = fraction * self.total
        level = min(int(np.searchsorted(self.ends, goal)), len(self.ends) - 1)
        start, stop = np.searchsorted(self.level, [level, level + 1])
        part = (goal - (self.ends[level] - self.size[level])) / self.size[level]
        return int(start), int(stop), float(min(max(part, 0.0), 1.0))

    def _totals(self, values: Floats, start: int, stop: int) -> Floats:
        """Return the sums (C,) within units of values (n,), rows from first to last, over the places from start to stop."""
        return np.bincount(self.codes[start:stop], values[start:stop], self.sample.n_groups).astype(np.float64, copy=False)

    def _near(self, fraction: float) -> float:
        edges = np.array([fraction - NEIGHBOURHOOD, fraction + NEIGHBOURHOOD]) * self.total
        start, stop = np.searchsorted(self.cumulative, edges)
        stop = max(int(stop), int(start) + 1)
        return float(np.average(self.gamma[start:stop], weights=self.weight[start:stop])) if start < len(self.gamma) else 0.0

    def _shared(self, values: Floats) -> Floats:
        return np.asarray((np.bincount(self.level, self.weight * values) / self.size)[self.level])

    def _centre(self, values: Floats) -> Floats:
        return np.asarray(values - self.weight @ values / self.total)


def unit_weights(sample_weight: ArrayLike | None, n_rows: int) -> Floats:
    """Return weights (n,) of mean 1; equal weights become exactly 1. Raises ValueError unless they are n positive finite numbers."""
    if sample_weight is None:
        return np.ones(n_rows)
    weight = finite("sample_weight", sample_weight, n_rows)
    if n_rows and float(weight.min()) <= 0:
        raise ValueError(f"sample_weight must be positive, smallest given: {weight.min():g}. Hint: leave rows of weight 0 out")
    if n_rows == 0 or (weight == weight[0]).all():
        return np.ones(n_rows)
    return np.asarray(weight / (np.sort(weight).sum() / n_rows))


def finite(name: str, values: ArrayLike, n_rows: int | None = None) -> Floats:
    """Return the values (n,) as numbers; raises ValueError, which calls them `name`, for another shape and for missing or infinite values."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or (n_rows is not None and len(array) != n_rows):
        expected = "(n,)" if n_rows is None else f"({n_rows},)"
        raise ValueError(f"{name} must be one number per row: given shape {array.shape}, expected {expected}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite: {int((~np.isfinite(array)).sum())} of {len(array)} values are missing or infinite")
    return array


def share_of_people(name: str, value: float) -> float:
    """Return the value; raises ValueError, which calls it `name`, outside (0, 1]."""
    if not 0 < value <= 1:
        raise ValueError(f"{name} must lie in (0, 1], a share of the people: given {value!r}")
    return float(value)


def shares_of_people(name: str, values: Sequence[float]) -> tuple[float, ...]:
    """Return the values, each in (0, 1]."""
    return tuple(share_of_people(name, value) for value in values)


def _suffix_sums(values: Floats) -> Floats:
    return np.cumsum(values[::-1])[::-1]
