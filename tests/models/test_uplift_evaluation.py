"""The evaluation of an out-of-fold frame: what is a good ranking, a bad one and none, and bounds that know of cross-fitting."""

import json

import numpy as np
import pandas as pd
import pytest

from models.metrics import Estimate
from models.uplift_evaluation import evaluate, lower_bound


def frame(strength, n_rows=1500, seed=0):
    """Scores whose mean follows the first column; the prediction knows it as far as `strength` says."""
    rng = np.random.default_rng(seed)
    effect, fold = rng.normal(size=n_rows), np.arange(n_rows) // 2 % 5
    raw = strength * effect + fold * 10.0 if strength else np.full(n_rows, 0.1)
    columns = {"raw": raw, "score": 0.5 + effect + rng.normal(scale=2.0, size=n_rows), "baseline": rng.normal(size=n_rows)}
    return pd.DataFrame(columns | {"group": np.arange(n_rows) // 2, "fold": fold, "weight": np.ones(n_rows)})


def test_a_true_ranking_is_accepted_whatever_the_folds_models_are_off_by():
    evaluation = evaluate(frame(0.5), capacity=0.2)
    assert evaluation.verdict().heterogeneous
    assert evaluation.estimates["slope"].value == pytest.approx(2.0, abs=4 * evaluation.estimates["slope"].se)
    assert evaluation.estimates["policy_risk"].low > 0
    assert evaluation.toc.toc[9] > evaluation.toc.toc[49] > evaluation.toc.toc[89] > 0
    assert "finds where it is larger" in evaluation.verdict().words


@pytest.mark.parametrize("strength", [-0.5, 0.0])
def test_a_wrong_ranking_and_none_at_all_are_refused(strength):
    evaluation = evaluate(frame(strength))
    assert not evaluation.verdict().heterogeneous
    assert "only the average effect" in evaluation.verdict().words
    assert all("not above 0" in line for line in evaluation.verdict().lines)
    json.dumps(evaluation.to_state(), allow_nan=False)


def test_the_order_of_rows_changes_no_bit():
    judged = frame(0.5)
    shuffled = judged.sample(frac=1.0, random_state=3)
    assert evaluate(shuffled).to_state() == evaluate(judged).to_state()


def test_lower_bounds_widen_what_was_learned_by_cross_fitting():
    assert lower_bound(Estimate.normal("ate", 1.0, 0.1), 0.05) == pytest.approx(1 - 0.16448536)
    assert lower_bound(Estimate.normal("autoc", 1.0, 0.1), 0.05) == pytest.approx(1 - 0.16448536 * 2**0.5)
    assert np.isnan(lower_bound(Estimate.normal("slope", 0.0, 0.0)))
