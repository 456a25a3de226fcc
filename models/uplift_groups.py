"""The effect of contact by group of people: by predicted uplift (GATES), and by the values of one feature.

The effect of a group g of shares g_i is θ_g = Σ w·g·Γ / Σ w·g, from doubly robust scores Γ, in units of the outcome. Standard errors and the joint
covariance come from influence functions summed within the assignment unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from models.folds import group_codes
from models.metrics import Estimate
from models.uplift_metrics import percentile_ranks
from models.uplift_sample import Influence, Ranking, Sample, finite

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LEAST_UNITS = 20
"""A value that fewer assignment units have is put together with others: its standard error would be a guess, and its people too few to show."""
MISSING, OTHER = "missing", "other"
STRETCH = 1.1
"""By how much intervals of groups by predicted uplift are longer than their standard errors say: those who ranked a fold learned from the scores of the others,
so that the groups' effects vary more (decision 0002). On simulated experiments without an effect difference the spread was 1.1 to 1.2 standard errors."""


@dataclass(frozen=True, slots=True)
class Gates:
    """Sorted group average treatment effects: K groups of equal size by predicted uplift, the lowest first.

    `predicted` mean predicted uplift, `effect` with `se` and the interval `low`, `high` (STRETCH times as long as by `se`) of each by itself, all (K,) in units
    of the outcome;
    `covariance` (K, K) of the effects. `difference` is the highest group's effect less the lowest's; `monotone` says whether effects rise from group to
    group as estimated.
    """

    predicted: Floats
    effect: Floats
    se: Floats
    low: Floats
    high: Floats
    covariance: Floats
    coverage: float
    difference: Estimate
    monotone: bool

    def to_state(self) -> dict[str, Any]:
        """Return the fields as JSON-able values."""
        arrays = ("predicted", "effect", "se", "low", "high", "covariance")
        return {name: getattr(self, name).tolist() for name in arrays} | {
            "coverage": self.coverage,
            "difference": self.difference.to_state(),
            "monotone": self.monotone,
        }


@dataclass(frozen=True, slots=True)
class ValueEffects:
    """Effects by the values of one feature: m groups of people, named by their values, those without a value last.

    `effect`, `se`, `low`, `high` (m,) in units of the outcome, `share` (m,) of people, `units` (m,) of assignment; `covariance` (m, m) of the effects. All m
    intervals hold at once with `coverage` at least. A group of a single unit has no standard error: NaN.
    """

    names: tuple[str, ...]
    effect: Floats
    se: Floats
    low: Floats
    high: Floats
    share: Floats
    units: Integers
    covariance: Floats
    coverage: float


def gates(
    uplift: ArrayLike,
    scores: ArrayLike,
    *,
    folds: ArrayLike | None = None,
    n_groups: int = 5,
    groups: Any = None,
    sample_weight: ArrayLike | None = None,
    coverage: float = 0.90,
) -> Gates:
    """Return effects of `n_groups` groups of people by predicted `uplift` (n,).

    People are ranked within their fold, because a fold's predictions come from a model of its own, and the percentile ranks are pooled. With U the share
    ranked higher and R(q) = q·TOC(q), the group between q and q' has the effect E[Γ] + (R(q') - R(q)) / (q' - q). Ties across an edge are in both groups in
    part, so that groups are equally large and a prediction that does not vary gives K times the average effect. Edges are estimated; their part is in the
    standard errors. Source: Chernozhukov, Demirer, Duflo & Fernández-Val 2018 (GATES), on AIPW scores.
    """
    rank = percentile_ranks(uplift, folds=folds, sample_weight=sample_weight)
    sample = Sample(scores, rank, uplift, groups=groups, sample_weight=sample_weight)
    return gates_of(Ranking(sample, sample.columns[0]), sample.columns[1], n_groups, coverage)


def gates_of(ranking: Ranking, predicted: Floats, n_groups: int, coverage: float) -> Gates:
    """Return the `gates` of a ranking, with predicted uplift (n,) in the sample's order."""
    sample = ranking.sample
    if not 2 <= n_groups <= len(sample.gamma):
        raise ValueError(f"n_groups must lie between 2 and the number of rows, {len(sample.gamma)}: given {n_groups!r}")
    edges = [number / n_groups for number in range(1, n_groups + 1)]
    reached = [sample.nothing(), *(edge * toc for edge, toc in zip(edges, ranking.tocs(edges), strict=True))]
    average = sample.average_effect()
    effects = [average + n_groups * (after - before) for before, after in pairwise(reached)][::-1]
    sums = np.array([0.0, *(edge * ranking.among_first(predicted, edge) for edge in edges)])
    value, covariance, se, low, high = _intervals(effects, sample, coverage, stretch=STRETCH)
    difference = sample.estimate("gates_difference", effects[-1] - effects[0], coverage)
    return Gates(n_groups * np.diff(sums)[::-1], value, se, low, high, covariance, coverage, difference, monotone=bool((np.diff(value) >= 0).all()))


def effects_by_value(
    values: ArrayLike, scores: ArrayLike, *, n_bins: int = 5, groups: Any = None, sample_weight: ArrayLike | None = None, coverage: float = 0.90
) -> ValueEffects:
    """Return the effect by value of a feature (n,), with bands that hold for all groups at once.

    Numbers are cut into at most `n_bins` bins of about equal size, equal values sharing a bin; text and truth values are categories, at most `n_bins` of
    them by frequency and the rest as `other`. Missing values are a group of their own. Bins and categories of fewer than LEAST_UNITS assignment units
    are put together with their neighbour, or with the rest. Bands are Bonferroni's: value ± z(1 - (1 - coverage)/(2m))·se over m groups, which is
    almost exact because groups share few units. Edges count as given. An effect that differs by value is no proof that the value is the cause.
    """
    sample_scores = finite("scores", scores)
    units = np.arange(len(sample_scores)) if groups is None else group_codes(groups, len(sample_scores))
    codes, names = _value_groups(values, units, n_bins)
    sample = Sample(sample_scores, codes, groups=groups, sample_weight=sample_weight)
    member = [(sample.columns[0] == number).astype(np.float64) for number in range(len(names))]
    shares = np.array([sample.weight @ each / len(each) for each in member])
    counted = np.array([len(np.unique(units[codes == number])) for number in range(len(names))])
    effects = [_group_effect(sample, each, share) for each, share in zip(member, shares, strict=True)]
    value, covariance, se, low, high = _intervals(effects, sample, 1 - (1 - coverage) / len(names))
    single = counted < 2
    se[single] = low[single] = high[single] = np.nan
    covariance[single, :] = covariance[:, single] = np.nan
    return ValueEffects(names, value, se, low, high, shares, counted, covariance, coverage)


def _group_effect(sample: Sample, member: Floats, share: float) -> Influence:
    value = float(sample.weight @ (member * sample.gamma) / len(member) / share)
    return Influence(value, sample.totals(sample.weight * member * (sample.gamma - value)) / share)


def _intervals(effects: Sequence[Influence], sample: Sample, coverage: float, *, stretch: float = 1.0) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Return values, covariance, standard errors, low and high of the effects, each interval with `coverage` by itself."""
    value, covariance = np.array([effect.value for effect in effects]), sample.covariance(*effects)
    se = np.sqrt(np.diag(covariance))
    reach = stretch * float(stats.norm.ppf(0.5 + coverage / 2)) * se
    return value, covariance, se, value - reach, value + reach


def _value_groups(values: ArrayLike, units: Integers, n_bins: int) -> tuple[Integers, tuple[str, ...]]:
    """Return each row's group (n,) and the groups' names."""
    column = pd.Series(np.asarray(values, dtype=object) if isinstance(values, list) else values).reset_index(drop=True)
    if len(column) != len(units):
        raise ValueError(f"values must be one per row: given {len(column)}, expected {len(units)}")
    if n_bins < 1:
        raise ValueError(f"n_bins must be at least 1: given {n_bins!r}")
    column = column.infer_objects()
    numbers = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    known = column.notna().to_numpy()
    found, names = (_bins if numbers else _categories)(column[known], units[known], n_bins)
    codes = np.full(len(column), len(names), dtype=np.int64)
    codes[known] = found
    return codes, tuple(names) if known.all() else (*names, MISSING)


def _bins(column: pd.Series, units: Integers, n_bins: int) -> tuple[Integers, list[str]]:
    values = column.to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"values must be finite or missing: {int((~np.isfinite(values)).sum())} are infinite")
    levels, place, count = np.unique(values + 0.0, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - count / 2
    fine = np.arange(len(levels)) if len(levels) <= n_bins else np.minimum((middle / max(len(values), 1) * n_bins).astype(np.int64), n_bins - 1)
    first = _merged(np.unique(fine, return_inverse=True)[1], place, units)
    names, last = [], len(first) - 1
    for number, start in enumerate(first):
        stop = first[number + 1] if number < last else len(levels)
        below = None if number == 0 else (levels[start - 1] + levels[start]) / 2
        above = None if number == last else (levels[stop - 1] + levels[stop]) / 2
        names.append(f"{levels[start]:.6g}" if stop - start == 1 else _between(below, above, whole=bool((levels == np.floor(levels)).all())))
    return np.asarray(np.searchsorted(first, place, side="right") - 1, dtype=np.int64), names


def _merged(cell: Integers, place: Integers, units: Integers) -> Integers:
    """Return the first level of each bin, bins of too few units joined to the one before, the first to the one after."""
    first: list[int] = []
    for start in np.flatnonzero(np.diff(cell, prepend=-1)):
        if first and len(np.unique(units[(place >= first[-1]) & (place < start)])) < LEAST_UNITS:
            continue
        first.append(int(start))
    if len(first) > 1 and len(np.unique(units[place >= first[-1]])) < LEAST_UNITS:
        first.pop()
    return np.array(first, dtype=np.int64)


def _between(below: float | None, above: float | None, *, whole: bool) -> str:
    """Return the name of a bin from its edges, which lie between values; `whole` numbers are named by those inside."""
    shown = ".9g" if whole else ".4g"
    start, stop = (edge if edge is None or not whole else float(np.ceil(edge)) + 0.0 for edge in (below, above))
    if start is None:
        return "all values" if stop is None else f"below {stop:{shown}}"
    return f"{start:{shown}} and above" if stop is None else f"{start:{shown}} to {stop - whole:{shown}}"


def _categories(column: pd.Series, units: Integers, n_bins: int) -> tuple[Integers, list[str]]:
    text = column.astype(str).to_numpy()
    levels, place = np.unique(text, return_inverse=True)
    people = np.bincount(place, minlength=len(levels))
    enough = np.array([len(np.unique(units[place == number])) >= LEAST_UNITS for number in range(len(levels))], dtype=bool)
    order = [number for number in np.argsort(-people, kind="stable") if enough[number]][:n_bins]
    codes = np.full(len(levels), len(order), dtype=np.int64)
    codes[order] = np.arange(len(order))
    names = [str(levels[number]) for number in order]
    return codes[place], names if len(order) == len(levels) else [*names, OTHER]
