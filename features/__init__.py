"""The ground floor: tables that come in, and the vectors made of them. Pure but for `workspace`, `history`, `publication` and `importers`.

In a notebook: `features.build("my-workspace", "2026-11-01")` and `features.describe("my-workspace")`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from features.vectors import Vectors
    from features.workspace import Workspace


def build(workspace: Workspace | str | Path, as_of: datetime | str, *, people: Sequence[str] | None = None) -> Vectors:
    """Return the vectors of a workspace's whole base (or of `people` of it) as of a time.

    `.frame()` is the pandas DataFrame (float32, a column per feature, index = person ids) over the same memory as `.matrix`. `as_of` is a time with a
    zone, or a text such as `2026-11-01` (midnight UTC). Raises VectorsError and WorkspaceError.
    """
    from features import notebook  # noqa: PLC0415 - what only opens vectors, the server above all, loads nothing of this

    return notebook.build(workspace, as_of, people=people)


def describe(workspace: Workspace | str | Path) -> pd.DataFrame:
    """Return the data dictionary: a row per feature with its family, what it is about, its unit, when it is missing, and a sentence about a value."""
    from features import notebook  # noqa: PLC0415 - as above

    return notebook.describe(workspace)


__all__ = ["build", "describe"]
