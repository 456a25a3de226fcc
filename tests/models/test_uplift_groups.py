"""Effects by group: by hand, against loops and least squares, as laws, and bands that hold all at once as often as they say."""

import json

import numpy as np
import pandas as pd
import pytest

from models.uplift_groups import LEAST_UNITS, STRETCH, effects_by_value, gates
from models.uplift_metrics import average_effect

N_ROWS, N_UNITS = 1000, 200


@pytest.fixture(scope="module")
def sample():
    """Clustered scores that rise with the prediction: uplift, scores, folds, units, weights."""
    rng = np.random.default_rng(12)
    units = rng.permutation(np.arange(N_ROWS) % N_UNITS)
    uplift = rng.normal(size=N_ROWS) + rng.normal(size=N_UNITS)[units]
    scores = 0.3 + 0.4 * uplift + rng.normal(size=N_UNITS)[units] + rng.normal(size=N_ROWS)
    return uplift, scores, units % 4, units, rng.uniform(0.5, 2.0, N_ROWS)


def numbers(found):
    return np.r_[found.predicted, found.effect, found.se, found.difference.value, found.difference.se]


def test_two_groups_of_four_people_by_hand():
    found = gates([0.4, 0.1, 0.3, 0.2], [8.0, 0.0, 2.0, 4.0], n_groups=2)
    np.testing.assert_allclose(found.effect, [2.0, 5.0])
    np.testing.assert_allclose(found.predicted, [0.15, 0.35])
    assert found.difference.value == pytest.approx(3.0)
    assert found.monotone
    assert not gates([0.4, 0.1, 0.3, 0.2], [0.0, 8.0, 2.0, 4.0], n_groups=2).monotone


def test_a_tie_across_an_edge_is_in_both_groups_in_part():
    """Γ 2 and 4 share the places 2 and 3: each is half in the upper group, which has (8 + 3) / 2."""
    found = gates([2.0, 1.0, 1.0, 0.0], [8.0, 2.0, 4.0, 0.0], n_groups=2)
    np.testing.assert_allclose(found.effect, [(3 + 0) / 2, (8 + 3) / 2])
    np.testing.assert_allclose(found.predicted, [0.5, 1.5])


@pytest.mark.oracle
def test_groups_are_means_over_people_ranked_within_folds(sample):
    uplift, scores, folds, units, _ = sample
    shifted = uplift + 100.0 * folds
    group = np.empty(N_ROWS, dtype=int)
    for fold in range(4):
        rows = np.flatnonzero(folds == fold)
        group[rows[np.argsort(shifted[rows])]] = np.arange(len(rows)) * 5 // len(rows)
    found = gates(shifted, scores, folds=folds, groups=units)
    np.testing.assert_allclose(found.effect, [scores[group == number].mean() for number in range(5)], atol=1e-12)
    np.testing.assert_allclose(found.predicted, [shifted[group == number].mean() for number in range(5)], atol=1e-10)
    np.testing.assert_allclose(found.se, np.sqrt(np.diag(found.covariance)))
    np.testing.assert_allclose([found.effect - found.low, found.high - found.effect], STRETCH * 1.6448536 * found.se[None].repeat(2, axis=0))
    assert found.difference.se == pytest.approx(np.sqrt(np.array([-1, 0, 0, 0, 1]) @ found.covariance @ np.array([-1, 0, 0, 0, 1])))
    json.dumps(found.to_state(), allow_nan=False)


@pytest.mark.oracle
def test_standard_errors_agree_with_a_bootstrap_over_clusters(sample):
    uplift, scores, _, units, _ = sample
    members = [np.flatnonzero(units == unit) for unit in range(N_UNITS)]
    rng, draws = np.random.default_rng(3), []
    for _ in range(200):
        drawn = np.concatenate([members[unit] for unit in rng.integers(0, N_UNITS, N_UNITS)])
        found = gates(uplift[drawn], scores[drawn], n_groups=3)
        draws.append([*found.effect, found.difference.value])
    found = gates(uplift, scores, n_groups=3, groups=units)
    np.testing.assert_allclose([*found.se, found.difference.se], np.std(draws, axis=0), rtol=0.25)


def test_groups_average_to_the_average_effect_and_one_prediction_for_all_tells_nobody_apart(sample):
    uplift, scores, folds, units, weights = sample
    shared = {"groups": units, "sample_weight": weights}
    average = average_effect(scores, **shared)
    found = gates(uplift, scores, folds=folds, **shared)
    assert found.effect.mean() == pytest.approx(average.value)
    assert np.ones(5) @ found.covariance @ np.ones(5) / 25 == pytest.approx(average.se**2)
    flat = gates(np.full(N_ROWS, 0.1), scores, folds=folds, **shared)
    np.testing.assert_allclose(flat.effect, average.value)
    np.testing.assert_allclose(flat.se, average.se)
    assert (flat.difference.value, flat.difference.se) == (0.0, 0.0)


def test_laws_of_weights_units_order_and_size(sample):
    uplift, scores, folds, units, weights = sample

    def found(take=slice(None), unit=units, scale=1.0, **how):
        return numbers(gates(uplift[take], scale * scores[take], folds=folds[take], groups=unit[take], **how))

    plain = found()
    np.testing.assert_array_equal(found(sample_weight=np.full(N_ROWS, 2.0)), plain)
    np.testing.assert_allclose(found(sample_weight=2 * weights), found(sample_weight=weights), rtol=1e-12)
    np.testing.assert_array_equal(found(unit=np.array([f"unit-{unit:04d}" for unit in units])), plain)
    np.testing.assert_array_equal(found(take=np.random.default_rng(0).permutation(N_ROWS)), plain)
    np.testing.assert_allclose(found(scale=100.0)[5:], 100 * plain[5:], rtol=1e-9)


def test_random_predictions_have_a_difference_that_covers_zero_at_the_nominal_rate(sample):
    """Over 200 random predictions a 90% interval misses 0 about 20 times; 8 to 34 is what chance allows (99.9%)."""
    _, scores, folds, units, _ = sample
    rng = np.random.default_rng(7)
    found = [gates(rng.normal(size=N_ROWS), scores, folds=folds, groups=units).difference for _ in range(200)]
    assert 8 <= sum(not each.low <= 0 <= each.high for each in found) <= 34


@pytest.mark.parametrize("n_groups", [1, 1001])
def test_groups_need_people_and_a_comparison(sample, n_groups):
    uplift, scores, *_ = sample
    with pytest.raises(ValueError, match="n_groups must lie between 2 and the number of rows, 1000"):
        gates(uplift, scores, n_groups=n_groups)


def test_effects_by_category_are_least_squares_on_its_indicators_with_a_cluster_sandwich(sample):
    uplift, scores, _, units, weights = sample
    area = np.where(uplift > 0.5, "north", np.where(uplift < -0.5, "south", "east"))
    found = effects_by_value(area, scores, groups=units, sample_weight=weights)
    design = np.column_stack([area == name for name in found.names]).astype(float)
    inverse = np.linalg.inv(design.T @ (design * weights[:, None]))
    coefficients = inverse @ design.T @ (weights * scores)
    sums = np.stack([np.bincount(units, column * weights * (scores - design @ coefficients)) for column in design.T])
    np.testing.assert_allclose(found.effect, coefficients)
    np.testing.assert_allclose(found.covariance, inverse @ (sums @ sums.T) @ inverse * N_UNITS / (N_UNITS - 1))
    np.testing.assert_allclose(found.se, np.sqrt(np.diag(found.covariance)))
    np.testing.assert_allclose((found.high - found.effect) / found.se, 2.1280452, rtol=1e-6, err_msg="z at 1 - .10 / (2·3)")
    assert found.share @ found.effect == pytest.approx(np.average(scores, weights=weights))


def test_numbers_are_cut_into_bins_of_equal_size_and_missing_ones_stand_apart(sample):
    uplift, scores, *_ = sample
    ages = np.round(40 + 10 * uplift)
    ages[::10] = np.nan
    found = effects_by_value(ages, scores, n_bins=4)
    assert len(found.names) == 5
    assert found.names[0].startswith("below")
    assert found.names[3].endswith("and above")
    assert found.names[4] == "missing"
    assert found.effect[4] == pytest.approx(scores[::10].mean())
    np.testing.assert_allclose(found.share, [0.225] * 4 + [0.1], atol=0.02)
    assert found.units.sum() == N_ROWS
    edge = int(found.names[0].split()[1])
    assert found.effect[0] == pytest.approx(scores[ages < edge].mean())
    second = [int(part) for part in found.names[1].split(" to ")]
    assert second[0] == edge
    assert found.effect[1] == pytest.approx(scores[(ages >= second[0]) & (ages <= second[1])].mean())


def test_few_values_keep_their_names_and_rare_ones_are_put_together():
    n_rows = 400
    scores = np.arange(float(n_rows))
    count = np.repeat([0.0, 1.0, 2.0, 7.0], [200, 170, 20, 10])
    assert effects_by_value(count, scores).names == ("0", "1", "2 and above")
    few_first = effects_by_value(-count, scores)
    assert few_first.names == ("below -1", "-1", "0")
    names = np.repeat(["b", "a", "c", "d"], [200, 170, LEAST_UNITS - 1, 11])
    by_name = effects_by_value(names, scores)
    assert by_name.names == ("b", "a", "other")
    assert by_name.effect[2] == pytest.approx(scores[370:].mean())
    assert effects_by_value(names, scores, n_bins=1).names == ("b", "other")
    assert effects_by_value(np.full(n_rows, 3.0), scores).names == ("3",)
    units = np.r_[np.arange(200), np.full(200, 200)]
    assert effects_by_value(count, scores, groups=units).names == ("all values",), "200 people of one unit are one unit"


def test_a_group_of_one_unit_has_no_standard_error():
    values = np.r_[np.zeros(40), np.nan, np.nan]
    found = effects_by_value(values, np.arange(42.0), groups=np.r_[np.arange(40), 40, 40])
    assert found.names == ("0", "missing")
    assert found.units.tolist() == [40, 1]
    assert np.isnan([found.se[1], found.low[1], found.high[1], found.covariance[0, 1], found.covariance[1, 1]]).all()
    assert found.se[0] > 0


def test_any_kind_of_column_is_understood():
    scores = np.arange(60.0)
    truth = np.arange(60) % 2 == 0
    assert effects_by_value(truth, scores).names == ("False", "True")
    assert effects_by_value(pd.Series(np.where(truth, "a", "b"), dtype="category"), scores).names == ("a", "b")
    assert effects_by_value([1.0, None] * 30, scores).names == ("1", "missing")
    assert effects_by_value(["x", None] * 30, scores).names == ("x", "missing")
    assert effects_by_value(np.full(60, np.nan), scores).names == ("missing",)
    with pytest.raises(ValueError, match="30 are infinite"):
        effects_by_value(np.where(truth, np.inf, 1.0), scores)
    with pytest.raises(ValueError, match="given 3, expected 60"):
        effects_by_value([1, 2, 3], scores)
    with pytest.raises(ValueError, match="n_bins must be at least 1"):
        effects_by_value(truth, scores, n_bins=0)


def test_laws_of_the_effects_by_value(sample):
    uplift, scores, _, units, weights = sample

    def found(take=slice(None), **how):
        effects = effects_by_value(uplift[take], scores[take], groups=units[take], **how)
        return np.r_[effects.effect, effects.se]

    plain = found()
    np.testing.assert_array_equal(found(sample_weight=np.full(N_ROWS, 2.0)), plain)
    np.testing.assert_allclose(found(sample_weight=2 * weights), found(sample_weight=weights), rtol=1e-12)
    np.testing.assert_array_equal(found(take=np.random.default_rng(0).permutation(N_ROWS)), plain)


def test_bands_hold_for_all_groups_at_once_as_often_as_they_say():
    """Of 300 experiments 30 may miss with some group at 90%; more than 49 would be chance in 1 of 1,000. Single intervals would miss in over 100."""
    rng, missed = np.random.default_rng(5), 0
    values, units = np.tile(np.arange(5.0), 120), np.arange(600) // 2
    for _ in range(300):
        scores = rng.normal(size=300)[units] + rng.normal(size=600)
        found = effects_by_value(values, scores, groups=units)
        missed += bool(((found.low > 0) | (found.high < 0)).any())
    assert 12 <= missed <= 49
