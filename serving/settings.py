"""What the server takes from the environment: a handful of `AUDIENCE_*` variables; an unknown one is refused at start."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

PREFIX = "AUDIENCE_"
OF_OTHERS = frozenset({"AUDIENCE_CI", "AUDIENCE_DATA", "AUDIENCE_KEY", "AUDIENCE_TRACEBACK", "AUDIENCE_URL"})
"""Variables that tests, experiments, the command line and clients read; the server lets them stand."""


class SettingsError(ValueError):
    """A variable cannot be used; the message names it, says what is allowed and never repeats a value that may be secret."""


class Settings(BaseModel):
    """The server's settings. Each field is the variable `AUDIENCE_<FIELD>` in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workspace: Path = Field(default=Path(), description="the workspace's folder; the current folder by default")
    database_url: str | None = Field(default=None, description="SQLAlchemy URL of the store, instead of the one in audience.toml")
    threads: int = Field(default=2, ge=1, le=256, description="threads of one prediction")
    reload_seconds: float = Field(default=2.0, gt=0, le=3600, description="how often to look for a new champion or new vectors")
    max_body_bytes: int = Field(default=1_048_576, ge=1024, le=64 * 1_048_576, description="largest request body, in bytes")
    models_command: str | None = Field(default=None, description="command that lists the registered models as JSON, for certificates of erasure")
    session_minutes: int = Field(default=60, ge=1, le=24 * 60, description="how long an auditor stays signed in")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Return the settings in `environment`. Raises SettingsError for an unknown variable or a value that cannot be used."""
        given = {name for name in environment if name.startswith(PREFIX)}
        known = {PREFIX + field.upper(): field for field in cls.model_fields}
        unknown = sorted(given - set(known) - OF_OTHERS)
        if unknown:
            raise SettingsError("; ".join(_unknown(name, set(known) | OF_OTHERS) for name in unknown))
        try:
            return cls.model_validate({field: environment[name] for name, field in known.items() if name in given})
        except ValidationError as error:
            raise SettingsError("; ".join(f"{PREFIX}{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors())) from None


def _unknown(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"unknown variable {name}; known: {', '.join(sorted(known))}.{hint}"
