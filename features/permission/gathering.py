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
from features.permission.facts import NEVER, UNKNOWN, Events, Facts, Integers, Sources
from features.tables import STATUSES

_READ = ("interactions", "people", "sources")
_ELSEWHERE = ("third_party", "public")
"""How interactions were collected that are neither from the person nor observed here."""


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
        _from_elsewhere(history, read["interactions"], people),
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
    )


def _from_elsewhere(history: History, version: int, people: pa.LargeStringArray) -> NDArray[np.bool_]:
    """Return who (n,) has interactions from elsewhere; of each part of a file the people are read only where there are such."""
    found = pa.chunked_array([], pa.large_string())
    for path in history.files("interactions", version):
        with pq.ParquetFile(path) as file:
            for part in range(file.num_row_groups):
                theirs = pc.is_in(_texts(file.read_row_group(part, ["collected_how"]).column(0)), value_set=pa.array(_ELSEWHERE, pa.large_string()))
                if pc.any(theirs).as_py():
                    there = pc.unique(_texts(file.read_row_group(part, ["person_id"]).column(0).filter(theirs)))
                    found = pa.chunked_array([*found.chunks, there], pa.large_string())
    return np.asarray(pc.is_in(people, value_set=found).to_numpy(zero_copy_only=False), dtype=np.bool_)


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
