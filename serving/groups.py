"""Which group each person is in: areas and categories, from the table `people`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.faults import did_you_mean
from features.history import History
from features.vocabulary import Vocabulary
from serving.group_tables import UNKNOWN, Dimension

AREA, BAND = "area", "band"


def fault(name: str, vocabulary: Vocabulary) -> str | None:
    """Return what is wrong with grouping people by that, or None; the name itself is the caller's text, and is not repeated."""
    if name in {AREA, BAND}:
        return None
    found = next((attribute for attribute in vocabulary.attributes if attribute.id == name), None)
    if found is not None and found.sensitivity == "special":
        return "this attribute is of special sensitivity: nobody is grouped by it"
    if found is not None and found.type == "category":
        return None
    known = (AREA, BAND, *(each.id for each in vocabulary.attributes if each.type == "category" and each.sensitivity == "ordinary"))
    return f"people cannot be grouped by this; allowed: {', '.join(known)}.{did_you_mean(name, known)}"


def read(history: History, people: pa.LargeStringArray, name: str, *, version: int, area_characters: int | None) -> Dimension:
    """Return the groups of that name of people, in their order: those that occur among all of them, whoever may be counted. Raises HistoryError."""
    known = history.read("people", version, ["person_id", name])
    rows = pc.index_in(people, value_set=_texts(known.column("person_id")))
    values = _texts(known.column(name)).take(rows)
    if name == AREA:
        values = pc.utf8_slice_codeunits(values, 0, area_characters) if area_characters else values
    there = set(pc.unique(values.drop_null()).to_pylist())
    labels = sorted(there) if name == AREA else [category for category in history.vocabulary.attribute(name).categories if category in there]
    places = pc.fill_null(pc.index_in(values, value_set=pa.array(labels, pa.large_string())), len(labels)).to_numpy(zero_copy_only=False).astype(np.int64)
    missing = bool((places == len(labels)).any())
    return Dimension(name, (*labels, UNKNOWN) if missing else tuple(labels), places)


def _texts(values: pa.ChunkedArray) -> pa.LargeStringArray:
    cast = pc.cast(values, pa.large_string())
    return cast.combine_chunks() if isinstance(cast, pa.ChunkedArray) else cast
