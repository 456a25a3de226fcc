"""Whether a randomised experiment is one: what the tables say of its draw, judged line by line before anyone looks at an effect."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.history import History
from features.vectors import build_rows
from features.vocabulary import Experiment
from features.workspace import Workspace
from training.assignment import also_in, read_units
from training.balance import Differences, attrition_test, randomisation_test, ratio_test, several_arms, standardised_differences
from training.plan import Plan, analysis_follows, read_plan
from training.snapshots import connect
from training.trials import Progress

Verdict = Literal["ok", "look", "broken"]
Integers = NDArray[np.int64]

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


class CheckError(ValueError):
    """There is nothing to check; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    words: str

    def __str__(self) -> str:
        return f"{self.verdict:<6}  {self.name}: {self.words}"


@dataclass(frozen=True, repr=False)
class Report:
    """The lines of one experiment and, by arm, the differences of its features from the control arm."""

    experiment: str
    people: int
    units: int
    arms: tuple[str, ...]
    lines: tuple[Line, ...]
    differences: Differences

    @property
    def broken(self) -> bool:
        """Whether some line says that an effect cannot be read from this experiment."""
        return any(line.verdict == "broken" for line in self.lines)

    def text(self, top: int = 10) -> str:
        """Return the report for a person, with the `top` largest differences."""
        head = f"{self.experiment}: {self.people:,} people in {self.units:,} units, arms {', '.join(self.arms)} (the first is the control)"
        rows = [f"  {'  '.join(f'{value:+7.3f}' for value in self.differences.values[row])}  {self.differences.names[row]}" for row in self.shown[:top]]
        table = [f"largest standardised differences from control ({', '.join(self.arms[1:])})", *rows] if rows else []
        return "\n".join([head, *map(str, self.lines), *table])

    @property
    def shown(self) -> Integers:
        """The places (k,) of the differences between people enough to be worth reading, the largest first."""
        return np.flatnonzero(self.differences.known >= FEW)

    def to_json(self) -> str:
        """Return the whole report, every feature in it, as one line of JSON; a difference that is infinite is null."""
        differences = {
            name: {arm: float(value) if math.isfinite(value) else None for arm, value in zip(self.arms[1:], values, strict=True)}
            for name, values in zip(self.differences.names, self.differences.values, strict=True)
        }
        said = {"experiment": self.experiment, "people": self.people, "units": self.units, "arms": self.arms, "broken": self.broken}
        return json.dumps(said | {"lines": [asdict(line) for line in self.lines], "differences": differences}, ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True, repr=False)
class _Sample:
    """Who was drawn, one row each (person_id, as_of, probability, area, observed …), and as codes: arm (0 the control), unit, stratum, stratum and time."""

    rows: pd.DataFrame
    arms: tuple[str, ...]
    arm: Integers
    unit: Integers
    stratum: Integers
    batch: Integers
    stated: NDArray[np.float64]
    """The stated probability (n_strata, n_arms) of each arm in each stratum, 0 where nobody has it; what they lack of 1 belongs to those arms."""
    varying: int
    """Pairs of stratum and arm whose stated probability is not one number."""

    @property
    def first(self) -> Integers:
        """The row of each unit's first person."""
        return np.unique(self.unit, return_index=True)[1].astype(np.int64)


def check_experiment(
    workspace: Workspace, experiment_id: str, *, now: datetime, households: Path | None = None, draws: int = 500, seed: int = 0, progress: Progress = None
) -> Report:
    """Return what is to be said of the draw of an experiment, as the tables know it at `now`.

    `households` is a file of person_id and unit_id: who lives together, though they may not have been drawn together.
    Vectors are as of each person's assignment. Raises VocabularyError for an unknown experiment,
    AssignmentError for the file and CheckError when there is nothing to compare.
    """
    experiment = workspace.vocabulary.experiment(experiment_id)
    history = History(workspace.tables, workspace.vocabulary)
    versions = history.versions()
    sample = _sample(_rows(history, experiment, versions, now), experiment)
    vectors = build_rows(history, workspace.vocabulary, sample.rows[["person_id", "as_of"]], versions=versions, progress=progress)
    weight = 1 / np.maximum(sample.rows["probability"].to_numpy(dtype=np.float64), 1e-9)
    differences = standardised_differences(vectors.matrix, vectors.names, sample.arm, weight=weight)
    plan = read_plan(workspace, experiment_id)
    lines = (
        _plan_line(workspace, plan),
        _ratio_line(sample),
        _overlap_line(sample),
        _balance_line(vectors.matrix, sample, differences, draws=draws, seed=seed, progress=progress),
        _attrition_line(sample, experiment),
        _units_line(sample),
        _areas_line(sample, plan),
        *([] if households is None else [_households_line(sample, households, plan)]),
        _others_line(also_in(workspace, experiment_id)),
    )
    return Report(experiment_id, len(sample.rows), len(sample.first), sample.arms, lines, differences)


def save_figure(report: Report, path: Path) -> None:
    """Save the report's love plot as PNG."""
    from training.plots_design import love_plot  # noqa: PLC0415 - matplotlib takes a second

    control, *arms = report.arms
    names, values = [report.differences.names[row] for row in report.shown], report.differences.values[report.shown]
    title = f"{report.experiment}: {report.people:,} people before the experiment"
    love_plot(names, values, arms, control=control, title=title, threshold=VISIBLE).savefig(path)


def _rows(history: History, experiment: Experiment, versions: dict[str, int], now: datetime) -> pd.DataFrame:
    """Return who was drawn before `now` (person_id, arm, probability, as_of, unit, stratum, area, observed, too_early), by person."""
    files = {table: history.files(table, versions[table]) for table in ("assignments", "people", "outcomes")}
    if not files["assignments"]:
        raise CheckError("there are no assignments yet: `audience experiment assign`, or `audience import assignments FILE`")
    area = "SELECT person_id, area FROM read_parquet($people)" if files["people"] else "SELECT NULL AS person_id, NULL AS area WHERE false"
    outcome = (
        "SELECT person_id, measured_at FROM read_parquet($outcomes) WHERE experiment_id = $experiment AND outcome = $outcome AND epoch_us(measured_at) <= $now"
        if files["outcomes"]
        else "SELECT NULL AS person_id, NULL::TIMESTAMPTZ AS measured_at WHERE $outcome IS NULL"
    )
    query = f"""
        SELECT a.person_id, a.arm, a.probability, a.assigned_at AS as_of, coalesce(a.unit_id, a.person_id) AS unit, coalesce(a.stratum, '') AS stratum,
            p.area, o.person_id IS NOT NULL AS observed, coalesce(o.measured_at < a.assigned_at, false) AS too_early
        FROM read_parquet($assignments) AS a LEFT JOIN ({area}) AS p ON p.person_id = a.person_id LEFT JOIN ({outcome}) AS o ON o.person_id = a.person_id
        WHERE a.experiment_id = $experiment AND epoch_us(a.assigned_at) <= $now ORDER BY a.person_id
    """  # noqa: S608 - made of constants
    asked = {"experiment": experiment.id, "outcome": experiment.outcome, "now": int(now.timestamp() * 1e6)}
    return connect().sql(query, params={name: found for name, found in files.items() if found} | asked).to_arrow_table().to_pandas()


def _sample(rows: pd.DataFrame, experiment: Experiment) -> _Sample:
    drawn = set(rows["arm"])
    if experiment.control not in drawn or len(drawn) < 2:
        there = ", ".join(sorted(drawn)) or "none"
        raise CheckError(f"experiment {experiment.id!r} needs people in the control arm {experiment.control!r} and in another; arms there: {there}")
    named = [arm for arm in experiment.arms if arm in drawn and arm != experiment.control]
    arms = (experiment.control, *named, *sorted(drawn - {experiment.control, *named}))
    arm = rows["arm"].map({each: code for code, each in enumerate(arms)}).to_numpy(dtype=np.int64)
    stratum, unit = _codes(rows["stratum"]), _codes(rows["unit"])
    batch = _codes(rows["stratum"] + "\n" + rows["as_of"].astype(str))
    stated = np.zeros((int(stratum.max()) + 1, len(arms)))
    low = np.full(stated.shape, np.inf)
    probability = rows["probability"].to_numpy(dtype=np.float64)
    np.maximum.at(stated, (stratum, arm), probability)
    np.minimum.at(low, (stratum, arm), probability)
    return _Sample(rows, arms, arm, unit, stratum, batch, stated, int(((stated - low > 1e-9) & np.isfinite(low)).sum()))


def _codes(values: pd.Series) -> Integers:
    return pd.factorize(values.to_numpy(dtype=object))[0].astype(np.int64)


def _plan_line(workspace: Workspace, plan: Plan | None) -> Line:
    if plan is None:
        return Line("plan", "look", "none was written before the experiment: nothing says what was to be tested")
    lines = analysis_follows(plan, workspace)
    apart = [f"{line.name}: {line.words}" for line in lines if not line.passed]
    if not apart:
        return Line("plan", "ok", f"{plan.hash[:12]} of {plan.created_at:%Y-%m-%d %H:%M} UTC is followed; {lines[0].words.partition('; ')[2]}")
    return Line("plan", "look", f"not followed ({'; '.join(apart)})")


def _ratio_line(sample: _Sample) -> Line:
    arm, stratum = sample.arm[sample.first], sample.stratum[sample.first]
    over = sample.stated.sum(axis=1) - 1
    if sample.varying:
        words = f"in {sample.varying:,} pairs of stratum and arm the stated probability varies from person to person: within a stratum it has to be one number"
        return Line("ratio of arms", "broken", words)
    if (over > 1e-6).any():
        return Line("ratio of arms", "broken", f"in {int((over > 1e-6).sum()):,} strata the stated probabilities sum to more than 1")
    stated = _completed(sample.stated)
    test, within = ratio_test(arm, stratum, stated)
    found = np.bincount(arm, minlength=len(sample.arms))
    by_stratum = np.bincount(stratum)[:, None] * stated
    expected = by_stratum.sum(axis=0)
    counts = ", ".join(f"{name} {found[code]:,} of {expected[code]:,.0f}" for code, name in enumerate(sample.arms))
    large = by_stratum.min(axis=1) >= ENOUGH
    off = int((within[large] < RATIO_BROKEN / max(int(large.sum()), 1)).sum())
    verdict = _judged(test.p, RATIO_LOOK, RATIO_BROKEN)
    if off and verdict == "ok":
        verdict = "look"
    return Line(
        "ratio of arms", verdict, f"units drawn of those expected: {counts}; p {_p(test.p)}; {off:,} of {int(large.sum()):,} large strata are off by themselves"
    )


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


def _overlap_line(sample: _Sample) -> Line:
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


def _balance_line(matrix: NDArray[np.float32], sample: _Sample, differences: Differences, *, draws: int, seed: int, progress: Progress) -> Line:
    mixed = several_arms(sample.arm, sample.unit)[sample.unit]
    units = np.where(mixed, sample.unit.max() + 1 + np.arange(len(mixed)), sample.unit)
    units = np.unique(units, return_inverse=True)[1].astype(np.int64)
    test = randomisation_test(matrix, sample.arm, units=units, strata=sample.batch, draws=draws, seed=seed, progress=progress)
    visible = int((np.abs(differences.values) > VISIBLE).any(axis=1).sum())
    words = f"dealing the arms anew separates them as much with p {_p(test.p)} (± {test.se:.3f}, {draws} draws)"
    return Line("balance", _judged(test.p, LOOK, BROKEN), f"{words}; {visible:,} of {len(differences.names):,} features differ by more than {VISIBLE:g} sd")


def _attrition_line(sample: _Sample, experiment: Experiment) -> Line:
    observed = sample.rows["observed"].to_numpy(dtype=bool)
    early = int(sample.rows["too_early"].sum())
    if early:
        return Line("attrition", "broken", f"{early:,} outcomes were measured before the person was assigned")
    if not observed.any():
        return Line("attrition", "ok", f"nobody has the outcome {experiment.outcome!r} yet")
    share, test = attrition_test(~observed, sample.arm, sample.unit)
    lost = ", ".join(f"{name} {share[code]:.1%}" for code, name in enumerate(sample.arms))
    return Line("attrition", _judged(test.p, LOOK, BROKEN), f"without the outcome {experiment.outcome!r}: {lost}; the same in all arms with p {_p(test.p)}")


def _units_line(sample: _Sample) -> Line:
    mixed = int(several_arms(sample.arm, sample.unit).sum())
    if mixed:
        return Line("units", "broken", f"{mixed:,} of {len(sample.first):,} units have people in several arms: they were not drawn as one")
    return Line("units", "ok", f"all people of a unit are in one arm ({len(sample.rows) / len(sample.first):.2f} people in a unit)")


def _areas_line(sample: _Sample, plan: Plan | None) -> Line:
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


def _households_line(sample: _Sample, households: Path, plan: Plan | None) -> Line:
    """Return whether people who live together are in one arm."""
    home = sample.rows["person_id"].map(read_units(households))
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


def _others_line(running: dict[str, int]) -> Line:
    if not running:
        return Line("other experiments", "ok", "nobody is in another one that has no outcomes yet")
    return Line(
        "other experiments", "look", "; ".join(f"{people:,} people are in {other!r} too, which has no outcomes yet" for other, people in running.items())
    )


def _judged(p: float, look: float, broken: float) -> Verdict:
    return "broken" if p <= broken else "look" if p <= look else "ok"


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "below .001"
