"""The reduction: one person after the other, from projected interactions to a row of the matrix (numba).

Every reduction is the same in any order of the interactions: counts are whole float32 numbers below 2^24, decayed counts and values
are whole multiples of a resolution in 64-bit integers, the others are minima and maxima, and what depends on the order of events
sorts them first.
"""

from __future__ import annotations

import math
from concurrent.futures import Executor
from itertools import pairwise
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from features.layout import VALUE_RESOLUTION, Reduction
from features.tables import LARGEST

FINE, VALUE_TOO_LARGE, TOTAL_TOO_LARGE, COUNT_TOO_LARGE = 0, 1, 2, 3

VALUE_LIMIT = LARGEST
"""Largest absolute value of one interaction; import refuses larger ones."""

COUNT_LIMIT = 2.0**24
"""float32 counts exactly below this; a count that reaches it is refused."""

NEVER = 2**62
"""A time, or an age, that never comes."""

_TOTAL_LIMIT = 2**62
_PER_UNIT = 1.0 / VALUE_RESOLUTION
_TOPIC_BITS = 10
_AGE_LIMIT = 2 ** (63 - _TOPIC_BITS)
"""Room for a topic's number beside an age in one integer: 1,023 topics (`catalogue.MOST_TOPICS`), 285 years; longer histories are sorted twice."""


class Batch(NamedTuple):
    """Projected interactions, each (batch,): row, cell, days, slot, source int32; age int64 in microseconds (> 0); value float64, NaN for none."""

    row: NDArray[np.int32]
    cell: NDArray[np.int32]
    days: NDArray[np.int32]
    age: NDArray[np.int64]
    value: NDArray[np.float64]
    slot: NDArray[np.int32]
    source: NDArray[np.int32]


def reduce(batch: Batch, plan: Reduction, matrix: NDArray[np.float32], pool: Executor, workers: int) -> tuple[int, NDArray[np.int64]]:
    """Fill `matrix` (n, columns) from all interactions of its rows; return a status, and (n,) how soon each row changes by itself.

    That is after how many microseconds more an interaction leaves a window; NEVER where none will. Status is FINE or one of the others above.
    """
    starts, order = grouped(batch.row, len(matrix))
    slides = np.full(len(matrix), NEVER, dtype=np.int64)
    cuts = np.searchsorted(starts, np.linspace(0, len(order), workers + 1)[1:-1])
    edges = [0, *np.minimum(cuts, len(matrix)).tolist(), len(matrix)]
    jobs = [pool.submit(_people, batch, starts, order, plan, matrix, slides, first, last) for first, last in pairwise(edges)]
    return max(job.result() for job in jobs), slides


@numba.njit(nogil=True, cache=True)
def grouped(row: Any, n_rows: int) -> Any:
    """Return `starts` (n_rows + 1,) and `order` (batch,): the interactions of row `r` are `order[starts[r] : starts[r + 1]]`."""
    starts = np.zeros(n_rows + 1, dtype=np.int64)
    for i in range(row.size):
        starts[row[i] + 1] += 1
    starts = np.cumsum(starts)
    place = starts[:-1].copy()
    order = np.empty(row.size, dtype=np.int32)
    for i in range(row.size):
        order[place[row[i]]] = i
        place[row[i]] += 1
    return starts, order


@numba.njit(nogil=True, cache=True)
def _people(batch: Batch, starts: Any, order: Any, plan: Reduction, matrix: Any, slides: Any, first: int, last: int) -> int:
    """Fill the rows from `first` to `last`; return the status."""
    status = FINE
    totals = np.zeros(plan.accumulated.size, dtype=np.int64)
    answered = np.empty(plan.unanswered.size, dtype=np.int64)
    stated = np.empty(plan.declarations.shape[0], dtype=np.int64)
    slots = np.empty((7, 4), dtype=np.int64)
    for r in range(first, last):
        mine = order[starts[r] : starts[r + 1]]
        out = matrix[r]
        out[:] = plan.template
        totals[:] = 0
        answered[:] = NEVER
        stated[:] = NEVER
        slots[:] = 0
        for i in mine:
            key, bucket = batch.cell[i] // plan.n_buckets, batch.cell[i] % plan.n_buckets
            if bucket < plan.bounds.size:
                slides[r] = min(slides[r], plan.bounds[bucket] - batch.age[i] + 1)
            _count(out, plan, batch.cell[i], key, batch.days[i])
            _decay(totals, plan, key, batch.days[i])
            status = max(status, _sum(out, totals, plan, batch.cell[i], key, batch.value[i]))
            _declare(out, stated, plan, key, batch.age[i], batch.days[i], batch.value[i])
            for j in range(plan.answers.starts[key], plan.answers.starts[key + 1]):
                answered[plan.answers.targets[j]] = min(answered[plan.answers.targets[j]], batch.age[i])
            if plan.answered[key]:
                slots[batch.slot[i] // 4, batch.slot[i] % 4] += 1
        _unanswered(out, mine, batch, plan, answered)
        _switches(out, mine, batch, plan)
        _sources(out, mine, batch, plan)
        status = max(status, _finish(out, totals, plan))
        _formulas(out, plan)
        _rhythm(out, slots, plan.rhythm)
    return status


@numba.njit(nogil=True, cache=True, inline="always")
def _count(out: Any, plan: Reduction, cell: int, key: int, days: int) -> None:
    for j in range(plan.counts.starts[cell], plan.counts.starts[cell + 1]):
        out[plan.counts.targets[j]] += np.float32(1.0)
    age = np.float32(days)
    for j in range(plan.recencies.starts[key], plan.recencies.starts[key + 1]):
        if not out[plan.recencies.targets[j]] <= age:  # true for NaN too: nothing was there yet
            out[plan.recencies.targets[j]] = age
    for j in range(plan.firsts.starts[key], plan.firsts.starts[key + 1]):
        if not out[plan.firsts.targets[j]] >= age:
            out[plan.firsts.targets[j]] = age


@numba.njit(nogil=True, cache=True, inline="always")
def _decay(totals: Any, plan: Reduction, key: int, days: int) -> None:
    if days < plan.weights.shape[1]:
        for j in range(plan.decays.starts[key], plan.decays.starts[key + 1]):
            target = plan.decays.targets[j]
            totals[target] += plan.weights[plan.half_life_of[target], days]


@numba.njit(nogil=True, cache=True, inline="always")
def _sum(out: Any, totals: Any, plan: Reduction, cell: int, key: int, value: float) -> int:
    if math.isnan(value):
        return FINE
    status = FINE
    first, last = plan.sums.starts[cell], plan.sums.starts[cell + 1]
    if first < last:
        if not abs(value) <= VALUE_LIMIT:
            return VALUE_TOO_LARGE
        units = np.int64(math.floor(value * _PER_UNIT + 0.5))
        for j in range(first, last):
            totals[plan.sums.targets[j]] += units
            if abs(totals[plan.sums.targets[j]]) > _TOTAL_LIMIT:
                status = TOTAL_TOO_LARGE
    for j in range(plan.largest.starts[key], plan.largest.starts[key + 1]):
        if not out[plan.largest.targets[j]] >= np.float32(value):
            out[plan.largest.targets[j]] = np.float32(value)
    return status


@numba.njit(nogil=True, cache=True, inline="always")
def _declare(out: Any, stated: Any, plan: Reduction, key: int, age: int, days: int, value: float) -> None:
    for j in range(plan.declared.starts[key], plan.declared.starts[key + 1]):
        place = plan.declared.targets[j]
        said = np.float32(1.0) if math.isnan(value) else np.float32(value)
        column, aged = plan.declarations[place]
        if age < stated[place] or (age == stated[place] and said > out[column]):
            stated[place] = age
            out[column] = said
            if aged >= 0:
                out[aged] = np.float32(days)


@numba.njit(nogil=True, cache=True)
def _unanswered(out: Any, mine: Any, batch: Batch, plan: Reduction, answered: Any) -> None:
    if plan.unanswered.size:
        for i in mine:
            key = batch.cell[i] // plan.n_buckets
            for j in range(plan.messages.starts[key], plan.messages.starts[key + 1]):
                place = plan.messages.targets[j]
                if batch.age[i] < answered[place]:
                    out[plan.unanswered[place]] += np.float32(1.0)


@numba.njit(nogil=True, cache=True)
def _switches(out: Any, mine: Any, batch: Batch, plan: Reduction) -> None:
    if plan.switches < 0:
        return
    n, furthest = 0, 0
    events = np.empty(mine.size, dtype=np.int64)
    for i in mine:
        topic = plan.sequence[batch.cell[i] // plan.n_buckets]
        if topic > 0:
            events[n] = (-batch.age[i] << _TOPIC_BITS) + topic
            furthest = max(furthest, batch.age[i])
            n += 1
    fits = furthest < _AGE_LIMIT
    ordered = np.sort(events[:n]) if fits else _topics_by_time(mine, batch, plan, n)
    changes = 0
    for i in range(1, n):
        if (ordered[i] & ((1 << _TOPIC_BITS) - 1) != ordered[i - 1] & ((1 << _TOPIC_BITS) - 1)) if fits else (ordered[i] != ordered[i - 1]):
            changes += 1
    out[plan.switches] = np.float32(changes)


@numba.njit(nogil=True, cache=True)
def _topics_by_time(mine: Any, batch: Batch, plan: Reduction, n: int) -> Any:
    """Return the topics of the n answers, the oldest first, those of one time by number."""
    topics, ages = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    n = 0
    for i in mine:
        topic = plan.sequence[batch.cell[i] // plan.n_buckets]
        if topic > 0:
            topics[n], ages[n] = topic, batch.age[i]
            n += 1
    by_topic = np.argsort(topics, kind="mergesort")
    return topics[by_topic[np.argsort(-ages[by_topic], kind="mergesort")]]


@numba.njit(nogil=True, cache=True)
def _sources(out: Any, mine: Any, batch: Batch, plan: Reduction) -> None:
    if plan.sources.shape[1] == 0:
        return
    oldest, newest = -NEVER, NEVER
    first, last = -1, -1
    for i in mine:
        if plan.sourced[batch.cell[i] // plan.n_buckets]:
            age, source = batch.age[i], batch.source[i]
            if age > oldest or (age == oldest and source < first):
                oldest, first = age, source
            if age < newest or (age == newest and source < last):
                newest, last = age, source
    for which, found in ((0, first), (1, last)):
        for number in range(plan.sources.shape[1]):
            column = plan.sources[which, number]
            if column >= 0:
                out[column] = np.float32(np.nan) if found < 0 else np.float32(1.0) if found == number else np.float32(0.0)


@numba.njit(nogil=True, cache=True)
def _finish(out: Any, totals: Any, plan: Reduction) -> int:
    """Add buckets up to windows and write the accumulators."""
    status = FINE
    counts, sums = plan.rolling_counts, plan.rolling_sums
    accumulated, resolutions = plan.accumulated, plan.resolutions
    for j in range(counts.shape[0]):
        added = out[counts[j, 1]] + out[counts[j, 0]]
        out[counts[j, 1]] = added
        if added >= COUNT_LIMIT:
            status = COUNT_TOO_LARGE
    for j in range(sums.shape[0]):
        totals[sums[j, 1]] += totals[sums[j, 0]]
    for j in range(accumulated.size):
        if abs(totals[j]) > _TOTAL_LIMIT:
            status = max(status, TOTAL_TOO_LARGE)
        out[accumulated[j]] = np.float32(totals[j] * resolutions[j])
    return status


@numba.njit(nogil=True, cache=True)
def _formulas(out: Any, plan: Reduction) -> None:
    shares, trends, expected, habits = plan.shares, plan.trends, plan.expected, plan.habits
    for j in range(shares.shape[0]):
        part, whole = np.float64(out[shares[j, 1]]), np.float64(out[shares[j, 2]])
        out[shares[j, 0]] = np.float32(part / whole) if whole > 0 else np.float32(np.nan)
    for j in range(expected.size):
        out[trends[j, 0]] = np.float32((np.float64(out[trends[j, 1]]) + 1.0) / (np.float64(out[trends[j, 2]]) * expected[j] + 1.0))
    for j in range(habits.shape[0]):
        recency, first, count = np.float64(out[habits[j, 2]]), np.float64(out[habits[j, 3]]), np.float64(out[habits[j, 4]])
        habit = (first - recency) / (count - 1.0) if count >= 2 else np.nan
        out[habits[j, 0]] = np.float32(habit)
        if habits[j, 1] >= 0:
            out[habits[j, 1]] = np.float32(recency / max(habit, 1.0)) if count >= 2 else np.float32(np.nan)
    _entropies(out, plan.entropy_columns, plan.entropies.starts, plan.entropies.targets)


@numba.njit(nogil=True, cache=True)
def _entropies(out: Any, columns: Any, starts: Any, counts: Any) -> None:
    for j in range(columns.size):
        total = 0.0
        for k in range(starts[j], starts[j + 1]):
            total += np.float64(out[counts[k]])
        spread = 0.0
        for k in range(starts[j], starts[j + 1]):
            share = np.float64(out[counts[k]])
            if share > 0:
                spread -= share / total * math.log2(share / total)
        out[columns[j]] = np.float32(spread) if total > 0 else np.float32(np.nan)


@numba.njit(nogil=True, cache=True)
def _rhythm(out: Any, slots: Any, rhythm: Any) -> None:
    """Write the shares of (7 weekdays x 4 parts of the day) answers."""
    total = slots.sum()
    for number in range(rhythm.size):
        column = rhythm[number]
        if column >= 0:
            hits = slots[:, number].sum() if number < 4 else slots[number - 4].sum()
            out[column] = np.float32(hits / total) if total > 0 else np.float32(np.nan)
