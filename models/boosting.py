"""Rows that were binned once, and boosters trained on parts of them: cross-fitting trains dozens of models on the same columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

Objective = Literal["regression", "binary"]
Floats = NDArray[np.float64]


THREAD_ROWS = 20_000
"""Rows that are worth a thread: fewer, and threads wait for each other longer than they count (10,000 on a busy machine: 5.3 s with two, 2.1 s with one)."""


class BinnedRows:
    """A matrix (n, F) in LightGBM's bins.

    Bins are cut on the columns of all rows. They know no outcome and no treatment, so a model trained on some of the rows has
    learned nothing about the outcomes of the others. Training is deterministic: same rows, same bits.
    """

    def __init__(
        self, X: NDArray[np.float32], columns: Sequence[str], *, random_state: int = 0, n_jobs: int = 2, category: NDArray[np.int64] | None = None
    ) -> None:
        self.X = X
        self.columns = tuple(columns)
        self.category = category
        self._fixed = {
            "deterministic": True,
            "force_row_wise": True,
            "seed": random_state,
            "num_threads": max(1, min(n_jobs, len(X) // THREAD_ROWS)),
            "verbosity": -1,
            "feature_pre_filter": False,
        }
        matrix = X if category is None else np.column_stack([X, category.astype(np.float32)])
        told: dict[str, Any] = {"feature_name": [*columns, *([] if category is None else ["arm|drawn"])], "params": self._fixed, "free_raw_data": True}
        if category is not None and category.max(initial=0) > 1:
            told["categorical_feature"] = [X.shape[1]]
        self._data = lgb.Dataset(matrix, label=np.zeros(len(X)), **told).construct()

    def with_category(self, category: NDArray[np.int64]) -> BinnedRows:
        """Return the same rows with one more column, a category (n,) from 0 on."""
        return BinnedRows(self.X, self.columns, random_state=self._fixed["seed"], n_jobs=self._fixed["num_threads"], category=category)

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

    def predict(self, booster: lgb.Booster, rows: NDArray[np.int64], *, category: int | None = None) -> Floats:
        """Return the booster's predictions (k,) for `rows`, on the scale of the target; where rows have a category, as if it were `category`."""
        matrix = self.X[rows]
        if category is not None:
            matrix = np.column_stack([matrix, np.full(len(rows), category, dtype=np.float32)])
        return np.asarray(booster.predict(matrix, num_threads=self._fixed["num_threads"]), dtype=np.float64)
