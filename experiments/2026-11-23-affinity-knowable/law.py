"""The generating process as somebody knows it who knows every constant of it: the prior of a person's latent states, and rates by day.

The constants are those of `training.simulated_people` and `training.simulated_history`; the loadings and slopes that were drawn for this campaign are drawn
again from a copy of the generator, and the interests of all people made from them must be those of the simulation.
"""

from __future__ import annotations

import copy
import math
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from training import simulated_history, simulated_people
from training.simulated_history import _OWN_INTEREST, _own_supply
from training.simulated_people import _FACTOR_SPREAD, _FACTORS, _OLDEST, _OWN_SPREAD, _YOUNGEST, YEAR_DAYS, draw_population
from training.simulation import Simulation

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

TERMS = 12
"""Of the power series of exp(drift · time), whose sums over days are kept: at five standard deviations of drift the rest is below 1e-7."""
UNKNOWN, OWNER, TENANT = 0, 1, 2
_STREAMS, _POPULATION_STREAM = 6, 1
_MEAN_AGE, _AGE_SPREAD = 49, 17
_OWNERS, _OWNER_AGE, _OWNER_YEARS = 0.85, 42, 9


class LawError(RuntimeError):
    """What is written here is not the generating process."""


class Law(NamedTuple):
    """What is the same for all people; T topics, K factors, D days of the calendar.

    `loadings` (K, T), `slopes` (3, T) of age, tenancy and union membership, `centre` (T,) taken off; `sums` (D + 1, T, TERMS): rates of doings of one's own
    accord times powers of the scaled time, divided by the factorial and summed over the days before; `age_cdf` (3, ages) of ages from the youngest,
    of people whose tenure is unknown, owners, tenants; `owner` (ages,) the share of owners; `middle` the day for which interests are given.
    """

    loadings: Floats
    slopes: Floats
    centre: Floats
    sums: Floats
    age_cdf: Floats
    owner: Floats
    middle: float


def law_of(made: Simulation, seed: int) -> Law:
    """Return the law of the simulation that `simulate(…, seed=seed)` made. Raises LawError where it does not give the simulation's interests."""
    loadings, slopes, centre = _interests_again(made, seed)
    ages = np.arange(_YOUNGEST, _OLDEST + 1)
    edges = norm.cdf((np.arange(_YOUNGEST, _OLDEST + 2) - _MEAN_AGE) / _AGE_SPREAD)
    edges[0], edges[-1] = 0.0, 1.0
    owner = _OWNERS / (1 + np.exp(-(ages - _OWNER_AGE) / _OWNER_YEARS))
    weights = np.diff(edges) * np.stack([np.ones(len(ages)), owner, 1 - owner])
    cdf = np.cumsum(weights, axis=1)
    return Law(loadings, slopes, centre, _sums(made), cdf / cdf[:, -1:], owner, made.calendar.days / 2)


def _interests_again(made: Simulation, seed: int) -> tuple[Floats, Floats, Floats]:
    """Return loadings, slopes and centre as `_interests` draws them, from a copy of its generator, and check that they give the interests."""
    seen: dict[str, Any] = {}
    original = simulated_people._interests  # noqa: SLF001  the process under study

    def watched(age: Any, tenure: Any, union: Any, n_topics: int, rng: np.random.Generator) -> Any:
        again = copy.deepcopy(rng)
        loadings = again.normal(0, _FACTOR_SPREAD, (_FACTORS, n_topics))
        known = np.column_stack(((age - _MEAN_AGE) / _AGE_SPREAD, tenure > 0, union)).astype(np.float32)
        slopes = again.normal(0, 0.35, (known.shape[1], n_topics))
        slopes[1, 0] = 0.7
        raw = again.normal(0, 1, (len(age), _FACTORS)).astype(np.float32) @ loadings + known @ slopes + again.normal(0, _OWN_SPREAD, (len(age), n_topics))
        seen.update(loadings=loadings, slopes=slopes, centre=raw.mean(axis=0), interest=raw - raw.mean(axis=0))
        return original(age, tenure, union, n_topics, rng)

    stream = np.random.default_rng(np.random.SeedSequence(seed).spawn(_STREAMS)[_POPULATION_STREAM])
    with patch.object(simulated_people, "_interests", watched):
        draw_population(len(made.population), made.calendar, made.calendar.supply.shape[1], stream)
    if not np.allclose(np.clip(seen["interest"], -LIMIT, LIMIT), made.population.interest, atol=1e-5):
        raise LawError("the interests made from these loadings and slopes are not those of the simulation")
    return seen["loadings"], seen["slopes"], seen["centre"]


LIMIT = 3.5
"""Of interests, as in `_interests`."""


def _sums(made: Simulation) -> Floats:
    supply = _own_supply(made.calendar)
    time = _OWN_INTEREST * (np.arange(len(supply)) + 0.5 - made.calendar.days / 2) / YEAR_DAYS
    powers = np.stack([time**k / math.factorial(k) for k in range(TERMS)], axis=1)
    total = np.zeros((len(supply) + 1, supply.shape[1], TERMS))
    np.cumsum(supply[:, :, None] * powers[:, None, :], axis=0, out=total[1:])
    return total


def quiet_hazard() -> float:
    """Return the rate per day at which people go quiet, from 60 days after joining, or after the history begins."""
    return float(-np.log(1 - simulated_people._QUIET_SHARE) / (2 * YEAR_DAYS))  # noqa: SLF001


QUIET_BEGINS = 60
DELAY_DAYS = np.array(simulated_history._DELAY_DAYS)  # noqa: SLF001
