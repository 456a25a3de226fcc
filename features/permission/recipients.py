"""The queue to recipients (GDPR, article 19): an objection, withdrawal, refusal, erasure or purge names the rows of exports that have to go.

Notices are put into the queue in the transaction of the ledger's events, or before a purge deletes, and stay there until somebody says that the recipient was
told. A recipient is told of the `reference`, the random name of the row in the file, and never of an id.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, exists, func, insert, literal, or_, select, update

from features.database.schema import EXPORT_PEOPLE, EXPORTS, LEDGER, NOTICES, SUBJECTS, UtcTime
from features.database.store import Store
from features.permission.fold import heard, heard_of_objections
from features.permission.signing import signed
from features.permission.use import ANY, Use

FORMAT = "audience-scoring letter to a recipient 1"
TO_DO = {
    "erased": "Delete this row and every copy of it, and tell those whom you gave it to.",
    "objected": "The person objects: use this row no more from now on, and delete it.",
    "withdrawn": "The person withdrew their consent: use this row no more from now on, and delete it.",
    "refused": "The person refuses this use: use this row no more from now on, and delete it.",
    "purged": "The time for which this person's data may be kept is over: delete this row and every copy of it, and tell those whom you gave it to.",
}
"""What a recipient is asked to do, by the reason: an event of the ledger, or `purged`."""
_CHUNK = 500
"""How many people one query names: databases limit the parameters of a statement."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One row of an export that has to go: who has it, since when, and why."""

    notice_id: int
    reference: str
    reason: str
    at: datetime
    recipient: str
    export_id: str
    handed_out_at: datetime
    file_digest: str


def queue(connection: Connection, events: Iterable[str], *, after: int, now: datetime) -> int:
    """Put what the ledger's events after that number mean for exports into the queue; return how many notices. In the transaction of those events.

    `events` are the kinds among them: where none has to be told of, or nothing was ever handed out, nothing is done. An erasure is told of every row of the
    person; anything else of rows that were handed out for a use in which it is heard (`features.permission.fold`), also where the person has agreed
    again since: for that they are in the next file.
    """
    if TO_DO.keys().isdisjoint(events):
        return 0
    uses = connection.execute(select(EXPORTS.c.use).distinct()).scalars().all()
    return sum(_queue(connection, use, after, now) for use in uses)


def _queue(connection: Connection, use: str, after: int, now: datetime) -> int:
    spoken = select(SUBJECTS.c.token, LEDGER.c.event).join(SUBJECTS, SUBJECTS.c.number == LEDGER.c.subject)
    theirs = spoken.where(LEDGER.c.seq > after, _counts(Use(**json.loads(use)))).distinct().subquery("theirs")
    found = (
        select(EXPORT_PEOPLE.c.reference, theirs.c.event, literal(now, UtcTime()))
        .select_from(theirs)
        .join(EXPORT_PEOPLE, EXPORT_PEOPLE.c.person == theirs.c.token)
        .join(EXPORTS, EXPORTS.c.export_id == EXPORT_PEOPLE.c.export_id)
        .where(EXPORTS.c.use == use, ~_noted(theirs.c.event))
    )
    statement = insert(NOTICES).from_select(["reference", "reason", "at"], found)
    return int(connection.execute(statement.execution_options(preserve_rowcount=True)).rowcount)


def missing(connection: Connection) -> Counter[str]:
    """Return by reason how many notices are not there that `queue` put into the queue; those of a purge follow from nothing that is stored.

    Who is in an export was known when it was written down, so whoever is no more was erased since.
    """
    erased = select(func.count()).select_from(EXPORT_PEOPLE).where(EXPORT_PEOPLE.c.person.not_in(select(SUBJECTS.c.token)), ~_noted(literal("erased")))
    found = Counter(erased=connection.execute(erased).scalar_one())
    for use in connection.execute(select(EXPORTS.c.use).distinct()).scalars().all():
        joined = EXPORTS.join(EXPORT_PEOPLE, EXPORT_PEOPLE.c.export_id == EXPORTS.c.export_id).join(SUBJECTS, SUBJECTS.c.token == EXPORT_PEOPLE.c.person)
        spoke = joined.join(LEDGER, and_(LEDGER.c.subject == SUBJECTS.c.number, LEDGER.c.seq > EXPORTS.c.ledger))
        query = select(LEDGER.c.event, func.count(EXPORT_PEOPLE.c.reference.distinct()).label("rows")).select_from(spoke).group_by(LEDGER.c.event)
        rows = connection.execute(query.where(EXPORTS.c.use == use, _counts(Use(**json.loads(use))), ~_noted(LEDGER.c.event)))
        found.update({row.event: row.rows for row in rows})
    return +found


def queue_purged(connection: Connection, tokens: Sequence[str], *, now: datetime) -> Counter[str]:
    """Put every row of an export that held one of these people, by token, into the queue: nothing is held of them any more. In a serial transaction.

    Returns the rows by recipient as `handed_out` counts them: all that wait, however often it is asked for.
    """
    rows = _handed_out(connection, tokens)
    fresh = [{"reference": row.reference, "reason": "purged", "at": now} for row in rows if row.notice_id is None]
    if fresh:
        connection.execute(insert(NOTICES), fresh)
    return Counter(row.recipient for row in rows)


def handed_out(connection: Connection, tokens: Sequence[str]) -> Counter[str]:
    """Return how many rows of exports held these people, by token, and by the recipient who was not told yet that a purge took them."""
    return Counter(row.recipient for row in _handed_out(connection, tokens))


def _handed_out(connection: Connection, tokens: Sequence[str]) -> list[Any]:
    told = and_(NOTICES.c.reference == EXPORT_PEOPLE.c.reference, NOTICES.c.reason == "purged")
    joined = EXPORT_PEOPLE.join(EXPORTS, EXPORTS.c.export_id == EXPORT_PEOPLE.c.export_id).outerjoin(NOTICES, told)
    query = select(EXPORT_PEOPLE.c.reference, EXPORTS.c.recipient, NOTICES.c.notice_id).select_from(joined).where(NOTICES.c.told_at.is_(None))
    parts = (tokens[begin : begin + _CHUNK] for begin in range(0, len(tokens), _CHUNK))
    return [row for part in parts for row in connection.execute(query.where(EXPORT_PEOPLE.c.person.in_(part)))]


def _noted(reason: ColumnElement[str]) -> ColumnElement[bool]:
    """Return whether a row of an export is in the queue for that reason."""
    return exists().where(NOTICES.c.reference == EXPORT_PEOPLE.c.reference, NOTICES.c.reason == reason)


def _counts(use: Use) -> ColumnElement[bool]:
    """Return which of the ledger's events are heard in a use."""
    near = LEDGER.c.channel.in_([ANY] if use.channel is None else [ANY, use.channel])
    objected = and_(LEDGER.c.event == "objected", LEDGER.c.purpose.in_(sorted(heard_of_objections(use))), near)
    ended = and_(LEDGER.c.event.in_(["withdrawn", "refused"]), LEDGER.c.purpose.in_(sorted(heard(use))), near)
    return or_(LEDGER.c.event == "erased", objected, ended)


def waiting(store: Store) -> list[Notice]:
    """Return the notices whose recipients were not told yet, by recipient and export, the oldest first. Raises StoreError."""
    told_of = (NOTICES.c.notice_id, NOTICES.c.reference, NOTICES.c.reason, NOTICES.c.at)
    handed_out = (EXPORTS.c.recipient, EXPORTS.c.export_id, EXPORTS.c.at, EXPORTS.c.file_digest)
    joined = NOTICES.join(EXPORT_PEOPLE, EXPORT_PEOPLE.c.reference == NOTICES.c.reference).join(EXPORTS, EXPORTS.c.export_id == EXPORT_PEOPLE.c.export_id)
    query = select(*told_of, *handed_out).select_from(joined).where(NOTICES.c.told_at.is_(None))
    with store.read() as connection:
        return [Notice(*row) for row in connection.execute(query.order_by(EXPORTS.c.recipient, EXPORTS.c.at, NOTICES.c.notice_id))]


def counted(notices: Sequence[Notice]) -> list[dict[str, object]]:
    """Return how many notices wait for each recipient and export, with a count by reason."""
    found: dict[tuple[str, str], list[Notice]] = {}
    for notice in notices:
        found.setdefault((notice.recipient, notice.export_id), []).append(notice)
    lines: list[dict[str, object]] = []
    for (recipient, export_id), theirs in found.items():
        reasons = Counter(notice.reason for notice in theirs)
        oldest = min(notice.at for notice in theirs)
        lines.append(
            {"recipient": recipient, "export": export_id, "handed out": f"{theirs[0].handed_out_at:%Y-%m-%d}", "since": f"{oldest:%Y-%m-%d}"}
            | {reason: reasons[reason] for reason in TO_DO}
        )
    return lines


def letters(notices: Sequence[Notice], *, workspace: str, secret: bytes, now: datetime) -> dict[str, dict[str, Any]]:
    """Return the signed letter to each recipient, JSON-able: which rows of which files have to go, by their references, and what is asked for."""
    made = {}
    for recipient in dict.fromkeys(notice.recipient for notice in notices):
        exports: dict[str, dict[str, Any]] = {}
        for notice in notices:
            if notice.recipient == recipient:
                empty = {"export": notice.export_id, "handed_out_at": notice.handed_out_at.isoformat(), "file_sha256": notice.file_digest, "rows": []}
                row = {"reference": notice.reference, "reason": notice.reason, "since": notice.at.isoformat()}
                exports.setdefault(notice.export_id, empty)["rows"].append(row)
        head = {"format": FORMAT, "from": workspace, "to": recipient, "made_at": now.isoformat()}
        made[recipient] = signed(head | {"what_to_do": TO_DO, "exports": list(exports.values())}, secret)
    return made


def rows_of(letter: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return what a letter tells of, as pairs of reference and reason."""
    return {(str(row["reference"]), str(row["reason"])) for export in letter["exports"] for row in export["rows"]}


def tell(store: Store, notices: Sequence[Notice], *, by: str, now: datetime) -> int:
    """Write down that the recipients of these notices were told, by whom; return of how many that was not written down before. Raises StoreError."""
    statement = update(NOTICES).where(NOTICES.c.notice_id == bindparam("notice"), NOTICES.c.told_at.is_(None)).values(told_at=now, told_by=by)
    with store.write() as connection:
        return sum(connection.execute(statement, {"notice": notice.notice_id}).rowcount for notice in notices)
