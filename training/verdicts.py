"""Verdicts on a change: from its size, and whether it is more than chance, to one of three words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Verdict = Literal["stable", "watch", "drifted"]

STABLE: Verdict = "stable"
WATCH: Verdict = "watch"
DRIFTED: Verdict = "drifted"
RISING: tuple[Verdict, ...] = (STABLE, WATCH, DRIFTED)


def judged(size: float, levels: tuple[float, float], *, real: bool) -> Verdict:
    """Return the verdict on a change of that size: `levels` are those of `watch` and `drifted`; what is not `real` is stable, however large."""
    watch, drifted = levels
    if not real or size < watch:
        return STABLE
    return DRIFTED if size >= drifted else WATCH


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of these verdicts; `stable` where there is none."""
    return max(verdicts, key=RISING.index, default=STABLE)
