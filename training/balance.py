"""Whether arms are alike before anything was done: differences by feature, a randomisation test of all of them, and the counts around it.

Arms are codes, 0 the control. Everything takes arrays; nothing here knows whose rows they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Matrix = NDArray[np.float32]
Progress = Callable[[str, float], None] | None

CHUNK = 48
"""Columns that are worked on at a time: memory stays that of so many columns, however many there are."""
_NEAR = 512
"""Units whose values (float32) fit into the nearer caches of a processor, with CHUNK columns."""


class BalanceError(ValueError):
    """The arrays do not belong together, or there is nothing to compare."""


@dataclass(frozen=True, slots=True)
class Differences:
    """Standardised mean differences `values` (m, n_arms - 1) of each arm against control for m columns `names`, the largest first.

    `known` (m,) is the share of rows that have a value: a difference between few people is mostly chance.
    """

    names: tuple[str, ...]
    values: Floats
    known: Floats

    @property
    def largest(self) -> float:
        """The largest absolute difference; 0 where there is none."""
        return float(np.abs(self.values).max(initial=0.0))


@dataclass(frozen=True, slots=True)
class RandomisationTest:
    """How often a draw like the real one gives a `statistic` as large: `p`, with its Monte Carlo standard error `se`, of `draws` draws."""

    statistic: float
    p: float
    se: float
    draws: int


@dataclass(frozen=True, slots=True)
class ChiSquare:
    """A chi-square statistic with its degrees of freedom and p."""

    statistic: float
    freedom: int
    p: float


def standardised_differences(matrix: Matrix, names: Sequence[str], arms: Integers, *, weight: Floats | None = None) -> Differences:
    """Return (mean in the arm - mean in control) / √((v_arm + v_control)/2) for every column of `matrix` (n, F), and for what is missing.

    `arms` (n,) codes, 0 control; `weight` (n,), 1/probability where arms have other probabilities in other strata. A missing value is left out of its column's
    mean; each pattern of missing values is a column of its own, 0 or 1. Columns without variance have 0, or infinity where arms differ.
    Source: Austin 2009.
    """
    n_arms = _check(matrix, arms)
    mass = np.ones(len(arms)) if weight is None else weight
    found: list[tuple[str, Floats, float]] = []
    for labels, values in _columns(matrix, names):
        centre, known = _centre(values)
        total, first, second = _sums(values, arms, mass, centre)
        total = np.maximum(total, 1e-300)
        mean = first / total
        variance = np.maximum(second / total - mean**2, 0.0)
        pooled = np.sqrt((variance[1:] + variance[0]) / 2)
        gap = mean[1:] - mean[0]
        gap[np.abs(gap) <= 1e-9 * np.abs(centre)] = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            size = np.where(gap == 0, 0.0, gap / pooled)
        found += [(label, size[:, column], float(known[column])) for column, label in enumerate(labels)]
    order = sorted(range(len(found)), key=lambda place: -float(np.abs(found[place][1]).max()))
    sizes = np.array([found[place][1] for place in order], dtype=np.float64).reshape(-1, n_arms - 1)
    return Differences(tuple(found[place][0] for place in order), sizes, np.array([found[place][2] for place in order]))


def randomisation_test(
    matrix: Matrix, arms: Integers, *, units: Integers, strata: Integers, draws: int = 500, seed: int = 0, progress: Progress = None
) -> RandomisationTest:
    """Return how often dealing the arms anew to units within strata separates the arms as much as the real draw does.

    `arms`, `units`, `strata` (n,) are codes from 0; a unit is in the arm and stratum of its first row. The statistic is Σ_f Σ_a M_af² / n_a: columns f
    (missing values and their patterns included) standardised and centred within strata, M_af their sum over the people of arm a, n_a people. Under
    randomisation every draw is as likely as the real one, so p = (1 + draws as large)/(1 + draws) is exact. Source: Fisher 1935; Hansen & Bowers 2008.
    """
    n_arms = _check(matrix, arms)
    first = np.unique(units, return_index=True)[1]
    size = np.bincount(units).astype(np.float32)
    stratum = np.unique(strata[first], return_inverse=True)[1]
    dealt = _dealt(arms[first].astype(np.int8), stratum, draws, np.random.default_rng(seed))
    statistic = np.zeros(draws + 1)
    seen = 0
    for _, values in _columns(matrix, [""] * matrix.shape[1]):
        _add(statistic, dealt, _centred(_unit_sums(values, units, len(size)), size, stratum), size, n_arms)
        if progress is not None:
            seen += values.shape[1]
            progress("dealing the arms anew", min(seen / matrix.shape[1], 1.0))
    return _tested(statistic)


def ratio_test(arms: Integers, strata: Integers, probability: Floats) -> tuple[ChiSquare, Floats]:
    """Return whether the arms have as many units as they should, over all and p for each stratum (n_strata,).

    `arms`, `strata` (u,) are codes, `probability` (n_strata, n_arms) what each stratum states. Over all: the differences between observed and expected
    counts, summed over strata, in the metric of their multinomial covariance; within one: Pearson's chi-square.
    """
    n_strata, n_arms = probability.shape
    observed = np.zeros((n_strata, n_arms))
    np.add.at(observed, (strata, arms), 1)
    units = observed.sum(axis=1, keepdims=True)
    expected = units * probability
    gap = (observed - expected).sum(axis=0)
    covariance = np.diag(expected.sum(axis=0)) - (probability * units).T @ probability
    statistic, freedom = float(gap @ np.linalg.pinv(covariance, hermitian=True) @ gap), int(np.linalg.matrix_rank(covariance, hermitian=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        pearson = np.where(expected > 0, (observed - expected) ** 2 / expected, np.where(observed > 0, np.inf, 0.0)).sum(axis=1)
    within = stats.chi2.sf(pearson, np.maximum((probability > 0).sum(axis=1) - 1, 1))
    return ChiSquare(statistic, freedom, float(stats.chi2.sf(statistic, freedom)) if freedom else 1.0), np.asarray(within)


def cluster_test(
    matrix: Matrix, arms: Integers, *, clusters: Integers, strata: Integers, draws: int = 500, seed: int = 0, progress: Progress = None
) -> RandomisationTest:
    """Return how often turning the signs of whole clusters' differences separates the arms as much as the real draw does.

    For draws whose units are not known, only clusters (n,) that hold whole ones: people of a cluster may have been drawn together, whoever they are. The
    statistic is that of `randomisation_test`, Σ_f Σ_a (Σ_c M_acf)² / n_a, with M_acf = Σ_{i in c} (1[arm of i is a] - p_a)·x_if and p_a the share of the arm
    in the stratum. Under randomisation the M_c are independent with mean 0, so their signs may be turned: p holds for many clusters.
    Source: Canay, Romano & Shaikh 2017.
    """
    n_arms = _check(matrix, arms)
    drawn = _less_share(arms, strata, n_arms).astype(np.float32)
    order = np.argsort(clusters, kind="stable")
    begins = np.r_[0, np.flatnonzero(np.diff(clusters[order])) + 1]
    signs = np.random.default_rng(seed).choice(np.array([-1, 1], dtype=np.float32), (draws + 1, len(begins)))
    signs[0] = 1
    people, alone, one = np.bincount(arms, minlength=n_arms), np.arange(len(arms)), np.ones(len(arms), dtype=np.float32)
    statistic = np.zeros(draws + 1)
    seen = 0
    for _, values in _columns(matrix, [""] * matrix.shape[1]):
        centred = _centred(_unit_sums(values, alone, len(alone)), one, strata)[order]
        for arm in range(n_arms):
            by_cluster = np.add.reduceat(centred * drawn[order, arm, None], begins, axis=0)
            statistic += ((signs @ by_cluster).astype(np.float64) ** 2).sum(axis=1) / people[arm]
        if progress is not None:
            seen += values.shape[1]
            progress("turning the signs of clusters", min(seen / matrix.shape[1], 1.0))
    return _tested(statistic)


def cluster_ratio_test(arms: Integers, clusters: Integers, strata: Integers, probability: Floats) -> ChiSquare:
    """Return whether the arms have as many people as they should, where only clusters (n,) that hold whole units of the draw are known.

    `arms`, `strata` (n,) are codes, `probability` (n_strata, n_arms) what each stratum states. A score test of
    Σ_i (1[arm of i is a] - probability), summed within clusters.
    """
    drawn = np.eye(probability.shape[1])[arms]
    return _score_test((drawn - probability[strata])[:, 1:], clusters, np.ones(len(np.unique(clusters))))


def attrition_test(missing: NDArray[np.bool_], arms: Integers, units: Integers, strata: Integers) -> tuple[Floats, ChiSquare]:
    """Return the share without an outcome in each arm (n_arms,), and whether it differs between arms of one stratum.

    `missing` m, `arms`, `units`, `strata` are (n,) codes from 0. A score test of g_a = Σ_i (1[arm of i is a] - p_a)·(m_i - m̄), p_a and m̄ the shares in the
    stratum of i: strata may lose more people than others, and have other probabilities. Its covariance is Σ_c h_c·h_cᵀ over units c, h_c their part of g, times
    k/(k - 1) in a stratum of k units, as dealing arms within strata has it.
    """
    n_arms = int(arms.max()) + 1
    share = np.bincount(arms, missing) / np.maximum(np.bincount(arms), 1)
    lost = missing - (np.bincount(strata, missing) / np.maximum(np.bincount(strata), 1))[strata]
    parts = (_less_share(arms, strata, n_arms) * lost[:, None])[:, 1:]
    first = np.unique(units, return_index=True)[1]
    size = np.bincount(strata[first], minlength=int(strata.max()) + 1)[strata[first]]
    return share, _score_test(parts, units, np.sqrt(size / np.maximum(size - 1, 1)))


def several_arms(arms: Integers, groups: Integers) -> NDArray[np.bool_]:
    """Return which groups (n_groups,) have people of more than one arm; `arms`, `groups` (n,) are codes from 0."""
    low = np.full(int(groups.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    high = np.full(len(low), -1)
    np.minimum.at(low, groups, arms)
    np.maximum.at(high, groups, arms)
    return high > low


def _score_test(parts: Floats, units: Integers, scale: Floats) -> ChiSquare:
    """Return whether the sum of `parts` (n, k) is 0, its variance that of their sums by unit, each times `scale` (n_units,)."""
    place = np.unique(units, return_inverse=True)[1]
    scaled = np.column_stack([np.bincount(place, column) for column in parts.T]) * scale[:, None]
    gap, covariance = parts.sum(axis=0), scaled.T @ scaled
    freedom = int(np.linalg.matrix_rank(covariance, hermitian=True))
    if not freedom:
        return ChiSquare(0.0, 0, 1.0 if np.allclose(gap, 0) else 0.0)
    statistic = float(gap @ np.linalg.pinv(covariance, hermitian=True) @ gap)
    return ChiSquare(statistic, freedom, float(stats.chi2.sf(statistic, freedom)))


def _less_share(arms: Integers, strata: Integers, n_arms: int) -> Floats:
    """Return (n, n_arms): 1 in the arm of each row, less the arm's share in the row's stratum."""
    drawn = np.eye(n_arms)[arms]
    share = np.column_stack([np.bincount(strata, column) for column in drawn.T]) / np.maximum(np.bincount(strata), 1)[:, None]
    return np.asarray(drawn - share[strata])


def _tested(statistic: Floats) -> RandomisationTest:
    """Return the test from the statistics (draws + 1,), the real draw's first."""
    draws = len(statistic) - 1
    p = (1 + int((statistic[1:] >= statistic[0] * (1 - 1e-6)).sum())) / (1 + draws)
    return RandomisationTest(float(statistic[0]), p, float(np.sqrt(p * (1 - p) / (1 + draws))), draws)


def _columns(matrix: Matrix, names: Sequence[str]) -> Iterator[tuple[list[str], Matrix]]:
    """Yield labels and values (n, c) of CHUNK columns at a time: the matrix's own, then each pattern of missing values once."""
    patterns: dict[bytes, int] = {}
    for start in range(0, matrix.shape[1], CHUNK):
        values = np.ascontiguousarray(matrix[:, start : start + CHUNK], dtype=np.float32)
        missing = np.isnan(values)
        for column in np.flatnonzero(missing.any(axis=0) & ~missing.all(axis=0)):
            patterns.setdefault(hashlib.sha256(np.packbits(missing[:, column]).tobytes()).digest(), start + int(column))
        yield list(names[start : start + CHUNK]), values
    found = list(patterns.values())
    for start in range(0, len(found), CHUNK):
        some = found[start : start + CHUNK]
        yield [f"{names[column]} (missing)" for column in some], np.isnan(matrix[:, some]).astype(np.float32)


def _centre(values: Matrix) -> tuple[Floats, Floats]:
    """Return each column's mean (c,) over the values that are known, 0 where none is, and the share of rows that have one."""
    everybody = np.zeros(len(values), dtype=np.int64)
    total, first, _ = _sums(values, everybody, np.ones(len(values)), np.zeros(values.shape[1]))
    return np.asarray(first[0] / np.maximum(total[0], 1)), np.asarray(total[0] / max(len(values), 1))


def _unit_sums(values: Matrix, units: Integers, n_units: int) -> Matrix:
    """Return sums (n_units, c) over each unit's people of columns with mean 0 and variance 1; what is missing, or does not vary, counts 0."""
    centre, _ = _centre(values)
    total, _, second = _sums(values, np.zeros(len(values), dtype=np.int64), np.ones(len(values)), centre)
    spread = np.sqrt(second[0] / np.maximum(total[0], 1))
    spread = np.where(spread > 1e-7 * np.abs(centre), spread, np.inf)  # float32 of a constant is not quite its mean
    found = np.zeros((n_units, values.shape[1]), dtype=np.float32)
    _add_by_unit(values, units, centre, 1 / spread, found)
    return found


@numba.njit(cache=True)
def _sums(values: Matrix, group: Integers, weight: Floats, centre: Floats) -> tuple[Floats, Floats, Floats]:
    """Return by group (n_groups, c): the weight of known `values` (n, c), their weighted sums less `centre` (c,), and those of the squares."""
    shape = (group.max() + 1 if len(group) else 1, values.shape[1])
    total, first, second = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for row in range(len(values)):
        into, mass = group[row], weight[row]
        for column in range(shape[1]):
            value = values[row, column] - centre[column]
            if not np.isnan(value):
                total[into, column] += mass
                first[into, column] += mass * value
                second[into, column] += mass * value * value
    return total, first, second


@numba.njit(cache=True)
def _add_by_unit(values: Matrix, units: Integers, centre: Floats, scale: Floats, found: Matrix) -> None:
    """Add to `found` (n_units, c) the known values (n, c), less `centre` and times `scale` (c,), of each row's unit."""
    for row in range(len(values)):
        for column in range(values.shape[1]):
            value = (values[row, column] - centre[column]) * scale[column]
            if not np.isnan(value):
                found[units[row], column] += value


def _centred(sums: Matrix, size: NDArray[np.float32], stratum: Integers) -> Matrix:
    """Return units' sums (u, c) less what their size would give at the mean of their stratum."""
    people = np.bincount(stratum, size)
    _, first, _ = _sums(sums, stratum, np.ones(len(sums)), np.zeros(sums.shape[1]))
    mean = (first / people[:, None]).astype(np.float32)
    return np.asarray(sums - size[:, None] * mean[stratum])


def _dealt(arms: NDArray[np.int8], stratum: Integers, draws: int, random: np.random.Generator) -> NDArray[np.int8]:
    """Return arms (draws + 1, u): the real ones, and those dealt anew among the units of each stratum."""
    dealt = np.repeat(arms[None, :], draws + 1, axis=0)
    order = np.argsort(stratum, kind="stable")
    _shuffle(dealt, order, np.r_[0, np.flatnonzero(np.diff(stratum[order])) + 1, len(order)], random)
    return dealt


@numba.njit(cache=True)
def _shuffle(dealt: NDArray[np.int8], order: Integers, edges: Integers, random: np.random.Generator) -> None:
    """Shuffle each row of `dealt` (d, u) but the first, within the blocks of `order` (u,) between `edges` (Fisher & Yates, Durstenfeld 1964)."""
    for draw in range(1, len(dealt)):
        for block in range(len(edges) - 1):
            start = edges[block]
            for place in range(edges[block + 1] - 1, start, -1):
                one, other = order[place], order[start + int(random.random() * (place - start + 1))]
                dealt[draw, one], dealt[draw, other] = dealt[draw, other], dealt[draw, one]


def _add(statistic: Floats, dealt: NDArray[np.int8], sums: Matrix, size: NDArray[np.float32], n_arms: int) -> None:
    """Add Σ_f Σ_a M_af²/n_a over these columns to the statistic (draws + 1,) of each deal."""
    found = np.zeros((len(dealt), n_arms, sums.shape[1] + 1))
    _sum_by_arm(dealt, np.ascontiguousarray(np.column_stack([sums, size])), found)
    people = np.maximum(found[:, :, -1], 1.0)
    statistic += ((found[:, :, :-1] ** 2).sum(axis=2) / people).sum(axis=1)


@numba.njit(cache=True)
def _sum_by_arm(dealt: NDArray[np.int8], values: Matrix, found: Floats) -> None:
    """Add to `found` (d, n_arms, c) the sums of `values` (u, c) over the units of each arm in each deal (d, u).

    Some units at a time and all deals of them: those units' values stay near the processor.
    """
    draws, units = dealt.shape
    near = np.zeros(found.shape[1:], dtype=np.float32)
    for start in range(0, units, _NEAR):
        for draw in range(draws):
            near[:] = 0.0
            for unit in range(start, min(start + _NEAR, units)):
                into, value = near[np.uint8(dealt[draw, unit])], values[unit]
                for column in range(len(value)):
                    into[column] += value[column]
            found[draw] += near


def _check(matrix: Matrix, arms: Integers) -> int:
    if matrix.ndim != 2 or len(matrix) != len(arms):
        raise BalanceError(f"a matrix of one row per person is wanted: given shape {matrix.shape} for {len(arms)} people")
    n_arms = int(arms.max(initial=-1)) + 1
    if n_arms < 2 or (np.bincount(arms, minlength=n_arms) == 0).any():
        raise BalanceError("each arm, and at least two of them, must have somebody")
    return n_arms
