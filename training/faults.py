"""What an estimator says of the data it is given, as a fault of the training: a sentence on the command line, no traceback."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class FitError(ValueError):
    """The model cannot be fitted to the rows at hand; the message says why."""


@contextmanager
def in_words() -> Iterator[None]:
    """Raise what the estimators' own ValueErrors say as FitError; any other error stays what it is."""
    try:
        yield
    except ValueError as error:
        if type(error) is not ValueError:
            raise
        raise FitError(str(error)) from error


_SHOWN = 10
_PERSONAL = re.compile(r"[:@]")
"""What ids (`van:1`) and addresses hold, and no arm, topic or column needs to."""


def told_names(names: Sequence[str]) -> str:
    """Return at most ten of the names (arms, topics, columns of a file), and how many others there are; `none` for none.

    A name that may be a person's id or address is counted only: columns may have been mixed up, or have no header.
    """
    shown = [name for name in names if not _PERSONAL.search(name)][:_SHOWN]
    return ", ".join([*shown, *([f"{len(names) - len(shown):,} others"] if len(names) > len(shown) else [])]) or "none"
