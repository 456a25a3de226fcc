"""What a policy of contact is worth against what a campaign would do instead, per person of the whole population.

A policy gives each person a share π of contact, 0 to 1. From doubly robust scores Γ its gain over another policy π' is the paired

    E[(π - π')·Γ]

in units of the outcome, every person counted, contacted or not. With π the share c of highest priority, against contacting nobody that is
E[π·Γ] = c·(TOC(c) + E[Γ]); against contacting everybody E[(π - 1)·Γ], the same less E[Γ]; against as many at random E[(π - c)·Γ] = c·TOC(c); against
as many by another ranking the difference of the two. Standard errors come from influence functions summed within the assignment unit, in which
the threshold of a ranking has its part. A policy that was given, not ranked, has none: ψ = (π - π')·Γ - mean.

Sources: Athey & Wager 2021, "Policy learning with observational data" (values from doubly robust scores); Yadlowsky et al. 2025 (TOC).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.metrics import Estimate
from models.uplift_sample import Influence, Ranking, Sample, finite, shares_of_people, unit_weights

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CAPACITIES = (0.05, 0.1, 0.2, 0.5)
"""Shares of people whom campaigns can usually reach."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class PolicyValue:
    """What contacting the `capacity` share of highest priority gains, in units of the outcome per person of everyone, paired.

    Over contacting nobody, over contacting everybody, over as many at random, and over as many by baseline risk (None where no baseline was given).
    """

    capacity: float
    over_nobody: Estimate
    over_everybody: Estimate
    over_random: Estimate
    over_risk: Estimate | None

    def to_state(self) -> dict[str, Any]:
        """Return the fields as JSON-able values."""
        names = ("over_nobody", "over_everybody", "over_random", "over_risk")
        found: dict[str, Estimate | None] = {name: getattr(self, name) for name in names}
        return {"capacity": self.capacity} | {name: None if each is None else each.to_state() for name, each in found.items()}


@dataclass(frozen=True, slots=True)
class OpenPolicy:
    """What contacting whoever has a predicted uplift above `cost` gains, less the cost of each contact; `share` of people are contacted."""

    cost: float
    share: float
    over_nobody: Estimate
    over_everybody: Estimate

    def to_state(self) -> dict[str, Any]:
        """Return the fields as JSON-able values."""
        return {"cost": self.cost, "share": self.share, "over_nobody": self.over_nobody.to_state(), "over_everybody": self.over_everybody.to_state()}


def policy_table(
    priority: ArrayLike,
    scores: ArrayLike,
    *,
    baseline: ArrayLike | None = None,
    capacities: Sequence[float] = (*CAPACITIES, 1.0),
    groups: Any = None,
    sample_weight: ArrayLike | None = None,
    coverage: float = 0.90,
) -> tuple[PolicyValue, ...]:
    """Return the value of contacting the share of highest `priority` (n,), for each capacity in (0, 1].

    `scores` (n,) are Γ; `baseline` (n,) is the expected outcome without contact, whose highest are contacted by the rival ranking. Where priorities
    come from several folds' models, give their `percentile_ranks`. People of equal priority at the threshold are contacted in part, as if drawn
    at random.
    """
    shares = shares_of_people("capacity", capacities)
    sample = Sample(scores, *([priority] if baseline is None else [priority, baseline]), groups=groups, sample_weight=sample_weight)
    by_priority, *by_baseline = sample.columns
    rival = [toc for column in by_baseline for toc in Ranking(sample, column).tocs(shares)]
    return policies_of(Ranking(sample, by_priority), rival or None, shares, coverage)


def policies_of(ranking: Ranking, rival: Sequence[Influence] | None, shares: Sequence[float], coverage: float) -> tuple[PolicyValue, ...]:
    """Return the `policy_table` of a ranking at some shares in (0, 1], and of a rival, if any, whose TOC at these shares is given."""
    sample, table = ranking.sample, []
    average = sample.average_effect()
    for share, toc, other in zip(shares, ranking.tocs(shares), [None] * len(shares) if rival is None else rival, strict=True):
        gain = share * toc
        nobody = gain + share * average
        table.append(
            PolicyValue(
                share,
                sample.estimate("policy_none", nobody, coverage),
                sample.estimate("policy_all", nobody - average, coverage),
                sample.estimate("policy_random", gain, coverage),
                None if other is None else sample.estimate("policy_risk", share * (toc - other), coverage),
            )
        )
    return tuple(table)


def open_policy(
    uplift: ArrayLike, scores: ArrayLike, *, cost: float = 0.0, groups: Any = None, sample_weight: ArrayLike | None = None, coverage: float = 0.90
) -> OpenPolicy:
    """Return the value, without a limit on contacts, of contacting whoever has a predicted `uplift` (n,) above `cost`.

    With π = 1{τ > cost}: over nobody E[π·(Γ - cost)], over everybody E[(π - 1)·(Γ - cost)]. Uplift and cost are in units of the outcome. The
    prediction must come from people other than those it is judged on, its level included.
    """
    sample = Sample(scores, uplift, groups=groups, sample_weight=sample_weight)
    return open_policy_of(sample, sample.columns[0], cost, coverage)


def open_policy_of(sample: Sample, uplift: Floats, cost: float, coverage: float) -> OpenPolicy:
    """Return the `open_policy` of predicted uplift (n,) in the sample's order."""
    if not np.isfinite(cost):
        raise ValueError(f"cost must be a finite number in units of the outcome: given {cost!r}")
    contacted, net = (uplift > cost).astype(np.float64), sample.gamma - cost
    nobody = sample.estimate("policy_unlimited_none", sample.mean(contacted * net), coverage)
    everybody = sample.estimate("policy_unlimited", sample.mean((contacted - 1.0) * net), coverage)
    return OpenPolicy(float(cost), float(sample.weight @ contacted / len(contacted)), nobody, everybody)


def difference(
    policy: Any, other: Any, scores: ArrayLike, *, name: str = "policy", groups: Any = None, sample_weight: ArrayLike | None = None, coverage: float = 0.90
) -> Estimate:
    """Return what one policy gains over another, E[Σ_a (π_a - π'_a)·Γ_a], paired, in units of the outcome per person of everyone.

    `scores` are Γ of one arm (n,) or of K arms against control (n, K). A policy is the number of an arm for everyone or for each row (n,), 0 meaning no
    contact; or the share of each arm per row, (n, K), or (n,) where there is one arm, whose sum is at most 1. Policies count as given: fitted on other
    people, or fixed beforehand. Raises ValueError, in words, for anything else.
    """
    gamma = _scores(scores)
    gain = ((_shares(policy, gamma.shape) - _shares(other, gamma.shape)) * gamma).sum(axis=1)
    sample = Sample(gain, groups=groups, sample_weight=sample_weight)
    return sample.estimate(name, sample.average_effect(), coverage)


def best_message(scores: ArrayLike, *, folds: ArrayLike, sample_weight: ArrayLike | None = None) -> Integers:
    """Return the arm (n,), 1 to K, that does best on average in the folds other than the row's own: the best single message to all.

    `scores` (n, K) are Γ per arm against control. A message that is chosen on the people it is judged on looks better than it is; chosen on the other
    folds it does not. Raises ValueError for fewer than 2 folds.
    """
    gamma = _scores(scores)
    weight = unit_weights(sample_weight, len(gamma))
    fold = np.unique(finite("folds", folds, len(gamma)), return_inverse=True)[1]
    n_folds = int(fold.max(initial=-1)) + 1
    if n_folds < 2:
        raise ValueError(f"choosing on other folds needs at least 2 folds, given {n_folds}")
    sums = np.stack([np.bincount(fold, weight * column, n_folds) for column in gamma.T], axis=1)
    elsewhere = (sums.sum(axis=0) - sums) / (weight.sum() - np.bincount(fold, weight, n_folds))[:, None]
    return np.asarray(np.argmax(elsewhere, axis=1)[fold] + 1, dtype=np.int64)


def _scores(scores: ArrayLike) -> Floats:
    gamma = np.asarray(scores, dtype=np.float64)
    if gamma.ndim not in {1, 2} or gamma.size == 0:
        raise ValueError(f"scores must be one number per row, or one per row and arm: given shape {gamma.shape}")
    if not np.isfinite(gamma).all():
        raise ValueError(f"scores must be finite: {int((~np.isfinite(gamma)).sum())} of {gamma.size} values are missing or infinite")
    return gamma.reshape(len(gamma), -1)


def _shares(policy: Any, shape: tuple[int, ...]) -> Floats:
    """Return the share (n, K) of each arm per row."""
    n_rows, n_arms = shape
    given = np.asarray(policy)
    if given.ndim == 0:
        given = np.full(n_rows, given)
    if given.shape == (n_rows,) and (given.dtype.kind in "iub"):
        outside = (given < 0) | (given > n_arms)
        if outside.any():
            raise ValueError(f"a policy names an arm from 0 (no contact) to {n_arms}: {int(outside.sum())} of {n_rows} rows do not")
        return np.asarray(given[:, None] == np.arange(1, n_arms + 1), dtype=np.float64)
    if given.shape == (n_rows,) and n_arms == 1:
        given = given[:, None]
    if given.shape != (n_rows, n_arms):
        raise ValueError(f"a policy is an arm per row or a share per row and arm: given shape {given.shape} of {given.dtype}, expected ({n_rows}, {n_arms})")
    shares = np.asarray(given, dtype=np.float64)
    if not ((shares >= 0).all() and (shares.sum(axis=1) <= 1 + _ROUNDING).all()):
        raise ValueError("shares of arms must be at least 0 and add up to at most 1 in each row")
    return shares
