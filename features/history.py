"""The only I/O of stored tables: Delta Lake, one folder per table, one commit per import.

A version's files lie in a folder named for it (`interactions/v00000007/part-00000.parquet`), sorted by person, and are listed in Delta's log
without their smallest and largest values: no person's id stands in the log. Old versions stay readable. One writer per table at a
time holds a lock that the operating system takes back when the process dies, however it dies.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field as field_of
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from features.tables import STORED, Table, arrow_schema
from features.vocabulary import Vocabulary

Progress = Callable[[str, float], None]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEEP_LOG = {"delta.enableExpiredLogCleanup": "false"}
"""Past versions stay readable however old: past scores are recomputed from them."""


class HistoryError(RuntimeError):
    """The stored tables cannot be read or written now; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What an append did, in rows, and the version the table has now.

    `forgotten` are the columns left out of it, each with how many values it had; `clashes` the rows that were refused, since they have the key of another one.
    """

    stored: int
    duplicate: int
    updated: int
    version: int
    forgotten: Mapping[str, int] = field_of(default_factory=dict)
    clashes: int = 0


class History:
    """The stored tables in `folder`, in the words of `vocabulary`.

    Parameters
    ----------
    folder : Path
        `Workspace.tables`; made on the first append.
    vocabulary : Vocabulary
        Gives `people` its extra columns.
    """

    def __init__(self, folder: Path, vocabulary: Vocabulary) -> None:
        self.folder = Path(folder)
        self.vocabulary = vocabulary

    def version(self, table: str) -> int:
        """Return the table's present version, counted from 0; -1 when nothing was ever stored."""
        stored = self._delta(table)
        return -1 if stored is None else int(stored.version())

    def versions(self) -> dict[str, int]:
        """Return the present version of every table."""
        return {table: self.version(table) for table in STORED}

    def imported_at(self, table: str, version: int | None = None) -> datetime | None:
        """Return when rows were last stored, up to a version (the present one by default), by the clock then; None when they never were.

        A deletion of people stores none, and neither does an import of rows that were all there.
        """
        stored = self._delta(table)
        entries = [] if stored is None else stored.history()
        times = [entry["timestamp"] for entry in entries if "replaced" not in entry and (version is None or entry["version"] <= version)]
        return _EPOCH + timedelta(milliseconds=max(times)) if times else None

    def files(self, table: str, version: int | None = None) -> list[str]:
        """Return the Parquet files of a version (the present one by default); [] when there are none. For DuckDB see `patterns`.

        Files of a past version from which people were deleted since are their rewritten successors. Version -1 has no files.
        Raises HistoryError for a version that never was.
        """
        stored = self._delta(table)
        if version == -1 or (stored is None and version is None):
            return []
        if stored is None or (version is not None and not 0 <= version <= stored.version()):
            newest = -1 if stored is None else stored.version()
            raise HistoryError(f"{table} has no version {version}; its newest is {newest}")
        if version is None or version == stored.version():
            return sorted(str(self.folder / table / path) for path in _paths(stored))
        replaced = _replaced(stored)
        stored.load_as_version(version)
        return sorted(str(self.folder / table / path) for path in _followed(_paths(stored), replaced))

    def patterns(self, table: str, version: int | None = None) -> list[str]:
        """Return `files` as DuckDB has to be told them: nothing in the name of a folder is a pattern then, which a neighbour's files would match too."""
        return [literal(path) for path in self.files(table, version)]

    def read(self, table: str, version: int | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of a version, sorted by person where there are persons; without rows, an empty table of the same schema.

        A column that was declared after the rows were stored is null in them, or false where it is a flag that is never empty. All is held in
        memory: use `files` for large tables. Raises HistoryError where audience.toml has given an attribute another type since.
        """
        schema = arrow_schema(_declared(table), self.vocabulary)
        schema = schema if columns is None else pa.schema([schema.field(name) for name in columns])
        paths = self.files(table, version)
        _refuse_other_types(table, paths, schema)
        parts = [_conformed(pq.ParquetFile(path), schema) for path in paths]
        return pa.concat_tables(parts) if parts else schema.empty_table()

    def append(
        self,
        table: str,
        batches: Iterable[pa.RecordBatch],
        *,
        forget: Collection[str] = (),
        clashing: Callable[[pa.Table], None] | None = None,
        progress: Progress | None = None,
    ) -> Stored:
        """Store batches of the declared schema in one commit; rows of a known key are left out or, where the table says so, replace it.

        Of equal keys within the batches the first stays (the last, where rows are replaced). An exception from `batches` leaves the
        table as it was. A table whose rows are replaced is written anew as declared: stored columns that audience.toml no longer declares are left out only
        where `forget` names them. `clashing` is told, before anything is stored, which rows have the key of another thing (`features.staging.Counts`).
        Raises HistoryError when another writer holds the table, and where values would be lost that nobody said to forget.
        """
        import duckdb  # noqa: PLC0415 - the server reads tables and never writes them

        from features.staging import Staging  # noqa: PLC0415 - as above

        declared = _declared(table)
        schema = arrow_schema(declared, self.vocabulary)
        with self.writing(table) as folder:
            version = self.version(table)
            files = self.files(table)
            _refuse_other_types(table, files, schema)
            forgotten = {} if declared.append_only else _undeclared(files, schema)
            _refuse_to_forget(table, forgotten, forget)
            staging = Staging(folder, declared, schema)
            staging.write(batches)
            told = progress or _silent
            out = folder / "out"
            try:
                counts, written = staging.merge(files, out, lambda share: told("sorting and storing", share), anew=bool(forgotten))
            except duckdb.Error as error:
                raise HistoryError(f"{table} could not be sorted ({type(error).__name__}): is there room on the disk? Nothing was stored") from error
            if clashing is not None:
                clashing(counts.clashes)
            if written:
                version = self.commit(table, version, out, written, replaces_all=not declared.append_only)
        return Stored(counts.stored, counts.duplicate, counts.updated, version, forgotten if written else {}, len(counts.clashes))

    def delete_people(self, ids: Iterable[str]) -> dict[str, int]:
        """Remove every row of these people from every table and every past version, from the disk too; returns rows removed per table.

        Counted are the rows of the present version. Past versions stay readable without these people. A reader that has an old file
        open meets an error and has to start again.
        """
        from features.erasure import erase  # noqa: PLC0415 - as above

        return erase(self, tuple(sorted(set(ids))))

    @contextmanager
    def writing(self, table: str) -> Iterator[Path]:
        """Hold the table's lock, sweep what a killed writer left, and lend a staging folder that is removed at the end."""
        _declared(table)
        with self.alone(table):
            staging = self.folder / ".staging" / table
            self._sweep(table, staging)
            staging.mkdir(parents=True)
            try:
                yield staging
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    @contextmanager
    def alone(self, table: str) -> Iterator[None]:
        """Hold the lock of a table, also of one that is not stored here. Raises HistoryError where somebody else has it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f".{table}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise HistoryError(f"another import or deletion is writing {table}: wait until it has ended, then start this one again") from None
            yield

    def commit(self, table: str, version: int, out: Path, written: dict[str, int], *, replaces_all: bool) -> int:
        """Move the files of `out` into the table and commit them as the version after `version`; returns that version."""
        adds = self.move_in(table, version + 1, out, written)
        stored = self._delta(table)
        schema = Schema.from_arrow(arrow_schema(_declared(table), self.vocabulary))
        try:
            if stored is None:
                create_table_with_add_actions(str(self.folder / table), schema, adds, mode="error", name=table, configuration=_KEEP_LOG)
            else:
                mode = "overwrite" if replaces_all else "append"
                stored.create_write_transaction(adds, mode, schema, commit_properties=CommitProperties(max_commit_retries=0))
        except DeltaError as error:
            raise HistoryError(f"{table} could not be committed ({type(error).__name__}): someone else wrote it; start again") from error
        return version + 1

    def replace(self, table: str, removed: Sequence[str], adds: list[AddAction], replaced: dict[str, str | None]) -> None:
        """Commit the removal of `removed` files for `adds`; `replaced` says which file stands for which, in past versions too.

        Raises HistoryError where it cannot be committed: the table is as it was.
        """
        stored = self._delta(table)
        if stored is None:
            return
        actions = [RemoveAction(path, True, 0, None, {}) for path in removed]  # noqa: FBT003  data_change, by position only
        properties = CommitProperties(custom_metadata={"replaced": json.dumps(replaced)}, max_commit_retries=0)
        try:
            stored.create_write_transaction([*actions, *adds], "append", stored.schema(), commit_properties=properties)
        except DeltaError as error:
            words = (
                f"the deletion could not be committed ({type(error).__name__}), and the rows are still there: is there room on the disk, or did another program"
            )
            raise HistoryError(f"{table}: {words} write the table? Do it again") from error

    def move_in(self, table: str, version: int, out: Path, written: dict[str, int]) -> list[AddAction]:
        """Move a folder of Parquet files to its place as `version`; returns what the log is told of each: path, size, rows."""
        place = self.folder / table / folder_of(version)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            out.rename(place)
        except OSError as error:
            raise HistoryError(f"{table}: version {version} is already being written by someone else; start again") from error
        return [self._add(table, f"{place.name}/{name}", rows) for name, rows in sorted(written.items())]

    def _add(self, table: str, path: str, rows: int) -> AddAction:
        about = (self.folder / table / path).stat()
        return AddAction(path, about.st_size, {}, int(about.st_mtime * 1000), data_change=True, stats=json.dumps({"numRecords": rows}))

    def _sweep(self, table: str, staging: Path) -> None:
        """Remove what a killed writer left: its staging, a folder that was never committed, files that a deletion replaced."""
        shutil.rmtree(staging, ignore_errors=True)
        stored = self._delta(table)
        version = -1 if stored is None else stored.version()
        for folder in (self.folder / table).glob("v*"):
            if folder.name > folder_of(version):
                shutil.rmtree(folder)
        for path in _replaced(stored) if stored is not None else ():
            (self.folder / table / path).unlink(missing_ok=True)

    def _delta(self, table: str) -> DeltaTable | None:
        _declared(table)
        path = str(self.folder / table)
        try:
            return DeltaTable(path) if (self.folder / table / "_delta_log").is_dir() and DeltaTable.is_deltatable(path) else None
        except DeltaError as error:
            raise HistoryError(f"{table} cannot be read ({type(error).__name__}): its log is damaged; restore the folder from a copy") from error


def literal(path: str) -> str:
    """Return the pattern that DuckDB matches with this path alone."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def folder_of(version: int) -> str:
    """Return the name of the folder that a version's new files lie in; names sort like versions, and -1 before all of them."""
    return f"v{version:08d}" if version >= 0 else "v"


def _declared(table: str) -> Table:
    try:
        return STORED[table]
    except KeyError:
        raise HistoryError(f"there is no table {table!r}; tables: {', '.join(STORED)}") from None


def _paths(stored: DeltaTable) -> list[str]:
    return [str(path) for path in pa.table(stored.get_add_actions()).column("path").to_pylist()]


def _replaced(stored: DeltaTable) -> dict[str, str | None]:
    """Return which file stands for which since people were deleted; None where nothing was left of it."""
    found: dict[str, str | None] = {}
    for entry in stored.history():
        found.update(json.loads(entry.get("replaced", "{}")))
    return found


def _followed(paths: Iterable[str], replaced: dict[str, str | None]) -> Iterator[str]:
    for path in paths:
        last: str | None = path
        while last in replaced:
            last = replaced[last]
        if last is not None:
            yield last


def _refuse_other_types(table: str, files: Sequence[str], schema: pa.Schema) -> None:
    """Raise HistoryError when audience.toml has given an attribute another type than its stored rows have."""
    for path in files[:1]:
        stored = pq.read_schema(path)
        for field in schema:
            position = stored.get_field_index(field.name)
            if position >= 0 and stored.field(position).type != field.type:
                raise HistoryError(
                    f"{table}.{field.name} is stored as {stored.field(position).type}, audience.toml now makes it {field.type}: give the new one another name"
                )


def _undeclared(files: Sequence[str], schema: pa.Schema) -> dict[str, int]:
    """Return the stored columns that are not declared any more, each with how many values it has; those without any are not there."""
    found: Counter[str] = Counter()
    for path in files:
        file = pq.ParquetFile(path)
        names = [name for name in file.schema_arrow.names if name not in schema.names]
        for name, column in zip(names, file.read(names).columns if names else (), strict=True):
            found[name] += len(column) - column.null_count
    return {name: values for name, values in found.items() if values}


def _refuse_to_forget(table: str, undeclared: Mapping[str, int], forget: Collection[str]) -> None:
    """Raise HistoryError where a column would be lost that nobody said to forget, or one is to be forgotten that would stay."""
    if kept := sorted(set(forget) - set(undeclared)):
        raise HistoryError(f"--forget {kept[0]}: {table} stores no values under that name that audience.toml no longer declares; nothing was stored")
    if lost := [f"{name} ({values:,} values)" for name, values in undeclared.items() if name not in forget]:
        raise HistoryError(
            f"{table} stores what audience.toml no longer declares: {', '.join(lost)}. An import writes the table anew and would lose it: nothing was stored. "
            f"Put [attributes.{lost[0].split()[0]}] back, or say --forget {lost[0].split()[0]} to leave it out on purpose"
        )


def _conformed(file: pq.ParquetFile, schema: pa.Schema) -> pa.Table:
    names = set(file.schema_arrow.names)
    there = file.read([name for name in schema.names if name in names])
    columns = [there.column(field.name).cast(field.type) if field.name in names else _absent(field, len(there)) for field in schema]
    return pa.table(columns, schema=schema)


def _absent(field: pa.Field, rows: int) -> pa.Array:
    """Return what stands in for a column declared later: false for a flag that is never empty, null otherwise."""
    return pa.nulls(rows, field.type) if field.nullable or field.type != pa.bool_() else pa.repeat(pa.scalar(value=False), rows)


def _silent(_stage: str, _share: float) -> None:
    pass
