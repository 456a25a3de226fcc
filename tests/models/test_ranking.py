"""The LambdaRank head."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from models.affinity import TopicAffinity
from models.metrics import ndcg_at_k
from models.ranking import TopicRanking
from tests.models.test_affinity import SMALL, TOPICS, _world


def test_it_orders_topics_as_well_as_their_probabilities_do():
    X, y, _ = _world(2500, 30)
    fresh, labels, truth = _world(2500, 31)
    ranking = TopicRanking(TopicAffinity(**SMALL)).fit(X, y)
    affinity = TopicAffinity(**SMALL).fit(X, y)
    reached, possible = (ndcg_at_k(labels.to_numpy(), each, 2) for each in (ranking.predict(fresh), truth))
    chance = ndcg_at_k(labels.to_numpy(), np.random.default_rng(0).random((2500, 3)), 2)
    assert reached > chance + 0.6 * (possible - chance)
    assert reached > ndcg_at_k(labels.to_numpy(), affinity.predict_proba(fresh), 2) - 0.03
    top = ranking.top(fresh, 2)
    assert top.shape == (2500, 2)
    assert set(top.ravel()) <= set(TOPICS)
    assert (top[:, 0] == np.array(TOPICS)[ranking.predict(fresh).argmax(axis=1)]).all()


def test_equal_rows_in_any_order_give_equal_bits():
    X, y, _ = _world(400, 32)
    order = np.random.default_rng(0).permutation(400)
    first, second = TopicRanking(TopicAffinity(**SMALL)).fit(X, y), TopicRanking(TopicAffinity(**SMALL)).fit(X.iloc[order], y.iloc[order])
    np.testing.assert_array_equal(first.predict(X), second.predict(X))


def test_what_cannot_be_asked_is_refused_in_words():
    X, y, _ = _world(60, 33)
    with pytest.raises(NotFittedError):
        TopicRanking().predict(X)
    y[:] = 1.0
    with pytest.raises(ValueError, match="no order to learn"):
        TopicRanking(TopicAffinity(**SMALL)).fit(X, y)
    y.iloc[:, 0] = 0.0
    with pytest.raises(ValueError, match=r"\[1, 3\]"):
        TopicRanking(TopicAffinity(**SMALL)).fit(X, y).top(X, 4)
