"""How far probabilities are from what happened: their level, their spread and their error in bins, with intervals from a bootstrap over people.

Level and spread are those of Cox 1958: in logit P(y = 1) = a + b·logit(p), the calibration intercept is a where b is 1, and the calibration slope is b.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from models.metrics import Estimate, reliability
from training.resampling import PersonBootstrap

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PRIOR_SD = 2.0
"""Prior standard deviation of both coefficients, in logits: it keeps them finite where nobody answered, and moves those of a hundred answers by a few
thousandths."""
CLIP = 1e-9
"""Probabilities are kept this far from 0 and 1: their logits must be finite."""
_STEPS = 100


@dataclass(frozen=True, slots=True)
class Miscalibration:
    """Pairs of person and topic with a known label: how many, how many answers, and how predictions stand to them.

    `offset` is what has to be added to every logit to meet the observed rate, `slope` what multiplies logits (1: right; below 1: too far apart). `ece` is
    the expected calibration error of 15 bins, and `ece_by_chance` what calibrated probabilities of as many pairs are expected to show.
    """

    pairs: int
    answers: int
    predicted: float
    observed: Estimate
    offset: Estimate
    slope: Estimate
    ece: Estimate
    ece_by_chance: float

    @classmethod
    def of(cls, boot: PersonBootstrap, row: Integers, y: Floats, p: Floats) -> Miscalibration:
        """Return it for pairs (m,), m > 0, with label y (0 or 1) and probability p, which belong to the rows `row` of `boot`."""
        logit = special.logit(np.clip(p, CLIP, 1 - CLIP))
        ones = np.ones((len(y), 1))
        level = coefficients(boot, row, y, logit, ones)
        both = coefficients(boot, row, y, logit, np.c_[ones, logit - logit.mean()])
        rates = boot.codes[row], boot.n_people
        return cls(
            pairs=len(y),
            answers=int(y.sum()),
            predicted=float(p.mean()),
            observed=_mean(boot, *rates, y),
            offset=Estimate.normal("offset", level[0], level[1], boot.coverage),
            slope=Estimate.normal("slope", 1 + both[0], both[1], boot.coverage),
            ece=boot.calibration_error("ece", y, p, row),
            ece_by_chance=error_by_chance(y, p),
        )

    def to_state(self) -> dict[str, Any]:
        """Return the fields as JSON-able values."""
        estimates = {name: _stated(getattr(self, name)) for name in ("observed", "offset", "slope", "ece")}
        return {"pairs": self.pairs, "answers": self.answers, "predicted": self.predicted, **estimates, "ece_by_chance": self.ece_by_chance}


def coefficients(boot: PersonBootstrap, row: Integers, y: Floats, base: Floats, design: Floats) -> tuple[float, float]:
    """Return the last coefficient of a logistic regression of y (m,) on `design` (m, k) beside the fixed logits `base` (m,), and its standard error.

    The standard error is the wider of two: that of a bootstrap over people, each draw taking one Newton step from the estimate (Moulton & Zeger 1991,
    "Bootstrapping generalized linear models"), and the model's own, which does not vanish where nobody answered.
    """
    theta = _fit(y, base, design)
    p = special.expit(base + design @ theta)
    width = design.shape[1]
    prior = np.eye(width) / PRIOR_SD**2
    person = boot.codes[row]
    scores = np.stack([np.bincount(person, (y - p) * design[:, a], boot.n_people) for a in range(width)], axis=1)
    bends = np.stack([np.bincount(person, p * (1 - p) * design[:, a] * design[:, b], boot.n_people) for a in range(width) for b in range(width)], axis=1)
    gradients = boot.weights @ scores - theta / PRIOR_SD**2
    curvatures = (boot.weights @ bends).reshape(-1, width, width) + prior
    steps = np.linalg.solve(curvatures, gradients[:, :, None])[:, -1, 0]
    own = np.linalg.inv(bends.sum(axis=0).reshape(width, width) + prior)[-1, -1]
    return float(theta[-1]), float(max(np.std(steps, ddof=1), np.sqrt(own)))


def error_by_chance(y: Floats, p: Floats, *, bins: int = 15) -> float:
    """Return the expected calibration error that calibrated probabilities p (m,) are expected to show: Σ share · √(2/π) · √(p·(1-p)/n) over its bins."""
    found = reliability(y, p, n_bins=bins)
    noise = [each.count * np.sqrt(2 / np.pi * each.predicted * (1 - each.predicted) / each.count) for each in found]
    return float(np.sum(noise) / len(y))


def _fit(y: Floats, base: Floats, design: Floats) -> Floats:
    """Return the coefficients (k,) of largest posterior, by Newton steps of at most 1: the posterior is concave."""
    theta = np.zeros(design.shape[1])
    prior = np.eye(len(theta)) / PRIOR_SD**2
    for _ in range(_STEPS):
        p = special.expit(base + design @ theta)
        step = np.linalg.solve((design * (p * (1 - p))[:, None]).T @ design + prior, design.T @ (y - p) - theta / PRIOR_SD**2)
        theta += step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-10:
            break
    return theta


def _mean(boot: PersonBootstrap, person: Integers, people: int, y: Floats) -> Estimate:
    """Return the observed rate of pairs, with its interval."""
    hits, pairs = np.bincount(person, y, people), np.bincount(person, minlength=people).astype(np.float64)
    drawn = boot.weights @ pairs
    draws = (boot.weights @ hits)[drawn > 0] / drawn[drawn > 0]
    return Estimate.normal("observed", float(y.mean()), float(np.std(draws, ddof=1)) if len(draws) > 1 else 0.0, boot.coverage)


def _stated(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "se": estimate.se, "low": estimate.low, "high": estimate.high, "coverage": estimate.coverage}
