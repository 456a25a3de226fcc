"""Intervals by group of people: they follow what was found, hold what is served, and say how little a group tells."""

import json

import numpy as np
import pytest

from models.uplift_groups import gates
from models.uplift_intervals import GROUPS, LEAST_UNITS, UpliftInterval


def experiment(n=8400, *, seed=0, effect=lambda x: np.where(x > 0.8, 1.0, 0.0)):
    """Return predictions (a compressed image of the truth's order), scores with noise, folds, units of two, weights, and true effects; all (n,)."""
    rng = np.random.default_rng(seed)
    x = rng.random(n)
    truth = effect(x)
    given = {"folds": rng.integers(0, 3, n), "groups": np.arange(n) // 2, "weight": np.ones(n)}
    return 0.1 * x, truth + rng.normal(size=n), given, truth


def test_knots_are_means_of_the_served_and_bounds_those_of_equal_groups():
    judged, scores, given, _ = experiment()
    found = UpliftInterval.fit(judged, judged, scores, **given, coverage=0.9)
    expected = gates(judged, scores, folds=given["folds"], n_groups=GROUPS, groups=given["groups"], coverage=0.9)
    np.testing.assert_allclose(found.low, expected.effect - 1.6448536 * expected.se)
    np.testing.assert_allclose(found.high, expected.effect + 1.6448536 * expected.se)
    np.testing.assert_allclose(found.knots, np.sort(judged).reshape(GROUPS, -1).mean(axis=1))


def test_a_step_is_followed_that_a_line_would_miss():
    judged, scores, given, truth = experiment()
    low, high = UpliftInterval.fit(judged, judged, scores, **given, coverage=0.9).around(judged, truth).T
    top, bottom = judged > 0.095, judged < 0.06
    assert (low[top] > 0.5).all()
    assert (high[bottom] < 0.5).all()


def test_a_model_that_spreads_people_wider_is_met_by_rank():
    judged, scores, given, _ = experiment()
    plain = UpliftInterval.fit(judged, judged, scores, **given, coverage=0.9)
    wider = UpliftInterval.fit(1.0 + 5.0 * judged, judged, scores, **given, coverage=0.9)
    np.testing.assert_allclose(wider.around(1.0 + 5.0 * judged, scores), plain.around(judged, scores))


def test_what_is_served_lies_inside_and_beyond_the_outermost_knots_nothing_moves():
    found = UpliftInterval(np.array([0.0, 1.0]), np.array([0.1, 0.5]), np.array([0.3, 0.9]))
    asked = np.array([-7.0, 0.0, 0.5, 1.0, 7.0])
    np.testing.assert_allclose(found.around(asked, np.array([0.2, 0.2, 0.5, 0.6, 0.6])), [[0.1, 0.3], [0.1, 0.3], [0.3, 0.6], [0.5, 0.9], [0.5, 0.9]])
    np.testing.assert_allclose(found.around(asked[:2], np.array([-1.0, 2.0])), [[-1.0, 0.3], [0.1, 2.0]])


@pytest.mark.parametrize("distinct", [1, 2, 3])
def test_equal_predictions_have_one_interval(distinct):
    judged, scores, given, _ = experiment()
    same = np.floor(judged * 10 * distinct) / distinct
    found = UpliftInterval.fit(same, same, scores, **given, coverage=0.9)
    assert (np.diff(found.knots) > 0).all()
    if distinct == 1:
        se = np.sqrt(np.bincount(given["groups"], scores - scores.mean()) @ np.bincount(given["groups"], scores - scores.mean())) / len(scores)
        np.testing.assert_allclose(found.high - found.low, 2 * 1.6448536 * se, rtol=1e-3)
        np.testing.assert_allclose((found.high + found.low) / 2, scores.mean())


def test_few_units_make_fewer_groups():
    judged, scores, given, _ = experiment(n=6 * LEAST_UNITS)  # three groups' worth of units, two rows each
    assert len(UpliftInterval.fit(judged, judged, scores, **given, coverage=0.9).knots) == 3
    judged, scores, given, _ = experiment(n=12)
    assert len(UpliftInterval.fit(judged, judged, scores, **given, coverage=0.9).knots) == 2


def test_weights_are_rows_that_stand_there_more_than_once():
    judged, scores, given, _ = experiment(n=2000)
    count = np.random.default_rng(5).integers(1, 4, len(judged))
    often = {"folds": np.repeat(given["folds"], count), "groups": np.repeat(given["groups"], count), "weight": np.ones(count.sum())}
    weighted = UpliftInterval.fit(judged, judged, scores, **{**given, "weight": count.astype(float)}, coverage=0.9)
    repeated = UpliftInterval.fit(np.repeat(judged, count), np.repeat(judged, count), np.repeat(scores, count), **often, coverage=0.9)
    np.testing.assert_allclose(weighted.knots, repeated.knots)
    np.testing.assert_allclose(weighted.low, repeated.low, atol=1e-3)  # a row of several has one place at an edge between groups, its copies have several


def test_the_truth_is_held_as_often_as_was_promised():
    held = []
    for seed in range(60):
        judged, scores, given, truth = experiment(n=1600, seed=seed, effect=lambda x: x)
        low, high = UpliftInterval.fit(judged, judged, scores, **given, coverage=0.9).around(judged, np.polyval(np.polyfit(judged, scores, 1), judged)).T
        held.append(((low <= truth) & (truth <= high)).mean())
    assert 0.87 <= np.mean(held) <= 0.96


def test_state_gives_equal_bits_and_what_is_no_interval_is_refused():
    judged, scores, given, _ = experiment()
    found = UpliftInterval.fit(judged, judged, scores, **given, coverage=0.9)
    again = UpliftInterval.from_state(json.loads(json.dumps(found.to_state(), allow_nan=False)))
    np.testing.assert_array_equal(again.around(judged, scores), found.around(judged, scores))
    for broken in ({"knots": []}, {"low": [float("nan")] * GROUPS}, {"low": found.high.tolist(), "high": found.low.tolist()}, {"knots": [0.0] * GROUPS}):
        with pytest.raises(ValueError, match="knots that rise"):
            UpliftInterval.from_state({**found.to_state(), **broken})
