"""DuckDB in this process: bounded, nothing loaded from outside, columns that files lack are null."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.engine import Engine

COLUMNS = {"who": ("person_id", "VARCHAR"), "at_us": ("at", "EPOCH_US"), "amount": ("value", "DOUBLE")}


def write(path, **columns):
    pq.write_table(pa.table(columns), path)
    return str(path)


def test_files_become_a_relation_with_whole_microseconds(tmp_path):
    at = pa.array([1_700_000_000_000_001, None], pa.timestamp("us", tz="UTC"))
    path = write(tmp_path / "a.parquet", person_id=["a", "b"], at=at, value=[1, 2])
    with Engine() as engine:
        engine.files("things", [path], COLUMNS)
        assert engine.table("SELECT * FROM things ORDER BY who").to_pylist() == [
            {"who": "a", "at_us": 1_700_000_000_000_001, "amount": 1.0},
            {"who": "b", "at_us": None, "amount": 2.0},
        ]


def test_a_column_that_some_or_all_files_lack_is_null(tmp_path):
    old = write(tmp_path / "old.parquet", person_id=["a"])
    new = write(tmp_path / "new.parquet", person_id=["b"], value=[2.5])
    with Engine() as engine:
        engine.files("things", [old, new], COLUMNS)
        assert sorted(engine.table("SELECT who, at_us, amount FROM things").to_pylist(), key=lambda row: row["who"]) == [
            {"who": "a", "at_us": None, "amount": None},
            {"who": "b", "at_us": None, "amount": 2.5},
        ]


def test_no_files_make_an_empty_relation():
    with Engine() as engine:
        engine.files("things", [], COLUMNS)
        found = engine.table("SELECT * FROM things")
        assert (found.num_rows, found.column_names) == (0, ["who", "at_us", "amount"])


def test_folders_of_any_name_work(tmp_path):
    folder = tmp_path / "it's = mine; --"
    folder.mkdir()
    with Engine() as engine:
        engine.files("things", [write(folder / 'a"b.parquet', person_id=["a"])], {'w"ho': ("person_id", "VARCHAR")})
        assert engine.table("SELECT * FROM things").to_pylist() == [{'w"ho': "a"}]


def test_results_come_in_batches():
    with Engine() as engine:
        sizes = [batch.num_rows for batch in engine.batches("SELECT range AS n FROM range(100000)", rows=10_000)]
    assert sum(sizes) == 100_000
    assert len(sizes) > 5


def test_a_kept_result_and_a_registered_table_are_relations():
    with Engine() as engine:
        engine.register("numbers", pa.table({"n": [1, 2, 3]}))
        engine.keep("doubles", "SELECT 2 * n AS n FROM numbers")
        assert engine.table("SELECT sum(n) AS n FROM doubles").to_pylist() == [{"n": 12}]


@pytest.mark.parametrize("small", [True, False])
def test_the_few_are_kept_however_small_and_blank_columns_are_null(tmp_path, small):
    path = write(tmp_path / "a.parquet", person_id=["a", "b", "it's"], value=[1.0, 2.0, 3.0])
    with Engine() as engine:
        engine.files("things", [path], {"who": ("person_id", "VARCHAR"), "note": ("person_id", "VARCHAR"), "amount": ("value", "DOUBLE")})
        engine.among("things", "who", pa.array(["b", "it's", "nobody"]), blank=["note"], small=small)
        (tmp_path / "a.parquet").unlink()  # they are kept: nothing is read again
        assert engine.table("SELECT who, note, amount FROM things ORDER BY who").to_pylist() == [
            {"who": "b", "note": None, "amount": 2.0},
            {"who": "it's", "note": None, "amount": 3.0},
        ]


def test_a_range_of_texts_is_of_their_bytes_and_takes_any_quote():
    with Engine() as engine:
        engine.register("all_names", pa.table({"name": ["B", "a", "a'b", "b", "é"]}))
        for low, high, count in ((None, None, 5), ("a", "b", 3), ("a'b", None, 3), ("a' OR 1=1 --", "a'", 0), (None, "é", 5)):
            engine.between("names", "all_names", "name", low, high)
            assert engine.table("SELECT count(*) AS n FROM names").column("n")[0].as_py() == count


def test_no_extension_is_loaded_from_outside():
    with Engine() as engine:
        with pytest.raises(duckdb.Error):
            engine.table("SELECT * FROM read_csv('https://127.0.0.1:9/x.csv')")
        said = {row["name"]: row["value"] for row in engine.table("SELECT name, value FROM duckdb_settings()").to_pylist()}
    assert {said["autoinstall_known_extensions"], said["autoload_known_extensions"], said["allow_community_extensions"]} == {"false"}
    assert said["threads"] == "2"


def test_the_temporary_folder_goes_with_the_engine():
    with Engine() as engine:
        folder = Path(engine.table("SELECT current_setting('temp_directory') AS folder").column("folder")[0].as_py())
        assert folder.is_dir()
    assert not folder.exists()
