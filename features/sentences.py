"""What the value of a feature says, in plain English, French and Dutch; no technical name ever shows.

Words for kinds, channels, topics, source types and attributes come from the vocabulary; the turns of phrase stand in `features.phrases`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from features.phrases import APOSTROPHE, COUNTED, NARROW_NBSP, NOUNS, PARTS, PHRASES, Noun
from features.vocabulary import Language, Vocabulary

if TYPE_CHECKING:
    from features.definition import Feature

_SEPARATORS = MappingProxyType({"en": (",", "."), "fr": (NARROW_NBSP, ","), "nl": (".", ",")})
"""Between thousands, and before decimals."""
_MOST_BITS = 64.0
"""More than the bits of any list of topics: beyond, a power of two would leave the floats."""
_SHOWN: MappingProxyType[str, tuple[Callable[[float], float], int]] = MappingProxyType(
    {
        **dict.fromkeys(("count", "machine", "unanswered", "switches", "age"), (float, 0)),
        **dict.fromkeys(("recency", "first", "declared_age", "tenure"), (math.floor, 0)),
        **dict.fromkeys(("habit", "overdue", "trend"), (float, 1)),
        **dict.fromkeys(("rate", "area"), (lambda value: 100 * value, 1)),
        "entropy": (lambda value: 2.0 ** min(value, _MOST_BITS), 1),
    }
)
"""The number that a sentence says instead of the value, and its decimals; otherwise the value with two."""


def sentence(feature: Feature, value: float, vocabulary: Vocabulary, language: Language = "en") -> str:
    """Return what `value` of `feature` says in `language`; NaN says what is missing. Raises KeyError for an id that the vocabulary does not have."""
    words = _Words(feature, value, vocabulary, language)
    return PHRASES[_key(words)][language].format_map(words)


def _key(words: _Words) -> str:
    """Return which phrase says the value: that of its statistic, or a special one for 0, 1 or a missing value."""
    key = _subject(words.feature)
    if math.isnan(words.value):
        return f"{key} nan" if f"{key} nan" in PHRASES else "nan"
    if key == "declared" and words.value == 1 and not words.unit:
        return "declared plain"
    if 0 in {words.value, words.shown} and f"{key} 0" in PHRASES:
        return f"{key} 0"
    return f"{key} 1" if words.shown == 1 and f"{key} 1" in PHRASES else key


def _subject(feature: Feature) -> str:
    if feature.statistic == "share":
        return "share topic" if _named(feature.topic) else "share channel" if _named(feature.channel) and feature.topic == "any" else "share"
    if feature.statistic == "source":
        return f"source {feature.which}"
    return feature.statistic if feature.category is None else "category"


def _named(selector: str | None) -> bool:
    return selector is not None and selector != "any" and "-" not in selector


@dataclass(frozen=True, slots=True)
class _Words:
    """The words that fill a phrase, each made when the phrase asks for it by its name in braces."""

    feature: Feature
    value: float
    vocabulary: Vocabulary
    language: Language

    def __getitem__(self, word: str) -> str:
        return _MAKERS[word](self)

    @property
    def decimals(self) -> int:
        return _SHOWN[self.feature.statistic][1] if self.feature.statistic in _SHOWN else 2

    @property
    def shown(self) -> float:
        """The number that is said; what is too small to be written with its decimals stays as it is."""
        scale = _SHOWN.get(self.feature.statistic, (float, 2))[0]
        number = scale(self.value)
        return round(number, self.decimals) or number

    @property
    def unit(self) -> str:
        """The unit of the value; empty where there is none, or where several kinds have not the same."""
        if self.feature.id is not None:
            return self.vocabulary.attribute(self.feature.id).unit or ""
        kinds = [kind for kind in self.vocabulary.kinds if kind.declares] if self.feature.kind == "any-declared" else []
        if str(self.feature.kind) not in NOUNS:
            kinds = [self.vocabulary.kind(str(self.feature.kind))]
        units = {kind.unit for kind in kinds}
        return (units.pop() or "") if len(units) == 1 else ""

    def part(self, key: str, **words: str) -> str:
        return PARTS[key][self.language].format(**words)

    def noun(self, count: float) -> str:
        """Return one or many of what the feature's kind is called."""
        kind = str(self.feature.kind)
        return self.counted(count, NOUNS[kind]) if kind in NOUNS else self.vocabulary.kind(kind).noun(count, self.language)

    def counted(self, count: float, noun: Noun) -> str:
        one, many = noun[self.language]
        return one if (abs(count) < 2 if self.language == "fr" else count == 1) else many

    def number(self, value: float, decimals: int) -> str:
        """Write a number as the language does; what would be rounded to nothing is less than the smallest that can be written."""
        if value > 0 and round(value, decimals) == 0:
            return self.part("less", number=self.number(10**-decimals, decimals))
        thousands, point = _SEPARATORS[self.language]
        text = f"{value:,.{decimals}f}"
        text = text.rstrip("0").rstrip(".") if decimals else text
        return ("0" if text == "-0" else text).translate({ord(","): thousands, ord("."): point})

    def days(self, count: float, decimals: int = 0) -> str:
        return f"{self.number(count, decimals)} {self.counted(round(count, decimals), COUNTED['day'])}"

    def ago(self) -> str:
        if self.shown in {0, 1}:
            return self.part("yesterday" if self.shown else "today")
        return self.part("ago", days=self.days(self.shown))

    def amount(self) -> str:
        number = self.number(self.value, self.decimals)
        return f"{number} {self.unit}" if self.unit else number

    def period(self, days: int | None, prefix: str = "") -> str:
        if days is None:
            return self.part(f"{prefix}all")
        return self.part(prefix + ("day" if days == 1 else "days"), count=self.number(days, 0))

    def window(self) -> str:
        return self.period(self.feature.window_days) if self.feature.window else ""

    def via(self) -> str:
        channel = self.feature.channel
        return self.part("via", channel=self.vocabulary.channel(str(channel)).label(self.language)) if _named(channel) else ""

    def the_topic(self) -> str:
        topic = self.feature.topic
        return self.part("the_topic", topic=self.vocabulary.topic(str(topic)).label(self.language)) if _named(topic) else self.part("a_topic")

    def about(self) -> str:
        if self.feature.topic == "any-topic":
            return self.part("with_topic")
        return self.part("about", the_topic=self.the_topic()) if _named(self.feature.topic) else ""

    def de(self) -> str:
        """Return French `de` before the noun, elided before a vowel."""
        noun = self.noun(1)
        return f"d{APOSTROPHE}{noun}" if noun[:1].lower() in "aeiouyhàâäæéèêëîïôöœùûü" else f"de {noun}"

    def label(self) -> str:
        label = self.vocabulary.attribute(str(self.feature.id)).label(self.language)
        return label[:1].upper() + label[1:]


def _counted(words: _Words, key: str) -> str:
    return words.counted(words.shown, COUNTED[key])


_MAKERS: MappingProxyType[str, Callable[[_Words], str]] = MappingProxyType(
    {
        "number": lambda words: words.number(words.shown, words.decimals),
        "amount": _Words.amount,
        "percent": lambda words: words.number(100 * words.value, 0),
        "noun": lambda words: words.noun(words.shown),
        "one": lambda words: words.noun(1),
        "many": lambda words: words.noun(2),
        "de_one": _Words.de,
        "answers": partial(_counted, key="answer"),
        "topics": partial(_counted, key="topic"),
        "changes": partial(_counted, key="change"),
        "years": partial(_counted, key="year"),
        "days": lambda words: words.days(words.shown, words.decimals),
        "half_life": lambda words: words.days(words.feature.half_life_days or 0),
        "ago": _Words.ago,
        "window": _Words.window,
        "over": lambda words: words.period(words.feature.over_days, "over "),
        "via": _Words.via,
        "about": _Words.about,
        "where": lambda words: words.via() + words.about(),
        "the_topic": _Words.the_topic,
        "when": lambda words: words.part(str(words.feature.part or words.feature.day)),
        "type": lambda words: words.vocabulary.source_type(str(words.feature.type)).label(words.language),
        "label": _Words.label,
        "category": lambda words: str(words.feature.category).replace("_", " "),
    }
)
"""What stands in braces in a phrase."""
