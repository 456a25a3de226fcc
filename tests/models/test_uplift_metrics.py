"""AUTOC, QINI and their kin: laws, slow implementations written from the definition, and coverage."""

import numpy as np
import pytest

from models.uplift_metrics import autoc, average_effect, best_linear_predictor, percentile_ranks, policy_value, qini, toc_curve

N_ROWS, N_GROUPS = 1200, 200


@pytest.fixture(scope="module")
def sample():
    """Clustered scores whose ranking says something: priority, scores, groups, weights."""
    rng = np.random.default_rng(5)
    groups = rng.permutation(np.arange(N_ROWS) % N_GROUPS)
    priority = rng.normal(size=N_ROWS) + rng.normal(size=N_GROUPS)[groups]
    scores = 0.2 + 0.3 * priority + rng.normal(size=N_GROUPS)[groups] + rng.normal(size=N_ROWS)
    return priority, scores, groups, rng.uniform(0.5, 2.0, N_ROWS)


def slow_toc(priority, scores, weights):
    """Each row's TOC, by falling priority, as the definition says: everybody of equal priority has the mean of those who share it."""
    shared = scores.copy()
    for value in np.unique(priority):
        tied = priority == value
        shared[tied] = np.average(scores[tied], weights=weights[tied])
    order = np.argsort(-priority, kind="stable")
    everyone, rows = np.average(scores, weights=weights), []
    for j in range(1, len(order) + 1):
        first = order[:j]
        rows.append((weights[order[j - 1]], weights[first].sum(), np.average(shared[first], weights=weights[first]) - everyone))
    return np.array(rows)


@pytest.mark.oracle
@pytest.mark.parametrize("decimals", [8, 1, 0])
@pytest.mark.parametrize("weighted", [False, True])
def test_autoc_and_qini_follow_the_definition_ties_and_weights_included(sample, decimals, weighted):
    priority, scores, _, weights = (part[:700] for part in sample)
    priority, weights = np.round(priority, decimals), weights if weighted else np.ones(700)
    weight, cumulative, toc = slow_toc(priority, scores, weights).T
    # With weights, the discrete sum depends on the order within a tie: neither grf's order nor ours is better.
    tolerance = 1e-4 if weighted and decimals < 8 else 1e-12
    assert autoc(priority, scores, sample_weight=weights).value == pytest.approx(weight @ toc / weight.sum(), abs=tolerance)
    assert qini(priority, scores, sample_weight=weights).value == pytest.approx(weight @ (cumulative * toc) / weight.sum() ** 2, abs=tolerance)


@pytest.mark.oracle
def test_toc_curve_follows_the_definition(sample):
    priority, scores, _, _ = (part[:1000] for part in sample)
    toc = slow_toc(priority, scores, np.ones(1000))[:, 2]
    curve = toc_curve(priority, scores, fractions=(0.001, 0.1, 0.25, 0.8, 1.0))
    np.testing.assert_allclose(curve.toc, toc[[0, 99, 249, 799, 999]], atol=1e-12)
    assert curve.toc[-1] == pytest.approx(0.0, abs=1e-12)
    assert curve.high[-1] - curve.low[-1] == pytest.approx(0.0, abs=1e-12)
    assert (curve.low <= curve.toc).all()
    assert (curve.toc <= curve.high).all()


def test_a_small_table_worked_out_by_hand_as_grf_sums_it():
    """Six units of total weight 7, by falling priority; b and c are tied and share their mean, d counts twice.

    As `estimate_rate` of grf has it (r-package/grf/R/rank_average_treatment.R), with W the total weight and C_j = Σ_{i≤j} w_i: TOC_j = Σ_{i≤j} w_i·Γ_i / C_j
    less the average, AUTOC = Σ w_j·TOC_j / W, QINI = Σ (C_j / W)·w_j·TOC_j / W; at a share q that lies inside a unit, that unit is used in part.

        unit  S  w   Γ   Γ shared   C_j   Σ w·Γ   mean    TOC_j = mean - 14/7
        a     9  1   6      6        1      6     6        4
        b     7  1   4      2        2      8     4        2
        c     7  1   0      2        3     10     10/3     4/3
        d     5  2   1      1        5     12     12/5     2/5
        e     3  1  -1     -1        6     11     11/6    -1/6
        f     1  1   3      3        7     14     2        0
    """
    table = [(9, 1, 6.0), (7, 1, 4.0), (7, 1, 0.0), (5, 2, 1.0), (3, 1, -1.0), (1, 1, 3.0)]
    priority, weights, scores = (np.array(column, dtype=float) for column in zip(*table, strict=True))
    assert average_effect(scores, sample_weight=weights).value == pytest.approx(14 / 7)
    curve = toc_curve(priority, scores, sample_weight=weights, fractions=(1 / 7, 2 / 7, 3 / 7, 1 / 2, 5 / 7, 6 / 7, 1.0))
    inside = (10 + 0.5 * 1) / 3.5 - 2  # half of all weight, 3.5: a, b, c, and .5 of d's 2
    np.testing.assert_allclose(curve.toc, [4, 2, 4 / 3, inside, 2 / 5, -1 / 6, 0], atol=1e-12)
    assert inside == 1.0
    area = (1 * 4 + 1 * 2 + 1 * 4 / 3 + 2 * 2 / 5 + 1 * -1 / 6 + 1 * 0) / 7
    assert area == pytest.approx(239 / 210)  # 4 + 2 + 4/3 + 4/5 - 1/6 = 239/30
    assert autoc(priority, scores, sample_weight=weights).value == pytest.approx(239 / 210, abs=1e-12)
    weighted = (1 * 1 * 4 + 2 * 1 * 2 + 3 * 1 * 4 / 3 + 5 * 2 * 2 / 5 + 6 * 1 * -1 / 6 + 7 * 1 * 0) / 7**2
    assert weighted == pytest.approx(15 / 49)  # 4 + 4 + 4 + 4 - 1 = 15
    assert qini(priority, scores, sample_weight=weights).value == pytest.approx(15 / 49, abs=1e-12)


def test_a_tie_across_the_threshold_is_used_in_part():
    curve = toc_curve([2, 1, 1, 0], [8.0, 2.0, 4.0, 0.0], fractions=(0.25, 0.5, 0.75))
    np.testing.assert_allclose(curve.toc, [8 - 3.5, (8 + 3) / 2 - 3.5, (8 + 6) / 3 - 3.5])


def measures(priority, scores, groups, **how):
    curve = toc_curve(priority, scores, groups=groups, fractions=(0.1, 0.5), **how)
    line = best_linear_predictor(priority, scores, groups=groups, **how)
    found = [autoc, qini, lambda *args, **more: policy_value(*args, 0.3, **more)]
    estimates = [measure(priority, scores, groups=groups, **how) for measure in found] + [line.slope]
    return np.array([[item.value, item.se] for item in estimates] + [[toc, high] for toc, high in zip(curve.toc, curve.high, strict=True)])


def test_row_order_changes_no_bit(sample):
    priority, scores, groups, weights = sample
    shuffled = np.random.default_rng(0).permutation(len(priority))
    there = measures(np.round(priority, 1)[shuffled], scores[shuffled], groups[shuffled], sample_weight=weights[shuffled])
    np.testing.assert_array_equal(there, measures(np.round(priority, 1), scores, groups, sample_weight=weights))


def test_doubling_a_constant_weight_changes_no_bit(sample):
    priority, scores, groups, weights = sample
    plain = measures(priority, scores, groups)
    for constant in (0.1, 1.0, 2.0):
        np.testing.assert_array_equal(measures(priority, scores, groups, sample_weight=np.full(len(scores), constant)), plain)
    np.testing.assert_allclose(
        measures(priority, scores, groups, sample_weight=2 * weights), measures(priority, scores, groups, sample_weight=weights), rtol=1e-12
    )


def test_only_the_order_of_priorities_counts(sample):
    priority, scores, groups, _ = sample
    np.testing.assert_array_equal(measures(np.exp(priority), scores, groups)[[0, 1, 2, 4, 5]], measures(priority, scores, groups)[[0, 1, 2, 4, 5]])


def test_an_effect_for_all_moves_only_the_average(sample):
    priority, scores, groups, _ = sample
    np.testing.assert_allclose(measures(priority, scores + 7.0, groups), measures(priority, scores, groups), atol=1e-10)
    moved = average_effect(scores + 7.0, groups=groups).value - average_effect(scores, groups=groups).value
    assert moved == pytest.approx(7.0)


def test_everything_is_in_units_of_the_outcome(sample):
    priority, scores, groups, _ = sample
    np.testing.assert_allclose(measures(priority, 100 * scores, groups), 100 * measures(priority, scores, groups), rtol=1e-9, atol=1e-9)


def test_groups_relabelled_or_permuted_within_clusters_change_nothing(sample):
    priority, scores, groups, _ = sample
    relabelled = np.array([f"unit-{group:04d}" for group in groups])
    np.testing.assert_array_equal(measures(priority, scores, relabelled), measures(priority, scores, groups))
    permuted = groups.copy()
    rng = np.random.default_rng(1)
    for group in np.unique(groups):
        permuted[groups == group] = rng.permutation(permuted[groups == group])
    np.testing.assert_array_equal(measures(priority, scores, permuted), measures(priority, scores, groups))


def test_a_constant_priority_says_nothing(sample):
    _, scores, groups, _ = sample
    for value, error in measures(np.full(len(scores), 0.1), scores, groups)[:4]:
        assert value == pytest.approx(0.0, abs=1e-12)
        assert error == pytest.approx(0.0, abs=1e-12)
    assert autoc(np.full(len(scores), 0.1), scores).value == 0.0


def test_random_priorities_cover_zero_at_the_nominal_rate(sample):
    """Over 200 random rankings a 90% interval misses 0 about 20 times; 8 to 34 is what chance allows (99.9%)."""
    _, scores, groups, _ = sample
    rng = np.random.default_rng(7)
    misses = np.zeros(3)
    for _ in range(200):
        priority = rng.permutation(len(scores))
        for number, found in enumerate(
            [autoc(priority, scores, groups=groups), qini(priority, scores, groups=groups), policy_value(priority, scores, 0.2, groups=groups)]
        ):
            misses[number] += not found.low <= 0 <= found.high
    assert (misses >= 8).all(), misses
    assert (misses <= 34).all(), misses


def test_priorities_random_by_cluster_need_clustered_errors(sample):
    """A ranking of whole clusters is random too; without clustering its intervals would miss 0 far too often."""
    _, scores, groups, _ = sample
    rng = np.random.default_rng(8)
    misses = {"clustered": 0, "not": 0}
    for _ in range(100):
        priority = rng.normal(size=N_GROUPS)[groups]
        for name, unit in (("clustered", groups), ("not", None)):
            found = autoc(priority, scores, groups=unit)
            misses[name] += not found.low <= 0 <= found.high
    assert misses["clustered"] <= 21, misses
    assert misses["not"] > 25, misses


@pytest.mark.oracle
@pytest.mark.parametrize("decimals", [8, 0])
def test_standard_errors_agree_with_a_bootstrap_over_clusters(sample, decimals):
    priority, scores, groups, _ = sample
    priority = np.round(priority, decimals)
    rows = [np.flatnonzero(groups == group) for group in range(N_GROUPS)]
    rng = np.random.default_rng(9)
    draws = []
    for _ in range(150):
        drawn = np.concatenate([rows[group] for group in rng.integers(0, N_GROUPS, N_GROUPS)])
        draws.append(measures(priority[drawn], scores[drawn], None)[:, 0])
    found = measures(priority, scores, groups)
    errors = np.r_[found[:4, 1], (found[4:, 1] - found[4:, 0]) / 1.6448536]
    np.testing.assert_allclose(errors, np.std(draws, axis=0), rtol=0.25)


def test_policy_value_is_capacity_times_toc_and_paired_differences_add_up(sample):
    priority, scores, groups, _ = sample
    other = np.round(scores + np.random.default_rng(2).normal(size=len(scores)), 1)
    for capacity in (0.05, 0.2, 0.9):
        toc = toc_curve(priority, scores, groups=groups, fractions=(capacity,))
        ours, theirs = (policy_value(rank, scores, capacity, groups=groups) for rank in (priority, other))
        assert ours.value == pytest.approx(capacity * toc.toc[0])
        assert ours.high == pytest.approx(capacity * toc.high[0])
        paired = policy_value(priority, scores, capacity, against=other, groups=groups)
        assert paired.value == pytest.approx(ours.value - theirs.value)
        assert policy_value(other, scores, capacity, against=priority, groups=groups).se == pytest.approx(paired.se)
    itself = policy_value(priority, scores, 0.2, against=priority, groups=groups)
    assert (itself.value, itself.se) == (0.0, 0.0)


@pytest.mark.oracle
def test_slope_is_least_squares_with_fold_means_and_a_cluster_sandwich(sample):
    priority, scores, groups, weights = sample
    folds = groups % 5
    line = best_linear_predictor(priority, scores, folds=folds, groups=groups, sample_weight=weights)
    design = np.column_stack([priority, *(folds == fold for fold in range(5))]).astype(float)
    root = np.sqrt(weights)
    coefficients = np.linalg.lstsq(design * root[:, None], scores * root, rcond=None)[0]
    assert line.slope.value == pytest.approx(coefficients[0])
    inverse = np.linalg.inv(design.T @ (design * weights[:, None]))
    residual = weights * (scores - design @ coefficients)
    sums = np.stack([np.bincount(groups, column * residual) for column in design.T])
    n_groups = len(np.unique(groups))
    sandwich = inverse @ (sums @ sums.T) @ inverse * n_groups / (n_groups - 1)
    assert line.slope.se == pytest.approx(np.sqrt(sandwich[0, 0]))
    assert line.average.value == pytest.approx(np.average(scores, weights=weights))


def test_fold_means_take_away_the_bias_of_cross_fitting():
    """Predict each fold by the mean of the others: nothing is known, yet without fold means the slope would be -(K - 1) exactly."""
    rng = np.random.default_rng(4)
    folds = np.repeat(np.arange(5), 40)
    scores = rng.normal(size=200)
    uplift = np.array([scores[folds != fold].mean() for fold in folds])
    assert best_linear_predictor(uplift, scores).slope.value == pytest.approx(-4.0)
    held = best_linear_predictor(uplift, scores, folds=folds).slope
    assert (held.value, held.se) == (0.0, 0.0)


def test_percentile_ranks_are_within_folds_and_share_ties():
    ranks = percentile_ranks([5, 1, 1, 9, 20, 10], folds=[0, 0, 0, 0, 1, 1])
    np.testing.assert_allclose(ranks, [0.625, 0.25, 0.25, 0.875, 0.75, 0.25])
    assert (percentile_ranks(np.full(7, 3.3), folds=[0, 0, 0, 1, 1, 1, 1]) == 0.5).all()
    np.testing.assert_allclose(percentile_ranks([1, 2], sample_weight=[3, 1]), [0.375, 0.875])
    uneven = np.random.default_rng(0).uniform(0.5, 2.0, 1000)
    assert (percentile_ranks(np.full(1000, 3.3), folds=np.arange(1000) % 7, sample_weight=uneven) == 0.5).all(), "rounding must not tell folds apart"
    assert percentile_ranks([]).shape == (0,)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"priority": [1.0, np.nan, 2.0]}, "must be finite: 1 of 3"),
        ({"priority": [1.0, 2.0]}, r"given shape \(2,\), expected \(3,\)"),
        ({"scores": [1.0, np.inf, 2.0]}, "scores must be finite"),
        ({"scores": [[1.0], [2.0], [3.0]]}, r"given shape \(3, 1\)"),
        ({"groups": ["a", "a", "a"]}, "at least 2 assignment units"),
        ({"groups": ["a", None, "b"]}, "no group"),
        ({"sample_weight": [1.0, 0.0, 1.0]}, "must be positive"),
        ({"sample_weight": [1.0, 1.0]}, "sample_weight must be one number per row"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(how, message):
    given = {"priority": [1.0, 2.0, 3.0], "scores": [1.0, 2.0, 3.0], **how}
    with pytest.raises(ValueError, match=message):
        autoc(**given)


@pytest.mark.parametrize("capacity", [0.0, -0.1, 1.5, np.nan])
def test_a_capacity_is_a_share_of_the_people(capacity):
    with pytest.raises(ValueError, match=r"capacity must lie in \(0, 1\]"):
        policy_value([1.0, 2.0], [1.0, 2.0], capacity)
