"""Boosters trained on parts of rows that were binned once."""

import lightgbm as lgb
import numpy as np
import pytest

from models.boosting import BinnedRows

PARAMETERS = {"learning_rate": 0.2, "num_leaves": 6, "min_data_in_leaf": 15}


def data(n_rows=500):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 3)).astype(np.float32)
    X[rng.random(n_rows) < 0.1, 1] = np.nan
    return X, np.nan_to_num(X).sum(axis=1) + rng.normal(size=n_rows), rng.uniform(0.5, 2, n_rows)


@pytest.mark.oracle
@pytest.mark.parametrize("weighted", [False, True])
def test_a_part_is_trained_as_if_it_were_alone(weighted):
    """The oracle is LightGBM on a data set of only these rows, cut into the same bins."""
    X, target, weight = data()
    rows, part = BinnedRows(X, ("a", "b", "c"), n_jobs=1), np.arange(0, 500, 3)
    ours = rows.train(part, target, objective="regression", num_trees=12, parameters=PARAMETERS, sample_weight=weight if weighted else None)
    fixed = {"deterministic": True, "force_row_wise": True, "seed": 0, "num_threads": 1, "verbosity": -1, "feature_pre_filter": False}
    everyone = lgb.Dataset(X, label=target, params=fixed).construct()
    alone = lgb.Dataset(X[part], label=target[part], weight=weight[part] if weighted else None, reference=everyone, params=fixed)
    theirs = lgb.train({**PARAMETERS, **fixed, "objective": "regression"}, alone, num_boost_round=12)
    np.testing.assert_array_equal(rows.predict(ours, np.arange(500)), theirs.predict(X, num_threads=1))
    assert ours.feature_name() == ["a", "b", "c"]


def test_targets_of_other_rows_do_not_count():
    X, target, _ = data()
    rows, part = BinnedRows(X, ("a", "b", "c"), n_jobs=1), np.arange(250)
    other = np.where(np.arange(500) < 250, target, 1e6)
    boosters = [rows.train(part, values, objective="regression", num_trees=5, parameters=PARAMETERS) for values in (target, other)]
    np.testing.assert_array_equal(*(rows.predict(booster, np.arange(500)) for booster in boosters))
