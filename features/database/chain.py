"""A chain of rows: each row's link is a keyed digest of the link before it and of what the row says.

Whoever changes, removes, adds or reorders a row without the key breaks the chain at that row. Rows that are cut off at the end leave no trace in
the chain itself: that takes a link kept elsewhere (a checkpoint).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache

START = "0" * 64
"""What the first row's link stands on."""
Row = Mapping[str, object]


def chain_key(secret: bytes, name: str) -> bytes:
    """Return the key (32 bytes) of the chain of that name, from the workspace's secret."""
    return hmac.digest(secret, b"audience-scoring/chain/" + name.encode(), "sha256")


def link(key: bytes, previous: str, row: Row) -> str:
    """Return the link (64 hex digits) of a row over the one before: HMAC-SHA256 of both.

    A row is its columns by name, in any order: texts, whole numbers, floats, flags, bytes, times with a zone, None, and lists and mappings of these.
    Raises TypeError for anything else and ValueError for what is no finite number.
    """
    return hmac.new(key, f"{previous}\n{canonical(row)}".encode(), hashlib.sha256).hexdigest()


def canonical(row: Row) -> str:
    """Return a row as one line of JSON, the same for equal rows whatever the order of their columns. Raises TypeError or ValueError as :func:`link` does."""
    return _JSON.encode(row)


def first_break(key: bytes, rows: Iterable[tuple[Row, str]], *, start: str = START) -> int | None:
    """Return the place, counted from 0, of the first row whose stated link is not the one it has to have; None where all are."""
    previous = start
    for place, (row, stated) in enumerate(rows):
        previous = link(key, previous, row)
        if not hmac.compare_digest(previous.encode(), stated.encode()):
            return place
    return None


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, bytes | memoryview):
        return ["bytes", base64.b64encode(bytes(value)).decode()]
    raise TypeError(f"a row of a chain cannot hold a {type(value).__name__}")


@lru_cache(maxsize=64)  # the rows of one answer have the same two times, thousands of times
def _time(value: datetime) -> tuple[str, str]:
    if value.tzinfo is None:
        raise TypeError("a time in a chain has a zone")
    return "time", value.astimezone(UTC).isoformat(timespec="microseconds")


_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, default=_plain)
