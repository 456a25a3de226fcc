"""Whose probabilities are judged: the test rows of the peers' experiment on the simulation, with what the truth and the project's model say of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import rows
from numpy.typing import NDArray
from peers import ours, rule
from tasks import Task

from training.config import AffinityConfig
from training.simulation import horizon_days, vocabulary

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
AVERAGE = "prior"
"""The name of the rule that says each topic's average."""


@dataclass(frozen=True, repr=False)
class Judged:
    """Test rows, one below the other: n rows, T topics in the vocabulary's order.

    `person` (n,) is the position in the simulated population, `as_of` (n,) a time; `y` (n, T) what they turned out to do in the window; `truth`, `ours` and
    `average` (n, T) are the true probabilities, those of the project's model, and those of the topic's average.
    """

    person: Integers
    as_of: NDArray[np.datetime64]
    y: Floats
    truth: Floats
    ours: Floats
    average: Floats

    def take(self, kept: Integers) -> Judged:
        """Return the rows at `kept`."""
        return Judged(*(getattr(self, field.name)[kept] for field in fields(Judged)))

    def save(self, path: Path) -> None:
        """Write the arrays to an npz file."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(Judged)})

    @classmethod
    def load(cls, path: Path) -> Judged:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as found:
            return cls(**{name: found[name] for name in found.files})


def window() -> tuple[int, int]:
    """Return after how many days from `as_of` the window begins, and after how many it ends."""
    gap = AffinityConfig(horizon_days=horizon_days()).gap_days
    return gap, gap + horizon_days()


def judged(folder: Path, *, people: int, pairs: int) -> Judged:
    """Train at the three origins as the peers' experiment does, in the empty `folder`, and return all test rows with their predictions."""
    (folder / "workspace").mkdir(parents=True)
    origins = rows.simulation(folder / "workspace", rows.Options(people, pairs))
    parts = []
    for origin, saved in zip(origins, rows.save(origins, folder), strict=True):
        task, test = Task.load(saved), origin.dataset.test
        order = [origin.dataset.topics.index(topic) for topic in vocabulary().topic_ids]
        person = np.array([int(name.partition(":")[2]) for name in test.person_ids])
        columns = {"y": test.y, "truth": origin.truth, "ours": ours(task), "average": rule(task, AVERAGE)}
        parts.append(Judged(person, test.as_ofs, **{name: np.asarray(each)[:, order] for name, each in columns.items()}))
    return Judged(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Judged)))
