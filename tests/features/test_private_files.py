"""A file is in its place whole or not at all, and nobody else may read it."""

import pytest

from features.permission.private_files import beside, put, take_place, within


def test_it_is_whole_and_readable_by_its_owner_only(tmp_path):
    path = tmp_path / "new" / "letter.json"
    put(path, b"one")
    put(path, b"two")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"two", 0o600)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError])
def test_what_does_not_take_the_place_is_gone(tmp_path, failure):
    path = tmp_path / "audience.csv"
    with pytest.raises(failure), beside(path) as (_, file):
        _write_half(file, failure)
    assert list(tmp_path.iterdir()) == []
    with beside(path) as (fresh, file):
        file.write(b"all")
        take_place(fresh, path, file)
    assert path.read_bytes() == b"all"


def _write_half(file, failure):
    file.write(b"half")
    raise failure


def test_within_follows_links(tmp_path):
    (tmp_path / "workspace").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "workspace")
    assert str(within(tmp_path / "workspace", tmp_path / "link" / "exports" / "a.csv")) == "exports/a.csv"
    assert within(tmp_path / "workspace", tmp_path / "workspace-2" / "a.csv") is None
