import math

import numpy as np
import pytest
from scipy import stats

from training.power import (
    CROSS_FITTING,
    Assumptions,
    PowerError,
    _outcomes,
    _units,
    autoc_constant,
    design_effect,
    detectable_effect,
    detectable_sd,
    people_for_average,
    people_for_ranking,
    ranking_constant,
    simulated,
)

HALVES = {"control": 0.5, "letter": 0.5}


def test_two_proportions_as_in_the_textbook():
    """10% against 15%, two-sided .05, power .8: 683 a side (unpooled; Chow, Shao & Wang's formula)."""
    needed = people_for_average(Assumptions(HALVES, baseline=0.10, effect=0.05))
    expected = (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) ** 2 * (0.1 * 0.9 + 0.15 * 0.85) / 0.05**2
    assert needed.by_arm == {"control": 683, "letter": 683}
    assert needed.by_arm["letter"] == math.ceil(expected)
    assert needed.total == 1366


def test_two_means_as_in_the_textbook():
    """A standardised difference of .5: 63 a side by the normal formula (64 by Student's)."""
    assert people_for_average(Assumptions(HALVES, baseline=3.0, effect=0.5, outcome_sd=1.0)).by_arm["letter"] == 63


def test_units_attrition_and_several_arms_inflate():
    one = Assumptions(HALVES, baseline=0.3, effect=0.03)
    assert design_effect(1, 0.5) == 1
    assert design_effect(5, 0.1) == pytest.approx(1.4)
    assert design_effect(5, 0.1, 0.5) == pytest.approx(1 + (1.25 * 5 - 1) * 0.1)
    plain = people_for_average(one).total
    inflated = people_for_average(Assumptions(HALVES, baseline=0.3, effect=0.03, unit_size=5, intra_unit=0.1, attrition=0.2)).total
    assert inflated == pytest.approx(plain * 1.4 / 0.8, abs=3)
    thirds = Assumptions(dict.fromkeys(("control", "letter", "call"), 1 / 3), baseline=0.3, effect=0.03)
    assert thirds.contrast_alpha == 0.025
    ratio = ((stats.norm.ppf(1 - 0.0125) + stats.norm.ppf(0.8)) / (stats.norm.ppf(0.975) + stats.norm.ppf(0.8))) ** 2
    assert people_for_average(thirds).by_arm["call"] == pytest.approx(people_for_average(one).by_arm["letter"] * ratio, abs=2)


def test_the_constant_of_autoc_is_that_of_normal_effects():
    random = np.random.default_rng(3)
    effect = np.sort(random.standard_normal(400_000))[::-1]
    toc = np.cumsum(effect) / np.arange(1, len(effect) + 1)
    assert autoc_constant() == pytest.approx(toc.mean(), abs=0.01)
    assert autoc_constant() == pytest.approx(0.9032, abs=2e-4)


def test_where_the_well_known_constant_stands():
    """3.1 is that of halves and an outcome with a standard deviation of .44 (26% yes), one-sided .01, power .8; 7.0 per standard deviation."""
    assert ranking_constant(2 * 0.44) == pytest.approx(3.1, abs=0.02)
    assert ranking_constant(2.0) == pytest.approx(7.02, abs=0.01)
    assert ranking_constant(1.0, stretch=CROSS_FITTING) > 1.3 * ranking_constant(1.0)
    assumed = Assumptions(HALVES, baseline=0.0, effect=0.01, outcome_sd=0.44, effect_sd=0.1, correlation=0.3)
    assert people_for_ranking(assumed).total == pytest.approx((3.1 / 0.03) ** 2, rel=0.02)


@pytest.mark.parametrize(
    "assumed",
    [
        Assumptions(HALVES, baseline=0.3, effect=0.08, effect_sd=0.15, correlation=0.5),
        Assumptions({"control": 0.7, "letter": 0.3}, baseline=2.0, effect=-0.15, effect_sd=0.2, correlation=0.6, outcome_sd=1.0),
        Assumptions(HALVES, baseline=0.3, effect=0.09, effect_sd=0.1, unit_size=4, intra_unit=0.2, attrition=0.1),
    ],
    ids=["yes or no", "continuous, unequal shares", "households"],
)
def test_simulated_experiments_find_the_average_effect_as_often_as_promised(assumed):
    found = simulated(assumed, people_for_average(assumed).total, draws=300, seed=1)
    assert found.average == pytest.approx(0.8, abs=4 * found.se(0.8))


def test_simulated_experiments_find_the_ranking_as_often_as_promised():
    assumed = Assumptions(HALVES, baseline=0.4, effect=0.05, effect_sd=0.15, correlation=0.5)
    needed = people_for_ranking(assumed).total
    found = simulated(assumed, needed, draws=250, seed=2)
    assert found.ranking == pytest.approx(0.8, abs=4 * found.se(0.8))
    assert found.gate < found.ranking
    wider = simulated(assumed, people_for_ranking(assumed, stretch=CROSS_FITTING).total, draws=250, seed=3)
    assert wider.gate == pytest.approx(0.8, abs=4 * wider.se(0.8))


def test_without_an_effect_the_tests_keep_their_levels():
    nothing = Assumptions(HALVES, baseline=0.3, effect=1e-9, effect_sd=1e-9, alpha=0.1, ranking_alpha=0.1)
    found = simulated(nothing, 2000, draws=400, seed=4)
    for share in (found.average, found.ranking):
        assert share == pytest.approx(0.1, abs=4 * found.se(0.1))


def test_what_can_be_detected_is_the_inverse():
    for assumed in (
        Assumptions(HALVES, baseline=0.3, effect=0.04, effect_sd=0.1),
        Assumptions(HALVES, baseline=0.3, effect=-0.04, effect_sd=0.1, unit_size=2, intra_unit=0.3),
        Assumptions(HALVES, baseline=9.0, effect=0.2, effect_sd=0.3, outcome_sd=2.0, attrition=0.1),
    ):
        assert detectable_effect(assumed, people_for_average(assumed).total) == pytest.approx(abs(assumed.effect), rel=0.002)
        assert detectable_sd(assumed, people_for_ranking(assumed).total) == pytest.approx(assumed.effect_sd, rel=0.002)
    assert math.isnan(detectable_effect(assumed, 0))
    assert math.isnan(detectable_effect(Assumptions(HALVES, baseline=0.9, effect=0.05), 10))


def test_drawn_outcomes_have_the_stated_rate_effect_and_correlation_within_units():
    assumed = Assumptions(HALVES, baseline=0.3, effect=0.1, unit_size=3, intra_unit=0.25)
    random = np.random.default_rng(0)
    unit = _units(90_000, 3.0, random)
    assert np.bincount(unit).tolist() == [3] * 30_000
    nobody, everybody = np.zeros(len(unit), dtype=bool), np.ones(len(unit), dtype=bool)
    y = _outcomes(assumed, np.full(len(unit), 0.1), nobody, unit, random)
    treated = _outcomes(assumed, np.full(len(unit), 0.1), everybody, unit, random)
    lowered = _outcomes(assumed, np.full(len(unit), -0.1), everybody, unit, random)
    assert [y.mean(), treated.mean(), lowered.mean()] == pytest.approx([0.3, 0.4, 0.2], abs=0.01)
    members = y.reshape(-1, 3)
    assert np.corrcoef(members[:, 0], members[:, 1])[0, 1] == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"baseline": 1.2}, "baseline = 1.2"),
        ({"effect": 0.0}, "other than 0"),
        ({"effect": 0.8}, r"baseline \+ effect"),
        ({"power": 1.0}, "power = 1"),
        ({"attrition": 1.0}, "nobody would be measured"),
        ({"shares": {"letter": 1.0}}, "control arm 'control'"),
        ({"shares": {"control": 0.5, "letter": 0.6}}, "sum to 1"),
        ({"shares": {"control": 0.5, "letter": math.nan}}, "sum to 1"),
        ({"unit_size": 0.5}, "unit_size = 0.5"),
        ({"effect_sd": 0.0}, "effect_sd = 0"),
    ],
)
def test_assumptions_that_cannot_be(changed, words):
    with pytest.raises(PowerError, match=words):
        Assumptions(**({"shares": HALVES, "baseline": 0.3, "effect": 0.02} | changed))


def test_what_was_not_assumed_cannot_be_answered():
    assumed = Assumptions(HALVES, baseline=0.3, effect=0.02)
    with pytest.raises(PowerError, match="effect_sd is not given"):
        people_for_ranking(assumed)
    with pytest.raises(PowerError, match="so few"):
        simulated(assumed, 4)
