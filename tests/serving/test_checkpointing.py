"""The schedule: a checkpoint at start, now and then, and at stop; one process on duty; nothing that fails ends it."""

import logging
from datetime import UTC, datetime

import pytest

from features.database.store import Store
from features.workspace import Workspace
from serving.audit import Answer, AuditLog
from serving.checkpoint_files import read
from serving.checkpointing import Checkpointer
from serving.checkpoints import Signer
from tests.serving.conftest import serving, wait_until

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
TOML = '[workspace]\nname = "Us"\n[kinds.gift]\ndirection = "in"\nen = "gift"\n[channels.door]\nen = "door"\n[audit]\ncheckpoint_minutes = {minutes}\n'


class Running:
    """A workspace with a log, and checkpointers that stop when the test ends."""

    def __init__(self, folder, minutes=600, more=""):
        (folder / "audience.toml").write_text(TOML.format(minutes=minutes) + more)
        self.workspace = Workspace.open(folder)
        self.key = self.workspace.signing_key()
        self.store = Store(self.workspace.database_url)
        self.log = AuditLog(self.store, self.key)
        self.answers = 0
        self.started = []

    def answer(self):
        self.answers += 1
        self.log.record(Answer(f"a{self.answers}", NOW, "api", "x", 200))

    def start(self):
        made = Checkpointer(self.workspace, self.store, self.key, now=lambda: NOW)
        made.start()
        self.started.append(made)
        return made

    def seqs(self):
        if not self.workspace.checkpoints.exists():
            return []
        found, faults = read(self.workspace.checkpoints, Signer(self.key))
        assert faults == []
        return [checkpoint.seq for checkpoint in found]


@pytest.fixture
def running(tmp_path):
    made = []

    def make(**how):
        made.append(Running(tmp_path, **how))
        return made[-1]

    yield make
    for each in made:
        for one in each.started:
            one.stop()
        each.store.close()


def test_at_start_and_at_stop(running):
    here = running()
    here.answer()
    checkpointer = here.start()
    wait_until(lambda: here.seqs() == [1])
    here.answer()
    here.answer()
    checkpointer.stop()
    assert here.seqs() == [1, 3]


def test_none_without_a_new_entry(running):
    here = running()
    here.start().stop()
    assert here.seqs() == []
    here.answer()
    for _ in range(3):
        here.start().stop()
    assert here.seqs() == [1]


def test_every_so_many_minutes(running):
    here = running(minutes=0.0005)
    here.start()
    for number in range(1, 4):
        here.answer()
        wait_until(lambda number=number: here.seqs()[-1:] == [number])
    assert here.seqs() == [1, 2, 3]


def test_one_is_on_duty_until_it_ends(running):
    here = running()
    here.answer()
    first = here.start()
    wait_until(lambda: here.seqs() == [1])
    here.answer()
    second = here.start()
    second.stop()
    assert here.seqs() == [1]
    third = here.start()
    first.stop()
    assert here.seqs() == [1, 2]
    here.answer()
    third.stop()
    assert here.seqs() == [1, 2, 3]


def test_what_fails_is_told_and_mended(running, tmp_path, caplog):
    here = running(minutes=0.0005, more='checkpoint_folder = "away"\n')
    here.answer()
    with caplog.at_level(logging.ERROR, "audience.audit"):
        here.start()
        wait_until(lambda: "checkpoint_folder cannot be written" in caplog.text)
    (tmp_path / "away").mkdir()
    wait_until(lambda: [path for path in (tmp_path / "away").iterdir() if path.stat().st_size])
    assert here.seqs() == [1]
    assert here.key.hex() not in caplog.text


def test_a_log_that_lost_its_end_is_told(running, caplog):
    here = running()
    here.answer()
    here.answer()
    here.start().stop()
    with here.store._engine.connect() as connection:
        connection.exec_driver_sql("DROP TRIGGER chain_no_delete")
        connection.exec_driver_sql("DELETE FROM chain WHERE seq = 2")
        connection.commit()
    with caplog.at_level(logging.ERROR, "audience.audit"):
        here.start().stop()
    assert "the log does not hold entry 2" in caplog.text


def test_a_server_does_it(copied, quick_trial):
    with serving(copied.root) as (client, _):
        client.get("/v1/models")
    found, faults = read(copied.checkpoints, Signer(copied.signing_key()))
    assert ([checkpoint.seq for checkpoint in found], faults) == ([1], [])
