"""From a raw margin to the logit of a probability that can be trusted: one affine map per topic, partially pooled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from models.levels import level_shift

Floats = NDArray[np.float64]

OFFSET_SD, SLOPE_SD, COLD_SD = 1.0, 0.5, 0.5
"""Prior standard deviations of the common offset in logits, of the logarithm of the common slope, and of what is added for people without history."""
SPREADS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Standard deviations, in logits, of a topic's offset from the common one, of which the most likely is taken.

The pooled trees know the topic, so little is left to a topic by itself where levels are steady (on MovieLens 0.1 is taken); where they drift between what the
trees learned from and the held-out rows, much is (on Polis 0.4 or 0.8).
"""
SLOPE_PER_OFFSET = 0.5
"""A topic's standard deviation of the logarithm of the slope, for each of its offset."""
GRADIENT_TOLERANCE = 1e-6


class TopicPlatt:
    """Platt scaling on the logit scale: logit p = a_t + b_t · margin for topic t, with b_t > 0, and a number c more for people without history.

    Maximum a posteriori of a logistic regression with a common (a, log b) and a normal deviation of each topic from it, so a topic with
    few or no positives leans on the others and nothing is ever infinite. How far topics differ is learned too: of `SPREADS` the one under which the
    held-out labels are most likely (empirical Bayes, by Laplace's approximation of the evidence). Affine on the logit: what features contribute to the margin,
    times b_t, adds up exactly to the calibrated logit. The order of scores within a topic is unchanged.
    Assumption: rows to come are drawn as the rows it was fitted on; another base rate (a campaign season) breaks it.
    Source: Platt 1999; partial pooling as in Gelman & Hill 2007, chapter 12; evidence as in MacKay 1992.

    Attributes
    ----------
    intercept_, slope_ : (n_topics,) a_t in logits, and b_t. cold_ : c in logits.

    """

    intercept_: Floats
    slope_: Floats
    cold_: float

    def fit(
        self,
        margin: Floats,
        topic: NDArray[np.int64],
        y: Floats,
        *,
        n_topics: int,
        sample_weight: Floats | None = None,
        cold: NDArray[np.bool_] | None = None,
    ) -> TopicPlatt:
        """Fit on held-out rows: margins (m,), topic numbers (m,), labels 0/1 (m,), weights (m,), who is without history (m,). Returns self.

        Zero rows give the identity. Raises ValueError for values that are not finite.
        """
        if not (np.isfinite(margin).all() and np.isin(y, (0.0, 1.0)).all()):
            raise ValueError("calibration needs finite margins and labels of 0 or 1")
        weight = np.ones(len(margin)) if sample_weight is None else sample_weight
        held = _HeldOut(margin, topic, y, weight, np.zeros(len(margin)) if cold is None else cold.astype(np.float64), n_topics)
        best, start = -np.inf, np.zeros(3 + 2 * n_topics)
        for spread in SPREADS:
            found = optimize.minimize(held.objective, start, args=(spread,), jac=True, hess=held.information, method="trust-exact", options=_OPTIONS)
            start, evidence = found.x, held.evidence(found.x, spread)
            if evidence > best:
                best, (self.intercept_, self.slope_, self.cold_) = evidence, _coefficients(start, n_topics, spread)
        return self

    def keep_level(self, margin: Floats, logit: Floats, topic: NDArray[np.int64], *, sample_weight: Floats, cold: NDArray[np.bool_]) -> None:
        """Move each topic's intercept so that rows of these margins (m,) of other trees have the mean probability that calibrated logits (m,) gave them."""
        moved, expected = self.margin(margin, topic, cold), special.expit(logit)
        for number in np.unique(topic):
            mine = np.flatnonzero(topic == number)
            self.intercept_[number] += level_shift(moved[mine], expected[mine], mine, sample_weight[mine]).value

    def margin(self, margin: Floats, topic: NDArray[np.int64] | int, cold: NDArray[np.bool_] | float = 0.0) -> Floats:
        """Return the calibrated logit, of the shape of `margin`; `cold` says who is without history."""
        return np.asarray(self.intercept_[topic] + self.cold_ * np.asarray(cold, dtype=np.float64) + self.slope_[topic] * margin)

    def to_state(self) -> dict[str, Any]:
        """Return the coefficients as JSON-able values."""
        return {"intercept": self.intercept_.tolist(), "slope": self.slope_.tolist(), "cold": self.cold_}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> TopicPlatt:
        """Return the calibration of `to_state`; raises ValueError unless all is finite and slopes are positive."""
        made = cls()
        made.intercept_, made.slope_ = (np.array(state[key], dtype=np.float64).reshape(-1) for key in ("intercept", "slope"))
        if len(made.intercept_) != len(made.slope_) or not (np.isfinite(made.intercept_).all() and np.isfinite(made.slope_).all() and (made.slope_ > 0).all()):
            raise ValueError("a calibration has one finite intercept and one positive slope per topic")
        made.cold_ = float(state.get("cold", 0.0))
        if not np.isfinite(made.cold_):
            raise ValueError("what a calibration adds for people without history is a finite number")
        return made


_OPTIONS = {"maxiter": 200, "gtol": GRADIENT_TOLERANCE}


def _coefficients(theta: Floats, n_topics: int, spread: float) -> tuple[Floats, Floats, float]:
    offsets, slopes = theta[3 : 3 + n_topics], theta[3 + n_topics :]
    return theta[0] + spread * offsets, np.exp(theta[1] + SLOPE_PER_OFFSET * spread * slopes), float(theta[2])


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """What the map is fitted on.

    Coefficients are (common offset, common log slope, cold, offsets of topics, log slopes of topics), those of topics in units of their prior
    standard deviation.
    """

    margin: Floats
    topic: NDArray[np.int64]
    y: Floats
    weight: Floats
    cold: Floats
    n_topics: int

    def objective(self, theta: Floats, spread: float) -> tuple[float, Floats]:
        """Return the negative log posterior and its gradient."""
        logit, steep = self._logit(theta, spread)
        loss = float(np.sum(self.weight * (np.logaddexp(0.0, logit) - self.y * logit)))
        residual = self.weight * (special.expit(logit) - self.y)
        by_offset, by_slope = self._by_topic(residual), self._by_topic(residual * steep)
        gradient = np.concatenate([[by_offset.sum(), by_slope.sum(), residual @ self.cold], spread * by_offset, SLOPE_PER_OFFSET * spread * by_slope])
        precision = self._precision()
        return loss + 0.5 * float(np.sum(precision * theta**2)), gradient + precision * theta

    def evidence(self, theta: Floats, spread: float) -> float:
        """Return the logarithm of the labels' likelihood under the prior, up to a constant, by Laplace's approximation at the mode `theta`."""
        return -self.objective(theta, spread)[0] - 0.5 * float(np.linalg.slogdet(self.information(theta, spread))[1])

    def information(self, theta: Floats, spread: float) -> Floats:
        """Return Fisher's information of the coefficients and their prior's precision, (3 + 2 · n_topics) squared; it is positive definite."""
        logit, steep = self._logit(theta, spread)
        weight = self.weight * special.expit(logit) * special.expit(-logit)
        sums = [self._by_topic(weight * part) for part in (1.0, steep, steep**2, self.cold, self.cold * steep)]
        offset, both, slope, cold, cold_slope = sums
        common = np.array(
            [
                [offset.sum(), both.sum(), cold.sum()],
                [both.sum(), slope.sum(), cold_slope.sum()],
                [cold.sum(), cold_slope.sum(), cold.sum()],
            ]
        )
        to_offsets, to_slopes = spread * np.stack([offset, both, cold]), SLOPE_PER_OFFSET * spread * np.stack([both, slope, cold_slope])
        across = np.diag(SLOPE_PER_OFFSET * spread**2 * both)
        fisher = np.block(
            [
                [common, to_offsets, to_slopes],
                [to_offsets.T, np.diag(spread**2 * offset), across],
                [to_slopes.T, across, np.diag((SLOPE_PER_OFFSET * spread) ** 2 * slope)],
            ]
        )
        return np.asarray(fisher + np.diag(self._precision()))

    def _logit(self, theta: Floats, spread: float) -> tuple[Floats, Floats]:
        """Return the calibrated logits (m,), and their derivatives (m,) by the logarithm of the slope."""
        intercept, slope, cold = _coefficients(theta, self.n_topics, spread)
        steep = slope[self.topic] * self.margin
        return intercept[self.topic] + cold * self.cold + steep, steep

    def _by_topic(self, values: Floats) -> Floats:
        return np.asarray(np.bincount(self.topic, values, self.n_topics), dtype=np.float64)

    def _precision(self) -> Floats:
        return np.concatenate([[OFFSET_SD**-2, SLOPE_SD**-2, COLD_SD**-2], np.ones(2 * self.n_topics)])
