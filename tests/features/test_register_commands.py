"""`audience register`: it reads unless told to write, and a chain that does not hold is an exit code."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

import audience
from features.database.store import Store
from features.permission.register import Register
from features.workspace import Workspace
from tests.features.test_notice import body

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
MORE = '\n[permission]\ndpia = "DPIA-1"\n[notices."housing-2026".sponsor]\nname = "Housing Now"\n'


@pytest.fixture
def ours(workspace, monkeypatch):
    monkeypatch.delenv("AUDIENCE_DATABASE_URL", raising=False)
    path = workspace.root / "audience.toml"
    path.write_text(path.read_text() + MORE)
    return Workspace.open(workspace.root)


def run(workspace, *given):
    return CliRunner().invoke(audience.app, ["register", *given, "--workspace", str(workspace.root)])


def write(workspace, statement=None):
    store = Store(workspace.database_url)
    with store.write(serial=True) as connection:
        if statement is None:
            Register(store, workspace.signing_key()).append(connection, "targeting", body(), now=NOW)
        else:
            connection.exec_driver_sql("DROP TRIGGER register_no_update")
            connection.exec_driver_sql(statement)
    store.close()


def test_only_sync_writes_and_the_second_time_nothing(ours):
    assert run(ours).stdout == "none yet\n"
    assert run(ours, "--sync").stdout == "3 new entries\n"
    assert run(ours, "--sync").stdout == "0 new entries\n"
    listed = run(ours, "--kind", "topic").stdout
    assert "climate: ordinary, classed by nobody, with no reason; special for political actors" in listed
    assert len(listed.splitlines()) == 3
    (dpia,) = map(json.loads, run(ours, "--kind", "dpia", "--json").stdout.splitlines())
    assert (dpia["kind"], dpia["says"]) == ("dpia", {"id": "DPIA-1"})
    assert run(ours, "--kind", "topics").exit_code == 2


def test_a_notice_in_each_form(ours, tmp_path):
    write(ours)
    assert "housing-2026: score, affinity:housing by affinity 1" in run(ours).stdout
    assert "# Transparency notice: housing-2026" in run(ours, "--notice", "housing-2026").stdout
    assert '<html lang="fr">' in run(ours, "--notice", "housing-2026", "--format", "html", "--language", "fr").stdout
    done = run(ours, "--notice", "housing-2026", "--format", "json", "--output", str(tmp_path / "notice.json"))
    assert done.stdout == ""
    assert json.loads((tmp_path / "notice.json").read_text())["sponsor"]["name"] == "Housing Now"
    assert run(ours, "--notice", "housing-2026", "--language", "xx").exit_code == 2
    assert run(ours, "--notice", "nowhere").exit_code == 1
    assert run(ours, "--notice", "housing-2026", "--verify").exit_code == 2


def test_a_record_of_processing(ours):
    assert json.loads(run(ours, "--processing", "--format", "json").stdout)["dpia"] == "DPIA-1"
    assert "# Record of processing: Test" in run(ours, "--processing").stdout
    assert run(ours, "--processing", "--format", "html").exit_code == 2


def test_a_changed_entry_is_found(ours):
    run(ours, "--sync")
    assert run(ours, "--verify").stdout == "3 entries of the register hold\n"
    write(ours, "UPDATE register SET body = '{}' WHERE seq = 2")
    done = run(ours, "--verify")
    assert done.exit_code == 1
    assert done.stdout.startswith("the register does not hold: entry 2 ")
