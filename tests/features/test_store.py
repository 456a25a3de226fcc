import os
import shutil
import socket
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from features.database.store import Store, StoreError
from serving import keys
from serving.audit import Answer, AuditLog, Decision
from tests.conftest import missing_tool

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_sqlite_uses_a_write_ahead_log_and_waits_for_others(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'deep' / 'audience.db'}")
    with store.read() as connection:
        pragmas = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
    store.close()


def test_a_store_that_cannot_be_opened_says_so_without_its_address(tmp_path):
    (tmp_path / "file").write_text("no folder")
    for url in (f"sqlite:///{tmp_path}/file/audience.db", "nonsense", "oracle://user:s3cret@nowhere/db"):
        with pytest.raises(StoreError, match="database_url") as caught:
            Store(url)
        assert "s3cret" not in str(caught.value)


def test_many_writers_at_once_lose_nothing(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    log = AuditLog(store, b"k" * 32)

    def write(writer):
        for number in range(5):
            name = f"{writer}-{number}"
            decision = Decision(f"{name}-0", log.pseudonym("van:1"), "affinity:housing", value=0.5)
            log.record(Answer(name, NOW, "api", "POST /v1/scores", 200, decisions=[decision]))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(log.requests_about("van:1", limit=100)) == 40
    store.close()


@pytest.fixture(scope="module")
def postgres_url(tmp_path_factory):
    """A PostgreSQL of our own on a free port; it ends with the tests."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        missing_tool("psycopg is not installed")
    binaries = shutil.which("initdb") or next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None)
    if binaries is None:
        missing_tool("PostgreSQL's initdb is not installed")
    folder = Path(binaries).resolve().parent
    home = tmp_path_factory.mktemp("postgres")
    as_user = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(home, "postgres")
        for parent in home.parents[:3]:
            parent.chmod(parent.stat().st_mode | 0o011)
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


def test_postgresql_holds_keys_and_audit_alike(postgres_url):
    store = Store(postgres_url)
    key, secret = keys.create(store, "tool", ["scores"], now=NOW)
    assert keys.find(store, secret) == key
    log = AuditLog(store, b"k" * 32)
    person = log.pseudonym("van:1")
    log.record(Answer("a", NOW, "api", "POST /v1/scores", 200, key.key_id, decisions=[Decision("a-0", person, "affinity:housing", value=0.5)]))
    (request,) = log.requests_about("van:1")
    assert (request.at, request.key_name, request.scores) == (NOW, "tool", ("affinity:housing",))
    store.close()
    Store(postgres_url).close()


@pytest.mark.parametrize("change", ["UPDATE answers SET status = 500", "DELETE FROM decisions", "TRUNCATE answers CASCADE"])
def test_postgresql_refuses_to_change_what_is_append_only(postgres_url, change):
    store = Store(postgres_url)
    log = AuditLog(store, b"k" * 32)
    name = change[:8]
    log.record(Answer(name, NOW, "api", "POST /v1/scores", 200, decisions=[Decision(f"{name}-0", log.pseudonym("van:2"), "affinity:housing", value=0.5)]))
    with pytest.raises(StoreError, match="cannot be written"), store.write() as connection:
        connection.exec_driver_sql(change)
    store.close()
