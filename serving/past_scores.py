"""What a past score was made of: the model of that digest, and the person's vector as of that time; each looked for where it may still be, or made again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import published
from features.history import HistoryError
from features.permission.live import Group, Permission
from features.publication import open_version
from features.vectors import Vectors, VectorsError, build
from features.workspace import Workspace
from models.columns import ColumnsError, check_columns
from models.counterfactual import Moves, moves
from serving.bands import base_rows, cut
from serving.champion import Champion, ChampionError, load_version
from serving.names import ScoreName, workspace_scores
from serving.schemas import Bands

Why = Literal["model_gone", "vector_gone", "redefined", "differs", "no_builder", "too_many", "unknown_score"]
"""Why a score cannot be made again: its model's signed copy is not there any more; the rows are not; what is worked out of them is defined in another way; …"""
MOST_BUILT = 12
"""For so many times the base as a whole is worked out again in one answer, the latest first: each takes seconds where the base is large."""
TOLERANCE = 1e-6


@dataclass
class PastScores:
    """Models and vectors of one workspace, opened when they are asked for and kept for one answer.

    `vectors` and `champions` are those that score now, `group` the people of the vectors, where they are at hand; `at` is now. `most_built` as in MOST_BUILT.
    `own`: of own rows alone, as online targeting is.
    """

    workspace: Workspace
    permission: Permission
    vectors: Vectors | None
    group: Group | None
    champions: Mapping[str, Champion]
    at: datetime
    most_built: int = MOST_BUILT
    own: bool = False
    _models: dict[tuple[str, str], Champion | None] = field(default_factory=dict, repr=False)
    _rows: dict[tuple[str, datetime], pd.DataFrame | Why] = field(default_factory=dict, repr=False)
    _bands: dict[tuple[str, str], Bands] = field(default_factory=dict, repr=False)
    _bases: dict[str, tuple[Moves, NDArray[np.float32]]] = field(default_factory=dict, repr=False)
    _base: NDArray[np.int64] | None = field(default=None, repr=False)
    _built: int = 0

    def model(self, name: str, version: str, digest: str) -> Champion | None:
        """Return the model of that digest: the one in office, or the signed copy of one that was; None where there is none."""
        in_office = self.champions.get(name)
        if in_office is not None and in_office.digest == digest:
            return in_office
        if (name, digest) not in self._models:
            folder = self.workspace.models / name / version
            safe = folder.resolve().is_relative_to(self.workspace.models.resolve()) and folder.is_dir()
            try:
                found = load_version(folder, name, digest, self.workspace.signing_key()) if safe else None
            except ChampionError:
                found = None
            self._models[name, digest] = found
        return self._models[name, digest]

    def present(self, person: str) -> pd.DataFrame | None:
        """Return the person's vector of now (1, F), None where there is none."""
        return None if self.vectors is None else _row(self.vectors, person)

    def row(self, person: str, as_of: datetime, versions: Mapping[str, int] | None) -> pd.DataFrame | Why:
        """Return the person's vector as of that time (1, F): of the published vectors that are still there, or else built again from the tables."""
        if (person, as_of) not in self._rows:
            self._rows[person, as_of] = self._found(person, as_of, versions)
        return self._rows[person, as_of]

    def bands(self, champion: Champion, score: ScoreName) -> Bands | None:
        """Return the bands of a model's score over the base of now, None where it has other columns, or nobody of it may be counted."""
        if (champion.digest, score.name) not in self._bands:
            sample, signed = self._sample(champion), champion.scale != "probability"
            scores = [each for each in workspace_scores(self.workspace.vocabulary).values() if champion.answers(each)]
            served = [] if sample is None else champion.serve(sample, scores)
            self._bands |= {(champion.digest, one.name): cut(each.values, signed=signed) for one, each in zip(scores, served, strict=bool(served))}
        return self._bands.get((champion.digest, score.name))

    def moves(self, champion: Champion) -> tuple[Moves, NDArray[np.float32]] | None:
        """Return what may be changed in a vector, and the sample of the base that says so; None as of bands."""
        if champion.digest not in self._bases:
            sample = self._sample(champion)
            if sample is None:
                return None
            base = np.ascontiguousarray(sample.to_numpy(dtype=np.float32))
            self._bases[champion.digest] = moves(champion.columns, base, self.workspace.vocabulary), base
        return self._bases[champion.digest]

    def _sample(self, champion: Champion) -> pd.DataFrame | None:
        if self.vectors is None:
            return None
        try:
            check_columns(self.vectors.names, champion.columns)
        except ColumnsError:
            return None
        if self._base is None:
            group = self.permission.group(self.vectors.ordered[0]) if self.group is None else self.group
            self._base = base_rows(self.vectors, group, self.workspace.permission.uses.values(), self.at)
        return pd.DataFrame(self.vectors.matrix[self._base], columns=list(self.vectors.names), copy=False) if len(self._base) else None

    def _found(self, person: str, as_of: datetime, versions: Mapping[str, int] | None) -> pd.DataFrame | Why:
        for vectors in self._published(as_of):
            row = _row(vectors, person)
            if row is not None:
                return row
        if self._built >= self.most_built:
            return "too_many"
        self._built += 1
        return self._build(person, as_of, versions)

    def _published(self, as_of: datetime) -> list[Vectors]:
        """Return the published vectors of that time: those that are loaded, or older versions that are still on the disk."""
        if self.vectors is not None and _same(self.vectors.as_of, as_of):
            return [self.vectors]
        found = []
        place = self.workspace.own_vectors if self.own else self.workspace.vectors
        for folder in sorted(place.glob("v*"), reverse=True):
            if _stated(folder) == as_of:
                try:
                    found.append(open_version(folder, published.manifest(folder)))
                except (VectorsError, OSError):
                    continue
        return found

    def _build(self, person: str, as_of: datetime, versions: Mapping[str, int] | None) -> pd.DataFrame | Why:
        """Build the vector from the tables, of the versions that the answer names, with what the base as a whole said on that day where that is known."""
        context = None if self.vectors is None else self.vectors.context
        of_the_day = context is not None and context.as_of <= as_of and context.as_of.date() == as_of.date()
        given = {"versions": versions, "context": context if of_the_day else None, "own": self.own}
        try:
            made = build(self.permission.history, self.workspace.vocabulary, as_of, people=[person], **given)  # type: ignore[arg-type]
        except ImportError:
            return "no_builder"
        except (HistoryError, VectorsError, OSError):
            return "vector_gone"
        row = _row(made, person)
        return "vector_gone" if row is None else row


def value_of(champion: Champion, score: ScoreName, row: pd.DataFrame) -> float | None:
    """Return what a model gives for a row (1, F); None where the row has other columns than it was fitted on."""
    try:
        check_columns([str(name) for name in row.columns], champion.columns)
    except ColumnsError:
        return None
    return float(champion.serve(row, [score])[0].values[0])


def _row(vectors: Vectors, person: str) -> pd.DataFrame | None:
    place = int(vectors.rows([person])[0])
    return None if place < 0 else pd.DataFrame(np.array(vectors.matrix[[place]]), columns=list(vectors.names), copy=False)


def _stated(folder: Path) -> datetime | None:
    """Return the time that a published version says it is of."""
    try:
        return datetime.fromisoformat(json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["as_of"]).astimezone(UTC)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _same(one: datetime, other: datetime) -> bool:
    return (one.replace(tzinfo=UTC) if one.tzinfo is None else one) == other


__all__ = ["MOST_BUILT", "TOLERANCE", "PastScores", "Why", "value_of"]
