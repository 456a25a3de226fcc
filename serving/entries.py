"""The entries of the audit log: entry n binds one answer with all its decisions to entry n - 1, by a keyed digest.

What an entry says is every column that is not empty, by name: a column that a later release adds leaves the links of before as they are, while a value
that is emptied, filled or changed breaks its own. No column may be renamed or take another type.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, and_, collate, or_, select

from features.database.chain import Row, canonical, chain_key, link
from features.database.chained import NOTHING, Tip
from features.database.schema import ANSWERS, CHAIN, DECISIONS

_CHUNK = 1000
"""Answers of before the chain that are read at a time."""


def entries_key(secret: bytes) -> bytes:
    """Return the key of the log's chain, from the workspace's secret."""
    return chain_key(secret, "audit")


def entry_link(key: bytes, previous: str, seq: int, answer: Row, decisions: Iterable[Row], *, late: bool) -> str:
    """Return the link (64 hex digits) of an entry: of the link before, its number, its answer and its decisions, which come in the order of their ids.

    Raises TypeError or ValueError for a value that cannot stand in a chain.
    """
    digest, count = hashlib.sha256(), 0
    for decision in decisions:
        digest.update(canonical(_said(decision)).encode() + b"\n")
        count += 1
    said = {"seq": seq, "late": late, "answer": _said(answer), "decisions": count, "digest": digest.hexdigest()}
    return link(key, previous, said)


def tip(connection: Connection) -> Tip:
    """Return the last entry there is."""
    row = connection.execute(select(CHAIN.c.seq, CHAIN.c.link).order_by(CHAIN.c.seq.desc()).limit(1)).one_or_none()
    return NOTHING if row is None else Tip(*row)


def append(connection: Connection, key: bytes, last: Tip, answer: Row, decisions: Sequence[Row], *, late: bool = False) -> Tip:
    """Write the entry of an answer that is written already, and return it; `last` is the one before, and no other writer is at work."""
    ordered = sorted(decisions, key=lambda decision: str(decision["decision_id"]))
    made = Tip(last.seq + 1, entry_link(key, last.link, last.seq + 1, answer, ordered, late=late))
    connection.execute(CHAIN.insert(), {"seq": made.seq, "answer_id": answer["answer_id"], "late": late, "link": made.link})
    return made


def begun(connection: Connection, key: bytes) -> Tip:
    """Return the last entry, before which all answers of before the chain are made entries, once, in the order of their times."""
    last = tip(connection)
    answers = _old_answers(connection, None) if last.seq == 0 else []
    while answers:
        for answer in answers:
            decisions = connection.execute(select(DECISIONS).where(DECISIONS.c.answer_id == answer["answer_id"])).mappings().all()
            last = append(connection, key, last, answer, decisions, late=True)  # type: ignore[arg-type]  # a RowMapping is a mapping by name
        answers = _old_answers(connection, answers[-1])
    return last


def by_decision(connection: Connection) -> ColumnElement[str]:
    """Return what decisions are ordered by, the same on every database."""
    return DECISIONS.c.decision_id if connection.dialect.name == "sqlite" else collate(DECISIONS.c.decision_id, "C")


def _old_answers(connection: Connection, after: Row | None) -> Sequence[Row]:
    query = select(ANSWERS).order_by(ANSWERS.c.at, ANSWERS.c.answer_id).limit(_CHUNK)
    if after is not None:
        same = and_(ANSWERS.c.at == after["at"], ANSWERS.c.answer_id > after["answer_id"])
        query = query.where(or_(ANSWERS.c.at > after["at"], same))
    return [dict(row) for row in connection.execute(query).mappings()]


def _said(row: Mapping[str, object]) -> dict[str, object]:
    """Return the columns that are not empty; SQLite keeps no sign of a zero."""
    return {name: value + 0.0 if isinstance(value, float) else value for name, value in row.items() if value is not None}
