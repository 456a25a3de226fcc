"""What a person did with other topics, weighed by how near those are to the row's own: so that a topic without a history of its own is no stranger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RELATIVES = ("relatives_together", "relatives_parent")
"""The two descriptors: topics that people engage with together, and topics under the same parent."""


@dataclass(frozen=True)
class TopicRelatives:
    """Weights of the topics' histories for each topic.

    `sources` (n_topics,) are columns of the vector, the count of each topic over all time; `weights` (2, n_topics, n_topics) say how much topic
    `s` counts for topic `t` at `[descriptor, t, s]`; rows sum to 1, or to 0 where a topic has no relative of that kind.
    """

    sources: Integers
    weights: Floats

    @classmethod
    def fit(cls, matrix: NDArray[np.float32], sources: Sequence[int], families: Sequence[str | None]) -> TopicRelatives:
        """Return the relatives of the topics, `together` measured on the rows of `matrix` (n, F), `families` (n_topics,) naming each topic's parent.

        Together: the cosine between the topics' columns of log(1 + count). A topic that nobody in these rows engaged with takes the mean of its
        family, or of all topics.
        """
        columns = np.array(sources, dtype=np.int64)
        n_topics = len(columns)
        kin = np.array([[a is not None and a == b for b in families] for a in families], dtype=np.float64).reshape(n_topics, n_topics)
        np.fill_diagonal(kin, 0.0)
        kin = _rows_to_one(kin)
        logs = _logs(matrix, columns)
        products = logs.T @ logs
        norms = np.sqrt(np.diag(products))
        together = np.divide(products, np.outer(norms, norms), out=np.zeros_like(products), where=np.outer(norms, norms) > 0)
        np.fill_diagonal(together, 0.0)
        together = _rows_to_one(together)
        others = _rows_to_one(np.where(np.eye(n_topics, dtype=bool), 0.0, norms[None, :] > 0))
        for topic in np.flatnonzero(norms == 0):
            near = kin[topic] @ together
            near[topic] = 0.0
            together[topic] = near / near.sum() if near.sum() > 0 else others[topic]
        return cls(columns, np.stack([together, kin]))

    @classmethod
    def none(cls) -> TopicRelatives:
        """Return no relatives, and no descriptors."""
        return cls(np.empty(0, dtype=np.int64), np.zeros((len(RELATIVES), 0, 0)))

    @property
    def names(self) -> tuple[str, ...]:
        """The descriptors there are: none without sources."""
        return RELATIVES if len(self.sources) else ()

    def transform(self, matrix: NDArray[np.float32], topic: Integers) -> NDArray[np.float32]:
        """Return (n, 2) float32 for rows of these topics (n,); missing (NaN) where the topic has no relative of the kind."""
        terms = _logs(matrix, self.sources)[:, None, :] * self.weights[:, topic].transpose(1, 0, 2)
        found = np.asarray(terms.sum(axis=2, dtype=np.float64))
        found[~self.weights[:, topic].any(axis=2).T] = np.nan
        return found.astype(np.float32)

    def shared(self, matrix: NDArray[np.float32], contributions: Floats, topic: int) -> tuple[Floats, Floats]:
        """Return what the descriptors contribute (n, 2) as what their sources do (n, n_topics), and what is left where these are all zero (n,)."""
        terms = _logs(matrix, self.sources)[:, None, :] * self.weights[:, topic]
        whole = terms.sum(axis=2, keepdims=True)
        parts = np.divide(terms, whole, out=np.zeros_like(terms), where=whole > 0)
        left = np.where(whole[:, :, 0] > 0, 0.0, contributions).sum(axis=1)
        return np.asarray((parts * contributions[:, :, None]).sum(axis=1)), np.asarray(left)

    def to_state(self) -> dict[str, Any]:
        """Return the relatives as JSON-able values."""
        return {"sources": self.sources.tolist(), "weights": self.weights.tolist()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any] | None, n_columns: int, n_topics: int) -> TopicRelatives:
        """Return the relatives of `to_state` (none for None); raises ValueError when they do not fit the columns and topics."""
        if state is None or not state["sources"]:
            return cls.none()
        sources, weights = np.array(state["sources"], dtype=np.int64), np.array(state["weights"], dtype=np.float64)
        if sources.shape != (n_topics,) or not (sources.min() >= 0 and sources.max() < n_columns):
            raise ValueError(f"the relatives need one column for each of {n_topics} topics, among {n_columns}")
        if weights.shape != (len(RELATIVES), n_topics, n_topics) or not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise ValueError("the relatives' weights are one finite number, not negative, for each pair of topics")
        return cls(sources, weights)


def _rows_to_one(weights: Floats) -> Floats:
    total = weights.sum(axis=1, keepdims=True)
    return np.divide(weights, total, out=np.zeros(weights.shape), where=total > 0)


def _logs(matrix: NDArray[np.float32], columns: Integers) -> Floats:
    return np.asarray(np.log1p(np.maximum(np.nan_to_num(matrix[:, columns].astype(np.float64)), 0.0)))
