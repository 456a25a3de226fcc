"""What the stored tables hold of people, file by file: how many rows there are to delete, and which past versions a model may have learned from."""

# ruff: noqa: S608  the SQL here is made of declared names

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from features.history import History, HistoryError, literal
from features.staging import MEMORY, THREADS
from features.tables import TABLES

_OF_EVERYBODY = ("interactions", "people")
"""The tables that a model's rows are taken from, where they are not those drawn in an experiment."""


@dataclass(frozen=True)
class Held:
    """What is held of each person: rows of the present version by table, the files that hold any, and by experiment those of its assignments."""

    rows: Mapping[str, Mapping[str, int]]
    files: Mapping[str, Mapping[str, frozenset[str]]] = field(repr=False)
    experiments: Mapping[str, Mapping[str, frozenset[str]]] = field(repr=False)

    def learned_from(self, history: History, versions: Mapping[str, int], experiment: str | None) -> frozenset[str]:
        """Return who had rows in the tables, at those versions, that a model was trained on: of an experiment, those drawn in it; else anybody's.

        A version that never was, or is not stated, counts as holding everybody that any version holds.
        """
        learned: set[str] = set()
        for table in _OF_EVERYBODY if experiment is None else ("assignments",):
            try:
                read = frozenset(history.files(table, versions[table]))
            except (KeyError, HistoryError):
                read = None
            for person in self.rows:
                mine = self.files[person].get(table, frozenset()) if experiment is None else self.experiments[person].get(experiment, frozenset())
                if mine if read is None else mine & read:
                    learned.add(person)
        return frozenset(learned)


def held(history: History, people: Sequence[str]) -> Held:
    """Return what all versions of all tables hold of the people. Raises HistoryError for files that cannot be read."""
    rows: dict[str, dict[str, int]] = {person: {} for person in people}
    files: dict[str, dict[str, frozenset[str]]] = {person: {} for person in people}
    experiments: dict[str, dict[str, frozenset[str]]] = {person: {} for person in people}
    settings = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false", "memory_limit": MEMORY, "threads": THREADS}
    with duckdb.connect(config=settings) as database:
        database.register("wanted", pa.table({"person_id": pa.array(people, pa.string())}))
        for table, declared in TABLES.items():
            paths = sorted(str(path) for path in (history.folder / table).glob("v*/*.parquet"))
            if not paths or not any(column.name == "person_id" for column in declared.columns):
                continue
            present = set(history.files(table))
            for person, path, experiment, count in _counted(database, table, paths):
                files[person][table] = files[person].get(table, frozenset()) | {path}
                if experiment is not None:
                    experiments[person][experiment] = experiments[person].get(experiment, frozenset()) | {path}
                if path in present:
                    rows[person][table] = rows[person].get(table, 0) + count
    return Held(rows, files, experiments)


def _counted(database: duckdb.DuckDBPyConnection, table: str, paths: Iterable[str]) -> list[tuple[str, str, str | None, int]]:
    """Return (person, file, experiment or None, rows) of those wanted."""
    experiment = "experiment_id" if table == "assignments" else "NULL"
    query = f"""
        SELECT person_id, filename, {experiment} AS experiment, count(*)
        FROM read_parquet($paths, hive_partitioning = false, filename = true, union_by_name = true)
        SEMI JOIN wanted USING (person_id) GROUP BY ALL
    """
    try:
        return database.execute(query, {"paths": [literal(path) for path in paths]}).fetchall()
    except duckdb.Error as error:
        raise HistoryError(f"{table} cannot be read ({type(error).__name__})") from None
