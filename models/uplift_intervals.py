"""Intervals for the average effect among people with a given prediction, from what groups of people with neighbouring predictions were found to gain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from models.uplift_groups import gates

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

GROUPS = 6
"""More groups follow the effect more closely, and hold fewer people each; with six, 90% held the truth in 90% of the experiments simulated to choose."""
LEAST_UNITS = 40
"""Assignment units that a group has at least, as long as two groups can be made."""
_SAME = 1e-9
"""Predictions nearer than this, as a share of the largest, are one."""


@dataclass(frozen=True, slots=True, eq=False)
class UpliftInterval:
    """Low and high of the average effect among people with a prediction, in units of the outcome; no interval for the one person.

    `knots` (k,) rising predictions, `low` and `high` (k,) there; between knots both are interpolated, beyond the outermost they stay.
    """

    knots: Floats
    low: Floats
    high: Floats

    @classmethod
    def fit(cls, served: Floats, judged: Floats, scores: Floats, *, folds: Integers, groups: Integers, weight: Floats, coverage: float) -> UpliftInterval:
        """Return the intervals for a model that predicts `served` (n,) for its own rows, from `judged` (n,), which models that did not see the rows predict.

        People are put into groups of equal size by `judged`, ranked within their fold. The effect of each group, with its standard error clustered on the
        assignment unit (`groups`), comes from the doubly robust `scores`. That of the m-th group stands at the mean of the m-th group by `served`: ranks say
        who is alike, because the model that is served spreads people wider than those of the folds, which had fewer rows to learn from. Groups whose
        predictions are the same are one.
        """
        n_groups = int(np.clip((groups.max() + 1) // LEAST_UNITS, 2, GROUPS))
        found = gates(judged, scores, folds=folds, n_groups=n_groups, groups=groups, sample_weight=weight, coverage=coverage)
        knots = _group_means(served, weight, n_groups)
        together = np.cumsum(np.diff(knots, prepend=knots[0]) > _SAME * np.abs(knots).max())
        part = (together == np.arange(together[-1] + 1)[:, None]).astype(np.float64)
        part /= part.sum(axis=1, keepdims=True)
        effect, variance = part @ found.effect, np.einsum("kg,gh,kh->k", part, found.covariance, part)
        reach = float(stats.norm.ppf(0.5 + coverage / 2)) * np.sqrt(np.maximum(variance, 0.0))
        return cls(part @ knots, effect - reach, effect + reach)

    def around(self, raw: Floats, uplift: Floats) -> Floats:
        """Return low and high (n, 2) for predictions (n,), widened to hold the `uplift` (n,) that is served for them."""
        low, high = np.interp(raw, self.knots, self.low), np.interp(raw, self.knots, self.high)
        return np.column_stack([np.minimum(low, uplift), np.maximum(high, uplift)])

    def to_state(self) -> dict[str, Any]:
        """Return knots and bounds as JSON-able values; each stands for at least LEAST_UNITS units where there are twice as many."""
        return {name: getattr(self, name).tolist() for name in self.__slots__}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> UpliftInterval:
        """Return the intervals of `to_state`; raises ValueError unless knots are finite and rising, with a low that is at most the high for each."""
        knots, low, high = (np.array(state[name], dtype=np.float64).reshape(-1) for name in cls.__slots__)
        if not len(knots) == len(low) == len(high) > 0 or not np.isfinite([knots, low, high]).all() or (np.diff(knots) <= 0).any() or (low > high).any():
            raise ValueError("the intervals need finite knots that rise, with low at most high")
        return cls(knots, low, high)


def _group_means(values: Floats, weight: Floats, n_groups: int) -> Floats:
    """Return the weighted mean (n_groups,) of the values in each of `n_groups` groups of equal weight, the lowest first; a row may belong to two in part."""
    order = np.argsort(values, kind="stable")
    mass = np.concatenate([[0.0], np.cumsum(weight[order])])
    sums = np.concatenate([[0.0], np.cumsum((weight * values)[order])])
    edges = mass[-1] * np.arange(n_groups + 1) / n_groups
    return np.diff(np.interp(edges, mass, sums)) * n_groups / mass[-1]
