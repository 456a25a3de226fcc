"""People leave the published vectors: every version, the patches and who comes next; readers keep what they have open."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from features import published, vectors_erasure
from features.history import History
from features.publication import open_current, publish
from features.published import VectorsError
from features.refresh import refresh
from features.tables import TABLES, arrow_schema
from features.vectors import Upkeep, build
from features.vectors_erasure import erase_from_vectors
from tests.features.small_vectors import vectors

AT = datetime(2025, 6, 1, 6, tzinfo=UTC)


def small(ids, **changed):
    due = np.arange(len(ids), dtype=np.int64)
    coming = pa.table({"person_id": pa.array(["new:1", "new:2"], pa.large_string()), "at_us": pa.array([5, 6], pa.int64())})
    return vectors(ids, upkeep=Upkeep(due, coming), **changed)


def files_with(folder, person):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and person.encode() in path.read_bytes())


def test_who_is_taken_out_is_in_no_version_and_the_others_are_as_before(tmp_path):
    before = small(("a:1", "b:2", "c:3"))
    for _ in range(3):
        publish(before, tmp_path)
    open_before = open_current(tmp_path)
    done = erase_from_vectors(tmp_path, ["b:2", "new:1", "x:9"])
    after = open_current(tmp_path)
    assert done.people == {"b:2"}
    assert after.person_ids.to_pylist() == ["a:1", "c:3"]
    np.testing.assert_array_equal(after.matrix, before.matrix[[0, 2]])
    assert after.upkeep.due.tolist() == [0, 2]
    assert after.upkeep.newcomers.column("person_id").to_pylist() == ["new:2"]
    assert (after.as_of, after.table_versions, after.definitions_hash) == (before.as_of, before.table_versions, before.definitions_hash)
    assert files_with(tmp_path, "b:2") == files_with(tmp_path, "new:1") == []
    assert len(list(tmp_path.glob("v*"))) == 1
    published.verify(next(tmp_path.glob("v*")))
    assert open_before.person_ids.to_pylist() == ["a:1", "b:2", "c:3"]
    np.testing.assert_array_equal(open_before.matrix, before.matrix)


def test_one_who_only_comes_later_leaves_too(tmp_path):
    publish(small(("a:1", "b:2")), tmp_path)
    assert erase_from_vectors(tmp_path, ["new:2"]).people == frozenset()
    assert files_with(tmp_path, "new:2") == []
    assert len(open_current(tmp_path)) == 2


def test_where_they_are_not_nothing_is_published(tmp_path):
    publish(small(("a:1", "b:2")), tmp_path)
    publish(small(("a:1", "b:2")), tmp_path)
    assert erase_from_vectors(tmp_path, ["c:3"]) == erase_from_vectors(tmp_path / "none", ["c:3"])
    assert (tmp_path / "CURRENT").read_text() == "v000002\n"
    assert len(list(tmp_path.glob("v*"))) == 2


def test_older_versions_go_where_the_current_one_is_clean(tmp_path):
    """As after a kill between publishing and removing."""
    publish(small(("a:1", "b:2")), tmp_path)
    publish(small(("a:1",)), tmp_path)
    (tmp_path / ".new-1234").mkdir()
    (tmp_path / ".new-1234" / "person_ids.arrow").write_bytes(b"b:2")
    assert erase_from_vectors(tmp_path, ["b:2"]).versions == 1
    assert files_with(tmp_path, "b:2") == []
    assert len(open_current(tmp_path)) == 1


def test_what_is_published_meanwhile_is_taken_up_too(tmp_path, monkeypatch):
    """A build that began before the tables were cleaned publishes the person once more."""
    before = small(("a:1", "b:2", "c:3"))
    publish(before, tmp_path)
    real, late = vectors_erasure.publish_without, [before]

    def overtaken(people, folder):
        real(people, folder)
        if late:
            publish(late.pop(), folder)

    monkeypatch.setattr(vectors_erasure, "publish_without", overtaken)
    done = erase_from_vectors(tmp_path, ["b:2"])
    assert (done.people, done.withdrawn) == ({"b:2"}, False)
    assert open_current(tmp_path).person_ids.to_pylist() == ["a:1", "c:3"]
    assert files_with(tmp_path, "b:2") == []


def test_what_is_published_after_the_look_is_not_taken_away_from_everybody(tmp_path, monkeypatch):
    """A build that read the person before the tables were cleaned ends after the erasure has seen that nobody like that is published."""
    publish(small(("a:1", "c:3")), tmp_path)
    remove, late = published.remove, [small(("a:1", "b:2", "c:3"))]

    def overtaken(folder, gone):
        if late:
            publish(late.pop(), folder)
        return remove(folder, gone)

    monkeypatch.setattr(published, "remove", overtaken)
    done = erase_from_vectors(tmp_path, ["b:2"])
    assert (done.people, done.withdrawn) == ({"b:2"}, False)
    assert open_current(tmp_path).person_ids.to_pylist() == ["a:1", "c:3"]
    assert files_with(tmp_path, "b:2") == []


def test_everybody_can_leave(tmp_path):
    publish(small(("a:1", "b:2")), tmp_path)
    done = erase_from_vectors(tmp_path, ["a:1", "b:2"])
    assert done.people == {"a:1", "b:2"}
    assert len(open_current(tmp_path)) == 0


def test_vectors_without_upkeep_and_in_many_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("features.publication._BLOCK", 2)
    ids = tuple(f"a:{number}" for number in range(9))
    before = vectors(ids)
    publish(before, tmp_path)
    erase_from_vectors(tmp_path, ["a:3", "a:8"])
    after = open_current(tmp_path)
    np.testing.assert_array_equal(after.matrix, before.matrix[[0, 1, 2, 4, 5, 6, 7]])
    assert after.upkeep is None


def test_a_version_of_another_release_that_holds_them_is_withdrawn(tmp_path):
    version = publish(small(("a:1", "b:2")), tmp_path)
    said = json.loads((version / "manifest.json").read_text())
    (version / "manifest.json").write_text(json.dumps(said | {"format": 1}))
    assert not erase_from_vectors(tmp_path, ["c:3"]).withdrawn
    assert version.exists()
    assert erase_from_vectors(tmp_path, ["b:2"]).withdrawn
    assert files_with(tmp_path, "b:2") == []
    with pytest.raises(VectorsError, match="no vectors are published"):
        open_current(tmp_path)


@pytest.fixture
def history(workspace):
    history = History(workspace.tables, workspace.vocabulary)
    store(history, 0, [f"van:{number}" for number in range(1, 13)])
    return history


def store(history, first, people):
    schema = arrow_schema(TABLES["interactions"], history.vocabulary)
    rows = [
        {
            "interaction_id": f"i{first + number}",
            "person_id": person,
            "occurred_at": AT - timedelta(days=3 + number),
            "received_at": AT - timedelta(days=3 + number),
            "kind": "gift",
            "channel": "door",
            "topic": "housing",
            "direction": "in",
            "value": 5.0,
            "source_id": "s",
            "collected_how": "observed",
            "is_machine": False,
        }
        for number, person in enumerate(people)
    ]
    history.append("interactions", iter([pa.RecordBatch.from_pylist(rows, schema=schema)]))


def test_a_refresh_goes_on_from_there(history, workspace):
    """What lies in a patch leaves too; the next refresh builds nobody anew for it, and gives what a build gives."""
    refresh(history, workspace.vocabulary, AT, workspace.vectors)
    store(history, 100, ["van:2"])
    refresh(history, workspace.vocabulary, AT, workspace.vectors)
    assert list(workspace.vectors.glob("v*/patch_*"))
    history.delete_people(["van:2"])
    assert erase_from_vectors(workspace.vectors, ["van:2"]).people == {"van:2"}
    assert files_with(workspace.vectors, "van:2") == []
    done = refresh(history, workspace.vocabulary, AT + timedelta(hours=1), workspace.vectors)
    assert (done.whole, done.rows, done.removed) == (None, 11, 0)
    assert done.rebuilt <= 1
    found = open_current(workspace.vectors)
    again = build(history, workspace.vocabulary, AT + timedelta(hours=1), context=found.context)
    assert found.person_ids.to_pylist() == again.person_ids.to_pylist()
    np.testing.assert_array_equal(found.matrix, again.matrix)
