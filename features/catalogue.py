"""The features that are made for a vocabulary: families of definitions, in the order of the vectors' columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from features.definition import (
    ALL,
    ANY,
    DAYPARTS,
    DECLARED,
    ENGAGEMENT,
    FIELDS,
    INCOMING,
    OUTGOING,
    SOME_TOPIC,
    WEEKDAYS,
    Feature,
    FeatureError,
    definitions_hash,
    parse_name,
)
from features.vocabulary import Vocabulary

CONTEXTUAL = frozenset({"rate", "area", "supply"})
"""Statistics that need to know the base as a whole, besides the person: see `features.context`."""

LEAVABLE = (
    "decay",
    "value",
    "channel preference",
    "response rates",
    "fatigue",
    "trend",
    "stated interests",
    "hours and weekdays",
    "first and last source",
    "area and supply",
    "machines",
)
"""Families that `[features] leave_out` may name: those that nothing else is made of."""

_KEPT: dict[str, tuple[Feature, ...]] = {}
"""The last catalogues made, by their vocabularies' fingerprints: a refresh asks twice, and features are checked when they are made."""
_MOST_KEPT = 8

MOST_TOPICS = 1023
"""`features.kernel` keeps a topic's number in ten bits."""


def catalogue(vocabulary: Vocabulary) -> tuple[Feature, ...]:
    """Return the features made for a vocabulary, in the order of the vectors' columns.

    With 12 topics, 8 kinds (5 of them engagement), 5 channels and the default windows that makes more than 500 columns. What a
    vocabulary has no words for (messages, topics, stated interests, source types) has no columns. Raises FeatureError when an id is
    `any`, which means "whichever" here, and for more than 1,023 topics.
    """
    for group in (vocabulary.kinds, vocabulary.channels, vocabulary.topics):
        for item in group:
            if item.id == ANY:
                raise FeatureError(f"audience.toml: the id {ANY!r} means whichever in feature names; give it another id")
    if len(vocabulary.topics) > MOST_TOPICS:
        raise FeatureError(f"audience.toml: {len(vocabulary.topics):,} topics are too many; at most {MOST_TOPICS:,} are allowed; name broader ones")
    for family in vocabulary.leave_out:
        if family not in LEAVABLE:
            raise FeatureError(f"audience.toml: [features] leave_out = {family!r} is not a family that can be left out; allowed: {', '.join(LEAVABLE)}")
    key = vocabulary.fingerprint
    if key not in _KEPT:
        while len(_KEPT) >= _MOST_KEPT:
            _KEPT.pop(next(iter(_KEPT)), None)
        made = dict.fromkeys(feature for members in _MADE for feature in members(vocabulary))
        _KEPT[key] = tuple(feature for feature in made if family_of(feature) not in vocabulary.leave_out)
    return _KEPT[key]


def special_attributes(columns: Iterable[str], vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return the attributes of special sensitivity that a model with these columns reads; one that audience.toml no longer speaks of was classed by nobody."""
    ordinary = {attribute.id for attribute in vocabulary.attributes if attribute.sensitivity == "ordinary"}
    parts = (column.split("|") for column in columns)
    return tuple(sorted({part[1].removeprefix("id=") for part in parts if part[0] == "attribute"} - ordinary))


def families(vocabulary: Vocabulary) -> dict[str, tuple[Feature, ...]]:
    """Return the same features by family, families in the order of their first column."""
    found: dict[str, list[Feature]] = {}
    for feature in catalogue(vocabulary):
        found.setdefault(family_of(feature), []).append(feature)
    return {name: tuple(members) for name, members in found.items()}


def family_of(feature: Feature) -> str:
    """Return the family that a feature belongs to, in words."""
    if feature.statistic == "count":
        if feature.topic not in {ANY, SOME_TOPIC}:
            return "topics" if feature.kind in {ENGAGEMENT, OUTGOING} else "kinds by topic"
        return "frequency" if feature.channel == ANY else "channels"
    if feature.statistic == "share":
        return "attention" if feature.topic != ANY else "channel preference"
    return _FAMILIES[feature.statistic]


def _windows(vocabulary: Vocabulary) -> tuple[str, ...]:
    return (*(f"{days}d" for days in vocabulary.windows_days), ALL)


def _long_windows(vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return the longest window below a year (the shortest, where all are longer) and all time."""
    below = [days for days in vocabulary.windows_days if days < 365] or list(vocabulary.windows_days[:1])
    return (*(f"{days}d" for days in below[-1:]), ALL)


def _month(vocabulary: Vocabulary) -> str:
    """Return the longest window of at most a month (the shortest, where all are longer): it says what goes on now."""
    return next((f"{days}d" for days in reversed(vocabulary.windows_days) if days <= 31), _windows(vocabulary)[0])


def _few_windows(vocabulary: Vocabulary) -> tuple[str, ...]:
    return tuple(dict.fromkeys((_month(vocabulary), *_long_windows(vocabulary))))


def _half_life(vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return the middle half-life, where there is one."""
    return tuple(f"{days}d" for days in vocabulary.half_lives_days)[len(vocabulary.half_lives_days) // 2 :][:1]


def _sent(vocabulary: Vocabulary) -> tuple[str, ...]:
    return tuple(kind.id for kind in vocabulary.kinds if kind.direction == "out")


def _frequency(vocabulary: Vocabulary) -> Iterator[Feature]:
    for window in _windows(vocabulary):
        yield Feature("count", ENGAGEMENT, ANY, ANY, window)
        if vocabulary.topics:
            yield Feature("count", ENGAGEMENT, ANY, SOME_TOPIC, window)
        if _sent(vocabulary):
            yield Feature("count", OUTGOING, ANY, ANY, window)
    for kind in vocabulary.kinds:
        for window in _windows(vocabulary):
            yield Feature("count", kind.id, ANY, ANY, window)


def _channels(vocabulary: Vocabulary) -> Iterator[Feature]:
    for channel in vocabulary.channels:
        for kind in (ENGAGEMENT, INCOMING, *([OUTGOING] if _sent(vocabulary) else [])):
            for window in _few_windows(vocabulary):
                yield Feature("count", kind, channel.id, ANY, window)


def _topics(vocabulary: Vocabulary) -> Iterator[Feature]:
    for topic in vocabulary.topic_ids:
        for window in _windows(vocabulary):
            yield Feature("count", ENGAGEMENT, ANY, topic, window)
        for window in _few_windows(vocabulary) if _sent(vocabulary) else ():
            yield Feature("count", OUTGOING, ANY, topic, window)


def _kinds_by_topic(vocabulary: Vocabulary) -> Iterator[Feature]:
    for topic in vocabulary.topic_ids:
        for kind in vocabulary.engagement_kinds:
            for window in _long_windows(vocabulary):
                yield Feature("count", kind, ANY, topic, window)


def _recency(vocabulary: Vocabulary) -> Iterator[Feature]:
    yield Feature("recency", ENGAGEMENT, ANY, ANY)
    for kind in vocabulary.kinds:
        yield Feature("recency", kind.id, ANY, ANY)
    for topic in vocabulary.topic_ids:
        yield Feature("recency", ENGAGEMENT, ANY, topic)
    yield Feature("first", ENGAGEMENT, ANY, ANY)


def _decay(vocabulary: Vocabulary) -> Iterator[Feature]:
    for half_life in (f"{days}d" for days in vocabulary.half_lives_days):
        yield Feature("decayed", ENGAGEMENT, ANY, ANY, half_life=half_life)
        for topic in vocabulary.topic_ids:
            yield Feature("decayed", ENGAGEMENT, ANY, topic, half_life=half_life)
    for half_life in _half_life(vocabulary):
        for kind in vocabulary.kinds:
            yield Feature("decayed", kind.id, ANY, ANY, half_life=half_life)
        for topic in vocabulary.topic_ids if _sent(vocabulary) else ():
            yield Feature("decayed", OUTGOING, ANY, topic, half_life=half_life)


def _value(vocabulary: Vocabulary) -> Iterator[Feature]:
    for kind in vocabulary.kinds:
        if kind.unit is not None:
            for window in _windows(vocabulary):
                yield Feature("sum", kind.id, ANY, ANY, window)
            yield Feature("largest", kind.id, ANY, ANY)


def _attention(vocabulary: Vocabulary) -> Iterator[Feature]:
    for window in _long_windows(vocabulary):
        for topic in vocabulary.topic_ids:
            yield Feature("share", ENGAGEMENT, ANY, topic, window)
        if vocabulary.topics:
            yield Feature("entropy", ENGAGEMENT, ANY, SOME_TOPIC, window)
    if vocabulary.topics:
        yield Feature("switches", ENGAGEMENT, ANY, SOME_TOPIC)


def _preference(vocabulary: Vocabulary) -> Iterator[Feature]:
    for channel in vocabulary.channels:
        for window in _long_windows(vocabulary):
            yield Feature("share", ENGAGEMENT, channel.id, ANY, window)


def _response(vocabulary: Vocabulary) -> Iterator[Feature]:
    if not _sent(vocabulary):
        return
    for window in _few_windows(vocabulary):
        yield Feature("rate", OUTGOING, ANY, ANY, window)
    for window in _long_windows(vocabulary):
        for channel in vocabulary.channels:
            yield Feature("rate", OUTGOING, channel.id, ANY, window)
        for topic in vocabulary.topic_ids:
            yield Feature("rate", OUTGOING, ANY, topic, window)
        for kind in _sent(vocabulary):
            if vocabulary.answers_to(kind):
                yield Feature("rate", kind, ANY, ANY, window)


def _fatigue(vocabulary: Vocabulary) -> Iterator[Feature]:
    if _sent(vocabulary):
        yield Feature("unanswered", OUTGOING, ANY, ANY)
        for channel in vocabulary.channels:
            yield Feature("unanswered", OUTGOING, channel.id, ANY)
        for topic in vocabulary.topic_ids:
            yield Feature("unanswered", OUTGOING, ANY, topic)
    yield Feature("habit", ENGAGEMENT, ANY, ANY)
    yield Feature("overdue", ENGAGEMENT, ANY, ANY)


def _trend(vocabulary: Vocabulary) -> Iterator[Feature]:
    finite = _windows(vocabulary)[:-1]
    short, long = _month(vocabulary), finite[-1] if finite else ALL
    if not finite or short == long:
        return
    yield Feature("trend", ENGAGEMENT, ANY, ANY, short, long)
    if _sent(vocabulary):
        yield Feature("trend", OUTGOING, ANY, ANY, short, long)
    for topic in vocabulary.topic_ids:
        yield Feature("trend", ENGAGEMENT, ANY, topic, short, long)


def _declared(vocabulary: Vocabulary) -> Iterator[Feature]:
    if any(kind.declares for kind in vocabulary.kinds):
        for topic in vocabulary.topic_ids:
            yield Feature("declared", DECLARED, ANY, topic)
            yield Feature("declared_age", DECLARED, ANY, topic)


def _rhythm(_: Vocabulary) -> Iterator[Feature]:
    for part in DAYPARTS:
        yield Feature("daypart", ENGAGEMENT, ANY, ANY, part=part)
    for day in WEEKDAYS:
        yield Feature("weekday", ENGAGEMENT, ANY, ANY, day=day)


def _sources(vocabulary: Vocabulary) -> Iterator[Feature]:
    for which in ("first", "last"):
        for item in vocabulary.source_types:
            yield Feature("source", which=which, type=item.id)


def _base(vocabulary: Vocabulary) -> Iterator[Feature]:
    if not _sent(vocabulary):
        return
    yield Feature("area", OUTGOING, ANY, ANY, ALL)
    for topic in vocabulary.topic_ids:
        yield Feature("area", OUTGOING, ANY, topic, ALL)
    for topic in vocabulary.topic_ids:
        yield Feature("supply", OUTGOING, ANY, topic, _month(vocabulary))


def _machines(vocabulary: Vocabulary) -> Iterator[Feature]:
    for window in _few_windows(vocabulary):
        yield Feature("machine", ANY, ANY, ANY, window)


def _person(vocabulary: Vocabulary) -> Iterator[Feature]:
    yield Feature("age", since="birth_year")
    yield Feature("tenure", since="joined_at")
    for attribute in vocabulary.attributes:
        if attribute.sensitivity == "special" and not attribute.in_models:
            continue
        if attribute.type == "numeric":
            yield Feature("attribute", id=attribute.id)
        for category in attribute.categories:
            yield Feature("attribute", id=attribute.id, category=category)


_MADE: tuple[Callable[[Vocabulary], Iterator[Feature]], ...] = (
    _frequency,
    _channels,
    _topics,
    _kinds_by_topic,
    _recency,
    _decay,
    _value,
    _attention,
    _preference,
    _response,
    _fatigue,
    _trend,
    _declared,
    _rhythm,
    _sources,
    _base,
    _machines,
    _person,
)
_FAMILIES = {
    "recency": "recency",
    "first": "recency",
    "decayed": "decay",
    "sum": "value",
    "largest": "value",
    "entropy": "attention",
    "switches": "attention",
    "rate": "response rates",
    "unanswered": "fatigue",
    "habit": "fatigue",
    "overdue": "fatigue",
    "trend": "trend",
    "declared": "stated interests",
    "declared_age": "stated interests",
    "daypart": "hours and weekdays",
    "weekday": "hours and weekdays",
    "source": "first and last source",
    "area": "area and supply",
    "supply": "area and supply",
    "machine": "machines",
    "attribute": "person",
    "age": "person",
    "tenure": "person",
}

__all__ = [
    "ALL",
    "ANY",
    "CONTEXTUAL",
    "DECLARED",
    "ENGAGEMENT",
    "FIELDS",
    "INCOMING",
    "OUTGOING",
    "SOME_TOPIC",
    "Feature",
    "FeatureError",
    "catalogue",
    "definitions_hash",
    "families",
    "family_of",
    "parse_name",
    "special_attributes",
]
