"""Trees over pooled rows: made from the matrix row by row as LightGBM asks for them, and asked for margins of all topics at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from models.labels import Labels
from models.pooled import Layout

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Progress = Callable[[str, float], None]

CHUNK = 2_048
"""People whose pooled rows are made at once when predicting."""
BATCH = 8_192
"""Pooled rows that are made at once when growing."""
BIN_SAMPLE = 50_000
"""Pooled rows from which bins are cut; LightGBM's default of 200,000 changes bins little and takes four times as long."""
REPORT_EVERY = 10


class PooledRows(lgb.Sequence):
    """The pooled rows of pairs (row of the matrix, topic), made when LightGBM asks for them: only their bins are ever all in memory.

    In the pairs of `unnamed` (m,) the topic is missing, as it is for a topic that nobody could have answered yet. The linear score is 0 in all of them
    or, where `linear_only`, everything but the topic and that score.
    """

    def __init__(
        self, layout: Layout, matrix: NDArray[np.float32], row: Integers, topic: Integers, unnamed: NDArray[np.bool_], *, linear_only: bool = False
    ) -> None:
        self.layout = layout
        self.matrix = matrix
        self.row = row
        self.topic = topic
        self.unnamed = unnamed
        self.scores = _linear_scores(layout, matrix, row, topic) if linear_only else None
        self.batch_size = BATCH

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, index: Any) -> NDArray[np.float64]:
        """Return one pooled row (width,) or the rows of a slice or list (k, width), as float64."""
        single = np.ndim(index) == 0 and not isinstance(index, slice)
        rows = self.take(index).astype(np.float64)
        return rows[0] if single else rows

    def take(self, index: Any) -> NDArray[np.float32]:
        """Return the rows (k, width) of a number, slice or list, as float32."""
        topic, unnamed = np.atleast_1d(self.topic[index]), np.atleast_1d(self.unnamed[index])
        if self.scores is not None:
            rows = self.layout.linear_rows(np.atleast_1d(self.scores[index]), topic)
            rows[unnamed, self.layout.linear_place] = np.nan
        else:
            rows = self.layout.rows(self.matrix[np.atleast_1d(self.row[index])], topic, linear=0.0)
            if self.layout.linear:
                rows[:, self.layout.linear_place] = 0.0  # trees never see a constant
        rows[unnamed, 0] = np.nan
        return rows


def _linear_scores(layout: Layout, matrix: NDArray[np.float32], row: Integers, topic: Integers) -> NDArray[np.float32]:
    """Return the linear score (m,) of each pair; a row's columns are read once, however many topics it stands in."""
    people, place = np.unique(row, return_inverse=True)
    topics = np.arange(len(layout.topics))
    chunks = [layout.linear.table(matrix[people[start : start + CHUNK]], topics) for start in range(0, len(people), CHUNK)]
    return np.asarray(np.concatenate(chunks)[place, topic]) if chunks else np.empty(0, dtype=np.float32)


def known_pairs(labels: Labels, rows: Integers) -> tuple[Integers, Integers]:
    """Return the pairs (row, topic), each (m,), of these rows whose label is known: topic after topic, rows in their order."""
    topic, place = np.nonzero(~np.isnan(labels.y[rows]).T)
    return rows[place], topic.astype(np.int64)


def grow(
    layout: Layout,
    matrix: NDArray[np.float32],
    labels: Labels,
    rows: Integers,
    parameters: Mapping[str, Any],
    *,
    num_trees: int,
    forget: float,
    linear_only: bool = False,
    stage: str = "growing trees",
    progress: Progress | None = None,
) -> lgb.Booster:
    """Return a booster of the known pairs of `rows`; read back from its text, so that it is what a saved model will be.

    It does not see the layout's linear score or, where `linear_only`, that score and the topic alone. In a share `forget` of the pairs, drawn with the
    parameters' seed, the topic's name is left out: so the trees learn what to say of a topic without one.
    """
    row, topic = known_pairs(labels, rows)
    unnamed = np.random.default_rng(parameters["seed"]).random(len(row)) < forget
    pooled = PooledRows(layout, matrix, row, topic, unnamed, linear_only=linear_only)
    weight = labels.weight[row] if labels.weighted else None
    data = dataset(pooled, labels.y[row, topic], parameters, weight=weight)
    booster = lgb.train(dict(parameters), data, num_trees, callbacks=[reporter(stage, progress)] if progress else None)
    return lgb.Booster(model_str=booster.model_to_string())


def dataset(pooled: PooledRows, y: Floats, parameters: Mapping[str, Any], **further: Any) -> lgb.Dataset:
    """Return LightGBM's dataset of the pooled rows and their labels (m,).

    Its bins are cut from BIN_SAMPLE rows, drawn with the parameters' seed and made at once: asked for its sample itself, LightGBM takes row by row.
    """
    drawn = np.arange(len(pooled))
    if len(pooled) > BIN_SAMPLE:
        drawn = np.sort(np.random.default_rng(parameters["seed"]).choice(len(pooled), BIN_SAMPLE, replace=False))
    told = {"feature_name": list(pooled.layout.names), "categorical_feature": pooled.layout.categorical, "params": dict(parameters)}
    bins = lgb.Dataset(pooled.take(drawn), y[drawn], **told).construct()
    return lgb.Dataset(pooled, y, reference=bins, **told, **further)


def raw_margins(booster: lgb.Booster, layout: Layout, matrix: NDArray[np.float32], n_jobs: int, topics: Sequence[int] | None = None) -> Floats:
    """Return the booster's own margins (n, n_topics) of the rows of `matrix` (n, F), chunk by chunk; of the topics of these numbers only, where given."""
    numbers = np.arange(len(layout.topics)) if topics is None else np.asarray(topics, dtype=np.int64)
    n_topics = len(numbers)
    margins = np.empty((len(matrix), n_topics))
    for start in range(0, len(matrix), CHUNK):
        rows = slice(start, start + CHUNK)
        people = len(matrix[rows])
        score = layout.linear.table(matrix[rows], numbers).ravel() if layout.linear else None
        pooled = layout.rows(np.repeat(matrix[rows], n_topics, axis=0), np.tile(numbers, people), linear=score)
        raw = np.asarray(booster.predict(pooled, raw_score=True, num_threads=n_jobs), dtype=np.float64)
        margins[rows] = raw.reshape(people, n_topics)
    return margins


def reporter(stage: str, progress: Progress) -> Callable[[Any], None]:
    """Return a callback of LightGBM that tells `progress` every so many trees."""

    def report(state: Any) -> None:
        done = state.iteration - state.begin_iteration + 1
        if done % REPORT_EVERY == 0 or done == state.end_iteration - state.begin_iteration:
            progress(stage, done / (state.end_iteration - state.begin_iteration))

    return report
