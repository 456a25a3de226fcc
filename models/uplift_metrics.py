"""How good a ranking by uplift is, measured on a randomised experiment; every number with its formula and its standard error.

All of it starts from doubly robust scores Γ (n,) (`models.nuisance.aipw_scores`), whose mean over any group of people estimates
the group's average effect, and from a priority (n,): who would be contacted first. With U the share of people of higher priority,

    TOC(q) = E[Γ | U ≤ q] - E[Γ]          the effect among the first q, over the average effect
    AUTOC  = ∫₀¹ TOC(q) dq                 sensitive when few people carry the difference
    QINI   = ∫₀¹ q·TOC(q) dq               sensitive when many do

as grf's `rank_average_treatment_effect` defines them, ties and weights included (Yadlowsky, Fleming, Shah, Brunskill & Wager, JASA
2025). Other packages call other things "qini": never compare across formulas.

Standard errors come from influence functions summed within the assignment unit (`groups`): se² = C/(C-1) · Σ_c (Σ_{i in c} ψ_i)² / n²
over C units. A rank is estimated too, and its part is in ψ. Row order changes nothing: rows are put in a canonical order first.
"""

from __future__ import annotations

from collections.abc import Sequence
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
class Curve:
    """A TOC curve: for each `fraction` (m,) of people contacted first, `toc` (m,) with its pointwise band `low`, `high` (m,)."""

    fraction: Floats
    toc: Floats
    low: Floats
    high: Floats
    coverage: float


@dataclass(frozen=True, slots=True)
class Line:
    """The best linear predictor of Γ from predicted uplift τ: Γ ≈ average + slope·(τ - mean of τ).

    `covariance` (2, 2) is that of (average, slope). A slope of 1 says the predicted differences are real, 0 that they are noise.
    """

    average: Estimate
    slope: Estimate
    covariance: Floats


@dataclass(frozen=True, slots=True)
class _Influence:
    """A value and each row's influence `psi` (n,) on it."""

    value: float
    psi: Floats

    def estimate(self, name: str, sample: _Sample, coverage: float) -> Estimate:
        return Estimate.normal(name, self.value, float(np.sqrt(sample.covariance(self.psi)[0, 0])), coverage)


class _Sample:
    """Scores, units and weights (mean 1) in canonical order; `columns` are whatever else belongs to the rows, in the same order."""

    def __init__(self, scores: ArrayLike, *columns: ArrayLike, groups: Any = None, sample_weight: ArrayLike | None = None) -> None:
        gamma = _finite("scores", scores)
        values = [_finite("priority, uplift or fold", column, len(gamma)) for column in columns]
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

    def covariance(self, *psis: Floats) -> Floats:
        """Return the clustered covariance (m, m) of the m estimates that have these influences."""
        sums = np.stack([np.bincount(self.codes, psi, self.n_groups) for psi in psis])
        return np.asarray(sums @ sums.T * (self.n_groups / (self.n_groups - 1) / len(self.gamma) ** 2))


class _Ranking:
    """A sample sorted by falling priority; rows of equal priority share their places, as if drawn at random among them."""

    def __init__(self, sample: _Sample, priority: Floats) -> None:
        self.order = np.argsort(-priority, kind="stable")
        ranked = priority[self.order]
        self.weight, self.gamma = sample.weight[self.order], sample.centred[self.order]
        self.cumulative = np.cumsum(self.weight)
        self.total = float(self.cumulative[-1])
        self.tie = np.cumsum(np.r_[False, ranked[1:] != ranked[:-1]])
        self.size = np.bincount(self.tie, self.weight)

    def back(self, ranked: Floats) -> Floats:
        """Return values in the sample's order."""
        values = np.empty_like(ranked)
        values[self.order] = ranked
        return values

    def rate(self, kind: Literal["autoc", "qini"]) -> _Influence:
        """Return ∫ h(q)·TOC(q) dq with h(q) = 1 or q, as the mean of ω(U)·Γ for the weight ω that the integral gives each place."""
        if self.tie[-1] == 0:
            return _Influence(0.0, np.zeros(len(self.order)))
        density = 1.0 / self.cumulative if kind == "autoc" else np.full(len(self.order), 1.0 / self.total)
        omega = self._centre(self._shared(_suffix_sums(self.weight * density)))
        value = float(self.weight @ (omega * self.gamma) / self.total)
        place = self._centre(self._shared(_suffix_sums(self.weight * self._shared(self.gamma) * density)))
        return _Influence(value, self.back(self.weight * (omega * self.gamma - value - place)))

    def toc(self, fraction: float) -> _Influence:
        """Return the TOC at a fraction in (0, 1]."""
        before = np.cumsum(self.size) - self.size
        chosen = np.clip((fraction * self.total - before) / self.size, 0.0, 1.0)[self.tie]
        value = float(self.weight @ (chosen * self.gamma) / (fraction * self.total))
        at_threshold = self._near(fraction)
        psi = (chosen * self.gamma - at_threshold * (chosen - fraction)) / fraction - self.gamma - value
        return _Influence(value, self.back(self.weight * psi))

    def _near(self, fraction: float) -> float:
        edges = np.array([fraction - NEIGHBOURHOOD, fraction + NEIGHBOURHOOD]) * self.total
        start, stop = np.searchsorted(self.cumulative, edges)
        stop = max(int(stop), int(start) + 1)
        return float(np.average(self.gamma[start:stop], weights=self.weight[start:stop])) if start < len(self.gamma) else 0.0

    def _shared(self, values: Floats) -> Floats:
        return np.asarray((np.bincount(self.tie, self.weight * values) / self.size)[self.tie])

    def _centre(self, values: Floats) -> Floats:
        return np.asarray(values - self.weight @ values / self.total)


def average_effect(scores: ArrayLike, *, groups: Any = None, sample_weight: ArrayLike | None = None, coverage: float = 0.90) -> Estimate:
    """Return the average effect of contact, E[Γ], in units of the outcome: the AIPW estimate."""
    sample = _Sample(scores, groups=groups, sample_weight=sample_weight)
    return _Influence(sample.average, sample.weight * sample.centred).estimate("ate", sample, coverage)


def autoc(priority: ArrayLike, scores: ArrayLike, *, groups: Any = None, sample_weight: ArrayLike | None = None, coverage: float = 0.90) -> Estimate:
    """Return AUTOC = ∫₀¹ TOC(q) dq, in units of the outcome; 0 for a ranking that says nothing.

    On n rows that is (1/W) Σ_j w_j·TOC(j), TOC(j) = Σ_{i≤j} w_i Γ_i / Σ_{i≤j} w_i - mean Γ, rows by falling priority, Γ averaged among ties.
    """
    sample = _Sample(scores, priority, groups=groups, sample_weight=sample_weight)
    return _Ranking(sample, sample.columns[0]).rate("autoc").estimate("autoc", sample, coverage)


def qini(priority: ArrayLike, scores: ArrayLike, *, groups: Any = None, sample_weight: ArrayLike | None = None, coverage: float = 0.90) -> Estimate:
    """Return QINI = ∫₀¹ q·TOC(q) dq, in units of the outcome: (1/W²) Σ_j w_j·(Σ_{i≤j} w_i)·TOC(j) on n rows."""
    sample = _Sample(scores, priority, groups=groups, sample_weight=sample_weight)
    return _Ranking(sample, sample.columns[0]).rate("qini").estimate("qini", sample, coverage)


def toc_curve(
    priority: ArrayLike,
    scores: ArrayLike,
    *,
    groups: Any = None,
    sample_weight: ArrayLike | None = None,
    fractions: Sequence[float] = tuple(np.arange(1, 101) / 100),
    coverage: float = 0.90,
) -> Curve:
    """Return TOC(q) = E[Γ | U ≤ q] - E[Γ] at each fraction q in (0, 1], in units of the outcome, with a pointwise band.

    A tie that straddles q is used in part, as are rows that q·n cuts.
    """
    sample = _Sample(scores, priority, groups=groups, sample_weight=sample_weight)
    ranking = _Ranking(sample, sample.columns[0])
    points = [ranking.toc(_share("fractions", q)).estimate("toc", sample, coverage) for q in fractions]
    value, low, high = (np.array([getattr(point, field) for point in points]) for field in ("value", "low", "high"))
    return Curve(np.asarray(fractions, dtype=np.float64), value, low, high, coverage)


def policy_value(
    priority: ArrayLike,
    scores: ArrayLike,
    capacity: float,
    *,
    against: ArrayLike | None = None,
    groups: Any = None,
    sample_weight: ArrayLike | None = None,
    coverage: float = 0.90,
) -> Estimate:
    """Return what contacting the `capacity` share of highest priority gains per person of the whole population, paired.

    Without `against`: over contacting as many at random, E[(π - c)·Γ] = c·TOC(c). With `against`, another priority (n,): over contacting
    as many by that one, E[(π - π')·Γ]. In units of the outcome; `capacity` in (0, 1].
    """
    columns = [priority] if against is None else [priority, against]
    sample = _Sample(scores, *columns, groups=groups, sample_weight=sample_weight)
    share = _share("capacity", capacity)
    gains = [_Ranking(sample, column).toc(share) for column in sample.columns]
    rival = gains[1] if against is not None else _Influence(0.0, np.zeros_like(sample.gamma))
    gain = _Influence(share * (gains[0].value - rival.value), share * (gains[0].psi - rival.psi))
    return gain.estimate("policy", sample, coverage)


def best_linear_predictor(
    uplift: ArrayLike,
    scores: ArrayLike,
    *,
    folds: ArrayLike | None = None,
    groups: Any = None,
    sample_weight: ArrayLike | None = None,
    coverage: float = 0.90,
) -> Line:
    """Return the regression of Γ on predicted uplift τ: slope = Σ w·(τ - τ̄)(Γ - Γ̄) / Σ w·(τ - τ̄)².

    With `folds`, means are those of the row's fold: a fold's τ comes from a model of the other folds, so the folds' means of τ and Γ
    are negatively related by construction and would bias the slope downwards. A τ that does not vary has slope 0, with standard error 0.
    Source: Chernozhukov, Demirer, Duflo & Fernández-Val 2018 (BLP), on AIPW scores.
    """
    constant = np.zeros(np.shape(np.asarray(scores)))
    sample = _Sample(scores, uplift, constant if folds is None else folds, groups=groups, sample_weight=sample_weight)
    tau, fold = sample.columns[0], np.unique(sample.columns[1], return_inverse=True)[1]
    deviation = tau - _group_means(tau, fold, sample.weight)
    spread = float(sample.weight @ deviation**2 / len(tau))
    average = _Influence(sample.average, sample.weight * sample.centred)
    slope = _Influence(0.0, np.zeros_like(tau))
    if np.sqrt(spread) > ROUNDING * float(np.abs(tau).max()):
        residual = sample.gamma - _group_means(sample.gamma, fold, sample.weight)
        value = float(sample.weight @ (deviation * residual) / len(tau) / spread)
        slope = _Influence(value, sample.weight * deviation * (residual - value * deviation) / spread)
    covariance = sample.covariance(average.psi, slope.psi)
    return Line(average.estimate("ate", sample, coverage), slope.estimate("slope", sample, coverage), covariance)


def percentile_ranks(score: ArrayLike, *, folds: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> Floats:
    """Return each row's rank (n,) in (0, 1) within its fold, highest score highest; ties get the middle of their places.

    Scores of different folds come from different models; their ranks, unlike they themselves, can be pooled.
    """
    values = _finite("score", score)
    weight = unit_weights(sample_weight, len(values))
    fold = np.zeros(len(values), dtype=np.int64) if folds is None else np.unique(_finite("folds", folds, len(values)), return_inverse=True)[1]
    order = np.lexsort((weight, values, fold))
    ranked, in_fold = values[order], fold[order]
    tie = np.cumsum(np.r_[False, (ranked[1:] != ranked[:-1]) | (in_fold[1:] != in_fold[:-1])]) if len(values) else order
    size = np.bincount(tie, weight[order])
    total = np.bincount(fold, weight)
    before = (np.cumsum(size) - size)[tie] - (np.cumsum(total) - total)[in_fold]
    ranks = np.empty(len(values))
    ranks[order] = (before + size[tie] / 2) / total[in_fold]
    return ranks


def unit_weights(sample_weight: ArrayLike | None, n_rows: int) -> Floats:
    """Return weights (n,) of mean 1; equal weights become exactly 1. Raises ValueError unless they are n positive finite numbers."""
    if sample_weight is None:
        return np.ones(n_rows)
    weight = _finite("sample_weight", sample_weight, n_rows)
    if n_rows and float(weight.min()) <= 0:
        raise ValueError(f"sample_weight must be positive, smallest given: {weight.min():g}. Hint: leave rows of weight 0 out")
    if n_rows == 0 or (weight == weight[0]).all():
        return np.ones(n_rows)
    return np.asarray(weight / (np.sort(weight).sum() / n_rows))


def _finite(name: str, values: ArrayLike, n_rows: int | None = None) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or (n_rows is not None and len(array) != n_rows):
        expected = "(n,)" if n_rows is None else f"({n_rows},)"
        raise ValueError(f"{name} must be one number per row: given shape {array.shape}, expected {expected}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite: {int((~np.isfinite(array)).sum())} of {len(array)} values are missing or infinite")
    return array


def _share(name: str, value: float) -> float:
    if not 0 < value <= 1:
        raise ValueError(f"{name} must lie in (0, 1], a share of the people: given {value!r}")
    return float(value)


def _suffix_sums(values: Floats) -> Floats:
    return np.cumsum(values[::-1])[::-1]


def _group_means(values: Floats, group: Integers, weight: Floats) -> Floats:
    return np.asarray((np.bincount(group, weight * values) / np.bincount(group, weight))[group])
