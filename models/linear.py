"""A straight line through a person's history and attributes for each topic: what many columns say a little of, which trees find late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PENALTY = 3_000.0
"""Ridge penalty of standardised columns, in rows: chosen, with 300 and 1,000 beside it, by cross-validation over training people of four data sets."""
CHUNK = 8_192
"""Rows that are standardised at once when fitting."""


@dataclass(frozen=True)
class LinearScore:
    """For each topic a linear score, in logits, of the signed square roots of some columns.

    `sources` (m,) are columns of the vector; their roots are held inside [`low`, `high`], the range they were fitted on, less `centre` and times `scale`
    (each (m,); a scale of 0 leaves a column out, and a missing value counts as the centre). `intercept` (n_topics,) is the logit of the topic's rate, `weights`
    (n_topics, m) what a standard deviation of each column adds: one penalised Newton step of a logistic regression from the topic's rate, which has a
    closed form and shares its matrix of products among topics.
    """

    sources: Integers
    low: Floats
    high: Floats
    centre: Floats
    scale: Floats
    intercept: Floats
    weights: Floats

    @classmethod
    def fit(cls, matrix: NDArray[np.float32], y: Floats, weight: Floats, sources: Sequence[int], *, rising: NDArray[np.bool_] | None = None) -> LinearScore:
        """Return the score fitted on rows of `matrix` (n, F) with labels y (n, n_topics), NaN for unknown, and weights (n,).

        Where `rising` (n_topics, m) is true a weight below 0 becomes 0. A topic without labels takes the rate of all, and weights of 0.
        """
        columns, n_topics = np.array(sources, dtype=np.int64), y.shape[1]
        low, high, centre, scale = (np.zeros(len(columns)) for _ in range(4))
        for place in range(len(columns)):
            roots = _roots(matrix, columns[[place]])
            found = roots[~np.isnan(roots)]
            if len(found):
                low[place], high[place], centre[place], spread = found.min(), found.max(), found.mean(), found.std()
                scale[place] = 1 / spread if spread > _FLAT * max(1.0, abs(centre[place])) else 0.0
        empty = cls(columns, low, high, centre, scale, np.zeros(n_topics), np.zeros((n_topics, len(columns))))
        known = ~np.isnan(y)
        mass = known * weight[:, None]
        labels = np.where(known, y, 0.0)
        total = mass.sum(axis=0)
        rate = ((mass * labels).sum(axis=0) + (mass * labels).sum() / max(total.sum(), 1e-9)) / (total + 1.0)
        rate = np.clip(rate, _RAREST, 1 - _RAREST)
        weights = empty._step(matrix, mass, mass * (labels - rate)) / (rate * (1 - rate))[:, None]
        if rising is not None:
            weights = np.where(rising, np.maximum(weights, 0.0), weights)
        return cls(columns, low, high, centre, scale, np.asarray(special.logit(rate)), weights)

    def __bool__(self) -> bool:
        return len(self.sources) > 0

    def transform(self, matrix: NDArray[np.float32], topic: Integers) -> NDArray[np.float32]:
        """Return (n,) float32 for rows of these topics (n,); a row's number does not depend on the rows it comes with."""
        return np.asarray(self.intercept[topic] + _summed(self._standard(matrix) * self.weights[topic])).astype(np.float32)

    def table(self, matrix: NDArray[np.float32], topics: Integers) -> NDArray[np.float32]:
        """Return (n, k) float32 for each row and each of k topics: the bits of `transform`, in less time."""
        standard = self._standard(matrix)
        scores = [self.intercept[topic] + _summed(standard * self.weights[topic]) for topic in topics]
        return np.stack(scores, axis=1).astype(np.float32)

    def shared(self, matrix: NDArray[np.float32], contributions: Floats, topic: int) -> tuple[Floats, Floats]:
        """Return what the score contributes (n,) as what its sources do (n, m), and what is left (n,), which is the topic's own.

        A source contributes its term of the score times a slope, so that what lowers the score is told as lowering. The slope of a row is what its score
        contributes over the sum of its terms, held between 0 and 1: where terms nearly cancel, no small sum is blown up into large reasons.
        """
        terms = self._standard(matrix) * self.weights[topic]
        whole = _summed(terms)
        slope = np.clip(np.divide(contributions, whole, out=np.zeros_like(whole), where=whole != 0), 0.0, 1.0)
        return terms * slope[:, None], contributions - slope * whole

    def importance(self) -> Floats:
        """Return how much each source counts (m,), over all topics, by the size of its weights; the sum is 1, or 0 where no weight is anything."""
        sizes = np.abs(self.weights * (self.scale > 0)).sum(axis=0)
        return np.asarray(sizes / max(float(sizes.sum()), np.finfo(np.float64).tiny))

    def to_state(self) -> dict[str, Any]:
        """Return the score as JSON-able values."""
        return {"sources": self.sources.tolist(), **{name: getattr(self, name).tolist() for name in _NUMBERS}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any] | None, n_columns: int, n_topics: int) -> LinearScore:
        """Return the score of `to_state` (none for None); raises ValueError when it does not fit the columns and topics."""
        if state is None or not state["sources"]:
            return NO_SCORE
        sources, numbers = np.array(state["sources"], dtype=np.int64), {name: np.array(state[name], dtype=np.float64) for name in _NUMBERS}
        if sources.ndim != 1 or not (sources.min() >= 0 and sources.max() < n_columns):
            raise ValueError(f"the linear score points outside of its {n_columns} columns")
        shapes = {name: (len(sources),) for name in _NUMBERS} | {"intercept": (n_topics,), "weights": (n_topics, len(sources))}
        if any(numbers[name].shape != shape or not np.isfinite(numbers[name]).all() for name, shape in shapes.items()):
            raise ValueError("the linear score needs a finite range, centre and scale for each column, and a weight for each topic and column")
        return cls(sources, **numbers)

    def _step(self, matrix: NDArray[np.float32], mass: Floats, residual: Floats) -> Floats:
        """Return the ridge solution (n_topics, m) for weighted residuals (n, n_topics) of rows that weigh `mass` (n, n_topics)."""
        patterns, which = np.unique(mass, axis=1, return_inverse=True)
        products = np.zeros((patterns.shape[1], len(self.sources), len(self.sources)))
        sums = np.zeros((len(self.sources), mass.shape[1]))
        for start in range(0, len(matrix), CHUNK):
            rows = slice(start, start + CHUNK)
            standard = self._standard(matrix[rows])
            for number, pattern in enumerate(patterns[rows].T):
                products[number] += (standard * pattern[:, None]).T @ standard
            sums += standard.T @ residual[rows]
        ridge = PENALTY * np.eye(len(self.sources))
        return np.stack([np.linalg.solve(products[number] + ridge, sums[:, topic]) for topic, number in enumerate(np.ravel(which))])

    def _standard(self, matrix: NDArray[np.float32]) -> Floats:
        return np.asarray(np.nan_to_num((np.clip(_roots(matrix, self.sources), self.low, self.high) - self.centre) * self.scale))


_NUMBERS = ("low", "high", "centre", "scale", "intercept", "weights")
_RAREST = 1e-3
"""Rate of a topic below which, or as near to 1, the step no longer grows with its rarity."""
_FLAT = 1e-6


def _summed(terms: Floats) -> Floats:
    """Return the sum of each row (n,), added up in an order that does not depend on n: that of a matrix product does, and so does that of strided rows."""
    return np.asarray(np.ascontiguousarray(terms).sum(axis=1))


def _roots(matrix: NDArray[np.float32], columns: Integers) -> Floats:
    values = matrix[:, columns].astype(np.float64)
    return np.asarray(np.sign(values) * np.sqrt(np.abs(values)))


NO_SCORE = LinearScore(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0), np.empty(0), np.empty(0), np.empty(0), np.zeros((0, 0)))
"""No score: of no columns, for no topics."""
