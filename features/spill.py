"""Temporary folders that an engine spills people's rows into: gone with the engine or, where its process was killed, with the next one or an erasure."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "audience-spill-"


class Spill:
    """A temporary folder at `path`, readable by its owner only and held until it is closed or this process ends, however it ends."""

    def __init__(self) -> None:
        clear_left_behind()
        made = Path(tempfile.mkdtemp(prefix="audience-"))
        self._held = os.open(made, os.O_RDONLY)
        fcntl.flock(self._held, fcntl.LOCK_EX)  # what nobody holds was left behind
        self.path = made.rename(made.with_name(made.name.replace("audience-", _PREFIX, 1)))  # named so only when held: nobody clears it between

    def close(self) -> None:
        """Remove the folder; a second time changes nothing."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._held >= 0:
            os.close(self._held)
            self._held = -1


def clear_left_behind() -> None:
    """Remove temporary folders of processes that were killed: people's rows may have been spilled into them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except OSError:
            continue  # it went meanwhile, or is another user's
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass  # somebody is at work
        finally:
            os.close(descriptor)


__all__ = ["Spill", "clear_left_behind"]
