"""Folders that engines spill rows into: held while somebody is at work, removed when nobody is."""

import tempfile

import pytest

from features.engine import Engine
from features.spark import Spark, SparkError
from features.spill import Spill, clear_left_behind


@pytest.fixture
def left(tmp_path, monkeypatch):
    """What a process that was killed left in the folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / "audience-spill-killed"
    folder.mkdir()
    (folder / "duckdb_temp_storage-0.tmp").write_bytes(b"van:0001")
    return folder


def test_what_a_killed_process_spilled_is_removed_and_what_is_in_use_stays(left):
    with Engine():
        (mine,) = left.parent.iterdir()
        assert mine != left
        clear_left_behind()
        assert mine.exists()
    assert list(left.parent.iterdir()) == []


def test_a_folder_is_held_before_it_has_its_name(left, monkeypatch):
    made = tempfile.mkdtemp

    def interrupted(**words):
        folder = made(**words)
        clear_left_behind()
        return folder

    monkeypatch.setattr(tempfile, "mkdtemp", interrupted)
    spill = Spill()
    assert spill.path.is_dir()
    assert spill.path.stat().st_mode & 0o777 == 0o700
    spill.close()
    spill.close()
    assert list(left.parent.iterdir()) == []


@pytest.mark.spark
def test_spark_spills_into_a_folder_that_is_held_and_named_like_the_others(left, monkeypatch):
    pytest.importorskip("pyspark")
    from pyspark.sql import SparkSession

    seen = []

    def start(_builder):
        clear_left_behind()
        seen.extend(left.parent.iterdir())
        raise RuntimeError("no Java")

    monkeypatch.setattr(SparkSession, "getActiveSession", lambda: None)
    monkeypatch.setattr(SparkSession.Builder, "getOrCreate", start)
    with pytest.raises(SparkError, match="Spark did not start"):
        Spark()
    (mine,) = seen
    assert mine.name.startswith("audience-spill-")
    assert mine != left, "what was left behind went"
    assert list(left.parent.iterdir()) == []
