"""One file's bytes, decompressed when it is gzip or zstd, in blocks that end at a line's end. What it is, is told by its first bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.faults import Faults, ImportFault, is_text

BLOCK = 4 << 20
"""Bytes read at a time: about 25,000 rows."""
LONGEST_LINE = 16 << 20
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_UNREADABLE = {
    b"PK\x03\x04": "a zip archive or an Excel workbook: unpack it, or save the sheet as CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save the sheet as CSV UTF-8",
    b"\xff\xfe": "text in UTF-16: save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`",
    b"\xfe\xff": "text in UTF-16: save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`",
    b"BZh": "compressed with bzip2: compress with gzip or zstd",
    b"\xfd7zXZ": "compressed with xz: compress with gzip or zstd",
}
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Raw:
    """A batch as it stands in the file: rows (n,) of text or Parquet types, their lines (n,), and the lines that are no rows at all."""

    rows: pa.RecordBatch
    lines: npt.NDArray[np.int64]
    faults: Faults

    @property
    def read(self) -> int:
        """How many rows were met, good or not; blank lines are none."""
        return self.rows.num_rows + len(self.faults.lines)


class Source:
    """An opened file. Raises ImportFault, without the file's name, for what is no text, is cut off or cannot be opened."""

    def __init__(self, path: Path) -> None:
        if not is_text(path):
            raise ImportFault("has a name, or lies in a folder with a name, that is not in UTF-8: rename it")
        try:
            self._file = pa.OSFile(str(path))
        except (OSError, pa.ArrowException) as error:
            raise ImportFault(_why_not_opened(path, error)) from None
        self.path = path
        self.size = self._file.size()
        head = self._file.read(8)
        self._file.seek(0)
        self.compression = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
        self._stream = pa.CompressedInputStream(self._file, self.compression) if self.compression else self._file
        self._refuse_what_is_no_table(head)
        self.first = self._first_block()

    @property
    def position(self) -> int:
        """Bytes of the (compressed) file read so far; all of them once it is closed."""
        return self.size if self._file.closed else int(self._file.tell())

    @property
    def is_parquet(self) -> bool:
        """Whether the bytes are Parquet's."""
        return self.first.startswith(b"PAR1")

    @property
    def is_short(self) -> bool:
        """Whether the first block is all there is."""
        return len(self.first) + len(_BOM) < BLOCK

    def blocks(self) -> Iterator[bytes]:
        """Yield the text in blocks, each ending with a line feed but perhaps the last; the byte order mark is left out."""
        rest, more = self.first, True
        while more:
            cut = rest.rfind(b"\n") + 1
            if cut:
                yield rest[:cut]
            rest = rest[cut:]
            if len(rest) > LONGEST_LINE:
                raise ImportFault(f"a line is longer than {LONGEST_LINE >> 20} MiB: is this a table, one row per line?")
            read = self._read(BLOCK)
            more = bool(read)
            rest += read
        if rest:
            yield rest

    def _first_block(self) -> bytes:
        block = self._read(BLOCK)
        if not block:
            raise ImportFault("is empty")
        if self.compression:
            self._refuse_what_is_no_table(block[:8])
        if block.startswith(b"PAR1"):
            if self.compression:
                raise ImportFault(f"is Parquet inside {self.compression}: unpack it first (Parquet is compressed by itself)")
            return block
        if block[:BLOCK].count(b"\0") > len(block) // 8:
            raise ImportFault("is no text: a binary file, or text in UTF-16 or UTF-32; save it as CSV in UTF-8")
        return block.removeprefix(_BOM)

    def _refuse_what_is_no_table(self, head: bytes) -> None:
        for magic, words in _UNREADABLE.items():
            if head.startswith(magic):
                raise ImportFault(f"is {words}")

    def _read(self, size: int) -> bytes:
        try:
            return bytes(self._stream.read(size))
        except OSError as error:
            cut = "truncated" in str(error).lower()
            words = "is cut off: the compressed data ends too early; transfer it again" if cut else "is damaged: its compressed data cannot be unpacked"
            raise ImportFault(words) from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Source:  # noqa: PYI034  nothing derives from it
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _why_not_opened(path: Path, error: Exception) -> str:
    if path.is_dir():
        return "is a folder: name the files in it"
    return "does not exist" if not path.exists() else f"cannot be opened: {type(error).__name__}"
