"""What every test lives under: no network but loopback, quiet libraries, two threads."""

import ipaddress
import os
import socket
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as in models/__init__.py

settings.register_profile("house", derandomize=True, deadline=None, database=None)  # the same examples in every run
settings.load_profile("house")

ROOT = Path(__file__).resolve().parents[1]
_connect, _connect_ex, _getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo


def _refuse_outside(address):
    host = address[0] if isinstance(address, tuple) else None
    if host in (None, "localhost", ""):
        return
    if not ipaddress.ip_address(host).is_loopback:
        raise AssertionError("a test tried to leave the machine")


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch):
    def connect(self, address):
        _refuse_outside(address)
        return _connect(self, address)

    def connect_ex(self, address):
        _refuse_outside(address)
        return _connect_ex(self, address)

    def getaddrinfo(host, *args, **kwargs):
        if host not in (None, "localhost", "127.0.0.1", "::1", b"localhost"):
            raise AssertionError("a test tried to look up a name outside the machine")
        return _getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def missing_tool(reason):
    """Skip on a developer's machine; fail where AUDIENCE_CI says that every tool is there."""
    if os.environ.get("AUDIENCE_CI"):
        pytest.fail(f"in CI nothing may be missing: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real data sets; the test skips, saying so, where it is not there."""
    folder = Path(os.environ.get("AUDIENCE_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "README.md").exists():
        pytest.skip(f"real data is not here: set AUDIENCE_DATA (looked in {folder.name})")
    return folder
