"""The house's own formats: a table's columns under their own names, as CSV, NDJSON or Parquet; text plain, gzip or zstd."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from features.checks import Checks
from features.faults import ImportFault, path_words
from features.importers.columnar import columnar
from features.importers.delimited import delimited
from features.importers.ndjson import ndjson
from features.importers.source import Raw, Source


class OwnFile:
    """One file, opened by what its first bytes say it is, its columns checked; every ImportFault names it.

    Parameters
    ----------
    path : Path
        The file; its name's ending is not looked at.
    checks : Checks
        The checks of the table that it holds; its columns in `checks.drop` are not read.

    Attributes
    ----------
    names
        The columns that the file says it has; None as long as that is not known (NDJSON says so line by line).
    """

    def __init__(self, path: Path, checks: Checks) -> None:
        self.path = path
        self.names: tuple[str, ...] | None = None
        self._rows: int | None = None
        self._seen = 0
        with _naming(path):
            self._source = Source(path)
            try:
                self._raws = self._opened(checks)
            except ImportFault:
                self.close()
                raise

    def batches(self) -> Generator[Raw]:
        """Yield the raw batches, once; closes the file at the end, or when the generator is closed."""
        with _naming(self.path), self._source:
            for raw in self._raws:
                self._seen += raw.read
                yield raw

    @property
    def size(self) -> int:
        """Bytes of the file as it lies on the disk."""
        return self._source.size

    @property
    def share(self) -> float:
        """How much of the file has been read, 0 to 1."""
        if self._rows is not None:
            return self._seen / self._rows
        return self._source.position / max(self._source.size, 1)

    def close(self) -> None:
        """Close the file; needed only when its batches are not read to the end."""
        self._source.close()

    def _opened(self, checks: Checks) -> Iterator[Raw]:
        source = self._source

        def header(names: Sequence[str]) -> None:
            self.names = tuple(names)
            checks.header(names)

        if source.is_parquet:
            self._rows, raws = columnar(source, header, checks.types, checks.drop)
            return raws
        if source.first.lstrip()[:1] in {b"{", b"["}:
            return ndjson(source, [column.name for column in checks.columns], checks.header, checks.drop)
        return delimited(source, header, checks.drop)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except ImportFault as fault:
        raise ImportFault(f"{path_words(path)}: {fault}", [replace(one, file=str(path)) for one in fault.special]) from None
