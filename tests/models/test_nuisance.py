"""Cross-fitting: nothing of a fold left out reaches its predictions; doubly robust scores are unbiased whatever the outcome models say."""

from dataclasses import replace

import numpy as np
import pytest

from models.boosting import BinnedRows
from models.nuisance import Expected, Trial, aipw_scores, cross_fit

TREES = {"num_trees": 10, "parameters": {"learning_rate": 0.3, "num_leaves": 4, "min_data_in_leaf": 10}}


def trial(n_rows=600, *, y=None, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 3)).astype(np.float32)
    treatment = (rng.random(n_rows) < 0.4).astype(np.int64)
    outcome = X[:, 0] + treatment * (1 + X[:, 1]) + rng.normal(size=n_rows) if y is None else y
    rows = np.arange(n_rows)
    return X, Trial(outcome.astype(np.float64), treatment, np.tile([0.6, 0.4], (n_rows, 1)), rows, rows % 4, np.ones(n_rows))


def test_no_outcome_of_a_fold_left_out_reaches_a_prediction():
    X, given = trial()
    rows = BinnedRows(X, ("a", "b", "c"), n_jobs=1)
    before = cross_fit(rows, given, **TREES)
    assert before.mu.shape == (600, 4, 2)
    assert np.isfinite(before.mu).all()
    for fold in range(4):
        changed = np.where(given.folds == fold, given.y + 100, given.y)
        after = cross_fit(rows, replace(given, y=changed), **TREES)
        np.testing.assert_array_equal(after.excluding(fold).mu, before.excluding(fold).mu)
        own = given.folds == fold
        np.testing.assert_array_equal(after.own().mu[own], before.own().mu[own])
        assert (after.own().mu[~own] != before.own().mu[~own]).any()


def test_expected_outcomes_are_those_of_the_arm():
    X, given = trial(4000)
    mu = cross_fit(BinnedRows(X, ("a", "b", "c"), n_jobs=1), given, num_trees=40, parameters=TREES["parameters"]).own().mu
    assert np.corrcoef(mu[:, 0], X[:, 0])[0, 1] > 0.9
    assert np.corrcoef(mu[:, 1] - mu[:, 0], 1 + X[:, 1])[0, 1] > 0.8


@pytest.mark.parametrize("mistake", [0.0, 5.0, -30.0])
def test_scores_are_unbiased_whatever_is_expected(mistake):
    _, given = trial(60_000)
    scores = aipw_scores(Expected(np.full((60_000, 2), mistake)), given)
    assert scores.mean() == pytest.approx(1.0, abs=5 * scores.std() / np.sqrt(60_000))


def test_scores_follow_the_formula():
    given = Trial(np.array([1.0, 0.0]), np.array([1, 0]), np.array([[0.8, 0.2], [0.75, 0.25]]), np.arange(2), np.arange(2), np.ones(2))
    scores = aipw_scores(Expected(np.array([[0.3, 0.5], [0.4, 0.6]])), given)
    np.testing.assert_allclose(scores, [0.5 - 0.3 + (1 - 0.5) / 0.2, 0.6 - 0.4 - (0 - 0.4) / 0.75])


@pytest.mark.parametrize("value", [0.0, 1.0, 7.5])
def test_a_constant_outcome_needs_no_model(value):
    X, given = trial(y=np.full(600, value))
    assert (cross_fit(BinnedRows(X, ("a", "b", "c"), n_jobs=1), given, **TREES).mu == value).all()


def test_a_yes_or_no_outcome_is_expected_as_a_probability():
    X, given = trial(y=(np.random.default_rng(1).random(600) < 0.2))
    mu = cross_fit(BinnedRows(X, ("a", "b", "c"), n_jobs=1), given, **TREES).mu
    assert mu.min() > 0
    assert mu.max() < 1


def test_a_missing_outcome_leaves_yes_and_no_what_they_are():
    """One outcome that is missing: expectations stay probabilities, of boosters with the binary objective."""
    rng = np.random.default_rng(3)
    X, given = trial(y=(rng.random(600) < 0.05).astype(float))
    gone = given.y.copy()
    gone[0] = np.nan
    used = []

    class Watched(BinnedRows):
        def train(self, rows, target, *, objective, **how):
            used.append(objective)
            return super().train(rows, target, objective=objective, **how)

    mu = cross_fit(Watched(X, ("a", "b", "c"), n_jobs=1), replace(given, y=gone), **TREES).mu
    assert set(used) == {"binary"}
    assert np.nanmin(mu) > 0
    assert np.nanmax(mu) < 1
