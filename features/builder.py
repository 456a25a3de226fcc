"""Builds vectors: finds the base, projects its interactions, scatters them into the matrix, adds attributes and supply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features import kernel, query
from features.catalogue import catalogue, definitions_hash
from features.engine import Engine
from features.layout import DAY, Layout, layout
from features.vectors import Progress, StoredTables, Vectors, VectorsError
from features.vocabulary import Vocabulary

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TABLES = ("interactions", "people")
_INTERACTIONS = {
    "person_id": ("person_id", "VARCHAR"),
    "occurred_us": ("occurred_at", "EPOCH_US"),
    "received_us": ("received_at", "EPOCH_US"),
    "kind": ("kind", "VARCHAR"),
    "channel": ("channel", "VARCHAR"),
    "topic": ("topic", "VARCHAR"),
    "direction": ("direction", "VARCHAR"),
    "value": ("value", "DOUBLE"),
    "is_machine": ("is_machine", "BOOLEAN"),
}


CHUNK_ROWS = 1 << 21
"""Rows of the projection that are reduced together (24 bytes each, held twice)."""

_REFUSALS = {
    kernel.VALUE_TOO_LARGE: f"an interaction's `value` is not a number or is beyond ±{kernel.VALUE_LIMIT:.0f}, too large for an exact sum; use a larger unit",
    kernel.TOTAL_TOO_LARGE: "one person's values or decayed counts add up to more than an exact sum can hold; use a larger unit",
}


@dataclass(frozen=True, eq=False)
class _Build:
    """What one build works with."""

    engine: Engine
    vocabulary: Vocabulary
    latest_us: int
    versions: dict[str, int]
    progress: Progress
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layout", layout(catalogue(self.vocabulary), self.vocabulary))


def build_base(
    history: StoredTables,
    vocabulary: Vocabulary,
    as_of: datetime,
    *,
    versions: Mapping[str, int] | None,
    people: Sequence[str] | None,
    progress: Progress,
) -> Vectors:
    """Return the vectors of the base (or of `people` of it) as of one time; see `features.vectors.build`."""
    as_of_us = _microseconds(as_of)
    with Engine() as engine:
        build = _start(engine, history, vocabulary, as_of_us, versions=versions, progress=progress)
        if people is not None:
            engine.register("wanted", pa.table({"person_id": pa.array(people, type=pa.string())}))
        ids = engine.table(query.to_sql(query.population(as_of_us, wanted=people is not None))).column("person_id")
        return _fill(build, pa.concat_arrays(ids.cast(pa.large_string()).chunks or [pa.array([], pa.large_string())]), np.full(len(ids), as_of_us))


def build_asked(history: StoredTables, vocabulary: Vocabulary, rows: pd.DataFrame, *, versions: Mapping[str, int] | None, progress: Progress) -> Vectors:
    """Return the vectors of the rows asked for, in their order; see `features.vectors.build_rows`."""
    ids, as_of_us = _asked(rows)
    if len(ids) == 0:
        raise VectorsError("no rows are asked for: give at least one person_id with its as_of")
    with Engine() as engine:
        return _fill(_start(engine, history, vocabulary, int(as_of_us.max()), versions=versions, progress=progress), ids, as_of_us)


def _start(engine: Engine, history: StoredTables, vocabulary: Vocabulary, latest_us: int, *, versions: Mapping[str, int] | None, progress: Progress) -> _Build:
    """Make the relations `interactions`, `people` and `entries`."""
    progress("reading the tables", 0.0)
    present = history.versions()
    chosen = {table: int((versions or present).get(table, present.get(table, -1))) for table in _TABLES}
    attributes = {f"attribute_{item.id}": (item.id, "DOUBLE" if item.type == "numeric" else "VARCHAR") for item in vocabulary.attributes}
    people = {"person_id": ("person_id", "VARCHAR"), "birth_year": ("birth_year", "BIGINT"), "joined_us": ("joined_at", "EPOCH_US"), **attributes}
    for table, columns in zip(_TABLES, (_INTERACTIONS, people), strict=True):
        version = chosen[table]
        engine.files(table, history.files(table, version) if version >= 0 else [], columns)
    engine.keep("entries", query.to_sql(query.entries(vocabulary, latest_us)))
    return _Build(engine, vocabulary, latest_us, chosen, progress)


def _fill(build: _Build, ids: pa.LargeStringArray, as_of_us: NDArray[np.int64]) -> Vectors:
    """Return the vectors of these people, each as of its own time."""
    plan = build.layout
    rows = pa.table({"row": pa.array(np.arange(len(ids), dtype=np.int32)), "person_id": ids, "as_of_us": pa.array(as_of_us)})
    build.engine.register("rows", rows)
    matrix = np.zeros((len(ids), len(plan.features)), dtype=np.float32)
    matrix[:, plan.columns("recency", "attribute", "age", "tenure")] = np.nan
    _reduce(build, matrix)
    build.progress("attributes", 0.95)
    _attributes(build, matrix)
    build.progress("supply", 0.97)
    _supply(build, matrix, as_of_us)
    build.progress("vectors", 1.0)
    return Vectors(
        person_ids=ids,
        matrix=matrix,
        names=tuple(feature.name for feature in plan.features),
        as_of=_EPOCH + timedelta(microseconds=build.latest_us),
        as_ofs=as_of_us.astype("datetime64[us]"),
        definitions_hash=definitions_hash(plan.features),
        table_versions=build.versions,
        vocabulary_fingerprint=build.vocabulary.fingerprint,
    )


def _reduce(build: _Build, matrix: NDArray[np.float32]) -> None:
    """Scatter the projected interactions into `matrix`; raises VectorsError where an exact sum is impossible."""
    plan = build.layout.reduction
    totals = np.zeros((len(matrix), len(plan.accumulated)), dtype=np.int64)
    expected = build.engine.table("SELECT count(*) AS n FROM interactions").column("n")[0].as_py() or 1
    done = 0
    sql = query.to_sql(query.projection(build.layout, build.vocabulary, build.latest_us))
    for batch in _ahead(_chunks(build.engine.batches(sql))):
        status = kernel.scatter(kernel.partition(batch, len(matrix)), plan, matrix, totals)
        if status != kernel.FINE:
            raise VectorsError(_REFUSALS[status])
        done += len(batch.row)
        build.progress("interactions", 0.95 * min(done / expected, 1.0))
    if kernel.finish(plan, matrix, totals) >= kernel.COUNT_LIMIT:
        raise VectorsError(f"one person has {kernel.COUNT_LIMIT:.0f} interactions or more of one kind: more than float32 counts exactly")


def _chunks(batches: Iterator[pa.RecordBatch]) -> Iterator[kernel.Batch]:
    """Yield the projection in chunks of about CHUNK_ROWS rows: large enough that a person's interactions meet in one."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(part.num_rows for part in held) >= CHUNK_ROWS:
            yield _columns(held)
            held = []
    if held:
        yield _columns(held)


def _columns(batches: list[pa.RecordBatch]) -> kernel.Batch:
    return kernel.Batch(*(np.concatenate([part.column(name).to_numpy() for part in batches]) for name in kernel.Batch._fields))


def _ahead(batches: Iterator[kernel.Batch]) -> Iterator[kernel.Batch]:
    """Yield the batches, the next one being made while the present one is used."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch


def _attributes(build: _Build, matrix: NDArray[np.float32]) -> None:
    """Write age, tenure and the vocabulary's attributes; what is not known stays NaN."""
    codes = {item.id: {category: code for code, category in enumerate(item.categories)} for item in build.vocabulary.attributes}
    for batch in build.engine.batches(query.to_sql(query.attributes(build.vocabulary))):
        columns = {name: batch.column(name).to_numpy(zero_copy_only=False) for name in batch.schema.names}
        row, as_of_us = columns["row"], columns["as_of_us"]
        for column, feature in enumerate(build.layout.features):
            if feature.statistic == "age":
                matrix[row, column] = _age(as_of_us, columns["birth_year"])
            elif feature.statistic == "tenure":
                matrix[row, column] = (as_of_us - columns["joined_us"].astype(np.float64)) / DAY
            elif feature.statistic == "attribute":
                given = columns[f"attribute_{feature.id}"]
                wanted = None if feature.category is None else codes[str(feature.id)][feature.category]
                matrix[row, column] = given if wanted is None else np.where(np.isnan(given), np.nan, given == wanted)


def _age(as_of_us: NDArray[np.int64], birth_year: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the age reached in the UTC year of `as_of`, NaN when unknown or not born yet."""
    years = as_of_us.astype("datetime64[us]").astype("datetime64[Y]").astype(np.int64) + 1970 - birth_year
    return np.where(years >= 0, years, np.nan)


def _supply(build: _Build, matrix: NDArray[np.float32], as_of_us: NDArray[np.int64]) -> None:
    """Write how many sends about each topic the base got per person, as of each row's own time; the same for all people of a time."""
    plan = build.layout
    times, place = np.unique(as_of_us, return_inverse=True)
    entries = np.sort(build.engine.table("SELECT entry FROM entries").column("entry").to_numpy())
    base = np.searchsorted(entries, times, side="right")
    columns = plan.columns("supply")
    windows = sorted({plan.features[column].window_days for column in columns}, key=lambda days: days or 0)
    sent = {days: np.zeros((len(build.vocabulary.topics), len(times) + 1), dtype=np.int64) for days in windows}
    if columns:
        for batch in build.engine.batches(query.to_sql(query.sends(build.vocabulary, build.latest_us))):
            _add_sends(sent, times, *(batch.column(name).to_numpy() for name in ("topic", "occurred_us", "visible_us")))
    topics = build.vocabulary.topic_ids
    for column in columns:
        feature = plan.features[column]
        counts = np.cumsum(sent[feature.window_days][topics.index(str(feature.topic))])[:-1]
        matrix[:, column] = np.where(base > 0, counts / np.maximum(base, 1), 0.0)[place]


def _add_sends(sent: dict[int | None, NDArray[np.int64]], times: NDArray[np.int64], topic: NDArray[Any], occurred: NDArray[Any], visible: NDArray[Any]) -> None:
    """Add each send to the first time that sees it and take it off at the first time whose window no longer reaches it."""
    first = np.searchsorted(times, visible, side="left")
    for days, changes in sent.items():
        end = np.full(len(topic), len(times)) if days is None else np.searchsorted(times, occurred + days * DAY, side="right")
        seen = first < end
        width = changes.shape[1]
        flat = changes.reshape(-1)
        flat += np.bincount(topic[seen] * width + first[seen], minlength=flat.size)
        flat -= np.bincount(topic[seen] * width + end[seen], minlength=flat.size)


def _microseconds(as_of: datetime) -> int:
    if not isinstance(as_of, datetime) or as_of.tzinfo is None or as_of.utcoffset() is None:
        raise VectorsError("as_of is a datetime with a time zone, such as datetime(2026, 1, 1, tzinfo=UTC); the one given has none")
    return (as_of - _EPOCH) // timedelta(microseconds=1)


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
