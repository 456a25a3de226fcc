"""What an estimator says of the data it is given, as a fault of the training: a sentence on the command line, no traceback."""

from __future__ import annotations

from collections.abc import Iterator
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
