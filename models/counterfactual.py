"""What would have to be different for a score to lie in another band: the smallest change of a few features, checked with the model itself (pure).

Wachter, Mittelstadt and Russell (2017) call this a counterfactual explanation. Only features that a person's doings change are moved, only to values that
occur in the base, and only as the model itself says of the changed row. Counts and times since that are within or around what is changed follow it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.catalogue import ALL, ANY, DECLARED, ENGAGEMENT, INCOMING, OUTGOING, SOME_TOPIC, Feature, FeatureError, family_of, parse_name
from features.vocabulary import Vocabulary

Floats = NDArray[np.float64]
Judge = Callable[[NDArray[np.float32]], Floats]
"""Of rows (k, F): how far each is from where it shall be (k,), in any unit; 0 or less where it has arrived."""

MOST_CHANGES = 3
ACTIONABLE = ("frequency", "channels", "topics", "kinds by topic", "recency", "value", "stated interests")
"""Families of `features.catalogue` that a person's doings change."""
_STATISTICS = ("count", "recency", "sum", "largest", "declared")
"""Of these families, what can be said in one sentence; when somebody first came, or how attention is shared out, is nothing that one would do."""
_OWN = (ENGAGEMENT, INCOMING, DECLARED)
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
class Follow:
    """Places of the columns that follow a change of one count, or of one time since: those that contain what is changed, and those that it contains.

    `days` is the window of a count, infinite for all time. Of counts beside a time since, `counts_around` and `counts_within` come with their windows.
    """

    around: tuple[int, ...] = ()
    within: tuple[int, ...] = ()
    days: float = np.inf
    since: bool = False
    since_around: tuple[int, ...] = ()
    since_within: tuple[int, ...] = ()
    counts_around: tuple[tuple[int, float], ...] = ()
    counts_within: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Moves:
    """What may be changed: columns with the values that occur, and, beside each, what follows."""

    columns: tuple[int, ...]
    values: tuple[NDArray[np.float32], ...]
    follows: tuple[Follow, ...]


def actionable(columns: Sequence[str], vocabulary: Vocabulary) -> list[int]:
    """Return the places of the columns that a person's own doings change."""
    own = {*_OWN, *(kind.id for kind in vocabulary.kinds if kind.direction == "in")}
    return [place for place, feature in enumerate(map(_parsed, columns)) if feature is not None and feature.kind in own and _moves(feature)]


def moves(columns: Sequence[str], base: NDArray[np.float32], vocabulary: Vocabulary) -> Moves:
    """Return what may be changed, to which values: some that occur in `base` (n, F), spread over its ranks, and none at all where that occurs too."""
    places = actionable(columns, vocabulary)
    features = {place: feature for place, feature in enumerate(map(_parsed, columns)) if feature is not None and feature.statistic in {"count", "recency"}}
    said = {place: _Said.of(feature, vocabulary) for place, feature in features.items()}
    follows = tuple(_follow(said[place], said) if place in said else Follow() for place in places)
    return Moves(tuple(places), tuple(_values(base[:, place]) for place in places), follows)


def counterfactual(row: NDArray[np.float32], found: Moves, judge: Judge, base: NDArray[np.float32], *, most: int = MOST_CHANGES) -> tuple[Change, ...] | None:
    """Return the smallest change that `judge` says is enough: of as few features as possible, at most `most`; then of the shortest way in ranks of `base`.

    Greedy: where no feature alone is enough, the one that brings the row (F,) nearest is kept and another is looked for. None where nothing was found.
    """
    made: tuple[Change, ...] = ()
    options = _options(row, found)
    for _ in range(most):
        options, rows = _tried(row, found, made, options)
        if not options:
            return None
        distances = judge(rows)
        enough = np.flatnonzero(distances <= 0)
        if len(enough):
            lengths = [_length(row, options[index], base) for index in enough.tolist()]
            return (*made, options[int(enough[int(np.argmin(lengths))])])
        made = (*made, options[int(np.argmin(distances))])
        options = _nearest(options, distances)
    return None


def changed(row: NDArray[np.float32], found: Moves, changes: Sequence[Change]) -> NDArray[np.float32]:
    """Return the row (F,) with the changes and what follows from them; a time since that is missing means never."""
    other = row.copy()
    for change in changes:
        follow, value = found.follows[found.columns.index(change.column)], np.float32(change.value)
        (_follow_since if follow.since else _follow_count)(other, follow, value)
        other[change.column] = value
    return other


def _follow_count(row: NDArray[np.float32], follow: Follow, value: np.float32) -> None:
    around, within = list(follow.around), list(follow.within)
    row[around] = np.fmax(row[around], value)
    row[within] = np.fmin(row[within], value)
    if value > 0 and np.isfinite(follow.days):
        _at_most(row, follow.since_around, follow.days - 1)
    if value == 0:
        _at_least(row, follow.since_within, follow.days)


def _follow_since(row: NDArray[np.float32], follow: Follow, value: np.float32) -> None:
    days = np.inf if np.isnan(value) else float(value)
    _at_most(row, follow.around, days)
    _at_least(row, follow.within, days)
    some = [place for place, window in follow.counts_around if window > days]
    row[some] = np.fmax(row[some], np.float32(1))
    row[[place for place, window in follow.counts_within if window <= days]] = 0


def _at_most(row: NDArray[np.float32], places: Sequence[int], days: float) -> None:
    since = np.nan_to_num(row[list(places)], nan=np.inf)
    row[list(places)] = _or_never(np.minimum(since, days))


def _at_least(row: NDArray[np.float32], places: Sequence[int], days: float) -> None:
    since = np.nan_to_num(row[list(places)], nan=np.inf)
    row[list(places)] = _or_never(np.maximum(since, days))


def _or_never(since: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(np.isinf(since), np.nan, since).astype(np.float32)


def _tried(row: NDArray[np.float32], found: Moves, made: tuple[Change, ...], options: list[Change]) -> tuple[list[Change], NDArray[np.float32]]:
    """Return the options that leave what was changed before as it was changed, and the rows with them."""
    taken = {change.column for change in made}
    tried = [change for change in options if change.column not in taken]
    rows = [changed(row, found, (*made, change)) for change in tried]
    kept = [index for index, other in enumerate(rows) if all(_same(float(other[change.column]), change.value) for change in made)]
    return [tried[index] for index in kept], np.stack([rows[index] for index in kept]) if kept else np.empty((0, len(row)), np.float32)


@dataclass(frozen=True, slots=True)
class _Said:
    """What a count or a time since speaks of: which kinds, channel and topic, within how many days."""

    statistic: str
    kinds: frozenset[str]
    channel: str
    topic: str
    days: float

    @classmethod
    def of(cls, feature: Feature, vocabulary: Vocabulary) -> _Said:
        every = {ANY: vocabulary.kinds, ENGAGEMENT: [each for each in vocabulary.kinds if each.engagement]}
        every |= {
            INCOMING: [each for each in vocabulary.kinds if each.direction == "in"],
            OUTGOING: [each for each in vocabulary.kinds if each.direction == "out"],
        }
        every |= {DECLARED: [each for each in vocabulary.kinds if each.declares]}
        kind = str(feature.kind)
        kinds = frozenset(each.id for each in every[kind]) if kind in every else frozenset({kind})
        days = np.inf if feature.window in {None, ALL} else float(str(feature.window).removesuffix("d"))
        return cls(feature.statistic, kinds, str(feature.channel), str(feature.topic), days)

    def holds(self, other: _Said) -> bool:
        """Return whether all that the other speaks of, this one speaks of too, whatever the days."""
        topic = self.topic in {ANY, other.topic} or (self.topic == SOME_TOPIC and other.topic != ANY)
        return other.kinds <= self.kinds and self.channel in {ANY, other.channel} and topic


def _follow(one: _Said, said: dict[int, _Said]) -> Follow:
    others = {place: other for place, other in said.items() if other is not one}
    around = {place: other for place, other in others.items() if other.holds(one)}
    within = {place: other for place, other in others.items() if one.holds(other)}
    since_around, since_within = (_places(group, "recency") for group in (around, within))
    if one.statistic == "recency":
        counts = [tuple((place, other.days) for place, other in group.items() if other.statistic == "count") for group in (around, within)]
        return Follow(since_around, since_within, since=True, counts_around=counts[0], counts_within=counts[1])
    longer = _places({place: other for place, other in around.items() if other.days >= one.days}, "count")
    shorter = _places({place: other for place, other in within.items() if other.days <= one.days}, "count")
    return Follow(longer, shorter, one.days, since_around=since_around, since_within=since_within)


def _places(said: dict[int, _Said], statistic: str) -> tuple[int, ...]:
    return tuple(place for place, other in said.items() if other.statistic == statistic)


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
