"""What a person is told of everything that is held of them, and what is asked for it, as it goes over the wire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from features.permission.ledger import PERSON_ID
from features.permission.retention import Reason
from features.vocabulary import Language
from serving.schemas import Person

MOST_ERASED = 100
PersonId = Annotated[Person, Field(pattern=PERSON_ID)]
"""An id that a row could have: words that are none stand in other people's lines too."""
State = Literal["held", "nothing", "erased"]
Explained = Literal["again", "present", "not"]


class AccessRequest(BaseModel):
    """Whose data are asked for, and how they shall be told."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [{"person": "van:123", "format": "html", "language": "fr"}]})

    person: Person
    format: Literal["json", "html", "pdf"] | None = Field(default=None, description="by default what the header Accept asks for, else json")
    language: Language | None = Field(default=None, description="by default the person's own where it is one of these, else the workspace's")


class ErasuresRequest(BaseModel):
    """Who is to be erased from everything."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [{"people": ["van:123"]}]})

    people: list[PersonId] = Field(min_length=1, max_length=MOST_ERASED, description="person ids; the answer keeps their order")
    raw: bool = Field(default=False, strict=True, description="take rows out of files that somebody put into the workspace too")


@dataclass(frozen=True, slots=True)
class HeldSource:
    """Where rows came from, how and when they were collected, and the hash of what people were told then. `kept_until` is null where no end was set."""

    source_id: str
    type: str | None = None
    collected_how: str | None = None
    collected_at: datetime | None = None
    notice_hash: str | None = None
    political_purpose_stated: bool | None = None
    election_id: str | None = None
    kept_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class HeldRow:
    """One row of a stored table. `source` is the id of its source; `earlier` says that a later row has taken its place and only past versions hold it.

    `kept_until` is when it ends by itself, and `kept_by` whose limit that is; both are null where it has none of its own (`HeldRetention`).
    """

    table: str
    values: dict[str, Any]
    source: str | None
    kept_until: datetime | None
    earlier: bool = False
    kept_by: Reason | None = None


@dataclass(frozen=True, slots=True)
class HeldRetention:
    """How long data are kept: the limits of rows in days, and when everything goes because nothing was heard of this person, null where no day is set.

    `heard_at`: when they were last heard of, or since when they are known; `member`: as long as they are one, nothing goes for that reason. `heard_written`:
    what is written down of it, where a purge took the row that told it.
    """

    interactions: int | None
    kinds: dict[str, int]
    source_types: dict[str, int]
    inactive_days: int
    heard_at: datetime | None
    inactive_on: datetime | None
    member: bool
    words: list[str]
    heard_written: datetime | None = None


@dataclass(frozen=True, slots=True)
class HeldFeature:
    """One number that was worked out of the rows; `text` says it in words."""

    feature: str
    family: str
    value: float | None
    text: str


@dataclass(frozen=True, slots=True)
class HeldUse:
    """One declared purpose, and whether this person's data may serve it now: else the rule that forbids it, in words, and what that stands on."""

    name: str
    use: dict[str, Any]
    pack: str
    allowed: bool
    code: str | None
    rule: str | None
    words: str | None
    event: int | None
    source: str | None


@dataclass(frozen=True, slots=True)
class HeldEvent:
    """One event of the ledger: what this person said of the use of their data, or what was recorded of it."""

    number: int
    event: str
    purpose: str
    channel: str
    at: datetime
    recorded_at: datetime
    valid_from: datetime | None
    valid_until: datetime | None
    legal_basis: str | None
    wording_hash: str | None
    wording_version: str | None
    language: str | None
    evidence: str | None
    door: str


@dataclass(frozen=True, slots=True)
class HeldAnswer:
    """One line of the log: what somebody was answered about this person. `asked_by` is the name of the key; `words` say what the code means."""

    answer_id: str
    at: datetime
    door: str
    asked_by: str | None
    use: dict[str, Any] | None
    score: str
    code: str | None
    words: str | None
    value: float | None
    low: float | None
    high: float | None
    model: str | None
    version: str | None
    digest: str | None
    as_of: datetime | None
    rule: str | None


@dataclass(frozen=True, slots=True)
class HeldReason:
    """One reason for a score: what is known, in words, what that does to the score, and by how much."""

    text: str
    effect: str
    contribution: float


@dataclass(frozen=True, slots=True)
class OtherBand:
    """What would have to be different for the score to lie in another band: the `changes` in words, and the value and band that the model then gives."""

    changes: list[str]
    instead_of: list[str]
    value: float
    band: str
    words: str


@dataclass(frozen=True, slots=True)
class HeldScore:
    """One score that was answered: `value` as of when, when it was answered, by which model.

    `explained`: `again`, from the same model and vector, which gave the same value; `present`, where that was not possible (`why`), by the model and vector
    of now, whose score is `present_value`; or `not`. `other_band` is null where no change of up to three things was found, and `other_band_words` says so.
    """

    score: str
    label: str
    value: float
    scale: str
    low: float | None
    high: float | None
    as_of: datetime | None
    answered_at: list[datetime]
    model: str | None
    version: str | None
    digest: str | None
    explained: Explained
    why: str | None
    present_value: float | None
    band: str | None
    reasons: list[HeldReason]
    about: str | None
    other_band: OtherBand | None
    other_band_words: str | None


@dataclass(frozen=True, slots=True)
class HeldNotice:
    """That a recipient has to take a row out: why and since when, and when they were told."""

    reason: str
    at: datetime
    told_at: datetime | None


@dataclass(frozen=True, slots=True)
class HandedOut:
    """One score that stood in a row of a file, with its interval; `value` is null where the log does not tell it."""

    score: str
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class HeldExport:
    """One file that held a row of this person, the named recipient who got it, and who approved that; `reference` is the row's name in it.

    The row held the person's id, the reference, `values` with their bands and models, and `as_of`, the time they are of.
    """

    export_id: str
    reference: str
    at: datetime
    recipient: str
    outside: bool
    approver: str
    use: dict[str, Any] | None
    scores: list[str]
    as_of: datetime
    values: list[HandedOut]
    notices: list[HeldNotice]


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file of the workspace that names this person; `lines` are those that do, of files whose lines are about people."""

    place: str
    path: str
    lines: list[str]


@dataclass(frozen=True, slots=True)
class CheckedPlace:
    """One place that can hold personal data: what it holds, and how it was answered from, or why not, in words."""

    place: str
    holds: str
    words: str


@dataclass(frozen=True, slots=True)
class HeldData:
    """Everything that is held of one person (GDPR, article 15). `state`: `nothing` where nothing is, `erased` where they were erased, and nothing else is said.

    `consents` is JSON-LD. `token` is the random name of the person in ledger and log. `notes` say what could not be answered from.
    `own_vector` holds those numbers of own rows alone that are not the same in `vector`; `own_vector_as_of` is null where there is no such vector.
    """

    person: str
    controller: str
    made_at: datetime
    language: Language
    state: State
    words: str
    answer_id: str | None = None
    erased_at: datetime | None = None
    known_since: datetime | None = None
    token: str | None = None
    rows: tuple[HeldRow, ...] = ()
    sources: tuple[HeldSource, ...] = ()
    retention: HeldRetention | None = None
    uses: tuple[HeldUse, ...] = ()
    vector_as_of: datetime | None = None
    vector: tuple[HeldFeature, ...] = ()
    own_vector_as_of: datetime | None = None
    own_vector: tuple[HeldFeature, ...] = ()
    events: tuple[HeldEvent, ...] = ()
    consents: dict[str, Any] | None = None
    answers: tuple[HeldAnswer, ...] = ()
    scores: tuple[HeldScore, ...] = ()
    exports: tuple[HeldExport, ...] = ()
    files: tuple[HeldFile, ...] = ()
    checked: tuple[CheckedPlace, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ErasuresAnswer:
    """The signed certificate of each person's erasure, in the order asked; `complete` where all of them are."""

    answer_id: str
    complete: bool
    certificates: list[dict[str, Any]]


HELD_DATA: TypeAdapter[HeldData] = TypeAdapter(HeldData)
ERASURES_ANSWER: TypeAdapter[ErasuresAnswer] = TypeAdapter(ErasuresAnswer)
