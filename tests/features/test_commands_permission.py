"""The command line of permission: ids on standard input, never among the words of the command; what is recorded is in force at once."""

import pyarrow as pa
import pytest
from typer.testing import CliRunner

import audience
from features.history import History
from features.tables import TABLES, arrow_schema
from features.workspace import Workspace

USES = '\n[uses.doorstep]\npurpose = "campaign_messages"\nchannel_class = "offline"\nsponsor_type = "ngo"\njurisdiction = "none"\n'


@pytest.fixture
def run(workspace):
    path = workspace.root / "audience.toml"
    path.write_text(path.read_text() + USES)
    opened = Workspace.open(workspace.root)
    schema = arrow_schema(TABLES["people"], opened.vocabulary)
    rows = [{"person_id": f"van:{number}", "status": "member", "source_id": "forms"} for number in range(3)]
    arrays = [pa.array([row.get(field.name) for row in rows], type=field.type) for field in schema]
    History(opened.tables, opened.vocabulary).append("people", iter([pa.record_batch(arrays, schema=schema)]))

    def ran(*words, ids=""):
        return CliRunner().invoke(audience.app, [*words, "--workspace", str(workspace.root)], input=ids)

    return ran


def lines(result):
    assert result.exit_code == 0, result.output
    return [line.split() for line in result.stdout.splitlines()]


def test_an_objection_is_in_the_next_decision(run):
    assert lines(run("decide", "--use", "doorstep"))[1:] == [["allowed", "3"]]
    result = run("object", ids="van:1\n\n")
    assert result.stdout == "1 recorded, 0 known already; the ledger is at event 1\n"
    assert "van:1" not in result.stdout + result.stderr
    assert lines(run("decide", "--use", "doorstep"))[1:] == [["allowed", "2"], ["objected", "1"]]
    assert lines(run("decide", "--use", "doorstep", "--each"))[2] == ["van:1", "objected", "L18", "1"]
    assert lines(run("decide", "--use", "doorstep", "--known", "0"))[1:] == [["allowed", "3"]]
    assert lines(run("decide", "--use", "doorstep", "--at", "2020-01-01"))[1:] == [["allowed", "3"]]


def test_a_consent_says_all_that_was_shown(run, tmp_path):
    (tmp_path / "ids.txt").write_text("van:0\nvan:2\n")
    words = ["--purpose", "campaign_messages", "--basis", "gdpr_9_2_a", "--wording", "a" * 64, "--version", "3", "--language", "fr", "--evidence", "form 7"]
    given = ["consent", "given", *words, "--at", "2025-05-01", "--until", "2027-05-01", "--file", str(tmp_path / "ids.txt")]
    assert run(*given).stdout.startswith("2 recorded")
    assert run(*given).stdout.startswith("0 recorded, 2 known already")
    told = lines(run("decide", "--use", "doorstep", "--each", "--at", "2026-01-01"))
    assert told[1:] == [["van:0", "allowed", "1"], ["van:1", "allowed"], ["van:2", "allowed", "2"]], "the consent that it stands on"
    assert lines(run("decide", "--use", "doorstep", "--each", "--at", "2027-05-01"))[1] == ["van:0", "allowed"]
    assert run("consent", "withdrawn", "--purpose", "campaign_messages", ids="van:2").exit_code == 0
    assert lines(run("decide", "--use", "doorstep"))[1:] == [["allowed", "2"], ["consent_withdrawn", "1"]]


def test_every_rule_is_told_of_one_person(run):
    assert run("object", ids="van:1").exit_code == 0
    told = {row[0]: row[2] for row in lines(run("decide", "--use", "doorstep", "--rules", "--file", "-", ids="van:1\n"))[1:]}
    assert told["L18"] == "forbids"
    assert told["L19"] == "allows"
    assert run("decide", "--use", "doorstep", "--rules").exit_code == 2


def test_a_file_of_a_spreadsheet_begins_with_a_mark_that_is_no_part_of_an_id(run, tmp_path):
    (tmp_path / "ids.txt").write_bytes("\ufeffvan:1\r\nvan:2\r\n".encode())
    assert run("object", "--file", str(tmp_path / "ids.txt")).stdout.startswith("2 recorded")
    assert lines(run("decide", "--use", "doorstep"))[1:] == [["allowed", "1"], ["objected", "2"]]


def test_a_file_that_is_no_utf8_is_refused_in_a_sentence(run, tmp_path):
    (tmp_path / "ids.txt").write_bytes("van:1\r\n".encode("utf-16"))
    for result in (run("object", "--file", str(tmp_path / "ids.txt")), run("object", ids="van:1\nvan:José\n".encode("latin-1"))):
        assert result.exit_code == 2
        assert "the ids are not in UTF-8" in result.stderr
        assert "van:1" not in result.stderr
    assert lines(run("decide", "--use", "doorstep"))[1:] == [["allowed", "3"]]


def test_what_forbids_nothing_is_refused(run):
    assert run("object", "--channel", "Email", ids="van:1").exit_code == 2
    assert "is none of any, political_ads_online" in str(run("object", "--purpose", "campaign_mesages", ids="van:1").exception)
    assert lines(run("decide", "--use", "doorstep"))[1:] == [["allowed", "3"]]


@pytest.mark.parametrize(
    "words",
    [
        ("decide", "--use", "doorstep", "--activity", "spy"),
        ("object",),
        ("consent", "objected", "--purpose", "any"),
        ("consent", "given"),
    ],
)
def test_what_cannot_be_is_refused(run, words):
    assert run(*words).exit_code == 2


def test_an_unknown_use_is_told_with_those_there_are(run):
    result = run("decide", "--use", "dorstep")
    assert "'dorstep' is not in audience.toml (there: doorstep)" in str(result.exception)


def test_the_line_of_what_is_no_id_is_told_and_never_what_stands_there(run):
    for ids, line in (("van:1\r\n\r\nJan Janssens\r\nvan:2\r\n", 3), ("van:1\nvan:2\u200b\nno id\n", 2), ("van:1\rvan 271828\r", 2)):
        for words in (["object"], ["consent", "withdrawn", "--purpose", "campaign_messages"]):
            result = run(*words, ids=ids)
            assert result.exit_code == 2
            assert f"line {line}: person" in result.stderr
            assert not any(text in result.output for text in ("Janssens", "van:1", "van:2", "271828"))
    assert lines(run("decide", "--use", "doorstep"))[1:] == [["allowed", "3"]]


def test_how_many_of_those_named_are_in_no_table(run):
    result = run("object", ids="VAN:1\nvan:1\nvan:77\nvan:77\n")
    assert result.stdout.startswith("3 recorded")
    assert "2 of those named are in no table" in result.stderr
    assert not any(text in result.output for text in ("VAN:1", "van:"))
    assert "in no table" not in run("consent", "withdrawn", "--purpose", "campaign_messages", ids="van:1").stderr
