"""Vectors of what online targeting may rest on beside those of all rows: published where the two may differ, gone where they do not any more.

They differ where rows from elsewhere are stored (rule L3), and where topics are withheld (rule L4). The ones are `vectors/` of a workspace, the others
`vectors-own/`: what online targeting is answered from and learned on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from features import published
from features.engine import Engine
from features.entering import SOURCES, Entering
from features.publication import build_into
from features.query import sources
from features.refresh import Refreshed, refresh
from features.relations import StoredTables
from features.vectors import Progress, Vectors

if TYPE_CHECKING:
    from features.vocabulary import Vocabulary
    from features.workspace import Workspace

_INTERACTIONS = {"source_id": ("source_id", "VARCHAR"), "collected_how": ("collected_how", "VARCHAR")}
_PEOPLE = {"source_id": ("source_id", "VARCHAR")}
_OTHER_INTERACTIONS = """
    SELECT 1 AS found FROM stored_interactions
    WHERE collected_how IS NULL OR collected_how NOT IN ('from_person', 'observed') OR source_id IS NULL OR source_id NOT IN (SELECT named FROM own_sources)
    LIMIT 1
"""
_OTHER_PEOPLE = "SELECT 1 AS found FROM stored_people WHERE source_id IN (SELECT named FROM other_sources) LIMIT 1"


@dataclass(frozen=True, slots=True)
class RefreshedBoth:
    """What a refresh did to the vectors of all rows, and to those of own rows where there are such."""

    every: Refreshed
    own: Refreshed | None

    def __str__(self) -> str:
        return f"{self.every}" + (f"; of own rows alone: {self.own}" if self.own is not None else "")


def set_apart(history: StoredTables, vocabulary: Vocabulary) -> bool:
    """Return whether online targeting has vectors of its own.

    Where a topic is withheld it has them whether rows about it are stored or not: only such vectors say of themselves that they rest on none.
    """
    return bool(vocabulary.withheld) or from_elsewhere(history, vocabulary)


def from_elsewhere(history: StoredTables, vocabulary: Vocabulary) -> bool:
    """Return whether anything is stored that is not this organisation's own collection: an interaction, or people of a source from elsewhere."""
    with Engine() as engine:
        for name, table, columns in (
            ("sources", "sources", SOURCES),
            ("stored_interactions", "interactions", _INTERACTIONS),
            ("stored_people", "people", _PEOPLE),
        ):
            engine.files(name, history.files(table), columns)
        for name, relation in Entering.of(engine.run(sources()).to_pylist(), vocabulary, own=True).tables().items():
            engine.register(name, relation)
        return any(len(engine.table(sql)) for sql in (_OTHER_INTERACTIONS, _OTHER_PEOPLE))


def build_both(
    history: StoredTables, workspace: Workspace, as_of: datetime, *, kept: int = published.KEPT, progress: Progress | None = None
) -> tuple[Vectors, Vectors | None]:
    """Build and publish the vectors of all rows and, where they are set apart, of own rows; see `features.publication.build_into`."""
    every = build_into(history, workspace.vocabulary, as_of, workspace.vectors, kept=kept, progress=progress)
    own = None
    for folder in wanted(history, workspace):
        with _nobody_left(folder):
            own = build_into(history, workspace.vocabulary, as_of, folder, own=True, kept=kept, progress=_of_own(progress))
    return every, own


def refresh_both(history: StoredTables, workspace: Workspace, as_of: datetime, *, progress: Progress | None = None) -> RefreshedBoth:
    """Bring both up to a later time; see `features.refresh.refresh`."""
    every = refresh(history, workspace.vocabulary, as_of, workspace.vectors, progress=progress)
    own = None
    for folder in wanted(history, workspace):
        with _nobody_left(folder):
            own = refresh(history, workspace.vocabulary, as_of, folder, own=True, progress=_of_own(progress))
    return RefreshedBoth(every, own)


def wanted(history: StoredTables, workspace: Workspace) -> Iterator[Path]:
    """Yield the folder of the vectors of own rows where they are set apart; else take away what was published there."""
    if set_apart(history, workspace.vocabulary):
        yield workspace.own_vectors
    else:
        withdraw(workspace.own_vectors)


def withdraw(folder: Path) -> None:
    """Remove every published version, so that readers have none; who has one open keeps it until then."""
    if folder.is_dir():
        published.remove(folder, lambda _version: True)


@contextlib.contextmanager
def _nobody_left(folder: Path) -> Iterator[None]:
    """Take away what was published where nobody is known by what online targeting may see."""
    try:
        yield
    except published.NobodyError:
        withdraw(folder)


def _of_own(progress: Progress | None) -> Callable[[str, float], None] | None:
    return None if progress is None else lambda stage, share: progress(f"{stage} (own rows)", share)
