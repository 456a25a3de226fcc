"""Labels of people by topic, with whom they are about and when; who is held out for calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.folds import group_codes
from models.pooled import topic_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """Labels `y` (n, n_topics) of 0, 1 or NaN for unknown; persons and time blocks as positions (n,) in their sorted lists; weights (n,)."""

    y: Floats
    topics: tuple[str, ...]
    codes: Integers | None
    block: Integers
    weight: Floats

    @classmethod
    def of(cls, y: Any, topics: Sequence[str] | None, columns: Sequence[str], *, n_rows: int, groups: Any, block: Any, sample_weight: Any) -> Labels:
        """Return checked labels; raises ValueError, in words, for shapes, values or topics that cannot be used."""
        names = _topics(y, topics, columns)
        values = y.to_numpy(dtype=np.float64, na_value=np.nan) if isinstance(y, pd.DataFrame) else np.asarray(y, dtype=np.float64)
        if values.shape != (n_rows, len(names)):
            raise ValueError(f"y must be (n, n_topics) = ({n_rows}, {len(names)}), a column per topic: given {values.shape}")
        if not np.isin(values[~np.isnan(values)], (0.0, 1.0)).all():
            raise ValueError("y must hold 0, 1 or NaN (unknown) only")
        if np.isnan(values).all():
            raise ValueError(f"no label is known for any of {', '.join(names)}: there is nothing to learn from")
        weight = np.ones(n_rows) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        if weight.shape != (n_rows,) or not (np.isfinite(weight).all() and (weight >= 0).all()):
            raise ValueError(f"sample_weight must be ({n_rows},) finite numbers that are not negative")
        return cls(values, names, None if groups is None else group_codes(groups, n_rows), _blocks(block, n_rows), weight)

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: Integers) -> Labels:
        """Return these rows in this order; rows without a person become persons of their own, in this order."""
        codes = np.arange(len(rows)) if self.codes is None else self.codes[rows]
        return replace(self, y=self.y[rows], codes=codes, block=self.block[rows], weight=self.weight[rows])

    @property
    def people(self) -> Integers:
        """The person number (n,) of each row."""
        return np.arange(len(self)) if self.codes is None else self.codes

    @property
    def weighted(self) -> bool:
        """Whether rows differ in weight."""
        return bool((self.weight != 1.0).any())

    @property
    def answerable(self) -> NDArray[np.bool_]:
        """Which topics (n_topics,) have a known label that weighs something: of the others nobody can say how often people engage with them."""
        return np.asarray((~np.isnan(self.y) & (self.weight[:, None] > 0)).any(axis=0))

    def prior(self) -> Floats:
        """Return each topic's weighted mean label (n_topics,); where none is known, the mean of the topics that have one."""
        known = ~np.isnan(self.y) * self.weight[:, None]
        with np.errstate(invalid="ignore"):
            mean = np.nansum(self.y * self.weight[:, None], axis=0) / known.sum(axis=0)
        return np.asarray(np.where(self.answerable, mean, np.mean(mean[self.answerable]) if self.answerable.any() else np.nan))


def held_out(labels: Labels, share: float, random_state: int) -> NDArray[np.bool_]:
    """Return which rows (n,) are kept for calibration: the latest block or, where there is one block, a share of the people.

    Raises ValueError unless both sides hold both labels.
    """
    latest = labels.block.max(initial=0)
    if latest > 0:
        kept, side = labels.block == latest, "the latest block"
    else:
        people = np.unique(labels.people)
        drawn = np.random.default_rng(random_state).permutation(people)[: max(1, round(share * len(people)))]
        kept, side = np.isin(labels.people, drawn), "the people held out for calibration"
    for rows, words in ((~kept, f"what remains without {side}"), (kept, side)):
        found = labels.y[rows & (labels.weight > 0)]
        engaged, silent = int((found == 1).sum()), int((found == 0).sum())
        if not engaged or not silent:
            hint = "more people or topics, a longer horizon, or another block"
            raise ValueError(f"{words}: {engaged} labels are 1 and {silent} are 0; both are needed to learn from. Hint: {hint}")
    return np.asarray(kept)


def sampled(labels: Labels, rows: Integers, max_rows: int | None, random_state: int) -> Integers:
    """Return `rows`, or those of whole people drawn at random so that at most `max_rows` (person, topic) labels remain."""
    known = (~np.isnan(labels.y[rows])).sum(axis=1)
    if max_rows is None or known.sum() <= max_rows:
        return rows
    people, inverse = np.unique(labels.people[rows], return_inverse=True)
    order = np.random.default_rng(random_state).permutation(len(people))
    fits = np.zeros(len(people), dtype=bool)
    fits[order] = np.cumsum(np.bincount(inverse, known, len(people))[order]) <= max_rows
    return rows[fits[inverse]]


def _topics(y: Any, topics: Sequence[str] | None, columns: Sequence[str]) -> tuple[str, ...]:
    if isinstance(y, pd.DataFrame):
        names = tuple(str(name) for name in y.columns)
        if topics is not None and tuple(topics) != names:
            raise ValueError(f"topics {list(topics)} are not the columns of y, {list(names)}, in this order")
    elif topics is not None:
        names = tuple(topics)
    elif any(topic_of(name) for name in columns):
        raise ValueError("which column of y is which topic? Hint: give y as a frame with the topics as columns, or topics=[…]")
    else:
        names = tuple(f"topic_{number}" for number in range(np.shape(y)[1] if np.ndim(y) == 2 else 0))
    if not names or len(set(names)) != len(names):
        raise ValueError(f"y needs one column per topic, each topic once: given {list(names) or f'shape {np.shape(y)}'}")
    return names


def _blocks(block: Any, n_rows: int) -> Integers:
    if block is None:
        return np.zeros(n_rows, dtype=np.int64)
    values = pd.Series(np.asarray(block))
    if len(values) != n_rows or values.isna().any():
        raise ValueError(f"block must be one value per row, none missing: given {len(values)} values for {n_rows} rows")
    try:
        return np.asarray(pd.factorize(values, sort=True)[0], dtype=np.int64)
    except TypeError:
        raise ValueError("block must be of one sortable type: numbers, dates or text") from None
