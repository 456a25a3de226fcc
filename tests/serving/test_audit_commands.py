"""`audience audit`: what each command prints and ends with, and what none of them prints."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from typer.testing import CliRunner

import audience
from features.database.store import Store
from features.permission.ledger import Event, Ledger
from features.workspace import Workspace
from serving.audit import Answer, AuditLog, Decision
from tests.conftest import ROOT

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
TOML = '[workspace]\nname = "Us"\n[kinds.gift]\ndirection = "in"\nen = "gift"\n[channels.door]\nen = "door"\n'


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.delenv("AUDIENCE_DATABASE_URL", raising=False)
    (tmp_path / "audience.toml").write_text(TOML)
    opened = Workspace.open(tmp_path)
    fill(opened.database_url, opened)
    return opened


def fill(url, workspace, count=3):
    store = Store(url)
    log = AuditLog(store, workspace.signing_key())
    for number in range(1, count + 1):
        decision = Decision(f"a{number}-0", log.pseudonym("van:0042"), "affinity:housing", value=0.5)
        log.record(Answer(f"a{number}", NOW, "api", "POST /v1/scores", 200, people=1, decisions=[decision]))
    store.close()


def run(workspace, *words):
    done = CliRunner().invoke(audience.app, ["audit", *words, "--workspace", str(workspace.root)])
    secret = workspace.signing_key()
    assert secret.hex() not in done.output
    assert secret not in done.stdout_bytes + done.stderr_bytes
    assert "0042" not in done.output
    return done


def change(workspace, statement):
    store = Store(workspace.database_url)
    with store._engine.connect() as connection:
        for trigger in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars().all():
            connection.exec_driver_sql(f"DROP TRIGGER {trigger}")
        connection.exec_driver_sql(statement)
        connection.commit()
    store.close()


def test_a_log_that_holds(workspace):
    assert run(workspace, "checkpoint").stdout.startswith("entry 3, link ")
    assert run(workspace, "checkpoint").stdout == "no new entry since the last checkpoint\n"
    done = run(workspace, "verify")
    assert (done.exit_code, done.stdout) == (0, "3 entries hold; 1 checkpoints agree with them\n")


def test_before_there_is_a_checkpoint_it_says_so(workspace):
    done = run(workspace, "verify")
    assert done.exit_code == 0
    assert "checkpoints.jsonl is not there" in done.stdout
    assert "no checkpoint was made since the beginning" in done.stdout


def test_the_first_bad_entry_is_named_with_exit_code_1(workspace):
    change(workspace, "UPDATE decisions SET value = 0.51 WHERE decision_id = 'a2-0'")
    done = run(workspace, "verify")
    assert done.exit_code == 1
    assert "the first bad entry is number 2 (answer a2, 2026-11-01 12:00:00 UTC): the answer, its decisions or their entry were changed" in done.stdout
    assert "1 entries hold before it" in done.stdout


def test_an_objection_that_was_cut_off_at_the_end_of_the_ledger_is_missed(workspace):
    store = Store(workspace.database_url)
    events = [Event(f"van:{number}", "objected", "any", "any", NOW) for number in range(2)]
    Ledger(store, workspace.signing_key()).append(events, now=NOW, door="command")
    store.close()
    assert run(workspace, "checkpoint").exit_code == 0
    assert "2 events of the ledger hold; 1 checkpoints agree with them" in run(workspace, "verify").stdout
    change(workspace, "DELETE FROM ledger WHERE seq = 2")
    done = run(workspace, "verify")
    assert done.exit_code == 1
    assert "the ledger does not hold: event 2 is missing, with all after it" in done.stdout
    assert "the ledger does not hold event 2 as the checkpoint" in run(workspace, "checkpoint").stdout


def test_a_copy_kept_elsewhere_finds_what_both_files_here_no_longer_tell(workspace, tmp_path):
    run(workspace, "checkpoint")
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(workspace.checkpoints.read_bytes())
    change(workspace, "DELETE FROM chain WHERE seq = 3")
    change(workspace, "DELETE FROM decisions WHERE answer_id = 'a3'")
    change(workspace, "DELETE FROM answers WHERE answer_id = 'a3'")
    assert run(workspace, "checkpoint").exit_code == 1
    workspace.checkpoints.unlink()
    assert run(workspace, "verify").exit_code == 0
    done = run(workspace, "verify", "--checkpoints", str(copy))
    assert done.exit_code == 1
    assert "the first bad entry is number 3: it is missing" in done.stdout


def test_a_forged_checkpoint_is_named(workspace):
    run(workspace, "checkpoint")
    workspace.checkpoints.write_text(workspace.checkpoints.read_text().replace('"seq":3', '"seq":2'))
    done = run(workspace, "verify")
    assert done.exit_code == 1
    assert f"line 1 of {workspace.checkpoints} is forged or damaged: its hmac is not of this workspace's key" in done.stdout


def test_the_public_key_is_one(workspace):
    done = run(workspace, "public-key")
    assert done.exit_code == 0
    assert len(load_pem_public_key(done.stdout.encode()).public_bytes_raw()) == 32


def test_the_log_is_that_of_the_servers_environment(workspace, tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'another.db'}"
    fill(url, workspace, count=5)
    monkeypatch.setenv("AUDIENCE_DATABASE_URL", url)
    assert "5 entries hold" in run(workspace, "verify").stdout


def test_progress_has_a_rate_and_the_time_left(workspace):
    done = subprocess.run(
        [sys.executable, "-m", "audience", "audit", "verify", "-w", str(workspace.root)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "checking 3 entries" in done.stderr
    assert "left" in done.stderr
    assert done.stdout.splitlines()[1] == "3 entries hold; 0 checkpoints agree with them"
