"""A mistake on the command line is a sentence and an exit code, never a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

import audience

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("command-line") / "organisation"
    run("init", folder)
    return folder


def run(*words):
    return subprocess.run([sys.executable, "-m", "audience", *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=120)


MISTAKES = {
    "no workspace": (["vectors", "-w", "{missing}"], "does not exist"),
    "a folder that is not empty": (["init", "{workspace}"], "not empty"),
    "a workspace in the way of a simulation": (["simulate", "{workspace}", "--people", "100"], "is a workspace already"),
    "a folder that cannot be made": (["init", "/proc/nowhere/else"], "/proc/nowhere"),
    "no such table": (["import", "interaction", "x.csv", "-w", "{workspace}"], "interactions"),
    "no such file": (["import", "people", "x.csv", "-w", "{workspace}"], "x.csv"),
    "nobody there": (["vectors", "-w", "{workspace}"], "import people or interactions first"),
    "no zone": (["vectors", "--as-of", "2026-01-01T10:00", "-w", "{workspace}"], "has no offset"),
    "beyond the calendar": (["vectors", "--as-of", "0001-01-01T00:00+14:00", "-w", "{workspace}"], "outside of the years"),
    "no such experiment": (["train", "persuadability", "nope", "-w", "{workspace}"], "nope"),
    "no data to train on": (["train", "affinity", "-w", "{workspace}"], "import some"),
    "no labels there": (["train", "affinity", "--labels", "l.csv", "-w", "{workspace}"], "does not exist"),
    "no such model": (["promote", "nope", "-w", "{workspace}"], "nope"),
    "no such key": (["key", "revoke", "nope", "-w", "{workspace}"], "no key of that id"),
    "no such scope": (["key", "create", "--scope", "everything", "--label", "x", "-w", "{workspace}"], "scores"),
}


def said(error):
    """Return what is on standard error as one line, without the box that is drawn around mistakes in the words themselves."""
    return " ".join(error.replace("│", " ").split())


@pytest.mark.parametrize("name", MISTAKES)
def test_is_told_in_a_sentence(name, workspace, monkeypatch, capsys):
    words, told = MISTAKES[name]
    monkeypatch.setattr(sys, "argv", ["audience", *(word.format(workspace=workspace, missing=workspace / "missing") for word in words)])
    monkeypatch.delenv("AUDIENCE_TRACEBACK", raising=False)
    with pytest.raises(SystemExit) as ended:
        audience.main()
    error = capsys.readouterr().err
    assert ended.value.code == 2, error[-600:]
    assert told in said(error)
    assert "Traceback" not in error


def test_so_it_is_in_a_process_of_its_own(tmp_path):
    done = run("vectors", "-w", tmp_path / "missing")
    assert (done.returncode, done.stdout) == (2, "")
    assert "does not exist" in said(done.stderr)
    assert "Traceback" not in done.stderr


def test_a_damaged_store_is_told_in_a_sentence(tmp_path):
    run("init", tmp_path / "broken")
    (tmp_path / "broken" / "mlflow.db").write_bytes(b"this is no database" * 100)
    done = run("models", "-w", tmp_path / "broken")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) <= 2, done.stderr
