"""Opening the store: with another key or another store nobody's objection would be found, so that is refused and said."""

import shutil
import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from features.database.schema import MARKS
from features.database.store import Store
from features.permission.ledger import Event, Ledger, LedgerError
from features.permission.live import Permission
from features.permission.opening import OtherStoreError, opened
from features.permission.suppression import LeftOut
from features.workspace import Workspace, WorkspaceError

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def marks(store):
    with store.read() as connection:
        return dict(connection.execute(select(MARKS.c.name, MARKS.c.value)).all())


def object_(workspace, person="van:1", *, opener=opened):
    store = opener(workspace)
    try:
        return Ledger(store, workspace.signing_key()).append([Event(person, "objected", "any", "any", NOW)], now=NOW, door="command").stored
    finally:
        store.close()


@pytest.fixture
def objected(workspace):
    """A workspace in which one person objected."""
    object_(workspace)
    return workspace


def test_nothing_is_marked_before_somebody_is_named(workspace):
    store = opened(workspace)
    assert (marks(store), workspace.database_id.exists()) == ({}, False)
    store.close()
    (workspace.root / "audience.db").unlink()
    opened(workspace).close()
    assert object_(workspace) == 1


def test_who_is_named_first_marks_store_and_key_in_the_workspace(objected):
    store = opened(objected)
    found = marks(store)
    store.close()
    assert found["database"] == objected.database_id.read_text().strip()
    assert objected.signing_key().hex() not in found["key"]
    assert (object_(objected), object_(objected, "van:2")) == (1, 1)
    assert sorted(path.name for path in objected.root.iterdir() if "database" in path.name) == ["database.id"]


def test_an_erasure_alone_marks_too(workspace):
    store = opened(workspace)
    with store.write(serial=True) as connection:
        Ledger(store, workspace.signing_key()).erase(connection, "van:1", now=NOW, door="command")
    store.close()
    assert workspace.database_id.exists()


def test_another_key_is_refused_and_no_new_one_is_made(objected):
    path = objected.root / "signing.key"
    right = path.read_bytes()
    path.unlink()
    for attempt in (opened, lambda one: one.signing_key(), lambda one: LeftOut(one).begin()):
        with pytest.raises((OtherStoreError, WorkspaceError), match=r"signing\.key is missing.* from a copy"):
            attempt(objected)
    objected.database_id.unlink()
    with pytest.raises(OtherStoreError, match=r"signing\.key is missing"):
        opened(objected)
    assert not path.exists()
    path.write_bytes(b"k" * 32)
    with pytest.raises(OtherStoreError, match=r"signing\.key is not the one .* put the right one back"):
        opened(objected)
    path.write_bytes(right)
    store = opened(objected)
    assert Permission(objected, store).ledger.of_person("van:1")[0].said.event == "objected"
    store.close()


def test_another_store_is_refused_until_somebody_says_so(objected):
    folder = objected.root
    (folder / "audience.db").rename(folder / "away.db")
    for attempt in (opened, lambda one: LeftOut(one).begin()):
        with pytest.raises(OtherStoreError, match=r"database is not the one of this workspace.*remove the file database\.id"):
            attempt(objected)
        assert not (folder / "audience.db").exists(), "none is made in its place"
    Store(objected.database_url).close()
    with pytest.raises(OtherStoreError, match="is not the one of this workspace"):
        opened(objected)
    objected.database_id.unlink()
    assert object_(objected) == 1, "deliberately"
    shutil.move(folder / "away.db", folder / "audience.db")
    with pytest.raises(OtherStoreError, match="is not the one of this workspace"):
        opened(objected)


def test_a_store_at_another_address_is_held_to_the_same(objected, tmp_path):
    with pytest.raises(OtherStoreError):
        opened(objected, f"sqlite:///{tmp_path / 'other.db'}")
    shutil.copy(objected.root / "audience.db", tmp_path / "copy.db")
    opened(objected, f"sqlite:///{tmp_path / 'copy.db'}").close()


def test_a_store_of_before_the_marks_is_marked_if_the_key_opens_it(workspace):
    object_(workspace, opener=lambda one: Store(one.database_url))
    key = workspace.signing_key()
    (workspace.root / "signing.key").write_bytes(b"k" * 32)
    with pytest.raises(OtherStoreError, match=r"signing\.key is not the one"):
        opened(workspace)
    (workspace.root / "signing.key").write_bytes(key)
    store = opened(workspace)
    assert marks(store)["database"] == workspace.database_id.read_text().strip()
    store.close()


def test_the_message_names_no_address(objected):
    with pytest.raises(OtherStoreError) as caught:
        opened(objected, "sqlite:////nowhere/s3cret.db")
    assert "s3cret" not in str(caught.value)


def test_many_who_open_at_once_agree(workspace):
    workspace.signing_key()
    faults = []

    def run(number):
        try:
            object_(Workspace.open(workspace.root), f"van:{number}")
        except Exception as error:  # noqa: BLE001 - whatever it is, the test has to see it
            faults.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    opened(workspace).close()


def test_where_the_id_cannot_be_kept_nobody_is_named(workspace, monkeypatch):
    def full(*_paths):
        raise OSError("no space left on device")

    workspace.signing_key()
    with monkeypatch.context() as patched:
        patched.setattr("features.permission.opening.os.link", full)
        with pytest.raises(OtherStoreError, match=r"database\.id cannot be written"):
            object_(workspace)
    store = opened(workspace)
    assert Ledger(store, workspace.signing_key()).last() == 0
    assert workspace.database_id.exists()
    store.close()


def test_what_is_refused_leaves_a_workspace_that_opens(workspace):
    store = opened(workspace)
    with pytest.raises(LedgerError):
        Ledger(store, workspace.signing_key()).append([Event("van:1", "sold", "any", "any", NOW)], now=NOW, door="command")
    store.close()
    assert object_(workspace) == 1
