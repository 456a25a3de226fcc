"""Consents that come in as files: checked rows of the table `consents` to events of the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import pyarrow as pa

from features.history import Stored
from features.permission.ledger import Event, Ledger


def append_batches(ledger: Ledger, batches: Iterable[pa.RecordBatch], *, now: datetime) -> Stored:
    """Record the rows in one transaction; those of people who were erased are left out, and count as duplicates. Raises LedgerError or StoreError."""
    found = ledger.append(_events(batches), now=now, door="import")
    return Stored(found.stored, found.duplicate + found.erased, 0, found.last)


def _events(batches: Iterable[pa.RecordBatch]) -> Iterator[Event]:
    for batch in batches:
        for row in batch.to_pylist():
            row["person"] = row.pop("person_id")
            yield Event(**row)
