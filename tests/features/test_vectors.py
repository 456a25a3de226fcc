"""Vectors: looked up by person, published and opened again to the bit, built from the stored history."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.catalogue import catalogue, definitions_hash
from features.history import History
from features.tables import TABLES, arrow_schema
from features.vectors import Vectors, VectorsError, build, build_rows, open_current, publish
from features.vocabulary import Channel, Kind, Topic, Vocabulary

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 3, 1, tzinfo=UTC)
WORDS = Vocabulary(
    kinds=(Kind(id="signed", direction="in", engagement=True, en="signed"), Kind(id="sent", direction="out", en="sent")),
    channels=(Channel(id="email", en="email"),),
    topics=(Topic(id="housing", en="Housing"),),
)
FEATURES = catalogue(WORDS)


def vectors(ids=("a:1", "b:2", "c:3"), as_ofs=None, **changed):
    matrix = np.random.default_rng(0).random((len(ids), len(FEATURES)), dtype=np.float32)
    matrix[:1, :3] = np.nan
    fields = {
        "person_ids": pa.array(ids, pa.large_string()),
        "matrix": matrix,
        "names": tuple(feature.name for feature in FEATURES),
        "as_of": NOW,
        "as_ofs": np.array(as_ofs or [NOW.replace(tzinfo=None)] * len(ids), dtype="datetime64[us]"),
        "definitions_hash": definitions_hash(FEATURES),
        "table_versions": {"interactions": 3, "people": 5},
        "vocabulary_fingerprint": WORDS.fingerprint,
    }
    return Vectors(**fields | changed)


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), unique=True, max_size=30), st.lists(st.text(max_size=3), max_size=10), st.booleans())
def test_rows_finds_everyone_and_nobody_else(ids, others, in_order):
    ids = sorted(ids, key=str.encode) if in_order else ids
    wanted = [*ids, *others, *ids[::-1]]
    assert vectors(ids).rows(wanted).tolist() == [ids.index(person) if person in ids else -1 for person in wanted]


def test_rows_of_nobody_is_empty():
    assert vectors().rows([]).shape == (0,)
    assert vectors().rows([]).dtype == np.int64


def test_text_that_is_no_unicode_is_nobody():
    assert vectors().rows(["\ud800", "a:1", "", "a:1\x00"]).tolist() == [-1, 0, -1, -1]


def test_rows_of_a_person_with_several_rows_is_refused():
    with pytest.raises(VectorsError, match="several rows"):
        vectors(("a:1", "b:2", "a:1")).rows(["b:2"])


def test_a_matrix_of_another_shape_is_refused():
    with pytest.raises(VectorsError, match="float32 matrix of shape"):
        vectors(matrix=np.zeros((3, 2), np.float32))
    with pytest.raises(VectorsError, match="float64"):
        vectors(matrix=np.zeros((3, len(FEATURES))))


def test_the_frame_shares_the_matrix():
    found = vectors()
    frame = found.frame()
    assert list(frame.index) == ["a:1", "b:2", "c:3"]
    assert list(frame.columns) == list(found.names)
    assert (frame.dtypes == np.float32).all()
    assert np.shares_memory(frame.to_numpy(), found.matrix)


def test_the_notebook_sees_families_and_what_is_missing():
    shown = vectors()._repr_html_()
    assert f"3 rows x {len(FEATURES)} columns, as of 2026-03-01 00:00 UTC" in shown
    assert "recency" in shown
    assert vectors(())._repr_html_()


@pytest.mark.parametrize("ids", [("a:1", "b:2", "c:3"), ("a:1",), ()])
def test_published_vectors_open_to_the_same_bits(tmp_path, ids):
    made = vectors(ids)
    publish(made, tmp_path)
    found = open_current(tmp_path)
    assert found.person_ids.equals(made.person_ids)
    assert found.matrix.tobytes() == made.matrix.tobytes()
    assert found.matrix.flags.c_contiguous
    for field in ("names", "as_of", "definitions_hash", "table_versions", "vocabulary_fingerprint"):
        assert getattr(found, field) == getattr(made, field)
    assert found.as_ofs.tolist() == made.as_ofs.tolist()
    assert found.rows(["b:2"]).tolist() == made.rows(["b:2"]).tolist()


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


def test_vectors_of_several_times_or_rows_per_person_are_not_published(tmp_path):
    with pytest.raises(VectorsError, match="several times"):
        publish(vectors(as_ofs=["2026-01-01", "2026-02-01", "2026-03-01"]), tmp_path)
    with pytest.raises(VectorsError, match="several rows"):
        publish(vectors(("a:1", "a:1", "b:2")), tmp_path)
    assert not (tmp_path / "CURRENT").exists()


def rewrite(folder, **changed):
    """Replace entries of a manifest, as a fault or another release would leave it."""
    import json

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


def test_opening_needs_neither_ibis_nor_numba(tmp_path):
    publish(vectors(), tmp_path)
    code = (
        "import sys; from features.vectors import open_current; found = open_current(sys.argv[1]); assert found.rows(['b:2']).tolist() == [1];"
        "assert not {'ibis', 'numba', 'duckdb'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=ROOT)


# --- from the stored history -------------------------------------------------------------------------------------------------------


def stored(folder, interactions, people):
    history = History(folder, WORDS)
    for name, rows in (("interactions", interactions), ("people", people)):
        if rows:
            history.append(name, iter(pa.Table.from_pylist(rows, schema=arrow_schema(TABLES[name], WORDS)).to_batches()))
    return history


def interaction(number, person, days, kind="signed"):
    at = NOW - timedelta(days=days)
    return {
        "interaction_id": f"i{number}",
        "person_id": person,
        "occurred_at": at,
        "received_at": at,
        "kind": kind,
        "channel": "email",
        "topic": "housing",
        "direction": "out" if kind == "sent" else "in",
        "source_id": "s",
        "collected_how": "observed",
        "is_machine": False,
    }


def test_vectors_of_the_stored_history_and_of_its_past_versions(tmp_path):
    people = [{"person_id": f"a:{n}", "birth_year": 1980 + n, "joined_at": None, "status": "member", "source_id": "s"} for n in range(3)]
    history = stored(tmp_path, [interaction(0, "a:1", 3), interaction(1, "a:1", 40, "sent"), interaction(2, "x:1", 1)], people)
    first = build(history, WORDS, NOW)
    assert first.person_ids.to_pylist() == ["a:0", "a:1", "a:2", "x:1"]
    frame = first.frame()
    assert frame["count|kind=signed|channel=any|topic=housing|window=all"].tolist() == [0, 1, 0, 1]
    assert frame["age|since=birth_year"].tolist()[:3] == [46, 45, 44]
    assert first.table_versions == {"interactions": 0, "people": 0}

    stored(tmp_path, [interaction(3, "a:2", 2)], [])
    assert build(history, WORDS, NOW).frame()["count|kind=signed|channel=any|topic=any|window=7d"].tolist() == [0, 1, 1, 1]
    again = build(history, WORDS, NOW, versions=first.table_versions)
    assert again.matrix.tobytes() == first.matrix.tobytes()


def test_a_history_without_anything(tmp_path):
    history = History(tmp_path, WORDS)
    assert len(build(history, WORDS, NOW)) == 0
    asked = build_rows(history, WORDS, pd.DataFrame({"person_id": ["a:1"], "as_of": [NOW]}))
    assert asked.frame()["count|kind=signed|channel=any|topic=any|window=all"].tolist() == [0]


def test_what_is_printed_names_nobody():
    shown = repr(vectors(ids=("a:secret1", "a:secret2")))
    assert shown == f"Vectors(2 rows, {len(FEATURES)} features, as of 2026-03-01 00:00 UTC)"
