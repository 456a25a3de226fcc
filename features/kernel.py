"""The reductions: one pass over projected interactions into a dense matrix, then sums over age buckets (numba).

Every reduction is associative and commutative to the bit: counts are whole float32 numbers below 2^24, decayed counts and values are
whole multiples of a resolution in 64-bit integers, recency is a minimum. So neither the order of rows nor of people can matter.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from features.layout import DAY, DECAY_RESOLUTION, VALUE_RESOLUTION, Reduction

FINE, VALUE_TOO_LARGE, TOTAL_TOO_LARGE = 0, 1, 2

VALUE_LIMIT = 2.0**32
"""Largest absolute value of one interaction (about four thousand million units)."""

COUNT_LIMIT = 2.0**24
"""float32 counts exactly below this; a count that reaches it is refused."""

BLOCK_BITS = 10
"""Rows of the matrix are filled 1,024 at a time: they stay in a processor's cache of 1 to 2 MB, which makes the scatter 4 times faster."""

_TOTAL_LIMIT = 2**62
_PER_WEIGHT = 1.0 / DECAY_RESOLUTION
_PER_UNIT = 1.0 / VALUE_RESOLUTION
_DAY = float(DAY)
_LN2 = math.log(2.0)


class Batch(NamedTuple):
    """Projected interactions, each (batch,): row and cell int32, age int64 in microseconds (> 0), value float64."""

    row: NDArray[np.int32]
    cell: NDArray[np.int32]
    age: NDArray[np.int64]
    value: NDArray[np.float64]


@numba.njit(nogil=True, cache=True)
def partition(batch: Batch, n_rows: int) -> Batch:
    """Return the batch with interactions of one block of rows next to each other; `n_rows` is the number of rows of the matrix."""
    size = batch.row.size
    start = np.zeros((n_rows >> BLOCK_BITS) + 2, dtype=np.int64)
    for i in range(size):
        start[(batch.row[i] >> BLOCK_BITS) + 1] += 1
    start = np.cumsum(start)
    row, cell = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32)
    age, value = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.float64)
    for i in range(size):
        block = batch.row[i] >> BLOCK_BITS
        place = start[block]
        start[block] = place + 1
        row[place], cell[place], age[place], value[place] = batch.row[i], batch.cell[i], batch.age[i], batch.value[i]
    return Batch(row, cell, age, value)


@numba.njit(nogil=True, cache=True)
def scatter(batch: Batch, plan: Reduction, matrix: Any, totals: Any) -> int:
    """Add a batch of interactions; return FINE, VALUE_TOO_LARGE or TOTAL_TOO_LARGE.

    `matrix` is (n, columns) float32 with NaN in recency columns, `totals` (n, accumulators) int64.
    """
    status = FINE
    starts, targets, n_buckets = plan.counts.starts, plan.counts.targets, plan.n_buckets
    weights = np.zeros(plan.half_lives.size, dtype=np.int64)
    for i in range(batch.row.size):
        row, cell = batch.row[i], batch.cell[i]
        for j in range(starts[cell], starts[cell + 1]):
            matrix[row, targets[j]] += np.float32(1.0)
        _latest(matrix[row], plan, cell // n_buckets, batch.age[i])
        status = max(status, _decay(totals[row], plan, cell // n_buckets, batch.age[i], weights))
        status = max(status, _sum(totals[row], plan, cell, batch.value[i]))
    return status


@numba.njit(nogil=True, cache=True, inline="always")
def _latest(into: Any, plan: Reduction, key: int, age: int) -> None:
    first, last = plan.recencies.starts[key], plan.recencies.starts[key + 1]
    if first < last:
        days = np.float32(age / _DAY)
        for j in range(first, last):
            column = plan.recencies.targets[j]
            if not into[column] <= days:  # true for NaN too: nothing was there yet
                into[column] = days


@numba.njit(nogil=True, cache=True, inline="always")
def _decay(into: Any, plan: Reduction, key: int, age: int, weights: Any) -> int:
    status = FINE
    first, last = plan.decays.starts[key], plan.decays.starts[key + 1]
    if first < last:
        for h in range(weights.size):
            weights[h] = np.int64(math.exp(-_LN2 * age / _DAY / plan.half_lives[h]) * _PER_WEIGHT + 0.5)
        for j in range(first, last):
            target = plan.decays.targets[j]
            into[target] += weights[plan.half_life_of[target]]
            if into[target] > _TOTAL_LIMIT:
                status = TOTAL_TOO_LARGE
    return status


@numba.njit(nogil=True, cache=True, inline="always")
def _sum(into: Any, plan: Reduction, cell: int, value: float) -> int:
    status = FINE
    first, last = plan.sums.starts[cell], plan.sums.starts[cell + 1]
    if first < last:
        if not abs(value) <= VALUE_LIMIT:  # true for NaN too
            return VALUE_TOO_LARGE
        units = np.int64(math.floor(value * _PER_UNIT + 0.5))
        for j in range(first, last):
            target = plan.sums.targets[j]
            into[target] += units
            if abs(into[target]) > _TOTAL_LIMIT:
                status = TOTAL_TOO_LARGE
    return status


@numba.njit(nogil=True, cache=True)
def finish(plan: Reduction, matrix: Any, totals: Any) -> float:
    """Add buckets up to windows, write accumulators and shares into `matrix`; return the largest count.

    A share whose denominator is 0 is 0.
    """
    largest = np.float32(0.0)
    for r in range(matrix.shape[0]):
        for shorter, longer in plan.rolling_counts:
            matrix[r, longer] += matrix[r, shorter]
            largest = max(largest, matrix[r, longer])
        for shorter, longer in plan.rolling_sums:
            totals[r, longer] += totals[r, shorter]
        for j in range(plan.accumulated.size):
            matrix[r, plan.accumulated[j]] = np.float32(totals[r, j] * plan.resolutions[j])
        for column, part, whole in plan.shares:
            matrix[r, column] = matrix[r, part] / matrix[r, whole] if matrix[r, whole] > 0 else np.float32(0.0)
    return float(largest)
