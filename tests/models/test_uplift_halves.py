"""Half-samples of an evaluation: the values are those of `evaluate` on the same rows, and the errors are near its exact ones."""

import numpy as np
import pandas as pd
import pytest

from models.uplift_bootstrap import half_samples
from models.uplift_evaluation import evaluate, random_ranking
from models.uplift_halves import UpliftValues, half_sample_estimates

N_ROWS = 600


def frame(*, decimals=8, weighted=False):
    """Units of 3 in 4 folds, of uneven models; `decimals` makes ties."""
    rng = np.random.default_rng(2)
    effect, unit = rng.normal(size=N_ROWS), np.arange(N_ROWS) // 3
    columns = {"raw": np.round(effect, decimals), "score": 0.1 + 0.5 * effect + rng.normal(scale=2.0, size=N_ROWS)}
    columns |= {"baseline": np.round(rng.normal(size=N_ROWS), decimals), "group": unit, "fold": unit % 4}
    return pd.DataFrame(columns | {"weight": rng.uniform(0.5, 2, N_ROWS) if weighted else np.ones(N_ROWS)})


@pytest.mark.oracle
@pytest.mark.parametrize("decimals", [8, 1, 0])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_values_of_a_half_are_those_of_its_evaluation(decimals, weighted):
    judged = frame(decimals=decimals, weighted=weighted)
    values = UpliftValues(judged, random_ranking(judged, 0), capacity=0.3, cost=0.02)
    # With weights and ties, a discrete sum depends on the order within a tie; so does that of `evaluate`.
    tolerance = 1e-4 if weighted and decimals < 8 else 1e-12
    for rows in [np.arange(N_ROWS), *half_samples(judged["group"], n_draws=3)]:
        half = judged.iloc[rows]
        exact = evaluate(half, capacity=0.3, cost=0.02, capacities=()).estimates
        found = values.of(rows)
        assert list(found) == list(exact)
        for name, estimate in exact.items():
            if name != "autoc_random" or len(rows) == N_ROWS:  # a half is ranked at random as it stood among all
                assert found[name] == pytest.approx(estimate.value, abs=tolerance), name


@pytest.mark.oracle
def test_the_errors_are_about_the_exact_ones():
    judged = frame(weighted=True)
    exact, halves = evaluate(judged).estimates, half_sample_estimates(judged, n_draws=200)
    assert list(halves) == list(exact)
    for name, estimate in exact.items():
        assert halves[name].value == pytest.approx(estimate.value, abs=1e-12), name
        assert halves[name].se == pytest.approx(estimate.se, rel=0.3), name


def test_the_order_of_rows_changes_no_bit():
    judged = frame(decimals=1)
    assert half_sample_estimates(judged.sample(frac=1.0, random_state=3), n_draws=5) == half_sample_estimates(judged, n_draws=5)


def test_one_prediction_for_all_gains_nothing_in_any_half():
    judged = frame().assign(raw=0.1)
    found = half_sample_estimates(judged, n_draws=5)
    for name in ("autoc", "qini", "slope", "policy_random", "gates_difference"):
        assert (found[name].value, found[name].se) == (0.0, 0.0), name
    assert found["ate"].se > 0


def test_halves_of_few_units_may_miss_a_fold():
    found = half_sample_estimates(frame().iloc[:15], n_draws=20)
    assert all(np.isfinite(estimate.se) for estimate in found.values())
