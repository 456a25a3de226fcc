"""What is done to ledger or register by one who has the database but not the key: it is found, at their ends by checkpoints; those of before still count."""

import json
from datetime import UTC, datetime

import pytest

from features.database.schema import EXPORTS
from features.database.store import Store
from features.permission.ledger import Event, Ledger
from features.permission.recipients import tell, waiting
from features.permission.register import Register
from features.workspace import Workspace
from serving.audit import Answer, AuditLog
from serving.chain_verification import verify_chain
from serving.checkpoint_files import keep
from serving.checkpoints import Checkpoint, CheckpointError, Signer
from serving.exporting import Asked, export
from tests.serving.members import DOORS
from tests.serving.ruled import erase, say

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ROWS = {"ledger": "events", "register": "entries"}
TOML = '[workspace]\nname = "Us"\n[kinds.gift]\ndirection = "in"\nen = "gift"\n[channels.door]\nen = "door"\n'


@pytest.fixture
def kept(tmp_path):
    """A store with three events of the ledger, three entries of the register and one of the log, and a workspace that keeps checkpoints."""
    (tmp_path / "audience.toml").write_text(TOML)
    workspace = Workspace.open(tmp_path)
    store, secret = Store(f"sqlite:///{tmp_path / 'audience.db'}"), workspace.signing_key()
    AuditLog(store, secret).record(Answer("a1", NOW, "api", "GET /v1/models", 200))
    for name in ROWS:
        add(store, secret, name, 3)
    yield workspace, store, secret
    store.close()


def add(store, secret, name, count, start=0):
    if name == "ledger":
        events = [Event(f"van:{number}", "objected", "any", "any", NOW) for number in range(start, start + count)]
        Ledger(store, secret).append(events, now=NOW, door="command")
        return
    with store.write(serial=True) as connection:
        for number in range(start, start + count):
            Register(store, secret).append(connection, "topic", {"number": number}, now=NOW)


def attack(store, name, statement):
    with store.write() as connection:
        for verb in ("update", "delete"):
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}_no_{verb}")
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize(
    ("name", "statement", "told"),
    [
        ("ledger", "UPDATE ledger SET event = 'given' WHERE seq = 2", "event 2 was changed"),
        ("ledger", "UPDATE ledger SET sealed = 'soon', recorded_at = 'soon' WHERE seq = 2", "event 2 was changed"),
        ("ledger", "DELETE FROM ledger WHERE seq = 2", "event 3 was changed"),
        ("ledger", "DELETE FROM ledger WHERE seq >= 2", None),
        ("register", "UPDATE register SET body = '{}' WHERE seq = 2", "entry 2 was changed"),
        ("register", "UPDATE register SET at = '2020-01-01 00:00:00.000000' WHERE seq = 1", "entry 1 was changed"),
        ("register", "UPDATE register SET at = 'never' WHERE seq = 2", "cannot stand in it"),
        ("register", "DELETE FROM register WHERE seq = 1", "entry 2 was changed"),
        ("register", "DELETE FROM register WHERE seq >= 2", None),
    ],
)
def test_a_change_is_found_by_the_chain_alone_but_for_a_cut(kept, name, statement, told):
    workspace, store, secret = kept
    assert list(verify_chain(store, secret, name).words()) == [f"3 {ROWS[name]} of the {name} hold; 0 checkpoints agree with them"]
    checkpoint = keep(workspace, store, Signer(secret), now=NOW).checkpoint
    assert (checkpoint.seq, checkpoint.register, checkpoint.ledger) == (1, 3, 3)
    assert verify_chain(store, secret, name, [checkpoint]).checkpoints == 1
    attack(store, name, statement)
    found = verify_chain(store, secret, name)
    assert (found.bad is None) if told is None else told in found.bad
    row = "event" if name == "ledger" else "entry"
    (words,) = verify_chain(store, secret, name, [checkpoint]).words()
    cut = f"{row} 2 is missing, with all after it: the {name} was cut off; the checkpoint of 2026-11-01 12:00:00 UTC knew {row} 3"
    assert words.startswith(f"the {name} does not hold: ")
    assert (told or cut) in words
    contradicts = keep(workspace, store, Signer(secret), now=NOW).contradicts
    assert contradicts is None if told is not None else contradicts.startswith(f"the {name} does not hold {row} 3")


@pytest.mark.parametrize("name", ROWS)
def test_what_was_cut_off_and_written_anew_with_the_key_is_found_by_a_checkpoint(kept, name):
    workspace, store, secret = kept
    checkpoint = keep(workspace, store, Signer(secret), now=NOW).checkpoint
    attack(store, name, f"DELETE FROM {name} WHERE seq = 3")
    with store.write() as connection:
        connection.exec_driver_sql(f"UPDATE sqlite_sequence SET seq = 2 WHERE name = '{name}'")
    add(store, secret, name, 2, start=7)
    assert verify_chain(store, secret, name).holds
    assert "3 is not the one of the checkpoint of 2026-11-01 12:00:00 UTC: " in verify_chain(store, secret, name, [checkpoint]).bad


def test_a_cut_is_found_by_the_answers_of_the_log_too(kept):
    _, store, secret = kept
    AuditLog(store, secret).record(Answer("a2", NOW, "api", "POST /v1/people/objections", 200, ledger=3))
    attack(store, "ledger", "DELETE FROM ledger WHERE seq = 3")
    (words,) = verify_chain(store, secret, "ledger").words()
    assert "it ends at event 2, and an answer of the log was given when it had reached event 3" in words


@pytest.mark.parametrize("name", ROWS)
def test_a_new_row_of_one_alone_is_a_new_checkpoint(kept, name):
    workspace, store, secret = kept
    signer = Signer(secret)
    assert keep(workspace, store, signer, now=NOW).checkpoint is not None
    assert keep(workspace, store, signer, now=NOW).checkpoint is None
    add(store, secret, name, 1, start=3)
    second = keep(workspace, store, signer, now=NOW)
    assert (second.checkpoint.end(name).seq, second.contradicts) == (4, None)
    assert verify_chain(store, secret, name, [signer.read(line) for line in second.paths[0].read_text().splitlines()]).checkpoints == 2


def test_checkpoints_of_before_are_read_and_half_of_the_new_members_are_not():
    signer = Signer(b"s" * 32)
    old = Checkpoint(3, "a" * 64, NOW, 3)
    line = signer.line(old)
    assert "register" not in line
    assert "ledger" not in line
    for kept in (old, Checkpoint(3, "a" * 64, NOW, 3, 5, "b" * 64), Checkpoint(3, "a" * 64, NOW, 3, ledger=7, ledger_link="d" * 64)):
        assert signer.read(signer.line(kept)) == kept
    new = Checkpoint(3, "a" * 64, NOW, 3, 5, "b" * 64, 7, "d" * 64)
    assert signer.read(signer.line(new)) == new
    for name in ROWS:
        for change in ({name: 6}, {f"{name}_link": "c" * 64}, {name: None}):
            with pytest.raises(CheckpointError):
                signer.read(json.dumps(json.loads(signer.line(new)) | change))
        without = {member: value for member, value in json.loads(signer.line(new)).items() if not member.startswith(name)}
        with pytest.raises(CheckpointError, match="hmac"):
            signer.read(json.dumps(without))
        with pytest.raises(CheckpointError, match="members"):
            signer.read(json.dumps(without | {f"{name}_link": "d" * 64}))


@pytest.mark.parametrize("name", ROWS)
def test_another_key_is_told_and_where_there_is_nothing_nothing_is_said(kept, name, tmp_path):
    _, store, _ = kept
    assert not verify_chain(store, b"t" * 32, name).holds
    empty = Store(f"sqlite:///{tmp_path / 'empty.db'}")
    assert list(verify_chain(empty, b"s" * 32, name).words()) == []
    empty.close()


def test_rows_that_lead_to_people_and_are_gone_without_an_erasure_are_missed(kept):
    _, store, secret = kept
    ledger = Ledger(store, secret)
    with store.write(serial=True) as connection:
        ledger.erase(connection, "van:1", now=NOW, door="command")
    assert verify_chain(store, secret, "ledger").holds, "an erasure leaves no gap"
    attack(store, "suppressions", "DELETE FROM suppressions")
    assert verify_chain(store, secret, "ledger").bad == "1 people were erased, and 0 suppressions are there: whose is gone could be imported again"
    with store.write() as connection:
        connection.exec_driver_sql("DELETE FROM subjects WHERE number = 3")
    assert verify_chain(store, secret, "ledger").bad == ("event 3 is of a person whose key was deleted without an erasure: what they said is heard by nobody")


def test_exports_their_people_and_what_their_recipients_are_told_of_are_as_in_register_and_ledger(server, tmp_path):
    def bad():
        assert verify_chain(server.store, server.key, "ledger").holds
        return verify_chain(server.store, server.key, "register").bad

    say(server.workspace, "van:0001", "objected", "any")
    for name in ("first", "second"):
        export(server, server.reloader.current, Asked(DOORS, ["affinity:housing"], "Print shop X", "A. Name", tmp_path / f"{name}.csv"))
    assert (bad(), waiting(server.store)) == (None, []), "what was said before is told to nobody"
    for event, purpose in (("objected", "any"), ("withdrawn", "campaign_messages"), ("withdrawn", "fundraising")):
        say(server.workspace, "van:0002", event, purpose)
    erase(server.workspace, "van:0003")
    tell(server.store, waiting(server.store)[:3], by="A. Name", now=NOW)
    assert bad() is None, "what is done by the law is no gap"
    first, second = (entry.seq for entry in Register(server.store, server.key).entries("export"))
    copied = ", ".join(column.name for column in EXPORTS.columns if column.name != "export_id")
    of_second = f"WHERE export_id = (SELECT json_extract(body, '$.export_id') FROM register WHERE seq = {second})"
    for table, statement, told in (  # what is looked for first is done last
        ("notices", "DELETE FROM notices", "the queue to recipients lacks notices of rows that have to go: 2 erased, 2 objected, 2 withdrawn"),
        ("exports", f"INSERT INTO exports (export_id, {copied}) SELECT 'x', {copied} FROM exports LIMIT 1", "1 exports are in no entry: they were put in"),
        ("export_people", f"DELETE FROM export_people {of_second}", f"entry {second} is of 599 people, and 0 rows say who is in its export"),
        ("exports", "UPDATE exports SET recipient = 'Nobody', approver = 'Me'", f"the export of entry {first} was changed: recipient, approver"),
        ("exports", f"UPDATE exports SET at = 'never' {of_second}", "an export holds what cannot stand in it (ValueError)"),
        ("exports", f"DELETE FROM exports {of_second}", f"the export of entry {first} was changed: recipient, approver"),
        ("export_people", "DELETE FROM export_people", f"the export of entry {first} was changed: recipient, approver"),
        ("exports", "DELETE FROM exports", f"the export of entry {first} was deleted: nobody could say to whom their data were handed out"),
    ):
        attack(server.store, table, statement)
        assert bad() == told
