"""The files of what was refused: rows with file, line, column and reason, and columns with the rule; never a value."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from features.faults import Faults
from features.permission.special_columns import CODE, RULE, Special


class Rejects:
    """The rejects of one import, written as they come; the file is there only when there are any, and only once all rows were read.

    Parameters
    ----------
    folder : Path
        `Workspace.rejects`; made when needed.
    table : str
        The table imported.
    now : datetime
        Moment of import, which gives the file its name.
    """

    def __init__(self, folder: Path, table: str, now: datetime) -> None:
        self._folder = folder
        self._name = _stem(table, now)
        self._pending = folder / f".{table}.part"
        self._writer: pa.csv.CSVWriter | None = None
        self.rows = 0
        self.path: Path | None = None

    def add(self, file: str, faults: Faults) -> None:
        """Write the faults of some rows of `file`."""
        if not faults:
            return
        table = faults.table()
        table = table.add_column(0, "file", pa.array([file] * len(table), pa.string()))
        if self._writer is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._writer = pa.csv.CSVWriter(self._pending, table.schema)
        self._writer.write_table(table)
        self.rows += len(faults.lines)

    def keep(self) -> None:
        """Close the file and give it its name, before the good rows are committed: a report too many is better than one lost."""
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        self.path = self._pending.replace(_fresh(self._folder, self._name))

    def drop(self) -> None:
        """Remove what was written: the import failed, or an earlier one was killed."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._pending.unlink(missing_ok=True)
        if self.path is not None:
            self.path.unlink(missing_ok=True)
            self.path = None


class Places:
    """Where the rows that passed stand, by their number (from 0, in their order): file and line, in few bytes where lines follow each other."""

    def __init__(self) -> None:
        self.rows = 0
        self._begins: list[int] = []
        self._parts: list[tuple[str, int | npt.NDArray[np.int64]]] = []

    def add(self, file: str, lines: npt.NDArray[np.int64]) -> None:
        """Take down the rows that stand on these rising lines (n,) of `file`."""
        if not len(lines):
            return
        self._begins.append(self.rows)
        self._parts.append((file, int(lines[0]) if int(lines[-1] - lines[0]) == len(lines) - 1 else lines))
        self.rows += len(lines)

    def of(self, rows: npt.NDArray[np.int64]) -> Iterator[tuple[str, npt.NDArray[np.int64], slice]]:
        """Yield, for row numbers (k,) that rise, each file with the lines of some of them, and which of the k these are."""
        part = np.searchsorted(self._begins, rows, side="right") - 1
        edges = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(rows)] if len(rows) else []
        for begin, end in itertools.pairwise(edges):
            file, lines = self._parts[part[begin]]
            within = rows[begin:end] - self._begins[part[begin]]
            yield file, lines + within if isinstance(lines, int) else lines[within], slice(begin, end)


def report_columns(folder: Path, table: str, now: datetime, special: Sequence[Special]) -> Path:
    """Write which columns of an import were refused, by which rule, and how each was found; returns the file: file, column, code, rule, category, found_by."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = {
        "file": [one.file for one in special],
        "column": [one.column for one in special],
        "code": [CODE] * len(special),
        "rule": [RULE] * len(special),
        "category": [one.category for one in special],
        "found_by": [one.found for one in special],
    }
    path = _fresh(folder, f"{_stem(table, now)}-columns")
    pa.csv.write_csv(pa.table({name: pa.array(values, pa.string()) for name, values in fields.items()}), path)
    return path


def _stem(table: str, now: datetime) -> str:
    return f"{table}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _fresh(folder: Path, stem: str) -> Path:
    """Return an empty file of that name, or of that name and a number, that was not there before."""
    for number in itertools.count(1):
        path = folder / f"{stem}{f'-{number}' if number > 1 else ''}.csv"
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            continue
        break
    return path
