"""How many of those named no table holds: as a slow look at every row says, and of a few people without reading every row."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from features.database.store import Store
from features.history import History
from features.permission.ledger import Ledger
from features.permission.unknown import unknown
from tests.features.test_live import put

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MANY = [f"van:{number:05d}" for number in range(6_000)]


@pytest.fixture
def opened(workspace, monkeypatch):
    """Tables of several row groups: everybody of MANY is in people, `van:é` and `van:é2` in interactions alone."""
    monkeypatch.setattr("features.staging.STORED_AS", "FORMAT parquet, ROW_GROUP_SIZE 2048")
    put(workspace, "people", [{"person_id": person, "status": "member", "source_id": "forms"} for person in MANY])
    row = {"occurred_at": NOW, "received_at": NOW, "kind": "letter_open", "direction": "in", "channel": "email", "source_id": "forms"}
    row |= {"collected_how": "observed", "is_machine": False}
    put(workspace, "interactions", [row | {"person_id": person, "interaction_id": person} for person in ("van:é", "van:é2")])
    store = Store(workspace.database_url)
    yield History(workspace.tables, workspace.vocabulary), Ledger(store, workspace.signing_key())
    store.close()


def test_who_is_in_no_table_is_counted_once(opened):
    asked = [*MANY, "van:é", "van:é2", "VAN:00001", "van:06000", "van:é3", "van:é3", "a:0", "zzz:0"]
    held = {person for table in ("people", "interactions") for person in opened[0].read(table).column("person_id").to_pylist()}
    assert unknown(*opened, asked) == len(set(asked) - held) == 5
    assert unknown(*opened, MANY[::7]) == unknown(*opened, []) == 0
    assert [unknown(*opened, [person]) for person in ("van:00000", "van:05999", "van:é", "van:é3")] == [0, 0, 0, 1]


def test_of_one_person_one_part_of_a_table_is_read(opened, monkeypatch):
    read, parts = pq.ParquetFile.read_row_group, []

    def counted(file, group, *words, **more):
        parts.append(group)
        return read(file, group, *words, **more)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    assert unknown(*opened, ["van:05000"]) == 0
    assert parts == [2]
    assert unknown(*opened, ["zzz:0"]) == 1
    assert parts == [2]


def test_who_was_erased_is_told_of_apart(opened):
    history, ledger = opened
    with ledger.store.write(serial=True) as connection:
        ledger.erase(connection, "gone:1", now=NOW, door="command")
    assert unknown(history, ledger, ["gone:1", "gone:2"]) == 1


def test_tables_that_cannot_be_read_are_no_reason_to_fail(opened):
    history, ledger = opened
    for path in history.files("people"):
        Path(path).write_bytes(b"damaged")
    assert unknown(history, ledger, ["van:00001"]) is None


def test_nothing_was_stored_yet(workspace):
    store = Store(workspace.database_url)
    assert unknown(History(workspace.tables, workspace.vocabulary), Ledger(store, workspace.signing_key()), ["van:1", "van:2"]) == 2
    store.close()
