"""Whether ledger and register are whole: by their own chains, by the checkpoints that say where they ended, and by what other tables hold of the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from features.database import chained
from features.database.chain import chain_key
from features.database.schema import ANSWERS, EXPORT_PEOPLE, EXPORTS, LEDGER, SUBJECTS, SUPPRESSIONS
from features.database.store import Store
from features.permission.recipients import missing
from features.permission.register import Entry, Register
from serving.checkpoints import Checkpoint

_ROW = {"ledger": "event", "register": "entry"}
_ROWS = {"ledger": "events", "register": "entries"}
_JSON = ("use", "scores", "models", "tables")
"""Columns of `exports` that hold JSON."""


@dataclass(frozen=True, slots=True)
class ChainVerification:
    """Of the table of that name in `CHAINED`: how many rows hold, how many checkpoints agree, and what does not hold."""

    name: str
    rows: int = 0
    checkpoints: int = 0
    bad: str | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return self.bad is None

    def words(self) -> Iterator[str]:
        """Yield the result in a sentence; none where there is no row yet, and none was known."""
        if self.bad is not None:
            yield f"the {self.name} does not hold: {self.bad}"
        elif self.rows:
            yield f"{self.rows:,} {_ROWS[self.name]} of the {self.name} hold; {self.checkpoints:,} checkpoints agree with them"


def verify_chain(
    store: Store, secret: bytes, name: str, checkpoints: Iterable[Checkpoint] = (), *, progress: chained.Progress | None = None
) -> ChainVerification:
    """Read ledger or register from its first row to its last and say whether it is whole; `secret` is the workspace's signing key. Raises StoreError."""
    row, rows = _ROW[name], _ROWS[name]
    with store.read() as connection:  # before the ledger is read, which goes on growing meanwhile
        told = connection.execute(select(func.coalesce(func.max(ANSWERS.c.ledger), 0))).scalar_one() if name == "ledger" else 0
    try:
        broken = chained.first_break(store, chain_key(secret, name), name, progress=progress)
    except (TypeError, ValueError) as error:  # somebody may have put in what is no time or no text
        return ChainVerification(name, bad=f"an {row} holds what cannot stand in it ({type(error).__name__})")
    if broken is not None:
        return ChainVerification(name, bad=f"{row} {broken} was changed, or {rows} were put in, taken out or moved before it")
    stated = sorted((checkpoint for checkpoint in checkpoints if checkpoint.end(name).seq), key=lambda each: (each.end(name).seq, each.at))
    with store.read() as connection:
        last = chained.tip(connection, name).seq
        for each in stated:
            seq, link = each.end(name)
            there, when = chained.link_of(connection, name, seq), f"the checkpoint of {each.at:%Y-%m-%d %H:%M:%S} UTC"
            if there is None:
                return ChainVerification(name, bad=f"{row} {last + 1} is missing, with all after it: the {name} was cut off; {when} knew {row} {seq}")
            if there != link:
                return ChainVerification(name, bad=f"{row} {seq} is not the one of {when}: the {name} was written anew with the key, there or before")
    if told > last:
        return ChainVerification(name, bad=f"it ends at event {last}, and an answer of the log was given when it had reached event {told}: its end was cut off")
    bad = _unheard(store) if name == "ledger" else _unlike(store, Register(store, secret), last) or _untold(store)
    return ChainVerification(name, chained.count(store, name), len(stated), bad)


def _unheard(store: Store) -> str | None:
    """Return whom the ledger speaks of and nobody would hear: rows that lead to people can be deleted without a break in the chain, as an erasure does."""
    erasures = select(LEDGER.c.subject).where(LEDGER.c.event == "erased")
    known = LEDGER.outerjoin(SUBJECTS, SUBJECTS.c.number == LEDGER.c.subject)
    lone = select(func.min(LEDGER.c.seq)).select_from(known).where(SUBJECTS.c.number.is_(None), LEDGER.c.subject.not_in(erasures))
    with store.read() as connection:
        event = connection.execute(lone).scalar()
        erased = connection.execute(select(func.count()).select_from(erasures.distinct().subquery())).scalar_one()
        kept = connection.execute(select(func.count()).select_from(SUPPRESSIONS)).scalar_one()  # last: it only grows
    if event is not None:
        return f"event {event} is of a person whose key was deleted without an erasure: what they said is heard by nobody"
    if kept < erased:
        return f"{erased:,} people were erased, and {kept:,} suppressions are there: whose is gone could be imported again"
    return None


def _unlike(store: Store, register: Register, last: int) -> str | None:
    """Return which export is not what its entry says; those of entries after `last` may have been written down since the exports were read."""
    rows = select(func.count()).where(EXPORT_PEOPLE.c.export_id == EXPORTS.c.export_id).scalar_subquery()
    try:
        with store.read() as connection:
            there = {row.export_id: row for row in connection.execute(select(EXPORTS, rows.label("rows")))}
        for entry in register.entries("export"):
            row = there.pop(entry.body["export_id"], None)
            if row is None and entry.seq <= last:
                return f"the export of entry {entry.seq} was deleted: nobody could say to whom their data were handed out"
            if row is not None and (wrong := _changed(row, entry)):
                return f"the export of entry {entry.seq} was changed: {', '.join(wrong)}"
            if row is not None and row.rows != row.people:
                return f"entry {entry.seq} is of {row.people:,} people, and {row.rows:,} rows say who is in its export"
    except (TypeError, ValueError) as error:
        return f"an export holds what cannot stand in it ({type(error).__name__})"
    return f"{len(there):,} exports are in no entry: they were put in" if there else None


def _changed(row: Any, entry: Entry) -> list[str]:
    """Return the columns of an export that are not as in its entry."""
    body = entry.body
    said = {**body, "at": entry.at, "as_of": datetime.fromisoformat(body["as_of"]), "file_digest": body["file"]["sha256"]}
    kept = {name: json.loads(value) if name in _JSON else value for name, value in row._asdict().items() if name != "rows"}
    return [name for name, value in kept.items() if value != said[name]]


def _untold(store: Store) -> str | None:
    """Return which notices are gone: their recipients would not be told of rows that have to go."""
    with store.read() as connection:
        lost = missing(connection)
    counts = ", ".join(f"{count:,} {reason}" for reason, count in sorted(lost.items()))
    return f"the queue to recipients lacks notices of rows that have to go: {counts}" if lost else None
