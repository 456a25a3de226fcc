"""The queue to recipients: who spoke or was erased is told of by the names of rows, once for each reason, where it is heard."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from features.database.schema import EXPORT_PEOPLE, EXPORTS, NOTICES
from features.database.store import Store, StoreError
from features.permission import ledger as ledger_module
from features.permission.exports import Export, new_references, recipients_of, write
from features.permission.ledger import Event, Ledger
from features.permission.recipients import counted, letters, queue, rows_of, tell, waiting
from features.permission.signing import SignatureError, check
from features.permission.use import Use

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
SECRET = b"s" * 32
DOORSTEP = Use(purpose="campaign_messages", channel_class="offline", sponsor_type="ngo", jurisdiction="be")
LETTERS = DOORSTEP.model_copy(update={"channel": "post"})
ONLINE = Use(purpose="political_ads", channel_class="online_targeted", sponsor_type="political_actor", jurisdiction="fr")


@pytest.fixture(params=["sqlite", "postgresql"])
def any_store(request, tmp_path):
    url = f"sqlite:///{tmp_path / 'audience.db'}" if request.param == "sqlite" else request.getfixturevalue("new_postgres")()
    opened = Store(url)
    yield opened
    opened.close()


@pytest.fixture
def store(tmp_path):
    opened = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    yield opened
    opened.close()


def hand_out(store, people, *, recipient="Print shop X", use=DOORSTEP, at=NOW):
    """Write down an export; returns the reference of each person's row."""
    ledger, rows = Ledger(store, SECRET), dict(zip(people, new_references(len(people)), strict=True))
    export_id = new_references(1)[0]
    decided = {"law": "be 1 x", "ledger": 0, "tables": {"people": 1}, "as_of": at, "file_digest": "f" * 64}
    said = {"outside": False, "approver": "A. Name", "use": use, "scores": ["affinity:housing"], "models": [{"name": "affinity"}]}
    export = Export(export_id, at, recipient, **said, **decided)
    with store.write(serial=True) as connection:
        subjects = ledger.subjects.ensure(connection, people, at)
        write(connection, export, {reference: subjects[person].token for person, reference in rows.items()})
    return rows


def say(store, *said, now=LATER):
    """Record events, each a person, an event, a purpose and a channel."""
    events = [Event(person, event, *(rest or ["any", "any"]), now) for person, event, *rest in said]
    return Ledger(store, SECRET).append(events, now=now, door="command")


def erase(store, person, now=LATER):
    with store.write(serial=True) as connection:
        return Ledger(store, SECRET).erase(connection, person, now=now, door="command")


def queued(store):
    return sorted((notice.reference, notice.reason) for notice in waiting(store))


def test_what_was_handed_out_is_written_down_and_never_changed(any_store):
    rows = hand_out(any_store, ["van:1", "van:2"])
    hand_out(any_store, ["van:2"], recipient="Mailer Y")
    with any_store.read() as connection:
        token = Ledger(any_store, SECRET).subjects.find("van:2").token
        assert recipients_of(connection, token) == {"Mailer Y": 1, "Print shop X": 1}
        export = connection.execute(select(EXPORTS).where(EXPORTS.c.recipient == "Print shop X")).one()
        assert (export.people, export.at, Use(**json.loads(export.use))) == (2, NOW, DOORSTEP)
        assert set(connection.execute(select(EXPORT_PEOPLE.c.reference)).scalars()) > set(rows.values())
    for change in ("UPDATE exports SET recipient = 'Z'", "DELETE FROM export_people"):
        with pytest.raises(StoreError), any_store.write() as connection:
            connection.exec_driver_sql(change)


def test_whoever_speaks_or_is_erased_is_told_of_once_for_each_reason(any_store):
    first, second = hand_out(any_store, ["van:1", "van:2", "van:3", "van:4"]), hand_out(any_store, ["van:1", "van:4"], recipient="Mailer Y")
    said = [("van:1", "objected"), ("van:2", "withdrawn", "campaign_messages", "any"), ("van:3", "given", "campaign_messages", "any")]
    say(any_store, *said)
    expected = [(first["van:1"], "objected"), (second["van:1"], "objected"), (first["van:2"], "withdrawn")]
    assert queued(any_store) == sorted(expected)
    say(any_store, *said, now=LATER)
    say(any_store, ("van:1", "objected"), ("van:1", "refused"), now=LATER + timedelta(hours=1))
    expected += [(first["van:1"], "refused"), (second["van:1"], "refused")]
    assert queued(any_store) == sorted(expected)
    assert erase(any_store, "van:4") is not None
    assert erase(any_store, "van:4") is None
    assert queued(any_store) == sorted([*expected, (first["van:4"], "erased"), (second["van:4"], "erased")])
    assert {notice.at for notice in waiting(any_store)} == {LATER, LATER + timedelta(hours=1)}


@pytest.mark.parametrize(
    ("use", "said", "heard"),
    [
        (DOORSTEP, ("withdrawn", "campaign_messages", "any"), True),
        (DOORSTEP, ("refused", "any", "any"), True),
        (DOORSTEP, ("withdrawn", "fundraising", "any"), False),
        (DOORSTEP, ("objected", "political_ads", "any"), False),
        (DOORSTEP, ("objected", "campaign_messages", "post"), False),
        (LETTERS, ("objected", "campaign_messages", "post"), True),
        (LETTERS, ("withdrawn", "campaign_messages", "email"), False),
        (ONLINE, ("withdrawn", "political_ads_online", "any"), True),
        (ONLINE, ("objected", "campaign_messages", "any"), True),
        (ONLINE, ("withdrawn", "campaign_messages", "any"), False),
        (DOORSTEP, ("expired", "campaign_messages", "any"), False),
        (DOORSTEP, ("given", "campaign_messages", "any"), False),
    ],
)
def test_it_is_told_where_it_is_heard(store, use, said, heard):
    rows = hand_out(store, ["van:1"], use=use)
    say(store, ("van:1", *said))
    assert queued(store) == ([(rows["van:1"], said[0])] if heard else [])


def test_what_was_said_before_is_not_told_and_strangers_neither(store):
    say(store, ("van:1", "objected"))
    hand_out(store, ["van:1", "van:2"])
    say(store, ("van:3", "objected"), ("van:2", "given", "service", "any"), now=LATER + timedelta(hours=1))
    assert queued(store) == []


def test_letters_name_rows_and_nobody_and_what_was_told_leaves_the_queue(store):
    rows = hand_out(store, ["van:canary-1", "van:canary-2"])
    hand_out(store, ["van:canary-1"], recipient="Mailer Y")
    say(store, ("van:canary-1", "objected"))
    erase(store, "van:canary-2")
    made = letters(waiting(store), workspace="Test", secret=SECRET, now=LATER)
    assert list(made) == ["Mailer Y", "Print shop X"]
    letter = json.loads(json.dumps(made["Print shop X"]))
    check(letter, SECRET)
    assert rows_of(letter) == {(rows["van:canary-1"], "objected"), (rows["van:canary-2"], "erased")}
    assert "canary" not in json.dumps(made)
    with pytest.raises(SignatureError):
        check(letter | {"to": "Somebody else"}, SECRET)
    assert [(line["recipient"], line["erased"], line["objected"]) for line in counted(waiting(store))] == [("Mailer Y", 0, 1), ("Print shop X", 1, 1)]
    theirs = [notice for notice in waiting(store) if notice.recipient == "Print shop X"]
    assert tell(store, theirs, by="A. Name", now=LATER) == 2
    assert tell(store, theirs, by="B. Name", now=LATER) == 0
    assert [notice.recipient for notice in waiting(store)] == ["Mailer Y"]
    with store.read() as connection:
        assert set(connection.execute(select(NOTICES.c.told_by)).scalars()) == {None, "A. Name"}


def test_events_that_cannot_be_recorded_queue_nothing(store, monkeypatch):
    hand_out(store, ["van:1"])

    def full(*args, **kwargs):
        assert queue(*args, **kwargs) == 1
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(ledger_module, "queue", full)
    with pytest.raises(RuntimeError, match="disk is full"):
        say(store, ("van:1", "objected"))
    assert (queued(store), Ledger(store, SECRET).last()) == ([], 0)
