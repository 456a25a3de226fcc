"""The level of a group's predictions against what happened: the shift, in logits, by which they were off, and how far such shifts move over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_NEWTON_STEPS = 50
PRIOR_STEP_SD = 0.25
"""Logits by which levels are taken to move from one block to the next before any move was seen: a quarter, up or down."""
PRIOR_STEPS = 2.0
"""How many seen moves that is worth."""


class Shift(NamedTuple):
    """What has to be added to the logits of some rows to meet their observed rate, its standard error, and how many people the rows are of.

    `who` (people,) are their numbers, rising, and `influence` (people,) what each adds to the shift, about.
    """

    value: float
    se: float
    people: int
    who: Integers = np.empty(0, dtype=np.int64)
    influence: Floats = np.empty(0)


class Steps(NamedTuple):
    """How far levels move from one block to a later one: standard deviation in logits, and how many moves it was learned from (degrees of freedom)."""

    sd: float
    freedom: float


NO_STEPS = Steps(0.0, 1.0)
"""Where time plays no part."""
PRIOR = Steps(PRIOR_STEP_SD, PRIOR_STEPS)
"""What is taken for granted of the next block."""


def level_shift(logit: Floats, y: Floats, groups: Integers, weight: Floats, *, centre: float | None = None) -> Shift:
    """Return the shift of the logits (m,) that meets the rate of the labels y (m,) of the people `groups` (m,).

    Half an engagement and half a silence are added at `centre` (the mean logit by default), so the shift is finite where one label is missing; the variance
    is the sandwich Σ_people (Σ_rows w·(y - p))² / (Σ w·p·(1-p))², times people / (people - 1).
    """
    middle = float(np.average(logit, weights=weight)) if centre is None and weight.sum() > 0 else (centre or 0.0)
    rows, labels, mass = np.r_[logit, middle, middle], np.r_[y, 0.0, 1.0], np.r_[weight, 0.5, 0.5]
    shift = 0.0
    for _ in range(_NEWTON_STEPS):
        p = special.expit(rows + shift)
        step = float(np.sum(mass * (labels - p)) / np.sum(mass * p * (1 - p)))
        shift += float(np.clip(step, -1.0, 1.0))
        if abs(step) < 1e-12:
            break
    p = special.expit(rows + shift)
    residual = mass * (labels - p)
    codes, person = np.unique(groups, return_inverse=True)
    scores = np.bincount(person, residual[:-2], len(codes)) if len(codes) else np.zeros(0)
    clustered = float(np.sum(scores**2)) * (len(codes) / max(len(codes) - 1, 1))
    information = float(np.sum(mass * p * (1 - p)))
    return Shift(shift, float(np.sqrt(clustered + np.sum(residual[-2:] ** 2))) / information, len(codes), codes, scores / information)


def steps_of(moves: Sequence[Sequence[tuple[Shift, Shift]]], prior: Steps = PRIOR) -> Steps:
    """Return how far levels move, from `moves`: per origin, the shifts of each group in a block and in a later one, by the same predictions.

    A move's square, less the variance that sampling gives it (people who are in both blocks tell of both), estimates the variance of moves; groups of one
    origin share its season, so an origin counts once, and for no less than nothing. The `prior` counts as so many more; it is all there is where there are no
    moves, as with fewer than three blocks.
    """
    origins = [max(float(np.mean([(after.value - before.value) ** 2 - _sampling(before, after) for before, after in pairs])), 0.0) for pairs in moves if pairs]
    variance = (prior.freedom * prior.sd**2 + float(np.sum(origins))) / (prior.freedom + len(origins))
    return Steps(float(np.sqrt(variance)), prior.freedom + len(origins))


def steps_by_lag(moves: Sequence[Sequence[Sequence[tuple[Shift, Shift]]]]) -> tuple[Steps, ...]:
    """Return how far levels move within one block, two blocks, … of time, from the moves of each lag (`steps_of`).

    What is taken for granted of a lag, worth PRIOR_STEPS moves, is what was learned of the one before and half of what a random walk would add: some levels
    come back, as a season does, and some wander off.
    """
    found: list[Steps] = []
    for lag, each in enumerate(moves):
        found.append(steps_of(each, Steps(found[-1].sd * float(np.sqrt(1 + 0.5 / lag)), PRIOR_STEPS) if found else PRIOR))
    return tuple(found)


def steps_ahead(steps: Sequence[Steps], lead: float) -> Steps:
    """Return how far levels move within `lead` blocks of time, from `steps` by lag: 1, 2, …; none without any.

    Between two lags the variance is interpolated; after the last it grows with time, as that of a random walk.
    """
    if not steps:
        return NO_STEPS
    variance = float(np.interp(lead, np.arange(len(steps) + 1), [0.0, *(step.sd**2 for step in steps)])) * max(1.0, lead / len(steps))
    return Steps(float(np.sqrt(variance)), steps[min(max(int(np.ceil(lead)), 1), len(steps)) - 1].freedom)


def _sampling(before: Shift, after: Shift) -> float:
    """Return the variance that sampling gives the difference of two shifts, people in common counted as such."""
    _, first, second = np.intersect1d(before.who, after.who, assume_unique=True, return_indices=True)
    return before.se**2 + after.se**2 - 2 * float(before.influence[first] @ after.influence[second])
