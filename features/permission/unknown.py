"""How many of those named are in no table: a mistyped id is recorded like any other (who objects may come with a later import), and nobody is heard."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.database.store import StoreError
from features.history import History, HistoryError
from features.permission.ledger import Ledger
from features.tables import STORED

_ID = "person_id"
_TABLES = sorted((name for name, table in STORED.items() if any(column.name == _ID for column in table.columns)), key=lambda name: name != "people")
"""Those that tell of people; `people` first, where most are found."""


def unknown(history: History, ledger: Ledger, people: Iterable[str]) -> int | None:
    """Return how many of the people (each counted once) no table holds now, without those who were erased; None where that cannot be read now.

    Of a few people little is read: tables are sorted by person, and what a row group begins and ends with stands in its file.
    """
    try:
        missing = in_no_table(history, people)
        with ledger.store.read() as connection:
            return len(missing - ledger.subjects.suppressed(connection, missing))
    except (HistoryError, StoreError, OSError, pa.ArrowException):
        return None


def in_no_table(history: History, people: Iterable[str]) -> set[str]:
    """Return those of the people whom no table holds now. Raises HistoryError, OSError and ArrowException where tables cannot be read."""
    missing = set(people)
    for path in (path for table in _TABLES if missing for path in history.files(table)):
        missing.difference_update(_found(path, sorted(missing)))
    return missing


def _found(path: str, wanted: Sequence[str]) -> Iterator[str]:
    """Yield those of the ids, which are rising, that a file holds."""
    with pq.ParquetFile(path) as file:
        place = file.schema_arrow.get_field_index(_ID)
        for group in range(file.num_row_groups):
            near = _between(wanted, file.metadata.row_group(group).column(place).statistics)
            if near:
                column = file.read_row_group(group, [_ID]).column(0)
                yield from column.filter(pc.is_in(column, value_set=pa.array(near, column.type))).unique().to_pylist()


def _between(wanted: Sequence[str], bounds: pq.Statistics | None) -> Sequence[str]:
    """Return those of the rising ids that lie within bounds; all where there are none. Python's order of texts is that of their UTF-8, as in the file."""
    if bounds is None or not bounds.has_min_max:
        return wanted
    return wanted[bisect_left(wanted, bounds.min) : bisect_right(wanted, bounds.max)]


__all__ = ["in_no_table", "unknown"]
