"""Where checkpoints stand: lines added to `audit/checkpoints.jsonl` of the workspace, and to the folder that `[audit]` names."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import func, select

from features.database.schema import CHAIN, REGISTER
from features.database.store import Store
from features.permission import register
from features.workspace import Workspace
from serving.checkpoints import Checkpoint, CheckpointError, Signer
from serving.entries import Tip, tip


@dataclass(frozen=True, slots=True)
class Fault:
    """A line that is no checkpoint of this workspace: in which file, counted from 1, and why."""

    path: Path
    line: int
    why: str

    def __str__(self) -> str:
        """Return it in words."""
        return f"line {self.line} of {self.path} is forged or damaged: {self.why}"


@dataclass(frozen=True, slots=True)
class Kept:
    """What came of writing a checkpoint: where it stands, None in its place when there was no new entry; what the one before says against the log."""

    checkpoint: Checkpoint | None
    paths: tuple[Path, ...]
    contradicts: str | None


def paths(workspace: Workspace, signer: Signer) -> tuple[Path, ...]:
    """Return the files that checkpoints are added to: the workspace's own first."""
    other = workspace.checkpoint_folder
    return (workspace.checkpoints, *([] if other is None else [other / f"audience-checkpoints-{signer.name()}.jsonl"]))


def read(path: Path, signer: Signer) -> tuple[list[Checkpoint], list[Fault]]:
    """Return a file's checkpoints in their order, and its lines that are none. Raises CheckpointError when it cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}): name a file of checkpoints") from None
    found, faults = [], []
    for number, line in enumerate(lines, 1):
        try:
            found.append(signer.read(line))
        except CheckpointError as error:
            faults.append(Fault(path, number, str(error)))
    return found, faults


def keep(workspace: Workspace, store: Store, signer: Signer, *, now: datetime) -> Kept:
    """Write a checkpoint of the log as it is, if its last entry is not that of the checkpoint before, and bring the other folder up to date.

    Raises CheckpointError when the other folder cannot be written, after the workspace's own has been; StoreError or OSError before.
    """
    own, *others = paths(workspace, signer)
    with _held(own) as file:
        lines = file.read().decode(errors="replace").splitlines()
        before = _last(lines, signer)
        last, count, registered, contradicts = _as_it_is(store, before)
        made = None
        if last.seq and (before is None or (last, *registered) != (Tip(before.seq, before.link), before.register, before.register_link)):
            made = Checkpoint(last.seq, last.link, now, count, *registered)
            lines.append(signer.line(made))
            _add(file, lines[-1:])
        for path in others:
            _bring_up_to_date(path, lines, own)
    return Kept(made, (own, *others), contradicts)


def _as_it_is(store: Store, before: Checkpoint | None) -> tuple[Tip, int, tuple[int, str] | tuple[None, None], str | None]:
    """Return the last entry, how many there are, the register's last entry, and what the checkpoint before says against either, in words."""
    with store.read() as connection:
        last = tip(connection)
        count = connection.execute(select(func.count()).select_from(CHAIN).where(CHAIN.c.seq <= last.seq)).scalar_one()
        registered = register.tip(connection) or (None, None)
        contradicts = None
        if before is not None and connection.execute(select(CHAIN.c.link).where(CHAIN.c.seq == before.seq)).scalar() != before.link:
            contradicts = _words("log", before.seq, before)
        elif before is not None and before.register is not None:
            there = connection.execute(select(REGISTER.c.chain).where(REGISTER.c.seq == before.register)).scalar()
            contradicts = None if there == before.register_link else _words("register", before.register, before)
    return last, count, registered, contradicts


def _words(what: str, seq: int, before: Checkpoint) -> str:
    return f"the {what} does not hold entry {seq} as the checkpoint of {before.at:%Y-%m-%d %H:%M:%S} UTC has it: run `audience audit verify`"


def _last(lines: list[str], signer: Signer) -> Checkpoint | None:
    """Return the latest line that is a checkpoint; a forged one behind it does not keep the next from being written."""
    for line in reversed(lines):
        try:
            return signer.read(line)
        except CheckpointError:
            continue
    return None


@contextmanager
def _held(path: Path) -> Iterator[BinaryIO]:
    """Lend a file at its beginning, held against other processes, without the half of a line that a killed one may have left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _whole_lines(file)
        file.seek(0)
        yield file


def _whole_lines(file: BinaryIO) -> bytes:
    """Return what a file holds; the half of a line at its end is cut off, and nothing else is, so that the system may be told to let it grow only."""
    file.seek(0)
    held = file.read()
    whole = held.rfind(b"\n") + 1
    if whole < len(held):
        file.truncate(whole)
    return held[:whole]


def _add(file: BinaryIO, lines: list[str]) -> None:
    file.write("".join(f"{line}\n" for line in lines).encode())
    file.flush()
    os.fsync(file.fileno())


def _bring_up_to_date(path: Path, lines: list[str], own: Path) -> None:
    """Add the lines that are not there yet; the folder is not made: what is not mounted must not be mistaken for what is."""
    try:
        with path.open("a+b") as file:
            known = set(_whole_lines(file).decode(errors="replace").splitlines())
            _add(file, [line for line in lines if line not in known])
    except OSError as error:
        raise CheckpointError(f"checkpoints stand in {own}, but {path.parent} of [audit] checkpoint_folder cannot be written ({error.strerror})") from None
