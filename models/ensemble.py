"""Trees of all columns, and a few of a linear score, which become one booster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from models.blend import blend
from models.calibration import TopicPlatt
from models.growing import Progress, grow, raw_margins
from models.labels import Labels
from models.linear import NO_SCORE, LinearScore
from models.pooled import Layout

Integers = NDArray[np.int64]

LINEAR_TREES, LINEAR_RATE = 6, 0.3
"""How many times fewer trees, at a rate so many times higher, the booster of the linear score has: of two columns little is to be learned. Its highest rate."""
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4)
"""Of the linear score's booster in the margin, of which the best is taken; beyond .4 nothing was gained on any data set's training people."""


@dataclass(frozen=True)
class Ensemble:
    """Boosters of pooled rows in one `layout`: `trees` see all but its linear score, `line` the topic and that score alone (None without such a score)."""

    layout: Layout
    trees: lgb.Booster
    line: lgb.Booster | None

    @classmethod
    def grow(
        cls,
        layout: Layout,
        matrix: NDArray[np.float32],
        labels: Labels,
        rows: Integers,
        parameters: Mapping[str, Any],
        *,
        bag: int,
        num_trees: int,
        forget: float,
        linear: bool,
        stage: str,
        progress: Progress | None,
    ) -> Ensemble:
        """Return the ensemble of the known pairs of `rows`, each booster the mean of `bag`, whose seeds count from that of the parameters on.

        Its layout is the given one with a linear score fitted on the same rows or, without `linear`, with none.
        """
        layout = layout.with_linear(_score(layout, matrix[rows], labels.take(rows), parameters) if linear else NO_SCORE)
        parameters = {**parameters, **({"monotone_constraints": layout.directions()} if "monotone_constraints" in parameters else {})}
        few = -(-num_trees // LINEAR_TREES)
        rate = min(parameters["learning_rate"] * num_trees / few, LINEAR_RATE)
        trees, lines = [], []
        for number in range(bag):
            given = dict(parameters) | {name: parameters[name] + number for name in ("seed", "extra_seed")}
            told = f"{stage} ({number + 1}/{bag})" if bag > 1 else stage
            trees.append(grow(layout, matrix, labels, rows, given, num_trees=num_trees, forget=forget, stage=told, progress=progress))
            if layout.linear:
                given |= {"learning_rate": rate, "feature_fraction": 1.0}
                lines.append(grow(layout, matrix, labels, rows, given, num_trees=few, forget=forget, linear_only=True))
        return cls(layout, blend(trees), blend(lines) if lines else None)

    def best_share(self, matrix: NDArray[np.float32], labels: Labels, cold: NDArray[np.bool_], n_jobs: int) -> float:
        """Return which of SHARES the line should have: that whose calibration says the labels of held-out rows (n, F) best.

        It is 0 unless the gain in log loss over a share of 0 is larger than its standard error over people. `cold` (n,) says who is without history.
        """
        if self.line is None:
            return 0.0
        row, topic = np.nonzero(~np.isnan(labels.y))
        trees, line = (raw_margins(booster, self.layout, matrix, n_jobs)[row, topic] for booster in (self.trees, self.line))
        y, weight, losses = labels.y[row, topic], labels.weight[row], []
        for share in SHARES:
            margin = (1 - share) * trees + share * line
            calibration = TopicPlatt().fit(margin, topic, y, n_topics=len(labels.topics), sample_weight=weight, cold=cold[row])
            logit = calibration.margin(margin, topic, cold[row])
            losses.append(weight * (np.logaddexp(0.0, logit) - y * logit))
        best = int(np.argmin([float(loss.sum()) for loss in losses]))
        gains = np.bincount(labels.people[row], losses[0] - losses[best])
        return SHARES[best] if gains.sum() > np.sqrt(np.sum(gains**2)) else 0.0

    def blended(self, share: float) -> lgb.Booster:
        """Return one booster, in whose margin the line has this share and the trees the rest."""
        return self.trees if self.line is None else blend([self.trees, self.line], [1 - share, share])


def _score(layout: Layout, matrix: NDArray[np.float32], labels: Labels, parameters: Mapping[str, Any]) -> LinearScore:
    if not layout.linear_sources:
        return NO_SCORE
    rising = layout.linear_directions() if "monotone_constraints" in parameters else None
    return LinearScore.fit(matrix, labels.y, labels.weight, layout.linear_sources, rising=rising)
