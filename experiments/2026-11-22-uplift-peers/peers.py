"""The peers: each a function from a task to the effects that it asks for. Nobody was tuned; a peer that has outcome models and final trees has them as ours."""

# ruff: noqa: PLC0415  a peer loads only what it uses: environments differ, and the memory measured is its own

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from tasks import Effects, Floats, Floats32, Made, Task

THREADS = 2
SHARED = {"verbosity": -1, "deterministic": True, "force_row_wise": True, "n_jobs": THREADS, "random_state": 0}
TINY = 1e-6


@dataclass(frozen=True, slots=True)
class Peer:
    """What it is called, what it does, and the modules that are loaded before time is taken.

    `elsewhere`: it runs in an environment of its own. `tasks`: how many of a real data set's foldings it is run on, from the first.
    `binary`: it is for outcomes of 0 and 1 only. `real_only`: it has nothing to say of simulations.
    """

    label: str
    make: Callable[[Task], Made]
    needs: tuple[str, ...]
    elsewhere: bool = True
    tasks: int = 5
    binary: bool = False
    real_only: bool = False


# %% Ours


def fitted(task: Task, **parameters: Any) -> Any:
    """Return `Persuadability` fitted on the task, with the task's folds."""
    import pandas as pd

    from models.persuadability import Persuadability

    given = parameters.pop("nuisances", None)
    model = Persuadability(n_folds=int(task.fold.max()) + 1, random_state=task.seed, n_jobs=THREADS, **parameters)
    frame = pd.DataFrame(task.X, columns=list(task.names), copy=False)
    model.fit(frame, task.y, treatment=task.treatment, propensity=task.probability, groups=task.group, nuisances=given)
    if not np.array_equal(model.out_of_fold_["fold"].to_numpy(), task.fold):
        raise ValueError("the folds of the model are not those of the task")
    return model


def asked(model: Any, task: Task) -> Floats:
    """Return what a fitted `Persuadability` says of the people asked for."""
    import pandas as pd

    if len(task.fresh):
        return np.asarray(model.predict_uplift(pd.DataFrame(task.fresh, columns=list(task.names), copy=False)))
    return model.out_of_fold_["raw"].to_numpy()


def ours(task: Task) -> Made:
    """Return `Persuadability` with its defaults, evaluated; its scores, folds and baselines judge everybody."""
    model = fitted(task)
    if len(task.fresh):
        return Made({OURS: asked(model, task)})
    model.evaluate()
    columns = ("score", "baseline", "group", "fold", "weight")
    return Made({OURS: asked(model, task)}, {name: model.out_of_fold_[name].to_numpy() for name in columns})


def ours_dr(task: Task) -> Made:
    """Return the DR-learner alone, evaluated: the recipe of econml's DRLearner."""
    model = fitted(task, learner="dr")
    if not len(task.fresh):
        model.evaluate()
    return Made({DR: asked(model, task)})


def other_learners(task: Task) -> Made:
    """Return R, X and T on the same outcome models, and S on its own."""
    first = fitted(task, learner="r")
    effects = {"ours: R": asked(first, task)}
    for learner in ("x", "t", "s"):
        nuisances = None if learner == "s" else first.nuisances_
        effects[f"ours: {learner.upper()}"] = asked(fitted(task, learner=learner, nuisances=nuisances), task)
    return Made(effects)


# %% econml


def outcome_model(task: Task) -> Any:
    """Return LightGBM's regressor with the trees of ours' outcome models."""
    told = {name.removeprefix("nuisance_"): value for name, value in task.trees.items() if name.startswith("nuisance_")}
    return _regressor(told["trees"], told["learning_rate"], told["max_depth"], told["min_child_samples"], told["l2"])


def final_model(task: Task, n_rows: int | None = None) -> Any:
    """Return LightGBM's regressor with the trees of ours' final booster, for `n_rows` of the task, by default all."""
    told, rows = task.trees, len(task.y) if n_rows is None else n_rows
    return _regressor(told["num_trees"], told["learning_rate"], told["max_depth"], max(1, round(told["min_child_share"] * rows)), told["l2"] * rows)


def _regressor(number: int, rate: float, depth: int, leaf: int, l2: float) -> Any:
    from lightgbm import LGBMRegressor

    return LGBMRegressor(n_estimators=number, learning_rate=rate, max_depth=depth, num_leaves=2**depth, min_child_samples=leaf, reg_lambda=l2, **SHARED)


def known_probability(probability: float) -> Any:
    """Return a classifier that knows the probability of assignment the experiment was drawn with."""
    from sklearn.base import BaseEstimator, ClassifierMixin

    class KnownProbability(ClassifierMixin, BaseEstimator):
        def __init__(self, probability=0.5):
            self.probability = probability

        def fit(self, X, y, sample_weight=None):  # noqa: ARG002  the interface of scikit-learn
            self.classes_ = np.unique(y)
            return self

        def predict(self, X):
            return np.full(len(X), self.classes_[0])

        def predict_proba(self, X):
            return np.tile([1 - self.probability, self.probability], (len(X), 1))

    return KnownProbability(probability)


def splits(task: Task) -> list[tuple[Any, Any]]:
    """Return the task's folds as econml takes them."""
    return [(np.flatnonzero(task.fold != fold), np.flatnonzero(task.fold == fold)) for fold in range(int(task.fold.max()) + 1)]


def econml_dr(task: Task) -> Effects:
    from econml.dr import DRLearner

    learner = DRLearner(
        model_propensity=known_probability(task.probability),
        model_regression=outcome_model(task),
        model_final=final_model(task),
        cv=splits(task),
        min_propensity=TINY,
        random_state=0,
    )
    learner.fit(task.y, task.treatment, X=task.X)
    return lambda X: np.asarray(learner.effect(X)).ravel()


def econml_dr_whole(task: Task) -> Made:
    """Return effects, and fit once more on everyone, as is done for those who will be served: what ours does in one run."""
    effects = task.effects(econml_dr)
    if not len(task.fresh):
        econml_dr(task)
    return Made({"econml DRLearner": effects})


def econml_dr_once(task: Task) -> Made:
    """Fit on everyone once, and judge nothing: for its time alone."""
    econml_dr(task)(task.X)
    return Made()


def econml_forest(task: Task) -> Effects:
    from econml.dml import CausalForestDML

    forest = CausalForestDML(
        model_y=outcome_model(task),
        model_t=known_probability(task.probability),
        discrete_treatment=True,
        cv=splits(task),
        n_jobs=THREADS,
        random_state=0,
    )
    forest.fit(task.y, task.treatment, X=task.X)
    return lambda X: np.asarray(forest.effect(X)).ravel()


# %% causalml


def causalml(task: Task, *, kind: str) -> Effects:
    from causalml.inference import meta

    chance = np.full(len(task.y), task.probability)
    if kind == "t":
        model = meta.BaseTRegressor(learner=outcome_model(task))
    elif kind == "x":
        outcomes = {f"{arm}_outcome_learner": outcome_model(task) for arm in ("control", "treatment")}
        finals = {f"{arm}_effect_learner": final_model(task, int((task.treatment == number).sum())) for number, arm in enumerate(("control", "treatment"))}
        model = meta.BaseXRegressor(**outcomes, **finals)
    else:
        folds = int(task.fold.max()) + 1
        model = meta.BaseRRegressor(outcome_learner=outcome_model(task), effect_learner=final_model(task), n_fold=folds, random_state=0)
    model.fit(task.X, task.treatment, task.y, **({} if kind == "t" else {"p": chance}), **({"verbose": False} if kind == "r" else {}))

    def effects(X: Floats32) -> Floats:
        told = {"p": np.full(len(X), task.probability)} if kind == "x" else {}
        return np.asarray(model.predict(X, **told)).ravel()

    return effects


def uplift_forest(task: Task) -> Effects:
    from causalml.inference.tree import UpliftRandomForestClassifier

    forest = UpliftRandomForestClassifier(control_name="control", n_jobs=THREADS, random_state=0)
    forest.fit(task.X, np.where(task.treatment == 1, "contact", "control"), task.y.astype(np.int64))
    return lambda X: np.asarray(forest.predict(X)).ravel()


# %% What others call "qini"


def definitions(task: Task) -> Made:
    """Return the numbers that other packages give ours' predictions under the same and similar names."""
    import pandas as pd
    from causalml.metrics import auuc_score, qini_score
    from causalml.metrics.rate import rate_score
    from sklift.metrics import qini_auc_score, uplift_auc_score

    frame = pd.DataFrame({"y": task.y, "w": task.treatment, "uplift": task.known})
    causal = {f"causalml qini_score, normalize={say}": qini_score(frame, normalize=say)["uplift"] for say in (True, False)}
    causal["causalml auuc_score"] = auuc_score(frame)["uplift"]
    causal |= {f"causalml rate_score, weighting={kind}": rate_score(frame, weighting=kind)["uplift"] for kind in ("autoc", "qini")}
    told, numbers = (task.y, task.known, task.treatment), {}
    for say in (True, False):
        numbers[f"scikit-uplift qini_auc_score, negative_effect={say}"] = qini_auc_score(*told, negative_effect=say)
    numbers["scikit-uplift uplift_auc_score"] = uplift_auc_score(*told)
    return Made(numbers={name: float(value) for name, value in (numbers | causal).items()})


# %% All of them


def crossed(label: str, fit: Callable[[Task], Effects]) -> Callable[[Task], Made]:
    """Return the peer that fits anew for each fold, or once for the fresh people."""

    def make(task: Task) -> Made:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Made({label: task.effects(fit)})

    return make


def _peer(label: str, fit: Callable[[Task], Effects], needs: tuple[str, ...], **more: Any) -> Peer:
    return Peer(label, crossed(label, fit), needs, **more)


OURS, DR, FIRST, ALONE, WHOLE, ONCE, DEFINED = "ours: stack", "ours: DR", "ours", "ours-dr", "econml-dr", "econml-dr-once", "definitions"
META = ("causalml.inference.meta",)
PEERS = {
    "ours": Peer(OURS, ours, ("models.persuadability",), elsewhere=False),
    ALONE: Peer(DR, ours_dr, ("models.persuadability",), elsewhere=False),
    "ours-learners": Peer("ours: R, X, T, S", other_learners, ("models.persuadability",), elsewhere=False),
    "econml-dr": Peer("econml DRLearner", econml_dr_whole, ("econml.dr",)),
    "econml-dr-once": Peer("econml DRLearner, one fit, nothing judged", econml_dr_once, ("econml.dr",), tasks=1, real_only=True),
    "econml-forest": _peer("econml CausalForestDML", econml_forest, ("econml.dml",), tasks=1),
    "causalml-t": _peer("causalml T", partial(causalml, kind="t"), META),
    "causalml-x": _peer("causalml X", partial(causalml, kind="x"), META),
    "causalml-r": _peer("causalml R", partial(causalml, kind="r"), META),
    "uplift-forest": _peer("causalml UpliftRandomForest", uplift_forest, ("causalml.inference.tree",), binary=True),
    "definitions": Peer("other definitions", definitions, ("causalml.metrics", "sklift.metrics"), tasks=1, binary=True, real_only=True),
}
"""Name on the command line: peer. `definitions` is no peer but what others call the measures of ours."""
