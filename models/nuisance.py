"""What would happen without contact and with it: outcome models of both arms, cross-fitted, and the scores made from them."""

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


@dataclass(frozen=True, slots=True)
class Trial:
    """A randomised experiment in arrays of n rows: outcome, treatment (0/1), known probability of treatment, unit, fold, weight."""

    y: Floats
    treatment: Integers
    propensity: Floats
    groups: Integers
    folds: Integers
    weight: Floats

    @property
    def n_folds(self) -> int:
        """The number of folds, counted from 0."""
        return int(self.folds.max()) + 1

    @property
    def uneven_weight(self) -> Floats | None:
        """The weights, or None where all are 1."""
        return None if (self.weight == 1.0).all() else self.weight


@dataclass(frozen=True, slots=True)
class Nuisances:
    """Cross-fitted expected outcomes `mu` (n, n_folds, 2).

    `mu[i, k, a]` is the expected outcome of row i in arm a (0 control, 1 treated), from models that saw neither the row's own fold
    nor fold k. For k = the row's own fold that is plain cross-fitting; for another k it is what a learner to be judged on fold k may use.
    """

    mu: Floats
    trial: Trial

    def excluding(self, fold: int) -> Floats:
        """Return mu (n, 2) from models that saw neither the row's fold nor `fold`."""
        return self.mu[:, fold, :]

    def own(self) -> Floats:
        """Return mu (n, 2) from models that did not see the row's fold."""
        return self.mu[np.arange(len(self.mu)), self.trial.folds]


def aipw_scores(mu: Floats, trial: Trial) -> Floats:
    """Return the doubly robust score (n,) of each row, whose mean over any group of people estimates that group's average effect.

    Γ = μ₁ - μ₀ + w·(y - μ₁)/e - (1 - w)·(y - μ₀)/(1 - e), with the known probability e. Source: Robins, Rotnitzky & Zhao 1994;
    as pseudo-outcome Kennedy 2023 (the DR-learner). With e known it is unbiased whatever μ is; a good μ makes it less noisy.
    """
    treated = trial.treatment == 1
    correction = np.where(treated, (trial.y - mu[:, 1]) / trial.propensity, -(trial.y - mu[:, 0]) / (1.0 - trial.propensity))
    return np.asarray(mu[:, 1] - mu[:, 0] + correction)


def cross_fit(rows: BinnedRows, trial: Trial, *, num_trees: int, parameters: Mapping[str, Any], progress: Progress | None = None) -> Nuisances:
    """Return outcome models' predictions for every pair of folds left out: n_folds·(n_folds + 1) small LightGBM models.

    A model that saw neither fold j nor fold k serves both: it predicts j for the learner judged on k, and k for the one judged on
    j. A 0/1 outcome is fitted with the binary objective, any other with squared error. Raises ValueError when leaving two folds
    out leaves an arm empty.
    """
    pairs = [(j, k) for j in range(trial.n_folds) for k in range(j, trial.n_folds)]
    _check_arms(trial, pairs)
    learner = _OutcomeModel(rows, trial, num_trees, parameters)
    mu = np.empty((len(trial.y), trial.n_folds, 2))
    for done, (j, k) in enumerate(pairs):
        left_out = (trial.folds == j) | (trial.folds == k)
        predicted = np.flatnonzero(left_out)
        other = np.where(trial.folds[predicted] == j, k, j)
        for arm in (0, 1):
            mu[predicted, other, arm] = learner.expected(np.flatnonzero(~left_out & (trial.treatment == arm)), predicted)
        if progress is not None:
            progress("outcome models", (done + 1) / len(pairs))
    return Nuisances(mu, trial)


@dataclass(frozen=True, slots=True)
class _OutcomeModel:
    rows: BinnedRows
    trial: Trial
    num_trees: int
    parameters: Mapping[str, Any]

    def expected(self, seen: Integers, predicted: Integers) -> Floats:
        """Return the outcome expected for `predicted`, by a model of `seen`; a constant outcome needs no model."""
        y = self.trial.y
        if (y[seen] == y[seen[0]]).all():
            return np.full(len(predicted), y[seen[0]])
        objective: Objective = "binary" if np.isin(y, (0.0, 1.0)).all() else "regression"
        weight = self.trial.uneven_weight
        booster = self.rows.train(seen, y, objective=objective, num_trees=self.num_trees, parameters=self.parameters, sample_weight=weight)
        return self.rows.predict(booster, predicted)


def _check_arms(trial: Trial, pairs: list[tuple[int, int]]) -> None:
    for j, k in pairs:
        kept = trial.treatment[(trial.folds != j) & (trial.folds != k)]
        for arm, name in ((0, "control"), (1, "treated")):
            if not (kept == arm).any():
                raise ValueError(
                    f"cross-fitting leaves two of {trial.n_folds} folds out and then no {name} row is left: "
                    f"there are {int((trial.treatment == arm).sum())} {name} rows in too few assignment units. Hint: more {name} units"
                )
