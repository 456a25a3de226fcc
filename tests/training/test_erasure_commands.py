"""`audience erase`: ids by file, standard input or name, never printed; nobody named and what is no certificate are told."""

import json

import pytest
from typer.testing import CliRunner

from features.history import History
from training.commands import app


@pytest.fixture
def workspace(by_hand, tmp_path):
    opened = by_hand.open_empty(tmp_path / "workspace")
    by_hand.store(opened, "people", person_id=[f"van:{number:04d}" for number in range(5)], status=["member"] * 5, source_id=["s"] * 5)
    return opened


def run(workspace, *words, given=""):
    return CliRunner().invoke(app, ["erase", *map(str, words), "--workspace", str(workspace.root)], input=given)


def left(workspace):
    return History(workspace.tables, workspace.vocabulary).read("people").column("person_id").to_pylist()


def test_ids_come_from_a_file_standard_input_or_the_line(workspace, tmp_path):
    (tmp_path / "ids.txt").write_text("van:0001\n\n  van:0002\n")
    for words, given in ((["--file", tmp_path / "ids.txt"], ""), (["--file", "-"], "van:0003\n"), (["--person", "van:0004"], "")):
        done = run(workspace, *words, given=given)
        assert done.exit_code == 0, done.output
        assert "van:" not in done.output
    assert left(workspace) == ["van:0000"]
    assert len(list((workspace.root / "certificates").iterdir())) == 4
    assert run(workspace, given="van:0000\n").exit_code == 0
    assert left(workspace) == []


def test_what_is_left_is_an_exit_code(workspace):
    (workspace.root / "list.txt").write_text("van:0001, van:0002")
    done = run(workspace, given="van:0001\n")
    assert done.exit_code == 1
    assert "not complete: the id still stands in list.txt" in done.output


def test_nobody_named_erases_nobody(workspace):
    done = run(workspace, given=" \n")
    assert done.exit_code == 2
    assert "nobody is named" in done.output
    assert not (workspace.root / "certificates").exists()


def test_what_is_said_of_models_is_understood_before_anything_is_done(workspace):
    assert run(workspace, "--models", "burnt", given="van:0001\n").exit_code == 1
    assert len(left(workspace)) == 5


def test_a_certificate_is_checked(workspace, tmp_path):
    run(workspace, given="van:0001\n")
    (path,) = (workspace.root / "certificates").iterdir()
    done = run(workspace, "--verify", path)
    assert (done.exit_code, "unchanged" in done.output, "complete" in done.output) == (0, True, True)
    document = json.loads(path.read_text())
    for content in (json.dumps(document | {"removed": {}}), "[]", "{}", "no json"):
        (tmp_path / "other.json").write_text(content)
        done = run(workspace, "--verify", tmp_path / "other.json")
        assert (done.exit_code, done.output.startswith("not a certificate")) == (1, True)
    assert len(left(workspace)) == 4
