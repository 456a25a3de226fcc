"""A model that the gate refused: what its experiment found on average, and the verdict."""

from __future__ import annotations

import json
import math
from pathlib import Path

from serving.schemas import AverageEffect

_PERCENTAGE_POINTS = 100.0


class RefusalError(ValueError):
    """`refused.json` cannot be read; the message says which."""


def load_refusal(folder: Path) -> AverageEffect:
    """Return the average effect in `models/<name>/refused.json`, in percentage points. Raises RefusalError."""
    try:
        document = json.loads((folder / "refused.json").read_text(encoding="utf-8"))
        ate, low, high, coverage = (float(document[name]) for name in ("ate", "low", "high", "coverage"))
        verdict = str(document["verdict"])
    except (OSError, ValueError, KeyError, TypeError):
        raise RefusalError(f"{folder.name}: refused.json is not an object with verdict, ate, low, high and coverage; promote the model again") from None
    if not all(map(math.isfinite, (ate, low, high, coverage))):
        raise RefusalError(f"{folder.name}: refused.json holds a number that is not finite")
    return AverageEffect(ate * _PERCENTAGE_POINTS, low * _PERCENTAGE_POINTS, high * _PERCENTAGE_POINTS, coverage, "uplift_pp", verdict)
