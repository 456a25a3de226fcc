"""Run by the interpreter of `.venv-econml`, never by pytest: econml's DRLearner and CausalForestDML on the arrays of an npz file, effects to another.

Usage: python econml_oracle.py INPUT.npz PARAMETERS.json OUTPUT.npz
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
from econml.dml import CausalForestDML
from econml.dr import DRLearner
from lightgbm import LGBMRegressor
from sklearn.base import BaseEstimator, ClassifierMixin


class KnownProbability(ClassifierMixin, BaseEstimator):
    """The probability of assignment that the experiment was drawn with."""

    def __init__(self, probability=0.5):
        self.probability = probability

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def predict_proba(self, X):
        return np.tile([1 - self.probability, self.probability], (len(X), 1))


def main(given, parameters, found):
    data, parameters = np.load(given), json.loads(Path(parameters).read_text(encoding="utf-8"))
    shared = {"verbosity": -1, "deterministic": True, "force_row_wise": True, "n_jobs": 1, "random_state": 0}
    folds = data["folds"]
    splits = [(np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)) for fold in range(int(folds.max()) + 1)]
    learner = DRLearner(
        model_propensity=KnownProbability(parameters["probability"]),
        model_regression=LGBMRegressor(**parameters["nuisance"], **shared),
        model_final=LGBMRegressor(**parameters["final"], **shared),
        cv=splits,
        min_propensity=1e-6,
        random_state=0,
    )
    forest = CausalForestDML(
        model_y=LGBMRegressor(**parameters["nuisance"], **shared),
        model_t=KnownProbability(parameters["probability"]),
        discrete_treatment=True,
        cv=splits,
        n_jobs=1,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learner.fit(data["y"], data["treatment"], X=data["X"])
        forest.fit(data["y"], data["treatment"], X=data["X"])
        average = forest.ate_inference(data["X"])
        told = {"forest": forest.effect(data["fresh"]), "forest_average": average.mean_point, "forest_error": average.stderr_mean}
        np.savez(found, effect=learner.effect(data["X"]), fresh=learner.effect(data["fresh"]), **told)


if __name__ == "__main__":
    main(*sys.argv[1:])
