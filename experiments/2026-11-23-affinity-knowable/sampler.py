"""Draws from the posterior of a person's latent states, and the probability of an engagement that follows from them, person by person.

The states are standard normal numbers but for the quiet day: factors, activity, attributes that are not on file, each topic's own part of the interest, and
its drift. Elliptical slices (Murray, Adams, MacKay 2010) move those that concern all topics together, activity by itself, and the two of each topic; a
Metropolis step moves the quiet day, to a draw of the prior or to a day near by. All of them leave the posterior as it is, so nothing is tuned.
"""

# ruff: noqa: NPY002, PLR0917  compiled code draws from numpy's own generator, and is handed its arrays one by one

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from evidence import ANSWERED, OPENED, UNOPENED, Evidence
from law import LIMIT, OWNER, TERMS, UNKNOWN, Law, quiet_hazard
from messages import DRAWN, Anew, drawn_messages
from numba import njit
from numpy.typing import NDArray

from training.simulated_history import _ANSWER_ACTIVITY, _ANSWER_INTEREST, _OWN_ACTIVITY, _OWN_INTEREST, _QUIET
from training.simulated_people import _ACTIVITY_LIMIT, _ACTIVITY_SPREAD, _DRIFT_SPREAD, _OWN_SPREAD, _YOUNGEST, YEAR_DAYS

Floats = NDArray[np.float64]

FACTORS, TOPICS = 3, 12
ACTIVITY, ATTRIBUTES, OWN, DRIFT = FACTORS, FACTORS + 1, FACTORS + 4, FACTORS + 4 + TOPICS
STATES = DRIFT + TOPICS
HAZARD = quiet_hazard()
UNION_SHARE = 0.3
OPEN_ACTIVITY, OPEN_INTEREST = 0.7, 0.3
STATED_MIDDLE, STATED_SLOPE, STATED_SPREAD, MOST_POINTS = 5.0, 1.8, 1.5, 10.0
JUMPS, STEP_DAYS = 4, 60.0
"""Moves of the quiet day in one round, and the standard deviation of the near ones."""
SMALL, NO_LONGER = 1e-200, 1e-9

leaf = njit(_nrt=False, error_model="numpy")
"""For what allocates nothing: counting references to the arrays it is handed would take four fifths of the time."""


class Found(NamedTuple):
    """What the chains said of n rows; two chains each. Means over draws, but for `below`.

    `planned` (n, 2, T) P(engagement) given the messages to come, `anew` (n, 2, T) with messages drawn anew; `mean` and `square` (n, 2, 1 + T) of activity and
    interests; `below` (n, 1 + 2T) share of draws below the true activity, interests and drifts; `quiet` (n, 2) P(quiet before as_of).
    """

    planned: Floats
    anew: Floats
    mean: Floats
    square: Floats
    below: Floats
    quiet: Floats


def nothing_yet(n: int) -> Found:
    """Return zeros of the shapes of `Found`."""
    shapes = ((n, 2, TOPICS), (n, 2, TOPICS), (n, 2, 1 + TOPICS), (n, 2, 1 + TOPICS), (n, 1 + 2 * TOPICS), (n, 2))
    return Found(*(np.zeros(shape) for shape in shapes))


@leaf
def normal_cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


@leaf
def attributes(z: Floats, row: int, ev: Evidence, law: Law) -> tuple[float, float, float]:
    """Return age, tenancy and union membership: those on file, else what the state says."""
    age, tenure, union = ev.age[row], ev.tenure[row], ev.union[row]
    if age < 0:
        age = _YOUNGEST + min(np.searchsorted(law.age_cdf[tenure], normal_cdf(z[ATTRIBUTES])), law.age_cdf.shape[1] - 1)
    tenant = 0.0 if tenure == OWNER else 1.0
    if tenure == UNKNOWN:
        tenant = 0.0 if normal_cdf(z[ATTRIBUTES + 1]) < law.owner[age - _YOUNGEST] else 1.0
    member = float(union)
    if union < 0:
        member = 1.0 if normal_cdf(z[ATTRIBUTES + 2]) < UNION_SHARE else 0.0
    return (age - 49) / 17, tenant, member


@leaf
def shared(z: Floats, row: int, ev: Evidence, law: Law, out: Floats) -> None:
    """Write to `out` (T,) what all but the topic's own part gives of each interest."""
    known = attributes(z, row, ev, law)
    for t in range(TOPICS):
        total = -law.centre[t]
        for k in range(3):
            total += known[k] * law.slopes[k, t]
        for k in range(FACTORS):
            total += z[k] * law.loadings[k, t]
        out[t] = total


@leaf
def interest_of(common: float, own: float) -> float:
    return min(max(common + _OWN_SPREAD * own, -LIMIT), LIMIT)


@leaf
def activity_of(z: Floats, row: int, ev: Evidence) -> float:
    return min(max(ev.activity[row] + _ACTIVITY_SPREAD * z[ACTIVITY], -_ACTIVITY_LIMIT), _ACTIVITY_LIMIT)


@leaf
def expected(t: int, drift: float, begin: int, end: int, law: Law) -> float:
    """Return the expected doings of one's own accord in days [begin, end) of somebody whose activity and interest are 0."""
    if end <= begin:
        return 0.0
    total, power = 0.0, 1.0
    for k in range(TERMS):
        total += power * (law.sums[end, t, k] - law.sums[begin, t, k])
        power *= drift
    return total


@leaf
def alive_and_quiet(t: int, drift: float, begin: int, end: int, quiet: float, law: Law) -> float:
    day = end if quiet >= end else max(math.ceil(quiet), begin)
    return expected(t, drift, begin, day, law) + math.exp(-_QUIET) * expected(t, drift, day, end, law)


@leaf
def answer(base: float, activity: float, interest: float, drift: float, time: float, quiet: float, middle: float) -> float:
    logit = base + _ANSWER_ACTIVITY * activity + _ANSWER_INTEREST * (interest + drift * (time - middle) / YEAR_DAYS)
    if time >= quiet:
        logit -= _QUIET
    return 1.0 / (1.0 + math.exp(-logit))


@leaf
def without_answer(p: float, s: int, activity: float, interest: float, quiet: float, ev: Evidence) -> tuple[float, float]:
    """Return the probability of what was seen of a message without an answer so far, and its part in which an answer is still to come."""
    seen = 1.0
    if ev.became[s] >= OPENED:
        logit = ev.open_base[s] + OPEN_ACTIVITY * activity + OPEN_INTEREST * interest
        if ev.sent[s] >= quiet:
            logit -= _QUIET
        opening = 1.0 / (1.0 + math.exp(-logit))
        seen = opening * ev.soon[s]
        if ev.became[s] == UNOPENED:
            seen += 1.0 - opening
    waiting = p * ev.late[s]
    return waiting + (1.0 - p) * seen, waiting


@leaf
def likelihood(t: int, interest: float, drift: float, activity: float, quiet: float, row: int, ev: Evidence, law: Law) -> float:
    """Return the log likelihood of what is known of the row's person and topic t."""
    cell = row * TOPICS + t
    product, total = 1.0, 0.0
    for s in range(ev.sent_at[cell], ev.sent_at[cell + 1]):
        p = answer(ev.base[s], activity, interest, drift, ev.sent[s], quiet, law.middle)
        if ev.became[s] == ANSWERED:
            product *= p
        else:
            product *= without_answer(p, s, activity, interest, quiet, ev)[0]
        if product < SMALL:
            total, product = total + math.log(max(product, 1e-300)), 1.0
    total += math.log(product)
    rate = _OWN_ACTIVITY * activity + _OWN_INTEREST * interest
    total -= math.exp(rate) * alive_and_quiet(t, drift, ev.first_day[row], ev.day[row], quiet, law)
    for e in range(ev.own_at[cell], ev.own_at[cell + 1]):
        total += rate + _OWN_INTEREST * drift * (ev.own[e] + 0.5 - law.middle) / YEAR_DAYS
        if ev.own[e] >= quiet:
            total -= _QUIET
    points = ev.stated[row, t]
    if not math.isnan(points):
        mean = STATED_MIDDLE + STATED_SLOPE * (interest + drift * ev.stated_time[row])
        above = 1.0 if points >= MOST_POINTS else normal_cdf((points + 0.5 - mean) / STATED_SPREAD)
        below = 0.0 if points <= 0 else normal_cdf((points - 0.5 - mean) / STATED_SPREAD)
        total += math.log(max(above - below, 1e-300))
    return total


@leaf
def all_topics(z: Floats, quiet: float, row: int, ev: Evidence, law: Law, common: Floats, parts: Floats) -> float:
    """Write the common interests and each topic's log likelihood, and return their sum."""
    shared(z, row, ev, law, common)
    activity, total = activity_of(z, row, ev), 0.0
    for t in range(TOPICS):
        parts[t] = likelihood(t, interest_of(common[t], z[OWN + t]), _DRIFT_SPREAD * z[DRIFT + t], activity, quiet, row, ev, law)
        total += parts[t]
    return total


@njit
def slide_together(z: Floats, begin: int, end: int, quiet: float, row: int, ev: Evidence, law: Law, common: Floats, parts: Floats) -> None:
    """Move the states [begin, end) along an ellipse through them and a draw of the prior, to a point above a level drawn below where they are."""
    level = parts.sum() + math.log(1.0 - np.random.random())
    other, kept = np.random.standard_normal(end - begin), z[begin:end].copy()
    angle = np.random.random() * 2 * math.pi
    low, high = angle - 2 * math.pi, angle
    while True:
        z[begin:end] = kept * math.cos(angle) + other * math.sin(angle)
        if all_topics(z, quiet, row, ev, law, common, parts) >= level:
            return
        if angle < 0:
            low = angle
        else:
            high = angle
        angle = low + np.random.random() * (high - low)


@leaf
def slide_topic(z: Floats, t: int, activity: float, quiet: float, row: int, ev: Evidence, law: Law, common: Floats, parts: Floats) -> None:
    """Move a topic's own part and its drift in the same way."""
    level = parts[t] + math.log(1.0 - np.random.random())
    own, drift = z[OWN + t], z[DRIFT + t]
    other, another = np.random.standard_normal(), np.random.standard_normal()
    angle = np.random.random() * 2 * math.pi
    low, high = angle - 2 * math.pi, angle
    while True:
        z[OWN + t] = own * math.cos(angle) + other * math.sin(angle)
        z[DRIFT + t] = drift * math.cos(angle) + another * math.sin(angle)
        parts[t] = likelihood(t, interest_of(common[t], z[OWN + t]), _DRIFT_SPREAD * z[DRIFT + t], activity, quiet, row, ev, law)
        if parts[t] >= level:
            return
        if angle < 0:
            low = angle
        else:
            high = angle
        angle = low + np.random.random() * (high - low)


@njit
def move_quiet(z: Floats, quiet: float, row: int, ev: Evidence, law: Law, common: Floats, parts: Floats) -> float:
    """Return the next quiet day; the prior is exponential from `begin` on."""
    proposed = np.empty(TOPICS)
    for jump in range(JUMPS):
        if jump % 2:
            day, prior = quiet + STEP_DAYS * np.random.standard_normal(), 0.0
            if day < ev.begin[row]:
                continue
            prior = -HAZARD * (day - quiet)
        else:
            day, prior = ev.begin[row] + np.random.exponential(1 / HAZARD), 0.0
        ratio = all_topics(z, day, row, ev, law, common, proposed) - parts.sum() + prior
        if math.log(1.0 - np.random.random()) < ratio:
            quiet = day
            parts[:] = proposed
    return quiet


@njit
def engages(states: Floats, quiet: float, row: int, window: tuple[int, int], ev: Evidence, law: Law, an: Anew, out: Floats) -> None:
    """Write (2, T): the probability of an engagement in the window given `states` (1 + 2T,), with the messages that came and with messages drawn anew.

    An answer that is still to come is taken to be as far off as if nothing had been seen of the message, which is so but for one opened without an answer.
    """
    activity, first, last = states[0], ev.day[row] + window[0], ev.day[row] + window[1]
    topic, channel = np.empty(DRAWN, dtype=np.int64), np.empty(DRAWN, dtype=np.int64)
    base, time, inside = np.empty(DRAWN), np.empty(DRAWN), np.empty(DRAWN)
    drawn = drawn_messages(row, ev.day[row], first, last, an, topic, channel, base, time, inside)
    for t in range(TOPICS):
        cell, interest, drift = row * TOPICS + t, states[1 + t], states[1 + TOPICS + t]
        silent = math.exp(-math.exp(_OWN_ACTIVITY * activity + _OWN_INTEREST * interest) * alive_and_quiet(t, drift, first, last, quiet, law))
        for s in range(ev.sent_at[cell], ev.sent_at[cell + 1]):
            if ev.became[s] != ANSWERED and ev.late[s] > NO_LONGER:
                p = answer(ev.base[s], activity, interest, drift, ev.sent[s], quiet, law.middle)
                seen, waiting = without_answer(p, s, activity, interest, quiet, ev)
                silent *= 1.0 - waiting / seen * ev.pending[s]
        planned = silent
        for s in range(ev.next_at[cell], ev.next_at[cell + 1]):
            planned *= 1.0 - ev.next_inside[s] * answer(ev.next_base[s], activity, interest, drift, ev.next[s], quiet, law.middle)
        for s in range(drawn):
            if topic[s] == t:
                silent *= 1.0 - inside[s] * answer(base[s], activity, interest, drift, time[s], quiet, law.middle)
        out[0, t], out[1, t] = 1.0 - planned, 1.0 - silent


@leaf
def states_of(z: Floats, row: int, ev: Evidence, common: Floats, out: Floats) -> None:
    """Write activity, interests and drifts (1 + 2T,)."""
    out[0] = activity_of(z, row, ev)
    for t in range(TOPICS):
        out[1 + t], out[1 + TOPICS + t] = interest_of(common[t], z[OWN + t]), _DRIFT_SPREAD * z[DRIFT + t]


@njit
def from_prior(row: int, draws: int, seed: int, window: tuple[int, int], ev: Evidence, law: Law, an: Anew) -> Floats:
    """Return (2, T) as `engages`, the mean over independent draws of the prior: what is said of somebody of whom nothing is known but what is on file."""
    np.random.seed(seed)
    common, states, said, total = np.empty(TOPICS), np.empty(1 + 2 * TOPICS), np.empty((2, TOPICS)), np.zeros((2, TOPICS))
    for _ in range(draws):
        z = np.random.standard_normal(STATES)
        shared(z, row, ev, law, common)
        states_of(z, row, ev, common, states)
        engages(states, ev.begin[row] + np.random.exponential(1 / HAZARD), row, window, ev, law, an, said)
        total += said / draws
    return total


@njit
def from_states(row: int, draws: int, seed: int, states: Floats, quiet: float, window: tuple[int, int], ev: Evidence, law: Law, an: Anew) -> Floats:
    """Return (2, T) as `engages`, the mean over draws of the messages to come, of somebody whose states are known."""
    np.random.seed(seed)
    said, total = np.empty((2, TOPICS)), np.zeros((2, TOPICS))
    for _ in range(draws):
        engages(states, quiet, row, window, ev, law, an, said)
        total += said / draws
    return total


@njit
def sample(
    rows: Any, seed: int, rounds: int, burn: int, thin: int, window: tuple[int, int], ev: Evidence, law: Law, an: Anew, true: Floats, found: Found
) -> None:
    """Run two chains of each row, from a draw of the prior each, and add what they said to `found`; `true` (n, 1 + 2T) are the latent states."""
    common, parts, said, states = np.empty(TOPICS), np.empty(TOPICS), np.empty((2, TOPICS)), np.empty(1 + 2 * TOPICS)
    kept = (rounds - burn + thin - 1) // thin
    for row in rows:
        for chain in range(2):
            np.random.seed(seed + 2 * row + chain)
            z = np.random.standard_normal(STATES)
            quiet = ev.begin[row] + np.random.exponential(1 / HAZARD)
            all_topics(z, quiet, row, ev, law, common, parts)
            for turn in range(rounds):
                slide_together(z, 0, OWN, quiet, row, ev, law, common, parts)
                slide_together(z, ACTIVITY, ACTIVITY + 1, quiet, row, ev, law, common, parts)
                for t in range(TOPICS):
                    slide_topic(z, t, activity_of(z, row, ev), quiet, row, ev, law, common, parts)
                quiet = move_quiet(z, quiet, row, ev, law, common, parts)
                if turn < burn or (turn - burn) % thin:
                    continue
                states_of(z, row, ev, common, states)
                engages(states, quiet, row, window, ev, law, an, said)
                found.planned[row, chain] += said[0] / kept
                found.anew[row, chain] += said[1] / kept
                found.mean[row, chain] += states[: 1 + TOPICS] / kept
                found.square[row, chain] += states[: 1 + TOPICS] ** 2 / kept
                found.below[row] += ((states < true[row]) + 0.5 * (states == true[row])) / (2 * kept)
                found.quiet[row, chain] += (1.0 if quiet < ev.day[row] else 0.0) / kept
