"""What is compared, line by line, and the verdict on each: features, scores, activity, calibration. Pure: from numbers to lines.

What counts of a change is what it has beyond chance and beyond what was usual between the times of the training. Each part holds its chance of a false
alarm, over all of its lines together, below `noise` (Bonferroni), however few the people and however many the features.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from models.metrics import Estimate
from training.activity import Activity
from training.bins import Bins, Centre
from training.config import DriftConfig
from training.divergence import Divergence, absence
from training.miscalibration import Miscalibration
from training.reference import Rate
from training.resampling import PersonBootstrap
from training.usual import NEVER_SEEN, Usual, UsualActivity, compared, shift
from training.verdicts import DRIFTED, RISING, STABLE, WATCH, Verdict, judged, worst

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FEWEST_PAIRS = 20
"""Fewest pairs with a known label for which calibration is judged."""
NEW_SHARE = 0.01
"""Share from which on a value that is new, or has vanished, is to be watched."""


@dataclass(frozen=True, slots=True)
class FeatureLine:
    """A feature then and now; `value` is what people in the bin that changed most have on average (None: it is missing): their share was `then`, is `now`.

    `level` is the factor by which the centre moved, 1 where bins are not multiples of it.
    """

    name: str
    divergence: Divergence
    usual: Usual
    level: float
    missing: tuple[float, float]
    missing_verdict: Verdict
    value: float | None
    then: float
    now: float
    verdict: Verdict

    @property
    def beyond(self) -> float:
        """The psi beyond chance and beyond what was usual, not below 0."""
        return max(self.divergence.excess - self.usual.psi, 0.0)

    def to_state(self) -> dict[str, Any]:
        """Return the line as JSON-able values."""
        changed = {"value": self.value, "then": self.then, "now": self.now}
        missing = {"then": self.missing[0], "now": self.missing[1], "usual_change": self.usual.missing, "verdict": self.missing_verdict}
        found = {**self.divergence.to_state(), "usual_psi": self.usual.psi, "level": self.level, "usual_level": float(np.exp(self.usual.level))}
        return {"feature": self.name, "verdict": self.verdict, **found, "missing": missing, "most_changed": changed}


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """A topic's scores then and now, with their means; `edges` (k,) and the shares of people below each, for a picture."""

    topic: str
    divergence: Divergence
    means: tuple[float | None, float]
    edges: tuple[float, ...]
    below: tuple[tuple[float, ...], tuple[float, ...]]
    verdict: Verdict

    def to_state(self) -> dict[str, Any]:
        """Return the line as JSON-able values."""
        shown = {"edges": list(self.edges), "below_then": list(self.below[0]), "below_now": list(self.below[1])}
        means = {"mean_then": self.means[0], "mean_now": self.means[1]}
        return {"topic": self.topic, "verdict": self.verdict, **self.divergence.to_state(), **means, **shown}


@dataclass(frozen=True, slots=True)
class ActivityLine:
    """One dimension of what was done and sent: `new` values with their share now, `vanished` ones with theirs then, and those `unlisted` in audience.toml."""

    dimension: str
    divergence: Divergence
    usual: float
    new: Mapping[str, float]
    vanished: Mapping[str, float]
    unlisted: tuple[str, ...]
    verdict: Verdict

    def to_state(self) -> dict[str, Any]:
        """Return the line as JSON-able values."""
        named = {"new": dict(self.new), "vanished": dict(self.vanished), "unlisted": list(self.unlisted)}
        return {"dimension": self.dimension, "verdict": self.verdict, **self.divergence.to_state(), "usual_psi": self.usual, **named}


@dataclass(frozen=True, slots=True)
class PaceLine:
    """Interactions per person of the base then and now, over as many days; `factor` is now by then, `usual` the largest factor, up or down, of before."""

    then: float
    now: float
    factor: float
    usual: float
    verdict: Verdict

    def to_state(self) -> dict[str, Any]:
        """Return the line as JSON-able values."""
        return {"verdict": self.verdict, "per_person_then": self.then, "per_person_now": self.now, "factor": self.factor, "usual_factor": self.usual}


@dataclass(frozen=True, slots=True)
class CalibrationLine:
    """Predictions against what happened, of one topic or (`topic` None) of all; `then` is what the training's own test found, `by` the verdict by measure."""

    topic: str | None
    found: Miscalibration
    then: Rate | None
    by: Mapping[str, Verdict]

    @property
    def verdict(self) -> Verdict:
        """The worst of the measures' verdicts."""
        return worst(self.by.values())

    def to_state(self) -> dict[str, Any]:
        """Return the line as JSON-able values."""
        then = None if self.then is None else self.then._asdict()
        return {"topic": self.topic, "verdict": self.verdict, "verdicts": dict(self.by), **self.found.to_state(), "at_training": then}


def feature_lines(
    reference: Mapping[str, Bins],
    usual: Mapping[str, Usual],
    counts: Sequence[Integers],
    centres: Mapping[str, Centre | None],
    *,
    people: int,
    config: DriftConfig,
) -> tuple[FeatureLine, ...]:
    """Return a line per feature of the reference (of so many people), the worst first.

    `counts` are those of today's rows in the reference's bins, `centres` today's of the features whose bins are multiples of it.
    """
    alpha = config.noise / (3 * max(len(reference), 1))
    lines = [
        _feature_line(name, bins, usual.get(name, NEVER_SEEN), found, centres.get(name), people=people, config=config, alpha=alpha)
        for (name, bins), found in zip(reference.items(), counts, strict=True)
    ]
    return tuple(sorted(lines, key=lambda line: (-RISING.index(line.verdict), -line.beyond, -line.divergence.excess)))


def features_verdict(lines: Sequence[FeatureLine], config: DriftConfig) -> Verdict:
    """Return the verdict on all features: `drifted` where a share `feature_share` of them did, `watch` where one did or as many are to be watched."""
    enough = max(config.feature_share * len(lines), 1.0)
    drifted, changed = (sum(line.verdict in verdicts for line in lines) for verdicts in ({DRIFTED}, {DRIFTED, WATCH}))
    return DRIFTED if drifted >= enough else WATCH if drifted or changed >= enough else STABLE


def score_lines(
    reference: Mapping[str, Bins], counts: Mapping[str, Integers], means: Mapping[str, float], people: int, config: DriftConfig
) -> tuple[ScoreLine, ...]:
    """Return a line per topic that has scores then and now, the furthest first."""
    topics = [topic for topic in reference if topic in counts]
    lines = []
    for topic in topics:
        bins, now = reference[topic], _shares(counts[topic])
        divergence = Divergence.between(np.array(bins.shares), now, people, float(counts[topic].sum()))
        real = divergence.p_value < config.noise / len(topics)
        below = tuple(float(each) for each in np.cumsum(bins.shares)[: len(bins.edges)]), tuple(float(each) for each in np.cumsum(now)[: len(bins.edges)])
        verdict = judged(divergence.excess, config.psi, real=real)
        lines.append(ScoreLine(topic, divergence, (bins.mean, means[topic]), bins.edges, below, verdict))
    return tuple(sorted(lines, key=lambda line: (-line.divergence.excess, -line.divergence.psi)))


def activity_lines(then: Activity, now: Activity, usual: UsualActivity, listed: Mapping[str, frozenset[str]], config: DriftConfig) -> tuple[ActivityLine, ...]:
    """Return a line per dimension; `listed` are the values that audience.toml knows."""
    return tuple(_activity_line(dimension, then, now, usual, listed[dimension], config=config) for dimension in listed)


def pace_line(then: Activity, now: Activity, usual: UsualActivity, config: DriftConfig) -> PaceLine:
    """Return how many interactions there are per person; the logarithm of a total of people who have n each has the variance Σ n² / (Σ n)²."""
    moved = float(np.log(now.pace / then.pace))
    error = np.sqrt(1 / max(then.effective, 1.0) + 1 / max(now.effective, 1.0))
    real = abs(moved) > float(stats.norm.isf(config.noise / 4) * error)
    verdict = judged(float(np.exp(abs(moved) - usual.pace)), config.pace, real=real)
    return PaceLine(then.pace, now.pace, float(np.exp(moved)), float(np.exp(usual.pace)), verdict)


def calibration_lines(
    boot: PersonBootstrap, topics: Sequence[str], y: Floats, p: Floats, *, then: Mapping[str, Rate], config: DriftConfig
) -> tuple[CalibrationLine, ...]:
    """Return a line for all topics together, then one per topic with enough pairs, the worst first; y and p are (n, n_topics), y NaN where unknown."""
    known = {topic: np.flatnonzero(~np.isnan(y[:, number])) for number, topic in enumerate(topics)}
    kept = [(number, topic) for number, topic in enumerate(topics) if len(known[topic]) >= FEWEST_PAIRS]
    if not kept:
        return ()
    alpha = config.noise / (3 * (1 + len(kept)))
    row, column = np.nonzero(~np.isnan(y))
    found: list[tuple[str | None, Miscalibration]] = [(None, Miscalibration.of(boot, row, y[row, column], p[row, column]))]
    found += [(topic, Miscalibration.of(boot, known[topic], y[known[topic], number], p[known[topic], number])) for number, topic in kept]
    everything, *lines = (
        CalibrationLine(topic, each, overall(then) if topic is None else then.get(topic), _calibration_verdicts(each, config, alpha)) for topic, each in found
    )
    return (everything, *sorted(lines, key=lambda line: -abs(line.found.offset.value)))


def overall(rates: Mapping[str, Rate]) -> Rate | None:
    """Return the rates of all pairs together; None where there is none."""
    pairs = sum(rate.pairs for rate in rates.values())
    if not pairs:
        return None
    return Rate(pairs, *(sum(rate.pairs * getattr(rate, name) for rate in rates.values()) / pairs for name in ("predicted", "observed")))


def _feature_line(
    name: str, bins: Bins, usual: Usual, counts: Integers, middle: Centre | None, *, people: int, config: DriftConfig, alpha: float
) -> FeatureLine:
    then, now, size = np.array(bins.shares), _shares(counts), float(counts.sum())
    divergence = Divergence.between(then, now, people, size)
    verdict = judged(divergence.excess - usual.psi, config.psi, real=divergence.p_value < alpha)
    missing = judged(float(abs(now[-1] - then[-1])) - usual.missing, config.missing, real=_differ(then[-1], now[-1], people, size) < alpha)
    moved = shift(bins, middle)
    error = math.hypot(*(0.0 if each is None else each.error for each in (bins.centre, middle)))
    level = judged(float(np.exp(abs(moved) - usual.level)), config.pace, real=bool(abs(moved) > stats.norm.isf(alpha / 2) * error))
    values = [*bins.means, float("nan")]
    told = [number for number, value in enumerate(values) if value is not None]
    most = max(told, key=lambda number: abs(now[number] - then[number]))
    return FeatureLine(
        name=name,
        divergence=divergence,
        usual=usual,
        missing=(float(then[-1]), float(now[-1])),
        missing_verdict=missing,
        value=values[most] if most < len(bins.means) else None,
        then=float(then[most]),
        now=float(now[most]),
        level=float(np.exp(moved)),
        verdict=worst((verdict, missing, level)),
    )


def _activity_line(dimension: str, then: Activity, now: Activity, usual: UsualActivity, listed: frozenset[str], *, config: DriftConfig) -> ActivityLine:
    before, after = then.shares.get(dimension, {}), now.shares.get(dimension, {})
    alpha, ever, always = config.noise / 8, usual.ever.get(dimension, ()), usual.always.get(dimension, ())
    rare = alpha / max(len({*before, *after}), 1)
    divergence, moved = compared(then, now, dimension), usual.psi.get(dimension, 0.0)
    new = {value: share for value, share in after.items() if value not in ever}
    vanished = {
        value: share for value, share in before.items() if value not in after and value in always and absence(share, then.effective, now.effective) < rare
    }
    unlisted = tuple(value for value in after if value not in listed)
    surprising = [value for value, share in new.items() if share >= NEW_SHARE and absence(share, now.effective, then.effective) < rare]
    surprising += [value for value, share in vanished.items() if share >= NEW_SHARE]
    surprising += [value for value in unlisted if value not in ever]
    verdict = judged(divergence.excess - moved, config.psi, real=divergence.p_value < alpha)
    return ActivityLine(dimension, divergence, moved, new, vanished, unlisted, worst((verdict, WATCH if surprising else STABLE)))


def _calibration_verdicts(found: Miscalibration, config: DriftConfig, alpha: float) -> dict[str, Verdict]:
    return {
        "offset": judged(abs(found.offset.value), config.offset, real=_off(found.offset, 0.0, alpha)),
        "slope": judged(abs(found.slope.value - 1), config.slope, real=_off(found.slope, 1.0, alpha)),
        "ece": judged(found.ece.value - found.ece_by_chance, config.ece, real=_off(found.ece, found.ece_by_chance, alpha)),
    }


def _off(estimate: Estimate, from_: float, alpha: float) -> bool:
    return bool(abs(estimate.value - from_) > stats.norm.isf(alpha / 2) * estimate.se)


def _differ(p: float, q: float, n_p: float, n_q: float) -> float:
    """Return the probability that two samples of one population differ in a share as much as p and q (the usual test of two proportions)."""
    pooled = (p * n_p + q * n_q) / (n_p + n_q)
    error = np.sqrt(pooled * (1 - pooled) * (1 / n_p + 1 / n_q))
    return float(2 * stats.norm.sf(abs(p - q) / error)) if error > 0 else 1.0


def _shares(counts: Integers) -> Floats:
    return np.asarray(counts / max(int(counts.sum()), 1), dtype=np.float64)
