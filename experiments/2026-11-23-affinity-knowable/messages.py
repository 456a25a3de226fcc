"""Messages drawn anew for the window: what somebody faces who knows how the campaign sends, but not what it will send, nor to whom."""

# ruff: noqa: NPY002, PLR0917  compiled code draws from numpy's own generator, and is handed its arrays one by one

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from evidence import rows_of
from law import DELAY_DAYS
from numba import njit
from numpy.typing import NDArray

from training.simulated_calendar import _ANSWER_WEEKDAY, AREA_SLOTS, CHANNELS, _draw_campaigns
from training.simulated_history import _ANSWER, _FATIGUE_LIMIT, _LONGEST_DELAYS, _SENDING_DAYS, ANSWER_FATIGUE, MEMORY_DAYS
from training.simulated_people import _FREQUENCY_SPREAD, _LEAVE_PER_YEAR, YEAR_DAYS
from training.simulation import Simulation

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

SCHEDULES, GRID = 200, 60
"""Schedules of messages drawn, of which each draw of the posterior takes one; and values of how often somebody is written to."""
DRAWN = 64
"""Most messages to one person in the window, and in the 14 days before it."""
_ANSWERS = np.array(_ANSWER)
_LEAVE = _LEAVE_PER_YEAR / YEAR_DAYS


class Anew(NamedTuple):
    """`at` (SCHEDULES + 1,) where each schedule's messages begin, sorted by time; and `time`, `channel`, `topic`, `share`, `slot` of each message.

    Of n people: `reach` (n, channels) whether they can be written to at as_of, `area` (n,) their slot, `often` (n, GRID) cumulated posterior of how often they
    are written to, which `values` (GRID,) are; `recent_at` (n + 1,) where the messages of the 14 days before as_of begin, and `recent` their times.
    """

    at: Integers
    time: Floats
    channel: Integers
    topic: Integers
    share: Floats
    slot: Integers
    reach: Flags
    area: Integers
    often: Floats
    values: Floats
    recent_at: Integers
    recent: Floats


def anew_of(made: Simulation, person: Integers, day: Integers, seed: int) -> Anew:
    """Return what is needed to draw messages for `person` (n,) from `day` (n,) on. Pace and supply of the days to come are taken as known."""
    calendar, people = made.calendar, made.population
    weekday = (calendar.start.weekday() + np.arange(calendar.length)) % 7
    rng = np.random.default_rng(seed)
    drawn = [_draw_campaigns(calendar.pace / _ANSWER_WEEKDAY[weekday], weekday, calendar.supply, rng) for _ in range(SCHEDULES)]
    orders = [np.argsort(one.time, kind="stable") for one in drawn]
    columns = {name: np.concatenate([getattr(one, name)[order] for one, order in zip(drawn, orders, strict=True)]) for name in Anew._fields[1:6]}
    at = np.concatenate(([0], np.cumsum([len(one) for one in drawn])))
    reach = (people.reach_from[person] < day[:, None]) & (people.reach_until[person] > day[:, None])
    values = np.exp(-(_FREQUENCY_SPREAD**2) / 2 + _FREQUENCY_SPREAD * np.linspace(-4, 4, GRID))
    recent_at, recent = _recent(made, person, day)
    often = _often(made, person, day, values)
    return Anew(at, **columns, reach=reach, area=people.area[person] % AREA_SLOTS, often=often, values=values, recent_at=recent_at, recent=recent)


def _often(made: Simulation, person: Integers, day: Integers, values: Floats) -> Floats:
    """Return the cumulated posterior (n, GRID) of how often each is written to, after which messages reached them of those that could have."""
    people, campaigns, sends = made.population, made.calendar.campaigns, made.sends
    miss = np.log1p(-np.minimum(campaigns.share[:, None] * values, 0.999))
    hit = np.log(np.minimum(campaigns.share[:, None] * values, 0.999))
    log = np.tile(-0.5 * np.linspace(-4, 4, GRID) ** 2, (len(person), 1))
    for as_of, which, row in rows_of(person, day, sends.person, len(people)):
        mine = person[day == as_of]
        channel, time = campaigns.channel, campaigns.time
        past = time < as_of
        can = (people.reach_from[mine][:, channel] < time) & (time + _SENDING_DAYS < people.reach_until[mine][:, channel]) & past
        can &= (people.joined[mine][:, None] < time) & ((campaigns.slot < 0) | (people.area[mine][:, None] % AREA_SLOTS == campaigns.slot))
        log[day == as_of] += can @ miss
        sent = past[sends.campaign[which]]
        np.add.at(log, row[sent], (hit - miss)[sends.campaign[which[sent]]])
    weight = np.cumsum(np.exp(log - log.max(axis=1, keepdims=True)), axis=1)
    return np.asarray(weight / weight[:, -1:])


def _recent(made: Simulation, person: Integers, day: Integers) -> tuple[Integers, Floats]:
    sends, rows, times = made.sends, [], []
    for as_of, which, row in rows_of(person, day, sends.person, len(made.population)):
        near = (sends.time[which] < as_of) & (sends.time[which] >= as_of - MEMORY_DAYS)
        rows.append(row[near])
        times.append(sends.time[which[near]])
    row, time = np.concatenate(rows), np.concatenate(times)
    order = np.argsort(row, kind="stable")
    return np.concatenate(([0], np.cumsum(np.bincount(row, minlength=len(person))))), time[order]


@njit
def drawn_messages(row: int, day: int, first: int, last: int, an: Anew, topic: Integers, channels: Integers, base: Floats, time: Floats, inside: Floats) -> int:
    """Draw messages to the row's person from as_of to the window's end, and return their number.

    Written are topic, channel, logit of an answer but for the person's states, time, and the share of answers that fall into the window.
    """
    schedule = np.random.randint(len(an.at) - 1)
    often = an.values[min(np.searchsorted(an.often[row], np.random.random()), len(an.values) - 1)]
    begin, end = an.at[schedule], an.at[schedule + 1]
    count = 0
    for c in range(begin + np.searchsorted(an.time[begin:end], day), end):
        if an.time[c] >= last or count == DRAWN:
            break
        channel = an.channel[c]
        if not an.reach[row, channel] or (an.slot[c] >= 0 and an.slot[c] != an.area[row]):
            continue
        stays = 1.0 if channel == len(CHANNELS) - 1 else math.exp(-_LEAVE * (an.time[c] - day))
        if np.random.random() < an.share[c] * often * stays:
            topic[count], channels[count], time[count] = an.topic[c], channel, an.time[c] + np.random.random() * _SENDING_DAYS
            count += 1
    for s in range(count):
        fatigue, mean = 0, DELAY_DAYS[channels[s]]
        for other in range(count):
            fatigue += time[s] - MEMORY_DAYS <= time[other] < time[s]
        for other in range(an.recent_at[row], an.recent_at[row + 1]):
            fatigue += an.recent[other] >= time[s] - MEMORY_DAYS
        base[s] = _ANSWERS[channels[s]] - ANSWER_FATIGUE * min(fatigue, _FATIGUE_LIMIT)
        near = first - _LONGEST_DELAYS * mean < time[s] < last
        inside[s] = math.exp(-max(first - time[s], 0.0) / mean) - math.exp(-(last - time[s]) / mean) if near else 0.0
    return count
