"""Who may be learned from: the decision on everybody in a training's rows, at the time of the training, and what of it is kept with the run (rule L33)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.permission.decision import Decisions
from features.permission.live import Permission
from features.permission.opening import opened
from features.permission.settings import PermissionFault
from features.permission.use import Activity, Use
from features.workspace import Workspace
from training.config import ConfigError, read_config


class NotPermittedError(ValueError):
    """Nobody may be learned from for the use; the message names the rules and how many people each forbids."""


@dataclass(frozen=True, slots=True)
class PermissionSnapshot:
    """What was decided of the people of a training: `counts` of people by code (`allowed` first), under which pack, from which ledger and tables.

    `hash` is the SHA-256 over all of it and over each person's code: the same people decided alike have the same one. It names nobody.
    """

    name: str
    use: Use
    at: datetime
    pack: str
    version: str
    digest: str
    ledger: int
    counts: Mapping[str, int]
    hash: str

    def to_state(self) -> dict[str, Any]:
        """Return it as JSON-able values, as a run and a model keep it."""
        pack = {"id": self.pack, "version": self.version, "digest": self.digest}
        told = {"use": {"name": self.name, **self.use.model_dump(exclude_none=True)}, "decided_at": self.at.isoformat(), "pack": pack}
        return {**told, "ledger": self.ledger, "counts": dict(self.counts), "hash": self.hash}

    def __str__(self) -> str:
        barred = ", ".join(f"{count:,} {code}" for code, count in self.counts.items() if code != "allowed")
        return f"{self.counts['allowed']:,} people may be learned from for the use {self.name}" + (f"; left out: {barred}" if barred else "")


def training_use(workspace: Workspace) -> tuple[str, Use]:
    """Return the use that models are trained for, with its name: `[training] use`, or the only one there is.

    Raises ConfigError, also where models for online targeting were to read an attribute of special sensitivity (rules L1, L4).
    """
    named, uses = read_config(workspace).use, workspace.permission.uses
    if named is None and len(uses) == 1:
        named = next(iter(uses))
    if named is None:
        there = f"choose one of {', '.join(sorted(uses))}" if uses else "declare it as [uses.NAME], with purpose, channel_class, sponsor_type and jurisdiction"
        raise ConfigError(f"audience.toml: training.use: say what the models are for (rule L1, use_incomplete): {there}")
    try:
        use = workspace.permission.use(named)
    except PermissionFault as error:
        raise ConfigError(f"audience.toml: training.use: {error}") from None
    special = [attribute.id for attribute in workspace.vocabulary.attributes if attribute.in_models]
    if special and use.channel_class == "online_targeted":
        raise ConfigError(
            f"audience.toml: attributes.{special[0]}.in_models: the use {named!r} that models are trained for is online_targeted, and nobody is scored online"
            " by what is special, consent or not (rule L4, special_category_profiling): leave in_models out, or train for another use"
        )
    return named, use


def own_rows(workspace: Workspace) -> bool:
    """Return whether models are made of this organisation's own rows alone: those for online targeting are (rule L3).

    Where no use is stated they are not; `permitted` refuses that, once there is something to learn from.
    """
    try:
        return training_use(workspace)[1].channel_class == "online_targeted"
    except ConfigError:
        return False


def permitted(
    workspace: Workspace,
    people: NDArray[np.str_],
    *,
    now: datetime,
    live: bool = False,
    versions: Mapping[str, int] | None = None,
    activity: Activity = "training",
) -> tuple[NDArray[np.bool_], PermissionSnapshot]:
    """Return which rows (n,) are of people who may be learned from at `now`, and the snapshot; people may repeat. `activity`: what is done with them.

    What is learned for online targeting is learned from own rows (`own_rows`), so that nobody is left out for rows from elsewhere.
    `live`: `now` is what this machine's clock says (`features.permission.live.Group.decide`).

    Raises ConfigError where no use is stated, NotPermittedError where the use is refused or nobody is left, StoreError or HistoryError.
    """
    name, use = training_use(workspace)
    known, rows = np.unique(people.astype(object), return_inverse=True)
    elsewhere = not (activity == "training" and own_rows(workspace))
    with closing(opened(workspace)) as store:
        permission = Permission(workspace, store)
        decisions = permission.decide(known.tolist(), use, now, live=live, versions=versions, activity=activity, needs_third_party=elsewhere)
    if len(known) and not decisions.allowed.any():
        barred = ", ".join(f"{code} ({count:,})" for code, count in decisions.counts().items() if count)
        reason = decisions.refused_use.text.en if decisions.refused_use else barred
        raise NotPermittedError(f"nobody may be learned from for the use {name}: {reason}")
    return decisions.allowed[rows], _snapshot(name, decisions, known.tolist())


def readable(workspace: Workspace, people: pa.LargeStringArray, *, now: datetime) -> NDArray[np.bool_]:
    """Return which of the people (n,), whose ids are rising, may be learned from at `now`, which this machine's clock says.

    Raises as `permitted` does, but for where nobody is left.
    """
    _, use = training_use(workspace)
    with closing(opened(workspace)) as store:
        group = Permission(workspace, store).group(people)
        everybody = np.arange(len(people), dtype=np.int64)
        return group.decide(everybody, use, now, live=True, activity="training", needs_third_party=not own_rows(workspace)).allowed


def _snapshot(name: str, decisions: Decisions, people: list[str]) -> PermissionSnapshot:
    told = {"use": decisions.use.model_dump(mode="json"), "at": decisions.at.isoformat(), "pack": decisions.digest, "ledger": decisions.ledger}
    digest = hashlib.sha256(json.dumps(told | {"versions": dict(decisions.versions)}, sort_keys=True).encode())
    for row, person in enumerate(people):
        digest.update(f"\n{person}\t{decisions.code(row) or ''}".encode())
    pack = (decisions.pack, decisions.version, decisions.digest)
    return PermissionSnapshot(name, decisions.use, decisions.at, *pack, decisions.ledger, decisions.counts(), digest.hexdigest())
