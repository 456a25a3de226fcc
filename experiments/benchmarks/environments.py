"""Environments of their own for what is measured against, where it cannot live with ours: made in `.bench`, again when their requirements change."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def environment(name: str, wanted: Path, tell: Callable[[str], None]) -> str | None:
    """Return the Python of the environment `.bench/<name>`, which holds exactly what the file `wanted` lists; None where it cannot be installed."""
    folder = ROOT / ".bench" / name
    python, there = folder / "bin" / "python", folder / "installed.txt"
    if not there.exists() or there.read_bytes() != wanted.read_bytes():
        tell(f"-- making the environment {name}")
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or "uv"
        for command in (["venv", "--quiet", "--clear", "--python", sys.executable, folder], ["pip", "sync", "--quiet", "--python", python, wanted]):
            if subprocess.run([uv, *command], check=False).returncode:
                return None
        shutil.copy(wanted, there)
    return str(python)
