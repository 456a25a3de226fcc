import threading
from datetime import UTC, datetime

import pytest

from features.database.store import Store, StoreError
from serving import keys
from serving.audit import Answer, AuditLog, Decision

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


def test_a_log_that_cannot_be_emptied_is_told(tmp_path, monkeypatch):
    """Somebody who reads for long keeps what was deleted in the write-ahead log."""
    monkeypatch.setattr("features.database.store._BUSY_MILLISECONDS", 50)
    monkeypatch.setattr("features.database.store._PAUSE_SECONDS", 0.01)
    store = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    keys.create_key(store, scope="scores", label="a rare label", now=NOW)
    with store.read() as reading:
        reading.exec_driver_sql("BEGIN")
        reading.exec_driver_sql("SELECT count(*) FROM keys").scalar()
        with store.write() as connection:
            connection.exec_driver_sql("DELETE FROM keys")
        with pytest.raises(StoreError, match="still stands in it"):
            store.vacuum()
    store.vacuum()
    assert not any(b"a rare label" in path.read_bytes() for path in tmp_path.iterdir())
    store.close()


def test_a_reader_who_ends_soon_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("features.database.store._BUSY_MILLISECONDS", 20)
    store = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    keys.create_key(store, scope="scores", label="a rare label", now=NOW)
    with store.read() as reading:
        reading.exec_driver_sql("BEGIN")
        reading.exec_driver_sql("SELECT count(*) FROM keys").scalar()
        with store.write() as connection:
            connection.exec_driver_sql("DELETE FROM keys")
        pauses = []

        def pause(seconds):
            pauses.append(seconds)
            reading.rollback()

        monkeypatch.setattr("features.database.store._rest", pause)
        store.vacuum()
    assert len(pauses) == 1
    assert not any(b"a rare label" in path.read_bytes() for path in tmp_path.iterdir())
    store.close()
