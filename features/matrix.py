"""Where the rows of a matrix are kept while they are made: in memory, in memory in another order, or in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


def spare(rows: int) -> int:
    """Return for how many more rows a published matrix of so many has room: for people who come between two whole builds."""
    return rows // 64 + 64


class Rows(Protocol):
    """Rows `first` to `last` (without it) of a float32 matrix, made fresh, put, and taken again."""

    def fresh(self, first: int, last: int) -> Matrix:
        """Return a block to be filled, of any content."""
        ...

    def put(self, first: int, last: int, block: Matrix) -> None:
        """Keep a block."""
        ...

    def taken(self, first: int, last: int) -> Matrix:
        """Return a block that was put before."""
        ...

    def whole(self) -> Matrix:
        """Return the matrix."""
        ...


class InMemory:
    """A matrix in memory; blocks are its own memory."""

    def __init__(self, rows: int, columns: int) -> None:
        self._matrix = np.empty((rows, columns), dtype=np.float32)

    @classmethod
    def passing(cls, rows: int, columns: int) -> Rows:
        """Return rows that keep one block only, for builds whose matrix nobody wants."""
        return _Passing(rows, columns)

    def fresh(self, first: int, last: int) -> Matrix:
        """Return the block's own memory."""
        return self._matrix[first:last]

    def put(self, first: int, last: int, block: Matrix) -> None:
        """Do nothing: the block is the matrix's memory."""

    def taken(self, first: int, last: int) -> Matrix:
        """Return the block's own memory."""
        return self._matrix[first:last]

    def whole(self) -> Matrix:
        """Return the matrix."""
        return self._matrix


class _Passing(InMemory):
    def fresh(self, first: int, last: int) -> Matrix:
        return self._matrix[: last - first]


class InOrder:
    """A matrix in memory whose row `order[i]` is the i-th that is made."""

    def __init__(self, order: NDArray[np.int64], columns: int) -> None:
        self._order = order
        self._matrix = np.empty((len(order), columns), dtype=np.float32)

    def fresh(self, first: int, last: int) -> Matrix:
        """Return a block of its own."""
        return np.empty((last - first, self._matrix.shape[1]), dtype=np.float32)

    def put(self, first: int, last: int, block: Matrix) -> None:
        """Copy the block to its places."""
        self._matrix[self._order[first:last]] = block

    def taken(self, first: int, last: int) -> Matrix:
        """Return a copy of the block."""
        return self._matrix[self._order[first:last]]

    def whole(self) -> Matrix:
        """Return the matrix."""
        return self._matrix


class InFile:
    """A matrix in a new `.npy` file, written and read block by block: it takes no memory but one block's, which is lent again and again.

    The file has room for `spare` more rows at its end, which takes no disk until they are written.
    """

    def __init__(self, path: Path, rows: int, columns: int, *, spare: int = 0) -> None:
        self._path = path
        self._shape = (rows, columns)
        with path.open("wb") as file:
            np.lib.format.write_array_header_2_0(
                file, {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": self._shape}
            )
            self._begin = file.tell()
        self._file = path.open("r+b", buffering=0)
        self._file.truncate(self._place(rows + spare))
        self._lent = np.empty((0, columns), dtype=np.float32)

    def fresh(self, first: int, last: int) -> Matrix:
        """Return the block that is lent, of any content; the one lent before must have been put."""
        if len(self._lent) < last - first:
            self._lent = np.empty((last - first, self._shape[1]), dtype=np.float32)
        return self._lent[: last - first]

    def put(self, first: int, last: int, block: Matrix) -> None:
        """Write the block at its place."""
        self._file.seek(self._place(first))
        _whole(self._file.write, block[: last - first])

    def taken(self, first: int, last: int) -> Matrix:
        """Read the block into the one that is lent."""
        self._file.seek(self._place(first))
        block = self.fresh(first, last)
        _whole(self._file.readinto, block)
        return block

    def whole(self) -> Matrix:
        """Return the matrix, memory-mapped and read-only; nothing can be put any more."""
        self._file.close()
        return np.load(self._path, mmap_mode="r" if self._shape[0] else None, allow_pickle=False)

    def _place(self, row: int) -> int:
        return self._begin + row * self._shape[1] * 4


def _whole(move: Callable[[memoryview], int | None], block: Matrix) -> None:
    """Read or write a whole block: one call of the system moves 2 GB at most."""
    left = np.ascontiguousarray(block).data.cast("B") if block.size else memoryview(b"")
    while len(left):
        left = left[move(left) or 0 :]
