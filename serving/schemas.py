"""What goes over the wire: one class per JSON object, from which the OpenAPI document is made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from features.permission.use import Use
from features.vocabulary import Language

MOST_PEOPLE = 1000
MOST_SCORES = 200
MOST_REASONS = 20
MOST_ANSWERED, MOST_EXPLAINED = 50_000, 5_000
"""Scores of one answer, people times names, and those of an answer with reasons. 1,800 of a small model took .1 s of one core and 1 MB without reasons,
1.0 s and 9 MB with twenty each."""

Person = Annotated[str, Field(min_length=1, max_length=319, description="a person's id, as `system:id`", examples=["van:123"])]
ScoreName = Annotated[
    str,
    Field(
        pattern=r"^(affinity|persuadability):[A-Za-z0-9_*-]{1,63}(:[A-Za-z0-9_*. -]{1,63})?$",
        description="`affinity:<topic>`, `persuadability:<experiment>:<arm>`, or with `*` for all of them",
        examples=["affinity:housing", "affinity:*"],
    ),
]


class ScoreRequest(BaseModel):
    """Which scores of which people, with how many reasons, in which language."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "people": ["van:123", "van:456"],
                    "scores": ["affinity:*"],
                    "use": {"purpose": "campaign_messages", "channel_class": "offline", "sponsor_type": "ngo", "jurisdiction": "be"},
                    "explain": 3,
                    "language": "en",
                }
            ]
        },
    )

    people: list[Person] = Field(min_length=1, max_length=MOST_PEOPLE, description="person ids; the answer keeps their order")
    scores: list[ScoreName] = Field(min_length=1, max_length=MOST_SCORES, description=f"names; people times scores are at most {MOST_ANSWERED:,}")
    use: Use = Field(description="what the scores are for; it is decided on, for each person, before anything is worked out")
    explain: int = Field(
        default=0,
        ge=0,
        le=MOST_REASONS,
        strict=True,
        description=f"how many reasons each score comes with; 0 for none. With reasons, at most {MOST_EXPLAINED:,} scores (people times scores) are answered",
    )
    language: Language | None = Field(default=None, description="the language of reasons and of refusals; by default the workspace's")
    individual: bool = Field(
        default=False,
        strict=True,
        description="true: people in person are asked for. Needed on behalf of a political actor online, where groups are the default (POST /v1/aggregates)",
    )


Basis = Literal["history", "segment", "new_topic"]
"""What an affinity rests on."""


@dataclass(frozen=True, slots=True)
class ModelReference:
    """Which model made a score: `digest` is the SHA-256 of its manifest, which holds the digests of its files."""

    name: str
    version: str
    digest: str


UpliftScale = Literal["uplift_pp", "uplift"]
Scale = Literal["probability", "uplift_pp", "uplift"]
"""`uplift_pp`: of an outcome that is 0 or 1, in percentage points. `uplift`: of any other, in the outcome's own units."""
UpliftUnit = Literal["percentage_points", "outcome_units"]
Unit = Literal["log_odds", "percentage_points", "outcome_units"]
"""What contributions are in, by scale in this order."""
RefusalCode = Literal["ranking_refused", "message_lowers"]


@dataclass(frozen=True, slots=True)
class Reason:
    """What one feature contributed, in the explanation's unit; `value` is the feature's value, null where it is missing.

    `text` says the feature and its value, `effect` what that does to the score: of an uplift, to the difference that contact makes.
    """

    feature: str
    value: float | None
    text: str
    contribution: float
    effect: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """`base` + the contributions of the reasons + `rest` = `margin`, exactly. Log-odds for a probability; for an uplift what it is in.

    `words` say what the parts add up to, and, where the sign was turned, that a positive number means less of the outcome.
    """

    unit: Unit
    base: float
    reasons: list[Reason]
    rest: float
    margin: float
    words: str


@dataclass(frozen=True, slots=True)
class Score:
    """One score of one person. `low` and `high` hold with probability `coverage`; without them `interval_absent` says why.

    `basis` of a probability: `history`; `segment` where the person never engaged with anything: it then rests on attributes and on what was sent; or
    `new_topic` where nobody could have answered the topic when the model was trained: it then rests on the topic's relatives, if it has a parent.
    `sign_turned` of an uplift: less of the outcome is the aim, and a positive number means less of it.
    """

    name: str
    value: float
    scale: Scale
    low: float | None
    high: float | None
    coverage: float
    interval_absent: str | None
    band: Literal["high", "medium", "low", "negative"]
    model: ModelReference
    as_of: datetime
    scored_at: datetime
    valid_until: datetime
    decision_id: str
    explanation: Explanation | None = None
    basis: Basis | None = None
    sign_turned: bool = False


@dataclass(frozen=True, slots=True)
class AverageEffect:
    """The average effect of an arm against control with its interval, the gate's verdict, and the names of its lines that `failed`.

    `scale` and `sign_turned` as of a score.
    """

    value: float
    low: float
    high: float
    coverage: float
    scale: UpliftScale
    verdict: str
    failed: list[str]
    sign_turned: bool = False


@dataclass(frozen=True, slots=True)
class NoScore:
    """Why there is no score: a code for programs, words for people. Where a law pack forbids it, the code is that of its rule."""

    name: str
    code: str
    words: str
    decision_id: str
    average: AverageEffect | None = None


@dataclass(frozen=True, slots=True)
class PackReference:
    """Which law pack decided: `digest` is the SHA-256 of its rules. `state` is `confirmed` where a named person, `confirmed_by`, confirmed this version."""

    id: str
    version: str
    digest: str
    state: Literal["unconfirmed", "confirmed"]
    confirmed_by: str | None


@dataclass(frozen=True, slots=True)
class PermissionBasis:
    """What the decisions stand on: with the same ledger number, table versions and pack, as of the same time, they are the same again.

    `own_rows`: vectors of the organisation's own rows alone are answered from, so that interactions from elsewhere keep nobody out.
    """

    use: Use
    pack: PackReference
    decided_at: datetime
    ledger: int
    table_versions: dict[str, int]
    own_rows: bool = False


@dataclass(frozen=True, slots=True)
class PersonPermission:
    """The decision on one person: the id of the rule that forbids the use, and the number of the ledger's event and the source that it stands on."""

    allowed: bool
    rule: str | None
    event: int | None
    source: str | None


@dataclass(frozen=True, slots=True)
class PersonScores:
    """One person's scores in the order asked; `code` and `words` are set, and `scores` empty, where the person may not or cannot be scored at all.

    `permission` is null where nobody of that id is known.
    """

    person: str
    decision_id: str
    scores: list[Score | NoScore]
    code: str | None = None
    words: str | None = None
    permission: PersonPermission | None = None


@dataclass(frozen=True, slots=True)
class ScoreAnswer:
    """The answer to a request; `answer_id` is its name in the audit log, `as_of` the time of the vectors, `permission` what was decided on, and how."""

    answer_id: str
    as_of: datetime
    scored_at: datetime
    permission: PermissionBasis
    results: list[PersonScores]


@dataclass(frozen=True, slots=True)
class Bands:
    """Where a score's bands begin: `high` from `high_from`, `low` below `low_below`, in the score's own scale."""

    low_below: float
    high_from: float
    rule: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference with its interval, which holds with probability `coverage`."""

    value: float
    low: float
    high: float
    coverage: float


@dataclass(frozen=True, slots=True)
class MessageEffect:
    """The average effect of a message against control; `p_value` is two-sided, after Holm's procedure over all messages of the experiment."""

    message: str
    value: float
    low: float
    high: float
    coverage: float
    p_value: float


@dataclass(frozen=True, slots=True)
class MessageChoice:
    """Which message of an experiment is `best` on average, by how much it `lead`s, and what choosing by person gains over sending it to all.

    `best` is the control where even the first of `effects`, the highest, is shown to do harm; `personal` says whether the gain `by_person` is shown.
    `scale` and `sign_turned` as of a score.
    """

    best: str
    effects: list[MessageEffect]
    lead: Difference
    by_person: Difference
    personal: bool
    scale: UpliftScale
    words: str
    sign_turned: bool = False


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """A champion: what it is, what it was trained on, how good it is; `card` is Markdown. `messages` where it is of one of several messages.

    `special_attributes` are those of special sensitivity that it reads: where there are any, it scores nobody for online targeting (rule L4).
    """

    name: str
    version: str
    digest: str
    promoted_at: str | None
    as_of: str | None
    trained: str | None
    scores: dict[str, Bands]
    metrics: dict[str, Any]
    card: str | None
    messages: MessageChoice | None = None
    special_attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RefusedModel:
    """A model that the gate refused: it scores nobody. `code` as where a score would stand; `messages` as of a champion."""

    name: str
    code: RefusalCode
    average: AverageEffect
    messages: MessageChoice | None = None


@dataclass(frozen=True, slots=True)
class ModelsAnswer:
    """The models that are loaded, and those that were refused."""

    models: list[ModelSummary]
    refused: list[RefusedModel]


@dataclass(frozen=True, slots=True)
class Health:
    """`status` with the reasons for anything that is not as it should be."""

    status: Literal["alive", "ready", "not_ready"]
    reasons: list[str]


class FieldFault(BaseModel):
    """What is wrong with one field of a request; never its value."""

    field: str
    message: str


class ProblemDocument(BaseModel):
    """An error as RFC 9457 has it, with a code of the list in docs/api.md."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldFault] | None = None


SCORE_ANSWER: TypeAdapter[ScoreAnswer] = TypeAdapter(ScoreAnswer)
MODELS_ANSWER: TypeAdapter[ModelsAnswer] = TypeAdapter(ModelsAnswer)
