"""From what is wished for an experiment, and the people of the workspace, to its sizes and its plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from features.vocabulary import Experiment
from features.workspace import Workspace
from training.assignment import eligible
from training.config import Analysis, PersuadabilityConfig, read_config
from training.plan import Plan, PlanError, Unit, read_plan
from training.power import Assumptions, PowerError, Progress, simulated
from training.sizing import Sizing


@dataclass(frozen=True, slots=True)
class Wishes:
    """What somebody says of an experiment beforehand; the rest stands in audience.toml. Fields as in `Assumptions` and `Plan`.

    `arms` are texts ARM=SHARE, equal shares of all arms of audience.toml where there are none; `unit_size` is counted where it is None; `capacity` is that of
    audience.toml where it is None, and 1 for no limit, and so is `learner`; `draws` experiments are simulated.
    """

    baseline: float
    effect: float
    hypothesis: str | None = None
    arms: Sequence[str] = ()
    unit: Unit = "person"
    units: Path | None = None
    unit_size: float | None = None
    intra_unit: float = 0.0
    effect_sd: float | None = None
    correlation: float = 0.3
    outcome_sd: float | None = None
    power: float = 0.8
    alpha: float = 0.05
    attrition: float = 0.0
    holdout: float = 0.0
    capacity: float | None = None
    strata: Sequence[str] = ()
    blocked: bool = False
    learner: str | None = None
    only: Path | None = None
    draws: int = 0


def sized(workspace: Workspace, experiment_id: str, wishes: Wishes, *, now: datetime, progress: Progress = None) -> Sizing:
    """Return the sizes that follow, for the people who could be drawn at `now`. Raises PowerError, AssignmentError, VocabularyError."""
    experiment = workspace.vocabulary.experiment(experiment_id)
    size, variation, people = _counted(workspace, wishes, now)
    assumptions = Assumptions(
        shares=shares(wishes.arms, experiment),
        control=experiment.control,
        baseline=wishes.baseline,
        effect=wishes.effect,
        effect_sd=wishes.effect_sd,
        correlation=wishes.correlation,
        power=wishes.power,
        alpha=wishes.alpha,
        ranking_alpha=_config(workspace).gate.autoc_alpha,
        outcome_sd=wishes.outcome_sd,
        unit_size=size,
        unit_size_cv=variation,
        intra_unit=wishes.intra_unit,
        attrition=wishes.attrition,
    )
    sizing = Sizing(assumptions, people, wishes.holdout)
    if not wishes.draws or not sizing.drawn:
        return sizing
    return Sizing(assumptions, people, wishes.holdout, simulated(assumptions, sizing.drawn, draws=wishes.draws, progress=progress))


def planned(workspace: Workspace, experiment_id: str, wishes: Wishes, sizing: Sizing, *, now: datetime, amend: bool = False) -> Plan:
    """Return the plan, which nothing has written yet; with `amend`, one that names the newest plan. Raises PlanError."""
    experiment = workspace.vocabulary.experiment(experiment_id)
    before = read_plan(workspace, experiment_id) if amend else None
    if amend and before is None:
        raise PlanError(f"there is no plan of {experiment_id!r} to amend: write it without --amend")
    try:
        return Plan(
            experiment=experiment_id,
            created_at=now,
            hypothesis=wishes.hypothesis or "",
            outcome=experiment.outcome,
            engagement=experiment.engagement,
            control=experiment.control,
            arms=sizing.assumptions.shares,
            unit=wishes.unit,
            strata=tuple(wishes.strata),
            blocked=wishes.blocked,
            holdout=wishes.holdout,
            average_alpha=wishes.alpha,
            analysis=_analysis(workspace, wishes),
            sizing=sizing.values(),
            reasoning=sizing.words(),
            amends=None if before is None else before.hash,
        )
    except ValidationError as error:
        raise PlanError("; ".join(f"{'.'.join(map(str, fault['loc'])) or 'plan'}: {fault['msg']}" for fault in error.errors())) from None


def _analysis(workspace: Workspace, wishes: Wishes) -> Analysis:
    """Return what audience.toml says of the training, with what is wished instead."""
    said = _config(workspace).model_dump(include=set(Analysis.model_fields))
    if wishes.capacity is not None:
        said["capacity"] = wishes.capacity
    if wishes.learner is not None:
        said["model"] = {**said["model"], "learner": wishes.learner}
    return Analysis(**said)


def shares(given: Sequence[str], experiment: Experiment) -> dict[str, float]:
    """Return the probability of each arm, control first: those of the texts ARM=SHARE, or equal ones of all arms of audience.toml. Raises PowerError."""
    if not given:
        if not set(experiment.arms) - {experiment.control}:
            raise PowerError(f"[experiments.{experiment.id}] declares no arms: add them to audience.toml, or give --arm ARM=SHARE for each, control too")
        arms = [experiment.control, *(arm for arm in experiment.arms if arm != experiment.control)]
        return dict.fromkeys(arms, 1 / len(arms))
    found: dict[str, float] = {}
    for text in given:
        arm, _, share = text.rpartition("=")
        try:
            value = float(share)
        except ValueError:
            raise PowerError(f"--arm {text}: write ARM=SHARE, such as letter=0.5") from None
        if not arm or arm in found:
            raise PowerError(f"--arm {text}: write ARM=SHARE, each arm once")
        found[arm] = value
    allowed = {experiment.control, *experiment.arms}
    unknown = sorted(set(found) - allowed)
    if unknown:
        raise PowerError(f"arm {unknown[0]!r} is not in [experiments.{experiment.id}] of audience.toml; there: {', '.join(sorted(allowed))}")
    return {arm: found[arm] for arm in sorted(found, key=lambda arm: arm != experiment.control)}


def _counted(workspace: Workspace, wishes: Wishes, now: datetime) -> tuple[float, float, int]:
    """Return the mean size of a unit, its coefficient of variation, and how many people there are; what is stated goes before what is counted."""
    unknown = wishes.unit == "household" and wishes.units is None
    if unknown and wishes.unit_size is None:
        raise PowerError("households: name the file of person_id and unit_id with --units, or say their mean size with --unit-size")
    who = eligible(workspace, now, unit="person" if unknown else wishes.unit, strata=wishes.strata, units=wishes.units, only=wishes.only)
    if wishes.unit_size is not None:
        return wishes.unit_size, 0.0, len(who)
    return *who.unit_sizes, len(who)


def _config(workspace: Workspace) -> PersuadabilityConfig:
    return read_config(workspace).persuadability
