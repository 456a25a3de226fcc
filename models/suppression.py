"""Tables of counts that may be shown: small groups are put together, and cells left out so that none of them can be worked out from the others (pure).

A table is a flow through a network of its rows and columns, and what somebody can work out of a cell that is left out is how far that flow can be turned
round it while every number that is shown stays: L. H. Cox, *Network models for complementary cell suppression*, JASA 90 (1995). Finding the cheapest
cells to leave out is hard (Fischetti and Salazar, *Management Science* 47, 2001); this takes the cheapest way round for one cell after another, and then
shows again what turns out not to be needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]
Cell = tuple[int, int]
_MOST_TRIALS = 20_000
"""Cells are shown again only where that takes at most so many looks at a cell, some seconds: large tables have many small cells to hide behind anyway."""


class SuppressionError(ValueError):
    """A table cannot be shown as it is; the message says why."""


def put_together(counts: Counts, k: int) -> Flags:
    """Return which groups (n,) of one dimension are shown together as one, so that no group shown is smaller than `k`, nor can one be worked out.

    They are those below `k`, and where these are fewer than `k` people in all the smallest of the others, the first of equals. None are below `k` people: a
    group of nobody says of everybody that they are not in it, and goes with the small ones. Where all n are put together, only the total is left to show.
    """
    together = counts < k
    if together.any():
        for place in np.argsort(counts, kind="stable").tolist():
            if counts[together].sum() >= k:
                break
            together[place] = True
    return together


def hidden_cells(counts: Counts, k: int) -> Flags:
    """Return which cells (R, C) of a table are left out where the sums of all its rows and columns are shown.

    Those below `k`, nobody included, and as many more as it takes that of each one left out, whatever it holds, all whole numbers of a range at least `k` wide
    fit everything that is shown: hence no group of fewer than `k` people, nor a sum over one, can be worked out. Cells of few people are taken before others.

    Raises SuppressionError where a sum is below `k` (see `put_together`): such a table has no solution that shows its sums.
    """
    counts = np.asarray(counts, dtype=np.int64)
    if counts.ndim != 2 or counts.size == 0 or (counts < 0).any():
        raise SuppressionError(f"a table of counts (R, C) of at least one cell is wanted, none negative; given shape {counts.shape}")
    if min(counts.sum(axis=0).min(), counts.sum(axis=1).min()) < k:
        raise SuppressionError(f"a row or column holds fewer than {k} people: put small groups together first")
    hidden = counts < k
    waiting = sorted(_cells(hidden), key=lambda cell: (-int(counts[cell]), cell))
    for cell in waiting:  # grows while it is gone through; to leave more out never narrows what was wide enough
        if _near(counts, hidden, cell) < k:
            waiting.extend(_widened(counts, hidden, cell, k))
    _show_again(counts, hidden, k)
    return hidden


class _Way(NamedTuple):
    """How the counts of a table can move when one cell does: which cells fall, and which rise, by the same number."""

    falling: list[Cell]
    rising: list[Cell]


def _cells(flags: Flags) -> Iterator[Cell]:
    return ((int(row), int(column)) for row, column in np.argwhere(flags))


def _near(counts: Counts, hidden: Flags, cell: Cell) -> int:
    """Return a range that the cell surely has, from rectangles of hidden cells alone: quick, and wide enough for most."""
    row, column = cell
    others = [other for other in np.flatnonzero(hidden[row]).tolist() if other != column]
    left = np.where(hidden[:, column], counts[:, column], 0)
    left[row] = 0
    rows = hidden[:, column].copy()
    rows[row] = False
    up, down = 0, 0
    for other in others:
        free = np.where(hidden[:, other], left, 0)
        taken = min(int(counts[row, other]), int(free.sum()))
        left -= np.clip(taken - (free.cumsum() - free), 0, free)
        up += taken
        down += int(counts[rows & hidden[:, other], other].sum())
    return up + min(down, int(counts[cell]))


def _widened(counts: Counts, hidden: Flags, cell: Cell, k: int) -> list[Cell]:
    """Hide what it takes, in `hidden` itself, to make the cell's range at least `k` wide; return what was hidden more."""
    more: list[Cell] = []
    while True:
        up, above = _slack(counts, hidden, cell, k, rises=True)
        down, below = _slack(counts, hidden, cell, min(k, int(counts[cell])), rises=False)
        if up + down >= k:
            return more
        way = _cheapest(counts, hidden, cell, (above, below), need=k - up - down, room=int(counts[cell]) - down)
        for found in (*way.falling, *way.rising):
            if not hidden[found]:
                hidden[found] = True
                more.append(found)


def _show_again(counts: Counts, hidden: Flags, k: int) -> None:
    """Show again, in `hidden` itself, the largest cells first, what was hidden for others that have come to be wide enough without it."""
    added = sorted(_cells(hidden & (counts >= k)), key=lambda cell: (-int(counts[cell]), cell))
    if len(added) * int(hidden.sum()) > _MOST_TRIALS:
        return
    for row, column in added:
        hidden[row, column] = False
        left = sorted(_cells(hidden), key=lambda cell: (cell[0] != row and cell[1] != column, cell))  # those beside it fail first
        hidden[row, column] = not all(_is_wide(counts, hidden, cell, k) for cell in left)


def _is_wide(counts: Counts, hidden: Flags, cell: Cell, k: int) -> bool:
    if _near(counts, hidden, cell) >= k:
        return True
    up, _ = _slack(counts, hidden, cell, k, rises=True)
    return up >= k or up + _slack(counts, hidden, cell, min(k, int(counts[cell])), rises=False)[0] >= k


def _slack(counts: Counts, hidden: Flags, cell: Cell, most: int, *, rises: bool) -> tuple[int, Counts]:
    """Return how far, up to `most`, the cell can move while only hidden cells do, and the table then: a maximal flow, along shortest ways."""
    moved, done = counts.copy(), 0
    usable = np.where(hidden, 1.0, np.inf)
    while done < most:
        way = _way(usable, np.where(moved > 0, usable, np.inf), cell, rises=rises)
        if way is None:
            break
        by = min([most - done, *(int(moved[each]) for each in way.falling)])
        for each in way.falling:
            moved[each] -= by
        for each in way.rising:
            moved[each] += by
        done += by
    return done, moved


def _cheapest(counts: Counts, hidden: Flags, cell: Cell, moved: tuple[Counts, Counts], *, need: int, room: int) -> _Way:
    """Return the way that hides the fewest people among those that widen the range by `need` at once, or else by anything.

    `moved` is the table with the cell as high, and as low, as hidden cells let it; `room` is how much lower it could be if others were hidden too.
    """
    above, below = moved
    dear = 2 * sum(counts.shape) + 1
    cost = np.where(hidden, 1.0, (counts + 1.0) * dear)
    for least in (need, 1):
        for rises, table in ((True, above), (False, below)):
            way = _way(cost, np.where(table >= least, cost, np.inf), cell, rises=rises) if rises or room >= least else None
            if way is not None:
                return way
    raise AssertionError("with all cells hidden the range is as wide as the smallest sum, which is not below k")


def _way(rise: NDArray[np.float64], fall: NDArray[np.float64], cell: Cell, *, rises: bool) -> _Way | None:
    """Return the cheapest way in which other cells make up for the cell's move, None where there is none; `rise`, `fall` (R, C) cost, inf where not usable.

    It begins in the cell's column and ends in its row, in turn along a column and along a row (Bellman and Ford's algorithm, on all cells at once).
    """
    row, column = cell
    down_columns, along_rows = (fall.copy(), rise.copy()) if rises else (rise.copy(), fall.copy())
    down_columns[cell] = along_rows[cell] = np.inf
    to_row, to_column = np.full(rise.shape[0], np.inf), np.full(rise.shape[1], np.inf)
    from_column, from_row = np.zeros(rise.shape[0], dtype=np.int64), np.zeros(rise.shape[1], dtype=np.int64)
    to_column[column] = 0.0
    better = True
    while better:
        better = _relaxed(to_column[None, :] + down_columns, to_row, from_column)
        better = better and _relaxed((to_row[:, None] + along_rows).T, to_column, from_row)
    if not np.isfinite(to_row[row]):
        return None
    first, second, here = [], [], row
    while True:
        there = int(from_column[here])
        first.append((here, there))
        if there == column:
            break
        here = int(from_row[there])
        second.append((here, there))
    return _Way(first, second) if rises else _Way(second, first)


def _relaxed(offered: NDArray[np.float64], known: NDArray[np.float64], before: Counts) -> bool:
    """Take what is cheaper than known, in place; return whether anything was."""
    best = offered.argmin(axis=1)
    cost = offered[np.arange(len(offered)), best]
    cheaper = cost < known
    known[cheaper], before[cheaper] = cost[cheaper], best[cheaper]
    return bool(cheaper.any())
