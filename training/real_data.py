"""Where the real data sets of the experiments are. Nothing of them is copied into the project."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "AUDIENCE_DATA"
BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Where they are looked for when the variable is not set: beside the repository."""


class RealDataError(FileNotFoundError):
    """The data set is not on this machine; the message says where it was looked for and how to name another folder."""


def data_folder(name: str) -> Path:
    """Return the folder of the data set `name` (`movielens100k`), under `AUDIENCE_DATA` or beside the repository. Raises RealDataError."""
    root = Path(os.environ.get(VARIABLE) or BESIDE)
    folder = root / name
    if not folder.is_dir():
        given = f"{VARIABLE} names {root}" if os.environ.get(VARIABLE) else f"{VARIABLE} is not set, and ../shared/data beside the repository was tried"
        raise RealDataError(f"the real data set {name!r} is not here ({given}): set {VARIABLE} to the folder that holds {name}/")
    return folder
