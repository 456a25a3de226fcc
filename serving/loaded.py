"""What the server scores with: vectors, champions, refusals and bands, loaded together and never changed afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pyarrow as pa

from features.catalogue import special_attributes
from features.database.store import StoreError
from features.history import HistoryError
from features.permission.live import Group, Permission
from features.permission.use import Use
from features.publication import open_current
from features.vectors import Vectors, VectorsError
from features.vocabulary import Vocabulary
from features.workspace import Settings, Workspace
from models.columns import ColumnsError, check_columns
from serving.bands import base_rows, cut
from serving.champion import Champion, load_champion
from serving.names import ScoreName, workspace_scores
from serving.refusal import Refusal, RefusalError, load_refusal
from serving.schemas import Bands

POINTERS = ("champion.json", "refused.json")


@dataclass(frozen=True)
class Loaded:
    """One consistent state of the server; a request sees the same one from its beginning to its end."""

    vocabulary: Vocabulary
    settings: Settings
    vectors: Vectors | None = None
    vectors_stamp: str = ""
    group: Group | None = None
    """The people of the vectors, to decide on before they are scored; in the order of their ids."""
    tables_stamp: str = ""
    champions: Mapping[str, Champion] = field(default_factory=dict)
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    mismatched: frozenset[str] = frozenset()
    """Names of champions whose columns are not those of the vectors: they score nobody."""
    special: frozenset[str] = frozenset()
    """Names of champions that were fitted on an attribute of special sensitivity: what they say is profiling by it, whatever the topic."""
    bands: Mapping[str, Bands] = field(default_factory=dict)
    """Of the scores by their names, cut on who might be counted when vectors and model were loaded; none where nobody might be."""
    own: Loaded | None = None
    """The same over vectors of this organisation's own rows alone, where these are published: what online targeting is answered from (rule L3)."""
    faults: tuple[str, ...] = ()
    """What could not be loaded, in words that hold no personal value."""

    @property
    def scores(self) -> dict[str, ScoreName]:
        """Every score of the workspace by its name."""
        return workspace_scores(self.vocabulary)

    @property
    def ready(self) -> bool:
        """Whether at least one score can be given."""
        return self.vectors is not None and self.group is not None and any(name not in self.mismatched for name in self.champions)

    def champion(self, score: ScoreName) -> Champion | None:
        """Return the model that makes a score, or None."""
        champion = self.champions.get(score.model)
        return champion if champion is not None and champion.answers(score) else None

    @property
    def undecided(self) -> bool:
        """Whether there are people to score and nothing to decide from: nobody is scored until that is mended."""
        return (self.vectors is not None and self.group is None) or (self.own is not None and self.own.undecided)

    @property
    def third_party(self) -> bool:
        """Whether the vectors may hold what came from elsewhere."""
        return self.vectors is None or not self.vectors.own

    @property
    def withheld(self) -> frozenset[str]:
        """The topics that no interaction is about that the vectors rest on; none are known of vectors of all rows."""
        return frozenset() if self.vectors is None else frozenset(self.vectors.withheld)

    def for_use(self, use: Use) -> Loaded:
        """Return the state that a use is answered from, vectors, people and bands alike: that of own rows for online targeting, where there is one."""
        if use.channel_class != "online_targeted" or self.own is None or self.own.group is None:
            return self
        return self.own

    def members(self, places: list[int]) -> list[int]:
        """Return the rows in `group` of people in those rows of the vectors."""
        assert self.vectors is not None
        order = self.vectors.ordered[1]
        return places if order is None else np.argsort(order)[places].tolist()

    def rows(self, places: list[int]) -> pd.DataFrame:
        """Return the vectors in those rows (n, F), float32, as the models were fitted on them."""
        assert self.vectors is not None
        return pd.DataFrame(self.vectors.matrix[places], columns=list(self.vectors.names), copy=False)


def stamp(workspace: Workspace) -> tuple[str, ...]:
    """Return the text of every pointer file: it changes when a champion, a refusal or the published vectors change."""
    pointers = [path for name in POINTERS for path in sorted(workspace.models.glob(f"*/{name}"))]
    return (*(f"{path}\n{_text(path)}" for path in [workspace.vectors / "CURRENT", workspace.own_vectors / "CURRENT", *pointers]), tables_stamp(workspace))


def tables_stamp(workspace: Workspace) -> str:
    """Return the newest entry in the log of each table that permission is decided from."""
    logs = (workspace.tables / table / "_delta_log" for table in ("people", "sources", "interactions"))
    return " ".join(max((path.name for path in log.glob("*.json")), default="") for log in logs)


def load(workspace: Workspace, permission: Permission, *, threads: int, previous: Loaded | None = None) -> Loaded:
    """Return what the workspace now holds; what `previous` holds unchanged is kept, and what cannot be loaded stands in `faults`.

    A model whose new version is faulty keeps its version of `previous`: a bad promotion never silences a good model.
    """
    faults: list[str] = []
    before = previous or Loaded(workspace.vocabulary, workspace.settings)
    vectors, vectors_stamp = _vectors(workspace.vectors, before, faults)
    champions = _champions(workspace, before, threads, faults)
    tables = tables_stamp(workspace)
    loaded = Loaded(
        workspace.vocabulary,
        workspace.settings,
        vectors,
        vectors_stamp,
        _group(permission, vectors, before, tables, faults),
        tables,
        MappingProxyType(champions),
        MappingProxyType(_refusals(workspace, champions, faults)),
        special=frozenset(name for name, champion in champions.items() if special_attributes(champion.columns, workspace.vocabulary)),
    )
    loaded = _judged(loaded, permission, before, faults)
    own = _own(workspace, permission, loaded, before, faults)
    return replace(loaded, own=own, faults=tuple(faults))


def _judged(loaded: Loaded, permission: Permission, before: Loaded, faults: list[str]) -> Loaded:
    """Return the state with what its models have to do with its vectors: which do not fit, and the bands of the others' scores.

    Where it cannot be asked who may be counted there are no people to decide on either: nobody is scored until that is mended.
    """
    loaded = replace(loaded, mismatched=_mismatched(loaded, faults))
    try:
        return replace(loaded, bands=MappingProxyType(_bands(loaded, permission, before)))
    except StoreError as error:
        faults.append(f"permission: {error}")
        return replace(loaded, group=None)


def _own(workspace: Workspace, permission: Permission, loaded: Loaded, before: Loaded, faults: list[str]) -> Loaded | None:
    """Return the state over the vectors of own rows, None where none are published; what is wrong with the models was said of the others already."""
    if not (workspace.own_vectors / "CURRENT").exists():
        return None
    was = before.own or Loaded(workspace.vocabulary, workspace.settings)
    said: list[str] = []
    vectors, vectors_stamp = _vectors(workspace.own_vectors, was, said)
    if vectors is not None and not vectors.own:
        said.append(f"vectors: {workspace.own_vectors} holds rows from elsewhere; build them again with `audience vectors`")
        vectors = None
    own = None
    if vectors is not None:
        same = loaded.vectors is not None and vectors.ordered[0].equals(loaded.vectors.ordered[0])
        group = loaded.group if same else _group(permission, vectors, was, loaded.tables_stamp, said)
        own = _judged(replace(loaded, vectors=vectors, vectors_stamp=vectors_stamp, group=group), permission, was, said)
    faults += [fault for fault in said if fault not in faults]
    return own


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _vectors(folder: Path, before: Loaded, faults: list[str]) -> tuple[Vectors | None, str]:
    current = _text(folder / "CURRENT")
    if before.vectors is not None and current and current == before.vectors_stamp:
        return before.vectors, current
    try:
        return open_current(folder), current
    except (VectorsError, OSError) as error:
        faults.append(f"vectors: {error}")
        return before.vectors, before.vectors_stamp


def _group(permission: Permission, vectors: Vectors | None, before: Loaded, tables: str, faults: list[str]) -> Group | None:
    """Return the people to decide on; without them nobody is scored."""
    if vectors is None or (vectors is before.vectors and before.group is not None and tables == before.tables_stamp):
        return before.group
    try:
        return permission.group(vectors.ordered[0])
    except (HistoryError, StoreError, VectorsError) as error:
        faults.append(f"permission: {error}")
    except (OSError, pa.ArrowException) as error:  # a file that an erasure replaced meanwhile, or a damaged one; its path or rows are not for the log
        faults.append(f"permission: the tables cannot be read now ({type(error).__name__})")
    return None


def _champions(workspace: Workspace, before: Loaded, threads: int, faults: list[str]) -> dict[str, Champion]:
    champions: dict[str, Champion] = {}
    pointers = sorted(workspace.models.glob("*/champion.json"))
    if not pointers:
        faults.append("models: none was promoted; `audience train` makes one and `audience promote` puts it here")
    for path in pointers:
        name = path.parent.name
        kept = before.champions.get(name)
        if kept is not None and kept.pointer == _text(path):
            champions[name] = kept
            continue
        try:
            champions[name] = load_champion(path.parent, workspace.signing_key(), threads=threads)
        except (ValueError, OSError) as error:
            faults.append(f"model {error}" + (f"; {kept.version} is still served" if kept else ""))
            if kept is not None:
                champions[name] = kept
    return champions


def _refusals(workspace: Workspace, champions: Mapping[str, Champion], faults: list[str]) -> dict[str, Refusal]:
    refusals = {}
    for path in sorted(workspace.models.glob("*/refused.json")):
        if path.parent.name in champions:
            continue
        try:
            refusals[path.parent.name] = load_refusal(path.parent)
        except RefusalError as error:
            faults.append(f"model {error}")
    return refusals


def _mismatched(loaded: Loaded, faults: list[str]) -> frozenset[str]:
    if loaded.vectors is None:
        return frozenset()
    names = set()
    for champion in loaded.champions.values():
        trained = champion.metadata.get("definitions_hash")
        try:
            check_columns(loaded.vectors.names, champion.columns)
        except ColumnsError as error:
            names.add(champion.name)
            faults.append(f"model {champion.name} {champion.version}: {error}")
            continue
        if trained is not None and trained != loaded.vectors.definitions_hash:
            names.add(champion.name)
            faults.append(f"model {champion.name} {champion.version}: the vectors' columns have the same names but other definitions; build them again")
    return frozenset(names)


def _bands(loaded: Loaded, permission: Permission, before: Loaded) -> dict[str, Bands]:
    """Return the bands of every score that is made; those of a model and vectors that did not change stay. Raises StoreError."""
    if loaded.vectors is None or loaded.group is None:
        return {}
    bands: dict[str, Bands] = {}
    sample: pd.DataFrame | None = None
    for name, champion in loaded.champions.items():
        scores = [score for score in loaded.scores.values() if name not in loaded.mismatched and champion.answers(score)]
        kept = {score.name: before.bands[score.name] for score in scores if score.name in before.bands}
        if loaded.vectors is before.vectors and champion is before.champions.get(name) and len(kept) == len(scores):
            bands |= kept
            continue
        if sample is None:
            sample = loaded.rows(base_rows(loaded.vectors, loaded.group, permission.settings.uses.values(), datetime.now(UTC)).tolist())
        if scores and len(sample):
            signed = champion.scale != "probability"
            bands |= {score.name: cut(served.values, signed=signed) for score, served in zip(scores, champion.serve(sample, scores), strict=True)}
    return bands
