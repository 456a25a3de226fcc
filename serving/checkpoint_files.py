"""Where checkpoints stand: lines added to `audit/checkpoints.jsonl` of the workspace, and to the folder that `[audit]` names."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection, func, select

from features.database import chained
from features.database.schema import CHAIN
from features.database.store import Store
from features.workspace import Workspace
from serving.checkpoints import Checkpoint, CheckpointError, Signer, members
from serving.entries import tip


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
        as_it_is, contradicts = _as_it_is(store, before, now)
        made = None
        if as_it_is.seq and (before is None or as_it_is != replace(before, at=now, count=as_it_is.count)):
            made = as_it_is
            lines.append(signer.line(made))
            _add(file, lines[-1:])
        for path in others:
            _bring_up_to_date(path, lines, own)
    return Kept(made, (own, *others), contradicts)


def _as_it_is(store: Store, before: Checkpoint | None, now: datetime) -> tuple[Checkpoint, str | None]:
    """Return the checkpoint of what is there now, and what the one before says against log, ledger or register, in words."""
    with store.read() as connection:
        last = tip(connection)
        count = connection.execute(select(func.count()).select_from(CHAIN).where(CHAIN.c.seq <= last.seq)).scalar_one()
        ends = {name: chained.tip(connection, name) for name in chained.CHAINED}
        contradicts = None if before is None else _contradicts(connection, before)
    others = {member: value for name, end in ends.items() for member, value in members(name, end).items()}
    return Checkpoint(last.seq, last.link, now, count, **others), contradicts


def _contradicts(connection: Connection, before: Checkpoint) -> str | None:
    found = {"log": (before.seq, before.link, connection.execute(select(CHAIN.c.link).where(CHAIN.c.seq == before.seq)).scalar())}
    found |= {name: (*before.end(name), chained.link_of(connection, name, before.end(name).seq)) for name in chained.CHAINED if before.end(name).seq}
    for name, (seq, stated, there) in found.items():
        if there != stated:
            rows = "event" if name == "ledger" else "entry"
            return f"the {name} does not hold {rows} {seq} as the checkpoint of {before.at:%Y-%m-%d %H:%M:%S} UTC has it: run `audience audit verify`"
    return None


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
