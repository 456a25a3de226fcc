"""Maps from scores to probabilities that people use, each fitted per topic on held-out rows. numpy and scipy only, but for isotonic regression."""

# ruff: noqa: PLC0415  scikit-learn is not in every environment

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

Floats = NDArray[np.float64]
Map = Callable[[Floats, Floats, Floats], Floats]

RIDGE = 1e-3
"""Weight of the squared coefficients in a map's fit: it decides only where the labels do not."""


def per_topic(one: Map, scores: Floats, y: Floats, asked: Floats) -> Floats:
    """Return the probabilities (m, T) of the scores `asked` (m, T), by a map for each topic fitted on `scores` and labels y (n, T), NaN unknown.

    Where a topic has only one label, or one score, its smoothed rate is the probability.
    """
    found = np.empty(asked.shape)
    for topic in range(y.shape[1]):
        known = ~np.isnan(y[:, topic])
        score, label = scores[known, topic], y[known, topic]
        plain = len(label) == 0 or label.min() == label.max() or score.min() == score.max()
        found[:, topic] = smoothed(label) if plain else one(score, label, asked[:, topic])
    return found


def smoothed(label: Floats) -> float:
    """Return the rate of labels with half a yes and half a no added."""
    return float((label.sum() + 0.5) / (len(label) + 1))


def platt(score: Floats, label: Floats, asked: Floats) -> Floats:
    """Return expit(a + b · score), with the targets of Platt 1999, which keep b finite."""
    positive, negative = label.sum(), len(label) - label.sum()
    target = np.where(label > 0, (positive + 1) / (positive + 2), 1 / (negative + 2))
    centre, spread = score.mean(), score.std()
    a, b = _logistic(np.column_stack([np.ones(len(score)), (score - centre) / spread]), target, np.array([special.logit(smoothed(label)), 0.0]))
    return np.asarray(special.expit(a + b * (asked - centre) / spread))


def beta(margin: Floats, label: Floats, asked: Floats) -> Floats:
    """Return beta calibration of p = expit(margin): logit = c + a · ln p - b · ln(1 - p), a and b not negative. Kull et al. 2017."""

    def terms(margins: Floats) -> Floats:
        return np.column_stack([np.ones(len(margins)), special.log_expit(margins), -special.log_expit(-margins)])

    return np.asarray(special.expit(terms(asked) @ _logistic(terms(margin), label, np.array([0.0, 1.0, 1.0]), least=(-np.inf, 0.0, 0.0))))


def isotonic(score: Floats, label: Floats, asked: Floats) -> Floats:
    """Return isotonic regression's probability, kept half a person away from 0 and 1, where one surprise would cost an infinite log loss."""
    from sklearn.isotonic import IsotonicRegression

    end = 0.5 / (len(label) + 1)
    return np.asarray(IsotonicRegression(y_min=end, y_max=1 - end, out_of_bounds="clip").fit(score, label).predict(asked))


def _logistic(terms: Floats, target: Floats, start: Floats, least: tuple[float, ...] | None = None) -> Floats:
    """Return the coefficients that minimise the log loss of expit(terms @ coefficients), drawn a little to `start`, each at least `least`."""

    def loss(coefficients: Floats) -> tuple[float, Floats]:
        logit, moved = terms @ coefficients, coefficients - start
        value = np.sum(np.logaddexp(0.0, logit) - target * logit) + RIDGE * np.sum(moved**2)
        return float(value), terms.T @ (special.expit(logit) - target) + 2 * RIDGE * moved

    bounds = None if least is None else [(low, np.inf) for low in least]
    return np.asarray(optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 1_000}).x)
