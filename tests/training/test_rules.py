import numpy as np
import pytest

from training.rules import PRIOR_PAIRS, cell_rates, rule_probabilities


def test_rates_are_those_of_the_cells_drawn_to_the_topic_s_average():
    learned = np.array([[0], [0], [1], [1], [1]])
    y = np.array([[0.0], [1.0], [1.0], [1.0], [np.nan]])
    average = 3.5 / 5
    found = cell_rates(learned, y, np.array([[0], [1], [2]]))
    wanted = [(1 + PRIOR_PAIRS * average) / (2 + PRIOR_PAIRS), (2 + PRIOR_PAIRS * average) / (2 + PRIOR_PAIRS), average]
    assert found[:, 0] == pytest.approx(wanted)


def test_a_topic_without_labels_has_the_rate_one_half():
    assert cell_rates(np.zeros((2, 1), dtype=int), np.full((2, 1), np.nan), np.zeros((3, 1), dtype=int)).tolist() == [[0.5]] * 3


def test_rules_order_people_as_their_history_does(campaign):
    from datetime import UTC, datetime

    from features.catalogue import Feature
    from training.config import AffinityConfig
    from training.snapshots import affinity_dataset

    config = AffinityConfig(horizon_days=30, settle_days=2, snapshots=5)
    dataset = affinity_dataset(campaign, config, now=datetime(2026, 11, 1, 12, tzinfo=UTC))
    found = rule_probabilities(dataset)
    assert set(found) == {"prior", "share", "recency_frequency"}
    for probability in found.values():
        assert probability.shape == (len(dataset.test), 3)
        assert ((probability > 0) & (probability < 1)).all()
    assert np.allclose(found["prior"], found["prior"][0])
    assert np.allclose(found["prior"][0], dataset.train.y.mean(axis=0), atol=0.01)
    opened = dataset.test.X[Feature("count", "any-engagement", "any", "housing", "all").name].to_numpy()
    for rule in ("share", "recency_frequency"):
        assert found[rule][opened > 4, 0].mean() > 2 * found[rule][opened == 0, 0].mean()
