"""Topic affinity: one pooled model over (person, topic) rows, calibrated per topic."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from models.calibration import TopicPlatt
from models.columns import check_columns, frame_matrix
from models.contributions import Contributions
from models.embedding import TopicEmbedding
from models.ensemble import Ensemble
from models.explanation import TOPIC
from models.folds import row_order
from models.growing import BIN_SAMPLE, CHUNK, Progress, raw_margins
from models.intervals import GroupInterval
from models.labels import Labels, held_out, sampled
from models.levels import Steps, steps_ahead
from models.moves import measured_steps
from models.pooled import Layout, activity_column, counted_columns, embedded_columns, history_templates
from models.relatives import TopicRelatives

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CATEGORY_SMOOTHING = 1.0
"""LightGBM's smoothing and extra penalty of splits by topic; its default of 10 is for categories with few rows, and topics have many."""
REFIT_ROWS = 250_000
"""Known pairs of row and topic up to which trees are grown again on all rows unless told otherwise."""


class TopicAffinity(BaseEstimator):
    """Probability that a person engages with each topic in the next horizon: one pooled LightGBM over (person, topic) rows.

    Estimand: P(label = 1 | vector, topic), the label being engagement with the topic in the horizon after the vector's time. A pooled row
    holds the topic as a category, the topic's own columns (those with the field `topic=<topic>`), the columns without a topic, and
    `n_history` columns of every topic: the whole history in short. It also holds what the person did with the topic's relatives: those under the same
    parent, and those that people engage with together. Columns without such fields work too: then the topic is all that tells topics apart.
    Where data are few, a share of the margin is that of a small booster of the topic and a linear score (`LinearScore`), blended into the other.

    Calibration (`TopicPlatt`) and intervals (`GroupInterval`) are fitted on rows the trees have not seen: the latest `block`, or, with one
    block, a share of the people. With `refit` (by default where at most REFIT_ROWS pairs of row and topic are known) the trees are then grown again on
    all rows, with the same number of trees, and keep that calibration, moved by topic so that the mean probability of the held-out rows stays what
    it was: what the new trees have learned of the latest block must not be corrected twice. Rows are put in an order of their own first:
    equal rows, in any order, give equal bits. There is no early stopping.

    Assumption: the time to come resembles the latest block (base rates, topics' supply). Off the end of the data a prediction is that of the
    outermost leaves; missing values (NaN) go the way training chose; a column that is missing throughout is never used. A topic without
    a positive label takes a low probability from the others through the pooled trees and calibration. A topic without any known label (nobody could
    have answered) is served as a topic without a name: from its relatives, its supply and its family, as trees that were kept from the
    names of a share `forget` of their rows have learned. People without history are told apart (`has_history`): theirs is what the trees say of
    the columns they do have (attributes, area, what they were sent), with a level of its own in the calibration.

    Parameters
    ----------
    topics : the topics, in the order of y's columns; by default y's own column names.
    num_trees, learning_rate, max_depth, num_leaves, min_child_samples, l2 : the trees; `min_child_samples` counts pooled rows.
    column_share, row_share : shares of columns per tree and of rows per iteration.
    extra_trees : whether a split's threshold is drawn at random for each column instead of searched for (Geurts et al. 2006): less is learned by heart.
    n_history : how many columns of each topic stand for the whole history in every pooled row (0 to 3).
    n_embedding : dimensions of the embedding of the topic history in every pooled row, fitted on the earliest block only (0 for none).
    linear_share : share of the linear score's booster; by default, up to REFIT_ROWS known pairs, that of 0 to .4 which is best on the held-out rows, else 0.
    parents : the parent of each topic that has one: topics of one parent are relatives.
    forget : share of pooled rows from which the topic's name is kept, where some topic has no known label; else 0.
    monotone : whether the topic's own columns can only push a probability up, all else in the row being equal (`models.pooled.Layout.directions`).
    calibration_share : share of people held out for calibration where there is one block.
    refit : whether trees are grown again on all rows once calibration is known; by default, where data are few and a second growing costs seconds.
    bag : how many boosters, each with a seed of its own, are averaged into one; each costs a growing, and each is worth less than the one before.
    max_rows : most pooled rows the trees are grown on; beyond it whole people are drawn at random. None for all.
    origins : at how many blocks, the latest ones, it is measured how far levels move from there on; with 0, intervals are of sampling alone.
    lead : how many blocks of time lie between the latest block and the use of the predictions: levels move with time (`models.levels.steps_ahead`).
    coverage : of the intervals. random_state, n_jobs : seed; threads.

    Attributes
    ----------
    booster_ : lgb.Booster. linear_share_ : float. topics_, columns_ : tuples of str. calibration_ : TopicPlatt. intervals_ : GroupInterval.
    prior_ : (n_topics,) mean label. steps_ : (lags,) of Steps, how far levels move within one block, two and three; empty without blocks. layout_ : Layout.
    n_features_in_ : int. feature_names_in_ : (F,) array of str.

    """

    def __init__(
        self,
        topics: Any = None,
        *,
        num_trees: int = 600,
        learning_rate: float = 0.025,
        max_depth: int = 5,
        num_leaves: int = 16,
        min_child_samples: int = 50,
        l2: float = 5.0,
        column_share: float = 0.8,
        row_share: float = 0.5,
        extra_trees: bool = True,
        n_history: int = 2,
        n_embedding: int = 4,
        linear_share: float | None = None,
        parents: Mapping[str, str] | None = None,
        forget: float = 0.05,
        monotone: bool = False,
        calibration_share: float = 0.25,
        refit: bool | None = None,
        bag: int = 1,
        max_rows: int | None = 1_000_000,
        origins: int = 3,
        lead: float = 1.0,
        coverage: float = 0.90,
        random_state: int = 0,
        n_jobs: int = 2,
    ) -> None:
        self.topics = topics
        self.num_trees = num_trees
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.num_leaves = num_leaves
        self.min_child_samples = min_child_samples
        self.l2 = l2
        self.column_share = column_share
        self.row_share = row_share
        self.extra_trees = extra_trees
        self.n_history = n_history
        self.n_embedding = n_embedding
        self.linear_share = linear_share
        self.parents = parents
        self.forget = forget
        self.monotone = monotone
        self.calibration_share = calibration_share
        self.refit = refit
        self.bag = bag
        self.max_rows = max_rows
        self.origins = origins
        self.lead = lead
        self.coverage = coverage
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(
        self,
        X: pd.DataFrame,
        y: ArrayLike,
        *,
        groups: Any = None,
        block: Any = None,
        sample_weight: ArrayLike | None = None,
        progress: Progress | None = None,
    ) -> TopicAffinity:
        """Fit and return self.

        X (n, F) numbers, NaN for missing. `y` (n, n_topics) 0/1, NaN for unknown (such pairs are ignored): a frame with the topics as
        columns, or an array in the order of `topics`. `groups` (n,) person of each row (default: every row its own). `block` (n,) sortable
        time block of each row (default: one). `sample_weight` (n,) not negative. `progress(stage, fraction)` is called as the work goes on.
        Raises ValueError, in words, for labels, groups or blocks that cannot be used, or when either side of the calibration split lacks
        one of the two labels; ColumnsError for columns.
        """
        self.check_parameters()
        matrix, columns = frame_matrix(X)
        labels = Labels.of(y, self.topics, columns, n_rows=len(matrix), groups=groups, block=block, sample_weight=sample_weight)
        order = row_order(matrix, *labels.y.T, labels.block.astype(np.float64), labels.weight, groups=labels.codes)
        matrix, labels = matrix[order], labels.take(order)
        self.columns_, self.topics_, self.prior_ = columns, labels.topics, labels.prior()
        self.n_features_in_, self.feature_names_in_ = len(columns), np.array(columns, dtype=object)
        self.layout_ = self.layout_for(matrix, labels, columns)
        kept = held_out(labels, self.calibration_share, self.random_state)
        judged, judges = matrix[kept], labels.take(np.flatnonzero(kept))
        few = bool(np.count_nonzero(~np.isnan(labels.y)) <= REFIT_ROWS)
        again = few if self.refit is None else self.refit
        self.linear_share_: float | None = None if few and self.linear_share is None else self.linear_share or 0.0
        grown = self._grow(matrix, labels, np.flatnonzero(~kept), "growing trees", progress)
        if self.linear_share_ is None:
            self.linear_share_ = grown.best_share(judged, judges, ~self._history(judged), self.n_jobs)
        self.booster_ = grown.blended(self.linear_share_)
        unseen = self._raw_margins(judged)
        if again:
            self.booster_ = self._grow(matrix, labels, np.arange(len(matrix)), "growing trees on all rows", progress).blended(self.linear_share_)
        self.steps_: tuple[Steps, ...] = ()
        if block is not None and self.origins:
            parameters = self.tree_parameters(self.layout_)
            self.steps_ = measured_steps(self.layout_, matrix, labels, parameters, origins=self.origins, forget=self._forgotten)
        self._calibrate(judged, judges, unseen, self._raw_margins(judged) if again else None)
        return self

    def recalibrated(
        self, X: pd.DataFrame, y: ArrayLike, *, groups: Any = None, sample_weight: ArrayLike | None = None, lead: float | None = None
    ) -> TopicAffinity:
        """Return a model of the same trees whose calibration and intervals are those of these rows, which the trees must not have seen.

        Arguments as in `fit`. Raises ValueError for labels that cannot be used or lack one of the two values, ColumnsError for other columns.
        """
        check_is_fitted(self, "booster_")
        matrix, columns = frame_matrix(X, self.columns_)
        labels = Labels.of(y, self.topics_, columns, n_rows=len(matrix), groups=groups, block=None, sample_weight=sample_weight)
        if not {0.0, 1.0} <= set(labels.y[labels.weight > 0][~np.isnan(labels.y[labels.weight > 0])].tolist()):
            raise ValueError("labels of 0 and of 1 are both needed to calibrate. Hint: more people, or a longer horizon")
        order = row_order(matrix, *labels.y.T, labels.weight, groups=labels.codes)
        matrix, labels = matrix[order], labels.take(order)
        made = copy.copy(self)
        made.lead = self.lead if lead is None else lead
        made.prior_ = labels.prior()
        raw = self._raw_margins(matrix)
        made._calibrate(matrix, labels, raw, None)  # noqa: SLF001 - a model of this class
        return made

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        """Return calibrated probabilities (n, n_topics). Raises ColumnsError for other columns than in fit."""
        return np.asarray(special.expit(self.predict_margin(X)))

    def predict_margin(self, X: pd.DataFrame, *, topics: Sequence[str] | None = None) -> Floats:
        """Return the logit (n, n_topics) of `predict_proba`; of these topics only, in their order, where they are given: the same numbers in less time."""
        check_is_fitted(self, "booster_")
        matrix = frame_matrix(X, self.columns_)[0]
        numbers = np.arange(len(self.topics_)) if topics is None else np.array([self.topic_number(topic) for topic in topics], dtype=np.int64)
        cold = ~self._history(matrix)[:, None]
        return self.calibration_.margin(raw_margins(self.booster_, self.layout_, matrix, self.n_jobs, numbers.tolist()), numbers, cold)

    def predict_interval(self, X: pd.DataFrame) -> Floats:
        """Return low and high (n, n_topics, 2) of the engagement rate of people with this margin, with `coverage`.

        See `GroupInterval`: it is an interval for the group's rate, not for what one person will do.
        """
        margins = self.predict_margin(X)
        return np.stack([self.intervals_.predict(margins[:, topic], topic) for topic in range(len(self.topics_))], axis=1)

    def contributions(self, X: pd.DataFrame, topic: str) -> Contributions:
        """Return exact contributions to `predict_margin(X)` of one topic, in logits: base (n,) + values (n, F + 1).

        The columns are those of X and, last, `topic`: what the topic itself contributes. What one column contributes as the topic's own
        as part of the whole history and through the embedding is summed. TreeSHAP (Lundberg et al. 2020) as LightGBM computes it, times the topic's slope.
        Raises ValueError for an unknown topic.
        """
        check_is_fitted(self, "booster_")
        number = self.topic_number(topic)
        matrix, _ = frame_matrix(X, self.columns_)
        slope, width = self.calibration_.slope_[number], self.layout_.width
        base, values = np.empty(len(matrix)), np.empty((len(matrix), len(self.columns_) + 1))
        for start in range(0, len(matrix), CHUNK):
            rows = slice(start, start + CHUNK)
            pooled = self.layout_.rows(matrix[rows], np.full(len(matrix[rows]), number))
            parts = np.asarray(self.booster_.predict(pooled, pred_contrib=True, num_threads=self.n_jobs)).reshape(len(pooled), width + 1)
            base[rows] = self.calibration_.margin(parts[:, -1], number, ~self._history(matrix[rows]))
            values[rows] = slope * self.layout_.fold(parts[:, :-1], number, matrix[rows])
        return Contributions(base, values, (*self.columns_, TOPIC))

    def has_history(self, X: pd.DataFrame) -> NDArray[np.bool_]:
        """Return (n,) who engaged with anything before; of the others a probability is that of their segment. All, where no column counts engagements."""
        check_is_fitted(self, "booster_")
        return self._history(frame_matrix(X, self.columns_)[0])

    def topic_number(self, topic: str) -> int:
        """Return the topic's position in `topics_`; raises ValueError with the topics there are."""
        if topic not in self.topics_:
            raise ValueError(f"topic {topic!r} is not one of this model's: {', '.join(self.topics_)}")
        return self.topics_.index(topic)

    def to_state(self) -> dict[str, Any]:
        """Return what was learned, beside the booster, as JSON-able values; no row of the training data is in it."""
        check_is_fitted(self, "booster_")
        return {
            "parameters": {**self.get_params(), "topics": list(self.topics_)},
            "layout": self.layout_.to_state(),
            "calibration": self.calibration_.to_state(),
            "intervals": self.intervals_.to_state(),
            "prior": self.prior_.tolist(),
            "steps": [list(step) for step in self.steps_],
            "linear_share": self.linear_share_,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], booster: lgb.Booster) -> TopicAffinity:
        """Return the model of `to_state` and its booster; it predicts the same bits. Raises ValueError where the parts do not fit."""
        model = cls(**state["parameters"])
        model.check_parameters()
        model.layout_, model.booster_ = Layout.from_state(state["layout"]), booster
        model.topics_, model.columns_ = model.layout_.topics, model.layout_.columns
        model.n_features_in_, model.feature_names_in_ = len(model.columns_), np.array(model.columns_, dtype=object)
        model.calibration_, model.intervals_ = TopicPlatt.from_state(state["calibration"]), GroupInterval.from_state(state["intervals"])
        model.prior_ = np.array(state["prior"], dtype=np.float64).reshape(-1)
        model.steps_ = tuple(Steps(*map(float, step)) for step in state["steps"])
        model.linear_share_ = float(state.get("linear_share", 0.0))  # artefacts of earlier releases have no linear score
        lengths = {len(model.topics_), len(model.prior_), len(model.calibration_.slope_), len(model.intervals_.knots_)}
        if len(lengths) != 1:
            raise ValueError("calibration, intervals, prior and topics differ in number")
        check_columns(booster.feature_name(), model.layout_.names)
        return model

    def check_parameters(self) -> None:
        """Raise ValueError, in words, for a parameter outside of its limits."""
        limits = {
            "num_trees": (1, 20_000),
            "max_depth": (1, 16),
            "num_leaves": (2, 4096),
            "bag": (1, 100),
            "n_history": (0, 3),
            "n_embedding": (0, 64),
            "origins": (0, 60),
            "min_child_samples": (1, 10**9),
            "l2": (0, 10**9),
            "n_jobs": (1, 1024),
            **({} if self.max_rows is None else {"max_rows": (1, 10**12)}),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must lie in [{low}, {high}]: given {getattr(self, name)!r}")
        for name in ("learning_rate", "column_share", "row_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in (0, 1]: given {getattr(self, name)!r}")
        if not 0 <= self.lead <= 1000:
            raise ValueError(f"lead must lie in [0, 1000] blocks: given {self.lead!r}")
        for name, share in (("forget", self.forget), ("linear_share", self.linear_share or 0.0)):
            if not 0 <= share < 1:
                raise ValueError(f"{name} must lie in [0, 1): given {share!r}")
        for name in ("calibration_share", "coverage"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must lie inside (0, 1): given {getattr(self, name)!r}")

    def tree_parameters(self, layout: Layout) -> dict[str, Any]:
        """Return LightGBM's parameters for pooled rows of that layout."""
        return {
            "objective": "binary",
            "learning_rate": self.learning_rate,
            "max_depth": self.max_depth,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": self.min_child_samples,
            "lambda_l2": self.l2,
            "feature_fraction": self.column_share,
            "bagging_fraction": self.row_share,
            "bagging_freq": 1,
            "extra_trees": self.extra_trees,
            "extra_seed": self.random_state,
            "cat_smooth": CATEGORY_SMOOTHING,
            "cat_l2": CATEGORY_SMOOTHING,
            "bin_construct_sample_cnt": BIN_SAMPLE,
            "feature_pre_filter": False,
            "deterministic": True,
            "force_row_wise": True,
            **({"monotone_constraints": layout.directions()} if self.monotone else {}),
            "seed": self.random_state,
            "num_threads": self.n_jobs,
            "verbosity": -1,
        }

    def layout_for(self, matrix: NDArray[np.float32], labels: Labels, columns: tuple[str, ...]) -> Layout:
        """Return the pooled rows' layout for rows of `matrix` (n, F); what it learns from a history is learned on the earliest block only."""
        topics, earliest = labels.topics, matrix[labels.block == labels.block.min(initial=0)]
        families = [(self.parents or {}).get(topic) for topic in topics]
        counted = counted_columns(columns, topics)
        return Layout.of(
            columns,
            topics,
            history_templates(columns, topics, self.n_history),
            TopicEmbedding.fit(earliest, embedded_columns(columns, topics), self.n_embedding),
            TopicRelatives.fit(earliest, counted, families) if len(counted) > 1 else None,
            families=families,
            named=labels.answerable.tolist(),
        )

    @property
    def _forgotten(self) -> float:
        return 0.0 if self.layout_.named.all() else self.forget

    def _grow(self, matrix: NDArray[np.float32], labels: Labels, rows: Integers, stage: str, progress: Progress | None) -> Ensemble:
        rows, parameters = sampled(labels, rows, self.max_rows, self.random_state), self.tree_parameters(self.layout_)
        told: dict[str, Any] = {"bag": self.bag, "num_trees": self.num_trees, "forget": self._forgotten, "stage": stage, "progress": progress}
        grown = Ensemble.grow(self.layout_, matrix, labels, rows, parameters, linear=self.linear_share_ != 0.0, **told)
        self.layout_ = grown.layout
        return grown

    def _calibrate(self, matrix: NDArray[np.float32], labels: Labels, unseen: Floats, served: Floats | None) -> None:
        """Fit calibration and intervals on held-out rows: raw margins (n, n_topics) of trees that never saw them, and of those served where they did."""
        row, topic = np.nonzero(~np.isnan(labels.y))
        raw, y, weight, cold = unseen[row, topic], labels.y[row, topic], labels.weight[row], ~self._history(matrix)[row]
        n_topics = len(labels.topics)
        self.calibration_ = TopicPlatt().fit(raw, topic, y, n_topics=n_topics, sample_weight=weight, cold=cold)
        logit = self.calibration_.margin(raw, topic, cold)
        steps = steps_ahead(self.steps_, self.lead)
        moved = logit
        if served is not None:
            self.calibration_.keep_level(served[row, topic], logit, topic, sample_weight=weight, cold=cold)
            moved = self.calibration_.margin(served[row, topic], topic, cold)
        self.intervals_ = GroupInterval(self.coverage).fit(
            logit, topic, y, labels.people[row], n_topics=n_topics, sample_weight=weight, served=moved, steps=steps
        )

    def _history(self, matrix: NDArray[np.float32]) -> NDArray[np.bool_]:
        column = activity_column(self.columns_)
        return np.ones(len(matrix), dtype=bool) if column is None else np.asarray(matrix[:, column] > 0)

    def _raw_margins(self, matrix: NDArray[np.float32]) -> Floats:
        return raw_margins(self.booster_, self.layout_, matrix, self.n_jobs)
