"""What can be wrong with what comes in: a fault of a file stops the import, a fault of a row is written down and the row left out.

No text made here repeats a value of the data: it names the place (file, line, column), what is allowed, and a hint. A cell may
hold anything once columns have slipped, a person's name or e-mail address too.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.permission.special_columns import Special

FAULT_SCHEMA = pa.schema([("line", pa.int64()), ("column", pa.string()), ("reason", pa.string())])
LISTED = 12
"""How many allowed values a reason spells out."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")
_LONGEST_GUESS = 64


class ImportFault(ValueError):  # noqa: N818  a fault of the file, not of the program
    """A file cannot be imported as it is; nothing of the import was stored. The message says what to mend.

    `special` are the columns of special categories that it was refused for, each with its file.
    """

    def __init__(self, message: str, special: Sequence[Special] = ()) -> None:
        super().__init__(message)
        self.special = tuple(special)


class Faults:
    """Faults of rows, collected by line. `table()` gives them as (line, column, reason), sorted by line."""

    def __init__(self) -> None:
        self._lines: list[npt.NDArray[np.int64]] = []
        self._columns: list[str] = []
        self._reasons: list[str | Sequence[str]] = []

    def add(self, lines: npt.ArrayLike, column: str, reason: str | Sequence[str]) -> None:
        """Add one fault per line: the same `reason` for all, or one for each of them. `column` is empty when the whole row is meant."""
        array = np.asarray(lines, dtype=np.int64).reshape(-1)
        if len(array):
            self._lines.append(array)
            self._columns.append(column)
            self._reasons.append(reason)

    def extend(self, other: Faults) -> None:
        """Add all of the other's faults."""
        self._lines += other._lines
        self._columns += other._columns
        self._reasons += other._reasons

    def __bool__(self) -> bool:
        return bool(self._lines)

    @property
    def lines(self) -> npt.NDArray[np.int64]:
        """The lines with at least one fault, sorted, each once; shape (k,)."""
        return np.unique(np.concatenate(self._lines)) if self._lines else np.empty(0, dtype=np.int64)

    def table(self) -> pa.Table:
        """Return the faults as a table of FAULT_SCHEMA; one line may have several."""
        columns: list[str] = []
        reasons: list[str] = []
        for lines, column, reason in zip(self._lines, self._columns, self._reasons, strict=True):
            columns += [column] * len(lines)
            reasons += [reason] * len(lines) if isinstance(reason, str) else list(reason)
        lines_ = np.concatenate(self._lines) if self._lines else np.empty(0, dtype=np.int64)
        table = pa.table([pa.array(lines_), pa.array(columns, pa.string()), pa.array(reasons, pa.string())], schema=FAULT_SCHEMA)
        return table.take(pa.array(np.argsort(lines_, kind="stable")))


def path_words(path: Path) -> str:
    r"""Return a path for a message, as one line of text: bytes that are no UTF-8, and control characters, as `\xe9`."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)


def is_text(path: Path) -> bool:
    """Return whether a path is in UTF-8, as everything that tables and databases hold has to be."""
    return os.fsencode(path) == str(path).encode("utf-8", "replace")


@lru_cache(maxsize=4096)
def did_you_mean(given: str, known: tuple[str, ...]) -> str:
    """Return ` Did you mean '…'?` with the nearest of `known`, or nothing when none is near."""
    close = difflib.get_close_matches(given.strip().lower(), known, n=1, cutoff=0.7) if len(given) <= _LONGEST_GUESS else []
    return f" Did you mean {close[0]!r}?" if close else ""


def listed(names: Iterable[str]) -> str:
    """Return the names, comma-separated, at most LISTED of them."""
    names = list(names)
    more = f", … ({len(names) - LISTED} more)" if len(names) > LISTED else ""
    return (", ".join(names[:LISTED]) + more) or "none"


def shown(name: str, position: int) -> str:
    """Return a column's name for a message, or its place when it does not look like a name (a file without header starts with data)."""
    return repr(name) if _NAME.fullmatch(name) else f"(column {position}, whose name is no plain word)"
