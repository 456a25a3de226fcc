"""The audit log: what was answered to whom about whom, written and chained before the answer leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from weakref import WeakSet

from sqlalchemy import Connection, select

from features.database.schema import ANSWERS, CHAIN, DECISIONS, KEYS, LEDGER, SUBJECTS
from features.database.store import Store, StoreError
from features.permission.exports import use_text
from features.permission.register import Register
from features.permission.rules import Preconditions
from features.permission.subjects import Subjects
from features.permission.targeted import register_targeting
from features.permission.targeting import Targeting
from features.permission.use import Activity
from serving.entries import append, begun, entries_key
from serving.permission_schemas import PersonDecision
from serving.schemas import NoScore, PermissionBasis, PersonScores, Score

UNKNOWN_SCORE = "(unknown)"
"""Stands for a score's name that is none: what callers make up does not enter the log."""
ERASED_PERSON = "(erased)"
"""Stands for whoever was erased: nothing of them is written down any more."""
PERMISSION, ALLOWED = "(permission)", "allowed"
"""Stand for a score and its code where a decision was asked for, and no score."""
ACCESS = "(access)"
"""Stands for a score where somebody was told everything that is held of the person."""


class AuditError(RuntimeError):
    """The answer could not be recorded, so it must not leave."""


class LedgerMovedError(RuntimeError):
    """Somebody said something since the answer was decided on: it is not recorded, and has to be decided on again."""


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
    rule: str | None = None
    event: int | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: who asked by which door and route, when, and what came of it. `code` is None where nothing was refused.

    `basis` is what was decided before, or what a use was refused on, `activity` what it was for, and `preconditions` what the organisation had done by then.
    `ledger` is the number of the ledger's last event after the answer, where it is about what people said.
    `targeting` is what the register has to say of it, None where it targets nobody online.
    `also` names what else the rules were asked about: `special`, `lowest_first`, `outside` (`features.permission.replaying`).
    One `about_groups` has no decisions of its own: `people` are those that were counted, and it is about everybody.
    """

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
    basis: PermissionBasis | None = None
    activity: Activity = "score"
    preconditions: Preconditions | None = None
    ledger: int | None = None
    targeting: Targeting | None = None
    about_groups: bool = False
    also: Sequence[str] = ()


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
        self._subjects = Subjects(store, key)
        self._chain_key = entries_key(key)
        self._register = Register(store, key)
        self._registered: WeakSet[Targeting] = WeakSet()

    def begin(self) -> None:
        """Chain the answers of before there was a chain; does nothing the next time. Raises StoreError."""
        with self._store.read() as connection:
            if connection.execute(select(CHAIN.c.seq).limit(1)).first() or not connection.execute(select(ANSWERS.c.answer_id).limit(1)).first():
                return
        with self._store.write(serial=True) as connection:
            begun(connection, self._chain_key)

    def pseudonym(self, person: str, *, now: datetime | None = None) -> str:
        """Return the random token that a person goes by in log and ledger, made on first use; after an erasure nothing leads from it to the person."""
        return self.pseudonyms([person], now=now)[person]

    def pseudonyms(self, people: Iterable[str], *, now: datetime | None = None) -> dict[str, str]:
        """Return the tokens of people, by id; those who were erased have none and are told as such. Raises StoreError."""
        wanted = list(dict.fromkeys(people))
        with self._store.read() as connection:
            found = self._subjects.tokens(connection, wanted)
        missing = [person for person in wanted if person not in found]
        if missing:
            with self._store.write(serial=True) as connection:
                made = self._subjects.ensure(connection, missing, now or datetime.now(UTC))
            found |= {person: subject.token for person, subject in made.items()}
        return {person: found.get(person, ERASED_PERSON) for person in wanted}

    def record(self, answer: Answer, *, again: Callable[[], Answer] | None = None) -> None:
        """Write the answer, its decisions, their entry of the chain and, once, that of the register, all or nothing.

        Raises AuditError: then the answer must not be given.
        Raises LedgerMovedError where somebody it is about has said something since it was decided on: nobody can withdraw between decision and record.
        With `again`, which makes the answer anew and writes nothing, that is done there and then, while nobody else can say anything.
        """
        try:
            with self._store.write(serial=True) as connection:
                try:
                    self.enter(connection, answer)
                except LedgerMovedError:
                    if again is None:
                        raise
                    answer = again()
                    self.enter(connection, answer)
        except (StoreError, TypeError, ValueError) as error:
            raise AuditError("the answer could not be recorded in the audit log, so it is not given") from error
        if answer.targeting is not None:  # until models or the day change, which makes another: then it is looked for again
            self._registered.add(answer.targeting)

    def enter(self, connection: Connection, answer: Answer) -> None:
        """Do what `record` does in a serial transaction that goes on: what else it writes and the entry are there together or not at all."""
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
            **_decided(answer),
        }
        decisions = [_decision_row(answer, decision) for decision in answer.decisions]
        about = None if answer.about_groups else {decision.person for decision in answer.decisions}
        if answer.basis is not None and (decisions or answer.about_groups) and said_since(connection, answer.basis.ledger, about):
            raise LedgerMovedError("somebody said something meanwhile")
        last = begun(connection, self._chain_key)
        connection.execute(ANSWERS.insert(), head)
        if decisions:
            connection.execute(DECISIONS.insert(), decisions)
        append(connection, self._chain_key, last, head, decisions)
        if answer.targeting is not None and answer.targeting not in self._registered:
            register_targeting(self._register, connection, answer.targeting, now=answer.at)

    def decisions(self, results: Iterable[PersonScores], asked: Sequence[str]) -> list[Decision]:
        """Return the decisions of an answer's results; a person without scores has one per score asked, with the code."""
        listed = list(results)
        tokens = self.pseudonyms(person.person for person in listed)
        return [decision for person in listed for decision in _of(person, asked, tokens[person.person])]

    def of_permissions(self, results: Iterable[PersonDecision]) -> list[Decision]:
        """Return the decisions of an answer that has no scores, one for each person."""
        listed = list(results)
        tokens = self.pseudonyms(each.person for each in listed)
        return [_permission(each, tokens[each.person]) for each in listed]

    def requests_about(self, person: str, *, limit: int = 20) -> list[Request]:
        """Return the latest answers about a person, newest first. Raises StoreError."""
        subject = self._subjects.find(person)
        if subject is None:
            return []
        query = (
            select(DECISIONS.c.answer_id, DECISIONS.c.at, DECISIONS.c.score, ANSWERS.c.door, ANSWERS.c.key_id, KEYS.c.name)
            .join(ANSWERS, ANSWERS.c.answer_id == DECISIONS.c.answer_id)
            .outerjoin(KEYS, KEYS.c.key_id == ANSWERS.c.key_id)
            .where(DECISIONS.c.person == subject.token, DECISIONS.c.answer_id.in_(self._latest(subject.token, limit)))
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

    def _latest(self, token: str, limit: int) -> Sequence[str]:
        query = (
            select(DECISIONS.c.answer_id, DECISIONS.c.at)
            .where(DECISIONS.c.person == token)
            .group_by(DECISIONS.c.answer_id, DECISIONS.c.at)
            .order_by(DECISIONS.c.at.desc())
            .limit(limit)
        )
        with self._store.read() as connection:
            return [row.answer_id for row in connection.execute(query)]


def said_since(connection: Connection, ledger: int, tokens: AbstractSet[str] | None) -> bool:
    """Return whether the ledger holds an event after that number about one of those tokens, or of somebody who was erased and can be told from nobody.

    None stands for everybody, as of an answer about groups: a consent takes nobody out of it.
    """
    new = select(LEDGER.c.event, SUBJECTS.c.token).select_from(LEDGER.outerjoin(SUBJECTS, SUBJECTS.c.number == LEDGER.c.subject)).where(LEDGER.c.seq > ledger)
    if tokens is None:
        return connection.execute(new.where(LEDGER.c.event != "given").limit(1)).first() is not None
    return any(token is None or token in tokens for _, token in connection.execute(new))


def _of(person: PersonScores, asked: Sequence[str], pseudonym: str) -> Iterable[Decision]:
    if person.code is not None:
        made = [Decision(f"{person.decision_id}-{position}", pseudonym, name, person.code) for position, name in enumerate(asked)]
    else:
        made = [_decision(pseudonym, score) for score in person.scores]
    stood = person.permission
    return made if stood is None else [replace(each, rule=stood.rule, event=stood.event, source=stood.source) for each in made]


def _permission(each: PersonDecision, pseudonym: str) -> Decision:
    return Decision(each.decision_id, pseudonym, PERMISSION, each.code or ALLOWED, rule=each.rule, event=each.event, source=each.source)


def _decided(answer: Answer) -> dict[str, object]:
    """Return the columns of what was decided before an answer, empty where nothing was."""
    basis = answer.basis
    if basis is None:
        return {"use": None, "law": None, "ledger": answer.ledger, "tables": None, "activity": None, "preconditions": None}
    return {
        "use": use_text(basis.use),
        "law": f"{basis.pack.id} {basis.pack.version} {basis.pack.digest}",
        "ledger": basis.ledger,
        "tables": json.dumps(basis.table_versions, sort_keys=True),
        "activity": answer.activity,
        "preconditions": None if answer.preconditions is None else _stated(answer.preconditions, own_rows=basis.own_rows, also=answer.also),
    }


def _stated(preconditions: Preconditions, *, own_rows: bool, also: Sequence[str]) -> str:
    made = preconditions.risk_assessment
    said = {"dpia": preconditions.dpia, "risk_assessment": None if made is None else made.isoformat(), "own_rows": own_rows}
    return json.dumps(said | dict.fromkeys(also, True), sort_keys=True)


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
        "rule": decision.rule,
        "event": decision.event,
        "source": decision.source,
    }


def _float(value: float | None) -> float | None:
    """Return the number as it will be read back: a whole one is a float too."""
    return None if value is None else float(value)
