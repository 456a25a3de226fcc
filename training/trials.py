"""What persuadability learns from: the people of one randomised experiment, one contrast per arm against control.

Vectors are as of the moment each person was assigned, so nothing that the message caused can leak into them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.arms import arm_key, arms_alike
from features.history import History
from features.vectors import build_rows
from features.vocabulary import Experiment
from features.workspace import Workspace
from models.outcome_scale import OutcomeScale
from training.config import PersuadabilityConfig
from training.faults import told_names
from training.permitted import PermissionSnapshot, own_rows, permitted
from training.snapshots import as_frame, connect, hash_rows

Progress = Callable[[str, float], None] | None
Floats = NDArray[np.float64]

_TOLERANCE = 1e-9
"""Stated probabilities of one arm in one stratum may differ by this much: rounding in a file."""


class TrialError(ValueError):
    """The experiment cannot be learned from; the message says what is wrong with its assignments or outcomes."""


@dataclass(frozen=True, repr=False)
class TrialDataset:
    """One contrast of n people: `arm` (treatment 1) against the control arm (treatment 0).

    `X` (n, F) as of each person's assignment; `y` (n,) the outcome, so that more is better, NaN where it is missing; `treatment` and `propensity` (n,), the
    known probability of `arm` given that it was drawn that or control; `units` (n,) what was drawn as one; `counts` says who was left out; `scale` says what
    the outcome of the whole experiment is, the same for all its arms.
    """

    experiment: Experiment
    arm: str
    X: pd.DataFrame
    y: Floats
    treatment: Floats
    propensity: Floats
    units: NDArray[np.str_]
    person_ids: NDArray[np.str_]
    as_ofs: NDArray[np.datetime64]
    counts: dict[str, int]
    scale: OutcomeScale
    definitions_hash: str
    vocabulary_fingerprint: str
    table_versions: dict[str, int]
    permission: PermissionSnapshot | None = None
    own: bool = False

    def __len__(self) -> int:
        return len(self.y)

    @property
    def hash(self) -> str:
        """SHA-256 (hex) over ids, times, outcomes, arms, probabilities, units and vectors, rows in their order."""
        units = np.array("\n".join(self.units.tolist()).encode())
        return hash_rows(self.person_ids, self.as_ofs, self.y, self.treatment, self.propensity, units, self.X.to_numpy())


@dataclass(frozen=True, repr=False)
class ExperimentRows:
    """Everyone drawn in one experiment, as it was known at one time: `drawn` (person_id, arm, probability, as_of, unit, stratum, value) and `X`, row by row.

    `arms` are the messages, in the order of `audience.toml`.
    """

    experiment: Experiment
    drawn: pd.DataFrame
    X: pd.DataFrame
    arms: tuple[str, ...]
    counts: dict[str, int]
    definitions_hash: str
    vocabulary_fingerprint: str
    table_versions: dict[str, int]
    permission: PermissionSnapshot | None = None
    own: bool = False

    @property
    def outcome(self) -> Floats:
        """The outcome (n,), so that more is better, NaN where it is missing; of yes and no where less is better, no is 1."""
        value = self.drawn["value"].to_numpy(dtype=np.float64)
        if not self.turned:
            return value
        return 1.0 - value if np.isin(value[~np.isnan(value)], (0.0, 1.0)).all() else -value

    @property
    def turned(self) -> bool:
        """Whether less of what was measured is the aim, so that the outcome has its sign turned."""
        return self.experiment.engagement == "lower"


@dataclass(frozen=True, repr=False)
class MessageTrial:
    """All messages of an experiment beside each other: rows of strata that have every arm. `propensity` has a column per arm, control first."""

    X: pd.DataFrame
    y: Floats
    arm: NDArray[np.str_]
    propensity: pd.DataFrame
    units: NDArray[np.str_]


def experiment_rows(workspace: Workspace, experiment_id: str, *, now: datetime, progress: Progress = None) -> ExperimentRows:
    """Return everyone drawn in an experiment with their vectors as of their assignment, as it was known at `now`.

    Only people who may be learned from are there. Raises VocabularyError for an unknown experiment, TrialError, which says what is wrong and counts it, and
    what `training.permitted.permitted` raises.
    """
    experiment = workspace.vocabulary.experiment(experiment_id)
    history = History(workspace.tables, workspace.vocabulary)
    versions = history.versions()
    everyone, counts = _drawn(history, experiment, versions, now)
    allowed, permission = permitted(workspace, everyone["person_id"].to_numpy(dtype=str), now=now, live=True, versions=versions)
    everyone, counts = everyone[allowed].reset_index(drop=True), counts | {"not_permitted": int((~allowed).sum())}
    arms = _arms(everyone, experiment)
    own = own_rows(workspace)
    vectors = build_rows(history, workspace.vocabulary, everyone[["person_id", "as_of"]], versions=versions, own=own, progress=progress)
    told = (vectors.definitions_hash, vectors.vocabulary_fingerprint, dict(versions))
    return ExperimentRows(experiment, everyone, as_frame(vectors), tuple(arms), counts, *told, permission, own)


def trial_datasets(rows: ExperimentRows, config: PersuadabilityConfig) -> list[TrialDataset]:
    """Return one dataset per arm of the experiment against control. Raises TrialError, which says what is wrong and counts it."""
    datasets, scale = [], OutcomeScale.of(rows.outcome, turned=rows.turned)
    for arm in rows.arms:
        kept, propensity, lone = _contrast(rows.drawn, rows.experiment, arm)
        mine = rows.drawn[kept]
        _enough(mine, arm, rows.experiment, config)
        dataset = TrialDataset(
            experiment=rows.experiment,
            arm=arm,
            X=rows.X.loc[kept].reset_index(drop=True),
            y=rows.outcome[kept],
            treatment=np.asarray(mine["arm"] == arm, dtype=np.float64),
            propensity=propensity,
            units=mine["unit"].to_numpy(dtype=str),
            person_ids=mine["person_id"].to_numpy(dtype=str),
            as_ofs=mine["as_of"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dtype="datetime64[us]"),
            counts=rows.counts | {"in_stratum_of_one_arm": lone},
            scale=scale,
            definitions_hash=rows.definitions_hash,
            vocabulary_fingerprint=rows.vocabulary_fingerprint,
            table_versions=rows.table_versions,
            permission=rows.permission,
            own=rows.own,
        )
        datasets.append(dataset)
    return datasets


def message_trial(rows: ExperimentRows, config: PersuadabilityConfig) -> MessageTrial | None:
    """Return the messages of an experiment beside each other; None where there are fewer than two that share strata with enough people.

    Probabilities are those stated, divided by their sum over the arms, since people of other arms (a holdout) are not there.
    """
    columns = [rows.experiment.control, *rows.arms]
    stated = rows.drawn.pivot_table(index="stratum", columns="arm", values="probability", aggfunc="max").reindex(columns=columns).dropna()
    kept = rows.drawn["stratum"].isin(stated.index).to_numpy(dtype=bool)
    mine = rows.drawn[kept]
    answered = mine.loc[mine["value"].notna(), "arm"].value_counts()
    if len(rows.arms) < 2 or any(answered.get(arm, 0) < config.minimum_per_arm for arm in columns):
        return None
    shares = stated.div(stated.sum(axis=1), axis=0).loc[mine["stratum"]].reset_index(drop=True)
    X = rows.X.loc[kept].reset_index(drop=True)
    return MessageTrial(X, rows.outcome[kept], mine["arm"].to_numpy(dtype=str), shares, mine["unit"].to_numpy(dtype=str))


def known_propensity(frame: pd.DataFrame, arm: str, control: str) -> Floats:
    """Return p_arm / (p_arm + p_control) for each row (n,) of columns arm, probability, stratum; NaN in a stratum that lacks either.

    Within a stratum the stated probability of an arm is one number; where it varies, TrialError is raised, because then the
    probability of the arm that a person was *not* drawn into is not known.
    """
    stated = frame.groupby(["stratum", "arm"])["probability"].agg(["min", "max"])
    varying = int((stated["max"] - stated["min"] > _TOLERANCE).sum())
    if varying:
        raise TrialError(
            f"in {varying} of {len(stated)} pairs of stratum and arm the stated probability varies from person to person; within a stratum it has to be one "
            "number. Hint: put people who were drawn with the same probabilities into one `stratum`"
        )
    chance = stated["max"].reset_index().pivot_table(index="stratum", columns="arm", values="max").reindex(columns=[arm, control])
    both = chance[arm] / (chance[arm] + chance[control])
    return frame["stratum"].map(both).to_numpy(dtype=np.float64)


def _drawn(history: History, experiment: Experiment, versions: dict[str, int], now: datetime) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return who was drawn (person_id, arm, probability, as_of, unit, stratum, value), by person, and the counts; without an outcome the value is missing."""
    files = {table: history.patterns(table, versions[table]) for table in ("assignments", "outcomes")}
    for table, found in files.items():
        if not found:
            raise TrialError(f"there are no {table} yet: import them with `audience import {table} FILE`")
    query = """
        SELECT a.person_id, a.arm, a.probability, a.assigned_at AS as_of, coalesce(a.unit_id, a.person_id) AS unit, coalesce(a.stratum, '') AS stratum,
            o.value, o.measured_at < a.assigned_at AS too_early
        FROM read_parquet($assignments, hive_partitioning = false) AS a
        LEFT JOIN (
            SELECT * FROM read_parquet($outcomes, hive_partitioning = false)
            WHERE experiment_id = $experiment AND outcome = $outcome AND epoch_us(measured_at) <= $now
        ) AS o
            ON o.person_id = a.person_id
        WHERE a.experiment_id = $experiment AND epoch_us(a.assigned_at) < $now ORDER BY a.person_id
    """
    asked = {"experiment": experiment.id, "outcome": experiment.outcome, "now": int(now.timestamp() * 1e6)}
    frame = connect().sql(query, params=files | asked).to_arrow_table().to_pandas()
    if frame.empty:
        raise TrialError(f"nobody is assigned in experiment {experiment.id!r} before {now:%Y-%m-%d %H:%M} UTC")
    early = int(frame["too_early"].fillna(value=False).astype(bool).sum())
    if early:
        raise TrialError(f"{early} outcomes were measured before the person was assigned: they cannot be outcomes of this experiment")
    known = frame["value"].notna()
    if not known.any():
        raise TrialError(f"nobody has the outcome {experiment.outcome!r} of experiment {experiment.id!r} yet")
    counts = {"assigned": len(frame), "without_outcome": int((~known).sum())}
    return frame.drop(columns="too_early"), counts


def _arms(everyone: pd.DataFrame, experiment: Experiment) -> list[str]:
    """Return the arms to compare with control: those of `audience.toml` in its order, then the others that were drawn."""
    drawn = set(everyone["arm"])
    if experiment.control not in drawn:
        raise TrialError(f"nobody was drawn into the control arm {experiment.control!r}; arms there: {told_names(sorted(drawn))}. Is `control` right?")
    named = [arm for arm in experiment.arms if arm in drawn]
    arms = [arm for arm in [*named, *sorted(drawn - set(named))] if arm != experiment.control]
    if alike := arms_alike(arms):
        raise TrialError(f"arms {' and '.join(map(repr, alike))} were drawn, which would have one model, {arm_key(alike[0])!r}: import them under other names")
    if not arms:
        raise TrialError(f"experiment {experiment.id!r} has nobody outside of the control arm {experiment.control!r}: there is nothing to compare")
    return arms


def _contrast(everyone: pd.DataFrame, experiment: Experiment, arm: str) -> tuple[NDArray[np.bool_], Floats, int]:
    """Return which rows belong to the contrast, their propensity, and how many have a stratum with only one of the two arms."""
    both = everyone["arm"].isin([arm, experiment.control]).to_numpy(dtype=bool)
    propensity = known_propensity(everyone[both], arm, experiment.control)
    usable = ~np.isnan(propensity)
    outside = usable & ((propensity <= 0) | (propensity >= 1))
    if outside.any():
        raise TrialError(f"{int(outside.sum())} people were drawn with a probability of 0 for an arm of the contrast {arm!r} against {experiment.control!r}")
    kept = both.copy()
    kept[both] = usable
    return kept, propensity[usable], int((~usable).sum())


def _enough(rows: pd.DataFrame, arm: str, experiment: Experiment, config: PersuadabilityConfig) -> None:
    for each in (arm, experiment.control):
        people = int(((rows["arm"] == each) & rows["value"].notna()).sum())
        if people < config.minimum_per_arm:
            raise TrialError(
                f"arm {each!r} of experiment {experiment.id!r} has {people} people with the outcome in strata shared with the other arm; at least "
                f"{config.minimum_per_arm} are needed ([training.persuadability] minimum_per_arm)"
            )
