"""What is looked at in the draw of an experiment, a function for each line: from codes of who was drawn to a verdict with words.

Nothing here reads a table; `training.design_check` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.balance import Differences, attrition_test, cluster_ratio_test, cluster_test, randomisation_test, ratio_test, several_arms
from training.gates import GateLine
from training.plan import Plan
from training.trials import Progress

Verdict = Literal["ok", "look", "broken"]
Integers = NDArray[np.int64]

_TOLERANCE = 1e-9
"""Stated probabilities may differ by this much: rounding in a file."""
LOOK, BROKEN = 0.05, 0.005
"""p of the randomisation test and of attrition, up to which to look, and up to which the draw is not what it is said to be."""
RATIO_LOOK, RATIO_BROKEN = 0.01, 0.0005
"""The same for counts of arms, which are looked at again and again while people are assigned. Source: Fabijan et al. 2019."""
ENOUGH = 5
"""Units expected in each arm of a stratum before chi-square is asked about it alone. Source: Cochran 1954."""
SMALL_PROBABILITY = 0.05
"""A probability below this gives each person of the arm a weight above 20."""
VISIBLE = 0.1
"""A standardised difference that is worth seeing. Source: Austin 2009."""
FEW = 0.05
"""Features that fewer people than this share have are not shown: their differences are mostly chance. The report as JSON has them."""
NEIGHBOURS = 50
"""Areas of at most so many people who were drawn are places where people talk to each other."""
MOVABLE = 0.5
"""Where fewer than this share of units could have another arm in a deal, the randomisation test says nothing."""
NEARLY_ALL, MANY = 0.9, 30
"""Where at least this share of at least so many units of several people hold several arms, they are blocks within which people were drawn."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    words: str

    def __str__(self) -> str:
        return f"{self.verdict:<6}  {self.name}: {self.words}"


@dataclass(frozen=True, repr=False)
class Sample:
    """Who was drawn, one row each (person_id, as_of, probability, area, observed, too_early), and as codes: arm (0 the control), unit, stratum, cell.

    Arms could have fallen otherwise within a cell: the stratum, or the stratum at one time of assignment.
    """

    rows: pd.DataFrame
    arms: tuple[str, ...]
    arm: Integers
    unit: Integers
    stratum: Integers
    cell: Integers
    stated: NDArray[np.float64]
    """The stated probability (n_strata, n_arms) of each arm in each stratum, 0 where nobody has it; what they lack of 1 belongs to those arms."""
    varying: int
    """Pairs of stratum and arm whose stated probability is not one number."""
    clusters: bool
    """Whether units are wider than what was drawn as one: nearly all hold several arms, and no plan says that they were drawn."""

    @property
    def first(self) -> Integers:
        """The row of each unit's first person."""
        return np.unique(self.unit, return_index=True)[1].astype(np.int64)


def sample_of(rows: pd.DataFrame, arms: tuple[str, ...], *, batched: bool, units_drawn: bool) -> Sample:
    """Return the sample of rows (person_id, arm, probability, as_of, unit, stratum, area, observed, too_early); `arms` are those of the rows, control first.

    `batched` says that arms were dealt out at each time of assignment by itself, `units_drawn` that a plan has units drawn as one. Times also part cells
    where the stated probabilities differ within a stratum.
    """
    arm = np.asarray(rows["arm"].map({each: code for code, each in enumerate(arms)}), dtype=np.int64)
    stratum, unit = _codes(rows["stratum"]), _codes(rows["unit"])
    stated = np.zeros((int(stratum.max()) + 1, len(arms)))
    low = np.full(stated.shape, np.inf)
    probability = rows["probability"].to_numpy(dtype=np.float64)
    np.maximum.at(stated, (stratum, arm), probability)
    np.minimum.at(low, (stratum, arm), probability)
    varying = int(((stated - low > _TOLERANCE) & np.isfinite(low)).sum())
    cell = _codes(rows["stratum"] + "\n" + rows["as_of"].astype(str)) if batched or varying else stratum
    several = np.bincount(unit) > 1
    blocks = bool(several.sum() >= MANY) and float(several_arms(arm, unit)[several].mean()) >= NEARLY_ALL
    return Sample(rows, arms, arm, unit, stratum, cell, stated, varying, blocks and not units_drawn)


def plan_line(plan: Plan | None, followed: tuple[GateLine, ...]) -> Line:
    """Return whether there is a plan, and `followed`, whether the analysis follows it."""
    if plan is None:
        return Line("plan", "look", "none was written before the experiment: nothing says what was to be tested")
    apart = [f"{line.name}: {line.words}" for line in followed if not line.passed]
    if not apart:
        return Line("plan", "ok", f"{plan.hash[:12]} of {plan.created_at:%Y-%m-%d %H:%M} UTC is followed; {followed[0].words.partition('; ')[2]}")
    return Line("plan", "look", f"not followed ({'; '.join(apart)})")


def ratio_line(sample: Sample) -> Line:
    """Return whether each arm has as many units as stated."""
    over = sample.stated.sum(axis=1) - 1
    if sample.varying:
        words = f"in {sample.varying:,} pairs of stratum and arm the stated probability varies from person to person: within a stratum it has to be one number"
        return Line("ratio of arms", "broken", words)
    if (over > 1e-6).any():
        return Line("ratio of arms", "broken", f"in {int((over > 1e-6).sum()):,} strata the stated probabilities sum to more than 1")
    stated = _completed(sample.stated)
    if sample.clusters:
        whole = cluster_ratio_test(sample.arm, sample.unit, sample.stratum, stated)
        counts = _counted(sample, sample.arm, np.bincount(sample.stratum) @ stated)
        return Line("ratio of arms", _judged(whole.p, RATIO_LOOK, RATIO_BROKEN), f"people drawn of those expected: {counts}; p {_p(whole.p)}, by whole units")
    arm, stratum = sample.arm[sample.first], sample.stratum[sample.first]
    test, within = ratio_test(arm, stratum, stated)
    by_stratum = np.bincount(stratum)[:, None] * stated
    counts = _counted(sample, arm, by_stratum.sum(axis=0))
    large = by_stratum.min(axis=1) >= ENOUGH
    off = int((within[large] < RATIO_BROKEN / max(int(large.sum()), 1)).sum())
    verdict = _judged(test.p, RATIO_LOOK, RATIO_BROKEN)
    if off and verdict == "ok":
        verdict = "look"
    return Line(
        "ratio of arms", verdict, f"units drawn of those expected: {counts}; p {_p(test.p)}; {off:,} of {int(large.sum()):,} large strata are off by themselves"
    )


def _counted(sample: Sample, arm: Integers, expected: NDArray[np.float64]) -> str:
    found = np.bincount(arm, minlength=len(sample.arms))
    return ", ".join(f"{name} {found[code]:,} of {expected[code]:,.0f}" for code, name in enumerate(sample.arms))


def _completed(stated: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the stated probabilities (n_strata, n_arms) with what is missing to 1 given to the arms that nobody of the stratum is in; rows sum to 1.

    Only who is in an arm states its probability. Of several such arms each gets its part of what other strata state.
    """
    seen = stated > 0
    usual = stated.sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    lacking = np.where(seen, 0.0, usual)
    left = np.maximum(1 - stated.sum(axis=1, keepdims=True), 0.0)
    whole = stated + left * lacking / np.maximum(lacking.sum(axis=1, keepdims=True), 1e-300)
    return np.asarray(whole / whole.sum(axis=1, keepdims=True))


def overlap_line(sample: Sample) -> Line:
    """Return whether probabilities are away from 0 and 1, and strata have more than one arm."""
    probability = sample.rows["probability"].to_numpy(dtype=np.float64)
    low, high = float(probability.min()), float(probability.max())
    with_arm = np.zeros(sample.stated.shape, dtype=bool)
    with_arm[sample.stratum, sample.arm] = True
    lone = with_arm.sum(axis=1) < 2
    people = int(lone[sample.stratum].sum())
    words = f"probabilities from {low:.4g} to {high:.4g}; {int(lone.sum()):,} of {len(lone):,} strata have one arm only ({people:,} people)"
    if low <= 0 or high >= 1 or lone.all():
        return Line("overlap", "broken", words)
    return Line("overlap", "look" if low < SMALL_PROBABILITY or people > LOOK * len(probability) else "ok", words)


def balance_line(matrix: NDArray[np.float32], sample: Sample, differences: Differences, *, draws: int, seed: int, progress: Progress) -> Line:
    """Return whether arms are alike in the vectors `matrix` (n, F): dealt anew to units, or whole clusters turned where units are wider than what was drawn."""
    visible = int((np.abs(differences.values) > VISIBLE).any(axis=1).sum())
    seen = f"{visible:,} of {len(differences.names):,} features differ by more than {VISIBLE:g} sd"
    if sample.clusters:
        test = cluster_test(matrix, sample.arm, clusters=sample.unit, strata=sample.stratum, draws=draws, seed=seed, progress=progress)
        words = f"turning the differences of whole units separates the arms as much with p {_p(test.p)} (± {test.se:.3f}, {draws} draws); {seen}"
        return Line("balance", _judged(test.p, LOOK, BROKEN), words)
    mixed = several_arms(sample.arm, sample.unit)[sample.unit]
    units = np.where(mixed, sample.unit.max() + 1 + np.arange(len(mixed)), sample.unit)
    units = np.unique(units, return_inverse=True)[1].astype(np.int64)
    test = randomisation_test(matrix, sample.arm, units=units, strata=sample.cell, draws=draws, seed=seed, progress=progress)
    words = f"dealing the arms anew separates them as much with p {_p(test.p)} (± {test.se:.3f}, {draws} draws); {seen}"
    first = np.unique(units, return_index=True)[1]
    cell = sample.cell[first]
    free = int(several_arms(sample.arm[first], cell)[cell].sum())
    verdict = _judged(test.p, LOOK, BROKEN)
    if verdict != "broken" and free < MOVABLE * len(first):
        said = f"only {free:,} of {len(first):,} units share their stratum, or the time of their draw, with a unit of another arm"
        return Line("balance", "look", f"{said}: dealing the arms anew changes next to nothing, and the test cannot say whether they were drawn; {words}")
    return Line("balance", verdict, words)


def attrition_line(sample: Sample, outcome: str) -> Line:
    """Return whether the outcome is missing alike in all arms, within strata."""
    observed = sample.rows["observed"].to_numpy(dtype=bool)
    early = int(sample.rows["too_early"].sum())
    if early:
        return Line("attrition", "broken", f"{early:,} outcomes were measured before the person was assigned")
    if not observed.any():
        return Line("attrition", "ok", f"nobody has the outcome {outcome!r} yet")
    share, test = attrition_test(~observed, sample.arm, sample.unit, sample.stratum)
    lost = ", ".join(f"{name} {share[code]:.1%}" for code, name in enumerate(sample.arms))
    return Line("attrition", _judged(test.p, LOOK, BROKEN), f"without the outcome {outcome!r}: {lost}; the same in all arms of a stratum with p {_p(test.p)}")


def units_line(sample: Sample) -> Line:
    """Return whether all people of a unit are in one arm; units that are clusters, within which people were drawn, are to look at."""
    mixed, units = int(several_arms(sample.arm, sample.unit).sum()), len(sample.first)
    if not mixed:
        return Line("units", "ok", f"all people of a unit are in one arm ({len(sample.rows) / units:.2f} people in a unit)")
    if sample.clusters:
        said = f"{mixed:,} of {units:,} units have people in several arms: they are blocks, and what was drawn within them is not stated"
        return Line("units", "look", f"{said}; folds, standard errors and the tests of balance and attrition take them whole")
    return Line("units", "broken", f"{mixed:,} of {units:,} units have people in several arms: they were not drawn as one")


def areas_line(sample: Sample, plan: Plan | None) -> Line:
    """Return whether small areas hold several arms."""
    known = sample.rows["area"].notna().to_numpy(dtype=bool)
    if not known.any():
        return Line("spill-over between neighbours", "ok", "nobody's area is known")
    area = _codes(sample.rows["area"][known])
    mixed = several_arms(sample.arm[known], area)
    size = np.bincount(area)
    small = mixed & (size <= NEIGHBOURS)
    exposed = int(size[small].sum())
    crowd = f"{int(small.sum()):,} of these have {NEIGHBOURS} people drawn or fewer ({exposed:,} people), where what one is told may reach another"
    words = f"{int(mixed.sum()):,} of {len(size):,} areas hold several arms; {crowd}"
    if plan is not None and plan.unit == "area" and mixed.any():
        return Line("spill-over between neighbours", "broken", f"{words}, though the plan draws areas")
    return Line("spill-over between neighbours", "look" if exposed > LOOK * len(sample.rows) else "ok", words)


def households_line(sample: Sample, households: pd.Series, plan: Plan | None) -> Line:
    """Return whether people who live together, by `households` (the unit of each person, by person), are in one arm."""
    home = sample.rows["person_id"].map(households)
    known = home.notna().to_numpy(dtype=bool)
    if not known.any():
        return Line("spill-over in households", "look", "the file of households knows none of these people")
    code = _codes(home[known])
    mixed = several_arms(sample.arm[known], code)
    exposed = int(mixed[code].sum())
    words = f"{int(mixed.sum()):,} of {len(mixed):,} households hold several arms ({exposed:,} people), who hear what the others were told"
    if plan is not None and plan.unit == "household" and exposed:
        return Line("spill-over in households", "broken", f"{words}, though the plan draws households")
    return Line("spill-over in households", "look" if exposed > LOOK * len(sample.rows) else "ok", words)


def others_line(running: Mapping[str, int]) -> Line:
    """Return whether people are `running` in other experiments too, counted by their ids."""
    if not running:
        return Line("other experiments", "ok", "nobody is in another one that has no outcomes yet")
    return Line(
        "other experiments", "look", "; ".join(f"{people:,} people are in {other!r} too, which has no outcomes yet" for other, people in running.items())
    )


def _codes(values: pd.Series) -> Integers:
    return pd.factorize(values.to_numpy(dtype=object))[0].astype(np.int64)


def _judged(p: float, look: float, broken: float) -> Verdict:
    return "broken" if p <= broken else "look" if p <= look else "ok"


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "below .001"
