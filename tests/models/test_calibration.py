"""Per-topic Platt scaling, partially pooled."""

import json

import numpy as np
import pytest
from scipy import optimize, special
from sklearn.linear_model import LogisticRegression

from models import calibration
from models.calibration import TopicPlatt


def _rows(sizes, intercepts, slopes, seed=0):
    generator = np.random.default_rng(seed)
    topic = np.repeat(np.arange(len(sizes)), sizes)
    margin = generator.normal(-1.0, 1.2, len(topic))
    p = special.expit(np.array(intercepts)[topic] + np.array(slopes)[topic] * margin)
    return margin, topic, (generator.random(len(topic)) < p).astype(float)


def test_true_maps_come_back_from_many_rows():
    margin, topic, y = _rows([60_000, 60_000], [0.4, -0.6], [0.7, 1.3])
    found = TopicPlatt().fit(margin, topic, y, n_topics=2)
    np.testing.assert_allclose(found.intercept_, [0.4, -0.6], atol=0.05)
    np.testing.assert_allclose(found.slope_, [0.7, 1.3], atol=0.05)


@pytest.mark.oracle
def test_with_one_large_topic_it_is_an_unpenalised_logistic_regression():
    margin, topic, y = _rows([30_000], [0.3], [0.8])
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(margin[:, None], y)
    found = TopicPlatt().fit(margin, topic, y, n_topics=1)
    assert found.intercept_[0] == pytest.approx(oracle.intercept_[0], abs=4e-3)
    assert found.slope_[0] == pytest.approx(oracle.coef_[0, 0], abs=4e-3)


def test_people_without_history_have_a_level_of_their_own():
    generator = np.random.default_rng(4)
    margin, topic, cold = generator.normal(-1, 1, 40_000), generator.integers(0, 2, 40_000), generator.random(40_000) < 0.3
    y = (generator.random(40_000) < special.expit(0.2 + margin - 0.7 * cold)).astype(float)
    found = TopicPlatt().fit(margin, topic, y, n_topics=2, cold=cold)
    assert found.cold_ == pytest.approx(-0.7, abs=0.06)
    np.testing.assert_allclose(found.margin(margin[:9], topic[:9], cold[:9]), found.margin(margin[:9], topic[:9]) + found.cold_ * cold[:9])
    again = TopicPlatt.from_state(json.loads(json.dumps(found.to_state())))
    assert again.cold_ == found.cold_
    earlier = {key: value for key, value in found.to_state().items() if key != "cold"}
    assert TopicPlatt.from_state(earlier).cold_ == 0.0
    with pytest.raises(ValueError, match="finite"):
        TopicPlatt.from_state(found.to_state() | {"cold": float("nan")})


def test_a_rare_topic_leans_on_the_others():
    margin, topic, y = _rows([20_000, 20_000, 6], [0.5, 0.5, 0.5], [0.8, 0.8, 0.8])
    y[topic == 2] = 0.0
    found = TopicPlatt().fit(margin, topic, y, n_topics=3)
    assert -0.3 < found.intercept_[2] - 0.5 < 0.0
    assert abs(found.slope_[2] - 0.8) < 0.1


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_stays_finite_with_positive_slopes(label):
    margin, topic, _ = _rows([500, 0], [0, 0], [1, 1])
    found = TopicPlatt().fit(margin, topic, np.full(500, label), n_topics=2)
    assert np.isfinite(found.intercept_).all()
    assert (found.slope_ > 0).all()


def test_an_anti_predictive_margin_keeps_the_order_of_scores():
    margin, topic, y = _rows([5_000], [0.0], [-1.0])
    assert TopicPlatt().fit(margin, topic, y, n_topics=1).slope_[0] > 0


def test_zero_rows_give_the_identity():
    nothing = np.zeros(0)
    found = TopicPlatt().fit(nothing, np.zeros(0, dtype=int), nothing, n_topics=2)
    np.testing.assert_array_equal(found.intercept_, [0, 0])
    np.testing.assert_array_equal(found.slope_, [1, 1])


def test_weights_are_repetitions_up_to_convergence():
    margin, topic, y = _rows([300, 300], [0.2, -0.2], [0.9, 1.1])
    times = np.random.default_rng(1).integers(0, 4, len(y))
    weighted = TopicPlatt().fit(margin, topic, y, n_topics=2, sample_weight=times.astype(float))
    repeated = TopicPlatt().fit(np.repeat(margin, times), np.repeat(topic, times), np.repeat(y, times), n_topics=2)
    np.testing.assert_allclose(weighted.intercept_, repeated.intercept_, atol=1e-5)
    np.testing.assert_allclose(weighted.slope_, repeated.slope_, atol=1e-5)


def test_the_state_is_json_and_comes_back_to_the_bit():
    margin, topic, y = _rows([300, 300], [0.2, -0.2], [0.9, 1.1])
    found = TopicPlatt().fit(margin, topic, y, n_topics=2)
    again = TopicPlatt.from_state(json.loads(json.dumps(found.to_state())))
    np.testing.assert_array_equal(again.margin(margin, topic), found.margin(margin, topic))


@pytest.mark.parametrize(
    "state", [{"intercept": [0.0], "slope": [-1.0]}, {"intercept": [0.0, 1.0], "slope": [1.0]}, {"intercept": [float("inf")], "slope": [1.0]}]
)
def test_a_state_that_cannot_be_is_refused(state):
    with pytest.raises(ValueError, match="positive slope"):
        TopicPlatt.from_state(state)


def test_margins_and_labels_must_be_finite():
    with pytest.raises(ValueError, match="finite margins"):
        TopicPlatt().fit(np.array([np.nan]), np.array([0]), np.array([1.0]), n_topics=1)


def test_how_far_topics_differ_is_learned_from_them():
    """With 150 rows a topic, eight topics: where they truly differ each has its own level, where they do not they share one."""
    sizes, apart = [150] * 8, np.linspace(-1.5, 1.5, 8)
    differing = TopicPlatt().fit(*_rows(sizes, apart, np.ones(8)), n_topics=8)
    alike = TopicPlatt().fit(*_rows(sizes, np.zeros(8), np.ones(8)), n_topics=8)
    assert np.corrcoef(differing.intercept_, apart)[0, 1] > 0.95
    assert np.ptp(differing.intercept_) > 2.2
    assert np.ptp(alike.intercept_) < 0.25


@pytest.mark.oracle
@pytest.mark.parametrize("spread", [0.1, 0.8])
def test_gradient_and_information_are_the_derivatives_of_the_objective(spread):
    generator = np.random.default_rng(2)
    margin, topic, y = _rows([400, 300, 20], [0.5, -0.5, 0.0], [0.8, 1.2, 1.0])
    held = calibration._HeldOut(margin, topic, y, generator.uniform(0.5, 2.0, len(y)), (generator.random(len(y)) < 0.3).astype(float), 3)
    theta, step = generator.normal(0, 0.5, 9), 1e-5
    moved = [[held.objective(theta + sign * step * one, spread) for sign in (1, -1)] for one in np.eye(9)]
    slopes = np.array([(ahead[0] - behind[0]) / (2 * step) for ahead, behind in moved])
    np.testing.assert_allclose(slopes, held.objective(theta, spread)[1], rtol=1e-5, atol=1e-4)
    found = optimize.minimize(held.objective, theta, args=(spread,), jac=True, method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 1e-15}).x
    curved = np.array([(held.objective(found + step * one, spread)[1] - held.objective(found - step * one, spread)[1]) / (2 * step) for one in np.eye(9)])
    information = held.information(found, spread)
    # Fisher's information is the expected curvature; what is observed differs by the residuals along the logarithm of slopes, zero up to the prior at the mode
    np.testing.assert_allclose(information, curved, atol=2.0)
    np.testing.assert_allclose(information[0], curved[0], rtol=1e-4, atol=1e-4)


@pytest.mark.oracle
def test_the_evidence_is_the_integral_over_the_prior():
    """With one topic of few rows, Laplace's approximation against a sum over a fine grid of offset and log slope, up to the same constant for all spreads."""
    margin, topic, y = _rows([40], [0.3], [0.9])
    held = calibration._HeldOut(margin, topic, y, np.ones(40), np.zeros(40), 1)

    def exact(spread):
        # common and own deviations add up: the prior of their sum is normal with the sum of variances
        offset_sd = np.hypot(calibration.OFFSET_SD, spread)
        slope_sd = np.hypot(calibration.SLOPE_SD, calibration.SLOPE_PER_OFFSET * spread)
        offset, slope = np.meshgrid(np.linspace(-4, 4, 161) * offset_sd, np.linspace(-4, 4, 161) * slope_sd)
        logit = offset[..., None] + np.exp(slope[..., None]) * margin
        loss = np.sum(np.logaddexp(0, logit) - y * logit, axis=-1)
        return special.logsumexp(-loss - 0.5 * (offset / offset_sd) ** 2 - 0.5 * (slope / slope_sd) ** 2)

    def laplace(spread):
        found = optimize.minimize(held.objective, np.zeros(5), args=(spread,), jac=True, method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 1e-15})
        return held.evidence(found.x, spread)

    assert laplace(0.8) - laplace(0.05) == pytest.approx(exact(0.8) - exact(0.05), abs=0.05)
