"""Why a score is what it is: the strongest of its contributions, in plain words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from features.catalogue import FeatureError, parse_name
from features.vocabulary import Language, Vocabulary

TOPIC = "topic"
"""The pseudo-column that holds what the topic itself contributes."""

_TOPIC_WORDS = MappingProxyType(
    {
        "en": ("how often people engage with this topic", "how often people engage with {topic}"),
        "fr": ("la fréquence des réponses sur ce thème", "la fréquence des réponses sur le thème «\u00a0{topic}\u00a0»"),
        "nl": ("hoe vaak mensen op dit thema reageren", "hoe vaak mensen op het thema “{topic}” reageren"),
    }
)
_PLAIN = MappingProxyType(
    {
        "en": ("{name}: {value:.4g}", "{name}: not known"),
        "fr": ("{name}\u00a0: {value:.4g}", "{name}\u00a0: information absente"),
        "nl": ("{name}: {value:.4g}", "{name}: onbekend"),
    }
)


@dataclass(frozen=True, slots=True)
class Reason:
    """One part of a score: the feature, its value (None where it is missing or has none), both in plain words, and what it contributes."""

    feature: str
    value: float | None
    text: str
    contribution: float


def reasons(
    contributions: ArrayLike,
    vector: ArrayLike,
    columns: Sequence[str],
    vocabulary: Vocabulary | None = None,
    *,
    top: int,
    language: Language = "en",
    topic: str | None = None,
) -> list[Reason]:
    """Return the `top` strongest reasons of one prediction, by size of contribution, either sign; none that contributes nothing.

    `contributions` (n_columns,) is a row of `Contributions.values` and `columns` its names; `vector` (n_columns,), or without a value for
    the last column `topic`, holds the features' values. Names of the catalogue are put in words through the vocabulary, other names
    stand as they are. `topic` names the topic in the reason for the topic itself. Raises ValueError for lengths that differ.
    """
    parts, values = np.asarray(contributions, dtype=np.float64), np.asarray(vector, dtype=np.float64)
    if len(values) == len(columns) - 1 and columns[-1] == TOPIC:
        values = np.append(values, np.nan)
    if not parts.shape == values.shape == (len(columns),):
        raise ValueError(f"one prediction has one contribution and one value per column: given {parts.shape} and {values.shape} for {len(columns)} columns")
    strongest = sorted(np.flatnonzero(parts).tolist(), key=lambda index: -abs(parts[index]))[: max(top, 0)]
    found = []
    for index in strongest:
        column, value = columns[index], float(values[index])
        text = _topic_words(topic, vocabulary, language) if column == TOPIC else _words(column, value, vocabulary, language)
        found.append(Reason(column, None if math.isnan(value) else value, text, float(parts[index])))
    return found


def _words(column: str, value: float, vocabulary: Vocabulary | None, language: Language) -> str:
    if vocabulary is not None:
        try:
            return parse_name(column).sentence(value, vocabulary, language)
        except FeatureError:
            pass
    known, unknown = _PLAIN[language]
    return (unknown if math.isnan(value) else known).format(name=column, value=value)


def _topic_words(topic: str | None, vocabulary: Vocabulary | None, language: Language) -> str:
    without, with_name = _TOPIC_WORDS[language]
    if topic is None:
        return without
    known = vocabulary is not None and topic in vocabulary.topic_ids
    return with_name.format(topic=vocabulary.topic(topic).label(language) if vocabulary is not None and known else topic)
