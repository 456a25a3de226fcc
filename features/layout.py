"""Where each interaction lands: the numbering of cells, which columns a cell feeds, and the formulas over columns (pure).

A *key* numbers a combination of kind, channel, topic, place of the topic (0 the main one, 1 a further one), direction and machine; the
last code of kind, channel and topic stands for what the vocabulary does not list (or for no topic). A *cell* is a key in one of the
disjoint age buckets that the windows make: bucket `b` holds ages in `(window[b - 1], window[b]]`, the last bucket everything older, so
that sums over buckets are the half-open windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.definition import ANY, DAYPARTS, DECLARED, ENGAGEMENT, INCOMING, OUTGOING, SOME_TOPIC, WEEKDAYS, Feature
from features.vocabulary import Vocabulary

DAY = 86_400_000_000
"""Microseconds of a day."""

DECAY_RESOLUTION = 2.0**-40
"""Decayed counts are summed in whole multiples of this weight, so that their order cannot matter."""

VALUE_RESOLUTION = 2.0**-20
"""Values are summed in whole multiples of this many units (about a millionth)."""

WINDOWED = frozenset({"count", "machine", "sum"})
NONE = -1
"""Stands for a column that the catalogue does not have."""

_MISSING_WITHOUT = frozenset({"recency", "first", "largest", "declared", "declared_age", "attribute", "age", "tenure"})
"""Statistics that are missing until something is found; the others begin at 0."""

Indices = NDArray[np.int64]


class Links(NamedTuple):
    """For each source, the targets it feeds: `targets[starts[source] : starts[source + 1]]`."""

    starts: Indices
    targets: NDArray[np.int32]


class Reduction(NamedTuple):
    """All that `features.kernel` needs to know of a layout; "columns" are those of the matrix, NONE where there is none.

    `counts` and `sums` start from cells, the other links from keys. `decays` and `sums` lead to fixed-point accumulators: accumulator
    `a` ends in column `accumulated[a]` times `resolutions[a]`, and the first of them decay with the row `half_life_of[a]` of `weights`
    (half-lives, days). `rolling_counts` and `rolling_sums` are pairs (shorter window, longer window) to be added up in their order.
    `answers` and `messages` lead to places of `unanswered`, `declared` to rows of `declarations` (value's column, age's column).
    """

    n_buckets: int
    bounds: Indices
    template: NDArray[np.float32]
    counts: Links
    recencies: Links
    firsts: Links
    largest: Links
    decays: Links
    sums: Links
    answers: Links
    messages: Links
    declared: Links
    weights: Indices
    half_life_of: Indices
    accumulated: Indices
    resolutions: NDArray[np.float64]
    rolling_counts: Indices
    rolling_sums: Indices
    shares: Indices
    """(column, numerator's, denominator's)."""
    trends: Indices
    """(column, short window's count, long window's count)."""
    expected: NDArray[np.float64]
    """Per trend: length of the short window over that of the long one."""
    entropies: Links
    """From the places of `entropy_columns` to the counts of the topics."""
    entropy_columns: Indices
    habits: Indices
    """(habit's column, overdue's, recency's, first's, the count of all time)."""
    unanswered: Indices
    declarations: Indices
    answered: NDArray[np.bool_]
    """(keys,) whether it is an answer that counts for hours and weekdays."""
    rhythm: Indices
    """(4 parts of the day, then 7 weekdays) columns."""
    sequence: NDArray[np.int32]
    """(keys,) 1 + the topic of an answer whose place among answers counts for `switches`, else 0."""
    switches: int
    sourced: NDArray[np.bool_]
    """(keys,) whether it can be the first or the last interaction that a source is read from."""
    sources: Indices
    """(2, source types): columns of the first and of the last."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """How the columns of a catalogue are filled: bounds of the age buckets (microseconds), sizes of kind, channel, topic codes."""

    features: tuple[Feature, ...]
    bounds: tuple[int, ...]
    shape: tuple[int, int, int]
    reduction: Reduction
    keys: Callable[[Feature], Indices]
    """Returns the keys of the interactions that a feature's kind, channel and topic select, rising."""

    def columns(self, *statistics: str) -> list[int]:
        """Return the columns of these statistics, in order."""
        return _of(self.features, *statistics)


_MADE: dict[tuple[str, tuple[Feature, ...]], Layout] = {}
"""The last layouts made: making one takes longer than a small build, and a service asks for the same one all day."""
_MOST_MADE = 8


def layout(features: Sequence[Feature], vocabulary: Vocabulary) -> Layout:
    """Return the layout of `features` for a vocabulary. Raises ValueError when a formula's counts are not among them."""
    key = (vocabulary.fingerprint, tuple(features))
    if key not in _MADE:
        while len(_MADE) >= _MOST_MADE:
            _MADE.pop(next(iter(_MADE)), None)
        _MADE[key] = _make(key[1], vocabulary)
    return _MADE[key]


def _make(features: tuple[Feature, ...], vocabulary: Vocabulary) -> Layout:
    keys = Keys(vocabulary)
    place = {feature: column for column, feature in enumerate(features)}
    bounds = tuple(sorted({days * DAY for feature in features if feature.statistic in WINDOWED and (days := feature.window_days)}))
    decayed, summed = _of(features, "decayed"), _of(features, "sum")
    half_lives = sorted({feature.half_life_days or 1 for feature in features if feature.statistic == "decayed"})
    counts, rolling_counts = _windowed(features, {column: column for column in _of(features, "count", "machine")}, bounds, keys)
    sums, rolling_sums = _windowed(features, {column: len(decayed) + number for number, column in enumerate(summed)}, bounds, keys)
    unanswered = _of(features, "unanswered")
    declarations = [(column, place.get(_like(features[column], "declared_age"), NONE)) for column in _of(features, "declared")]
    trends = [(column, _at(place, features[column]), _at(place, features[column], window=features[column].over)) for column in _of(features, "trend")]
    entropies = _of(features, "entropy")
    reduction = Reduction(
        n_buckets=len(bounds) + 1,
        bounds=np.array(bounds, dtype=np.int64),
        template=np.array([np.nan if feature.statistic in _MISSING_WITHOUT else 0.0 for feature in features], dtype=np.float32),
        counts=counts,
        recencies=_by_key(features, _of(features, "recency"), keys),
        firsts=_by_key(features, _of(features, "first"), keys),
        largest=_by_key(features, _of(features, "largest"), keys),
        decays=_by_key(features, decayed, keys, numbered=True),
        sums=sums,
        answers=_links(((keys.of(_like(features[column], kind=ENGAGEMENT)), number) for number, column in enumerate(unanswered)), keys.size),
        messages=_by_key(features, unanswered, keys, numbered=True),
        declared=_links(((keys.of(features[column]), number) for number, (column, _) in enumerate(declarations)), keys.size),
        weights=weights(half_lives),
        half_life_of=np.array([half_lives.index(features[column].half_life_days or 1) for column in decayed], dtype=np.int64),
        accumulated=np.array(decayed + summed, dtype=np.int64),
        resolutions=np.array([DECAY_RESOLUTION] * len(decayed) + [VALUE_RESOLUTION] * len(summed)),
        rolling_counts=rolling_counts,
        rolling_sums=rolling_sums,
        shares=_table([(column, *_share(place, features[column])) for column in _of(features, "share")], 3),
        trends=_table(trends, 3),
        expected=np.array([(features[c].window_days or 0) / (features[c].over_days or 1) for c, _, _ in trends], dtype=np.float64),
        entropies=_grouped([[_at(place, features[c], topic=topic) for topic in vocabulary.topic_ids] for c in entropies]),
        entropy_columns=np.array(entropies, dtype=np.int64),
        habits=_table([_habit(place, features[column]) for column in _of(features, "habit")], 5),
        unanswered=np.array(unanswered, dtype=np.int64),
        declarations=_table(declarations, 2),
        answered=keys.flags(Feature("recency", ENGAGEMENT, ANY, ANY)),
        rhythm=np.array([place.get(feature, NONE) for feature in _RHYTHM], dtype=np.int64),
        sequence=_sequence(keys, vocabulary),
        switches=next(iter(_of(features, "switches")), NONE),
        sourced=keys.flags(Feature("recency", ANY, ANY, ANY)),
        sources=_sources(place, vocabulary),
    )
    return Layout(features, bounds, keys.shape[:3], reduction, keys.of)


def weights(half_lives: Sequence[int]) -> Indices:
    """Return (half-lives, days) int64: what an interaction of that many whole days counts, in multiples of DECAY_RESOLUTION.

    The table ends where every weight is 0; what is older counts nothing.
    """
    days = 42 * max(half_lives, default=0) + 1
    return np.array([[int(2.0**40 * 2.0 ** (-day / half) + 0.5) for day in range(days)] for half in half_lives], dtype=np.int64).reshape(-1, days)


def share_parts(feature: Feature) -> tuple[Feature, Feature]:
    """Return the counts that a share is made of: its own, and that of all topics, or of all channels where it names a channel."""
    part = _like(feature, "count")
    return part, _like(part, topic=SOME_TOPIC) if feature.topic != ANY else _like(part, channel=ANY)


_RHYTHM = (
    *(Feature("daypart", ENGAGEMENT, ANY, ANY, part=part) for part in DAYPARTS),
    *(Feature("weekday", ENGAGEMENT, ANY, ANY, day=day) for day in WEEKDAYS),
)


class Keys:
    """The numbering of keys: kind, channel, topic, place of the topic, direction (0 in, 1 out), machine (0 no, 1 yes), the last running fastest."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.kinds = [kind.id for kind in vocabulary.kinds]
        self.groups = {
            ENGAGEMENT: [self.kinds.index(kind) for kind in vocabulary.engagement_kinds],
            DECLARED: [number for number, kind in enumerate(vocabulary.kinds) if kind.declares],
        }
        self.channels = [channel.id for channel in vocabulary.channels]
        self.topics = list(vocabulary.topic_ids)
        self.shape = (len(self.kinds) + 1, len(self.channels) + 1, len(self.topics) + 1, 2, 2, 2)
        self.size = int(np.prod(self.shape))

    def of(self, feature: Feature) -> Indices:
        """Return the keys of the interactions that a feature is about, rising."""
        axes = (
            self._codes(self.kinds, feature.kind, self.groups),
            self._codes(self.channels, feature.channel, {}),
            self._codes(self.topics, feature.topic, {SOME_TOPIC: range(len(self.topics))}),
            [0] if feature.topic in {ANY, SOME_TOPIC} else [0, 1],
            [0] if feature.kind == INCOMING else [1] if feature.kind == OUTGOING else [0, 1],
            [1] if feature.statistic == "machine" else [0],
        )
        return np.ravel_multi_index(np.ix_(*axes), self.shape).ravel()

    def flags(self, feature: Feature) -> NDArray[np.bool_]:
        """Return (keys,) whether the feature is about them."""
        found = np.zeros(self.size, dtype=bool)
        found[self.of(feature)] = True
        return found

    @staticmethod
    def _codes(ids: list[str], selector: str | None, selectors: Mapping[str, Iterable[int]]) -> list[int]:
        if selector is not None and selector in selectors:
            return list(selectors[selector])
        return list(range(len(ids) + 1)) if selector in {ANY, INCOMING, OUTGOING} else [ids.index(str(selector))]


def _of(features: Sequence[Feature], *statistics: str) -> list[int]:
    return [column for column, feature in enumerate(features) if feature.statistic in statistics]


def _like(feature: Feature, statistic: str | None = None, **changed: str | None) -> Feature:
    """Return a feature of the same kind, channel, topic (and window, for counts), with these changes."""
    statistic = statistic or feature.statistic
    fields = {"kind": feature.kind, "channel": feature.channel, "topic": feature.topic}
    if statistic == "count":
        fields["window"] = feature.window
    return Feature(statistic, **(fields | changed))


def _at(place: dict[Feature, int], feature: Feature, **changed: str | None) -> int:
    """Return the column of the count that a formula needs."""
    needed = _like(feature, "count", **changed)
    if needed not in place:
        raise ValueError(f"{feature.name} needs the counts it is made of in the same catalogue; missing: {needed.name}")
    return place[needed]


def _share(place: dict[Feature, int], feature: Feature) -> tuple[int, int]:
    part, whole = share_parts(feature)
    return _at(place, part), _at(place, whole)


def _habit(place: dict[Feature, int], habit: Feature) -> tuple[int, int, int, int, int]:
    needed = [_like(habit, statistic) for statistic in ("recency", "first")]
    missing = [feature.name for feature in needed if feature not in place]
    if missing:
        raise ValueError(f"{habit.name} needs what it is made of in the same catalogue; missing: {', '.join(missing)}")
    overdue, counted = place.get(_like(habit, "overdue"), NONE), _at(place, habit, window="all")
    return place[habit], overdue, place[needed[0]], place[needed[1]], counted


def _sequence(keys: Keys, vocabulary: Vocabulary) -> NDArray[np.int32]:
    found = np.zeros(keys.size, dtype=np.int32)
    for number, topic in enumerate(vocabulary.topic_ids):
        about = keys.of(Feature("recency", ENGAGEMENT, ANY, topic))
        found[np.intersect1d(about, keys.of(Feature("recency", ENGAGEMENT, ANY, SOME_TOPIC)))] = number + 1
    return found


def _sources(place: dict[Feature, int], vocabulary: Vocabulary) -> Indices:
    return np.array(
        [[place.get(Feature("source", which=which, type=item.id), NONE) for item in vocabulary.source_types] for which in ("first", "last")], dtype=np.int64
    ).reshape(2, -1)


def _windowed(features: tuple[Feature, ...], targets: dict[int, int], bounds: tuple[int, ...], keys: Keys) -> tuple[Links, Indices]:
    """Return the links from cells to `targets[column]`, each age bucket to its shortest window, and the pairs that roll windows up."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for column in targets:
        feature = features[column]
        groups.setdefault((feature.statistic, feature.kind, feature.channel, feature.topic), []).append(column)
    n_buckets = len(bounds) + 1
    pairs: list[tuple[Indices, int]] = []
    rolling: list[tuple[int, int]] = []
    for columns in groups.values():
        windows = {column: features[column].window_days for column in columns}
        ends = {column: len(bounds) if days is None else bounds.index(days * DAY) for column, days in windows.items()}
        ordered = sorted(columns, key=ends.__getitem__)
        rolling += [(targets[shorter], targets[longer]) for shorter, longer in pairwise(ordered)]
        sources = keys.of(features[columns[0]]) * n_buckets
        for bucket in range(n_buckets):
            pairs += [(sources + bucket, targets[column]) for column in ordered if ends[column] >= bucket][:1]
    return _links(pairs, keys.size * n_buckets), _table(rolling, 2)


def _by_key(features: tuple[Feature, ...], columns: list[int], keys: Keys, *, numbered: bool = False) -> Links:
    """Return the links from keys to these columns, or to their places among them."""
    return _links(((keys.of(features[column]), number if numbered else column) for number, column in enumerate(columns)), keys.size)


def _links(pairs: Iterable[tuple[Indices, int]], size: int) -> Links:
    pairs = list(pairs)
    sources = np.concatenate([sources for sources, _ in pairs]) if pairs else np.empty(0, dtype=np.int64)
    targets = np.concatenate([np.full(len(sources), target, dtype=np.int32) for sources, target in pairs]) if pairs else np.empty(0, dtype=np.int32)
    order = np.argsort(sources, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(sources, minlength=size))])
    return Links(starts.astype(np.int64), targets[order])


def _grouped(groups: Sequence[Sequence[int]]) -> Links:
    starts = np.cumsum([0, *(len(group) for group in groups)])
    return Links(starts.astype(np.int64), np.array([column for group in groups for column in group], dtype=np.int32))


def _table(rows: Sequence[Sequence[int]], width: int) -> Indices:
    return np.array(rows, dtype=np.int64).reshape(-1, width)
