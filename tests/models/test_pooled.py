"""From vectors to pooled rows and back."""

import json
from dataclasses import replace

import numpy as np
import pytest

from models.columns import ColumnsError
from models.embedding import TopicEmbedding
from models.linear import NO_SCORE, LinearScore
from models.pooled import Layout, activity_column, counted_columns, embedded_columns, history_templates, template_of, topic_of
from models.relatives import TopicRelatives

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


@pytest.fixture
def related():
    relatives = TopicRelatives.fit(COUNTS, counted_columns(COLUMNS, ("a", "b")), ("home", "home"))
    return Layout.of(COLUMNS, ("a", "b"), (), relatives=relatives, families=("home", "home"), named=(True, False))


def test_relatives_family_and_a_topic_without_a_name_stand_in_the_row(related):
    assert counted_columns(COLUMNS, ("a", "b")) == [1, 2]
    assert counted_columns(COLUMNS, ("a", "c")) == []
    assert activity_column(COLUMNS) == 0
    assert activity_column(COLUMNS[1:]) is None
    assert related.names[-3:] == ("relatives_together", "relatives_parent", "topic_family")
    assert related.categorical == [0, related.width - 1]
    row = dict(zip(related.names, related.rows(COUNTS[:1], 1)[0], strict=True))
    assert np.isnan(row["topic"])
    assert row["topic_family"] == 0
    assert row["relatives_parent"] == pytest.approx(np.log1p(COUNTS[0, 1]))
    assert related.rows(COUNTS[:1], 0)[0, 0] == 0
    assert Layout.of(COLUMNS, ("a", "b"), (), families=("home", None)).categorical == [0], "nobody shares a family"


def test_what_relatives_and_family_contribute_is_kept(related):
    parts = np.random.default_rng(1).normal(size=(5, related.width))
    folded = related.fold(parts, 0, COUNTS[:5])
    np.testing.assert_allclose(folded.sum(axis=1), parts.sum(axis=1), atol=1e-12)
    np.testing.assert_allclose(folded[:, 2], parts[:, -3] + parts[:, -2], err_msg="topic a's relative is b")


@pytest.fixture
def scored(related):
    layout = Layout.of(COLUMNS, ("a", "b"), history_templates(COLUMNS, ("a", "b"), 1), relatives=related.relatives, families=("home", "home"))
    y = (np.random.default_rng(6).random((40, 2)) < 0.4).astype(float)
    return layout.with_linear(LinearScore.fit(COUNTS, y, np.ones(40), layout.linear_sources))


def test_a_linear_score_stands_before_the_family(scored):
    assert scored.linear_sources == [3, 4, 0, 8], "the history in short, and what has no topic"
    assert scored.names[-2:] == ("linear_score", "topic_family")
    assert scored.linear_place == scored.width - 2
    rows, topic = scored.rows(COUNTS, 1), np.ones(40, dtype=int)
    np.testing.assert_array_equal(rows[:, -2], scored.linear.transform(COUNTS, topic))
    hidden, alone = scored.rows(COUNTS, 1, linear=0.0), scored.linear_rows(rows[:, -2], topic)
    assert (hidden[:, -2] == 0).all()
    np.testing.assert_array_equal(np.delete(hidden, -2, axis=1), np.delete(rows, -2, axis=1))
    np.testing.assert_array_equal(alone[:, [0, -2]], rows[:, [0, -2]])
    assert (np.delete(alone, [0, scored.width - 2], axis=1) == 0).all()
    unnamed = replace(scored, named=np.array([True, False]))
    assert np.isnan(unnamed.rows(COUNTS, 1)[:, [0, -2]]).all(), "a topic that nobody could answer has no score"
    assert np.isnan(unnamed.linear_rows(rows[:, -2], topic)[:, [0, -2]]).all()


def test_a_linear_score_comes_goes_and_comes_back(scored):
    without = scored.with_linear(NO_SCORE)
    assert "linear_score" not in without.names
    assert without.with_linear(scored.linear).names == scored.names == scored.with_linear(scored.linear).names
    again = Layout.from_state(json.loads(json.dumps(scored.to_state())))
    np.testing.assert_array_equal(again.rows(COUNTS, 0), scored.rows(COUNTS, 0))
    with pytest.raises(ValueError, match="differ in number"):
        Layout.from_state(scored.to_state() | {"linear": without.linear.to_state()})


def test_what_a_linear_score_contributes_goes_to_its_columns(scored):
    parts = np.zeros((5, scored.width))
    parts[:, -2] = np.arange(1.0, 6.0)
    folded = scored.fold(parts, 1, COUNTS[:5])
    np.testing.assert_allclose(folded[:, [*scored.linear_sources, -1]].sum(axis=1), np.arange(1.0, 6.0), atol=1e-12)
    assert (folded[:, scored.linear_sources] != 0).any()
    assert (np.delete(folded, [*scored.linear_sources, len(scored.columns)], axis=1) == 0).all()


def test_in_a_monotone_model_a_score_pushes_up_and_rises_with_the_own_history(scored):
    assert dict(zip(scored.names, scored.directions(), strict=True))["linear_score"] == 1
    np.testing.assert_array_equal(scored.linear_directions(), [[True, False, False, False], [False, True, False, False]])


def test_the_own_history_may_only_push_up_and_its_recency_only_down():
    columns = (*COLUMNS, "recency|kind=any-engagement|channel=any|topic=a", "recency|kind=any-engagement|channel=any|topic=b")
    layout = Layout.of(columns, ("a", "b"), history_templates(columns, ("a", "b"), 1))
    told = {name: direction for name, direction in zip(layout.names, layout.directions(), strict=True) if direction}
    assert told == {COUNT: 1, SHARE: 1, DECAYED: 1, "recency|kind=any-engagement|channel=any|topic=own-topic": -1}


def test_layouts_of_earlier_releases_come_back(related):
    state = Layout.of(COLUMNS, ("a", "b"), ()).to_state()
    for key in ("relatives", "families", "named", "linear"):
        del state[key]
    again = Layout.from_state(state)
    np.testing.assert_array_equal(again.rows(COUNTS, 1), Layout.of(COLUMNS, ("a", "b"), ()).rows(COUNTS, 1))
    back = Layout.from_state(json.loads(json.dumps(related.to_state())))
    np.testing.assert_array_equal(back.rows(COUNTS, 1), related.rows(COUNTS, 1))


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
        ("named", [True], "differ"),
        ("families", [0], "differ"),
    ],
)
def test_a_state_that_cannot_be_is_refused(layout, key, value, words):
    with pytest.raises(ValueError, match=words):
        Layout.from_state(layout.to_state() | {key: value})


def test_no_people_make_no_rows(layout):
    assert layout.rows(np.zeros((0, 9), dtype=np.float32), 0).shape == (0, layout.width)
