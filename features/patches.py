"""Patches: rows of a published matrix that were built again, in files beside the matrix over which they are laid.

A refreshed version shares the files of the version before it and adds one patch, which counts before the older ones. Where they become many, they
are written as one.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST = 16
"""How many patches lie over a matrix: opening a version reads each."""


class Patch(NamedTuple):
    """Rows (k, columns) that stand at `rows` (k,), each there once, in the place of what the matrix says; some may lie behind its end."""

    rows: NDArray[np.int64]
    values: NDArray[np.float32]


def stored(version: Path) -> list[Patch]:
    """Return the patches in a version's folder, the oldest first, memory-mapped."""
    return [Patch(np.load(_rows(path), allow_pickle=False), np.load(path, mmap_mode="r", allow_pickle=False)) for path in sorted(version.glob("patch_???.npy"))]


def write(made: Path, number: int, patch: Patch) -> None:
    """Write the patch of that number into a folder."""
    path = made / f"patch_{number:03}.npy"
    np.save(path, patch.values, allow_pickle=False)
    np.save(_rows(path), patch.rows, allow_pickle=False)


def files(version: Path) -> list[Path]:
    """Return the files of a version's patches."""
    return sorted(version.glob("patch_*.npy"))


def one(patches: list[Patch]) -> Patch:
    """Return the patch that says what all of these say, the last ones counting before the first."""
    newest = patches[::-1]
    rows = np.concatenate([patch.rows for patch in newest])
    rows, first = np.unique(rows, return_index=True)
    return Patch(rows, np.concatenate([patch.values for patch in newest])[first])


def _rows(path: Path) -> Path:
    return path.with_name(path.name.replace("patch_", "patch_rows_"))
