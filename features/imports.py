"""One import: files of the house's own formats, checked row by row, into one commit of one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from features.checks import Checks
from features.faults import ImportFault, did_you_mean
from features.history import History
from features.importers.own import OwnFile
from features.importers.source import Raw
from features.rejects import Rejects
from features.tables import TABLES
from features.workspace import Workspace

Progress = Callable[[str, float], None]
_READING = 0.5
"""The share of an import's time that reading takes; sorting and storing take the rest."""


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What became of the rows: `read` = stored + duplicate + updated + rejected.

    `rejects_file` names the refused rows by file, line, column and reason (None when there were none); `version` is the table's
    version afterwards.
    """

    read: int
    stored: int
    duplicate: int
    updated: int
    rejected: int
    rejects_file: Path | None
    version: int

    def __str__(self) -> str:
        counts = f"{self.stored:,} stored, {self.duplicate:,} duplicate, {self.updated:,} updated, {self.rejected:,} rejected"
        why = f"\nwhy rows were rejected: {self.rejects_file}" if self.rejects_file else ""
        return f"{self.read:,} rows read: {counts}; the table is at version {self.version}{why}"


def import_files(workspace: Workspace, table: str, paths: Sequence[str | Path], *, now: datetime, progress: Progress | None = None) -> ImportSummary:
    """Import CSV, NDJSON or Parquet files (text plain, gzip or zstd) into `table`, in one commit.

    All files are looked at before the first row is read. A row that cannot be stored goes to the rejects file and stops nothing; rows
    already there are counted as duplicates. `progress(stage, share)` is told the rows read so far, `share` running from 0 to 1.

    Raises
    ------
    ImportFault
        A file cannot be read, or its columns do not fit. Nothing was stored.
    HistoryError
        Another import is writing the table. Nothing was stored.
    """
    if table not in TABLES:
        raise ImportFault(f"there is no table {table!r}; tables: {', '.join(TABLES)}.{did_you_mean(table, tuple(TABLES))}")
    files = [Path(path) for path in paths]
    if not files:
        raise ImportFault("no file was named")
    checks = Checks(TABLES[table], workspace.vocabulary, now=now)
    sizes = _sizes(files, checks)
    rejects = Rejects(workspace.rejects, table, now)
    told = progress or (lambda _stage, _share: None)
    reading = _Reading(files, sizes, checks, rejects, told)
    history = History(workspace.tables, workspace.vocabulary)
    try:
        stored = history.append(
            table, reading.batches(), progress=lambda stage, share: told(f"{stage} {reading.read:,} rows", _READING + (1 - _READING) * share)
        )
    except BaseException:
        reading.abandon()
        raise
    return ImportSummary(reading.read, stored.stored, stored.duplicate, stored.updated, rejects.rows, rejects.path, stored.version)


def _sizes(files: Sequence[Path], checks: Checks) -> list[int]:
    """Open each file and close it again, so that the last file's header is known to fit before the first row is stored."""
    sizes, wrong = [], []
    for path in files:
        try:
            file = OwnFile(path, checks)
            sizes.append(file.size)
            file.close()
        except ImportFault as fault:
            wrong.append(str(fault))
    if wrong:
        raise ImportFault("\n".join(wrong))
    return sizes


class _Reading:
    """Reads the files one after the other; `read` counts rows, good or not."""

    def __init__(self, files: Sequence[Path], sizes: Sequence[int], checks: Checks, rejects: Rejects, told: Progress) -> None:
        self.files = files
        self.sizes = sizes
        self.checks = checks
        self.rejects = rejects
        self.told = told
        self.read = 0
        self._begun = False

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows that passed, batch by batch; the others go to the rejects."""
        self._begun = True
        self.rejects.drop()
        done = 0
        for path, size in zip(self.files, self.sizes, strict=True):
            file = OwnFile(path, self.checks)
            for raw in file.batches():
                yield self._checked(path, raw)
                share = (done + size * min(1.0, file.share)) / max(sum(self.sizes), 1)
                self.told(f"reading {self.read:,} rows", _READING * share)
            done += size
        self.rejects.keep()

    def _checked(self, path: Path, raw: Raw) -> pa.RecordBatch:
        checked = self.checks.rows(raw.rows, raw.lines)
        self.read += raw.read
        raw.faults.extend(checked.faults)
        self.rejects.add(str(path), raw.faults)
        return checked.rows

    def storing(self, stage: str, share: float) -> None:
        """Tell how far the sorting and storing of the rows has come."""
        self.told(f"{stage} {self.read:,} rows", _READING + (1 - _READING) * share)

    def abandon(self) -> None:
        """Remove the rejects of an import that failed; not those of another that holds the table."""
        if self._begun:
            self.rejects.drop()
