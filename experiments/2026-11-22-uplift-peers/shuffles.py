"""What the gate lets through once the arms are dealt anew among the people, so that nobody's effect differs from anybody's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from data import SOURCES
from measures import judged
from peers import fitted
from resumed import each
from scipy import stats
from tasks import Task

DEALT = ("neighbors", "womens-visit")
NOMINAL = 0.90


def dealt(name: str, draws: int, kept: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return, over `draws` deals of the treatment among all people of a real contrast, what ours and a random ranking are judged to be.

    `accepted`: deals in which the gate lets individual scores through. `found`: those in which AUTOC and slope alone are above zero. `sd`: standard deviation
    of AUTOC over its standard error, 1 without cross-fitting (`docs/decisions/0002`). `random`: share of 90% intervals of a random ranking's AUTOC that hold 0.
    """
    source = SOURCES[name]
    task = source.make()[0].task
    made = each(kept / f"shuffled-{name}.jsonl", draws, lambda seed: _one(task, seed), tell)
    return {
        "title": source.title,
        "rows": len(task.y),
        "draws": draws,
        "accepted": sum(one["accepted"] for one in made),
        "found": sum(one["found"] for one in made),
        "sd": float(np.std([one["ratio"] for one in made], ddof=1)),
        "random": float(np.mean([one["random"] for one in made])),
    }


def _one(task: Task, seed: int) -> dict[str, Any]:
    """Return what is judged after one deal."""
    model = fitted(replace(task, treatment=np.random.default_rng(seed).permutation(task.treatment)))
    told = judged(model.out_of_fold_, model.out_of_fold_["raw"].to_numpy(), seed=seed)
    value, error = told["measures"]["autoc"]
    ratio = value / error if error > 0 else 0.0
    value, error = told["rivals"]["random ranking"]["autoc"]
    held = abs(value) <= stats.norm.ppf(0.5 + NOMINAL / 2) * error
    return {"accepted": bool(told["accepted"]), "found": bool(told["heterogeneous"]), "ratio": float(ratio), "random": bool(held)}


def all_dealt(draws: int, kept: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return `dealt` for every contrast of DEALT; each deal's figures are kept in a file of the folder `kept`."""
    return {name: dealt(name, draws, kept, tell) for name in DEALT}
