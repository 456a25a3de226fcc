"""What has to be there before a model is put to use: the id of an impact assessment, where a law pack asks for one (rule L29). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from features.permission.packs import load_pack
from features.permission.settings import PermissionSettings
from features.permission.use import Use
from training.gates import GateLine

LINE = "impact assessment"


def assessment_line(permission: PermissionSettings, said: Mapping[str, Any], *, now: datetime) -> GateLine:
    """Return whether the assessment is named that a law pack in force asks for: for a use of audience.toml, or for the one that the model was trained for.

    `said` is the metadata of the model's artefact, which nobody can change after its training.
    """
    trained_for = said.get("permission", {}).get("use")
    uses = {f"[uses.{name}]": use for name, use in permission.uses.items()}
    if trained_for is not None:
        uses["the use it was trained for"] = Use(**{name: value for name, value in trained_for.items() if name != "name"})
    asking = [f"{name} (law pack {use.jurisdiction} {load_pack(use.jurisdiction).version})" for name, use in uses.items() if _asks(use, now)]
    if (permission.dpia or "").strip():
        return GateLine(LINE, passed=True, words=f"{permission.dpia} is named")
    if not asking:
        return GateLine(LINE, passed=True, words="none is named, and no law pack of its uses asks for one")
    words = f"no_dpia (rule L29): none is named, and one is asked for by {', '.join(asking)}. Hint: make one, and write its id as `dpia` under [permission]"
    return GateLine(LINE, passed=False, words=f"{words} of audience.toml")


def _asks(use: Use, now: datetime) -> bool:
    rules = load_pack(use.jurisdiction).in_force(now.astimezone(UTC).date())
    return any(rule.check == "no_dpia" and rule.applies(use, "activation", special=False) for rule in rules)
