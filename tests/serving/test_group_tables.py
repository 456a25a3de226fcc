"""Tables of groups: sums against a slow obvious count, small groups left out, and one person more or less tells nothing of that person's score."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.suppression import SuppressionError
from serving.group_tables import OTHERS, PEOPLE_STEP, Dimension, step_of, tabulate

K = 50


def people(n=1200, seed=0):
    draw = np.random.default_rng(seed)
    areas = Dimension("area", tuple(f"{number:02d}" for number in range(20)), np.minimum(draw.geometric(0.15, n) - 1, 19))
    bands = Dimension("band", ("high", "medium", "low"), draw.choice(3, n, p=[0.2, 0.3, 0.5]))
    return draw.random(n) * 0.3, areas, bands


def found(cells):
    return {tuple(cell.group.values()): cell for cell in cells}


def test_figures_are_those_of_a_slow_count():
    values, areas, bands = people()
    told = tabulate(values, "probability", [areas, bands], K)
    assert told.total.people == 1200
    assert told.total.expected == round(values.sum())
    assert told.total.mean == pytest.approx(told.total.expected / 1200, abs=1e-6)
    labels = np.array(areas.labels)[areas.places]
    counts = {label: int((labels == label).sum()) for label in areas.labels}
    listed = {cell.group["area"] for cell in told.groups if "area" in cell.group} - {OTHERS}
    assert listed <= {label for label, count in counts.items() if count >= K}
    for (area, band), cell in found(told.cells).items():
        inside = (np.isin(labels, list(listed), invert=True) if area == OTHERS else labels == area) & (np.array(bands.labels)[bands.places] == band)
        if not cell.hidden:
            assert inside.sum() >= K
            assert abs(cell.people - inside.sum()) <= PEOPLE_STEP // 2
            assert abs(cell.expected - values[inside].sum()) <= 0.5
        else:
            assert (cell.people, cell.expected, cell.mean) == (None, None, None)
    assert {cell.hidden for cell in told.cells} == {True, False}


def test_one_dimension_is_told_the_same_with_and_without_another():
    values, areas, bands = people()
    both, alone = tabulate(values, "probability", [areas, bands], K), tabulate(values, "probability", [areas], K)
    assert [cell for cell in both.groups if "area" in cell.group] == alone.groups
    assert alone.cells == []
    assert tabulate(values, "probability", [], K).groups == []


def test_where_all_groups_are_small_only_the_total_is_told():
    places = np.arange(90) % 9
    told = tabulate(np.full(90, 0.5), "probability", [Dimension("area", tuple("abcdefghi"), places), Dimension("band", ("high", "low"), places % 2)], K)
    assert [cell.group for cell in told.groups] == [{"area": OTHERS}, {"band": OTHERS}]
    assert [(cell.people, cell.expected) for cell in (*told.groups, *told.cells)] == [(90, 45)] * 3
    with pytest.raises(SuppressionError):
        tabulate(np.full(40, 0.5), "probability", [Dimension("area", ("a",), np.zeros(40, int)), Dimension("band", ("high",), np.zeros(40, int))], K)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(K, 400), st.floats(0.0, 1.0))
def test_an_answer_before_and_after_one_person_left_does_not_bound_that_persons_score(seed, n, score):
    """What is expected is told in steps of a person: scores of 0 and of 1 both fit the two answers, whatever the true one."""
    others = np.random.default_rng(seed).random(n)
    before, after = (tabulate(values, "probability", [], K).total.expected for values in (np.append(others, score), others))
    low, high = before - after - 1, before - after + 1
    assert low <= 0
    assert high >= 1
    assert low <= score <= high


def test_steps_are_as_large_as_what_one_person_adds():
    assert step_of("probability", 0.9) == step_of("uplift_pp", -80.0) == step_of("uplift", 0.0) == 1
    assert (step_of("uplift", -3.0), step_of("uplift", 0.7)) == (100, 10)
    told = tabulate(np.full(100, -2.0), "uplift_pp", [], K)
    assert (told.total.expected, told.total.mean) == (-2, -2)
    told = tabulate(np.full(60, 0.034), "uplift", [], K, typical=0.006)
    assert (told.step, told.total.expected, told.total.mean) == (0.1, 2.0, 0.033333)


def test_one_person_with_a_large_value_changes_the_sum_by_a_step_at_most_and_never_the_step():
    """Else whoever asks before and after an objection would read the size of that person's score from the step."""
    crowd = np.full(200, 0.3)
    without, with_one = (tabulate(values, "uplift", [], K, typical=0.25) for values in (crowd, np.append(crowd, 90.0)))
    assert without.step == with_one.step == 10
    assert (without.total.expected, with_one.total.expected) == (60, 70)
