"""Who is counted in what is said of the base as a whole, such as from which value on a score is high: those whom no declared use leaves out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import numpy as np

from features.permission.facts import Flags
from features.permission.live import Group
from features.permission.use import Use

UNDECLARED = Use(purpose="campaign_messages", channel_class="aggregate", sponsor_type="ngo", jurisdiction="none")
"""What is asked where no use is declared: whoever was erased or objected is left out all the same."""


def counted(group: Group, uses: Iterable[Use], at: datetime) -> Flags:
    """Return who (n,) of a group is counted: whoever every one of the uses allows, asked as one about groups. Raises StoreError.

    That leaves out who was erased, objected, withdrew or refused, is under age, or came from a source that may not serve; what has to hold before somebody
    is picked in person, such as explicit consent online, is not asked. `at` is what this machine's clock says.
    """
    everybody = np.arange(len(group), dtype=np.int64)
    kept = np.ones(len(group), dtype=np.bool_)
    for use in dict.fromkeys(use.model_copy(update={"channel_class": "aggregate", "campaign_id": None}) for use in uses) or [UNDECLARED]:
        kept &= group.decide(everybody, use, at, live=True, activity="training").allowed
    return kept
