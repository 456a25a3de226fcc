"""A bounded sample of what columns hold, taken while a file is read: enough to tell of what kind most of a column's values are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.permission.special_columns import Special, by_content
from features.values import plain

ROWS = 500
"""Rows of a batch that are looked at, evenly spread over those that are not empty."""
DISTINCT = 2_000
"""Distinct values after which a column is one of ids or of free text, and is not looked at any more."""


class Sample:
    """What the texts of some columns are, counted over a sample of the rows of each batch.

    Parameters
    ----------
    columns : names
        The columns to look at; those that a batch does not have, or that are no text there, are passed over.
    """

    def __init__(self, columns: Iterable[str]) -> None:
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in columns}

    def add(self, rows: pa.RecordBatch) -> None:
        """Look at a batch of raw rows (n,)."""
        for name in [name for name in self._counts if name in rows.schema.names]:
            values = plain(rows.column(name))
            if values.type != pa.string():
                continue
            there = pc.drop_null(values) if values.null_count else values
            if len(there) > ROWS:
                there = there.take(pa.array(np.linspace(0, len(there) - 1, ROWS).astype(np.int64)))
            for pair in pc.value_counts(there).to_pylist():
                self._counts[name][pair["values"]] += pair["counts"]
            if len(self._counts[name]) > DISTINCT:
                del self._counts[name]

    def special(self) -> list[Special]:
        """Return the columns most of whose values tell of a special category."""
        found = ((name, by_content(counts)) for name, counts in self._counts.items())
        return [Special(name, category, "content") for name, category in found if category is not None]
