"""What the value of a feature says, in plain English, French and Dutch; no technical name ever shows.

Words for kinds, channels, topics and attributes come from the vocabulary; the turns of phrase around them stand here. French has
no phrase whose gender would depend on the noun.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING

from features.vocabulary import Language, Vocabulary

if TYPE_CHECKING:
    from features.catalogue import Feature

_NBSP, _NARROW = "\u00a0", "\u202f"

_NOUNS = MappingProxyType(
    {
        "any": {"en": ("interaction", "interactions"), "fr": ("interaction", "interactions"), "nl": ("interactie", "interacties")},
        "any-engagement": {"en": ("answer", "answers"), "fr": ("réponse", "réponses"), "nl": ("reactie", "reacties")},
        "any-in": {
            "en": ("contact from the person", "contacts from the person"),
            "fr": ("contact venu de la personne", "contacts venus de la personne"),
            "nl": ("contact vanuit de persoon", "contacten vanuit de persoon"),
        },
        "any-out": {
            "en": ("contact attempt", "contact attempts"),
            "fr": ("prise de contact", "prises de contact"),
            "nl": ("contactpoging", "contactpogingen"),
        },
    }
)
"""One and many, for the selectors of kinds."""

_PHRASES = MappingProxyType(
    {
        "none": {"en": "no {one}{where}{window}", "fr": "pas {de_one}{where}{window}", "nl": "geen {many}{where}{window}"},
        "count": dict.fromkeys(("en", "fr", "nl"), "{number} {noun}{where}{window}"),
        "machine": {
            "en": "{number} {noun} made by a machine, not by the person{where}{window}",
            "fr": "{number} {noun} du fait d\u2019une machine, non de la personne{where}{window}",
            "nl": "{number} {noun} door een machine, niet door de persoon{where}{window}",
        },
        "sum": {
            "en": "{many}{where}{window}: {number} {unit} in all",
            "fr": "{many}{where}{window}\u00a0: {number} {unit} en tout",
            "nl": "{many}{where}{window}: {number} {unit} in totaal",
        },
        "share": {
            "en": "{percent}% of the {many} that carry a topic were{where}{window}",
            "fr": "{percent}\u00a0% des {many} ayant un thème ont porté{where}{window}",
            "nl": "{percent}% van de {many} met een thema ging{where}{window}",
        },
        "supply": {
            "en": "{number} {noun} per person of the base{where}{window}",
            "fr": "{number} {noun} par personne de la base{where}{window}",
            "nl": "{number} {noun} per persoon van het bestand{where}{window}",
        },
        "never": {"en": "{one}{where}: never", "fr": "{one}{where}\u00a0: jamais", "nl": "{one}{where}: nooit"},
        "today": {
            "en": "last {one}{where} less than a day ago",
            "fr": "{one}{where} pour la dernière fois il y a moins d\u2019un jour",
            "nl": "laatste {one}{where} minder dan een dag geleden",
        },
        "recency": {
            "en": "last {one}{where} {days} ago",
            "fr": "{one}{where} pour la dernière fois il y a {days}",
            "nl": "laatste {one}{where} {days} geleden",
        },
        "decayed": {
            "en": "{many}{where}, recent ones counting most (half after {half_life}): {number}",
            "fr": "{many}{where}, ce qui est récent comptant le plus (moitié après {half_life})\u00a0: {number}",
            "nl": "{many}{where}, recente tellen het meest (de helft na {half_life}): {number}",
        },
        "attribute": {"en": "{label}: {number}{unit}", "fr": "{label}\u00a0: {number}{unit}", "nl": "{label}: {number}{unit}"},
        "unknown": {"en": "{label}: not known", "fr": "{label}\u00a0: information absente", "nl": "{label}: onbekend"},
        "is": {"en": "{label}: {category}", "fr": "{label}\u00a0: {category}", "nl": "{label}: {category}"},
        "is_not": {"en": "{label}: not {category}", "fr": "{label}\u00a0: autre que {category}", "nl": "{label}: niet {category}"},
        "age": {"en": "{number} years old", "fr": "{number} ans", "nl": "{number} jaar oud"},
        "no_age": {"en": "age not known", "fr": "âge inconnu", "nl": "leeftijd onbekend"},
        "tenure": {"en": "in the base for {days}", "fr": "dans la base depuis {days}", "nl": "{days} in het bestand"},
        "no_tenure": {"en": "date of joining not known", "fr": "date d\u2019arrivée inconnue", "nl": "begindatum onbekend"},
        "channel": {"en": " via {channel}", "fr": " via {channel}", "nl": " via {channel}"},
        "topic": {"en": " on the topic “{topic}”", "fr": " sur le thème «\u00a0{topic}\u00a0»", "nl": " over het thema “{topic}”"},
        "any-topic": {"en": " that carry a topic", "fr": " ayant un thème", "nl": " met een thema"},
        "all": {"en": " so far", "fr": " à ce jour", "nl": " tot nu toe"},
        "day": {"en": " in the last day", "fr": " au cours du dernier jour", "nl": " in de laatste dag"},
        "days": {"en": " in the last {count} days", "fr": " au cours des {count} derniers jours", "nl": " in de laatste {count} dagen"},
    }
)
_DAYS = MappingProxyType({"en": ("day", "days"), "fr": ("jour", "jours"), "nl": ("dag", "dagen")})
_SEPARATORS = MappingProxyType({"en": (",", "."), "fr": (_NARROW, ","), "nl": (".", ",")})
"""Between thousands, and before decimals."""


def sentence(feature: Feature, value: float, vocabulary: Vocabulary, language: Language = "en") -> str:
    """Return what `value` of `feature` says in `language`; raises KeyError for an id that the vocabulary does not have."""
    return _WRITERS[feature.statistic](feature, value, vocabulary, language)


def _number(value: float, language: Language, decimals: int = 2) -> str:
    thousands, point = _SEPARATORS[language]
    text = f"{value:,.{decimals}f}"
    if decimals:
        text = text.rstrip("0").rstrip(".")
    text = "0" if text == "-0" else text
    return text.translate({ord(","): thousands, ord("."): point})


def _days(value: float, language: Language) -> str:
    count = math.floor(value)
    one, many = _DAYS[language]
    return f"{_number(count, language, 0)} {one if abs(count) == 1 or (language == 'fr' and count == 0) else many}"


def _noun(feature: Feature, count: float, vocabulary: Vocabulary, language: Language) -> str:
    kind = str(feature.kind)
    if kind not in _NOUNS:
        return vocabulary.kind(kind).noun(count, language)
    one, many = _NOUNS[kind][language]
    return one if (abs(count) < 2 if language == "fr" else count == 1) else many


def _where(feature: Feature, vocabulary: Vocabulary, language: Language) -> str:
    text = ""
    if feature.channel not in {None, "any"}:
        text += _PHRASES["channel"][language].format(channel=vocabulary.channel(str(feature.channel)).label(language))
    if feature.topic == "any-topic":
        text += _PHRASES["any-topic"][language]
    elif feature.topic not in {None, "any"}:
        text += _PHRASES["topic"][language].format(topic=vocabulary.topic(str(feature.topic)).label(language))
    return text


def _window(feature: Feature, language: Language) -> str:
    days = feature.window_days
    if days is None:
        return _PHRASES["all"][language]
    return _PHRASES["day" if days == 1 else "days"][language].format(count=_number(days, language, 0))


def _de(noun: str) -> str:
    """Return French `de` before a noun, elided before a vowel."""
    return f"d\u2019{noun}" if noun[:1].lower() in "aeiouyhàâäéèêëîïôöùûü" else f"de {noun}"


def _phrase(key: str, feature: Feature, value: float, vocabulary: Vocabulary, language: Language) -> str:
    one, many = _noun(feature, 1, vocabulary, language), _noun(feature, 2, vocabulary, language)
    unit = vocabulary.kind(str(feature.kind)).unit if feature.statistic == "sum" else ""
    return _PHRASES[key][language].format(
        one=one,
        many=many,
        de_one=_de(one),
        noun=_noun(feature, value, vocabulary, language),
        number=_number(value, language, 0 if feature.statistic in {"count", "machine"} else 2),
        percent=_number(100 * value, language, 0),
        where=_where(feature, vocabulary, language),
        window=_window(feature, language),
        unit=unit or "",
        days=_days(value, language) if math.isfinite(value) else "",
        half_life=_days(feature.half_life_days or 0, language),
    )


def _counted(feature: Feature, value: float, vocabulary: Vocabulary, language: Language) -> str:
    key = "none" if value == 0 and feature.statistic == "count" else feature.statistic
    return _phrase(key, feature, value, vocabulary, language)


def _recency(feature: Feature, value: float, vocabulary: Vocabulary, language: Language) -> str:
    key = "never" if math.isnan(value) else "today" if value < 1 else "recency"
    return _phrase(key, feature, value, vocabulary, language)


def _attribute(feature: Feature, value: float, vocabulary: Vocabulary, language: Language) -> str:
    attribute = vocabulary.attribute(str(feature.id))
    if math.isnan(value):
        key = "unknown"
    elif feature.category is None:
        key = "attribute"
    else:
        key = "is" if value == 1 else "is_not"
    unit = f" {attribute.unit}" if attribute.unit else ""
    label = attribute.label(language)
    number = "" if math.isnan(value) else _number(value, language)
    return _PHRASES[key][language].format(label=label[:1].upper() + label[1:], number=number, unit=unit, category=feature.category)


def _age(feature: Feature, value: float, _: Vocabulary, language: Language) -> str:
    key = "no_age" if math.isnan(value) else feature.statistic
    return _PHRASES[key][language].format(number="" if math.isnan(value) else _number(value, language, 0))


def _tenure(feature: Feature, value: float, _: Vocabulary, language: Language) -> str:
    key = "no_tenure" if math.isnan(value) else feature.statistic
    return _PHRASES[key][language].format(days="" if math.isnan(value) else _days(value, language))


_WRITERS: MappingProxyType[str, Callable[[Feature, float, Vocabulary, Language], str]] = MappingProxyType(
    {
        "count": _counted,
        "machine": _counted,
        "sum": _counted,
        "share": _counted,
        "supply": _counted,
        "decayed": _counted,
        "recency": _recency,
        "attribute": _attribute,
        "age": _age,
        "tenure": _tenure,
    }
)
