"""One feature: a frozen definition whose name holds every field, is unique and can be read back.

A name is `statistic|field=value|…`, every field of the statistic always there and always in the same order. A column belongs to
topic `t` if and only if it has the field `topic=t`. Ids of `audience.toml` are made of a-z, 0-9 and _, so the selectors below, which
have a hyphen, can never be taken for one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from features import sentences
from features.vocabulary import Language, Vocabulary

ANY = "any"
ENGAGEMENT = "any-engagement"
INCOMING = "any-in"
OUTGOING = "any-out"
DECLARED = "any-declared"
SOME_TOPIC = "any-topic"
ALL = "all"

DAYPARTS = ("night", "morning", "afternoon", "evening")
"""Six hours each, from midnight on the clock of the vocabulary's time zone."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_WHICH = ("kind", "channel", "topic")
FIELDS: dict[str, tuple[str, ...]] = {
    "count": (*_WHICH, "window"),
    "machine": (*_WHICH, "window"),
    "sum": (*_WHICH, "window"),
    "share": (*_WHICH, "window"),
    "rate": (*_WHICH, "window"),
    "area": (*_WHICH, "window"),
    "supply": (*_WHICH, "window"),
    "entropy": (*_WHICH, "window"),
    "trend": (*_WHICH, "window", "over"),
    "recency": _WHICH,
    "first": _WHICH,
    "habit": _WHICH,
    "overdue": _WHICH,
    "unanswered": _WHICH,
    "largest": _WHICH,
    "switches": _WHICH,
    "declared": _WHICH,
    "declared_age": _WHICH,
    "decayed": (*_WHICH, "half_life"),
    "daypart": (*_WHICH, "part"),
    "weekday": (*_WHICH, "day"),
    "source": ("which", "type"),
    "attribute": ("id",),
    "age": ("since",),
    "tenure": ("since",),
}
"""Which fields a statistic has, in the order of its names; a category attribute has a `category` besides its `id`."""

MEANING = 2
"""Raised whenever a name keeps its text and changes its meaning, so that the hash of the definitions changes too."""

_ID = re.compile(r"[a-z][a-z0-9_]{0,62}")
_DAYS = re.compile(r"[1-9][0-9]{0,5}d")
_CHOICES = {"part": DAYPARTS, "day": WEEKDAYS, "which": ("first", "last")}
_SELECTORS = {"kind": {ANY, ENGAGEMENT, INCOMING, OUTGOING, DECLARED}, "channel": {ANY}, "topic": {ANY, SOME_TOPIC}}


class FeatureError(ValueError):
    """A feature that cannot be: the message names the field, the value given and what is allowed."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the vectors. What is counted below are interactions that are not a machine's, unless it says so.

    ============ ============================================================================================== ==================
    statistic    value                                                                                          unit
    ============ ============================================================================================== ==================
    count        how many in the half-open window `[as_of - window, as_of)`                                     interactions
    machine      the same of what machines did (a mail client's opens)                                          interactions
    sum          their values added up                                                                          the kind's unit
    largest      the largest of their values; missing where there is none                                       the kind's unit
    share        part of the counts of all topics (or channels); missing where there are none                   0 to 1
    rate         answers per message sent, shrunk towards the base's; missing where nothing was sent            answers per message
    area         the same over the others of the person's area                                                  answers per message
    supply       messages sent over the window, over the whole base                                             per person
    entropy      how evenly answers spread over topics; missing where there are none                            bits
    trend        (count in `window` + 1) / (what `over` lets expect of such a window + 1)                       ratio, 1 is usual
    recency      whole UTC days since the last one; missing where there is none                                 days
    first        whole UTC days since the first one; missing where there is none                                days
    habit        mean days from one to the next; missing below two                                              days
    overdue      recency over habit, a habit of less than a day counting as one day; missing below two          ratio
    unanswered   messages sent after the last answer, all of them where there is no answer                      interactions
    switches     how often an answer has another topic than the answer before                                   interactions
    declared     what the person last stated; missing where nothing was stated                                  the kind's unit
    declared_age whole UTC days since that                                                                      days
    decayed      how many, each halving with every half-life of whole UTC days                                  interactions
    daypart      share of answers in six hours of the day, on the clock of the vocabulary's time zone           0 to 1
    weekday      share of answers on a day of the week, on the same clock                                       0 to 1
    source       1 where the first (last) interaction came from a source of this type, else 0                   0 or 1
    attribute    what `people` says; a category is 1 or 0                                                       its own
    age          years of age reached in the UTC year of `as_of`                                                years
    tenure       whole UTC days since the person joined                                                         days
    ============ ============================================================================================== ==================

    An interaction with several topics counts once, and once for each of its topics where a topic is named. Raises FeatureError when a
    field is missing, superfluous or not well formed.
    """

    statistic: str
    kind: str | None = None
    channel: str | None = None
    topic: str | None = None
    window: str | None = None
    over: str | None = None
    half_life: str | None = None
    part: str | None = None
    day: str | None = None
    which: str | None = None
    type: str | None = None
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
        return _days(self.window)

    @property
    def over_days(self) -> int | None:
        """Length in days of the window that a trend is compared with; None for all time and for other statistics."""
        return _days(self.over)

    @property
    def half_life_days(self) -> int | None:
        """Days after which an interaction counts half; None for statistics without a half-life."""
        return _days(self.half_life)

    def sentence(self, value: float, vocabulary: Vocabulary, language: Language = "en") -> str:
        """Return what `value` says, in plain words of `language` and of the vocabulary; raises FeatureError for an id that is gone."""
        try:
            return sentences.sentence(self, value, vocabulary, language)
        except KeyError as error:
            raise FeatureError(f"{self.name}: {error.args[0]!r} is not in this audience.toml; were the vectors built with another one?") from None


_FIELD_ORDER = ("kind", "channel", "topic", "window", "over", "half_life", "part", "day", "which", "type", "id", "since", "category")


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


def definitions_hash(names: Iterable[str]) -> str:
    """Return the SHA-256 (hex) of features' names in their order and of what names mean in this release."""
    return hashlib.sha256("\n".join([f"meaning {MEANING}", *names]).encode()).hexdigest()


def _days(text: str | None) -> int | None:
    return None if text in {None, ALL} else int(str(text)[:-1])


def _check(field: str, value: object) -> None:
    if not isinstance(value, str):
        raise FeatureError(f"{field} is text; given {value!r}")
    if field in _SELECTORS:
        fine = value in _SELECTORS[field] or _ID.fullmatch(value) is not None
        allowed = f"an id of audience.toml or {', '.join(sorted(_SELECTORS[field]))}"
    elif field in {"window", "over", "half_life"}:
        fine = _DAYS.fullmatch(value) is not None or (field != "half_life" and value == ALL)
        allowed = "whole days such as 90d" + (f", or {ALL}" if field != "half_life" else "")
    elif field in _CHOICES:
        fine, allowed = value in _CHOICES[field], ", ".join(_CHOICES[field])
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
