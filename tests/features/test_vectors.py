"""Vectors: looked up by person, shown without naming anyone, built from the stored history."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.catalogue import families
from features.history import History
from features.tables import TABLES, arrow_schema
from features.vectors import VectorsError, build, build_rows
from tests.features.small_vectors import AT as NOW
from tests.features.small_vectors import FEATURES, vectors
from tests.features.small_vectors import FEW as WORDS


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


def test_the_notebook_sees_shape_time_families_and_how_much_is_missing():
    shown = vectors(("a:secret1", "a:secret2", "a:secret3"))._repr_html_()
    assert f"3 rows x {len(FEATURES)} columns, as of 2026-03-01 00:00 UTC" in shown
    for family, members in families(WORDS).items():
        assert f"<tr><td>{family}</td><td>{len(members)}</td>" in shown
    assert f"<td>frequency</td><td>{len(families(WORDS)['frequency'])}</td><td>{3 / 3 / len(families(WORDS)['frequency']):.1%}</td>" in shown
    assert "secret" not in shown
    assert "0 rows" in vectors(())._repr_html_()


def test_the_notebook_sees_columns_that_this_release_does_not_know():
    shown = vectors(names=("<b>", "count", *(feature.name for feature in FEATURES[2:])))._repr_html_()
    assert "<td>other</td><td>2</td>" in shown


def test_many_rows_are_sampled_and_it_says_so():
    made = vectors(pa.array([f"{n:06}" for n in range(20_000)]).to_pylist())
    assert "missing, of every 2th row" in made._repr_html_()


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
    assert first.table_versions == {"interactions": 0, "people": 0, "sources": -1}

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
