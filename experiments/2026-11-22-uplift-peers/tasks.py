"""What a peer is given: a randomised experiment in a file of arrays that nothing but numpy is needed to read, and what it gives back in another."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Integers = NDArray[np.int64]
Effects = Callable[[Floats32], Floats]
"""From vectors (m, F) to predicted effects (m,)."""


@dataclass(frozen=True, repr=False)
class Task:
    """A contrast of one arm with control, n people and F columns, and the folds in which it is judged.

    `X` (n, F); `y` (n,) outcome; `treatment` (n,) 0 or 1, drawn with `probability`; `group` (n,) what was drawn as one; `fold` (n,) from 0, whole groups;
    `seed` of the folds. `fresh` (m, F) are other people whose effect is asked for; with none of them, each fold's effects are asked for, from the other folds.
    `known` (n,) are predictions that are only to be measured. `trees` are the parameters of `Persuadability`, so that peers can have equal trees. What
    the true effect is, is not here.
    """

    X: Floats32
    y: Floats
    treatment: Integers
    group: Integers
    fold: Integers
    names: tuple[str, ...]
    probability: float
    seed: int
    trees: Mapping[str, float]
    fresh: Floats32 = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    known: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def binary(self) -> bool:
        """Whether the outcome is 0 or 1."""
        return bool(np.isin(self.y, (0.0, 1.0)).all())

    def part(self, rows: NDArray[np.bool_]) -> Task:
        """Return the task of some rows, their folds counted anew from 0."""
        fold = np.unique(self.fold[rows], return_inverse=True)[1]
        return replace(self, X=self.X[rows], y=self.y[rows], treatment=self.treatment[rows], group=self.group[rows], fold=fold)

    def effects(self, fit: Callable[[Task], Effects]) -> Floats:
        """Return what is asked for: the effects of the fresh people, or each fold's from the other folds."""
        if len(self.fresh):
            return fit(self)(self.fresh)
        found = np.empty(len(self.y))
        for fold in range(int(self.fold.max()) + 1):
            mine = self.fold == fold
            found[mine] = fit(self.part(~mine))(self.X[mine])
        return found

    def save(self, path: Path) -> None:
        """Write the file of `load`."""
        arrays = {name: getattr(self, name) for name in ("X", "y", "treatment", "group", "fold", "probability", "seed", "fresh", "known")}
        np.savez(path, names=np.array(self.names, dtype=str), trees=np.array(json.dumps(dict(self.trees))), **arrays)

    @classmethod
    def load(cls, path: Path) -> Task:
        """Return the task of `save`."""
        with np.load(path, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        single = {"probability": float(arrays["probability"]), "seed": int(arrays["seed"]), "trees": json.loads(str(arrays["trees"]))}
        return cls(**{**arrays, **single, "names": tuple(arrays["names"].tolist())})


@dataclass(frozen=True, repr=False)
class Made:
    """What a peer made of a task: predicted effects (n,) or (m,) by label; from ours also the `judging` columns (n,); `numbers` by what they are called."""

    effects: Mapping[str, Floats] = field(default_factory=dict)
    judging: Mapping[str, NDArray] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the file of `load`."""
        parts = {"effects": self.effects, "judging": self.judging, "numbers": self.numbers}
        np.savez(path, **{f"{kind}|{name}": np.asarray(values) for kind, part in parts.items() for name, values in part.items()})

    @classmethod
    def load(cls, path: Path) -> Made:
        """Return what `save` wrote."""
        parts: dict[str, dict] = {"effects": {}, "judging": {}, "numbers": {}}
        with np.load(path, allow_pickle=False) as found:
            for key in found.files:
                kind, _, name = key.partition("|")
                parts[kind][name] = float(found[key]) if kind == "numbers" else found[key]
        return cls(**parts)
