"""NDJSON (one JSON object per line) in UTF-8: raw rows as text, with the line each stands on."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from features.faults import Faults, ImportFault, did_you_mean
from features.importers.source import Raw, Source
from features.permission.special_columns import Special, by_name


class _NotARow(ValueError):  # noqa: N818  it never leaves this file
    """The line is no flat object; the message is the reason, without any of its values."""


def ndjson(source: Source, names: Sequence[str], check_header: Callable[[Sequence[str]], None], drop: Collection[str] = ()) -> Iterator[Raw]:
    """Return the file's rows in batches, without the keys in `drop`; a key that is left out is empty.

    The keys of the first object are checked like a header (`names` that it leaves out may come later), those of others line by line.
    Raises ImportFault for a JSON array and for a file without rows.
    """
    if source.first.lstrip().startswith(b"["):
        raise ImportFault("is one JSON array: write one object per line, for example with `jq -c '.[]'`")
    return _batches(source, tuple(name for name in names if name not in drop), check_header, frozenset(drop))


def _batches(source: Source, names: tuple[str, ...], check_header: Callable[[Sequence[str]], None], drop: frozenset[str]) -> Iterator[Raw]:
    line, rows, unseen = 1, 0, True
    for block in source.blocks():
        records: list[dict[str, str | None]] = []
        lines, faults = [], Faults()
        for text in block.removesuffix(b"\n").split(b"\n"):
            if text.strip():
                try:
                    record = _record(text, drop)
                    if unseen:
                        check_header([*record, *(name for name in names if name not in record)])
                        unseen = False
                    _refuse_unknown(record, names)
                    records.append(record)
                    lines.append(line)
                except _NotARow as reason:
                    faults.add(line, "", str(reason))
            line += 1
        raw = Raw(_batch(records, names), np.asarray(lines, dtype=np.int64), faults)
        rows += raw.read
        yield raw
    if not rows:
        raise ImportFault("has no rows")


def _record(text: bytes, drop: frozenset[str]) -> dict[str, str | None]:
    try:
        document = json.loads(text.decode(), object_pairs_hook=_pairs)
    except UnicodeDecodeError:
        raise _NotARow("the line is not UTF-8") from None
    except _NotARow:
        raise
    except (ValueError, RecursionError):
        raise _NotARow("the line is not JSON") from None
    if not isinstance(document, dict):
        raise _NotARow("the line is JSON but no object")
    return {key: _text(value) for key, value in document.items() if key not in drop}


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise _NotARow("a key comes twice")
    return record


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        if value and not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise _NotARow("a text holds half a character (a lone surrogate)")
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    raise _NotARow("a value is itself an object or a list: flatten it")


def _refuse_unknown(record: dict[str, str | None], names: tuple[str, ...]) -> None:
    for key in record:
        if key in names:
            continue
        category = by_name(key)
        if category is not None:
            raise _NotARow(f"a key is no column of the table ({Special('', category, 'name')}): leave it out with --drop")
        raise _NotARow(f"a key is no column of the table.{did_you_mean(key, names)}")


def _batch(records: list[dict[str, str | None]], names: tuple[str, ...]) -> pa.RecordBatch:
    arrays = [pa.array([record.get(name) for record in records], pa.string()) for name in names]
    return pa.record_batch(arrays, names=list(names))
