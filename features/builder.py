"""Builds vectors block by block of people: projects their interactions, reduces them, then adds what the base as a whole says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features import context, kernel, query
from features.blocks import WORKERS, Block, block_of, fill_own, read_blocks
from features.catalogue import CONTEXTUAL, catalogue, definitions_hash
from features.context import Context, Formula, Sums
from features.definition import Feature
from features.engine import Engine
from features.layout import Layout, layout
from features.matrix import InFile, InMemory, InOrder, Rows, spare
from features.relations import Relations, StoredTables
from features.vectors import Progress, Upkeep, Vectors, VectorsError
from features.vocabulary import Vocabulary

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

BLOCK_PEOPLE = 65_536
"""Rows of the matrix that are made together, at most."""
BLOCK_INTERACTIONS = 3_000_000
"""Interactions of one block, about (36 bytes each, held twice): people who did much come in smaller blocks."""
SMALL = 500_000
"""Where so many interactions or fewer are expected of them (by the average; a hundred bytes each) they need not be where they could be spilled."""
FEW = 0.1
"""Where a smaller share of the base is built, what is held of these people is read once and kept in the engine's memory."""
MANY_TIMES = 64
"""Rows of more distinct times share the contexts of the start of their UTC day, month or year, whichever makes no more than this."""


@dataclass(frozen=True, eq=False)
class _Build:
    """What one build works with; `plan` and `formulas` are those of the features it makes."""

    engine: Engine
    relations: Relations
    vocabulary: Vocabulary
    plan: Layout
    formulas: tuple[Formula, ...]
    interactions: int
    people: int
    progress: Progress

    def block_rows(self, rows: int) -> int:
        """Return how many of so many rows make one block; a base is at least as large as its table `people`."""
        each = max(self.interactions / max(rows, self.people, 1), 1.0)
        return int(min(BLOCK_PEOPLE, max(BLOCK_INTERACTIONS / each, 64)))

    def narrow(self, ids: pa.LargeStringArray) -> None:
        """Let nobody be read from now on but these persons, where they are few."""
        if len(ids) < FEW * self.people:
            self.relations.narrow(self.engine, ids, small=self.interactions * len(ids) < SMALL * self.people)

    def of(self, features: Sequence[Feature], progress: Progress) -> _Build:
        """Return a build of other features over the same relations."""
        plan = layout(features, self.vocabulary)
        return _Build(self.engine, self.relations, self.vocabulary, plan, context.formulas(features, self.vocabulary), self.interactions, self.people, progress)


def build_base(
    history: StoredTables,
    vocabulary: Vocabulary,
    as_of: datetime,
    *,
    versions: Mapping[str, int] | None,
    people: Sequence[str] | None,
    given: Context | None,
    progress: Progress,
    own: bool = False,
    path: Path | None = None,
    engine: Engine | None = None,
) -> Vectors:
    """Return the vectors of the base (or of `people` of it) as of one time, the matrix in a file when `path` names one; see `features.vectors.build`.

    It is built on `engine`, where one is given, and else on one of its own.
    """
    as_of_us = microseconds(as_of)
    asked = None if people is None else _sorted(people)
    with _started(history, vocabulary, versions, progress, own=own, alone=None if given is None else asked, engine=engine) as build:
        ids = _base(build, as_of_us) if asked is None else asked
        rows: Rows = InMemory(len(ids), len(build.plan.features)) if path is None else InFile(path, len(ids), len(build.plan.features), spare=spare(len(ids)))
        times = np.full(len(ids), as_of_us)
        if given is None and people is not None:
            given = _contexts(build, [as_of_us])[as_of_us]
            build.narrow(ids)
        present = np.ones(len(ids), dtype=bool)
        _check_context(build, given)
        if given is not None:
            slides = _fill(build, ids, times, rows, {as_of_us: given}, present=present)
        else:
            slides, given = _fill_whole(build, ids, times, rows, as_of)
        upkeep = _upkeep(build, ids, as_of_us, slides, wanted=people is not None)
        made = _vectors(build, ids, times, rows, as_of=as_of.astimezone(UTC), given=given, upkeep=upkeep)
        return made if present.all() else made.only(present)


def build_asked(
    history: StoredTables,
    vocabulary: Vocabulary,
    rows: pd.DataFrame,
    *,
    versions: Mapping[str, int] | None,
    given: Context | None,
    progress: Progress,
    own: bool = False,
) -> Vectors:
    """Return the vectors of the rows asked for, in their order; see `features.vectors.build_rows`."""
    ids, times = _asked(rows)
    if len(ids) == 0:
        raise VectorsError("no rows are asked for: give at least one person_id with its as_of")
    with _started(history, vocabulary, versions, progress, own=own) as build:
        order = pc.sort_indices(ids).to_numpy().astype(np.int64)
        made = InOrder(order, len(build.plan.features))
        shared = _shared(times) if given is None else np.zeros(len(times), dtype=np.int64)
        _check_context(build, given)
        contexts = _contexts(build, np.unique(shared).tolist()) if given is None else {0: given}
        _fill(build, ids.take(pa.array(order)), times[order], made, contexts, shared=shared[order])
        latest = _EPOCH + timedelta(microseconds=int(times.max()))
        return _vectors(build, ids, times, made, as_of=latest, given=next(iter(contexts.values())) if len(contexts) == 1 else None, upkeep=None)


def build_one(
    projected: pa.Table, known: pa.Table, plan: Layout, vocabulary: Vocabulary, *, formulas: Sequence[Formula], given: Context | None
) -> NDArray[np.float32]:
    """Return the row (columns,) that the results of `query.projection` and `query.attributes` for row 0 make; without `given`, no `formulas`."""
    block = block_of(projected, known, 0, 1)
    matrix = np.empty((1, len(plan.features)), dtype=np.float32)
    with ThreadPoolExecutor(max_workers=1) as pool:
        fill_own(block, plan, vocabulary, matrix, pool)
    if given is not None:
        context.fill(matrix, block.area, block.areas, formulas, given)
    return matrix[0]


def base_context(
    history: StoredTables, vocabulary: Vocabulary, as_of: datetime, *, versions: Mapping[str, int] | None, progress: Progress, own: bool = False
) -> Context:
    """Return what the base as a whole says as of a time, its vectors not being kept."""
    as_of_us = microseconds(as_of)
    with _started(history, vocabulary, versions, progress, own=own) as build:
        return _contexts(build, [as_of_us])[as_of_us]


def microseconds(as_of: datetime) -> int:
    """Return a time as microseconds since 1970 UTC; raises VectorsError for one without a time zone."""
    if not isinstance(as_of, datetime) or as_of.tzinfo is None or as_of.utcoffset() is None:
        raise VectorsError("as_of is a datetime with a time zone, such as datetime(2026, 1, 1, tzinfo=UTC); the one given has none")
    return (as_of - _EPOCH) // timedelta(microseconds=1)


@contextmanager
def _started(
    history: StoredTables,
    vocabulary: Vocabulary,
    versions: Mapping[str, int] | None,
    progress: Progress,
    *,
    own: bool,
    alone: pa.Array | None = None,
    engine: Engine | None = None,
) -> Iterator[_Build]:
    """Open the tables; `alone` are the only persons that will be read, where it is known by then."""
    progress("reading the tables", 0.0)
    features = catalogue(vocabulary)
    plan = layout(features, vocabulary)
    with Engine() if engine is None else nullcontext(engine) as one:
        relations = Relations(one, history, vocabulary, versions, own=own, coded=False)
        interactions, people = (one.table(f"SELECT count(*) AS n FROM all_{table}").column("n")[0].as_py() for table in ("interactions", "people"))  # noqa: S608 - two names
        build = _Build(one, relations, vocabulary, plan, context.formulas(features, vocabulary), interactions, people, progress)
        if alone is not None:
            build.narrow(alone)
        relations.register_codes()
        yield build


def _base(build: _Build, as_of_us: int) -> pa.LargeStringArray:
    ids = build.engine.run(query.visible_people(build.vocabulary, as_of_us, limited=build.relations.limited)).column("person_id")
    return pa.concat_arrays(ids.cast(pa.large_string()).chunks or [pa.array([], pa.large_string())])


def _sorted(people: Sequence[str]) -> pa.LargeStringArray:
    if isinstance(people, str):
        raise VectorsError("people is a list of ids; the one given is a single text: put it in brackets")
    try:
        ids = pc.unique(pa.array(people, type=pa.large_string()))
    except (pa.ArrowException, UnicodeEncodeError, TypeError):
        raise VectorsError("people is a list of ids, each a text; among those given one is none") from None
    return ids.take(pc.sort_indices(ids))


def _check_context(build: _Build, given: Context | None) -> None:
    """Raise VectorsError for a context of other features."""
    if given is not None:
        missing = [one.feature.name for one in build.formulas if one.feature.name not in {*given.priors, *given.supply}]
        if missing:
            raise VectorsError(
                f"the context given is of other features: it says nothing of {missing[0]} and {len(missing) - 1} more; build it with this audience.toml"
            )


def _fill_whole(build: _Build, ids: pa.LargeStringArray, times: NDArray[np.int64], rows: Rows, as_of: datetime) -> tuple[NDArray[np.int64], Context]:
    """Fill the rows of a whole base in two phases, the context being that of these very rows."""
    sums = Sums(build.formulas)
    places: list[tuple[int, int, list[str], NDArray[np.int32]]] = []

    def count(block: Block, matrix: NDArray[np.float32]) -> None:
        sums.add(matrix, block.area, block.areas)
        places.append((block.first, block.last, block.areas, block.area))

    slides = _reduce(build, ids, times, rows, count)
    found = sums.context(as_of, build.relations.versions)
    if build.formulas:
        for number, (first, last, areas, area) in enumerate(places):
            matrix = rows.taken(first, last)
            context.fill(matrix, area, areas, build.formulas, found)
            rows.put(first, last, matrix)
            build.progress("what the base as a whole says", 0.9 + 0.1 * (number + 1) / len(places))
    return slides, found


def _fill(
    build: _Build,
    ids: pa.LargeStringArray,
    times: NDArray[np.int64],
    rows: Rows,
    contexts: Mapping[int, Context],
    *,
    shared: NDArray[np.int64] | None = None,
    present: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Fill rows whose contexts are known, by the time in `shared` (n,), or by their own; `present` (n,) is told who is in the base."""
    by = times if shared is None else shared

    def add(block: Block, matrix: NDArray[np.float32]) -> None:
        mine = by[block.first : block.last]
        if present is not None:
            present[block.first : block.last] = block.present
        for time in np.unique(mine):
            chosen = np.flatnonzero(mine == time)
            part = matrix if len(chosen) == len(mine) else matrix[chosen]
            context.fill(part, block.area[chosen], block.areas, build.formulas, contexts[int(time)])
            matrix[chosen] = part

    return _reduce(build, ids, times, rows, add)


def _reduce(
    build: _Build, ids: pa.LargeStringArray, times: NDArray[np.int64], rows: Rows, then: Callable[[Block, NDArray[np.float32]], None]
) -> NDArray[np.int64]:
    """Fill the rows (sorted by person) with all that a person's own history says, `then` seeing each block; return how soon each row slides."""
    slides = np.empty(len(ids), dtype=np.int64)
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        for block in read_blocks(build.engine, build.relations, build.plan, ids, times, size=build.block_rows(len(ids))):
            matrix = rows.fresh(block.first, block.last)
            slides[block.first : block.last] = fill_own(block, build.plan, build.vocabulary, matrix, pool)
            then(block, matrix)
            rows.put(block.first, block.last, matrix)
            build.progress("people", 0.9 * block.last / len(ids))
    return slides


def _contexts(build: _Build, times: Sequence[int]) -> dict[int, Context]:
    """Return the base's context as of each time: a build of the counts it needs, over everyone, which keeps nothing else."""
    found = {}
    for number, time in enumerate(times):
        as_of = _EPOCH + timedelta(microseconds=time)
        sums = Sums(())
        if build.formulas:
            contextual = [feature for feature in build.plan.features if feature.statistic in CONTEXTUAL]
            counts = {one for feature in contextual for one in (*context.numerators(feature, build.vocabulary), context.denominator(feature))}
            reduced = build.of([*sorted(counts, key=lambda feature: feature.name), *contextual], lambda _stage, _share: None)
            sums = Sums(reduced.formulas)
            ids = _base(build, time)
            rows = InMemory.passing(reduced.block_rows(len(ids)), len(reduced.plan.features))
            _reduce(reduced, ids, np.full(len(ids), time), rows, lambda block, matrix, into=sums: into.add(matrix, block.area, block.areas))  # type: ignore[misc]
        found[time] = sums.context(as_of, build.relations.versions)
        build.progress("what the base as a whole says", 0.3 * (number + 1) / len(times))
    return found


def _shared(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (n,) the time whose context each row takes: its own, or the start of its UTC day, month or year where times are many."""
    for unit in ("us", "D", "M", "Y"):
        shared = times.astype("datetime64[us]").astype(f"datetime64[{unit}]").astype("datetime64[us]").astype(np.int64)
        if len(np.unique(shared)) <= MANY_TIMES:
            break
    return shared


def _upkeep(build: _Build, ids: pa.LargeStringArray, as_of_us: int, slides: NDArray[np.int64], *, wanted: bool) -> Upkeep:
    """Return when each row changes though nothing more is stored, and who will enter the base by then."""
    due = np.where(slides >= kernel.NEVER, kernel.NEVER, slides + as_of_us)
    if wanted:
        build.engine.register("wanted", pa.table({"person_id": ids.cast(pa.string())}))
    coming = build.engine.run(query.upcoming(build.vocabulary, as_of_us, wanted=wanted, limited=build.relations.limited))
    people, at_us = coming.column("person_id").cast(pa.large_string()).combine_chunks(), coming.column("at_us").to_numpy()
    place = pc.fill_null(pc.index_in(people, value_set=ids), -1).to_numpy().astype(np.int64)
    np.minimum.at(due, place[place >= 0], at_us[place >= 0])
    return Upkeep(due, pa.table({"person_id": people, "at_us": at_us}).filter(pa.array(place < 0)))


def _vectors(
    build: _Build, ids: pa.LargeStringArray, times: NDArray[np.int64], rows: Rows, *, as_of: datetime, given: Context | None, upkeep: Upkeep | None
) -> Vectors:
    build.progress("vectors", 1.0)
    names = tuple(feature.name for feature in build.plan.features)
    return Vectors(
        person_ids=ids,
        matrix=rows.whole(),
        names=names,
        as_of=as_of,
        as_ofs=times.astype("datetime64[us]"),
        definitions_hash=definitions_hash(names),
        table_versions=build.relations.versions,
        table_files=build.relations.files,
        vocabulary_fingerprint=build.vocabulary.fingerprint,
        context=given,
        upkeep=upkeep,
        own=build.relations.entering.own,
        withheld=build.vocabulary.withheld if build.relations.entering.own else (),
    )


def _asked(rows: pd.DataFrame) -> tuple[pa.LargeStringArray, NDArray[np.int64]]:
    """Return the ids and times (microseconds) of the rows asked for."""
    missing = [name for name in ("person_id", "as_of") if name not in rows.columns]
    if missing:
        raise VectorsError(f"rows have the columns person_id and as_of; missing: {', '.join(missing)}; given: {', '.join(map(str, rows.columns)) or 'none'}")
    times = rows["as_of"]
    if not isinstance(times.dtype, pd.DatetimeTZDtype):
        raise VectorsError(f"rows' as_of holds times with a time zone (datetime64[us, UTC]); given: {times.dtype}; hint: pd.to_datetime(…, utc=True)")
    if times.isna().any() or rows["person_id"].isna().any():
        empty = np.flatnonzero(rows[["person_id", "as_of"]].isna().any(axis=1))
        raise VectorsError(f"every row has a person_id and an as_of; {len(empty)} have not, the first at position {empty[0]}")
    as_of_us = times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64)
    ids = pa.array(rows["person_id"].to_numpy(dtype=object), type=pa.large_string())
    return pc.cast(ids, pa.large_string()), as_of_us
