"""Vectors of own rows stand beside the others where rows from elsewhere are stored, follow them, are erased with them, and go when there are none any more."""

import random
from types import SimpleNamespace

import pytest

from features.own_rows import build_both, from_elsewhere, refresh_both
from features.permission.places import place_of
from features.publication import open_current
from features.refresh import replay
from features.vectors import build
from features.vectors_erasure import erase_from_vectors
from tests.features.histories import NOW, SOURCES, WORDS, Tables, interaction, person

OWN = {"collected_how": "observed", "source_id": "s0"}


@pytest.fixture
def made(tmp_path):
    """Tables of one interaction of p:1 and one of p:2, and the workspace's folders."""

    def run(first=OWN, second=OWN, people=(), sources=SOURCES):
        rows = [interaction(random.Random(0), number, f"p:{number}") | how for number, how in ((1, first), (2, second))]
        for row in rows:
            row["occurred_at"] = row["received_at"] = NOW.replace(year=2025)
        workspace = SimpleNamespace(vocabulary=WORDS, vectors=tmp_path / "vectors", own_vectors=tmp_path / "vectors-own")
        return Tables(tmp_path, rows, list(people), sources), workspace

    return run


@pytest.mark.parametrize(
    ("row", "elsewhere"),
    [
        (OWN, False),
        (OWN | {"collected_how": "from_person"}, False),
        (OWN | {"collected_how": "third_party"}, True),
        (OWN | {"collected_how": "public"}, True),
        (OWN | {"source_id": "never heard of"}, True),
        (OWN | {"source_id": "s2"}, True),  # a broker's, however it says that it collected
    ],
)
def test_a_row_is_own_where_it_and_its_source_are(made, row, elsewhere):
    tables, workspace = made(second=row)
    assert from_elsewhere(tables, WORDS) == elsewhere
    every, own = build_both(tables, workspace, NOW)
    assert every.person_ids.to_pylist() == ["p:1", "p:2"]
    assert (own is None) != elsewhere
    if elsewhere:
        assert (own.person_ids.to_pylist(), own.own, every.own, own.context.people) == (["p:1"], True, False, 1)


def test_of_people_from_elsewhere_no_more_is_kept_than_since_when(made):
    bought = [source | {"collected_how": "third_party"} if source["source_id"] == "s2" else source for source in SOURCES]
    told = person(random.Random(1), 1) | {"birth_year": 1980, "area": "north", "joined_at": NOW.replace(year=2024)}
    tables, workspace = made(people=[told | {"source_id": "s2"}, told | {"person_id": "p:2", "source_id": "s0"}], sources=bought)
    _, own = build_both(tables, workspace, NOW)
    age, tenure = (own.matrix[:, [name.partition("|")[0] for name in own.names].index(statistic)].tolist() for statistic in ("age", "tenure"))
    assert age == [pytest.approx(float("nan"), nan_ok=True), 46]
    assert tenure[0] == tenure[1] > 365


def test_they_are_refreshed_replayed_and_erased_with_the_others_and_go_with_the_last_row_from_elsewhere(made):
    tables, workspace = made(second=OWN | {"collected_how": "public"})
    build_both(tables, workspace, NOW)
    late = interaction(random.Random(2), "late", "p:2") | OWN
    tables.add([late | {"occurred_at": NOW.replace(hour=1), "received_at": NOW.replace(hour=1)}])
    done = refresh_both(tables, workspace, NOW)
    assert (done.every.rebuilt, done.own.added) == (1, 1)
    assert "of own rows alone" in str(done)
    own = open_current(workspace.own_vectors)
    assert own.matrix[own.rows(["p:1", "p:2"])].tobytes() == build(tables, WORDS, NOW, own=True, context=own.context).matrix.tobytes()
    assert replay(tables, WORDS, own).own
    for folder in (workspace.vectors, workspace.own_vectors):
        assert erase_from_vectors(folder, ["p:2"]).people == {"p:2"}
    tables.delete({"p:2"})
    assert refresh_both(tables, workspace, NOW).own is None
    assert not (workspace.own_vectors / "CURRENT").exists()
    assert not list(workspace.own_vectors.glob("v*"))


def test_where_nobody_is_known_by_own_rows_only_the_others_are_published(made):
    tables, workspace = made(first=OWN | {"collected_how": "public"}, second=OWN | {"source_id": "never heard of"})
    every, own = build_both(tables, workspace, NOW)
    assert (len(every), own) == (2, None)
    assert refresh_both(tables, workspace, NOW).own is None
    assert not (workspace.own_vectors / "CURRENT").exists()


def test_where_a_topic_is_withheld_they_stand_beside_the_others_whether_rows_are_about_it_or_not(made):
    tables, workspace = made()
    assert build_both(tables, workspace, NOW)[1] is None
    topics = tuple(topic.model_copy(update={"sensitivity": "special"}) if topic.id == "wages" else topic for topic in WORDS.topics)
    workspace.vocabulary = WORDS.model_copy(update={"topics": topics})
    done = refresh_both(tables, workspace, NOW)
    assert ("audience.toml has changed" in done.every.whole, done.own.rows) == (True, 2)
    tables.add([interaction(random.Random(2), "late", "p:2") | OWN | {"topic": "housing;wages", "occurred_at": NOW.replace(year=2025)}])
    assert refresh_both(tables, workspace, NOW).own.whole is None
    own = open_current(workspace.own_vectors)
    assert (own.own, own.withheld) == (True, ("wages",))
    assert own.matrix.tobytes() == build(tables, workspace.vocabulary, NOW, own=True, context=own.context).matrix.tobytes()
    about = [name for name in own.names if "topic=wages" in name and name.startswith(("count|", "supply|"))]
    every = open_current(workspace.vectors)
    assert every.frame()[about].to_numpy().any()
    assert not own.frame()[about].to_numpy().any()
    workspace.vocabulary = WORDS
    assert refresh_both(tables, workspace, NOW).own is None
    assert not (workspace.own_vectors / "CURRENT").exists()


def test_both_are_on_the_list_of_places():
    assert {place_of(f"{folder}/v000001/matrix.npy").name for folder in ("vectors", "vectors-own")} == {"vectors"}
    assert {place_of(f"{folder}/CURRENT").name for folder in ("vectors", "vectors-own")} == {"vectors' pointer"}
