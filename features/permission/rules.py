"""The checks that rules of law packs are made of: each looks at all people at once and says whom it forbids, and on what it stood (pure).

A check has parameters of its own, which a pack sets. It does not ask whether its rule is meant for the use: that is the pack's `when`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from features.permission.facts import NEVER, UNKNOWN, Facts, Flags, Integers, Sources
from features.permission.fold import NONE, Standing, fold
from features.permission.use import Activity, ChannelClass, Use
from features.tables import STATUSES
from features.vocabulary import Frozen, Topic

Status = Literal["member", "former_member", "regular_contact", "contact"]
DAY_US = 86_400_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOT_DIRECT = ("third_party", "public")
"""Ways of collecting that are not from the person, and not what this organisation observed itself."""
SINGLE_ACTS = ("petition", "event")
"""Types of sources that make nobody a regular contact by themselves (rule L10)."""


@dataclass(frozen=True, slots=True)
class Preconditions:
    """What an organisation has to have done before: the id of its impact assessment (rule L29), and the day of its last risk assessment (rule L28)."""

    dpia: str | None = None
    risk_assessment: date | None = None


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked: for whom, for which use, as of when, and what the asker says of the answer that is wanted.

    `special`: a topic, feature or target asked for is special (see `is_special`). `needs_third_party`: the model cannot do without interactions that came from
    elsewhere. `lowest_first`: an audience takes those who take part least. `known`: the number of the last event of the ledger that is looked at.
    """

    facts: Facts
    use: Use
    at_us: int
    activity: Activity = "score"
    special: bool = False
    needs_third_party: bool = False
    lowest_first: bool = False
    preconditions: Preconditions = field(default_factory=Preconditions)
    known: int | None = None

    @cached_property
    def standing(self) -> Standing:
        """Where the people stand towards the use, by the ledger."""
        return fold(self.facts, self.use, self.at_us, known=self.known)

    @cached_property
    def came_from(self) -> tuple[Sources, NDArray[np.int32]]:
        """The k sources that are looked at, and the row of each person's own (n,): only theirs where they are fewer than all."""
        facts = self.facts
        if len(facts) >= len(facts.sources.ids):
            return facts.sources, facts.source
        used, rows = np.unique(np.append(facts.source, np.int32(UNKNOWN)), return_inverse=True)
        return _taken(facts.sources, used[1:]), (rows[:-1] - 1).astype(np.int32)

    @cached_property
    def day(self) -> date:
        """The day that is asked about, in UTC."""
        return (EPOCH + timedelta(microseconds=self.at_us)).date()


def _taken(sources: Sources, rows: NDArray[np.int32]) -> Sources:
    texts = [tuple(column[row] for row in rows) for column in (sources.ids, sources.types, sources.collected_how)]
    flags = sources.political_purpose_stated[rows], sources.supports_sponsor[rows], sources.has_notice[rows]
    return Sources(texts[0], texts[1], texts[2], *flags, sources.expires_us[rows], tuple(sources.elections[row] for row in rows))


@dataclass(frozen=True, eq=False, slots=True)
class Verdict:
    """Whom a check forbids (n,), and what that stood on: numbers of events (n,) and rows of sources (n,), None where a check never stands on such."""

    forbidden: Flags
    event: Integers | None = None
    source: NDArray[np.int32] | None = None


def is_special(topic: Topic, use: Use) -> bool:
    """Return whether the topic is special for the use: for a political actor every topic is, until a named person recorded why not (rule L5)."""
    return topic.is_special(political_actor=use.sponsor_type == "political_actor")


# What the whole use is refused for


class Nothing(Frozen):
    """No parameters."""


class Days(Frozen):
    """A number of days."""

    days: int = Field(ge=0, le=3660)


def always(_question: Question, _parameters: Nothing) -> bool:
    """Refuse every use that the rule is meant for."""
    return True


def lowest_first(question: Question, _parameters: Nothing) -> bool:
    """Refuse audiences of those who take part least."""
    return question.lowest_first


def no_dpia(question: Question, _parameters: Nothing) -> bool:
    """Refuse where no impact assessment is named."""
    return not (question.preconditions.dpia or "").strip()


def risk_assessment_stale(question: Question, parameters: Days) -> bool:
    """Refuse where the risk assessment is older than so many days, is not there, or was made after the time that is asked about."""
    made = question.preconditions.risk_assessment
    return made is None or not timedelta(0) <= question.day - made <= timedelta(days=parameters.days)


# Whom a rule forbids


class VotingAge(Frozen):
    """The age from which people vote."""

    voting_age: int = Field(ge=16, le=25)


class Types(Frozen):
    """Types of sources (`sources.type`)."""

    types: tuple[str, ...] = Field(min_length=1)


class Bought(Types):
    """Types of sources, and the channel classes that their rows never serve."""

    never_channel_classes: tuple[ChannelClass, ...] = ()


class Roll(Types):
    """Types of sources, whether one without a day of expiry counts as expired, and whether they serve the one election alone that they were issued for."""

    needs_expiry: bool = False
    one_election: bool = False


class Basis(Frozen):
    """Ties with the organisation that stand in for consent (GDPR, article 9(2)(d)); none where only consent will do."""

    statuses: tuple[Status, ...] = ()


def erased(question: Question, _parameters: Nothing) -> Verdict:
    """Forbid those who were erased."""
    event = question.standing.erasure
    return Verdict(question.facts.suppressed | (event != NONE), event)


def objected(question: Question, _parameters: Nothing) -> Verdict:
    """Forbid those whose objection stands."""
    event = question.standing.objection
    return Verdict(event != NONE, event)


def withdrawn(question: Question, _parameters: Nothing) -> Verdict:
    """Forbid those who withdrew their consent and did not give it again."""
    standing = question.standing
    return Verdict((standing.refusal != NONE) & standing.withdrawn, standing.refusal)


def refused(question: Question, _parameters: Nothing) -> Verdict:
    """Forbid those who refused consent and did not give it since."""
    standing = question.standing
    return Verdict((standing.refusal != NONE) & ~standing.withdrawn, standing.refusal)


def no_explicit_consent(question: Question, _parameters: Nothing) -> Verdict:
    """Forbid those without a live explicit consent to the use's purpose; stands on what they last said of it."""
    return Verdict(question.standing.explicit == NONE, question.standing.spoken)


def no_art9_basis(question: Question, parameters: Basis) -> Verdict:
    """Forbid those with neither explicit consent nor a tie that stands in for it; one signature or event makes no regular contact (rule L10)."""
    facts, (sources, _) = question.facts, question.came_from
    tie = np.array([status in parameters.statuses for status in STATUSES] + [False], dtype=np.bool_)[facts.status]
    single = _types(sources, SINGLE_ACTS) & ~sources.supports_sponsor
    only_once = (facts.status == STATUSES.index("regular_contact")) & _from(question, single)
    return Verdict((question.standing.explicit == NONE) & (~tie | only_once), question.standing.spoken, np.where(only_once, facts.source, np.int32(UNKNOWN)))


def under_age(question: Question, parameters: VotingAge) -> Verdict:
    """Forbid those who are known to be more than a year under voting age, whatever their birthday; unknown ages are allowed."""
    years = question.day.year - question.facts.birth_year.astype(np.int64)
    return Verdict((question.facts.birth_year > 0) & (years < parameters.voting_age - 1))


def not_own_collection(question: Question, _parameters: Nothing) -> Verdict:
    """Forbid those who came from elsewhere, and those with interactions from elsewhere where the model cannot do without them."""
    verdict = _on_source(question, _not_direct(question.came_from[0]))
    if not question.needs_third_party:
        return verdict
    return Verdict(verdict.forbidden | (question.facts.elsewhere_us <= question.at_us), source=verdict.source)


def forbidden_source(question: Question, parameters: Types) -> Verdict:
    """Forbid those who came from a source of these types."""
    return _on_source(question, _types(question.came_from[0], parameters.types))


def unknown_source(question: Question, _parameters: Nothing) -> Verdict:
    """Forbid those of the table `people` whose source is not known. Who stands in interactions alone has no source but that of each of these."""
    facts = question.facts
    return Verdict((facts.status != UNKNOWN) & (facts.source == UNKNOWN))


def source_purpose_missing(question: Question, parameters: Bought) -> Verdict:
    """Forbid those from a source of these types that did not state a political purpose in a notice, and all of them on channels that they never serve."""
    sources, _ = question.came_from
    stated = sources.political_purpose_stated & sources.has_notice
    if question.use.channel_class in parameters.never_channel_classes:
        stated = np.zeros_like(stated)
    return _on_source(question, _types(sources, parameters.types) & ~stated)


def roll_expired(question: Question, parameters: Roll) -> Verdict:
    """Forbid those from a source of these types that has expired, or was issued for another election than the use's, or for a use that names none."""
    (sources, _), wanted = question.came_from, question.use.election
    over = sources.expires_us <= question.at_us
    if parameters.needs_expiry:
        over |= sources.expires_us == NEVER
    if parameters.one_election:
        over |= np.array([wanted is None or election != wanted for election in sources.elections], dtype=np.bool_)
    return _on_source(question, _types(sources, parameters.types) & over)


def source_expired(question: Question, _parameters: Nothing) -> Verdict:
    """Forbid those whose source has expired."""
    return _on_source(question, question.came_from[0].expires_us <= question.at_us)


def not_informed(question: Question, parameters: Days) -> Verdict:
    """Forbid those who came from elsewhere, so many days ago or nobody knows when, and were not told by then."""
    facts = question.facts
    in_time = (facts.joined_us != NEVER) & (facts.joined_us > question.at_us - parameters.days * DAY_US)
    return _on_source(question, _not_direct(question.came_from[0]), unless=(facts.informed_us <= question.at_us) | in_time)


def _types(sources: Sources, types: tuple[str, ...]) -> Flags:
    """Return which of the k sources are of these types."""
    return np.array([kind in types for kind in sources.types], dtype=np.bool_)


def _not_direct(sources: Sources) -> Flags:
    """Return which of the k sources are not this organisation's own collection."""
    return np.array([how in NOT_DIRECT for how in sources.collected_how], dtype=np.bool_)


def _from(question: Question, sources: Flags) -> Flags:
    """Return who came from a source of those (k,): (n,)."""
    return np.append(sources, np.False_)[question.came_from[1]]


def _on_source(question: Question, sources: Flags, *, unless: Flags | None = None) -> Verdict:
    """Forbid those who came from a source of those (k,), but for the people of `unless` (n,); stands on their source."""
    forbidden = _from(question, sources) if unless is None else _from(question, sources) & ~unless
    return Verdict(forbidden, source=np.where(forbidden, question.facts.source, np.int32(UNKNOWN)))


Parameters = type[Frozen]
USE_CHECKS: Mapping[str, tuple[Callable[[Question, Any], bool], Parameters]] = {
    "always": (always, Nothing),
    "lowest_first": (lowest_first, Nothing),
    "no_dpia": (no_dpia, Nothing),
    "risk_assessment_stale": (risk_assessment_stale, Days),
}
"""Checks of the use as a whole: they refuse it for everybody, or not at all."""
PERSON_CHECKS: Mapping[str, tuple[Callable[[Question, Any], Verdict], Parameters]] = {
    "erased": (erased, Nothing),
    "objected": (objected, Nothing),
    "withdrawn": (withdrawn, Nothing),
    "refused": (refused, Nothing),
    "no_explicit_consent": (no_explicit_consent, Nothing),
    "no_art9_basis": (no_art9_basis, Basis),
    "under_age": (under_age, VotingAge),
    "not_own_collection": (not_own_collection, Nothing),
    "forbidden_source": (forbidden_source, Types),
    "unknown_source": (unknown_source, Nothing),
    "source_purpose_missing": (source_purpose_missing, Bought),
    "roll_expired": (roll_expired, Roll),
    "source_expired": (source_expired, Nothing),
    "not_informed": (not_informed, Days),
}
"""Checks of people."""
