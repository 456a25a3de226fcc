"""Published vectors brought up to a later time: only the people are built again whom something has changed for.

They are those with newly stored interactions, with another row of `people`, and those for whom time alone changes something: an interaction leaves
a window, is past its limit, or was stored already and becomes visible. All others stay as they are, because times since are whole UTC days and the base as
a whole is taken as it was at the day's first build. So a refresh equals `build(…, context=…)` with that context.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features import builder, patches, published, query
from features.catalogue import catalogue
from features.context import Context
from features.definition import definitions_hash
from features.engine import Engine
from features.entering import SOURCES, Entering
from features.matrix import InFile, spare
from features.patches import Patch
from features.publication import build_into, open_version, publish_patch, publish_whole
from features.relations import Relations, Standing, StoredTables, names_of, people_columns
from features.vectors import Progress, Upkeep, Vectors, VectorsError
from features.vocabulary import Vocabulary

TIMES = 3
"""How often a refresh begins, where others publish or delete people while it is at work."""
_OF_PEOPLE = frozenset({"attribute", "age", "tenure", "area"})
"""Statistics that are missing for whom `people` has no row."""
MOST_PATCHED = 0.2
"""Where more of the rows than this stand in patches, the matrix is written anew."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did: rows now, rows built again, people who came and went; `whole` says why everyone was built anew, if they were."""

    rows: int
    rebuilt: int
    added: int = 0
    removed: int = 0
    whole: str | None = None

    def __str__(self) -> str:
        if self.whole is not None:
            return f"{self.rows:,} people built anew: {self.whole}"
        return f"{self.rows:,} people, {self.rebuilt:,} of them built again, {self.added:,} new, {self.removed:,} gone"


def refresh(
    history: StoredTables, vocabulary: Vocabulary, as_of: datetime, folder: str | Path, *, own: bool = False, progress: Progress | None = None
) -> Refreshed:
    """Publish the vectors of the whole base as of `as_of` into `folder`, building again only whom it must; `own` as in `features.vectors.build`.

    Everyone is built anew, with a context of their own, where nothing is published yet, where the catalogue, `audience.toml` or what the sources say of
    their rows is another, where `as_of` is on another UTC day than the published context, or before the published time. Readers switch at once and
    keep what they have open; a crash leaves the version before. Where somebody else publishes, or people are deleted, while it is at work, nothing of it is
    published and it begins again. Raises VectorsError, OvertakenError where that is so each time.
    """
    progress = progress or (lambda _stage, _share: None)
    for again in range(TIMES):
        try:
            return _refreshed(Standing(history), vocabulary, as_of, Path(folder), own=own, progress=progress)
        except published.OvertakenError:
            if again == TIMES - 1:
                raise
    raise AssertionError


def _refreshed(history: Standing, vocabulary: Vocabulary, as_of: datetime, folder: Path, *, own: bool, progress: Progress) -> Refreshed:
    """Refresh from tables that stand still: an import that comes in between is for the next refresh, whole."""
    as_of_us = builder.microseconds(as_of)
    previous = None
    with contextlib.suppress(VectorsError):
        version, said = published.current(folder)
        previous = open_version(version, said, patched=False)
    why = _whole(previous, history, vocabulary, as_of, own=own)
    if why is not None or previous is None:
        made = build_into(history, vocabulary, as_of, folder, own=own, progress=progress)
        return Refreshed(len(made), len(made), whole=why)
    progress("what has changed", 0.0)
    with Engine() as engine:
        touched, gone = _touched(engine, previous, history, vocabulary, as_of_us, version=version)
        part = builder.build_base(
            history,
            vocabulary,
            as_of,
            versions=None,
            people=touched.to_pylist(),
            given=previous.context,
            own=own,
            progress=lambda stage, share: progress(stage, 0.9 * share),
            engine=engine,
        )
    changed = _Changed.of(previous, part, touched, gone)
    _publish(previous, part, changed, version, folder, check=lambda: _check_still_there(history, version, folder))
    progress("vectors", 1.0)
    return Refreshed(len(previous) + len(changed.new) - len(changed.removed), len(part), len(changed.new), len(changed.removed))


def _whole(previous: Vectors | None, history: StoredTables, vocabulary: Vocabulary, as_of: datetime, *, own: bool) -> str | None:
    """Return why everyone has to be built anew, or None."""
    if previous is None or previous.context is None or previous.upkeep is None:
        return "nothing that could be refreshed was published before"
    day = previous.context.as_of.astimezone(UTC).date()
    reasons = {
        "audience.toml has changed": previous.vocabulary_fingerprint != vocabulary.fingerprint,
        "the features are defined in another way": previous.definitions_hash != definitions_hash(feature.name for feature in catalogue(vocabulary)),
        f"the published vectors are of a later time, {previous.as_of:%Y-%m-%d %H:%M} UTC": as_of < previous.as_of,
        "a new day has begun (UTC)": as_of.astimezone(UTC).date() != day,
        "they were made of other rows": previous.own != own,
        "nobody was left in the published vectors": not len(previous),
    }
    found = next((words for words, true in reasons.items() if true), None)
    return found or ("the sources have changed" if _other_sources(previous, history, vocabulary) else None)


def _other_sources(previous: Vectors, history: StoredTables, vocabulary: Vocabulary) -> bool:
    """Return whether the sources say something else than they did of which rows enter and of their types."""
    paths = history.files("sources")
    if list(previous.table_files.get("sources", [])) == names_of(paths):
        return False
    marks = []
    with Engine() as engine:
        for files in (paths, _before(previous, history, "sources")):
            engine.files("sources", files, SOURCES)
            marks.append(Entering.of(engine.run(query.sources()).to_pylist(), vocabulary, own=previous.own).marks())
    return marks[0] != marks[1]


def _touched(
    engine: Engine, previous: Vectors, history: StoredTables, vocabulary: Vocabulary, as_of_us: int, *, version: Path
) -> tuple[pa.LargeStringArray, NDArray[np.int64]]:
    """Return the people to be built again, in order and each once, and the rows of those whom a deletion has removed."""
    assert previous.upkeep is not None
    found = [_of_new_files(engine, previous, history), _of_changed_rows(engine, previous, history, vocabulary)]
    found.append(previous.person_ids.filter(pa.array(previous.upkeep.due <= as_of_us)))
    coming = previous.upkeep.newcomers
    found.append(coming.filter(pc.less_equal(coming.column("at_us"), as_of_us)).column("person_id").combine_chunks())
    gone = np.empty(0, dtype=np.int64)
    if _deleted(previous, history):
        relations = Relations(engine, history, vocabulary, own=previous.own)
        base = relations.engine.run(query.visible_people(vocabulary, as_of_us, limited=relations.limited)).column("person_id")
        base = base.cast(pa.large_string()).combine_chunks()
        found.append(coming.column("person_id").combine_chunks())  # whoever was deleted is not expected any more
        found.append(_of_deleted_rows(engine, previous, version))
        gone = np.flatnonzero(pc.is_null(pc.index_in(previous.person_ids, value_set=base)).to_numpy(zero_copy_only=False))
    touched = pc.unique(pa.concat_arrays([one.cast(pa.large_string()) for one in found]))
    return touched.take(pc.sort_indices(touched)), gone


def _of_new_files(engine: Engine, previous: Vectors, history: StoredTables) -> pa.Array:
    """Return who has interactions in files that were not there before."""
    known = set(previous.table_files.get("interactions", ()))
    paths = history.files("interactions")
    replaced = set(names_of(_before(previous, history, "interactions")))  # what a deletion has rewritten says nothing new
    fresh = [path for path, name in zip(paths, names_of(paths), strict=True) if name not in known | replaced]
    engine.files("fresh", fresh, {"person_id": ("person_id", "VARCHAR")})
    return engine.table("SELECT DISTINCT person_id FROM fresh").column("person_id").combine_chunks()


def _of_changed_rows(engine: Engine, previous: Vectors, history: StoredTables, vocabulary: Vocabulary) -> pa.Array:
    """Return whose row of `people` is another one, or is new."""
    if history.versions()["people"] == previous.table_versions["people"]:
        return pa.array([], pa.string())
    columns = people_columns(vocabulary) | ({"source_id": ("source_id", "VARCHAR")} if previous.own else {})
    engine.files("people_then", _before(previous, history, "people"), columns)
    engine.files("people_now", history.files("people"), columns)
    other = "SELECT * FROM people_{0} EXCEPT SELECT * FROM people_{1}"
    sql = f"SELECT DISTINCT person_id FROM (({other.format('now', 'then')}) UNION ALL ({other.format('then', 'now')}))"  # noqa: S608 - names of this file
    return engine.table(sql).column("person_id").combine_chunks()


def _of_deleted_rows(engine: Engine, previous: Vectors, version: Path) -> pa.Array:
    """Return of whom the vectors say what `people` does not any more: such a row can be deleted alone, and is then not in the versions before either."""
    people = engine.table("SELECT person_id FROM all_people").column("person_id").cast(pa.large_string())
    rows = np.flatnonzero(~pc.is_in(previous.person_ids, value_set=people).to_numpy(zero_copy_only=False))
    columns = [column for column, name in enumerate(previous.names) if name.split("|")[0] in _OF_PEOPLE]
    if len(rows) and columns:
        matrix = open_version(version, published.manifest(version)).matrix
        rows = rows[np.stack([~np.isnan(matrix[rows, column]) for column in columns]).any(axis=0)]
    return previous.person_ids.take(pa.array(rows if columns else rows[:0]))


def _deleted(previous: Vectors, history: StoredTables) -> bool:
    """Return whether people were deleted since: then past versions have other files than were read."""
    return any(sorted(names) != sorted(names_of(_before(previous, history, table))) for table, names in previous.table_files.items() if table != "sources")


def _before(previous: Vectors, history: StoredTables, table: str) -> list[str]:
    version = previous.table_versions.get(table, -1)
    return history.files(table, version) if version >= 0 else []


@dataclass(frozen=True, eq=False)
class _Changed:
    """`rows` of the vectors before get the rows `of_part` of the part; `new` rows of the part are new people; `removed` rows go; `touched` were looked at."""

    rows: NDArray[np.int64]
    of_part: NDArray[np.int64]
    new: NDArray[np.int64]
    removed: NDArray[np.int64]
    touched: pa.LargeStringArray

    @classmethod
    def of(cls, previous: Vectors, part: Vectors, touched: pa.LargeStringArray, gone: NDArray[np.int64]) -> _Changed:
        asked = previous.rows(touched.to_pylist())
        places = asked[pc.index_in(part.person_ids, value_set=touched).to_numpy()]  # nobody is in the part who was not touched
        removed = np.union1d(np.setdiff1d(asked[asked >= 0], places), gone)
        return cls(places[places >= 0], np.flatnonzero(places >= 0), np.flatnonzero(places < 0), removed, touched)


def _check_still_there(history: Standing, version: Path, folder: Path) -> None:
    """Raise OvertakenError where the version is not the current one any more, or people were deleted from the tables: they would be published once more.

    Called by the only publisher: whoever deletes people after this takes them out of the vectors after that.
    """
    try:
        same = published.current(folder)[0] == version
    except VectorsError:
        same = False
    if not same or not history.stands():
        raise published.OvertakenError("others published vectors, or deleted people, while this refresh was at work: nothing was published; refresh again")


def _publish(previous: Vectors, part: Vectors, changed: _Changed, version: Path, folder: Path, *, check: Callable[[], None]) -> None:
    """Publish the vectors before with what changed: as a patch where that is small, else written anew; `check` as in `publish_patch`."""
    rows = np.concatenate([changed.rows, len(previous) + np.arange(len(changed.new))])
    patched = np.unique(np.concatenate([rows, *(patch.rows for patch in patches.stored(version))]))
    whole = int(np.load(version / "matrix.npy", mmap_mode="r").shape[0])
    behind = len(previous) + len(changed.new) - whole
    if len(changed.removed) or len(patched) > MOST_PATCHED * max(whole, 1) or behind > spare(whole):
        _rewrite(open_version(version, published.manifest(version)), part, changed, folder, check=check)
        return
    of_part = np.concatenate([changed.of_part, changed.new])
    in_order = len(of_part) == len(part) and bool((of_part == np.arange(len(part))).all())
    patch = Patch(rows, part.matrix if in_order else part.matrix[of_part])  # its memory is not copied without need
    ids = pa.concat_arrays([previous.person_ids, part.person_ids.take(pa.array(changed.new))]) if len(changed.new) else previous.person_ids
    publish_patch(_joined(previous, part, ids, changed), version, patch, folder, check=check)


def _joined(previous: Vectors, part: Vectors, ids: pa.LargeStringArray, changed: _Changed) -> Vectors:
    """Return the vectors of `ids`: those before, then the new people; without their matrix, which is the caller's."""
    assert previous.upkeep is not None
    assert part.upkeep is not None
    due = np.concatenate([previous.upkeep.due, part.upkeep.due[changed.new]])
    due[changed.rows] = part.upkeep.due[changed.of_part]
    coming = previous.upkeep.newcomers
    waiting = coming.filter(pc.invert(pc.is_in(coming.column("person_id"), value_set=changed.touched)))
    return Vectors(
        person_ids=ids,
        matrix=np.broadcast_to(np.float32(np.nan), (len(ids), len(part.names))),
        names=part.names,
        as_of=part.as_of,
        as_ofs=np.broadcast_to(np.datetime64(part.as_of.replace(tzinfo=None), "us"), len(ids)),
        definitions_hash=part.definitions_hash,
        table_versions=part.table_versions,
        vocabulary_fingerprint=part.vocabulary_fingerprint,
        context=part.context,
        upkeep=Upkeep(due, pa.concat_tables([waiting.cast(part.upkeep.newcomers.schema), part.upkeep.newcomers])),
        table_files=part.table_files,
        own=part.own,
        withheld=part.withheld,
    )


def _rewrite(previous: Vectors, part: Vectors, changed: _Changed, folder: Path, *, check: Callable[[], None]) -> None:
    """Publish a matrix written anew, sorted by person; where people are gone, no version that still holds them is kept."""
    ids = pa.concat_arrays([previous.person_ids, part.person_ids.take(pa.array(changed.new))])
    joined = _joined(previous, part, ids, changed)
    stays = np.setdiff1d(np.arange(len(ids)), changed.removed)
    order = stays[pc.sort_indices(ids.take(pa.array(stays))).to_numpy().astype(np.int64)]
    place = np.full(len(ids), -1, dtype=np.int64)  # of each row in the part, where it was built again
    place[changed.rows] = changed.of_part
    place[len(previous) :] = changed.new

    def fill(path: Path) -> None:
        check()
        written = InFile(path, len(order), len(part.names), spare=spare(len(order)))
        for first in range(0, len(order), builder.BLOCK_PEOPLE):
            mine = order[first : first + builder.BLOCK_PEOPLE]
            block = written.fresh(first, first + len(mine))
            block[:] = previous.matrix[np.minimum(mine, len(previous) - 1)]
            again = place[mine] >= 0
            block[again] = part.matrix[place[mine][again]]
            written.put(first, first + len(mine), block)
        written.whole()

    publish_whole(joined, order, fill, folder, kept=0 if len(changed.removed) else published.KEPT)


def replay(history: StoredTables, vocabulary: Vocabulary, was: Vectors, *, people: Sequence[str] | None = None) -> Vectors:
    """Build again what was published, from the versions of the tables and the context's versions that it names.

    Equal to it bit for bit, as long as nobody was deleted since and the catalogue is the same. Raises VectorsError where nothing says
    what it was made from.
    """
    if was.context is None:
        raise VectorsError("these vectors do not say what the base as a whole was; only published vectors of one time can be built again")
    context = was.context
    if (context.as_of, dict(context.table_versions)) != (was.as_of, dict(was.table_versions)):
        context = _context(history, vocabulary, context, own=was.own)
    given = None if people is None and context is was.context else context
    return builder.build_base(
        history, vocabulary, was.as_of, versions=was.table_versions, people=people, given=given, own=was.own, progress=lambda _stage, _share: None
    )


def _context(history: StoredTables, vocabulary: Vocabulary, was: Context, *, own: bool) -> Context:
    """Return the context built again from its own time and versions."""
    found = builder.base_context(history, vocabulary, was.as_of, versions=was.table_versions, own=own, progress=lambda _stage, _share: None)
    if found.to_state() != was.to_state():
        raise VectorsError("the base as a whole cannot be built again as it was: people were deleted since, or tables were changed by hand")
    return found
