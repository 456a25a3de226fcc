"""Topic affinity: laws, oracles and the edges of the data."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import special
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from models import affinity
from models.affinity import TopicAffinity
from models.booster_text import check_booster_text
from models.calibration import TopicPlatt
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
    few = [model.topics_[-1], model.topics_[0]]
    np.testing.assert_array_equal(model.predict_margin(X, topics=few), model.predict_margin(X)[:, [-1, 0]])
    np.testing.assert_array_equal(model.contributions(X.iloc[[7]], "climate").values, model.contributions(X, "climate").values[[7]])
    nobody = X.iloc[:0]
    assert model.predict_proba(nobody).shape == (0, 3)
    assert model.predict_interval(nobody).shape == (0, 3, 2)
    assert model.contributions(nobody, "climate").values.shape == (0, len(_columns()) + 1)


def test_chunks_change_nothing(monkeypatch):
    X, _, _ = _world(50, 5)
    whole = _fitted().predict_margin(X), _fitted().contributions(X, "housing").values
    monkeypatch.setattr("models.affinity.CHUNK", 7)
    monkeypatch.setattr("models.growing.CHUNK", 7)
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
        np.testing.assert_allclose(model.calibration_.margin(raw, number, ~model.has_history(X)), model.predict_margin(X)[:, number], atol=1e-6)


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
    X[:] = X.to_numpy() + 1  # people without history have a level of their own
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
    "wrong",
    [
        {"num_trees": 0},
        {"max_depth": 0},
        {"learning_rate": 0.0},
        {"calibration_share": 1.0},
        {"n_history": 9},
        {"n_embedding": -1},
        {"linear_share": 1.0},
        {"coverage": 90},
        {"bag": 0},
    ],
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
    model = TopicAffinity(**SMALL, max_rows=300, refit=True, linear_share=0.0).fit(X, y, progress=lambda stage, fraction: told.append((stage, fraction)))
    assert model.booster_.num_trees() <= SMALL["num_trees"]
    assert [fraction for stage, fraction in told if stage == "growing trees"] == [0.5, 1.0]
    assert {stage for stage, _ in told} == {"growing trees", "growing trees on all rows"}


def test_trees_are_grown_again_where_data_are_few(monkeypatch):
    X, y, _ = _world(400, 15)
    few = TopicAffinity(**SMALL).fit(X, y)
    assert few.booster_.model_to_string() == TopicAffinity(**SMALL, refit=True).fit(X, y).booster_.model_to_string()
    monkeypatch.setattr(affinity, "REFIT_ROWS", X.shape[0] * y.shape[1] - 1)
    many = TopicAffinity(**SMALL).fit(X, y)
    assert many.booster_.model_to_string() == TopicAffinity(**SMALL, refit=False).fit(X, y).booster_.model_to_string()
    assert many.booster_.model_to_string() != few.booster_.model_to_string()


def test_what_refitted_trees_learned_of_the_latest_block_is_not_corrected_twice():
    """The latest block engages far more: calibration lifts the trees that never saw it, and those that did less."""
    X, y, _ = _world(3000, 18)
    block = np.repeat([0, 1], 1500)
    y.loc[block == 1] = (np.random.default_rng(5).random((1500, y.shape[1])) < 0.7).astype(float)
    alone, again = (TopicAffinity(**SMALL, refit=refit).fit(X, y, block=block) for refit in (False, True))
    assert (again.calibration_.intercept_ < alone.calibration_.intercept_ - 0.1).all()
    latest = X[block == 1]
    np.testing.assert_allclose(again.predict_proba(latest).mean(axis=0), alone.predict_proba(latest).mean(axis=0), atol=2e-3)
    np.testing.assert_allclose(alone.predict_proba(latest).mean(axis=0), y[block == 1].mean(axis=0), atol=0.02)


def test_a_bag_is_the_mean_of_its_boosters_and_explains_itself():
    X, y, _ = _world(600, 19)
    settings = SMALL | {"linear_share": 0.2}
    bagged = TopicAffinity(**settings, bag=3).fit(X, y)
    held = bagged.layout_  # what is held out follows from the seed, but not once trees are grown again on all rows
    alone = [TopicAffinity(**settings, random_state=seed).fit(X, y) for seed in range(3)]
    assert [model.layout_.to_state() for model in alone] == [held.to_state()] * 3
    assert check_booster_text(bagged.booster_.model_to_string()).n_trees == sum(model.booster_.num_trees() for model in alone)
    pooled = bagged.layout_.rows(X.to_numpy(np.float32)[:50], np.zeros(50, dtype=np.int64))
    expected = np.mean([model.booster_.predict(pooled, raw_score=True) for model in alone], axis=0)
    np.testing.assert_allclose(bagged.booster_.predict(pooled, raw_score=True), expected, rtol=0, atol=1e-12)
    parts = bagged.contributions(X[:50], "housing")
    np.testing.assert_allclose(parts.base + parts.values.sum(axis=1), bagged.predict_margin(X[:50])[:, 0], rtol=0, atol=1e-9)
    assert bagged.booster_.feature_importance("split").sum() == sum(model.booster_.feature_importance("split").sum() for model in alone)
    again = TopicAffinity(**settings, bag=3).fit(X.iloc[::-1], y.iloc[::-1])
    assert again.booster_.model_to_string() == bagged.booster_.model_to_string()


def _straight(n, seed):
    """Twelve attributes that each add a little to both topics' log-odds, for one up and for the other down; labels and true probabilities."""
    generator = np.random.default_rng(seed)
    matrix = generator.normal(size=(n, 12))
    truth = special.expit(np.sign(matrix) @ np.full(12, 0.25) * np.array([[1.0], [-1.0]]) - 1).T
    labels = (generator.random((n, 2)) < truth).astype(float)
    return pd.DataFrame(matrix.astype(np.float32), columns=[f"attribute_{number}" for number in range(12)]), labels, truth


def test_a_line_has_a_share_where_it_helps_and_its_reasons_add_up():
    """Where many columns add a little each, the line is better than the trees, and gets all the share that may be; where rows are many, none is sought."""
    X, y, _ = _straight(1200, 30)
    fresh, _, truth = _straight(4000, 31)
    found = {share: TopicAffinity(("a", "b"), **SMALL, linear_share=share).fit(X, y) for share in (0.0, None)}
    assert (found[0.0].linear_share_, found[None].linear_share_) == (0.0, 0.4)
    assert "linear_score" in found[None].layout_.names
    assert "linear_score" not in found[0.0].layout_.names
    wrong = {share: np.mean((model.predict_proba(fresh) - truth) ** 2) for share, model in found.items()}
    assert wrong[None] < 0.9 * wrong[0.0]
    parts = found[None].contributions(fresh[:50], "b")
    np.testing.assert_allclose(parts.margin(), found[None].predict_margin(fresh[:50])[:, 1], atol=1e-9)
    again = TopicAffinity.from_state(found[None].to_state(), found[None].booster_)
    np.testing.assert_array_equal(again.predict_margin(fresh), found[None].predict_margin(fresh))
    assert again.linear_share_ == 0.4


def test_a_line_without_a_share_leaves_the_trees_as_they_were(monkeypatch):
    X, y, _ = _world(600, 32)
    none = TopicAffinity(**SMALL, linear_share=0.0).fit(X, y)
    shared = TopicAffinity(**SMALL, linear_share=0.2).fit(X, y)
    assert shared.booster_.num_trees() == none.booster_.num_trees() + 4
    monkeypatch.setattr(affinity, "REFIT_ROWS", X.shape[0] * y.shape[1] - 1)
    many = TopicAffinity(**SMALL, refit=True).fit(X, y)
    assert many.linear_share_ == 0.0, "beyond that many rows trees find what a line does, and a fit is to stay as long as it was"
    np.testing.assert_array_equal(many.predict_margin(X), none.predict_margin(X))


def test_weights_are_repetitions_for_priors_and_change_the_model():
    X, y, _ = _world(500, 16)
    weight = np.where(y["housing"] == 1, 3.0, 1.0)
    weighted, plain = TopicAffinity(**SMALL).fit(X, y, sample_weight=weight), TopicAffinity(**SMALL).fit(X, y)
    assert weighted.prior_[0] > plain.prior_[0]
    assert weighted.predict_proba(X)[:, 0].mean() > plain.predict_proba(X)[:, 0].mean() + 0.05


def _five(n, seed):
    """Five topics whose engagement follows two tastes; the fifth is of the first taste. Counts, labels and true probabilities."""
    generator = np.random.default_rng(seed)
    taste = generator.gamma(0.8, 1.5, (n, 2))
    counts = generator.poisson(taste[:, [0, 0, 1, 1, 0]]).astype(float)
    truth = special.expit(-2.0 + 0.9 * np.log1p(taste[:, [0, 0, 1, 1, 0]]))
    labels = (generator.random((n, 5)) < truth).astype(float)
    names = ("a", "b", "c", "d", "e")
    wide = "kind=any-engagement|channel=any"
    columns = [*(f"count|{wide}|topic={topic}|window=all" for topic in names), f"count|{wide}|topic=any|window=all"]
    matrix = np.column_stack([counts, counts.sum(axis=1)])
    return pd.DataFrame(matrix.astype(np.float32), columns=columns), pd.DataFrame(labels, columns=list(names)), truth


def test_a_topic_that_nobody_could_answer_is_served_through_its_relatives():
    """Topic e has no history and no label: with its parent known, its order comes from a and b, and its level from topics like it."""
    X, y, _ = _five(6000, 20)
    fresh, labels, truth = _five(4000, 21)
    X["count|kind=any-engagement|channel=any|topic=e|window=all"] = fresh["count|kind=any-engagement|channel=any|topic=e|window=all"] = np.float32(0)
    y["e"] = np.nan
    parents = {"a": "one", "b": "one", "e": "one", "c": "two", "d": "two"}
    served = TopicAffinity(**SMALL | {"num_trees": 60}, parents=parents, forget=0.1).fit(X, y).predict_proba(fresh)
    family = fresh[[f"count|kind=any-engagement|channel=any|topic={topic}|window=all" for topic in "ab"]].sum(axis=1).to_numpy()
    reached, possible = (auc(labels["e"].to_numpy(), each) for each in (served[:, 4], family))
    assert reached > 0.5 + 0.8 * (possible - 0.5), "nearly as good an order as by what people did with the topic's family"
    assert abs(served[:, 4].mean() - truth[:, 4].mean()) < 0.05
    without = TopicAffinity(**SMALL | {"num_trees": 60}, forget=0.1).fit(X, y).predict_proba(fresh)
    assert reached > auc(labels["e"].to_numpy(), without[:, 4]) - 0.01
    model = TopicAffinity(**SMALL, parents=parents).fit(X, y)
    parts = model.contributions(fresh.iloc[:50], "e")
    np.testing.assert_allclose(parts.margin(), model.predict_margin(fresh.iloc[:50])[:, 4], atol=1e-9)


def test_people_without_history_get_the_rate_of_people_alike_and_are_told_apart():
    X, y, truth = _world(6000, 22)
    model = TopicAffinity(**SMALL).fit(X, y)
    fresh, _, truth = _world(6000, 23)
    cold = ~model.has_history(fresh)
    np.testing.assert_array_equal(cold, fresh[_columns()[6]].to_numpy() == 0)
    assert 100 < cold.sum() < 5000
    served = model.predict_proba(fresh)
    assert np.abs(served[cold].mean(axis=0) - truth[cold].mean(axis=0)).max() < 0.03
    same_age = fresh[cold].assign(**{"age|since=birth_year": np.float32(40)})
    assert len(np.unique(model.predict_proba(same_age)[:, 0])) == 1, "with the same attributes, the same rate"
    assert (
        TopicAffinity(topics=TOPICS, **SMALL)
        .fit(X.set_axis([f"c{n}" for n in range(8)], axis=1), y.to_numpy())
        .has_history(fresh.set_axis([f"c{n}" for n in range(8)], axis=1))
        .all()
    )


def test_a_monotone_model_never_falls_as_the_own_history_grows():
    X, y, _ = _world(1500, 24)
    model = TopicAffinity(**SMALL, monotone=True, n_history=0, n_embedding=0).fit(X, y)
    column = _columns()[1]
    grown = np.column_stack([model.predict_margin(X.assign(**{column: np.float32(count)}))[:, 1] for count in range(12)])
    # the relatives of the other topics also see this count, but not its own margin
    assert (np.diff(grown, axis=1) >= -1e-12).all()
    assert np.diff(grown, axis=1).max() > 0


def test_recalibrated_keeps_the_trees_and_meets_the_new_level():
    X, y, _ = _world(3000, 25)
    model = TopicAffinity(**SMALL).fit(X, y)
    fresh, labels, truth = _world(8000, 26)
    quieter = labels.where(np.random.default_rng(0).random(labels.shape) < 0.6, 0.0)
    before = model.predict_proba(fresh)
    made = model.recalibrated(fresh.iloc[:4000], quieter.iloc[:4000])
    after = made.predict_proba(fresh.iloc[4000:])
    assert made.booster_ is model.booster_
    assert abs(after.mean() - 0.6 * truth[4000:].mean()) < 0.01 < abs(before[4000:].mean() - 0.6 * truth[4000:].mean())
    np.testing.assert_array_equal(model.predict_proba(fresh), before, "the model before is as it was")
    known = model.has_history(fresh)[4000:]
    assert (np.diff(after[known, 0][np.argsort(before[4000:][known, 0])]) >= 0).all(), "the order of people with a history is as it was"
    again = TopicAffinity.from_state(made.to_state(), made.booster_)
    np.testing.assert_array_equal(again.predict_interval(fresh), made.predict_interval(fresh))
    with pytest.raises(ValueError, match="both needed"):
        model.recalibrated(fresh, quieter * 0)


def test_levels_that_move_between_blocks_widen_the_intervals():
    """Five blocks whose common level is drawn anew each time, or is the same: the stated move is near the true one."""
    found = []
    for sd in (0.0, 0.5):
        generator = np.random.default_rng(27)
        X, _, truth = _world(7500, 27)
        block = np.repeat(np.arange(5), 1500)
        level = np.array([0.0, sd, -sd, sd, -sd])[block]
        p = special.expit(special.logit(truth) + level[:, None])
        y = pd.DataFrame((generator.random(p.shape) < p).astype(float), columns=list(TOPICS))
        model = TopicAffinity(**SMALL).fit(X, y, block=block)
        width = np.diff(special.logit(model.predict_interval(X)), axis=2).mean()
        found.append((model.steps_[0].sd, width))
        assert len(model.steps_) == 3
        assert model.steps_[1].sd < max(2 * sd, 0.25), "every second block has nearly the level of this one: what goes away comes back"
    assert found[0][0] < 0.25
    assert 0.5 < found[1][0] < 1.1, "moves of twice .5, drawn to the prior a little"
    assert found[1][1] > found[0][1] + 1.0


def test_vectors_that_are_missing_throughout_get_the_topics_rates():
    X, y, _ = _world(1200, 28)
    X[:] = np.nan
    model = TopicAffinity(**SMALL | {"num_trees": 80}).fit(X, y)
    served = model.predict_proba(X)
    assert len(np.unique(served, axis=0)) == 1
    np.testing.assert_allclose(served[0], y.mean(), atol=0.05)
    assert not model.has_history(X).any()


def test_rows_of_one_person_stay_on_one_side_of_the_calibration_split(monkeypatch):
    X, y, _ = _world(400, 29)
    people = np.array([f"van:{number % 100}" for number in range(400)])
    seen = []
    fitted = TopicPlatt.fit
    monkeypatch.setattr(TopicPlatt, "fit", lambda self, margin, *rest, **named: seen.append(len(margin)) or fitted(self, margin, *rest, **named))
    TopicAffinity(**SMALL).fit(X, y, groups=people)
    assert set(seen) == {25 * 4 * 3}, "a quarter of the people, with all of their rows and topics"
