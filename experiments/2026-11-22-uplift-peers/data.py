"""The experiments that are learned from: real ones as their files hold them, simulated messages, and surfaces written down as formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tasks import Floats, Floats32, Integers, Task

from models.folds import group_codes, grouped_folds
from models.persuadability import Persuadability
from training.real_data import data_folder
from training.simulated_history import ENGAGEMENTS
from training.simulation import Simulation, simulate

FOLDS, FOLDINGS = 5, 5
"""Folds, and seeds of them: 0, 1, 2, 3, 4."""
SIMULATED = 10
"""Simulated experiments of each kind: seeds from 0 on."""
PEOPLE, FRESH = 10_000, 20_000
"""People of a simulated experiment drawn from a formula, and people it is judged on."""
CAMPAIGN = 20_000
"""People of a simulated campaign, of whom nearly all are in each of its experiments."""
TREES = {name: value for name, value in Persuadability().get_params().items() if isinstance(value, (int, float))}
"""What `Persuadability` uses when nothing is said."""
ELSEWHERE = 1_000
"""Added to the seed of a simulated experiment for the people it is judged on."""


@dataclass(frozen=True, repr=False)
class Drawn:
    """A task, and the true effect (m,) of its fresh people where it is known."""

    task: Task
    truth: Floats | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """What a data set is called, and what makes its tasks; `aims` are the targets of the issue by the measure they are about."""

    title: str
    make: Callable[[], list[Drawn]]
    aims: Mapping[str, float | str]
    simulated: bool = False


def foldings(frame: pd.DataFrame, outcome: Floats, treated: NDArray[np.bool_], probability: float, group: Integers) -> list[Drawn]:
    """Return the same experiment in each of the foldings."""
    X, codes = frame.to_numpy(dtype=np.float32), group_codes(group, len(frame))
    shared = {"X": X, "y": outcome, "treatment": treated.astype(np.int64), "group": codes, "names": tuple(frame.columns), "probability": probability}
    shared["trees"] = TREES
    return [Drawn(Task(**shared, fold=grouped_folds(codes, FOLDS, seed), seed=seed)) for seed in range(FOLDINGS)]


# %% Real experiments

ELECTIONS = ("primary_00", "general_00", "primary_02", "general_02", "primary_04", "general_04")


def social_pressure(arm: str) -> list[Drawn]:
    """Return Gerber, Green & Larimer 2008: one mailing against none, voting in the primary of 2006; drawn 1 to 5, by block."""
    people = pd.read_parquet(data_folder("gerber_green_larimer") / "social_pressure.parquet")
    people = people[people["treatment"].isin([arm, "No Postcard"])]
    X = people[["age", *ELECTIONS, "hh_size"]].assign(female=people["sex"] == "Female")
    return foldings(X, people["primary_06"].to_numpy(dtype=np.float64), (people["treatment"] == arm).to_numpy(), 1 / 6, people["cluster"].to_numpy())


def hillstrom(arm: str, outcome: str) -> list[Drawn]:
    """Return Hillstrom's e-mails: one arm against none, drawn 1 to 1, each customer alone; categories as columns of 0 and 1."""
    people = pd.read_parquet(data_folder("hillstrom") / "hillstrom.parquet")
    people = people[people["segment"].isin([f"{arm} E-Mail", "No E-Mail"])]
    X = people[["recency", "history", "mens", "womens", "newbie"]].join(pd.get_dummies(people[["zip_code", "channel"]]))
    treated = (people["segment"] != "No E-Mail").to_numpy()
    return foldings(X, people[outcome].to_numpy(dtype=np.float64), treated, 0.5, np.arange(len(people)))


# %% Surfaces: formulas of ten columns, after those of the ACIC 2016 competition (Dorie et al. 2019), with effects of several shapes

HOUSEHOLD, SHARED_NOISE, OWN_NOISE, CHANCE = 2, 0.5, 1.0, 1 / 3
"""People drawn as one; standard deviations of what they share and do not share; probability of contact."""


def columns(n: int, rng: np.random.Generator) -> Floats32:
    """Return ten columns (n, 10): five normal ones that share a factor (correlation .3), two of 0 and 1, a count, a uniform one, a code of four values."""
    normal = np.sqrt(0.3) * rng.normal(size=(n, 1)) + np.sqrt(0.7) * rng.normal(size=(n, 5))
    rest = [rng.random(n) < 0.5, rng.random(n) < 0.2, rng.poisson(2.0, n), rng.uniform(-1, 1, n), rng.integers(0, 4, n)]
    return np.column_stack([normal, *rest]).astype(np.float32)


def baseline(X: Floats32) -> Floats:
    """Return the outcome expected without contact: ½x₁ + sin 2x₂ + ½x₃x₆ + ⅕x₈ + ½·1{x₁₀ = 2}."""
    return 0.5 * X[:, 0] + np.sin(2 * X[:, 1]) + 0.5 * X[:, 2] * X[:, 5] + 0.2 * X[:, 7] + 0.5 * (X[:, 9] == 2)


SURFACES: dict[str, tuple[str, Callable[[Floats32], Floats]]] = {
    "smooth": ("smooth: .3 + .3·tanh(1.5x₁) + .2x₉", lambda X: 0.3 + 0.3 * np.tanh(1.5 * X[:, 0]) + 0.2 * X[:, 8]),
    "step": ("steps: .6·1{x₁ > 0}·1{x₆ = 1} + .2·1{x₈ ≥ 3}", lambda X: 0.6 * (X[:, 0] > 0) * (X[:, 5] == 1) + 0.2 * (X[:, 7] >= 3)),
    "risk": ("larger at low risk: .6/(1 + exp(2μ₀ - 1))", lambda X: 0.6 / (1 + np.exp(2 * baseline(X) - 1))),
    "constant": ("the same for everyone: .3", lambda X: np.full(len(X), 0.3)),
    "null": ("nothing: 0", lambda X: np.zeros(len(X))),
}


def surface(name: str, seed: int, *, people: int = PEOPLE, fresh: int = FRESH) -> tuple[Drawn, Floats]:
    """Return one experiment on a surface, and the true effect of its own people (n,)."""
    rng, (_, effect) = np.random.default_rng([seed, list(SURFACES).index(name)]), SURFACES[name]
    X, asked = columns(people, rng), columns(fresh, rng)
    group = np.arange(people) // HOUSEHOLD
    treated = (rng.random(people) < CHANCE)[group]
    noise = SHARED_NOISE * rng.normal(size=people)[group] + OWN_NOISE * rng.normal(size=people)
    own = effect(X).astype(np.float64)
    names = tuple(f"x{number + 1}" for number in range(X.shape[1]))
    fold = grouped_folds(group, FOLDS, seed)
    task = Task(X, baseline(X) + treated * own + noise, treated.astype(np.int64), group, fold, names, CHANCE, seed, TREES, asked)
    return Drawn(task, effect(asked).astype(np.float64)), own


# %% Messages of the simulated campaign (`training/simulated_experiments.py`), with the columns that its own effect is made of among others


def message(number: int, seed: int) -> Drawn:
    """Return the simulated message of that number, learned from one campaign and asked for about the people of another."""
    told, other = (_message(simulate(CAMPAIGN, each), number) for each in (seed, seed + ELSEWHERE))
    (X, trial, household), (asked, elsewhere, _) = told, other
    group = group_codes(household, len(X))
    fold = grouped_folds(group, FOLDS, seed)
    matrix, fresh = (frame.to_numpy(dtype=np.float32) for frame in (X, asked))
    y, treated = trial.outcome.astype(np.float64), trial.treated.astype(np.int64)
    return Drawn(Task(matrix, y, treated, group, fold, tuple(X.columns), trial.design.probability, seed, TREES, fresh), elsewhere.uplift)


def _message(campaign: Simulation, number: int) -> tuple[pd.DataFrame, object, Integers]:
    trial, people = campaign.trials[number], campaign.population
    seen = (campaign.rows.occurred < trial.assigned) & (campaign.rows.received <= trial.assigned)
    seen &= ~campaign.rows.is_machine & np.isin(campaign.rows.kind, list(ENGAGEMENTS))

    def answers(days: int, topic: int | None) -> Integers:
        counted = seen & (campaign.rows.occurred >= trial.assigned - days)
        counted &= True if topic is None else campaign.rows.topic == topic
        return np.bincount(campaign.rows.person[counted], minlength=len(people))

    on_file = {name: getattr(people, name) for name in ("birth_year", "status", "tenure", "union_member", "household_size", "language", "source")}
    on_file["birth_known"] = ~np.isnan(people.birth_year)  # some peers take no missing values
    on_file["birth_year"] = np.where(on_file["birth_known"], people.birth_year, np.nanmedian(people.birth_year))
    counts = {f"answers_{days}": answers(days, None) for days in (30, 90, 365)} | {f"answers_{days}_topic": answers(days, 0) for days in (90, 365)}
    return pd.DataFrame({**on_file, **counts}).iloc[trial.person], trial, people.household[trial.person]


# %% All of them

SLOPE = (0.85, 1.15)
"""Between which slopes after shrinkage are wanted on held-out data."""
SOURCES = {
    "neighbors": Source("Social pressure, Neighbors", lambda: social_pressure("Neighbors"), {"autoc": 0.0195}),
    "self": Source("Social pressure, Self", lambda: social_pressure("Self"), {"autoc": 0.0110}),
    "hawthorne": Source("Social pressure, Hawthorne", lambda: social_pressure("Hawthorne"), {}),
    "civic": Source("Social pressure, Civic Duty", lambda: social_pressure("Civic Duty"), {"gate": "refused"}),
    "womens-visit": Source("Hillstrom, womens, visit", lambda: hillstrom("Womens", "visit"), {"autoc": 0.0212}),
    "womens-conversion": Source("Hillstrom, womens, conversion", lambda: hillstrom("Womens", "conversion"), {"gate": "refused"}),
    "womens-spend": Source("Hillstrom, womens, spend", lambda: hillstrom("Womens", "spend"), {"gate": "refused"}),
    "mens-visit": Source("Hillstrom, mens, visit", lambda: hillstrom("Mens", "visit"), {}),
    "mens-conversion": Source("Hillstrom, mens, conversion", lambda: hillstrom("Mens", "conversion"), {}),
    "mens-spend": Source("Hillstrom, mens, spend", lambda: hillstrom("Mens", "spend"), {}),
}


def _simulated(make: Callable[[int], Drawn]) -> Callable[[], list[Drawn]]:
    return lambda: [make(seed) for seed in range(SIMULATED)]


def _surfaces(names: Sequence[str]) -> dict[str, Source]:
    return {name: Source(SURFACES[name][0], _simulated(lambda seed, name=name: surface(name, seed)[0]), {}, simulated=True) for name in names}


SOURCES |= _surfaces(list(SURFACES)) | {
    "story": Source("simulated message that differs", _simulated(lambda seed: message(0, seed)), {}, simulated=True),
    "card": Source("simulated message, the same for everyone", _simulated(lambda seed: message(1, seed)), {}, simulated=True),
}
