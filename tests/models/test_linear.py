"""The linear score is one penalised Newton step from the topics' rates; a row's score is its own, and what it contributes goes back to the columns."""

import json

import numpy as np
import pytest
from scipy import special

from models import linear
from models.linear import NO_SCORE, PENALTY, LinearScore

SOURCES = (3, 0, 2)


@pytest.fixture
def world():
    random = np.random.default_rng(0)
    matrix = random.poisson(3.0, size=(4000, 4)).astype(np.float32)
    matrix[::7, 2] = np.nan
    roots = np.sqrt(np.nan_to_num(matrix, nan=3.0))
    y = (random.random((4000, 2)) < special.expit(np.stack([roots[:, 0] - 3, 1 - roots[:, 3]], axis=1))).astype(float)
    return matrix, y


def test_it_is_the_newton_step_of_a_penalised_logistic_regression(world, monkeypatch):
    monkeypatch.setattr(linear, "CHUNK", 1000)
    matrix, y = world
    weight = np.random.default_rng(1).integers(1, 4, 4000).astype(float)
    y[5::9, 1] = np.nan
    score = LinearScore.fit(matrix, y, weight, SOURCES)
    roots = np.sqrt(matrix[:, SOURCES].astype(float))
    standard = np.nan_to_num((roots - np.nanmean(roots, axis=0)) / np.nanstd(roots, axis=0))
    for topic in range(2):
        known = ~np.isnan(y[:, topic])
        z, w, label = standard[known], weight[known], y[known, topic]
        rate = special.expit(score.intercept[topic])
        assert rate == pytest.approx(np.average(label, weights=w), abs=1e-3)
        information = rate * (1 - rate) * (z.T @ (w[:, None] * z) + PENALTY * np.eye(3))
        np.testing.assert_allclose(score.weights[topic], np.linalg.solve(information, z.T @ (w * (label - rate))), rtol=1e-9)
    assert score.weights[0, 1] > 0 > score.weights[1, 0]
    expected = score.intercept + standard @ score.weights.T
    for topic in range(2):
        np.testing.assert_allclose(score.transform(matrix, np.full(4000, topic)), expected[:, topic], rtol=1e-5, atol=1e-6)


def test_a_row_is_the_same_whatever_it_comes_with(world):
    matrix, y = world
    score = LinearScore.fit(matrix, y, np.ones(4000), SOURCES)
    topic = np.arange(4000) % 2
    whole = score.transform(matrix, topic)
    np.testing.assert_array_equal(np.concatenate([score.transform(matrix[[row]], topic[[row]]) for row in range(300)]), whole[:300])
    assert score.transform(matrix[:0], topic[:0]).shape == (0,)
    table = score.table(matrix, np.array([1, 0]))
    np.testing.assert_array_equal(table[np.arange(4000), 1 - topic], whole)
    assert score.table(matrix[:0], np.array([1])).shape == (0, 1)


def test_a_row_alone_of_many_columns_is_its_row_among_many():
    generator = np.random.default_rng(8)
    matrix, y = generator.poisson(3, (200, 60)).astype(np.float32), generator.integers(0, 2, (200, 2)).astype(np.float64)
    score = LinearScore.fit(matrix, y, np.ones(200), range(60))
    given, topic = generator.normal(size=200), np.ones(200, dtype=np.int64)
    whole, shared = score.transform(matrix, topic), score.shared(matrix, given, 1)
    for row in range(200):
        one = slice(row, row + 1)
        assert score.transform(matrix[one], topic[one]) == whole[one]
        for alone, among in zip(score.shared(matrix[one], given[one], 1), shared, strict=True):
            np.testing.assert_array_equal(alone, among[one])


def test_beyond_the_range_it_was_fitted_on_it_stays_where_it_was(world):
    matrix, y = world
    score = LinearScore.fit(matrix, y, np.ones(4000), SOURCES)
    far, edge = np.full((1, 4), 3e38, dtype=np.float32), np.nanmax(matrix, axis=0)[None]
    np.testing.assert_array_equal(score.transform(far, np.array([0])), score.transform(edge, np.array([0])))
    centre = score.transform(np.full((1, 4), np.nan, dtype=np.float32), np.array([1]))
    assert centre == pytest.approx(score.intercept[1], rel=1e-6)


def test_nothing_is_lost_when_contributions_go_back(world):
    matrix, y = world
    score = LinearScore.fit(matrix, y, np.ones(4000), SOURCES)
    matrix[0] = np.nan
    given = np.random.default_rng(2).normal(size=4000)
    shares, left = score.shared(matrix, given, 0)
    assert shares.shape == (4000, 3)
    np.testing.assert_allclose(shares.sum(axis=1) + left, given, atol=1e-12)
    assert left[0] == given[0]
    assert score.importance().sum() == pytest.approx(1.0)


def test_what_lowers_the_score_is_told_as_lowering_and_small_sums_make_no_large_reasons():
    one = LinearScore(np.arange(2), np.full(2, -9.0), np.full(2, 9.0), np.zeros(2), np.ones(2), np.zeros(1), np.array([[1.0, -1.0]]))
    matrix = np.array([[4, 1], [4, 4], [4, 3.61], [1, 4]], dtype=np.float32)
    shares, left = one.shared(matrix, np.array([0.5, 0.5, 0.5, 0.5]), 0)
    np.testing.assert_allclose(shares[0], [1.0, -0.5])
    np.testing.assert_allclose(shares[1:], [[0, 0], [2, -1.9], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(left, [0, 0.5, 0.4, 0.5], atol=1e-6)


def test_columns_and_topics_that_say_nothing_weigh_nothing(world):
    matrix, y = world
    matrix[:, 2], matrix[:, 3] = 7, np.nan
    y[:, 1] = np.nan
    score = LinearScore.fit(matrix, y, np.ones(4000), SOURCES)
    assert (score.weights[:, [0, 2]] == 0).all()
    assert score.weights[0, 1] > 0
    assert (score.weights[1] == 0).all()
    assert special.expit(score.intercept[1]) == pytest.approx(y[:, 0].mean(), abs=1e-3)
    silent = LinearScore.fit(matrix, np.zeros((4000, 1)), np.ones(4000), SOURCES)
    assert np.isfinite(silent.intercept).all()


def test_weights_that_may_only_rise_do_not_fall(world):
    matrix, y = world
    free = LinearScore.fit(matrix, y, np.ones(4000), SOURCES)
    held = LinearScore.fit(matrix, y, np.ones(4000), SOURCES, rising=np.array([[True] * 3, [True, False, False]]))
    np.testing.assert_array_equal(held.weights[0], np.maximum(free.weights[0], 0))
    assert held.weights[1, 0] == 0 > free.weights[1, 0]
    np.testing.assert_array_equal(held.weights[1, 1:], free.weights[1, 1:])


def test_the_state_is_json_and_comes_back(world):
    matrix, y = world
    score = LinearScore.fit(matrix, y, np.ones(4000), SOURCES)
    again = LinearScore.from_state(json.loads(json.dumps(score.to_state())), 4, 2)
    np.testing.assert_array_equal(again.transform(matrix, np.zeros(4000, dtype=int)), score.transform(matrix, np.zeros(4000, dtype=int)))
    assert not LinearScore.from_state(None, 4, 2)
    assert not LinearScore.from_state(NO_SCORE.to_state(), 4, 2)


@pytest.mark.parametrize("wrong", [{"sources": [4, 0, 2]}, {"sources": [-1, 0, 2]}, {"scale": [1.0]}, {"centre": [float("nan")] * 3}, {"weights": [[0.0] * 3]}])
def test_a_state_that_cannot_be_is_refused(world, wrong):
    matrix, y = world
    state = LinearScore.fit(matrix, y, np.ones(4000), SOURCES).to_state()
    with pytest.raises(ValueError, match="linear score"):
        LinearScore.from_state(state | wrong, 4, 2)
