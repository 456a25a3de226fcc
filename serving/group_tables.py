"""Tables of groups: how many people, how many of them are expected to act, and what is left out so that nobody can be found in it (pure).

Numbers are told in steps: of people the nearest five, of what is expected at least what one person can add. Two answers that differ by one person then leave
that person's score anywhere between its bounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.suppression import hidden_cells, put_together
from serving.aggregate_schemas import GroupCell
from serving.schemas import Scale

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
PEOPLE_STEP = 5
"""Numbers of people are told to the nearest five."""
UNKNOWN, OTHERS = "(unknown)", "(others)"
"""Stand for a group of whom nothing is known, and for small groups that are put together."""
_DECIMALS = 6


@dataclass(frozen=True, eq=False, slots=True)
class Dimension:
    """What people are grouped by: the groups' `labels`, and for each of n people the `places` (n,) of theirs among them."""

    name: str
    labels: tuple[str, ...]
    places: Places

    def of(self, rows: Places) -> Dimension:
        """Return the dimension of the people in those rows; the groups stay, with nobody in them too."""
        return Dimension(self.name, self.labels, self.places[rows])


@dataclass(frozen=True, slots=True)
class Tabulated:
    """What is told of groups: of all, of each group of one dimension, and of each cell where there are two."""

    step: float
    total: GroupCell
    groups: list[GroupCell]
    cells: list[GroupCell]


def step_of(scale: Scale, typical: float) -> float:
    """Return in which steps sums are told: one person; of an outcome in other units the power of ten that ten times a `typical` value does not exceed in size.

    It follows from what is typical of the base and not from those who are counted: else it would change when the one with the largest value leaves.
    """
    return 1.0 if scale != "uplift" or typical == 0 else float(10.0 ** np.ceil(np.log10(10 * abs(typical))))


def tabulate(values: Floats, scale: Scale, dimensions: list[Dimension], k: int, *, typical: float = 0.0) -> Tabulated:
    """Return what may be told of n people with these values (n,), grouped by none, one or two dimensions; n is not below `k`.

    Groups of each dimension are put together by themselves alone, so that what is told of one dimension is the same with and without another. Of an outcome
    in other units, what is `typical` gives the step, and no value counts for more than one. Raises SuppressionError where n is below `k`.
    """
    step = step_of(scale, typical)
    shares = values / 100 if scale == "uplift_pp" else np.clip(values, -step, step)
    shown = [_shown(dimension, k) for dimension in dimensions]
    total = _cell({}, len(values), float(shares.sum()), step, scale)
    groups = [cell for dimension in shown for cell in _cells([dimension], shares, step, scale, None)]
    cells = []
    if len(shown) == 2:
        hidden = hidden_cells(_counts(shown), k)
        cells = _cells(shown, shares, step, scale, hidden)
    return Tabulated(step, total, groups, cells)


def _shown(dimension: Dimension, k: int) -> Dimension:
    """Return the dimension with its small groups put together, at its end."""
    together = put_together(np.bincount(dimension.places, minlength=len(dimension.labels)), k)
    if not together.any():
        return dimension
    kept = np.flatnonzero(~together)
    moved = np.full(len(together), len(kept), dtype=np.int64)
    moved[kept] = np.arange(len(kept))
    return Dimension(dimension.name, (*(dimension.labels[place] for place in kept), OTHERS), moved[dimension.places])


def _flat(dimensions: list[Dimension]) -> tuple[Places, tuple[int, ...]]:
    shape = tuple(len(dimension.labels) for dimension in dimensions)
    return np.ravel_multi_index(tuple(dimension.places for dimension in dimensions), shape).astype(np.int64), shape


def _counts(dimensions: list[Dimension]) -> Places:
    flat, shape = _flat(dimensions)
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape).astype(np.int64)


def _cells(dimensions: list[Dimension], shares: Floats, step: float, scale: Scale, hidden: NDArray[np.bool_] | None) -> list[GroupCell]:
    flat, shape = _flat(dimensions)
    counts, sums = (np.bincount(flat, weights=weights, minlength=int(np.prod(shape))).reshape(shape) for weights in (None, shares))
    cells = []
    for place in np.ndindex(*shape):
        group = {dimension.name: dimension.labels[number] for dimension, number in zip(dimensions, place, strict=True)}
        left_out = hidden is not None and bool(hidden[place])
        cells.append(GroupCell(group, hidden=True) if left_out else _cell(group, int(counts[place]), float(sums[place]), step, scale))
    return cells


def _cell(group: dict[str, str], people: int, total: float, step: float, scale: Scale) -> GroupCell:
    told = (people + PEOPLE_STEP // 2) // PEOPLE_STEP * PEOPLE_STEP
    expected = round(math.floor(total / step + 0.5) * step, _DECIMALS) + 0.0
    mean = expected / told * (100 if scale == "uplift_pp" else 1)
    return GroupCell(group, people=told, expected=expected, mean=round(mean, _DECIMALS))
