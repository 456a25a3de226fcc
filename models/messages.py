"""Several messages against one control: which works best on average, and whether choosing by person does better than sending it to all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from models.boosting import BinnedRows
from models.columns import frame_matrix
from models.metrics import Estimate
from models.nuisance import CONTROL, Progress, Trial, arm_scores, cross_fit
from models.persuadability import Persuadability, canonical_trial, checked_outcome
from models.uplift_evaluation import CROSS_FITTING, critical, held_out_uplift, least_units
from models.uplift_metrics import average_effect

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ALPHA = 0.05
"""Level of the one-sided test that choosing by person beats the best message to all, fixed before any outcome was seen."""


class Messages(BaseEstimator):
    """The choice among K messages of one randomised experiment.

    Each message is a contrast with control, learned by `Persuadability` from outcome models that all contrasts share. Published evidence says that
    choosing the better message beats choosing the person; so the best message on average comes first, and a choice by person is made only
    where, out of fold, it is shown to do better: the message of the highest predicted uplift τ*, shrunk by what the other folds say, against the
    message that was best in the other folds, paired on doubly robust scores, one-sided at ALPHA, the standard error times √2 (`docs/decisions/0002`),
    by Student's t with the units of the smallest arm (0008).
    To send nothing is a choice like any other: for a person whose uplifts are all negative, and for all where even the best message is shown to do harm.

    Parameters
    ----------
    arms : names of the messages; by default those found in `treatment`, sorted.
    control : the name of control in `treatment`.
    base : the Persuadability whose parameters the contrasts take.

    Attributes
    ----------
    arms_ : tuple of str. contrasts_ : dict, arm → Persuadability. effects_ : dict, arm → Estimate of its average effect against control.
    best_ : str, the message of the highest average effect, or control where that effect is shown to be negative (its interval lies below 0).
    lead_ : Estimate, by how much the first message beats the next on average (None with one message).
    by_person_ : Estimate, what choosing by person gains per person over the best message to all, out of fold (None with one message).
    personal_ : bool, whether that gain is shown.

    """

    def __init__(self, arms: Sequence[str] | None = None, *, control: str = "control", base: Persuadability | None = None) -> None:
        self.arms = arms
        self.control = control
        self.base = base

    def fit(
        self,
        X: pd.DataFrame,
        y: ArrayLike,
        *,
        treatment: ArrayLike,
        propensity: pd.DataFrame,
        groups: Any = None,
        sample_weight: ArrayLike | None = None,
        progress: Progress | None = None,
    ) -> Messages:
        """Fit and return self. `treatment` (n,) the name of the arm drawn. `propensity` (n rows) known probabilities, a column per arm, control among them.

        The rest as in `Persuadability.fit`. Raises ValueError, in words.
        """
        base = Persuadability() if self.base is None else self.base
        base.check_parameters()
        matrix, columns = frame_matrix(X)
        outcome = checked_outcome(y, len(matrix))
        arm, drawn = self._drawn(treatment, propensity, len(matrix))
        order, trial = canonical_trial(
            matrix, outcome, arm.astype(np.float64), drawn, groups=groups, sample_weight=sample_weight, n_folds=base.n_folds, seed=base.random_state
        )
        rows = BinnedRows(matrix[order], columns, random_state=base.random_state, n_jobs=base.n_jobs)
        together = base.learner == "s"
        nuisances = cross_fit(rows, trial, num_trees=base.nuisance_trees, parameters=base.nuisance_parameters(), together=together, progress=progress)
        self.contrasts_ = {}
        for number, name in enumerate(self.arms_, start=1):
            self.contrasts_[name] = clone(base)
            self.contrasts_[name].learn(rows, nuisances, number, progress=progress)
        raw = np.column_stack([model.out_of_fold_["raw"] for model in self.contrasts_.values()])
        self._compare(arm_scores(nuisances.own(), trial), raw, trial, base.coverage)
        for model in self.contrasts_.values():
            model.out_of_fold_ = model.out_of_fold_.set_axis(order, axis=0).sort_index().set_axis(X.index, axis=0)
        return self

    def predict(self, X: pd.DataFrame) -> NDArray[np.str_]:
        """Return (n,) which message suits each person, or control for none: the best on average for all, unless choosing by person was shown to do better."""
        check_is_fitted(self, "contrasts_")
        if not self.personal_:
            return np.full(len(X), self.best_)
        return np.array([self.control, *self.arms_])[_with_none(self.predict_uplift(X)).argmax(axis=1)]

    def predict_uplift(self, X: pd.DataFrame) -> Floats:
        """Return τ* (n, K) of every message against control, in units of the outcome."""
        check_is_fitted(self, "contrasts_")
        return np.column_stack([model.predict_uplift(X) for model in self.contrasts_.values()])

    def verdict(self) -> str:
        """Return in words which message is best, by how much, and whether choosing by person does better."""
        check_is_fitted(self, "contrasts_")
        if self.lead_ is None or self.by_person_ is None:
            (only,) = self.arms_
            harm = f"lowers the outcome on average ({told(self.effects_[only])})" if self.best_ == self.control else ""
            return f"there is one message, {only}, and it {harm}: it is sent to nobody" if harm else f"there is one message, {only}: nothing to choose"
        return choice_words(self.effects_, self.lead_, self.by_person_, best=self.best_, personal=self.personal_)

    def _drawn(self, treatment: ArrayLike, propensity: pd.DataFrame, n_rows: int) -> tuple[Integers, Floats]:
        """Return each row's arm (n,), 0 for control, and the probabilities (n, K + 1); raises ValueError."""
        names = np.asarray(treatment).astype(str)
        if names.shape != (n_rows,):
            raise ValueError(f"treatment must be the name of one arm per row of X: given shape {names.shape}, expected ({n_rows},)")
        found = set(names.tolist())
        self.arms_ = tuple(sorted(found - {self.control}) if self.arms is None else self.arms)
        unknown, absent = found - {self.control, *self.arms_}, {self.control, *self.arms_} - found
        if unknown or absent or not self.arms_:
            said = f"nobody drew {', '.join(sorted(absent))}" if absent else f"not an arm: {', '.join(sorted(unknown))}" if unknown else "there is only control"
            raise ValueError(f"treatment must hold control ({self.control}) and every message, and nothing else: {said}")
        columns = [self.control, *self.arms_]
        if not isinstance(propensity, pd.DataFrame) or len(propensity) != n_rows or not set(columns) <= set(propensity.columns):
            raise ValueError(f"propensity must be a frame with a row for each row of X and the columns {', '.join(columns)}")
        chance = propensity[columns].to_numpy(dtype=np.float64)
        outside = ~((chance > 0) & (chance < 1)).all(axis=1) | (np.abs(chance.sum(axis=1) - 1) > _ROUNDING)
        if outside.any():
            hint = "where rows of other arms are left out, divide by the sum over the arms that stay"
            raise ValueError(f"in {int(outside.sum())} of {n_rows} rows the arms' probabilities are not inside (0, 1), or do not add up to 1. Hint: {hint}")
        return np.array([columns.index(name) for name in names.tolist()], dtype=np.int64), chance

    def _compare(self, scores: Floats, raw: Floats, trial: Trial, coverage: float) -> None:
        """Set what is known of the messages from scores (n, K + 1) and out-of-fold uplift before shrinkage (n, K)."""
        shared: dict[str, Any] = {"groups": trial.groups, "sample_weight": trial.weight, "coverage": coverage}
        effects = scores[:, 1:] - scores[:, [CONTROL]]
        self.effects_ = {arm: average_effect(effects[:, number], **shared) for number, arm in enumerate(self.arms_)}
        ranked = sorted(self.arms_, key=lambda arm: -self.effects_[arm].value)
        self.best_ = self.control if self.effects_[ranked[0]].high < 0 else ranked[0]
        self.lead_, self.by_person_, self.personal_ = None, None, False
        if len(ranked) == 1:
            return
        first, second = (self.arms_.index(arm) for arm in ranked[:2])
        self.lead_ = average_effect(effects[:, first] - effects[:, second], **shared)
        chosen, single = _choices(effects, raw, trial)
        rows, offered = np.arange(len(effects)), _with_none(effects)
        self.by_person_ = average_effect(offered[rows, chosen] - offered[rows, single], **shared)
        bound = self.by_person_.value - critical(ALPHA, least_units(trial.arm, trial.groups)) * CROSS_FITTING * self.by_person_.se
        self.personal_ = bool(self.by_person_.se > 0 and bound > 0)


def choice_words(
    effects: Mapping[str, Estimate], lead: Estimate, by_person: Estimate, *, best: str, personal: bool, said: Callable[[Estimate], str] | None = None
) -> str:
    """Return in words what `Messages` found of several: its attributes of these names; `best` is none of `effects` where even the first is shown to do harm.

    `said` gives the words of an estimate, by default `told`.
    """
    say, first = said or told, max(effects, key=lambda arm: effects[arm].value)
    harm = best not in effects
    clear = "clearly ahead of the next" if lead.value > _LEAD_Z * lead.se else "not clearly ahead of the next"
    good = f"{first} works best on average, {clear} ({say(lead)}); "
    words = f"even the best message, {first}, lowers the outcome on average ({say(effects[first])}); " if harm else good
    gain = f"choosing by person gains {say(by_person)} per person over {'sending none' if harm else 'it'}"
    to_all = "so nothing is sent" if harm else "so it is sent to all"
    return words + gain + (": shown to do better" if personal else f": not shown to do better, {to_all}")


_ROUNDING = 1e-6
_LEAD_Z = float(stats.norm.ppf(0.975))
"""The first of two is ahead whichever it is: so two-sided at 5%."""


def _with_none(effects: Floats) -> Floats:
    """Return effects (n, K + 1) of sending nothing, which is 0, and of every message."""
    return np.column_stack([np.zeros(len(effects)), effects])


def _choices(effects: Floats, raw: Floats, trial: Trial) -> tuple[Integers, Integers]:
    """Return (n,) the message of the highest τ*, and (n,) the best message to all, 0 for none of them: both by what the other folds say."""
    fold = trial.folds.astype(np.float64)
    shrunk = [held_out_uplift(raw[:, number], effects[:, number], fold, trial.weight) for number in range(raw.shape[1])]
    single = np.empty(len(raw), dtype=np.int64)
    for number in range(trial.n_folds):
        others = trial.folds != number
        single[~others] = int(np.argmax(np.average(_with_none(effects[others]), axis=0, weights=trial.weight[others])))
    return np.argmax(_with_none(np.column_stack(shrunk)), axis=1), single


def told(estimate: Estimate) -> str:
    """Return an estimate in words, in units of the outcome."""
    return f"{estimate.value:+.4f}, {estimate.coverage:.0%} interval [{estimate.low:+.4f}, {estimate.high:+.4f}]"
