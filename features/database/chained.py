"""Tables that are a chain of their own: rows are numbered (`seq`), and each one's `chain` is the link of its other columns over the row before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from sqlalchemy import Connection, Table, func, select

from features.database.chain import START, link
from features.database.schema import LEDGER, REGISTER
from features.database.store import Store

Progress = Callable[[str, float], None]
CHAINED: Mapping[str, Table] = {"ledger": LEDGER, "register": REGISTER}
"""By name, which is that of the chain's key too."""
_CHUNK = 10_000


class Tip(NamedTuple):
    """The last row: its number, 0 where there is none, and its link."""

    seq: int
    link: str


NOTHING = Tip(0, START)
"""Where there is no row."""


def tip(connection: Connection, name: str) -> Tip:
    """Return the last row of the table."""
    table = CHAINED[name]
    row = connection.execute(select(table.c.seq, table.c.chain).order_by(table.c.seq.desc()).limit(1)).one_or_none()
    return NOTHING if row is None else Tip(*row)


def link_of(connection: Connection, name: str, seq: int) -> str | None:
    """Return the link of the row of that number, None where there is none."""
    table = CHAINED[name]
    return connection.execute(select(table.c.chain).where(table.c.seq == seq)).scalar()


def count(store: Store, name: str) -> int:
    """Return how many rows there are. Raises StoreError."""
    with store.read() as connection:
        return connection.execute(select(func.count()).select_from(CHAINED[name])).scalar_one()


def first_break(store: Store, key: bytes, name: str, *, progress: Progress | None = None) -> int | None:
    """Return the number of the first row that does not fit the chain, None where all do; `key` is the chain's.

    Raises StoreError, and TypeError or ValueError for a row that holds what cannot stand in a chain.
    """
    table = CHAINED[name]
    columns = [column.name for column in table.columns if column.name not in {"seq", "chain"}]
    previous, done, total = START, 0, max(count(store, name), 1)
    with store.read() as connection:
        for row in connection.execution_options(yield_per=_CHUNK).execute(select(table).order_by(table.c.seq)):
            previous, done = link(key, previous, {column: getattr(row, column) for column in columns}), done + 1
            if previous != row.chain:
                return int(row.seq)
            if progress is not None and done % _CHUNK == 0:
                progress(f"{done:,} rows of the {name} hold", done / total)
    return None
