"""Taking people out of the published vectors: the current version is published anew without them, and no other that holds them stays on the disk."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features import published
from features.publication import open_current, publish_without
from features.published import VectorsError
from features.vectors import Vectors

_TIMES = 3
"""How often the current version is looked at: another one may be published meanwhile, from tables of before."""
_IDS = ("person_ids.arrow", "newcomers.arrow")


@dataclass(frozen=True, slots=True)
class LeftVectors:
    """What was done: who had a row in the current version, how many other versions were removed, and whether none is current any more."""

    people: frozenset[str]
    versions: int
    withdrawn: bool = False

    def both(self, other: LeftVectors) -> LeftVectors:
        """Return what was done to these vectors and to others."""
        return LeftVectors(self.people | other.people, self.versions + other.versions, self.withdrawn or other.withdrawn)


def erase_from_vectors(folder: Path, people: Sequence[str]) -> LeftVectors:
    """Take the people out of every published version. Readers switch at once; who has an older version open keeps it until then.

    A current version that this release cannot open, and that holds them, is removed: nobody is scored until vectors are built again. Killed in the middle, it
    leaves a version with or without them; do it again.
    """
    if not folder.is_dir():
        return LeftVectors(frozenset(), 0)
    wanted = pa.array(people, pa.large_string())
    held: frozenset[str] = frozenset()
    removed, pointed = 0, (folder / "CURRENT").exists()
    for left in range(_TIMES - 1, -1, -1):
        opened = False
        with contextlib.suppress(VectorsError):
            current = open_current(folder)
            opened = True
            held |= frozenset(np.array(people, dtype=object)[np.asarray(pc.is_in(wanted, value_set=current.person_ids))].tolist())
            if _holds(current, wanted):
                publish_without(people, folder)
        overtaken: list[Path] = []
        removed += published.remove(folder, _goes(folder, wanted, overtaken if opened and left else None))
        if not overtaken:
            break
    return LeftVectors(held, removed, pointed and not (folder / "CURRENT").exists())


def _goes(folder: Path, wanted: pa.LargeStringArray, overtaken: list[Path] | None) -> Callable[[Path], bool]:
    """Return which versions are to be removed, by what only the one publisher sees: a current one published since the last look is spared, and told of."""

    def goes(version: Path) -> bool:
        if not _version_holds(version, wanted):
            return False
        if overtaken is None or published.pointed(folder) != version:
            return True
        overtaken.append(version)
        return False

    return goes


def _holds(vectors: Vectors, wanted: pa.LargeStringArray) -> bool:
    """Return whether vectors have a row of any of the people, or expect one of them."""
    ids = [vectors.person_ids] if vectors.upkeep is None else [vectors.person_ids, vectors.upkeep.newcomers.column("person_id")]
    return any(pc.any(pc.is_in(some, value_set=wanted)).as_py() for some in ids)


def _version_holds(version: Path, wanted: pa.LargeStringArray) -> bool:
    """Return whether a version holds any of the people, or cannot tell."""
    try:
        for name in _IDS:
            if (version / name).exists():
                with pa.memory_map(str(version / name)) as source:
                    ids = pa.ipc.open_file(source).read_all().column("person_id")
                    if pc.any(pc.is_in(ids.cast(pa.large_string()), value_set=wanted)).as_py():
                        return True
    except (OSError, KeyError, pa.ArrowException):
        return True
    return not (version / _IDS[0]).exists()
