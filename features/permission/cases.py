"""Cases of a law pack, as data: a use, one person's facts in plain keys, a time, and the answer that is expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AwareDatetime, BeforeValidator, Field

from features.permission.facts import ALWAYS, ERASED, NEVER, UNKNOWN, Events, Facts, Sources
from features.permission.rules import EPOCH, Preconditions, Question, Status
from features.permission.use import ANY, Activity, ChannelClass, Jurisdiction, Purpose, SponsorType, Use
from features.tables import CONSENT_EVENTS, STATUSES
from features.vocabulary import Frozen

ALLOWED = "allowed"
_EVENTS = (*CONSENT_EVENTS, "erased")


def _moment(given: object) -> object:
    """Return a day's first moment in UTC, and anything else as it is."""
    if isinstance(given, date) and not isinstance(given, datetime):
        return datetime(given.year, given.month, given.day, tzinfo=UTC)
    return given


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
DEFAULT_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


class CaseUse(Frozen):
    """A use, but for the jurisdiction: that is the pack's."""

    purpose: Purpose
    channel_class: ChannelClass
    sponsor_type: SponsorType


class CaseEvent(Frozen):
    """An event of the ledger; the events of a case are numbered from 1 in their order."""

    event: Literal["given", "refused", "withdrawn", "objected", "expired", "erased"]
    purpose: str = ANY
    channel: str = ANY
    at: Moment
    begins: Moment | None = Field(default=None, alias="from")
    until: Moment | None = None
    explicit: bool = False


class CaseSource(Frozen):
    """The source that the person came from."""

    type: str
    collected_how: Literal["from_person", "observed", "third_party", "public"] = "from_person"
    political_purpose_stated: bool = False
    supports_sponsor: bool = False
    has_notice: bool = False
    expires: Moment | None = None
    election: str | None = None


class CasePerson(Frozen):
    """What the tables say of the person; what is left out is not known, but for the source: who has a status came from a form of the organisation's own."""

    birth_year: int | None = None
    status: Status | None = None
    source: CaseSource | Literal["unknown"] | None = None
    informed: Moment | None = None
    joined: Moment | None = None
    third_party: bool = False
    erased: bool = False


class Case(Frozen):
    """One case: what is asked of whom, and `expected`, the code of the rule or `allowed`; `rule` is the one it is about, and `why` says it in words.

    `use` names one of the pack's `[uses]`. The impact assessment is there and the risk assessment is of 30 days before, unless `without` or
    `risk_assessment` say otherwise.
    """

    id: str = Field(min_length=1)
    rule: str
    why: str = Field(min_length=1)
    use: str
    channel: str | None = None
    election: str | None = None
    at: Moment = DEFAULT_AT
    person: CasePerson = CasePerson()
    events: tuple[CaseEvent, ...] = ()
    activity: Activity = "score"
    special: bool = False
    needs_third_party: bool = False
    lowest_first: bool = False
    risk_assessment: date | None = None
    without: tuple[Literal["dpia", "risk_assessment"], ...] = ()
    known: int | None = None
    expected: str

    def question(self, uses: Mapping[str, CaseUse], jurisdiction: Jurisdiction) -> Question:
        """Return what the case asks, with one person. Raises KeyError for a use that is not among `uses`."""
        use = Use(**uses[self.use].model_dump(), jurisdiction=jurisdiction, channel=self.channel, election=self.election)
        made = self.risk_assessment or (self.at - timedelta(days=30)).date()
        preconditions = Preconditions(
            None if "dpia" in self.without else "dpia-1",
            None if "risk_assessment" in self.without else made,
        )
        return Question(
            facts_of(self.person, self.events),
            use,
            _us(self.at),
            self.activity,
            self.special,
            self.needs_third_party,
            self.lowest_first,
            preconditions,
            self.known,
        )


def facts_of(person: CasePerson, events: Sequence[CaseEvent]) -> Facts:
    """Return the facts of one person, whose events have the numbers 1, 2, … in their order."""
    source = CaseSource(type="form") if person.source is None and person.status is not None else person.source
    known = source if isinstance(source, CaseSource) else None
    return Facts(
        subject=np.array([1 if events else UNKNOWN], dtype=np.int64),
        birth_year=np.array([person.birth_year or 0], dtype=np.int16),
        status=np.array([UNKNOWN if person.status is None else STATUSES.index(person.status)], dtype=np.int8),
        source=np.array([UNKNOWN if known is None else 0], dtype=np.int32),
        informed_us=_times([person.informed]),
        joined_us=_times([person.joined]),
        elsewhere_us=np.array([ALWAYS if person.third_party else NEVER]),
        suppressed=np.array([person.erased]),
        sources=_sources(known),
        events=_ledger(events),
        ledger=len(events),
    )


def _sources(source: CaseSource | None) -> Sources:
    if source is None:
        return Sources.none()
    return Sources(
        ("source",),
        (source.type,),
        (source.collected_how,),
        np.array([source.political_purpose_stated]),
        np.array([source.supports_sponsor]),
        np.array([source.has_notice]),
        _times([source.expires]),
        (source.election,),
    )


def _ledger(events: Sequence[CaseEvent]) -> Events:
    purposes, channels = (tuple(dict.fromkeys(getattr(event, key) for event in events)) for key in ("purpose", "channel"))
    at = _times([event.at for event in events])
    return Events(
        seq=np.arange(1, len(events) + 1),
        subject=np.ones(len(events), dtype=np.int64),
        event=np.array([_EVENTS.index(event.event) for event in events], dtype=np.int8),
        purpose=np.array([purposes.index(event.purpose) for event in events], dtype=np.int32),
        channel=np.array([channels.index(event.channel) for event in events], dtype=np.int32),
        at_us=at,
        from_us=_times([event.begins or event.at for event in events]),
        until_us=_times([event.until for event in events]),
        recorded_us=at,
        explicit=np.array([event.explicit for event in events], dtype=np.bool_),
        purposes=purposes,
        channels=channels,
    )


def _us(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def _times(moments: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([NEVER if moment is None else _us(moment) for moment in moments], dtype=np.int64)


assert _EVENTS.index("erased") == ERASED
