"""A campaign with known truth: the declared tables of an organisation that does not exist, and what was true of its people.

`simulate` draws it, `write` makes a workspace of it: `audience.toml`, `raw/` to be imported, `truth/` kept apart. Equal arguments give
equal rows. The generating process stands in `training/simulated_history.py`, the experiments in `training/simulated_experiments.py`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from features.vocabulary import Vocabulary, parse_vocabulary
from training import simulated_tables
from training.simulated_calendar import Calendar, draw_calendar
from training.simulated_experiments import DESIGNS, Trial, draw_trial
from training.simulated_history import Rows, Sends, draw_rows, draw_sends, true_affinity
from training.simulated_people import Population, draw_population

UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
"""The end of the history, when nothing else is asked for: nothing is known at that moment of what comes after."""
VOCABULARY_FILE = Path(__file__).with_name("simulation.toml")

_AFTER_DAYS = 120  # how far the truth is known beyond the end
_SHORTEST_DAYS = 120  # the experiments lie within the last 70 days
_ROWS_PER_FILE = 1_000_000
_DUPLICATES = 0.01


def vocabulary() -> Vocabulary:
    """Return the words of the simulated campaign (`training/simulation.toml`)."""
    return parse_vocabulary(_document())


def _document() -> dict[str, Any]:
    return tomllib.loads(VOCABULARY_FILE.read_text(encoding="utf-8"))


class SimulationError(ValueError):
    """A simulation cannot be written where it was asked for; the message says why."""


@dataclass(frozen=True)
class Simulation:
    """What `simulate` returns: tables as they come in, and methods that tell the truth about the people behind them."""

    until: datetime
    vocabulary: Vocabulary
    population: Population
    calendar: Calendar
    sends: Sends
    rows: Rows
    order: np.ndarray
    """(n_raw,) which row each raw line holds: every row once, in the order of arrival, and some a second time, later."""
    trials: tuple[Trial, ...]

    def interaction_batches(self, size: int = _ROWS_PER_FILE) -> Iterator[pa.RecordBatch]:
        """Yield the raw interactions in the order of their arrival, `size` rows at a time; about 1% stand there twice."""
        for begin in range(0, len(self.order), size):
            yield simulated_tables.interactions(self.rows, self.order[begin : begin + size], self.calendar, self.vocabulary)

    @property
    def interactions(self) -> pa.Table:
        """The raw interactions as one table; made anew at each call."""
        return pa.Table.from_batches(self.interaction_batches(), simulated_tables.schema("interactions", self.vocabulary))

    @property
    def people(self) -> pa.Table:
        """One row per person known at the end of the history."""
        return simulated_tables.people(self.population, self.calendar, self.vocabulary)

    @property
    def sources(self) -> pa.Table:
        """Where people and interactions came from."""
        return simulated_tables.sources(self.calendar, self.vocabulary)

    @property
    def consents(self) -> pa.Table:
        """The ledger of consent, refusal, withdrawal and objection until the end of the history."""
        return simulated_tables.consents(self.population, self.calendar, self.vocabulary)

    @property
    def assignments(self) -> pa.Table:
        """Who was drawn into which arm of the two experiments."""
        return simulated_tables.assignments(self.trials, self.population, self.calendar, self.vocabulary)

    @property
    def outcomes(self) -> pa.Table:
        """What was measured afterwards."""
        return simulated_tables.outcomes(self.trials, self.calendar, self.vocabulary)

    def affinity(self, as_of: datetime, *, horizon_days: int, gap_days: int = 0) -> pa.Table:
        """Return the true affinities: person_id, topic, as_of, horizon_days, gap_days, probability.

        `probability` is that of at least one engagement of the person with the topic in `[as_of + gap, as_of + gap + horizon)`, given the
        generating process: exact, conditional on the person's latent interest, activity and quiet day and on the messages sent
        (those of the window included), not on any answer. Rows: everybody who had joined before `as_of`, times the topics, in order.
        `as_of` and the whole horizon are whole days (UTC) of the history or of the 120 days after it; ValueError otherwise.
        """
        first = self.calendar.day_of(as_of + timedelta(days=gap_days))
        last = self.calendar.day_of(as_of + timedelta(days=gap_days + horizon_days))
        if horizon_days < 1 or gap_days < 0:
            raise ValueError(f"a horizon is at least 1 day and a gap at least 0, given {horizon_days} and {gap_days}")
        probability = true_affinity(self.population, self.sends, self.calendar, first, last)
        known = np.flatnonzero(self.population.joined < self.calendar.day_of(as_of))
        table = simulated_tables.affinity(known, probability[known], as_of, self.vocabulary)
        for name, days in (("horizon_days", horizon_days), ("gap_days", gap_days)):
            table = table.append_column(name, pa.array(np.full(len(table), days)))
        return table

    @property
    def uplift(self) -> pa.Table:
        """The true uplifts: experiment_id, person_id, arm (never the control), baseline and uplift, both as probabilities."""
        return simulated_tables.uplift(self.trials)


def simulate(people: int = 20_000, seed: int = 0, until: datetime = UNTIL, days: int = 730) -> Simulation:
    """Return a simulated campaign of `people` persons over the `days` days before `until`.

    About 30 interactions per person in two years. `until` is a midnight in UTC; `days` at least 120. Raises ValueError.
    """
    if people < 1 or days < _SHORTEST_DAYS:
        raise ValueError(f"a simulation has at least 1 person and {_SHORTEST_DAYS} days, given {people} and {days}")
    if until.utcoffset() != timedelta(0) or until.timetuple()[3:6] != (0, 0, 0) or until.microsecond:
        raise ValueError(f"until is a midnight in UTC such as {UNTIL.isoformat()}, given {until.isoformat()}")
    words = vocabulary()
    n_topics = len(words.topics)
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(6)]
    calendar = draw_calendar(until - timedelta(days=days), days, _AFTER_DAYS, n_topics, streams[0])
    population = draw_population(people, calendar, n_topics, streams[1])
    sends = draw_sends(population, calendar, streams[2])
    rows = draw_rows(population, sends, calendar, streams[3])
    trials = tuple(draw_trial(design, population, rows, calendar, streams[4]) for design in DESIGNS)
    return Simulation(until, words, population, calendar, sends, rows, _with_duplicates(len(rows), streams[5]), trials)


def _with_duplicates(n: int, rng: np.random.Generator) -> np.ndarray:
    """Repeat 1% of the rows some thousand rows later, as a platform does that sends them again."""
    again = np.flatnonzero(rng.random(n) < _DUPLICATES)
    place = np.concatenate((np.arange(n), again + rng.integers(1, 5000, len(again))))
    return np.concatenate((np.arange(n), again))[np.argsort(place, kind="stable")]


def write(simulation: Simulation, folder: str | Path, *, truth_at: Sequence[datetime] | None = None, assessed: date | None = None) -> Path:
    """Make a workspace of the simulation in `folder` and return it: `audience.toml`, `raw/` and `truth/`.

    `raw/` holds one file per table to be imported, `interactions-000.parquet` and following for the interactions, gzipped CSV for the rest. `truth/` holds
    `affinity.parquet`, as of `truth_at` (by default: the end of the history, and one horizon before it, so that it can be held against what
    people then did), for the horizon in `audience.toml`, and `uplift.parquet`. `assessed` is the day of the yearly risk assessment that the workspace states:
    online, the law asks for one of the last 365 days, whatever the day the simulation is looked at. Raises SimulationError where a workspace stands already.
    """
    folder = Path(folder)
    raw, truth = folder / "raw", folder / "truth"
    if (folder / "audience.toml").exists():
        raise SimulationError(f"{folder} is a workspace already: choose an empty folder")
    for part in (raw, truth):
        part.mkdir(parents=True, exist_ok=True)
    for number, batch in enumerate(simulation.interaction_batches()):
        pq.write_table(pa.Table.from_batches([batch]), raw / f"interactions-{number:03d}.parquet", compression="zstd")
    for name in ("people", "sources", "consents", "assignments", "outcomes"):
        _write_csv(getattr(simulation, name), raw / f"{name}.csv.gz")
    horizon = horizon_days()
    truth_at = (simulation.until - timedelta(days=horizon), simulation.until) if truth_at is None else truth_at
    pq.write_table(pa.concat_tables([simulation.affinity(at, horizon_days=horizon) for at in truth_at]), truth / "affinity.parquet", compression="zstd")
    pq.write_table(simulation.uplift, truth / "uplift.parquet", compression="zstd")
    words = VOCABULARY_FILE.read_text(encoding="utf-8")
    if assessed is not None:
        words = re.sub(r"(?m)^(risk_assessment = )[0-9-]+", rf"\g<1>{assessed}", words)
    (folder / "audience.toml").write_text(words, encoding="utf-8")
    return folder


def horizon_days() -> int:
    """Return the horizon that the simulated workspace trains for, in days."""
    return int(_document()["training"]["affinity"]["horizon_days"])


def _write_csv(table: pa.Table, path: Path) -> None:
    for i, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(i, field.name, pc.strftime(table.column(i), format="%Y-%m-%dT%H:%M:%SZ"))
    with pa.CompressedOutputStream(str(path), "gzip") as stream:
        csv.write_csv(table, stream)
