"""How much contact with a message changes the outcome for each person, learned from randomised assignment only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from models.blend import blend
from models.boosting import BinnedRows
from models.columns import ColumnsError, check_columns, frame_matrix
from models.contributions import Contributions
from models.folds import group_codes, grouped_folds, row_order
from models.learners import LEARNERS, Learner, Target, parts_of, stacked, target
from models.metrics import Estimate
from models.nuisance import CONTROL, Nuisances, Progress, Trial, aipw_scores, cross_fit
from models.uplift_evaluation import Evaluation, evaluate
from models.uplift_halves import half_sample_estimates
from models.uplift_intervals import UpliftInterval
from models.uplift_metrics import best_linear_predictor, unit_weights

Floats = NDArray[np.float64]


class Persuadability(BaseEstimator):
    """Uplift of one message against control, learned with the known probability of assignment; by default a stack of the DR-, X- and T-learner.

    Estimand: τ(x) = E[Y(contact) - Y(no contact) | X = x], in units of the outcome (for a 0/1 outcome a difference of probabilities
    in [-1, 1]). Assumption: contact was assigned at random with the stated probability, and one unit's contact changes no other
    unit's outcome; anything but randomised assignment, a wrong probability, attrition that depends on contact, or spill-over breaks it.

    Method (Kennedy 2023; Künzel et al. 2019): outcome models of both arms cross-fitted over folds of assignment units; doubly robust scores Γ; one small
    LightGBM on X of Γ, and of what another learner makes of the same outcome models (`models.learners`). The same learners are
    fitted once more per fold, on nuisances that never saw the fold, which gives every row an
    uplift from models that did not see its unit. A stack blends them into one booster, with the shares that meet Γ best out of fold.
    The best linear predictor of Γ gives the average effect and the slope with which
    the final prediction is shrunk: τ* = ATE + slope·(τ - mean τ), slope clipped to [0, 1]. A null experiment answers its average effect.
    Outcomes that are missing (NaN) are stood in for by the inverse probability of being observed, given arm and vector (`models.nuisance.arm_scores`).

    Off the end of the data a prediction is that of the outermost leaves; missing values (NaN) go the way training chose.

    Parameters
    ----------
    learner : `dr`, `r`, `x`, `t`, `s`, or `stack` of dr, x and t; scores, calibration, intervals and judgement are the same for all.
    n_folds : folds of assignment units, at least 3 (two are left out at once).
    nuisance_trees, nuisance_learning_rate, nuisance_max_depth, nuisance_min_child_samples, nuisance_l2 : the outcome models.
    num_trees, learning_rate, max_depth : the final booster.
    min_child_share : smallest share of the rows in one of its leaves; a leaf is an experiment of its own and needs people in both arms.
    l2 : its shrinkage of leaves, as a share of the rows.
    coverage : of the intervals.
    monotone : columns whose growth can only raise (1) or lower (-1) the uplift, where a stated theory says so; none by default.
    random_state, n_jobs : seed of folds and boosters; threads. Equal seeds and data give equal bits, whatever the order of rows.

    Attributes
    ----------
    booster_ : lgb.Booster, the final model of τ, before shrinkage.
    ate_, slope_ : Estimate, average effect and calibration slope out of fold (the slope as estimated, before clipping).
    interval_ : UpliftInterval, the average effect of people by prediction. mean_ : weighted mean of τ in training.
    shares_ : (parts,) of the boosters that were blended, for a stack (dr, x, t); 1 for any other learner. Absent from a loaded model.
    columns_ : tuple of str. n_rows_, n_groups_, n_missing_ : int, rows, assignment units, rows without an outcome.
    out_of_fold_ : DataFrame (n rows, X's index): raw (τ), uplift (τ*), score (Γ), baseline and treated (expected outcomes), group (code),
        fold, weight, treatment, outcome. Absent from a loaded model.
    nuisances_ : Nuisances, for another learner on the same data and folds (`fit(nuisances=…)`). Absent from a loaded model.

    """

    out_of_fold_: pd.DataFrame

    def __init__(
        self,
        *,
        learner: Learner = "stack",
        n_folds: int = 5,
        nuisance_trees: int = 100,
        nuisance_learning_rate: float = 0.1,
        nuisance_max_depth: int = 4,
        nuisance_min_child_samples: int = 50,
        nuisance_l2: float = 1.0,
        num_trees: int = 50,
        learning_rate: float = 0.05,
        max_depth: int = 3,
        min_child_share: float = 0.05,
        l2: float = 0.0,
        monotone: Mapping[str, int] | None = None,
        coverage: float = 0.90,
        random_state: int = 0,
        n_jobs: int = 2,
    ) -> None:
        self.learner = learner
        self.n_folds = n_folds
        self.nuisance_trees = nuisance_trees
        self.nuisance_learning_rate = nuisance_learning_rate
        self.nuisance_max_depth = nuisance_max_depth
        self.nuisance_min_child_samples = nuisance_min_child_samples
        self.nuisance_l2 = nuisance_l2
        self.num_trees = num_trees
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_child_share = min_child_share
        self.l2 = l2
        self.monotone = monotone
        self.coverage = coverage
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(
        self,
        X: pd.DataFrame,
        y: ArrayLike,
        *,
        treatment: ArrayLike,
        propensity: ArrayLike,
        groups: Any = None,
        sample_weight: ArrayLike | None = None,
        nuisances: Nuisances | None = None,
        progress: Progress | None = None,
    ) -> Persuadability:
        """Fit on a randomised experiment and return self.

        X (n, F) numbers, NaN for missing. `y` (n,) outcome: 0/1, a count or continuous, NaN where it is missing. `treatment` (n,) 1 contacted, 0 control.
        `propensity` the known probability of 1, (n,) or one number, inside (0, 1). `groups` (n,) what was drawn as one (default: every
        row by itself). `sample_weight` (n,) positive. `nuisances` are those of another learner's fit on the same data.
        `progress(stage, fraction)` is called as the work goes on.
        Raises ValueError, in words, for anything else; ColumnsError for columns that are no numbers.
        """
        self.check_parameters()
        order, rows, trial = self._in_order(X, y, treatment, propensity, groups=groups, sample_weight=sample_weight)
        together = self.learner == "s"
        if nuisances is None:
            nuisances = cross_fit(rows, trial, num_trees=self.nuisance_trees, parameters=self.nuisance_parameters(), together=together, progress=progress)
        elif not nuisances.of(trial, together=together):
            raise ValueError("the nuisances given are of other data, other folds, or of another kind of learner: leave them out")
        self.learn(rows, nuisances, progress=progress)
        self.out_of_fold_ = self.out_of_fold_.set_axis(order, axis=0).sort_index().set_axis(X.index, axis=0)
        return self

    def learn(self, rows: BinnedRows, nuisances: Nuisances, arm: int = 1, *, progress: Progress | None = None) -> None:
        """Learn the contrast of an arm with control from rows in canonical order and their nuisances; `fit` and `models.messages` call it."""
        trial, everyone = nuisances.trial, np.arange(len(nuisances.mu))
        self._name_columns(rows.columns)
        unknown = sorted(set(self.monotone or {}) - set(rows.columns))
        if unknown:
            raise ColumnsError(f"monotone names {len(unknown)} columns that X does not have, such as {unknown[0]!r}; it has {', '.join(rows.columns[:5])}, …")
        parts, scores = parts_of(self.learner), aipw_scores(nuisances.own(), trial, arm)
        judged = np.column_stack([self._out_of_fold(rows, nuisances, part, arm, progress) for part in parts])
        raw, self.shares_ = stacked(judged, scores, trial.folds, trial.weight) if len(parts) > 1 else (judged[:, 0], np.ones(1))
        line = best_linear_predictor(raw, scores, folds=trial.folds, groups=trial.groups, sample_weight=trial.weight, coverage=self.coverage)
        self.booster_ = blend([self._final(rows, everyone, target(part, nuisances.own(), trial, arm)) for part in parts], self.shares_.tolist())
        served = rows.predict(self.booster_, everyone)
        self.mean_ = float(np.average(served, weights=trial.weight))
        self.ate_, self.slope_ = line.average, line.slope
        self.interval_ = UpliftInterval.fit(served, raw, scores, folds=trial.folds, groups=trial.groups, weight=trial.weight, coverage=self.coverage)
        self.n_rows_, self.n_groups_, self.n_missing_ = len(everyone), int(trial.groups.max()) + 1, int((~trial.observed).sum())
        self.nuisances_, self.out_of_fold_ = nuisances, self._judged(nuisances, raw, scores, arm)

    def predict_uplift(self, X: pd.DataFrame) -> Floats:
        """Return τ* (n,), the change in the outcome that contact makes, in units of the outcome, shrunk to the average effect."""
        return self._shrink(self.predict_raw(X))

    def predict(self, X: pd.DataFrame) -> Floats:
        """Return `predict_uplift(X)`."""
        return self.predict_uplift(X)

    def predict_raw(self, X: pd.DataFrame) -> Floats:
        """Return τ (n,), the final booster's own prediction, before shrinkage. Raises ColumnsError for other columns than in fit."""
        return self._predict(X)

    def predict_interval(self, X: pd.DataFrame) -> Floats:
        """Return low and high (n, 2), with `coverage`, of the average effect among people with this prediction.

        They come from the effects found among groups of people with neighbouring predictions (`models.uplift_intervals`), not from the line that τ* lies on,
        and hold τ*. It is no interval for the one person, whose own effect nobody observes.
        """
        raw = self.predict_raw(X)
        return self.interval_.around(raw, self._shrink(raw))

    def contributions(self, X: pd.DataFrame) -> Contributions:
        """Return exact TreeSHAP contributions to `predict_uplift`: base (n,) + values (n, F) summed over columns is τ*."""
        parts = self._predict(X, pred_contrib=True).reshape(len(X), len(self.columns_) + 1)
        return Contributions(self._shrink(parts[:, -1]), self.shrinkage_ * parts[:, :-1], self.columns_)

    def evaluate(self, *, capacity: float = 0.2, turned: bool = False) -> Evaluation:
        """Return the measures of the out-of-fold uplift, with the verdict. Raises ValueError for a loaded model, which has no rows.

        `turned`: less of the outcome was better, so `y` was turned round; the ranking by baseline risk then begins with those of the lowest expected `y`.
        """
        return evaluate(self._to_judge(turned=turned), capacity=capacity, coverage=self.coverage, random_state=self.random_state)

    def half_sample_estimates(
        self, *, capacity: float = 0.2, turned: bool = False, n_draws: int = 200, progress: Progress | None = None
    ) -> dict[str, Estimate]:
        """Return the estimates of `evaluate`, by name, with standard errors by half-samples of assignment units instead of exact ones."""
        judged, coverage, seed = self._to_judge(turned=turned), self.coverage, self.random_state
        return half_sample_estimates(judged, capacity=capacity, coverage=coverage, n_draws=n_draws, random_state=seed, progress=progress)

    @property
    def shrinkage_(self) -> float:
        """The slope as used: clipped to [0, 1]."""
        return min(max(self.slope_.value, 0.0), 1.0)

    def to_state(self) -> dict[str, Any]:
        """Return what was learned, beside the booster, as JSON-able values; no row of the training data is in it."""
        check_is_fitted(self, "booster_")
        return {
            "parameters": self.get_params(),
            "columns": list(self.columns_),
            "ate": self.ate_.to_state(),
            "slope": self.slope_.to_state(),
            "interval": self.interval_.to_state(),
            "mean": self.mean_,
            "n_rows": self.n_rows_,
            "n_groups": self.n_groups_,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], booster: lgb.Booster) -> Persuadability:
        """Return the model of `to_state` and its booster; it predicts the same bits. Raises ValueError where the parts do not fit."""
        model = cls(**state["parameters"])
        model.check_parameters()
        model.booster_ = booster
        model._name_columns(tuple(str(name) for name in state["columns"]))
        model.ate_, model.slope_ = Estimate.from_state(state["ate"]), Estimate.from_state(state["slope"])
        if "interval" not in state:
            raise ValueError("the model is of an earlier release, which stored no intervals by group: train it again")
        model.interval_, model.mean_ = UpliftInterval.from_state(state["interval"]), float(state["mean"])
        model.n_rows_, model.n_groups_ = int(state["n_rows"]), int(state["n_groups"])
        check_columns(booster.feature_name(), model.columns_)
        if not np.isfinite([model.mean_, model.ate_.value, model.slope_.value]).all():
            raise ValueError("average effect, slope and mean must be finite")
        return model

    def _name_columns(self, columns: tuple[str, ...]) -> None:
        self.columns_, self.n_features_in_, self.feature_names_in_ = columns, len(columns), np.array(columns, dtype=object)

    def check_parameters(self) -> None:
        """Raise ValueError, in words, for a parameter outside of its limits."""
        limits = {
            "n_folds": (3, 100),
            "nuisance_trees": (1, 20_000),
            "nuisance_max_depth": (1, 12),
            "nuisance_min_child_samples": (1, 10**9),
            "nuisance_l2": (0, 10**9),
            "num_trees": (1, 20_000),
            "max_depth": (1, 12),
            "l2": (0, 10**3),
            "n_jobs": (1, 1024),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must lie in [{low}, {high}]: given {getattr(self, name)!r}")
        for name, most in (("nuisance_learning_rate", 1.0), ("learning_rate", 1.0), ("min_child_share", 0.5)):
            if not 0 < getattr(self, name) <= most:
                raise ValueError(f"{name} must lie in (0, {most:g}]: given {getattr(self, name)!r}")
        if self.learner not in LEARNERS:
            raise ValueError(f"learner must be one of {', '.join(LEARNERS)}: given {self.learner!r}")
        if not 0 < self.coverage < 1:
            raise ValueError(f"coverage must lie inside (0, 1): given {self.coverage!r}")
        if not all(direction in (-1, 0, 1) for direction in (self.monotone or {}).values()):
            raise ValueError(f"monotone gives columns 1, -1 or 0: given {dict(self.monotone or {})!r}")

    def nuisance_parameters(self) -> dict[str, Any]:
        """Return LightGBM's parameters for the outcome models."""
        return {
            "learning_rate": self.nuisance_learning_rate,
            "max_depth": self.nuisance_max_depth,
            "num_leaves": 2**self.nuisance_max_depth,
            "min_data_in_leaf": self.nuisance_min_child_samples,
            "lambda_l2": self.nuisance_l2,
        }

    def _in_order(self, X: pd.DataFrame, y: ArrayLike, treatment: ArrayLike, propensity: ArrayLike, **how: Any) -> tuple[NDArray[np.int64], BinnedRows, Trial]:
        """Return the canonical order of the rows, and in it the vectors and the trial: what they are read from is let go before anything is learned."""
        matrix, columns = frame_matrix(X)
        outcome, contact, chance = checked_outcome(y, len(matrix)), _treatment(treatment, len(matrix)), _propensity(propensity, len(matrix))
        drawn = np.column_stack([1.0 - chance, chance])
        order, trial = canonical_trial(matrix, outcome, contact, drawn, n_folds=self.n_folds, seed=self.random_state, **how)
        return order, BinnedRows(matrix[order], columns, random_state=self.random_state, n_jobs=self.n_jobs), trial

    def _final(self, rows: BinnedRows, part: NDArray[np.int64], aim: Target) -> lgb.Booster:
        part = part[aim.weight[part] > 0]
        parameters = {
            "learning_rate": self.learning_rate,
            "max_depth": self.max_depth,
            "num_leaves": 2**self.max_depth,
            "min_data_in_leaf": max(1, round(self.min_child_share * len(part))),
            "lambda_l2": self.l2 * len(part),
        }
        if self.monotone:
            parameters["monotone_constraints"] = [int(self.monotone.get(column, 0)) for column in rows.columns]
        mean = float(aim.weight[part].mean())
        weight = None if (aim.weight[part] == aim.weight[part[0]]).all() else aim.weight / mean
        return rows.train(part, aim.value, objective="regression", num_trees=self.num_trees, parameters=parameters, sample_weight=weight)

    def _out_of_fold(self, rows: BinnedRows, nuisances: Nuisances, learner: Learner, arm: int, progress: Progress | None) -> Floats:
        """Return τ (n,) of each row from a learner that saw neither its fold nor nuisances trained on it."""
        trial = nuisances.trial
        raw = np.empty(len(trial.y))
        for fold in range(trial.n_folds):
            judged = np.flatnonzero(trial.folds == fold)
            booster = self._final(rows, np.flatnonzero(trial.folds != fold), target(learner, nuisances.excluding(fold), trial, arm))
            raw[judged] = rows.predict(booster, judged)
            if progress is not None:
                parts = parts_of(self.learner)
                progress("uplift models", (parts.index(learner) + (fold + 1) / trial.n_folds) / len(parts))
        return raw

    def _shrink(self, raw: Floats) -> Floats:
        return np.asarray(self.ate_.value + self.shrinkage_ * (raw - self.mean_))

    def _predict(self, X: pd.DataFrame, **how: Any) -> Floats:
        check_is_fitted(self, "booster_")
        matrix, _ = frame_matrix(X, self.columns_)
        if len(matrix) == 0:
            return np.zeros(0)
        return np.asarray(self.booster_.predict(matrix, num_threads=self.n_jobs, **how), dtype=np.float64)

    def _to_judge(self, *, turned: bool) -> pd.DataFrame:
        check_is_fitted(self, "booster_")
        if not hasattr(self, "out_of_fold_"):
            raise ValueError("a loaded model carries no training rows: evaluate it where it was fitted")
        return self.out_of_fold_.assign(baseline=-self.out_of_fold_["baseline"]) if turned else self.out_of_fold_

    def _judged(self, nuisances: Nuisances, raw: Floats, scores: Floats, arm: int) -> pd.DataFrame:
        trial, mu = nuisances.trial, nuisances.own().mu
        columns: dict[str, NDArray[Any]] = {"raw": raw, "uplift": self._shrink(raw), "score": scores, "baseline": mu[:, CONTROL], "treated": mu[:, arm]}
        columns |= {"group": trial.groups, "fold": trial.folds, "weight": trial.weight, "treatment": (trial.arm == arm).astype(np.int64), "outcome": trial.y}
        return pd.DataFrame(columns)


def canonical_trial(
    matrix: NDArray[np.float32],
    outcome: Floats,
    arm: Floats,
    propensity: Floats,
    *,
    groups: Any,
    sample_weight: ArrayLike | None,
    n_folds: int,
    seed: int,
) -> tuple[NDArray[np.int64], Trial]:
    """Return the order of rows that follows from what they hold, and the trial in that order: `propensity` (n, n_arms), folds of units."""
    weight = unit_weights(sample_weight, len(matrix))
    codes = None if groups is None else group_codes(groups, len(matrix))
    order = row_order(matrix, np.nan_to_num(outcome, nan=np.finfo(float).max), arm, *propensity.T, weight, groups=codes)
    units = np.arange(len(order)) if codes is None else codes[order]
    folds = grouped_folds(units, n_folds, seed)
    return order, Trial(outcome[order], arm[order].astype(np.int64), propensity[order], units, folds, weight[order])


def _numbers(name: str, values: ArrayLike, n_rows: int) -> Floats:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be numbers, one per row") from None
    if array.shape != (n_rows,):
        raise ValueError(f"{name} must be one number per row of X: given shape {array.shape}, expected ({n_rows},)")
    return array


def checked_outcome(y: ArrayLike, n_rows: int) -> Floats:
    """Return outcomes (n,) as numbers, NaN where they are missing; raises ValueError, in words."""
    outcome = _numbers("y", y, n_rows)
    if n_rows == 0:
        raise ValueError("there are no rows to fit on")
    if np.isinf(outcome).any():
        raise ValueError(f"y is infinite in {int(np.isinf(outcome).sum())} of {n_rows} rows; an outcome is a finite number, or NaN where it is missing")
    if np.isnan(outcome).all():
        raise ValueError("y is missing in every row: there is nothing to learn from")
    return outcome


def _treatment(treatment: ArrayLike, n_rows: int) -> Floats:
    contact = _numbers("treatment", treatment, n_rows)
    if not np.isin(contact, (0.0, 1.0)).all():
        other = np.unique(contact[~np.isin(contact, (0.0, 1.0))])[:5].tolist()
        raise ValueError(f"treatment must be 1 (contacted) or 0 (control), also given: {other}. Hint: fit one model per arm against control")
    for value, name in ((0.0, "control (0)"), (1.0, "treated (1)")):
        if not (contact == value).any():
            raise ValueError(f"treatment has no {name} row: an effect needs both arms")
    return contact


def _propensity(propensity: ArrayLike, n_rows: int) -> Floats:
    given = np.asarray(propensity)
    chance = _numbers("propensity", np.full(n_rows, given) if given.ndim == 0 else given, n_rows)
    outside = ~((chance > 0.0) & (chance < 1.0))
    if outside.any():
        hint = "leave out people who could only have been in one arm"
        raise ValueError(f"propensity must lie inside (0, 1): {int(outside.sum())} of {n_rows} values do not (first: {chance[outside][0]:g}). Hint: {hint}")
    return chance
