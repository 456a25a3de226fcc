"""Where one import waits before it is stored: checked batches on disk, freed of duplicates and sorted by DuckDB in bounded memory.

Keys are compared by their 64-bit hash first; only rows whose hash comes twice have their keys compared themselves, so that twenty
million text ids need no table of texts in memory. What does not fit spills into the staging folder.
"""

# ruff: noqa: S608  the SQL here is made of declared column names, file paths and quoted texts

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from features.history import literal
from features.tables import Table

MEMORY = "900MB"
"""What DuckDB may hold before it spills; Python, Arrow and the allocators come on top: under 2 GB together."""
THREADS = 2
ROWS_PER_FILE = 2_500_000
"""Rows of one stored file: what is sorted in memory at a time, and what the deletion of a person rewrites."""
ROWS_PER_GROUP = 122_880
"""Rows of a Parquet row group: what the look-up of one person's history reads."""
STORED_AS = f"FORMAT parquet, COMPRESSION uncompressed, ROW_GROUP_SIZE {ROWS_PER_GROUP}"
"""How stored files are written: dictionaries make them small, and LZ4 would save a sixth of the disk and cost a refresh, which mostly unpacks, an eighth."""
_SAMPLE = 200_000
_SQL = {"string": "VARCHAR", "timestamp[us, tz=UTC]": "TIMESTAMPTZ", "double": "DOUBLE", "int64": "BIGINT", "bool": "BOOLEAN"}


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the staged rows; the three, and the rows of `clashes`, add up to them.

    A clash is a row that has the key of another one and is not the same (`Table.same`): its number `row` (from 0, in the order of writing), and `same`, what
    the other one says in the first of these columns. It is not stored.
    """

    stored: int
    duplicate: int
    updated: int
    clashes: pa.Table


@contextmanager
def connection(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open DuckDB in memory, spilling into `folder`, without extensions from outside, in UTC."""
    spill = folder / "spill"
    spill.mkdir(parents=True, exist_ok=True)
    settings = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "memory_limit": MEMORY,
        "temp_directory": str(spill),
        "threads": THREADS,
    }
    with duckdb.connect(config=settings) as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


class Staging:
    """The rows of one import in `folder`; `schema` is the stored one."""

    def __init__(self, folder: Path, table: Table, schema: pa.Schema) -> None:
        self.folder = folder
        self.table = table
        self.schema = schema
        self.rows = 0
        self._file = folder / "staged.parquet"
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, batches: Iterable[pa.RecordBatch]) -> int:
        """Write the batches down in their order; returns the number of rows."""
        unique = {"person_id", *self.table.key}
        repeated = [field.name for field in self.schema if field.type == pa.string() and field.name not in unique]
        with pq.ParquetWriter(self._file, self.schema, compression="lz4", use_dictionary=repeated, write_statistics=False, store_schema=False) as writer:
            for pending in _gathered(batches, self.schema, ROWS_PER_GROUP):
                writer.write_table(pending, row_group_size=ROWS_PER_GROUP)
                self.rows += pending.num_rows
        return self.rows

    def merge(self, files: Sequence[str], out: Path, progress: Callable[[float], None], *, anew: bool = False) -> tuple[Counts, dict[str, int]]:
        """Write what is to be stored into `out`, sorted; returns the counts and the rows of each file written there.

        For an append-only table these are the new rows alone; otherwise the whole table, `files` being its present ones.
        Nothing is written when nothing is new, unless a table is to be written `anew` as it is declared.
        """
        with connection(self.folder) as database:
            self._views(database, files)
            counts = self._drop_known(database) if self.table.append_only else self._drop_same(database)
            progress(0.1)
            if not counts.stored + counts.updated and not anew:
                return counts, {}
            fresh = counts.stored + counts.updated
            rows = fresh if self.table.append_only else _count(database, "outgoing")
            written = write_sorted(database, "outgoing", rows, self.order, out=out, progress=lambda share: progress(0.1 + 0.9 * share))
        return counts, written

    @property
    def order(self) -> tuple[str, ...]:
        """The columns that stored rows are sorted by: person, time, key."""
        return sorted_by(self.table)

    @property
    def _keys(self) -> str:
        return ", ".join(map(quoted, self.table.key))

    def _views(self, database: duckdb.DuckDBPyConnection, files: Sequence[str]) -> None:
        numbered = f"read_parquet({location(str(self._file))}, file_row_number = true, hive_partitioning = false)"
        database.execute(f"CREATE TEMP VIEW staged AS SELECT * EXCLUDE (file_row_number), file_row_number AS _row FROM {numbered}")
        database.execute(f"CREATE TEMP VIEW existing AS {select(database, files, self.schema)}")
        database.execute("CREATE TEMP TABLE dropped (_row BIGINT)")
        database.execute("CREATE TEMP TABLE clashes (_row BIGINT, same VARCHAR)")
        database.execute("CREATE TEMP VIEW fresh AS SELECT * FROM staged ANTI JOIN dropped USING (_row)")

    def _drop_repeated(self, database: duckdb.DuckDBPyConnection) -> None:
        """Of equal keys within the import keep the first (append-only) or the last."""
        order = "_row" if self.table.append_only else "_row DESC"
        database.execute(f"CREATE TEMP TABLE twice AS SELECT hash({self._keys}) AS h FROM staged GROUP BY h HAVING count(*) > 1")
        if _count(database, "twice"):
            first = ", ".join(f"first_value({quoted(name)}) OVER w AS _{name}" for name in self.table.same) or "NULL"
            other = " OR ".join(f"_{name} <> {quoted(name)}" for name in self.table.same) or "false"
            repeats = f"SELECT *, row_number() OVER w AS n, {first} FROM fresh WHERE hash({self._keys}) IN (FROM twice)"
            database.execute(
                f"""CREATE TEMP TABLE repeated AS SELECT _row, {other} AS other, {f"_{self.table.same[0]}" if self.table.same else "NULL"} AS same
                FROM ({repeats} WINDOW w AS (PARTITION BY {self._keys} ORDER BY {order})) WHERE n > 1"""
            )
            database.execute("INSERT INTO clashes SELECT _row, same FROM repeated WHERE other")
            database.execute("INSERT INTO dropped SELECT _row FROM repeated")
        database.execute("DROP TABLE twice")

    def _drop_known(self, database: duckdb.DuckDBPyConnection) -> Counts:
        """Append-only: drop what is already stored, whatever else the row says; what is another thing by a known key clashes."""
        hashed = f"SELECT hash({self._keys}) AS h FROM"
        database.execute(f"CREATE TEMP TABLE known AS SELECT DISTINCT h FROM ({hashed} staged) SEMI JOIN ({hashed} existing) USING (h)")
        if _count(database, "known"):
            near, same = f"WHERE hash({self._keys}) IN (FROM known)", ", ".join(map(quoted, (*self.table.key, *self.table.same)))
            database.execute(f"INSERT INTO dropped SELECT _row FROM (FROM fresh {near}) SEMI JOIN (SELECT {same} FROM existing {near}) USING ({same})")
            if self.table.same and _count(database, f"fresh {near}"):
                there = f"SELECT {self._keys}, {quoted(self.table.same[0])} AS _same FROM existing {near}"
                database.execute(
                    f"INSERT INTO clashes SELECT _row, any_value(_same) FROM (FROM fresh {near}) JOIN ({there}) USING ({self._keys}) GROUP BY _row"
                )
                database.execute("INSERT INTO dropped SELECT _row FROM clashes")
        self._drop_repeated(database)
        database.execute("CREATE TEMP VIEW outgoing AS FROM fresh")
        dropped, clashes = _count(database, "dropped"), self._clashes(database)
        return Counts(stored=self.rows - dropped, duplicate=dropped - len(clashes), updated=0, clashes=clashes)

    def _clashes(self, database: duckdb.DuckDBPyConnection) -> pa.Table:
        rows = database.execute("SELECT _row, same FROM clashes ORDER BY _row").fetchall()
        return pa.table({"row": pa.array([row for row, _ in rows], pa.int64()), "same": pa.array([same for _, same in rows], pa.string())})

    def _drop_same(self, database: duckdb.DuckDBPyConnection) -> Counts:
        """Drop, of replaceable rows, what is stored with the same content; the rest stands in for the stored row of its key."""
        self._drop_repeated(database)
        same = " AND ".join(f"new.{quoted(name)} IS NOT DISTINCT FROM old.{quoted(name)}" for name in self.schema.names)
        joined = f"fresh AS new JOIN existing AS old USING ({self._keys})"
        database.execute(f"CREATE TEMP TABLE kept AS SELECT new._row FROM {joined} WHERE {same}")
        database.execute("INSERT INTO dropped FROM kept")
        updated = _count(database, joined)
        names = ", ".join(map(quoted, self.schema.names))
        database.execute(f"CREATE TEMP VIEW outgoing AS SELECT {names} FROM fresh UNION ALL SELECT {names} FROM existing ANTI JOIN fresh USING ({self._keys})")
        duplicate = _count(database, "dropped")
        return Counts(stored=self.rows - duplicate - updated, duplicate=duplicate, updated=updated, clashes=self._clashes(database))


def sorted_by(table: Table) -> tuple[str, ...]:
    """Return the columns that a table's stored rows are sorted by: the person, the time, the key; as far as it has them."""
    names = [column.name for column in table.columns]
    wanted = ("person_id", "occurred_at", *table.key)
    return tuple(dict.fromkeys(name for name in wanted if name in names))


def select(database: duckdb.DuckDBPyConnection, files: Sequence[str], schema: pa.Schema) -> str:
    """Return the query that reads stored files in `schema`; a column that they do not have yet is null, or false where it is a flag that is never empty."""
    absent = {field.name: _absent(field) for field in schema}
    if not files:
        return "SELECT " + ", ".join(f"{value} AS {quoted(name)}" for name, value in absent.items()) + " LIMIT 0"
    source = f"read_parquet([{', '.join(map(location, files))}], union_by_name = true, hive_partitioning = false)"
    there = {row[0] for row in database.execute(f"DESCRIBE FROM {source}").fetchall()}
    cells = [quoted(name) if name in there else f"{value} AS {quoted(name)}" for name, value in absent.items()]
    return f"SELECT {', '.join(cells)} FROM {source}"


def _absent(field: pa.Field) -> str:
    value = "false" if field.type == pa.bool_() and not field.nullable else "NULL"
    return f"CAST({value} AS {_SQL[str(field.type)]})"


def write_sorted(
    database: duckdb.DuckDBPyConnection, relation: str, rows: int, order: Sequence[str], *, out: Path, progress: Callable[[float], None]
) -> dict[str, int]:
    """Write `relation` into Parquet files of `out`, sorted within and between them; returns file name to rows.

    The first sort column is cut into ranges of about ROWS_PER_FILE rows, and one range is sorted at a time: less memory and disk than
    one sort of everything, and a file holds few people.
    """
    out.mkdir(parents=True)
    bounds = _bounds(database, relation, rows, order[0])
    written: dict[str, int] = {}
    for number, (low, high) in enumerate(zip([None, *bounds], [*bounds, None], strict=True)):
        first = quoted(order[0])
        ranges = [f"{first} >= {text(low)}"] if low is not None else []
        ranges += [f"{first} < {text(high)}"] if high is not None else []
        where = f"WHERE {' AND '.join(ranges)}" if ranges else ""
        name = f"part-{number:05d}.parquet"
        names = ", ".join(quoted(column[0]) for column in database.execute(f"DESCRIBE {relation}").fetchall() if column[0] != "_row")
        query = f"SELECT {names} FROM {relation} {where} ORDER BY {', '.join(map(quoted, order))}"
        copied = database.execute(f"COPY ({query}) TO {text(str(out / name))} ({STORED_AS})").fetchone()
        rows_written = int(copied[0]) if copied else 0
        if rows_written:
            written[name] = rows_written
        else:
            (out / name).unlink()
        progress((number + 1) / (len(bounds) + 1))
    return written


def quoted(name: str) -> str:
    """Return a column name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Return a text as SQL."""
    return "'" + value.replace("'", "''") + "'"


def location(path: str) -> str:
    """Return the path of a file to be read as SQL, nothing in it being a pattern."""
    return text(literal(path))


def _bounds(database: duckdb.DuckDBPyConnection, relation: str, rows: int, column: str) -> list[str]:
    """Return the values that cut `column` into ranges of about ROWS_PER_FILE rows, from a sample that depends on its values alone."""
    parts = -(-rows // ROWS_PER_FILE)
    if parts < 2:
        return []
    stride = max(1, rows // _SAMPLE)
    name = quoted(column)
    sample = sorted(row[0] for row in database.execute(f"SELECT {name} FROM {relation} WHERE hash({name}) % {stride} = 0").fetchall())
    return sorted({sample[len(sample) * part // parts] for part in range(1, parts)}) if sample else []


def _count(database: duckdb.DuckDBPyConnection, relation: str) -> int:
    found = database.execute(f"SELECT count(*) FROM {relation}").fetchone()
    return int(found[0]) if found else 0


def _gathered(batches: Iterable[pa.RecordBatch], schema: pa.Schema, rows: int) -> Iterator[pa.Table]:
    """Gather small batches into tables of at least `rows` rows, so that row groups keep their size."""
    pending: list[pa.RecordBatch] = []
    waiting = 0
    for batch in batches:
        pending.append(batch.cast(schema))
        waiting += batch.num_rows
        if waiting >= rows:
            yield pa.Table.from_batches(pending, schema)
            pending, waiting = [], 0
    if waiting:
        yield pa.Table.from_batches(pending, schema)
