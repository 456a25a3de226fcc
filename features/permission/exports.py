"""What was handed out: to which named recipient, and whose rows a file held. Rows are only ever added, in the transaction in which everybody was decided on.

A row of a file has a random name, its reference; the store knows whose it is by a token. After an erasure nothing leads from the token to anybody, and the
recipient can still be told which row has to go.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection, func, insert, select

from features.database.schema import EXPORT_PEOPLE, EXPORTS
from features.permission.use import Use

_CHUNK = 10_000
"""Rows of one statement."""


@dataclass(frozen=True, slots=True)
class Export:
    """One file that was handed out. `models` are name, version and digest of each; `law`, `ledger` and `tables` are what was decided from."""

    export_id: str
    at: datetime
    recipient: str
    outside: bool
    approver: str
    use: Use
    scores: Sequence[str]
    models: Sequence[Mapping[str, str]]
    law: str
    ledger: int
    tables: Mapping[str, int]
    as_of: datetime
    file_digest: str


def use_text(use: Use) -> str:
    """Return a use as it is written down: JSON, the same for equal ones."""
    return json.dumps(use.model_dump(mode="json", exclude_none=True), sort_keys=True)


def new_references(count: int) -> list[str]:
    """Return so many new names of rows: 128 random bits each, as hex; they lead to nobody, and their order says nothing."""
    drawn = secrets.token_bytes(16 * count).hex()
    return [drawn[begin : begin + 32] for begin in range(0, len(drawn), 32)]


def write(connection: Connection, export: Export, people: Mapping[str, str]) -> None:
    """Write down an export and whose rows it holds: `people` are tokens by reference. In a serial transaction."""
    head = {
        "export_id": export.export_id,
        "at": export.at,
        "recipient": export.recipient,
        "outside": export.outside,
        "approver": export.approver,
        "use": use_text(export.use),
        "scores": json.dumps(list(export.scores)),
        "models": json.dumps([dict(model) for model in export.models], sort_keys=True),
        "people": len(people),
        "law": export.law,
        "ledger": export.ledger,
        "tables": json.dumps(dict(export.tables), sort_keys=True),
        "as_of": export.as_of,
        "file_digest": export.file_digest,
    }
    connection.execute(insert(EXPORTS), head)
    statement = insert(EXPORT_PEOPLE).compile(dialect=connection.dialect)
    columns = EXPORT_PEOPLE.columns.keys()
    rows = ((reference, export.export_id, token) for reference, token in sorted(people.items()))
    while chunk := list(islice(rows, _CHUNK)):
        given = chunk if statement.positional else [dict(zip(columns, row, strict=True)) for row in chunk]
        connection.exec_driver_sql(str(statement), given)  # all others wait: made ready by SQLAlchemy, each row would take twice as long


def recipients_of(connection: Connection, token: str) -> dict[str, int]:
    """Return the named recipients that a person's rows were handed out to, with how many rows (rule L20)."""
    rows = func.count().label("rows")
    query = select(EXPORTS.c.recipient, rows).join(EXPORT_PEOPLE, EXPORT_PEOPLE.c.export_id == EXPORTS.c.export_id).where(EXPORT_PEOPLE.c.person == token)
    return {row.recipient: int(row.rows) for row in connection.execute(query.group_by(EXPORTS.c.recipient).order_by(EXPORTS.c.recipient))}
