import pytest

from training.real_data import RealDataError, data_folder


def test_the_variable_names_the_folder(monkeypatch, tmp_path):
    (tmp_path / "some_set").mkdir()
    monkeypatch.setenv("AUDIENCE_DATA", str(tmp_path))
    assert data_folder("some_set") == tmp_path / "some_set"


def test_a_missing_set_says_how_to_name_it(monkeypatch, tmp_path):
    monkeypatch.setenv("AUDIENCE_DATA", str(tmp_path))
    with pytest.raises(RealDataError, match=r"'no_such_set' is not here .*set AUDIENCE_DATA"):
        data_folder("no_such_set")


def test_without_the_variable_the_folder_beside_the_repository_is_tried(monkeypatch):
    monkeypatch.delenv("AUDIENCE_DATA", raising=False)
    with pytest.raises(RealDataError, match="AUDIENCE_DATA is not set"):
        data_folder("no_such_set")


def test_the_real_sets_are_found(shared_data, monkeypatch):
    monkeypatch.setenv("AUDIENCE_DATA", str(shared_data))
    assert (data_folder("movielens100k") / "ml-100k.inter").exists()
