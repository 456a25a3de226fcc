"""Two randomised message experiments with known effects: one that differs between people, one that is the same for everyone.

Households are drawn as one, within strata (regions), each arm with probability 1/2. An outcome is 1 with the baseline probability, plus the
true uplift in the arm that got the message. What the message does is a function of the history that was visible when it was assigned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.simulated_calendar import Calendar, Floats, Integers
from training.simulated_history import ENGAGEMENTS, Rows
from training.simulated_people import REGIONS, Population

_BASELINE, _BASELINE_LIMITS = -1.5, (0.08, 0.6)
_UPLIFT_MEAN, _UPLIFT_SPREAD, _UPLIFT_LIMITS = 0.05, 0.07, (-0.08, 0.30)
_CONSTANT_UPLIFT = 0.01


@dataclass(frozen=True, slots=True)
class Design:
    """How one experiment is run; days count from the end of the history."""

    id: str
    arm: str
    outcome: str
    topic: int
    effect: Literal["differs", "constant"]
    assigned_before: int = 70
    measured_before: int = 30
    probability: float = 0.5


DESIGNS = (
    Design("tenants_story", "story", "pledge", 0, "differs"),
    Design("pensions_card", "card", "pledge", 6, "constant", assigned_before=56, measured_before=21),
)


@dataclass(frozen=True)
class Trial:
    """One experiment as it went; arrays of length n_assigned."""

    design: Design
    assigned: int
    """The day that begins at the moment of assignment."""
    person: Integers
    stratum: Integers
    treated: Integers
    outcome: Integers
    measured: Floats
    baseline: Floats
    """True probability of the outcome without the message."""
    uplift: Floats
    """True difference that the message makes to that probability."""


def draw_trial(design: Design, population: Population, rows: Rows, calendar: Calendar, rng: np.random.Generator) -> Trial:
    """Return one experiment on everybody who had joined by the time of assignment."""
    assigned = calendar.days - design.assigned_before
    person = np.flatnonzero(population.joined < assigned)
    household = population.household[person]
    drawn = rng.random(population.household.max() + 1) < design.probability
    treated = drawn[household].astype(np.int64)
    baseline = _baseline(population, rng)[person]
    uplift = _uplift(design, population, rows, person, assigned)
    probability = np.clip(baseline + uplift, 0, 1)
    outcome = (rng.random(len(person)) < np.where(treated == 1, probability, baseline)).astype(np.int64)
    measured = calendar.days - design.measured_before - rng.uniform(0, 5, len(person))
    return Trial(design, assigned, person, population.area[person] % REGIONS, treated, outcome, measured, baseline, probability - baseline)


def _baseline(population: Population, rng: np.random.Generator) -> Floats:
    """Older people, members and the active pledge more, whatever they are told."""
    age = np.nan_to_num(1975 - population.birth_year) / 17
    logit = _BASELINE + 0.35 * age + 0.5 * (population.status == 0) + 0.3 * population.activity + rng.normal(0, 0.3, len(population))
    return np.clip(1 / (1 + np.exp(-logit)), *_BASELINE_LIMITS)


def _uplift(design: Design, population: Population, rows: Rows, person: Integers, assigned: int) -> Floats:
    if design.effect == "constant":
        return np.full(len(person), _CONSTANT_UPLIFT)
    year = np.tanh(_answers(population, rows, design.topic, assigned, 365)[person] / 1.5)
    quarter = np.minimum(_answers(population, rows, None, assigned, 90)[person], 1)
    tenant = population.tenure[person] > 0
    younger = np.nan_to_num(population.birth_year[person]) > 1985
    score = 1.2 * year + 0.6 * quarter + 0.35 * tenant + 0.35 * younger
    spread = score.std()
    standard = (score - score.mean()) / spread if spread > 0 else np.zeros(len(person))
    return np.clip(_UPLIFT_MEAN + _UPLIFT_SPREAD * standard, *_UPLIFT_LIMITS)


def _answers(population: Population, rows: Rows, topic: int | None, as_of: int, window: int) -> Integers:
    """Count each person's own answers in the window before `as_of`, as far as they had come in by then."""
    seen = (rows.occurred >= as_of - window) & (rows.occurred < as_of) & (rows.received <= as_of) & ~rows.is_machine
    seen &= np.isin(rows.kind, list(ENGAGEMENTS))
    if topic is not None:
        seen &= rows.topic == topic
    return np.bincount(rows.person[seen], minlength=len(population))
