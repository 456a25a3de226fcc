"""How many people an experiment needs: for an average effect, and for a ranking of people by their effect; by formula and by simulation.

Both count people who are drawn. An outcome is yes or no (`outcome_sd` None: its variance is p·(1 - p)) or has a standard deviation. What inflates either
number: people drawn together are alike (`design_effect`), and some are never measured (`attrition`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, optimize, stats

from models.uplift_evaluation import CROSS_FITTING, critical, least_units
from models.uplift_metrics import autoc, average_effect

Floats = NDArray[np.float64]
Progress = Callable[[str, float], None] | None


class PowerError(ValueError):
    """The assumptions cannot be computed with; the message names the one, the value given and what is allowed."""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is assumed before the experiment.

    `shares` probability of each arm, `control` among them; `baseline` mean outcome in the control arm; `effect` smallest average effect of interest and
    `effect_sd` standard deviation of the effect between people (None: not asked), both in units of the outcome; `correlation` (rho) of the ranking with the
    true effect; `power`; `alpha` level of the average effect, two-sided; `ranking_alpha` level of AUTOC, one-sided; `outcome_sd` None for yes or no;
    `unit_size` mean people drawn as one, `unit_size_cv` its coefficient of variation, `intra_unit` correlation of their outcomes; `attrition` share
    whose outcome will not be known. Raises PowerError.
    """

    shares: Mapping[str, float]
    baseline: float
    effect: float
    control: str = "control"
    effect_sd: float | None = None
    correlation: float = 0.3
    power: float = 0.8
    alpha: float = 0.05
    ranking_alpha: float = 0.01
    outcome_sd: float | None = None
    unit_size: float = 1.0
    unit_size_cv: float = 0.0
    intra_unit: float = 0.0
    attrition: float = 0.0

    def __post_init__(self) -> None:
        for name in ("power", "alpha", "ranking_alpha"):
            _within(name, getattr(self, name), 0, 1, open_=True)
        for name in ("intra_unit", "attrition"):
            _within(name, getattr(self, name), 0, 1)
        _within("unit_size", self.unit_size, 1, math.inf)
        _within("unit_size_cv", self.unit_size_cv, 0, math.inf)
        _within("correlation", self.correlation, 0, 1.0000001, open_=True)
        if self.attrition == 1:
            raise PowerError("attrition is 1: nobody would be measured")
        if self.effect_sd is not None:
            _within("effect_sd", self.effect_sd, 0, math.inf, open_=True)
        _shares(self.shares, self.control)
        self._outcome()

    def _outcome(self) -> None:
        if self.effect == 0 or not math.isfinite(self.effect):
            raise PowerError(f"effect = {self.effect:g}: the smallest effect of interest is a number other than 0")
        if self.outcome_sd is not None:
            _within("outcome_sd", self.outcome_sd, 0, math.inf, open_=True)
            return
        _within("baseline", self.baseline, 0, 1, open_=True)
        _within("baseline + effect", self.baseline + self.effect, 0, 1, open_=True)

    @property
    def treatments(self) -> tuple[str, ...]:
        """The arms other than control."""
        return tuple(arm for arm in self.shares if arm != self.control)

    @property
    def contrast_alpha(self) -> float:
        """The two-sided level of one contrast of several with control: Bonferroni. Holm's procedure (`training.choice`) finds at least as much."""
        return self.alpha / len(self.treatments)

    @property
    def inflation(self) -> float:
        """What people are multiplied by for what they have in common and for those who are never measured."""
        return design_effect(self.unit_size, self.intra_unit, self.unit_size_cv) / (1 - self.attrition)

    def variances(self, effect: float) -> tuple[float, float]:
        """Return the variance of the outcome in the control arm and with the effect."""
        if self.outcome_sd is not None:
            return self.outcome_sd**2, self.outcome_sd**2
        treated = self.baseline + effect
        return self.baseline * (1 - self.baseline), treated * (1 - treated)


@dataclass(frozen=True, slots=True)
class Needed:
    """People to draw: in all, and in each arm, rounded up."""

    total: int
    by_arm: Mapping[str, int]


def design_effect(unit_size: float, intra_unit: float, unit_size_cv: float = 0.0) -> float:
    """Return 1 + ((1 + cv²)·m - 1)·rho: how much wider a variance is for units of m people on average whose outcomes correlate by rho.

    Source: Eldridge, Ashby & Kerry 2006 (unequal sizes), Kish 1965 (cv = 0).
    """
    return 1 + ((1 + unit_size_cv**2) * unit_size - 1) * intra_unit


def people_for_average(assumptions: Assumptions) -> Needed:
    """Return the people needed to find the average effect of every arm against control.

    N = (z(1 - alpha/2K) + z(power))² · (v₁/w₁ + v₀/w₀) / δ², times the inflation; w are shares of N, v variances of the outcome (unpooled, as the AIPW
    estimate has them), K contrasts share alpha (Bonferroni). The arm that needs most decides. Source: Fleiss, Levin & Paik 2003, chapter 4.
    """
    control, treated = assumptions.variances(assumptions.effect)
    reach = float(stats.norm.ppf(1 - assumptions.contrast_alpha / 2) + stats.norm.ppf(assumptions.power))
    total = max(reach**2 * _spread(assumptions, arm, control, treated) / assumptions.effect**2 for arm in assumptions.treatments)
    return _needed(assumptions, total * assumptions.inflation)


def autoc_constant() -> float:
    """Return E[φ(Z)/(1 - Φ(Z))], Z standard normal, ≈ .903: AUTOC of a ranking that correlates by rho with normal effects is this · rho · their sd."""
    value, _ = integrate.quad(lambda z: stats.norm.pdf(z) * math.exp(stats.norm.logpdf(z) - stats.norm.logsf(z)), -10, 10)
    return float(value)


def ranking_constant(score_sd: float, *, power: float = 0.8, alpha: float = 0.01, stretch: float = 1.0) -> float:
    """Return k of n = (k / (rho · sd of the effect))², the people of one contrast that AUTOC needs, without inflation.

    AUTOC has the value .903·rho·sd (`autoc_constant`, effects and ranking bivariate normal) and the standard error s/√n, s the standard deviation of
    doubly robust scores, because the weight -ln U - 1 of a place U has variance 1; so k = (stretch·z(1 - alpha) + z(power))·s/.903. With halves and an
    outcome of standard deviation v, s = 2v and k = 7.0·v: the well-known 3.1 is that of v = .44, yes or no with 26% yes. `stretch` widens the
    standard error, as the gate does for a ranking that was learned on the same people.
    """
    return (stretch * float(stats.norm.ppf(1 - alpha)) + float(stats.norm.ppf(power))) * score_sd / autoc_constant()


def people_for_ranking(assumptions: Assumptions, *, stretch: float = 1.0) -> Needed:
    """Return the people needed for AUTOC to be found above zero in every contrast: n = (k / (rho · sd))² of `ranking_constant`, times the inflation.

    With `stretch` 1 for a ranking given beforehand, CROSS_FITTING for one learned in the same experiment (the gate). The design effect is taken in
    full, which is more than needed where a ranking differs within units.
    """
    if assumptions.effect_sd is None:
        raise PowerError("effect_sd is not given: say how much the effect differs between people, in units of the outcome")
    target = assumptions.correlation * assumptions.effect_sd
    contrasts = {arm: _constant(assumptions, arm, stretch) ** 2 / target**2 for arm in assumptions.treatments}
    total = max(people / _share(assumptions, arm) for arm, people in contrasts.items())
    return _needed(assumptions, total * assumptions.inflation)


def detectable_effect(assumptions: Assumptions, people: int) -> float:
    """Return the size of the smallest average effect, in the direction of `effect`, that `people` drawn would find in every contrast; NaN where none can be."""
    reach = float(stats.norm.ppf(1 - assumptions.contrast_alpha / 2) + stats.norm.ppf(assumptions.power))
    sign = math.copysign(1.0, assumptions.effect)
    effective = people / assumptions.inflation

    def excess(size: float) -> float:
        control, treated = assumptions.variances(sign * size)
        widest = max(_spread(assumptions, arm, control, treated) for arm in assumptions.treatments)
        return size - reach * math.sqrt(widest / effective)

    if people < 1:
        return math.nan
    if assumptions.outcome_sd is not None:
        return -excess(0.0)
    largest = 1 - assumptions.baseline if sign > 0 else assumptions.baseline
    return float(optimize.brentq(excess, 0.0, largest)) if excess(largest) > 0 else math.nan


def detectable_sd(assumptions: Assumptions, people: int, *, stretch: float = 1.0) -> float:
    """Return the smallest standard deviation of the effect between people that a ranking of that correlation would show, with `people` drawn; NaN for none."""
    if people < 1:
        return math.nan
    effective = people / assumptions.inflation
    widest = max(_constant(assumptions, arm, stretch) / math.sqrt(_share(assumptions, arm)) for arm in assumptions.treatments)
    return widest / (assumptions.correlation * math.sqrt(effective))


@dataclass(frozen=True, slots=True)
class Simulated:
    """Shares of simulated experiments in which each test found what was there, with standard errors: the average effect (two-sided),
    AUTOC of a ranking given beforehand, and the same with the gate's wider bound for a ranking that was learned (both one-sided)."""  # noqa: D205, D209 - one sentence

    people: int
    draws: int
    average: float
    ranking: float
    gate: float

    def se(self, share: float) -> float:
        """Return the standard error of one of the shares, that of a binomial."""
        return math.sqrt(share * (1 - share) / self.draws)


def simulated(assumptions: Assumptions, people: int, *, draws: int = 200, seed: int = 0, progress: Progress = None) -> Simulated:
    """Return the power that `people` drawn have in trials with these assumptions, by `average_effect` and `autoc` themselves.

    Each trial is the contrast of the arm with the smallest share against control, people in units of equal size. Effects are normal around `effect`; the
    ranking has the stated correlation with them. A yes-or-no outcome keeps its rate and correlation within units exactly: an effect τ > 0 turns a no
    into a yes with probability τ/(1 - baseline), τ < 0 a yes into a no with probability -τ/baseline, at most 1. A unit size that is no whole number
    is drawn as the two nearest ones.
    """
    random = np.random.default_rng(seed)
    arm = min(assumptions.treatments, key=lambda each: assumptions.shares[each])
    size = round(people * _share(assumptions, arm) * (1 - assumptions.attrition))
    if size < 8:
        raise PowerError(f"{people} people leave {size} in the smallest contrast: nothing can be simulated with so few")
    found = np.zeros((draws, 3), dtype=bool)
    for draw in range(draws):
        found[draw] = _one_trial(assumptions, arm, size, random)
        if progress is not None:
            progress("simulating experiments", (draw + 1) / draws)
    average, ranking, gate = found.mean(axis=0).tolist()
    return Simulated(people, draws, average, ranking, gate)


def _one_trial(assumptions: Assumptions, arm: str, size: int, random: np.random.Generator) -> tuple[bool, bool, bool]:
    unit = _units(size, assumptions.unit_size, random)
    share = assumptions.shares[arm] / _share(assumptions, arm)
    treated = (random.random(unit[-1] + 1) < share)[unit]
    if treated.all() or not treated.any():
        return False, False, False
    deviation = random.standard_normal(size)
    score = assumptions.correlation * deviation + math.sqrt(max(1 - assumptions.correlation**2, 0.0)) * random.standard_normal(size)
    y = _outcomes(assumptions, assumptions.effect + (assumptions.effect_sd or 0.0) * deviation, treated, unit, random)
    with_, without = y[treated].mean(), y[~treated].mean()
    gamma = with_ - without + np.where(treated, (y - with_) / share, -(y - without) / (1 - share))
    mean, rate = average_effect(gamma, groups=unit), autoc(score, gamma, groups=unit)
    level = float(stats.norm.ppf(1 - assumptions.contrast_alpha / 2))
    bound = critical(assumptions.ranking_alpha, least_units(treated, unit))
    return abs(mean.value) > level * mean.se, rate.value > bound * rate.se, rate.value > CROSS_FITTING * bound * rate.se


def _outcomes(assumptions: Assumptions, effect: Floats, treated: NDArray[np.bool_], unit: NDArray[np.int64], random: np.random.Generator) -> Floats:
    """Return outcomes (n,) of people with these effects (n,), in units (n,) whose outcomes correlate as assumed."""
    together, n_units = assumptions.intra_unit, int(unit[-1]) + 1
    if assumptions.outcome_sd is not None:
        shared = math.sqrt(together) * random.standard_normal(n_units)[unit]
        own = math.sqrt(1 - together) * random.standard_normal(len(unit))
        return np.asarray(assumptions.baseline + assumptions.outcome_sd * (shared + own) + effect * treated)
    rate = np.full(n_units, assumptions.baseline)
    if together == 1:
        rate = (random.random(n_units) < assumptions.baseline).astype(np.float64)
    elif together > 0:
        mass = 1 / together - 1  # a beta distribution of rates whose draws correlate by 1 / (a + b + 1)
        rate = random.beta(assumptions.baseline * mass, (1 - assumptions.baseline) * mass, n_units)
    before = random.random(len(unit)) < rate[unit]
    turned = random.random(len(unit)) < np.where(effect > 0, effect / (1 - assumptions.baseline), -effect / assumptions.baseline)
    return np.where(treated & turned, effect > 0, before).astype(np.float64)


def _units(size: int, unit_size: float, random: np.random.Generator) -> NDArray[np.int64]:
    """Return the unit (n,) of each person, rising from 0."""
    small = math.floor(unit_size)
    sizes = small + (random.random(size) < unit_size - small)
    return np.repeat(np.arange(size), sizes)[:size]


def _constant(assumptions: Assumptions, arm: str, stretch: float) -> float:
    """Return k of one contrast of these shares and variances."""
    control, treated = assumptions.variances(assumptions.effect)
    score_sd = math.sqrt(_spread(assumptions, arm, control, treated) * _share(assumptions, arm))
    return ranking_constant(score_sd, power=assumptions.power, alpha=assumptions.ranking_alpha, stretch=stretch)


def _spread(assumptions: Assumptions, arm: str, control: float, treated: float) -> float:
    return treated / assumptions.shares[arm] + control / assumptions.shares[assumptions.control]


def _share(assumptions: Assumptions, arm: str) -> float:
    return assumptions.shares[arm] + assumptions.shares[assumptions.control]


def _needed(assumptions: Assumptions, total: float) -> Needed:
    by_arm = {arm: math.ceil(round(total * share, 6)) for arm, share in assumptions.shares.items()}
    return Needed(sum(by_arm.values()), by_arm)


def _shares(shares: Mapping[str, float], control: str) -> None:
    if control not in shares or len(shares) < 2:
        raise PowerError(f"shares name the control arm {control!r} and at least one other: given {', '.join(shares) or 'none'}")
    if not all(share > 0 for share in shares.values()) or not abs(math.fsum(shares.values()) - 1) <= 1e-9:
        given = ", ".join(f"{arm} {share:g}" for arm, share in shares.items())
        raise PowerError(f"shares are above 0 and sum to 1: given {given}")


def _within(name: str, value: float, low: float, high: float, *, open_: bool = False) -> None:
    inside = low < value < high if open_ else low <= value <= high
    if not inside:
        edge = "between, but not at," if open_ else "from"
        raise PowerError(f"{name} = {value:g}: a number {edge} {low:g} {'and' if open_ else 'to'} {high:.6g} is allowed")
