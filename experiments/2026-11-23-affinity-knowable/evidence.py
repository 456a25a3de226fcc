"""What is known of each person at `as_of`, as arrays for the sampler: what was sent and what came of it, doings of their own accord, what is on file.

Somebody who knows all of this knows a little more than any model: what had happened by `as_of` counts, also where word of it came in later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from law import DELAY_DAYS, OWNER, QUIET_BEGINS, TENANT, UNKNOWN
from numpy.typing import NDArray
from scipy.special import exp1

from training.simulated_history import _ANSWER, _FATIGUE_LIMIT, _LONGEST_DELAYS, _OPEN, _OPEN_BASE, _OWN_KINDS, _PETITION, _STATED, ANSWER_FATIGUE
from training.simulated_people import _YOUNGEST, PEOPLE_SOURCES, YEAR_DAYS
from training.simulation import Simulation

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ANSWERED, SILENT, OPENED, UNOPENED = 0, 1, 2, 3
"""What came of a message: an answer; none, and whether it was opened is not told; none, but a person opened it; none, and nobody opened it."""
_EMAIL = 0
_ANSWERS = (3, 4, 5)
_OPEN_DELAY = 0.4
_OPEN_FATIGUE = 0.15


class Evidence(NamedTuple):
    """n rows, T topics; what belongs to row r and topic t stands at `…_at[r · T + t]` up to the next."""

    day: Integers
    """(n,) the day of the calendar that begins at as_of."""
    first_day: Integers
    """(n,) first whole day after joining, at least 0."""
    begin: Floats
    """(n,) from when people may go quiet."""
    activity: Floats
    """(n,) mean of the source."""
    age: Integers
    """(n,) years when the history begins; -1 unknown."""
    tenure: Integers
    union: Integers
    """(n,) -1 unknown."""
    stated: Floats
    """(n, T) points, NaN where nobody asked."""
    stated_time: Floats
    """(n,) scaled time of asking."""
    sent_at: Integers
    sent: Floats
    """Time of each message until as_of."""
    base: Floats
    """Its logit of an answer but for activity, interest and quiet."""
    open_base: Floats
    became: Integers
    """ANSWERED, SILENT, OPENED or UNOPENED."""
    late: Floats
    """How likely what was seen would be if the person answers after as_of."""
    soon: Floats
    """The same if the person opens it without an answer; 1 for what was opened."""
    pending: Floats
    """Share of those late answers that fall into the window."""
    own_at: Integers
    own: Floats
    """Day of each doing of their own accord."""
    next_at: Integers
    next: Floats
    """Time of each message from as_of on whose answer may fall into the window."""
    next_base: Floats
    next_inside: Floats
    """Share of its answers that do."""


def evidence_of(made: Simulation, person: Integers, day: Integers, window: tuple[int, int], *, opens: bool = True, stated: bool = True) -> Evidence:
    """Return what is known of `person` (n,) at `day` (n,); the window begins and ends so many days after. `opens`, `stated`: whether these are looked at."""
    people, topics = made.population, made.calendar.supply.shape[1]
    tenure = people.tenure[person]
    age = made.calendar.start.year - people.birth_year[person]
    points, when = _stated(made, person, day, topics) if stated else (np.full((len(person), topics), np.nan), np.zeros(len(person)))
    return Evidence(
        day=day,
        first_day=np.maximum(np.ceil(people.joined[person]), 0).astype(np.int64),
        begin=np.maximum(people.joined[person], 0) + QUIET_BEGINS,
        activity=np.array([source.activity for source in PEOPLE_SOURCES])[people.source[person]],
        age=np.where(np.isnan(age), -1, np.maximum(np.nan_to_num(age), _YOUNGEST)).astype(np.int64),
        tenure=np.select([tenure < 0, tenure == 0], [UNKNOWN, OWNER], TENANT).astype(np.int64),
        union=people.union_member[person].astype(np.int64),
        stated=points,
        stated_time=when,
        **_sent(made, person, day, window, opens=opens),
        **_own(made, person, day),
        **_next(made, person, day, window),
    )


def emptied(evidence: Evidence) -> Evidence:
    """Return the same people without any history: nothing sent yet, nothing done, nobody asked, as if each had joined at as_of; messages to come stay."""
    nothing: dict[str, NDArray] = {name: np.zeros(0) for name in ("sent", "base", "open_base", "late", "soon", "pending", "own")}
    nothing |= {"became": np.zeros(0, dtype=np.int64), "sent_at": np.zeros_like(evidence.sent_at), "own_at": np.zeros_like(evidence.own_at)}
    return evidence._replace(**nothing, stated=np.full_like(evidence.stated, np.nan), first_day=evidence.day.copy())


def rows_of(person: Integers, day: Integers, whose: NDArray, size: int) -> list[tuple[int, Integers, Integers]]:
    """Return for each distinct day: the day, which of `whose` are about people judged at it, and the row of each of these."""
    found = []
    for one in np.unique(day):
        place = np.full(size, -1)
        mine = np.flatnonzero(day == one)
        place[person[mine]] = mine
        which = np.flatnonzero(place[whose] >= 0)
        found.append((int(one), which, place[whose[which]]))
    return found


def grouped(cell: Integers, cells: int, columns: Sequence[NDArray]) -> tuple[Integers, list[NDArray]]:
    """Return where each cell's part begins (cells + 1,), and the columns in the order of cells."""
    order = np.argsort(cell, kind="stable")
    return np.concatenate(([0], np.cumsum(np.bincount(cell, minlength=cells)))), [np.asarray(column)[order] for column in columns]


def _sent(made: Simulation, person: Integers, day: Integers, window: tuple[int, int], *, opens: bool) -> dict[str, NDArray]:
    sends, rows, topics = made.sends, made.rows, made.calendar.supply.shape[1]
    parts = []
    width = len(made.calendar.campaigns)
    told = ~rows.is_machine
    answer = np.flatnonzero(told & np.isin(rows.kind, _ANSWERS))
    opening = np.flatnonzero(told & (rows.kind == _OPEN))
    key = sends.person.astype(np.int64) * width + sends.campaign
    other = rows.person.astype(np.int64) * width + rows.campaign
    answered_at, opened_at = (_time_of(key, other[which], rows.occurred[which]) for which in (answer, opening))
    for as_of, everything, whose in rows_of(person, day, sends.person, len(made.population)):
        past = sends.time[everything] < as_of
        which, row = everything[past], whose[past]
        email, age, mean = sends.channel[which] == _EMAIL, as_of - sends.time[which], DELAY_DAYS[sends.channel[which]]
        answered, opened = answered_at[which] < as_of, opened_at[which] < as_of
        looked = email & opens
        became = np.select([answered, looked & opened, looked], [ANSWERED, OPENED, UNOPENED], SILENT)
        late, soon = _unanswered(became, age, opened_at[which] - sends.time[which], mean)
        pending = np.exp(-window[0] / mean) - np.exp(-window[1] / mean)
        weary = np.minimum(sends.fatigue[which], _FATIGUE_LIMIT)
        base = np.array(_ANSWER)[sends.channel[which]] - ANSWER_FATIGUE * weary
        columns = (sends.time[which], base, _OPEN_BASE - _OPEN_FATIGUE * weary, became, late, soon, pending)
        parts.append((row * topics + sends.topic[which], *columns))
    cell, *columns = (np.concatenate(each) for each in zip(*parts, strict=True))
    at, ordered = grouped(cell, len(person) * topics, columns)
    return dict(zip(("sent_at", "sent", "base", "open_base", "became", "late", "soon", "pending"), (at, *ordered), strict=True))


def _time_of(key: Integers, other: Integers, time: Floats) -> Floats:
    """Return the time (n_sends,) of what came of each message; infinity where nothing did."""
    order = np.argsort(other, kind="stable")
    place = np.minimum(np.searchsorted(other[order], key), max(len(other) - 1, 0))
    return np.where(other[order][place] == key, time[order][place], np.inf)


def _unanswered(became: Integers, age: Floats, opened: Floats, mean: Floats) -> tuple[Floats, Floats]:
    """Return `late` and `soon`: an answer comes after an exponential delay, an opening before it at a uniform share of that delay, or after one of its own.

    Both are relative to what was seen if the person never answers and, for what was opened, to opening it then.
    """
    silent, ratio = np.exp(-age / mean), age / mean
    after = np.where(became == OPENED, np.exp(np.minimum(np.where(np.isfinite(opened), opened, 0), age) / _OPEN_DELAY) * _OPEN_DELAY / mean * exp1(ratio), 0)
    late = np.select([became == OPENED, became == UNOPENED], [after, silent - ratio * exp1(ratio)], silent)
    return late, np.where(became == UNOPENED, np.exp(-age / _OPEN_DELAY), 1.0)


def _own(made: Simulation, person: Integers, day: Integers) -> dict[str, NDArray]:
    rows, topics = made.rows, made.calendar.supply.shape[1]
    own = np.flatnonzero((rows.kind >= _PETITION) & (rows.kind < _PETITION + len(_OWN_KINDS)))
    parts = []
    for as_of, which, row in rows_of(person, day, rows.person[own], len(made.population)):
        past = rows.occurred[own[which]] < as_of
        parts.append((row[past] * topics + rows.topic[own[which[past]]], np.floor(rows.occurred[own[which[past]]])))
    cell, time = (np.concatenate(each) for each in zip(*parts, strict=True))
    at, (ordered,) = grouped(cell, len(person) * topics, [time])
    return {"own_at": at, "own": ordered}


def _next(made: Simulation, person: Integers, day: Integers, window: tuple[int, int]) -> dict[str, NDArray]:
    sends, topics = made.sends, made.calendar.supply.shape[1]
    parts = []
    for as_of, everything, whose in rows_of(person, day, sends.person, len(made.population)):
        first, last = as_of + window[0], as_of + window[1]
        longest = _LONGEST_DELAYS * DELAY_DAYS[sends.channel[everything]]
        near = (sends.time[everything] >= as_of) & (sends.time[everything] < last) & (sends.time[everything] > first - longest)
        which, row = everything[near], whose[near]
        time, mean = sends.time[which], DELAY_DAYS[sends.channel[which]]
        inside = np.exp(-np.maximum(first - time, 0) / mean) - np.exp(-(last - time) / mean)
        base = np.array(_ANSWER)[sends.channel[which]] - ANSWER_FATIGUE * np.minimum(sends.fatigue[which], _FATIGUE_LIMIT)
        parts.append((row * topics + sends.topic[which], time, base, inside))
    cell, *columns = (np.concatenate(each) for each in zip(*parts, strict=True))
    at, ordered = grouped(cell, len(person) * topics, columns)
    return dict(zip(("next_at", "next", "next_base", "next_inside"), (at, *ordered), strict=True))


def _stated(made: Simulation, person: Integers, day: Integers, topics: int) -> tuple[Floats, Floats]:
    rows = made.rows
    asked = np.flatnonzero(rows.kind == _STATED)
    points, when = np.full((len(person), topics), np.nan), np.zeros(len(person))
    for as_of, which, row in rows_of(person, day, rows.person[asked], len(made.population)):
        past = rows.occurred[asked[which]] < as_of
        line = asked[which[past]]
        points[row[past], rows.topic[line]] = rows.value[line]
        when[row[past]] = (rows.occurred[line] - made.calendar.days / 2) / YEAR_DAYS
    return points, when
