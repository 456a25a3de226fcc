"""What comes in at the door of an estimator."""

import numpy as np
import pandas as pd
import pytest

from models.columns import ColumnsError, check_columns, frame_matrix


def test_equal_columns_pass():
    check_columns(["a", "b"], ("a", "b"))


def test_reordered_columns_are_said_to_be_so_with_a_diff():
    with pytest.raises(ColumnsError, match="another order") as raised:
        check_columns(["b", "a"], ["a", "b"])
    assert "+b" in str(raised.value) or "-b" in str(raised.value)


def test_missing_and_added_columns_are_counted_and_shown():
    with pytest.raises(ColumnsError, match="1 missing, 1 not expected") as raised:
        check_columns(["a", "c", "new"], ["a", "b", "c"])
    assert "-b" in str(raised.value)
    assert "+new" in str(raised.value)


def test_a_long_diff_is_cut():
    with pytest.raises(ColumnsError, match="more lines"):
        check_columns([], [f"c{number}" for number in range(500)])


def test_a_float32_frame_is_not_copied():
    matrix = np.zeros((3, 2), dtype=np.float32)
    found, names = frame_matrix(pd.DataFrame(matrix, columns=["a", "b"], copy=False))
    assert names == ("a", "b")
    assert np.shares_memory(found, matrix)


def test_integers_booleans_and_missing_values_become_float32():
    frame = pd.DataFrame({"a": [1, 2], "b": [True, False], "c": pd.array([1.5, None], dtype="Float64")})
    found, _ = frame_matrix(frame)
    np.testing.assert_array_equal(found, np.array([[1, 1, 1.5], [2, 0, np.nan]], dtype=np.float32))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((2, 2)), "must be a pandas DataFrame"),
        (pd.DataFrame({"a": ["x"]}), "must be numbers"),
        (pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]), "must be unique; repeated: a"),
    ],
)
def test_anything_but_a_frame_of_numbers_is_refused(given, words):
    with pytest.raises(ColumnsError, match=words):
        frame_matrix(given)
