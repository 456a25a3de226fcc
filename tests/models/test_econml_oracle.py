"""econml's DRLearner, told the probability of assignment, finds the same effects on the same data, folds and trees; its causal forest about the same."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.persuadability import Persuadability

N_ROWS, PROBABILITY = 6000, 0.4
ORACLE = Path(__file__).with_name("econml_oracle.py")
TREES = {"num_trees": 50, "learning_rate": 0.05, "max_depth": 3, "min_child_share": 0.05, "l2": 0.0}
NUISANCES = {"nuisance_trees": 60, "nuisance_learning_rate": 0.1, "nuisance_max_depth": 3, "nuisance_min_child_samples": 50, "nuisance_l2": 1.0}
SCRIPT = {
    "probability": PROBABILITY,
    "nuisance": {"n_estimators": 60, "learning_rate": 0.1, "max_depth": 3, "num_leaves": 8, "min_child_samples": 50, "reg_lambda": 1.0},
    "final": {"n_estimators": 50, "learning_rate": 0.05, "max_depth": 3, "num_leaves": 8, "min_child_samples": 300},
}


def trial():
    rng = np.random.default_rng(11)
    X = rng.normal(size=(N_ROWS, 5)).astype(np.float32)
    groups = np.arange(N_ROWS) // 3
    treatment = (rng.random(N_ROWS) < PROBABILITY)[groups].astype(int)
    effect = 0.3 + 0.6 * np.tanh(X[:, 0]) * (X[:, 1] > 0)
    y = X[:, 2] + 0.5 * X[:, 0] + treatment * effect + rng.normal(size=N_ROWS)
    return X, y, treatment, groups, effect


@pytest.mark.econml
@pytest.mark.oracle
def test_average_effect_and_effects_agree_with_econml(econml_python, tmp_path):
    X, y, treatment, groups, effect = trial()
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = Persuadability(**TREES, **NUISANCES, n_jobs=1).fit(frame, y, treatment=treatment, propensity=PROBABILITY, groups=groups)
    fresh = np.random.default_rng(12).normal(size=(2000, 5)).astype(np.float32)
    np.savez(tmp_path / "in.npz", X=X, y=y, treatment=treatment, folds=model.out_of_fold_["fold"].to_numpy(), fresh=fresh)
    (tmp_path / "parameters.json").write_text(json.dumps(SCRIPT), encoding="utf-8")
    command = [econml_python, ORACLE, tmp_path / "in.npz", tmp_path / "parameters.json", tmp_path / "out.npz"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = np.load(tmp_path / "out.npz")
    assert abs(theirs["effect"].mean() - model.ate_.value) < 0.5 * model.ate_.se
    assert abs(model.ate_.value - effect.mean()) < 3 * model.ate_.se
    ours = model.predict_raw(pd.DataFrame(fresh, columns=list("abcde")))
    assert np.corrcoef(ours, theirs["fresh"])[0, 1] > 0.95
    assert np.sqrt(np.mean((ours - theirs["fresh"]) ** 2)) < 0.3 * effect.std()
    truth = 0.3 + 0.6 * np.tanh(fresh[:, 0]) * (fresh[:, 1] > 0)
    errors = [np.sqrt(np.mean((found - truth) ** 2)) for found in (model.predict_uplift(pd.DataFrame(fresh, columns=list("abcde"))), theirs["fresh"])]
    assert errors[0] < 1.1 * errors[1], errors
    assert abs(float(theirs["forest_average"]) - model.ate_.value) < model.ate_.se
    assert np.corrcoef(model.predict_uplift(pd.DataFrame(fresh, columns=list("abcde"))), theirs["forest"])[0, 1] > 0.8
    assert errors[0] < 1.1 * np.sqrt(np.mean((theirs["forest"] - truth) ** 2)), "another way to the same effects, and ours is not worse"
