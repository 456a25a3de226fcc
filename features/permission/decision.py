"""Permission before prediction: of each person the first rule that forbids a use, or that it is allowed, and the facts that this stood on (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from features.permission.cases import Case
from features.permission.facts import UNKNOWN, Facts, Flags, Integers
from features.permission.fold import NONE
from features.permission.packs import Pack, Rule
from features.permission.rules import EPOCH, Preconditions, Question, Verdict
from features.permission.use import JURISDICTIONS, Activity, Use
from features.vocabulary import Language

ALLOWED = -1
"""The place of no rule: nothing forbids."""


@dataclass(frozen=True, eq=False, slots=True)
class Decisions:
    """What was decided of n people, in the order of the facts, and all that is needed to decide it again.

    Attributes
    ----------
    rules
        Those in force that day, in the pack's order.
    rule
        (n,) int16, the place in `rules` of the first that forbids; ALLOWED where none does.
    event, source
        (n,) what that stood on: the number of an event in the ledger, and a row of the sources; -1 where it stood on none. Of those who are allowed: the
        live consent, explicit before any other, and the source they came from.
    refused_use
        The rule that refuses the use as a whole, for everybody, if one does.
    ledger, versions
        The number of the last event looked at, and the versions of the tables.
    explicit
        (n,) who is allowed and has given explicit consent to the use's purpose, which lives.
    own_rows
        Whether what is asked for does without interactions that came from elsewhere.

    """

    use: Use
    activity: Activity
    at: datetime
    pack: str
    version: str
    digest: str
    rules: tuple[Rule, ...]
    rule: NDArray[np.int16]
    event: Integers
    source: NDArray[np.int32]
    refused_use: Rule | None
    ledger: int
    versions: Mapping[str, int]
    explicit: Flags
    own_rows: bool = False

    def __len__(self) -> int:
        return len(self.rule)

    @property
    def allowed(self) -> Flags:
        """(n,) who may be scored."""
        return self.rule == ALLOWED

    def forbidding(self, row: int) -> Rule | None:
        """Return the rule that forbids the person in that row, or None where nothing does."""
        place = int(self.rule[row])
        return None if place == ALLOWED else self.rules[place]

    def code(self, row: int) -> str | None:
        """Return the code of the rule that forbids, or None."""
        rule = self.forbidding(row)
        return None if rule is None else rule.code

    def status(self, row: int) -> int:
        """Return the HTTP status of the rule that forbids; 200 where nothing does."""
        rule = self.forbidding(row)
        return 200 if rule is None else rule.status

    def reason(self, row: int, language: Language = "en") -> str | None:
        """Return the rule that forbids in plain words, or None."""
        rule = self.forbidding(row)
        return None if rule is None else rule.text.words(language)

    def counts(self) -> dict[str, int]:
        """Return how many people each code forbids, in the pack's order, after those who are `allowed`."""
        found = np.bincount(self.rule.astype(np.int64) + 1, minlength=len(self.rules) + 1)
        counts = {"allowed": int(found[0])}
        for rule, number in zip(self.rules, found[1:], strict=True):
            if number:
                counts[rule.code] = counts.get(rule.code, 0) + int(number)
        return counts


@dataclass(frozen=True, slots=True)
class Told:
    """What one rule says of one person: whether it is meant for the use, whether it forbids, and on what that stands (-1: on none)."""

    rule: Rule
    applies: bool
    forbids: bool
    event: int = NONE
    source: int = UNKNOWN


def decide(
    facts: Facts,
    use: Use,
    at: datetime,
    *,
    pack: Pack,
    activity: Activity = "score",
    special: bool = False,
    needs_third_party: bool = False,
    lowest_first: bool = False,
    preconditions: Preconditions | None = None,
    known: int | None = None,
) -> Decisions:
    """Return for each of the n people of `facts` the first rule of `pack` that forbids `use` at the time `at`, or that none does.

    `special`, `needs_third_party` and `lowest_first` are what `rules.Question` says; `preconditions` are none unless given. Events of the ledger that are
    numbered above `known` are not looked at, which with facts of the same versions makes a past decision again. Raises ValueError for a time
    without a zone, and for a pack that is not that of the use's jurisdiction.
    """
    question = Question(facts, use, microseconds(at), activity, special, needs_third_party, lowest_first, preconditions or Preconditions(), known)
    return answer(question, pack)


def answer(question: Question, pack: Pack) -> Decisions:
    """Return the decisions that `decide` describes. Raises ValueError for a pack that is not that of the use's jurisdiction."""
    rules = _rules(question, pack)
    n = len(question.facts)
    first, event, source = np.full(n, ALLOWED, dtype=np.int16), np.full(n, NONE, dtype=np.int64), np.full(n, UNKNOWN, dtype=np.int32)
    refused_use = None
    for place, rule in enumerate(rules):
        if not _applies(rule, question):
            continue
        verdict = rule.verdict(question)
        if isinstance(verdict, Verdict):
            _note(place, verdict, first, event, source)
            if (first != ALLOWED).all():
                break
        elif verdict:
            refused_use = rule
            first[:] = place
            break
    explicit = _note_allowed(question, first, event, source)
    ledger = question.facts.ledger if question.known is None else min(question.known, question.facts.ledger)
    at = EPOCH + timedelta(microseconds=question.at_us)
    versions = question.facts.versions
    said = (question.use, question.activity, at, pack.id, pack.version, pack.digest)
    return Decisions(*said, rules, first, event, source, refused_use, ledger, versions, explicit, not question.needs_third_party)


def every_rule(question: Question, pack: Pack) -> tuple[Told, ...]:
    """Return what every rule in force says of the one person that is asked about, in the pack's order. Raises ValueError for more people, or another's pack."""
    if len(question.facts) != 1:
        raise ValueError(f"every rule is told of one person at a time, given {len(question.facts)}")
    return tuple(_told(rule, question) for rule in _rules(question, pack))


def case_question(case: Case, pack: Pack) -> Question:
    """Return what a case of the pack asks. Raises ValueError for a pack that is of no jurisdiction."""
    for jurisdiction in JURISDICTIONS:
        if jurisdiction == pack.id:
            return case.question(pack.uses, jurisdiction)
    raise ValueError(f"pack {pack.id} is of no jurisdiction; its cases are asked of those that extend it")


def _told(rule: Rule, question: Question) -> Told:
    if not _applies(rule, question):
        return Told(rule, applies=False, forbids=False)
    verdict = rule.verdict(question)
    if not isinstance(verdict, Verdict):
        return Told(rule, applies=True, forbids=verdict)
    forbids = bool(verdict.forbidden[0])
    event = NONE if verdict.event is None or not forbids else int(verdict.event[0])
    source = UNKNOWN if verdict.source is None or not forbids else int(verdict.source[0])
    return Told(rule, applies=True, forbids=forbids, event=event, source=source)


def _rules(question: Question, pack: Pack) -> tuple[Rule, ...]:
    if pack.id != question.use.jurisdiction:
        raise ValueError(f"the use is under {question.use.jurisdiction!r}, and the pack given is {pack.id!r}")
    return pack.in_force(question.day)


def _applies(rule: Rule, question: Question) -> bool:
    return rule.applies(question.use, question.activity, question.special)


def _note(place: int, verdict: Verdict, first: NDArray[np.int16], event: Integers, source: NDArray[np.int32]) -> None:
    """Write down whom the rule is the first to forbid."""
    rows = np.flatnonzero(verdict.forbidden & (first == ALLOWED))
    first[rows] = place
    if verdict.event is not None:
        event[rows] = verdict.event[rows]
    if verdict.source is not None:
        source[rows] = verdict.source[rows]


def _note_allowed(question: Question, first: NDArray[np.int16], event: Integers, source: NDArray[np.int32]) -> Flags:
    """Write down what those stand on who are allowed; return which of them (n,) stand on explicit consent."""
    rows, stands = np.flatnonzero(first == ALLOWED), np.zeros(len(first), dtype=np.bool_)
    if len(rows):
        explicit, consent = question.standing.explicit[rows], question.standing.consent[rows]
        event[rows] = np.where(explicit != NONE, explicit, consent)
        source[rows] = question.facts.source[rows]
        stands[rows] = explicit != NONE
    return stands


def microseconds(at: datetime) -> int:
    """Return a time as microseconds UTC. Raises ValueError for one without a zone."""
    if at.tzinfo is None or at.utcoffset() is None:
        raise ValueError("at is a datetime with a time zone, such as datetime(2026, 1, 1, tzinfo=UTC); the one given has none")
    return (at - EPOCH) // timedelta(microseconds=1)
