"""A distribution in a few bins: enough to tell whether another one differs from it, and nothing of anybody.

No row is kept and no extreme value: a bin has at least LEAST_ROWS rows, its edges lie between values, and the outer bins are open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Values = NDArray[np.floating]

BINS = 10
"""Most bins of a distribution."""
LEAST_ROWS = 20
"""Fewest rows of a bin: fewer would say something about somebody, and little about everybody."""
MULTIPLES = (0.25, 0.5, 0.75, 0.9, 1.1, 1.33, 2.0, 4.0, 8.0)
"""Edges of a distribution around its centre, as multiples of it: who is within a tenth of the centre is like most people."""
MIDDLE = (0.4, 0.6)
"""Between which quantiles the centre is the mean."""
_SPAN = float(stats.norm.ppf(MIDDLE[1]) - stats.norm.ppf(MIDDLE[0]))
"""How far apart those quantiles are, in standard deviations of a normal distribution."""
MEDIAN_ERROR = float(np.sqrt(np.pi / 2))
"""Standard error of the median of normal values, in standard deviations / √n; that of the mean of the middle fifth is hardly less."""


class Centre(NamedTuple):
    """The mean of the middle fifth of values above 0, and the standard error of its logarithm."""

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Bins:
    """A distribution: bin b holds `edges[b - 1] <= value < edges[b]`, the outer bins are open.

    `shares` (k + 2,), for k edges, are of all rows; the last one is that of missing values. `means` (k + 1,) are what the values of a bin are on
    average, None in a bin of too few rows. `centre` is that of the values where edges are multiples of it, else None.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    means: tuple[float | None, ...]
    centre: Centre | None = None

    @classmethod
    def of(cls, values: Values, *, around: bool = False) -> Bins:
        """Return the distribution of values (n,), NaN for missing; `around` cuts at multiples of the centre where there is one, else at quantiles."""
        middle = centre(values) if around else None
        edges = cut(values) if middle is None else _thinned(values, middle.value * np.array(MULTIPLES))
        counts = count(values, edges)
        place = np.searchsorted(edges, values[~np.isnan(values)], side="right")
        sums = np.bincount(place, values[~np.isnan(values)].astype(np.float64), minlength=len(edges) + 1)
        means = [float(total / number) if number >= LEAST_ROWS else None for total, number in zip(sums, counts[:-1], strict=True)]
        return cls(tuple(edges.tolist()), tuple((counts / max(len(values), 1)).tolist()), tuple(means), middle)

    def edges_at(self, middle: Centre | None) -> tuple[float, ...]:
        """Return the edges for values whose centre is `middle`: moved with it where they are multiples of the centre, the same otherwise."""
        if self.centre is None or middle is None:
            return self.edges
        return tuple(edge * (middle.value / self.centre.value) for edge in self.edges)

    @property
    def missing(self) -> float:
        """The share of missing values."""
        return self.shares[-1]

    @property
    def mean(self) -> float | None:
        """The mean of the values that are known, None where a bin's is."""
        known = [(share, mean) for share, mean in zip(self.shares, self.means, strict=False) if share > 0]
        if not known or any(mean is None for _, mean in known):
            return None
        return sum(share * mean for share, mean in known if mean is not None) / sum(share for share, _ in known)

    def to_state(self) -> dict[str, Any]:
        """Return the distribution as JSON-able values."""
        return {"edges": list(self.edges), "shares": list(self.shares), "means": list(self.means), "centre": self.centre and list(self.centre)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Bins:
        """Return the distribution of `to_state`; raises ValueError where lengths do not fit or edges do not rise."""
        middle = None if state["centre"] is None else Centre(*state["centre"])
        made = cls(tuple(state["edges"]), tuple(state["shares"]), tuple(state["means"]), middle)
        if len(made.shares) != len(made.edges) + 2 or len(made.means) != len(made.edges) + 1 or list(made.edges) != sorted(set(made.edges)):
            raise ValueError("edges rise, and there is one bin more than edges")
        return made


def cut(values: Values, *, bins: int = BINS, least: int = LEAST_ROWS) -> Floats:
    """Return rising edges (at most bins - 1) of bins of about equal numbers of the values (n,) that are known, and of at least `least` each.

    A value that as many rows have as a bin should get has a bin of its own: zero, for most counts. The rest share the bins that are left. An edge lies half-way
    between two neighbouring values, so it is nobody's. Where all values are equal, there are a bin below and one above, both empty.
    """
    levels, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    total = int(counts.sum())
    if total < least:
        return np.zeros(0)
    if len(levels) == 1:
        return np.array([levels[0], np.nextafter(levels[0], np.array(np.inf, dtype=levels.dtype))], dtype=np.float64)
    often = counts * bins >= total
    wanted = max(float(least), counts[~often].sum() / max(bins - int(often.sum()), 1))
    upto = np.cumsum(counts)
    beside = np.flatnonzero(often[:-1] | often[1:])
    edges: list[float] = []
    begun = 0
    while len(edges) < bins - 1:
        full = int(np.searchsorted(upto, begun + wanted))
        own = int(np.searchsorted(upto[beside], begun + least))
        last = min(full, int(beside[own]) if own < len(beside) else full)
        if last >= len(levels) - 1 or total - upto[last] < least:
            break
        edges.append(_between(float(levels[last]), float(levels[last + 1])))
        begun = int(upto[last])
    return np.array(edges, dtype=np.float64)


def count(values: Values, edges: Floats | Sequence[float]) -> Integers:
    """Return how many values (n,) fall into each bin of the edges (k,), and how many are missing: (k + 2,)."""
    known = values[~np.isnan(values)]
    place = np.searchsorted(np.asarray(edges, dtype=np.float64), known, side="right")
    return np.r_[np.bincount(place, minlength=len(edges) + 1), len(values) - len(known)].astype(np.int64)


def centre(values: Values) -> Centre | None:
    """Return the centre of the values (n,) that are known; None for too few, and where it is not well above 0."""
    known = np.sort(values[~np.isnan(values)]).astype(np.float64)
    first, last = (int(share * len(known)) for share in MIDDLE)
    if last - first < LEAST_ROWS or known[first] <= 0:
        return None
    spread = float(np.log(known[last - 1] / known[first])) / _SPAN
    return Centre(float(known[first:last].mean()), MEDIAN_ERROR * spread / float(np.sqrt(len(known))))


def _thinned(values: Values, edges: Floats) -> Floats:
    """Return those of the rising edges that leave every bin at least LEAST_ROWS rows."""
    known = np.sort(values[~np.isnan(values)])
    kept, begun = [], 0
    for edge, below in zip(edges, np.searchsorted(known, edges), strict=True):
        if below - begun >= LEAST_ROWS and len(known) - below >= LEAST_ROWS:
            kept.append(edge)
            begun = int(below)
    return np.array(kept, dtype=np.float64)


def _between(low: float, high: float) -> float:
    """Return what lies half-way, or `high` where no number lies between."""
    middle = (low + high) / 2
    return middle if middle > low else high
