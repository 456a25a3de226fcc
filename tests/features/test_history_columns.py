"""Tables stored before a column was declared: they are read, imported into, built from and erased from as if it had always been there."""

import csv
import re
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.faults import ImportFault
from features.history import History, HistoryError
from features.imports import import_files
from features.publication import build_into, open_current
from features.refresh import refresh
from features.tables import STORED, TABLES, arrow_schema
from features.vectors import VectorsError, build
from features.workspace import Workspace

NOW = datetime(2025, 6, 1, tzinfo=UTC)
PERSON = {"person_id": "van:1", "birth_year": "1980", "status": "member", "source_id": "s", "gender": "f"}
SOURCE = {"source_id": "s", "type": "petition", "collected_how": "from_person", "collected_at": "2025-01-01T00:00:00Z"}
INTERACTION = {"interaction_id": "i", "person_id": "van:1", "occurred_at": "2025-05-01T00:00:00Z", "kind": "gift", "channel": "door", "source_id": "s"}
LATER = {"people": ["informed_at"], "sources": ["supports_sponsor", "election_id"]}


def write_csv(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[-1]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def history(workspace):
    return History(workspace.tables, workspace.vocabulary)


@pytest.fixture
def before(workspace, tmp_path, monkeypatch):
    """A workspace whose people and sources were stored before the newer columns were declared."""
    import_files(workspace, "interactions", [write_csv(tmp_path / "i.csv", [{**INTERACTION, "collected_how": "observed"}])], now=NOW)
    with monkeypatch.context() as past:
        for name, later in LATER.items():
            columns = tuple(column for column in TABLES[name].columns if column.name not in later)
            for tables in (TABLES, STORED):
                past.setitem(tables, name, replace(TABLES[name], columns=columns))
        for name, row in (("sources", SOURCE), ("people", PERSON)):
            import_files(workspace, name, [write_csv(tmp_path / f"{name}.csv", [row])], now=NOW)
    for name, later in LATER.items():
        stored = pq.read_schema(history(workspace).files(name)[0])
        assert not set(later) & set(stored.names)
    return workspace


def test_tables_of_before_are_read_with_nulls_and_flags_that_are_false(before):
    (source,), (person,) = history(before).read("sources").to_pylist(), history(before).read("people").to_pylist()
    assert (source["supports_sponsor"], source["election_id"], person["informed_at"]) == (False, None, None)
    table = history(before).read("sources")
    assert table.schema == arrow_schema(TABLES["sources"], before.vocabulary)
    table.validate(full=True)


def test_tables_of_before_grow_the_columns_with_the_next_import(before, tmp_path):
    same = import_files(before, "sources", [tmp_path / "sources.csv"], now=NOW)
    assert (same.duplicate, same.updated) == (1, 0), "an absent flag is as good as false"
    rows = [SOURCE, {**SOURCE, "source_id": "t", "supports_sponsor": "yes"}]
    assert import_files(before, "sources", [write_csv(tmp_path / "more.csv", rows)], now=NOW).stored == 1
    assert history(before).read("sources").column("supports_sponsor").to_pylist() == [False, True]
    informed = {**PERSON, "person_id": "van:1", "informed_at": "2025-05-02T00:00:00Z"}
    assert import_files(before, "people", [write_csv(tmp_path / "told.csv", [informed])], now=NOW).updated == 1
    assert history(before).read("people").column("informed_at").to_pylist() == [datetime(2025, 5, 2, tzinfo=UTC)]
    assert history(before).read("people", 0).column("informed_at").to_pylist() == [None]


def test_vectors_of_before_are_built_and_refreshed_and_people_erased(before, tmp_path):
    stored = history(before)
    assert len(build_into(stored, before.vocabulary, NOW, before.vectors)) == 1
    import_files(before, "people", [write_csv(tmp_path / "more.csv", [{**PERSON, "person_id": "van:2", "informed_at": "2025-05-02T00:00:00Z"}])], now=NOW)
    refresh(stored, before.vocabulary, NOW, before.vectors)
    assert open_current(before.vectors).person_ids.to_pylist() == ["van:1", "van:2"]
    assert stored.delete_people(["van:1"])["people"] == 1
    assert stored.read("people").column("person_id").to_pylist() == ["van:2"]


def test_an_attribute_of_another_type_is_told_and_no_value_with_it(workspace, tmp_path):
    import_files(workspace, "people", [write_csv(tmp_path / "p.csv", [PERSON])], now=NOW)
    words = workspace.vocabulary
    gender = next(one for one in words.attributes if one.id == "gender")
    size = next(one for one in words.attributes if one.id == "household_size")
    numbers = words.model_copy(update={"attributes": (gender.model_copy(update={"type": "numeric", "categories": ()}), size)})
    texts = words.model_copy(update={"attributes": (gender, size.model_copy(update={"type": "category", "categories": ("1", "2")}))})
    for other, column, now in ((numbers, "gender", "a number"), (texts, "household_size", "text")):
        history = History(workspace.tables, other)
        with pytest.raises(VectorsError, match=f"people.{column} is stored as .*, audience.toml now makes it {now}"):
            build(history, other, NOW)
        with pytest.raises(HistoryError, match=f"people.{column} is stored as .* give the new one another name"):
            history.read("people")


def test_an_attribute_that_is_no_longer_declared_is_lost_on_purpose_only(workspace, tmp_path):
    first = [PERSON, {**PERSON, "person_id": "van:2", "gender": ""}, {**PERSON, "person_id": "van:3"}]
    import_files(workspace, "people", [write_csv(tmp_path / "p.csv", first)], now=NOW)
    toml = workspace.root / "audience.toml"
    toml.write_text(re.sub(r"\[attributes.gender\][^\[]*\[[^\]]*\][^\[]*", "", toml.read_text(encoding="utf-8")), encoding="utf-8")
    fewer = Workspace.open(workspace.root)
    assert [attribute.id for attribute in fewer.vocabulary.attributes] == ["household_size"]
    more = [{name: value for name, value in PERSON.items() if name != "gender"} | {"person_id": "van:4"}]
    path = write_csv(tmp_path / "more.csv", more)
    with pytest.raises(
        HistoryError, match=r"no longer declares: gender \(2 values\).*nothing was stored. Put \[attributes.gender\] back, or say --forget gender"
    ):
        import_files(fewer, "people", [path], now=NOW)
    assert history(fewer).version("people") == 0
    assert not fewer.rejects.exists() or not list(fewer.rejects.iterdir())
    with pytest.raises(HistoryError, match="--forget status: people stores no values under that name"):
        import_files(fewer, "people", [path], now=NOW, forget=["gender", "status"])
    done = import_files(fewer, "people", [path], now=NOW, forget=["gender"])
    assert (done.stored, done.version, done.forgotten) == (1, 1, ("gender",))
    assert "no longer in the table, as said: gender; past versions" in str(done)
    assert "gender" not in pq.read_schema(history(fewer).files("people")[0]).names
    assert history(workspace).read("people", 0).column("gender").to_pylist() == ["f", None, "f"]
    assert import_files(fewer, "people", [path], now=NOW).forgotten == (), "what is gone needs no word any more"
    assert "van:4" in history(fewer).read("people").column("person_id").to_pylist()


def test_an_attribute_is_forgotten_by_an_import_without_anything_new_and_an_empty_one_without_a_word(workspace, tmp_path):
    rows = [{**PERSON, "household_size": ""}]
    import_files(workspace, "people", [write_csv(tmp_path / "p.csv", rows)], now=NOW)
    gender, size = (next(one for one in workspace.vocabulary.attributes if one.id == name) for name in ("gender", "household_size"))
    people = arrow_schema(TABLES["people"], workspace.vocabulary.model_copy(update={"attributes": (gender,)}))
    same = pa.RecordBatch.from_pylist(history(workspace).read("people", columns=people.names).to_pylist(), people)
    assert History(workspace.tables, workspace.vocabulary.model_copy(update={"attributes": (gender,)})).append("people", [same]).version == 0
    bare = History(workspace.tables, workspace.vocabulary.model_copy(update={"attributes": (size,)}))
    schema = arrow_schema(TABLES["people"], bare.vocabulary)
    same = pa.RecordBatch.from_pylist(bare.read("people").to_pylist(), schema)
    with pytest.raises(HistoryError, match="--forget gender"):
        bare.append("people", [same])
    done = bare.append("people", [same], forget=["gender"])
    assert (done.stored, done.updated, done.duplicate, done.version, dict(done.forgotten)) == (0, 0, 1, 1, {"gender": 1})
    assert bare.read("people").num_rows == 1


def test_what_has_no_attributes_forgets_none(workspace, tmp_path):
    row = {"person_id": "van:1", "event": "given", "purpose": "any", "channel": "any", "at": "2025-01-01T00:00:00Z"}
    with pytest.raises(ImportFault, match="--forget: consents has no attributes"):
        import_files(workspace, "consents", [write_csv(tmp_path / "c.csv", [row])], now=NOW, forget=["gender"])
    with pytest.raises(HistoryError, match="--forget gender: sources stores no values under that name"):
        import_files(workspace, "sources", [write_csv(tmp_path / "s.csv", [SOURCE])], now=NOW, forget=["gender"])
