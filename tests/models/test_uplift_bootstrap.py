"""Half-samples of units: what is drawn, that it is fixed by the seed, and that it agrees with theory and with influence functions."""

import itertools

import numpy as np
import pytest

from models.uplift_bootstrap import half_sample, half_samples
from models.uplift_metrics import autoc, best_linear_predictor, policy_value, qini

N_ROWS, N_UNITS = 600, 200


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(21)
    units = rng.permutation(np.arange(N_ROWS) % N_UNITS)
    priority = rng.normal(size=N_ROWS) + rng.normal(size=N_UNITS)[units]
    scores = 0.2 + 0.3 * priority + rng.normal(size=N_UNITS)[units] + rng.normal(size=N_ROWS)
    return priority, scores, units


def test_a_half_sample_is_half_of_the_units_whole():
    units = np.array(["a", "b", "b", "c", "d", "e", "a"])
    for rows in half_samples(units, n_draws=20):
        drawn = set(units[rows])
        assert len(drawn) == 2
        assert rows.tolist() == [row for row, unit in enumerate(units) if unit in drawn]


@pytest.mark.oracle
def test_over_all_halves_a_mean_varies_as_the_theory_says():
    """Of 6 values there are 20 halves; their means have the variance S²/6 exactly, as the mean over all has from sample to sample."""
    values = np.array([1.0, 4.0, 2.0, 8.0, 5.0, 7.0])
    means = [values[list(half)].mean() for half in itertools.combinations(range(6), 3)]
    assert np.var(means) == pytest.approx(np.var(values, ddof=1) / 6)
    found = half_sample(lambda rows: {"mean": values[rows].mean()}, np.arange(6), n_draws=2000)["mean"]
    assert found.value == pytest.approx(values.mean())
    assert found.se == pytest.approx(np.std(values, ddof=1) / np.sqrt(6), rel=0.05)


@pytest.mark.oracle
def test_it_agrees_with_influence_functions_on_clustered_data(sample):
    """300 draws know a standard error to 4%, and 200 units another 5%; three of these together are 20%."""
    priority, scores, units = sample
    random = np.random.default_rng(0).permutation(N_ROWS)

    def estimates(rows):
        given = {"priority": priority[rows], "scores": scores[rows], "groups": units[rows]}
        line = best_linear_predictor(given["priority"], given["scores"], groups=given["groups"])
        paired = policy_value(**given, capacity=0.3, against=random[rows])
        return {"ate": line.average, "slope": line.slope, "autoc": autoc(**given), "qini": qini(**given), "policy": paired}

    found = half_sample(lambda rows: {name: each.value for name, each in estimates(rows).items()}, units, n_draws=300)
    for name, exact in estimates(np.arange(N_ROWS)).items():
        assert found[name].value == exact.value
        assert found[name].se == pytest.approx(exact.se, rel=0.2), name
        assert found[name].high - found[name].value == pytest.approx(1.6448536 * found[name].se)


def test_it_follows_from_the_seed_and_not_from_the_order_of_rows(sample):
    priority, scores, units = sample

    def found(order, **how):
        measure = lambda rows: {"autoc": autoc(priority[order][rows], scores[order][rows], groups=units[order][rows]).value}  # noqa: E731
        return half_sample(measure, units[order], n_draws=10, **how)["autoc"]

    plain = found(np.arange(N_ROWS))
    assert found(np.arange(N_ROWS)) == plain
    assert found(np.random.default_rng(1).permutation(N_ROWS)) == plain
    assert found(np.arange(N_ROWS), random_state=1).se != plain.se


def test_progress_is_told_after_each_draw():
    told = []
    half_sample(lambda rows: {"mean": rows.mean()}, np.arange(8), n_draws=4, progress=lambda *stage: told.append(stage))
    assert told == [("half-samples", share) for share in (0.25, 0.5, 0.75, 1.0)]


def test_draws_without_a_measure_do_not_count():
    units = np.arange(8)
    found = half_sample(lambda rows: {"seldom": float("nan") if 0 in rows else rows.mean(), "never": float("nan")}, units, n_draws=100)
    assert found["seldom"].se > 0
    assert np.isnan(found["never"].se)


@pytest.mark.parametrize(
    ("units", "draws", "message"),
    [(np.arange(3), 10, "given 3 units"), (np.arange(9), 1, "n_draws must be at least 2"), (np.array(["a", None, "b", "c", "d"]), 10, "no group")],
)
def test_what_cannot_be_drawn_is_refused_in_words(units, draws, message):
    with pytest.raises(ValueError, match=message):
        half_sample(lambda rows: {"mean": rows.mean()}, units, n_draws=draws)
