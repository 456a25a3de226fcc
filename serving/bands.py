"""High, medium, low: bands cut at percentiles of the current base, so that a band says where a person stands among all who may be counted."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from features.permission.base import counted
from features.permission.live import Group
from features.permission.use import Use
from features.vectors import Vectors
from serving.schemas import Bands

Band = Literal["high", "medium", "low", "negative"]
BANDS: tuple[Band, ...] = get_args(Band)

HIGH_PERCENTILE = 80
LOW_PERCENTILE = 50
SAMPLE = 5_000
"""People whose scores the percentiles are taken from: their error is then under one percentile point (sqrt(.8 * .2 / 5000) = .006)."""


def sample_rows(people: int) -> NDArray[np.int64]:
    """Return at most `SAMPLE` row numbers spread evenly over the base, so that the same base always gives the same bands."""
    return np.unique(np.linspace(0, max(people - 1, 0), min(people, SAMPLE)).astype(np.int64))


def base_rows(vectors: Vectors, group: Group, uses: Iterable[Use], at: datetime) -> NDArray[np.int64]:
    """Return the rows of at most `SAMPLE` people, spread evenly over those of the vectors who may be counted (`features.permission.base`) at that time.

    `group` are the people of the vectors in the order of their ids. Raises StoreError.
    """
    members, order = np.flatnonzero(counted(group, uses, at)), vectors.ordered[1]
    rows = members if order is None else np.sort(order[members])
    return rows[sample_rows(len(rows))]


def rule_words(*, signed: bool, people: int | None = None) -> str:
    """Return how bands are cut, in words; `people`: on how many, where that is to be told."""
    spread = "" if people is None else f" (cut on {people:,} people spread evenly over the base)"
    rule = f"high is the top {100 - HIGH_PERCENTILE} % of the current base, low the lower {LOW_PERCENTILE} %, medium between{spread}"
    return f"{rule}; high only where the whole interval lies above zero; negative is an uplift below zero: do not contact" if signed else rule


def cut(values: NDArray[np.float64], *, signed: bool = False) -> Bands:
    """Return the bands of a score whose values over the sample are `values` (n,), n >= 1, in the score's own scale; `signed` as in `band`."""
    low, high = np.percentile(values, [LOW_PERCENTILE, HIGH_PERCENTILE])
    return Bands(float(low), float(high), rule_words(signed=signed, people=len(values)))


def band_places(values: NDArray[np.float64], low: NDArray[np.float64], bands: Bands, *, signed: bool = False) -> NDArray[np.int32]:
    """Return the place in `BANDS` of the band of each value (n,), as `band` has it; `low` (n,) is NaN where there is no interval."""
    high = (values >= bands.high_from) & ((low > 0) | (not signed))
    places = np.where(high, BANDS.index("high"), np.where(values < bands.low_below, BANDS.index("low"), BANDS.index("medium")))
    return np.where((values < 0) & signed, BANDS.index("negative"), places).astype(np.int32)


def band(value: float, bands: Bands, *, low: float | None = None, signed: bool = False) -> Band:
    """Return the band of a value.

    Where the scale is `signed` (an uplift), a value below zero is `negative` whatever its rank, and `high` takes an interval above zero, of which `low` is
    the lower end: nobody is called easily moved on a guess.
    """
    if signed and value < 0:
        return "negative"
    if value >= bands.high_from and not (signed and (low is None or not low > 0)):
        return "high"
    return "low" if value < bands.low_below else "medium"
