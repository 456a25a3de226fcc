"""What takes hours is kept draw by draw, so that an interrupted run goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Draws = list[Mapping[str, Any]]


def each(path: Path | None, draws: int, make: Callable[[int], Mapping[str, Any]], tell: Callable[[str], None]) -> Draws:
    """Return `make(seed)` for the seeds 0 to `draws` - 1; what a line of the file holds is not made again, and what is made is added to it.

    A last line that was cut off is made again. `tell` is told of every tenth that is made.
    """
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path is not None and path.is_file() else []
    found = [json.loads(line) for line in lines if line.endswith("\n")][:draws]
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(line for line in lines if line.endswith("\n")), encoding="utf-8")
    for seed in range(len(found), draws):
        found.append(make(seed))
        if path is not None:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found[-1]) + "\n")
        if (seed + 1) % 10 == 0:
            tell(f"   {seed + 1} of {draws}")
    return found
