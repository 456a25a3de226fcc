"""Folds follow from the set of groups and the seed; the order of rows follows from what they hold."""

import numpy as np
import pandas as pd
import pytest

from models.folds import group_codes, grouped_folds, row_order


def test_a_group_lies_in_one_fold_and_folds_differ_by_at_most_one_group():
    codes = np.random.default_rng(0).integers(0, 103, 2000)
    folds = grouped_folds(group_codes(codes, 2000), 5)
    table = pd.DataFrame({"group": codes, "fold": folds}).drop_duplicates()
    assert table["group"].is_unique
    sizes = table["fold"].value_counts()
    assert len(sizes) == 5
    assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize("kind", [str, int, float])
def test_row_order_does_not_move_a_group_to_another_fold(kind):
    rng = np.random.default_rng(1)
    groups = np.array([kind(group) for group in rng.integers(0, 60, 500)])
    shuffled = rng.permutation(500)
    folds = grouped_folds(group_codes(groups, 500), 4, random_state=3)
    np.testing.assert_array_equal(grouped_folds(group_codes(groups[shuffled], 500), 4, random_state=3), folds[shuffled])


def test_the_seed_changes_the_folds():
    codes = np.arange(200)
    assert (grouped_folds(codes, 5, 0) != grouped_folds(codes, 5, 1)).any()


def test_object_and_text_groups_give_the_same_folds():
    groups = [f"van:{number % 17}" for number in range(100)]
    text = group_codes(np.array(groups), 100)
    np.testing.assert_array_equal(group_codes(np.array(groups, dtype=object), 100), text)
    np.testing.assert_array_equal(group_codes(pd.Series(groups, dtype="category"), 100), text)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["van:1", None, "van:2"], "1 rows have no group"),
        ([1.0, np.nan, 2.0], "1 rows have no group"),
        ([1, 2], r"given shape \(2,\), expected \(3,\)"),
        (np.ones((3, 1)), r"given shape \(3, 1\)"),
        (np.array([["van:secret"], 1, 2], dtype=object), "must be text or numbers"),
    ],
)
def test_groups_that_cannot_be_used_are_refused_without_naming_one(groups, message):
    with pytest.raises(ValueError, match=message) as caught:
        group_codes(groups, 3)
    assert "secret" not in str(caught.value)


def test_fewer_groups_than_folds_are_refused():
    with pytest.raises(ValueError, match=r"3 assignment units .* cannot be cut into 5 folds"):
        grouped_folds(np.array([0, 1, 2, 2]), 5)


@pytest.mark.parametrize("n_rows", [0, 1, 400, 20_000])
def test_sorted_rows_are_the_same_for_every_order_of_the_input(n_rows):
    rng = np.random.default_rng(2)
    X = np.where(rng.random((n_rows, 3)) < 0.1, np.nan, rng.integers(0, 4, (n_rows, 3))).astype(np.float32)
    y, groups = rng.normal(size=n_rows), rng.integers(0, 50, n_rows)
    shuffled = rng.permutation(n_rows)
    first = row_order(X, y, groups=groups)
    second = shuffled[row_order(X[shuffled], y[shuffled], groups=groups[shuffled])]
    np.testing.assert_array_equal(X[first], X[second])
    np.testing.assert_array_equal(y[first], y[second])
    assert (np.diff(groups[first]) >= 0).all()


def test_an_outcome_only_decides_between_rows_of_equal_columns():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(300, 2)).astype(np.float32)
    np.testing.assert_array_equal(row_order(X, rng.normal(size=300)), row_order(X, rng.normal(size=300)))


def test_negative_zero_is_zero():
    X = np.array([[0.0, 1.0], [-0.0, 1.0], [2.0, -0.0]], dtype=np.float32)
    np.testing.assert_array_equal(row_order(X), row_order(np.abs(X)))
