"""Taking people's rows out of files that somebody put into the workspace: CSV, NDJSON (plain, gzip, zstd) and Parquet. What stays is left byte for byte.

A row is theirs where its `person_id` is. A file without such a column is left as it is, and so is one that cannot be read: the scan afterwards names it.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.permission.scanning import held_by_bytes, needles

Ready = Callable[[Path], None]
Told = Callable[[Iterator[str]], Iterator[tuple[str, str | None]]]
"""Lines as they stand, each with whose it is."""
COLUMN = "person_id"
_DELIMITERS = (",", ";", "\t", "|")
_GZIP, _ZSTD, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"


def strike_rows(path: Path, people: Collection[str], *, ready: Ready | None = None) -> Counter[str]:
    """Rewrite a file without the rows of these people, in one step; return how many rows each had. Raises OSError; ValueError for what cannot be read.

    `ready` is told the new file, if there is one, just before it takes the old one's place.
    """
    with path.open("rb") as file:
        head = file.read(4)
    if head == _PARQUET:
        return _strike_parquet(path, frozenset(people))
    return _strike_text(path, head, lambda lines: _rows(lines, frozenset(people)), ready)


def strike_lines(path: Path, people: Collection[str]) -> Counter[str]:
    """Rewrite a text file without the lines in which one of the ids stands, in one step; return how many lines each had. Raises OSError."""
    wanted = needles(people)

    def lines_of(lines: Iterator[str]) -> Iterator[tuple[str, str | None]]:
        for line in lines:
            held = held_by_bytes(line.encode("utf-8", "surrogateescape"), wanted, text=True)
            yield line, min(held, default=None)

    with path.open("rb") as file:
        head = file.read(4)
    return _strike_text(path, head, lines_of)


def _strike_text(path: Path, head: bytes, told: Told, ready: Ready | None = None) -> Counter[str]:
    """Write the lines that are nobody's to a new file, which takes the old one's place if any was somebody's."""
    struck: Counter[str] = Counter()
    fresh = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        with ExitStack() as stack:
            source, target = _opened(path, fresh, head, stack)
            lines = io.TextIOWrapper(cast("IO[bytes]", source), encoding="utf-8", errors="surrogateescape", newline="")
            stack.callback(lines.detach)
            for line, person in told(iter(lines)):
                if person is None:
                    target.write(line.encode("utf-8", "surrogateescape"))
                else:
                    struck[person] += 1
        if struck:
            if ready is not None:
                ready(fresh)
            _take_place(fresh, path)
    except (csv.Error, EOFError, pa.ArrowException) as error:
        raise ValueError(f"cannot be read as a table ({type(error).__name__})") from None
    finally:
        fresh.unlink(missing_ok=True)
    return struck


def _opened(path: Path, fresh: Path, head: bytes, stack: ExitStack) -> tuple[Any, Any]:
    if head.startswith(_ZSTD):
        return stack.enter_context(pa.input_stream(str(path), compression="zstd")), stack.enter_context(pa.output_stream(str(fresh), compression="zstd"))
    if head.startswith(_GZIP):
        return stack.enter_context(gzip.open(path, "rb")), stack.enter_context(gzip.open(fresh, "wb"))
    return stack.enter_context(path.open("rb")), stack.enter_context(fresh.open("wb"))


def _rows(lines: Iterator[str], people: frozenset[str]) -> Iterator[tuple[str, str | None]]:
    """Yield each record as it stands in the file, and whose it is of the people; NDJSON by its first line, else CSV."""
    header = ""
    for header in lines:
        if header.strip("\ufeff \t\r\n"):
            break
        yield header, None
    if header.lstrip("\ufeff \t").startswith("{"):
        for line in chain([header], lines):
            yield line, _person_of(line, people)
        return
    yield header, None
    text = header.lstrip("\ufeff")
    delimiter = max(_DELIMITERS, key=text.count)
    names = [name.strip() for name in next(csv.reader([text], delimiter=delimiter), [])]
    if COLUMN not in names:
        yield from ((line, None) for line in lines)
        return
    place, taken = names.index(COLUMN), _Taken(lines)
    for record in csv.reader(taken, delimiter=delimiter):
        person = record[place].strip() if len(record) > place else None
        yield taken.give(), person if person in people else None


class _Taken:
    """Lines on their way to a reader; `give` returns what it took since the last time, as it stood."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self._taken = lines, list[str]()

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self._taken.append(line)
            yield line

    def give(self) -> str:
        taken, self._taken = "".join(self._taken), []
        return taken


def _person_of(line: str, people: frozenset[str]) -> str | None:
    try:
        row = json.loads(line) if line.strip() else None
    except (ValueError, RecursionError):
        return None
    person = row.get(COLUMN) if isinstance(row, dict) else None
    return person if isinstance(person, str) and person in people else None


def _strike_parquet(path: Path, people: frozenset[str]) -> Counter[str]:
    struck: Counter[str] = Counter()
    fresh = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    wanted = pa.array(sorted(people), pa.large_string())
    try:
        with pq.ParquetFile(path) as stored:
            if COLUMN not in stored.schema_arrow.names:
                return struck
            codec = stored.metadata.row_group(0).column(0).compression if stored.num_row_groups else "SNAPPY"
            with pq.ParquetWriter(fresh, stored.schema_arrow, compression="none" if codec == "UNCOMPRESSED" else codec.lower()) as writer:
                for number in range(stored.num_row_groups):
                    group = stored.read_row_group(number)
                    ids = group.column(COLUMN).cast(pa.large_string())
                    theirs = pc.fill_null(pc.is_in(ids, value_set=wanted), fill_value=False)
                    struck.update(ids.filter(theirs).to_pylist())
                    writer.write_table(group.filter(pc.invert(theirs)))
        if struck:
            _take_place(fresh, path)
    except pa.ArrowException as error:
        raise ValueError(f"cannot be read as Parquet ({type(error).__name__})") from None
    finally:
        fresh.unlink(missing_ok=True)
    return struck


def _take_place(fresh: Path, path: Path) -> None:
    shutil.copymode(path, fresh)
    descriptor = os.open(fresh, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(path)
