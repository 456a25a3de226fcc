"""The command line: the commands of every room under one name, and the demo."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

import features.commands
import features.permission.commands
import serving.commands
import training.commands

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("AUDIENCE_MODELS_COMMAND", shlex.join([sys.executable, "-m", "training.trained_models"]))  # for certificates of a server that is started

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, help=__doc__)
for room in (features.commands, features.permission.commands, training.commands, serving.commands):
    app.add_typer(room.app)

ROOMS = {"features", "models", "training", "serving", "demo"}
STORES = {"mlflow", "sqlalchemy", "deltalake"}
"""Packages behind the stores: what they cannot open or reach is said in their first line."""


def main() -> None:
    """Run the command line; a mistake is a sentence on standard error and exit code 2, not a traceback. A refusal by the gate is exit code 1."""
    try:
        app()
    except Exception as error:
        from_elsewhere = type(error).__module__.split(".")[0] in STORES or isinstance(error, OSError)
        if type(error).__module__.split(".")[0] not in ROOMS and not from_elsewhere:
            raise
        words = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}" if from_elsewhere and str(error).strip() else str(error)
        print(_traceback(error) if os.environ.get("AUDIENCE_TRACEBACK") else f"error: {words}", file=sys.stderr)
        sys.exit(2)


def _traceback(error: Exception) -> str:
    import traceback

    return "".join(traceback.format_exception(error))


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the demo's workspace is made.")] = Path("demo"),
    people: Annotated[int, typer.Option(min=1000, help="How many people to simulate.")] = 20_000,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to serve on.")] = 3000,
    exit_: Annotated[bool, typer.Option("--exit", help="Stop when all was shown, instead of serving on.")] = False,
) -> None:
    """Show the whole thing: simulate, import, train, promote, serve, ask. Example: audience demo --exit."""
    from demo import tour

    tour(lambda *words: app([str(word) for word in words], standalone_mode=False), folder, people=people, port=port, stay=not exit_)


if __name__ == "__main__":
    main()
