"""Values of policies: by hand, against loops written from the definition, as laws, and how often intervals hold the truth."""

import json

import numpy as np
import pytest

from models.uplift_metrics import average_effect, policy_value
from models.uplift_policies import best_message, difference, open_policy, policy_table

N_ROWS, N_UNITS = 900, 150
RIVALS = ("over_nobody", "over_everybody", "over_random", "over_risk")


@pytest.fixture(scope="module")
def sample():
    """Clustered scores that two rankings know something of: priority, baseline, scores, units, weights."""
    rng = np.random.default_rng(11)
    units = rng.permutation(np.arange(N_ROWS) % N_UNITS)
    priority = np.round(rng.normal(size=N_ROWS) + rng.normal(size=N_UNITS)[units], 1)
    baseline = np.round(0.3 * priority + rng.normal(size=N_ROWS), 1)
    scores = 0.2 + 0.4 * priority + rng.normal(size=N_UNITS)[units] + rng.normal(size=N_ROWS)
    return priority, baseline, scores, units, rng.uniform(0.5, 2.0, N_ROWS)


def chosen_share(priority, weights, capacity):
    """Contact one priority after the other until the capacity is used up; whoever ties at the end is contacted in part."""
    left, share = capacity * weights.sum(), np.zeros(len(priority))
    for value in np.unique(priority)[::-1]:
        tied = priority == value
        share[tied] = min(1.0, max(0.0, left / weights[tied].sum()))
        left -= weights[tied].sum()
    return share


def rows(table):
    return np.array([[getattr(getattr(policy, rival), field) for rival in RIVALS for field in ("value", "se")] for policy in table])


def test_four_people_by_hand():
    """Γ = 8, 2, 4, 0 by falling priority, mean 3.5; of half the people the two best get 10 of 14, by baseline the last two get 4."""
    (half,) = policy_table([4, 3, 2, 1], [8.0, 2.0, 4.0, 0.0], baseline=[1, 2, 3, 4], capacities=(0.5,))
    assert half.over_nobody.value == pytest.approx(10 / 4)
    assert half.over_everybody.value == pytest.approx(-4 / 4)
    assert half.over_random.value == pytest.approx(10 / 4 - 3.5 / 2)
    assert half.over_risk.value == pytest.approx((10 - 4) / 4)
    assert [getattr(half, rival).name for rival in RIVALS] == ["policy_none", "policy_all", "policy_random", "policy_risk"]


@pytest.mark.oracle
@pytest.mark.parametrize("weighted", [False, True])
def test_values_are_those_of_the_definition_ties_and_weights_included(sample, weighted):
    priority, baseline, scores, units, weights = sample
    weights = weights if weighted else np.ones(N_ROWS)
    capacities = (0.05, 0.37, 0.5, 1.0, 0.1)
    table = policy_table(priority, scores, baseline=baseline, capacities=capacities, groups=units, sample_weight=weights)
    for policy, capacity in zip(table, capacities, strict=True):
        ours, theirs = (chosen_share(rank, weights, capacity) for rank in (priority, baseline))
        wanted = [np.average(share * scores, weights=weights) for share in (ours, ours - 1.0, ours - capacity, ours - theirs)]
        np.testing.assert_allclose([getattr(policy, rival).value for rival in RIVALS], wanted, atol=1e-12)


def test_everybody_is_everybody_whatever_the_ranking(sample):
    priority, baseline, scores, units, weights = sample
    (policy,) = policy_table(priority, scores, baseline=baseline, capacities=(1.0,), groups=units, sample_weight=weights)
    for rival in (policy.over_everybody, policy.over_random, policy.over_risk):
        assert (rival.value, rival.se) == (0.0, 0.0)
    average = average_effect(scores, groups=units, sample_weight=weights)
    assert (policy.over_nobody.value, policy.over_nobody.se) == (average.value, average.se)


def test_a_ranking_without_differences_is_chance_itself(sample):
    _, _, scores, units, _ = sample
    (policy,) = policy_table(np.full(N_ROWS, 0.1), scores, capacities=(0.3,), groups=units)
    assert (policy.over_random.value, policy.over_random.se) == (0.0, 0.0)
    assert policy.over_nobody.value == pytest.approx(0.3 * scores.mean())
    assert policy.over_risk is None
    json.dumps(policy.to_state(), allow_nan=False)


def test_a_table_says_what_policy_value_says(sample):
    priority, baseline, scores, units, weights = sample
    shared = {"groups": units, "sample_weight": weights}
    (policy,) = policy_table(priority, scores, baseline=baseline, capacities=(0.2,), **shared)
    for found, against in ((policy.over_random, None), (policy.over_risk, baseline)):
        single = policy_value(priority, scores, 0.2, against=against, **shared)
        assert (found.value, found.se) == pytest.approx((single.value, single.se), rel=1e-12)


@pytest.mark.oracle
def test_standard_errors_agree_with_a_bootstrap_over_clusters(sample):
    priority, baseline, scores, units, _ = sample
    members = [np.flatnonzero(units == unit) for unit in range(N_UNITS)]
    rng, draws = np.random.default_rng(3), []
    for _ in range(200):
        drawn = np.concatenate([members[unit] for unit in rng.integers(0, N_UNITS, N_UNITS)])
        draws.append(rows(policy_table(priority[drawn], scores[drawn], baseline=baseline[drawn], capacities=(0.1, 0.5)))[:, ::2])
    found = rows(policy_table(priority, scores, baseline=baseline, capacities=(0.1, 0.5), groups=units))
    np.testing.assert_allclose(found[:, 1::2], np.std(draws, axis=0), rtol=0.25)


def test_laws_of_weights_units_order_and_size(sample):
    priority, baseline, scores, units, weights = sample

    def found(take=slice(None), unit=units, **how):
        return rows(policy_table(priority[take], scores[take], baseline=baseline[take], groups=unit[take], **how))

    plain = found()
    np.testing.assert_array_equal(found(sample_weight=np.full(N_ROWS, 2.0)), plain)
    np.testing.assert_allclose(found(sample_weight=2 * weights), found(sample_weight=weights), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(found(unit=np.array([f"unit-{unit:04d}" for unit in units])), plain)
    np.testing.assert_array_equal(found(take=np.random.default_rng(0).permutation(N_ROWS)), plain)
    moved = rows(policy_table(priority, scores + 7.0, baseline=baseline, groups=units))
    np.testing.assert_allclose(moved[:, 4:], plain[:, 4:], atol=1e-10, err_msg="an effect for all moves nothing between policies of equal size")
    np.testing.assert_allclose(moved[:, 0] - plain[:, 0], 7.0 * np.array([0.05, 0.1, 0.2, 0.5, 1.0]), atol=1e-10)
    np.testing.assert_allclose(moved[:, 2] - plain[:, 2], -7.0 * np.array([0.95, 0.9, 0.8, 0.5, 0.0]), atol=1e-10)


def test_units_permuted_within_clusters_of_equal_scores_change_nothing(sample):
    priority, baseline, scores, units, _ = sample
    order = np.argsort(units, kind="stable")
    rng = np.random.default_rng(4)
    within = np.concatenate([rng.permutation(order[units[order] == unit]) for unit in range(N_UNITS)])
    there = policy_table(priority[within], scores[within], baseline=baseline[within], groups=units[order])
    np.testing.assert_array_equal(rows(there), rows(policy_table(priority, scores, baseline=baseline, groups=units)))


def test_random_rankings_cover_zero_at_the_nominal_rate(sample):
    """Over 200 random rankings a 90% interval misses 0 about 20 times; 8 to 34 is what chance allows (99.9%)."""
    _, _, scores, units, _ = sample
    rng, misses = np.random.default_rng(7), np.zeros(2)
    for _ in range(200):
        (policy,) = policy_table(rng.permutation(N_ROWS), scores, baseline=rng.permutation(N_ROWS), capacities=(0.3,), groups=units)
        misses += [not found.low <= 0 <= found.high for found in (policy.over_random, policy.over_risk)]
    assert ((misses >= 8) & (misses <= 34)).all(), misses


def test_a_policy_without_a_limit_by_hand():
    """Whoever is predicted above 1: the first two, whose Γ - 1 are 7 and 1; the others' -1 and 3 are forgone."""
    found = open_policy([3.0, 2.0, 1.0, -1.0], [8.0, 2.0, 0.0, 4.0], cost=1.0)
    assert found.share == 0.5
    assert found.over_nobody.value == pytest.approx(8 / 4)
    assert found.over_everybody.value == pytest.approx(-(-1 + 3) / 4)
    assert found.over_everybody.se == pytest.approx(np.std([0, 0, 1, -3], ddof=1) / 2)
    json.dumps(found.to_state(), allow_nan=False)
    with pytest.raises(ValueError, match="cost must be a finite number"):
        open_policy([1.0, 2.0], [1.0, 2.0], cost=np.inf)


def test_contacting_everybody_gains_nothing_over_everybody(sample):
    _, _, scores, units, weights = sample
    found = open_policy(np.full(N_ROWS, 0.2), scores, groups=units, sample_weight=weights)
    assert (found.share, found.over_everybody.value, found.over_everybody.se) == (1.0, 0.0, 0.0)


def test_policies_over_several_messages_by_hand():
    scores = np.array([[1.0, 3.0], [2.0, -2.0], [6.0, 2.0]])
    assert difference(1, 0, scores).value == pytest.approx(3.0)
    assert difference(2, 1, scores).value == pytest.approx(-2.0)
    assert difference(np.array([2, 1, 1]), 1, scores).value == pytest.approx(2 / 3)
    assert difference(np.array([2, 1, 1]), 1, scores).se == pytest.approx(np.std([2, 0, 0], ddof=1) / np.sqrt(3))
    assert difference(np.full((3, 2), 0.5), 0, scores).value == pytest.approx((2 + 0 + 4) / 3)
    assert difference(np.array([0, 0, 1]), 0.5, scores[:, 0]).value == pytest.approx((-0.5 - 1.0 + 3.0) / 3)


def test_differences_of_policies_are_paired_clustered_and_add_up(sample):
    priority, _, scores, units, weights = sample
    shared = {"groups": units, "sample_weight": weights}
    two = np.column_stack([scores, scores[::-1]])
    personal = np.where(priority > 0, 1, 2)
    parts = [difference(personal, 1, two, **shared), difference(1, 0, two, **shared)]
    whole = difference(personal, 0, two, **shared)
    assert whole.value == pytest.approx(sum(part.value for part in parts))
    assert difference(1, personal, two, **shared).se == pytest.approx(parts[0].se)
    everyone = average_effect(scores, **shared)
    assert (parts[1].value, parts[1].se) == (pytest.approx(everyone.value), pytest.approx(everyone.se))
    fixed = difference(chosen_share(priority, weights, 0.2), 0, scores, **shared)
    (table,) = policy_table(priority, scores, capacities=(0.2,), **shared)
    assert fixed.value == pytest.approx(table.over_nobody.value)
    assert fixed.se != pytest.approx(table.over_nobody.se, rel=1e-3), "a threshold that is estimated has its part in the error"


def test_the_best_message_is_chosen_on_the_other_folds():
    scores = np.array([[5.0, 0.0], [5.0, 0.0], [0.0, 4.0], [0.0, 4.0]])
    assert best_message(scores, folds=[0, 0, 1, 1]).tolist() == [2, 2, 1, 1]
    assert best_message(scores, folds=[0, 1, 0, 1]).tolist() == [1, 1, 1, 1]
    assert best_message(scores, folds=[0, 1, 0, 1], sample_weight=[1, 1, 2, 2]).tolist() == [2, 2, 2, 2]
    with pytest.raises(ValueError, match="at least 2 folds, given 1"):
        best_message(scores, folds=[0, 0, 0, 0])


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (3, "an arm from 0 \\(no contact\\) to 2: 3 of 3 rows"),
        (np.array([0, -1, 1]), "1 of 3 rows"),
        (np.array([0.5, 0.5, 0.5]), r"given shape \(3,\) of float64, expected \(3, 2\)"),
        (np.full((3, 2), 0.6), "add up to at most 1"),
        (np.full((3, 2), -0.1), "at least 0"),
        (np.full((3, 2), np.nan), "at least 0"),
        (np.zeros((2, 2)), r"given shape \(2, 2\)"),
    ],
)
def test_what_is_no_policy_is_refused_in_words(policy, message):
    with pytest.raises(ValueError, match=message):
        difference(policy, 0, np.zeros((3, 2)))


def test_scores_and_capacities_are_checked():
    with pytest.raises(ValueError, match="1 of 2 values"):
        difference(1, 0, [1.0, np.nan])
    with pytest.raises(ValueError, match="given shape \\(0,\\)"):
        difference(1, 0, [])
    with pytest.raises(ValueError, match=r"capacity must lie in \(0, 1\]"):
        policy_table([1.0, 2.0], [1.0, 2.0], capacities=(0.5, 0.0))
