"""How often the intervals of ours hold the truth, on experiments drawn again and again from formulas."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from data import SURFACES, surface
from peers import fitted
from resumed import each
from tasks import Floats

from models.uplift_metrics import percentile_ranks

NOMINAL = 0.90
PEOPLE, FRESH = 5_000, 20_000
GROUPS = 5
CELLS = 20
"""Groups of fresh people of nearly equal prediction, by whose true average effect the interval of a prediction is held against the truth."""


def covered(name: str, draws: int, kept: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return, over `draws` experiments on a surface, how often intervals hold what they are about, with the standard error of that share.

    `average`: the average effect. `prediction`: the average effect among people with this prediction (`predict_interval`), people counted equally.
    `person`: the same interval and a person's own effect, of which it says nothing. `gates`: the effect of each fifth by out-of-fold uplift, against
    the true mean of the very same people. `accepted`: how often the verdict of heterogeneity is positive.
    """
    found = each(kept / f"coverage-{name}.jsonl", draws, lambda seed: _one(name, seed), tell)
    held = {key: [one[key] for one in found] for key in found[0]}
    return {key: [float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(draws))] for key, values in held.items()}


def _one(name: str, seed: int) -> dict[str, float]:
    drawn, own = surface(name, 10_000 + seed, people=PEOPLE, fresh=FRESH)
    task, truth = drawn.task, drawn.truth
    assert truth is not None
    model = fitted(task, coverage=NOMINAL)
    asked = pd.DataFrame(task.fresh, columns=list(task.names), copy=False)
    raw, (low, high) = model.predict_raw(asked), model.predict_interval(asked).T
    cells = _cells(raw)
    mean, below, above = (np.bincount(cells, values) / np.bincount(cells) for values in (truth, low, high))
    evaluation = model.evaluate()
    gates = evaluation.gates
    rank = percentile_ranks(model.out_of_fold_["raw"].to_numpy(), folds=task.fold)
    fifth = np.minimum((rank * GROUPS).astype(int), GROUPS - 1)
    effects = np.bincount(fifth, own, GROUPS) / np.maximum(np.bincount(fifth, minlength=GROUPS), 1)
    there = np.bincount(fifth, minlength=GROUPS) > 0
    average = float(truth.mean())
    return {
        "average": float(model.ate_.low <= average <= model.ate_.high),
        "prediction": float(np.average((below <= mean) & (mean <= above), weights=np.bincount(cells))),
        "person": float(((low <= truth) & (truth <= high)).mean()),
        "gates": float(((gates.low <= effects) & (effects <= gates.high))[there].mean()),
        "accepted": float(evaluation.verdict().heterogeneous),
    }


def _cells(raw: Floats) -> np.ndarray:
    """Return the cell (m,) of each prediction, equal predictions together."""
    rank = percentile_ranks(raw)
    return np.unique(np.minimum((rank * CELLS).astype(int), CELLS - 1), return_inverse=True)[1]


def all_covered(draws: int, kept: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return `covered` for every surface; each experiment's figures are kept in a file of the folder `kept`."""
    return {name: {"title": SURFACES[name][0], **covered(name, draws, kept, tell)} for name in SURFACES}
