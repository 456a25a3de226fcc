import numpy as np
import pytest
from scipy import special
from sklearn.linear_model import LogisticRegression

from models import metrics
from training.miscalibration import PRIOR_SD, Miscalibration, coefficients, error_by_chance
from training.resampling import PersonBootstrap


def boot(people, draws=400):
    return PersonBootstrap(people, draws=draws, seed=0, coverage=0.95)


def pairs(n=8_000, *, offset=0.0, slope=1.0, seed=0, topics=4):
    """Draw people of `topics` pairs each, whose log-odds are offset + slope · logit(p)."""
    random = np.random.default_rng(seed)
    p = random.beta(1, 8, n)
    y = (random.random(n) < special.expit(offset + slope * special.logit(p))).astype(float)
    return np.repeat(np.arange(n // topics), topics), y, p


def found_of(person, y, p):
    return Miscalibration.of(boot(np.unique(person)), person, y, p)


def test_calibrated_probabilities_are_found_calibrated():
    found = found_of(*pairs())
    assert found.offset.low < 0 < found.offset.high
    assert found.slope.low < 1 < found.slope.high
    assert found.observed.low < found.predicted < found.observed.high
    assert found.ece.value < 2 * found.ece_by_chance


@pytest.mark.parametrize(("offset", "slope"), [(-0.7, 1.0), (0.5, 1.0), (-0.4, 0.6), (0.0, 1.4)])
def test_what_was_put_in_is_found(offset, slope):
    found = found_of(*pairs(offset=offset, slope=slope))
    assert found.slope.low < slope < found.slope.high
    if slope == 1.0:
        assert found.offset.low < offset < found.offset.high
        assert abs(found.offset.value) > 5 * found.offset.se


def test_coefficients_are_those_of_logistic_regression():
    person, y, p = pairs(offset=-0.3, slope=0.8)
    logit = special.logit(p)
    oracle = LogisticRegression(C=2 * PRIOR_SD**2 * 1e6, tol=1e-10).fit(logit[:, None], y)
    assert found_of(person, y, p).slope.value == pytest.approx(oracle.coef_[0, 0], abs=2e-3)
    level = found_of(person, y, p).offset.value
    assert special.expit(logit + level).mean() == pytest.approx(y.mean(), abs=1e-4), "the offset meets the observed rate"


def test_standard_errors_are_those_of_refitting_under_draws_of_people():
    """Half of the people answer everything or nothing: rows are not independent, and the model's own standard error is too small."""
    random = np.random.default_rng(3)
    person, y, p = pairs(2_000, seed=3)
    alike = random.random(500) < 0.5
    y = np.where(alike[person], y.reshape(500, 4)[person, 0], y)
    logit, ones, who = special.logit(p), np.ones((len(y), 1)), boot(np.arange(500))
    value, se = coefficients(who, person, y, logit, ones)
    refits = []
    for weights in who.weights[:200]:
        rows = np.repeat(np.arange(len(y)), weights[person].astype(int))
        alone = boot(np.arange(500), draws=2)
        refits.append(coefficients(alone, person[rows], y[rows], logit[rows], ones[rows])[0])
    assert se == pytest.approx(np.std(refits, ddof=1), rel=0.15)
    information = np.sum(special.expit(logit + value) * special.expit(-logit - value))
    assert se > 1.2 / np.sqrt(information)


def test_nobody_answered_is_finite_and_tells_many_from_few():
    for n, sure in ((40, False), (4_000, True)):
        person, _, p = pairs(n)
        found = found_of(person, np.zeros(n), p)
        assert np.isfinite([found.offset.value, found.offset.se, found.slope.value, found.slope.se, found.observed.se]).all()
        assert found.offset.value < -1
        assert (abs(found.offset.value) > 3.5 * found.offset.se) == sure


def test_the_error_by_chance_is_what_calibrated_probabilities_show():
    random = np.random.default_rng(4)
    p = random.beta(1, 8, 3_000)
    shown = [metrics.ece((random.random(3_000) < p).astype(float), p) for _ in range(100)]
    assert error_by_chance((random.random(3_000) < p).astype(float), p) == pytest.approx(np.mean(shown), rel=0.1)


def test_the_order_of_pairs_changes_nothing():
    person, y, p = pairs(400)
    order = np.random.default_rng(0).permutation(400)
    first, second = found_of(person, y, p).to_state(), found_of(person[order], y[order], p[order]).to_state()
    assert first["offset"] == pytest.approx(second["offset"])
    assert first["slope"] == pytest.approx(second["slope"])
    assert first["ece_by_chance"] == pytest.approx(second["ece_by_chance"])
