"""One definition, the same SQL on every engine, under the rules of the house."""

import re

import pyarrow as pa
import pytest

from features import query
from features.catalogue import catalogue
from features.engine import Engine
from features.layout import DAY, layout
from features.vocabulary import Attribute, Channel, Kind, Topic, Vocabulary

WORDS = Vocabulary(
    kinds=(Kind(id="sign", direction="in", engagement=True, en="sign"), Kind(id="sent", direction="out", en="sent")),
    channels=(Channel(id="email", en="email"),),
    topics=(Topic(id="housing", en="Housing"), Topic(id="climate", en="Climate")),
    attributes=(Attribute(id="size", type="numeric", en="size"), Attribute(id="g", type="category", categories=("a", "b"), en="g")),
    windows_days=(7, 30),
)
PLAN = layout(catalogue(WORDS), WORDS)
NOW = 1_700_000_000_000_000
SECOND = 1_000_000

EXPRESSIONS = {
    "projection": query.projection(PLAN, WORDS, NOW),
    "entries": query.entries(WORDS, NOW),
    "population": query.population(NOW, wanted=True),
    "sends": query.sends(WORDS, NOW),
    "attributes": query.attributes(WORDS),
}


@pytest.mark.parametrize("dialect", ["duckdb", "databricks"])
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions_compile_on_every_engine_and_keep_the_rules(name, dialect):
    sql = query.to_sql(EXPRESSIONS[name], dialect).upper()
    assert sql.startswith(("SELECT", "WITH"))
    assert not re.search(r"\b(ROUND|HASH|APPROX\w*|LOG|LN|NOW|CURRENT_\w+|RANDOM|DECIMAL)\b|/", sql)


def interactions(*rows):
    names = ("person_id", "occurred_us", "received_us", "kind", "channel", "topic", "direction", "value", "is_machine")
    types = (pa.string(), pa.int64(), pa.int64(), pa.string(), pa.string(), pa.string(), pa.string(), pa.float64(), pa.bool_())
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, types, strict=True)], names=list(names))


def one(occurred, received=None, *, person="a:1", kind="sign", topic="housing", direction="in", value=None, machine=False):
    return (person, occurred, occurred if received is None else received, kind, "email", topic, direction, value, machine)


def people(*rows):
    types = {"person_id": pa.string(), "birth_year": pa.int64(), "joined_us": pa.int64(), "attribute_size": pa.float64(), "attribute_g": pa.string()}
    columns = list(zip(*rows, strict=True)) or [()] * 5
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, types.values(), strict=True)], names=list(types))


def run(expression, **relations):
    with Engine() as engine:
        for name, table in relations.items():
            engine.register(name, table)
        return engine.table(query.to_sql(expression)).to_pylist()


ROWS = pa.table({"row": pa.array([0], pa.int32()), "person_id": ["a:1"], "as_of_us": pa.array([NOW], pa.int64())})


@pytest.mark.parametrize(
    ("age", "bucket"),
    [
        (-SECOND, None),
        (0, None),
        (1, 0),
        (SECOND, 0),
        (7 * DAY - SECOND, 0),
        (7 * DAY, 0),
        (7 * DAY + 1, 1),
        (7 * DAY + SECOND, 1),
        (30 * DAY, 1),
        (30 * DAY + SECOND, 2),
        (9000 * DAY, 2),
    ],
)
def test_windows_are_half_open(age, bucket):
    found = run(EXPRESSIONS["projection"], interactions=interactions(one(NOW - age)), rows=ROWS)
    assert [record["cell"] % 3 for record in found] == ([] if bucket is None else [bucket])
    assert all(record["age"] == age for record in found)


@pytest.mark.parametrize(("received", "seen"), [(NOW - 1, True), (NOW, True), (NOW + 1, False)])
def test_what_was_received_later_is_not_seen(received, seen):
    found = run(EXPRESSIONS["projection"], interactions=interactions(one(NOW - DAY, received)), rows=ROWS)
    assert bool(found) == seen


def test_each_row_has_its_own_time_and_an_empty_value_is_zero():
    rows = pa.table({"row": pa.array([0, 1, 2], pa.int32()), "person_id": ["a:1", "a:1", "b:2"], "as_of_us": pa.array([NOW, NOW - 10 * DAY, NOW], pa.int64())})
    found = run(EXPRESSIONS["projection"], interactions=interactions(one(NOW - 12 * DAY), one(NOW - DAY, value=2.5)), rows=rows)
    assert sorted((record["row"], record["age"], record["value"]) for record in found) == [(0, DAY, 2.5), (0, 12 * DAY, 0.0), (1, 2 * DAY, 0.0)]


def test_entries_are_the_first_time_at_which_a_person_belongs_to_the_base():
    found = run(
        EXPRESSIONS["entries"],
        interactions=interactions(
            one(NOW - DAY, person="only:interaction"),
            one(NOW - DAY, NOW - 5, person="late:received"),
            one(NOW - 9 * DAY, person="before:joining"),
            one(NOW, person="un:seen"),
        ),
        people=people(("before:joining", None, NOW - DAY, None, None), ("no:date", None, None, None, None), ("joins:now", None, NOW, None, None)),
    )
    assert {record["person_id"]: record["entry"] for record in found} == {
        "only:interaction": NOW - DAY + 1,
        "late:received": NOW - 5,
        "before:joining": NOW - 9 * DAY + 1,
        "no:date": query.FOREVER,
        "joins:now": NOW + 1,
    }


def test_the_population_is_sorted_by_bytes():
    ids = ["b:1", "a:10", "a:9", "B:1", "é:1", "z:1", "\U0001f600:1", "\uffee:1"]
    entries = pa.table({"person_id": [*ids, "later:1"], "entry": pa.array([NOW] * len(ids) + [NOW + 1], pa.int64())})
    found = [record["person_id"] for record in run(query.population(NOW, wanted=False), entries=entries)]
    assert found == sorted(ids, key=str.encode)
    wanted = pa.table({"person_id": ["z:1", "nobody:1", "a:9", "a:9"]})
    assert [record["person_id"] for record in run(query.population(NOW, wanted=True), entries=entries, wanted=wanted)] == ["a:9", "z:1"]


def test_sends_are_people_s_not_machines_and_about_listed_topics():
    found = run(
        EXPRESSIONS["sends"],
        interactions=interactions(
            one(NOW - DAY, kind="sent", direction="out", topic="climate"),
            one(NOW - DAY, NOW - 5, kind="sent", direction="out"),
            one(NOW - DAY, kind="sent", direction="out", machine=True),
            one(NOW - DAY, kind="sent", direction="out", topic=None),
            one(NOW - DAY, kind="sent", direction="out", topic="unlisted"),
            one(NOW - DAY),
            one(NOW, kind="sent", direction="out"),
        ),
    )
    assert sorted((record["topic"], record["visible_us"]) for record in found) == [(0, NOW - 5), (1, NOW - DAY + 1)]


def test_attributes_are_codes_and_unknown_before_joining():
    rows = pa.table({"row": pa.array([0, 1, 2], pa.int32()), "person_id": ["a:1", "b:2", "c:3"], "as_of_us": pa.array([NOW] * 3, pa.int64())})
    found = run(
        EXPRESSIONS["attributes"],
        rows=rows,
        people=people(("a:1", 1980, NOW - DAY, 2.0, "b"), ("b:2", 1990, NOW, 3.0, "a"), ("c:3", None, None, None, "unlisted")),
    )
    assert {record["row"]: (record["birth_year"], record["attribute_size"], record["attribute_g"]) for record in found} == {
        0: (1980.0, 2.0, 1.0),
        2: (None, None, 2.0),
    }
