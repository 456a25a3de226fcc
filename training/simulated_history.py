"""What the simulated people did: the generating process of sends and answers, and the true probabilities that follow from it.

The law. Person i has an activity a_i and a drifting interest u_it(d) in topic t; from the day of going quiet both count less.
A message about t that reaches i at time s is answered with probability sigmoid(b + w_a a_i + w_u u_it(s) - w_f F_is - quiet), where
F_is is the number of messages to i in the 14 days before (fatigue); the answer comes after an exponential delay. Petitions,
events and gifts come of their own accord, as a Poisson process whose rate is a constant times exp(v_a a_i + v_u u_it(d) - quiet) times the
calendar's pace and supply of topic t on day d. Given the latent states and the messages sent, answers are independent of each other, and no
message depends on an answer. Opens, machine doings and stated interests are not answers.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np

from training.simulated_calendar import AREA_SLOTS, CHANNELS, Calendar, Floats, Integers
from training.simulated_people import YEAR_DAYS, Flags, Population

KINDS = (
    "email_sent",
    "sms_sent",
    "door_knock",
    "email_click",
    "sms_reply",
    "door_answer",
    "petition_signed",
    "event_attended",
    "donation",
    "email_open",
    "interest_stated",
)
"""Sends first, then their answers, both in the order of CHANNELS; the codes of `Rows.kind` are positions here."""
ENGAGEMENTS = range(3, 9)
_PETITION, _DONATION, _OPEN, _STATED = 6, 8, 9, 10

_SENDING_DAYS = 2 / 24  # until the last of a batch has gone out
MEMORY_DAYS = 14.0  # over which messages weary
_ANSWER = (-3.1, -2.6, -1.6)  # b, per channel
_ANSWER_ACTIVITY, _ANSWER_INTEREST = 0.9, 0.9
ANSWER_FATIGUE, _FATIGUE_LIMIT = 0.3, 8
_QUIET = 2.5
_DELAY_DAYS = (0.3, 0.06, 0.001)  # mean delay of an answer, per channel
_LONGEST_DELAYS = 40  # after so many mean delays nobody answers any more (probability e^-40)
_OWN_ACCORD = 0.00072  # rate per day and topic at full supply, times the number of topics
_OWN_ACTIVITY, _OWN_INTEREST = 0.8, 0.85
_OWN_KINDS = (0.62, 0.24, 0.14)  # petitions, events, gifts
_GIFT_LOG_EUR = (3.0, 0.8)
_OPEN_BASE = -1.3
_MACHINE_OPENS, _GATEWAY_CLICKS = 0.9, 0.5
_SURVEYED = 0.06
_PAPER = (5, 7)  # kinds that come in on paper: door_answer, event_attended
_LATE_SHARE, _LATE_DAYS, _LATEST_DAYS = 0.02, 2.0, 14.0
_MINUTE = 1 / 1440


@dataclass(frozen=True)
class Sends:
    """Messages to people, sorted by person and time; arrays of length n_sends."""

    person: Integers
    campaign: Integers
    time: Floats
    channel: Integers
    topic: Integers
    fatigue: Integers
    """Messages to the same person in the 14 days before."""
    answer: Floats
    """True probability of an answer."""

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True)
class Rows:
    """Interactions, each once, in the order of their arrival; arrays of length n_rows. Times are days since the start."""

    person: Integers
    kind: Integers
    topic: Integers
    occurred: Floats
    received: Floats
    value: Floats
    campaign: Integers
    """Index of the message; -1 without one."""
    is_machine: Flags

    def __len__(self) -> int:
        return len(self.person)

    def take(self, index: Integers | Flags) -> Rows:
        """Return the rows at `index`."""
        return Rows(*(getattr(self, field.name)[index] for field in fields(Rows)))


def draw_sends(population: Population, calendar: Calendar, rng: np.random.Generator) -> Sends:
    """Return all messages to people over the whole calendar, with the probability that each is answered."""
    campaigns = calendar.campaigns
    chosen, which = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    slot = population.area % AREA_SLOTS
    for i in range(len(campaigns)):
        channel, time = campaigns.channel[i], campaigns.time[i]
        reachable = (population.reach_from[:, channel] < time) & (time + _SENDING_DAYS < population.reach_until[:, channel]) & (population.joined < time)
        if campaigns.slot[i] >= 0:
            reachable &= slot == campaigns.slot[i]
        people = np.flatnonzero(reachable)
        people = people[rng.random(len(people)) < campaigns.share[i] * population.frequency[people]]
        chosen.append(people)
        which.append(np.full(len(people), i))
    person, campaign = np.concatenate(chosen), np.concatenate(which)
    time = campaigns.time[campaign] + rng.uniform(0, _SENDING_DAYS, len(person))
    order = np.lexsort((time, person))
    person, campaign, time = person[order].astype(np.int32), campaign[order].astype(np.int32), time[order]
    topic, channel = campaigns.topic[campaign].astype(np.int8), campaigns.channel[campaign].astype(np.int8)
    fatigue = _fatigue(person, time, calendar.length)
    answer = _answer_probability(population, person, topic, time, base=np.array(_ANSWER)[channel], fatigue=fatigue, middle=calendar.days / 2)
    return Sends(person, campaign, time, channel, topic, fatigue, answer)


def _fatigue(person: Integers, time: Floats, length: int) -> Integers:
    key = person * (length + 2 * MEMORY_DAYS) + time
    return (np.arange(len(key)) - np.searchsorted(key, key - MEMORY_DAYS)).astype(np.int16)


def _answer_probability(population: Population, person: Integers, topic: Integers, time: Floats, *, base: Floats, fatigue: Integers, middle: float) -> Floats:
    interest = population.interest_at(person, topic, time, middle)
    logit = base + _ANSWER_ACTIVITY * population.activity[person] + _ANSWER_INTEREST * interest
    logit = logit - ANSWER_FATIGUE * np.minimum(fatigue, _FATIGUE_LIMIT) - _QUIET * (time >= population.quiet[person])
    return 1 / (1 + np.exp(-logit))


def draw_rows(population: Population, sends: Sends, calendar: Calendar, rng: np.random.Generator) -> Rows:
    """Return the interactions that had come in by the end of the history, in the order of their arrival."""
    mean_delay = np.array(_DELAY_DAYS)[sends.channel]
    answered = rng.random(len(sends)) < sends.answer
    delay = rng.exponential(mean_delay)
    parts = [
        _of_sends(sends, np.ones(len(sends), dtype=bool), sends.channel, np.zeros(len(sends))),
        _of_sends(sends, answered, sends.channel + len(CHANNELS), delay),
        _draw_opens(population, sends, answered, delay, rng),
        _draw_machine(population, sends, rng),
        _draw_own_accord(population, calendar, rng),
        _draw_stated(population, calendar, rng),
    ]
    rows = _concatenate(*parts)
    rows = rows.take(rows.occurred < calendar.days)
    received = rows.occurred + _arrival_delay(rows.kind, rng)
    order = np.argsort(received, kind="stable")
    order = order[: np.searchsorted(received[order], calendar.days)]
    return replace(rows.take(order), received=received[order])


def _concatenate(*parts: Rows) -> Rows:
    columns: list[Any] = [np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Rows)]
    return Rows(*columns)


def _of_sends(sends: Sends, which: Flags, kind: Integers, delay: Floats, *, machine: bool = False) -> Rows:
    occurred = (sends.time + delay)[which]
    return _rows(sends.person[which], kind[which], sends.topic[which], occurred, campaign=sends.campaign[which], machine=machine)


def _rows(
    person: Integers, kind: Integers, topic: Integers, occurred: Floats, *, value: Floats | None = None, campaign: Integers | None = None, machine: bool = False
) -> Rows:
    n = len(person)
    value = np.full(n, np.nan) if value is None else value
    campaign = np.full(n, -1) if campaign is None else campaign
    return Rows(
        person.astype(np.int32),
        kind.astype(np.int8),
        topic.astype(np.int8),
        occurred,
        occurred,
        value.astype(np.float32),
        campaign.astype(np.int32),
        np.full(n, machine),
    )


def _draw_opens(population: Population, sends: Sends, answered: Flags, delay: Floats, rng: np.random.Generator) -> Rows:
    """People's own opens: always before a click, and otherwise by activity more than by interest, which makes them a weak sign."""
    email = sends.channel == 0
    interest = population.interest[sends.person, sends.topic]
    logit = _OPEN_BASE + 0.7 * population.activity[sends.person] + 0.3 * interest - 0.15 * np.minimum(sends.fatigue, _FATIGUE_LIMIT)
    logit -= _QUIET * (sends.time >= population.quiet[sends.person])
    opened = email & (answered | (rng.random(len(sends)) < 1 / (1 + np.exp(-logit))))
    when = np.where(answered, delay * rng.random(len(sends)), rng.exponential(0.4, len(sends)))
    return _of_sends(sends, opened, np.full(len(sends), _OPEN), when)


def _draw_machine(population: Population, sends: Sends, rng: np.random.Generator) -> Rows:
    """Mail clients that load every picture, gateways that follow every link: neither knows of interest."""
    email = sends.channel == 0
    opens = email & population.mail_client[sends.person] & (rng.random(len(sends)) < _MACHINE_OPENS)
    clicks = email & population.gateway[sends.person] & (rng.random(len(sends)) < _GATEWAY_CLICKS)
    opened = _of_sends(sends, opens, np.full(len(sends), _OPEN), rng.exponential(1 / 24, len(sends)), machine=True)
    clicked = _of_sends(sends, clicks, np.full(len(sends), len(CHANNELS)), rng.exponential(_MINUTE, len(sends)), machine=True)
    return _concatenate(opened, clicked)


def _own_supply(calendar: Calendar) -> Floats:
    """(days, n_topics) rate of doings of one's own accord for a person of no special activity or interest."""
    return _OWN_ACCORD * calendar.supply.shape[1] * calendar.pace[:, None] * calendar.supply


def _draw_own_accord(population: Population, calendar: Calendar, rng: np.random.Generator) -> Rows:
    """Thin a Poisson process whose rate is highest at one end of the calendar, interest being linear in time."""
    supply, middle = _own_supply(calendar), calendar.days / 2
    highest = population.interest + np.maximum(population.drift * (-middle / YEAR_DAYS), population.drift * ((calendar.length - middle) / YEAR_DAYS))
    mean = np.exp(_OWN_ACTIVITY * population.activity[:, None] + _OWN_INTEREST * highest) * supply.sum(axis=0)
    count = rng.poisson(mean)
    person, topic = np.nonzero(count)
    repeats = count[person, topic]
    person, topic = np.repeat(person, repeats), np.repeat(topic, repeats)
    time = _times(supply, topic, rng)
    log_keep = _OWN_INTEREST * (population.interest_at(person, topic, np.floor(time) + 0.5, middle) - highest[person, topic])
    log_keep -= _QUIET * (np.floor(time) >= population.quiet[person])
    kept = (rng.random(len(time)) < np.exp(log_keep)) & (np.floor(time) >= population.joined[person])
    person, topic, time = person[kept], topic[kept], time[kept]
    kind = _PETITION + rng.choice(len(_OWN_KINDS), len(person), p=_OWN_KINDS)
    gift = np.round(np.exp(rng.normal(*_GIFT_LOG_EUR, len(person))) + 1)
    return _rows(person, kind, topic, time, value=np.where(kind == _DONATION, gift, np.nan))


def _times(supply: Floats, topic: Integers, rng: np.random.Generator) -> Floats:
    """Draw a time for each topic in `topic`: the day by supply, the hour between 7 and 23."""
    day = np.empty(len(topic))
    draw = rng.random(len(topic))
    for t in range(supply.shape[1]):
        cumulated = np.cumsum(supply[:, t])
        mine = topic == t
        day[mine] = np.minimum(np.searchsorted(cumulated, draw[mine] * cumulated[-1], side="right"), len(supply) - 1)
    return day + rng.uniform(7 / 24, 23 / 24, len(topic))


def _draw_stated(population: Population, calendar: Calendar, rng: np.random.Generator) -> Rows:
    """Ask a few people, once, how much each topic interests them, in points from 0 to 10."""
    n_topics = calendar.supply.shape[1]
    asked = np.flatnonzero((rng.random(len(population)) < _SURVEYED) & (population.joined < calendar.days - 1))
    time = rng.uniform(np.maximum(population.joined[asked], 0), calendar.days)
    person, topic = np.repeat(asked, n_topics), np.tile(np.arange(n_topics), len(asked))
    when = np.repeat(time, n_topics)
    points = 5 + 1.8 * population.interest_at(person, topic, when, calendar.days / 2) + rng.normal(0, 1.5, len(person))
    return _rows(person, np.full(len(person), _STATED), topic, when, value=np.clip(np.round(points), 0, 10))


def _arrival_delay(kind: Integers, rng: np.random.Generator) -> Floats:
    """Minutes as a rule; days for what comes in on paper and for the few per cent that a queue held back."""
    n = len(kind)
    delay = rng.exponential(3 * _MINUTE, n)
    delay = np.where(np.isin(kind, _PAPER), delay + rng.uniform(0.2, 5, n), delay)
    held = np.minimum(rng.exponential(_LATE_DAYS, n), _LATEST_DAYS)
    return np.where(rng.random(n) < _LATE_SHARE, delay + held, delay)


def true_affinity(population: Population, sends: Sends, calendar: Calendar, first: int, last: int) -> Floats:
    """Return P(at least one answer in days [first, last)) per person and topic, (n, n_topics) float64, exact under the law above.

    It is conditional on the latent states and on the messages sent, those of the window included, and on no answer.
    """
    silent = -_expected_own_accord(population, calendar, first, last)
    scale = np.array(_DELAY_DAYS)[sends.channel]
    near = (sends.time < last) & (sends.time > first - _LONGEST_DELAYS * scale)
    scale, time = scale[near], sends.time[near]
    inside = np.exp(-np.maximum(first - time, 0) / scale) - np.exp(-(last - time) / scale)
    cell = sends.person[near].astype(np.int64) * silent.shape[1] + sends.topic[near]
    silent += np.bincount(cell, weights=np.log1p(-sends.answer[near] * inside), minlength=silent.size).reshape(silent.shape)
    return -np.expm1(silent)


def _expected_own_accord(population: Population, calendar: Calendar, first: int, last: int) -> Floats:
    supply, middle = _own_supply(calendar), calendar.days / 2
    total = np.empty(population.interest.shape)
    edges = [*range(0, len(population), 100_000), len(population)]
    for begin, end in pairwise(edges):
        part = slice(begin, end)
        sums = np.zeros((end - begin, supply.shape[1]))
        for day in range(first, last):
            alive = np.where(day >= population.quiet[part], np.exp(-_QUIET), 1.0) * (day >= population.joined[part])
            sums += supply[day] * alive[:, None] * np.exp(_OWN_INTEREST * population.drift[part] * ((day + 0.5 - middle) / YEAR_DAYS))
        total[part] = sums * np.exp(_OWN_ACTIVITY * population.activity[part, None] + _OWN_INTEREST * population.interest[part])
    return total
