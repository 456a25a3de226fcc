"""Where each interaction lands: the numbering of cells, and which columns of the matrix a cell feeds (pure).

A *key* numbers a combination of kind, channel, topic, direction and machine; the last code of kind, channel and topic stands for what
the vocabulary does not list (or for no topic). A *cell* is a key in one of the disjoint age buckets that the windows make: bucket `b`
holds ages in `(window[b - 1], window[b]]`, the last bucket everything older, so that sums over buckets are the half-open windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.catalogue import ANY, ENGAGEMENT, INCOMING, OUTGOING, SOME_TOPIC, Feature
from features.vocabulary import Vocabulary

DAY = 86_400_000_000
"""Microseconds of a day."""

DECAY_RESOLUTION = 2.0**-40
"""Decayed counts are summed in whole multiples of this weight, so that their order cannot matter."""

VALUE_RESOLUTION = 2.0**-20
"""Values are summed in whole multiples of this many units (about a millionth)."""

_WINDOWED = {"count", "machine", "sum"}

Indices = NDArray[np.int64]


class Links(NamedTuple):
    """For each source, the targets it feeds: `targets[starts[source] : starts[source + 1]]`."""

    starts: Indices
    targets: NDArray[np.int32]


class Reduction(NamedTuple):
    """All that the kernels of `features.kernel` need to know of a layout.

    `counts` and `recencies` link cells and keys to columns of the matrix, `sums` and `decays` to fixed-point accumulators; accumulator
    `a` ends in column `accumulated[a]` times `resolutions[a]`. `half_life_of[a]` indexes `half_lives` (days) for the first
    accumulators. `rolling_counts` and `rolling_sums` are pairs (shorter window, longer window) to be added up in their order.
    `shares` are triples (column, numerator's column, denominator's column).
    """

    n_buckets: int
    counts: Links
    recencies: Links
    decays: Links
    sums: Links
    half_lives: NDArray[np.float64]
    half_life_of: Indices
    accumulated: Indices
    resolutions: NDArray[np.float64]
    rolling_counts: Indices
    rolling_sums: Indices
    shares: Indices


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """How the columns of a catalogue are filled: bounds of the age buckets (microseconds), sizes of kind, channel, topic codes."""

    features: tuple[Feature, ...]
    bounds: tuple[int, ...]
    shape: tuple[int, int, int]
    reduction: Reduction

    def columns(self, *statistics: str) -> list[int]:
        """Return the columns of these statistics, in order."""
        return _of(self.features, *statistics)


def layout(features: Sequence[Feature], vocabulary: Vocabulary) -> Layout:
    """Return the layout of `features` for a vocabulary. Raises ValueError when a share's numerator or denominator is not among them."""
    features = tuple(features)
    keys = _Keys(vocabulary)
    bounds = tuple(sorted({days * DAY for feature in features if feature.statistic in _WINDOWED and (days := feature.window_days)}))
    decayed = _of(features, "decayed")
    summed = _of(features, "sum")
    half_lives = sorted({feature.half_life_days or 0 for feature in features if feature.statistic == "decayed"})
    counts, rolling_counts = _windowed(features, {column: column for column in _of(features, "count", "machine")}, bounds, keys)
    sums, rolling_sums = _windowed(features, {column: len(decayed) + place for place, column in enumerate(summed)}, bounds, keys)
    reduction = Reduction(
        n_buckets=len(bounds) + 1,
        counts=counts,
        recencies=_links(((keys.of(features[column]), column) for column in _of(features, "recency")), keys.size),
        decays=_links(((keys.of(features[column]), place) for place, column in enumerate(decayed)), keys.size),
        sums=sums,
        half_lives=np.array(half_lives, dtype=np.float64),
        half_life_of=np.array([half_lives.index(features[column].half_life_days or 0) for column in decayed], dtype=np.int64),
        accumulated=np.array(decayed + summed, dtype=np.int64),
        resolutions=np.array([DECAY_RESOLUTION] * len(decayed) + [VALUE_RESOLUTION] * len(summed)),
        rolling_counts=rolling_counts,
        rolling_sums=rolling_sums,
        shares=_shares(features),
    )
    return Layout(features, bounds, keys.shape[:3], reduction)


def _of(features: Sequence[Feature], *statistics: str) -> list[int]:
    return [column for column, feature in enumerate(features) if feature.statistic in statistics]


class _Keys:
    """The numbering of keys: kind, channel, topic, direction (0 in, 1 out), machine (0 no, 1 yes), the last running fastest."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.kinds = [kind.id for kind in vocabulary.kinds]
        self.engagement = [self.kinds.index(kind) for kind in vocabulary.engagement_kinds]
        self.channels = [channel.id for channel in vocabulary.channels]
        self.topics = list(vocabulary.topic_ids)
        self.shape = (len(self.kinds) + 1, len(self.channels) + 1, len(self.topics) + 1, 2, 2)
        self.size = int(np.prod(self.shape))

    def of(self, feature: Feature) -> Indices:
        """Return the keys of the interactions that a feature is about, rising."""
        axes = (
            self._codes(self.kinds, feature.kind, {ENGAGEMENT: self.engagement}),
            self._codes(self.channels, feature.channel, {}),
            self._codes(self.topics, feature.topic, {SOME_TOPIC: range(len(self.topics))}),
            [0] if feature.kind == INCOMING else [1] if feature.kind == OUTGOING else [0, 1],
            [1] if feature.statistic == "machine" else [0],
        )
        return np.ravel_multi_index(np.ix_(*axes), self.shape).ravel()

    @staticmethod
    def _codes(ids: list[str], selector: str | None, selectors: dict[str, Iterable[int]]) -> list[int]:
        if selector in selectors:
            return list(selectors[selector])
        return list(range(len(ids) + 1)) if selector in {ANY, INCOMING, OUTGOING} else [ids.index(str(selector))]


def _windowed(features: tuple[Feature, ...], targets: dict[int, int], bounds: tuple[int, ...], keys: _Keys) -> tuple[Links, Indices]:
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
    return _links(pairs, keys.size * n_buckets), np.array(rolling, dtype=np.int64).reshape(-1, 2)


def _links(pairs: Iterable[tuple[Indices, int]], size: int) -> Links:
    pairs = list(pairs)
    sources = np.concatenate([sources for sources, _ in pairs]) if pairs else np.empty(0, dtype=np.int64)
    targets = np.concatenate([np.full(len(sources), target, dtype=np.int32) for sources, target in pairs]) if pairs else np.empty(0, dtype=np.int32)
    order = np.argsort(sources, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(sources, minlength=size))])
    return Links(starts.astype(np.int64), targets[order])


def _shares(features: tuple[Feature, ...]) -> Indices:
    counts = {(f.kind, f.channel, f.topic, f.window): column for column, f in enumerate(features) if f.statistic == "count"}
    triples = []
    for column, feature in enumerate(features):
        if feature.statistic == "share":
            part, whole = (feature.kind, feature.channel, feature.topic, feature.window), (feature.kind, feature.channel, SOME_TOPIC, feature.window)
            if part not in counts or whole not in counts:
                raise ValueError(f"{feature.name} needs the counts of the topic and of {SOME_TOPIC} in the same catalogue")
            triples.append((column, counts[part], counts[whole]))
    return np.array(triples, dtype=np.int64).reshape(-1, 3)
