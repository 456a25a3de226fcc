"""What predictions are worth, and how surely: every measure under draws of people, so that any two of them can be compared in pairs.

Formulas and bins are those of `models.metrics`; average precision is Σ (recall gained · precision) down the ranking, equal scores at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from models.metrics import Estimate, ndcg_rows
from training.evaluation import NDCG_AT, TOP_SHARE, pair_losses
from training.resampling import PersonBootstrap

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Measured = dict[str, Floats]
"""Name: (1 + draws,), the measure itself and then the measure under each draw of people."""

BINS = 15
LARGER_IS_BETTER = {"auc_micro": True, "auc_macro": True, "average_precision": True, "ndcg_3": True, "ndcg_5": True, "log_loss": False, "ece": False} | {
    "lift_10": True
}
"""The measures, and whether larger is better."""


class Judge:
    """Labels `y` (n, n_topics), NaN unknown, of rows that belong to `person` (n,); people are drawn, with all of their rows."""

    def __init__(self, y: Floats, person: ArrayLike, *, draws: int, seed: int = 0, coverage: float = 0.95) -> None:
        boot = PersonBootstrap(person, draws=draws, seed=seed, coverage=coverage)
        self.y, self.codes, self.coverage = y, boot.codes, coverage
        self.weights: Floats = np.vstack([np.ones((1, boot.n_people)), boot.weights])

    def measured(self, P: Floats, rows: NDArray[np.bool_] | None = None) -> Measured:
        """Return every measure but the macro AUC of predictions P (n, n_topics), on all rows or on those of the mask (n,)."""
        kept = np.ones(len(self.y), dtype=bool) if rows is None else rows
        return _Part(self.y[kept], P[kept], self.codes[kept], self.weights).measured()

    def by_topic(self, P: Floats) -> list[Measured]:
        """Return AUC, log loss and calibration error of each topic."""
        found = []
        for topic in range(self.y.shape[1]):
            part = _Part(self.y[:, [topic]], P[:, [topic]], self.codes, self.weights)
            found.append({"auc": part.ranked()[0], "log_loss": part.log_loss(), "ece": part.ece()})
        return found

    def estimate(self, name: str, values: Floats) -> Estimate:
        """Return the measure with its interval, value ± z·se over the draws in which it is defined."""
        draws = values[1:][np.isfinite(values[1:])]
        return Estimate.normal(name, float(values[0]), float(np.std(draws, ddof=1)) if len(draws) > 1 else float("nan"), self.coverage)


def macro(topics: list[Measured]) -> Floats:
    """Return the mean of the topics' AUC (1 + draws,), over the topics that have both labels."""
    defined = [found["auc"] for found in topics if np.isfinite(found["auc"][0])]
    return np.mean(defined, axis=0) if defined else np.full(len(topics[0]["auc"]), np.nan)


@dataclass(frozen=True, eq=False)
class _Part:
    """Labels and predictions (n, T), the position (n,) of each row's person, and weights (1 + draws, n_people)."""

    y: Floats
    P: Floats
    codes: Integers
    weights: Floats

    def measured(self) -> Measured:
        auc, precision = self.ranked()
        ndcg = {f"ndcg_{k}": self.ndcg(k) for k in NDCG_AT}
        return {"auc_micro": auc, "average_precision": precision, **ndcg, "log_loss": self.log_loss(), "ece": self.ece(), "lift_10": self.lift()}

    def pairs(self) -> tuple[Floats, Floats, Integers]:
        """Return label, prediction and person of each known pair (m,)."""
        row, topic = np.nonzero(~np.isnan(self.y))
        return self.y[row, topic], self.P[row, topic], self.codes[row]

    def ranked(self) -> Floats:
        """Return AUC and average precision of the pairs, (2, 1 + draws)."""
        label, score, person = self.pairs()
        order = np.argsort(-score, kind="stable")
        last = np.r_[np.diff(score[order]) != 0, np.ones(min(len(order), 1), dtype=bool)]
        return np.asarray(swept(person[order], label[order] > 0, last, self.weights)).T

    def log_loss(self) -> Floats:
        return self.mean(*pair_losses(self.y, self.P))

    def ndcg(self, k: int) -> Floats:
        found = ndcg_rows(self.y, self.P, k)
        return self.mean(np.nan_to_num(found), (~np.isnan(found)).astype(np.float64))

    def ece(self) -> Floats:
        label, score, person = self.pairs()
        if not len(label):
            return np.full(len(self.weights), np.nan)
        people = self.weights.shape[1]
        gaps = np.bincount(person * BINS + mass_bins(score, BINS), score - label, people * BINS).reshape(people, BINS)
        return _over(np.abs(self.weights @ gaps).sum(axis=1), self.weights @ np.bincount(person, minlength=people))

    def lift(self) -> Floats:
        """Return how many times the average rate the tenth of pairs with the highest predictions reaches; equal predictions count in part."""
        label, score, person = self.pairs()
        if not len(label):
            return np.full(len(self.weights), np.nan)
        threshold = np.quantile(score, 1 - TOP_SHARE)
        above, level = score > threshold, score == threshold
        top = above + np.clip((TOP_SHARE * len(score) - above.sum()) / max(level.sum(), 1), 0.0, 1.0) * level
        sums = [self.weights @ np.bincount(person, values, self.weights.shape[1]) for values in (top * label, top, label, np.ones(len(label)))]
        return _over(_over(sums[0], sums[1]), _over(sums[2], sums[3]))

    def mean(self, values: Floats, counts: Floats) -> Floats:
        """Return sum(values) / sum(counts) over rows (n,)."""
        return _over(*(self.weights @ np.bincount(self.codes, each, self.weights.shape[1]) for each in (values, counts)))


def mass_bins(probability: Floats, bins: int) -> Integers:
    """Return the bin (m,) of equal mass of each pair: equal predictions share a bin."""
    _, place, count = np.unique(probability, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - count / 2
    return np.minimum((middle / len(probability) * bins).astype(np.int64), bins - 1)[place]


@njit(cache=False)
def swept(person: Integers, positive: NDArray[np.bool_], last: NDArray[np.bool_], weights: Floats) -> Floats:
    """Return AUC and average precision (draws, 2) of pairs in falling order of score; `last` (m,) ends each group of equal scores.

    `person` (m,) is whose pair it is, `weights` (draws, n_people) how often each person was drawn. NaN where a label is missing.
    """
    found = np.empty((len(weights), 2))
    for draw in range(len(weights)):
        hits = misses = hits_before = misses_before = area = precision = 0.0
        for pair in range(len(person)):
            weight = weights[draw, person[pair]]
            if positive[pair]:
                hits += weight
            else:
                misses += weight
            if last[pair]:
                new = hits - hits_before
                area += (misses - misses_before) * (hits_before + new / 2)
                if new > 0:
                    precision += new * hits / (hits + misses)
                hits_before, misses_before = hits, misses
        found[draw, 0] = area / (hits * misses) if hits * misses > 0 else np.nan
        found[draw, 1] = precision / hits if hits > 0 else np.nan
    return found


def _over(top: Floats, bottom: Floats) -> Floats:
    return np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
