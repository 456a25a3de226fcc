"""Learners of uplift: each finds a simulated truth, all share nuisances, and missing outcomes do not bend what is learned."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import special

from models.columns import ColumnsError
from models.learners import LEARNERS, stacked, target
from models.nuisance import Expected, Trial, aipw_scores, arm_scores
from models.persuadability import Persuadability

SMALL = {"n_folds": 3, "nuisance_trees": 40, "nuisance_max_depth": 3, "num_trees": 60, "learning_rate": 0.1, "min_child_share": 0.03, "n_jobs": 1}


@cache
def campaign(n_rows=6000, seed=0):
    """A third get the message; it lifts a continuous outcome for those whose first column is positive. Returns X, y, treatment, probability, truth."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 3)).astype(np.float32)
    chance = np.where(X[:, 2] > 0, 0.25, 0.4)
    treatment = (rng.random(n_rows) < chance).astype(int)
    truth = 0.2 + 0.6 * (X[:, 0] > 0)
    y = 0.8 * X[:, 1] + truth * treatment + rng.normal(scale=0.7, size=n_rows)
    return pd.DataFrame(X, columns=["a", "b", "c"]), y, treatment, chance, truth


@cache
def fitted(learner):
    X, y, treatment, chance, _ = campaign()
    return Persuadability(**SMALL, learner=learner).fit(X, y, treatment=treatment, propensity=chance)


@pytest.mark.parametrize("learner", LEARNERS)
def test_each_learner_finds_a_simulated_truth(learner):
    model = fitted(learner)
    fresh, *_, truth = campaign(3000, 1)
    uplift = model.predict_uplift(fresh)
    assert np.corrcoef(uplift, truth)[0, 1] > 0.85
    assert np.sqrt(np.mean((uplift - truth) ** 2)) < 0.6 * truth.std()
    assert model.evaluate().verdict().heterogeneous
    parts = model.contributions(fresh)
    np.testing.assert_allclose(parts.base + parts.values.sum(axis=1), uplift, atol=1e-9)


@pytest.mark.parametrize("learner", ["r", "x", "t"])
def test_nuisances_of_another_learner_give_the_same_bits(learner):
    X, y, treatment, chance, _ = campaign()
    shared = Persuadability(**SMALL, learner=learner).fit(X, y, treatment=treatment, propensity=chance, nuisances=fitted("dr").nuisances_)
    assert shared.booster_.model_to_string() == fitted(learner).booster_.model_to_string()
    assert shared.ate_ == fitted("dr").ate_, "the average effect is that of the same doubly robust scores"


def test_nuisances_of_other_data_are_refused():
    X, y, treatment, chance, _ = campaign()
    with pytest.raises(ValueError, match="of other data, other folds"):
        Persuadability(**SMALL).fit(X, y + 1, treatment=treatment, propensity=chance, nuisances=fitted("dr").nuisances_)
    with pytest.raises(ValueError, match="another kind of learner"):
        Persuadability(**SMALL, learner="s").fit(X, y, treatment=treatment, propensity=chance, nuisances=fitted("dr").nuisances_)
    with pytest.raises(ValueError, match="dr, r, x, t, s, stack"):
        Persuadability(**SMALL, learner="u").fit(X, y, treatment=treatment, propensity=chance)


def test_a_stack_is_its_parts_in_the_stated_shares():
    X, y, treatment, chance, _ = campaign()
    fresh = campaign(3000, 1)[0]
    given = {"treatment": treatment, "propensity": chance}
    stack, parts = fitted("stack"), [fitted(learner) for learner in ("dr", "x", "t")]
    assert stack.shares_.sum() == pytest.approx(1)
    assert 0 < stack.shares_.max() < 1
    expected = sum(share * part.predict_raw(fresh) for share, part in zip(stack.shares_, parts, strict=True))
    np.testing.assert_allclose(stack.predict_raw(fresh), expected, rtol=0, atol=1e-12)
    assert stack.ate_ == parts[0].ate_
    again = Persuadability(**SMALL, learner="stack").fit(X.iloc[::-1], y[::-1], treatment=treatment[::-1], propensity=chance[::-1])
    assert again.booster_.model_to_string() == stack.booster_.model_to_string()
    shared = Persuadability(**SMALL, learner="stack").fit(X, y, **given, nuisances=parts[0].nuisances_)
    assert shared.booster_.model_to_string() == stack.booster_.model_to_string()


@pytest.mark.parametrize("best", [0, 1, 2])
def test_a_stack_leans_on_the_part_that_is_right(best):
    """One part is the truth, the others are it with noise that has nothing to do with it."""
    rng = np.random.default_rng(9)
    truth, folds = rng.normal(size=20_000), np.arange(20_000) % 4
    raw = truth[:, None] + rng.normal(size=(20_000, 3)) * (np.arange(3) != best)
    effects, shares = stacked(raw, truth + rng.normal(size=20_000), folds, np.ones(20_000))
    assert shares == pytest.approx((np.arange(3) == best).astype(float), abs=0.03)
    assert np.mean((effects - truth) ** 2) < 0.01


@pytest.mark.parametrize("seed", range(5))
def test_shares_are_the_best_there_are(seed):
    """No point of a fine lattice of the simplex does better, and the shares stay within it."""
    rng = np.random.default_rng(seed)
    raw, weight = rng.normal(size=(300, 3)) * 10.0 ** rng.integers(-5, 3), rng.uniform(0.5, 2, 300)
    scores = raw @ rng.normal(0.3, 0.5, 3) + rng.normal(size=300) * raw.std()
    _, shares = stacked(raw, scores, np.zeros(300, dtype=int), weight)
    assert shares.min() >= 0
    assert shares.sum() == pytest.approx(1)

    def loss(s):
        left = scores - raw @ s
        return np.average((left - np.average(left, weights=weight)) ** 2, weights=weight)

    lattice = [np.array([i, j, 40 - i - j]) / 40 for i in range(41) for j in range(41 - i)]
    assert loss(shares) <= min(map(loss, lattice)) * (1 + 1e-9)


def test_a_fold_says_nothing_of_its_own_share():
    rng = np.random.default_rng(10)
    raw, folds = rng.normal(size=(3000, 2)), np.arange(3000) % 3
    scores = raw.mean(axis=1) + rng.normal(size=3000)
    before, _ = stacked(raw, scores, folds, np.ones(3000))
    scores[folds == 0] = 5 * (raw[folds == 0, 0] - raw[folds == 0, 1])
    after, _ = stacked(raw, scores, folds, np.ones(3000))
    np.testing.assert_allclose(before[folds == 0], after[folds == 0], rtol=0, atol=1e-12)
    assert np.abs(before[folds == 1] - after[folds == 1]).max() > 0.01


def test_parts_that_say_the_same_share_alike():
    raw, folds = np.repeat(np.random.default_rng(11).normal(size=(90, 1)), 2, axis=1), np.arange(90) % 3
    effects, shares = stacked(raw, raw[:, 0], folds, np.ones(90))
    np.testing.assert_allclose(effects, raw[:, 0])
    assert shares == pytest.approx([0.5, 0.5])
    effects, shares = stacked(np.zeros((90, 3)), raw[:, 0], folds, np.ones(90))
    assert not effects.any()
    assert shares == pytest.approx([1 / 3] * 3)


def _trial(n_rows=40_000, seed=3):
    rng = np.random.default_rng(seed)
    arm = rng.choice(3, n_rows, p=[0.5, 0.2, 0.3])
    y = np.array([0.1, 0.4, -0.2])[arm] + rng.normal(size=n_rows)
    rows = np.arange(n_rows)
    return Trial(y, arm, np.tile([0.5, 0.2, 0.3], (n_rows, 1)), rows, rows % 3, np.ones(n_rows))


@pytest.mark.parametrize("learner", [learner for learner in LEARNERS if learner != "stack"])
@pytest.mark.parametrize(("arm", "effect"), [(1, 0.3), (2, -0.3)])
def test_the_best_constant_is_the_average_effect_of_the_arm(learner, arm, effect):
    """With the right expected outcomes, the weighted mean of what is learned is the effect, for any learner and any of several arms."""
    trial = _trial()
    found = target(learner, Expected(np.tile([0.1, 0.4, -0.2], (len(trial.y), 1))), trial, arm)
    assert np.average(found.value, weights=found.weight) == pytest.approx(effect, abs=0.05)


def test_the_targets_follow_their_formulas():
    trial = Trial(np.array([1.0, 0.0, 1.0]), np.array([1, 0, 2]), np.tile([0.5, 0.125, 0.375], (3, 1)), np.arange(3), np.arange(3), np.array([1.0, 2.0, 1.0]))
    expected = Expected(np.array([[0.3, 0.5, 0.2], [0.4, 0.6, 0.2], [0.1, 0.2, 0.3]]))
    e = 0.2
    r, x, t = (target(name, expected, trial, 1) for name in ("r", "x", "t"))
    np.testing.assert_allclose(r.value[:2], [(1 - (e * 0.5 + (1 - e) * 0.3)) / (1 - e), (0 - (e * 0.6 + (1 - e) * 0.4)) / -e])
    np.testing.assert_allclose(r.weight, [(1 - e) ** 2, 2 * e**2, 0])
    np.testing.assert_allclose(x.value[:2], [1 - 0.3, 0.6 - 0])
    np.testing.assert_allclose(x.weight, [(1 - e) / e, 2 * e / (1 - e), 0])
    np.testing.assert_allclose(t.value, [0.2, 0.2, 0.1])
    np.testing.assert_allclose(t.weight, [1, 2, 1])
    np.testing.assert_allclose(arm_scores(expected, trial)[2], [0.1, 0.2, 0.3 + (1 - 0.3) / 0.375])


@pytest.mark.parametrize("learner", ["dr", "r", "x"])
def test_outcomes_missing_by_arm_and_vector_do_not_bend_the_effect(learner):
    """Contacted people with a high second column answer least, and their outcome is the highest: leaving them out would lose a third of the effect."""
    X, y, treatment, chance, truth = campaign(12_000, 5)
    answered = np.random.default_rng(6).random(len(y)) < special.expit(1.5 - 2.0 * treatment * X["b"].to_numpy())
    seen = np.where(answered, y, np.nan)
    model = Persuadability(**SMALL, learner=learner).fit(X, seen, treatment=treatment, propensity=chance)
    kept = answered.nonzero()[0]
    naive = Persuadability(**SMALL, learner=learner).fit(X.iloc[kept], y[kept], treatment=treatment[kept], propensity=chance[kept])
    assert abs(model.ate_.value - truth.mean()) < 3 * model.ate_.se
    assert model.n_missing_ == (~answered).sum()
    assert len(model.out_of_fold_) == len(y)
    assert abs(model.ate_.value - truth.mean()) < 0.5 * abs(y[kept][treatment[kept] == 1].mean() - y[kept][treatment[kept] == 0].mean() - truth.mean())
    assert naive.n_missing_ == 0
    fresh, *_, true = campaign(3000, 1)
    assert np.sqrt(np.mean((model.predict_uplift(fresh) - true) ** 2)) < 0.7 * true.std()


def test_missing_outcomes_are_scored_by_their_expectation():
    trial = Trial(np.array([1.0, np.nan]), np.array([1, 1]), np.full((2, 2), 0.5), np.arange(2), np.arange(2), np.ones(2))
    scores = aipw_scores(Expected(np.array([[0.3, 0.5], [0.4, 0.7]]), np.array([0.8, 0.8])), trial)
    np.testing.assert_allclose(scores, [0.5 - 0.3 + (1 - 0.5) / (0.5 * 0.8), 0.7 - 0.4])


def test_a_monotone_uplift_never_falls_as_its_column_grows():
    X, y, treatment, chance, _ = campaign()
    model = Persuadability(**SMALL, monotone={"a": 1, "b": -1}).fit(X, y, treatment=treatment, propensity=chance)
    ladder = pd.DataFrame({"a": np.linspace(-3, 3, 50), "b": 0.0, "c": 0.0}).astype(np.float32)
    assert (np.diff(model.predict_raw(ladder)) >= 0).all()
    assert (np.diff(model.predict_raw(ladder.rename(columns={"a": "b", "b": "a"})[["a", "b", "c"]])) <= 0).all()


def test_a_direction_is_of_a_column_that_is_there():
    X, y, treatment, chance, _ = campaign()
    given = {"treatment": treatment, "propensity": chance}
    with pytest.raises(ColumnsError, match=r"monotone names 1 columns that X does not have, such as 'typo'"):
        Persuadability(**SMALL, monotone={"typo": 1}).fit(X, y, **given)
    with pytest.raises(ValueError, match="monotone gives columns 1, -1 or 0"):
        Persuadability(**SMALL, monotone={"a": 2}).fit(X, y, **given)
