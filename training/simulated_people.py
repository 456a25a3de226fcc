"""The people of the simulated campaign: what is on file about them, and what only the simulation knows.

Nobody is imitated: there are no names, areas are invented codes, ids are numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.simulated_calendar import CHANNELS, Calendar, Floats, Integers

Flags = NDArray[np.bool_]

YEAR_DAYS = 365.0
NEVER = np.inf


@dataclass(frozen=True, slots=True)
class Source:
    """A source of people or of interactions; days count from the start of the history, fractions are of its length."""

    id: str
    type: str
    collected_how: str
    weight: float = 0.0
    """Share of the people who came from here; 0 for sources of interactions only."""
    joined: tuple[float, float] = (-1.0, 1.0)
    """Between which parts of the history (-1: as long before it as it lasts) its people joined."""
    status: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)
    """Shares of member, former_member, regular_contact, contact."""
    activity: float = 0.0
    """How much more (or less) its people do, on the log scale."""
    consent: tuple[float, float] = (0.0, 0.0)
    """Shares who gave consent to e-mail and to text messages when they joined."""
    political: bool = True
    """Whether people were shown that their data would serve politics; brokers and contests that did not show it cannot be stored."""
    expires: float | None = None
    supports: bool = False
    """Whether the petition or event itself supports the organisation."""


SOURCES = (
    Source("membership_form", "membership", "from_person", 0.22, (-1, 1), (0.78, 0.17, 0.05, 0), 0.6, (0.93, 0.45)),
    Source("petition_old", "petition", "from_person", 0.24, (-1, 0), (0.04, 0.02, 0.34, 0.6), 0.1, (0.80, 0.20)),
    Source("petition_new", "petition", "from_person", 0.18, (0, 1), (0.03, 0.0, 0.27, 0.7), 0.2, (0.84, 0.25), supports=True),
    Source("event_desk", "event", "from_person", 0.10, (-0.5, 1), (0.10, 0.02, 0.58, 0.3), 0.4, (0.70, 0.35), supports=True),
    Source("broker_list", "broker", "third_party", 0.14, (-0.4, -0.2), (0, 0, 0, 1), -0.9, (0.0, 0.0), expires=0.9),
    Source("spring_contest", "contest", "from_person", 0.12, (0.25, 0.4), (0, 0, 0.03, 0.97), -0.6, (0.55, 0.15)),
    Source("email_platform", "email_platform", "observed"),
    Source("text_platform", "sms_platform", "from_person"),
    Source("canvass_app", "canvass", "from_person"),
    Source("website", "website", "from_person"),
)
PEOPLE_SOURCES = tuple(source for source in SOURCES if source.weight > 0)

LANGUAGES, LANGUAGE_SHARES = ("fr", "nl", "en"), (0.48, 0.44, 0.08)
AREAS = 120
REGIONS = 3
TENURES = ("owner", "tenant", "social_tenant")

_UNKNOWN_BIRTH_YEAR, _UNKNOWN_JOINED, _UNKNOWN_TENURE, _UNKNOWN_UNION = 0.18, 0.03, 0.25, 0.55
_ACTIVITY_SPREAD, _ACTIVITY_LIMIT = 0.85, 2.2
_FACTORS, _FACTOR_SPREAD, _OWN_SPREAD = 3, 0.65, 0.6
_DRIFT_SPREAD = 0.3  # change of an interest in a year, on the log scale
_QUIET_SHARE = 0.35  # people who go quiet within the two years
_MAIL_CLIENT, _GATEWAY = 0.35, 0.03  # mail clients that open by themselves, gateways that follow every link
_FREQUENCY_SPREAD = 0.45
_LEAVE_PER_YEAR = 0.07  # withdrawals of consent
_OBJECTION = 0.015
_YOUNGEST, _OLDEST = 18, 96
_CHILDREN, _CHILD_YEARS = 10, 10  # one in so many of the youngest turns out to be a child, of so many years in the year when the history begins
_REFUSAL = 0.3  # of those who gave no consent, how many were asked and refused


@dataclass(frozen=True)
class Population:
    """People as arrays of length n; where an array has a second axis it is the topics. Days are since the start; NaN is unknown."""

    source: Integers
    status: Integers
    language: Integers
    area: Integers
    household: Integers
    household_size: Integers
    birth_year: Floats
    joined: Floats
    """Day of joining, also of those about whom the table does not tell."""
    joined_known: Flags
    tenure: Integers
    """Index into TENURES; -1 unknown."""
    union_member: Integers
    """1 yes, 0 no, -1 unknown."""
    # What nobody tells:
    activity: Floats
    interest: Floats
    """(n, n_topics) log-scale interest in the middle of the history."""
    drift: Floats
    """(n, n_topics) change of that interest per year."""
    quiet: Floats
    """Day from which the person hardly answers any more; infinity for never."""
    frequency: Floats
    mail_client: Flags
    gateway: Flags
    # Permission by channel (n, n_channels): reachable in [reach_from, reach_until).
    refused: Flags
    reach_from: Floats
    reach_until: Floats
    objected: Floats
    """Day of an objection to everything; infinity for never."""

    def __len__(self) -> int:
        return len(self.source)

    def interest_at(self, people: Integers, topics: Integers, days: Floats, middle: float) -> Floats:
        """Return the interest (k,) of `people` in `topics` at `days`."""
        return self.interest[people, topics] + self.drift[people, topics] * ((days - middle) / YEAR_DAYS)


def draw_population(n: int, calendar: Calendar, n_topics: int, rng: np.random.Generator) -> Population:
    """Return `n` people; two draws with the same generator are equal."""
    source = rng.choice(len(PEOPLE_SOURCES), n, p=[s.weight for s in PEOPLE_SOURCES])
    joined_range = np.array([s.joined for s in PEOPLE_SOURCES])[source] * calendar.days
    joined = rng.uniform(joined_range[:, 0], joined_range[:, 1])
    shares = np.cumsum([s.status for s in PEOPLE_SOURCES], axis=1)[source]
    household, size = _households(n, rng)
    age = np.clip(rng.normal(49, 17, n), _YOUNGEST, _OLDEST).astype(np.int64)
    tenure = _tenures(age, rng)
    union = (rng.random(n) < 0.3).astype(np.int64)
    activity = rng.normal(0, _ACTIVITY_SPREAD, n) + np.array([s.activity for s in PEOPLE_SOURCES])[source]
    reach = _reach(source, joined, rng)
    interest = _interests(age, tenure, union, n_topics, rng)
    child = (age == _YOUNGEST) & (np.arange(n) % _CHILDREN == 0)
    birth_year = np.where(rng.random(n) < _UNKNOWN_BIRTH_YEAR, np.nan, calendar.start.year - np.where(child, _CHILD_YEARS, age))
    return Population(
        source=source,
        status=np.minimum((rng.random((n, 1)) > shares).sum(axis=1), 3),
        language=rng.choice(len(LANGUAGES), n, p=LANGUAGE_SHARES),
        area=rng.integers(0, AREAS, household.max() + 1)[household],
        household=household,
        household_size=size,
        birth_year=birth_year,
        joined=joined,
        joined_known=(rng.random(n) >= _UNKNOWN_JOINED) | (joined >= 0),
        tenure=np.where(rng.random(n) < _UNKNOWN_TENURE, -1, tenure),
        union_member=np.where(rng.random(n) < _UNKNOWN_UNION, -1, union),
        activity=np.clip(activity, -_ACTIVITY_LIMIT, _ACTIVITY_LIMIT).astype(np.float32),
        interest=interest,
        drift=rng.normal(0, _DRIFT_SPREAD, (n, n_topics)).astype(np.float32),
        quiet=_quiet(joined, calendar, rng),
        frequency=np.exp(rng.normal(-(_FREQUENCY_SPREAD**2) / 2, _FREQUENCY_SPREAD, n)),
        mail_client=rng.random(n) < _MAIL_CLIENT,
        gateway=rng.random(n) < _GATEWAY,
        **reach,
    )


def _households(n: int, rng: np.random.Generator) -> tuple[Integers, Integers]:
    """Neighbouring numbers share a household of 1 to 4 known people; its size counts the unknown ones too."""
    known = rng.choice([1, 2, 3, 4], n, p=[0.62, 0.26, 0.08, 0.04])
    household = np.repeat(np.arange(n), known)[:n]
    size = known + rng.choice([0, 1, 2, 3], n, p=[0.45, 0.3, 0.17, 0.08])
    return household, size[household]


def _tenures(age: Integers, rng: np.random.Generator) -> Integers:
    owner = 1 / (1 + np.exp(-(age - 42) / 9))
    draw = rng.random(len(age))
    return np.where(draw < owner * 0.85, 0, np.where(rng.random(len(age)) < 0.7, 1, 2))


def _interests(age: Integers, tenure: Integers, union: Integers, n_topics: int, rng: np.random.Generator) -> Floats:
    """Add up a few common factors, what age, tenure and union membership explain, and each topic's own part; mean 0 over people."""
    n = len(age)
    loadings = rng.normal(0, _FACTOR_SPREAD, (_FACTORS, n_topics))
    known = np.column_stack(((age - 49) / 17, tenure > 0, union)).astype(np.float32)
    slopes = rng.normal(0, 0.35, (known.shape[1], n_topics))
    slopes[1, 0] = 0.7  # tenants and the first topic, housing
    interest = rng.normal(0, 1, (n, _FACTORS)).astype(np.float32) @ loadings + known @ slopes
    interest += rng.normal(0, _OWN_SPREAD, (n, n_topics))
    return np.clip(interest - interest.mean(axis=0), -3.5, 3.5).astype(np.float32)


def _quiet(joined: Floats, calendar: Calendar, rng: np.random.Generator) -> Floats:
    begin = np.maximum(joined, 0) + 60
    hazard = -np.log(1 - _QUIET_SHARE) / (2 * YEAR_DAYS)
    day = begin + rng.exponential(1 / hazard, len(joined))
    return np.where(day < calendar.length, day, NEVER)


def _reach(source: Integers, joined: Floats, rng: np.random.Generator) -> dict[str, NDArray]:
    """Consent to e-mail and text messages is given at joining and may be withdrawn; doors are open until somebody objects."""
    n, n_channels = len(source), len(CHANNELS)
    consent = np.array([s.consent for s in PEOPLE_SOURCES])[source]
    given = np.concatenate((rng.random((n, 2)) < consent, np.ones((n, 1), dtype=bool)), axis=1)
    refused = ~given & (consent.max(axis=1, keepdims=True) > 0) & (rng.random((n, n_channels)) < _REFUSAL)
    objected = np.where(rng.random(n) < _OBJECTION, joined + rng.uniform(30, 900, n), NEVER)
    until = joined[:, None] + rng.exponential(YEAR_DAYS / _LEAVE_PER_YEAR, (n, n_channels))
    until[:, CHANNELS.index("door")] = NEVER
    return {
        "refused": refused,
        "reach_from": np.where(given, joined[:, None], NEVER),
        "reach_until": np.minimum(until, objected[:, None]),
        "objected": objected,
    }
