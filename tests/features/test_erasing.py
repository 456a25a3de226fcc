"""Erasure: a person who is in every place is in none afterwards, whatever interrupts it; the ledger's chain holds, and the certificate says what was done."""

import fcntl
import gzip
import json
import shutil
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.database.store import Store, StoreError
from features.history import History
from features.imports import import_files
from features.permission import erasing
from features.permission.certificate import REMAINS, TrainedModel
from features.permission.erasing import ErasingError, erase_people
from features.permission.ledger import Event, Ledger
from features.permission.live import Permission
from features.permission.places import PLACES
from features.permission.recipients import waiting
from features.permission.signing import check
from features.publication import open_current
from features.refresh import refresh
from features.workspace import Workspace
from tests.features import every_byte
from tests.features import test_recipients as queueing
from tests.features.conftest import TOML

NOW = datetime(2025, 6, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
CANARY, LONGER = "van:canary-00017", "van:canary-000170"
PEOPLE = [CANARY, LONGER, *(f"van:{number}" for number in range(12))]
HEADERS = {
    "people": ("person_id,status,source_id,area", "{0},member,s,E0{1}"),
    "interactions": ("interaction_id,person_id,occurred_at,kind,channel,topic,source_id,collected_how", "i{1},{0},2025-0{2}-01,gift,door,housing,s,observed"),
    "assignments": ("experiment_id,person_id,arm,probability,assigned_at", "mailing,{0},control,0.5,2025-01-01T00:00:00Z"),
    "outcomes": ("experiment_id,person_id,outcome,value,measured_at", "mailing,{0},voted,1,2025-02-01T00:00:00Z"),
    "consents": ("person_id,event,purpose,channel,at", "{0},given,service,any,2025-01-01T00:00:00Z"),
}


def csv(table, people=PEOPLE, month=1):
    header, row = HEADERS[table]
    row = row.replace("2025-0{2}-01", f"2025-0{month}-01T00:00:00Z")
    return "\n".join([header, *(row.format(person, number + 100 * month) for number, person in enumerate(people))]) + "\n"


def import_text(workspace, folder, table, text):
    path = folder / f"{table} of {CANARY}.csv"
    path.write_text(text, encoding="utf-8")
    return import_files(workspace, table, [path], now=NOW)


def make(workspace, folder):
    """Write the canary to every place that this room writes to."""
    for table in HEADERS:
        import_text(workspace, folder, table, csv(table))
    import_text(workspace, folder, "people", csv("people").replace("member", "contact") + "van:bad,nothing,s,E\n")
    history = History(workspace.tables, workspace.vocabulary)
    refresh(history, workspace.vocabulary, NOW, workspace.vectors)
    import_text(workspace, folder, "interactions", csv("interactions", [CANARY], month=3))
    refresh(history, workspace.vocabulary, NOW, workspace.vectors)
    store = Store(workspace.database_url)
    ledger = Ledger(store, workspace.signing_key())
    events = [Event(person, "given", "service", "any", NOW - timedelta(days=9), evidence=f"letter of {person}") for person in PEOPLE]
    ledger.append(events, now=NOW, door="command")
    store.close()
    root = workspace.root
    for path in (root / "raw", root / "experiments" / "mailing", root / "notes" / ".ipynb_checkpoints", root / "tables" / ".staging" / "people"):
        path.mkdir(parents=True)
    (root / "experiments" / "mailing" / "assignments.csv").write_text(csv("assignments"))
    (root / "experiments" / "mailing" / "draws.json").write_text(json.dumps([{"file": "assignments.csv", "sha256": "0" * 64, "people": 14}]))
    (root / "notes" / ".ipynb_checkpoints" / "seen-checkpoint.ipynb").write_text(json.dumps({"cells": [f"history of {CANARY}"]}))
    (root / "tables" / ".staging" / "people" / "staged.parquet").write_bytes(CANARY.encode())
    (root / "raw" / "people.csv.gz").write_bytes(gzip.compress(csv("people").encode()))
    pq.write_table(pa.table({"person_id": PEOPLE}), root / "raw" / "interactions-000.parquet", compression="zstd")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made") / "workspace"
    root.mkdir()
    (root / "audience.toml").write_text(TOML, encoding="utf-8")
    make(Workspace.open(root), tmp_path_factory.mktemp("files"))
    return root


@pytest.fixture
def workspace(made, tmp_path):
    shutil.copytree(made, tmp_path / "copy")
    return Workspace.open(tmp_path / "copy")


@pytest.fixture
def store(workspace):
    opened = Store(workspace.database_url)
    yield opened
    opened.close()


def holding(root, person=CANARY):
    return every_byte.holding(root, person, but=[LONGER] if person == CANARY else [])


def erase(workspace, store, *people, **options):
    return erase_people(workspace, store, people or [CANARY], now=LATER, door="command", models=list, **options)


def test_the_canary_is_everywhere_before(workspace):
    places = {path.split("/")[0] for path in holding(workspace.root)}
    assert places == {"tables", "vectors", "rejects", "experiments", "notes", "raw"}


def test_nothing_of_the_canary_is_left_anywhere(workspace, store):
    ledger = Ledger(store, workspace.signing_key())
    before = [ledger.of_person(person) for person in PEOPLE[1:]]
    (done,) = erase(workspace, store, raw=True)
    assert done.missing == []
    assert holding(workspace.root) == []
    assert holding(workspace.root, LONGER) != []
    assert ledger.first_break() is None
    assert ledger.of_person(CANARY) == []
    assert [ledger.of_person(person) for person in PEOPLE[1:]] == before
    assert done.erased.removed == {
        "tables": {"people": 1, "interactions": 2, "assignments": 1, "outcomes": 1},
        "vectors": 1,
        "files": {"rejects": 1, "draws": 1, "checkpoints": 1, "inputs": 2},
    }
    assert open_current(workspace.vectors).person_ids.to_pylist() == sorted(PEOPLE[1:])
    history = History(workspace.tables, workspace.vocabulary)
    assert all(
        CANARY not in history.read(table, version).column("person_id").to_pylist()
        for table in sorted(set(HEADERS) - {"consents"})
        for version in range(history.version(table) + 1)
    )


def test_files_that_somebody_put_there_are_named_and_left(workspace, store):
    before = (workspace.root / "raw" / "people.csv.gz").read_bytes()
    (workspace.root / "notes" / "letter.txt").write_text(f"Dear {CANARY},")
    (done,) = erase(workspace, store)
    assert done.erased.found == ("notes/letter.txt", "raw/interactions-000.parquet", "raw/people.csv.gz")
    assert holding(workspace.root) == list(done.erased.found)
    assert (workspace.root / "raw" / "people.csv.gz").read_bytes() == before
    document = json.loads(done.path.read_text())
    assert not document["complete"]
    assert document["not_complete"] == [f"the id still stands in {path}" for path in done.erased.found]


def test_a_database_elsewhere_is_said_to_keep_logs_of_its_own(tmp_path):
    elsewhere = SimpleNamespace(root=tmp_path, database_url="postgresql+psycopg://us:secret@host/audience", tracking_url=f"sqlite:///{tmp_path / 'mlflow.db'}")
    *_, said = erasing._beyond(elsewhere)
    assert said == ("the SQL store, which is kept elsewhere (postgresql); it is not given any id, and its own logs and copies may hold what was deleted")


def test_rows_behind_a_link_go_too(workspace, store, tmp_path):
    raw = workspace.root / "raw"
    raw.rename(tmp_path / "disk")
    raw.symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "people.csv.gz").rename(tmp_path / "other.csv.gz")
    (raw / "people.csv.gz").symlink_to(tmp_path / "other.csv.gz")
    (without,) = erase(workspace, store)
    assert without.erased.found == ("raw/interactions-000.parquet", "raw/people.csv.gz")
    (done,) = erase(workspace, store, raw=True)
    assert done.missing == []
    assert done.erased.files["inputs"] == 2
    assert CANARY.encode() + b"," not in gzip.decompress((tmp_path / "other.csv.gz").read_bytes())


def test_the_certificate_is_signed_and_names_nobody(workspace, store):
    (done,) = erase(workspace, store, raw=True)
    document = json.loads(done.path.read_text())
    check(document, workspace.signing_key())
    assert done.path.parent == workspace.root / "certificates"
    assert (document["complete"], document["ledger_event"], document["erased_at"]) == (True, 2 * len(PEOPLE) + 1, LATER.isoformat())
    assert document["removed"] == done.erased.removed
    assert document["recipients"] == []
    assert {each["what"] for each in document["remains"]} >= {"suppressions", "ledger", "decisions"}
    subjects = Ledger(store, workspace.signing_key()).subjects
    for secret in (CANARY, subjects.hash_of(CANARY), "van:", str(workspace.root)):
        assert secret not in done.path.read_text()
    assert CANARY not in str(done)


def test_what_is_kept_of_every_place_is_named():
    kept = {place.name for place in PLACES if place.erasure == "kept"}
    assert kept <= {what for what, _ in REMAINS}, "say in REMAINS of features/permission/certificate.py what remains in a place that is kept, and why"


def test_recipients_are_named_and_have_to_be_told_of_rows_and_of_no_id(workspace, store, monkeypatch):
    monkeypatch.setattr(queueing, "SECRET", workspace.signing_key())
    rows = [queueing.hand_out(store, people, recipient=name)[CANARY] for name, people in (("Mailer Y", [CANARY]), ("Print shop X", [LONGER, CANARY]))]
    (workspace.root / "exports").mkdir()
    (workspace.root / "exports" / "audience.csv").write_text(f"person_id,reference\n{CANARY},{rows[0]}\n{LONGER},1\n")
    pq.write_table(pa.table({"person_id": [CANARY, LONGER], "reference": rows}), workspace.root / "exports" / "audience.parquet")
    (done,) = erase(workspace, store, raw=True)
    document = json.loads(done.path.read_text())
    assert document["recipients"] == [{"recipient": "Mailer Y", "notices_queued": 1}, {"recipient": "Print shop X", "notices_queued": 1}]
    assert document["removed"]["files"]["files of exports"] == 2
    assert [(notice.reference, notice.reason) for notice in waiting(store)] == [(row, "erased") for row in rows]
    assert "to be told: Print shop X, of 1 rows" in str(done)
    assert (done.missing, holding(workspace.root)) == ([], [])
    (again,) = erase(workspace, store, raw=True)
    assert json.loads(again.path.read_text())["recipients_are"].startswith("an earlier run")
    assert len(waiting(store)) == 2


@pytest.mark.parametrize("word", ["", "canary", "van:", "van: 1", "area"])
def test_what_is_no_id_erases_nothing(workspace, store, word):
    """Such a word stands in lines of others, and a certificate about it would say that a person is gone who is not."""
    before = {path: path.stat().st_mtime_ns for path in workspace.root.rglob("*") if path.is_file() and not path.name.startswith("audience.db")}
    with pytest.raises(ErasingError, match=r"1 of 2 are no ids.*nobody was erased"):
        erase(workspace, store, CANARY, word)
    assert Permission(workspace, store).erased([CANARY]) == frozenset()
    after = {path: path.stat().st_mtime_ns for path in workspace.root.rglob("*") if path.is_file() and not path.name.startswith("audience.db")}
    assert after == before


def test_it_is_in_force_before_anything_is_deleted(workspace, store, monkeypatch):
    seen = []

    def looked(history, people):
        seen.append(Permission(workspace, store).erased(PEOPLE))
        raise StoreError("stopped here")

    monkeypatch.setattr(erasing, "held", looked)
    with pytest.raises(ErasingError, match="nobody is scored"):
        erase(workspace, store)
    assert seen == [frozenset([CANARY])]


STEPS = ("delete_people", "erase_from_vectors", "_tell_draws", "strike_rows", "vacuum", "scan")


@pytest.mark.parametrize("step", STEPS)
def test_interrupted_anywhere_the_same_again_finishes(step, workspace, store, monkeypatch):
    owner = {"delete_people": History, "vacuum": Store}.get(step, erasing)
    real = getattr(owner, step)

    def interrupted(*args, **kwargs):
        real(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(owner, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            erase(workspace, store, raw=True)
    (done,) = erase(workspace, store, raw=True)
    assert done.missing == []
    assert holding(workspace.root) == []
    assert done.erased.event is None
    assert done.erased.erased_at == LATER
    assert Ledger(store, workspace.signing_key()).last() == 2 * len(PEOPLE) + 1
    assert Ledger(store, workspace.signing_key()).first_break() is None
    folder = workspace.root / "experiments" / "mailing"
    (record,) = json.loads((folder / "draws.json").read_text())
    assert record == {"file": "assignments.csv", "sha256": sha256((folder / "assignments.csv").read_bytes()).hexdigest(), "people": 14}


def test_an_id_of_the_tables_that_begins_with_the_erased_one_does_not_keep_it_from_being_complete(workspace, store):
    kept = workspace.root / "notes.db"
    kept.write_bytes(b"\0\1" + LONGER.encode() + b"\0\1")
    assert erase(workspace, store, raw=True)[0].missing == []
    kept.write_bytes(b"\0\1" + LONGER.encode() + CANARY.encode() + b"next")
    assert erase(workspace, store, raw=True)[0].missing == ["the id still stands in notes.db"]


def test_a_database_that_is_read_for_long_is_a_fault_on_the_certificate(workspace, store, monkeypatch):
    monkeypatch.setattr("features.database.store._BUSY_MILLISECONDS", 10)
    monkeypatch.setattr("features.database.store._PAUSE_SECONDS", 0.0)
    busy = Store(workspace.database_url)
    with store.read() as reading:
        reading.exec_driver_sql("BEGIN")
        reading.exec_driver_sql("SELECT count(*) FROM ledger").scalar()
        (done,) = erase(workspace, busy, raw=True)
    (fault,) = done.missing
    assert "is not overwritten yet" in fault
    document = json.loads(done.path.read_text())
    assert (document["complete"], document["not_complete"]) == (False, [fault])
    assert Permission(workspace, busy).erased([CANARY]) == {CANARY}
    (again,) = erase(workspace, busy, raw=True)
    assert again.missing == []
    busy.close()


def test_a_table_that_is_being_written_is_told_and_the_rest_is_done_later(workspace, store):
    with (workspace.tables / ".people.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ErasingError, match=r"writing people.*ask for the same erasure again"):
            erase(workspace, store)
        assert Permission(workspace, store).erased([CANARY]) == {CANARY}
    (done,) = erase(workspace, store, raw=True)
    assert done.missing == []


def test_somebody_unknown_is_suppressed_and_told(workspace, store, tmp_path):
    (done,) = erase(workspace, store, "van:stranger-1")
    assert (done.missing, done.erased.anything) == ([], False)
    assert "nothing was known or held" in str(done)
    summary = import_text(workspace, tmp_path, "people", csv("people", ["van:stranger-1", "van:stranger-2"]))
    assert (summary.stored, summary.erased) == (1, 1)


def test_twice_is_told_and_changes_nothing(workspace, store):
    (first,) = erase(workspace, store, raw=True)
    (second,) = erase(workspace, store, raw=True)
    assert (second.erased.event, second.erased.erased_at) == (None, first.erased.erased_at)
    assert second.erased.removed == {"tables": {}, "vectors": 0, "files": {}}
    assert "recorded before" in str(second)
    assert [json.loads(one.path.read_text())["removed_is"].startswith("all") for one in (first, second)] == [True, False]
    assert second.path != first.path


def test_several_at_once_have_a_certificate_each(workspace, store):
    done = erase(workspace, store, CANARY, "van:3", CANARY, "van:stranger-1", raw=True)
    assert [one.erased.event for one in done] == [2 * len(PEOPLE) + number for number in (1, 2, 3)]
    assert [sum(one.erased.tables.values()) for one in done] == [5, 4, 0]
    assert len({one.path for one in done}) == 3
    assert holding(workspace.root) == holding(workspace.root, "van:3,") == []


def model(name, versions, *, experiment=None, registered=NOW):
    return TrainedModel(name, 1, "d" * 64, registered, in_office=False, table_versions=versions, experiment=experiment)


def test_models_are_listed_that_read_tables_with_the_person(workspace, store):
    listed = [
        model("first", {"interactions": 0, "people": 0}),
        model("before anybody", {"interactions": -1, "people": -1}),
        model("does not say", {}),
        model("of an experiment", {"assignments": 0}, experiment="mailing"),
        model("of another", {"assignments": 0}, experiment="door"),
    ]
    names = {"first", "does not say", "of an experiment"}
    (done,) = erase_people(workspace, store, [CANARY], now=LATER, door="command", models=lambda: listed)
    assert {each.name for each in done.erased.models} == names
    document = json.loads(done.path.read_text())
    assert {each["name"]: each["state"] for each in document["models"]} == dict.fromkeys(names, "kept_with_reason")
    assert all(each["reason"] for each in document["models"])


def test_once_rows_are_gone_every_version_of_before_is_listed(workspace, store):
    erase(workspace, store)
    listed = [model("before", {"people": 0}, registered=NOW), model("after", {"people": 0}, registered=LATER + timedelta(seconds=1))]
    (done,) = erase_people(workspace, store, [CANARY], now=LATER + timedelta(hours=1), door="command", models=lambda: listed)
    assert [each.name for each in done.erased.models] == ["before"]


def test_models_that_cannot_be_listed_stop_nothing(workspace, store):
    def broken():
        raise ConnectionError(f"no server, asked for {CANARY}")

    (done,) = erase_people(workspace, store, [CANARY], now=LATER, door="command", raw=True, models=broken)
    assert holding(workspace.root) == []
    assert done.missing == ["the registered models could not be listed (ConnectionError)"]


def test_what_cannot_be_looked_into_is_told(workspace, store):
    (workspace.root / "raw" / f"{CANARY}.zip").write_bytes(b"PK\x03\x04 broken")
    (workspace.root / "raw" / "other.zip").write_bytes(b"PK\x03\x04 broken")
    (done,) = erase(workspace, store, raw=True)
    assert done.missing == ["the id still stands in raw/….zip", "raw/other.zip could not be looked into: cannot be opened as zip (BadZipFile)"]


def test_vectors_of_another_release_are_withdrawn_and_told(workspace, store):
    for manifest in workspace.vectors.glob("v*/manifest.json"):
        manifest.write_text(manifest.read_text().replace('"format": 2', '"format": 1'))
    (done,) = erase(workspace, store, raw=True)
    assert done.missing == []
    assert "build them with `audience vectors`" in str(done)
    assert not (workspace.vectors / "CURRENT").exists()


def test_progress_says_what_is_done(workspace, store):
    told = []
    erase(workspace, store, progress=lambda stage, share: told.append((share, stage)))
    assert told == sorted(told, key=lambda each: each[0])
    assert told[0] == (0.0, "writing it into the ledger")
    assert told[-1][0] == 1.0
    assert CANARY not in str(told)
