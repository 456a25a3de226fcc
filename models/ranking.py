"""Which topics for this person: a LambdaRank head over the same pooled rows as topic affinity, for orders and not for probabilities."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from models.affinity import Floats, Integers, TopicAffinity
from models.columns import frame_matrix
from models.folds import row_order
from models.growing import PooledRows, Progress, dataset, raw_margins, reporter
from models.labels import Labels


class TopicRanking(BaseEstimator):
    """Order of the topics for each person, learned to put those the person engages with first (LambdaRank, Burges 2010, on NDCG@`at`).

    A row's known topics are one query; rows without a label of both kinds teach nothing and are left out. Scores compare topics of one person only: they are
    no probabilities, and say nothing across people.

    Parameters
    ----------
    affinity : the TopicAffinity whose parameters for trees and pooled rows are used; by default one with its defaults.
    at : how many topics are to be right.

    Attributes
    ----------
    booster_ : lgb.Booster. topics_, columns_ : tuples of str. layout_ : Layout.

    """

    def __init__(self, affinity: TopicAffinity | None = None, *, at: int = 3) -> None:
        self.affinity = affinity
        self.at = at

    def fit(
        self, X: pd.DataFrame, y: ArrayLike, *, groups: Any = None, block: Any = None, sample_weight: ArrayLike | None = None, progress: Progress | None = None
    ) -> TopicRanking:
        """Fit and return self; arguments as in `TopicAffinity.fit`. Raises ValueError when no row has labels of both kinds."""
        base = self.affinity or TopicAffinity()
        matrix, columns = frame_matrix(X)
        labels = Labels.of(y, base.topics, columns, n_rows=len(matrix), groups=groups, block=block, sample_weight=sample_weight)
        order = row_order(matrix, *labels.y.T, labels.block.astype(np.float64), labels.weight, groups=labels.codes)
        matrix, labels = matrix[order], labels.take(order)
        self.columns_, self.topics_ = columns, labels.topics
        self.layout_ = base.layout_for(matrix, labels, columns)
        self.n_jobs_ = base.n_jobs
        both = np.flatnonzero((labels.y == 1).any(axis=1) & (labels.y == 0).any(axis=1))
        if not len(both):
            raise ValueError("nobody has both a topic they engaged with and one they did not: there is no order to learn")
        row, topic = self._pairs(labels, both)
        parameters = base.tree_parameters(self.layout_) | {"objective": "lambdarank", "lambdarank_truncation_level": self.at + 2}
        forget = 0.0 if self.layout_.named.all() else base.forget  # as in affinity: so that the trees know what to say of a topic without a name
        unnamed = np.random.default_rng(base.random_state).random(len(row)) < forget
        rows = PooledRows(self.layout_, matrix, row, topic, unnamed)
        weight = labels.weight[row] if labels.weighted else None
        data = dataset(rows, labels.y[row, topic], parameters, group=np.unique(row, return_counts=True)[1], weight=weight)
        booster = lgb.train(dict(parameters), data, base.num_trees, callbacks=[reporter("growing trees", progress)] if progress else None)
        self.booster_ = lgb.Booster(model_str=booster.model_to_string())
        return self

    def predict(self, X: pd.DataFrame) -> Floats:
        """Return scores (n, n_topics), comparable within a row. Raises ColumnsError for other columns than in fit."""
        check_is_fitted(self, "booster_")
        return raw_margins(self.booster_, self.layout_, frame_matrix(X, self.columns_)[0], self.n_jobs_)

    def top(self, X: pd.DataFrame, k: int = 3) -> NDArray[np.str_]:
        """Return each person's `k` topics (n, k), best first; raises ValueError unless 1 <= k <= n_topics."""
        if not 1 <= k <= len(self.topics_):
            raise ValueError(f"k must lie in [1, {len(self.topics_)}]: given {k!r}")
        return np.array(self.topics_)[np.argsort(-self.predict(X), axis=1, kind="stable")[:, :k]]

    @staticmethod
    def _pairs(labels: Labels, rows: Integers) -> tuple[Integers, Integers]:
        """Return the known pairs (row, topic) of these rows, row after row."""
        place, topic = np.nonzero(~np.isnan(labels.y[rows]))
        return rows[place], topic.astype(np.int64)
