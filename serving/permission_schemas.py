"""What goes over the wire about permission alone: decisions without a number, and what people said of the use of their data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, model_validator
from pydantic.config import JsonDict

from features.permission.ledger import Event
from features.permission.use import ANY, Activity, LedgerPurpose, Name, Use
from features.vocabulary import Language
from serving.schemas import MOST_PEOPLE, PermissionBasis, Person

MOST_EVENTS = 1000
Short = Annotated[Name, Field(max_length=64)]

_USE: JsonDict = {"purpose": "campaign_messages", "channel_class": "offline", "sponsor_type": "ngo", "jurisdiction": "be"}


class PermissionRequest(BaseModel):
    """Whom is asked about, and for which use."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [{"people": ["van:123", "van:456"], "use": _USE, "language": "en"}]})

    people: list[Person] = Field(min_length=1, max_length=MOST_PEOPLE, description="person ids; the answer keeps their order")
    use: Use = Field(description="what is decided on, for each person")
    activity: Activity = Field(
        default="score", description="what is done with the people: some rules are about audiences, exports, training or the activation of a model alone"
    )
    language: Language | None = Field(default=None, description="the language of the words; by default the workspace's")


@dataclass(frozen=True, slots=True)
class PersonDecision:
    """The decision on one person, and what it stands on. `code`, `words` and `rule` are null where the use is allowed.

    `event` and `source` are what the rule stands on, and, where the use is allowed, the live consent and the source that the person came from.
    """

    person: str
    decision_id: str
    allowed: bool
    code: str | None
    words: str | None
    rule: str | None
    event: int | None
    source: str | None


@dataclass(frozen=True, slots=True)
class PermissionAnswer:
    """The decisions in the order asked; `answer_id` is the answer's name in the audit log."""

    answer_id: str
    activity: Activity
    permission: PermissionBasis
    results: list[PersonDecision]


class ConsentEvent(BaseModel):
    """One thing that a person said: of which purpose and channel, when, and, of a consent, in which words and on which basis."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    person: Person
    event: Literal["given", "refused", "withdrawn", "objected", "expired"]
    purpose: LedgerPurpose = Field(description="`any` for all; a consent is given to one purpose")
    channel: Short = Field(default=ANY, description="a channel of audience.toml; `any` for all")
    at: AwareDatetime | None = Field(default=None, description="when it was said; the moment of the request by default")
    legal_basis: Short | None = Field(default=None, description="`gdpr_9_2_a` is explicit consent, if there is a wording_hash too")
    wording_hash: Annotated[Name, Field(max_length=128)] | None = Field(default=None, description="hash of the wording that was shown")
    wording_version: Short | None = None
    language: Annotated[Name, Field(max_length=16)] | None = Field(default=None, description="the language of the wording")
    valid_from: AwareDatetime | None = Field(default=None, description="when it begins to count; `at` by default")
    valid_until: AwareDatetime | None = Field(default=None, description="when a consent ends by itself; never by default")
    evidence: Annotated[str, Field(min_length=1, max_length=1000)] | None = Field(
        default=None, description="where the proof is kept; sealed with the person's key"
    )

    @model_validator(mode="after")
    def _consent_is_specific(self) -> ConsentEvent:
        if self.event == "given" and self.purpose == ANY:
            raise ValueError("a consent is given to one purpose: name it (GDPR, article 4(11))")
        return self

    def recorded(self, now: datetime) -> Event:
        """Return the event as the ledger takes it."""
        said = self.model_dump()
        return Event(**(said | {"at": self.at or now}))


class ConsentsRequest(BaseModel):
    """What people said, to be put into the ledger: all of it or nothing."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"events": [{"person": "van:123", "event": "withdrawn", "purpose": "campaign_messages"}]}]},
    )

    events: list[ConsentEvent] = Field(min_length=1, max_length=MOST_EVENTS)


class ObjectionRequest(BaseModel):
    """One person's objection: to everything on every channel, unless it says less. No reason is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [{"person": "van:123"}]})

    person: Person
    purpose: LedgerPurpose = "any"
    channel: Short = Field(default=ANY, description="a channel of audience.toml; `any` for all")


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """What became of the events: `stored`, there before (`duplicates`), of people who were `erased` (left out). `ledger` is the number of its last event.

    `unknown` is how many of the other people no table holds, as of a mistyped id; null where the tables cannot be read now.
    """

    answer_id: str
    stored: int
    duplicates: int
    erased: int
    unknown: int | None
    ledger: int


PERMISSION_ANSWER: TypeAdapter[PermissionAnswer] = TypeAdapter(PermissionAnswer)
RECORDED_ANSWER: TypeAdapter[RecordedAnswer] = TypeAdapter(RecordedAnswer)
