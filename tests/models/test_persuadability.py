"""Persuadability: a simulated truth is found, noise is not, nothing leaks across folds, and the order of rows changes no bit."""

import json
import warnings

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from models.columns import ColumnsError
from models.persuadability import Persuadability
from models.uplift_evaluation import CROSS_FITTING, LEARNED, lower_bound
from models.uplift_metrics import autoc, percentile_ranks

SMALL = {"n_folds": 3, "nuisance_trees": 25, "nuisance_max_depth": 3, "num_trees": 40, "learning_rate": 0.1, "min_child_share": 0.03, "n_jobs": 1}


def campaign(n_rows=3000, *, seed=0, heterogeneity=1.0, outcome="binary"):
    """Households of two drawn together with probabilities that differ by stratum; returns X, what fit takes, and the true effects."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4)).astype(np.float32)
    X[rng.random((n_rows, 4)) < 0.05] = np.nan
    filled = np.nan_to_num(X)
    household = np.arange(n_rows) // 2
    propensity = np.where(household % 3 == 0, 0.3, 0.6)
    treatment = (rng.random(n_rows) < propensity)[household * 2].astype(int)
    propensity = propensity[household * 2]
    effect = 0.12 + heterogeneity * 0.25 * np.where(filled[:, 0] > 0, 1.0, -1.0) * (1 + 0.3 * np.tanh(filled[:, 2]))
    risk = 0.45 + 0.12 * np.tanh(filled[:, 1])
    expected = np.clip(risk + treatment * effect, 0.0, 1.0)
    draws = {
        "binary": lambda: (rng.random(n_rows) < expected).astype(float),
        "count": lambda: rng.poisson(expected * 2).astype(float),
        "continuous": lambda: expected + rng.normal(scale=0.5, size=n_rows),
    }
    truth = (np.clip(risk + effect, 0, 1) - risk) * (2 if outcome == "count" else 1)
    frame = pd.DataFrame(X, columns=[f"count|kind=k{number}" for number in range(4)], index=[f"van:{number}" for number in range(n_rows)])
    return frame, {"y": draws[outcome](), "treatment": treatment, "propensity": propensity, "groups": household}, truth


@pytest.fixture(scope="module")
def fitted():
    X, given, truth = campaign()
    return Persuadability(**SMALL).fit(X, **given), X, given, truth


@pytest.mark.parametrize("outcome", ["binary", "count", "continuous"])
def test_a_simulated_truth_is_found(outcome):
    X, given, _ = campaign(4000, outcome=outcome, seed=2)
    fresh, _, truth = campaign(2000, outcome=outcome, seed=3)
    model = Persuadability(**SMALL).fit(X, **given)
    uplift = model.predict_uplift(fresh)
    assert np.corrcoef(uplift, truth)[0, 1] > 0.85
    assert np.sqrt(np.mean((uplift - truth) ** 2)) < 0.7 * truth.std(), "no better than the average effect for all"
    assert abs(model.ate_.value - truth.mean()) < 4 * model.ate_.se
    assert 0.5 < model.slope_.value < 1.5
    assert model.evaluate().verdict().heterogeneous


def test_the_average_effect_is_unbiased_and_covered():
    """Twenty experiments without heterogeneity: 90% intervals hold the truth in most (15 or more with probability 0.99), and none is accepted."""
    held = np.zeros(3)
    for seed in range(20):
        X, given, truth = campaign(900, seed=100 + seed, heterogeneity=0.0)
        found = Persuadability(**{**SMALL, "nuisance_trees": 10, "num_trees": 10}).fit(X, **given).evaluate().estimates
        assert lower_bound(found["autoc"]) <= 0 or lower_bound(found["slope"]) <= 0
        for number, (name, value) in enumerate({"ate": truth.mean(), "slope": 0.0, "autoc": 0.0}.items()):
            stretch = CROSS_FITTING if name in LEARNED else 1.0
            held[number] += abs(found[name].value - value) <= stretch * (found[name].high - found[name].value)
    assert (held >= 15).all(), held


def test_shuffled_treatment_is_refused():
    X, given, _ = campaign(2000, seed=4)
    for seed in range(5):
        treatment = np.random.default_rng(seed).permutation(given["treatment"])
        shuffled = {**given, "treatment": treatment, "propensity": treatment.mean(), "groups": None}
        evaluation = Persuadability(**{**SMALL, "nuisance_trees": 10, "num_trees": 15}).fit(X, **shuffled).evaluate()
        assert not evaluation.verdict().heterogeneous
        assert "no detectable heterogeneity" in evaluation.verdict().words


def test_the_order_of_rows_changes_no_bit(fitted):
    model, X, given, _ = fitted
    shuffled = np.random.default_rng(0).permutation(len(X))
    other = Persuadability(**SMALL).fit(X.iloc[shuffled], **{name: values[shuffled] for name, values in given.items()})
    np.testing.assert_array_equal(other.predict_uplift(X), model.predict_uplift(X))
    assert other.to_state() == model.to_state()
    pd.testing.assert_frame_equal(other.out_of_fold_.loc[X.index], model.out_of_fold_, check_exact=True)
    assert other.evaluate().to_state() == model.evaluate().to_state()


def test_without_groups_too():
    X, given, _ = campaign(900, seed=5)
    X = X.round(0)
    given["groups"] = None
    shuffled = np.random.default_rng(1).permutation(len(X))
    first = Persuadability(**SMALL).fit(X, **given)
    second = Persuadability(**SMALL).fit(X.iloc[shuffled], **{name: None if values is None else values[shuffled] for name, values in given.items()})
    np.testing.assert_array_equal(first.predict_interval(X), second.predict_interval(X))


def test_groups_relabelled_in_the_same_order_and_a_doubled_constant_weight_change_no_bit(fitted):
    model, X, given, _ = fitted
    named = np.array([f"household-{group:06d}" for group in given["groups"]])
    other = Persuadability(**SMALL).fit(X, **{**given, "groups": named}, sample_weight=np.full(len(X), 2.0))
    np.testing.assert_array_equal(other.predict_interval(X), model.predict_interval(X))


def test_weights_count_as_people():
    X, given, _ = campaign(1500, seed=6)
    weight = np.where(X.iloc[:, 0] > 0, 3.0, 0.5)
    model = Persuadability(**SMALL).fit(X, **given, sample_weight=weight)
    judged = model.out_of_fold_
    assert model.ate_.value == pytest.approx(np.average(judged["score"], weights=weight))
    assert model.ate_.value > Persuadability(**SMALL).fit(X, **given).ate_.value
    assert np.average(model.predict_uplift(X), weights=weight) == pytest.approx(model.ate_.value)


def test_nothing_of_a_fold_reaches_its_own_uplift(fitted):
    """Turn every outcome of one fold around: the uplift of its rows, and what was expected of them, stay the same bits."""
    model, X, given, _ = fitted
    fold = model.out_of_fold_["fold"].to_numpy() == 1
    turned = Persuadability(**SMALL).fit(X, **{**given, "y": np.where(fold, 1 - given["y"], given["y"])})
    for column in ("raw", "baseline", "treated", "fold"):
        np.testing.assert_array_equal(turned.out_of_fold_[column][fold], model.out_of_fold_[column][fold])
        if column != "fold":
            assert (turned.out_of_fold_[column][~fold] != model.out_of_fold_[column][~fold]).any()


def test_out_of_fold_rows_belong_to_their_people(fitted):
    model, X, given, _ = fitted
    judged = model.out_of_fold_
    assert judged.index.equals(X.index)
    np.testing.assert_array_equal(judged["treatment"], given["treatment"])
    np.testing.assert_array_equal(judged["outcome"], given["y"])
    assert judged.groupby("group")["fold"].nunique().max() == 1
    assert judged.groupby(given["groups"])["group"].nunique().max() == 1
    residual = np.where(
        given["treatment"] == 1, (given["y"] - judged["treated"]) / given["propensity"], -(given["y"] - judged["baseline"]) / (1 - given["propensity"])
    )
    np.testing.assert_allclose(judged["score"], judged["treated"] - judged["baseline"] + residual)


@pytest.mark.oracle
def test_contributions_add_up_and_are_those_of_shap(fitted):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shap's own, on import
        import shap
    model, X, _, _ = fitted
    some = X.iloc[:200]
    parts = model.contributions(some)
    assert parts.columns == tuple(X.columns)
    np.testing.assert_allclose(parts.margin(), model.predict_uplift(some), atol=1e-12)
    explained = shap.TreeExplainer(model.booster_).shap_values(some.to_numpy())
    np.testing.assert_allclose(parts.values, model.shrinkage_ * explained, atol=1e-9)


def test_predictions_are_shrunk_to_the_average_effect(fitted):
    model, X, _, _ = fitted
    np.testing.assert_allclose(model.predict(X), model.ate_.value + model.shrinkage_ * (model.predict_raw(X) - model.mean_))
    assert model.predict_uplift(X).mean() == pytest.approx(model.ate_.value)
    low, high = model.predict_interval(X).T
    assert ((low <= model.predict_uplift(X)) & (model.predict_uplift(X) <= high)).all()
    assert (high - low > 2 * 1.6448536 * model.ate_.se).all(), "a part of the people tells less than all of them"


@pytest.mark.parametrize(("slope", "used"), [(-0.4, 0.0), (0.6, 0.6), (1.7, 1.0)])
def test_the_slope_is_clipped(fitted, slope, used):
    model, X, _, _ = fitted
    state = model.to_state()
    state["slope"]["value"] = slope
    other = Persuadability.from_state(state, model.booster_)
    assert other.shrinkage_ == used
    np.testing.assert_allclose(other.predict(X), model.ate_.value + used * (model.predict_raw(X) - model.mean_))
    np.testing.assert_allclose(other.contributions(X).margin(), other.predict(X))


def test_state_and_booster_text_predict_equal_bits(fitted):
    model, X, _, _ = fitted
    state = json.loads(json.dumps(model.to_state(), allow_nan=False))
    loaded = Persuadability.from_state(state, lgb.Booster(model_str=model.booster_.model_to_string()))
    np.testing.assert_array_equal(loaded.predict_uplift(X), model.predict_uplift(X))
    np.testing.assert_array_equal(loaded.predict_interval(X), model.predict_interval(X))
    np.testing.assert_array_equal(loaded.contributions(X).values, model.contributions(X).values)
    assert loaded.get_params() == model.get_params()
    assert loaded.to_state() == model.to_state()
    with pytest.raises(ValueError, match="carries no training rows"):
        loaded.evaluate()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": float("nan")}, "must be finite"),
        ({"interval": {"knots": [0.1, 0.1], "low": [0.0, 0.0], "high": [1.0, 1.0]}}, "knots that rise"),
        ({"columns": ["a", "b", "c", "d"]}, "the columns differ"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(fitted, change, message):
    model, *_ = fitted
    with pytest.raises(ValueError, match=message):
        Persuadability.from_state({**model.to_state(), **change}, model.booster_)


def test_a_state_of_before_there_were_groups_says_to_train_again(fitted):
    model, *_ = fitted
    earlier = {name: value for name, value in model.to_state().items() if name != "interval"}
    with pytest.raises(ValueError, match="train it again"):
        Persuadability.from_state({**earlier, "covariance": [[1.0, 0.0], [0.0, 1.0]]}, model.booster_)


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_few_rows_predict(fitted, rows):
    model, X, _, _ = fitted
    some = X.iloc[:rows]
    assert model.predict_uplift(some).shape == (rows,)
    assert model.predict_raw(some).shape == (rows,)
    assert model.predict_interval(some).shape == (rows, 2)
    assert model.contributions(some).values.shape == (rows, 4)
    np.testing.assert_array_equal(model.predict_uplift(some), model.predict_uplift(X)[:rows])


def test_columns_in_another_order_are_refused_with_a_diff(fitted):
    model, X, _, _ = fitted
    with pytest.raises(ColumnsError, match="another order"):
        model.predict_uplift(X[X.columns[::-1]])
    with pytest.raises(ColumnsError, match=r"-count\|kind=k3"):
        model.contributions(X.iloc[:, :3])


def test_constant_columns_and_a_constant_outcome_give_the_average_effect_to_everyone():
    X, given, _ = campaign(600)
    constant = pd.DataFrame({"a": np.ones(600), "b": np.full(600, np.nan)})
    model = Persuadability(**SMALL).fit(constant, **given)
    np.testing.assert_allclose(model.predict_uplift(constant), model.ate_.value)
    assert (model.slope_.value, model.slope_.se, model.shrinkage_) == (0.0, 0.0, 0.0)
    np.testing.assert_allclose(model.predict_interval(constant), [[model.ate_.low, model.ate_.high]] * 600)
    np.testing.assert_allclose(model.contributions(constant).margin(), model.ate_.value)
    assert not model.evaluate().verdict().heterogeneous
    nobody = Persuadability(**SMALL).fit(X, **{**given, "y": np.zeros(600)})
    assert (nobody.ate_.value, nobody.ate_.se) == (0.0, 0.0)
    np.testing.assert_array_equal(nobody.predict_interval(X), np.zeros((600, 2)))
    np.testing.assert_array_equal(nobody.predict_uplift(X), np.zeros(600))
    assert not nobody.evaluate().verdict().heterogeneous


def test_one_probability_stands_for_all_rows():
    X, given, _ = campaign(600)
    shared = {**given, "propensity": 0.5}
    spread = {**given, "propensity": np.full(600, 0.5)}
    np.testing.assert_array_equal(Persuadability(**SMALL).fit(X, **shared).predict(X), Persuadability(**SMALL).fit(X, **spread).predict(X))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"treatment": lambda v: np.where(v == 1, 2, 0)}, r"treatment must be 1 \(contacted\) or 0 \(control\), also given: \[2.0\]"),
        ({"treatment": lambda v: np.where(v == 1, np.nan, 0.0)}, "treatment must be 1"),
        ({"treatment": np.zeros_like}, r"no treated \(1\) row"),
        ({"treatment": np.ones_like}, r"no control \(0\) row"),
        ({"treatment": lambda v: np.array(["a"] * len(v))}, "treatment must be numbers"),
        ({"propensity": lambda v: np.where(v > 0.5, 1.0, v)}, r"propensity must lie inside \(0, 1\)"),
        ({"propensity": lambda v: np.where(v > 0.5, np.nan, v)}, r"propensity must lie inside \(0, 1\)"),
        ({"propensity": lambda v: v[:-1]}, r"propensity must be one number per row of X: given shape \(599,\), expected \(600,\)"),
        ({"y": lambda v: np.where(v == 1, np.inf, v)}, "y is infinite in"),
        ({"y": lambda v: np.full(len(v), np.nan)}, "y is missing in every row"),
        ({"y": lambda v: v[:10]}, r"y must be one number per row of X: given shape \(10,\)"),
        ({"y": lambda v: v.reshape(-1, 1)}, r"given shape \(600, 1\)"),
        ({"groups": lambda v: v[:10]}, "groups must be one value per row"),
        ({"groups": lambda v: v // 200}, "2 assignment units"),
        ({"treatment": lambda v: (np.arange(len(v)) < 2).astype(int)}, "no treated row with an outcome is left"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_words(change, message):
    X, given, _ = campaign(600)
    given |= {name: make(given[name]) for name, make in change.items()}
    with pytest.raises(ValueError, match=message):
        Persuadability(**SMALL).fit(X, **given)


def test_bad_weights_frames_and_emptiness_are_refused():
    X, given, _ = campaign(600)
    with pytest.raises(ValueError, match="sample_weight must be positive"):
        Persuadability(**SMALL).fit(X, **given, sample_weight=np.zeros(600))
    with pytest.raises(ColumnsError, match="must be a pandas DataFrame"):
        Persuadability(**SMALL).fit(X.to_numpy(), **given)
    with pytest.raises(ValueError, match="no rows"):
        Persuadability(**SMALL).fit(X.iloc[:0], **{name: values[:0] for name, values in given.items()})
    with pytest.raises(NotFittedError):
        Persuadability().predict_uplift(X)


@pytest.mark.parametrize(
    "wrong", [{"n_folds": 2}, {"coverage": 1.0}, {"min_child_share": 0.0}, {"learning_rate": -1.0}, {"num_trees": 0}, {"max_depth": 99}, {"l2": -1}]
)
def test_parameters_out_of_range_are_refused(wrong):
    X, given, _ = campaign(60)
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must lie"):
        Persuadability(**wrong).fit(X, **given)


def test_it_is_an_estimator_and_says_how_far_it_is(fitted):
    model, X, given, _ = fitted
    assert clone(model).get_params() == model.get_params()
    told = []
    Persuadability(**SMALL).fit(X.iloc[:600], **{name: values[:600] for name, values in given.items()}, progress=lambda stage, part: told.append((stage, part)))
    assert {stage for stage, _ in told} == {"outcome models", "uplift models"}
    assert [part for stage, part in told if stage == "outcome models"] == sorted(part for stage, part in told if stage == "outcome models")
    assert told[-1] == ("uplift models", 1.0)


def test_where_less_was_better_baseline_risk_begins_with_those_at_risk(fitted):
    model = fitted[0]
    judged = model.out_of_fold_
    rank = percentile_ranks(-judged["baseline"].to_numpy(), folds=judged["fold"].to_numpy())
    expected = autoc(rank, judged["score"], groups=judged["group"], sample_weight=judged["weight"])
    plain, turned = model.evaluate(), model.evaluate(turned=True)
    assert turned.estimates["autoc_risk"].value == pytest.approx(expected.value, abs=1e-12)
    assert turned.estimates["autoc_risk"].value != plain.estimates["autoc_risk"].value
    assert turned.estimates["autoc"] == plain.estimates["autoc"]


def test_an_evaluation_names_every_measure_and_can_be_stored(fitted):
    model, *_ = fitted
    evaluation = model.evaluate(capacity=0.3)
    names = {"ate", "autoc", "qini", "slope", "autoc_risk", "qini_risk", "autoc_random", "policy_random", "policy_risk"}
    names |= {"policy_all", "policy_none", "policy_unlimited", "gates_difference"}
    assert set(evaluation.estimates) == names
    assert all(estimate.name == name for name, estimate in evaluation.estimates.items())
    assert evaluation.estimates["ate"] == model.ate_
    assert evaluation.estimates["slope"] == model.slope_
    assert evaluation.estimates["policy_random"].value == pytest.approx(0.3 * evaluation.toc.toc[29])
    assert (evaluation.n_rows, evaluation.n_groups, evaluation.capacity) == (3000, 1500, 0.3)
    assert evaluation.estimates["autoc_random"].value < lower_bound(evaluation.estimates["autoc"])
    json.dumps(evaluation.to_state(), allow_nan=False)
    verdict = evaluation.verdict()
    assert verdict.heterogeneous
    assert len(verdict.lines) == 2
    assert all("above 0" in line for line in verdict.lines)


@pytest.mark.oracle
def test_raw_uplift_of_the_stored_text_is_that_of_treelite(fitted, tmp_path):
    import treelite

    model, X, _, _ = fitted
    path = tmp_path / "model.txt"
    path.write_text(model.booster_.model_to_string())
    tree = treelite.frontend.load_lightgbm_model(path)
    raw = np.asarray(treelite.gtil.predict(tree, X.to_numpy(dtype=np.float64), pred_margin=True)).reshape(-1)
    np.testing.assert_allclose(raw, model.predict_raw(X), atol=1e-7)
