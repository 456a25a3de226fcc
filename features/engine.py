"""Runs compiled SQL on DuckDB inside this process: two threads, bounded memory, no extension ever loaded from outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

import duckdb
import pyarrow as pa

from features import query
from features.published import VectorsError
from features.spill import Spill
from features.staging import location

THREADS = 2
MEMORY_LIMIT = "2GB"
"""Beyond this DuckDB spills to a temporary folder."""

BATCH_ROWS = 262_144


class Engine:
    """A DuckDB connection of its own, to be used in a `with` block; its temporary folder goes when the block ends."""

    dialect: query.Dialect = "duckdb"

    def __init__(self, *, threads: int = THREADS, memory_limit: str = MEMORY_LIMIT) -> None:
        self._spill = Spill()
        self._connection = duckdb.connect(
            config={
                "threads": threads,
                "memory_limit": memory_limit,
                "temp_directory": str(self._spill.path),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "allow_community_extensions": False,
                "preserve_insertion_order": False,
            }
        )
        self._connection.execute("SET parquet_metadata_cache = true")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and remove the temporary folder."""
        self._connection.close()
        self._spill.close()

    def files(self, name: str, paths: Sequence[str], columns: Mapping[str, tuple[str, str]]) -> None:
        """Make the relation `name` from Parquet files; `columns` maps each of its columns to (source column, SQL type).

        Times become whole microseconds when their SQL type is `EPOCH_US`. A source column that no file has is null; without files the
        relation is empty.
        """
        source = f"read_parquet([{', '.join(map(location, paths))}], union_by_name = true, hive_partitioning = false)"
        present = self._present(name, source, columns) if paths else set()
        selected = ", ".join(f"{_expression(column, kind, present)} AS {_name(alias)}" for alias, (column, kind) in columns.items())
        self._connection.execute(f"CREATE OR REPLACE VIEW {_name(name)} AS SELECT {selected} " + (f"FROM {source}" if paths else "WHERE false"))

    def _present(self, name: str, source: str, columns: Mapping[str, tuple[str, str]]) -> set[str]:
        """Return the columns that files have. Raises VectorsError where one is text and shall be a number, or the other way: no value is told or made up."""
        found = self._connection.sql(f"FROM {source}")
        types = dict(zip(found.columns, map(str, found.types), strict=True))
        for column, kind in columns.values():
            if column in types and kind in {"VARCHAR", "DOUBLE"} and (types[column] == "VARCHAR") != (kind == "VARCHAR"):
                table = name.removeprefix("all_").removeprefix("stored_")
                was, now = ("text", "a number") if kind == "DOUBLE" else ("a number", "text")
                raise VectorsError(f"{table}.{column} is stored as {was}, audience.toml now makes it {now}: give the new one another name")
        return set(types)

    def register(self, name: str, table: pa.Table) -> None:
        """Make the relation `name` from an Arrow table in memory, without a copy; a table registered before under that name is let go."""
        self._connection.unregister(name)
        self._connection.register(name, table)

    def define(self, name: str, expression: object) -> None:
        """Make the relation `name` of an Ibis expression, which is run whenever the relation is read."""
        self._connection.execute(f"CREATE OR REPLACE VIEW {_name(name)} AS {query.to_sql(expression)}")

    def between(self, name: str, source: str, column: str, low: str | None = None, high: str | None = None) -> None:
        """Make the relation `name` of those records of `source` whose text `column` lies between `low` and `high`, both included."""
        limits = [f"{_name(column)} {sign} {_text(limit)}" for sign, limit in ((">=", low), ("<=", high)) if limit is not None]
        where = f" WHERE {' AND '.join(limits)}" if limits else ""
        self._connection.execute(f"CREATE OR REPLACE VIEW {_name(name)} AS SELECT * FROM {_name(source)}{where}")  # noqa: S608 - names and texts are quoted

    def among(self, name: str, column: str, values: pa.Array, *, blank: Sequence[str] = (), small: bool = False) -> None:
        """Make the relation `name` anew of those of its records whose text `column` is among `values`: read once, and kept; `blank` columns become null.

        Where they are `small` they are kept as they come, which takes less time; else where the engine may spill them.
        """
        self.register("among", pa.table({column: values.cast(pa.string())}))
        rest = f" EXCLUDE ({', '.join(map(_name, blank))})" if blank else ""
        nulls = "".join(f", CAST(NULL AS VARCHAR) AS {_name(one)}" for one in blank)
        sql = f"SELECT *{rest} FROM {_name(name)} WHERE {_name(column)} IN (SELECT {_name(column)} FROM among)"  # noqa: S608 - names are quoted
        if small:
            self.register(f"few_{name}", self.table(sql))
        else:
            self.keep(f"few_{name}", sql)
        self._connection.execute(f"CREATE OR REPLACE VIEW {_name(name)} AS SELECT *{nulls} FROM {_name(f'few_{name}')}")  # noqa: S608 - names are quoted

    def keep(self, name: str, sql: str) -> None:
        """Run `sql` once and keep its result as the relation `name`."""
        self._connection.execute(f"CREATE TEMP TABLE {_name(name)} AS {sql}")

    def table(self, sql: str) -> pa.Table:
        """Return the whole result of `sql`."""
        return self._connection.sql(sql).to_arrow_table()

    def run(self, expression: object) -> pa.Table:
        """Return the whole result of an Ibis expression."""
        return self.table(query.to_sql(expression))

    def batches(self, sql: str, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Yield the result of `sql` as it is made, in batches of about `rows` rows."""
        yield from self._connection.sql(sql).to_arrow_reader(rows)


def _expression(column: str, kind: str, present: set[str]) -> str:
    if column not in present:
        return f"CAST(NULL AS {'BIGINT' if kind == 'EPOCH_US' else kind})"
    return f"epoch_us({_name(column)})" if kind == "EPOCH_US" else f"CAST({_name(column)} AS {kind})"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
