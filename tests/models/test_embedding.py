"""The embedding is the truncated SVD of the logs of counts, sign and all, and what it contributes goes back to the counts."""

import json

import numpy as np
import pytest

from models.embedding import TopicEmbedding


@pytest.fixture
def matrix():
    random = np.random.default_rng(0)
    counts = random.poisson(random.gamma(1.0, 2.0, size=(300, 1)) * random.dirichlet(np.ones(5), 300)).astype(np.float32)
    return np.hstack([counts, np.full((300, 1), 7, dtype=np.float32)])


def test_it_is_the_svd_of_the_logs(matrix):
    embedding = TopicEmbedding.fit(matrix, range(5), 3)
    logs = np.log1p(matrix[:, :5].astype(np.float64))
    _, _, components = np.linalg.svd(logs, full_matrices=False)
    for mine, theirs in zip(embedding.components, components[:3], strict=True):
        np.testing.assert_allclose(mine, theirs * np.sign(theirs[np.abs(theirs).argmax()]), atol=1e-8)
        assert mine[np.abs(mine).argmax()] > 0
    np.testing.assert_allclose(embedding.transform(matrix), logs @ embedding.components.T, rtol=1e-5)


def test_a_row_is_the_same_whatever_it_comes_with(matrix):
    embedding = TopicEmbedding.fit(matrix, range(5), 4)
    whole = embedding.transform(matrix)
    np.testing.assert_array_equal(np.concatenate([embedding.transform(row[None]) for row in matrix]), whole)


def test_no_history_is_nowhere_and_missing_counts_as_none(matrix):
    embedding = TopicEmbedding.fit(matrix, range(5), 2)
    assert (embedding.transform(np.array([[0, 0, 0, 0, 0, 7], [np.nan] * 6], dtype=np.float32)) == 0).all()


def test_nothing_is_lost_when_contributions_go_back(matrix):
    embedding = TopicEmbedding.fit(matrix, range(5), 3)
    given = np.random.default_rng(1).normal(size=(300, 3))
    shares, left = embedding.shared(matrix, given)
    np.testing.assert_allclose(shares.sum(axis=1) + left, given.sum(axis=1), atol=1e-12)
    nobody = matrix[:, :5].sum(axis=1) == 0
    assert nobody.any()
    np.testing.assert_allclose(left[nobody], given[nobody].sum(axis=1))
    assert (shares[nobody] == 0).all()


@pytest.mark.parametrize(("sources", "dimensions", "found"), [((), 4, 0), (range(5), 0, 0), ((0,), 4, 1), (range(5), 64, 5)])
def test_there_are_no_more_dimensions_than_the_counts_span(matrix, sources, dimensions, found):
    embedding = TopicEmbedding.fit(matrix, sources, dimensions)
    assert len(embedding) == found
    assert embedding.transform(matrix).shape == (300, found)


def test_counts_of_nothing_make_no_dimension():
    assert len(TopicEmbedding.fit(np.zeros((9, 3), dtype=np.float32), range(3), 2)) == 0


def test_the_state_is_json_and_comes_back(matrix):
    embedding = TopicEmbedding.fit(matrix, range(5), 3)
    again = TopicEmbedding.from_state(json.loads(json.dumps(embedding.to_state())), 6)
    np.testing.assert_array_equal(again.transform(matrix), embedding.transform(matrix))


@pytest.mark.parametrize(
    "state", [{"sources": [6], "components": [[1.0]]}, {"sources": [-1], "components": [[1.0]]}, {"sources": [0], "components": [[float("nan")]]}]
)
def test_a_state_that_cannot_be_is_refused(state):
    with pytest.raises(ValueError, match="embedding"):
        TopicEmbedding.from_state(state, 6)
