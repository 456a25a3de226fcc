"""What was said before an experiment: hypothesis, arms, sizes and analysis, written once, with its time and its hash.

A plan stands in `experiments/ID/plan.json` of the workspace. It is never changed: an amendment is a file of its own (`plan-2.json`), which names the
hash of the one before, and neither is accepted once there are outcomes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from features.history import History
from features.vocabulary import Experiment, Frozen
from features.workspace import Workspace
from training.config import Analysis
from training.gates import GateLine
from training.snapshots import connect

Unit = Literal["person", "household", "area"]
METRIC = "autoc"
"""What is tested for differences between people."""
_TOLERANCE = 1e-9
"""Probabilities may differ by this much: rounding in a file."""


class PlanError(ValueError):
    """The plan cannot be written or read as asked; the message says why."""


class Plan(Frozen):
    """One experiment's plan.

    `arms` gives each arm, control among them, its probability; `unit` is what is drawn as one, within `strata` (columns of people), by hash or `blocked`;
    `holdout` is the share of people kept out; `metric` is what is tested for differences between people, the average effect two-sided at `average_alpha`;
    `analysis` is everything else that decides (capacity, levels of the gate, learner and parameters, seed), and the training takes it from here;
    `sizing` holds the assumptions and the numbers that followed, `reasoning` the same in words; `amends` is the hash of the plan before.
    """

    experiment: str
    created_at: datetime
    hypothesis: str = Field(min_length=1)
    outcome: str
    engagement: Literal["higher", "lower"]
    control: str
    arms: Mapping[str, float]
    unit: Unit = "person"
    strata: tuple[str, ...] = ()
    blocked: bool = False
    holdout: float = Field(default=0.0, ge=0, lt=1)
    metric: str = "autoc"
    average_alpha: float = Field(default=0.05, gt=0, lt=0.5)
    analysis: Analysis = Analysis()
    sizing: Mapping[str, float | None] = Field(default_factory=dict)
    reasoning: tuple[str, ...] = ()
    amends: str | None = None

    @model_validator(mode="after")
    def _can_be_drawn(self) -> Plan:
        if self.created_at.tzinfo is None:
            raise ValueError("created_at has no time zone")
        if self.control not in self.arms or len(self.arms) < 2:
            raise ValueError(f"the arms are the control {self.control!r} and at least one other: given {', '.join(self.arms) or 'none'}")
        if not all(share > 0 for share in self.arms.values()) or not abs(math.fsum(self.arms.values()) - 1) <= _TOLERANCE:
            raise ValueError("the arms' probabilities are above 0 and sum to 1")
        return self

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the plan as JSON with sorted keys and no spaces; times in UTC."""
        text = json.dumps(self._state(), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def document(self) -> str:
        """Return the file's text: the plan and its hash."""
        return json.dumps({"plan": self._state(), "sha256": self.hash}, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"

    def _state(self) -> dict[str, Any]:
        state = self.model_dump(mode="json")
        return state | {"created_at": self.created_at.astimezone(UTC).isoformat()}


def folder_of(workspace: Workspace, experiment_id: str) -> Path:
    """Return the folder of an experiment's plan and draws. Raises VocabularyError for one that audience.toml does not declare."""
    return workspace.root / "experiments" / workspace.vocabulary.experiment(experiment_id).id


def write_plan(workspace: Workspace, plan: Plan) -> Path:
    """Write the plan and return its path; nothing that is there is ever overwritten.

    Raises PlanError when there is a plan already and this one does not amend the newest, and when the tables hold outcomes of the experiment.
    """
    first = first_outcome_at(workspace, plan.experiment)
    if first is not None:
        raise PlanError(
            f"outcomes of {plan.experiment!r} are in the tables since {first:%Y-%m-%d %H:%M} UTC: what is written down now is no plan. Nothing was written"
        )
    before = read_plans(workspace, plan.experiment)
    _follows_on(plan, before)
    folder = folder_of(workspace, plan.experiment)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _name(len(before) + 1)
    fresh = folder / f".{path.name}.{secrets.token_hex(8)}"
    with fresh.open("x", encoding="utf-8") as file:
        file.write(plan.document())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(fresh, path)  # whole or not at all, and only where there is none
    except FileExistsError:
        raise PlanError(f"{path.name} of {plan.experiment!r} was written by someone else just now; nothing was changed") from None
    finally:
        fresh.unlink()
    return path


def read_plan(workspace: Workspace, experiment_id: str) -> Plan | None:
    """Return the newest plan of an experiment, None where there is none. Raises PlanError for a file that is not what was written."""
    plans = read_plans(workspace, experiment_id)
    return plans[-1] if plans else None


def read_plans(workspace: Workspace, experiment_id: str) -> tuple[Plan, ...]:
    """Return the plan and its amendments, the oldest first. Raises PlanError for a file that is not what was written, or a broken chain."""
    folder = folder_of(workspace, experiment_id)
    plans: list[Plan] = []
    while (path := folder / _name(len(plans) + 1)).exists():
        plan = _read(path)
        if plan.experiment != experiment_id or plan.amends != (plans[-1].hash if plans else None):
            raise PlanError(f"{path} does not follow from the plan before it: a plan was replaced")
        plans.append(plan)
    return tuple(plans)


def read_draws(folder: Path) -> list[dict[str, Any]]:
    """Return the records of an experiment's draws, the oldest first: when, by which plan, with which key (`key_check`), how many people, which file."""
    path = folder / "draws.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def first_outcome_at(workspace: Workspace, experiment_id: str) -> datetime | None:
    """Return when the first outcome of the experiment that the tables hold was measured, UTC; None where there is none."""
    files = History(workspace.tables, workspace.vocabulary).patterns("outcomes")
    if not files:
        return None
    query = "SELECT min(epoch_us(measured_at)) FROM read_parquet($files, hive_partitioning = false) WHERE experiment_id = $experiment"
    row = connect().execute(query, {"files": files, "experiment": experiment_id}).fetchone()
    return None if row is None or row[0] is None else datetime.fromtimestamp(row[0] / 1e6, UTC)


def drawn_probabilities(workspace: Workspace, experiment_id: str) -> dict[str, tuple[float, ...]]:
    """Return the probabilities that the table `assignments` states for each arm of the experiment, rising; {} where nobody is assigned."""
    files = History(workspace.tables, workspace.vocabulary).patterns("assignments")
    if not files:
        return {}
    query = "SELECT DISTINCT arm, probability FROM read_parquet($files, hive_partitioning = false) WHERE experiment_id = $experiment ORDER BY arm, probability"
    found: dict[str, tuple[float, ...]] = {}
    for arm, probability in connect().execute(query, {"files": files, "experiment": experiment_id}).fetchall():
        found[arm] = (*found.get(arm, ()), probability)
    return found


def follows(
    plan: Plan,
    *,
    experiment: Experiment,
    arms: Mapping[str, Collection[float]],
    first_outcome_at: datetime | None,
    unknown_plans: Collection[str] = (),
) -> tuple[GateLine, ...]:
    """Return whether what was done follows the plan, one line per thing that was fixed; levels, capacity and model a training takes from the plan itself.

    `experiment` is what audience.toml now says of it, `arms` are those that were drawn with the probabilities stated for them (`drawn_probabilities`),
    `first_outcome_at` is when the first outcome was measured, None if there is none yet; `unknown_plans` are hashes that draws name and no plan has.
    """
    early = first_outcome_at is None or plan.created_at < first_outcome_at
    measured = "no outcome is there yet" if first_outcome_at is None else f"the first outcome was measured on {first_outcome_at:%Y-%m-%d %H:%M} UTC"
    version = "amendment" if plan.amends else "plan"
    return (
        GateLine("time", early, f"the {version} {plan.hash[:12]} was written on {plan.created_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC; {measured}"),
        _same("outcome", plan.outcome, experiment.outcome),
        _same("engagement", plan.engagement, experiment.engagement),
        _same("control", plan.control, experiment.control),
        _same("arms", ", ".join(sorted(plan.arms)), ", ".join(sorted(arms))),
        _probabilities(plan, arms),
        _same("metric", plan.metric, METRIC),
        GateLine(
            "draw", not unknown_plans, f"drawn by a plan that is not here: {', '.join(each[:12] for each in unknown_plans)}" if unknown_plans else "as planned"
        ),
    )


def analysis_follows(plan: Plan, workspace: Workspace) -> tuple[GateLine, ...]:
    """Return whether what the tables and audience.toml hold of the plan's experiment follows the plan."""
    experiment = workspace.vocabulary.experiment(plan.experiment)
    arms, first = drawn_probabilities(workspace, experiment.id), first_outcome_at(workspace, experiment.id)
    known = {each.hash for each in read_plans(workspace, experiment.id)}
    unknown = sorted({str(draw["plan"]) for draw in read_draws(folder_of(workspace, experiment.id))} - known)
    return follows(plan, experiment=experiment, arms=arms, first_outcome_at=first, unknown_plans=unknown)


def _probabilities(plan: Plan, arms: Mapping[str, Collection[float]]) -> GateLine:
    other = [arm for arm, found in arms.items() if arm in plan.arms and any(abs(each - plan.arms[arm]) > _TOLERANCE for each in found)]
    planned = ", ".join(f"{arm} {share:.4g}" for arm, share in plan.arms.items())
    if not other:
        return GateLine("probabilities", passed=True, words=f"as planned ({planned})")
    found = ", ".join(f"{arm} {' or '.join(f'{each:.4g}' for each in arms[arm])}" for arm in other)
    return GateLine("probabilities", passed=False, words=f"planned {planned}; drawn {found}")


def _same(name: str, planned: str, found: str) -> GateLine:
    return GateLine(name, planned == found, f"as planned ({planned})" if planned == found else f"planned {planned}, found {found}")


def _follows_on(plan: Plan, before: tuple[Plan, ...]) -> None:
    if not before:
        if plan.amends is not None:
            raise PlanError(f"there is no plan of {plan.experiment!r} to amend")
        return
    newest = before[-1]
    if plan.amends is None:
        raise PlanError(
            f"the plan of {plan.experiment!r} was written on {newest.created_at:%Y-%m-%d %H:%M} UTC and stays as it is. Hint: --amend writes another beside it"
        )
    if plan.amends != newest.hash:
        raise PlanError(f"the amendment names {plan.amends[:12]}, the newest plan of {plan.experiment!r} is {newest.hash[:12]}: read it again")
    if plan.created_at <= newest.created_at:
        raise PlanError(f"the amendment is dated {plan.created_at:%Y-%m-%d %H:%M} UTC, not after the plan before it ({newest.created_at:%Y-%m-%d %H:%M} UTC)")


def _name(number: int) -> str:
    return "plan.json" if number == 1 else f"plan-{number}.json"


def _read(path: Path) -> Plan:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        plan = Plan(**document["plan"])
        stated = document["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        what = f"{len(error.errors())} values do not fit" if isinstance(error, ValidationError) else type(error).__name__
        raise PlanError(f"{path} is no plan ({what})") from None
    if stated != plan.hash:
        raise PlanError(f"{path} was changed after it was written: its content has the SHA-256 {plan.hash[:12]}, it states {str(stated)[:12]}")
    return plan
