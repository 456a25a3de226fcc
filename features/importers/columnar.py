"""Parquet: raw rows as typed in the file; a row's line is its number, counted from 1."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.faults import Faults, ImportFault
from features.importers.source import Raw, Source

ROWS = 32_768
"""Rows of one batch."""
_BUFFER = 1 << 20


def columnar(
    source: Source, check_header: Callable[[Sequence[str]], None], check_types: Callable[[pa.Schema], None], drop: Collection[str] = ()
) -> tuple[int, Iterator[Raw]]:
    """Return the file's number of rows, and them in batches without the columns in `drop`, having checked columns and types.

    Raises ImportFault for a damaged or empty file.
    """
    try:
        file = pq.ParquetFile(str(source.path), buffer_size=_BUFFER, pre_buffer=False)
        schema = file.schema_arrow
    except (OSError, pa.ArrowException):
        raise ImportFault("is Parquet that cannot be read: it is cut off or damaged; write or transfer it again") from None
    check_header(schema.names)
    kept = [name for name in schema.names if name not in drop]
    check_types(pa.schema([schema.field(name) for name in kept]))
    if not file.metadata.num_rows:
        raise ImportFault("has columns and no rows")
    return file.metadata.num_rows, _batches(file, kept)


def _batches(file: pq.ParquetFile, kept: list[str]) -> Iterator[Raw]:
    line = 1
    try:
        for batch in file.iter_batches(batch_size=ROWS, columns=kept, use_threads=False):
            lines = np.arange(line, line + batch.num_rows, dtype=np.int64)
            line += batch.num_rows
            yield _readable(batch, lines)
    except (OSError, pa.ArrowException):
        raise ImportFault(f"is Parquet that is damaged after row {line - 1}: write or transfer it again") from None


def _readable(batch: pa.RecordBatch, lines: np.ndarray) -> Raw:
    """Leave out rows with texts that are no UTF-8, which Parquet does not check."""
    faults = Faults()
    try:
        batch.validate(full=True)
        return Raw(batch, lines, faults)
    except pa.ArrowInvalid:
        kept = np.ones(batch.num_rows, dtype=bool)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            rows = _not_utf8(column)
            faults.add(lines[rows], name, "is not UTF-8")
            kept[rows] = False
        return Raw(batch.filter(pa.array(kept)), lines[kept], faults)


def _not_utf8(column: pa.Array) -> list[int]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return []
    values = column.cast(pa.large_binary()).to_pylist()
    return [row for row, value in enumerate(values) if value is not None and not _decodes(value)]


def _decodes(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
