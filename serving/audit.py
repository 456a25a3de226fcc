"""The audit log: what was answered to whom about whom, written and chained before the answer leaves."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select

from features.database.schema import ANSWERS, CHAIN, DECISIONS, KEYS
from features.database.store import Store, StoreError
from serving.entries import append, begun, entries_key
from serving.permission_schemas import PersonDecision
from serving.schemas import NoScore, PersonScores, Score

_PSEUDONYM_CONTEXT = b"audience-scoring/audit/person"
"""Keeps the key of the pseudonyms apart from other uses of the workspace's signing key."""

UNKNOWN_SCORE = "(unknown)"
"""Stands for a score's name that is none: what callers make up does not enter the log."""
PERMISSION, ALLOWED = "(permission)", "allowed"
"""Stand for a score and its code where a decision was asked for, and no score."""


class AuditError(RuntimeError):
    """The answer could not be recorded, so it must not leave."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One score of one person, or the code of its absence."""

    decision_id: str
    person: str
    score: str
    code: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    model: str | None = None
    version: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: who asked by which door and route, when, and what came of it. `code` is None where nothing was refused."""

    answer_id: str
    at: datetime
    door: str
    route: str
    status: int
    key_id: str | None = None
    code: str | None = None
    asked: Sequence[str] = ()
    as_of: datetime | None = None
    people: int = 0
    decisions: Sequence[Decision] = field(default=())


@dataclass(frozen=True, slots=True)
class Request:
    """One earlier answer about a person, as the console shows it."""

    at: datetime
    door: str
    key_id: str | None
    key_name: str | None
    scores: tuple[str, ...]
    answer_id: str


class AuditLog:
    """The log in a store; `key` makes the pseudonyms, so that the log alone names nobody, and the chain, so that nobody changes it unseen."""

    def __init__(self, store: Store, key: bytes) -> None:
        self._store = store
        self._key = hmac.digest(key, _PSEUDONYM_CONTEXT, "sha256")
        self._chain_key = entries_key(key)

    def begin(self) -> None:
        """Chain the answers of before there was a chain; does nothing the next time. Raises StoreError."""
        with self._store.read() as connection:
            if connection.execute(select(CHAIN.c.seq).limit(1)).first() or not connection.execute(select(ANSWERS.c.answer_id).limit(1)).first():
                return
        with self._store.write(serial=True) as connection:
            begun(connection, self._chain_key)

    def pseudonym(self, person: str) -> str:
        """Return HMAC-SHA256 (hex) of a person id: the same person always has the same one, in this workspace only."""
        return hmac.new(self._key, person.encode(), hashlib.sha256).hexdigest()

    def record(self, answer: Answer) -> None:
        """Write the answer, its decisions and their entry of the chain, all or nothing. Raises AuditError: then the answer must not be given."""
        head = {
            "answer_id": answer.answer_id,
            "at": answer.at,
            "door": answer.door,
            "route": answer.route,
            "key_id": answer.key_id,
            "status": answer.status,
            "code": answer.code,
            "people": answer.people,
            "asked": json.dumps(list(answer.asked)),
            "as_of": answer.as_of,
        }
        decisions = [_decision_row(answer, decision) for decision in answer.decisions]
        try:
            with self._store.write(serial=True) as connection:
                last = begun(connection, self._chain_key)
                connection.execute(ANSWERS.insert(), head)
                if decisions:
                    connection.execute(DECISIONS.insert(), decisions)
                append(connection, self._chain_key, last, head, decisions)
        except (StoreError, TypeError, ValueError) as error:
            raise AuditError("the answer could not be recorded in the audit log, so it is not given") from error

    def decisions(self, results: Iterable[PersonScores], asked: Sequence[str]) -> list[Decision]:
        """Return the decisions of an answer's results; a person without scores has one per score asked, with the code."""
        return [decision for person in results for decision in self._of(person, asked)]

    def of_permissions(self, results: Iterable[PersonDecision]) -> list[Decision]:
        """Return the decisions of an answer that has no scores, one for each person."""
        return [Decision(each.decision_id, self.pseudonym(each.person), PERMISSION, each.code or ALLOWED) for each in results]

    def requests_about(self, person: str, *, limit: int = 20) -> list[Request]:
        """Return the latest answers about a person, newest first. Raises StoreError."""
        query = (
            select(DECISIONS.c.answer_id, DECISIONS.c.at, DECISIONS.c.score, ANSWERS.c.door, ANSWERS.c.key_id, KEYS.c.name)
            .join(ANSWERS, ANSWERS.c.answer_id == DECISIONS.c.answer_id)
            .outerjoin(KEYS, KEYS.c.key_id == ANSWERS.c.key_id)
            .where(DECISIONS.c.person == self.pseudonym(person), DECISIONS.c.answer_id.in_(self._latest(person, limit)))
            .order_by(DECISIONS.c.at.desc(), DECISIONS.c.answer_id, DECISIONS.c.score)
        )
        requests: dict[str, Request] = {}
        with self._store.read() as connection:
            for row in connection.execute(query):
                earlier = requests.get(row.answer_id)
                before = earlier.scores if earlier else ()
                scores = before if row.score in before else (*before, row.score)
                requests[row.answer_id] = Request(row.at, row.door, row.key_id, row.name, scores, row.answer_id)
        return list(requests.values())

    def _latest(self, person: str, limit: int) -> Sequence[str]:
        query = (
            select(DECISIONS.c.answer_id, DECISIONS.c.at)
            .where(DECISIONS.c.person == self.pseudonym(person))
            .group_by(DECISIONS.c.answer_id, DECISIONS.c.at)
            .order_by(DECISIONS.c.at.desc())
            .limit(limit)
        )
        with self._store.read() as connection:
            return [row.answer_id for row in connection.execute(query)]

    def _of(self, person: PersonScores, asked: Sequence[str]) -> Iterable[Decision]:
        pseudonym = self.pseudonym(person.person)
        if person.code is not None:
            return [Decision(f"{person.decision_id}-{position}", pseudonym, name, person.code) for position, name in enumerate(asked)]
        return [_decision(pseudonym, score) for score in person.scores]


def _decision(pseudonym: str, score: Score | NoScore) -> Decision:
    if isinstance(score, NoScore):
        name = UNKNOWN_SCORE if score.code == "unknown_score" else score.name
        return Decision(score.decision_id, pseudonym, name, score.code)
    return Decision(
        score.decision_id,
        pseudonym,
        score.name,
        value=score.value,
        low=score.low,
        high=score.high,
        model=score.model.name,
        version=score.model.version,
        digest=score.model.digest,
    )


def _decision_row(answer: Answer, decision: Decision) -> dict[str, object]:
    return {
        "decision_id": decision.decision_id,
        "answer_id": answer.answer_id,
        "person": decision.person,
        "at": answer.at,
        "score": decision.score,
        "code": decision.code,
        "value": _float(decision.value),
        "low": _float(decision.low),
        "high": _float(decision.high),
        "model": decision.model,
        "version": decision.version,
        "digest": decision.digest,
        "as_of": answer.as_of,
    }


def _float(value: float | None) -> float | None:
    """Return the number as it will be read back: a whole one is a float too."""
    return None if value is None else float(value)
