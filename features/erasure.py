"""Deleting rows from the stored tables, such as those of people: every file that holds them is rewritten without them, those of past versions too."""

# ruff: noqa: S608  the SQL here is made of declared column names and file paths

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from features.staging import STORED_AS, connection, location, quoted, sorted_by, text
from features.tables import STORED

if TYPE_CHECKING:
    from features.history import History


def erase(history: History, ids: Sequence[str]) -> dict[str, int]:
    """Remove all rows of `ids` from all tables that name persons; returns rows removed per table, of the present versions.

    All tables are locked first, so that no import brings the people back meanwhile. Killed in the middle, it leaves each table
    either with or without them; do it again.
    """
    tables = [name for name, table in STORED.items() if any(column.name == "person_id" for column in table.columns)]
    erased = pa.table({"person_id": pa.array(ids, pa.string())})
    with locked(history, tables) as staging:
        return strike(history, staging, dict.fromkeys(tables, "person_id IN (SELECT person_id FROM erased)" if ids else ""), {"erased": erased})


@contextmanager
def locked(history: History, tables: Iterable[str]) -> Iterator[Mapping[str, Path]]:
    """Hold the locks of tables, so that nobody else writes them; yields the staging folder of each. Raises HistoryError where another writer has one."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(history.writing(name)) for name in tables}


def strike(history: History, staging: Mapping[str, Path], doomed: Mapping[str, str], relations: Mapping[str, pa.Table]) -> dict[str, int]:
    """Remove the rows for which a condition holds, by table; returns rows removed per table, of the present versions.

    `staging`: the tables are `locked`. A condition is SQL over the columns of its table and over `relations`, which are there by their names; an empty one
    holds for no row. Interruptions as for `erase`.
    """
    return {name: _strike_from(history, name, staging[name], condition, relations) for name, condition in doomed.items()}


def _strike_from(history: History, table: str, staging: Path, condition: str, relations: Mapping[str, pa.Table]) -> int:
    version = history.version(table)
    root = history.folder / table
    files = sorted(str(path.relative_to(root)) for path in root.glob("v*/*.parquet"))
    if not condition or not files:
        return 0
    with connection(staging) as database:
        for name, relation in relations.items():
            database.register("given", relation)
            database.execute(f"CREATE TEMP TABLE {quoted(name)} AS FROM given")
            database.unregister("given")
        holding = {path: rows for path in files if (rows := _holding(database, root / path, condition))}
        if not holding:
            return 0
        out = staging / "out"
        out.mkdir()
        rewritten = {path: _rewrite(database, root / path, out / f"part-{number:05d}.parquet", condition, table) for number, path in enumerate(holding)}
    present = {str(Path(path).relative_to(root)) for path in history.files(table)}
    written = {name: rows for name, rows in rewritten.values() if rows}
    adds = {add.path: add for add in history.move_in(table, version + 1, out, written)}
    folder = Path(next(iter(adds))).parent.name if adds else ""
    replaced = {path: f"{folder}/{name}" if rows else None for path, (name, rows) in rewritten.items()}
    current = [path for path in holding if path in present]
    history.replace(table, current, [adds[new] for path in current if (new := replaced[path]) is not None], replaced)
    for path in holding:
        (root / path).unlink()
    return sum(holding[path] for path in current)


def _holding(database: duckdb.DuckDBPyConnection, path: Path, condition: str) -> int:
    found = database.execute(f"SELECT count(*) FROM {_read(path)} WHERE {condition}").fetchone()
    return int(found[0]) if found else 0


def _read(path: Path) -> str:
    return f"read_parquet({location(str(path))}, hive_partitioning = false)"  # a folder `topic=housing` above the workspace says nothing of its rows


def _rewrite(database: duckdb.DuckDBPyConnection, path: Path, out: Path, condition: str, table: str) -> tuple[str, int]:
    """Write the file again without the rows for which the condition holds; returns its new name and its rows, 0 when none are left."""
    database.execute(f"CREATE OR REPLACE TEMP VIEW remaining AS FROM {_read(path)} WHERE ({condition}) IS NOT TRUE")
    order = ", ".join(map(quoted, sorted_by(STORED[table])))
    copied = database.execute(f"COPY (FROM remaining ORDER BY {order}) TO {text(str(out))} ({STORED_AS})").fetchone()
    rows = int(copied[0]) if copied else 0
    if not rows:
        out.unlink()
    return out.name, rows
