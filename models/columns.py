"""Columns at the door: a frame whose columns differ from the fitted ones is refused with a diff of the two lists."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SHOWN_LINES = 40
"""A diff of thousands of columns is cut here: the first lines already say what happened."""


class ColumnsError(ValueError):
    """The columns given are not the columns expected: missing, added, reordered, repeated or not numeric."""


def check_columns(given: Sequence[str], expected: Sequence[str]) -> None:
    """Raise ColumnsError with a unified diff unless `given` equals `expected`, order included."""
    given, expected = [str(name) for name in given], [str(name) for name in expected]
    if given == expected:
        return
    what = "the same columns in another order" if sorted(given) == sorted(expected) else _counts(given, expected)
    lines = [line for line in difflib.unified_diff(expected, given, "expected", "given", n=1, lineterm="") if not line.startswith("@@")]
    if len(lines) > SHOWN_LINES:
        lines = [*lines[:SHOWN_LINES], f"… and {len(lines) - SHOWN_LINES} more lines"]
    hint = "select the expected columns by name, in the expected order; were the vectors built with other definitions?"
    raise ColumnsError(f"the columns differ from those the model was fitted on ({what}):\n" + "\n".join(lines) + f"\nHint: {hint}")


def frame_matrix(X: Any, expected: Sequence[str] | None = None) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return a frame's values (n, F) as float32 in C order, and its column names.

    With `expected` the names must be those, in that order. No copy is made of a frame that is one float32 block already.
    Raises ColumnsError for anything but a pandas DataFrame, repeated names, or columns that are not numeric.
    """
    if not isinstance(X, pd.DataFrame):
        raise ColumnsError(f"X must be a pandas DataFrame whose columns are features, given {type(X).__name__}. Hint: pd.DataFrame(matrix, columns=names)")
    names = tuple(str(name) for name in X.columns)
    if expected is not None:
        check_columns(names, expected)
    elif len(set(names)) != len(names):
        repeated = [name for name, count in Counter(names).items() if count > 1]
        raise ColumnsError(f"column names must be unique; repeated: {', '.join(repeated[:5])}")
    other = [name for name, dtype in zip(names, X.dtypes, strict=True) if dtype.kind not in "fiub"]
    if other:
        raise ColumnsError(f"columns must be numbers (float, integer or boolean; missing is NaN), these are not: {', '.join(other[:5])}")
    return np.ascontiguousarray(X.to_numpy(dtype=np.float32, na_value=np.nan)), names


def _counts(given: Sequence[str], expected: Sequence[str]) -> str:
    missing, added = len(set(expected) - set(given)), len(set(given) - set(expected))
    return f"{missing} missing, {added} not expected" if missing or added else "some are repeated"
