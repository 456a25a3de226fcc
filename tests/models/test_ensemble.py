"""Trees and line see what they should, and the share is the one that says held-out labels best."""

from dataclasses import replace

import numpy as np
import pytest

from models.affinity import TopicAffinity
from models.ensemble import SHARES, Ensemble
from models.labels import Labels
from models.pooled import Layout

COLUMNS = ("count|topic=a|window=all", "count|topic=b|window=all", "age", "income")
TOPICS = ("a", "b")


def _world(n, seed, *, bent=False):
    """Labels that follow a straight line through age and income or, `bent`, whether the two are of one sign."""
    generator = np.random.default_rng(seed)
    matrix = generator.normal(size=(n, 4)).astype(np.float32)
    margin = 3.0 * np.sign(matrix[:, 2] * matrix[:, 3]) if bent else matrix[:, 2] - matrix[:, 3]
    y = (generator.random((n, 2)) < 1 / (1 + np.exp(-np.stack([margin, -margin], axis=1)))).astype(float)
    return matrix, Labels.of(y, TOPICS, COLUMNS, n_rows=n, groups=np.arange(n), block=None, sample_weight=None)


def _grown(matrix, labels, *, linear=True, bag=1, num_trees=12, **settings):
    layout = Layout.of(COLUMNS, TOPICS, ())
    parameters = TopicAffinity(learning_rate=0.1, min_child_samples=30, n_jobs=1, **settings).tree_parameters(layout)
    told = {"bag": bag, "num_trees": num_trees, "forget": 0.0, "stage": "", "progress": None}
    return Ensemble.grow(layout, matrix, labels, np.arange(len(matrix)), parameters, linear=linear, **told)


def test_the_line_sees_the_topic_and_its_score_alone_and_the_trees_all_else():
    grown = _grown(*_world(1500, 0))
    names = np.array(grown.layout.names)
    assert set(names[np.flatnonzero(grown.line.feature_importance())]) <= {"topic", "linear_score"}
    assert "linear_score" in names[np.flatnonzero(grown.line.feature_importance())]
    used = set(names[np.flatnonzero(grown.trees.feature_importance())])
    assert {"age", "income"} <= used
    assert "linear_score" not in used
    assert (grown.trees.num_trees(), grown.line.num_trees()) == (12, 2)


def test_without_a_line_the_trees_are_those_that_stand_beside_one():
    matrix, labels = _world(1500, 0)
    alone, beside = _grown(matrix, labels, linear=False), _grown(matrix, labels)
    assert alone.line is None
    assert alone.best_share(matrix, labels, np.zeros(1500, dtype=bool), 1) == 0.0
    pooled = [one.layout.rows(matrix, 1) for one in (alone, beside)]
    np.testing.assert_array_equal(alone.blended(0.3).predict(pooled[0]), beside.blended(0.0).predict(pooled[1]))


@pytest.mark.parametrize("bag", [1, 3])
def test_what_is_blended_is_the_weighted_mean(bag):
    matrix, labels = _world(1500, 0)
    grown = _grown(matrix, labels, bag=bag)
    pooled = grown.layout.rows(matrix, 0)
    trees, line, both = (booster.predict(pooled, raw_score=True) for booster in (grown.trees, grown.line, grown.blended(0.3)))
    np.testing.assert_allclose(both, 0.7 * trees + 0.3 * line, atol=1e-12)
    assert grown.blended(0.3).num_trees() == 14 * bag


def test_a_line_has_its_share_where_the_world_is_straight_and_none_where_it_says_nothing():
    straight, bent = _grown(*_world(4000, 1), num_trees=60), _grown(*_world(4000, 1, bent=True), num_trees=60)
    nobody = np.zeros(4000, dtype=bool)
    assert straight.best_share(*_world(4000, 2), nobody, 1) == SHARES[-1]
    assert replace(straight, trees=bent.trees).best_share(*_world(4000, 2, bent=True), nobody, 1) == 0.0


def test_a_monotone_ensemble_rises_with_its_score():
    matrix, labels = _world(1500, 3)
    grown = _grown(matrix, labels, monotone=True)
    place = grown.layout.linear_place
    pooled = np.repeat(grown.layout.rows(matrix[:1], 0), 60, axis=0)
    pooled[:, place] = np.linspace(-3, 3, 60)
    margins = grown.blended(0.3).predict(pooled, raw_score=True)
    assert (np.diff(margins) >= 0).all()
    assert margins[-1] > margins[0]
