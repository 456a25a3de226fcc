"""How a person's vector becomes one row per topic, and how what a pooled column contributes goes back to the vector's features.

A pooled row holds the topic and its parent as categories, the topic's own columns (`…|topic=housing|…` read through the template
`…|topic=own-topic|…`), the columns without a topic, a few columns of every topic and an embedding (the whole history in short), and what the person
did with the topic's relatives, and a linear score of history and attributes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.columns import ColumnsError
from models.embedding import TopicEmbedding
from models.explanation import TOPIC
from models.linear import NO_SCORE, LinearScore
from models.relatives import TopicRelatives

ABSENT = -1
"""Stands in `own` for a topic that has no column of that template (its value is missing), and in `families` for one without a family."""
FAMILY = "topic_family"
LINEAR = "linear_score"
NO_TOPIC = frozenset({"any", "any-topic"})
"""Values of the field `topic` that name no single topic: such columns are the same for every topic."""
OWN = "topic=own-topic"
"""Stands for the row's own topic in a template; ids have no hyphen, so no topic can be called so."""
_SAFE = re.compile(r"[A-Za-z0-9_|=.\-]+")


def topic_of(name: str) -> str | None:
    """Return the topic a column belongs to, from its field `topic=…`; None when it belongs to none."""
    for field in name.split("|"):
        if field.startswith("topic="):
            topic = field.removeprefix("topic=")
            return None if topic in NO_TOPIC else topic
    return None


def template_of(name: str) -> str:
    """Return the name with `topic=own-topic` in the place of its topic."""
    return "|".join(OWN if field.startswith("topic=") else field for field in name.split("|"))


@dataclass(frozen=True)
class Layout:
    """Which column of the vector stands where in a pooled row.

    `own` (n_topics, n_templates) holds column indices or ABSENT, `general` and `history` hold column indices. `families` (n_topics,) number
    each topic's parent, ABSENT where it has none, and are empty where no two topics share one. `named` (n_topics,) says whether a topic's name is
    told: one that nobody could have answered is served as a topic of no name, and has no linear score. The order of a pooled row is topic, own, general,
    history, embedding, relatives, linear score, family; `names` are the pooled columns' names for LightGBM.
    """

    columns: tuple[str, ...]
    topics: tuple[str, ...]
    own: NDArray[np.int64]
    general: NDArray[np.int64]
    history: NDArray[np.int64]
    embedding: TopicEmbedding
    relatives: TopicRelatives
    families: NDArray[np.int64]
    named: NDArray[np.bool_]
    names: tuple[str, ...]
    linear: LinearScore = NO_SCORE

    @classmethod
    def of(
        cls,
        columns: Sequence[str],
        topics: Sequence[str],
        history: Sequence[str],
        embedding: TopicEmbedding | None = None,
        relatives: TopicRelatives | None = None,
        *,
        families: Sequence[str | None] = (),
        named: Sequence[bool] | None = None,
    ) -> Layout:
        """Return the layout of these columns for these topics; `history` lists the templates that go in for every topic, `families` their parents."""
        columns, topics = tuple(columns), tuple(topics)
        if TOPIC in columns:
            raise ColumnsError(f"a column may not be called {TOPIC!r}: the pooled model uses that name for the topic itself. Hint: rename the column")
        owners = [topic_of(name) for name in columns]
        templates = list(dict.fromkeys(template_of(name) for name, owner in zip(columns, owners, strict=True) if owner in topics))
        place = {template: number for number, template in enumerate(templates)}
        own = np.full((len(topics), len(templates)), ABSENT, dtype=np.int64)
        for index, (name, owner) in enumerate(zip(columns, owners, strict=True)):
            if owner in topics:
                own[topics.index(owner), place[template_of(name)]] = index
        general = np.array([index for index, owner in enumerate(owners) if owner is None], dtype=np.int64)
        chosen = [index for index, owner in enumerate(owners) if owner is not None and template_of(columns[index]) in history]
        embedding = embedding or TopicEmbedding.from_state({"sources": [], "components": []}, len(columns))
        relatives, kin = relatives or TopicRelatives.none(), _families(families)
        made = [f"embedding_{number + 1}" for number in range(len(embedding))] + list(relatives.names) + ([FAMILY] if len(kin) else [])
        names = _names([TOPIC, *templates, *(columns[index] for index in [*general, *chosen]), *made])
        told = np.ones(len(topics), dtype=bool) if named is None else np.array(named, dtype=bool)
        return cls(columns, topics, own, general, np.array(chosen, dtype=np.int64), embedding, relatives, kin, told, names)

    @property
    def width(self) -> int:
        """Number of pooled columns."""
        return len(self.names)

    @property
    def plain(self) -> int:
        """Number of pooled columns that are the topic or columns of the vector; those after them are made."""
        return 1 + self.own.shape[1] + len(self.general) + len(self.history)

    @property
    def categorical(self) -> list[int]:
        """Which pooled columns are categories: the topic, and its family where there is one."""
        return [0, self.width - 1] if len(self.families) else [0]

    def with_linear(self, linear: LinearScore) -> Layout:
        """Return this layout with that linear score in the place of its own, if it has one."""
        kin = len(self.names) - (len(self.families) > 0)
        names = [*self.names[: kin - bool(self.linear)], *([LINEAR] if linear else []), *self.names[kin:]]
        return replace(self, linear=linear, names=tuple(names))

    @property
    def linear_sources(self) -> list[int]:
        """Which columns a linear score is made of: the whole history in short, and the columns without a topic."""
        return [*self.history.tolist(), *self.general.tolist()]

    @property
    def linear_place(self) -> int:
        """Where the linear score stands in a pooled row that has one."""
        return self.width - 1 - (len(self.families) > 0)

    def linear_rows(self, score: NDArray[np.float32], topic: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return pooled rows (n, width) of these linear scores (n,) and topics (n,) in which all else is 0: trees never see a constant."""
        pooled = np.zeros((len(score), self.width), dtype=np.float32)
        named = self.named[topic]
        pooled[:, 0] = np.where(named, topic, np.nan)
        pooled[:, self.linear_place] = np.where(named, score, np.nan)
        return pooled

    def rows(self, matrix: NDArray[np.float32], topic: NDArray[np.int64] | int, *, linear: NDArray[np.float32] | float | None = None) -> NDArray[np.float32]:
        """Return the pooled rows (n, width) float32 of `matrix` (n, F), each for its topic's number (n,), or all for one.

        `linear` is the rows' linear score (n,) where it is known already, or the number that stands for it in all of them.
        """
        numbers = np.broadcast_to(np.asarray(topic, dtype=np.int64), (len(matrix),))
        pooled = np.empty((len(matrix), self.width), dtype=np.float32)
        pooled[:, 0] = np.where(self.named[numbers], numbers, np.nan)
        first, second, third = 1 + self.own.shape[1], 1 + self.own.shape[1] + len(self.general), self.plain
        index = self.own[numbers]
        pooled[:, 1:first] = np.take_along_axis(matrix, np.maximum(index, 0), axis=1) if len(self.columns) else 0
        pooled[:, 1:first][index == ABSENT] = np.nan
        pooled[:, first:second] = matrix[:, self.general]
        pooled[:, second:third] = matrix[:, self.history]
        fourth = third + len(self.embedding)
        if len(self.embedding):
            pooled[:, third:fourth] = self.embedding.transform(matrix)
        if self.relatives.names:
            pooled[:, fourth : fourth + len(self.relatives.names)] = self.relatives.transform(matrix, numbers)
        if self.linear:
            score = self.linear.transform(matrix, numbers) if linear is None else linear
            pooled[:, self.linear_place] = np.where(self.named[numbers], score, np.nan)
        if len(self.families):
            family = self.families[numbers]
            pooled[:, -1] = np.where(family == ABSENT, np.nan, family)
        return pooled

    def fold(self, contributions: NDArray[np.float64], topic: int, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what pooled columns contribute (n, width) as what the vector's columns do: (n, F + 1), the topic itself last.

        What a feature contributes as the topic's own, as part of the whole history, through the embedding of `matrix` (n, F), as a relative and
        through the linear score is summed. What a template that the topic does not have contributes (its value is missing because of the topic) counts as the
        topic's, as do its family, what embedding and relatives contribute for people without history, and what no source of the linear score accounts for.
        """
        last = len(self.columns)
        own = np.where(self.own[topic] == ABSENT, last, self.own[topic])
        target = np.concatenate([[last], own, self.general, self.history])
        folded = np.zeros((last + 1, len(contributions)))
        np.add.at(folded, target, contributions[:, : self.plain].T)
        end = self.plain + len(self.embedding)
        if len(self.embedding):
            shares, left = self.embedding.shared(matrix, contributions[:, self.plain : end])
            np.add.at(folded, self.embedding.sources, shares.T)
            folded[last] += left
        if self.relatives.names:
            shares, left = self.relatives.shared(matrix, contributions[:, end : end + len(self.relatives.names)], topic)
            np.add.at(folded, self.relatives.sources, shares.T)
            folded[last] += left
        if self.linear:
            shares, left = self.linear.shared(matrix, contributions[:, self.linear_place], topic)
            np.add.at(folded, self.linear.sources, shares.T)
            folded[last] += left
        if len(self.families):
            folded[last] += contributions[:, -1]
        return folded.T

    def directions(self) -> list[int]:
        """Return, per pooled column, whether theory lets it only push up (1) or only down (-1) a probability, or either way (0).

        Theory: to have engaged more with a topic, or more recently, makes nobody less likely to engage with it again.
        """
        own = range(1, 1 + self.own.shape[1])
        made = {self.linear_place: 1} if self.linear else {}
        return [_direction(name) if number in own else made.get(number, 0) for number, name in enumerate(self.names)]

    def linear_directions(self) -> NDArray[np.bool_]:
        """Return (n_topics, m) which sources of a linear score theory lets only push up the topic's own."""
        names = [self.columns[place] for place in self.linear_sources]
        return np.array([[topic_of(name) == topic and _direction(name) > 0 for name in names] for topic in self.topics], dtype=bool).reshape(-1, len(names))

    def to_state(self) -> dict[str, Any]:
        """Return the layout as JSON-able values; it is stored whole, so that old artefacts outlive changes of the rules above."""
        return {
            "columns": list(self.columns),
            "topics": list(self.topics),
            "own": self.own.tolist(),
            "general": self.general.tolist(),
            "history": self.history.tolist(),
            "embedding": self.embedding.to_state(),
            "relatives": self.relatives.to_state(),
            "linear": self.linear.to_state(),
            "families": self.families.tolist(),
            "named": self.named.tolist(),
            "names": list(self.names),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Layout:
        """Return the layout of `to_state`; raises ValueError when an index points outside of the columns."""
        columns, topics, names = tuple(state["columns"]), tuple(state["topics"]), tuple(state["names"])
        own = np.array(state["own"], dtype=np.int64).reshape(len(topics), -1)
        general, history = (np.array(state[key], dtype=np.int64).reshape(-1) for key in ("general", "history"))
        for index in (own, general, history):
            if index.size and not (index.min() >= (ABSENT if index is own else 0) and index.max() < len(columns)):
                raise ValueError(f"the layout points outside of its {len(columns)} columns")
        embedding = TopicEmbedding.from_state(state["embedding"], len(columns))
        relatives = TopicRelatives.from_state(state.get("relatives"), len(columns), len(topics))  # artefacts of earlier releases have none
        linear = LinearScore.from_state(state.get("linear"), len(columns), len(topics))
        families, named = np.array(state.get("families", []), dtype=np.int64), np.array(state.get("named", [True] * len(topics)), dtype=bool)
        if named.shape != (len(topics),) or families.shape not in {(0,), (len(topics),)}:
            raise ValueError("the layout's families and names of topics differ from its topics in number")
        made = len(embedding) + len(relatives.names) + bool(linear) + min(len(families), 1)
        if len(names) != 1 + own.shape[1] + len(general) + len(history) + made:
            raise ValueError("the layout's names and its columns differ in number")
        return cls(columns, topics, own, general, history, embedding, relatives, families, named, names, linear)


_DIRECTIONS = {
    "count|kind=any-engagement": 1,
    "decayed|kind=any-engagement": 1,
    "share|kind=any-engagement": 1,
    "recency|kind=any-engagement": -1,
}


def _direction(name: str) -> int:
    return _DIRECTIONS.get("|".join(name.split("|")[:2]), 0)


def _families(parents: Sequence[str | None]) -> NDArray[np.int64]:
    """Return the number of each topic's family, ABSENT for one that stands alone; nothing where no two topics share one."""
    shared = sorted({parent for parent in parents if parent is not None and list(parents).count(parent) > 1})
    return np.array([shared.index(parent) if parent in shared else ABSENT for parent in parents] if shared else [], dtype=np.int64)


def _names(wanted: Sequence[str]) -> tuple[str, ...]:
    """LightGBM takes only some characters in a name; a column of a notebook that has others is called by its number."""
    return tuple(name if _SAFE.fullmatch(name) else f"column_{number}" for number, name in enumerate(wanted))


def embedded_columns(columns: Sequence[str], topics: Sequence[str]) -> list[int]:
    """Return which columns the embedding of the topic history is made of: the counts of one topic each, over all time."""
    return [index for index, name in enumerate(columns) if topic_of(name) in topics and name.startswith("count|") and name.endswith("|window=all")]


def counted_columns(columns: Sequence[str], topics: Sequence[str]) -> list[int]:
    """Return each topic's count of engagements over all time, one column a topic; nothing where a topic has none."""
    chosen = next((name for name in history_templates(columns, topics, 3) if name.startswith("count|")), None)
    place = {topic_of(name): index for index, name in enumerate(columns) if template_of(name) == chosen}
    return [place[topic] for topic in topics] if set(topics) <= set(place) else []


def activity_column(columns: Sequence[str]) -> int | None:
    """Return the count of a person's engagements of any kind, channel and topic over all time; None where there is no such column."""
    wanted = "count|kind=any-engagement|channel=any|topic=any|window=all"
    return columns.index(wanted) if wanted in columns else None


PREFERRED = (("share", "window=all"), ("decayed", "half_life="), ("count", "window=all"))
"""Statistics that say a history in short, best first: the share of the topic, its recent weight, its count."""


def history_templates(columns: Sequence[str], topics: Sequence[str], most: int) -> tuple[str, ...]:
    """Return at most `most` templates of the topics' columns that stand for the whole history.

    For each preferred statistic it is the widest template of engagements: the one with the most fields that are not narrowed to
    one kind, channel or window; among equals the first in column order.
    """
    templates = list(dict.fromkeys(template_of(name) for name in columns if topic_of(name) in topics))
    chosen: list[str] = []
    for statistic, needed in PREFERRED:
        fitting = [name for name in templates if name.split("|")[0] == statistic and needed in name]
        if fitting:
            chosen.append(max(fitting, key=_breadth))
    return tuple(chosen[:most])


def _breadth(template: str) -> int:
    values = [field.partition("=")[2] for field in template.split("|")[1:]]
    return sum(value == "all" or value.startswith("any") for value in values)
