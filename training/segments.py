"""Groups of people for whom a model's measures are told apart: how much they did, how old they are, how long they are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.catalogue import ALL, ANY, ENGAGEMENT, Feature

Flags = NDArray[np.bool_]

COLD = "no answer so far"
"""The segment of people without history: their probability is that of people alike."""
_ANSWERS = Feature("count", ENGAGEMENT, ANY, ANY, ALL).name
_AGE, _TENURE = "age|since=birth_year", "tenure|since=joined_at"
_CUTS = (
    (_ANSWERS, ((COLD, -np.inf, 0.5), ("1 or 2 answers", 0.5, 2.5), ("3 to 9 answers", 2.5, 9.5), ("10 answers or more", 9.5, np.inf))),
    (_AGE, (("under 35", -np.inf, 35), ("35 to 54", 35, 55), ("55 or older", 55, np.inf))),
    (_TENURE, (("known for less than a year", -np.inf, 365), ("known for 1 to 3 years", 365, 1095), ("known for 3 years or more", 1095, np.inf))),
)
"""Column; then each segment's name, and where its values begin and end (without the end)."""


def segments(X: pd.DataFrame) -> dict[str, Flags]:
    """Return who (n,) belongs to which segment, by the segment's name; segments of columns that X lacks are left out, missing values belong to none."""
    found: dict[str, Flags] = {}
    for column, cuts in _CUTS:
        if column in X.columns:
            values = X[column].to_numpy(dtype=np.float64)
            found |= {name: (values >= low) & (values < high) for name, low, high in cuts}
    return found
