"""How far things moved by themselves between the times of a training: campaigns have seasons, and bases grow older.

A model has seen that much. Only what moves further than it ever did then can be news.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.activity import DIMENSIONS, Activity
from training.bins import Bins, Centre, Values, centre, count
from training.divergence import Divergence


class Usual(NamedTuple):
    """Of a feature at any earlier time: largest psi beyond chance, largest change of the share of missing values, largest logarithm of its centre's factor."""

    psi: float
    missing: float
    level: float


NEVER_SEEN = Usual(0.0, 0.0, 0.0)
"""Where there is no earlier time."""


@dataclass(frozen=True, slots=True)
class UsualActivity:
    """The same of activity: largest psi beyond chance by dimension, largest logarithm of a factor of pace, and which values were there `ever` or `always`."""

    psi: Mapping[str, float]
    pace: float
    ever: Mapping[str, Sequence[str]]
    always: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, now: Activity, others: Sequence[Activity]) -> UsualActivity:
        """Return what was usual before `now`, at the `others`."""
        every = [now, *others]
        values = {dimension: [set(each.shares.get(dimension, {})) for each in every] for dimension in DIMENSIONS}
        return cls(
            psi={dimension: max((compared(now, other, dimension).excess for other in others), default=0.0) for dimension in DIMENSIONS},
            pace=max((abs(float(np.log(now.pace / other.pace))) for other in others), default=0.0),
            ever={dimension: sorted(set.union(*found)) for dimension, found in values.items()},
            always={dimension: sorted(set.intersection(*found)) for dimension, found in values.items()},
        )

    def to_state(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> UsualActivity:
        """Return that of `to_state`."""
        return cls(**state)


def usual(bins: Bins, people: int, values: Values, block: NDArray[np.int64]) -> Usual:
    """Return how far the values (n,) of each block (n,) lie from the distribution `bins` of `people`."""
    shares, found = np.array(bins.shares), [NEVER_SEEN]
    for each in np.unique(block):
        own = values[block == each]
        middle = centre(own) if bins.centre is not None else None
        counts = count(own, bins.edges_at(middle))
        other = counts / counts.sum()
        excess = Divergence.between(shares, other, people, float(counts.sum())).excess
        found.append(Usual(excess, float(abs(other[-1] - shares[-1])), abs(shift(bins, middle))))
    return Usual(*(max(moved) for moved in zip(*found, strict=True)))


def shift(bins: Bins, middle: Centre | None) -> float:
    """Return the logarithm of the factor by which the centre has moved; 0 for a distribution without one."""
    return 0.0 if bins.centre is None or middle is None else float(np.log(middle.value / bins.centre.value))


def compared(then: Activity, now: Activity, dimension: str) -> Divergence:
    """Return how far apart two activities are in a dimension; interactions of one person are taken to be alike."""
    before, after = then.shares.get(dimension, {}), now.shares.get(dimension, {})
    values = sorted({*before, *after})
    p, q = (np.array([found.get(value, 0.0) for value in values]) for found in (before, after))
    return Divergence.between(p, q, then.effective if before else 0.0, now.effective if after else 0.0)
