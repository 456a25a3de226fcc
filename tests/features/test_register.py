"""The register: said once, never changed, and whoever changes it without the key is found."""

from datetime import UTC, datetime

import pytest

from features.database.guards import append_only
from features.database.store import Store, StoreError
from features.permission.register import Register

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def register(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    yield Register(store, b"s" * 32)
    store.close()


def write(register, kind, body, **about):
    with register.store.write(serial=True) as connection:
        return register.append(connection, kind, body, now=NOW, **about)


def test_what_is_said_already_is_not_said_again(register):
    first = write(register, "topic", {"topic": "housing", "by": "A. Officer"})
    assert write(register, "topic", {"topic": "housing", "by": "A. Officer"}) == first
    assert write(register, "topic", {"topic": "housing", "by": "B. Officer"}) != first
    assert [entry.body["by"] for entry in register.entries("topic")] == ["A. Officer", "B. Officer"]
    assert register.entries("targeting") == []


def test_what_changes_and_changes_back_is_three_entries(register):
    for why in ("a", "b", "a", "a"):
        write(register, "topic", {"topic": "housing", "why": why}, about="housing")
    assert [entry.body["why"] for entry in register.entries()] == ["a", "b", "a"]


@pytest.mark.parametrize("change", ["UPDATE register SET body = '{}' WHERE seq = 2", "DELETE FROM register WHERE seq = 2"])
def test_the_database_refuses_changes_and_a_change_past_it_is_found(register, change):
    for number in range(3):
        write(register, "topic", {"number": number})
    assert register.first_break() is None
    with pytest.raises(StoreError), register.store.write() as connection:
        connection.exec_driver_sql(change)
    with register.store.write() as connection:
        for verb in ("update", "delete"):
            connection.exec_driver_sql(f"DROP TRIGGER register_no_{verb}")
        connection.exec_driver_sql(change)
        for statement in append_only("register", "sqlite"):
            connection.exec_driver_sql(statement)
    assert register.first_break() == (2 if "UPDATE" in change else 3)
