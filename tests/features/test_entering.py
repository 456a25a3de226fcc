"""Rows past their limit, and rows from elsewhere where only own ones may enter, are in no vector: against the slow model, and to the microsecond."""

import random
from datetime import timedelta

import pandas as pd
import pytest

from features import builder
from features.catalogue import catalogue
from features.engine import Engine
from features.permission.retention import Retention
from features.relations import Relations
from features.vectors import build, build_rows
from tests.features.histories import NOW, SOURCES, WORDS, Tables, interaction, person, random_history, random_rules
from tests.features.slow_model import SlowModel
from tests.features.test_builder import equals

FEATURES = catalogue(WORDS)


@pytest.mark.oracle
@pytest.mark.parametrize(("seed", "own"), [(5, False), (6, True)])
def test_rows_past_their_limit_or_from_elsewhere_are_in_no_column(tmp_path, seed, own):
    (interactions, people), (words, sources) = random_history(seed), random_rules(seed)
    found = build(Tables(tmp_path, interactions, people, sources), words, NOW, own=own)
    expected = SlowModel(interactions, people, words, NOW, sources, own=own)
    assert sum(map(len, expected.seen.values())) < sum(map(len, SlowModel(interactions, people, WORDS, NOW).seen.values()))
    assert (found.person_ids.to_pylist(), found.own) == (expected.base, own)
    for column, feature in enumerate(FEATURES):
        equals(found.matrix[:, column], [expected.value(one, feature) for one in expected.base], feature)


def about(topic, number):
    """An own row about a topic."""
    row = interaction(random.Random(number), number, f"p:{number}") | {"topic": topic, "source_id": "s0", "collected_how": "observed", "is_machine": False}
    return row | {"kind": "opened", "direction": "in", "occurred_at": NOW - timedelta(days=1), "received_at": NOW - timedelta(days=1)}


@pytest.mark.parametrize(
    ("special", "kept"),
    [
        ({"climate": {"sensitivity": "special"}}, {"housing", None, "gone"}),
        ({"climate": {"classed_by": "Ann"}, "housing": {"classed_by": "Ann", "why": "of nobody's opinions"}}, {"housing", None, "gone"}),
        ({}, {"housing", "climate", "housing;climate", "gone; climate ;housing", None, "gone"}),
    ],
)
def test_rows_about_a_withheld_topic_are_left_out_of_own_vectors_whole(tmp_path, special, kept):
    texts = ["housing", "climate", "housing;climate", "gone; climate ;housing", None, "gone"]
    topics = tuple(topic.model_copy(update=special.get(topic.id, {})) for topic in WORDS.topics[:2])
    political = any("classed_by" in said for said in special.values())
    words = WORDS.model_copy(update={"topics": topics, "political_online": political})
    tables = Tables(tmp_path, [about(text, number) for number, text in enumerate(texts)], [])
    own, every = build(tables, words, NOW, own=True), build(tables, words, NOW)
    assert own.person_ids.to_pylist() == [f"p:{number}" for number, text in enumerate(texts) if text in kept]
    assert (own.withheld, every.withheld, len(every)) == (("climate",) if special else (), (), len(texts))
    assert own.context.people == len(kept), "the base as a whole rests on none of them either"


def test_a_special_attribute_is_unknown_of_everybody_in_own_vectors(tmp_path):
    size = WORDS.attributes[0].model_copy(update={"sensitivity": "special", "in_models": True})
    words = WORDS.model_copy(update={"attributes": (size, *WORDS.attributes[1:])})
    tables = Tables(tmp_path, [], [person(random.Random(1), 1) | {"joined_at": None, "source_id": "s0", "size": 4.0, "gender": "f"}])
    values = [build(tables, words, NOW, own=own).frame()[["attribute|id=size", "attribute|id=gender|category=f"]].to_numpy().tolist() for own in (True, False)]
    assert values == [[[pytest.approx(float("nan"), nan_ok=True), 1]], [[4, 1]]]


@pytest.mark.parametrize("limits", [{"interactions": 30}, {"kinds": {"opened": 30}}, {"source_types": {"broker": 30}}, "expires"])
def test_a_row_counts_until_its_limit_and_not_at_it(tmp_path, limits):
    row = interaction(random.Random(0), 0, "p:1") | {"kind": "opened", "direction": "in", "is_machine": False, "source_id": "s2", "topic": None}
    row["occurred_at"] = row["received_at"] = NOW - timedelta(days=30)
    ends = {"expires_at": NOW if limits == "expires" else None}
    words = WORDS if limits == "expires" else WORDS.model_copy(update={"retention": Retention(**limits)})
    tables = Tables(tmp_path, [row], [], [source | ends for source in SOURCES])
    before = build(tables, words, NOW - timedelta(microseconds=1))
    assert before.person_ids.to_pylist() == ["p:1"]
    assert before.upkeep.due.tolist() == [builder.microseconds(NOW)]
    assert len(build(tables, words, NOW)) == 0
    asked = pd.DataFrame({"person_id": ["p:1"] * 2, "as_of": pd.to_datetime([NOW - timedelta(microseconds=1), NOW])})
    assert build_rows(tables, words, asked).frame()["count|kind=any-engagement|channel=any|topic=any|window=all"].tolist() == [1, 0]


def test_rows_without_limits_are_read_as_they_are_stored(tmp_path):
    with Engine() as engine:
        relations = Relations(engine, Tables(tmp_path, *random_history(0, 20)), WORDS)
        views = {record["view_name"]: record["sql"] for record in engine.table("SELECT view_name, sql FROM duckdb_views()").to_pylist()}
    assert not relations.limited
    assert "stored_interactions" not in views
    assert "JOIN" not in views["all_interactions"] + views["interactions"]
