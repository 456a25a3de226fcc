"""What audience.toml says of permission: the uses by name, who confirmed which law pack, and what has to be done before some uses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import Field, ValidationError

from features.faults import did_you_mean
from features.permission.notice_settings import Link, NoticeSettings, Party, ProcessingSettings
from features.permission.packs import Confirmation, PackError, parse_confirmations
from features.permission.rules import Preconditions
from features.permission.use import Slug, Use
from features.vocabulary import Frozen


class PermissionFault(ValueError):  # noqa: N818 - a fault of the file, not of the program
    """`[permission]` or `[uses]` of audience.toml cannot be used; the message names the key, what was given and what is allowed."""


class PermissionSettings(Frozen):
    """`[permission]` and `[uses]`: `dpia` is the id of the impact assessment, `risk_assessment` the day of the last one (rules L28, L29).

    `notices` and `processing` are what `[notices.…]` and `[processing]` say.
    """

    dpia: str | None = Field(default=None, min_length=1, max_length=200)
    risk_assessment: date | None = None
    risk_assessment_url: Link | None = None
    confirmed: Mapping[str, Confirmation] = Field(default_factory=dict)
    uses: Mapping[str, Use] = Field(default_factory=dict)
    notices: Mapping[Slug, NoticeSettings] = Field(default_factory=dict)
    processing: ProcessingSettings = ProcessingSettings()

    @property
    def preconditions(self) -> Preconditions:
        """What rules ask for before a use."""
        return Preconditions(self.dpia, self.risk_assessment)

    def use(self, name: str) -> Use:
        """Return the use of that name. Raises PermissionFault with a hint."""
        if name not in self.uses:
            known = tuple(sorted(self.uses))
            raise PermissionFault(f"use {name!r} is not in audience.toml (there: {', '.join(known) or 'none is declared'}).{did_you_mean(name, known)}")
        return self.uses[name]


def parse_permission(document: Mapping[str, Any]) -> PermissionSettings:
    """Return what a parsed audience.toml says. Raises PermissionFault, one line per fault."""
    try:
        confirmed = parse_confirmations(document)
    except PackError as error:
        raise PermissionFault(str(error)) from None
    said = {name: value for name, value in document.get("permission", {}).items() if name != "confirmed"}
    tables = {name: document.get(name, {}) for name in _TABLES}
    try:
        return PermissionSettings(**said, confirmed=confirmed, **tables)
    except ValidationError as error:
        raise PermissionFault("\n".join(_fault(fault) for fault in error.errors())) from None
    except TypeError:
        raise PermissionFault("audience.toml: [permission] holds keys such as dpia, [uses] and [notices] tables such as [uses.doorstep]") from None


def _fault(fault: Any) -> str:
    path = ".".join(map(str, fault["loc"]))
    table = str(fault["loc"][0])
    model = _models(path, table)
    allowed = tuple(sorted(set(model.model_fields) - set(_TABLES)))
    hint = f"; allowed: {', '.join(allowed)}.{did_you_mean(str(fault['loc'][-1]), allowed)}" if fault["type"] == "extra_forbidden" else ""
    given = "" if fault["type"] in {"missing", "value_error"} else f" (given: {fault['input']!r})"
    where = path if table in _TABLES else f"permission.{path}"
    return f"audience.toml: {where}: {fault['msg'].removeprefix('Value error, ')}{given}{hint}"


def _models(path: str, table: str) -> type[Frozen]:
    """Return the model of the table that a fault is in."""
    if table in {"notices", "processing"} and ("sponsor." in path or "controlling_entity." in path or "controller." in path or "representative." in path):
        return Party
    return _TABLES.get(table, PermissionSettings)


_TABLES: Mapping[str, type[Frozen]] = {"uses": Use, "notices": NoticeSettings, "processing": ProcessingSettings}
