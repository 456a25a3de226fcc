"""From the stores to what the rules look at: the tables `people`, `sources` and `interactions`. The I/O of `facts`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.history import History
from features.permission.facts import ALWAYS, NEVER, UNKNOWN, Events, Facts, Integers, Sources
from features.permission.rules import NOT_DIRECT
from features.permission.source_types import is_own
from features.tables import STATUSES

_READ = ("interactions", "people", "sources")


def gather(history: History, people: pa.LargeStringArray, *, versions: Mapping[str, int] | None = None) -> Facts:
    """Return the facts that the tables hold of people, in their order; `versions` names the tables' versions, the present ones by default.

    Who is who in the ledger, and its events, are added by `features.permission.live`. Raises HistoryError.
    """
    present = history.versions()
    read = {table: int((versions or present).get(table, present[table])) for table in _READ}
    sources = _sources(history, read["sources"])
    known = history.read("people", read["people"], ["person_id", "birth_year", "status", "source_id", "joined_at", "informed_at"])
    row = _places(people, known.column("person_id"))
    source = _places(known.column("source_id"), pa.array(sources.ids, pa.string()))
    return Facts(
        np.full(len(people), UNKNOWN, dtype=np.int64),
        _taken(np.nan_to_num(known.column("birth_year").to_numpy(zero_copy_only=False), nan=0.0), row, 0).astype(np.int16),
        _taken(_places(known.column("status"), pa.array(STATUSES, pa.string())), row, UNKNOWN).astype(np.int8),
        _taken(source, row, UNKNOWN).astype(np.int32),
        _taken(_micros(known.column("informed_at")), row, NEVER),
        _taken(_micros(known.column("joined_at")), row, NEVER),
        _elsewhere(history, read["interactions"], people, sources),
        np.zeros(len(people), dtype=np.bool_),
        sources,
        Events.none(),
        read,
    )


def _sources(history: History, version: int) -> Sources:
    table = history.read("sources", version)
    flags = {
        name: pc.fill_null(table.column(name), pa.scalar(value=False)).to_numpy(zero_copy_only=False)
        for name in ("political_purpose_stated", "supports_sponsor")
    }
    return Sources(
        tuple(table.column("source_id").to_pylist()),
        tuple(table.column("type").to_pylist()),
        tuple(table.column("collected_how").to_pylist()),
        flags["political_purpose_stated"].astype(bool),
        flags["supports_sponsor"].astype(bool),
        pc.is_valid(table.column("notice_hash")).to_numpy(zero_copy_only=False).astype(bool),
        _micros(table.column("expires_at")),
        tuple(table.column("election_id").to_pylist()),
    )


def _elsewhere(history: History, version: int, people: pa.LargeStringArray, sources: Sources) -> Integers:
    """Return from when on (n,) people have interactions from elsewhere, NEVER where they have none.

    Those are from elsewhere whose row was collected from a third party or the public web, whose source is not own (`source_types.is_own`)
    or is not known; and from its expiry on, those of a source that expires.
    """
    ids = pa.array(sources.ids, pa.large_string())
    not_own = [not is_own(kind, how) for kind, how in zip(sources.types, sources.collected_how, strict=True)]
    begins = np.append(np.where(not_own, ALWAYS, sources.expires_us), ALWAYS)  # the last one stands for a source that is not known
    found = [(pa.array([], pa.large_string()), np.zeros(0, dtype=np.int64))]
    for path in history.files("interactions", version):
        with pq.ParquetFile(path, read_dictionary=["collected_how", "source_id"]) as file:
            for part in range(file.num_row_groups):
                how, source = (_coded(column) for column in file.read_row_group(part, ["collected_how", "source_id"]).select(["collected_how", "source_id"]))
                from_there = np.isin(np.array([*how[1].to_pylist(), None], dtype=object), NOT_DIRECT)
                since = np.where(from_there[how[0]], ALWAYS, begins[np.append(_places(source[1], ids), UNKNOWN)[source[0]]])
                if (since != NEVER).any():
                    theirs = pc.filter(_texts(file.read_row_group(part, ["person_id"]).column(0)), pa.array(since != NEVER))
                    found.append(_earliest(theirs, since[since != NEVER]))
    who, since = _earliest(pa.chunked_array([who for who, _ in found]).combine_chunks(), np.concatenate([since for _, since in found]))
    return _taken(since, _places(people, who), NEVER)


def _coded(column: Any) -> tuple[Integers, pa.Array]:
    """Return the code (n,) of each value, -1 where there is none, and the values by code."""
    one = column.combine_chunks()
    one = pa.concat_arrays(one.chunks) if isinstance(one, pa.ChunkedArray) else one
    return np.asarray(pc.fill_null(one.indices, UNKNOWN).to_numpy(zero_copy_only=False), dtype=np.int64), one.dictionary


def _earliest(people: pa.LargeStringArray, since: Integers) -> tuple[pa.LargeStringArray, Integers]:
    """Return each of the people (n,) once, with the earliest of their times."""
    table = pa.table({"person": people, "since": since}).group_by("person").aggregate([("since", "min")]).combine_chunks()
    return _texts(table.column("person")), table.column("since_min").to_numpy().astype(np.int64)


def _places(wanted: Any, known: Any) -> Integers:
    """Return the place (n,) of each text in `known`, UNKNOWN where it is not there."""
    found = pc.index_in(_texts(wanted), value_set=_texts(known))
    return np.asarray(pc.fill_null(found, UNKNOWN).to_numpy(zero_copy_only=False), dtype=np.int64)


def _texts(values: Any) -> pa.LargeStringArray:
    cast = pc.cast(values, pa.large_string())
    return cast.combine_chunks() if isinstance(cast, pa.ChunkedArray) else cast


def _taken(values: NDArray[Any], rows: Integers, otherwise: int) -> NDArray[Any]:
    """Return the values in those rows, and `otherwise` where the row is UNKNOWN."""
    if len(values) == 0:
        return np.full(len(rows), otherwise)
    return np.where(rows >= 0, values[rows], otherwise)


def _micros(times: Any) -> Integers:
    return np.asarray(pc.fill_null(pc.cast(times, pa.int64()), NEVER).to_numpy(zero_copy_only=False), dtype=np.int64)
