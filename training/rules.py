"""The rules of thumb that topic affinity has to beat, each turned into the probabilities it implies on the training rows.

A rule sorts (person, topic) pairs into cells; a cell's probability is its engagement rate in training, per topic, drawn to the
topic's average by a few made-up pairs. So a rule is judged as calibrated as it can be, and no rule is a straw man.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.catalogue import ALL, ANY, ENGAGEMENT, Feature
from training.snapshots import AffinityDataset

Floats = NDArray[np.float64]
Cells = NDArray[np.int64]

PRIOR_PAIRS = 20.0
"""Made-up pairs at the topic's average that every cell starts with."""
SHARE_EDGES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8)
"""Upper edges of the cells of a share; the first holds those without an engagement of the topic."""
RECENCY_DAYS = (30.0, 90.0, 365.0)
FREQUENCIES = (1.0, 2.0, 4.0, 8.0)
"""Upper edges of the cells of days since the last engagement and of the number of engagements: the usual table of the trade."""


def rule_probabilities(dataset: AffinityDataset) -> dict[str, Floats]:
    """Return the probabilities (n_test, n_topics) of each rule on the test rows, learned on the training rows.

    `prior`: the topic's average rate. `share`: the share of the topic among the person's engagements with any topic. `recency_frequency`:
    days since the last engagement with the topic, and how many there were.
    """
    train, test, topics = dataset.train, dataset.test, dataset.topics
    cells = {
        "prior": (_no_cells(train.X, topics), _no_cells(test.X, topics)),
        "share": (_share_cells(train.X, topics), _share_cells(test.X, topics)),
        "recency_frequency": (_recency_frequency_cells(train.X, topics), _recency_frequency_cells(test.X, topics)),
    }
    return {rule: cell_rates(learned, train.y, asked) for rule, (learned, asked) in cells.items()}


def cell_rates(learned: Cells, y: Floats, asked: Cells) -> Floats:
    """Return the rate (m, n_topics) of the cell of each pair in `asked` (m, n_topics), from cells `learned` and labels y (n, n_topics).

    Unknown labels (NaN) count nowhere; a topic without a known label has the rate of all topics together. Rates lie inside (0, 1).
    """
    most = int(max(learned.max(initial=0), asked.max(initial=0))) + 1
    rates, everything = np.empty(asked.shape), ~np.isnan(y)
    overall = (float(y[everything].sum()) + 0.5) / (float(everything.sum()) + 1.0)
    for topic in range(y.shape[1]):
        known = ~np.isnan(y[:, topic])
        positives, count = float(y[known, topic].sum()), float(known.sum())
        # half a pair of either kind keeps the average off 0 and 1, where one surprise would cost an infinite log loss
        average = (positives + 0.5) / (count + 1.0) if count else overall
        pairs = np.bincount(learned[known, topic], minlength=most)
        hits = np.bincount(learned[known, topic], y[known, topic], minlength=most)
        rates[:, topic] = ((hits + PRIOR_PAIRS * average) / (pairs + PRIOR_PAIRS))[asked[:, topic]]
    return rates


def _no_cells(X: pd.DataFrame, topics: Sequence[str]) -> Cells:
    return np.zeros((len(X), len(topics)), dtype=np.int64)


def _share_cells(X: pd.DataFrame, topics: Sequence[str]) -> Cells:
    share = _columns(X, [Feature("share", ENGAGEMENT, ANY, topic, ALL) for topic in topics])
    return np.searchsorted(SHARE_EDGES, np.nan_to_num(share, nan=0.0), side="left").astype(np.int64)


def _recency_frequency_cells(X: pd.DataFrame, topics: Sequence[str]) -> Cells:
    recency = _columns(X, [Feature("recency", ENGAGEMENT, ANY, topic) for topic in topics])
    frequency = _columns(X, [Feature("count", ENGAGEMENT, ANY, topic, ALL) for topic in topics])
    since = np.searchsorted(RECENCY_DAYS, np.nan_to_num(recency, nan=np.inf), side="left")
    often = np.searchsorted(FREQUENCIES, frequency, side="left")
    cell = 1 + since * (len(FREQUENCIES) + 1) + often
    return np.where(frequency > 0, cell, 0).astype(np.int64)


def _columns(X: pd.DataFrame, features: Sequence[Feature]) -> Floats:
    return X[[feature.name for feature in features]].to_numpy(dtype=np.float64)
