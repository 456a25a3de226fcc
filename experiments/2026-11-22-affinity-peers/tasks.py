"""What a peer is given for one origin of a data set: files of arrays that nothing but numpy is needed to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Integers = NDArray[np.int64]

GIVEN = "given.npz"
TUPLES = ("names", "topics", "parents", "categorical")
POOLED = ("pooled", "target", "pooled_asked")
CHUNK = 4_096
"""Rows whose pooled rows are made at once."""


class Pools(Protocol):
    """What makes pooled rows: `models.pooled.Layout`."""

    @property
    def categorical(self) -> list[int]:
        """Which pooled columns are categories."""

    @property
    def width(self) -> int:
        """Number of pooled columns."""

    def rows(self, matrix: Floats32, topic: Any) -> Floats32:
        """Return the pooled rows of `matrix`, each for its topic's number."""


@dataclass(frozen=True, repr=False)
class Task:
    """Rows to learn from and rows to predict for: n and m rows, F columns, T topics, k pairs whose label is known.

    `X` (n, F) and `asked` (m, F) float32, NaN for missing, with the columns `names`; `y` (n, T) 0, 1 or NaN for unknown; `person` (n,) a number
    for each person; `block` (n,) whole numbers that rise with time; `parents` (T,) the topic above each, empty where there is none. `pooled` (k, W)
    and `target` (k,) are the known pairs of `y`, row by row and topic by topic; `pooled_asked` (m·T, W) are all pairs of `asked` in that order.
    `categorical` are the pooled columns that are categories: the topic (its number) and, where there are parents, the parent. What the rows asked
    for turned out to be is not here.
    """

    X: Floats32
    y: Floats
    person: Integers
    block: Integers
    asked: Floats32
    names: tuple[str, ...]
    topics: tuple[str, ...]
    parents: tuple[str, ...]
    categorical: tuple[int, ...]
    pooled: Floats32
    target: Floats
    pooled_asked: Floats32

    @classmethod
    def load(cls, folder: Path) -> Task:
        """Return the task of `save`; pooled rows stay in their files until they are read."""
        with np.load(folder / GIVEN, allow_pickle=False) as found:
            arrays: dict[str, Any] = {name: found[name] for name in found.files}
        names = {name: tuple(arrays.pop(name).tolist()) for name in TUPLES}
        pooled = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in POOLED}
        return cls(**arrays, **names, **pooled)

    def matrix(self, pairs: NDArray[Any]) -> Floats:
        """Return (m, T) of what was predicted for `pooled_asked` (m·T,)."""
        return np.asarray(pairs, dtype=np.float64).reshape(len(self.asked), len(self.topics))


def save(folder: Path, layout: Pools, *, names: Sequence[str], topics: Sequence[str], parents: Sequence[str], **arrays: NDArray[Any]) -> None:
    """Write the files of a task: the arrays `X`, `y`, `person`, `block` and `asked`, and the pooled rows that `layout` makes of them."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"names": names, "topics": topics, "parents": parents}
    written = {name: np.array(values, dtype=str) for name, values in texts.items()} | {"categorical": np.array(layout.categorical, dtype=np.int64)}
    np.savez(folder / GIVEN, **arrays, **written)
    row, topic = np.nonzero(~np.isnan(arrays["y"]))
    np.save(folder / "target.npy", arrays["y"][row, topic])
    _write_pooled(folder / "pooled.npy", layout, arrays["X"], row, topic)
    row, topic = np.divmod(np.arange(len(arrays["asked"]) * len(topics)), len(topics))
    _write_pooled(folder / "pooled_asked.npy", layout, arrays["asked"], row, topic)


def _write_pooled(path: Path, layout: Pools, matrix: Floats32, row: Integers, topic: Integers) -> None:
    pooled = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(len(row), layout.width))
    for start in range(0, len(row), CHUNK):
        part = slice(start, start + CHUNK)
        pooled[part] = layout.rows(matrix[row[part]], topic[part])
    pooled.flush()
