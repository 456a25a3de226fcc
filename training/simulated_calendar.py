"""The calendar of the simulated campaign: what is in the air on each day, and which messages go out when.

Times are days since the start of the history, as float64; day `d` is `[d, d + 1)`. The calendar reaches beyond the history's end,
so that the truth about the horizon after it is known as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]

CHANNELS = ("email", "sms", "door")
"""The channels on which the campaign writes first."""
AREA_SLOTS = 8
"""Doors are visited slot by slot: area `a` belongs to slot `a % AREA_SLOTS`."""

_PER_WEEK = (3.9, 1.05, 1.95)  # messages of each channel in an ordinary week
_SHARE = (0.045, 0.05, 0.10)  # of the people who may be reached, how many one message goes to
_HOUR = (9.5, 16.0, 17.5)  # when sending starts
_WEEKDAY = ((0.5, 2.0, 1.0, 2.0, 0.8, 0.2, 0.5), (0.5, 1.0, 1.5, 1.5, 1.5, 0.5, 0.5), (0.5, 1.0, 1.0, 1.0, 0.5, 3.0, 0.0))
_ANSWER_WEEKDAY = np.array([0.9, 1.0, 1.0, 1.0, 0.9, 1.2, 1.0])
_KNOT_DAYS = 30  # what is in the air turns over a month
_KNOT_PERSISTENCE, _KNOT_SPREAD = 0.85, 0.15
_POPULARITY = (0.75, -0.55)  # log supply of the first and of the last topic
_DAYS_PER_BURST = 180
_BURST_DAYS = (21, 42)
_BURST_PACE, _BURST_TOPIC = 1.25, 1.6


@dataclass(frozen=True)
class Campaigns:
    """The messages, each with one channel and one topic, in order of time; every array is (n_messages,)."""

    day: Integers
    time: Floats
    channel: Integers
    topic: Integers
    share: Floats
    slot: Integers
    """Area slot that is visited; -1 where the message goes everywhere."""

    def __len__(self) -> int:
        return len(self.day)


@dataclass(frozen=True)
class Calendar:
    """The days: `days` of history, and `after` days more that only the truth knows."""

    start: datetime
    days: int
    after: int
    pace: Floats
    """(days + after,) how much people do on a day of their own accord: season, weekday and bursts; mean about 1."""
    supply: Floats
    """(days + after, n_topics) each topic's share of what is in the air; rows sum to 1."""
    campaigns: Campaigns

    @property
    def length(self) -> int:
        """Days in all."""
        return self.days + self.after

    def day_of(self, time: datetime) -> int:
        """Return the day that begins at `time`; raises ValueError unless a day of the calendar begins then."""
        elapsed = time - self.start
        day = elapsed // timedelta(days=1)
        if elapsed != timedelta(days=day) or not 0 <= day <= self.length:
            end = self.start + timedelta(days=self.length)
            raise ValueError(
                f"{time.isoformat()} is not the start of a day of the simulation: allowed are whole days from {self.start.isoformat()} to {end.isoformat()}"
            )
        return day


def draw_calendar(start: datetime, days: int, after: int, n_topics: int, rng: np.random.Generator) -> Calendar:
    """Return a calendar with seasons, bursts of campaigning and a supply of topics that turns slowly."""
    length = days + after
    day = np.arange(length)
    weekday = (start.weekday() + day) % 7
    season = _season(start, day)
    burst, burst_topic = _bursts(length, n_topics, rng)
    supply = _supply(length, n_topics, rng) * burst_topic
    supply /= supply.sum(axis=1, keepdims=True)
    pace = season * burst * _ANSWER_WEEKDAY[weekday]
    return Calendar(start, days, after, pace, supply, _draw_campaigns(season * burst, weekday, supply, rng))


def _season(start: datetime, day: Integers) -> Floats:
    """Two busy seasons, spring and autumn, and a summer in which little happens."""
    angle = 2 * np.pi * (start.timetuple().tm_yday + day) / 365.25
    return 1.0 - 0.03 * np.cos(angle) - 0.04 * np.cos(2 * angle)


def _supply(length: int, n_topics: int, rng: np.random.Generator) -> Floats:
    knots = np.arange(0, length + _KNOT_DAYS, _KNOT_DAYS)
    walk = rng.normal(0, _KNOT_SPREAD / np.sqrt(1 - _KNOT_PERSISTENCE**2), (len(knots), n_topics))
    for i in range(1, len(knots)):
        walk[i] = _KNOT_PERSISTENCE * walk[i - 1] + rng.normal(0, _KNOT_SPREAD, n_topics)
    turned = np.stack([np.interp(np.arange(length), knots, walk[:, topic]) for topic in range(n_topics)], axis=1)
    return np.exp(turned + np.linspace(*_POPULARITY, n_topics))


def _bursts(length: int, n_topics: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    pace, topics = np.ones(length), np.ones((length, n_topics))
    for begin in range(60, length - _BURST_DAYS[1], _DAYS_PER_BURST):
        first = begin + int(rng.integers(0, 60))
        last = first + int(rng.integers(*_BURST_DAYS))
        pace[first:last] = _BURST_PACE
        topics[first:last, rng.integers(n_topics)] = _BURST_TOPIC
    return pace, topics


def _draw_campaigns(pace: Floats, weekday: Integers, supply: Floats, rng: np.random.Generator) -> Campaigns:
    pattern = np.array(_WEEKDAY)
    pattern /= pattern.mean(axis=1, keepdims=True)
    count = rng.poisson(np.array(_PER_WEEK) / 7 * pace[:, None] * pattern[:, weekday].T)
    day, channel = np.repeat(np.indices(count.shape).reshape(2, -1), count.ravel(), axis=1)
    cumulated = np.cumsum(supply[day], axis=1)
    topic = np.minimum((rng.random((len(day), 1)) > cumulated).sum(axis=1), supply.shape[1] - 1)
    share = np.array(_SHARE)[channel] * rng.uniform(0.6, 1.4, len(day))
    time = day + (np.array(_HOUR)[channel] + rng.uniform(0, 2, len(day))) / 24
    slot = np.where(channel == CHANNELS.index("door"), rng.integers(0, AREA_SLOTS, len(day)), -1)
    return Campaigns(day, time, channel, topic, share, slot)
