"""Names of an experiment's arms: each has a model, whose name is made of the arm's."""

from __future__ import annotations

import re
from collections.abc import Sequence


def arm_key(arm: str) -> str:
    """Return an arm as the name of its model has it: in lower case, anything but a-z, 0-9 and _ as `_`."""
    return re.sub(r"[^a-z0-9_]", "_", arm.lower())


def persuadability_model(experiment: str, arm: str) -> str:
    """Return the registered name of the model of an experiment's arm, `persuadability.EXPERIMENT.ARM`, by which training registers and the service finds."""
    return f"persuadability.{experiment}.{arm_key(arm)}"


def arms_alike(arms: Sequence[str]) -> tuple[str, ...]:
    """Return the first arms, in their order, whose models would have the same name; nothing where each has its own."""
    for arm in arms:
        same = tuple(other for other in arms if arm_key(other) == arm_key(arm))
        if len(same) > 1:
            return same
    return ()
