"""Whether a randomised experiment is one: what the tables say of its draw, judged line by line before anyone looks at an effect."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.history import History
from features.vectors import build_rows
from features.vocabulary import Experiment
from features.workspace import Workspace
from training.assignment import also_in, read_units
from training.balance import Differences, standardised_differences
from training.design_lines import (
    FEW,
    VISIBLE,
    Line,
    Sample,
    areas_line,
    attrition_line,
    balance_line,
    households_line,
    others_line,
    overlap_line,
    plan_line,
    ratio_line,
    sample_of,
    units_line,
)
from training.faults import told_names
from training.plan import analysis_follows, folder_of, read_draws, read_plans
from training.snapshots import connect
from training.trials import ExperimentRows, Progress

Integers = NDArray[np.int64]

DRAWS = 199
"""Deals of the arms within a training: the fewest of which none as large as the real one makes a line broken."""


class CheckError(ValueError):
    """There is nothing to check; the message says what is missing."""


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

    def verdicts(self) -> dict[str, Any]:
        """Return the lines as (name, verdict, words), as the findings of a training keep them (`training.gates`)."""
        return {"lines": [[line.name, line.verdict, line.words] for line in self.lines]}

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
    rows = _rows(history, experiment, versions, now)
    sample = _sample(workspace, experiment, rows.assign(area=_areas(history, versions, rows)))
    vectors = build_rows(history, workspace.vocabulary, rows[["person_id", "as_of"]], versions=versions, progress=progress)
    homes = None if households is None else read_units(households)
    return _report(workspace, experiment, sample, vectors.matrix, vectors.names, homes=homes, draws=draws, seed=seed, progress=progress)


def check_rows(workspace: Workspace, rows: ExperimentRows, *, draws: int = DRAWS, seed: int = 0, progress: Progress = None) -> Report:
    """Return the same of the rows and vectors that a training has read already. Raises CheckError when there is nothing to compare."""
    history = History(workspace.tables, workspace.vocabulary)
    drawn = rows.drawn.assign(area=_areas(history, rows.table_versions, rows.drawn), observed=rows.drawn["value"].notna(), too_early=False)
    sample = _sample(workspace, rows.experiment, drawn)
    matrix = rows.X.to_numpy(dtype=np.float32, copy=False)
    return _report(workspace, rows.experiment, sample, matrix, tuple(rows.X.columns), homes=None, draws=draws, seed=seed, progress=progress)


def _report(
    workspace: Workspace,
    experiment: Experiment,
    sample: Sample,
    matrix: NDArray[np.float32],
    names: Sequence[str],
    *,
    homes: pd.Series | None,
    draws: int,
    seed: int,
    progress: Progress,
) -> Report:
    weight = 1 / np.maximum(sample.rows["probability"].to_numpy(dtype=np.float64), 1e-9)
    differences = standardised_differences(matrix, names, sample.arm, weight=weight)
    plan = (read_plans(workspace, experiment.id) or (None,))[-1]
    lines = (
        plan_line(plan, () if plan is None else analysis_follows(plan, workspace)),
        ratio_line(sample),
        overlap_line(sample),
        balance_line(matrix, sample, differences, draws=draws, seed=seed, progress=progress),
        attrition_line(sample, experiment.outcome),
        units_line(sample),
        areas_line(sample, plan),
        *([] if homes is None else [households_line(sample, homes, plan)]),
        others_line(also_in(workspace, experiment.id)),
    )
    return Report(experiment.id, len(sample.rows), len(sample.first), sample.arms, lines, differences)


def save_figure(report: Report, path: Path) -> None:
    """Save the report's love plot as PNG."""
    from training.plots_design import love_plot  # noqa: PLC0415 - matplotlib takes a second

    control, *arms = report.arms
    names, values = [report.differences.names[row] for row in report.shown], report.differences.values[report.shown]
    title = f"{report.experiment}: {report.people:,} people before the experiment"
    love_plot(names, values, arms, control=control, title=title, threshold=VISIBLE).savefig(path)


def _rows(history: History, experiment: Experiment, versions: Mapping[str, int], now: datetime) -> pd.DataFrame:
    """Return who was drawn before `now` (person_id, arm, probability, as_of, unit, stratum, observed, too_early), by person."""
    files = {table: history.patterns(table, versions[table]) for table in ("assignments", "outcomes")}
    if not files["assignments"]:
        raise CheckError("there are no assignments yet: `audience experiment assign`, or `audience import assignments FILE`")
    outcome = (
        "SELECT person_id, measured_at FROM read_parquet($outcomes, hive_partitioning = false)"
        " WHERE experiment_id = $experiment AND outcome = $outcome AND epoch_us(measured_at) <= $now"
        if files["outcomes"]
        else "SELECT NULL AS person_id, NULL::TIMESTAMPTZ AS measured_at WHERE $outcome IS NULL"
    )
    query = f"""
        SELECT a.person_id, a.arm, a.probability, a.assigned_at AS as_of, coalesce(a.unit_id, a.person_id) AS unit, coalesce(a.stratum, '') AS stratum,
            o.person_id IS NOT NULL AS observed, coalesce(o.measured_at < a.assigned_at, false) AS too_early
        FROM read_parquet($assignments, hive_partitioning = false) AS a LEFT JOIN ({outcome}) AS o ON o.person_id = a.person_id
        WHERE a.experiment_id = $experiment AND epoch_us(a.assigned_at) <= $now ORDER BY a.person_id
    """  # noqa: S608 - made of constants
    asked = {"experiment": experiment.id, "outcome": experiment.outcome, "now": int(now.timestamp() * 1e6)}
    return connect().sql(query, params={name: found for name, found in files.items() if found} | asked).to_arrow_table().to_pandas()


def _areas(history: History, versions: Mapping[str, int], rows: pd.DataFrame) -> pd.Series:
    """Return the area of each row's person, missing where none is known."""
    files = history.patterns("people", versions["people"])
    if not files:
        return pd.Series(None, index=rows.index, dtype=object)
    query = "SELECT person_id, area FROM read_parquet($people, hive_partitioning = false) WHERE area IS NOT NULL"
    known = connect().sql(query, params={"people": files}).to_arrow_table().to_pandas().set_index("person_id")["area"]
    return rows["person_id"].map(known)


def _sample(workspace: Workspace, experiment: Experiment, rows: pd.DataFrame) -> Sample:
    drawn = set(rows["arm"])
    if experiment.control not in drawn or len(drawn) < 2:
        there = told_names(sorted(drawn))
        raise CheckError(f"experiment {experiment.id!r} needs people in the control arm {experiment.control!r} and in another; arms there: {there}")
    named = [arm for arm in experiment.arms if arm in drawn and arm != experiment.control]
    arms = (experiment.control, *named, *sorted(drawn - {experiment.control, *named}))
    plans = read_plans(workspace, experiment.id)
    used = {draw["plan"] for draw in read_draws(folder_of(workspace, experiment.id))}
    batched = any(plan.blocked and plan.hash in used for plan in plans)
    return sample_of(rows, arms, batched=batched, units_drawn=bool(plans) and plans[-1].unit != "person")
