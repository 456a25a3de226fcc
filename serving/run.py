"""`bentoml serve` of a workspace in a process of its own, stopped cleanly by the signals that stop a server."""

from __future__ import annotations

import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from features.workspace import Workspace
from serving.server import Server
from serving.settings import Settings

SERVICE = "serving.service:AudienceScores"
HOST, PORT = "127.0.0.1", 3000
_GRACE_SECONDS = 15
"""How long requests under way may take once the server is told to stop."""
STOP_SECONDS = 2 * _GRACE_SECONDS
"""How long a server that was told to stop is waited for before it is killed."""
_KEEP_ALIVE_SECONDS = 75
"""How long a connection may rest: longer than clients (5 s) and proxies (60 s) keep one. Where the server lets go at that very moment, a request is lost."""
_ROOT = Path(__file__).resolve().parents[1]


class ServeError(RuntimeError):
    """The server cannot listen where it was told to, or ended by itself; the message says what was given and what to do."""


def environment(workspace: Workspace | str | Path) -> dict[str, str]:
    """Return the environment of a server of that workspace: this one's, telemetry off. Raises SettingsError or WorkspaceError."""
    folder = workspace.root if isinstance(workspace, Workspace) else Path(workspace).resolve()
    settings = Settings.from_environment({**os.environ, "AUDIENCE_WORKSPACE": str(folder)})
    Server.open(settings).store.close()
    path = os.pathsep.join(part for part in (str(_ROOT), os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "AUDIENCE_WORKSPACE": str(settings.workspace), "BENTOML_DO_NOT_TRACK": "True", "DO_NOT_TRACK": "true", "PYTHONPATH": path}


def check_address(host: str, port: int) -> None:
    """Bind `host` and `port` once as the server would, and let go again. Raises ServeError."""
    if not 1 <= port <= 65535:
        raise ServeError(f"port {port} is no port: give one from 1 to 65535 with --port")
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        raise ServeError(f"host {host!r} is no IP address: give one of this machine with --host, such as {HOST}") from None
    try:
        with socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ServeError(f"cannot listen on {host} port {port} ({reason}): give a free port with --port, and an address of this machine with --host") from None


def start(workspace: Workspace | str | Path, host: str = HOST, port: int = PORT, *, log: int | None = None) -> subprocess.Popen[bytes]:
    """Start serving and return the process at once, in a group of its own; `log` is a file descriptor for its output.

    What BentoML keeps while it runs, the counts of /metrics above all, lies in a temporary folder of this server alone: in the one that all servers of a
    user share, each that starts deletes the others' counts. Raises ServeError, SettingsError, WorkspaceError, VocabularyError or StoreError before anything
    is started.
    """
    check_address(host, port)
    own = environment(workspace)
    own["BENTOML_HOME"] = tempfile.mkdtemp(prefix="audience-serve-")
    command = [sys.executable, "-m", "bentoml", "serve", SERVICE, "--host", host, "--port", str(port)]
    command += ["--timeout-graceful-shutdown", str(_GRACE_SECONDS), "--timeout-keep-alive", str(_KEEP_ALIVE_SECONDS)]
    process = subprocess.Popen(command, cwd=_ROOT, env=own, stdout=log, stderr=log, start_new_session=True)  # noqa: S603 (our own command)
    weakref.finalize(process, shutil.rmtree, own["BENTOML_HOME"], ignore_errors=True)
    return process


def stop(process: subprocess.Popen[bytes]) -> int:
    """Ask a started server to end, wait for it, and return its exit status; after `STOP_SECONDS` its whole group is killed."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    status = process.wait()
    with suppress(ProcessLookupError):  # workers of a server that was told to end while it was still starting
        os.killpg(process.pid, signal.SIGTERM)
    return status


def serve(workspace: Workspace | str | Path, host: str = HOST, port: int = PORT, *, started: Callable[[], None] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; return 0 then. A server has no other good end: one that ends by itself raises ServeError, whatever its status.

    `started` is called once the process runs. Raises as :func:`start` does, too.
    """
    process = start(workspace, host, port)
    with _signals() as asked:
        if started is not None:
            started()
        while process.poll() is None and not asked:
            try:
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
        status = stop(process)  # while further signals are still collected: a second one does not leave the server behind
    if not asked:
        raise ServeError(f"the server ended by itself, with status {status}; its own words stand above")
    return 0


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them."""
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
