"""The loops over people that make a context and use it (numba); apart from `features.context`, which is read where nothing is built."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from features.context import Plan


@numba.njit(nogil=True, cache=True)
def add(matrix: Any, plan: Plan, area: Any, sums: Any, totals: Any) -> None:
    """Add people to `sums` (formulas, 5) and to `totals` (areas, formulas, 2); see `features.context.Sums.add`."""
    for r in range(matrix.shape[0]):
        for j in range(plan.column.size):
            s = np.float64(matrix[r, plan.messages[j]])
            x = 0.0
            for k in range(plan.starts[j], plan.starts[j + 1]):
                x += np.float64(matrix[r, plan.answers[k]])
            sums[j, 0] += x
            sums[j, 1] += s
            sums[j, 2] += x * x
            sums[j, 3] += x * s
            sums[j, 4] += s * s
            if plan.statistic[j] == 1 and area[r] >= 0:
                totals[area[r], j, 0] += x
                totals[area[r], j, 1] += s


@numba.njit(nogil=True, cache=True)
def fill(matrix: Any, plan: Plan, area: Any, numbers: Any, totals: Any) -> None:
    """Write contextual columns: `numbers` (formulas, 3) are mean, strength and supply, `totals` (areas, formulas, 2); see `features.context.fill`."""
    for r in range(matrix.shape[0]):
        for j in range(plan.column.size):
            value: Any = np.nan
            if plan.statistic[j] == 2:
                value = numbers[j, 2]
            else:
                s: Any = np.float64(matrix[r, plan.messages[j]])
                x = 0.0
                for k in range(plan.starts[j], plan.starts[j + 1]):
                    x += np.float64(matrix[r, plan.answers[k]])
                if plan.statistic[j] == 1:
                    if area[r] >= 0:
                        x, s = max(totals[area[r], j, 0] - x, 0.0), totals[area[r], j, 1] - s
                    else:
                        s = 0.0
                if s > 0:
                    value = (x + numbers[j, 0] * numbers[j, 1]) / (s + numbers[j, 1])
            matrix[r, plan.column[j]] = np.float32(value)
