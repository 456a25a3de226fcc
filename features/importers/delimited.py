"""CSV (RFC 4180) in UTF-8: raw rows as text, with the line each stands on.

Blocks without quotes go through Arrow's parser; a block that holds a quote, an odd line end or bytes that are no UTF-8 goes through
the standard library's, which knows exactly where a record begins. Both give the same rows; a test holds them to it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from features.faults import Faults, ImportFault
from features.importers.source import Raw, Source

LONGEST_RECORD = 1 << 20
"""Bytes after which a quote that is still open counts as never closed."""
_DELIMITERS = (",", ";", "\t", "|")
_NO_ROWS = "has a header and no rows"
_SURROGATES = ("\udc80", "\udcff")


def delimited(source: Source, check_header: Callable[[Sequence[str]], None], drop: Collection[str] = ()) -> Iterator[Raw]:
    """Return the file's rows in batches, without the columns in `drop`, having checked the header with `check_header(names)`.

    The delimiter is the one of comma, semicolon, tab and bar that the header line holds most often. Raises ImportFault for a header
    that cannot be read and for a file without rows; a bad record becomes a fault of the line it starts on.
    """
    blocks = source.blocks()
    header, body, first_line = _split_header(next(blocks, b""))
    names, delimiter = _names(header)
    check_header(names)
    if not body.strip():
        body += next(blocks, b"")  # a last line without a line feed is a block of its own
    if not body.strip() and source.is_short:
        raise ImportFault(_NO_ROWS)
    return _batches(_rejoined(body, blocks), _Reader(tuple(names), delimiter, drop), first_line)


def _split_header(block: bytes) -> tuple[str, bytes, int]:
    """Return the first line that is not blank, the bytes after it, and the number of the line they start on."""
    line = 1
    while block:
        header, end, body = block.partition(b"\n")
        line += 1
        if not header.strip():
            block = body
            continue
        if b"\r" in header.rstrip(b"\r"):
            raise ImportFault("has lines that end in a lone carriage return: save it with line feeds (\\n)")
        try:
            return header.decode(), body if end else b"", line
        except UnicodeDecodeError:
            raise ImportFault("has a header that is not UTF-8: convert it, for example with `iconv -f WINDOWS-1252 -t UTF-8`") from None
    raise ImportFault("is empty: there are only blank lines")


def _names(header: str) -> tuple[list[str], str]:
    delimiter = max(_DELIMITERS, key=header.count)
    try:
        names = next(csv.reader([header], delimiter=delimiter, strict=True))
    except csv.Error:
        raise ImportFault("has a header whose quotes do not match") from None
    return [name.strip() for name in names], delimiter


def _rejoined(body: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    if body:
        yield body
    yield from blocks


def _batches(blocks: Iterator[bytes], reader: _Reader, line: int) -> Iterator[Raw]:
    rows, rest = 0, b""
    block = next(blocks, None)
    while block is not None:
        following = next(blocks, None)
        raw, rest, line = reader.read(rest + block, line, last=following is None)
        rows += raw.read
        yield raw
        block = following
    if not rows:
        raise ImportFault(_NO_ROWS)


class _Reader:
    """Turns blocks of whole lines into raw batches; what is left of a record that goes on in the next block is handed back.

    Of the columns in `drop` only their place in a line is known: their cells are not looked at.
    """

    def __init__(self, names: tuple[str, ...], delimiter: str, drop: Collection[str] = ()) -> None:
        self.names = names
        self.delimiter = delimiter
        self.kept = [place for place, name in enumerate(names) if name not in drop]
        self.schema = pa.schema([(names[place], pa.string()) for place in self.kept])

    def read(self, block: bytes, line: int, *, last: bool) -> tuple[Raw, bytes, int]:
        """Return the batch, the bytes left over, and the line they start on."""
        line_ends = b"\r" not in block or block.count(b"\r") == block.count(b"\r\n")
        plain = line_ends and b'"' not in block and b"\0" not in block
        if plain:
            try:
                raw, lines = self._by_arrow(block, line)
                return raw, b"", line + lines
            except pa.ArrowInvalid:  # bytes that are no UTF-8: find out which lines
                pass
        return self._by_record(block, line, last=last)

    def _by_arrow(self, block: bytes, line: int) -> tuple[Raw, int]:
        faults, odd = Faults(), []

        def ragged(row: pa.csv.InvalidRow) -> str:
            odd.append(row.number - 1)
            faults.add(line + row.number - 1, "", self._ragged(row.actual_columns))
            return "skip"

        table = pa.csv.read_csv(
            pa.BufferReader(block),
            read_options=pa.csv.ReadOptions(column_names=self.names, use_threads=False, block_size=len(block) + 1),
            parse_options=pa.csv.ParseOptions(delimiter=self.delimiter, quote_char=False, ignore_empty_lines=False, invalid_row_handler=ragged),
            convert_options=pa.csv.ConvertOptions(
                include_columns=self.schema.names,
                column_types=self.schema,
                strings_can_be_null=True,
                null_values=[""],
                quoted_strings_can_be_null=True,
                check_utf8=True,
            ),
        )
        count = table.num_rows + len(odd)
        lines = np.delete(np.arange(line, line + count, dtype=np.int64), odd)
        arrays = [column.combine_chunks() for column in table.columns]
        return _without_blank(pa.record_batch(arrays, schema=self.schema), lines, faults), count

    def _by_record(self, block: bytes, first: int, *, last: bool) -> tuple[Raw, bytes, int]:
        text = block.decode(errors="surrogateescape")
        texts = list(io.StringIO(text, newline="\n"))
        faults, records, lines = Faults(), [], []
        start = 0
        while start < len(texts):
            reader = csv.reader(islice(texts, start, None), delimiter=self.delimiter, strict=True)
            offset = 0
            try:
                for record in reader:
                    if self._is_row(record, first + start + offset, faults):
                        records.append([record[place] for place in self.kept])
                        lines.append(first + start + offset)
                    offset = reader.line_num
                break
            except csv.Error as error:
                start += offset
                left = sum(len(line) for line in islice(texts, start, None))
                if "unexpected end" in str(error) and not last and left < LONGEST_RECORD:
                    rest = "".join(texts[start:]).encode(errors="surrogateescape")
                    return self._raw(records, lines, faults), rest, first + start
                faults.add(first + start, "", _quoting(str(error)))
                start += 1
        return self._raw(records, lines, faults), b"", first + len(texts)

    def _is_row(self, record: list[str], line: int, faults: Faults) -> bool:
        if record and len(record) != len(self.names):
            faults.add(line, "", self._ragged(len(record)))
            return False
        if not any(record[place] for place in self.kept if place < len(record)):
            return False
        for name, value in ((self.names[place], record[place]) for place in self.kept):
            if not value.isascii() and any(_SURROGATES[0] <= letter <= _SURROGATES[1] for letter in value):
                faults.add(line, name, "is not UTF-8: convert the file, for example with `iconv -f WINDOWS-1252 -t UTF-8`")
                return False
        return True

    def _raw(self, records: list[list[str]], lines: list[int], faults: Faults) -> Raw:
        columns = zip(*records, strict=True) if records else [()] * len(self.kept)
        arrays = [pa.array(column, pa.string()) for column in columns]
        return Raw(pa.record_batch(arrays, schema=self.schema), np.asarray(lines, dtype=np.int64), faults)

    def _ragged(self, cells: int) -> str:
        return f"the row has {cells} cells, the header has {len(self.names)}"


def _without_blank(rows: pa.RecordBatch, lines: np.ndarray, faults: Faults) -> Raw:
    """Leave out rows that are empty in every column: blank lines."""
    if rows.num_rows and all(column.null_count for column in rows.columns):
        blank = rows.column(0).is_null()
        for column in rows.columns[1:]:
            blank = pc.and_(blank, column.is_null())
        kept = pc.invert(blank)
        return Raw(rows.filter(kept), lines[kept.to_numpy(zero_copy_only=False)], faults)
    return Raw(rows, lines, faults)


def _quoting(error: str) -> str:
    if "field limit" in error:
        return f"a cell is longer than {csv.field_size_limit()} characters, or a quote is never closed"
    if "unexpected end" in error:
        return "a quote is opened and never closed"
    if "new-line" in error:
        return "holds a carriage return outside quotes"
    return "has text after a closing quote: double the quotes inside a cell"
