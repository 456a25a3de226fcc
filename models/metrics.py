"""How good probabilities are: each measure with its formula, and its interval from a bootstrap over people.

Every measure takes weights, because a bootstrap over people is the same measure under random whole weights per person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CLIP = 1e-15
"""Probabilities are kept this far from 0 and 1 in the log loss, as scikit-learn did for float64."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its uncertainty: `low` and `high` bound it with probability `coverage`; `se` is its standard error."""

    name: str
    value: float
    se: float
    low: float
    high: float
    coverage: float = 0.90

    @classmethod
    def normal(cls, name: str, value: float, se: float, coverage: float = 0.90) -> Estimate:
        """Return the estimate with the interval value ± z·se of a normal distribution."""
        reach = float(stats.norm.ppf(0.5 + coverage / 2)) * se
        return cls(name, float(value), float(se), float(value) - reach, float(value) + reach, coverage)

    @property
    def z(self) -> float:
        """The value in standard errors; NaN when the standard error is 0."""
        return self.value / self.se if self.se > 0 else float("nan")

    def to_state(self) -> dict[str, Any]:
        """Return the fields as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Estimate:
        """Return the estimate of `to_state`."""
        return cls(**state)

    def __str__(self) -> str:
        return f"{self.name} {self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


@dataclass(frozen=True, slots=True)
class Bin:
    """People whose predictions are near each other: how many, their mean prediction, their observed rate."""

    count: float
    predicted: float
    observed: float


def log_loss(y: Floats, p: Floats, weight: Floats | None = None) -> float:
    """Return the mean of -y·ln p - (1 - y)·ln(1 - p), natural logarithm; y, p, weight are (m,). NaN for zero rows."""
    clipped = np.clip(p, CLIP, 1 - CLIP)
    return _mean(-(y * np.log(clipped) + (1 - y) * np.log1p(-clipped)), weight)


def brier(y: Floats, p: Floats, weight: Floats | None = None) -> float:
    """Return the mean of (p - y)²; y, p, weight are (m,). NaN for zero rows."""
    return _mean((p - y) ** 2, weight)


def auc(y: Floats, p: Floats, weight: Floats | None = None) -> float:
    """Return the probability that an engaged row scores above a silent one, ties counting half; NaN where one label is missing."""
    mass = np.ones(len(y)) if weight is None else weight
    levels, place = np.unique(p, return_inverse=True)
    engaged = np.bincount(place, mass * (y == 1), len(levels))
    silent = np.bincount(place, mass * (y == 0), len(levels))
    pairs = engaged.sum() * silent.sum()
    above = np.cumsum(silent) - silent / 2
    return float(np.sum(engaged * above) / pairs) if pairs > 0 else float("nan")


def average_precision(y: Floats, p: Floats, weight: Floats | None = None) -> float:
    """Return the area under the precision-recall curve: Σ_k (R_k - R_{k-1})·P_k over the levels of p from the highest down; NaN without an engaged row.

    It is the mean of the precision at the engaged rows; equal predictions are one level. A random order gives the rate of engaged rows.
    """
    mass = np.ones(len(y)) if weight is None else weight
    levels, place = np.unique(-p, return_inverse=True)
    engaged, everyone = (np.bincount(place, part, len(levels)) for part in (mass * (y == 1), mass))
    reached, addressed = np.cumsum(engaged), np.cumsum(everyone)
    if not len(reached) or reached[-1] <= 0:
        return float("nan")
    return float(np.sum(engaged * np.divide(reached, addressed, out=np.zeros(len(levels)), where=addressed > 0)) / reached[-1])


def reliability(y: Floats, p: Floats, weight: Floats | None = None, *, n_bins: int = 15) -> list[Bin]:
    """Return bins of equal mass by prediction, from low to high; rows with one and the same prediction share a bin."""
    mass = np.ones(len(y)) if weight is None else weight
    levels, place = np.unique(p, return_inverse=True)
    by_level = np.bincount(place, mass, len(levels))
    middle = np.cumsum(by_level) - by_level / 2
    number = np.minimum((middle / by_level.sum() * n_bins).astype(np.int64), n_bins - 1)[place] if len(y) else place
    count, predicted, observed = (np.bincount(number, part, n_bins) for part in (mass, mass * p, mass * y))
    return [Bin(float(n), float(s / n), float(e / n)) for n, s, e in zip(count, predicted, observed, strict=True) if n > 0]


def ece(y: Floats, p: Floats, weight: Floats | None = None, *, n_bins: int = 15) -> float:
    """Return the expected calibration error: Σ over `reliability` bins of share · |mean prediction - observed rate|; 0 is perfect.

    It is biased upwards by noise: about √(p·(1-p)·n_bins/m). Source: Naeini et al. 2015, with bins of equal mass.
    """
    bins = reliability(y, p, weight, n_bins=n_bins)
    total = sum(found.count for found in bins)
    return sum(found.count * abs(found.predicted - found.observed) for found in bins) / total if total else float("nan")


def ndcg_at_k(Y: Floats, P: Floats, k: int, weight: Floats | None = None) -> float:
    """Return the mean over people of `ndcg_rows`, without those who have no ideal; NaN when nobody is left. `weight` is (n,)."""
    found = ndcg_rows(Y, P, k)
    counted = ~np.isnan(found)
    return _mean(found[counted], None if weight is None else weight[counted])


def ndcg_rows(Y: Floats, P: Floats, k: int) -> Floats:
    """Return each person's DCG@k / ideal DCG@k (n,), with gains Y (n, n_topics) of 0 or 1 and discount 1/log₂(1 + rank).

    Tied predictions share their discounts (McSherry & Najork 2008). People without a positive label have no ideal: NaN. Unknown labels
    (NaN) are left out of the ranking.
    """
    known = ~np.isnan(Y)
    gain, score = np.where(known, Y, 0.0), np.where(known, P, -np.inf)
    discount = np.where(np.arange(Y.shape[1]) < k, 1 / np.log2(np.arange(2, Y.shape[1] + 2)), 0.0)
    order = np.argsort(-score, axis=1, kind="stable")
    ranked = np.take_along_axis(score, order, axis=1)
    first = np.concatenate([np.ones((len(Y), 1), dtype=bool), ranked[:, 1:] != ranked[:, :-1]], axis=1)
    tie = np.cumsum(first, axis=1) - 1 + Y.shape[1] * np.arange(len(Y))[:, None]
    shared = np.bincount(tie.ravel(), np.tile(discount, len(Y)), Y.size) / np.maximum(np.bincount(tie.ravel(), minlength=Y.size), 1)
    reached = np.sum(np.take_along_axis(gain, order, axis=1) * shared[tie], axis=1)
    ideal = np.sum(-np.sort(-gain, axis=1) * discount, axis=1)
    return np.asarray(np.divide(reached, ideal, out=np.full(len(Y), np.nan), where=ideal > 0))


def bootstrap(
    name: str, measure: Callable[[Floats], float], groups: NDArray[Any], *, coverage: float = 0.90, n_draws: int = 200, random_state: int = 0
) -> Estimate:
    """Return a measure with its interval from a bootstrap over people.

    `measure(weight)` is the measure under weights (m,) of its rows; `groups` (m,) is the person of each row. Each draw weighs people by how
    often they are drawn. The interval is value ± z·se (draws whose measure is NaN are left out), so a difference that is biased under
    resampling, such as the ECE, is not moved. For a paired comparison let `measure` return the difference.
    """
    people, row = np.unique(np.asarray(groups), return_inverse=True)
    generator = np.random.default_rng(random_state)
    draws = [measure(generator.multinomial(len(people), np.full(len(people), 1 / len(people)))[row].astype(np.float64)) for _ in range(n_draws)]
    found = np.array([draw for draw in draws if np.isfinite(draw)])
    se = float(np.std(found, ddof=1)) if len(found) > 1 else float("nan")
    return Estimate.normal(name, measure(np.ones(len(row))), se, coverage)


def _mean(values: Floats, weight: Floats | None) -> float:
    total = float(len(values)) if weight is None else float(np.sum(weight))
    return float(np.sum(values if weight is None else values * weight)) / total if total > 0 else float("nan")
