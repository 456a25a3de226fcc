"""Keeps what is loaded up to date: a thread that looks at the pointer files and swaps one state for the next."""

from __future__ import annotations

import logging
import threading

from features.permission.live import Permission
from features.workspace import Workspace
from serving.loaded import Loaded, load, stamp

_log = logging.getLogger("audience.loading")


class Reloader:
    """Holds the current state. `start` loads in the background; `refresh` loads now if a pointer changed; `current` never waits.

    Where there was nothing to decide permission from, the next `refresh` tries again: a store that was busy for a moment must not silence the server.
    """

    def __init__(self, workspace: Workspace, permission: Permission, *, threads: int, every_seconds: float) -> None:
        self._workspace = workspace
        self._permission = permission
        self._threads = threads
        self._every_seconds = every_seconds
        self._loaded = Loaded(workspace.vocabulary, workspace.settings, faults=("loading",))
        self._stamp: tuple[str, ...] | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="audience-reloading", daemon=True)

    @property
    def current(self) -> Loaded:
        """The state to answer with; keep it for the whole of a request."""
        return self._loaded

    def start(self) -> None:
        """Load, and look for changes from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking; returns when a load that is under way has ended."""
        self._stop.set()
        self._thread.join()

    def refresh(self) -> None:
        """Load what changed since the last time, if anything did."""
        with self._lock:
            seen, before = stamp(self._workspace), self._loaded
            if seen == self._stamp and not before.undecided:
                return
            self._loaded = load(self._workspace, self._permission, threads=self._threads, previous=None if self._stamp is None else before)
            again, self._stamp = seen == self._stamp, seen
        if again and self._loaded.faults == before.faults:
            return
        _log.info("loaded %d model(s); ready: %s", len(self._loaded.champions), self._loaded.ready)
        for fault in self._loaded.faults:
            _log.warning("%s", fault)

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                self.refresh()
            except Exception:  # noqa: BLE001 (whatever it is, the thread must live to see it mended)
                _log.exception("what the workspace holds could not be loaded; the last state stays")
            self._stop.wait(self._every_seconds)
