"""The registered models as an erasure asks for them, from a command of their own: the server trains nothing and does not import what does.

`audience serve` names that command in AUDIENCE_MODELS_COMMAND; a server without it says in its certificates that nobody asked.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from features.permission.certificate import TrainedModel

_SECONDS = 120
"""How long the tracking server may take to answer."""


class RegisteredError(RuntimeError):
    """The registered models could not be listed."""


def listing(command: str | None, workspace: Path) -> Callable[[], Sequence[TrainedModel]] | None:
    """Return what lists the registered models of a workspace, None where no command is known. Calling it raises RegisteredError."""
    return None if command is None else lambda: _listed([*shlex.split(command), str(workspace)])


def _listed(words: Sequence[str]) -> list[TrainedModel]:
    try:
        done = subprocess.run(words, capture_output=True, check=True, timeout=_SECONDS)  # noqa: S603 (named by whoever started the server)
        return [_model(each) for each in json.loads(done.stdout)]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise RegisteredError(type(error).__name__) from None


def _model(said: dict[str, Any]) -> TrainedModel:
    return TrainedModel(**(said | {"registered_at": datetime.fromisoformat(said["registered_at"])}))
