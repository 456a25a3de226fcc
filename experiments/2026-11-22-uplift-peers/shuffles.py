"""What the gate lets through once the arms are dealt anew among the people, so that nobody's effect differs from anybody's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from data import SOURCES
from measures import judged
from peers import fitted
from scipy import stats

DEALT = ("neighbors", "womens-visit")
NOMINAL = 0.90


def dealt(name: str, draws: int) -> dict[str, Any]:
    """Return, over `draws` deals of the treatment among all people of a real contrast, what ours and a random ranking are judged to be.

    `accepted`: deals in which the gate lets individual scores through. `found`: those in which AUTOC and slope alone are above zero. `sd`: standard deviation
    of AUTOC over its standard error, 1 without cross-fitting (`docs/decisions/0002`). `random`: share of 90% intervals of a random ranking's AUTOC that hold 0.
    """
    source = SOURCES[name]
    task = source.make()[0].task
    accepted, found, ratios, covered = 0, 0, [], []
    for seed in range(draws):
        model = fitted(replace(task, treatment=np.random.default_rng(seed).permutation(task.treatment)))
        told = judged(model.out_of_fold_, model.out_of_fold_["raw"].to_numpy(), seed=seed)
        accepted += told["accepted"]
        found += told["heterogeneous"]
        value, error = told["measures"]["autoc"]
        ratios.append(value / error if error > 0 else 0.0)
        value, error = told["rivals"]["random ranking"]["autoc"]
        covered.append(abs(value) <= stats.norm.ppf(0.5 + NOMINAL / 2) * error)
    return {
        "title": source.title,
        "rows": len(task.y),
        "draws": draws,
        "accepted": accepted,
        "found": found,
        "sd": float(np.std(ratios, ddof=1)),
        "random": float(np.mean(covered)),
    }


def all_dealt(draws: int) -> dict[str, Any]:
    """Return `dealt` for every contrast of DEALT."""
    return {name: dealt(name, draws) for name in DEALT}
