"""Published folders: a numbered version is written whole, then made current in one step; a crash leaves the version before.

`<folder>/CURRENT` names the current version, `<folder>/v000007/` holds it with a `manifest.json` of sizes and SHA-256 digests.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FORMAT = 2
KEPT = 2
"""How many versions before the current one are kept."""

_VERSION = re.compile(r"v(\d{6,})")
_NEWEST = ".newest"
"""The file with the number of the newest version there ever was, once some were removed."""


class VectorsError(ValueError):
    """Vectors that cannot be built, published or opened; the message says what was wrong and what to do."""


class NobodyError(VectorsError):
    """Nobody is known, of the rows that may enter: there are no vectors to publish."""


class OvertakenError(VectorsError):
    """What was about to be published was made of what has gone meanwhile; nothing was published, and the same once more begins from what is there now."""


def put(folder: Path, write: Callable[[Path], dict[str, Any]], *, kept: int = KEPT) -> Path:
    """Publish what `write` puts into an empty folder and return the new version's folder.

    `write` returns what the manifest shall say besides the files; `files` in it may hold entries that are known already, of files
    linked from another version, which are then not read again. Everything is on the disk before the version gets its name, and has
    its name before it becomes current. Versions older than the `kept` before the current one are removed, as are leftovers of a crash.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _only_publisher(folder):
        made = folder / f".new-{secrets.token_hex(8)}"
        made.mkdir()
        try:
            said = write(made)
            known = said.pop("files", {})
            files = {
                path.name: known.get(path.name) or {"bytes": path.stat().st_size, "sha256": _digest(path)}  # nothing else is known of a fresh file
                for path in sorted(made.iterdir())
            }
            _write(made / "manifest.json", json.dumps({"format": FORMAT, **said, "files": files}, indent=1, sort_keys=True))
            for path in (*made.iterdir(), made):
                _sync(path)
            version = folder / f"v{_newest(folder) + 1:06d}"
            made.rename(version)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        _sync(folder)
        _point(folder, version.name)
        _remove_old(folder, version, kept)
    return version


def current(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return the current version's folder and manifest, its files being there in the sizes stated. Raises VectorsError."""
    version = pointed(folder)
    return version, manifest(version)


def pointed(folder: Path) -> Path:
    """Return the folder of the version that is current, whether it is there or not. Raises VectorsError."""
    try:
        name = (folder / "CURRENT").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise VectorsError(f"no vectors are published in {folder}: build them with `audience vectors`") from None
    if not _VERSION.fullmatch(name):
        raise VectorsError(f"{folder / 'CURRENT'} does not name a version such as v000001; publish the vectors again with `audience vectors`")
    return folder / name


def manifest(version: Path) -> dict[str, Any]:
    """Return a version's manifest after comparing it with the files' sizes. Raises VectorsError, which names the file."""
    try:
        said = json.loads((version / "manifest.json").read_text(encoding="utf-8"))
        stated = {name: int(file["bytes"]) for name, file in said["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise VectorsError(f"{version / 'manifest.json'} cannot be read ({type(error).__name__}); publish the vectors again with `audience vectors`") from None
    if said.get("format") != FORMAT:
        raise VectorsError(f"{version} has format {said.get('format')!r}, this release reads {FORMAT}; publish the vectors again with `audience vectors`")
    for name, size in stated.items():
        path = version / name
        found = path.stat().st_size if Path(name).name == name and path.is_file() else None
        if found != size:
            raise VectorsError(f"{path} has {'no file' if found is None else f'{found} bytes'} where the manifest states {size} bytes; publish again")
    return said


def remove(folder: Path, gone: Callable[[Path], bool]) -> int:
    """Remove the versions for which `gone` is true, and what crashes left; return how many versions. Where the current one goes, none is current any more."""
    with _only_publisher(folder):
        for path in folder.glob(".new-*"):
            shutil.rmtree(path, ignore_errors=True)
        removed = [path for _, path in _versions(folder) if gone(path)]
        if removed:
            _write(folder / _NEWEST, f"{_newest(folder)}\n")  # a reader tells versions by their names: no other one may have that of what it holds
        pointer = folder / "CURRENT"
        if pointer.exists() and pointer.read_text(encoding="utf-8").strip() in {path.name for path in removed}:
            pointer.unlink()
            _sync(folder)
        for path in removed:
            shutil.rmtree(path)
    return len(removed)


def verify(version: Path) -> None:
    """Read every file of a version and compare it with its digest. Raises VectorsError, which names the file."""
    for name, file in manifest(version)["files"].items():
        if _digest(version / name) != file.get("sha256"):
            raise VectorsError(f"{version / name} does not have the SHA-256 that the manifest states: it was changed or damaged; publish again")


@contextlib.contextmanager
def _only_publisher(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system frees when the process ends however it ends."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _point(folder: Path, name: str) -> None:
    fresh = folder / ".CURRENT"
    _write(fresh, name + "\n")
    _sync(fresh)
    fresh.replace(folder / "CURRENT")
    _sync(folder)


def _versions(folder: Path) -> list[tuple[int, Path]]:
    """Return the versions there are, oldest first."""
    found = ((_VERSION.fullmatch(path.name), path) for path in folder.iterdir() if path.is_dir())
    return sorted((int(match[1]), path) for match, path in found if match)


def _newest(folder: Path) -> int:
    """Return the number of the newest version there ever was, 0 where there was none."""
    noted = folder / _NEWEST
    before = noted.read_text(encoding="utf-8").strip() if noted.exists() else ""
    return max([int(before) if before.isascii() and before.isdigit() else 0, *(number for number, _ in _versions(folder))])


def _remove_old(folder: Path, version: Path, kept: int) -> None:
    older = [path for _, path in _versions(folder) if path != version]
    stale = older[: max(len(older) - kept, 0)] + [path for path in folder.glob(".new-*") if path.is_dir()]
    for path in stale:
        shutil.rmtree(path, ignore_errors=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
