"""Learners of uplift: from the same cross-fitted nuisances to what the one final booster learns, row by row, and with which weight.

Each is a regression of a pseudo-outcome on the vector, in which the effect τ(x) is the best prediction. All end in one booster over X, so that
reasons add up; T and S, whose usual form is a difference of two predictions, are distilled into it, and the boosters of a stack are blended into one.
How good a learner is, and how far its prediction is shrunk, is judged by doubly robust scores whatever the learner.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from models.nuisance import CONTROL, Expected, Trial, aipw_scores

Floats = NDArray[np.float64]
Learner = Literal["dr", "r", "x", "t", "s", "stack"]
LEARNERS: tuple[Learner, ...] = get_args(Learner)
STACKED: tuple[Learner, Learner] = ("dr", "t")
"""What a stack is made of: the learner whose bias vanishes and whose noise is largest, and one that trusts the outcome models instead."""


def parts_of(learner: Learner) -> tuple[Learner, ...]:
    """Return the learners that are fitted for a learner."""
    return STACKED if learner == "stack" else (learner,)


def stacked(raw: Floats, scores: Floats, folds: NDArray[np.int64], weight: Floats) -> tuple[Floats, Floats]:
    """Return out-of-fold effects (n,) of a stack, and the shares (2,) of its parts for people who are new.

    τ = τ_t + share·(τ_dr - τ_t), from the parts' out-of-fold effects `raw` (n, 2) in the order of STACKED. The share, in [0, 1], is the one with the least
    square error against the doubly robust scores (n,): the regression of Γ - τ_t on τ_dr - τ_t, both less their means within folds. For the people of a
    fold it is learned from the other folds. Where data are plenty it goes to the DR-learner, whose noise vanishes and whose bias is none; where they are
    few, to what the outcome models say. Stacking by a loss of effects: Nie & Wager 2021, here with Γ, which known probabilities make unbiased.
    """
    robust, plain = raw.T
    x, y = robust - plain, scores - plain
    products, squares = np.zeros(int(folds.max()) + 1), np.zeros(int(folds.max()) + 1)
    for fold in range(len(products)):
        mine = folds == fold
        mass = weight[mine]
        left = x[mine] - np.average(x[mine], weights=mass)
        products[fold] = np.sum(mass * left * (y[mine] - np.average(y[mine], weights=mass)))
        squares[fold] = np.sum(mass * left**2)
    own = _share(products.sum() - products, squares.sum() - squares)
    share = float(_share(products.sum(), squares.sum()))
    return plain + own[folds] * x, np.array([share, 1.0 - share])


def _share(products: Any, squares: Any) -> Any:
    """Return the slope, in [0, 1]; 1 where the parts say the same."""
    return np.clip(np.divide(products, squares, out=np.ones_like(products), where=squares > 0), 0.0, 1.0)


class Target(NamedTuple):
    """What the final booster learns: `value` (n,) with `weight` (n,); rows of weight 0 are left out."""

    value: Floats
    weight: Floats


def target(learner: Learner, expected: Expected, trial: Trial, arm: int = 1) -> Target:
    """Return the pseudo-outcome of the contrast of an arm with control.

    With e = p_arm/(p_arm + p_control), w = 1 in the arm and 0 in control:

    `dr`  Γ_arm - Γ_control, weight 1 (Kennedy 2023); rows of other arms tell through their expected outcomes.
    `r`   (y - m)/(w - e), weight (w - e)², m = e·μ_arm + (1 - e)·μ_control (Nie & Wager 2021).
    `x`   y - μ_control in the arm, weight (1 - e)/e; μ_arm - y in control, weight e/(1 - e): the two regressions of Künzel et al. 2019, mixed with e, as one.
    `t`   μ_arm - μ_control, weight 1: two outcome models, distilled.
    `s`   the same, from one outcome model that has the arm as a column (`cross_fit(together=True)`).

    `stack` is two of them (`stacked`) and has no pseudo-outcome of its own.

    Where outcomes are missing, r and x weigh those that are there by the inverse probability of being observed. Times the trial's own weights.
    """
    mine, other = expected.mu[:, arm], expected.mu[:, CONTROL]
    if learner == "dr":
        return Target(aipw_scores(expected, trial, arm), trial.weight)
    if learner in ("t", "s"):
        return Target(mine - other, trial.weight)
    chance = trial.propensity[:, arm] / (trial.propensity[:, arm] + trial.propensity[:, CONTROL])
    treated = trial.arm == arm
    usable = trial.observed & (treated | (trial.arm == CONTROL))
    weight = trial.weight * usable / (1.0 if expected.seen is None else expected.seen)
    y = np.where(trial.observed, trial.y, 0.0)
    if learner == "r":
        surprise = treated - chance
        return Target((y - chance * mine - (1 - chance) * other) / surprise, weight * surprise**2)
    return Target(np.where(treated, y - other, mine - y), weight * np.where(treated, (1 - chance) / chance, chance / (1 - chance)))
