"""Groups of people that measures are told apart for."""

import numpy as np
import pandas as pd

from training.segments import COLD, segments


def test_each_known_person_is_in_one_segment_of_each_kind_and_edges_belong_above():
    X = pd.DataFrame(
        {
            "count|kind=any-engagement|channel=any|topic=any|window=all": [0, 1, 2, 3, 9, 10],
            "age|since=birth_year": [34, 35, 54, 55, np.nan, 90],
            "tenure|since=joined_at": [0, 364, 365, 1094, 1095, np.nan],
        },
        dtype=np.float32,
    )
    found = segments(X)
    assert found[COLD].tolist() == [True, False, False, False, False, False]
    assert found["3 to 9 answers"].tolist() == [False, False, False, True, True, False]
    assert found["35 to 54"].tolist() == [False, True, True, False, False, False]
    assert found["known for 3 years or more"].tolist() == [False, False, False, False, True, False]
    by_kind = np.add.reduceat(np.array(list(found.values())).astype(int), [0, 4, 7], axis=0)
    assert by_kind.tolist() == [[1] * 6, [1, 1, 1, 1, 0, 1], [1, 1, 1, 1, 1, 0]]


def test_columns_that_are_not_there_make_no_segments():
    assert segments(pd.DataFrame({"x": [1.0]})) == {}
