"""What some features need to know of the base as a whole: supply of topics, usual response rates, the areas' totals (pure).

All of it is made of sums over columns of the base's own vectors. Whole numbers below 2^53 add up exactly in float64, so neither the order of people
nor the engine that adds can matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.catalogue import CONTEXTUAL
from features.definition import ALL, ANY, ENGAGEMENT, OUTGOING, Feature
from features.vocabulary import Vocabulary

LEAST_STRENGTH, MOST_STRENGTH = 0.5, 1e6
"""A prior weighs as much as this many messages at least, and at most (where people do not differ)."""

Floats = NDArray[np.float64]


class Prior(NamedTuple):
    """What is expected of somebody of whom little is known: `mean` answers per message, weighing as much as `strength` messages."""

    mean: float
    strength: float


class Moments(NamedTuple):
    """Sums over units (people, areas) with `x` answers and `s` messages."""

    x: float
    s: float
    xx: float
    xs: float
    ss: float


def prior(moments: Moments) -> Prior:
    """Return the gamma prior of answers per message by the method of moments, each unit's answers being Poisson about its own rate.

    With rates that vary by `mean / strength` about their mean, the sum of (x - mean s)^2 is expected to be mean S + (mean / strength) times the
    sum of s^2. Source: Robbins 1956 and the negative binomial's moments.
    """
    if moments.s <= 0:
        return Prior(0.0, 1.0)
    mean = moments.x / moments.s
    if mean <= 0:
        return Prior(0.0, 1.0)
    excess = moments.xx - 2 * mean * moments.xs + mean * mean * moments.ss - mean * moments.s
    strength = mean * moments.ss / excess if excess > 0 else MOST_STRENGTH
    return Prior(mean, min(max(strength, LEAST_STRENGTH), MOST_STRENGTH))


def moments(x: Floats, s: Floats) -> Moments:
    """Return the sums of units with x answers and s messages, both (n,)."""
    return Moments(*(float(np.sum(values)) for values in (x, s, x * x, x * s, s * s)))


@dataclass(frozen=True)
class Context:
    """The base as of a time: `people` in it, priors by name of the feature, supply by name, and by name the areas' (answers, messages)."""

    as_of: datetime
    people: int
    priors: Mapping[str, Prior]
    supply: Mapping[str, float]
    areas: Mapping[str, Mapping[str, tuple[float, float]]] = field(repr=False)
    table_versions: Mapping[str, int] = field(default_factory=dict)
    """The versions of the tables that it was made from."""

    def to_state(self) -> dict[str, Any]:
        """Return the context as JSON-able values."""
        return {
            "as_of": self.as_of.isoformat(),
            "people": self.people,
            "priors": {name: list(one) for name, one in self.priors.items()},
            "supply": dict(self.supply),
            "areas": {name: {area: list(totals) for area, totals in areas.items()} for name, areas in self.areas.items()},
            "table_versions": dict(self.table_versions),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Context:
        """Return the context of `to_state`."""
        return cls(
            datetime.fromisoformat(state["as_of"]),
            int(state["people"]),
            {name: Prior(*map(float, one)) for name, one in state["priors"].items()},
            {name: float(value) for name, value in state["supply"].items()},
            {name: {area: (float(x), float(s)) for area, (x, s) in areas.items()} for name, areas in state["areas"].items()},
            dict(state["table_versions"]),
        )


@dataclass(frozen=True, slots=True)
class Formula:
    """A contextual feature: its column, the columns whose sum is `x`, and the column of `s`."""

    feature: Feature
    column: int
    answers: tuple[int, ...]
    messages: int


def numerators(feature: Feature, vocabulary: Vocabulary) -> tuple[Feature, ...]:
    """Return the counts of answers that a rate or an area's rate is made of, none for supply."""
    if feature.statistic == "supply":
        return ()
    if feature.kind == OUTGOING:
        return (Feature("count", ENGAGEMENT, feature.channel, feature.topic, feature.window),)
    return tuple(Feature("count", kind, ANY, ANY, feature.window) for kind in vocabulary.answers_to(str(feature.kind)))


def denominator(feature: Feature) -> Feature:
    """Return the count of messages that a contextual feature is made of."""
    return Feature("count", feature.kind, feature.channel, feature.topic, feature.window)


def formulas(features: Sequence[Feature], vocabulary: Vocabulary) -> tuple[Formula, ...]:
    """Return the contextual features among `features`; raises ValueError when counts they are made of are not among them."""
    place = {feature: column for column, feature in enumerate(features)}
    found = []
    for column, feature in enumerate(features):
        if feature.statistic in CONTEXTUAL:
            needed = (*numerators(feature, vocabulary), denominator(feature))
            missing = [one.name for one in needed if one not in place]
            if missing:
                raise ValueError(f"{feature.name} needs the counts it is made of in the same catalogue; missing: {', '.join(missing)}")
            found.append(Formula(feature, column, tuple(place[one] for one in needed[:-1]), place[needed[-1]]))
    return tuple(found)


class Sums:
    """Adds up what a context needs, block after block of people."""

    def __init__(self, formulas: Sequence[Formula]) -> None:
        self.formulas = tuple(formulas)
        self.people = 0
        self._moments = np.zeros((len(self.formulas), 5))
        self._areas: dict[str, Floats] = {}
        self._plan = plan_of(self.formulas)

    def add(self, matrix: NDArray[np.float32], area: NDArray[np.int32], areas: Sequence[str]) -> None:
        """Add people: `matrix` (n, columns) with all counts, `area` (n,) each one's position in `areas`, -1 where unknown."""
        self.people += len(matrix)
        totals = np.zeros((len(areas), len(self.formulas), 2))
        from features import loops  # noqa: PLC0415 - numba takes seconds to import, and who only reads a context has no need of it

        loops.add(matrix, self._plan, area, self._moments, totals)
        for name, found in zip(areas, totals, strict=True):
            self._areas[name] = self._areas.get(name, 0.0) + found

    def add_totals(self, people: int, moments: Floats, areas: Mapping[str, Floats]) -> None:
        """Add people whose sums another engine made: `moments` (formulas, 5) as in Moments, and by area (formulas, 2) answers and messages."""
        self.people += people
        self._moments += moments
        for name, found in areas.items():
            self._areas[name] = self._areas.get(name, 0.0) + found

    def context(self, as_of: datetime, table_versions: Mapping[str, int] | None = None) -> Context:
        """Return the context of the people added, who were read at these versions of the tables."""
        priors, supply, areas = {}, {}, {}
        named = sorted(self._areas)
        stacked = np.array([self._areas[name] for name in named]).reshape(len(named), len(self.formulas), 2)
        for number, formula in enumerate(self.formulas):
            name, found = formula.feature.name, Moments(*self._moments[number].tolist())
            if formula.feature.statistic == "supply":
                supply[name] = found.s / self.people if self.people else 0.0
            elif formula.feature.statistic == "rate":
                priors[name] = prior(found)
            else:
                x, s = stacked[:, number, 0], stacked[:, number, 1]
                priors[name] = prior(moments(x, s))
                areas[name] = {area: (float(a), float(b)) for area, a, b in zip(named, x, s, strict=True) if a or b}
        return Context(as_of, self.people, priors, supply, areas, dict(table_versions or {}))


class Plan(NamedTuple):
    """Formulas for `features.loops`; `statistic` is 0 for rate, 1 for area, 2 for supply."""

    column: NDArray[np.int64]
    starts: NDArray[np.int64]
    answers: NDArray[np.int64]
    messages: NDArray[np.int64]
    statistic: NDArray[np.int64]


def plan_of(formulas: Sequence[Formula]) -> Plan:
    """Return the formulas as arrays."""
    return Plan(
        np.array([formula.column for formula in formulas], dtype=np.int64),
        np.cumsum([0, *(len(formula.answers) for formula in formulas)]).astype(np.int64),
        np.array([column for formula in formulas for column in formula.answers], dtype=np.int64),
        np.array([formula.messages for formula in formulas], dtype=np.int64),
        np.array([("rate", "area", "supply").index(formula.feature.statistic) for formula in formulas], dtype=np.int64),
    )


def fill(matrix: NDArray[np.float32], area: NDArray[np.int32], areas: Sequence[str], formulas: Sequence[Formula], context: Context) -> None:
    """Write the contextual columns of `matrix` (n, columns), whose other columns are done; `area` and `areas` as for `Sums.add`."""
    numbers = np.zeros((len(formulas), 3))
    totals = np.zeros((len(areas), len(formulas), 2))
    for number, formula in enumerate(formulas):
        name = formula.feature.name
        if formula.feature.statistic == "supply":
            numbers[number, 2] = context.supply[name]
        else:
            numbers[number, :2] = context.priors[name]
        if formula.feature.statistic == "area":
            known = context.areas[name]
            totals[:, number] = [known.get(one, (0.0, 0.0)) for one in areas] if len(areas) else np.zeros((0, 2))
    from features import loops  # noqa: PLC0415 - as above

    loops.fill(matrix, plan_of(formulas), area, numbers, totals)


__all__ = ["ALL", "Context", "Formula", "Moments", "Prior", "Sums", "denominator", "fill", "formulas", "moments", "numerators", "plan_of", "prior"]
