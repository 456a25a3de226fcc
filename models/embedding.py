"""A few numbers for which topics a person answered: a truncated SVD of the topic history, fitted once and kept with the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TopicEmbedding:
    """Linear map from topic counts to a few dimensions.

    `sources` (m,) are columns of the vector, all of them counts of one topic over all time; `components` (k, m) float64 the right singular vectors of
    log(1 + count), the largest entry of each positive. Not centred: nobody's history is the zero of every dimension.
    """

    sources: NDArray[np.int64]
    components: Floats

    @classmethod
    def fit(cls, matrix: NDArray[np.float32], sources: Sequence[int], dimensions: int) -> TopicEmbedding:
        """Return the embedding of at most `dimensions` fitted on the rows of `matrix` (n, F); fewer where the counts span fewer.

        Source: Halko, Martinsson and Tropp 2011 for the truncated SVD; here exact, by the eigenvectors of the (m, m) matrix of products.
        """
        columns = np.array(sources, dtype=np.int64)
        logs = _logs(matrix, columns)
        values, vectors = np.linalg.eigh(logs.T @ logs)
        kept = [place for place in np.argsort(values)[::-1][:dimensions] if values[place] > 1e-9 * max(values.max(initial=0.0), 1.0)]
        components = vectors[:, kept].T
        signs = np.sign(components[np.arange(len(kept)), np.abs(components).argmax(axis=1)]) if kept else np.empty(0)
        return cls(columns, np.ascontiguousarray(components * signs[:, None]))

    def __len__(self) -> int:
        return len(self.components)

    def transform(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, k) float32; a row's numbers do not depend on the rows it comes with."""
        terms = _logs(matrix, self.sources)[:, None, :] * self.components  # summed row by row: a matrix product adds up in another order for other n
        return np.asarray(terms.sum(axis=2, dtype=np.float64)).astype(np.float32)

    def shared(self, matrix: NDArray[np.float32], contributions: Floats) -> tuple[Floats, Floats]:
        """Return what the dimensions contribute (n, k) as what their sources do (n, m), and what is left for people without history (n,).

        A dimension's contribution is shared among its sources by the size of their terms in the dimension's sum, so that nothing is lost.
        """
        terms = np.abs(_logs(matrix, self.sources)[:, None, :] * self.components)  # (n, k, m)
        whole = terms.sum(axis=2, keepdims=True)
        parts = np.divide(terms, whole, out=np.zeros_like(terms), where=whole > 0)
        left = np.where(whole[:, :, 0] > 0, 0.0, contributions).sum(axis=1)
        return np.asarray((parts * contributions[:, :, None]).sum(axis=1)), np.asarray(left)

    def to_state(self) -> dict[str, Any]:
        """Return the embedding as JSON-able values."""
        return {"sources": self.sources.tolist(), "components": self.components.tolist()}

    @classmethod
    def from_state(cls, state: dict[str, Any], n_columns: int) -> TopicEmbedding:
        """Return the embedding of `to_state`; raises ValueError when it does not fit `n_columns` columns of the vector."""
        sources = np.array(state["sources"], dtype=np.int64).reshape(-1)
        components = np.array(state["components"], dtype=np.float64).reshape(-1, len(sources)) if len(sources) else np.zeros((0, 0))
        if (sources.size and not (sources.min() >= 0 and sources.max() < n_columns)) or not np.isfinite(components).all():
            raise ValueError(f"the embedding points outside of its {n_columns} columns, or is not finite")
        return cls(sources, components)


def _logs(matrix: NDArray[np.float32], columns: NDArray[np.int64]) -> Floats:
    return np.asarray(np.log1p(np.maximum(np.nan_to_num(matrix[:, columns].astype(np.float64)), 0.0)))
