"""Vectors on the disk: opened to the same bits, patched or whole; what is damaged is named; opening is cheap."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from features import patches, published
from features.context import Context, Prior
from features.matrix import spare
from features.patches import Patch
from features.publication import build_into, open_current, open_version, publish, publish_patch, publish_whole
from features.vectors import Upkeep, VectorsError, build
from tests.features.histories import NOW, WORDS, Tables, random_history
from tests.features.small_vectors import FEATURES
from tests.features.small_vectors import vectors as small_vectors

ROOT = Path(__file__).resolve().parents[2]
CONTEXT = Context(NOW, 3, {"rate": Prior(0.1, 7.5)}, {"supply": 1 / 3}, {"area": {"north": (3.0, 1e15)}}, {"interactions": 2})


def upkeep(n):
    return Upkeep(
        np.arange(n, dtype=np.int64) * 10**15 + 1, pa.table({"person_id": pa.array(["z:1"], pa.large_string()), "at_us": pa.array([2**60], pa.int64())})
    )


def vectors(ids=("a:1", "b:2", "c:3"), as_ofs=None, **changed):
    kept = {"table_files": {"interactions": ["interactions/x.parquet"], "people": []}, "context": CONTEXT, "upkeep": upkeep(len(ids))}
    return small_vectors(ids, as_ofs, as_of=NOW, **kept | changed)


def test_a_version_that_is_removed_while_it_is_opened_gives_way_to_the_next(tmp_path, monkeypatch):
    """As when people are erased between the look at which version is current and the look into it."""
    publish(vectors(), tmp_path)
    look, late = published.manifest, [vectors(("a:1", "c:3"))]

    def overtaken(version):
        if late:
            publish(late.pop(), tmp_path, kept=0)
        return look(version)

    monkeypatch.setattr(published, "manifest", overtaken)
    assert open_current(tmp_path).person_ids.to_pylist() == ["a:1", "c:3"]


def same(found, made):
    assert found.person_ids.equals(made.person_ids)
    assert found.matrix.tobytes() == made.matrix.tobytes()
    assert found.matrix.flags.c_contiguous
    for field in ("names", "as_of", "definitions_hash", "table_versions", "table_files", "vocabulary_fingerprint", "context"):
        assert getattr(found, field) == getattr(made, field), field
    assert found.as_ofs.tolist() == made.as_ofs.tolist()
    np.testing.assert_array_equal(found.upkeep.due, made.upkeep.due)
    assert found.upkeep.newcomers.to_pylist() == made.upkeep.newcomers.to_pylist()


@pytest.mark.parametrize("ids", [("a:1", "b:2", "c:3"), ("a:1",), ()])
def test_published_vectors_open_to_the_same_bits(tmp_path, ids):
    made = vectors(ids)
    version = publish(made, tmp_path)
    found = open_current(tmp_path)
    same(found, made)
    assert found.rows(["b:2"]).tolist() == made.rows(["b:2"]).tolist()
    published.verify(version)


def test_vectors_without_context_and_upkeep_are_published_too(tmp_path):
    publish(vectors(context=None, upkeep=None), tmp_path)
    found = open_current(tmp_path)
    assert found.context is None
    assert found.upkeep is None


def test_what_is_built_into_a_folder_equals_what_is_built_and_published(tmp_path):
    tables = Tables(tmp_path, *random_history(4, 80))
    into = build_into(tables, WORDS, NOW, tmp_path / "into")
    made = build(tables, WORDS, NOW)
    version = publish(made, tmp_path / "published")
    same(into, made)
    same(open_current(tmp_path / "published"), into)
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (tmp_path / "into" / "v000001", version)]
    header = [manifest["files"].pop("matrix.npy")["bytes"] - (len(made) + spare(len(made))) * len(made.names) * 4 for manifest in manifests]
    assert all(0 < size <= 256 for size in header), "besides the rows and the room for more there is a header"
    assert manifests[0] == manifests[1]


def test_a_context_that_is_given_is_published(tmp_path):
    tables = Tables(tmp_path, *random_history(4, 80))
    given = build(tables, WORDS, datetime(2026, 1, 1, tzinfo=UTC)).context
    assert build_into(tables, WORDS, NOW, tmp_path / "into", context=given).context == given
    same(open_current(tmp_path / "into"), build(tables, WORDS, NOW, context=given))


def test_nobody_cannot_be_published_by_a_build(tmp_path):
    with pytest.raises(VectorsError, match="nobody is known as of 2026-03-31 12:30 UTC: import people"):
        build_into(Tables(tmp_path, [], []), WORDS, NOW, tmp_path / "into")
    assert not list((tmp_path / "into").glob("v*"))
    assert not list((tmp_path / "into").glob(".new-*"))


def patched(folder, before, rows, ids):
    """Publish a patch of random values for `rows` of `ids` over the current version; return the vectors expected."""
    values = np.random.default_rng(len(rows)).random((len(rows), len(FEATURES)), dtype=np.float32)
    matrix = np.concatenate([before.matrix, np.zeros((len(ids) - len(before), len(FEATURES)), np.float32)])
    matrix[rows] = values
    made = vectors(ids, matrix=matrix)
    without = replace(made, matrix=np.broadcast_to(np.float32(np.nan), matrix.shape))
    publish_patch(without, published.current(folder)[0], Patch(np.array(rows, dtype=np.int64), values), folder)
    return made


def test_a_patched_version_shows_one_matrix(tmp_path):
    first = publish(vectors(), tmp_path)
    expected = patched(tmp_path, vectors(), [1, 3, 4], ("a:1", "b:2", "c:3", "aa:1", "é:1"))
    found = open_current(tmp_path)
    same(found, expected)
    assert found.rows(["aa:1", "é:1", "b:2", "x:1"]).tolist() == [3, 4, 1, -1]
    version = published.current(tmp_path)[0]
    assert (version / "matrix.npy").samefile(first / "matrix.npy"), "the large file is shared, not copied"
    assert patches.stored(first) == []
    assert [patch.rows.tolist() for patch in patches.stored(version)] == [[1, 3, 4]]
    published.verify(version)
    with pytest.raises(ValueError, match="read-only"):
        found.matrix[0, 0] = 1
    assert np.load(first / "matrix.npy").tobytes() == vectors().matrix.tobytes(), "nobody wrote into it"


def test_patches_lie_over_one_another_and_become_one_where_they_are_many(tmp_path, monkeypatch):
    monkeypatch.setattr(patches, "MOST", 3)
    publish(vectors(), tmp_path)
    expected, ids, stored = vectors(), ("a:1", "b:2", "c:3", "aa:1"), []
    for rows in ([0, 1, 2], [3, 1], [2], [1], [3]):
        expected = patched(tmp_path, expected, rows, ids)
        same(open_current(tmp_path), expected)
        version = published.current(tmp_path)[0]
        published.verify(version)
        stored.append([patch.rows.tolist() for patch in patches.stored(version)])
    assert stored == [[[0, 1, 2]], [[0, 1, 2], [3, 1]], [[0, 1, 2], [3, 1], [2]], [[0, 1, 2, 3]], [[0, 1, 2, 3], [3]]]
    under = open_version(version, published.manifest(version), patched=False)
    assert under.matrix[:3].tobytes() == vectors().matrix.tobytes()


def test_a_patch_of_nothing_changes_nothing(tmp_path):
    publish(vectors(), tmp_path)
    same(open_current(tmp_path), patched(tmp_path, vectors(), [], ("a:1", "b:2", "c:3")))


def test_rows_are_published_whole_in_another_order(tmp_path):
    made, order = vectors(), np.array([2, 0])
    publish_whole(made, order, lambda path: np.save(path, made.matrix[order]), tmp_path)
    found = open_current(tmp_path)
    assert found.person_ids.to_pylist() == ["c:3", "a:1"]
    assert found.matrix.tobytes() == made.matrix[order].tobytes()
    assert found.upkeep.due.tolist() == made.upkeep.due[order].tolist()


def test_versions_before_are_kept(tmp_path):
    for number in range(4):
        publish(vectors((f"n:{number}",)), tmp_path, kept=1)
    assert sorted(path.name for path in tmp_path.glob("v*")) == ["v000003", "v000004"]


def test_a_fresh_version_may_be_patched_though_the_one_before_is_gone(tmp_path):
    publish(vectors(), tmp_path)
    expected = vectors()
    for rows in ([0], [1], [2], [0, 2]):
        expected = patched(tmp_path, expected, rows, ("a:1", "b:2", "c:3"))
    assert len(list(tmp_path.glob("v*"))) == published.KEPT + 1
    same(open_current(tmp_path), expected)


def test_opened_vectors_are_memory_mapped_and_cannot_be_changed(tmp_path):
    publish(vectors(), tmp_path)
    found = open_current(tmp_path)
    assert isinstance(found.matrix, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        found.matrix[0, 0] = 1


def test_readers_keep_what_they_have_opened(tmp_path):
    publish(vectors(), tmp_path)
    opened = open_current(tmp_path)
    for _ in range(4):
        publish(vectors(("z:9",)), tmp_path, kept=0)
    assert opened.matrix.tobytes() == vectors().matrix.tobytes()
    assert opened.rows(["b:2"]).tolist() == [1]
    assert len(open_current(tmp_path)) == 1


def test_rows_in_another_order_are_published_sorted(tmp_path):
    made = vectors(("c:3", "a:1", "b:2"))
    publish(made, tmp_path)
    found = open_current(tmp_path)
    assert found.person_ids.to_pylist() == ["a:1", "b:2", "c:3"]
    assert found.matrix.tobytes() == made.matrix[[1, 2, 0]].tobytes()
    assert found.upkeep.due.tolist() == made.upkeep.due[[1, 2, 0]].tolist()


def test_vectors_of_several_times_or_rows_per_person_are_not_published(tmp_path):
    with pytest.raises(VectorsError, match="several times"):
        publish(vectors(as_ofs=["2026-01-01", "2026-02-01", "2026-03-01"]), tmp_path)
    with pytest.raises(VectorsError, match="several rows"):
        publish(vectors(("a:1", "a:1", "b:2")), tmp_path)
    assert not (tmp_path / "CURRENT").exists()


def rewrite(folder, **changed):
    """Replace entries of a manifest, as a fault or another release would leave it."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"rows": 2}, r"the manifest states \(2, "),
        ({"definitions_hash": "0" * 64}, "names and their hash disagree"),
        ({"names": ["count"]}, "cannot be opened"),
        ({"as_of": "yesterday"}, "cannot be opened"),
        ({"table_versions": None}, "cannot be opened"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(tmp_path, changed, said):
    rewrite(publish(vectors(), tmp_path), **changed)
    with pytest.raises(VectorsError, match=said):
        open_current(tmp_path)


def test_a_damaged_matrix_is_refused(tmp_path):
    path = publish(vectors(), tmp_path) / "matrix.npy"
    path.write_bytes(b"\x00" * path.stat().st_size)
    with pytest.raises(VectorsError, match="cannot be opened"):
        open_current(tmp_path)


@pytest.mark.parametrize(
    "name", ["matrix.npy", "person_ids.arrow", "context.json", "due.npy", "newcomers.arrow", "patch_000.npy", "patch_rows_000.npy", "manifest.json"]
)
@pytest.mark.parametrize("damage", ["missing", "cut", "other bytes"])
def test_a_file_that_is_missing_or_damaged_is_named(tmp_path, name, damage):
    publish(vectors(), tmp_path)
    patched(tmp_path, vectors(), [1], ("a:1", "b:2", "c:3"))
    path = published.current(tmp_path)[0] / name
    data = path.read_bytes()
    path.unlink()  # what is shared with the version before stays as it is there
    if damage != "missing":
        path.write_bytes(data[:-9] if damage == "cut" else b"\xff" * len(data))
    with pytest.raises(VectorsError, match=r"publish (the vectors )?again") as caught:
        open_current(tmp_path)
    assert str(path.parent) in str(caught.value)
    assert damage == "other bytes" or name in str(caught.value)


def test_opening_needs_neither_ibis_nor_numba(tmp_path):
    publish(vectors(), tmp_path)
    code = (
        "import sys; from features.publication import open_current; found = open_current(sys.argv[1]); assert found.rows(['b:2']).tolist() == [1];"
        "assert not {'ibis', 'numba', 'duckdb'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=ROOT)
