"""Looking for people's ids in files: in their bytes, inside what is compressed, and in the cells of Parquet and Arrow.

An id counts where it stands as a word of a text, because `van:1` is not `van:12`; and not where a whole cell or field is another id, such as `van:1-2`. Binary
files put texts side by side without a space: there an id of eight bytes or more counts wherever it stands, one of fewer than four is not looked for (every file
of numbers would hold it). Columns are looked at cell by cell. Wherever it stands, it is another one's where a longer id that is known stands around it.
What it says too much is better than what it misses.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import mmap
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.permission.places import files

Progress = Callable[[str, float], None]
Others = Callable[[str], Iterable[str]]
"""From an id to the ids that are known and hold it, such as `van:12` and `my-van:1` for `van:1`."""
_BLOCK = 4 << 20
_HEAD = 8192
_ROWS = 65_536
_ANYWHERE = 8
"""From so many bytes on, an id counts wherever it stands in a binary file: by chance that happens once in 10^19 places."""
_SHORTEST = 4
"""Of fewer bytes, an id is not looked for in binary files: by chance it would stand in every larger one."""
_LONGEST = 320
"""So many bytes an id has at most (`features.values.PERSON_ID`)."""
_AROUND = re.compile(rb"[A-Za-z0-9_.:\-]*")
_ONE_ID = re.compile(rb"[A-Za-z0-9_.\-]{1,63}:[A-Za-z0-9_.\-]{1,255}")
"""An id of plain characters; one with others, such as a comma, may as well be two."""
_ENDING = re.compile(rb"\.[A-Za-z][A-Za-z0-9]{0,7}\Z")
"""What follows an id in the name of a file."""
_FIELD_ENDS = (b'"', b"'", b",", b";", b"\t", b"|", b"\r", b"\n")
_DEEPEST = 4
"""How many compressed files stand inside each other at most."""
_PARQUET, _ARROW, _ZIP = b"PAR1", b"ARROW1", b"PK\x03\x04"
_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2", b"\xfd7zXZ": "xz"}
_DAMAGED = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowException)


class UnreadableError(ValueError):
    """A file says that it is compressed, or a table, and cannot be opened: nobody knows what it holds."""


@dataclass(frozen=True, slots=True)
class Needle:
    """A person's id in the forms in which a file may hold it: as it is, as a text of JSON, of CSV, of a URL, and in UTF-16."""

    person: str
    forms: tuple[bytes, ...]
    others: Others = lambda _person: ()

    @classmethod
    def of(cls, person: str, others: Others = lambda _person: ()) -> Needle:
        """Return the needle of an id; `others` are the known ids that hold it, asked for where one may stand around it."""
        plain = person.encode("utf-8", "surrogatepass")
        texts = (json.dumps(person)[1:-1], person.replace('"', '""'), quote(plain, safe=""), quote(plain), quote(plain, safe=":"))
        forms = (plain, *(text.encode("utf-8", "surrogatepass") for text in texts), person.encode("utf-16-le", "surrogatepass"))
        return cls(person, tuple(dict.fromkeys(forms)), others)


def needles(people: Iterable[str], others: Others = lambda _person: ()) -> tuple[Needle, ...]:
    """Return the needles of some ids; `others` as in `Needle.of`."""
    return tuple(Needle.of(person, others) for person in dict.fromkeys(people))


def held_by_file(path: Path, wanted: Sequence[Needle]) -> set[str]:
    """Return those of the people whose id stands in the file, in its name too. Raises UnreadableError or OSError."""
    found = held_by_bytes(path.name.encode("utf-8", "surrogateescape"), wanted, text=True)
    rest = [needle for needle in wanted if needle.person not in found]
    if not rest or not path.stat().st_size:
        return found
    with path.open("rb") as file:
        if _kind(file) == "plain":
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
                return found | held_by_bytes(whole, rest, text=b"\0" not in whole[:_HEAD])
        return found | _held_by(file, rest, 0)


def held_by_bytes(data: bytes | mmap.mmap, wanted: Iterable[Needle], *, text: bool, last: bool = True, skip: int = 0) -> set[str]:
    """Return whose id stands in the bytes of a text, or of a binary file.

    Without `last`, more bytes follow: what stands so near to the end that it cannot be told from another id does not count yet. The first `skip` bytes have
    been looked at, and are there to be looked back at.
    """
    first = _Firsts(data)

    def stands(needle: Needle, form: bytes) -> bool:
        start = first.of(form)
        return start >= 0 and _stands(data, form, max(skip, start), needle, text=text, last=last)

    return {needle.person for needle in wanted if any(stands(needle, form) for form in needle.forms)}


class _Firsts:
    """Where bytes begin that many ids begin with: a file without `sim:` is gone through once, not once for each id of that system."""

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self._data = data
        self._places: dict[bytes, int] = {}

    def of(self, form: bytes) -> int:
        """Return the first place where the form can stand, -1 where there is none."""
        beginning = form[:_SHORTEST]
        if beginning not in self._places:
            self._places[beginning] = self._data.find(beginning)
        return self._places[beginning]


def _stands(data: bytes | mmap.mmap, form: bytes, start: int, needle: Needle, *, text: bool, last: bool) -> bool:
    if not text and len(form) < _SHORTEST:
        return False
    anywhere = not text and len(form) >= _ANYWHERE
    place = data.find(form, start)
    while place >= 0:
        end = place + len(form)
        if not last and end + _LONGEST > len(data):
            return False
        word = anywhere or not (_joined(data, place - 1, place) or _joined(data, end - 1, end))
        if word and not (text and _is_of_another(data, place, end)) and not _within_another(data, form, place, needle):
            return True
        place = data.find(form, place + 1)
    return False


def _is_of_another(data: bytes | mmap.mmap, place: int, end: int) -> bool:
    """Return whether what stands there is the beginning, the end or the middle of a whole cell or field of a text that is another id."""
    before = data[max(0, place - _LONGEST) : place]
    behind = data[end : end + _LONGEST]
    left, right = len(_AROUND.match(before[::-1])[0]), len(_AROUND.match(behind)[0])  # type: ignore[index]  # it matches nothing at least
    if not any(chr(byte).isalnum() for byte in before[len(before) - left :] + behind[:right]):
        return False
    whole = (left == place or before[-left - 1 : len(before) - left] in _FIELD_ENDS) and (end + right == len(data) or behind[right : right + 1] in _FIELD_ENDS)
    return whole and bool(_ONE_ID.fullmatch(data[place - left : end + right])) and not _ENDING.search(behind[:right])


def _within_another(data: bytes | mmap.mmap, form: bytes, place: int, needle: Needle) -> bool:
    """Return whether the id stands there within a longer one that is known."""
    end = place + len(form)
    around = data[max(0, place - 2) : place] + data[end : end + 2]
    if not any(0x20 < byte != 0x7F for byte in around):
        return False
    for other in needle.others(needle.person):
        for longer in Needle.of(other).forms:
            begin = longer.find(form)
            while begin >= 0:
                if begin <= place and len(longer) > len(form) and data[place - begin : place - begin + len(longer)] == longer:
                    return True
                begin = longer.find(form, begin + 1)
    return False


def _joined(data: bytes | mmap.mmap, left: int, right: int) -> bool:
    """Return whether two neighbouring bytes belong to one word."""
    return left >= 0 and right < len(data) and _of_a_word(data[left]) and _of_a_word(data[right])


def _of_a_word(byte: int) -> bool:
    return byte == 0x5F or byte >= 0x80 or chr(byte).isalnum()


def _held_by(file: IO[bytes], wanted: Sequence[Needle], depth: int) -> set[str]:
    """Return whose id stands in an opened file, of any format."""
    kind = _kind(file)
    try:
        if kind == "plain":
            return _held_by_stream(file, wanted)
        if depth == _DEEPEST:
            raise UnreadableError(f"more than {_DEEPEST} compressed files stand inside each other")
        if kind in {"parquet", "arrow"}:
            cells = _of_parquet(file) if kind == "parquet" else _of_arrow(file)
            return _held_by_cells(cells, wanted)
        if kind == "zip":
            return _held_by_archive(file, wanted, depth)
        with _unpacked(file, kind) as inside:
            return _held_by(inside, wanted, depth + 1)
    except _DAMAGED as error:
        if isinstance(error, UnreadableError):
            raise
        raise UnreadableError(f"cannot be opened as {kind} ({type(error).__name__})") from None


def _kind(file: IO[bytes]) -> str:
    """Return the format of a file by its first bytes; it stands at its beginning again."""
    head = file.read(6)
    file.seek(0)
    if head.startswith(_ARROW):
        return "arrow"
    if head.startswith(_PARQUET):
        return "parquet"
    if head.startswith(_ZIP):
        return "zip"
    return next((name for magic, name in _COMPRESSED.items() if head.startswith(magic)), "plain")


def _unpacked(file: IO[bytes], kind: str) -> IO[bytes]:
    if kind == "zstd":
        return cast("IO[bytes]", _Zstd(file))
    openers: dict[str, Any] = {"gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}
    return cast("IO[bytes]", openers[kind](file, "rb"))


class _Zstd(io.RawIOBase):
    """What stands in a file of zstd, which can be put back to its beginning. The file stays open."""

    def __init__(self, under: IO[bytes]) -> None:
        self._under = under
        self._open()

    def _open(self) -> None:
        self._under.seek(0)
        self._stream = pa.CompressedInputStream(pa.PythonFile(_Lent(self._under), mode="r"), "zstd")

    def read(self, size: int = -1) -> bytes:
        return bytes(self._stream.read(None if size < 0 else size))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if offset or whence:
            raise NotImplementedError("only to the beginning")
        self._open()
        return 0


class _Lent(io.RawIOBase):
    """A file to read from, which is not closed with its reader."""

    def __init__(self, under: IO[bytes]) -> None:
        self._under = under

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._under.read(size)


def _held_by_archive(file: IO[bytes], wanted: Sequence[Needle], depth: int) -> set[str]:
    found: set[str] = set()
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            found |= held_by_bytes(member.filename.encode("utf-8", "surrogateescape"), wanted, text=True)
            if not member.is_dir():
                with archive.open(member) as inside:
                    found |= _held_by(inside, wanted, depth + 1)
    return found


def _held_by_stream(file: IO[bytes], wanted: Sequence[Needle]) -> set[str]:
    """Return whose id stands in what is read, block by block; blocks overlap by the longest form and another id on either side."""
    overlap = max((len(form) for needle in wanted for form in needle.forms), default=0) + 2 * _LONGEST
    found: set[str] = set()
    rest, text, more = b"", True, True
    block = file.read(_BLOCK)
    text = b"\0" not in block[:_HEAD]
    while more:
        following = file.read(_BLOCK)
        more = bool(following)
        whole = rest + block
        found |= held_by_bytes(whole, wanted, text=text, last=not more, skip=_LONGEST if len(rest) == overlap else 0)
        rest, block = whole[-overlap:], following
    return found


def _of_parquet(file: IO[bytes]) -> Iterator[pa.Array]:
    """Yield the columns of a Parquet file that can hold a text, part by part."""
    opened = pq.ParquetFile(file if file.seekable() else io.BytesIO(file.read()))
    names = [field.name for field in opened.schema_arrow if _can_hold_text(field.type)]
    yield pa.array([str(opened.schema_arrow.metadata), *opened.schema_arrow.names])
    for batch in opened.iter_batches(_ROWS, columns=names) if names else ():
        yield from batch.columns


def _of_arrow(file: IO[bytes]) -> Iterator[pa.Array]:
    """Yield the columns of an Arrow file that can hold a text, batch by batch."""
    with pa.ipc.open_file(pa.py_buffer(file.read())) as opened:
        yield pa.array([str(opened.schema.metadata), *opened.schema.names])
        for number in range(opened.num_record_batches):
            yield from (column for column in opened.get_batch(number).columns if _can_hold_text(column.type))


def _can_hold_text(kind: pa.DataType) -> bool:
    return not (pa.types.is_primitive(kind) or pa.types.is_null(kind) or pa.types.is_decimal(kind))


def _held_by_cells(columns: Iterable[pa.Array], wanted: Sequence[Needle]) -> set[str]:
    found: set[str] = set()
    for column in columns:
        for cells in _texts(column):
            found |= _held_by_texts(cells, wanted)
    return found


def _texts(column: pa.Array) -> Iterator[pa.Array]:
    """Yield the texts (large_binary) that stand in a column, however deep."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        yield from _texts(column.storage)
    elif pa.types.is_dictionary(kind):
        yield from _texts(column.dictionary)
    elif pa.types.is_struct(kind):
        for inner in column.flatten():
            yield from _texts(inner)
    elif pa.types.is_map(kind):
        yield from _texts(column.keys)
        yield from _texts(column.items)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _texts(column.flatten())
    elif _can_hold_text(kind):
        yield column.cast(pa.binary()).cast(pa.large_binary()) if pa.types.is_fixed_size_binary(kind) else column.cast(pa.large_binary())


def _held_by_texts(cells: pa.Array, wanted: Sequence[Needle]) -> set[str]:
    """Return whose id stands in one of the cells; only cells that hold its bytes are looked at one by one."""
    values = cells.buffers()[2]
    if values is None or not len(cells):
        return set()
    together = values.to_pybytes()
    found, first = set(), _Firsts(together)
    for needle in wanted:
        forms = [form for form in needle.forms if (start := first.of(form)) >= 0 and together.find(form, start) >= 0]
        if any(_stands(cell, form, 0, needle, text=True, last=True) for form in forms for cell in _holding(cells, form)):
            found.add(needle.person)
    return found


def _holding(cells: pa.Array, form: bytes) -> Iterator[bytes]:
    yield from cells.filter(pc.fill_null(pc.match_substring(cells, form), fill_value=False)).to_pylist()


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan found: how many files and bytes were looked at, by person the paths that hold the id, and which files could not be opened, and why."""

    files: int
    size: int
    found: Mapping[str, tuple[str, ...]]
    unreadable: Mapping[str, str]


def scan(root: Path, people: Sequence[str], *, others: Others = lambda _person: (), progress: Progress | None = None) -> Scan:
    """Look for the ids in every file of a workspace, whatever its place; `others` as in `Needle.of`."""
    wanted, every = needles(people, others), [(path, relative) for path, relative, _ in files(root)]
    found: dict[str, list[str]] = {person: [] for person in people}
    unreadable: dict[str, str] = {}
    size = 0
    for number, (path, relative) in enumerate(every):
        if progress is not None:
            progress(f"looking through {number + 1:,} files of {len(every):,}", number / len(every))
        try:
            held = held_by_bytes(relative.encode("utf-8", "surrogateescape"), wanted, text=True) | held_by_file(path, wanted)
            size += path.stat().st_size
        except FileNotFoundError:
            continue  # it was of the moment: a log of the database, a file that an import was writing
        except (OSError, UnreadableError) as error:
            unreadable[relative] = str(error) if isinstance(error, UnreadableError) else f"cannot be read ({type(error).__name__})"
            continue
        for person in held:
            found[person].append(relative)
    return Scan(len(every), size, {person: tuple(paths) for person, paths in found.items()}, unreadable)
