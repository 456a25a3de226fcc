"""What is left out of tables cannot be worked out: an attacker with linear programming tries."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog

from models.suppression import SuppressionError, hidden_cells, put_together

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])


def ranges(counts, hidden):
    """What an attacker can work out of each hidden cell from all sums and all cells shown, and that no count is negative: {cell: (low, high)}."""
    places = [tuple(place) for place in np.argwhere(hidden)]
    lines = [[place[axis] == line for place in places] for axis in (0, 1) for line in range(counts.shape[axis])]
    totals = np.concatenate([np.where(hidden, counts, 0).sum(axis=1), np.where(hidden, counts, 0).sum(axis=0)])
    found = {}
    for number, place in enumerate(places):
        aim = np.eye(len(places))[number]
        ends = [sign * linprog(sign * aim, A_eq=np.array(lines, dtype=float), b_eq=totals, bounds=(0, None), method="highs").fun for sign in (1, -1)]
        found[place] = tuple(ends)
    return found


def tabulated(counts, k):
    """The table with its small rows put together, then its small columns."""
    for _ in (0, 1):
        together = put_together(counts.sum(axis=1), k)
        if together.any():
            counts = np.vstack([counts[~together], counts[together].sum(axis=0)])
        counts = counts.T
    return counts


tables = st.tuples(st.integers(2, 6), st.integers(2, 5)).flatmap(
    lambda shape: arrays(np.int64, shape, elements=st.one_of(st.just(0), st.integers(0, 12), st.integers(0, 60), st.integers(0, 400)))
)


@FEW
@given(tables, st.sampled_from([5, 20, 50]))
def test_an_attacker_cannot_bound_a_hidden_cell_more_tightly_than_promised(counts, k):
    if counts.sum() < k:
        return
    table = tabulated(counts, k)
    hidden = hidden_cells(table, k)
    assert (table[~hidden] >= k).all()
    for place, (low, high) in ranges(table, hidden).items():
        assert low - 1e-6 <= table[place] <= high + 1e-6
        assert high - low >= k - 1e-6
    for lines in (hidden, hidden.T):
        assert not (lines.sum(axis=1) == 1).any(), "a cell alone in its line is what the others leave of the sum"
    assert (np.where(hidden, table, 0).sum(axis=1)[hidden.any(axis=1)] >= k).all()


@FEW
@given(arrays(np.int64, st.integers(1, 12), elements=st.integers(0, 120)), st.sampled_from([5, 50]))
def test_groups_of_one_dimension_are_large_enough_alone_or_together(counts, k):
    together = put_together(counts, k)
    assert (counts[~together] >= k).all()
    assert together.sum() != 1 or len(counts) == 1
    assert together.all() or not together.any() or counts[together].sum() >= k
    if together.any() and not together.all():
        kept_out = counts[together & (counts >= k)]
        assert len(kept_out) == 0 or counts[counts < k].sum() + kept_out.sum() - kept_out.max() < k, "no more than it takes"


def test_nobody_is_a_small_group_too():
    assert put_together(np.array([0, 70, 60]), 50).tolist() == [True, False, True]
    assert hidden_cells(np.array([[0, 100], [100, 100]]), 50).tolist() == [[True, True], [True, True]]


def test_a_table_without_small_cells_is_shown_as_it_is():
    assert not hidden_cells(np.array([[50, 60], [70, 80]]), 50).any()
    assert not hidden_cells(np.array([[50, 60, 70]]), 50).any()
    assert not put_together(np.array([50, 51]), 50).any()


def test_small_cells_are_taken_before_others():
    counts = np.array([[10, 300, 200], [400, 90, 500], [600, 700, 800]])
    assert hidden_cells(counts, 50).tolist() == [[True, True, False], [True, True, False], [False, False, False]]


def test_more_than_two_in_a_line_where_two_are_too_close():
    """The rectangle of the four small cells moves by 3 + 4 people only."""
    counts = np.array([[3, 4, 900, 800], [5, 6, 700, 600], [500, 400, 300, 200]])
    hidden = hidden_cells(counts, 50)
    assert hidden[:2, :2].all()
    assert hidden.sum() > 4
    assert all(high - low >= 50 - 1e-6 for low, high in ranges(counts, hidden).values())


def test_where_all_cells_are_small_all_are_hidden_and_wide_enough():
    counts = np.full((8, 7), 9)
    assert hidden_cells(counts, 50).all()


def test_the_same_table_gives_the_same_cells():
    draw = np.random.default_rng(3)
    counts = draw.poisson(60, (40, 4)) + 20
    assert (hidden_cells(counts, 50) == hidden_cells(counts.copy(), 50)).all()


def test_a_small_sum_is_refused():
    with pytest.raises(SuppressionError, match="fewer than 50 people"):
        hidden_cells(np.array([[10, 20], [100, 100]]), 50)
    with pytest.raises(SuppressionError, match="shape"):
        hidden_cells(np.zeros((0, 3), dtype=int), 50)


def test_in_a_large_table_no_hidden_cell_is_alone_in_its_line():
    draw = np.random.default_rng(0)
    counts = draw.poisson(draw.gamma(1.0, 60.0, (600, 1)) * np.array([0.2, 0.3, 0.5]))
    table = tabulated(counts, 50)
    hidden = hidden_cells(table, 50)
    assert hidden[table < 50].all()
    assert 1 not in {*hidden.sum(axis=0), *hidden.sum(axis=1)}, "it would be the line's sum less the others"
    assert 0 < hidden.sum() < hidden.size
