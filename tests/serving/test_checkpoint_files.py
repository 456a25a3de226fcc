"""Checkpoints on disk: one for every new end of the log, in every place, whole lines only, whatever happened to the place before."""

import json
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from features.database.store import Store
from features.workspace import Workspace, WorkspaceError
from serving.audit import Answer, AuditLog
from serving.checkpoint_files import keep, paths, read
from serving.checkpoints import Checkpoint, CheckpointError, Signer

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
TOML = '[workspace]\nname = "Us"\n[kinds.gift]\ndirection = "in"\nen = "gift"\n[channels.door]\nen = "door"\n'


@pytest.fixture
def made(tmp_path):
    """A workspace, its log with an answer, and another folder for its checkpoints."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "audience.toml").write_text(f'{TOML}[audit]\ncheckpoint_folder = "elsewhere"\n')
    workspace = Workspace.open(tmp_path)
    store = Store(workspace.database_url)
    key = workspace.signing_key()
    found = SimpleNamespace(workspace=workspace, store=store, signer=Signer(key), log=AuditLog(store, key), elsewhere=elsewhere, answers=0)
    answer(found)
    yield found
    store.close()


def answer(made, count=1):
    for _ in range(count):
        made.answers += 1
        made.log.record(Answer(f"a{made.answers}", NOW, "api", "x", 200))


def kept(made, minutes=0):
    return keep(made.workspace, made.store, made.signer, now=NOW + timedelta(minutes=minutes))


def lines(made):
    return [path.read_text().splitlines() for path in paths(made.workspace, made.signer)]


def test_each_new_end_is_written_in_both_places(made):
    first = kept(made)
    assert (first.checkpoint.seq, first.checkpoint.count, first.checkpoint.at, first.contradicts) == (1, 1, NOW, None)
    assert kept(made, 1).checkpoint is None
    answer(made, 3)
    assert kept(made, 2).checkpoint.seq == 4
    own, other = lines(made)
    assert own == other
    assert [made.signer.read(line).seq for line in own] == [1, 4]
    found, faults = read(made.workspace.checkpoints, made.signer)
    assert ([checkpoint.seq for checkpoint in found], faults) == ([1, 4], [])


def test_an_empty_log_has_no_checkpoint(made):
    with made.store._engine.connect() as connection:
        connection.exec_driver_sql("DROP TRIGGER chain_no_delete")
        connection.exec_driver_sql("DELETE FROM chain")
        connection.commit()
    assert kept(made).checkpoint is None
    assert lines(made) == [[], []]


def test_a_folder_that_is_not_mounted_is_told_and_caught_up_with(made):
    made.elsewhere.rmdir()
    with pytest.raises(CheckpointError, match=r"checkpoints stand in .*checkpoints.jsonl, but .*elsewhere of \[audit\] checkpoint_folder cannot be written"):
        kept(made)
    assert not made.elsewhere.exists()
    answer(made)
    made.elsewhere.mkdir()
    kept(made, 1)
    own, other = lines(made)
    assert own == other
    assert len(own) == 2


def test_half_a_line_of_a_killed_writer_is_cut_off(made):
    kept(made)
    for path in paths(made.workspace, made.signer):
        with path.open("a") as file:
            file.write('{"seq":')
    answer(made)
    kept(made, 1)
    own, other = lines(made)
    assert own == other
    assert [made.signer.read(line).seq for line in own] == [1, 2]


def test_what_is_whole_only_grows(made):
    """The system may be told that the file is to grow only: nothing of it is written again."""
    kept(made)
    before, inode = made.workspace.checkpoints.read_bytes(), made.workspace.checkpoints.stat().st_ino
    answer(made)
    kept(made, 1)
    assert made.workspace.checkpoints.read_bytes().startswith(before)
    assert made.workspace.checkpoints.stat().st_ino == inode


def test_the_other_place_keeps_what_is_taken_from_the_first(made):
    kept(made)
    made.workspace.checkpoints.unlink()
    answer(made)
    kept(made, 1)
    own, other = lines(made)
    assert [made.signer.read(line).seq for line in own] == [2]
    assert [made.signer.read(line).seq for line in other] == [1, 2]


def test_a_forged_line_is_named_and_hinders_nobody(made):
    kept(made)
    forged = json.dumps(json.loads(lines(made)[0][0]) | {"seq": 99})
    with made.workspace.checkpoints.open("a") as file:
        file.write(f"{forged}\n")
    answer(made)
    assert kept(made, 1).checkpoint.seq == 2
    found, (fault,) = read(made.workspace.checkpoints, made.signer)
    assert [checkpoint.seq for checkpoint in found] == [1, 2]
    assert (fault.path, fault.line) == (made.workspace.checkpoints, 2)
    assert "line 2 of" in str(fault)


def test_a_log_that_lost_its_end_is_told_at_the_next_checkpoint(made):
    answer(made, 2)
    kept(made)
    with made.store._engine.connect() as connection:
        connection.exec_driver_sql("DROP TRIGGER chain_no_delete")
        connection.exec_driver_sql("DELETE FROM chain WHERE seq = 3")
        connection.commit()
    found = kept(made, 1)
    assert "the log does not hold entry 3 as the checkpoint of 2026-11-01 12:00:00 UTC has it" in found.contradicts
    assert found.checkpoint == Checkpoint(2, found.checkpoint.link, NOW + timedelta(minutes=1), 2)


def test_writers_at_once_write_one_checkpoint(made):
    answer(made, 3)
    results = []
    threads = [threading.Thread(target=lambda: results.append(kept(made).checkpoint)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(checkpoint is not None for checkpoint in results) == 1
    assert [len(each) for each in lines(made)] == [1, 1]


def test_two_workspaces_may_share_a_folder(made, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "audience.toml").write_text(f'{TOML}[audit]\ncheckpoint_folder = "{made.elsewhere}"\n')
    other = Workspace.open(tmp_path / "other")
    one, another = paths(made.workspace, made.signer)[1], paths(other, Signer(other.signing_key()))[1]
    assert one.parent == another.parent == made.elsewhere
    assert one != another


def test_a_file_that_is_not_there_is_a_sentence(made, tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.jsonl cannot be read"):
        read(tmp_path / "none.jsonl", made.signer)


@pytest.mark.parametrize(
    ("table", "fault"),
    [("checkpoint_minutes = 0", r"audit\.checkpoint_minutes"), ("checkpoint_minute = 5", r"audit\.checkpoint_minute: .*allowed: checkpoint_folder")],
)
def test_a_table_that_cannot_be_used_is_told(tmp_path, table, fault):
    (tmp_path / "audience.toml").write_text(f"{TOML}[audit]\n{table}\n")
    with pytest.raises(WorkspaceError, match=fault):
        Workspace.open(tmp_path)
