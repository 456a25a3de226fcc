"""Several messages: the better one is found, and a choice by person is made only where it is shown to do better."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from models.messages import Messages
from models.persuadability import Persuadability

BASE = Persuadability(n_folds=3, nuisance_trees=30, nuisance_max_depth=3, num_trees=40, learning_rate=0.1, min_child_share=0.03, n_jobs=1)
SHARES = {"control": 0.4, "letter": 0.3, "story": 0.3}


@cache
def campaign(kind, n_rows=6000, seed=0):
    """`crossed`: the letter helps one half, the story the other; `alike`: both help all, the story more; `nothing`: neither does; `harm`: both lower it."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n_rows, 3)).astype(np.float32), columns=["a", "b", "c"])
    household = np.arange(n_rows) // 2
    arm = rng.choice(list(SHARES), household.max() + 1, p=list(SHARES.values()))[household]
    sign = np.where(X["a"] > 0, 1.0, -1.0)
    effect = {
        "crossed": (0.2 + 0.4 * sign, 0.3 - 0.4 * sign),
        "alike": (0.2 + 0 * sign, 0.5 + 0 * sign),
        "nothing": (0 * sign, 0 * sign),
        "harm": (sign * 0 - 0.6, sign * 0 - 0.4),
    }[kind]
    y = 0.5 * X["b"] + np.where(arm == "letter", effect[0], 0) + np.where(arm == "story", effect[1], 0) + rng.normal(scale=0.8, size=n_rows)
    chance = pd.DataFrame({name: np.full(n_rows, share) for name, share in SHARES.items()})
    return X, {"y": y.to_numpy(), "treatment": arm, "propensity": chance, "groups": household}


@cache
def fitted(kind):
    X, given = campaign(kind)
    return Messages(base=BASE).fit(X, **given)


def test_a_message_for_each_half_is_found():
    model, X = fitted("crossed"), campaign("crossed", seed=1)[0]
    assert model.personal_
    assert np.mean((model.predict(X) == "letter") == (X["a"] > 0)) > 0.9
    assert model.by_person_.value == pytest.approx(0.35, abs=0.1)
    assert "shown to do better" in model.verdict()


def test_the_better_message_goes_to_all_where_people_do_not_differ():
    model, X = fitted("alike"), campaign("alike", seed=1)[0]
    assert model.best_ == "story"
    assert model.lead_.low > 0
    assert not model.personal_
    assert (model.predict(X) == "story").all()
    assert "so it is sent to all" in model.verdict()
    assert model.effects_["story"].value == pytest.approx(0.5, abs=4 * model.effects_["story"].se)


def test_where_nothing_works_nothing_is_claimed():
    model = fitted("nothing")
    assert not model.personal_
    assert "not clearly ahead" in model.verdict()
    accepted = sum(Messages(base=BASE).fit(X, **given).personal_ for X, given in (campaign("nothing", 800, seed) for seed in range(10, 25)))
    assert accepted <= 2


def test_a_message_that_does_harm_is_sent_to_nobody():
    model, X = fitted("harm"), campaign("harm", seed=1)[0]
    assert model.best_ == "control"
    assert not model.personal_
    assert (model.predict(X) == "control").all()
    assert "even the best message, story, lowers the outcome on average" in model.verdict()
    assert "nothing is sent" in model.verdict()
    X, given = campaign("harm", 1500)
    two = given["treatment"] != "story"
    chance = given["propensity"].loc[two, ["control", "letter"]] / 0.7
    alone = Messages(base=BASE).fit(X[two], given["y"][two], treatment=given["treatment"][two], propensity=chance, groups=given["groups"][two])
    assert alone.best_ == "control"
    assert "it is sent to nobody" in alone.verdict()


def test_whom_every_message_harms_gets_none():
    """A letter that helps one half and harms the other, and a story that does the same and less."""
    X, given = campaign("nothing", 6000)
    sign = np.where(X["a"] > 0, 1.0, -1.0)
    y = given["y"] + sign * np.select([given["treatment"] == "letter", given["treatment"] == "story"], [0.8, 0.4], 0.0)
    model = Messages(base=BASE).fit(X, **(given | {"y": y}))
    assert model.personal_
    fresh = campaign("nothing", 2000, seed=5)[0]
    assert np.mean((model.predict(fresh) == "letter") == (fresh["a"] > 0)) > 0.95
    assert set(model.predict(fresh)[(fresh["a"] < -0.2).to_numpy()]) == {"control"}


def test_a_contrast_of_two_arms_is_persuadability_itself():
    X, given = campaign("alike", 1500)
    two = given["treatment"] != "story"
    chance = given["propensity"].loc[two, ["control", "letter"]] / 0.7
    both = Messages(base=BASE).fit(X[two], given["y"][two], treatment=given["treatment"][two], propensity=chance, groups=given["groups"][two])
    model = Persuadability(**BASE.get_params())
    treated = (given["treatment"][two] == "letter").astype(int)
    model.fit(X[two], given["y"][two], treatment=treated, propensity=chance["letter"].to_numpy(), groups=given["groups"][two])
    assert (both.best_, both.lead_, both.personal_) == ("letter", None, False)
    assert "nothing to choose" in both.verdict()
    np.testing.assert_allclose(both.predict_uplift(X)[:, 0], model.predict_uplift(X), atol=1e-12)
    assert both.effects_["letter"].value == pytest.approx(model.ate_.value, abs=1e-12)


def test_the_order_of_rows_changes_no_bit():
    X, given = campaign("crossed", 1500)
    place = np.random.default_rng(0).permutation(len(X))
    shuffled = {name: values.iloc[place] if isinstance(values, pd.DataFrame) else values[place] for name, values in given.items()}
    one, other = Messages(base=BASE).fit(X, **given), Messages(base=BASE).fit(X.iloc[place], **shuffled)
    assert one.by_person_ == other.by_person_
    np.testing.assert_array_equal(one.predict_uplift(X), other.predict_uplift(X))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"treatment": lambda v: np.where(v == "story", "card", v)}, "not an arm: card|nobody drew story"),
        ({"treatment": lambda v: np.full(len(v), "control")}, "nobody drew letter, story"),
        ({"treatment": lambda v: v[:5]}, r"given shape \(5,\)"),
        ({"propensity": lambda v: v.drop(columns="story")}, "columns control, letter, story"),
        ({"propensity": lambda v: v * 2}, "do not add up to 1"),
        ({"propensity": lambda v: v.assign(story=0.0, control=0.7)}, r"not inside \(0, 1\)"),
        ({"y": lambda v: np.full(len(v), np.nan)}, "y is missing in every row"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_words(change, message):
    X, given = campaign("alike", 600)
    given = given | {name: make(given[name]) for name, make in change.items()}
    with pytest.raises(ValueError, match=message):
        Messages(["letter", "story"], base=BASE).fit(X, **given)
