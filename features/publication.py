"""Vectors on the disk: published whole, patched by a refresh, opened memory-mapped.

A version's folder holds `matrix.npy` and `person_ids.arrow`, what the base as a whole said (`context.json`), when each row changes by itself
(`due.npy`) and who comes next (`newcomers.arrow`). A refreshed version shares the files of the version before it and has the rows that
changed in a patch (`features.patches`); whoever opens it sees one matrix.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features import patches, published
from features.context import Context
from features.definition import definitions_hash
from features.matrix import InFile, spare
from features.patches import Patch
from features.published import NobodyError, VectorsError
from features.vectors import Progress, Upkeep, Vectors
from features.vocabulary import Vocabulary

if TYPE_CHECKING:
    from features.relations import StoredTables

_IDS = pa.schema([pa.field("person_id", pa.large_string(), nullable=False)])
_BLOCK = 16_384
"""Rows that are copied at a time."""
_NEWCOMERS = pa.schema([pa.field("person_id", pa.large_string(), nullable=False), pa.field("at_us", pa.int64(), nullable=False)])


def publish(vectors: Vectors, folder: str | Path, *, kept: int = published.KEPT, check: Callable[[], None] = lambda: None) -> Path:
    """Publish vectors of one time into `folder`, whole or not at all, and return the version's folder.

    Readers that have an older version open keep it; the `kept` versions before this one stay on the disk. `check` is called when nobody else publishes
    any more, and may raise. Raises VectorsError for vectors of several times or with a person twice.
    """
    if len(vectors) and (vectors.as_ofs != vectors.as_ofs[0]).any():
        raise VectorsError("vectors of several times cannot be published: build them as of one time")
    ordered, order = vectors.ordered

    def write(made: Path) -> dict[str, Any]:
        check()
        np.save(made / "matrix.npy", vectors.matrix if order is None else vectors.matrix[order], allow_pickle=False)
        with (made / "matrix.npy").open("r+b") as file:
            file.truncate(file.seek(0, os.SEEK_END) + spare(len(vectors)) * len(vectors.names) * 4)
        _write_ids(made, ordered)
        return _write_rest(made, vectors if order is None or vectors.upkeep is None else _reordered(vectors, order))

    return published.put(Path(folder), write, kept=kept)


def build_into(
    history: StoredTables,
    vocabulary: Vocabulary,
    as_of: datetime,
    folder: str | Path,
    *,
    versions: Mapping[str, int] | None = None,
    context: Context | None = None,
    own: bool = False,
    kept: int = published.KEPT,
    progress: Progress | None = None,
) -> Vectors:
    """Build the vectors of the whole base straight into a published version of `folder`, block by block, and return them opened.

    Takes the memory of a block, however large the base; see `features.vectors.build`. Raises VectorsError, NobodyError when nobody is known.
    """
    from features import builder  # noqa: PLC0415 - the server opens vectors and never builds them; ibis and numba take seconds to import

    def write(made: Path) -> dict[str, Any]:
        vectors = builder.build_base(
            history,
            vocabulary,
            as_of,
            versions=versions,
            people=None,
            given=context,
            own=own,
            progress=progress or (lambda _stage, _share: None),
            path=made / "matrix.npy",
        )
        if not len(vectors):
            raise NobodyError(f"nobody is known as of {vectors.as_of:%Y-%m-%d %H:%M} UTC: import people or interactions first; nothing was published")
        _write_ids(made, vectors.person_ids)
        return _write_rest(made, vectors)

    published.put(Path(folder), write, kept=kept)
    return open_current(folder)


def publish_patch(vectors: Vectors, version: Path, patch: Patch, folder: Path, *, check: Callable[[], None] = lambda: None) -> None:
    """Publish `vectors`, whose matrix is that of `version` with the patch laid over it; only what differs from that version is written.

    `check` is called when nobody else publishes any more, and may raise.
    """

    def write(made: Path) -> dict[str, Any]:
        check()
        before, kept = published.manifest(version)["files"], patches.stored(version)
        shared = [version / "matrix.npy"]
        if len(kept) < patches.MOST:
            shared += patches.files(version)
            patches.write(made, len(kept), patch)
        else:
            patches.write(made, 0, patches.one([*kept, patch]))
        if len(vectors) == len(_read_table(version / "person_ids.arrow")):
            shared.append(version / "person_ids.arrow")
        else:
            _write_ids(made, vectors.person_ids)
        for path in shared:
            os.link(path, made / path.name)
        return {**_write_rest(made, vectors), "files": {path.name: before[path.name] for path in shared}}

    published.put(folder, write)


def publish_whole(vectors: Vectors, order: NDArray[np.int64], fill: Callable[[Path], None], folder: Path, *, kept: int = published.KEPT) -> None:
    """Publish the rows `order` of `vectors`, whose matrix `fill` writes in that order into the path it is given."""
    assert vectors.upkeep is not None
    kept_rows = replace(
        vectors,
        person_ids=vectors.person_ids.take(pa.array(order)),
        matrix=np.broadcast_to(np.float32(np.nan), (len(order), len(vectors.names))),
        as_ofs=vectors.as_ofs[order],
        upkeep=Upkeep(vectors.upkeep.due[order], vectors.upkeep.newcomers),
    )

    def write(made: Path) -> dict[str, Any]:
        fill(made / "matrix.npy")
        _write_ids(made, kept_rows.person_ids)
        return _write_rest(made, kept_rows)

    published.put(folder, write, kept=kept)


def publish_without(people: Sequence[str], folder: Path) -> None:
    """Publish the current vectors anew without some people, block by block; no older version stays on the disk. Raises VectorsError.

    Everything else stays as it was, what the base as a whole said too: a later refresh goes on from there.
    """
    wanted = pa.array(people, pa.large_string())

    def write(made: Path) -> dict[str, Any]:
        before = open_current(folder)
        stays = np.flatnonzero(~_among(before.person_ids, wanted))
        matrix = InFile(made / "matrix.npy", len(stays), len(before.names), spare=spare(len(stays)))
        for first in range(0, len(stays), _BLOCK):
            mine = stays[first : first + _BLOCK]
            block = matrix.fresh(first, first + len(mine))
            block[:] = before.matrix[mine]
            matrix.put(first, first + len(mine), block)
        matrix.whole()
        upkeep = before.upkeep
        if upkeep is not None:
            coming = upkeep.newcomers
            upkeep = Upkeep(upkeep.due[stays], coming.filter(pa.array(~_among(coming.column("person_id"), wanted))))
        kept = replace(
            before,
            person_ids=before.person_ids.take(pa.array(stays)),
            matrix=np.broadcast_to(np.float32(np.nan), (len(stays), len(before.names))),
            as_ofs=before.as_ofs[stays],
            upkeep=upkeep,
        )
        _write_ids(made, kept.person_ids)
        return _write_rest(made, kept)

    published.put(folder, write, kept=0)


def open_current(folder: str | Path) -> Vectors:
    """Return the current vectors of `folder`, memory-mapped, after comparing the files with the manifest. Raises VectorsError.

    Where another version becomes current meanwhile, and this one is removed (people were erased, or many were published), that one is opened.
    """
    folder = Path(folder)
    while True:
        version = published.pointed(folder)
        try:
            return open_version(version, published.manifest(version))
        except VectorsError:
            if published.pointed(folder) == version:
                raise


def open_version(version: Path, said: Mapping[str, Any], *, patched: bool = True) -> Vectors:
    """Return the vectors of a version's folder, `said` being its manifest; without `patched`, with the matrix under its patches. Raises VectorsError."""
    try:
        found = _read(version, said, patched=patched)
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowInvalid) as error:
        raise VectorsError(f"{version} cannot be opened ({type(error).__name__}: {error}); publish the vectors again with `audience vectors`") from None
    shape = (int(said["rows"]), len(said["names"]))
    if (len(found), len(found.names)) != shape:
        raise VectorsError(f"{version}: the manifest states {shape}, the matrix has {found.matrix.shape}; publish the vectors again with `audience vectors`")
    if definitions_hash(found.names) != found.definitions_hash:
        raise VectorsError(f"{version}: names and their hash disagree, so another release made it; publish the vectors again with `audience vectors`")
    return found


def _write_ids(made: Path, ids: pa.LargeStringArray) -> None:
    _write_table(made / "person_ids.arrow", pa.table([ids], schema=_IDS))


def _write_rest(made: Path, vectors: Vectors) -> dict[str, Any]:
    """Write context and upkeep; return what the manifest shall say."""
    if vectors.context is not None:
        (made / "context.json").write_text(json.dumps(vectors.context.to_state()), encoding="utf-8")
    if vectors.upkeep is not None:
        np.save(made / "due.npy", vectors.upkeep.due, allow_pickle=False)
        _write_table(made / "newcomers.arrow", vectors.upkeep.newcomers.cast(_NEWCOMERS))
    return {
        "rows": len(vectors),
        "names": list(vectors.names),
        "as_of": vectors.as_of.isoformat(),
        "definitions_hash": vectors.definitions_hash,
        "table_versions": dict(vectors.table_versions),
        "table_files": {table: list(files) for table, files in vectors.table_files.items()},
        "vocabulary_fingerprint": vectors.vocabulary_fingerprint,
        "own": vectors.own,
        "withheld": list(vectors.withheld),
    }


def _write_table(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())


def _read(version: Path, said: Mapping[str, Any], *, patched: bool) -> Vectors:
    ids = _read_table(version / "person_ids.arrow").column("person_id")
    as_of = datetime.fromisoformat(said["as_of"]).astimezone(UTC)
    upkeep = context = None
    if (version / "due.npy").exists():
        upkeep = Upkeep(np.load(version / "due.npy", mmap_mode="r" if len(ids) else None, allow_pickle=False), _read_table(version / "newcomers.arrow"))
    if (version / "context.json").exists():
        context = Context.from_state(json.loads((version / "context.json").read_text(encoding="utf-8")))
    return Vectors(
        person_ids=pa.concat_arrays(ids.chunks or [pa.array([], pa.large_string())]),
        matrix=_matrix(version, len(ids), len(said["names"]), patched=patched),
        names=tuple(said["names"]),
        as_of=as_of,
        as_ofs=np.broadcast_to(np.datetime64(as_of.replace(tzinfo=None), "us"), len(ids)),
        definitions_hash=said["definitions_hash"],
        table_versions=dict(said["table_versions"]),
        table_files=dict(said["table_files"]),
        vocabulary_fingerprint=said["vocabulary_fingerprint"],
        context=context,
        upkeep=upkeep,
        own=bool(said.get("own", False)),
        withheld=tuple(said.get("withheld", ())),
    )


def _matrix(version: Path, rows: int, columns: int, *, patched: bool) -> NDArray[np.float32]:
    """Return the matrix, memory-mapped: as it is, or privately with the patches laid over it."""
    plain = np.load(version / "matrix.npy", mmap_mode="r" if rows else None, allow_pickle=False)
    laid = patches.stored(version)
    if not laid:
        return plain
    if not plain.size:
        raise ValueError("patches lie over a matrix without rows")
    matrix = np.memmap(version / "matrix.npy", dtype=np.float32, mode="c", offset=plain.offset, shape=(rows, columns))
    for patch in laid if patched else ():
        matrix[patch.rows] = patch.values
    matrix.flags.writeable = False
    return matrix


def _read_table(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def _among(ids: pa.Array | pa.ChunkedArray, wanted: pa.LargeStringArray) -> NDArray[np.bool_]:
    return np.asarray(pc.is_in(ids, value_set=wanted), dtype=np.bool_)


def _reordered(vectors: Vectors, order: NDArray[np.int64]) -> Vectors:
    assert vectors.upkeep is not None
    return replace(vectors, upkeep=Upkeep(vectors.upkeep.due[order], vectors.upkeep.newcomers))
