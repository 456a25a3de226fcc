"""Pooled rows as LightGBM asks for them."""

import numpy as np

from models.growing import PooledRows, known_pairs
from models.labels import Labels
from models.pooled import Layout

COLUMNS = ("count|topic=a|window=all", "count|topic=b|window=all", "age")


def test_rows_are_made_one_by_one_or_in_slices_alike():
    layout = Layout.of(COLUMNS, ("a", "b"), ())
    matrix = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    rows = PooledRows(layout, matrix, np.array([4, 1, 5]), np.array([1, 0, 1]), np.array([False, True, False]))
    assert len(rows) == 3
    np.testing.assert_array_equal(rows[0:3], np.stack([rows[0], rows[1], rows[2]]))
    np.testing.assert_array_equal(rows[[2, 0]], np.stack([rows[2], rows[0]]))
    np.testing.assert_array_equal(rows[0], layout.rows(matrix[[4]], 1)[0])
    assert np.isnan(rows[1][0]), "the topic's name is left out"
    np.testing.assert_array_equal(rows[1][1:], layout.rows(matrix[[1]], 0)[0, 1:])


def test_known_pairs_go_topic_by_topic():
    y = np.array([[1.0, np.nan], [0.0, 1.0], [np.nan, 0.0]])
    labels = Labels.of(y, ("a", "b"), COLUMNS, n_rows=3, groups=None, block=None, sample_weight=None)
    row, topic = known_pairs(labels, np.array([2, 0, 1]))
    assert row.tolist() == [0, 1, 2, 1]
    assert topic.tolist() == [0, 0, 1, 1]
