"""What an out-of-fold uplift is worth: every measure at once, beside the baseline-risk ranking and a random one, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from models.metrics import Estimate
from models.uplift_groups import Gates, gates_of
from models.uplift_metrics import Curve, line, percentile_ranks, toc_of
from models.uplift_policies import CAPACITIES, OpenPolicy, PolicyValue, open_policy_of, policies_of
from models.uplift_sample import Influence, Ranking, Sample, shares_of_people

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ALPHA = 0.01
"""Level of the one-sided tests of heterogeneity, fixed before any outcome was seen."""
LEARNED = ("autoc", "qini", "slope", "policy_random", "policy_all", "policy_none", "policy_unlimited", "gates_difference")
"""Estimates that judge a ranking learned on the other folds of the same people, and whose errors that makes too small (not so `policy_risk`: decision 0002)."""
CROSS_FITTING = 2**0.5
"""How far cross-fitting stretches the spread of those estimates where there is nothing to find.

Standard errors take the rankings as given. But what fold j taught to the model judged on fold k, fold k taught to the one judged on j:
their products of noise are the same products, and the sum over folds counts each twice. For a linear learner under no heterogeneity
the variance is therefore twice what the standard error says (trees: z had a standard deviation of 1.26 to 1.37 in 1,100 simulated
fits without heterogeneity); where a difference is real the effect vanishes. A test of "nothing there" has to use the wider
one. See Wager 2024, "Sequential validation of treatment heterogeneity".
"""


FRACTIONS = tuple(np.arange(1, 101) / 100)
"""Shares of people at which the TOC is stated."""


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
    ranking by baseline risk (expected outcome without contact) · `autoc_random` of a random ranking · `policy_random`, `policy_risk`,
    `policy_all`, `policy_none` gain per person of contacting the `capacity` share ranked first over as many at random, or by baseline
    risk, over everybody, over nobody (paired) · `policy_unlimited` gain of contacting whoever has a predicted uplift above `cost` over
    contacting everybody, costs counted · `gates_difference` effect among the highest fifth by predicted uplift less that among the lowest.

    `n_groups` assignment units, `least_units` those of the arm that has fewer ·
    `policies` the same gains at each of several capacities · `unlimited` that policy, with the share it contacts · `gates` effects by fifths.
    """

    estimates: dict[str, Estimate]
    toc: Curve
    capacity: float
    n_rows: int
    n_groups: int
    gates: Gates
    policies: tuple[PolicyValue, ...]
    unlimited: OpenPolicy
    least_units: int

    def verdict(self, alpha: float = ALPHA) -> Verdict:
        """Return whether AUTOC and slope both have lower bounds above zero at level alpha, one-sided."""
        passed, lines = [], []
        for name, label in (("autoc", "AUTOC"), ("slope", "calibration slope")):
            bound = lower_bound(self.estimates[name], alpha, units=self.least_units)
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
            "least_units": self.least_units,
            "gates": self.gates.to_state(),
            "policies": [policy.to_state() for policy in self.policies],
            "unlimited": self.unlimited.to_state(),
        }


def lower_bound(estimate: Estimate, alpha: float = ALPHA, *, units: int | None = None) -> float:
    """Return the one-sided lower bound value - `critical`·se at level alpha, with the se of LEARNED estimates times CROSS_FITTING.

    `units` are the assignment units of the arm that has fewer (None: very many). Above zero, it rejects "no heterogeneity"; NaN where the standard error is
    0, as for a ranking that does not vary, and with fewer than 2 units.
    """
    stretch = CROSS_FITTING if estimate.name in LEARNED else 1.0
    return estimate.value - critical(alpha, units) * stretch * estimate.se if estimate.se > 0 else float("nan")


def critical(alpha: float, units: int | None = None) -> float:
    """Return the quantile 1 - alpha of Student's t with `units` - 1 degrees of freedom: of the normal distribution for None, NaN for fewer than 2 units.

    A clustered standard error of few units is itself uncertain. It is the mean of as many squares as there are units, and where arms are compared, one arm's
    units may make most of it: with those of the smaller arm the test is never too bold (decision 0008).
    """
    return float(stats.t.ppf(1 - alpha, np.inf if units is None else units - 1))


def least_units(arm: ArrayLike, groups: ArrayLike) -> int:
    """Return the assignment units `groups` (n,) of the arm (n,) that has the fewest; a unit of several arms counts in each."""
    arms, codes = np.unique(np.asarray(arm), return_inverse=True)
    return min(len(np.unique(np.asarray(groups)[codes == number])) for number in range(len(arms)))


def evaluate(
    out_of_fold: pd.DataFrame,
    *,
    capacity: float = 0.2,
    capacities: Sequence[float] = CAPACITIES,
    cost: float = 0.0,
    coverage: float = 0.90,
    random_state: int = 0,
) -> Evaluation:
    """Return all measures of `Persuadability.out_of_fold_` (columns raw, score, baseline, group, fold, weight, perhaps treatment; one row per person).

    Rankings are percentile ranks within each fold, pooled. The random ranking follows from the seed and the groups' order. Groups and the policy
    without a limit use `held_out_uplift`. `cost` is that of one contact, in units of the outcome.
    """
    shares = shares_of_people("capacity", (capacity, *capacities))
    arm = out_of_fold["treatment"] if "treatment" in out_of_fold else np.zeros(len(out_of_fold))
    sample = _sample(out_of_fold, random_ranking(out_of_fold, random_state))
    by_chance, by_uplift, by_risk, raw, fold = sample.columns
    predicted = held_out_uplift(raw, sample.gamma, fold, sample.weight)
    fitted = line(sample, raw, fold, coverage)
    rivals, risk_tocs = _rivals(sample, by_risk, by_chance, shares)
    uplift = Ranking(sample, by_uplift)
    rates = {"autoc": uplift.rate("autoc"), "qini": uplift.rate("qini")}
    rated = {name: sample.estimate(name, rate, coverage) for name, rate in (rates | rivals).items()}
    policy, *policies = policies_of(uplift, risk_tocs, shares, coverage)
    assert policy.over_risk is not None
    unlimited, groups = open_policy_of(sample, predicted, cost, coverage), gates_of(uplift, predicted, 5, coverage)
    found = [fitted.average, rated["autoc"], rated["qini"], fitted.slope, *(rated[name] for name in rivals)]
    found += [policy.over_random, policy.over_risk, policy.over_everybody, policy.over_nobody, unlimited.over_everybody, groups.difference]
    return Evaluation(
        {estimate.name: estimate for estimate in found},
        toc_of(uplift, FRACTIONS, coverage),
        capacity,
        len(sample.gamma),
        sample.n_groups,
        groups,
        tuple(policies),
        unlimited,
        least_units(arm, out_of_fold["group"]),
    )


def held_out_uplift(raw: Floats, scores: Floats, fold: Floats, weight: Floats) -> Floats:
    """Return τ* (n,), predicted uplift shrunk as `Persuadability` shrinks it, each fold's by the scores of the other folds.

    τ* = mean Γ elsewhere + slope·(τ - mean τ in the fold), the slope of Γ on τ within the other folds, held to [0, 1]. So neither the level nor the
    spread was learned from the scores it is judged on. With one fold there is nothing to learn them from: τ as it is.
    """
    return shrunk_by_others(raw, scores, np.unique(fold, return_inverse=True)[1], weight)


def shrunk_by_others(raw: Floats, scores: Floats, number: Integers, weight: Floats) -> Floats:
    """Return the `held_out_uplift` (n,) where folds are numbered, 0 … k - 1, each with rows."""
    mass = np.bincount(number, weight)
    if len(mass) < 2:
        return raw
    means = [np.bincount(number, weight * values) / mass for values in (raw, scores)]
    deviation, residual = (values - mean[number] for values, mean in zip((raw, scores), means, strict=True))
    joint, spread = (np.bincount(number, weight * deviation * values) for values in (residual, deviation))
    joint, spread = joint.sum() - joint, spread.sum() - spread
    slope = np.clip(np.divide(joint, spread, out=np.zeros(len(mass)), where=spread > 0), 0.0, 1.0)
    level = ((mass * means[1]).sum() - mass * means[1]) / (mass.sum() - mass)
    return np.asarray(level[number] + slope[number] * deviation)


def canonical_order(out_of_fold: pd.DataFrame) -> Integers:
    """Return the permutation (n,) of an out-of-fold frame's rows that follows from what they hold, by assignment unit first."""
    return np.lexsort([out_of_fold[name].to_numpy() for name in ("raw", "baseline", "score", "group")])


def random_ranking(out_of_fold: pd.DataFrame, random_state: int) -> Floats:
    """Return a random ranking (n,) that follows from the seed and what the rows hold, whatever their order."""
    canonical = canonical_order(out_of_fold)
    chance = np.empty(len(canonical))
    chance[canonical] = np.random.default_rng(random_state).permutation(len(canonical))
    return chance


def _sample(out_of_fold: pd.DataFrame, chance: Floats) -> Sample:
    """Return the scores, with the random ranking, the ranks by uplift and by risk, the uplift and the fold as columns."""
    gamma, fold, weight, raw, baseline = (out_of_fold[name].to_numpy(dtype=np.float64) for name in ("score", "fold", "weight", "raw", "baseline"))
    ranks = [percentile_ranks(score, folds=fold, sample_weight=weight) for score in (raw, baseline)]
    return Sample(gamma, chance, *ranks, raw, fold, groups=out_of_fold["group"].to_numpy(), sample_weight=weight)


def _rivals(sample: Sample, by_risk: Floats, by_chance: Floats, shares: Sequence[float]) -> tuple[dict[str, Influence], list[Influence]]:
    """Return the measures of the ranking by risk and of the random one, and the TOC of the first at some shares.

    One ranking after the other: each is as large as the sample.
    """
    chance = Ranking(sample, by_chance).rate("autoc")
    risk = Ranking(sample, by_risk)
    return {"autoc_risk": risk.rate("autoc"), "qini_risk": risk.rate("qini"), "autoc_random": chance}, list(risk.tocs(shares))
