"""What is done to the ledger by one who has the database but not the key: it is found, at its end by what the log's answers say of it."""

from datetime import UTC, datetime

import pytest

from features.database.store import Store
from features.permission.ledger import Event, Ledger
from serving.audit import Answer, AuditLog
from serving.ledger_verification import verify_ledger

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECRET = b"s" * 32


@pytest.fixture
def store(tmp_path):
    """Three people who object, and an answer of the log that was given after that."""
    opened = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    events = [Event(f"van:{number}", "objected", "any", "any", NOW) for number in range(3)]
    Ledger(opened, SECRET).append(events, now=NOW, door="command")
    AuditLog(opened, SECRET).record(Answer("a1", NOW, "api", "POST /v1/people/objections", 200, ledger=3))
    yield opened
    opened.close()


def attack(store, statement):
    with store.write() as connection:
        for verb in ("update", "delete"):
            connection.exec_driver_sql(f"DROP TRIGGER ledger_no_{verb}")
        connection.exec_driver_sql(statement)


def test_what_was_not_touched_holds(store):
    assert list(verify_ledger(store, SECRET).words()) == ["3 events of the ledger hold"]
    assert not verify_ledger(store, b"t" * 32).holds


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE ledger SET event = 'given' WHERE seq = 2", "event 2 was changed"),
        ("UPDATE ledger SET sealed = 'soon', recorded_at = 'soon' WHERE seq = 2", "event 2 was changed"),
        ("DELETE FROM ledger WHERE seq = 2", "event 3 was changed"),
        ("DELETE FROM ledger WHERE seq = 3", "it ends at event 2, and an answer of the log was given when it had reached event 3"),
    ],
)
def test_what_was_done_is_found_and_named(store, statement, said):
    attack(store, statement)
    found = verify_ledger(store, SECRET)
    assert not found.holds
    assert said in next(found.words())
