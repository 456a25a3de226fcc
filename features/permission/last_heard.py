"""When people were last heard of: what they said in the ledger, and what a purge writes down of whoever stays though the row that told it goes (rule L25).

That is one time a person, beside a keyed hash of the id; it goes with the person, at an erasure or a purge.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, bindparam, delete, func, insert, select

from features.database.schema import LAST_HEARD, LEDGER, SUBJECTS
from features.database.store import Store
from features.permission.subjects import Subjects
from features.tables import CONSENT_EVENTS

SAID = tuple(event for event in CONSENT_EVENTS if event != "expired")
"""Events of the ledger that a person's own word made."""
_TIME = pa.timestamp("us", tz="UTC")
_CHUNK = 10_000
"""People of one transaction: others who write wait no longer than that takes."""


def spoke(connection: Connection, since_us: int, *, after: int = 0) -> tuple[pa.LargeStringArray, int]:
    """Return the keyed hashes of who said something later than `since_us`, by the ledger's events after that number; and the number of its last event."""
    last = int(connection.execute(select(func.coalesce(func.max(LEDGER.c.seq), 0))).scalar_one())
    events = select(LEDGER.c.subject).where(LEDGER.c.seq > after, LEDGER.c.seq <= last, LEDGER.c.at > since_us, LEDGER.c.event.in_(SAID))
    people = connection.execute(select(SUBJECTS.c.person).where(SUBJECTS.c.number.in_(events))).scalars().all()
    return pa.array(people, pa.large_string()), last


def written_down(store: Store, subjects: Subjects, people: pa.LargeStringArray) -> pa.Table:
    """Return person_id and heard_at of those of the people of whom it was written down. Raises StoreError."""
    with store.read() as connection:
        rows = connection.execute(select(LAST_HEARD)).all()
    people = people if rows else people[:0]
    place = pc.index_in(subjects.hashes_of(people), value_set=pa.array([row.person for row in rows], pa.large_string()))
    times = pa.array([row.heard_at for row in rows], _TIME).take(place.drop_null())
    return pa.table({"person_id": people.filter(place.is_valid()).cast(pa.string()), "heard_at": times})


def write_down(store: Store, subjects: Subjects, heard: Mapping[str, datetime]) -> None:
    """Write down when these people were last heard of, in place of what stands there; who was erased is left out. Raises StoreError."""
    ids = sorted(heard)
    for begin in range(0, len(ids), _CHUNK):
        with store.write(serial=True) as connection:
            part = ids[begin : begin + _CHUNK]
            erased = subjects.suppressed(connection, part)
            rows = [{"person": subjects.hash_of(person), "heard_at": heard[person]} for person in part if person not in erased]
            _forget(connection, [str(row["person"]) for row in rows])
            connection.execute(insert(LAST_HEARD), rows) if rows else None


def leave_only(store: Store, subjects: Subjects, people: pa.LargeStringArray) -> None:
    """Delete what is written down of everybody but these people. Raises StoreError."""
    with store.write(serial=True) as connection:
        there = pa.array(connection.execute(select(LAST_HEARD.c.person)).scalars().all(), pa.large_string())
        _forget(connection, there.filter(pc.invert(pc.is_in(there, value_set=subjects.hashes_of(people)))).to_pylist())


def _forget(connection: Connection, hashes: list[str]) -> None:
    if hashes:
        connection.execute(delete(LAST_HEARD).where(LAST_HEARD.c.person == bindparam("of")), [{"of": person} for person in hashes])
