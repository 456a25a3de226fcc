"""The per-person vectors: what they are, and how they are built; `features.publication` puts them on the disk."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.catalogue import family_of
from features.context import Context
from features.definition import FeatureError, parse_name
from features.published import VectorsError
from features.vocabulary import Vocabulary

if TYPE_CHECKING:
    from features.relations import StoredTables

Progress = Callable[[str, float], None]
"""Told the stage in words and the fraction done, 0 to 1."""


NEVER = 2**62
"""A time, in microseconds since 1970, that never comes."""


class Upkeep(NamedTuple):
    """When vectors change though nothing more is stored.

    `due` (n,) int64 microseconds: the first `as_of` at which an interaction leaves one of the row's windows or is past its limit, or at which one that is
    stored already becomes visible; 2^62 where there is none. `newcomers` (person_id, at_us): who enters the base later, and when.
    """

    due: NDArray[np.int64]
    newcomers: pa.Table


@dataclass(frozen=True, eq=False, repr=False)
class Vectors:
    """A dense matrix of features, one row per (person, as of a time).

    Attributes
    ----------
    person_ids
        (n,) Arrow `large_string` array; sorted by UTF-8 bytes and unique when made by `build`, in the order asked for by `build_rows`.
    matrix
        (n, columns) float32, C order; NaN where a value is missing. Read-only and memory-mapped when it was opened from a folder.
    names
        The columns' names; `features.catalogue.parse_name` reads them back.
    as_of
        The time of all rows, or the latest; UTC.
    as_ofs
        (n,) datetime64[us], UTC: each row's own time.
    table_versions
        Versions of the tables that were read.
    table_files
        Names of the files that were read, by table: a refresh sees from them what is new and what was deleted.
    context
        The base as a whole, as these vectors see it; None where rows of several times see several.
    upkeep
        What a later refresh needs to know; only vectors of a whole base have it.
    own
        Whether they were made of this organisation's own rows alone (`features.entering`), the base as a whole included.
    withheld
        The topics that no interaction is about that they rest on: those that online targeting might not see when they were made; none unless `own`.
    """

    person_ids: pa.LargeStringArray
    matrix: NDArray[np.float32]
    names: tuple[str, ...]
    as_of: datetime
    as_ofs: NDArray[np.datetime64]
    definitions_hash: str
    table_versions: Mapping[str, int]
    vocabulary_fingerprint: str
    context: Context | None = None
    upkeep: Upkeep | None = None
    table_files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    own: bool = False
    withheld: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that rows and columns agree in number."""
        expected = (len(self.person_ids), len(self.names))
        if self.matrix.shape != expected or self.matrix.dtype != np.float32 or len(self.as_ofs) != expected[0]:
            raise VectorsError(f"a float32 matrix of shape {expected} is wanted, given {self.matrix.dtype} of shape {self.matrix.shape}")

    def __len__(self) -> int:
        return len(self.person_ids)

    def rows(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Return (k,) the rows of these people, -1 where unknown; raises VectorsError when a person has several rows."""
        ordered, order = self.ordered
        wanted = pa.array([person.encode("utf-8", "surrogatepass") for person in ids], type=pa.large_binary())  # text from JSON may hold half a pair
        found = _search(ordered.view(pa.large_binary()), wanted)
        return found if order is None else np.where(found >= 0, order[found], -1)

    def only(self, rows: NDArray[np.bool_]) -> Vectors:
        """Return the rows for which `rows` (n,) is true, copied; what a refresh needs keeps the others' times as those of newcomers."""
        upkeep = None
        if self.upkeep is not None:
            later = pa.table({"person_id": self.person_ids, "at_us": self.upkeep.due}).filter(pa.array(~rows & (self.upkeep.due < NEVER)))
            upkeep = Upkeep(self.upkeep.due[rows], pa.concat_tables([later, self.upkeep.newcomers.cast(later.schema)]))
        return replace(self, person_ids=self.person_ids.filter(pa.array(rows)), matrix=self.matrix[rows], as_ofs=self.as_ofs[rows], upkeep=upkeep)

    def frame(self) -> pd.DataFrame:
        """Return a data frame over the same memory: float32, index = person ids, columns = names."""
        index = pd.Index(self.person_ids.to_pandas(), name="person_id")
        return pd.DataFrame(self.matrix, index=index, columns=list(self.names), copy=False)

    @cached_property
    def ordered(self) -> tuple[pa.LargeStringArray, NDArray[np.int64] | None]:
        """The ids in rising order, and each one's row (None when rows are in that order already); VectorsError when a person has several."""
        ids = self.person_ids
        if len(ids) < 2 or pc.all(pc.less(ids[:-1], ids[1:])).as_py():
            return ids, None
        order = pc.sort_indices(ids).to_numpy().astype(np.int64)
        ordered = ids.take(pa.array(order))
        if not pc.all(pc.less(ordered[:-1], ordered[1:])).as_py():
            raise VectorsError("rows cannot be looked up by person: some person has several rows (of several times); use `as_ofs` beside `person_ids`")
        return ordered, order

    def __repr__(self) -> str:
        """Say the shape and the time; never an id."""
        return f"Vectors({len(self):,} rows, {len(self.names)} features, as of {self.as_of:%Y-%m-%d %H:%M} UTC)"

    def _repr_html_(self) -> str:
        """Return a small table for notebooks: per family, its columns and how much of it is missing."""
        families: dict[str, list[int]] = {}
        for column, name in enumerate(self.names):
            families.setdefault(_family(name), []).append(column)
        step = max(len(self) // 10_000, 1)
        missing = np.isnan(self.matrix[::step]).mean(axis=0) if len(self) else np.zeros(len(self.names))
        lines = "".join(
            f"<tr><td>{html.escape(family)}</td><td>{len(columns)}</td><td>{missing[columns].mean():.1%}</td></tr>" for family, columns in families.items()
        )
        sampled = "" if step == 1 else f", of every {step}th row"
        return (
            f"<div><b>Vectors</b>: {len(self):,} rows x {len(self.names)} columns, as of {self.as_of:%Y-%m-%d %H:%M} UTC"
            f"<table><thead><tr><th>family</th><th>columns</th><th>missing{sampled}</th></tr></thead><tbody>{lines}</tbody></table></div>"
        )


def build(
    history: StoredTables,
    vocabulary: Vocabulary,
    as_of: datetime,
    *,
    versions: Mapping[str, int] | None = None,
    people: Sequence[str] | None = None,
    context: Context | None = None,
    own: bool = False,
    progress: Progress | None = None,
) -> Vectors:
    """Return the vectors of the whole base as of a time, sorted by person id.

    The base: people without `joined_at` or with one before `as_of`, and persons with a visible interaction (one that occurred before
    `as_of`, was received at `as_of` or before, and is not past its limit; with `own`, one that this organisation collected itself). `people` keeps
    only these of the base and changes nothing else. `versions` names the tables' versions to read; without it, the present ones. `context` is what is known
    of the base as a whole; without it, that of `as_of`. Raises VectorsError for an `as_of` without a time zone.
    """
    from features import builder  # noqa: PLC0415 - the server opens vectors and never builds them; ibis and numba take seconds to import

    made = builder.build_base(history, vocabulary, as_of, versions=versions, people=people, given=context, own=own, progress=progress or _silent)
    return made if people is None else replace(made, upkeep=None)


def build_rows(
    history: StoredTables,
    vocabulary: Vocabulary,
    rows: pd.DataFrame,
    *,
    versions: Mapping[str, int] | None = None,
    context: Context | None = None,
    own: bool = False,
    progress: Progress | None = None,
) -> Vectors:
    """Return the vectors of `rows` (columns person_id and as_of, the latter with a time zone), in their order; people may repeat.

    A person whom the tables do not know gets a row of no interactions and unknown attributes. Without `context`, each row sees the base
    as of its own time, or, where there are more than 64 times, as of the start of its UTC day, month or year. `own` as in `build`. Raises VectorsError.
    """
    from features import builder  # noqa: PLC0415 - as above

    return builder.build_asked(history, vocabulary, rows, versions=versions, given=context, own=own, progress=progress or _silent)


def _family(name: str) -> str:
    try:
        return family_of(parse_name(name))
    except FeatureError:
        return "other"


def _silent(stage: str, fraction: float) -> None:
    """Tell nobody."""


def _search(ordered: pa.LargeBinaryArray, wanted: pa.LargeBinaryArray) -> NDArray[np.int64]:
    """Return the position of each wanted id in the rising `ordered`, or -1: a binary search of all of them in step."""
    size = len(ordered)
    if size == 0 or len(wanted) == 0:
        return np.full(len(wanted), -1, dtype=np.int64)
    low, high = np.zeros(len(wanted), dtype=np.int64), np.full(len(wanted), size, dtype=np.int64)
    while (low < high).any():
        middle = np.minimum((low + high) // 2, size - 1)
        below = pc.less(ordered.take(pa.array(middle)), wanted).to_numpy(zero_copy_only=False)
        open_ = low < high
        low, high = np.where(open_ & below, middle + 1, low), np.where(open_ & ~below, middle, high)
    last = np.minimum(low, size - 1)
    same = pc.equal(ordered.take(pa.array(last)), wanted).to_numpy(zero_copy_only=False)
    return np.where(same, last, -1)


__all__ = ["Upkeep", "Vectors", "VectorsError", "build", "build_rows"]
