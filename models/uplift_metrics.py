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
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.metrics import Estimate
from models.uplift_sample import ROUNDING, Influence, Ranking, Sample, finite, share_of_people, shares_of_people, unit_weights

__all__ = [
    "Curve",
    "Line",
    "autoc",
    "average_effect",
    "best_linear_predictor",
    "line",
    "percentile_ranks",
    "policy_value",
    "qini",
    "toc_curve",
    "toc_of",
    "unit_weights",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RANK_DECIMALS = 10
"""Percentile ranks that differ by less are equal: sums of weights leave as much of rounding, and it must not tell folds apart."""


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

    A slope of 1 says the predicted differences are real, 0 that they are noise.
    """

    average: Estimate
    slope: Estimate


def average_effect(scores: ArrayLike, *, groups: Any = None, sample_weight: ArrayLike | None = None, coverage: float = 0.90) -> Estimate:
    """Return the average effect of contact, E[Γ], in units of the outcome: the AIPW estimate."""
    sample = Sample(scores, groups=groups, sample_weight=sample_weight)
    return sample.estimate("ate", sample.average_effect(), coverage)


def autoc(priority: ArrayLike, scores: ArrayLike, *, groups: Any = None, sample_weight: ArrayLike | None = None, coverage: float = 0.90) -> Estimate:
    """Return AUTOC = ∫₀¹ TOC(q) dq, in units of the outcome; 0 for a ranking that says nothing.

    On n rows that is (1/W) Σ_j w_j·TOC(j), TOC(j) = Σ_{i≤j} w_i Γ_i / Σ_{i≤j} w_i - mean Γ, rows by falling priority, Γ averaged among ties.
    """
    sample = Sample(scores, priority, groups=groups, sample_weight=sample_weight)
    return sample.estimate("autoc", Ranking(sample, sample.columns[0]).rate("autoc"), coverage)


def qini(priority: ArrayLike, scores: ArrayLike, *, groups: Any = None, sample_weight: ArrayLike | None = None, coverage: float = 0.90) -> Estimate:
    """Return QINI = ∫₀¹ q·TOC(q) dq, in units of the outcome: (1/W²) Σ_j w_j·(Σ_{i≤j} w_i)·TOC(j) on n rows."""
    sample = Sample(scores, priority, groups=groups, sample_weight=sample_weight)
    return sample.estimate("qini", Ranking(sample, sample.columns[0]).rate("qini"), coverage)


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
    sample = Sample(scores, priority, groups=groups, sample_weight=sample_weight)
    return toc_of(Ranking(sample, sample.columns[0]), fractions, coverage)


def toc_of(ranking: Ranking, fractions: Sequence[float], coverage: float) -> Curve:
    """Return the `toc_curve` of a ranking."""
    shares = shares_of_people("fractions", fractions)
    points = [ranking.sample.estimate("toc", point, coverage) for point in ranking.tocs(shares)]
    value, low, high = (np.array([getattr(point, field) for point in points]) for field in ("value", "low", "high"))
    return Curve(np.asarray(shares, dtype=np.float64), value, low, high, coverage)


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
    sample = Sample(scores, *columns, groups=groups, sample_weight=sample_weight)
    share = share_of_people("capacity", capacity)
    gains = [Ranking(sample, column).toc(share) for column in sample.columns]
    gain = share * (gains[0] if against is None else gains[0] - gains[1])
    return sample.estimate("policy", gain, coverage)


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
    sample = Sample(scores, uplift, constant if folds is None else folds, groups=groups, sample_weight=sample_weight)
    return line(sample, sample.columns[0], sample.columns[1], coverage)


def line(sample: Sample, tau: Floats, folds: Floats, coverage: float) -> Line:
    """Return the `best_linear_predictor` of a sample from predicted uplift and folds (n,), both in the sample's order."""
    fold = np.unique(folds, return_inverse=True)[1]
    deviation = tau - _group_means(tau, fold, sample.weight)
    spread = float(sample.weight @ deviation**2 / len(tau))
    average, slope = sample.average_effect(), sample.nothing()
    if np.sqrt(spread) > ROUNDING * float(np.abs(tau).max()):
        residual = sample.gamma - _group_means(sample.gamma, fold, sample.weight)
        value = float(sample.weight @ (deviation * residual) / len(tau) / spread)
        slope = Influence(value, sample.totals(sample.weight * deviation * (residual - value * deviation) / spread))
    return Line(sample.estimate("ate", average, coverage), sample.estimate("slope", slope, coverage))


def percentile_ranks(score: ArrayLike, *, folds: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> Floats:
    """Return each row's rank (n,) in (0, 1) within its fold, highest score highest; ties get the middle of their places.

    Scores of different folds come from different models; their ranks, unlike they themselves, can be pooled.
    """
    values = finite("score", score)
    weight = unit_weights(sample_weight, len(values))
    fold = np.zeros(len(values), dtype=np.int64) if folds is None else np.unique(finite("folds", folds, len(values)), return_inverse=True)[1]
    order = np.lexsort((weight, values, fold))
    ranked, in_fold = values[order], fold[order]
    tie = np.cumsum(np.r_[False, (ranked[1:] != ranked[:-1]) | (in_fold[1:] != in_fold[:-1])]) if len(values) else order
    size = np.bincount(tie, weight[order])
    total = np.bincount(fold, weight)
    before = (np.cumsum(size) - size)[tie] - (np.cumsum(total) - total)[in_fold]
    ranks = np.empty(len(values))
    ranks[order] = np.round((before + size[tie] / 2) / total[in_fold], RANK_DECIMALS)
    return ranks


def _group_means(values: Floats, group: Integers, weight: Floats) -> Floats:
    return np.asarray((np.bincount(group, weight * values) / np.bincount(group, weight))[group])
