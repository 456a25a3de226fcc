"""The command line: one short function per command, each a call into a room below."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from features.workspace import Workspace

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, help=__doc__)
train_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Train a model; the run stands in MLflow.")
key_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make, list and revoke the keys of the HTTP service.")
app.add_typer(train_app, name="train")
app.add_typer(key_app, name="key")

Folder = Annotated[Path, typer.Option("--workspace", "-w", envvar="AUDIENCE_WORKSPACE", help="The workspace's folder.")]
HERE = Path()
ROOMS = {"features", "models", "training", "serving", "demo"}


def main() -> None:
    """Run the command line; an error of ours is a sentence and exit code 2, not a traceback."""
    try:
        app()
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ROOMS:
            raise
        sys.exit(f"error: {error}" if not os.environ.get("AUDIENCE_TRACEBACK") else _traceback(error))


def _traceback(error: Exception) -> str:
    import traceback

    return "".join(traceback.format_exception(error))


def _now() -> datetime:
    return datetime.now(UTC)


def _time(text: str | None) -> datetime:
    """Return the moment `text` names (ISO 8601 with an offset, or a date: midnight UTC), or now."""
    if text is None:
        return _now()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no ISO 8601 time such as 2026-11-01 or 2026-11-01T06:00:00+01:00") from None
    if moment.tzinfo is None:
        if "T" in text or ":" in text:
            raise typer.BadParameter(f"{text!r} has no offset: add Z or +01:00")
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)
