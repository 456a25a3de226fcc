"""What is done to the register by one who has the database but not the key: it is found, at its end by checkpoints alone; checkpoints of before still count."""

import json
from datetime import UTC, datetime

import pytest

from features.database.store import Store
from features.permission.register import Register
from serving.audit import Answer, AuditLog
from serving.checkpoint_files import keep
from serving.checkpoints import Checkpoint, CheckpointError, Signer
from serving.register_verification import verify_register

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def kept(made, tmp_path):
    """A store with three entries of the register and one of the log, and a workspace that keeps checkpoints."""
    from dataclasses import replace

    workspace = replace(made.workspace, root=tmp_path)
    store, secret = Store(f"sqlite:///{tmp_path / 'audience.db'}"), workspace.signing_key()
    AuditLog(store, secret).record(Answer("a1", NOW, "api", "GET /v1/models", 200))
    add(store, secret, 3)
    yield workspace, store, secret
    store.close()


def add(store, secret, count, start=0):
    register = Register(store, secret)
    with store.write(serial=True) as connection:
        for number in range(start, start + count):
            register.append(connection, "topic", {"number": number}, now=NOW)


def attack(store, statement):
    with store.write() as connection:
        for verb in ("update", "delete"):
            connection.exec_driver_sql(f"DROP TRIGGER register_no_{verb}")
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE register SET body = '{}' WHERE seq = 2", "entry 2 was changed"),
        ("UPDATE register SET at = '2020-01-01 00:00:00.000000' WHERE seq = 1", "entry 1 was changed"),
        ("UPDATE register SET at = 'never' WHERE seq = 2", "cannot stand in it"),
        ("DELETE FROM register WHERE seq = 1", "entry 2 was changed"),
        ("DELETE FROM register WHERE seq = 3", None),
    ],
)
def test_a_change_is_found_by_the_chain_alone_but_for_a_cut(kept, statement, told):
    workspace, store, secret = kept
    assert list(verify_register(store, secret).words()) == ["3 entries of the register hold; 0 checkpoints agree with them"]
    checkpoint = keep(workspace, store, Signer(secret), now=NOW).checkpoint
    assert (checkpoint.seq, checkpoint.register) == (1, 3)
    attack(store, statement)
    found = verify_register(store, secret)
    assert (found.bad is None) if told is None else told in found.bad
    assert not verify_register(store, secret, [checkpoint]).holds, "a checkpoint knows of the cut too"
    if told is None:
        assert keep(workspace, store, Signer(secret), now=NOW).contradicts.startswith("the register does not hold entry 3")


def test_a_new_entry_of_the_register_alone_is_a_new_checkpoint(kept):
    workspace, store, secret = kept
    signer = Signer(secret)
    assert keep(workspace, store, signer, now=NOW).checkpoint is not None
    assert keep(workspace, store, signer, now=NOW).checkpoint is None
    add(store, secret, 1, start=3)
    second = keep(workspace, store, signer, now=NOW)
    assert (second.checkpoint.register, second.contradicts) == (4, None)
    assert verify_register(store, secret, [signer.read(line) for line in second.paths[0].read_text().splitlines()]).checkpoints == 2


def test_checkpoints_of_before_are_read_and_half_of_the_new_members_are_not():
    signer = Signer(b"s" * 32)
    old = Checkpoint(3, "a" * 64, NOW, 3)
    line = signer.line(old)
    assert "register" not in line
    assert signer.read(line) == old
    new = Checkpoint(3, "a" * 64, NOW, 3, 5, "b" * 64)
    assert signer.read(signer.line(new)) == new
    for change in ({"register": 6}, {"register_link": "c" * 64}, {"register": None}):
        with pytest.raises(CheckpointError):
            signer.read(json.dumps(json.loads(signer.line(new)) | change))
    without = {name: value for name, value in json.loads(signer.line(new)).items() if not name.startswith("register")}
    with pytest.raises(CheckpointError, match="hmac"):
        signer.read(json.dumps(without))


def test_where_there_is_no_register_nothing_is_said(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    assert list(verify_register(store, b"s" * 32).words()) == []
    store.close()
