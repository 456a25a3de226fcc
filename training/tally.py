"""How many rows of a matrix fall into the bins of each of its columns, counted by DuckDB block by block: in little memory, however many people there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.engine import Engine

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Progress = Callable[[str, float], None] | None

ROWS, COLUMNS = 131_072, 64
"""A block: so many rows, of which so many columns are laid out for DuckDB at a time (34 MB)."""
_TURNED = 4_096
MEMORY_LIMIT = "512MB"


def tally(
    matrix: NDArray[np.float32], columns: Sequence[int], edges: Sequence[Sequence[float]], *, counted: Flags | None = None, progress: Progress = None
) -> list[Integers]:
    """Return the counts (k + 2,) of each of `columns` of a matrix (n, F), given its k rising edges: over all rows, or those that are `counted` (n,).

    Bin b holds `edges[b - 1] <= value < edges[b]`, the outer bins are open; the last count is that of missing values (NaN). The matrix may be
    memory-mapped: rows are gone through once, all columns of a block of them before the next.
    """
    found = [np.zeros(len(cuts) + 2, dtype=np.int64) for cuts in edges]
    counted = np.ones(len(matrix), dtype=np.bool_) if counted is None else counted
    blocks = [block for block in _blocks(len(matrix), len(columns)) if counted[block[0]].any()]
    with Engine(memory_limit=MEMORY_LIMIT) as engine:
        for number, (rows, part) in enumerate(blocks):
            engine.register("block", _block(matrix[rows], columns[part], counted[rows]))
            counts = engine.table(_sql(edges[part]))
            for position, below in enumerate(counts.columns):
                found[part.start + position] += _bins(below[0].as_py(), int(counted[rows].sum()))
            if progress is not None:
                progress("counting people by feature", (number + 1) / len(blocks))
    return found


def _blocks(n_rows: int, n_columns: int) -> Iterator[tuple[slice, slice]]:
    """Yield rows and columns (positions among those asked for), all columns of some rows before the next rows."""
    for first in range(0, n_rows, ROWS):
        for start in range(0, n_columns, COLUMNS):
            yield slice(first, min(first + ROWS, n_rows)), slice(start, min(start + COLUMNS, n_columns))


def _block(rows: NDArray[np.float32], columns: Sequence[int], counted: Flags) -> pa.Table:
    """Return these columns of the rows that are counted, each in one piece, as DuckDB reads it; a few rows at a time are turned, in the cache."""
    turned, chosen = np.empty((len(columns), len(rows)), dtype=np.float32), np.asarray(columns, dtype=np.int64)
    for first in range(0, len(rows), _TURNED):
        turned[:, first : first + _TURNED] = rows[first : first + _TURNED][:, chosen].T
    turned = turned if counted.all() else turned[:, counted]
    return pa.table({f"c{number}": pa.array(column) for number, column in enumerate(turned)})


def _sql(edges: Sequence[Sequence[float]]) -> str:
    """Return the query of a list per column: how many values lie below each edge, and how many are missing.

    NaN is greater than any number in DuckDB, so it lies below no edge; an edge is written with an exponent, which makes it a DOUBLE and no decimal. A sum of
    flags takes a tenth of the time of a count with a FILTER.
    """
    lists = []
    for number, cuts in enumerate(edges):
        conditions = [*(f"c{number} < {edge:.17e}" for edge in cuts), f"isnan(c{number})"]
        lists.append(f"[{', '.join(f'sum(({condition})::INTEGER)::BIGINT' for condition in conditions)}] AS c{number}")
    return f"SELECT {', '.join(lists)} FROM block"  # noqa: S608 - nothing but numbers


def _bins(below: Sequence[int], rows: int) -> Integers:
    """Return counts per bin and of missing values, from how many lie below each edge and how many are missing."""
    *counts, missing = below
    return np.r_[np.diff(np.array([0, *counts, rows - missing], dtype=np.int64)), missing].astype(np.int64)
