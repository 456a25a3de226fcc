"""The evaluation of an out-of-fold frame: what is a good ranking, a bad one and none, and bounds that know of cross-fitting."""

import json
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from models.metrics import Estimate
from models.uplift_evaluation import LEARNED, critical, evaluate, held_out_uplift, least_units, lower_bound
from models.uplift_groups import gates
from models.uplift_metrics import autoc, best_linear_predictor, percentile_ranks, policy_value, qini, toc_curve
from models.uplift_policies import open_policy, policy_table


def frame(strength, n_rows=1500, seed=0):
    """Scores whose mean follows the first column; the prediction knows it as far as `strength` says."""
    rng = np.random.default_rng(seed)
    effect, fold = rng.normal(size=n_rows), np.arange(n_rows) // 2 % 5
    raw = strength * effect + fold * 10.0 if strength else np.full(n_rows, 0.1)
    columns = {"raw": raw, "score": 0.5 + effect + rng.normal(scale=2.0, size=n_rows), "baseline": rng.normal(size=n_rows)}
    return pd.DataFrame(columns | {"group": np.arange(n_rows) // 2, "fold": fold, "weight": np.ones(n_rows)})


def test_a_true_ranking_is_accepted_whatever_the_folds_models_are_off_by():
    evaluation = evaluate(frame(0.5), capacity=0.2)
    assert evaluation.verdict().heterogeneous
    assert evaluation.estimates["slope"].value == pytest.approx(2.0, abs=4 * evaluation.estimates["slope"].se)
    assert evaluation.estimates["policy_risk"].low > 0
    assert evaluation.toc.toc[9] > evaluation.toc.toc[49] > evaluation.toc.toc[89] > 0
    assert "finds where it is larger" in evaluation.verdict().words


@pytest.mark.parametrize("strength", [-0.5, 0.0])
def test_a_wrong_ranking_and_none_at_all_are_refused(strength):
    evaluation = evaluate(frame(strength))
    assert not evaluation.verdict().heterogeneous
    assert "only the average effect" in evaluation.verdict().words
    assert all("not above 0" in line for line in evaluation.verdict().lines)
    json.dumps(evaluation.to_state(), allow_nan=False)


def test_the_order_of_rows_changes_no_bit():
    judged = frame(0.5)
    shuffled = judged.sample(frac=1.0, random_state=3)
    assert evaluate(shuffled).to_state() == evaluate(judged).to_state()


def test_every_measure_is_the_one_that_stands_by_itself():
    """Sorting once for all of them changes nothing."""
    judged = frame(0.5)
    judged["weight"] = np.random.default_rng(1).uniform(0.5, 2.0, len(judged))
    raw, score, baseline, fold, weight = (judged[name].to_numpy() for name in ("raw", "score", "baseline", "fold", "weight"))
    uplift, risk = (percentile_ranks(each, folds=fold, sample_weight=weight) for each in (raw, baseline))
    shared = {"groups": judged["group"].to_numpy(), "sample_weight": weight}
    found = evaluate(judged, capacity=0.3, capacities=(0.1, 0.4), cost=0.2)
    line, held = best_linear_predictor(raw, score, folds=fold, **shared), held_out_uplift(raw, score, fold, weight)
    (policy,) = policy_table(uplift, score, baseline=risk, capacities=(0.3,), **shared)
    alone = {
        "ate": line.average,
        "slope": line.slope,
        "autoc": autoc(uplift, score, **shared),
        "qini": qini(uplift, score, **shared),
        "autoc_risk": autoc(risk, score, **shared),
        "qini_risk": qini(risk, score, **shared),
        "policy_random": policy_value(uplift, score, 0.3, **shared),
        "policy_risk": policy_value(uplift, score, 0.3, against=risk, **shared),
        "policy_all": policy.over_everybody,
        "policy_none": policy.over_nobody,
        "policy_unlimited": open_policy(held, score, cost=0.2, **shared).over_everybody,
        "gates_difference": gates(raw, score, folds=fold, **shared).difference,
    }
    assert set(found.estimates) == {*alone, "autoc_random"}
    for name, estimate in alone.items():
        assert (found.estimates[name].value, found.estimates[name].se) == pytest.approx((estimate.value, estimate.se), rel=1e-9), name
    np.testing.assert_allclose(found.toc.high, toc_curve(uplift, score, **shared).high, rtol=1e-9)
    assert [each.capacity for each in found.policies] == [0.1, 0.4]
    assert {name for name in found.estimates if name.startswith("policy")} - {"policy_risk"} < set(LEARNED)


def test_a_true_ranking_wins_against_every_rival_and_its_groups_rise():
    judged = frame(0.5)
    judged["score"] -= 0.5
    evaluation = evaluate(judged)
    assert evaluation.gates.monotone
    assert lower_bound(evaluation.estimates["gates_difference"]) > 0
    assert lower_bound(evaluation.estimates["policy_unlimited"], 0.05) > 0, "half of the people are harmed, and treating all gains nothing"
    assert [policy.capacity for policy in evaluation.policies] == [0.05, 0.1, 0.2, 0.5]
    for policy in evaluation.policies:
        assert min(rival.low for rival in (policy.over_nobody, policy.over_random, policy.over_everybody)) > 0
    assert 0.4 < evaluation.unlimited.share < 0.6


@pytest.mark.parametrize("weighted", [False, True])
def test_one_prediction_for_all_gains_nothing_exactly(weighted):
    judged = frame(0.0)
    if weighted:
        judged["weight"] = np.random.default_rng(1).uniform(0.5, 2.0, len(judged))
    evaluation = evaluate(judged)
    for name in ("autoc", "qini", "slope", "policy_random", "policy_unlimited", "gates_difference"):
        assert (evaluation.estimates[name].value, evaluation.estimates[name].se) == (0.0, 0.0), name
        assert not lower_bound(evaluation.estimates[name]) > 0


def test_held_out_uplift_takes_level_and_slope_from_the_other_folds():
    """Fold 0 learns from fold 1: mean Γ 5, slope (1·2 + 1·2) / (1 + 1) held to 1; fold 1 from fold 0: mean Γ 1, slope -1 held to 0."""
    raw, scores = np.array([10.0, 12.0, 3.0, 5.0]), np.array([2.0, 0.0, 3.0, 7.0])
    found = held_out_uplift(raw, scores, np.array([0.0, 0, 1, 1]), np.ones(4))
    np.testing.assert_allclose(found, [5 - 1, 5 + 1, 1, 1])
    np.testing.assert_array_equal(held_out_uplift(raw, scores, np.zeros(4), np.ones(4)), raw)
    for changed in (np.array([9.0, -9.0, 3.0, 7.0]), np.array([2.0, 0.0, 30.0, -7.0])):
        same = changed == scores
        other = held_out_uplift(raw, changed, np.array([0.0, 0, 1, 1]), np.ones(4))
        np.testing.assert_array_equal(other[~same], found[~same], err_msg="a fold's own scores have no say in its prediction")


def test_lower_bounds_widen_what_was_learned_by_cross_fitting():
    assert lower_bound(Estimate.normal("ate", 1.0, 0.1), 0.05) == pytest.approx(1 - 0.16448536)
    assert lower_bound(Estimate.normal("autoc", 1.0, 0.1), 0.05) == pytest.approx(1 - 0.16448536 * 2**0.5)
    assert np.isnan(lower_bound(Estimate.normal("slope", 0.0, 0.0)))


def test_lower_bounds_of_few_units_are_those_of_student_s_t():
    found = Estimate.normal("ate", 1.0, 0.1)
    assert lower_bound(found, 0.05, units=6) == pytest.approx(1 - 0.2015048)
    assert lower_bound(found, 0.05, units=10**9) == pytest.approx(lower_bound(found, 0.05))
    assert np.isnan(lower_bound(found, 0.05, units=1))


def test_the_units_of_the_smaller_arm_are_counted():
    assert least_units(["a", "a", "b", "b", "b"], [1, 1, 2, 3, 3]) == 1
    assert least_units([0, 1, 0, 1], [1, 1, 2, 3]) == 2, "a unit of both arms counts in each"
    drawn = frame(0.5, 200)
    assert evaluate(drawn).least_units == 100, "all of them, where the arm is not known"
    assert evaluate(drawn.assign(treatment=drawn["group"] % 4 == 0)).least_units == 25


@pytest.mark.parametrize("n_units", [10, 20])
def test_a_ranking_by_area_finds_nothing_where_there_is_nothing_however_few_areas_were_drawn(n_units):
    """2,000 draws of areas of eight people: a bound by the normal distribution finds something in 3 to 5%, by all units less one in 2 to 3%."""
    random, unit, z = np.random.default_rng(3), np.repeat(np.arange(n_units), 8), []
    for _ in range(2000):
        treated = (random.permutation(n_units) < n_units // 2)[unit]
        outcome, priority = (random.normal(size=n_units)[unit] + spread * random.normal(size=len(unit)) for spread in (1.0, 0.3))
        z.append(autoc(priority, np.where(treated, 2.0, -2.0) * outcome, groups=unit).z)
    found = [float(np.mean(np.array(z) > critical(0.01, units))) for units in (None, n_units, n_units // 2)]
    assert found[0] > 0.02
    assert found[2] < 0.016
    assert found[0] > found[1] > found[2]


def test_one_ranking_is_held_at_a_time():
    """At most 36 numbers of each person at once (31 measured); with three rankings side by side it was 45, more than the fit itself holds."""
    rows = frame(0.5, n_rows=60_000)
    tracemalloc.start()
    try:
        evaluate(rows)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 36 * 8 * len(rows)
