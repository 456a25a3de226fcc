"""Stored tables: versions stay readable, other Delta readers agree, people can be removed from all of it, and no id stands in the log."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from features import erasure, staging
from features.history import History, HistoryError, folder_of
from features.tables import STORED, TABLES, arrow_schema
from features.vocabulary import Vocabulary

AT = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def history(workspace):
    return History(workspace.tables, workspace.vocabulary)


def interactions(history, **persons):
    """Return one batch: interaction id = person."""
    rows = [
        {
            "interaction_id": number,
            "person_id": person.replace("_", ":"),
            "occurred_at": AT,
            "received_at": AT,
            "kind": "gift",
            "channel": "door",
            "topic": None,
            "direction": "in",
            "value": 1.0,
            "source_id": "s",
            "collected_how": "public",
            "is_machine": False,
            "campaign_id": None,
            "message_id": None,
            "batch_id": None,
        }
        for number, person in persons.items()
    ]
    return pa.RecordBatch.from_pylist(rows, arrow_schema(TABLES["interactions"], history.vocabulary))


def people(history, **status):
    schema = arrow_schema(TABLES["people"], history.vocabulary)
    rows = [{"person_id": name.replace("_", ":"), "status": value, "source_id": "s"} for name, value in status.items()]
    return pa.RecordBatch.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema)


def ids(table):
    return sorted(table.column("interaction_id").to_pylist())


def test_a_table_that_never_was(history):
    assert history.version("interactions") == -1
    assert history.files("interactions") == []
    assert history.files("interactions", -1) == []
    assert history.read("people").num_rows == 0
    assert history.read("people").schema == arrow_schema(TABLES["people"], history.vocabulary)
    assert history.versions() == dict.fromkeys(STORED, -1)
    with pytest.raises(HistoryError, match="no version 0; its newest is -1"):
        history.files("interactions", 0)
    with pytest.raises(HistoryError, match="no table 'persons'"):
        history.files("persons")


def test_every_version_stays_readable(history):
    history.append("interactions", [interactions(history, a="van_1")])
    history.append("interactions", [interactions(history, b="van_2"), interactions(history, c="van_1")])
    assert history.version("interactions") == 1
    assert ids(history.read("interactions")) == ["a", "b", "c"]
    assert ids(history.read("interactions", 0)) == ["a"]
    assert history.read("interactions", -1).num_rows == 0
    assert history.read("interactions", columns=["value"]).schema.names == ["value"]
    with pytest.raises(HistoryError, match="no version 2"):
        history.read("interactions", 2)


def test_when_rows_were_last_imported(history):
    assert history.imported_at("interactions") is None
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    history.append("interactions", [interactions(history, a="van_1")])
    first = history.imported_at("interactions")
    history.append("interactions", [interactions(history, b="van_2")])
    second = history.imported_at("interactions")
    assert before <= first <= second <= datetime.now(UTC)
    assert history.imported_at("interactions", 0) == first
    history.append("interactions", [interactions(history, b="van_2")])
    history.delete_people(["van:1"])
    assert history.version("interactions") == 2
    assert history.imported_at("interactions") == second, "neither a deletion nor an import without anything new brings rows"
    assert history.imported_at("people") is None


def test_past_versions_of_replaced_rows_stay_readable(history):
    history.append("people", [people(history, van_1="member")])
    history.append("people", [people(history, van_1="contact", van_2="member")])
    assert history.read("people").column("status").to_pylist() == ["contact", "member"]
    assert history.read("people", 0).column("status").to_pylist() == ["member"]


@pytest.mark.oracle
def test_other_delta_readers_see_the_same_rows(history):
    history.append("people", [people(history, van_1="member", van_2="contact")])
    history.append("people", [people(history, van_1="contact")])
    for version in (0, 1):
        other = DeltaTable(str(history.folder / "people"), version=version)
        assert other.to_pyarrow_table().sort_by("person_id").equals(history.read("people", version).cast(other.to_pyarrow_table().schema))
        counted = duckdb.execute("SELECT count(*) FROM read_parquet($1)", [history.files("people", version)]).fetchone()
        assert counted == (other.count(),)


def test_nothing_to_store_makes_no_version(history):
    assert history.append("interactions", []).version == -1
    assert history.append("interactions", [interactions(history)]).version == -1
    history.append("interactions", [interactions(history, a="van_1")])
    assert history.append("interactions", [interactions(history, a="van_1")]).version == 0


def test_an_error_in_the_batches_leaves_everything_as_it_was(history):
    history.append("interactions", [interactions(history, a="van_1")])

    def broken():
        yield interactions(history, b="van_2")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        history.append("interactions", broken())
    assert ids(history.read("interactions")) == ["a"]
    assert not (history.folder / ".staging" / "interactions").exists()


def test_a_disk_without_room_is_told_and_nothing_is_stored(history, monkeypatch):
    def full(*_, **__):
        raise duckdb.IOException("no space left")

    monkeypatch.setattr(staging, "write_sorted", full)
    with pytest.raises(HistoryError, match="is there room on the disk"):
        history.append("interactions", [interactions(history, a="van_1")])
    assert history.version("interactions") == -1


def test_batches_of_another_schema_are_refused(history):
    with pytest.raises(ValueError, match=r"schema|names"):
        history.append("interactions", [pa.record_batch({"x": [1]})])


def test_a_new_attribute_is_null_in_old_rows_and_an_old_one_goes(history):
    history.append("people", [people(history, van_1="member")])
    words = history.vocabulary.model_dump()
    words["attributes"] = [*[one for one in words["attributes"] if one["id"] != "gender"], {"id": "age", "type": "numeric", "en": "age"}]
    later = History(history.folder, Vocabulary(**words))
    assert later.read("people").column("age").to_pylist() == [None]
    later.append("people", [people(later, van_2="member")])
    assert later.read("people").num_rows == 2
    assert "gender" not in later.read("people").schema.names
    assert later.read("people", 0).column("age").to_pylist() == [None]


def test_an_attribute_may_not_change_its_type(history):
    history.append("people", [people(history, van_1="member")])
    words = history.vocabulary.model_dump()
    words["attributes"] = [{"id": "household_size", "type": "category", "categories": ["one", "more"], "en": "size"}]
    later = History(history.folder, Vocabulary(**words))
    with pytest.raises(HistoryError, match="household_size is stored as double"):
        later.append("people", [people(later, van_2="member")])


def test_someone_else_at_the_same_version_is_an_error(history):
    history.append("interactions", [interactions(history, a="van_1")])
    other = history.folder / "interactions" / folder_of(1)

    def elsewhere():
        other.mkdir()
        (other / "part-00000.parquet").touch()
        yield interactions(history, b="van_2")

    with pytest.raises(HistoryError, match="already being written"):
        history.append("interactions", elsewhere())
    assert ids(history.read("interactions")) == ["a"]


def test_a_deletion_that_cannot_be_committed_is_told_and_can_be_done_again(history, monkeypatch):
    history.append("interactions", [interactions(history, a="van_1", b="van_2")])

    def refused(*_, **__):
        raise DeltaError("Generic LocalFileSystem error")

    with monkeypatch.context() as broken:
        broken.setattr(DeltaTable, "create_write_transaction", refused)
        with pytest.raises(HistoryError, match=r"interactions: the deletion could not be committed \(DeltaError\), and the rows are still there.* Do it again"):
            history.delete_people(["van:1"])
    assert ids(history.read("interactions")) == ["a", "b"]
    assert history.delete_people(["van:1"])["interactions"] == 1
    assert ids(history.read("interactions")) == ["b"]


def test_deleted_people_are_gone_from_every_version_and_from_the_disk(history):
    history.append("interactions", [interactions(history, a="van_1", b="van_2")])
    history.append("interactions", [interactions(history, c="van_1", d="van_3")])
    history.append("interactions", [interactions(history, e="van_1")])
    history.append("people", [people(history, van_1="member", van_2="member")])
    history.append("people", [people(history, van_1="contact")])
    assert history.delete_people(["van:1", "van:9"]) == {"interactions": 3, "people": 1, "assignments": 0, "outcomes": 0}
    assert ids(history.read("interactions")) == ["b", "d"]
    assert [ids(history.read("interactions", version)) for version in range(4)] == [["b"], ["b", "d"], ["b", "d"], ["b", "d"]]
    for version in range(3):
        assert history.read("people", version).column("person_id").to_pylist() == ["van:2"]
    for path in history.folder.rglob("*.parquet"):
        assert b"van:1" not in path.read_bytes()
    assert DeltaTable(str(history.folder / "interactions")).count() == 2


def test_deletion_twice_and_import_after_it(history):
    history.append("interactions", [interactions(history, a="van_1", b="van_2")])
    history.delete_people(["van:1"])
    assert history.delete_people(["van:1"])["interactions"] == 0
    history.delete_people(["van:2"])
    assert history.read("interactions").num_rows == 0
    assert [history.read("interactions", version).num_rows for version in range(3)] == [0, 0, 0]
    history.append("interactions", [interactions(history, a="van_1", c="van_3")])
    assert ids(history.read("interactions")) == ["a", "c"]
    assert history.read("interactions", 0).num_rows == 0
    assert history.delete_people([]) == dict.fromkeys(["interactions", "people", "assignments", "outcomes"], 0)


def test_files_that_do_not_hold_the_deleted_stay_as_they_are(history):
    history.append("interactions", [interactions(history, a="van_1")])
    history.append("interactions", [interactions(history, b="van_2")])
    untouched = history.files("interactions")[1]
    history.delete_people(["van:1"])
    assert history.files("interactions") == [untouched]
    assert history.files("interactions", 1) == [untouched]
    assert history.files("interactions", 0) == []


def test_many_versions_stay_readable_past_the_log_s_checkpoint(history):
    for number in range(12):
        history.append("interactions", [interactions(history, **{f"i{number}": f"van_{number % 3}"})])
    DeltaTable(str(history.folder / "interactions")).create_checkpoint()
    history.delete_people(["van:0"])
    assert ids(history.read("interactions", 5)) == ["i1", "i2", "i4", "i5"]
    assert len(ids(history.read("interactions"))) == 8


def test_a_deletion_killed_after_its_commit_is_finished_by_the_next_writer(history, monkeypatch):
    history.append("interactions", [interactions(history, a="van_1", b="van_2")])
    (old,) = map(Path, history.files("interactions"))
    kept = old.read_bytes()
    history.delete_people(["van:1"])
    old.write_bytes(kept)  # as if the process had died before it removed the file
    history.append("interactions", [interactions(history, c="van_3")])
    assert b"van:1" not in b"".join(path.read_bytes() for path in history.folder.rglob("*.parquet"))
    assert ids(history.read("interactions", 0)) == ["b"]


def test_no_person_stands_in_the_log(history):
    history.append("interactions", [interactions(history, a="van_77", b="van_88")])
    history.append("people", [people(history, van_77="member")])
    history.delete_people(["van:88"])
    for path in history.folder.rglob("_delta_log/*"):
        text = path.read_text(encoding="utf-8")
        assert "van:" not in text
        assert all("minValues" not in json.loads(line).get("add", {}).get("stats", "") for line in text.splitlines())


def test_the_log_is_kept_for_ever(history):
    history.append("interactions", [interactions(history, a="van_1")])
    assert DeltaTable(str(history.folder / "interactions")).metadata().configuration["delta.enableExpiredLogCleanup"] == "false"


def test_what_is_stored_is_sorted_in_ranges_of_persons(history, monkeypatch):
    monkeypatch.setattr(staging, "ROWS_PER_FILE", 10)
    history.append("interactions", [interactions(history, **{f"i{number}": f"van_{number * 37 % 100:03d}" for number in range(50)})])
    tables = [pq.read_table(path).column("person_id").to_pylist() for path in history.files("interactions")]
    assert len(tables) >= 3
    together = [person for table in tables for person in table]
    assert together == sorted(together)
    assert len(together) == 50


def test_files_have_the_columns_that_are_declared_and_no_others(history):
    history.append("interactions", [interactions(history, i1="p_1")])
    history.append("people", [people(history, p_1="member")])
    for table in ("interactions", "people"):
        assert pq.read_schema(history.files(table)[0]).names == arrow_schema(TABLES[table], history.vocabulary).names


def test_ids_with_quotes_are_data_not_sql(history):
    odd = "van:'; DROP TABLE staged; --"
    batch = interactions(history, a="x_1")
    batch = batch.set_column(1, batch.schema.field(1), pa.array([odd]))
    history.append("interactions", [batch])
    assert history.read("interactions").column("person_id").to_pylist() == [odd]
    assert erasure.erase(history, (odd,))["interactions"] == 1


def test_duckdb_reads_the_files_of_a_folder_whose_name_would_be_a_pattern(workspace, tmp_path):
    """Their neighbours match it too: rows of `campaign` and `campaign-2` were read for those of `campaign*`."""
    read = []
    for number, name in enumerate(("campaign", "campaign-2", "campaign*", "campaig[n]"), 1):
        history = History(tmp_path / name / "tables", workspace.vocabulary)
        history.append("people", [people(history, **{f"van_{one}": "member" for one in range(number)})])
        read.append(duckdb.execute("SELECT count(*) FROM read_parquet($1, hive_partitioning = false)", [history.patterns("people")]).fetchone()[0])
    assert read == [1, 2, 3, 4]
