"""Labels at the door, who is held out, who is drawn."""

import numpy as np
import pandas as pd
import pytest

from models.labels import Labels, held_out, sampled

Y = np.array([[1.0, 0.0], [0.0, np.nan], [0.0, 1.0], [1.0, 0.0]])


def _of(y=Y, topics=("a", "b"), columns=("x",), **given):
    return Labels.of(y, topics, columns, n_rows=4, **{"groups": None, "block": None, "sample_weight": None, **given})


def test_priors_ignore_unknown_labels_and_use_weights():
    np.testing.assert_allclose(_of().prior(), [0.5, 1 / 3])
    np.testing.assert_allclose(_of(sample_weight=[2, 1, 1, 0]).prior(), [0.5, 1 / 3])


def test_a_topic_without_a_known_label_is_told_apart_and_has_the_others_prior():
    labels = _of(np.column_stack([Y[:, 0], np.full(4, np.nan)]))
    assert labels.answerable.tolist() == [True, False]
    np.testing.assert_allclose(labels.prior(), [0.5, 0.5])
    assert _of(sample_weight=[0, 0, 1, 0]).answerable.tolist() == [True, True]
    assert _of(sample_weight=[0, 1, 0, 0]).answerable.tolist() == [True, False]


def test_topics_come_from_a_frame_or_are_numbered_only_where_nothing_can_be_mixed_up():
    assert _of(pd.DataFrame(Y, columns=["b", "a"]), None).topics == ("b", "a")
    assert _of(Y, None).topics == ("topic_0", "topic_1")
    with pytest.raises(ValueError, match="which column of y is which topic"):
        _of(Y, None, ("count|topic=a",))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"y": Y[:3]}, "must be \\(n, n_topics\\)"),
        ({"y": Y + 0.5}, "0, 1 or NaN"),
        ({"y": np.full((4, 2), np.nan)}, "no label is known for any of a, b"),
        ({"topics": ("a", "a")}, "each topic once"),
        ({"y": pd.DataFrame(Y, columns=["b", "a"])}, "in this order"),
        ({"y": Y[:, 0], "topics": None}, "one column per topic"),
        ({"sample_weight": [1, 1, 1, -1]}, "not negative"),
        ({"sample_weight": [1, 1]}, "must be \\(4,\\)"),
        ({"groups": ["a", None, "b", "c"]}, "no group"),
        ({"block": [1, 2]}, "one value per row"),
        ({"block": [1, None, 2, 3]}, "one value per row"),
        ({"block": pd.Series([1, pd.Timestamp("2026-01-01"), 2, 3], dtype=object)}, "sortable"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(given, words):
    with pytest.raises(ValueError, match=words):
        _of(**given)


def test_an_error_names_no_person():
    with pytest.raises(ValueError) as raised:
        _of(groups=["van:123", None, "van:456", "van:7"])
    assert "van:" not in str(raised.value)


def test_the_latest_block_is_held_out():
    np.testing.assert_array_equal(held_out(_of(block=pd.to_datetime(["2026-01-01", "2026-01-01", "2026-02-01", "2026-02-01"])), 0.25, 0), [0, 0, 1, 1])


def test_with_one_block_whole_people_are_held_out():
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(50), 4)
    labels = Labels.of(generator.integers(0, 2, (200, 2)), ("a", "b"), (), n_rows=200, groups=groups, block=None, sample_weight=None)
    kept = held_out(labels, 0.2, 0)
    assert kept.sum() == 40
    assert not set(groups[kept]) & set(groups[~kept])


def test_both_labels_are_needed_on_both_sides():
    with pytest.raises(ValueError, match="the latest block: 0 labels are 1 and 2 are 0"):
        held_out(_of(np.array([[1.0], [0], [0], [0]]), ("a",), block=[1, 1, 2, 2]), 0.25, 0)


def test_a_sample_keeps_whole_people_within_the_limit():
    groups = np.repeat(np.arange(50), 4)
    labels = Labels.of(np.ones((200, 3)), ("a", "b", "c"), (), n_rows=200, groups=groups, block=None, sample_weight=None)
    rows = sampled(labels, np.arange(200), 100, 0)
    assert len(rows) == 32
    assert all((groups[rows] == person).sum() == 4 for person in np.unique(groups[rows]))
    np.testing.assert_array_equal(sampled(labels, np.arange(200), 600, 0), np.arange(200))
    np.testing.assert_array_equal(sampled(labels, np.arange(200), None, 0), np.arange(200))
