"""Drawing the people of a workspace as their plan says: who can be drawn, what is drawn as one, and the files and rows that come of it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from features.history import History
from features.imports import Progress, import_files
from features.tables import ASSIGNMENTS, PEOPLE, columns
from features.workspace import Workspace
from training.permitted import permitted
from training.plan import Plan, Unit, drawn_probabilities, folder_of, read_draws, read_plan
from training.randomise import draw, held_out, key_check
from training.snapshots import connect

_LONGEST = 1000
"""Bytes of a text in a table."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TOLERANCE = 1e-9


class AssignmentError(ValueError):
    """People cannot be drawn; the message says why and counts, and names nobody."""


@dataclass(frozen=True, repr=False)
class Eligible:
    """Who can be drawn: `people` (person_id, unit_id, stratum), sorted by person; `alone` counts those of no known household or area, drawn by themselves."""

    people: pd.DataFrame
    alone: int

    def __len__(self) -> int:
        return len(self.people)

    @property
    def unit_sizes(self) -> tuple[float, float]:
        """The mean number of people in a unit, and its coefficient of variation; (1, 0) where there is nobody."""
        sizes = self.people["unit_id"].value_counts().to_numpy(dtype=np.float64)
        return (float(sizes.mean()), float(sizes.std() / sizes.mean())) if len(sizes) else (1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a draw did, in counts; `running` counts, by experiment, who is in another one that has no outcomes yet."""

    path: Path
    by_arm: Mapping[str, tuple[int, int]]
    """People and units."""
    held_out: int
    there_before: int
    alone: int
    running: Mapping[str, int]
    other_keys: tuple[str, ...]
    """Experiments that were drawn with another key: their holdout is not the same people."""
    other_units: tuple[str, ...] = ()
    """Experiments that drew other units (people, households, areas): they held out those instead."""
    thin: int = 0
    """Strata with fewer units than arms."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to look at, in words."""
        said = [
            f"{people:,} of them are also in experiment {other!r}, which has no outcomes yet: each may blur the other" for other, people in self.running.items()
        ]
        said += [f"experiment {other!r} was drawn with another key: its holdout is not the same people" for other in self.other_keys if self.held_out]
        said += [f"experiment {other!r} drew other units: its holdout is not the same people" for other in self.other_units if self.held_out]
        if self.thin:
            said.append(f"{self.thin:,} strata have fewer units than there are arms: people of a stratum with one arm say nothing of an effect")
        return (*said, f"{self.alone:,} people belong to no known unit and were drawn by themselves") if self.alone else tuple(said)

    def __str__(self) -> str:
        arms = [f"  {arm}: {people:,} people in {units:,} units" for arm, (people, units) in self.by_arm.items()]
        kept = f"  {self.held_out:,} people are held out of every experiment, {self.there_before:,} were drawn before"
        return "\n".join([f"drawn, written to {self.path} and imported:", *arms, kept, *(f"  look: {warning}" for warning in self.warnings)])


def eligible(
    workspace: Workspace, now: datetime, *, unit: Unit = "person", strata: Sequence[str] = (), units: Path | None = None, only: Path | None = None
) -> Eligible:
    """Return who can be drawn at `now`: the rows of `people` who had joined by then and may be contacted for the training's use.

    `only` is a file (person_id) of those who may be drawn. A household is what the file `units` (person_id, unit_id) says, an area what `people` says.
    Raises AssignmentError, and what `permitted` raises.
    """
    _strata_exist(workspace, strata)
    if (unit == "household") != (units is not None):
        raise AssignmentError("households are in a file of person_id and unit_id: name it with --units, and only with --unit household")
    wanted = list(dict.fromkeys(["person_id", "joined_at", "area", *strata]))
    frame = History(workspace.tables, workspace.vocabulary).read("people", columns=wanted).to_pandas()
    frame = frame[~(frame["joined_at"] > pd.Timestamp(now))]
    if only is not None:
        frame = frame[frame["person_id"].isin(set(_file(only, ["person_id"])["person_id"]))]
    if len(frame):
        frame = frame[permitted(workspace, frame["person_id"].to_numpy(dtype=str), now=now, live=True, activity="audience")[0]]
    known = _units(frame, unit, units)
    made = pd.DataFrame(
        {
            "person_id": frame["person_id"].astype(object),
            "unit_id": known.where(known.notna(), frame["person_id"]).astype(object),
            "stratum": _stratum(frame, strata),
        }
    )
    return Eligible(made.sort_values("person_id").reset_index(drop=True), int(known.isna().sum()))


def assign(
    workspace: Workspace,
    plan: Plan,
    key: bytes,
    *,
    now: datetime,
    units: Path | None = None,
    only: Path | None = None,
    newcomers: bool = False,
    progress: Progress | None = None,
) -> Drawn:
    """Draw everybody who can be drawn, or only the `newcomers` since, write the file of assignments and import it.

    A newcomer to a unit that was drawn before gets its arm. Raises AssignmentError when the experiment was drawn already (without `newcomers`), with another
    key or other probabilities, and when there is nobody to draw.
    """
    who = eligible(workspace, now, unit=plan.unit, strata=plan.strata, units=units, only=only)
    if not len(who):
        raise AssignmentError("nobody is eligible: import people with `audience import people FILE`; those who join later, or are not in --only, do not count")
    before = _assigned(workspace, plan.experiment)
    folder = folder_of(workspace, plan.experiment)
    draws = read_draws(folder)
    _may_draw(workspace, plan, key, len(before), draws, newcomers=newcomers)
    out = held_out(key, who.people["unit_id"], plan.holdout)
    there = who.people["person_id"].isin(set(before["person_id"])).to_numpy(dtype=bool)
    people = who.people[~out & ~there]
    if people.empty:
        raise AssignmentError(
            f"nobody is left to draw: {len(who):,} people are eligible, {int(out.sum()):,} held out, {int((there & ~out).sum()):,} drawn before"
        )
    drawn = draw(people, plan.arms, key=key, experiment=plan.experiment, blocked=plan.blocked, batch=len(draws) + 1)
    drawn = _with_those_before(drawn, before)
    path = folder / ("assignments.csv" if not draws else f"assignments-{len(draws) + 1}.csv")
    _write(path, _csv(drawn, plan.experiment, now))
    # before the import: rows without a record of their draw would pass for drawn elsewhere
    _remember(
        folder, draws, {"at": now.astimezone(UTC).isoformat(), "plan": plan.hash, "unit": plan.unit, "key_check": key_check(key), "people": len(drawn)}, path
    )
    summary = import_files(workspace, "assignments", [path], now=now, progress=progress)
    if summary.rejected:
        raise AssignmentError(f"{summary.rejected:,} of {summary.read:,} rows were refused by the import, the others stored; why: {summary.rejects_file}")
    thin = int((drawn.groupby("stratum")["unit_id"].nunique() < len(plan.arms)).sum()) if plan.strata else 0
    kept, again, alone = int(out.sum()), int((there & ~out).sum()), 0 if plan.unit == "person" else who.alone
    return Drawn(path, _counts(drawn, plan), kept, again, alone, also_in(workspace, plan.experiment), *_others(folder, plan.unit, key), thin)


def planned_for(workspace: Workspace, experiment_id: str) -> Plan:
    """Return the plan of an experiment that is to be drawn. Raises AssignmentError when there is none."""
    plan = read_plan(workspace, experiment_id)
    if plan is None:
        raise AssignmentError(f"{experiment_id!r} has no plan: write it first, with `audience experiment plan {experiment_id} …`")
    return plan


def also_in(workspace: Workspace, experiment_id: str) -> dict[str, int]:
    """Return how many people of the experiment are in each other experiment that has no outcomes yet; only those with any."""
    history = History(workspace.tables, workspace.vocabulary)
    assignments, outcomes = history.patterns("assignments"), history.patterns("outcomes")
    if not assignments:
        return {}
    ended = "SELECT DISTINCT experiment_id FROM read_parquet($outcomes, hive_partitioning = false)" if outcomes else "SELECT NULL WHERE false"
    query = f"""
        SELECT experiment_id, count(*) FROM read_parquet($assignments, hive_partitioning = false)
        WHERE experiment_id <> $experiment AND experiment_id NOT IN ({ended})
            AND person_id IN (SELECT person_id FROM read_parquet($assignments, hive_partitioning = false) WHERE experiment_id = $experiment)
        GROUP BY experiment_id ORDER BY experiment_id
    """  # noqa: S608 - one of two constants
    asked: dict[str, Any] = {"assignments": assignments, "experiment": experiment_id} | ({"outcomes": outcomes} if outcomes else {})
    return dict(connect().execute(query, asked).fetchall())


def _may_draw(workspace: Workspace, plan: Plan, key: bytes, before: int, draws: list[dict[str, Any]], *, newcomers: bool) -> None:
    if before and not newcomers:
        raise AssignmentError(
            f"{before:,} people are assigned in {plan.experiment!r} already: an experiment is drawn once. Hint: --newcomers draws those who came since"
        )
    if newcomers and not before:
        raise AssignmentError(f"nobody is assigned in {plan.experiment!r} yet: draw it without --newcomers first")
    if before and not draws:
        raise AssignmentError(f"{plan.experiment!r} was drawn elsewhere: draw its newcomers there too")
    if before and draws[-1]["key_check"] != key_check(key):
        raise AssignmentError(f"{plan.experiment!r} was drawn with another key: newcomers need the same")
    for arm, stated in drawn_probabilities(workspace, plan.experiment).items():
        if any(abs(each - plan.arms.get(arm, 0.0)) > _TOLERANCE for each in stated):
            raise AssignmentError(f"arm {arm!r} was drawn with another probability than the plan now states: within an experiment it has to stay")


def _assigned(workspace: Workspace, experiment_id: str) -> pd.DataFrame:
    """Return those drawn before: person_id, unit_id, stratum, arm, probability."""
    files = History(workspace.tables, workspace.vocabulary).patterns("assignments")
    if not files:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in ("person_id", "unit_id", "stratum", "arm", "probability")})
    query = """
        SELECT person_id, coalesce(unit_id, person_id) AS unit_id, coalesce(stratum, '') AS stratum, arm, probability
        FROM read_parquet($files, hive_partitioning = false) WHERE experiment_id = $experiment ORDER BY person_id
    """
    found: pd.DataFrame = connect().sql(query, params={"files": files, "experiment": experiment_id}).to_arrow_table().to_pandas()
    return found.astype({"person_id": object, "unit_id": object, "stratum": object, "arm": object})


def _counts(drawn: pd.DataFrame, plan: Plan) -> dict[str, tuple[int, int]]:
    """Return how many people and units each arm got."""
    counts = drawn.groupby("arm")["unit_id"].agg(["size", "nunique"])
    return {arm: (int(counts["size"].get(arm, 0)), int(counts["nunique"].get(arm, 0))) for arm in sorted(plan.arms, key=lambda arm: arm != plan.control)}


def _with_those_before(drawn: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Give newcomers to a unit that was drawn before its arm, probability and stratum."""
    if before.empty:
        return drawn
    known = before.drop_duplicates("unit_id").set_index("unit_id")
    joins = drawn["unit_id"].isin(known.index)
    for name in ("arm", "probability", "stratum"):
        drawn.loc[joins, name] = known.loc[drawn.loc[joins, "unit_id"], name].to_numpy()
    return drawn


def _units(frame: pd.DataFrame, unit: Unit, units: Path | None) -> pd.Series:
    """Return the unit of each row, missing where none is known."""
    if unit == "person":
        return frame["person_id"].astype(object)
    if units is None:
        return frame["area"].astype(object)
    return frame["person_id"].map(read_units(units)).astype(object)


def read_units(units: Path) -> pd.Series:
    """Return the unit of each person of a file of person_id and unit_id, by person. Raises AssignmentError, which counts and names nobody."""
    mapping = _file(units, ["person_id", "unit_id"]).dropna().drop_duplicates()
    twice = int(mapping["person_id"].duplicated().sum())
    if twice:
        raise AssignmentError(f"{units} puts {twice:,} people into two units: each person belongs to one")
    odd = sum(len(text.encode()) > _LONGEST or bool(_CONTROL.search(text)) for text in mapping["unit_id"].unique())
    if odd:
        raise AssignmentError(f"{units} has {odd:,} units whose names are longer than {_LONGEST:,} bytes or hold control characters")
    return mapping.set_index("person_id")["unit_id"]


def _stratum(frame: pd.DataFrame, strata: Sequence[str]) -> pd.Series:
    """Return the stratum of each row as text: `area=E08, status=member`; a value that is missing is a stratum of its own."""
    stratum = pd.Series("", index=frame.index, dtype=object)
    for name in strata:
        value = frame[name].map(lambda each: "" if pd.isna(each) else f"{each:g}" if isinstance(each, float) else str(each)).astype(object)
        stratum = stratum + (", " if name != strata[0] else "") + f"{name}=" + value
    return stratum


def _strata_exist(workspace: Workspace, strata: Sequence[str]) -> None:
    allowed = [column.name for column in columns(PEOPLE, workspace.vocabulary) if column.name not in {"person_id", "joined_at"}]
    unknown = [name for name in strata if name not in allowed]
    if unknown:
        raise AssignmentError(f"people have no column {unknown[0]!r} to stratify by; columns: {', '.join(allowed)}")


def _file(path: Path, names: list[str]) -> pd.DataFrame:
    """Return columns of a CSV or Parquet file as text. Raises AssignmentError, which never repeats a value."""
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path, columns=names)
        else:
            options = pa.csv.ConvertOptions(include_columns=names, column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True)
            table = pa.csv.read_csv(path, convert_options=options)
        return table.select(names).cast(pa.schema([(name, pa.string()) for name in names])).to_pandas().astype(object)
    except FileNotFoundError:
        raise AssignmentError(f"{path} does not exist") from None
    except (pa.ArrowException, KeyError):
        raise AssignmentError(f"{path} cannot be read as CSV (or .parquet) with the columns {', '.join(names)}") from None


def _csv(drawn: pd.DataFrame, experiment_id: str, now: datetime) -> bytes:
    made = drawn.assign(experiment_id=experiment_id, assigned_at=now.astimezone(UTC).isoformat())
    return made[[column.name for column in ASSIGNMENTS.columns]].to_csv(index=False).encode()


def _write(path: Path, content: bytes) -> None:
    """Put a file in its place whole, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    fresh.replace(path)


def _remember(folder: Path, draws: list[dict[str, Any]], record: dict[str, Any], path: Path) -> None:
    """Add a draw to the list of draws, with its file's name and digest."""
    about = {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    _write(folder / "draws.json", json.dumps([*draws, record | about], indent=1).encode())


def _others(folder: Path, unit: Unit, key: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the other experiments whose last draw had another key, and those with this key that drew other units (people, in records that do not say)."""
    last = {path.parent.name: read_draws(path.parent)[-1] for path in sorted(folder.parent.glob("*/draws.json")) if path.parent != folder}
    keys = tuple(name for name, record in last.items() if record["key_check"] != key_check(key))
    return keys, tuple(name for name, record in last.items() if name not in keys and record.get("unit", "person") != unit)
