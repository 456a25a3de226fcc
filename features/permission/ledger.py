"""The ledger: what people said about the use of their data, as events that are only ever appended (shaped on ISO/IEC TS 27560).

What a person's state is follows from the events as of a time (`features.permission.fold`); nothing is stored but the events. No record is no consent.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from unicodedata import category

import numpy as np
from sqlalchemy import Connection, func, insert, select

from features.database import chained
from features.database.chain import chain_key, link
from features.database.chained import Progress
from features.database.schema import LEDGER
from features.database.store import Store
from features.permission.facts import ERASED, NEVER, Events
from features.permission.recipients import queue
from features.permission.subjects import Subject, Subjects
from features.permission.use import FORMS, LEDGER_PURPOSES
from features.tables import CONSENT_EVENTS
from features.values import EARLIEST, LATEST

EXPLICIT = "gdpr_9_2_a"
"""The legal basis of explicit consent. It counts as such only with the hash of the wording that was shown: a bare opt-in flag is none."""
CODES = {**{event: code for code, event in enumerate(CONSENT_EVENTS)}, "erased": ERASED}
PERSON_ID = r"^[A-Za-z0-9_.\-]{1,63}:[^\s\x00-\x1f\x7f]{1,255}$"
"""As imports take them (`features.values.PERSON_ID`)."""
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs"})
"""What imports leave out of ids (`features.values.PERSON_ID`)."""
_FORMED = ("channel", "legal_basis", "wording_hash", "wording_version", "language")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHUNK = 10_000
_CHAINED = tuple(column.name for column in LEDGER.columns if column.name not in {"seq", "chain"})


class LedgerError(ValueError):
    """An event cannot be recorded; the message says what was wrong and what is allowed."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event: what a person did, for which purpose and channel (`any` for all), when, on which basis and in which words.

    It counts from `valid_from` (when it happened, by default) until before `valid_until` (no end, by default). `evidence` says where the proof is kept;
    it is sealed under the person's key.
    """

    person: str
    event: str
    purpose: str
    channel: str
    at: datetime
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    legal_basis: str | None = None
    wording_hash: str | None = None
    wording_version: str | None = None
    language: str | None = None
    evidence: str | None = None

    @property
    def explicit(self) -> bool:
        """Whether it is explicit consent, to words that are on record."""
        return self.event == "given" and self.legal_basis == EXPLICIT and bool(self.wording_hash)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as the ledger holds it."""

    seq: int
    event_id: str
    recorded_at: datetime
    door: str
    said: Event


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of events: `stored` in the order given, `duplicate` that were there, of people who were `erased` (left out); `last` number of the ledger."""

    stored: int
    duplicate: int
    erased: int
    last: int


class Ledger:
    """The ledger in a store; `secret` is the workspace's signing key."""

    def __init__(self, store: Store, secret: bytes) -> None:
        self.subjects = Subjects(store, secret)
        self.store = store
        self._chain, self._ids = chain_key(secret, "ledger"), chain_key(secret, "ledger/events")

    def last(self) -> int:
        """Return the number of the last event, 0 where there is none: what says if anything is new. Raises StoreError."""
        with self.store.read() as connection:
            return chained.tip(connection, "ledger").seq

    def append(self, events: Iterable[Event], *, now: datetime, door: str, progress: Progress | None = None) -> Appended:
        """Record events, all or nothing; one that is there already (same person, event, purpose, channel and time) is not recorded twice.

        What is said at `now` itself is said while it is recorded, so after all that the ledger holds, whoever's clock was ahead: it gets the time of its
        recording, which is never before that of the last event. `door` says how they came: `import`, `command`, `http`. Raises LedgerError or StoreError;
        then nothing was recorded.
        """
        stored = duplicate = erased = 0
        with self.store.write(serial=True) as connection:
            recorded = _not_before(connection, now)
            for chunk in _chunks(events):
                people = self.subjects.ensure(connection, [event.person for event in chunk], now)
                recorded = self._free(connection, [event for event in chunk if event.at == now and event.person in people], people, recorded)
                said = [replace(event, at=recorded) if event.at == now else event for event in chunk]
                for event in said:
                    check(event, recorded)
                kept = [event for event in said if event.person in people]
                fresh = self._fresh(connection, [(self._event_id(people[event.person], event), event) for event in kept])
                self._insert(connection, [_row(event_id, event, people[event.person], recorded, door) for event_id, event in fresh], recorded)
                stored, duplicate, erased = stored + len(fresh), duplicate + len(kept) - len(fresh), erased + len(chunk) - len(kept)
                if progress is not None:
                    progress(f"recording {stored + duplicate + erased:,} events", 0.0)
        return Appended(stored, duplicate, erased, self.last())

    def erase(self, connection: Connection, person: str, *, now: datetime, door: str) -> int | None:
        """Record that a person was erased, then forget who it was; return the number of the event, None where that was done before. Serial transaction."""
        subject = self.subjects.ensure(connection, [person], now).get(person)
        if subject is not None:
            recorded = _not_before(connection, now)
            said = Event(person, "erased", "any", "any", recorded)
            self._insert(connection, [_row(self._event_id(subject, said), said, subject, recorded, door)], recorded)
        self.subjects.forget(connection, person, now)
        return None if subject is None else int(connection.execute(select(func.max(LEDGER.c.seq))).scalar_one())

    def events(self, known: Events | None = None) -> Events:
        """Return the events as columns, by subject and number: all, or those after what is `known`, with its codes and further ones. Raises StoreError."""
        after, known = (0, Events.none()) if known is None else (int(known.seq.max(initial=0)), known)
        names = ("seq", "subject", "event", "purpose", "channel", "at", "valid_from", "valid_until", "recorded_at", "explicit")
        query = select(*(LEDGER.c[name] for name in names)).where(LEDGER.c.seq > after).order_by(LEDGER.c.seq)
        purposes, channels = ({name: code for code, name in enumerate(names)} for names in (known.purposes, known.channels))
        with self.store.read() as connection:
            partitions = connection.execution_options(yield_per=50_000).execute(query).partitions()
            parts = [np.array([_numbers(row, purposes, channels) for row in rows], dtype=np.int64) for rows in partitions]
        if not parts:
            return replace(Events.none(), purposes=known.purposes, channels=known.channels)
        seq, subject, event, purpose, channel, at, begins, ends, recorded, explicit = np.concatenate(parts).T
        order = np.lexsort((seq, subject))
        codes = (event.astype(np.int8)[order], purpose.astype(np.int32)[order], channel.astype(np.int32)[order])
        times = (at[order], begins[order], ends[order], recorded[order])
        return Events(seq[order], subject[order], *codes, *times, explicit[order].astype(bool), tuple(purposes), tuple(channels))

    def of_person(self, person: str) -> list[Recorded]:
        """Return everything that the ledger holds of a person, in the order it was recorded. Raises StoreError or SubjectError."""
        subject = self.subjects.find(person)
        if subject is None:
            return []
        with self.store.read() as connection:
            rows = connection.execute(select(LEDGER).where(LEDGER.c.subject == subject.number).order_by(LEDGER.c.seq)).all()
        return [_recorded(person, subject, row) for row in rows]

    def first_break(self, *, progress: Progress | None = None) -> int | None:
        """Return the number of the first event that does not fit the chain, None where all do. Raises StoreError."""
        return chained.first_break(self.store, self._chain, "ledger", progress=progress)

    def _free(self, connection: Connection, events: Sequence[Event], people: Mapping[str, Subject], recorded: datetime) -> datetime:
        """Return the first time from `recorded` on at which none of the events is in the ledger: who says again what they unsaid, says something new."""
        ids = {self._event_id(people[event.person], replace(event, at=recorded)) for event in events}
        while ids and _there(connection, ids):
            recorded += timedelta(microseconds=1)
            ids = {self._event_id(people[event.person], replace(event, at=recorded)) for event in events}
        return recorded

    def _fresh(self, connection: Connection, events: Sequence[tuple[str, Event]]) -> list[tuple[str, Event]]:
        """Return those that are neither in the ledger nor among those before them."""
        by_id = dict(reversed(events))
        known = _there(connection, by_id)
        return [(event_id, by_id.pop(event_id)) for event_id, _ in events if event_id in by_id and event_id not in known]

    def _insert(self, connection: Connection, rows: list[dict[str, object]], now: datetime) -> None:
        """Write events, and put what they mean for exports into the queue to recipients."""
        if not rows:
            return
        after, previous = chained.tip(connection, "ledger")
        for row in rows:
            previous = row["chain"] = link(self._chain, previous, {name: row[name] for name in _CHAINED})
        connection.execute(insert(LEDGER), rows)
        queue(connection, {str(row["event"]) for row in rows}, after=after, now=now)

    def _event_id(self, subject: Subject, event: Event) -> str:
        """Return the id (32 hex digits) of an event: the same for the same said again, and telling nothing without the key."""
        text = "\n".join((subject.token, event.event, event.purpose, event.channel, str(_micros(event.at))))
        return hmac.new(self._ids, text.encode(), sha256).hexdigest()[:32]


def check(event: Event, now: datetime) -> None:
    """Raise LedgerError, in words without a personal value, for an event that cannot be recorded."""
    if event.event not in CONSENT_EVENTS:
        raise LedgerError(f"event = {event.event!r} is none of {', '.join(CONSENT_EVENTS)}")
    _check_times(event, now)
    check_person(event.person)
    if event.purpose not in LEDGER_PURPOSES:
        raise LedgerError(f"purpose = {event.purpose!r} is none of {', '.join(LEDGER_PURPOSES)}")
    for name in _FORMED:
        text = getattr(event, name)
        if text is not None and not re.fullmatch(FORMS[name].pattern, text):
            raise LedgerError(f"{name} is not {FORMS[name].words}: what stands in the ledger stays there")


def check_person(person: str) -> None:
    """Raise LedgerError, without the id, for what is no id of a person."""
    if not re.fullmatch(PERSON_ID, person):
        raise LedgerError("person is no id: `system:id`, such as system = van, without spaces")
    if any(category(character) in _UNSEEN for character in person):
        raise LedgerError("person holds a character that nobody sees, as a copied id may: no row is of such a person, and nobody would be heard")


def _check_times(event: Event, now: datetime) -> None:
    for name in ("at", "valid_from", "valid_until"):
        moment = getattr(event, name)
        if moment is not None and moment.tzinfo is None:
            raise LedgerError(f"{name} has no time zone: give it in UTC")
        if moment is not None and not EARLIEST <= moment <= LATEST:  # what is no time in UTC could not be read again, and its row stays for good
            raise LedgerError(f"{name} lies outside of the years {EARLIEST:%Y} to {LATEST:%Y}")
    if event.at > now:
        raise LedgerError("at lies in the future: an event is recorded when it has happened; for what shall count later give valid_from")
    if event.valid_until is not None and event.valid_until <= (event.valid_from or event.at):
        raise LedgerError("valid_until is not after valid_from: it would never count")


def _not_before(connection: Connection, now: datetime) -> datetime:
    """Return `now`, or the time at which the last event was recorded, where that clock was ahead."""
    last = connection.execute(select(LEDGER.c.recorded_at).order_by(LEDGER.c.seq.desc()).limit(1)).scalar()
    return now if last is None else max(now, _time(last))


def _there(connection: Connection, event_ids: Iterable[str]) -> set[str]:
    """Return those of the ids that are in the ledger."""
    known: set[str] = set()
    ids = list(event_ids)
    for begin in range(0, len(ids), 500):
        known |= set(connection.execute(select(LEDGER.c.event_id).where(LEDGER.c.event_id.in_(ids[begin : begin + 500]))).scalars())
    return known


def _row(event_id: str, event: Event, subject: Subject, now: datetime, door: str) -> dict[str, object]:
    at = _micros(event.at)
    return {
        "event_id": event_id,
        "subject": subject.number,
        "event": event.event,
        "purpose": event.purpose,
        "channel": event.channel,
        "at": at,
        "valid_from": at if event.valid_from is None else max(at, _micros(event.valid_from)),
        "valid_until": None if event.valid_until is None else _micros(event.valid_until),
        "recorded_at": _micros(now),
        "legal_basis": event.legal_basis,
        "wording_hash": event.wording_hash,
        "wording_version": event.wording_version,
        "language": event.language,
        "explicit": event.explicit,
        "door": door,
        "sealed": None if event.evidence is None else subject.seal({"evidence": event.evidence}, event_id),
    }


def _recorded(person: str, subject: Subject, row: Any) -> Recorded:
    evidence = None if row.sealed is None else subject.unseal(row.sealed, row.event_id).get("evidence")
    begins = None if row.valid_from == row.at else _time(row.valid_from)
    said = Event(
        person,
        row.event,
        row.purpose,
        row.channel,
        _time(row.at),
        begins,
        None if row.valid_until is None else _time(row.valid_until),
        row.legal_basis,
        row.wording_hash,
        row.wording_version,
        row.language,
        None if evidence is None else str(evidence),
    )
    return Recorded(row.seq, row.event_id, _time(row.recorded_at), row.door, said)


def _numbers(row: Any, purposes: dict[str, int], channels: dict[str, int]) -> tuple[int, ...]:
    seq, subject, event, purpose, channel, at, begins, ends, recorded, explicit = row
    purpose, channel = purposes.setdefault(purpose, len(purposes)), channels.setdefault(channel, len(channels))
    return seq, subject, CODES[event], purpose, channel, at, begins, NEVER if ends is None else ends, recorded, explicit


def _chunks(events: Iterable[Event]) -> Iterator[list[Event]]:
    chunk: list[Event] = []
    for event in events:
        chunk.append(event)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=min(max(micros, _FIRST), _LAST))


_FIRST, _LAST = _micros(datetime.min.replace(tzinfo=UTC)), _micros(datetime.max.replace(tzinfo=UTC))
"""The ends of time. Rows of before times were checked may lie up to a day beyond them, and stay as they are: read as the ends, they still can be told."""
