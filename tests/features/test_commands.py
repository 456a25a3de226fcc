"""`audience vectors`: round after round of `--watch`, and what Spark (which is played here) reads for minutes and may be gone when it is published."""

import csv
from contextlib import nullcontext

import pytest
from typer.testing import CliRunner

import audience
from features import commands
from features import spark as spark_module
from features.history import History
from features.imports import import_files
from features.publication import open_current
from features.published import OvertakenError
from features.vectors import build
from features.vectors_erasure import erase_from_vectors


@pytest.fixture
def members(workspace, now):
    path = workspace.root / "people.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["person_id", "status", "source_id"], ["van:1", "member", "s"], ["van:2", "member", "s"]])
    import_files(workspace, "people", [path], now=now)
    return workspace


def test_a_round_goes_by_what_audience_toml_says_then(members, monkeypatch):
    """Else vectors that were built by the new words would be built anew by those of before."""
    words, rounds = members.root / "audience.toml", []

    def wait(_seconds):
        rounds.append(open_current(members.vectors).vocabulary_fingerprint)
        if len(rounds) == 1:
            words.write_text(words.read_text() + '\n[topics.wages]\nen = "wages"\n')
        elif len(rounds) == 2:
            words.write_text("[topics")
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr(commands, "sleep", wait)  # not that of `time`, which threads of libraries call as well
    was = members.vocabulary.fingerprint
    done = CliRunner().invoke(audience.app, ["vectors", "--watch", "1", "--workspace", str(members.root)])
    assert done.exit_code == 0, done.output
    assert rounds[0] == was
    assert rounds[1] not in {was, ""}
    assert rounds[2] == rounds[1]
    assert "audience.toml has changed" in done.output
    assert "not refreshed" in done.output
    assert "stopped" in done.output


def test_who_is_erased_while_spark_builds_is_not_published(members, monkeypatch):
    erased = []

    def built(history, vocabulary, as_of, *, spark, progress, own=False):
        made = build(history, vocabulary, as_of, own=own)
        if not erased:
            erased.append("van:1")
            History(members.tables, vocabulary).delete_people(erased)
            erase_from_vectors(members.vectors, erased)
        return made

    monkeypatch.setattr(spark_module, "Spark", lambda _master: nullcontext())
    monkeypatch.setattr(spark_module, "build_vectors", built)
    run = ["vectors", "--engine", "spark", "--workspace", str(members.root)]
    stopped = CliRunner().invoke(audience.app, run)
    assert isinstance(stopped.exception, OvertakenError)
    assert not list(members.vectors.glob("v*"))
    done = CliRunner().invoke(audience.app, run)
    assert "1 people" in done.output, done.output


def test_the_lineage_of_nobody_is_refused(members, monkeypatch):
    """Else a mistyped id reads as that of a person who never answered. The id is repeated nowhere."""
    monkeypatch.delenv("AUDIENCE_TRACEBACK", raising=False)
    asked = ["lineage", "count|kind=any-engagement|channel=any|topic=any|window=90d", "--as-of", "2026-01-01", "--workspace", str(members.root)]
    done = CliRunner().invoke(audience.app, asked, input="van:1\n")
    assert done.exit_code == 0, done.output
    assert "made of no interaction" in done.output
    for given, words in (("van:9876", "no table holds anybody of that id"), ("Ann Lee", "no person's id"), ("", "no person's id")):
        done = CliRunner().invoke(audience.app, asked, input=f"{given}\n")
        assert done.exit_code != 0
        assert words in f"{done.output}{done.exception}"
        assert not given or given not in f"{done.output}{done.exception}"


def test_the_lineage_speaks_the_workspace_s_language_or_the_one_asked_for(members):
    asked = ["lineage", "recency|kind=any-engagement|channel=any|topic=any", "--as-of", "2026-01-01", "--workspace", str(members.root)]
    told = {language: CliRunner().invoke(audience.app, [*asked, *more], input="van:1\n").output.splitlines()[0] for language, more in _LANGUAGES.items()}
    assert len(set(told.values())) == 3
    words = members.root / "audience.toml"
    words.write_text(words.read_text().replace("[workspace]\n", '[workspace]\nlanguage = "nl"\n'))
    assert CliRunner().invoke(audience.app, asked, input="van:1\n").output.splitlines()[0] == told["nl"]


_LANGUAGES = {"en": (), "fr": ("--language", "fr"), "nl": ("--language", "nl")}
