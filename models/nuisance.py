"""What would happen in each arm: outcome models, cross-fitted over folds of units, and the scores made from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.boosting import BinnedRows, Objective

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Progress = Callable[[str, float], None]

CONTROL = 0
SEEN_LEAST = 0.05
"""No outcome weighs more than twenty for those who are missing: a probability of being observed is taken to be at least this."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A randomised experiment in arrays of n rows.

    `y` (n,) outcome, NaN where it is missing; `arm` (n,) drawn, 0 for control; `propensity` (n, n_arms) the known probability of each arm;
    `groups` assignment unit; `folds`; `weight`.
    """

    y: Floats
    arm: Integers
    propensity: Floats
    groups: Integers
    folds: Integers
    weight: Floats

    @property
    def n_folds(self) -> int:
        """The number of folds, counted from 0."""
        return int(self.folds.max()) + 1

    @property
    def n_arms(self) -> int:
        """The number of arms, control among them."""
        return self.propensity.shape[1]

    @property
    def observed(self) -> NDArray[np.bool_]:
        """Whether a row's outcome is known (n,)."""
        return ~np.isnan(self.y)

    @property
    def uneven_weight(self) -> Floats | None:
        """The weights, or None where all are 1."""
        return None if (self.weight == 1.0).all() else self.weight


@dataclass(frozen=True, slots=True)
class Nuisances:
    """Cross-fitted expected outcomes `mu` (n, n_folds, n_arms), and the probability `seen` (n, n_folds) that the outcome is observed.

    `mu[i, k, a]` is the expected outcome of row i in arm a (0 control), from models that saw neither the row's own fold
    nor fold k. For k = the row's own fold that is plain cross-fitting; for another k it is what a learner to be judged on fold k may use.
    `seen` is that of the arm drawn; None where every outcome is there.
    """

    mu: Floats
    seen: Floats | None
    trial: Trial
    together: bool = False

    def of(self, trial: Trial, *, together: bool) -> bool:
        """Return whether they are of this very trial and its folds, and from outcome models of that kind."""
        same = (np.array_equal(getattr(self.trial, name), getattr(trial, name)) for name in ("arm", "propensity", "groups", "folds", "weight"))
        return self.together == together and np.array_equal(self.trial.y, trial.y, equal_nan=True) and all(same)

    def excluding(self, fold: int) -> Expected:
        """Return what is expected by models that saw neither the row's fold nor `fold`."""
        return Expected(self.mu[:, fold], None if self.seen is None else self.seen[:, fold])

    def own(self) -> Expected:
        """Return what is expected by models that did not see the row's fold."""
        rows = np.arange(len(self.mu))
        return Expected(self.mu[rows, self.trial.folds], None if self.seen is None else self.seen[rows, self.trial.folds])


@dataclass(frozen=True, slots=True)
class Expected:
    """Expected outcomes `mu` (n, n_arms), and the probability `seen` (n,) that the outcome is observed; None for certainty."""

    mu: Floats
    seen: Floats | None = None


def arm_scores(expected: Expected, trial: Trial) -> Floats:
    """Return doubly robust scores (n, n_arms), whose mean over any group of people estimates what the group's outcome would be in the arm.

    Γₐ = μₐ + 1{arm = a}·1{observed}/(pₐ·π)·(y - μₐ), with the known probability pₐ of the arm and the estimated probability π of being observed.
    With pₐ known and every outcome there it is unbiased whatever μ is; a good μ makes it less noisy. Where outcomes are missing it is right if μ or π is,
    and if whether an outcome is missing depends on nothing but the arm and the vector. Source: Robins, Rotnitzky & Zhao 1994.
    """
    rows = np.arange(len(trial.y))
    own = expected.mu[rows, trial.arm]
    chance = trial.propensity[rows, trial.arm] * (1.0 if expected.seen is None else expected.seen)
    scores = expected.mu.copy()
    scores[rows, trial.arm] += np.where(trial.observed, np.nan_to_num(trial.y) - own, 0.0) / chance
    return scores


def aipw_scores(expected: Expected, trial: Trial, arm: int = 1) -> Floats:
    """Return the doubly robust score (n,) of the contrast of an arm with control: the difference of their `arm_scores`.

    As pseudo-outcome: Kennedy 2023 (the DR-learner).
    """
    scores = arm_scores(expected, trial)
    return np.asarray(scores[:, arm] - scores[:, CONTROL])


def cross_fit(
    rows: BinnedRows, trial: Trial, *, num_trees: int, parameters: Mapping[str, Any], together: bool = False, progress: Progress | None = None
) -> Nuisances:
    """Return outcome models' predictions for every pair of folds left out: n_arms·n_folds·(n_folds + 1)/2 small LightGBM models.

    A model that saw neither fold j nor fold k serves both: it predicts j for the learner judged on k, and k for the one judged on
    j. A 0/1 outcome is fitted with the binary objective, any other with squared error. `together`: one model for all arms, with the arm as a column
    (what the S-learner learns from). Raises ValueError when leaving two folds out leaves an arm empty.
    """
    pairs = [(j, k) for j in range(trial.n_folds) for k in range(j, trial.n_folds)]
    _check_arms(trial, pairs)
    learner = _Models(rows, trial, num_trees, parameters, rows.with_category(trial.arm) if together else None)
    mu = np.empty((len(trial.y), trial.n_folds, trial.n_arms))
    seen = None if trial.observed.all() else np.empty(mu.shape[:2])
    for done, (j, k) in enumerate(pairs):
        left_out = (trial.folds == j) | (trial.folds == k)
        predicted = np.flatnonzero(left_out)
        other = np.where(trial.folds[predicted] == j, k, j)
        mu[predicted, other] = learner.outcomes(~left_out, predicted)
        if seen is not None:
            seen[predicted, other] = learner.observed(~left_out, predicted)
        if progress is not None:
            progress("outcome models", (done + 1) / len(pairs))
    return Nuisances(mu, seen, trial, together)


@dataclass(frozen=True, slots=True)
class _Models:
    rows: BinnedRows
    trial: Trial
    num_trees: int
    parameters: Mapping[str, Any]
    with_arm: BinnedRows | None

    def outcomes(self, kept: NDArray[np.bool_], predicted: Integers) -> Floats:
        """Return expected outcomes (k, n_arms) of the rows `predicted`, by models of the rows `kept` (n,) whose outcome is known."""
        known = kept & self.trial.observed
        if self.with_arm is None:
            parts = [self._expected(self.rows, np.flatnonzero(known & (self.trial.arm == arm)), self.trial.y, predicted) for arm in range(self.trial.n_arms)]
        else:
            parts = self._together(self.with_arm, np.flatnonzero(known), predicted)
        return np.column_stack(parts)

    def observed(self, kept: NDArray[np.bool_], predicted: Integers) -> Floats:
        """Return the probability (k,) that the outcome of the rows `predicted` is observed in the arm they were drawn into."""
        there, found = self.trial.observed.astype(np.float64), np.empty(len(predicted))
        for arm in range(self.trial.n_arms):
            mine = self.trial.arm[predicted] == arm
            found[mine] = self._expected(self.rows, np.flatnonzero(kept & (self.trial.arm == arm)), there, predicted[mine])
        return np.maximum(found, SEEN_LEAST)

    def _together(self, rows: BinnedRows, seen: Integers, predicted: Integers) -> list[Floats]:
        if (self.trial.y[seen] == self.trial.y[seen[0]]).all():
            return [np.full(len(predicted), self.trial.y[seen[0]])] * self.trial.n_arms
        booster = self._grown(rows, seen, self.trial.y)
        return [rows.predict(booster, predicted, category=arm) for arm in range(self.trial.n_arms)]

    def _expected(self, rows: BinnedRows, seen: Integers, target: Floats, predicted: Integers) -> Floats:
        """Return the target expected for `predicted`, by a model of `seen`; a constant target needs no model."""
        if (target[seen] == target[seen[0]]).all():
            return np.full(len(predicted), target[seen[0]])
        return rows.predict(self._grown(rows, seen, target), predicted) if len(predicted) else np.zeros(0)

    def _grown(self, rows: BinnedRows, seen: Integers, target: Floats) -> Any:
        objective: Objective = "binary" if np.isin(target[~np.isnan(target)], (0.0, 1.0)).all() else "regression"
        return rows.train(seen, target, objective=objective, num_trees=self.num_trees, parameters=self.parameters, sample_weight=self.trial.uneven_weight)


def _check_arms(trial: Trial, pairs: list[tuple[int, int]]) -> None:
    for j, k in pairs:
        kept = trial.arm[(trial.folds != j) & (trial.folds != k) & trial.observed]
        for arm in range(trial.n_arms):
            if not (kept == arm).any():
                name = "control" if arm == CONTROL else "treated" if trial.n_arms == 2 else f"arm {arm}"
                there = int(((trial.arm == arm) & trial.observed).sum())
                raise ValueError(
                    f"cross-fitting leaves two of {trial.n_folds} folds out and then no {name} row with an outcome is left: "
                    f"there are {there} in too few assignment units. Hint: more {name} units"
                )
