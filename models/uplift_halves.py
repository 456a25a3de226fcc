"""Standard errors of a whole evaluation by half-samples of assignment units: the same measures on each half, without errors, from rows sorted once.

`models.uplift_evaluation` gives exact standard errors beside every measure; to measure a half that way would sort it anew and compute influences that nobody
asks for. Here a half is read off the order of all rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.metrics import Estimate
from models.uplift_bootstrap import half_sample
from models.uplift_evaluation import canonical_order, random_ranking, shrunk_by_others
from models.uplift_metrics import RANK_DECIMALS
from models.uplift_sample import ROUNDING, unit_weights

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Progress = Callable[[str, float], None]


def half_sample_estimates(
    out_of_fold: pd.DataFrame,
    *,
    capacity: float = 0.2,
    cost: float = 0.0,
    coverage: float = 0.90,
    n_draws: int = 200,
    random_state: int = 0,
    progress: Progress | None = None,
) -> dict[str, Estimate]:
    """Return the estimates of `models.uplift_evaluation.evaluate` with standard errors by half-samples of assignment units (`models.uplift_bootstrap`).

    The predictions are as given; ranks, slopes and averages are computed anew in each half. `progress(stage, fraction)` is called after each draw.
    """
    rows = out_of_fold.iloc[canonical_order(out_of_fold)]
    values = UpliftValues(rows, random_ranking(rows, random_state), capacity=capacity, cost=cost)
    return half_sample(values.of, rows["group"].to_numpy(), coverage=coverage, n_draws=n_draws, random_state=random_state, progress=progress)


class UpliftValues:
    """The values of an evaluation's estimates on any rows of an out-of-fold frame (columns raw, score, baseline, fold, weight) and its random ranking (n,)."""

    def __init__(self, out_of_fold: pd.DataFrame, chance: Floats, *, capacity: float = 0.2, cost: float = 0.0) -> None:
        self.gamma, self.raw, baseline = (out_of_fold[name].to_numpy(dtype=np.float64) for name in ("score", "raw", "baseline"))
        self.fold = np.unique(out_of_fold["fold"].to_numpy(), return_inverse=True)[1].astype(np.int64)
        self.weight = unit_weights(out_of_fold["weight"].to_numpy(), len(out_of_fold))
        pooled = np.zeros_like(self.fold)
        self.uplift, self.risk = (FoldOrder(score, self.fold, self.gamma, self.weight) for score in (self.raw, baseline))
        self.chance = FoldOrder(chance, pooled, self.gamma, self.weight)
        self.capacity, self.cost = capacity, cost

    def of(self, rows: Integers) -> dict[str, float]:
        """Return each estimate's value on `rows` (k,), positions in the frame, by the names of `evaluate`."""
        kept = np.zeros(len(self.gamma), dtype=bool)
        kept[rows] = True
        gamma, raw, fold, weight = self.gamma[rows], self.raw[rows], self.fold[rows], self.weight[rows]
        if (np.bincount(fold) == 0).any():  # a small half can miss a fold
            fold = np.unique(fold, return_inverse=True)[1]
        people, share = float(weight.sum()), self.capacity
        average = float((weight * gamma).sum()) / people
        uplift, risk, chance = (order.places(kept, average) for order in (self.uplift, self.risk, self.chance))
        gain = share * uplift.toc(share)
        contacted = shrunk_by_others(raw, gamma, fold, weight) > self.cost
        return {
            "ate": average,
            "autoc": uplift.autoc(),
            "qini": uplift.qini(),
            "slope": _slope(gamma, raw, fold, weight),
            "autoc_risk": risk.autoc(),
            "qini_risk": risk.qini(),
            "autoc_random": chance.autoc(),
            "policy_random": gain,
            "policy_risk": gain - share * risk.toc(share),
            "policy_all": gain + (share - 1) * average,
            "policy_none": gain + share * average,
            "policy_unlimited": float((weight * ~contacted * (self.cost - gamma)).sum()) / people,
            "gates_difference": uplift.toc(0.2) + 4 * uplift.toc(0.8),  # 5·0.2·TOC(0.2), less 5·(TOC(1) - 0.8·TOC(0.8)) with TOC(1) = 0
        }


class FoldOrder:
    """Rows sorted by fold and falling score once; `order` (n,) are the rows, `level` (n,) counts the distinct scores of each fold."""

    def __init__(self, score: Floats, fold: Integers, gamma: Floats, weight: Floats) -> None:
        self.order = np.lexsort((-score, fold))
        self.fold, self.gamma, self.weight = fold[self.order], gamma[self.order], weight[self.order]
        ranked = score[self.order]
        self.level = np.cumsum(np.r_[False, (ranked[1:] != ranked[:-1]) | (self.fold[1:] != self.fold[:-1])])

    def places(self, kept: NDArray[np.bool_], average: float) -> Places:
        """Return the ranking of the rows `kept` (n,), whose mean Γ is `average`: by percentile rank within the fold, pooled, as `evaluate` ranks them."""
        chosen = np.flatnonzero(kept[self.order])
        weight = self.weight[chosen]
        start = np.flatnonzero(np.diff(self.level[chosen], prepend=-1))
        size, fold = np.add.reduceat(weight, start), self.fold[chosen[start]]
        total = np.bincount(fold, size)
        before = np.cumsum(size) - size - (np.cumsum(total) - total)[fold]
        rank = np.round((before + size / 2) / total[fold], RANK_DECIMALS)
        order = np.argsort(rank, kind="stable")
        n_rows = np.diff(start, append=len(chosen))[order]
        first = np.cumsum(n_rows) - n_rows
        rows = np.repeat(start[order] - first, n_rows) + np.arange(len(chosen))
        return Places.of(weight[rows], self.gamma[chosen[rows]] - average, first[np.diff(rank[order], prepend=-1.0) > 0])


@dataclass(frozen=True, slots=True)
class Places:
    """A ranking from first to last, by its L distinct priorities: `size`, `mass` (L,) are their sums of weights w, and of w times centred Γ.

    `ends`, `reached` (L,) are the cumulative sums of those, `harmonic` (L,) the sums of w_j / Σ_{i≤j} w_i, `pairs` (L,) of w_j·Σ_{i≤j} w_i from the level's
    first row on.
    """

    size: Floats
    mass: Floats
    ends: Floats
    reached: Floats
    harmonic: Floats
    pairs: Floats

    @classmethod
    def of(cls, weight: Floats, centred: Floats, start: Integers) -> Places:
        """Return the places of rows from first to last, `weight` and Γ less its mean (n,), whose distinct priorities begin at `start` (L,)."""
        size, mass, harmonic, squares = (np.add.reduceat(values, start) for values in (weight, weight * centred, weight / np.cumsum(weight), weight**2))
        return cls(size, mass, np.cumsum(size), np.cumsum(mass), harmonic, (size**2 + squares) / 2)

    def autoc(self) -> float:
        """Return (1/W) Σ_j w_j·TOC(j), rows of equal priority sharing their mean Γ."""
        effect = self.mass / self.size
        above, people = self.reached - self.mass, self.ends - self.size
        return 0.0 if len(self.size) == 1 else float((self.mass + (above - effect * people) * self.harmonic).sum() / self.ends[-1])

    def qini(self) -> float:
        """Return (1/W²) Σ_j w_j·(Σ_{i≤j} w_i)·TOC(j)."""
        above = self.reached - self.mass
        return 0.0 if len(self.size) == 1 else float((above * self.size + self.mass / self.size * self.pairs).sum() / self.ends[-1] ** 2)

    def toc(self, fraction: float) -> float:
        """Return the TOC at a fraction in (0, 1]; people of equal priority at the threshold count in part."""
        if fraction >= 1 or len(self.size) == 1:
            return 0.0
        goal = fraction * self.ends[-1]
        level = min(int(np.searchsorted(self.ends, goal)), len(self.ends) - 1)
        part = 1.0 - (self.ends[level] - goal) / self.size[level]
        return float((self.reached[level] - (1.0 - min(max(part, 0.0), 1.0)) * self.mass[level]) / goal)


def _slope(gamma: Floats, raw: Floats, fold: Integers, weight: Floats) -> float:
    """Return the slope of Γ on predicted uplift with the folds' means, 0 for a prediction that does not vary."""
    # Sums, not `@`: for vectors of this length the BLAS library wakes its threads, which takes longer than the sum.
    mass = np.bincount(fold, weight)
    deviation, residual = (values - (np.bincount(fold, weight * values) / mass)[fold] for values in (raw, gamma))
    weighted = weight * deviation
    spread = float((weighted * deviation).sum())
    varies = np.sqrt(spread / weight.sum()) > ROUNDING * float(np.abs(raw).max())
    return float((weighted * residual).sum()) / spread if varies else 0.0
