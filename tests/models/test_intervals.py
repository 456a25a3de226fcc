"""Intervals hold the true rate of people with a margin as often as they say."""

import json

import numpy as np
import pytest
from scipy import special

from models.intervals import GroupInterval

BIAS = 0.25
"""By so many logits the margins of this world are wrong: the interval must reach the truth all the same."""


def _world(generator, n_people, n_topics=3, per_person=2):
    """Held-out rows with two rows per person and topic, whose labels hang together through a trait of the person."""
    people = np.repeat(np.arange(n_people), n_topics * per_person)
    topic = np.tile(np.arange(n_topics), n_people * per_person)
    logit = generator.normal(-1.0, 1.0, len(people)) - 0.5 * topic
    trait = generator.normal(0, 1.0, n_people)[people]
    truth = logit + BIAS * np.sin(logit)
    y = (generator.random(len(people)) < special.expit(1.2 * (truth + trait))).astype(float)
    return logit, topic, y, people, truth


def _rates(n=2_000_000):
    """The true rate of people by margin, by brute force over the trait."""
    grid = np.linspace(-3.5, 1.5, 21)
    trait = np.random.default_rng(99).normal(0, 1.0, n // 20)
    truth = grid + BIAS * np.sin(grid)
    return grid, np.array([special.expit(1.2 * (value + trait)).mean() for value in truth])


def test_measured_coverage_is_at_least_what_is_stated_and_not_everything():
    grid, rates = _rates()
    generator, inside, width = np.random.default_rng(0), [], []
    for _ in range(120):
        logit, topic, y, people, _ = _world(generator, 500)
        found = GroupInterval(0.90).fit(logit, topic, y, people, n_topics=3)
        for number in range(3):
            here = grid[(grid > -2.8 - 0.5 * number) & (grid < 0.8 - 0.5 * number)]
            bounds = found.predict(here, number)
            expected = rates[np.isin(grid, here)]
            inside.append(np.mean((bounds[:, 0] <= expected) & (expected <= bounds[:, 1])))
            width.append(np.mean(bounds[:, 1] - bounds[:, 0]))
    assert 0.87 <= np.mean(inside) <= 0.99
    assert np.mean(width) < 0.25


def test_clusters_widen_the_interval(monkeypatch):
    monkeypatch.setattr("models.intervals.MOST_BINS", 1)
    logit, topic, y, people, _ = _world(np.random.default_rng(1), 800)
    by_person = GroupInterval().fit(np.tile(logit, 3), np.tile(topic, 3), np.tile(y, 3), np.tile(people, 3), n_topics=3)
    by_row = GroupInterval().fit(np.tile(logit, 3), np.tile(topic, 3), np.tile(y, 3), np.arange(3 * len(y)), n_topics=3)
    assert by_person.high_[0] - by_person.low_[0] > 1.6 * (by_row.high_[0] - by_row.low_[0])


def test_the_interval_holds_the_probability_served_and_lies_inside_zero_and_one():
    logit, topic, y, people, _ = _world(np.random.default_rng(2), 300)
    found = GroupInterval().fit(logit, topic, y, people, n_topics=3)
    at = np.linspace(-30, 30, 301)
    bounds = found.predict(at, 1)
    assert (bounds[:, 0] <= special.expit(at)).all()
    assert (special.expit(at) <= bounds[:, 1]).all()
    assert ((bounds >= 0) & (bounds <= 1)).all()


def test_more_coverage_is_wider():
    logit, topic, y, people, _ = _world(np.random.default_rng(3), 300)
    narrow, wide = (GroupInterval(coverage).fit(logit, topic, y, people, n_topics=3).predict(np.zeros(1), 0) for coverage in (0.5, 0.99))
    assert wide[0, 0] < narrow[0, 0]
    assert wide[0, 1] > narrow[0, 1]


def test_a_topic_without_engagements_takes_everyones_bins_and_is_wider():
    logit, topic, y, people, _ = _world(np.random.default_rng(4), 800)
    y[topic == 2] = 0.0
    found = GroupInterval().fit(logit, topic, y, people, n_topics=3)
    at = np.array([-1.5])
    assert np.diff(found.predict(at, 2)) > np.diff(found.predict(at, 0))


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_label_only_is_finite(label):
    found = GroupInterval().fit(np.zeros(50), np.zeros(50, dtype=int), np.full(50, label), np.arange(50), n_topics=1)
    bounds = found.predict(np.zeros(1), 0)
    assert np.isfinite(bounds).all()


def test_zero_rows_to_fit_and_to_predict():
    found = GroupInterval().fit(np.zeros(0), np.zeros(0, dtype=int), np.zeros(0), np.zeros(0, dtype=int), n_topics=2)
    assert found.predict(np.zeros(0), 1).shape == (0, 2)
    assert np.diff(found.predict(np.zeros(1), 1)) > 0.5


def test_the_state_is_json_and_comes_back_to_the_bit():
    logit, topic, y, people, _ = _world(np.random.default_rng(5), 300)
    found = GroupInterval(0.8).fit(logit, topic, y, people, n_topics=3)
    again = GroupInterval.from_state(json.loads(json.dumps(found.to_state())))
    np.testing.assert_array_equal(again.predict(logit, 1), found.predict(logit, 1))
    assert again.coverage == 0.8


def test_a_state_that_cannot_be_is_refused():
    state = {"coverage": 0.9, "knots": [[1.0, 0.0]], "low": [[0.0, 0.0]], "high": [[0.0, 0.0]]}
    with pytest.raises(ValueError, match="bins that rise"):
        GroupInterval.from_state(state)


def test_coverage_must_be_a_share():
    with pytest.raises(ValueError, match="inside"):
        GroupInterval(90).fit(np.zeros(1), np.zeros(1, dtype=int), np.zeros(1), np.zeros(1, dtype=int), n_topics=1)
