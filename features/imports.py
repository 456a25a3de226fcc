"""One import: files of the house's own formats, checked row by row, into one commit of one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from features.checks import Checks
from features.faults import Faults, ImportFault, did_you_mean, shown
from features.history import History, Stored
from features.importers.own import OwnFile
from features.importers.source import Raw
from features.permission.ledger import Ledger
from features.permission.ledger_import import append_batches
from features.permission.opening import opened
from features.permission.suppression import LeftOut
from features.rejects import Places, Rejects, report_columns
from features.samples import Sample
from features.tables import TABLES
from features.workspace import Workspace

Progress = Callable[[str, float], None]
_READING = 0.5
"""The share of an import's time that reading takes; sorting and storing take the rest."""
_OF_SOURCES = ("people", "interactions")
_TOLD = 3
"""How many unknown sources a summary names."""
_COUNTED = 1_000
"""How many are told apart: more are no ids of sources, but a column that has slipped."""
_LINE = "_line"
"""The column of line numbers that goes with the rows until they are staged."""


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What became of the rows: `read` = stored + duplicate + updated + rejected + erased.

    `rejects_file` names the refused rows by file, line, column and reason (None when there were none); `version` is the table's
    version afterwards. `dropped` are the columns that were left out unread. `sourceless` of the rows that passed name a source that is not
    in the table `sources`: it was refused, or has not come yet; `unknown_sources` are the ids of the most frequent ones. `erased` counts rows of
    people who were erased: they do not come back. `forgotten` are the columns that the table has lost because `forget` named them.
    """

    read: int
    stored: int
    duplicate: int
    updated: int
    rejected: int
    rejects_file: Path | None
    version: int
    dropped: tuple[str, ...] = ()
    sourceless: int = 0
    unknown_sources: tuple[str, ...] = ()
    erased: int = 0
    forgotten: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = f"{self.stored:,} stored, {self.duplicate:,} duplicate, {self.updated:,} updated, {self.rejected:,} rejected"
        counts += f", {self.erased:,} of erased people left out" if self.erased else ""
        lines = [f"{self.read:,} rows read: {counts}; the table is at version {self.version}"]
        if self.rejects_file:
            lines.append(f"why rows were rejected: {self.rejects_file}")
        if self.dropped:
            lines.append(f"left out unread: {', '.join(self.dropped)}")
        if self.forgotten:
            lines.append(f"no longer in the table, as said: {', '.join(self.forgotten)}; past versions of it still hold them, and an erasure reaches these too")
        if self.sourceless:
            names = f" ({', '.join(self.unknown_sources)})" if self.unknown_sources else ""
            lines.append(f"{self.sourceless:,} rows of a source that is not in the table sources{names}: import sources, or see why one was refused")
        return "\n".join(lines)


def import_files(
    workspace: Workspace,
    table: str,
    paths: Sequence[str | Path],
    *,
    now: datetime,
    drop: Collection[str] = (),
    forget: Collection[str] = (),
    progress: Progress | None = None,
) -> ImportSummary:
    """Import CSV, NDJSON or Parquet files (text plain, gzip or zstd) into `table`, in one commit.

    All files are looked at before the first row is read. A row that cannot be stored goes to the rejects file and stops nothing; rows
    already there are counted as duplicates. The columns in `drop` are not read. A column that tells of a special category (rule L15), by its name
    or by most of the values of a sample, stops the import; a report in the rejects folder names it, the rule and how it was found.
    `forget` names stored attributes that `audience.toml` no longer declares and that this import may leave out of the table; without it, it may not.
    `progress(stage, share)` is told the rows read so far, `share` running from 0 to 1.

    Raises
    ------
    ImportFault
        A file cannot be read, or its columns do not fit. Nothing was stored.
    HistoryError
        Another import is writing the table, or values would be lost that `forget` does not name. Nothing was stored.
    """
    if table not in TABLES:
        raise ImportFault(f"there is no table {table!r}; tables: {', '.join(TABLES)}.{did_you_mean(table, tuple(TABLES))}")
    files = [Path(path) for path in paths]
    if not files:
        raise ImportFault("no file was named")
    checks = Checks(TABLES[table], workspace.vocabulary, now=now, drop=drop)
    try:
        return _imported(workspace, files, checks, progress or (lambda _stage, _share: None), forget)
    except ImportFault as fault:
        if not fault.special:
            raise
        report = report_columns(workspace.rejects, table, now, fault.special)
        raise ImportFault(f"{fault}\nthe report of the columns that were refused: {report}", fault.special) from None


def _imported(workspace: Workspace, files: Sequence[Path], checks: Checks, told: Progress, forget: Collection[str]) -> ImportSummary:
    table = checks.table.name
    sizes = _sizes(files, checks)
    history = History(workspace.tables, workspace.vocabulary)
    rejects = Rejects(workspace.rejects, table, checks.now)
    known = history.read("sources", columns=["source_id"]).column("source_id").combine_chunks() if table in _OF_SOURCES else None
    reading = _Reading(list(zip(files, sizes, strict=True)), checks, rejects, told, unknown=_UnknownSources(known), left_out=LeftOut(workspace))
    try:
        stored = _stored(workspace, history, checks, reading, forget)
    except BaseException:
        reading.abandon()
        raise
    counts = (reading.read, stored.stored, stored.duplicate, stored.updated, rejects.rows, rejects.path, stored.version)
    return ImportSummary(*counts, tuple(sorted(checks.drop)), reading.unknown.rows, reading.unknown.named(), reading.left_out.rows, tuple(stored.forgotten))


def _stored(workspace: Workspace, history: History, checks: Checks, reading: _Reading, forget: Collection[str]) -> Stored:
    """Store what passed, in one commit of its table or of the ledger."""
    if checks.table.ledger:
        if forget:
            raise ImportFault(f"--forget: {checks.table.name} has no attributes")
        with history.alone(checks.table.name), closing(opened(workspace)) as store:  # alone, because of the file of rejects
            return append_batches(Ledger(store, workspace.signing_key()), reading.batches(), now=checks.now)
    return history.append(checks.table.name, reading.batches(), forget=forget, clashing=reading.refuse, progress=reading.storing)


def _sizes(files: Sequence[Path], checks: Checks) -> list[int]:
    """Open each file and close it again, so that the last file's header is known to fit before the first row is stored."""
    sizes: list[int] = []
    wrong: list[ImportFault] = []
    names: set[str] | None = set()
    for path in files:
        try:
            file = OwnFile(path, checks)
            sizes.append(file.size)
            file.close()
            names = names | set(file.names) if names is not None and file.names is not None else None
        except ImportFault as fault:
            wrong.append(fault)
    if wrong:
        raise ImportFault("\n".join(map(str, wrong)), [one for fault in wrong for one in fault.special])
    if names is not None and not checks.drop <= names:
        name = min(checks.drop - names)
        raise ImportFault(f"--drop {name}: no file has a column of that name.{did_you_mean(name, tuple(sorted(names)))}")
    return sizes


class _Reading:
    """Reads the files, each with its size in bytes, one after the other; `read` counts rows, good or not."""

    def __init__(
        self, files: Sequence[tuple[Path, int]], checks: Checks, rejects: Rejects, told: Progress, *, unknown: _UnknownSources, left_out: LeftOut
    ) -> None:
        self.files = files
        self.checks = checks
        self.rejects = rejects
        self.left_out = left_out
        self.told = told
        self.unknown = unknown
        self.read = 0
        self._begun = False
        self._places = Places()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows that passed, batch by batch; the others go to the rejects.

        Raises ImportFault when most of what a column holds tells of a special category: at the first batch already, and at the end of its file.
        """
        self._begun = True
        self.rejects.drop()
        self.left_out.begin()
        done, total = 0, max(sum(size for _, size in self.files), 1)
        for path, size in self.files:
            file, sample = OwnFile(path, self.checks), Sample(self.checks.watched)
            with closing(file.batches()) as raws:
                for number, raw in enumerate(raws):
                    sample.add(raw.rows)
                    if not number:
                        _refuse_special(path, sample, self.checks)
                    yield self._checked(path, raw)
                    share = (done + size * min(1.0, file.share)) / total
                    self.told(f"reading {self.read:,} rows", _READING * share)
            _refuse_special(path, sample, self.checks)
            done += size
        if self.checks.table.ledger:
            self.rejects.keep()

    def _checked(self, path: Path, raw: Raw) -> pa.RecordBatch:
        checked = self.checks.rows(raw.rows, raw.lines)
        self.read += raw.read
        raw.faults.extend(checked.faults)
        self.rejects.add(str(path), raw.faults)
        kept = self.left_out.kept(checked.rows.append_column(_LINE, pa.array(checked.lines)))
        self._places.add(str(path), kept.column(_LINE).to_numpy())
        kept = kept.drop_columns(_LINE)
        self.unknown.add(kept)
        return kept

    def refuse(self, clashes: pa.Table) -> None:
        """Put rows that have the key of another one among the rejects, which are all there then; the others are stored after that."""
        sources = clashes.column("same").to_pylist()
        for path, lines, which in self._places.of(clashes.column("row").to_numpy()):
            faults = Faults()
            faults.add(lines, self.checks.table.key[0], [_clash(source) for source in sources[which]])
            self.rejects.add(path, faults)
        self.rejects.keep()

    def storing(self, stage: str, share: float) -> None:
        """Tell how far the sorting and storing of the rows has come."""
        self.told(f"{stage} {self.read:,} rows", _READING + (1 - _READING) * share)

    def abandon(self) -> None:
        """Remove the rejects of an import that failed; not those of another that holds the table."""
        if self._begun:
            self.rejects.drop()


def _refuse_special(path: Path, sample: Sample, checks: Checks) -> None:
    special = [replace(one, file=str(path)) for one in sample.special()]
    if not special:
        return
    attributes = {attribute.id for attribute in checks.vocabulary.attributes}
    lines = []
    for one in special:
        declare = f"; or declare it: [attributes.{one.column}] of audience.toml with classed_by, why and sensitivity" if one.column in attributes else ""
        lines.append(f"{one.column}  ({one}). Leave it out unread: --drop {one.column}{declare}")
    raise ImportFault("\n  ".join([f"{path}: the content of these columns may not be stored:", *lines]), special)


@lru_cache(maxsize=_COUNTED)
def _clash(source: str) -> str:
    """Return why a row is refused whose id is that of another interaction, of this source."""
    named = f", of source {source!r}" if shown(source, 0) == repr(source) else ""
    return f"is already the id of another interaction{named}: its source, person or time differ. Where each source counts from 1, give its ids a prefix"


class _UnknownSources:
    """Counts rows whose source is not among the `known` ids; without these, counts nothing.

    Such rows are stored: until now any order of imports was right, and the history of an organisation that has no table `sources` at all
    is not worth losing. Permission for a use decides what may be done with them.
    """

    def __init__(self, known: pa.Array | None) -> None:
        self.known = known
        self.rows = 0
        self._counts: Counter[str] = Counter()

    def add(self, rows: pa.RecordBatch) -> None:
        """Count in a batch of rows that passed."""
        if self.known is None or not rows.num_rows:
            return
        counted = pc.value_counts(rows.column("source_id"))
        ids, counts = counted.field("values"), counted.field("counts")
        unknown = pc.invert(pc.is_in(ids, value_set=self.known))
        for name, count in zip(ids.filter(unknown).to_pylist(), counts.filter(unknown).to_pylist(), strict=True):
            self.rows += count
            if name in self._counts or len(self._counts) < _COUNTED:
                self._counts[name] += count

    def named(self) -> tuple[str, ...]:
        """Return the ids that most rows name and that look like ids; a column that has slipped may hold anything."""
        plain = [name for name, _ in self._counts.most_common() if shown(name, 0) == repr(name)]
        return tuple(plain[:_TOLD])
