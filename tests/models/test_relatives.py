"""Topics near to a topic: weights, descriptors, and what they contribute."""

import json

import numpy as np
import pytest

from models.relatives import TopicRelatives

COUNTS = np.array([[4, 2, 0, 0], [1, 1, 0, 0], [0, 0, 3, 0], [2, 0, 1, 0]], dtype=np.float32)
FAMILIES = ("homes", "homes", None, "homes")


@pytest.fixture
def relatives():
    return TopicRelatives.fit(COUNTS, [0, 1, 2, 3], FAMILIES)


def test_topics_engaged_with_together_weigh_by_the_cosine_of_their_counts(relatives):
    logs = np.log1p(COUNTS[:, :3].astype(float))
    near = [logs[:, 0] @ logs[:, other] / np.linalg.norm(logs[:, 0]) / np.linalg.norm(logs[:, other]) for other in (1, 2)]
    np.testing.assert_allclose(relatives.weights[0, 0], [0, near[0] / sum(near), near[1] / sum(near), 0])
    np.testing.assert_allclose(relatives.weights[1], [[0, 0.5, 0, 0.5], [0.5, 0, 0, 0.5], [0, 0, 0, 0], [0.5, 0.5, 0, 0]])


def test_a_topic_nobody_engaged_with_takes_the_mean_of_its_family_or_of_all(relatives):
    family = (relatives.weights[0, 0] + relatives.weights[0, 1]) / 2
    np.testing.assert_allclose(relatives.weights[0, 3], family / family.sum())
    alone = TopicRelatives.fit(COUNTS, [0, 1, 2, 3], (None,) * 4)
    np.testing.assert_allclose(alone.weights[0, 3], [1 / 3, 1 / 3, 1 / 3, 0])


def test_descriptors_are_weighed_sums_of_logarithms_and_missing_without_relatives(relatives):
    found = relatives.transform(COUNTS, np.array([3, 2, 0, 0]))
    np.testing.assert_allclose(found[0], [np.log1p(COUNTS[0]) @ relatives.weights[0, 3], (np.log(5) + np.log(3)) / 2], rtol=1e-6)
    assert np.isnan(found[1, 1])
    assert found[2].tolist() == [pytest.approx(np.log(4) * relatives.weights[0, 0, 2]), 0.0]
    many = relatives.transform(np.repeat(COUNTS, 50, axis=0), np.repeat([3, 2, 0, 0], 50))
    np.testing.assert_array_equal(many[::50], found, "a row's numbers do not depend on the rows it comes with")


def test_what_descriptors_contribute_is_shared_and_nothing_is_lost(relatives):
    parts = np.random.default_rng(0).normal(size=(4, 2))
    shares, left = relatives.shared(COUNTS, parts, 3)
    np.testing.assert_allclose(shares.sum(axis=1) + left, parts.sum(axis=1))
    assert left[:2].tolist() == [0, 0]
    assert left[2] == pytest.approx(parts[2, 1]), "nobody of the family: that part is the topic's own"


def test_the_state_is_json_and_comes_back(relatives):
    again = TopicRelatives.from_state(json.loads(json.dumps(relatives.to_state())), 4, 4)
    np.testing.assert_array_equal(again.weights, relatives.weights)
    assert TopicRelatives.from_state(None, 4, 4).names == ()


@pytest.mark.parametrize(
    ("change", "words"), [({"sources": [0, 1, 2, 9]}, "one column for each"), ({"sources": [0]}, "one column for each"), ({"weights": [[[1.0]]]}, "each pair")]
)
def test_a_state_that_cannot_be_is_refused(relatives, change, words):
    with pytest.raises(ValueError, match=words):
        TopicRelatives.from_state(relatives.to_state() | change, 4, 4)
