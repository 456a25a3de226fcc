"""Topic affinity: laws, oracles and the edges of the data."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import special
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from models.affinity import TopicAffinity
from models.columns import ColumnsError
from models.metrics import auc

TOPICS = ("housing", "climate", "schools")
SMALL = {"num_trees": 20, "learning_rate": 0.1, "min_child_samples": 30, "n_jobs": 1}


def _columns():
    wide = "kind=any-engagement|channel=any"
    own = [f"{statistic}|{wide}|topic={topic}|window=all" for statistic in ("count", "share") for topic in TOPICS]
    return [*own, f"count|{wide}|topic=any|window=all", "age|since=birth_year"]


def _world(n, seed):
    """People with two vectors each, their labels and the true probabilities."""
    generator = np.random.default_rng(seed)
    rates = generator.gamma(0.7, 2.0, (n, 3))
    counts = generator.poisson(rates).astype(float)
    total = counts.sum(axis=1, keepdims=True)
    age = np.where(generator.random(n) < 0.2, np.nan, generator.normal(45, 15, n))
    matrix = np.column_stack([counts, counts / np.maximum(total, 1), total[:, 0], age])
    truth = special.expit(-2.2 + np.array([0.6, 0.0, -1.2]) + 0.9 * np.log1p(counts) + 0.02 * np.nan_to_num(age - 45)[:, None])
    labels = (generator.random((n, 3)) < truth).astype(float)
    return pd.DataFrame(matrix.astype(np.float32), columns=_columns()), pd.DataFrame(labels, columns=list(TOPICS)), truth


@cache
def _fitted():
    X, y, _ = _world(1500, 0)
    return TopicAffinity(**SMALL).fit(X, y)


def test_probabilities_are_calibrated_within_two_points_of_the_truth():
    X, y, _ = _world(10_000, 1)
    model = TopicAffinity(num_trees=50, learning_rate=0.1, n_jobs=1).fit(X, y, block=np.arange(10_000) % 2)
    new, _, truth = _world(20_000, 2)
    served = model.predict_proba(new)
    for topic in range(3):
        number = np.digitize(served[:, topic], np.quantile(served[:, topic], np.arange(1, 10) / 10))
        gaps = [abs(served[number == one, topic].mean() - truth[number == one, topic].mean()) for one in range(10)]
        assert np.average(gaps) < 0.02
        assert abs(served[:, topic].mean() - truth[:, topic].mean()) < 0.02
    bounds = model.predict_interval(new)
    inside = []
    for topic in range(3):
        order = np.argsort(served[:, topic])
        for part in np.array_split(order, 30):
            low, high = bounds[part, topic].mean(axis=0)
            inside.append(low <= truth[part, topic].mean() <= high)
    assert np.mean(inside) >= 0.8


def test_it_finds_what_there_is_to_find():
    X, y, truth = _world(4000, 3)
    served = _fitted().predict_proba(X)
    reached = [auc(y.to_numpy()[:, topic], served[:, topic]) for topic in range(3)]
    possible = [auc(y.to_numpy()[:, topic], truth[:, topic]) for topic in range(3)]
    assert np.all(np.array(reached) > np.array(possible) - 0.03)


def test_the_same_data_give_the_same_bits_in_any_order():
    X, y, _ = _world(600, 4)
    people, block = np.array([f"van:{number % 300}" for number in range(600)]), np.arange(600) // 300
    first = TopicAffinity(**SMALL).fit(X, y, groups=people, block=block)
    order = np.random.default_rng(0).permutation(600)
    again = TopicAffinity(**SMALL).fit(X.iloc[order], y.iloc[order], groups=people[order], block=block[order])
    np.testing.assert_array_equal(first.predict_margin(X), again.predict_margin(X))
    without = [TopicAffinity(**SMALL).fit(X.iloc[rows], y.iloc[rows]).predict_margin(X) for rows in (np.arange(600), order)]
    np.testing.assert_array_equal(*without)


def test_one_row_is_its_row_among_many_and_no_row_has_its_shape():
    X, _, _ = _world(30, 5)
    model = _fitted()
    np.testing.assert_array_equal(model.predict_margin(X.iloc[[7]]), model.predict_margin(X)[[7]])
    np.testing.assert_array_equal(model.contributions(X.iloc[[7]], "climate").values, model.contributions(X, "climate").values[[7]])
    nobody = X.iloc[:0]
    assert model.predict_proba(nobody).shape == (0, 3)
    assert model.predict_interval(nobody).shape == (0, 3, 2)
    assert model.contributions(nobody, "climate").values.shape == (0, len(_columns()) + 1)


def test_chunks_change_nothing(monkeypatch):
    X, _, _ = _world(50, 5)
    whole = _fitted().predict_margin(X), _fitted().contributions(X, "housing").values
    monkeypatch.setattr("models.affinity.CHUNK", 7)
    np.testing.assert_array_equal(_fitted().predict_margin(X), whole[0])
    np.testing.assert_array_equal(_fitted().contributions(X, "housing").values, whole[1])


@pytest.mark.parametrize("topic", TOPICS)
def test_contributions_add_up_to_the_calibrated_logit(topic):
    X, _, _ = _world(200, 6)
    model, number = _fitted(), TOPICS.index(topic)
    parts = model.contributions(X, topic)
    assert parts.columns == (*_columns(), "topic")
    np.testing.assert_allclose(parts.margin(), model.predict_margin(X)[:, number], atol=1e-9)
    np.testing.assert_allclose(special.expit(parts.margin()), model.predict_proba(X)[:, number], atol=1e-9)


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
def test_contributions_are_those_of_shap():
    import shap

    X, _, _ = _world(60, 6)
    model = _fitted()
    explainer = shap.TreeExplainer(model.booster_)
    for number, topic in enumerate(TOPICS):
        pooled = model.layout_.rows(X.to_numpy(), number).astype(np.float64)
        expected = np.asarray(explainer.shap_values(pooled)).reshape(60, -1)
        parts = model.contributions(X, topic)
        slope = model.calibration_.slope_[number]
        np.testing.assert_allclose(parts.values, slope * model.layout_.fold(expected, number, X.to_numpy()), atol=1e-6)


@pytest.mark.oracle
def test_raw_scores_of_the_stored_text_are_those_of_treelite(tmp_path):
    import treelite

    X, _, _ = _world(100, 7)
    model = _fitted()
    path = tmp_path / "model.txt"
    path.write_text(model.booster_.model_to_string())
    tree = treelite.frontend.load_lightgbm_model(path)
    for number in range(3):
        pooled = model.layout_.rows(X.to_numpy(), number)
        raw = np.asarray(treelite.gtil.predict(tree, pooled.astype(np.float64), pred_margin=True)).reshape(-1)
        np.testing.assert_allclose(model.calibration_.margin(raw, number), model.predict_margin(X)[:, number], atol=1e-6)


def test_unknown_labels_are_as_if_they_were_not_there():
    X, y, _ = _world(800, 8)
    y.iloc[:400, 1] = np.nan
    flipped = y.copy()
    y["climate"] = y["climate"].astype("Float64")
    flipped.iloc[:400, 0] = y.iloc[:400, 0]
    models = [TopicAffinity(**SMALL).fit(X, labels) for labels in (y, flipped)]
    np.testing.assert_array_equal(models[0].predict_proba(X), models[1].predict_proba(X))
    assert models[0].prior_[1] == pytest.approx(np.nanmean(flipped["climate"]))


def test_a_topic_without_positives_takes_a_low_probability():
    X, y, _ = _world(1500, 9)
    y["schools"] = 0.0
    model = TopicAffinity(**SMALL).fit(X, y)
    served = model.predict_proba(X)
    assert np.isfinite(served).all()
    assert served[:, 2].mean() < 0.05
    bounds = model.predict_interval(X)
    assert ((bounds[..., 0] <= served) & (served <= bounds[..., 1])).all()


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_only_is_refused(label):
    X, y, _ = _world(100, 10)
    y[:] = label
    with pytest.raises(ValueError, match="both are needed"):
        TopicAffinity(**SMALL).fit(X, y)


def test_two_people_are_refused_or_served_their_priors():
    X, y, _ = _world(2, 11)
    y.iloc[:] = [[1, 0, 0], [0, 1, 0]]
    model = TopicAffinity(**SMALL).fit(X, y)
    served = model.predict_proba(X)
    np.testing.assert_array_equal(served[0], served[1])
    y.iloc[1] = 0
    with pytest.raises(ValueError, match="both are needed"):
        TopicAffinity(**SMALL).fit(X, y)


def test_missing_and_constant_columns_change_nothing():
    X, y, _ = _world(600, 12)
    more = X.assign(gone=np.float32(np.nan), same=np.float32(3))
    plain, wide = TopicAffinity(**SMALL, column_share=1.0).fit(X, y), TopicAffinity(**SMALL, column_share=1.0).fit(more, y)
    assert (wide.contributions(more, "housing").values[:, -3:-1] == 0).all()
    assert auc(y["housing"].to_numpy(), wide.predict_proba(more)[:, 0]) == pytest.approx(auc(y["housing"].to_numpy(), plain.predict_proba(X)[:, 0]), abs=0.03)


def test_plain_columns_of_a_notebook_work():
    X, y, _ = _world(800, 13)
    plain = pd.DataFrame(X.to_numpy(), columns=[f"column {number}" for number in range(X.shape[1])])
    model = TopicAffinity(topics=TOPICS, **SMALL).fit(plain, y.to_numpy())
    assert model.topics_ == TOPICS
    assert auc(y["housing"].to_numpy(), model.predict_proba(plain)[:, 0]) > 0.6


def test_other_columns_are_refused_with_a_diff():
    X, _, _ = _world(5, 14)
    with pytest.raises(ColumnsError, match="another order"):
        _fitted().predict_proba(X[X.columns[::-1]])
    with pytest.raises(ColumnsError, match="1 missing, 0 not expected") as raised:
        _fitted().contributions(X.drop(columns="age|since=birth_year"), "housing")
    assert "-age|since=birth_year" in str(raised.value)


def test_scikit_learns_contract_holds():
    model = TopicAffinity(num_trees=7, topics=TOPICS)
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert not [name for name in vars(model) if name.endswith("_")]
    with pytest.raises(NotFittedError):
        model.predict_proba(_world(2, 0)[0])
    assert _fitted().n_features_in_ == len(_columns())
    assert list(_fitted().feature_names_in_) == _columns()
    assert clone(_fitted()).get_params() == _fitted().get_params()


@pytest.mark.parametrize(
    "wrong", [{"max_depth": 0}, {"learning_rate": 0.0}, {"calibration_share": 1.0}, {"n_history": 9}, {"n_embedding": -1}, {"coverage": 90}, {"num_trees": 0}]
)
def test_parameters_are_checked_in_fit(wrong):
    X, y, _ = _world(10, 0)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TopicAffinity(**wrong).fit(X, y)


def test_an_unknown_topic_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="housing, climate, schools"):
        _fitted().contributions(_world(1, 0)[0], "tax")


def test_fewer_rows_are_grown_on_when_told_and_progress_is_told():
    X, y, _ = _world(400, 15)
    told = []
    model = TopicAffinity(**SMALL, max_rows=300, refit=True).fit(X, y, progress=lambda stage, fraction: told.append((stage, fraction)))
    assert model.booster_.num_trees() <= SMALL["num_trees"]
    assert [fraction for stage, fraction in told if stage == "growing trees"] == [0.5, 1.0]
    assert {stage for stage, _ in told} == {"growing trees", "growing trees on all rows"}


def test_weights_are_repetitions_for_priors_and_change_the_model():
    X, y, _ = _world(500, 16)
    weight = np.where(y["housing"] == 1, 3.0, 1.0)
    weighted, plain = TopicAffinity(**SMALL).fit(X, y, sample_weight=weight), TopicAffinity(**SMALL).fit(X, y)
    assert weighted.prior_[0] > plain.prior_[0]
    assert weighted.predict_proba(X)[:, 0].mean() > plain.predict_proba(X)[:, 0].mean() + 0.05
