"""How far two distributions over the same bins lie apart, and how far chance alone would take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Floats = NDArray[np.float64]

EMPTY_ROWS = 0.5
"""Rows of the smaller side that a bin counts as having at least: the logarithm of none is endless, and a handful of people must not make it large."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """How far apart two distributions are.

    `psi` is the population stability index, `js` the Jensen-Shannon divergence in [0, 1]. `by_chance` is the psi that two samples of one population
    are expected to show, `p_value` the probability that they show as much as this.
    """

    psi: float
    js: float
    by_chance: float
    p_value: float

    @classmethod
    def between(cls, then: Floats, now: Floats, n_then: float, n_now: float) -> Divergence:
        """Return the divergence of shares (bins,) of `n_then` and `n_now` independent rows; of none, that nothing is known to differ.

        With B bins that are not empty on both sides, psi / (1/n_then + 1/n_now) of one population is about chi-squared with B - 1 degrees of freedom.
        Source: Yurdakul & Naranjo 2020, "Statistical properties of the population stability index".
        """
        if min(n_then, n_now) <= 0:
            return cls(0.0, 0.0, 0.0, 1.0)
        filled = (then > 0) | (now > 0)
        noise, freedom = 1 / n_then + 1 / n_now, int(filled.sum()) - 1
        found = psi(then[filled], now[filled], floor=EMPTY_ROWS / min(n_then, n_now))
        p_value = float(stats.chi2.sf(found / noise, freedom)) if freedom > 0 else 1.0
        return cls(found, jensen_shannon(then, now), max(freedom, 0) * noise, p_value)

    @property
    def excess(self) -> float:
        """What the psi is beyond what chance is expected to give, not below 0."""
        return max(self.psi - self.by_chance, 0.0)

    def to_state(self) -> dict[str, Any]:
        """Return the numbers as JSON-able values."""
        return {"psi": self.psi, "by_chance": self.by_chance, "p_value": self.p_value, "jensen_shannon": self.js}


def psi(then: Floats, now: Floats, *, floor: float) -> float:
    """Return the population stability index Σ (p - q)·ln(p / q) of shares p = `then` and q = `now` (bins,), each taken as `floor` at least.

    0 for equal shares; no term is negative, and nothing bounds it from above. It is Jeffreys' symmetric Kullback-Leibler divergence; the levels
    .1 and .25 are those of credit scoring (Siddiqi 2006, "Credit risk scorecards").
    """
    p, q = np.maximum(then, floor), np.maximum(now, floor)
    return float(np.sum((p - q) * np.log(p / q)))


def jensen_shannon(then: Floats, now: Floats) -> float:
    """Return the Jensen-Shannon divergence of shares (bins,) that sum to 1, in bits: 0 for equal shares, 1 where no bin is shared (Lin 1991)."""
    middle = (then + now) / 2
    bits = (special.rel_entr(then, middle).sum() + special.rel_entr(now, middle).sum()) / (2 * np.log(2))
    return float(np.clip(bits, 0.0, 1.0))


def absence(share: float, n_there: float, n_here: float) -> float:
    """Return the probability that chance alone puts all of a value's rows among the `n_there` rows, of which they are `share`, and none among `n_here`."""
    return float((n_there / (n_there + n_here)) ** (share * n_there)) if n_there + n_here > 0 else 1.0
