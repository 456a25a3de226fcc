"""Rows that were binned once, and boosters trained on parts of them: cross-fitting trains dozens of models on the same columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

Objective = Literal["regression", "binary"]
Floats = NDArray[np.float64]


class BinnedRows:
    """A matrix (n, F) in LightGBM's bins.

    Bins are cut on the columns of all rows. They know no outcome and no treatment, so a model trained on some of the rows has
    learned nothing about the outcomes of the others. Training is deterministic: same rows, same bits.
    """

    def __init__(self, X: NDArray[np.float32], columns: Sequence[str], *, random_state: int = 0, n_jobs: int = 2) -> None:
        self.X = X
        self._fixed = {
            "deterministic": True,
            "force_row_wise": True,
            "seed": random_state,
            "num_threads": n_jobs,
            "verbosity": -1,
            "feature_pre_filter": False,
        }
        self._data = lgb.Dataset(X, label=np.zeros(len(X)), feature_name=list(columns), params=self._fixed, free_raw_data=True).construct()

    def train(
        self,
        rows: NDArray[np.int64],
        target: Floats,
        *,
        objective: Objective,
        num_trees: int,
        parameters: Mapping[str, Any],
        sample_weight: Floats | None = None,
    ) -> lgb.Booster:
        """Return a booster of `num_trees` trees trained on `rows` (k,) rising; `target` and `sample_weight` are (n,), of all rows."""
        part = self._data.subset(rows).construct()
        part.set_label(target[rows])
        if sample_weight is not None:
            part.set_weight(sample_weight[rows])
        return lgb.train({**parameters, **self._fixed, "objective": objective}, part, num_boost_round=num_trees)

    def predict(self, booster: lgb.Booster, rows: NDArray[np.int64]) -> Floats:
        """Return the booster's predictions (k,) for `rows`, on the scale of the target."""
        return np.asarray(booster.predict(self.X[rows], num_threads=self._fixed["num_threads"]), dtype=np.float64)
