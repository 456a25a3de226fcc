"""Champions: which registered version is served. A version becomes champion through its gate only.

The gate reads what the run logged about itself, inside the digested artefact; nothing that the caller says can change a line.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from features.workspace import Workspace
from models import artefact
from models.artefact import ArtefactError
from models.outcome_scale import OutcomeScale, OutcomeScaleError
from training.activation import assessment_line
from training.gates import Champion, Findings, GateLine, gate_lines, persuadability_verdict
from training.tracking import CHAMPION, Tracking, Version

_NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+){0,2}")
POINTER = "champion.json"
REFUSAL = "refused.json"
LATER = "later outcomes"
"""The line of the gate that asks what versions of later outcomes found."""
FINDINGS, CARD, UPLIFT = "evaluation.json", "card.md", "uplift.json"
"""Files of the artefact: what the run found, the model card, and all that was measured of an uplift; the manifest covers them."""


class RegistryError(ValueError):
    """What was asked of the registry cannot be; the message says what is there."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """What came of asking for a promotion: accepted or not, and every line of the gate; `withdrawn` is the champion that a refusal has put out of office."""

    name: str
    version: int
    accepted: bool
    lines: tuple[GateLine, ...]
    digest: str | None = None
    withdrawn: int | None = None

    def __str__(self) -> str:
        verdict = "is champion now" if self.accepted else "is refused; nothing that is served has changed"
        if self.withdrawn is not None:
            verdict = f"is refused, and version {self.withdrawn} is withdrawn: it had passed on fewer or other outcomes. The average effect is served instead"
        return "\n".join([f"{self.name} version {self.version} {verdict}", *(f"  {line}" for line in self.lines)])


def promote(workspace: Workspace, name: str, version: int | None = None, *, now: datetime) -> Promotion:
    """Make a version (the newest by default) champion if it passes its gate.

    For persuadability no version may fail the gate that was trained later, on other and at least as many outcomes: what was withdrawn does not come back.
    Accepted: its artefact is copied to `models/<name>/<version>`, signed, and `champion.json` names it. Refused: nothing changes, but for persuadability.
    There a refusal leaves `refused.json`, from which the service answers with the average effect, where there is no champion, or where the champion was
    learned earlier, from other and no more outcomes: a ranking that later outcomes do not bear out is withdrawn.
    Where a law pack asks for an impact assessment before that (rule L29), one has to be named in `[permission]`; its id is kept as the tag `dpia`.
    Raises RegistryError for a name that cannot be a folder and TrackingError for what is not registered.
    """
    if not _NAME.fullmatch(name):
        raise RegistryError(f"{name!r} is no model's name: affinity, or persuadability.EXPERIMENT.ARM")
    with _alone(workspace):
        return _promoted(workspace, name, version, now=now)


def _promoted(workspace: Workspace, name: str, version: int | None, *, now: datetime) -> Promotion:
    tracking = Tracking.of(workspace)
    found = tracking.version(name, version)
    with tempfile.TemporaryDirectory(prefix="audience-promote-") as scratch:
        folder = tracking.download(found, Path(scratch))
        sound = artefact_line(folder, found, workspace.settings.name)
        if not sound.passed:
            return Promotion(name, found.version, accepted=False, lines=(sound,))
        assessed = assessment_line(workspace.permission, artefact.check(folder).metadata, now=now)
        if not assessed.passed:  # this says nothing about the model: no verdict on it is left behind
            return Promotion(name, found.version, accepted=False, lines=(sound, assessed))
        findings = logged_findings(folder)
        lines = (sound, assessed, *gate_lines(findings, champion(workspace, name)))
        if findings.kind == "persuadability":
            lines = (*lines, _later_line(tracking, found, artefact.check(folder).metadata))
        digest = artefact.digest(folder)
        if not all(line.passed for line in lines):
            withdrawn = _withdrawn(workspace, tracking, name, folder) if findings.kind == "persuadability" else None
            if all(line.passed or line.name != LATER for line in lines):  # what later outcomes say is not overwritten by what earlier ones did
                _refuse(workspace, folder, findings, lines, name=name, now=now)
            return Promotion(name, found.version, accepted=False, lines=lines, digest=digest, withdrawn=withdrawn)
        _install(workspace, found, folder)
    tags = {"promoted_at": now.isoformat(), "dpia": workspace.permission.dpia or "(none)"}
    tracking.tag(found, {f"gate {line.name}": line.words for line in lines} | tags)
    tracking.make_champion(found)
    home = workspace.models / name
    write_json(home / POINTER, {"name": name, "version": found.version, "digest": digest, "promoted_at": now.isoformat()})
    (home / REFUSAL).unlink(missing_ok=True)
    return Promotion(name, found.version, accepted=True, lines=lines, digest=digest)


def artefact_line(folder: Path, version: Version, workspace_name: str) -> GateLine:
    """Return whether a downloaded artefact is what the run registered, is built as it must be, and predicts in a process of its own."""
    try:
        said = artefact.check(folder).metadata
        if artefact.digest(folder) != version.tags.get("digest"):
            return GateLine("artefact", passed=False, words="its digest is not the one that was registered: it was changed after training")
        if (said.get("name"), said.get("workspace")) != (version.name, workspace_name):
            words = f"it is {said.get('name')!r} of the workspace {said.get('workspace')!r}, not {version.name!r} of {workspace_name!r}"
            return GateLine("artefact", passed=False, words=words)
        if version.name.startswith("persuadability."):
            OutcomeScale.from_state(said)
        artefact.try_in_process(folder)
    except (ArtefactError, OutcomeScaleError, OSError) as error:
        return GateLine("artefact", passed=False, words=f"the check failed: {error}")
    return GateLine("artefact", passed=True, words="digest as registered, structure sound, predicts in a process of its own")


def champion_digest(workspace: Workspace, name: str) -> str | None:
    """Return the digest of the model in office, None when there is none."""
    try:
        return str(json.loads((workspace.models / name / POINTER).read_text(encoding="utf-8"))["digest"])
    except FileNotFoundError:
        return None


def champion_folder(workspace: Workspace, name: str) -> Path | None:
    """Return the folder of the model in office, its signature and digest verified; None when there is none. Raises ArtefactError."""
    digest = champion_digest(workspace, name)
    if digest is None:
        return None
    home = workspace.models / name
    folder = home / str(json.loads((home / POINTER).read_text(encoding="utf-8"))["version"])
    artefact.verify(folder, workspace.signing_key())
    artefact.check(folder)
    if artefact.digest(folder) != digest:
        raise ArtefactError(f"{name}: the champion's folder is not the one that {POINTER} names; promote it again")
    return folder


def champion(workspace: Workspace, name: str) -> Champion | None:
    """Return the digest and the findings of the model in office; None when there is none, or none that can be trusted."""
    try:
        folder = champion_folder(workspace, name)
        return None if folder is None else (artefact.digest(folder), logged_findings(folder))
    except (ArtefactError, OSError, KeyError, ValueError):
        return None


def logged_findings(folder: Path) -> Findings:
    """Return what the run of a checked artefact found."""
    return Findings.from_state(json.loads((folder / FINDINGS).read_text(encoding="utf-8")))


def is_served(workspace: Workspace, version: Version) -> bool:
    """Return whether a version is the one that is served: `champion.json` decides, and the store's alias may lag behind where a promotion was killed."""
    try:
        said = json.loads((workspace.models / version.name / POINTER).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    return (said["version"], said["digest"]) == (version.version, version.tags.get("digest"))


def list_models(workspace: Workspace) -> list[dict[str, Any]]:
    """Return the registered versions, by name and newest first, as records for a table; champion is the one that is served."""
    return [
        {
            "name": version.name,
            "version": version.version,
            "alias": ", ".join([*([CHAMPION] if is_served(workspace, version) else []), *(alias for alias in version.aliases if alias != CHAMPION)]),
            "registered": f"{version.created_at:%Y-%m-%d %H:%M}",
            "trained as of": version.tags.get("now", "")[:10],
            "result": version.tags.get("summary", ""),
            "digest": version.tags.get("digest", "")[:12],
        }
        for version in Tracking.of(workspace).versions()
    ]


def list_runs(workspace: Workspace) -> list[dict[str, Any]]:
    """Return the training runs, newest first, as records for a table."""
    return [
        {
            "run": run.run_id[:12],
            "name": run.name,
            "started": f"{run.started_at:%Y-%m-%d %H:%M}",
            "seconds": "" if run.seconds is None else f"{run.seconds:.0f}",
            "status": run.status.lower(),
            "rows": run.tags.get("rows", ""),
            "result": run.tags.get("summary", run.tags.get("failure", "")),
            "data": run.tags.get("dataset_hash", "")[:12],
        }
        for run in Tracking.of(workspace).runs()
    ]


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Replace the file by `document` in one step: a reader sees the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def refusal(findings: Findings, lines: tuple[GateLine, ...], scale: OutcomeScale, now: datetime) -> dict[str, Any]:
    """Return what the service says instead of a persuadability score: the verdict, which lines failed, the average effect, and the choice among messages.

    The effect is in units of the outcome, a difference of shares (-1 to 1) where that is 0 or 1, its sign turned where `scale` says so.
    """
    ate, about = findings.metrics["ate"], findings.about
    return {
        "verdict": persuadability_verdict(lines),
        "failed": [line.name for line in lines if not line.passed],
        **scale.to_state(),
        "ate": ate.value,
        "low": ate.low,
        "high": ate.high,
        "coverage": ate.coverage,
        "experiment": about["experiment"],
        "arm": about["arm"],
        **({"messages": about["messages"]} if "messages" in about else {}),
        "decided_at": now.isoformat(),
    }


def _withdrawn(workspace: Workspace, tracking: Tracking, name: str, refused: Path) -> int | None:
    """Put the champion out of office if the refused artefact was trained later on other and at least as many outcomes; return its version."""
    try:
        folder = champion_folder(workspace, name)
    except ArtefactError:
        return None
    if folder is None:
        return None
    before, after = (artefact.check(each).metadata for each in (folder, refused))
    if not _supersedes(before, after):
        return None
    (workspace.models / name / POINTER).unlink()
    tracking.withdraw_champion(name)
    return int(folder.name)


def _supersedes(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether an artefact (`after`, by its metadata) was trained later than another, from other and at least as many outcomes."""
    told = ("trained", "rows", "dataset_hash")
    if not all(key in said for said in (before, after) for key in told) or before["dataset_hash"] == after["dataset_hash"]:
        return False
    return datetime.fromisoformat(after["trained"]) > datetime.fromisoformat(before["trained"]) and bool(after["rows"] >= before["rows"])


def _later_line(tracking: Tracking, version: Version, said: Mapping[str, Any]) -> GateLine:
    """Return whether every version that supersedes this one, whose metadata is `said`, passes the gate."""
    for other in tracking.versions(version.name):
        if other.version == version.version:
            continue
        with tempfile.TemporaryDirectory(prefix="audience-later-") as scratch:
            try:
                folder = tracking.download(other, Path(scratch))
                after = artefact.check(folder).metadata
                if artefact.digest(folder) != other.tags.get("digest") or not _supersedes(said, after):
                    continue
                failed = [line.name for line in gate_lines(logged_findings(folder)) if not line.passed]
            except (ArtefactError, OSError, KeyError, ValueError):
                continue  # what was changed or cannot be read bears witness of nothing
        if failed:
            words = f"version {other.version}, trained later on other and at least as many outcomes, does not pass ({', '.join(failed)})"
            return GateLine(LATER, passed=False, words=f"{words}: a ranking that later outcomes do not bear out is not served")
    return GateLine(LATER, passed=True, words="no version that was trained later, on other and at least as many outcomes, is refused")


def _refuse(workspace: Workspace, folder: Path, findings: Findings, lines: tuple[GateLine, ...], *, name: str, now: datetime) -> None:
    measured = "ate" in findings.metrics  # without an average effect there is nothing to answer with
    if findings.kind == "persuadability" and measured and champion_digest(workspace, name) is None:
        scale = OutcomeScale.from_state(artefact.check(folder).metadata)
        write_json(workspace.models / name / REFUSAL, refusal(findings, lines, scale, now))


@contextmanager
def _alone(workspace: Workspace) -> Iterator[None]:
    """Wait until no other process promotes here, and hold the workspace's folder until the end: gate, store and pointer then speak of the same champion."""
    held = os.open(workspace.root, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)  # let go by the end of the process, however it comes
        yield
    finally:
        os.close(held)


def _is_installed(workspace: Workspace, place: Path, digest: str) -> bool:
    """Return whether this very artefact stands there, signed."""
    try:
        artefact.verify(place, workspace.signing_key())
        artefact.check(place)
        return artefact.digest(place) == digest
    except (ArtefactError, OSError):
        return False


def _install(workspace: Workspace, version: Version, folder: Path) -> None:
    """Copy the checked artefact to where the server reads, signed; the folder gets its name when all of it is there, and one that is sound stays."""
    if _is_installed(workspace, workspace.models / version.name / str(version.version), artefact.digest(folder)):
        return  # it may be in office: in the moment between two renames there would be no champion
    home = workspace.models / version.name
    home.mkdir(parents=True, exist_ok=True)
    fresh, place = home / f".{version.version}.{secrets.token_hex(4)}", home / str(version.version)
    shutil.copytree(folder, fresh)
    artefact.sign(fresh, workspace.signing_key())
    if place.exists():
        gone = home / f".gone.{secrets.token_hex(4)}"
        place.rename(gone)
        shutil.rmtree(gone)
    fresh.rename(place)
