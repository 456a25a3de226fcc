"""From vectors to pooled rows and back."""

import json

import numpy as np
import pytest

from models.columns import ColumnsError
from models.embedding import TopicEmbedding
from models.pooled import Layout, TopicRows, embedded_columns, history_templates, template_of, topic_of

COLUMNS = (
    "count|kind=any-engagement|channel=any|topic=any|window=all",
    "count|kind=any-engagement|channel=any|topic=a|window=all",
    "count|kind=any-engagement|channel=any|topic=b|window=all",
    "share|kind=any-engagement|channel=any|topic=a|window=all",
    "share|kind=any-engagement|channel=any|topic=b|window=all",
    "share|kind=letter_open|channel=any|topic=a|window=all",
    "decayed|kind=any-engagement|channel=any|topic=a|half_life=30d",
    "count|kind=any-engagement|channel=any|topic=other|window=all",
    "attribute|id=household_size",
)
SHARE, DECAYED, COUNT = (
    "share|kind=any-engagement|channel=any|topic=own-topic|window=all",
    "decayed|kind=any-engagement|channel=any|topic=own-topic|half_life=30d",
    "count|kind=any-engagement|channel=any|topic=own-topic|window=all",
)


COUNTS = np.abs(np.random.default_rng(5).normal(size=(40, 9))).astype(np.float32)


@pytest.fixture
def layout():
    embedding = TopicEmbedding.fit(COUNTS, embedded_columns(COLUMNS, ("a", "b")), 2)
    return Layout.of(COLUMNS, ("a", "b"), history_templates(COLUMNS, ("a", "b"), 1), embedding)


def test_a_column_belongs_to_the_topic_of_its_field():
    assert [topic_of(name) for name in COLUMNS] == [None, "a", "b", "a", "b", "a", "a", "other", None]
    assert topic_of("plain") is None
    assert topic_of("count|topic=any-topic") is None
    assert template_of(COLUMNS[1]) == COUNT


def test_the_widest_share_then_decay_then_count_stand_for_the_history():
    assert history_templates(COLUMNS, ("a", "b"), 3) == (SHARE, DECAYED, COUNT)
    assert history_templates(COLUMNS, ("a", "b"), 0) == ()
    assert history_templates(["plain"], ("a",), 3) == ()


def test_a_pooled_row_holds_topic_own_general_and_history(layout):
    matrix = np.arange(9, dtype=np.float32)[None] + 10
    row = dict(zip(layout.names, layout.rows(matrix, np.array([1]))[0], strict=True))
    assert row["topic"] == 1
    assert row[COUNT] == 12
    assert row[SHARE] == 14
    assert np.isnan(row[DECAYED])
    assert row[COLUMNS[0]] == 10
    assert row[COLUMNS[8]] == 18
    assert row[COLUMNS[3]] == 13
    assert COLUMNS[7] not in row


def test_the_embedding_is_made_of_the_counts_of_one_topic_over_all_time(layout):
    assert embedded_columns(COLUMNS, ("a", "b")) == [1, 2]
    assert layout.names[-2:] == ("embedding_1", "embedding_2")
    np.testing.assert_array_equal(layout.rows(COUNTS, 0)[:, -2:], layout.embedding.transform(COUNTS))


def test_folding_back_keeps_the_sum_and_gives_each_column_its_own(layout):
    parts = np.random.default_rng(0).normal(size=(5, layout.width))
    folded = layout.fold(parts, 0, COUNTS[:5])
    np.testing.assert_allclose(folded.sum(axis=1), parts.sum(axis=1), atol=1e-12)
    own, history = layout.names.index(SHARE), layout.names.index(COLUMNS[3])
    np.testing.assert_allclose(folded[:, 3], parts[:, own] + parts[:, history])
    assert (folded[:, 7] == 0).all()


def test_what_an_absent_template_contributes_counts_as_the_topics(layout):
    parts = np.zeros((1, layout.width))
    parts[0, layout.names.index(DECAYED)] = 2.0
    assert layout.fold(parts, 1, COUNTS[:1])[0, -1] == 2.0
    assert layout.fold(parts, 0, COUNTS[:1])[0, 6] == 2.0


def test_plain_columns_of_any_name_are_general():
    layout = Layout.of(("age (years)", "b"), ("a",), ())
    assert layout.names == ("topic", "column_1", "b")


def test_a_column_called_topic_is_refused():
    with pytest.raises(ColumnsError, match="rename"):
        Layout.of(("topic",), ("a",), ())


def test_the_state_is_json_and_comes_back(layout):
    again = Layout.from_state(json.loads(json.dumps(layout.to_state())))
    matrix = np.random.default_rng(0).normal(size=(4, 9)).astype(np.float32)
    np.testing.assert_array_equal(again.rows(matrix, 0), layout.rows(matrix, 0))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("general", [0, 99], "outside"),
        ("history", [-1], "outside"),
        ("names", ["topic"], "differ in number"),
        ("embedding", {"sources": [9], "components": [[1.0]]}, "outside"),
    ],
)
def test_a_state_that_cannot_be_is_refused(layout, key, value, words):
    with pytest.raises(ValueError, match=words):
        Layout.from_state(layout.to_state() | {key: value})


def test_rows_are_made_one_by_one_or_in_slices_alike(layout):
    matrix = np.random.default_rng(0).normal(size=(6, 9)).astype(np.float32)
    rows = TopicRows(layout, matrix, np.array([4, 1, 5]), 1)
    assert len(rows) == 3
    np.testing.assert_array_equal(rows[0:3], np.stack([rows[0], rows[1], rows[2]]))
    np.testing.assert_array_equal(rows[[2, 0]], np.stack([rows[2], rows[0]]))
    np.testing.assert_array_equal(rows[1], layout.rows(matrix[[1]], 1)[0])


def test_no_people_make_no_rows(layout):
    assert layout.rows(np.zeros((0, 9), dtype=np.float32), 0).shape == (0, layout.width)
