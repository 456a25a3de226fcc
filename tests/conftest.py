"""What every test lives under: no network but loopback, quiet libraries, two threads."""

import ipaddress
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
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


LONGEST = (
    "house/test_demo.py",
    "training/test_fit_truth.py",
    "house/test_documents.py",
    "serving/test_bento.py",
    "training/test_fit.py",
    "features/test_spark.py",
)
"""Files that take longest. They begin, so that two processes end together; within them and after them the order is random."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONGEST))


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


@pytest.fixture(scope="session")
def postgres_url():
    """A PostgreSQL of our own on a free port; it ends with the tests."""
    with tempfile.TemporaryDirectory(prefix="audience-postgres-") as home:  # not pytest's folder: another run of pytest closes it to other users
        yield from _postgres(Path(home))


def _postgres(home):
    try:
        import psycopg  # noqa: F401
    except ImportError:
        missing_tool("psycopg is not installed")
    binaries = shutil.which("initdb") or next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None)
    if binaries is None:
        missing_tool("PostgreSQL's initdb is not installed")
    folder = Path(binaries).resolve().parent
    as_user = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(home, "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = home / "data"
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    subprocess.run([*as_user, folder / "initdb", "-D", data, "-U", "audience", "-A", "trust"], check=True, capture_output=True, cwd=home)
    subprocess.run([*as_user, folder / "pg_ctl", "-D", data, "-w", "-o", options, "-l", home / "log", "start"], check=True, capture_output=True, cwd=home)
    yield f"postgresql+psycopg://audience@127.0.0.1:{port}/postgres"
    subprocess.run([*as_user, folder / "pg_ctl", "-D", data, "-m", "immediate", "stop"], check=True, capture_output=True, cwd=home)


_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def new_postgres(postgres_url):
    """A function that makes an empty database, or a copy of one that nobody is connected to, and returns its URL."""
    import psycopg

    def made(copy_of=None):
        name = f"made_{next(_numbers)}"
        template = "template0" if copy_of is None else copy_of.rsplit("/", 1)[1]
        with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return postgres_url.rsplit("/", 1)[0] + f"/{name}"

    return made
