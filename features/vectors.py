"""The per-person vectors: what they are, how they are built, published and opened again."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features import published
from features.catalogue import definitions_hash, parse_name
from features.published import VectorsError
from features.vocabulary import Vocabulary

Progress = Callable[[str, float], None]
"""Told the stage in words and the fraction done, 0 to 1."""


class StoredTables(Protocol):
    """What a build reads of `features.history.History`."""

    def files(self, table: str, version: int | None = None) -> list[str]:
        """Return the Parquet files of a table at a version."""
        ...

    def versions(self) -> dict[str, int]:
        """Return every table's version."""
        ...


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
    """

    person_ids: pa.LargeStringArray
    matrix: NDArray[np.float32]
    names: tuple[str, ...]
    as_of: datetime
    as_ofs: NDArray[np.datetime64]
    definitions_hash: str
    table_versions: Mapping[str, int]
    vocabulary_fingerprint: str

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
        """Return a small table for notebooks: per statistic, its columns and how much of it is missing."""
        families: dict[str, list[int]] = {}
        for column, name in enumerate(self.names):
            families.setdefault(name.partition("|")[0], []).append(column)
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
    progress: Progress | None = None,
) -> Vectors:
    """Return the vectors of the whole base as of a time, sorted by person id.

    The base: people without `joined_at` or with one before `as_of`, and persons with a visible interaction (one that occurred before
    `as_of` and was received at `as_of` or before). `people` keeps only these of the base and changes nothing else. `versions` names
    the tables' versions to read; without it, the present ones. Raises VectorsError for an `as_of` without a time zone.
    """
    from features import builder  # noqa: PLC0415 - the server opens vectors and never builds them; ibis and numba take seconds to import

    return builder.build_base(history, vocabulary, as_of, versions=versions, people=people, progress=progress or _silent)


def build_rows(
    history: StoredTables,
    vocabulary: Vocabulary,
    rows: pd.DataFrame,
    *,
    versions: Mapping[str, int] | None = None,
    progress: Progress | None = None,
) -> Vectors:
    """Return the vectors of `rows` (columns person_id and as_of, the latter with a time zone), in their order; people may repeat.

    A person whom the tables do not know gets a row of no interactions and unknown attributes. Raises VectorsError.
    """
    from features import builder  # noqa: PLC0415 - as above

    return builder.build_asked(history, vocabulary, rows, versions=versions, progress=progress or _silent)


def publish(vectors: Vectors, folder: str | Path, *, kept: int = published.KEPT) -> Path:
    """Publish vectors of one time into `folder`, whole or not at all, and return the version's folder.

    Readers that have an older version open keep it; the `kept` versions before this one stay on the disk. Raises VectorsError for
    vectors of several times or with a person twice.
    """
    if len(vectors) and (vectors.as_ofs != vectors.as_ofs[0]).any():
        raise VectorsError("vectors of several times cannot be published: build them as of one time")
    ordered, order = vectors.ordered

    def write(folder: Path) -> dict[str, Any]:
        np.save(folder / "matrix.npy", vectors.matrix if order is None else vectors.matrix[order], allow_pickle=False)
        with pa.OSFile(str(folder / "person_ids.arrow"), "wb") as sink, pa.ipc.new_file(sink, _IDS) as writer:
            writer.write_batch(pa.record_batch([ordered], schema=_IDS))
        return {
            "rows": len(vectors),
            "names": list(vectors.names),
            "as_of": vectors.as_of.isoformat(),
            "definitions_hash": vectors.definitions_hash,
            "table_versions": dict(vectors.table_versions),
            "vocabulary_fingerprint": vectors.vocabulary_fingerprint,
        }

    return published.put(Path(folder), write, kept=kept)


def open_current(folder: str | Path) -> Vectors:
    """Return the current vectors of `folder`, memory-mapped, after comparing the files with the manifest. Raises VectorsError."""
    version, said = published.current(Path(folder))
    return _open(version, said)


def _open(version: Path, said: dict[str, Any]) -> Vectors:
    try:
        found = _read(version, said)
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowInvalid) as error:
        raise VectorsError(f"{version} cannot be opened ({type(error).__name__}: {error}); publish the vectors again with `audience vectors`") from None
    shape = (int(said["rows"]), len(said["names"]))
    if (len(found), len(found.names)) != shape:
        raise VectorsError(f"{version}: the manifest states {shape}, the matrix has {found.matrix.shape}; publish the vectors again with `audience vectors`")
    if definitions_hash(map(parse_name, found.names)) != found.definitions_hash:
        raise VectorsError(f"{version}: names and their hash disagree, so another release made it; publish the vectors again with `audience vectors`")
    return found


def _read(version: Path, said: dict[str, Any]) -> Vectors:
    with pa.memory_map(str(version / "person_ids.arrow")) as source:
        ids = pa.concat_arrays(pa.ipc.open_file(source).read_all().column("person_id").chunks or [pa.array([], pa.large_string())])
    as_of = datetime.fromisoformat(said["as_of"]).astimezone(UTC)
    return Vectors(
        person_ids=ids,
        matrix=np.load(version / "matrix.npy", mmap_mode="r" if len(ids) else None, allow_pickle=False),
        names=tuple(said["names"]),
        as_of=as_of,
        as_ofs=np.broadcast_to(np.datetime64(as_of.replace(tzinfo=None), "us"), len(ids)),
        definitions_hash=said["definitions_hash"],
        table_versions=dict(said["table_versions"]),
        vocabulary_fingerprint=said["vocabulary_fingerprint"],
    )


_IDS = pa.schema([pa.field("person_id", pa.large_string(), nullable=False)])


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


__all__ = ["StoredTables", "Vectors", "VectorsError", "build", "build_rows", "open_current", "publish"]
