"""The list of places: every SQL table and every file of an import is on it, patterns mean what they say, and the page shows it."""

import os
from pathlib import Path

import pytest

from features.database.schema import METADATA
from features.permission.places import PLACES, TREATMENTS, files, place_of, place_of_table, places_table
from features.permission.scanning import scan

ROOT = Path(__file__).resolve().parents[2]
ADD = "add it to PLACES of features/permission/places.py, with what is personal in it and what erasure does to it"


@pytest.mark.parametrize("table", sorted(METADATA.tables))
def test_every_sql_table_is_on_the_list(table):
    assert place_of_table(table) is not None, f"the SQL table {table} is on no place: {ADD}"


def test_no_table_stands_twice_and_none_is_gone():
    tables = [table for place in PLACES for table in place.tables]
    assert sorted(tables) == sorted({*METADATA.tables, "alembic_version"})


def test_names_are_single_and_treatments_are_known():
    assert len({place.name for place in PLACES}) == len(PLACES)
    assert {place.erasure for place in PLACES} == set(TREATMENTS)
    for place in PLACES:
        assert bool(place.paths) != bool(place.tables)
        assert (place.erasure == "nothing") == (not place.personal), f"{place.name}: what is personal is treated, and nothing else is"


def test_a_folder_that_goes_while_it_is_walked_is_left_out(tmp_path, monkeypatch):
    """As those of older vectors, which a publication removes; whoever asks for access meanwhile is told the rest."""
    for folder in ("vectors/v000001", "vectors/v000002", "exports"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "file").touch()
    listed = os.scandir

    def gone(path):
        if Path(path).name == "v000001":
            raise FileNotFoundError
        return listed(path)

    monkeypatch.setattr(os, "scandir", gone)
    assert [relative for _, relative, _ in files(tmp_path)] == ["exports/file", "vectors/v000002/file"]
    assert [relative for _, relative, _ in files(tmp_path, "vectors")] == ["vectors/v000002/file"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("tables/people/v00000001/part-00000.parquet", "tables"),
        ("tables/people/_delta_log/00000000000000000000.json", "table logs"),
        ("tables/.people.lock", "table logs"),
        ("tables/.staging/people/spill/x", "staging"),
        ("vectors/v000002/matrix.npy", "vectors"),
        ("vectors/.new-12ab/person_ids.arrow", "vectors"),
        ("experiments/call/assignments-2.csv", "draws"),
        ("experiments/call/.1a2b.assignments.csv", "draws"),
        ("experiments/call/plan-2.json", "plans"),
        ("audience.db-wal", "database"),
        ("artifacts/affinity/0/artifacts/model/model.json", "runs"),
        ("raw/deep/people.csv.gz", "inputs"),
        ("members.csv", "inputs"),
        ("raw/.ipynb_checkpoints/a-checkpoint.ipynb", "checkpoints"),
        (".ipynb_checkpoints/a-checkpoint.ipynb", "checkpoints"),
        ("notes/look.ipynb", "notebooks"),
        ("jobs/1.json", None),
        ("exports/audience.csv", "files of exports"),
        ("exports/.audience.csv.1a2b3c4d", "files of exports"),
        ("letters/print-shop.json", "letters to recipients"),
        ("tables/people/notes.txt", None),
        ("myraw/people.csv", None),
        ("audience_toml", None),
    ],
)
def test_a_file_is_on_its_place(path, name):
    found = place_of(path)
    assert (None if found is None else found.name) == name


def test_files_are_walked_with_their_places(tmp_path):
    for path in ("raw/b/people.csv", "raw/a.csv", "tables/.people.lock", "new/place.bin"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    found = {relative: place and place.name for _, relative, place in files(tmp_path)}
    assert found == {"new/place.bin": None, "raw/a.csv": "inputs", "raw/b/people.csv": "inputs", "tables/.people.lock": "table logs"}
    assert [relative for _, relative, _ in files(tmp_path, "inputs")] == ["raw/a.csv", "raw/b/people.csv"]


def test_what_a_link_brings_in_is_walked_once_and_a_closed_folder_is_not_passed_over(tmp_path, monkeypatch):
    root, elsewhere = tmp_path / "workspace", tmp_path / "elsewhere"
    for folder in (root / "experiments", root / "closed", elsewhere / "deep"):
        folder.mkdir(parents=True)
    (elsewhere / "deep" / "people.csv").touch()
    (root / "raw").symlink_to(elsewhere)
    (elsewhere / "again").symlink_to(elsewhere)
    (root / "back").symlink_to(root / "experiments")
    listed = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: closed(path) if Path(path).name == "closed" else listed(path))
    assert [relative for _, relative, _ in files(root)] == ["closed", "raw/deep/people.csv"]
    assert [relative for _, relative, _ in files(root, "inputs")] == ["raw/deep/people.csv"]
    found = scan(root, ["van:1"])
    assert set(found.unreadable) == {"closed"}


def closed(path):
    raise PermissionError(13, "Permission denied", str(path))


def test_the_page_shows_the_list():
    page = (ROOT / "docs" / "permission.md").read_text(encoding="utf-8")
    assert places_table() in page, "paste what places_table() of features/permission/places.py returns into docs/permission.md"
