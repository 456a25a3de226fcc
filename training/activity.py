"""What people did and were sent over a window before some moment: shares of kinds, channels and topics, whether the vocabulary lists them or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from features import query
from features.engine import Engine
from features.history import History
from features.layout import DAY
from features.relations import Relations
from features.vocabulary import Vocabulary
from features.workspace import Workspace

NO_TOPIC = "no topic"
"""Stands for the topic of an interaction without one; ids have no space, so no topic can be called so."""
PERSON, MACHINE = "person", "machine"
"""Who made an interaction; machines' are counted in this dimension only."""
DIMENSIONS = ("kind", "channel", "topic", "made_by")
_CELL = ("kind", "channel", "topic", "is_machine")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Activity:
    """The interactions of the `days` before `until` that were known then.

    `people` is how many the base had, `interactions` how many there were (machines' left out), `last` when the last one happened; `shares` says by dimension
    which share each value had: an interaction with several topics counts once for each. `effective` is how many independent interactions they are worth,
    those of one person counting as alike: (Σ n)² / Σ n² over people who have n of them (Kish 1965).
    """

    until: str
    days: int
    people: int
    interactions: int
    effective: float
    last: str | None
    shares: Mapping[str, Mapping[str, float]]

    @property
    def pace(self) -> float:
        """Interactions per person of the base, half an interaction added: its logarithm is finite."""
        return (self.interactions + 0.5) / max(self.people, 1)

    def to_state(self) -> dict[str, Any]:
        """Return the activity as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Activity:
        """Return the activity of `to_state`."""
        return cls(**state)


def activities(workspace: Workspace, untils: Sequence[datetime], *, days: int, versions: Mapping[str, int] | None = None) -> list[Activity]:
    """Return what was done and sent in the `days` before each moment, as far as it was known then; `versions` names the tables' versions."""
    with Engine() as engine:
        relations = Relations(engine, History(workspace.tables, workspace.vocabulary), workspace.vocabulary, versions)
        return [_activity(engine, workspace.vocabulary, until, days, limited=relations.limited) for until in untils]


def _activity(engine: Engine, vocabulary: Vocabulary, until: datetime, days: int, *, limited: bool) -> Activity:
    until_us = (until - _EPOCH) // datetime.resolution
    spread = engine.run(_spread(until_us, days, limited=limited)).to_pylist()[0]
    interactions, squares = float(spread["interactions"] or 0), float(spread["squares"] or 0)
    return Activity(
        until=until.isoformat(),
        days=days,
        people=int(engine.run(_people(vocabulary, until_us, limited=limited)).column("people")[0].as_py()),
        interactions=int(interactions),
        effective=interactions**2 / squares if squares else 0.0,
        last=None if spread["last_us"] is None else (_EPOCH + int(spread["last_us"]) * datetime.resolution).isoformat(),
        shares=shares(engine.run(_cells(until_us, days, limited=limited))),
    )


def listed(vocabulary: Vocabulary) -> dict[str, frozenset[str]]:
    """Return, by dimension, the values that `audience.toml` knows."""
    return {
        "kind": frozenset(kind.id for kind in vocabulary.kinds),
        "channel": frozenset(channel.id for channel in vocabulary.channels),
        "topic": frozenset((*vocabulary.topic_ids, NO_TOPIC)),
        "made_by": frozenset((PERSON, MACHINE)),
    }


def shares(cells: pa.Table) -> dict[str, dict[str, float]]:
    """Return the shares by dimension and value, from how many interactions (`number`) there are of each kind, channel, topic and maker."""
    counts: dict[str, dict[str, int]] = {dimension: {} for dimension in DIMENSIONS}
    for cell in cells.to_pylist():
        values = [("made_by", MACHINE if cell["is_machine"] else PERSON)]
        if not cell["is_machine"]:
            topics = dict.fromkeys(part.strip() for part in (cell["topic"] or NO_TOPIC).split(";"))
            values += [("kind", cell["kind"]), ("channel", cell["channel"]), *(("topic", topic) for topic in topics)]
        for dimension, value in values:
            counts[dimension][value] = counts[dimension].get(value, 0) + int(cell["number"])
    return {dimension: {value: number / sum(found.values()) for value, number in sorted(found.items())} for dimension, found in counts.items()}


def _window(until_us: int, days: int, *, limited: bool) -> Any:
    source = query.interactions(limited=limited)
    return query.visible(source.filter(source.occurred_us >= until_us - days * DAY), until_us)


def _cells(until_us: int, days: int, *, limited: bool) -> Any:
    """Return how many interactions there are of each combination of kind, channel, text of topics and maker."""
    seen = _window(until_us, days, limited=limited)
    return seen.group_by(list(_CELL)).agg(number=seen.count())


def _spread(until_us: int, days: int, *, limited: bool) -> Any:
    """Return how many interactions people made or were sent, the sum of squares of each person's number, and when the last one happened."""
    seen = _window(until_us, days, limited=limited)
    seen = seen.filter(~seen.is_machine)
    each = seen.group_by("person_id").agg(number=seen.count(), last_us=seen.occurred_us.max())
    number = each.number.cast("float64")
    return each.aggregate(interactions=number.sum(), squares=(number * number).sum(), last_us=each.last_us.max())


def _people(vocabulary: Vocabulary, until_us: int, *, limited: bool) -> Any:
    known = query.visible_people(vocabulary, until_us, limited=limited)
    return known.aggregate(people=known.count())
