"""The features, as data: frozen definitions whose names hold every field, are unique and can be read back.

A name is `statistic|field=value|…`, every field of the statistic always there and always in the same order. A column belongs to
topic `t` if and only if it has the field `topic=t`. Ids of `audience.toml` are made of a-z, 0-9 and _, so the selectors below, which
have a hyphen, can never be taken for one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from features import sentences
from features.vocabulary import Language, Vocabulary

ANY = "any"
ENGAGEMENT = "any-engagement"
INCOMING = "any-in"
OUTGOING = "any-out"
SOME_TOPIC = "any-topic"
ALL = "all"

FIELDS: dict[str, tuple[str, ...]] = {
    "count": ("kind", "channel", "topic", "window"),
    "machine": ("kind", "channel", "topic", "window"),
    "sum": ("kind", "channel", "topic", "window"),
    "share": ("kind", "channel", "topic", "window"),
    "supply": ("kind", "channel", "topic", "window"),
    "recency": ("kind", "channel", "topic"),
    "decayed": ("kind", "channel", "topic", "half_life"),
    "attribute": ("id",),
    "age": ("since",),
    "tenure": ("since",),
}
"""Which fields a statistic has, in the order of its names; a category attribute has a `category` besides its `id`."""

MEANING = 1
"""Raised whenever a name keeps its text and changes its meaning, so that the hash of the definitions changes too."""

_ID = re.compile(r"[a-z][a-z0-9_]{0,62}")
_DAYS = re.compile(r"[1-9][0-9]{0,5}d")
_SELECTORS = {"kind": {ANY, ENGAGEMENT, INCOMING, OUTGOING}, "channel": {ANY}, "topic": {ANY, SOME_TOPIC}}


class FeatureError(ValueError):
    """A feature that cannot be: the message names the field, the value given and what is allowed."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the vectors.

    `count`, `machine`, `sum` and `share` look at the half-open window `[as_of - window, as_of)`, `supply` at the same window over the
    whole base, `recency` and `decayed` at everything before `as_of`. Units: interactions for `count`, `machine`, `decayed`; the kind's
    own unit for `sum`; a fraction in [0, 1] for `share`; sends per person of the base for `supply`; days for `recency` and `tenure`;
    years for `age`; 0, 1 or the attribute's own unit for `attribute`.

    Raises FeatureError when a field is missing, superfluous or not well formed.
    """

    statistic: str
    kind: str | None = None
    channel: str | None = None
    topic: str | None = None
    window: str | None = None
    half_life: str | None = None
    id: str | None = None
    since: str | None = None
    category: str | None = None

    def __post_init__(self) -> None:
        """Check that exactly the statistic's fields are there, and each is well formed."""
        wanted = FIELDS.get(self.statistic)
        if wanted is None:
            raise FeatureError(f"statistic {self.statistic!r} is not known; allowed: {', '.join(FIELDS)}")
        if self.statistic == "attribute" and self.category is not None:
            wanted = (*wanted, "category")
        given = [field for field in _FIELD_ORDER if getattr(self, field) is not None]
        if set(given) != set(wanted):
            raise FeatureError(f"a {self.statistic!r} feature has the fields {', '.join(wanted)}; given: {', '.join(given) or 'none'}")
        for field in wanted:
            _check(field, getattr(self, field))

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """The fields as pairs (name, value), in the order of the name; the statistic is not among them."""
        return tuple((field, value) for field in _FIELD_ORDER if (value := getattr(self, field)) is not None)

    @property
    def name(self) -> str:
        """The column's name: A-Z, a-z, 0-9 and `_ | = . -` only, which LightGBM accepts."""
        return "|".join([self.statistic, *(f"{field}={_escape(value) if field == 'category' else value}" for field, value in self.fields)])

    @property
    def window_days(self) -> int | None:
        """Length of the window in days; None for all time and for statistics without a window."""
        return None if self.window in {None, ALL} else int(str(self.window)[:-1])

    @property
    def half_life_days(self) -> int | None:
        """Days after which an interaction counts half; None for statistics without a half-life."""
        return None if self.half_life is None else int(self.half_life[:-1])

    def sentence(self, value: float, vocabulary: Vocabulary, language: Language = "en") -> str:
        """Return what `value` says, in plain words of `language` and of the vocabulary; raises FeatureError for an id that is gone."""
        try:
            return sentences.sentence(self, value, vocabulary, language)
        except KeyError as error:
            raise FeatureError(f"{self.name}: {error.args[0]!r} is not in this audience.toml; were the vectors built with another one?") from None


_FIELD_ORDER = ("kind", "channel", "topic", "window", "half_life", "id", "since", "category")


def catalogue(vocabulary: Vocabulary) -> tuple[Feature, ...]:
    """Return the features made for a vocabulary, in the order of the vectors' columns.

    Windows are those of the vocabulary and all time for answers, kinds and answers by topic; the shortest, the longest below a year and
    all for what is sent, channels and supply-side counts; the last two for kind x topic and shares. With 12 topics, 8 kinds (5 of them
    engagement) and 5 channels that makes about 400 columns. Raises FeatureError when an id is `any`, which means "whichever" here.
    """
    for group in (vocabulary.kinds, vocabulary.channels, vocabulary.topics):
        for item in group:
            if item.id == ANY:
                raise FeatureError(f"audience.toml: the id {ANY!r} means whichever in feature names; give it another id")
    features = tuple(feature for family in _FAMILIES for feature in family(vocabulary))
    return tuple(dict.fromkeys(features))


def parse_name(name: str) -> Feature:
    """Return the feature of that name; `parse_name(feature.name) == feature`. Raises FeatureError for anything else."""
    statistic, *parts = name.split("|")
    values: dict[str, str] = {}
    for part in parts:
        field, equals, value = part.partition("=")
        if not equals or field not in _FIELD_ORDER or field in values:
            raise FeatureError(f"{name!r} is not a feature's name: {part!r} is not one of {', '.join(_FIELD_ORDER)} with `=value`, each once")
        values[field] = _unescape(value) if field == "category" else value
    feature = Feature(statistic, **values)
    if feature.name != name:
        raise FeatureError(f"{name!r} is not a feature's name: fields stand in another order; did you mean {feature.name!r}?")
    return feature


def definitions_hash(features: Iterable[Feature]) -> str:
    """Return the SHA-256 (hex) of the features' names in their order and of what names mean in this release."""
    return hashlib.sha256("\n".join([f"meaning {MEANING}", *(feature.name for feature in features)]).encode()).hexdigest()


def _check(field: str, value: object) -> None:
    if not isinstance(value, str):
        raise FeatureError(f"{field} is text; given {value!r}")
    if field in _SELECTORS:
        fine = value in _SELECTORS[field] or _ID.fullmatch(value) is not None
        allowed = f"an id of audience.toml or {', '.join(sorted(_SELECTORS[field]))}"
    elif field in {"window", "half_life"}:
        fine = _DAYS.fullmatch(value) is not None or (field == "window" and value == ALL)
        allowed = "whole days such as 90d" + (f", or {ALL}" if field == "window" else "")
    elif field == "category":
        fine, allowed = bool(value), "text that is not empty"
    else:
        fine, allowed = _ID.fullmatch(value) is not None, "an id"
    if not fine:
        raise FeatureError(f"{field}={value!r} is not allowed; allowed: {allowed}")


def _escape(text: str) -> str:
    """Write every byte of UTF-8 that is not a letter, a digit, `_` or `-` as `.` and two hexadecimal digits."""
    return "".join(chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or byte in b"_-") else f".{byte:02x}" for byte in text.encode())


def _unescape(text: str) -> str:
    try:
        raw = re.sub(rb"\.([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), text.encode("ascii"))
        return raw.decode()
    except UnicodeError:
        raise FeatureError(f"category={text!r} is not the escaped text of a category") from None


def _windows(vocabulary: Vocabulary) -> tuple[str, ...]:
    return (*(f"{days}d" for days in vocabulary.windows_days), ALL)


def _long_windows(vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return the longest window below a year (the shortest, where all are longer) and all time."""
    below = [days for days in vocabulary.windows_days if days < 365] or list(vocabulary.windows_days[:1])
    return (*(f"{days}d" for days in below[-1:]), ALL)


def _few_windows(vocabulary: Vocabulary) -> tuple[str, ...]:
    return tuple(dict.fromkeys((_windows(vocabulary)[0], *_long_windows(vocabulary))))


def _supply_window(vocabulary: Vocabulary) -> str:
    """Return the window of supply: the longest of at most a month, so that it says what goes on now."""
    return next((f"{days}d" for days in reversed(vocabulary.windows_days) if days <= 31), _windows(vocabulary)[0])


def _answers(vocabulary: Vocabulary) -> Iterator[Feature]:
    for window in _windows(vocabulary):
        yield Feature("count", ENGAGEMENT, ANY, ANY, window)
        if vocabulary.topics:
            yield Feature("count", ENGAGEMENT, ANY, SOME_TOPIC, window)


def _kinds(vocabulary: Vocabulary) -> Iterator[Feature]:
    for kind in vocabulary.kinds:
        for window in _windows(vocabulary):
            yield Feature("count", kind.id, ANY, ANY, window)


def _channels(vocabulary: Vocabulary) -> Iterator[Feature]:
    for channel in vocabulary.channels:
        for direction in (INCOMING, OUTGOING):
            for window in _few_windows(vocabulary):
                yield Feature("count", direction, channel.id, ANY, window)


def _topics(vocabulary: Vocabulary) -> Iterator[Feature]:
    for topic in vocabulary.topic_ids:
        for window in _windows(vocabulary):
            yield Feature("count", ENGAGEMENT, ANY, topic, window)
        for window in _few_windows(vocabulary):
            yield Feature("count", OUTGOING, ANY, topic, window)


def _kinds_by_topic(vocabulary: Vocabulary) -> Iterator[Feature]:
    for topic in vocabulary.topic_ids:
        for kind in vocabulary.engagement_kinds:
            for window in _long_windows(vocabulary):
                yield Feature("count", kind, ANY, topic, window)


def _recencies(vocabulary: Vocabulary) -> Iterator[Feature]:
    yield Feature("recency", ENGAGEMENT, ANY, ANY)
    for kind in vocabulary.kinds:
        yield Feature("recency", kind.id, ANY, ANY)
    for topic in vocabulary.topic_ids:
        yield Feature("recency", ENGAGEMENT, ANY, topic)


def _decays(vocabulary: Vocabulary) -> Iterator[Feature]:
    for half_life in (f"{days}d" for days in vocabulary.half_lives_days):
        yield Feature("decayed", ENGAGEMENT, ANY, ANY, half_life=half_life)
        for kind in vocabulary.kinds:
            yield Feature("decayed", kind.id, ANY, ANY, half_life=half_life)
        for topic in vocabulary.topic_ids:
            yield Feature("decayed", ENGAGEMENT, ANY, topic, half_life=half_life)
            yield Feature("decayed", OUTGOING, ANY, topic, half_life=half_life)


def _sums(vocabulary: Vocabulary) -> Iterator[Feature]:
    for kind in vocabulary.kinds:
        if kind.unit is not None:
            for window in _windows(vocabulary):
                yield Feature("sum", kind.id, ANY, ANY, window)


def _shares(vocabulary: Vocabulary) -> Iterator[Feature]:
    for topic in vocabulary.topic_ids:
        for window in _long_windows(vocabulary):
            yield Feature("share", ENGAGEMENT, ANY, topic, window)


def _supplies(vocabulary: Vocabulary) -> Iterator[Feature]:
    for topic in vocabulary.topic_ids:
        yield Feature("supply", OUTGOING, ANY, topic, _supply_window(vocabulary))


def _machines(vocabulary: Vocabulary) -> Iterator[Feature]:
    for window in _few_windows(vocabulary):
        yield Feature("machine", ANY, ANY, ANY, window)


def _person(vocabulary: Vocabulary) -> Iterator[Feature]:
    yield Feature("age", since="birth_year")
    yield Feature("tenure", since="joined_at")
    for attribute in vocabulary.attributes:
        if attribute.type == "numeric":
            yield Feature("attribute", id=attribute.id)
        for category in attribute.categories:
            yield Feature("attribute", id=attribute.id, category=category)


_FAMILIES = (_answers, _kinds, _channels, _topics, _kinds_by_topic, _recencies, _decays, _sums, _shares, _supplies, _machines, _person)
