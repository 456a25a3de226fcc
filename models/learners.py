"""Learners of uplift: from the same cross-fitted nuisances to what the one final booster learns, row by row, and with which weight.

Each is a regression of a pseudo-outcome on the vector, in which the effect τ(x) is the best prediction. All end in one booster over X, so that
reasons add up; T and S, whose usual form is a difference of two predictions, are distilled into it, and the boosters of a stack are blended into one.
How good a learner is, and how far its prediction is shrunk, is judged by doubly robust scores whatever the learner.
"""

from __future__ import annotations

from itertools import combinations
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from models.nuisance import CONTROL, Expected, Trial, aipw_scores

Floats = NDArray[np.float64]
Learner = Literal["dr", "r", "x", "t", "s", "stack"]
LEARNERS: tuple[Learner, ...] = get_args(Learner)
STACKED: tuple[Learner, ...] = ("dr", "x", "t")
"""What a stack is made of: the learner whose bias vanishes and whose noise is largest, and two that trust the outcome models more."""


def parts_of(learner: Learner) -> tuple[Learner, ...]:
    """Return the learners that are fitted for a learner."""
    return STACKED if learner == "stack" else (learner,)


def stacked(raw: Floats, scores: Floats, folds: NDArray[np.int64], weight: Floats) -> tuple[Floats, Floats]:
    """Return out-of-fold effects (n,) of a stack, and the shares (parts,) of its parts for people who are new.

    τ = Σ share·τ_part, from the parts' out-of-fold effects `raw` (n, parts). The shares, none below zero and one in sum, are those with the least square
    error against the doubly robust scores (n,), all less their means within folds; for the people of a fold they are learned from the other folds. Where
    data are plenty they go to the DR-learner, whose noise vanishes and whose bias is none; where they are few, to what the outcome models say.
    Stacking by a loss of effects: Nie & Wager 2021, here with Γ, which known probabilities make unbiased.
    """
    n_folds, parts = int(folds.max()) + 1, raw.shape[1]
    products, squares = np.zeros((n_folds, parts)), np.zeros((n_folds, parts, parts))
    for fold in range(n_folds):
        mine = folds == fold
        mass = weight[mine, None]
        left = raw[mine] - np.average(raw[mine], axis=0, weights=weight[mine])
        products[fold] = np.sum(mass * left * scores[mine, None], axis=0)
        squares[fold] = (mass * left).T @ left
    own = np.stack([convex_shares(squares.sum(axis=0) - squares[fold], products.sum(axis=0) - products[fold]) for fold in range(n_folds)])
    return np.asarray((raw * own[folds]).sum(axis=1)), convex_shares(squares.sum(axis=0), products.sum(axis=0))


def convex_shares(squares: Floats, products: Floats) -> Floats:
    """Return the shares s (k,), none below zero and one in sum, that make s'·squares·s - 2·products'·s least: exactly, from every choice of parts.

    Parts that say the same share alike.
    """
    scale = float(np.trace(squares)) or 1.0
    squares, products = squares / scale, products / scale
    least, best = np.inf, np.zeros(len(products))
    for size in range(len(products), 0, -1):
        for chosen in map(list, combinations(range(len(products)), size)):
            system = np.ones((size + 1, size + 1))
            system[:size, :size], system[size, size] = squares[np.ix_(chosen, chosen)], 0.0
            shares = np.zeros(len(products))
            shares[chosen] = np.linalg.lstsq(system, np.append(products[chosen], 1.0), rcond=None)[0][:size]
            loss = float(shares @ squares @ shares - 2 * products @ shares)
            if (shares >= 0.0).all() and loss < least:
                least, best = loss, shares / shares.sum()
    return best


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

    `stack` is three of them (`stacked`) and has no pseudo-outcome of its own.

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
