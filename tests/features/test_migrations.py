"""The database, step by step: as declared, append-only where it says so, and never older or newer than the release can tell."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect
from sqlalchemy.exc import IntegrityError

from features.database import migrations
from features.database.schema import ANSWERS, APPEND_ONLY, KEYS, METADATA
from features.database.store import Store, StoreError

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    opened = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    yield opened
    opened.close()


def test_the_steps_lead_to_what_is_declared(store):
    with store.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), METADATA) == []


def answer(store):
    row = {"answer_id": "a", "at": NOW, "door": "api", "route": "x", "status": 200, "people": 0, "asked": "[]"}
    with store.write() as connection:
        connection.execute(ANSWERS.insert(), row)


@pytest.mark.parametrize("change", ["UPDATE answers SET status = 500", "DELETE FROM answers", "INSERT OR REPLACE INTO answers SELECT * FROM answers"])
def test_the_database_refuses_to_change_what_is_append_only(store, change):
    answer(store)
    with pytest.raises(StoreError) as raised, store.write() as connection:
        connection.exec_driver_sql(change)
    assert isinstance(raised.value.__cause__, IntegrityError)
    with store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*), max(status) FROM answers").one() == (1, 200)


def test_every_append_only_table_has_its_guards(store):
    with store.read() as connection:
        found = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars())
    assert found == {f"{table}_no_{verb}" for table in APPEND_ONLY for verb in ("update", "delete")}


FIFTH = ("notices", "export_people", "exports", "register", "marks")


def without_decisions(connection):
    """Take back the fourth step and all that came after it."""
    connection.exec_driver_sql("DROP TABLE last_heard")
    for verb in ("update", "delete") if connection.dialect.name == "sqlite" else ():
        connection.exec_driver_sql(f"DROP TRIGGER suppressions_no_{verb}")
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("DROP FUNCTION suppressions_refuses() CASCADE")
    for table in FIFTH:
        connection.exec_driver_sql(f"DROP TABLE {table}")
        if connection.dialect.name == "postgresql" and table in APPEND_ONLY:
            connection.exec_driver_sql(f"DROP FUNCTION {table}_refuses()")
    for table, columns in (("answers", ("use", "law", "ledger", "tables", "activity", "preconditions")), ("decisions", ("rule", "event", "source"))):
        for column in columns:
            connection.exec_driver_sql(f"ALTER TABLE {table} DROP COLUMN {column}")


def test_a_store_of_before_the_steps_is_brought_up_with_what_it_holds(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    with store.write() as connection:
        connection.execute(KEYS.insert(), {"key_id": "k", "name": "n", "digest": "d", "scopes": "scores", "created_at": NOW})
        without_decisions(connection)
        for table in set(inspect(connection).get_table_names()) - {"keys", "sessions", "answers", "decisions"}:
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table}") if table != "sqlite_sequence" else None
        for trigger in list(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars()):
            connection.exec_driver_sql(f"DROP TRIGGER {trigger}")
    store.close()
    store = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    with store.read() as connection:
        assert inspect(connection).has_table("ledger")
        assert connection.exec_driver_sql("SELECT key_id FROM keys").scalars().all() == ["k"]
    store.close()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_chain_comes_to_a_log_that_keeps_its_guards(request, tmp_path, database):
    url = f"sqlite:///{tmp_path / 'audience.db'}" if database == "sqlite" else request.getfixturevalue("new_postgres")()
    store = Store(url)
    answer(store)
    with store.write() as connection:
        connection.exec_driver_sql("DROP TABLE chain")
        if database == "postgresql":
            connection.exec_driver_sql("DROP FUNCTION chain_refuses()")
        without_decisions(connection)
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0002'")
    store.close()
    store = Store(url)
    with store.write() as connection:
        connection.exec_driver_sql("INSERT INTO chain (seq, answer_id, late, link) VALUES (1, 'a', TRUE, 'x')")
    for change in ("DELETE FROM answers", "UPDATE answers SET status = 500", "DELETE FROM chain", "UPDATE chain SET link = 'y'"):
        with pytest.raises(StoreError), store.write() as connection:
            connection.exec_driver_sql(change)
    with store.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), METADATA) == []
    store.close()


def test_a_store_of_a_later_release_is_left_alone(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    store.close()
    with pytest.raises(StoreError, match=r"at step 9999, this release knows steps up to \d{4}"):
        Store(f"sqlite:///{tmp_path / 'audience.db'}")


def test_steps_follow_each_other():
    numbers = sorted(path.name[:4] for path in (migrations.FOLDER / "versions").glob("*.py"))
    assert numbers == [f"{number:04d}" for number in range(1, len(numbers) + 1)]
    assert migrations.newest() == numbers[-1]


def test_processes_that_open_a_new_store_together_do_not_disturb_each_other(tmp_path):
    code = f"from features.database.store import Store; Store('sqlite:///{tmp_path / 'audience.db'}').close()"
    running = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(4)]
    assert [(process.wait(timeout=60), process.stderr.read()) for process in running] == [(0, b"")] * 4
    for process in running:
        process.stderr.close()
