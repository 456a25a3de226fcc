"""One definition, the same SQL on every engine, under the rules of the house."""

import random
import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from features import query
from features.calendar import Offset
from features.catalogue import catalogue
from features.engine import Engine
from features.layout import DAY, layout
from features.relations import Relations
from features.vocabulary import Vocabulary
from tests.features.histories import NOW, WORDS, Tables, interaction, person

PLAN = layout(catalogue(WORDS), WORDS)
BARE = Vocabulary(kinds=WORDS.kinds, channels=WORDS.channels, windows_days=())
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW_US = (NOW - EPOCH) // timedelta(microseconds=1)
SECOND = 1_000_000
MICROSECOND = timedelta(microseconds=1)
OFFSETS = (Offset(0, 3_600_000_000), Offset(NOW_US - DAY, 7_200_000_000), Offset(NOW_US - 9 * DAY, 3_600_000_000))

EXPRESSIONS = {
    "projection": query.projection(PLAN, WORDS, NOW_US, ()),
    "projection on a clock": query.projection(PLAN, WORDS, NOW_US, OFFSETS),
    "projection identified": query.projection(PLAN, WORDS, NOW_US, OFFSETS[:1], identified=True),
    "projection of few words": query.projection(layout(catalogue(BARE), BARE), BARE, NOW_US, ()),
    "visible_people": query.visible_people(WORDS, NOW_US),
    "upcoming": query.upcoming(WORDS, NOW_US, wanted=True),
    "attributes": query.attributes(WORDS),
    "span": query.span(),
    "sources": query.sources(),
    "projection of rows that end": query.projection(PLAN, WORDS, NOW_US, (), limited=True),
    "visible_people of rows that end": query.visible_people(WORDS, NOW_US, limited=True),
    "upcoming of rows that end": query.upcoming(WORDS, NOW_US, wanted=False, limited=True),
    "topic_texts": query.topic_texts(),
}


@pytest.mark.parametrize("dialect", ["duckdb", "databricks"])
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions_compile_on_every_engine_and_keep_the_rules(name, dialect):
    sql = query.to_sql(EXPRESSIONS[name], dialect).upper()
    assert sql.startswith(("SELECT", "WITH"))
    assert not re.search(r"\b(ROUND|HASH|APPROX\w*|LOG|LN|NOW|CURRENT_\w+|RANDOM|DECIMAL)\b", sql)
    assert not re.search(r"/(?!\s*\(?\s*[1-9])", sql), "what divides is a number that is not zero"


def one(age_us=DAY, *, person="p:1", received=0, **others):
    """An answer by e-mail of that age, received at once or at `received` microseconds after `NOW`."""
    row = interaction(random.Random(0), 0) | {"person_id": person, "kind": "opened", "channel": "email", "topic": "housing", "direction": "in"}
    row |= {"occurred_at": NOW - age_us * MICROSECOND, "is_machine": False, "value": None, "source_id": "s1"}
    return row | {"received_at": NOW + received * MICROSECOND} | others


@pytest.fixture
def run(tmp_path):
    """Run an expression over the tables, `rows` of (person, microseconds after NOW) and what is `wanted`."""

    def found(expression, interactions=(), people=(), rows=(("p:1", 0),), wanted=()):
        history = Tables(tmp_path, [row | {"interaction_id": f"i{n}"} for n, row in enumerate(interactions)], list(people))
        with Engine() as engine:
            relations = Relations(engine, history, WORDS)
            ids, times = [name for name, _ in rows], [NOW_US + shift for _, shift in rows]
            engine.register("rows", pa.table({"row": pa.array(range(len(rows)), pa.int32()), "person_id": ids, "as_of_us": pa.array(times, pa.int64())}))
            engine.register("wanted", pa.table({"person_id": pa.array(wanted, pa.string())}))
            return engine.run(expression(relations) if callable(expression) else expression).to_pylist()

    return found


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
        (400 * DAY, 2),
        (400 * DAY + SECOND, 3),
        (9000 * DAY, 3),
    ],
)
def test_windows_are_half_open(run, age, bucket):
    found = run(EXPRESSIONS["projection"], [one(age)])
    assert [record["cell"] % 4 for record in found] == ([] if bucket is None else [bucket])
    assert all(record["age"] == age for record in found)


@pytest.mark.parametrize(("received", "seen"), [(-1, True), (0, True), (1, False)])
def test_what_was_received_later_is_not_seen(run, received, seen):
    assert bool(run(EXPRESSIONS["projection"], [one(received=received)])) == seen


def test_each_row_has_its_own_time_and_what_has_no_value_has_none(run):
    interactions = [one(12 * DAY, received=-12 * DAY), one(DAY, received=-DAY, value=2.5)]
    found = run(EXPRESSIONS["projection"], interactions, rows=[("p:1", 0), ("p:1", -10 * DAY), ("q:2", 0)])
    assert sorted((record["row"], record["age"], record["value"]) for record in found) == [(0, DAY, 2.5), (0, 12 * DAY, None), (1, 2 * DAY, None)]


def test_a_key_names_kind_channel_topic_place_direction_and_machine(run):
    cases = {
        ("opened", "email", "housing", False): [(0, 0, 0, 0, 0, 0)],
        ("gift", "pigeon", "gone", True): [(1, 2, 3, 0, 0, 1)],
        ("unheard_of", "door", None, False): [(6, 1, 3, 0, 0, 0)],
        ("sent", "door", "wages;gone;housing", False): [(4, 1, 2, 0, 1, 0), (4, 1, 0, 1, 1, 0)],
        ("stated", "email", "gone;lost", False): [(2, 0, 3, 0, 0, 0)],
    }
    for (kind, channel, topic, machine), expected in cases.items():
        row = one(kind=kind, channel=channel, topic=topic, is_machine=machine, direction="out" if kind == "sent" else "in")
        keys = [record["cell"] // 4 for record in run(EXPRESSIONS["projection"], [row])]
        assert sorted(tuple(map(int, np.unravel_index(key, (7, 3, 4, 2, 2, 2)))) for key in keys) == sorted(expected)


@pytest.mark.parametrize(
    "day", [datetime(year, month, date, tzinfo=UTC) for year, month, date in [(1900, 1, 1), (1969, 12, 31), (1970, 1, 1), (2024, 2, 29), (2199, 12, 31)]]
)
def test_days_are_whole_utc_days_to_the_microsecond(run, day):
    as_of = datetime(2200, 1, 1, tzinfo=UTC)
    shift = (as_of - NOW) // MICROSECOND
    times = [day, day + timedelta(days=1) - MICROSECOND, day - MICROSECOND]
    rows = [one(occurred_at=time, received_at=time) for time in times]
    found = run(query.projection(PLAN, WORDS, NOW_US + shift, ()), rows, rows=[("p:1", shift)])
    days = (as_of - day).days
    assert sorted(record["days"] for record in found) == [days, days, days + 1]
    assert {record["slot"] // 4 for record in found if record["days"] == days} == {day.weekday()}
    assert sorted(record["slot"] % 4 for record in found) == [0, 3, 3]


@pytest.mark.parametrize(
    ("time", "local"),
    [
        (datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), (6, 0)),
        (datetime(2026, 3, 29, 4, 0, tzinfo=UTC), (6, 1)),
        (datetime(2026, 3, 28, 4, 59, tzinfo=UTC), (5, 0)),
        (datetime(2026, 3, 29, 21, 59, tzinfo=UTC), (6, 3)),
        (datetime(2026, 3, 29, 22, 0, tzinfo=UTC), (0, 0)),
        (datetime(2025, 10, 26, 22, 30, tzinfo=UTC), (6, 3)),
        (datetime(1914, 5, 1, 5, 59, tzinfo=UTC), (4, 0)),
    ],
)
def test_slots_are_of_the_clock_of_the_vocabulary(run, time, local):
    others = [one(40 * DAY), one(800 * DAY)]
    found = run(lambda relations: query.projection(PLAN, WORDS, NOW_US, relations.offsets(NOW_US)), [*others, one(occurred_at=time)])
    assert local[0] * 4 + local[1] in {record["slot"] for record in found if record["age"] == (NOW - time) // MICROSECOND}


def test_sources_are_codes_and_an_unknown_one_is_the_last(run):
    found = run(EXPRESSIONS["projection"], [one(DAY, source_id="s1"), one(2 * DAY, source_id="s2"), one(3 * DAY, source_id="never heard of")])
    assert [record["source"] for record in sorted(found, key=lambda record: record["age"])] == [1, 2, 2]


def test_an_identified_projection_says_which_interaction_it_is(run):
    (found,) = run(EXPRESSIONS["projection identified"], [one(topic="housing", batch_id="b1")])
    assert (found["interaction_id"], found["kind"], found["topic"], found["source_id"], found["batch_id"]) == ("i0", "opened", "housing", "s1", "b1")


def member(name, joined, **others):
    return person(random.Random(0), 0) | {"person_id": name, "joined_at": joined, **others}


PEOPLE = [member("before:joining", NOW - timedelta(days=1)), member("no:date", None), member("joins:now", NOW)]
SEEN = [
    one(person="only:interaction"),
    one(person="late:received", received=5),
    one(9 * DAY, person="before:joining"),
    one(0, person="un:seen"),
    one(-7, person="to:come", received=-9),
    one(-7, person="to:come", received=9),
]


def test_the_base_is_who_was_seen_or_had_joined(run):
    found = [record["person_id"] for record in run(EXPRESSIONS["visible_people"], SEEN, PEOPLE)]
    assert found == ["before:joining", "no:date", "only:interaction"]


def test_the_base_is_sorted_by_bytes(run):
    ids = ["b:1", "a:10", "a:9", "B:1", "é:1", "z:1", "\U0001f600:1", "\uffee:1"]
    found = [record["person_id"] for record in run(EXPRESSIONS["visible_people"], [one(person=name) for name in ids])]
    assert found == sorted(ids, key=str.encode)


def test_upcoming_is_the_first_time_that_sees_something_more(run):
    wanted = ["only:interaction", "late:received", "un:seen", "to:come", "joins:now", "no:date"]
    found = run(EXPRESSIONS["upcoming"], SEEN, PEOPLE, wanted=wanted)
    assert {record["person_id"]: record["at_us"] - NOW_US for record in found} == {"late:received": 5, "un:seen": 1, "to:come": 8, "joins:now": 1}


def test_attributes_are_codes_and_unknown_before_joining(run):
    people = [
        member("p:1", NOW - timedelta(days=1), birth_year=1980, area="north", size=2.0, gender="x y"),
        member("q:2", NOW, birth_year=1990),
        member("r:3", None, birth_year=None, area=None, size=None, gender="unlisted"),
        member("s:4", None, gender=None),
    ]
    found = run(EXPRESSIONS["attributes"], (), people, rows=[(name, 0) for name in ("p:1", "q:2", "r:3", "s:4", "nobody:1")])
    told = {record["row"]: (record["birth_year"], record["area"], record["attribute_size"], record["attribute_gender"]) for record in found}
    assert told.pop(3)[3] is None
    assert told == {0: (1980.0, "north", 2.0, 2.0), 2: (None, None, None, 3.0)}


def test_the_span_of_nothing_is_not_known(run):
    assert run(query.span()) == [{"first_us": None, "last_us": None}]
    assert run(query.span(), [one(3), one(7)]) == [{"first_us": NOW_US - 7, "last_us": NOW_US - 3}]
