import numpy as np
import pytest

from models import metrics
from training.resampling import PersonBootstrap


@pytest.fixture
def rows():
    random = np.random.default_rng(3)
    person = random.integers(0, 80, 400)
    p = random.beta(1, 5, 400).round(2)
    return person, (random.random(400) < p).astype(float), p, np.arange(400)


def boot(person, draws=2000):
    return PersonBootstrap(person, draws=draws, seed=1, coverage=0.9)


def test_values_are_those_of_the_measures(rows):
    person, y, p, row = rows
    found = boot(person, draws=10)
    assert found.auc(y, p, row)[0] == pytest.approx(metrics.auc(y, p))
    assert found.calibration_error("ece", y, p, row).value == pytest.approx(metrics.ece(y, p))
    assert found.mean("loss", (p - y) ** 2).value == pytest.approx(metrics.brier(y, p))


def test_standard_errors_agree_with_the_plain_bootstrap(rows):
    person, y, p, row = rows
    found = boot(person)
    for fast, measure in [
        (found.average("auc", [found.auc(y, p, row)]), lambda w: metrics.auc(y, p, w)),
        (found.average("precision", [found.average_precision(y, p, row)]), lambda w: metrics.average_precision(y, p, w)),
        (found.mean("brier", (p - y) ** 2), lambda w: metrics.brier(y, p, w)),
        (found.calibration_error("ece", y, p, row), lambda w: metrics.ece(y, p, w)),
    ]:
        plain = metrics.bootstrap("plain", measure, person, n_draws=1500)
        assert fast.value == pytest.approx(plain.value)
        assert fast.se == pytest.approx(plain.se, rel=0.1)
        assert (fast.low, fast.high) == pytest.approx((plain.low, plain.high), abs=0.4 * plain.se)


def test_a_draw_is_the_measure_under_its_weights(rows):
    person, y, p, row = rows
    found = boot(person, draws=5)
    value, draws = found.auc(y, p, row)
    weights = found.weights[2][found.codes]
    assert draws[2] == pytest.approx(metrics.auc(y, p, weights))
    assert value == pytest.approx(metrics.auc(y, p))


def test_people_are_drawn_whole():
    values = np.array([1.0, 1.0, 0.0, 0.0])
    alone = boot([0, 1, 2, 3]).mean("m", values)
    pairs = boot([0, 0, 1, 1]).mean("m", values)
    assert pairs.se == pytest.approx(np.sqrt(2) * alone.se, rel=0.1)
    assert boot([0, 1, 2, 3]).weights.sum(axis=1).tolist() == [4.0] * 2000


def test_equal_seeds_give_equal_draws_and_order_of_rows_changes_nothing(rows):
    person, y, p, row = rows
    order = np.random.default_rng(0).permutation(400)
    first, second = boot(person, 50).auc(y, p, row), boot(person[order], 50).auc(y[order], p[order], row)
    assert np.allclose(first[1], second[1])


def test_ratio_of_means(rows):
    person, y, _, _ = rows
    ones = np.ones(400)
    found = boot(person).ratio("lift", (y, ones), (y, ones))
    assert (found.value, found.se) == (pytest.approx(1), pytest.approx(0, abs=1e-12))


def test_an_undefined_measure_is_not_a_number():
    found = boot([0, 1])
    assert np.isnan(found.average("auc", [found.auc(np.zeros(2), np.ones(2), np.arange(2))]).value)
    assert np.isnan(found.average("none", []).value)
