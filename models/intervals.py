"""Intervals for the engagement rate of people with a given margin, from how far held-out people were from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from models.levels import NO_STEPS, Steps, level_shift

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

EVENTS_PER_BIN = 40
"""A bin holds at least so many people of the rarer label, so that a normal interval on the logit scale is honest."""
MOST_BINS = 10
BETWEEN_TOPICS_SD = 0.5
"""Logits by which a topic that is too rare for a bin of its own may differ from all topics together: wide, since nothing was measured."""


class GroupInterval:
    """Low and high of the engagement rate among people with this margin for this topic; no interval for the one person's fate.

    Held-out rows of a topic are cut into bins of equal mass by calibrated logit. In each bin the shift δ that makes the mean
    probability equal the observed rate (a logistic intercept, with half an engagement and half a silence added) has a standard error
    clustered on the person; δ ± t·se is interpolated between bins along the logit and added to the margin, and the interval is widened
    to hold the probability that is served. A topic with fewer than EVENTS_PER_BIN engagements (or silences) takes the bins of all topics together,
    widened by BETWEEN_TOPICS_SD. When the model that is served was grown again on more rows (`served`), the root mean square, over bins, of how
    far it moved people's mean logit is added to se in quadrature. So is how far levels move from one block of time to the next (`models.levels`), since
    scores are used later than the held-out rows; t has the degrees of freedom of Welch and Satterthwaite. Assumption: levels go on moving as they did.

    Attributes
    ----------
    coverage : the share of such intervals that hold the rate. knots_ : per topic (k,) logits; low_, high_ : per topic (k,) shifts.

    """

    knots_: list[Floats]
    low_: list[Floats]
    high_: list[Floats]

    def __init__(self, coverage: float = 0.90) -> None:
        self.coverage = coverage

    def fit(
        self,
        logit: Floats,
        topic: Integers,
        y: Floats,
        groups: Integers,
        *,
        n_topics: int,
        sample_weight: Floats | None = None,
        served: Floats | None = None,
        steps: Steps = NO_STEPS,
    ) -> GroupInterval:
        """Fit on held-out rows: calibrated logits (m,), topic numbers (m,), labels 0/1 (m,), person numbers (m,). Returns self.

        `served` (m,) are the logits that the model to be served gives these rows, where it is another than the one that never saw them. `steps` is
        how far levels move until the predictions are used.
        """
        if not 0 < self.coverage < 1:
            raise ValueError(f"coverage must lie inside (0, 1): given {self.coverage!r}")
        weight = np.ones(len(logit)) if sample_weight is None else sample_weight
        moved = np.zeros(len(logit)) if served is None else served - logit
        rows = _Rows(logit, y, groups, weight, moved)
        everyone = _bins(rows, self.coverage, steps=steps, between=BETWEEN_TOPICS_SD)
        found = []
        for number in range(n_topics):
            mine = rows.take(np.flatnonzero(topic == number))
            found.append(_bins(mine, self.coverage, steps=steps) if mine.events() >= EVENTS_PER_BIN else everyone)
        self.knots_, self.low_, self.high_ = (list(part) for part in zip(*found, strict=True))
        return self

    def predict(self, logit: Floats, topic: int) -> Floats:
        """Return low and high probabilities (n, 2) for the calibrated logits (n,) of one topic; each holds the probability itself."""
        low = np.minimum(np.interp(logit, self.knots_[topic], self.low_[topic]), 0.0)
        high = np.maximum(np.interp(logit, self.knots_[topic], self.high_[topic]), 0.0)
        return np.column_stack([special.expit(logit + low), special.expit(logit + high)])

    def to_state(self) -> dict[str, Any]:
        """Return the bins as JSON-able values."""
        return {"coverage": self.coverage, **{name: [part.tolist() for part in getattr(self, f"{name}_")] for name in ("knots", "low", "high")}}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> GroupInterval:
        """Return the intervals of `to_state`; raises ValueError unless bins are finite, rising and of equal number."""
        made = cls(float(state["coverage"]))
        made.knots_, made.low_, made.high_ = ([np.array(part, dtype=np.float64).reshape(-1) for part in state[name]] for name in ("knots", "low", "high"))
        for knots, low, high in zip(made.knots_, made.low_, made.high_, strict=True):
            if not (len(knots) == len(low) == len(high) > 0 and np.isfinite([knots, low, high]).all() and (np.diff(knots) >= 0).all() and (low <= high).all()):
                raise ValueError("each topic's interval needs finite bins that rise, with low at most high")
        return made


@dataclass(frozen=True, slots=True)
class _Rows:
    """Held-out rows: calibrated logit, label, person, weight, and how far the served model's logit is from it; all (m,)."""

    logit: Floats
    y: Floats
    groups: Integers
    weight: Floats
    moved: Floats

    def take(self, index: Integers) -> _Rows:
        return _Rows(self.logit[index], self.y[index], self.groups[index], self.weight[index], self.moved[index])

    def events(self) -> int:
        """People of the rarer label: several rows of one person are one event."""
        return min(len(np.unique(self.groups[self.y == 1])), len(np.unique(self.groups[self.y == 0])))


def _bins(rows: _Rows, coverage: float, *, steps: Steps, between: float = 0.0) -> tuple[Floats, Floats, Floats]:
    """Return knots, low and high shifts (k,), with bins of equal expected information (p·(1-p))."""
    n_bins = int(np.clip(rows.events() // EVENTS_PER_BIN, 1, MOST_BINS))
    order = np.lexsort((rows.groups, rows.y, rows.logit))
    information = np.cumsum((rows.weight * special.expit(rows.logit) * special.expit(-rows.logit))[order])
    edges = np.searchsorted(information, information[-1] * np.arange(1, n_bins) / n_bins) if len(order) else []
    parts = [rows.take(part) for part in np.split(order, edges)]
    centre, moved = (np.array([_average(getattr(part, name), part.weight) for part in parts]) for name in ("logit", "moved"))
    found = [level_shift(part.logit, part.y, part.groups, part.weight, centre=middle) for part, middle in zip(parts, centre, strict=True)]
    shift, error, people = (np.array([each[field] for each in found]) for field in range(3))
    sampling = error**2 + between**2 + np.mean(moved**2)
    freedom = (sampling + steps.sd**2) ** 2 / (sampling**2 / np.maximum(people - 1, 1) + steps.sd**4 / steps.freedom)
    reach = stats.t.ppf(0.5 + coverage / 2, freedom) * np.sqrt(sampling + steps.sd**2)
    return centre, shift - reach, shift + reach


def _average(values: Floats, weight: Floats) -> float:
    return float(np.average(values, weights=weight)) if weight.sum() > 0 else 0.0
