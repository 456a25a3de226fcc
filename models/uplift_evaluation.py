"""What an out-of-fold uplift is worth: every measure at once, beside the baseline-risk ranking and a random one, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from models.metrics import Estimate
from models.uplift_metrics import Curve, autoc, best_linear_predictor, percentile_ranks, policy_value, qini, toc_curve

ALPHA = 0.01
"""Level of the one-sided tests of heterogeneity, fixed before any outcome was seen."""
LEARNED = ("autoc", "qini", "slope", "policy_random", "policy_risk")
"""Estimates that judge a ranking learned on the other folds of the same people."""
CROSS_FITTING = 2**0.5
"""How far cross-fitting stretches the spread of those estimates where there is nothing to find.

Standard errors take the rankings as given. But what fold j taught to the model judged on fold k, fold k taught to the one judged on j:
their products of noise are the same products, and the sum over folds counts each twice. For a linear learner under no heterogeneity
the variance is therefore twice what the standard error says (trees: z had a standard deviation of 1.26 to 1.37 in 1,100 simulated
fits without heterogeneity); where a difference is real the effect vanishes. A test of "nothing there" has to use the wider
one. See Wager 2024, "Sequential validation of treatment heterogeneity".
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a ranking of people by uplift stands on evidence, with one line in words per criterion and one for the whole."""

    heterogeneous: bool
    words: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The measures of one contrast, in units of the outcome; `estimates` by name.

    `ate` average effect · `autoc`, `qini` of the uplift ranking · `slope` of Γ on predicted uplift · `autoc_risk`, `qini_risk` of the
    ranking by baseline risk (expected outcome without contact) · `autoc_random` of a random ranking · `policy_random`, `policy_risk`
    gain per person of contacting the `capacity` share ranked first over as many at random, or by baseline risk (paired).
    """

    estimates: dict[str, Estimate]
    toc: Curve
    capacity: float
    n_rows: int
    n_groups: int

    def verdict(self, alpha: float = ALPHA) -> Verdict:
        """Return whether AUTOC and slope both have lower bounds above zero at level alpha, one-sided."""
        passed, lines = [], []
        for name, label in (("autoc", "AUTOC"), ("slope", "calibration slope")):
            bound = lower_bound(self.estimates[name], alpha)
            passed.append(bound > 0)
            sign = "above" if bound > 0 else "not above"
            lines.append(f"{label} {self.estimates[name].value:.4f}, lower bound {bound:.4f} (one-sided test at {alpha:g}): {sign} 0")
        words = (
            "the effect differs between people, and the ranking finds where it is larger"
            if all(passed)
            else "no detectable heterogeneity: only the average effect can be stated"
        )
        return Verdict(all(passed), words, tuple(lines))

    def to_state(self) -> dict[str, Any]:
        """Return the evaluation as JSON-able values."""
        curve = {name: getattr(self.toc, name).tolist() for name in ("fraction", "toc", "low", "high")}
        return {
            "estimates": {name: estimate.to_state() for name, estimate in self.estimates.items()},
            "toc": {**curve, "coverage": self.toc.coverage},
            "capacity": self.capacity,
            "n_rows": self.n_rows,
            "n_groups": self.n_groups,
        }


def lower_bound(estimate: Estimate, alpha: float = ALPHA) -> float:
    """Return the one-sided lower bound value - z(1 - alpha)·se at level alpha, with the se of LEARNED estimates times CROSS_FITTING.

    Above zero, it rejects "no heterogeneity"; NaN where the standard error is 0, as for a ranking that does not vary.
    """
    stretch = CROSS_FITTING if estimate.name in LEARNED else 1.0
    return estimate.value - float(stats.norm.ppf(1 - alpha)) * stretch * estimate.se if estimate.se > 0 else float("nan")


def evaluate(out_of_fold: pd.DataFrame, *, capacity: float = 0.2, coverage: float = 0.90, random_state: int = 0) -> Evaluation:
    """Return all measures of `Persuadability.out_of_fold_` (columns raw, score, baseline, group, fold, weight; one row per person).

    Rankings are percentile ranks within each fold, pooled. The random ranking follows from the seed and the groups' order.
    """
    gamma, fold, weight = (out_of_fold[name].to_numpy(dtype=np.float64) for name in ("score", "fold", "weight"))
    groups = out_of_fold["group"].to_numpy()
    raw, baseline = (out_of_fold[name].to_numpy(dtype=np.float64) for name in ("raw", "baseline"))
    uplift, risk = (percentile_ranks(score, folds=fold, sample_weight=weight) for score in (raw, baseline))
    canonical = np.lexsort((raw, baseline, gamma, groups))
    chance = np.empty(len(gamma))
    chance[canonical] = np.random.default_rng(random_state).permutation(len(gamma))
    shared: dict[str, Any] = {"groups": groups, "sample_weight": weight, "coverage": coverage}
    line = best_linear_predictor(raw, gamma, folds=fold, **shared)
    found = {
        "ate": line.average,
        "autoc": autoc(uplift, gamma, **shared),
        "qini": qini(uplift, gamma, **shared),
        "slope": line.slope,
        "autoc_risk": autoc(risk, gamma, **shared),
        "qini_risk": qini(risk, gamma, **shared),
        "autoc_random": autoc(chance, gamma, **shared),
        "policy_random": policy_value(uplift, gamma, capacity, **shared),
        "policy_risk": policy_value(uplift, gamma, capacity, against=risk, **shared),
    }
    named = {name: Estimate(name, item.value, item.se, item.low, item.high, item.coverage) for name, item in found.items()}
    n_groups = len(np.unique(groups))
    return Evaluation(named, toc_curve(uplift, gamma, **shared), capacity, len(gamma), n_groups)
