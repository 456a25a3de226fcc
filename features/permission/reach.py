"""How many people the uses of a campaign reached, counted from the audit log: nothing of it is kept beside the log, so nothing can differ from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, select

from features.database.schema import ANSWERS, DECISIONS, EXPORT_PEOPLE, EXPORTS
from features.database.store import Store

ERASED_TOKEN = "(erased)"  # noqa: S105 - what the log writes in the place of a token
"""Stands in the log for all who were erased before: nobody can count them."""
NOT_REFUSED = ("unknown_person", "unknown_score", "no_model", "vectors_mismatch", "ranking_refused", "message_lowers", "erased", "allowed")
"""Codes of the log that are no refusal of a known person by a rule."""


@dataclass(frozen=True, slots=True)
class Reached:
    """One use: distinct people who were scored, and those whom a rule refused, by its code; handed out to recipients; answers, first and last time.

    Whom an answer gave a score it did not refuse, though a rule kept another score of it from everybody, such as that of a special topic.
    """

    use: Mapping[str, Any]
    answers: int
    first: datetime
    last: datetime
    scored: int
    refused: Mapping[str, int] = field(default_factory=dict)
    exports: int = 0
    handed_out: int = 0


def reached(store: Store, campaign: str) -> list[Reached]:
    """Return the uses of a campaign that answers or exports were for, the first used first. Raises StoreError.

    People are counted by token, each once for a use however often they were asked about; who was erased before an answer is in no count.
    """
    with store.read() as connection:
        answered = list(_of_campaign(connection, ANSWERS.c.use, campaign))
        exported = list(_of_campaign(connection, EXPORTS.c.use, campaign))
        found = [each for said in answered if (each := _counted(connection, said, [text for text in exported if json.loads(text) == json.loads(said)]))]
        only_exported = [text for text in exported if json.loads(text) not in [json.loads(said) for said in answered]]
        found += [_handed_out(connection, text) for text in only_exported]
    return sorted(found, key=lambda each: each.first)


def campaigns(store: Store) -> list[str]:
    """Return the campaigns that the log knows online targeting for, by name. Raises StoreError."""
    with store.read() as connection:
        said = [json.loads(text) for text in connection.execute(select(ANSWERS.c.use).where(ANSWERS.c.use.is_not(None)).distinct()).scalars()]
    return sorted({use["campaign_id"] for use in said if use.get("campaign_id") and use["channel_class"] == "online_targeted"})


def _of_campaign(connection: Connection, column: ColumnElement[str], campaign: str) -> Iterator[str]:
    """Yield the uses (JSON texts) of a campaign that target online; there are few different ones, however many rows."""
    for text in connection.execute(select(column).where(column.is_not(None)).distinct().order_by(column)).scalars():
        use = json.loads(text)
        if use.get("campaign_id") == campaign and use.get("channel_class") == "online_targeted":
            yield text


def _counted(connection: Connection, use: str, exported: list[str]) -> Reached | None:
    theirs = select(ANSWERS.c.answer_id).where(ANSWERS.c.use == use, ANSWERS.c.status == 200)
    head = connection.execute(select(func.count(), func.min(ANSWERS.c.at), func.max(ANSWERS.c.at)).where(ANSWERS.c.use == use, ANSWERS.c.status == 200)).one()
    if not head[0]:
        return None
    people = func.count(DECISIONS.c.person.distinct())
    among = DECISIONS.c.answer_id.in_(theirs), DECISIONS.c.person != ERASED_TOKEN
    given = select(DECISIONS.c.answer_id, DECISIONS.c.person).where(*among, DECISIONS.c.value.is_not(None)).distinct().subquery()
    beside = DECISIONS.outerjoin(given, and_(given.c.answer_id == DECISIONS.c.answer_id, given.c.person == DECISIONS.c.person))
    nothing = select(DECISIONS.c.code, people).select_from(beside).where(*among, DECISIONS.c.code.is_not(None), given.c.person.is_(None))
    by_code = nothing.group_by(DECISIONS.c.code).order_by(DECISIONS.c.code)
    refused = {code: number for code, number in connection.execute(by_code) if code not in NOT_REFUSED}
    scored = connection.execute(select(people).where(*among, DECISIONS.c.value.is_not(None))).scalar_one()
    exports, handed_out, *_ = _exports(connection, exported)
    return Reached(json.loads(use), head[0], head[1], head[2], scored, refused, exports, handed_out)


def _handed_out(connection: Connection, use: str) -> Reached:
    """Return a use that there are exports for, and no answers."""
    exports, people, first, last = _exports(connection, [use])
    return Reached(json.loads(use), 0, first, last, 0, {}, exports, people)


def _exports(connection: Connection, uses: list[str]) -> tuple[Any, ...]:
    """Return how many exports there are for uses, how many different people were in them, when the first was and the last."""
    meant = EXPORTS.c.use.in_(uses)
    head = connection.execute(select(func.count(), func.min(EXPORTS.c.at), func.max(EXPORTS.c.at)).where(meant)).one()
    joined = EXPORT_PEOPLE.join(EXPORTS, EXPORTS.c.export_id == EXPORT_PEOPLE.c.export_id)
    people = connection.execute(select(func.count(EXPORT_PEOPLE.c.person.distinct())).select_from(joined).where(meant)).scalar_one()
    return head[0], people, head[1], head[2]
