"""Consents that come in as files: checked rows of the table `consents` to events of the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import pyarrow as pa

from features.history import Stored
from features.permission.ledger import Event, Ledger

_ROWS = 2_000
"""Rows of one transaction: others who write to the database wait for it, above all the log of what is answered."""


def append_batches(ledger: Ledger, batches: Iterable[pa.RecordBatch], *, now: datetime) -> Stored:
    """Record the rows, some at a time; interrupted, the same import again goes on, since nothing is recorded twice.

    Rows of people who were erased meanwhile are left out, and count as duplicates. Raises LedgerError or StoreError.
    """
    stored = duplicate = 0
    last = ledger.last()
    for batch in batches:
        for begin in range(0, batch.num_rows, _ROWS):
            done = ledger.append([_event(row) for row in batch.slice(begin, _ROWS).to_pylist()], now=now, door="import")
            stored, duplicate, last = stored + done.stored, duplicate + done.duplicate + done.erased, done.last
    return Stored(stored, duplicate, 0, last)


def _event(row: dict[str, object]) -> Event:
    row["person"] = row.pop("person_id")
    return Event(**row)  # type: ignore[arg-type]
