"""The registered versions of models as an erasure asks for them: which versions of the tables each read, and what the organisation says becomes of it.

`python -m training.trained_models WORKSPACE` prints them as JSON: a server that erases asks that way, as it trains nothing and imports nothing that does.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import make_url

from features.permission.certificate import KEPT, STATES, State, TrainedModel
from features.workspace import Workspace
from training.registry import is_served
from training.tracking import CHAMPION, Run, Tracking, Version

_SAID = re.compile(r"(?:(?P<name>[a-z0-9_.]+)(?:/(?P<version>\d+))?=)?(?P<state>\w+)")


class StatementError(ValueError):
    """What is said of models cannot be understood; the message says how it is written."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What becomes of versions of models: of all (`name` None), of all of one name (`version` None), or of one."""

    state: State
    name: str | None = None
    version: int | None = None

    @classmethod
    def of(cls, text: str) -> Statement:
        """Return the statement `STATE`, `NAME=STATE` or `NAME/VERSION=STATE`. Raises StatementError."""
        found = _SAID.fullmatch(text.strip())
        states: dict[str, State] = {state: state for state in STATES} | {"kept": "kept_with_reason"}
        if found is None or found["state"] not in states:
            raise StatementError(f"{text!r} says nothing of models: write STATE, NAME=STATE or NAME/VERSION=STATE; states: kept, {', '.join(STATES[1:])}")
        return cls(states[found["state"]], found["name"], None if found["version"] is None else int(found["version"]))

    def speaks_of(self, version: Version) -> bool:
        """Return whether it says something of that version."""
        return self.name in {None, version.name} and self.version in {None, version.version}


def trained_models(workspace: Workspace, said: Sequence[Statement] = (), reason: str | None = None) -> list[TrainedModel]:
    """Return every registered version with its state: that of the last statement that speaks of it, `kept_with_reason` without one.

    A version in office is kept, whatever was said, and its reason says so. Raises what MLflow raises.
    """
    if _never_trained(workspace.tracking_url):
        return []
    tracking = Tracking.of(workspace)
    runs = {run.run_id: run for run in tracking.runs()}
    return [_trained(workspace, version, runs.get(version.run_id), said, reason or KEPT) for version in tracking.versions()]


def _trained(workspace: Workspace, version: Version, run: Run | None, said: Sequence[Statement], reason: str) -> TrainedModel:
    in_office = CHAMPION in version.aliases or is_served(workspace, version)
    state: State = next((each.state for each in reversed(said) if each.speaks_of(version)), "kept_with_reason")
    if in_office and state != "kept_with_reason":
        state, reason = "kept_with_reason", f"it is in office, so it is not {state} yet. {reason}"
    parameters = {} if run is None else run.parameters
    return TrainedModel(
        version.name,
        version.version,
        version.tags.get("digest", ""),
        version.created_at,
        in_office,
        _versions(parameters.get("table_versions", "")),
        parameters.get("experiment"),
        state,
        reason,
    )


def _versions(text: str) -> dict[str, int]:
    """Return the versions of tables that a run has logged, {} where it says none."""
    try:
        found = ast.literal_eval(text)
        return {str(table): int(version) for table, version in found.items()}
    except (ValueError, SyntaxError, AttributeError, TypeError):
        return {}


def _never_trained(url: str) -> bool:
    parsed = make_url(url) if url.startswith("sqlite:") else None
    return parsed is not None and bool(parsed.database) and not Path(str(parsed.database)).exists()


def as_json(models: Sequence[TrainedModel]) -> str:
    """Return versions as a JSON list; times in ISO 8601."""
    return json.dumps([{**asdict(model), "registered_at": model.registered_at.isoformat()} for model in models])


if __name__ == "__main__":
    print(as_json(trained_models(Workspace.open(sys.argv[1]))))
