"""What an import does with columns of special categories, with columns to be dropped, and with rows of unknown sources."""

import csv
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import audience
from features.faults import ImportFault
from features.history import History
from features.imports import import_files
from features.vocabulary import VocabularyError
from features.workspace import Workspace

NOW = datetime(2025, 6, 1, tzinfo=UTC)
SECRET = "catholique"
PERSON = {"person_id": "van:1", "birth_year": "1980", "status": "member", "source_id": "s", "gender": "f"}
SOURCE = {"source_id": "s", "type": "petition", "collected_how": "from_person", "collected_at": "2025-01-01T00:00:00Z"}
INTERACTION = {"interaction_id": "i", "person_id": "van:1", "occurred_at": "2025-05-01T00:00:00Z", "kind": "gift", "channel": "door", "source_id": "s"}
RELIGIONS = ["catholic", "muslim", "jewish", "other"]


def people(**other):
    return [{**PERSON, "person_id": f"van:{number}", **{name: values[number % len(values)] for name, values in other.items()}} for number in range(40)]


def write_csv(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_ndjson(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_parquet(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def write_quoted(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_gzip(path, rows):
    with gzip.open(path, "wt", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    return path


FORMATS = {"csv": write_csv, "quoted csv": write_quoted, "gzip": write_gzip, "ndjson": write_ndjson, "parquet": write_parquet}


def history(workspace):
    return History(workspace.tables, workspace.vocabulary)


def report(fault):
    path = Path(str(fault.value).splitlines()[-1].partition("the report of the columns that were refused: ")[2])
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def everything(workspace):
    """What the import has left behind, its staging included."""
    return b"".join(path.read_bytes() for folder in (workspace.tables, workspace.rejects) for path in folder.rglob("*") if path.is_file())


# by name


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
def test_a_special_column_stops_the_import_with_rule_code_and_the_way_out(workspace, tmp_path, write):
    path = write(tmp_path / "rows", people(religion=[SECRET], email=["a@b.example"]))
    with pytest.raises(ImportFault) as fault:
        import_files(workspace, "people", [path], now=NOW)
    text = str(fault.value)
    assert "+ 'religion'  (not a column of people: its name tells of religion or belief, special_category_column, rule L15)" in text
    assert "--drop religion" in text
    assert "+ 'email'  (not a column of people)." in text
    assert SECRET not in text
    assert report(fault) == [
        {
            "file": str(path),
            "column": "religion",
            "code": "special_category_column",
            "rule": "L15",
            "category": "religion or belief",
            "found_by": "name",
        }
    ]
    assert history(workspace).version("people") == -1
    assert SECRET.encode() not in everything(workspace)


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
def test_a_dropped_column_leaves_no_trace_and_the_rest_comes_in(workspace, tmp_path, write):
    path = write(tmp_path / "rows", people(religion=[SECRET], party=["x"]))
    summary = import_files(workspace, "people", [path], now=NOW, drop=["religion", "party"])
    assert (summary.stored, summary.rejected, summary.dropped) == (40, 0, ("party", "religion"))
    assert "left out unread: party, religion" in str(summary)
    plain = import_files(workspace, "people", [write(tmp_path / "plain", people())], now=NOW)
    assert (plain.duplicate, plain.updated) == (40, 0), "what was stored is what comes without the columns"
    assert SECRET.encode() not in everything(workspace)


@pytest.mark.parametrize("write", [write_csv, write_quoted])
def test_what_is_in_a_dropped_column_is_not_looked_at(workspace, tmp_path, write):
    rows = people(religion=["x" * 5000, "a\tb", "è", ""])
    path = write(tmp_path / "rows", rows)
    path.write_bytes(path.read_bytes().replace("è".encode(), b"\xe8"))
    assert import_files(workspace, "people", [path], now=NOW, drop=["religion"]).stored == 40


def test_nested_values_of_a_dropped_key_are_not_looked_at(workspace, tmp_path):
    path = write_ndjson(tmp_path / "rows", people(ethnicities=[["a", "b"]]))
    assert import_files(workspace, "people", [path], now=NOW, drop=["ethnicities"]).stored == 40


def test_a_special_key_of_a_later_line_costs_that_line(workspace, tmp_path):
    rows = people()
    rows[7]["religion"] = SECRET
    summary = import_files(workspace, "people", [write_ndjson(tmp_path / "rows", rows)], now=NOW)
    assert (summary.stored, summary.rejected) == (39, 1)
    text = summary.rejects_file.read_text(encoding="utf-8")
    assert "special_category_column, rule L15" in text
    assert SECRET not in text


def test_a_column_whose_name_is_several_words_is_told_by_its_place_and_dropped_by_its_name(workspace, tmp_path):
    path = write_csv(tmp_path / "rows.csv", people(**{"Political Party": ["x"]}))
    with pytest.raises(ImportFault, match=r"\(column 6, whose name is no plain word\).*political opinion.*--drop with its name in quotes"):
        import_files(workspace, "people", [path], now=NOW)
    assert import_files(workspace, "people", [path], now=NOW, drop=["Political Party"]).stored == 40


def test_a_drop_that_no_file_has_is_a_fault_with_a_hint(workspace, tmp_path):
    one, two = write_csv(tmp_path / "1.csv", people(religion=["x"])), write_csv(tmp_path / "2.csv", people())
    assert import_files(workspace, "people", [one, two], now=NOW, drop=["religion"]).read == 80
    with pytest.raises(ImportFault, match=r"--drop religoin: no file has a column of that name. Did you mean 'religion'\?"):
        import_files(workspace, "people", [one, two], now=NOW, drop=["religion", "religoin"])


def test_a_column_that_is_needed_cannot_be_dropped_one_that_is_not_can(workspace, tmp_path):
    path = write_csv(tmp_path / "rows.csv", people())
    with pytest.raises(ImportFault, match="- status  \\(required, missing\\)"):
        import_files(workspace, "people", [path], now=NOW, drop=["status"])
    import_files(workspace, "people", [path], now=NOW, drop=["birth_year"])
    assert history(workspace).read("people").column("birth_year").null_count == 40


# by content


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
def test_special_content_under_another_name_stops_the_import(workspace, tmp_path, write):
    path = write(tmp_path / "rows", people(area=RELIGIONS))
    with pytest.raises(ImportFault) as fault:
        import_files(workspace, "people", [path], now=NOW)
    text = str(fault.value)
    assert "area  (most of its values tell of religion or belief, special_category_column, rule L15). Leave it out unread: --drop area" in text
    assert not any(value in text for value in RELIGIONS[:3])
    assert [(row["column"], row["found_by"], row["file"]) for row in report(fault)] == [("area", "content", str(path))]
    assert history(workspace).version("people") == -1
    assert b"muslim" not in everything(workspace)
    assert import_files(workspace, "people", [path], now=NOW, drop=["area"]).stored == 40


def test_content_is_told_at_the_end_of_a_file_too_and_file_by_file(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr("features.importers.source.BLOCK", 512)
    rows = [{**row, "area": "Ghent" if number < 20 else RELIGIONS[number % 3]} for number, row in enumerate(people())]
    path = write_csv(tmp_path / "rows.csv", rows)
    with pytest.raises(ImportFault, match="area  \\(most of its values tell"):
        import_files(workspace, "people", [write_csv(tmp_path / "first.csv", people(area=["Ghent"])), path], now=NOW)
    assert history(workspace).version("people") == -1
    assert not list(workspace.rejects.glob(".*.part"))


def test_an_attribute_of_ordinary_categories_that_holds_others_is_refused(workspace, tmp_path):
    with pytest.raises(ImportFault, match=r"gender  \(most of its values.*\[attributes.gender\] of audience.toml with classed_by, why and sensitivity"):
        import_files(workspace, "people", [write_csv(tmp_path / "rows.csv", people(gender=["gay", "lesbian", "heterosexual"]))], now=NOW)


def test_content_of_interactions_and_assignments_is_looked_at_and_of_keys_and_arms_not(workspace, tmp_path):
    rows = [{**INTERACTION, "interaction_id": f"i{n}", "collected_how": "observed", "batch_id": RELIGIONS[n % 4]} for n in range(40)]
    with pytest.raises(ImportFault, match="batch_id"):
        import_files(workspace, "interactions", [write_csv(tmp_path / "i.csv", rows)], now=NOW)
    drawn = {"experiment_id": "mailing", "arm": "control", "probability": "0.5", "assigned_at": "2025-05-01T00:00:00Z"}
    rows = [{**drawn, "person_id": f"van:{n}", "stratum": ["Labour", "Conservative", "SNP"][n % 3]} for n in range(40)]
    with pytest.raises(ImportFault, match="stratum"):
        import_files(workspace, "assignments", [write_csv(tmp_path / "a.csv", rows)], now=NOW)
    measured = {"experiment_id": "mailing", "person_id": "van:1", "value": "1", "measured_at": "2025-05-01T00:00:00Z"}
    rows = [{**measured, "person_id": f"van:{n}", "outcome": ["labour", "snp", "tory"][n % 3]} for n in range(40)]
    assert import_files(workspace, "outcomes", [write_csv(tmp_path / "o.csv", rows)], now=NOW).stored == 40


# declared attributes


def declared(tmp_path, workspace, text):
    root = tmp_path / "other"
    root.mkdir()
    (root / "audience.toml").write_text((workspace.root / "audience.toml").read_text(encoding="utf-8") + text, encoding="utf-8")
    return Workspace.open(root)


FAITH = '[attributes.faith]\ntype = "category"\ncategories = ["catholic", "muslim", "other"]\nen = "{}"\n'
GROUP = '[attributes.grp]\ntype = "category"\ncategories = ["catholic", "muslim", "other"]\nen = "group"\n'
WHO = 'classed_by = "A. Person"\nwhy = "told with explicit consent"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FAITH.format("faith"), "attributes.faith: its name tells of religion or belief .rule L15, special_category_column.*--drop faith.*GDPR, article 9"),
        (FAITH.format("faith") + 'sensitivity = "special"\n', "attributes.faith.*classed_by"),
        (FAITH.format("faith") + 'sensitivity = "special"\nclassed_by = " "\nwhy = "x"\n', "attributes.faith"),
        (FAITH.format("faith") + WHO, "attributes.faith: its name"),
        (FAITH.format("x").replace("faith", "x1").replace('"x"', '"Religion"'), "attributes.x1: its name"),
        (GROUP, "attributes.grp: its categories tell of religion or belief.*if they only look that way"),
        (GROUP + 'sensitivity = "special"\n', "attributes.grp"),
    ],
)
def test_a_special_attribute_is_refused_until_a_named_person_answers_for_it(workspace, tmp_path, text, words):
    with pytest.raises(VocabularyError, match=words):
        declared(tmp_path, workspace, text)


@pytest.mark.parametrize("text", [FAITH.format("faith") + WHO + 'sensitivity = "special"\n', GROUP + WHO, GROUP + WHO + 'sensitivity = "special"\n'])
def test_an_attribute_that_a_named_person_answers_for_comes_in(workspace, tmp_path, text):
    opened = declared(tmp_path, workspace, text)
    name = opened.vocabulary.attributes[-1].id
    assert import_files(opened, "people", [write_csv(tmp_path / "rows.csv", people(**{name: RELIGIONS[:2]}))], now=NOW).stored == 40
    assert set(history(opened).read("people").column(name).to_pylist()) == {"catholic", "muslim"}


# sources that are not known


def test_rows_of_unknown_sources_are_stored_and_told(workspace, tmp_path):
    rows = people(source_id=["s", "list-a", "list-a", "Jan Peeters", "x@y.example"])
    before = import_files(workspace, "people", [write_csv(tmp_path / "p.csv", rows)], now=NOW)
    assert (before.stored, before.sourceless, before.unknown_sources) == (40, 40, ("list-a", "s"))
    import_files(workspace, "sources", [write_csv(tmp_path / "s.csv", [SOURCE])], now=NOW)
    after = import_files(workspace, "people", [tmp_path / "p.csv"], now=NOW)
    assert (after.duplicate, after.sourceless, after.unknown_sources) == (40, 32, ("list-a",))
    assert "32 rows of a source that is not in the table sources (list-a): import sources" in str(after)
    assert "Peeters" not in str(after)


def test_a_source_that_was_refused_is_unknown(workspace, tmp_path):
    summary = import_files(workspace, "sources", [write_csv(tmp_path / "s.csv", [{**SOURCE, "type": "scraped_public"}, {**SOURCE, "source_id": "t"}])], now=NOW)
    assert (summary.stored, summary.rejected, summary.sourceless) == (1, 1, 0)
    assert "forbidden_source" in summary.rejects_file.read_text(encoding="utf-8")
    rows = [{**INTERACTION, "collected_how": "observed", "interaction_id": f"i{n}", "source_id": "st"[n % 2]} for n in range(10)]
    assert import_files(workspace, "interactions", [write_csv(tmp_path / "i.csv", rows)], now=NOW).sourceless == 5


@pytest.mark.parametrize(
    ("column", "text"), [("wording_hash", "x@y.example"), ("language", "x@y.example"), ("wording_version", "of Jan"), ("channel", "E-mail")]
)
def test_what_would_stay_in_the_ledger_is_refused_before_it(workspace, tmp_path, column, text):
    row = {"person_id": "van:1", "event": "given", "purpose": "research", "channel": "any", "at": "2025-05-01T00:00:00Z", "legal_basis": "gdpr_9_2_a"}
    summary = import_files(workspace, "consents", [write_csv(tmp_path / "c.csv", [row | {column: text}, row])], now=NOW)
    assert (summary.stored, summary.rejected) == (1, 1)
    assert f"{column},is not " in summary.rejects_file.read_text(encoding="utf-8").replace('"', "")


def test_other_tables_name_no_source(workspace, tmp_path):
    row = {"person_id": "van:1", "event": "given", "purpose": "p", "channel": "any", "at": "2025-05-01T00:00:00Z"}
    assert import_files(workspace, "consents", [write_csv(tmp_path / "c.csv", [row])], now=NOW).sourceless == 0


# the command


def test_the_command_drops_columns_and_says_what_stops_it(workspace, tmp_path):
    path = write_csv(tmp_path / "rows.csv", people(religion=[SECRET], party=["x"]))
    run = CliRunner().invoke
    stopped = run(audience.app, ["import", "people", str(path), "--drop", "party", "--workspace", str(workspace.root)])
    assert isinstance(stopped.exception, ImportFault)
    assert "'religion'" in str(stopped.exception)
    done = run(audience.app, ["import", "people", str(path), "--drop", "religion", "--drop", "party", "--workspace", str(workspace.root)])
    assert done.exit_code == 0, done.output
    assert "40 stored" in done.output
    assert "left out unread: party, religion" in done.output
