"""The arithmetic of features over a person's tallies, as relational expressions (pure).

A *tally* is what a plain aggregation gives for one feature: a number of interactions, a total in whole multiples of a resolution, a
least or a largest. `at(feature)` stands for the column of that feature's tally. Everything is float64, null where it is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ibis

from features.catalogue import CONTEXTUAL
from features.definition import ALL, ANY, DECLARED, ENGAGEMENT, Feature
from features.layout import DAY, DECAY_RESOLUTION, VALUE_RESOLUTION, share_parts
from features.vocabulary import Vocabulary

At = Callable[[Feature], Any]

_WEIGHTS_PER_COUNT = int(1 / DECAY_RESOLUTION)
_PARTS_PER_UNIT = int(1 / VALUE_RESOLUTION)
_AS_TALLIED = frozenset({"count", "machine", "recency", "first", "largest", "unanswered", "switches", "declared"})
ANSWERS = Feature("count", ENGAGEMENT, ANY, ANY, ALL)
"""What hours and weekdays are shares of."""


def number(value: float) -> Any:
    """Return a whole number as float64, with no decimal literal in the SQL of any engine."""
    if value != int(value):
        raise ValueError(f"{value!r} is not a whole number: pass it as a column, so that no engine reads it as a decimal")
    return ibis.literal(int(value)).cast("float64")


def needs(feature: Feature, vocabulary: Vocabulary) -> tuple[Feature, ...]:
    """Return the features whose tallies the value of a feature of the person's own is made of."""
    found: dict[Feature, None] = {}

    def at(asked: Feature) -> Any:
        found[asked] = None
        return number(1)

    if feature.statistic not in CONTEXTUAL and feature.statistic not in _OF_PEOPLE:
        value(feature, at, vocabulary)
    return tuple(found)


def value(feature: Feature, at: At, vocabulary: Vocabulary) -> Any:
    """Return the value of a feature that a person's own interactions make."""
    if feature.statistic in _AS_TALLIED:
        return at(feature)
    return _FORMULAS[feature.statistic](feature, at, vocabulary)


def personal(feature: Feature, known: Any, as_of_us: int, as_of_year: int, vocabulary: Vocabulary) -> Any:
    """Return the value of age, tenure or an attribute; `known` has the columns of `features.query.attributes`."""
    if feature.statistic == "age":
        years = number(as_of_year) - known.birth_year
        return ibis.ifelse(years >= 0, years, ibis.null("float64"))
    if feature.statistic == "tenure":
        return (ibis.literal(as_of_us // DAY) - known.joined_us // DAY).cast("float64")
    given = known[f"attribute_{feature.id}"]
    if feature.category is None:
        return ibis.ifelse(given.isnan(), ibis.null("float64"), given)
    code = vocabulary.attribute(str(feature.id)).categories.index(feature.category)
    return ibis.ifelse(given.isnull(), ibis.null("float64"), flag(given == code))


def flag(condition: Any) -> Any:
    """Return 1.0 where a condition holds, 0.0 where it does not, null where it is null."""
    return ibis.ifelse(condition, number(1), number(0))


def over(numerator: Any, denominator: Any) -> Any:
    """Return the quotient of two columns that are not negative, missing where the denominator is 0."""
    return numerator / denominator.nullif(number(0))


def _share(feature: Feature, at: At, _: Vocabulary) -> Any:
    part, whole = share_parts(feature)
    return over(at(part), at(whole))


def _entropy(feature: Feature, at: At, vocabulary: Vocabulary) -> Any:
    counts = [at(Feature("count", feature.kind, feature.channel, topic, feature.window)) for topic in vocabulary.topic_ids]
    total = _added(counts)
    spread = _added([_surprise(count, total) for count in counts])
    return ibis.ifelse(total > 0, spread, ibis.null("float64"))


def _surprise(count: Any, total: Any) -> Any:
    """Return -p log2 p of p = count / total, 0 where it is 0; the logarithm never sees a zero."""
    part = ibis.ifelse(count > 0, count, number(1)) / ibis.greatest(total, number(1))
    return ibis.ifelse(count > 0, number(0) - part * part.log2(), number(0))


def _trend(feature: Feature, at: At, _: Vocabulary) -> Any:
    short, long = (at(Feature("count", feature.kind, feature.channel, feature.topic, window)) for window in (feature.window, feature.over))
    expected = long * (number(feature.window_days or 0) / number(feature.over_days or 1))
    return (short + number(1)) / (expected + number(1))


def _habit(feature: Feature, at: At, _: Vocabulary) -> Any:
    first, last = (at(Feature(statistic, feature.kind, feature.channel, feature.topic)) for statistic in ("first", "recency"))
    count = at(_ever(feature))
    return ibis.ifelse(count >= 2, (first - last) / ibis.greatest(count - number(1), number(1)), ibis.null("float64"))


def _overdue(feature: Feature, at: At, vocabulary: Vocabulary) -> Any:
    usual = Feature("habit", feature.kind, feature.channel, feature.topic)
    last, count = at(Feature("recency", feature.kind, feature.channel, feature.topic)), at(_ever(feature))
    return ibis.ifelse(count >= 2, last / ibis.greatest(_habit(usual, at, vocabulary), number(1)), ibis.null("float64"))


def _ever(feature: Feature) -> Feature:
    return Feature("count", feature.kind, feature.channel, feature.topic, ALL)


def _stated_age(feature: Feature, at: At, _: Vocabulary) -> Any:
    return at(Feature("recency", DECLARED, feature.channel, feature.topic))


def _sum(feature: Feature, at: At, _: Vocabulary) -> Any:
    return at(feature) / number(_PARTS_PER_UNIT)


def _decayed(feature: Feature, at: At, _: Vocabulary) -> Any:
    return at(feature) / number(_WEIGHTS_PER_COUNT)


def _rhythm(feature: Feature, at: At, _: Vocabulary) -> Any:
    return over(at(feature), at(ANSWERS))


def _source(feature: Feature, at: At, vocabulary: Vocabulary) -> Any:
    code = at(Feature("source", which=feature.which, type=vocabulary.source_types[0].id))
    found = [item.id for item in vocabulary.source_types].index(str(feature.type))
    return ibis.ifelse(code.isnull(), ibis.null("float64"), flag(code == found))


def _added(columns: list[Any]) -> Any:
    """Return the sum, added in order."""
    total = number(0)
    for column in columns:
        total = total + column
    return total


_OF_PEOPLE = frozenset({"age", "tenure", "attribute"})
_FORMULAS: dict[str, Callable[[Feature, At, Vocabulary], Any]] = {
    "share": _share,
    "entropy": _entropy,
    "trend": _trend,
    "habit": _habit,
    "overdue": _overdue,
    "declared_age": _stated_age,
    "sum": _sum,
    "decayed": _decayed,
    "daypart": _rhythm,
    "weekday": _rhythm,
    "source": _source,
}

__all__ = ["ANSWERS", "needs", "number", "over", "personal", "value"]
