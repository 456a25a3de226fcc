"""Deleting people from the stored tables: every file that holds them is rewritten without them, those of past versions too."""

# ruff: noqa: S608  the SQL here is made of declared column names and file paths

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from features.staging import connection, quoted, sorted_by, text
from features.tables import STORED

if TYPE_CHECKING:
    from features.history import History


def erase(history: History, ids: Sequence[str]) -> dict[str, int]:
    """Remove all rows of `ids` from all tables that name persons; returns rows removed per table, of the present versions.

    All tables are locked first, so that no import brings the people back meanwhile. Killed in the middle, it leaves each table
    either with or without them; do it again.
    """
    tables = [name for name, table in STORED.items() if any(column.name == "person_id" for column in table.columns)]
    with ExitStack() as stack:
        staging = {name: stack.enter_context(history.writing(name)) for name in tables}
        return {name: _erase_from(history, name, staging[name], ids) for name in tables}


def _erase_from(history: History, table: str, staging: Path, ids: Sequence[str]) -> int:
    version = history.version(table)
    root = history.folder / table
    files = sorted(str(path.relative_to(root)) for path in root.glob("v*/*.parquet"))
    if not ids or not files:
        return 0
    with connection(staging) as database:
        database.register("given", pa.table({"person_id": pa.array(ids, pa.string())}))
        database.execute("CREATE TEMP TABLE erased AS FROM given")
        holding = {path: rows for path in files if (rows := _holding(database, root / path))}
        if not holding:
            return 0
        out = staging / "out"
        out.mkdir()
        rewritten = {path: _rewrite(database, root / path, out, number, table) for number, path in enumerate(holding)}
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


def _holding(database: duckdb.DuckDBPyConnection, path: Path) -> int:
    found = database.execute(f"SELECT count(*) FROM read_parquet({text(str(path))}) SEMI JOIN erased USING (person_id)").fetchone()
    return int(found[0]) if found else 0


def _rewrite(database: duckdb.DuckDBPyConnection, path: Path, out: Path, number: int, table: str) -> tuple[str, int]:
    """Write the file again without the erased people; returns its new name and its rows, 0 when none are left."""
    database.execute(f"CREATE OR REPLACE TEMP VIEW remaining AS FROM read_parquet({text(str(path))}) ANTI JOIN erased USING (person_id)")
    name = f"part-{number:05d}.parquet"
    order = ", ".join(map(quoted, sorted_by(STORED[table])))
    copied = database.execute(f"COPY (FROM remaining ORDER BY {order}) TO {text(str(out / name))} (FORMAT parquet)").fetchone()
    rows = int(copied[0]) if copied else 0
    if not rows:
        (out / name).unlink()
    return name, rows
