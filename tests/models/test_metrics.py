"""Measures of probabilities against scikit-learn, and the bootstrap over people against theory."""

import numpy as np
import pytest
from sklearn import metrics as oracle

from models.metrics import Estimate, auc, average_precision, bootstrap, brier, ece, log_loss, ndcg_at_k, reliability


@pytest.fixture
def scored():
    generator = np.random.default_rng(1)
    p = np.round(generator.beta(1, 3, 700), 2)
    return (generator.random(700) < p).astype(float), p, generator.integers(0, 4, 700).astype(float)


@pytest.mark.oracle
def test_log_loss_brier_and_auc_equal_scikit_learn_with_weights_and_ties(scored):
    y, p, weight = scored
    assert log_loss(y, p, weight) == pytest.approx(oracle.log_loss(y, np.clip(p, 1e-15, 1 - 1e-15), sample_weight=weight), abs=1e-12)
    assert brier(y, p, weight) == pytest.approx(oracle.brier_score_loss(y, p, sample_weight=weight), abs=1e-12)
    assert auc(y, p, weight) == pytest.approx(oracle.roc_auc_score(y, p, sample_weight=weight), abs=1e-12)


@pytest.mark.oracle
def test_ndcg_equals_scikit_learn_with_ties():
    generator = np.random.default_rng(2)
    Y, P = (generator.random((200, 13)) < 0.2).astype(float), np.round(generator.random((200, 13)), 1)
    some = Y.sum(axis=1) > 0
    assert ndcg_at_k(Y, P, 5) == pytest.approx(oracle.ndcg_score(Y[some], P[some], k=5), abs=1e-12)


def test_ndcg_leaves_out_unknown_labels_and_people_without_a_positive():
    Y, P = np.array([[1.0, np.nan, 0.0], [0.0, 0.0, 0.0]]), np.array([[0.2, 0.9, 0.1], [0.3, 0.2, 0.1]])
    assert ndcg_at_k(Y, P, 2) == 1.0


def test_weights_are_repetitions(scored):
    y, p, weight = scored
    times = weight.astype(int)
    for measure in (log_loss, brier, auc, ece):
        assert measure(y, p, weight) == pytest.approx(measure(np.repeat(y, times), np.repeat(p, times)), abs=1e-12)


def test_the_complement_has_the_same_loss_and_calibration_and_auc(scored):
    y, p, _ = scored
    for measure in (log_loss, brier, auc):
        assert measure(1 - y, 1 - p) == pytest.approx(measure(y, p), abs=1e-12)


def test_ece_of_a_constant_is_its_distance_from_the_rate():
    y = np.array([1.0, 0.0, 0.0, 0.0])
    assert ece(y, np.full(4, 0.5)) == pytest.approx(0.25)
    assert reliability(y, np.full(4, 0.5))[0].count == 4


def test_nothing_to_measure_is_nan():
    empty = np.zeros(0)
    for measure in (log_loss, brier, auc, ece):
        assert np.isnan(measure(empty, empty))
    assert np.isnan(auc(np.ones(3), np.arange(3.0)))
    assert np.isnan(ndcg_at_k(np.zeros((0, 3)), np.zeros((0, 3)), 2))


def test_the_bootstrap_resamples_people_and_not_rows():
    generator = np.random.default_rng(3)
    per_person = generator.normal(size=300)
    values, groups = np.repeat(per_person, 10), np.repeat(np.arange(300), 10)
    found = bootstrap("mean", lambda weight: float(np.average(values, weights=weight)), groups, n_draws=400)
    assert found.se == pytest.approx(per_person.std() / np.sqrt(300), rel=0.12)
    assert found.low < found.value < found.high


def test_an_estimate_survives_json_and_knows_its_z():
    found = Estimate.normal("ate", 0.04, 0.01)
    assert Estimate.from_state(found.to_state()) == found
    assert found.z == pytest.approx(4.0)
    assert found.high - found.value == pytest.approx(1.6448536 * 0.01, abs=1e-8)
    assert np.isnan(Estimate.normal("x", 1.0, 0.0).z)
    assert str(found) == "ate 0.0400 [0.0236, 0.0564]"


@pytest.mark.oracle
def test_average_precision_is_that_of_scikit_learn_with_ties_and_weights():
    from sklearn.metrics import average_precision_score

    generator = np.random.default_rng(9)
    p, weight = generator.random(500).round(1), generator.integers(0, 3, 500).astype(float)
    y = (generator.random(500) < p).astype(float)
    assert average_precision(y, p) == pytest.approx(average_precision_score(y, p))
    assert average_precision(y, p, weight) == pytest.approx(average_precision_score(y, p, sample_weight=weight))
    assert average_precision(y, np.zeros(500)) == pytest.approx(y.mean())
    assert np.isnan(average_precision(np.zeros(3), np.ones(3)))
