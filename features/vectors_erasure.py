"""Taking people out of the published vectors: the current version is published anew without them, and no other that holds them stays on the disk."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features import published
from features.publication import open_current, publish_without
from features.published import VectorsError
from features.vectors import Vectors

_IDS = ("person_ids.arrow", "newcomers.arrow")


@dataclass(frozen=True, slots=True)
class LeftVectors:
    """What was done: who had a row in the current version, how many other versions were removed, and whether none is current any more."""

    people: frozenset[str]
    versions: int
    withdrawn: bool = False


def erase_from_vectors(folder: Path, people: Sequence[str]) -> LeftVectors:
    """Take the people out of every published version. Readers switch at once; who has an older version open keeps it until then.

    A current version that this release cannot open, and that holds them, is removed: nobody is scored until vectors are built again. Killed in the middle, it
    leaves a version with or without them; do it again.
    """
    if not folder.is_dir():
        return LeftVectors(frozenset(), 0)
    wanted = pa.array(people, pa.large_string())
    current: Vectors | None = None
    with contextlib.suppress(VectorsError):
        current = open_current(folder)
    held: frozenset[str] = frozenset()
    if current is not None:
        held = frozenset(np.array(people, dtype=object)[np.asarray(pc.is_in(wanted, value_set=current.person_ids))].tolist())
        if held or (current.upkeep is not None and _holds(current.upkeep.newcomers, wanted)):
            publish_without(people, folder)
    pointed = (folder / "CURRENT").exists()
    removed = published.remove(folder, lambda version: _version_holds(version, wanted))
    return LeftVectors(held, removed, pointed and not (folder / "CURRENT").exists())


def _version_holds(version: Path, wanted: pa.LargeStringArray) -> bool:
    """Return whether a version holds any of the people, or cannot tell."""
    try:
        for name in _IDS:
            if (version / name).exists():
                with pa.memory_map(str(version / name)) as source:
                    if _holds(pa.ipc.open_file(source).read_all(), wanted):
                        return True
    except (OSError, KeyError, pa.ArrowException):
        return True
    return not (version / _IDS[0]).exists()


def _holds(table: pa.Table, wanted: pa.LargeStringArray) -> bool:
    return bool(pc.any(pc.is_in(table.column("person_id").cast(pa.large_string()), value_set=wanted)).as_py())
