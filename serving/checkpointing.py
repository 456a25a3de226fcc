"""Writes checkpoints on a schedule: a thread that does so at start, every so many minutes and at stop, in one process of a workspace."""

from __future__ import annotations

import fcntl
import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import IO

from features.database.store import Store, StoreError
from features.workspace import Workspace
from serving.checkpoint_files import keep
from serving.checkpoints import CheckpointError, Signer

_log = logging.getLogger("audience.audit")


class Checkpointer:
    """Of several processes that serve a workspace one is on duty; when it ends, however it ends, another takes over at its next turn."""

    def __init__(self, workspace: Workspace, store: Store, key: bytes, *, now: Callable[[], datetime]) -> None:
        self._workspace = workspace
        self._store = store
        self._signer = Signer(key)
        self._now = now
        self._duty: IO[str] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="audience-checkpoints", daemon=True)

    def start(self) -> None:
        """Write a checkpoint, and one every so many minutes from now on; none where there is no new entry."""
        self._thread.start()

    def stop(self) -> None:
        """Write a last checkpoint; returns when it is written. Answers that are recorded later have to wait for the next start."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        every_seconds = self._workspace.audit.checkpoint_minutes * 60
        try:
            self._turn()
            while not self._stop.wait(every_seconds):
                self._turn()
            self._turn()
        finally:
            if self._duty is not None:
                self._duty.close()

    def _turn(self) -> None:
        try:
            if self._on_duty():
                kept = keep(self._workspace, self._store, self._signer, now=self._now())
                if kept.contradicts:
                    _log.error("%s", kept.contradicts)
        except (CheckpointError, StoreError, OSError) as error:
            _log.error("no checkpoint of the audit log: %s", error)  # in a sentence: mostly a folder that is not mounted
        except Exception:  # noqa: BLE001 (whatever it is, the thread must live to see it mended)
            _log.exception("no checkpoint of the audit log")

    def _on_duty(self) -> bool:
        if self._duty is None:
            folder = self._workspace.checkpoints.parent
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / ".duty").open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                return False
            self._duty = lock
        return True
