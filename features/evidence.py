"""Which of one person's projected interactions a value is made of (pure).

The cells that a feature is about come from its layout, what a formula takes from `features.formulas` and `features.context`: nothing is
defined again here but which few interactions decide where few do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features import context, formulas
from features.catalogue import CONTEXTUAL
from features.definition import ANY, ENGAGEMENT, Feature
from features.layout import DAY, Layout, weights
from features.vocabulary import Vocabulary

Mask = NDArray[np.bool_]

_ANYTHING = Feature("recency", ANY, ANY, ANY)


class Records(NamedTuple):
    """Projected interactions of one person, each (records,); an interaction with several topics has a record for each.

    Key and age bucket of the cell; days and microseconds since; value, NaN for none; code of the source.
    """

    key: NDArray[np.int32]
    bucket: NDArray[np.int32]
    days: NDArray[np.int32]
    age: NDArray[np.int64]
    value: NDArray[np.float64]
    source: NDArray[np.int32]

    @classmethod
    def of(cls, projected: pa.Table, plan: Layout) -> Records:
        """Return the result of `query.projection` as arrays."""
        n_buckets = len(plan.bounds) + 1
        cell, days, age, source = (projected.column(name).to_numpy() for name in ("cell", "days", "age", "source"))
        return cls(cell // n_buckets, cell % n_buckets, days, age, pc.fill_null(projected.column("value"), math.nan).to_numpy(), source)

    def about(self, feature: Feature, plan: Layout) -> Mask:
        """Return (records,) which ones a count, a sum, a recency… takes in: those of its cells."""
        days = feature.window_days
        last = len(plan.bounds) if days is None else plan.bounds.index(days * DAY)
        return np.isin(self.key, plan.keys(feature)) & (self.bucket <= last)


def inputs(feature: Feature, vocabulary: Vocabulary) -> tuple[Feature, ...]:
    """Return the features whose interactions a value is made of: its own, or those that its formula takes; none where there are none."""
    if feature.statistic == "supply":
        return ()
    if feature.statistic in CONTEXTUAL:
        return (*context.numerators(feature, vocabulary), context.denominator(feature))
    if feature.statistic == "source":
        return (_ANYTHING,)
    if feature.statistic == "unanswered":
        return (feature, _answers(feature))
    return formulas.needs(feature, vocabulary)


def made_of(feature: Feature, parts: Sequence[Feature], records: Records, plan: Layout) -> Mask:
    """Return (records,) which ones the value is made of, `parts` being its `inputs`; see `features.lineage.lineage` for which where few decide."""
    chosen = np.zeros(len(records.key), dtype=bool)
    for part in parts:
        chosen |= records.about(part, plan)
    if feature.statistic == "unanswered":
        return _unanswered(records, records.about(feature, plan), records.about(_answers(feature), plan))
    narrow = _NARROWED.get(feature.statistic)
    return chosen if narrow is None else narrow(feature, records, chosen)


def _answers(feature: Feature) -> Feature:
    """Return what tells the answers after which messages are unanswered."""
    return Feature("recency", ENGAGEMENT, feature.channel, feature.topic)


def _latest(_: Feature, records: Records, chosen: Mask) -> Mask:
    return chosen & (records.age == records.age[chosen].min(initial=np.iinfo(np.int64).max))


def _earliest(_: Feature, records: Records, chosen: Mask) -> Mask:
    return chosen & (records.age == records.age[chosen].max(initial=0))


def _valued(_: Feature, records: Records, chosen: Mask) -> Mask:
    return chosen & ~np.isnan(records.value)


def _largest(feature: Feature, records: Records, chosen: Mask) -> Mask:
    valued = _valued(feature, records, chosen)
    return valued & (records.value == records.value[valued].max(initial=-math.inf))


def _stated(feature: Feature, records: Records, chosen: Mask) -> Mask:
    latest = _latest(feature, records, chosen)
    said = np.where(np.isnan(records.value), 1.0, records.value)
    return latest & (said == said[latest].max(initial=-math.inf))


def _sourced(feature: Feature, records: Records, chosen: Mask) -> Mask:
    at_once = (_earliest if feature.which == "first" else _latest)(feature, records, chosen)
    return at_once & (records.source == records.source[at_once].min(initial=np.iinfo(np.int32).max))


def _weighing(feature: Feature, records: Records, chosen: Mask) -> Mask:
    weight = weights([feature.half_life_days or 1])[0]
    return chosen & (weight[np.minimum(records.days, len(weight) - 1)] > 0)


def _unanswered(records: Records, messages: Mask, answers: Mask) -> Mask:
    """Choose the messages after the last answer and, where messages went before it, that answer."""
    since = records.age[answers].min(initial=np.iinfo(np.int64).max)
    before = messages & (records.age >= since)
    return (messages & ~before) | (answers & (records.age == since) & before.any())


_NARROWED: dict[str, Callable[[Feature, Records, Mask], Mask]] = {
    "recency": _latest,
    "first": _earliest,
    "largest": _largest,
    "sum": _valued,
    "decayed": _weighing,
    "declared": _stated,
    "declared_age": _stated,
    "source": _sourced,
}

__all__ = ["Records", "inputs", "made_of"]
