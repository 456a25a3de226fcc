"""What a notebook asks for by one call: vectors of a workspace, and the dictionary of its features."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from features import vectors
from features.catalogue import catalogue, family_of
from features.definition import Feature
from features.history import History
from features.vocabulary import Language, Vocabulary
from features.workspace import Workspace

_UNITS = {
    "count": "interactions",
    "machine": "interactions",
    "unanswered": "messages",
    "switches": "changes",
    "decayed": "interactions",
    "share": "0 to 1",
    "daypart": "0 to 1",
    "weekday": "0 to 1",
    "rate": "answers per message",
    "area": "answers per message",
    "supply": "messages per person",
    "entropy": "bits",
    "trend": "ratio, 1 is usual",
    "overdue": "ratio, 1 is usual",
    "source": "0 or 1",
    "age": "years",
}
_DAYS = {"recency", "first", "habit", "declared_age", "tenure"}
_MISSING = {
    "recency": "there never was one",
    "first": "there never was one",
    "largest": "there never was one",
    "declared": "nothing was stated",
    "declared_age": "nothing was stated",
    "habit": "there were fewer than two",
    "overdue": "there were fewer than two",
    "share": "there are none to share",
    "entropy": "there are none to share",
    "daypart": "there never was an answer",
    "weekday": "there never was an answer",
    "source": "there is no interaction",
    "rate": "nothing was sent",
    "area": "the area is unknown, or nothing was sent to others there",
    "attribute": "it is not known",
    "age": "the year of birth is not known",
    "tenure": "the date is not known",
}
_TYPICAL = {
    "share": 0.25,
    "daypart": 0.25,
    "weekday": 0.25,
    "rate": 0.12,
    "area": 0.12,
    "supply": 1.5,
    "entropy": 1.2,
    "trend": 1.5,
    "overdue": 2.0,
    "age": 47.0,
    "source": 1.0,
}


def build(workspace: Workspace | str | Path, as_of: datetime | str, *, people: Sequence[str] | None = None) -> vectors.Vectors:
    """Return the vectors of a workspace; see `features.build`."""
    opened = _opened(workspace)
    if isinstance(as_of, str):
        text = as_of
        try:
            as_of = datetime.fromisoformat(as_of)
        except ValueError:
            raise vectors.VectorsError(f"as_of = {as_of!r} is no ISO 8601 date or time such as 2026-11-01") from None
        if as_of.tzinfo is None and len(text) > len("2026-11-01"):
            raise vectors.VectorsError(f"as_of = {text!r} has no offset: add Z or +01:00")
        as_of = as_of if as_of.tzinfo is not None else as_of.replace(tzinfo=UTC)
    return vectors.build(History(opened.tables, opened.vocabulary), opened.vocabulary, as_of, people=people)


def describe(workspace: Workspace | str | Path) -> pd.DataFrame:
    """Return the dictionary of a workspace's features; see `features.describe`."""
    opened = _opened(workspace)
    return dictionary(opened.vocabulary, opened.settings.language)


def dictionary(vocabulary: Vocabulary, language: Language = "en") -> pd.DataFrame:
    """Return a row per feature of the catalogue, in its order: name (index), family, statistic, unit, missing when, and a sentence about a value."""
    rows = [
        {
            "feature": feature.name,
            "family": family_of(feature),
            "statistic": feature.statistic,
            "unit": unit_of(feature, vocabulary),
            "missing when": _MISSING.get(feature.statistic, "never"),
            "for example": feature.sentence(_typical(feature), vocabulary, language),
        }
        for feature in catalogue(vocabulary)
    ]
    return pd.DataFrame(rows).set_index("feature")


def unit_of(feature: Feature, vocabulary: Vocabulary | None = None) -> str:
    """Return the unit of a feature's values, in words; without a vocabulary, "its own unit" where only that would name it."""
    if feature.statistic in _DAYS or feature.statistic in _UNITS:
        return _UNITS.get(feature.statistic, "days")
    if feature.category is not None:
        return "0 or 1"
    return "its own unit" if vocabulary is None else _unit_there(feature, vocabulary)


def _unit_there(feature: Feature, vocabulary: Vocabulary) -> str:
    """Return a unit that the vocabulary names: of amounts, stated interests and attributes."""
    if feature.statistic in {"sum", "largest"}:
        return vocabulary.kind(str(feature.kind)).unit or "the kind's own"
    if feature.statistic == "declared":
        units = {kind.unit for kind in vocabulary.kinds if kind.declares}
        return units.pop() or "as stated" if len(units) == 1 else "as stated"
    return vocabulary.attribute(str(feature.id)).unit or "its own"


def _typical(feature: Feature) -> float:
    return 1.0 if feature.category is not None else float(np.float32(_TYPICAL.get(feature.statistic, 4.0)))


def _opened(workspace: Workspace | str | Path) -> Workspace:
    return workspace if isinstance(workspace, Workspace) else Workspace.open(workspace)
