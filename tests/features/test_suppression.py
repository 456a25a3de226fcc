"""The erased stay away: rows of them are left out of every table, counted, and change nothing for anybody else."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from features.database.store import Store, StoreError
from features.history import History
from features.imports import import_files
from features.permission.ledger import Event, Ledger
from features.permission.suppression import LeftOut
from features.workspace import Workspace

NOW = datetime(2025, 6, 1, tzinfo=UTC)
ROWS = {
    "people": ("person_id,status,source_id", "{0},member,s"),
    "interactions": ("interaction_id,person_id,occurred_at,kind,channel,source_id,collected_how", "i-{0},{0},2025-01-01T00:00:00Z,gift,door,s,observed"),
    "assignments": ("experiment_id,person_id,arm,probability,assigned_at", "mailing,{0},control,0.5,2025-01-01T00:00:00Z"),
    "outcomes": ("experiment_id,person_id,outcome,value,measured_at", "mailing,{0},voted,1,2025-02-01T00:00:00Z"),
    "consents": ("person_id,event,purpose,channel,at", "{0},given,service,any,2025-01-01T00:00:00Z"),
}


def erase(workspace, *people):
    store = Store(workspace.database_url)
    with store.write(serial=True) as connection:
        for person in people:
            Ledger(store, workspace.signing_key()).erase(connection, person, now=NOW, door="command")
    store.close()


def there(workspace, table):
    if table != "consents":
        return sorted(History(workspace.tables, workspace.vocabulary).read(table).column("person_id").to_pylist())
    store = Store(workspace.database_url)
    ledger = Ledger(store, workspace.signing_key())
    found = [person for person in ("van:1", "van:2", "van:20", "van:x-4") if ledger.of_person(person)]
    store.close()
    return found


def write(path, table, people):
    header, row = ROWS[table]
    path.write_text("\n".join([header, *(row.format(person) for person in people)]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("table", ROWS)
def test_rows_of_the_erased_are_left_out_and_counted(table, workspace, tmp_path):
    erase(workspace, "van:2", "van:x-4", "van:never")
    path = write(tmp_path / f"{table}.csv", table, ["van:1", "van:2", "van:20", "van:x-4"])
    summary = import_files(workspace, table, [path], now=NOW)
    assert (summary.read, summary.stored, summary.erased, summary.rejected) == (4, 2, 2, 0)
    assert "2 of erased people left out" in str(summary)
    assert there(workspace, table) == ["van:1", "van:20"]
    again = import_files(workspace, table, [path], now=NOW)
    assert (again.stored, again.erased) == (0, 2)


def test_where_nobody_was_erased_nothing_is_said_and_no_store_is_made(workspace, tmp_path):
    summary = import_files(workspace, "people", [write(tmp_path / "people.csv", "people", ["van:1"])], now=NOW)
    assert (summary.stored, summary.erased) == (1, 0)
    assert "erased" not in str(summary)
    assert not (workspace.root / "audience.db").exists()
    assert not (workspace.root / "signing.key").exists()


def test_tables_without_people_pass(workspace):
    erase(workspace, "van:2")
    left_out = LeftOut(workspace)
    left_out.begin()
    batch = pa.record_batch({"source_id": ["van:2"]})
    assert left_out.kept(batch) is batch


def test_one_who_said_something_and_one_who_is_back_are_told_apart(workspace, tmp_path):
    """Only erasure suppresses: an objection in the ledger keeps nobody's rows out."""
    store = Store(workspace.database_url)
    Ledger(store, workspace.signing_key()).append([Event("van:1", "objected", "any", "any", NOW)], now=NOW, door="command")
    store.close()
    erase(workspace, "van:2")
    summary = import_files(workspace, "people", [write(tmp_path / "people.csv", "people", ["van:1", "van:2"])], now=NOW)
    assert (summary.stored, summary.erased) == (1, 1)


def test_who_is_erased_after_the_files_were_looked_at_stays_out(workspace, tmp_path, monkeypatch):
    """The list is read with the table's lock held, not when the import begins."""
    write(tmp_path / "people.csv", "people", ["van:1", "van:2"])
    begin = LeftOut.begin

    def just_before(self):
        erase(workspace, "van:2")
        begin(self)

    monkeypatch.setattr(LeftOut, "begin", just_before)
    summary = import_files(workspace, "people", [tmp_path / "people.csv"], now=NOW)
    assert (summary.stored, summary.erased) == (1, 1)


def test_nothing_is_stored_while_nobody_knows_who_was_erased(workspace, tmp_path):
    (workspace.root / "audience.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError):
        import_files(workspace, "people", [write(tmp_path / "people.csv", "people", ["van:1"])], now=NOW)
    assert History(workspace.tables, workspace.vocabulary).version("people") == -1


def test_another_workspace_erased_somebody_else(workspace, tmp_path):
    erase(workspace, "van:2")
    other = tmp_path / "other"
    other.mkdir()
    (other / "audience.toml").write_bytes((workspace.root / "audience.toml").read_bytes())
    summary = import_files(Workspace.open(other), "people", [write(tmp_path / "people.csv", "people", ["van:2"])], now=NOW)
    assert (summary.stored, summary.erased) == (1, 0)
