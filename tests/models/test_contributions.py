"""Contributions add up."""

import numpy as np

from models.contributions import Contributions


def test_contributions_add_up_to_their_margin():
    parts = Contributions(np.array([1.0, 2.0]), np.array([[1.0, 2.0], [3.0, 4.0]]), ("a", "b"))
    assert len(parts) == 2
    np.testing.assert_array_equal(parts.margin(), [4.0, 9.0])
