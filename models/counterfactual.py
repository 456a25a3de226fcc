"""What would have to be different for a score to lie in another band: the smallest change of a few features, checked with the model itself (pure).

Wachter, Mittelstadt and Russell (2017) call this a counterfactual explanation. Only features that a person's doings change are moved, only to values that
occur in the base, and only as the model itself says of the changed row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from features.catalogue import ALL, SOME_TOPIC, Feature, FeatureError, family_of, parse_name
from features.vocabulary import Vocabulary

Floats = NDArray[np.float64]
Judge = Callable[[NDArray[np.float32]], Floats]
"""Of rows (k, F): how far each is from where it shall be (k,), in any unit; 0 or less where it has arrived."""

MOST_CHANGES = 3
ACTIONABLE = ("frequency", "channels", "topics", "kinds by topic", "recency", "value", "attention", "channel preference", "stated interests")
"""Families of `features.catalogue` that a person's doings change."""
_STATISTICS = ("count", "recency", "sum", "largest", "share", "declared")
"""Of these families, what can be said in one sentence; when somebody first came, or how attention is spread, is nothing that one would do."""
_OWN = ("any-engagement", "any-in", "any-declared")
_QUANTILES = np.linspace(0.05, 0.95, 10)
_WIDTH = 40
"""Features that are looked at again for a second and a third change: those that brought the score nearest by themselves."""
_STRETCH = 1e-9


@dataclass(frozen=True, slots=True)
class Change:
    """One feature's other value (NaN: none), and the place of its column."""

    column: int
    value: float


@dataclass(frozen=True, slots=True)
class Moves:
    """What may be changed: columns with the values that occur, and, beside each, the columns of longer and of shorter windows, which follow it."""

    columns: tuple[int, ...]
    values: tuple[NDArray[np.float32], ...]
    longer: tuple[tuple[int, ...], ...]
    shorter: tuple[tuple[int, ...], ...]


def actionable(columns: Sequence[str], vocabulary: Vocabulary) -> list[int]:
    """Return the places of the columns that a person's own doings change."""
    own = {*_OWN, *(kind.id for kind in vocabulary.kinds if kind.direction == "in")}
    return [place for place, feature in enumerate(map(_parsed, columns)) if feature is not None and feature.kind in own and _moves(feature)]


def moves(columns: Sequence[str], base: NDArray[np.float32], vocabulary: Vocabulary) -> Moves:
    """Return what may be changed, to which values: some that occur in `base` (n, F), spread over its ranks, and none at all where that occurs too."""
    places = actionable(columns, vocabulary)
    features = {place: feature for place in places if (feature := _parsed(columns[place])) is not None}
    windows = _windows(features)
    values = tuple(_values(base[:, place]) for place in places)
    longer = tuple(tuple(later for later in windows[place] if _days(features[later]) > _days(features[place])) for place in places)
    shorter = tuple(tuple(other for other in windows[place] if _days(features[other]) < _days(features[place])) for place in places)
    return Moves(tuple(places), values, longer, shorter)


def counterfactual(row: NDArray[np.float32], found: Moves, judge: Judge, base: NDArray[np.float32], *, most: int = MOST_CHANGES) -> tuple[Change, ...] | None:
    """Return the smallest change that `judge` says is enough: of as few features as possible, at most `most`; then of the shortest way in ranks of `base`.

    Greedy: where no feature alone is enough, the one that brings the row (F,) nearest is kept and another is looked for. None where nothing was found.
    """
    made: tuple[Change, ...] = ()
    options = _options(row, found)
    for _ in range(most):
        taken = {column for change in made for column in _moved(found, change)}
        tried = [change for change in options if taken.isdisjoint(_moved(found, change))]
        if not tried:
            return None
        distances = judge(np.stack([changed(row, found, (*made, change)) for change in tried]))
        enough = np.flatnonzero(distances <= 0)
        if len(enough):
            lengths = [_length(row, tried[index], base) for index in enough.tolist()]
            return (*made, tried[int(enough[int(np.argmin(lengths))])])
        made = (*made, tried[int(np.argmin(distances))])
        options = _nearest(tried, distances)
    return None


def changed(row: NDArray[np.float32], found: Moves, changes: Sequence[Change]) -> NDArray[np.float32]:
    """Return the row (F,) with the changes; what was done within a shorter window was done within the longer ones too, and stays below them."""
    other = row.copy()
    for change in changes:
        place = found.columns.index(change.column)
        other[change.column] = change.value
        longer, shorter = list(found.longer[place]), list(found.shorter[place])
        other[longer] = np.fmax(other[longer], np.float32(change.value))
        other[shorter] = np.fmin(other[shorter], np.float32(change.value))
    return other


def _moved(found: Moves, change: Change) -> set[int]:
    """Return the columns that a change may move: its own and those of other windows."""
    place = found.columns.index(change.column)
    return {change.column, *found.longer[place], *found.shorter[place]}


def _options(row: NDArray[np.float32], found: Moves) -> list[Change]:
    every = [Change(column, float(value)) for column, values in zip(found.columns, found.values, strict=True) for value in values]
    return [change for change in every if not _same(change.value, float(row[change.column]))]


def _nearest(tried: list[Change], distances: Floats) -> list[Change]:
    """Return the options of the features that came nearest, in the order they were in."""
    best: dict[int, float] = {}
    for change, distance in zip(tried, distances.tolist(), strict=True):
        best[change.column] = min(best.get(change.column, np.inf), distance)
    kept = set(sorted(best, key=lambda column: best[column])[:_WIDTH])
    return [change for change in tried if change.column in kept]


def _length(row: NDArray[np.float32], change: Change, base: NDArray[np.float32]) -> float:
    """Return how many of the base stand between the old value and the new one (0 to 1); to or from none at all is the whole way."""
    old = float(row[change.column])
    if np.isnan(old) or np.isnan(change.value):
        return 1.0
    low, high = sorted((old, change.value))
    column = base[:, change.column]
    return float(np.mean((column >= low) & (column <= high))) + _STRETCH * (high - low)


def _values(column: NDArray[np.float32]) -> NDArray[np.float32]:
    known = column[~np.isnan(column)]
    some = np.unique(np.quantile(known, _QUANTILES, method="inverted_cdf")) if len(known) else known
    return np.append(some, np.float32(np.nan)).astype(np.float32) if len(known) < len(column) else some.astype(np.float32)


def _windows(features: dict[int, Feature]) -> dict[int, list[int]]:
    """Return with each column those that say the same of other windows, where one holds the other: counts."""

    def same(place: int) -> tuple[str, ...]:
        feature = features[place]
        return (feature.statistic, str(feature.kind), str(feature.channel), str(feature.topic)) if feature.statistic == "count" else (str(place),)

    groups = [list(members) for _, members in groupby(sorted(features, key=same), key=same)]
    return {place: group for group in groups for place in group}


def _days(feature: Feature) -> float:
    return float("inf") if feature.window in {None, ALL} else float(str(feature.window).removesuffix("d"))


def _moves(feature: Feature) -> bool:
    said = feature.topic != SOME_TOPIC or feature.statistic == "count"
    return feature.statistic in _STATISTICS and family_of(feature) in ACTIONABLE and said


def _parsed(column: str) -> Feature | None:
    try:
        return parse_name(column)
    except FeatureError:
        return None


def _same(one: float, other: float) -> bool:
    return one == other or (np.isnan(one) and np.isnan(other))
