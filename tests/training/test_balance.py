import numpy as np
import pytest
from scipy import stats

from training.balance import (
    BalanceError,
    _dealt,
    attrition_test,
    cluster_ratio_test,
    cluster_test,
    randomisation_test,
    ratio_test,
    several_arms,
    standardised_differences,
)

NAN = np.nan


def features(n, columns, seed=0):
    return np.random.default_rng(seed).standard_normal((n, columns)).astype(np.float32)


def test_a_standardised_difference_by_hand():
    matrix = np.array([[1, 5], [3, 5], [2, 5], [6, 5]], dtype=np.float32)
    found = standardised_differences(matrix, ["age", "same"], np.array([0, 0, 1, 1]))
    assert found.names == ("age", "same")
    assert found.values.tolist() == [[pytest.approx((4 - 2) / np.sqrt((1 + 4) / 2))], [0.0]]
    assert found.largest == found.values[0, 0]


def test_missing_values_are_left_out_and_their_pattern_stands_once():
    matrix = np.array([[1, 1, 2], [3, 3, 3], [2, 2, 2], [NAN, NAN, 6]], dtype=np.float32)
    found = standardised_differences(matrix, ["a", "b", "c"], np.array([0, 0, 1, 1]))
    assert sorted(found.names) == ["a", "a (missing)", "b", "c"]
    assert found.values[found.names.index("a")] == 0, "the known value of the arm, 2, is control's mean"
    assert found.values[found.names.index("a (missing)")] == pytest.approx(0.5 / np.sqrt(0.25 / 2))


def test_weights_undo_unequal_probabilities():
    """In stratum 1 the arm has 8 of 10, in stratum 0 it has 2 of 10; weighted, arms hold both strata alike."""
    stratum = np.repeat([0, 1], 10)
    arms = np.r_[np.repeat([0, 1], [8, 2]), np.repeat([0, 1], [2, 8])]
    weight = 1 / np.where(arms == stratum, 0.8, 0.2)
    matrix = stratum[:, None].astype(np.float32)
    assert standardised_differences(matrix, ["s"], arms).largest > 1
    assert standardised_differences(matrix, ["s"], arms, weight=weight).largest == pytest.approx(0, abs=1e-9)


def test_more_columns_than_fit_at_once_are_the_same_columns():
    matrix = features(60, 150)
    matrix[::7, 3::40] = NAN
    arms = np.arange(60) % 3
    found = standardised_differences(matrix, [str(number) for number in range(150)], arms)
    value = matrix[:, 140].astype(float)
    expected = [(value[arms == arm].mean() - value[arms == 0].mean()) / np.sqrt((value[arms == arm].var() + value[arms == 0].var()) / 2) for arm in (1, 2)]
    assert found.values[found.names.index("140")] == pytest.approx(expected)
    assert len(found.names) == 151


def everyone(n):
    return {"units": np.arange(n), "strata": np.zeros(n, dtype=np.int64)}


def test_the_statistic_is_the_documented_sum():
    matrix, arms = features(50, 3), np.arange(50) % 3
    standard = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    expected = sum((standard[arms == arm].sum(axis=0) ** 2).sum() / (arms == arm).sum() for arm in range(3))
    assert randomisation_test(matrix, arms, **everyone(50), draws=5).statistic == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("design", ["people", "households in strata"])
def test_p_is_uniform_where_arms_are_dealt_at_random(design):
    random = np.random.default_rng(7)
    found = []
    for trial in range(120):
        if design == "people":
            units, strata = np.arange(80), np.zeros(80, dtype=np.int64)
            arms = random.integers(0, 2, 80)
            matrix = features(80, 4, trial)
        else:
            units = np.repeat(np.arange(40), random.integers(1, 4, 40))
            strata = units % 3
            chance = np.array([0.2, 0.5, 0.8])
            arms = (random.random(40) < chance[np.arange(40) % 3]).astype(np.int64)[units]
            matrix = (random.standard_normal((40, 4))[units] + strata[:, None] + 0.3 * random.standard_normal((len(units), 4))).astype(np.float32)
        found.append(randomisation_test(matrix, arms, units=units, strata=strata, draws=99, seed=trial).p)
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert 0.01 < np.mean(np.array(found) <= 0.1) < 0.2


def test_arms_are_dealt_anew_within_strata_each_place_alike():
    arms, stratum = np.array([0, 0, 0, 1, 1, 2], dtype=np.int8), np.array([0, 1, 1, 0, 0, 1])
    dealt = _dealt(arms, stratum, 6000, np.random.default_rng(0))
    assert dealt[0].tolist() == arms.tolist()
    for block in (stratum == 0, stratum == 1):
        assert (np.sort(dealt[:, block], axis=1) == np.sort(arms[block])).all()
    assert (dealt[1:] == 1).mean(axis=0) == pytest.approx([2 / 3, 0, 0, 2 / 3, 2 / 3, 0], abs=0.03)
    assert (dealt[1:] == 2).mean(axis=0) == pytest.approx([0, 1 / 3, 1 / 3, 0, 0, 1 / 3], abs=0.03)


def test_arms_that_were_chosen_are_found():
    matrix = features(400, 30)
    arms = (matrix[:, 7] + features(400, 1, 1)[:, 0] > 0).astype(np.int64)
    found = randomisation_test(matrix, arms, **everyone(400), draws=199)
    assert found.p == 1 / 200
    assert found.se == pytest.approx(np.sqrt(found.p * (1 - found.p) / 200))


def test_treating_households_as_people_would_raise_a_false_alarm():
    random = np.random.default_rng(2)
    units = np.repeat(np.arange(100), 10)
    matrix = np.repeat(random.standard_normal((100, 5)), 10, axis=0).astype(np.float32)
    arms = random.integers(0, 2, 100)[units]
    strata = np.zeros(1000, dtype=np.int64)
    assert randomisation_test(matrix, arms, units=np.arange(1000), strata=strata, draws=199).p < 0.02
    assert randomisation_test(matrix, arms, units=units, strata=strata, draws=199).p > 0.05


def test_the_order_of_rows_changes_no_difference():
    matrix, arms = features(200, 5), np.arange(200) % 2
    order = np.random.default_rng(0).permutation(200)
    units = np.arange(200) // 2 * 2 + arms
    one = randomisation_test(matrix, arms, units=units, strata=np.zeros(200, dtype=np.int64), draws=50)
    other = randomisation_test(matrix[order], arms[order], units=units[order], strata=np.zeros(200, dtype=np.int64), draws=50)
    assert other.p == one.p
    assert other.statistic == pytest.approx(one.statistic, rel=1e-4)


def test_the_ratio_of_one_stratum_is_pearsons():
    arms = np.repeat([0, 1, 2], [480, 310, 210])
    probability = np.array([[0.5, 0.3, 0.2]])
    over_all, within = ratio_test(arms, np.zeros(1000, dtype=np.int64), probability)
    expected = stats.chisquare([480, 310, 210], [500, 300, 200])
    assert (over_all.statistic, over_all.p, over_all.freedom) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue), 2)
    assert within.tolist() == [pytest.approx(expected.pvalue)]


def test_the_ratio_keeps_its_level_over_strata_and_finds_what_is_off():
    random = np.random.default_rng(4)
    probability = np.array([[0.5, 0.5], [0.8, 0.2], [0.9, 0.1]])
    strata = np.repeat([0, 1, 2], [300, 200, 40])
    found = [ratio_test((random.random(540) < probability[strata, 1]).astype(np.int64), strata, probability)[0].p for _ in range(400)]
    assert stats.kstest(found, "uniform").pvalue > 0.001
    assert ratio_test((random.random(540) < 0.65).astype(np.int64), strata, probability)[0].p < 1e-6
    impossible = ratio_test(np.array([0, 1]), np.zeros(2, dtype=np.int64), np.array([[1.0, 0.0]]))
    assert impossible[1].tolist() == [0.0]


def test_attrition_is_compared_by_unit():
    missing = np.r_[np.tile([True, False, False, False], 50), np.tile([True, True, False, False], 50)]
    arms = np.repeat([0, 1], 200)
    one = np.zeros(400, dtype=np.int64)
    share, test = attrition_test(missing, arms, np.arange(400), one)
    assert share.tolist() == [0.25, 0.5]
    variance = missing.var() * 400 / 399 / 200 * 2  # that of the difference when 200 of 400 are drawn without replacement
    assert test.statistic == pytest.approx(0.25**2 / variance)
    whole = np.repeat([True, False, False, False, False, True, False, False, False, False, *[True, False] * 5], 20)
    assert attrition_test(whole, arms, np.arange(400) // 20, one)[1].p > attrition_test(whole, arms, np.arange(400), one)[1].p
    assert attrition_test(np.zeros(400, dtype=bool), arms, np.arange(400), one)[1].p == 1.0
    assert attrition_test(arms == 1, arms, np.arange(400), one)[1].p < 1e-12


def test_attrition_keeps_its_level():
    random = np.random.default_rng(5)
    units, one = np.repeat(np.arange(300), 2), np.zeros(600, dtype=np.int64)
    found = [attrition_test((random.random(300) < 0.2)[units], random.integers(0, 3, 300)[units], units, one)[1].p for _ in range(300)]
    assert stats.kstest(found, "uniform").pvalue > 0.001


@pytest.mark.parametrize("households", [150, 4])
def test_attrition_of_strata_with_other_probabilities_keeps_its_level_and_its_power(households):
    """Half of the strata have the arm with .8 and lose half of their people, the others have it with .2 and lose a tenth: arms differ, strata do not."""
    random = np.random.default_rng(9)
    stratum = np.arange(600) // households
    chance, lost = np.where(stratum % 2, 0.8, 0.2), np.where(stratum % 2, 0.5, 0.1)
    units = np.repeat(np.arange(600), 2)

    def p(arm_loses=0.0):
        arms = (random.random(600) < chance).astype(np.int64)
        missing = random.random(600) < lost + arm_loses * arms
        return attrition_test(missing[units], arms[units], units, stratum[units])[1].p

    found = np.array([p() for _ in range(400)])
    assert stats.kstest(found, "uniform").pvalue > 0.001
    assert 0.02 < np.mean(found <= 0.05) < 0.085
    assert np.mean([p(0.2) <= 0.005 for _ in range(40)]) > 0.8


def blocks(random, *, chosen=0.0):
    """200 blocks of 4 households of 2, who share their features and are drawn together by halves; `chosen` is how much the first feature decides the arm."""
    household, block = np.repeat(np.arange(800), 2), np.repeat(np.arange(200), 8)
    values = random.standard_normal((800, 5)) + random.standard_normal((200, 5))[np.arange(800) // 4]
    arms = (chosen * values[:, 0] + random.standard_normal(800) > 0).astype(np.int64)
    return values[household].astype(np.float32), arms[household], household, block


def test_the_signs_of_clusters_keep_their_level_where_households_are_not_known():
    random, one = np.random.default_rng(3), np.zeros(1600, dtype=np.int64)
    found = []
    for trial in range(150):
        matrix, arms, _, block = blocks(random)
        found.append([cluster_test(matrix, arms, clusters=block, strata=strata, draws=99, seed=trial).p for strata in (one, block)])
    for p in np.array(found).T:
        assert stats.kstest(p, "uniform").pvalue > 0.005
    matrix, arms, _, block = blocks(random, chosen=0.2)
    assert cluster_test(matrix, arms, clusters=block, strata=one, draws=199).p == 1 / 200


def test_the_real_signs_give_the_statistic_of_the_deal():
    matrix, arms, _, block = blocks(np.random.default_rng(1))
    one = np.zeros(1600, dtype=np.int64)
    turned = cluster_test(matrix, arms, clusters=block, strata=one, draws=9).statistic
    assert turned == pytest.approx(randomisation_test(matrix, arms, units=np.arange(1600), strata=one, draws=1).statistic, rel=1e-3)


def test_the_ratio_of_clusters_keeps_its_level_where_households_are_not_known():
    random, one, halves = np.random.default_rng(8), np.zeros(1600, dtype=np.int64), np.array([[0.5, 0.5]])
    found = []
    for _ in range(300):
        _, arms, _, block = blocks(random)
        found.append(cluster_ratio_test(arms, block, one, halves).p)
    assert stats.kstest(found, "uniform").pvalue > 0.001
    _, arms, _, block = blocks(random)
    assert cluster_ratio_test(arms, block, one, np.array([[0.4, 0.6]])).p < 1e-6


def test_groups_of_several_arms():
    assert several_arms(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1])).tolist() == [True, False]


def test_what_cannot_be_compared():
    with pytest.raises(BalanceError, match="at least two"):
        standardised_differences(features(5, 2), ["a", "b"], np.zeros(5, dtype=np.int64))
    with pytest.raises(BalanceError, match="one row per person"):
        randomisation_test(features(5, 2), np.array([0, 1]), **everyone(2))
