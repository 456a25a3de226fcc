"""How far levels moved from one block of time to a later one, measured at rolling origins by small models of the blocks before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.growing import grow, raw_margins
from models.labels import Labels, sampled
from models.levels import Shift, Steps, level_shift, steps_by_lag
from models.pooled import Layout

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ORIGIN_ROWS, ORIGIN_TREES, ORIGIN_RATE = 20_000, 60, 0.1
"""Pooled rows on either side of such a measurement, and the trees of its model: levels need few."""
LAGS = 3
"""Blocks over which moves are measured: scores are used for a horizon and a gap after the latest labels were complete, which are two to three blocks."""


def measured_steps(
    layout: Layout, matrix: NDArray[np.float32], labels: Labels, parameters: Mapping[str, Any], *, origins: int, forget: float
) -> tuple[Steps, ...]:
    """Return how far levels moved within one block, two and three (LAGS), from the latest `origins` blocks that have a block before and one after.

    At each, a booster of the blocks before is asked how far off it is, topic by topic, in the block and in the later ones. `parameters` are LightGBM's, with
    the seed by which rows are drawn; matrix (n, F) and labels are in the same order.
    """
    latest, seed = int(labels.block.max(initial=0)), int(parameters["seed"])
    moves: list[list[list[tuple[Shift, Shift]]]] = [[] for _ in range(LAGS)]
    for origin in range(max(1, latest - origins), latest):
        learned = sampled(labels, np.flatnonzero(labels.block < origin), ORIGIN_ROWS, seed)
        if len(np.unique(labels.y[learned][~np.isnan(labels.y[learned])])) < 2:
            continue
        small = {**parameters, "learning_rate": ORIGIN_RATE}
        booster = grow(layout, matrix, labels, learned, small, num_trees=ORIGIN_TREES, forget=forget)
        found = []
        for block in range(origin, min(origin + LAGS, latest) + 1):
            rows = sampled(labels, np.flatnonzero(labels.block == block), ORIGIN_ROWS, seed)
            found.append(_shifts(raw_margins(booster, layout, matrix[rows], int(parameters["num_threads"])), labels, rows))
        here, *later = found
        for lag, there in enumerate(later):
            moves[lag].append([(here[topic], there[topic]) for topic in here if topic in there])
    return steps_by_lag(moves)


def _shifts(margins: Floats, labels: Labels, rows: Integers) -> dict[int, Shift]:
    """Return by how much margins (n, n_topics) of these rows are off, by topic, where there are labels of both kinds."""
    found = {}
    for topic in range(len(labels.topics)):
        known = ~np.isnan(labels.y[rows, topic])
        mine = rows[known]
        if len(np.unique(labels.y[mine, topic])) == 2:
            found[topic] = level_shift(margins[known, topic], labels.y[mine, topic], labels.people[mine], labels.weight[mine])
    return found
