"""Files that hold something of people: readable by their owner only, and in their place whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path


def put(path: Path, content: bytes) -> None:
    """Put a file in its place. Raises OSError."""
    with beside(path) as (fresh, file):
        file.write(content)
        take_place(fresh, path, file)


@contextmanager
def beside(path: Path) -> Iterator[tuple[Path, BufferedRandom]]:
    """Yield a new file beside the place of another one, to write to; it is gone at the end unless it took the place. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
        try:
            yield fresh, file
        finally:
            fresh.unlink(missing_ok=True)


def take_place(fresh: Path, path: Path, file: BufferedRandom) -> None:
    """Put the file in its place, once all of it is on the disk. Raises OSError, also where another file took its name, as an erasure does."""
    file.flush()
    os.fsync(file.fileno())
    if fresh.stat().st_ino != os.fstat(file.fileno()).st_ino:
        raise OSError("another file has taken the name of the one that was written")
    fresh.replace(path)


def within(root: Path, path: Path) -> Path | None:
    """Return the path relative to the folder, None where it is not in it; links are followed."""
    place, folder = path.resolve(), root.resolve()
    return place.relative_to(folder) if place.is_relative_to(folder) else None
