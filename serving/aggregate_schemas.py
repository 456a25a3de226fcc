"""What goes over the wire about groups: the same questions as about people, and never a row of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator
from pydantic.config import JsonDict

from features.permission.use import Use
from features.vocabulary import Language
from serving.schemas import MOST_SCORES, AverageEffect, ModelReference, PermissionBasis, Scale, ScoreName

_USE: JsonDict = {"purpose": "political_ads", "channel_class": "aggregate", "sponsor_type": "political_actor", "jurisdiction": "be"}
GroupBy = Annotated[
    str,
    Field(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="`area`, `band` (of each score), or a category of audience.toml that is ordinary", examples=["area"]),
]


class AggregateRequest(BaseModel):
    """Which scores, told of which groups."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"scores": ["affinity:housing"], "by": ["area", "band"], "use": _USE}]}
    )

    scores: list[ScoreName] = Field(min_length=1, max_length=MOST_SCORES)
    use: Use = Field(description="what the numbers are for, with channel_class `aggregate`; it is decided on who may be counted")
    by: list[GroupBy] = Field(default=[], max_length=2, description="what people are grouped by; without it, all together")
    language: Language | None = Field(default=None, description="the language of refusals; by default the workspace's")

    @field_validator("by")
    @classmethod
    def _each_once(cls, given: list[str]) -> list[str]:
        if len(set(given)) != len(given):
            raise ValueError("what people are grouped by stands there once")
        return given


@dataclass(frozen=True, slots=True)
class GroupCell:
    """What is told of one group. A `hidden` one is told nothing of: it is too small, or would tell of one that is.

    `people`: to the nearest five. `expected`: of them, how many will engage; or, of an uplift, how many more will act where all of them are contacted (of
    any other outcome: how much more of it). `mean`: `expected` per person, in the scale of the score.
    """

    group: dict[str, str]
    hidden: bool = False
    people: int | None = None
    expected: float | None = None
    mean: float | None = None


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """What is told of one score: of all people together, of the groups of each dimension, and of each cell where there are two dimensions.

    `step` is what `expected` is told in whole steps of. Where there is nothing to tell, `code` and `words` say why, with the `average` effect if there is one.
    """

    score: str
    code: str | None = None
    words: str | None = None
    average: AverageEffect | None = None
    scale: Scale | None = None
    sign_turned: bool = False
    model: ModelReference | None = None
    step: float | None = None
    total: GroupCell | None = None
    groups: list[GroupCell] = field(default_factory=list)
    cells: list[GroupCell] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class AggregateAnswer:
    """The answer about groups: `answer_id` is its name in the audit log, `k` the smallest group told of, `people` how many were counted (to five)."""

    answer_id: str
    as_of: datetime
    scored_at: datetime
    valid_until: datetime
    permission: PermissionBasis
    k: int
    people: int
    by: list[str]
    tables: list[ScoreTable]


AGGREGATE_ANSWER: TypeAdapter[AggregateAnswer] = TypeAdapter(AggregateAnswer)
