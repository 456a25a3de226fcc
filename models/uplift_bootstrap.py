"""Standard errors of anything that is computed from a sample, by half-samples of assignment units.

The influence functions of `uplift_sample` are exact to first order and cost nothing; this needs no formula, and checks them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.folds import group_codes
from models.metrics import Estimate

Integers = NDArray[np.int64]
Measure = Callable[[Integers], Mapping[str, float]]
"""From the rows (k,) of a half-sample, as positions, to measures by name."""
Progress = Callable[[str, float], None]

LEAST_UNITS = 4
"""Of fewer assignment units, half would be one: there is nothing to draw."""


def half_samples(groups: Any, *, n_draws: int = 200, random_state: int = 0) -> Iterator[Integers]:
    """Yield the rows (k,), as rising positions, of half of the units, drawn without replacement: ⌊C/2⌋ of C.

    `groups` (n,) is the unit of each row. Draws follow from the set of units and the seed alone. Raises ValueError for fewer than 4 units, of which
    half would be one.
    """
    codes = group_codes(groups, len(np.asarray(groups)))
    n_groups = int(codes.max(initial=-1)) + 1
    if n_groups < LEAST_UNITS:
        raise ValueError(f"half of the assignment units must be 2 at least: given {n_groups} units")
    if n_draws < 2:
        raise ValueError(f"n_draws must be at least 2 for a standard deviation: given {n_draws!r}")
    generator = np.random.default_rng(random_state)
    for _ in range(n_draws):
        drawn = np.zeros(n_groups, dtype=bool)
        drawn[generator.choice(n_groups, n_groups // 2, replace=False)] = True
        yield np.flatnonzero(drawn[codes])


def half_sample(
    measure: Measure, groups: Any, *, coverage: float = 0.90, n_draws: int = 200, random_state: int = 0, progress: Progress | None = None
) -> dict[str, Estimate]:
    """Return each measure on all rows, with the standard deviation over half-samples as its standard error, and the normal interval.

    A mean over half of C units, drawn without replacement, varies by S²/(C/2)·(1 - 1/2) = S²/C: as much as the mean over all of them from experiment to
    experiment, so nothing is scaled. `measure(rows)` computes any number of measures from the rows alone, for instance

        lambda rows: {"autoc": autoc(priority[rows], scores[rows], groups=groups[rows]).value}

    and a paired difference is a measure like any other. Draws where a measure is not finite do not count for it. Monte Carlo error of a standard
    error is about 1/√(2·n_draws) of it: 5% for 200 draws. `progress(stage, fraction)` is called after each draw. Source:
    `rank_average_treatment_effect` of grf; Yadlowsky et al. 2025.
    """
    everyone = measure(np.arange(len(np.asarray(groups))))
    draws: dict[str, list[float]] = {name: [] for name in everyone}
    for number, rows in enumerate(half_samples(groups, n_draws=n_draws, random_state=random_state), start=1):
        found = measure(rows)
        for name, kept in draws.items():
            kept.append(float(found[name]))
        if progress is not None:
            progress("half-samples", number / n_draws)
    return {name: Estimate.normal(name, float(value), _spread(draws[name]), coverage) for name, value in everyone.items()}


def _spread(draws: list[float]) -> float:
    found = np.array([draw for draw in draws if np.isfinite(draw)])
    return float(np.std(found, ddof=1)) if len(found) > 1 else float("nan")
