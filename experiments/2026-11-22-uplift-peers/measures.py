"""What predicted effects are worth: on real experiments by the doubly robust scores of ours, the same for all; on simulated ones by the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from tasks import Floats

from models.metrics import Estimate
from models.uplift_evaluation import evaluate, held_out_uplift
from models.uplift_metrics import best_linear_predictor, percentile_ranks
from models.uplift_sample import Ranking, Sample
from training.config import PersuadabilityConfig
from training.gates import Findings, gate_lines, not_checked

CONFIG = PersuadabilityConfig()
LEVELS = CONFIG.gate.model_dump() | {"capacity": CONFIG.capacity}
"""The gate as it is when nothing is said."""
DESIGN = {"design": not_checked("people and arms are read from a file, or dealt by this script, not from a workspace's tables")}
KEPT = ("ate", "autoc", "qini", "slope", "policy_random", "policy_risk", "policy_all", "policy_unlimited", "gates_difference")
RIVALS = {"ranking by baseline risk": ("autoc_risk", "qini_risk"), "random ranking": ("autoc_random",)}
COVERAGE = 0.95
"""Of paired differences to ours."""


def judged(judging: pd.DataFrame, effect: Floats, *, seed: int = 0) -> dict[str, Any]:
    """Return the measures of out-of-fold effects (n,) by name as [value, standard error], and whether the gate lets them through, with its words.

    `judging` (n rows): score, baseline, group, fold, weight. `slope_held` is the slope of Γ on effects shrunk by what the other folds' scores say;
    `seed` that of the random ranking beside it.
    """
    frame = judging.assign(raw=effect)
    evaluation = evaluate(frame, capacity=CONFIG.capacity, random_state=seed)
    estimates = evaluation.estimates
    fold, score, weight, group = (frame[name].to_numpy() for name in ("fold", "score", "weight", "group"))
    shrunk = held_out_uplift(effect, score, fold.astype(np.float64), weight)
    held = best_linear_predictor(shrunk, score, folds=fold, groups=group, sample_weight=weight).slope
    lines = gate_lines(Findings("persuadability", estimates, LEVELS, DESIGN))
    found = {name: told(estimates[name]) for name in KEPT} | {"slope_held": told(held)}
    rivals = {label: {name.partition("_")[0]: told(estimates[name]) for name in names} for label, names in RIVALS.items()}
    told_of = {"measures": found, "rivals": rivals, "heterogeneous": evaluation.verdict().heterogeneous}
    return told_of | {"accepted": all(line.passed for line in lines), "gate": [str(line) for line in lines]}


def told(estimate: Estimate) -> list[float]:
    """Return [value, standard error]."""
    return [estimate.value, estimate.se]


def less_ours(judging: pd.DataFrame, effect: Floats, own: Floats) -> list[float]:
    """Return the AUTOC of out-of-fold effects (n,) less that of ours, paired, as [value, standard error]."""
    fold, weight = judging["fold"].to_numpy(), judging["weight"].to_numpy()
    ranks = [percentile_ranks(each, folds=fold, sample_weight=weight) for each in (effect, own)]
    sample = Sample(judging["score"].to_numpy(), *ranks, groups=judging["group"].to_numpy(), sample_weight=weight)
    theirs, ours = (Ranking(sample, column).rate("autoc") for column in sample.columns)
    return told(sample.estimate("autoc", theirs - ours, COVERAGE))


def over_foldings(found: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, list[float]]:
    """Return the mean over foldings of each measure and of its standard error: the people are the same, so more foldings make no smaller error."""
    return {name: np.mean([each[name] for each in found], axis=0).tolist() for name in found[0]}


def errors(effect: Floats, truth: Floats) -> dict[str, float]:
    """Return the root mean square error of effects (m,), PEHE (precision in estimating heterogeneous effects; Hill 2011), and the error of their mean."""
    return {"pehe": float(np.sqrt(np.mean((effect - truth) ** 2))), "bias": float(effect.mean() - truth.mean())}


def over_seeds(values: Sequence[float]) -> list[float]:
    """Return the mean of independent values with the low and high of its interval, by Student's t."""
    mean, n = float(np.mean(values)), len(values)
    reach = float(stats.t.ppf(0.5 + COVERAGE / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return [mean, mean - reach, mean + reach]
