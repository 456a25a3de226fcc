"""Built vectors equal hand-written SQL for every family, and obey the laws: no future, no order, no difference between paths."""

import random
from datetime import UTC, datetime, timedelta
from itertools import product

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.tables import TABLES, arrow_schema
from features.vectors import VectorsError, build, build_rows
from features.vocabulary import Attribute, Channel, Kind, Topic, Vocabulary

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
WORDS = Vocabulary(
    kinds=(
        Kind(id="opened", direction="in", engagement=True, en="opened"),
        Kind(id="gift", direction="in", engagement=True, unit="EUR", en="gift"),
        Kind(id="left", direction="in", en="left"),
        Kind(id="sent", direction="out", en="sent"),
    ),
    channels=(Channel(id="email", en="email"), Channel(id="door", en="door")),
    topics=(Topic(id="housing", en="Housing"), Topic(id="climate", en="Climate")),
    attributes=(Attribute(id="size", type="numeric", en="size"), Attribute(id="gender", type="category", categories=("f", "m", "x y"), en="gender")),
    windows_days=(7, 30, 400),
    half_lives_days=(10, 60),
)
EDGES = [timedelta(days=days, seconds=seconds) for days in (0, 7, 30, 400) for seconds in (-1, 0, 1)] + [timedelta(microseconds=n) for n in (-1, 1)]


class Tables:
    """Two Parquet tables that answer as the stored history does."""

    def __init__(self, folder, interactions, people):
        self.folder = folder
        for name, rows in (("interactions", interactions), ("people", people)):
            table = pa.Table.from_pylist(rows, schema=arrow_schema(TABLES[name], WORDS))
            half = table.num_rows // 2
            pq.write_table(table[:half], folder / f"{name}.0.parquet")
            pq.write_table(table[half:], folder / f"{name}.1.parquet")

    def versions(self):
        return {"interactions": 3, "people": 5, "consents": 1}

    def files(self, table, version=None):
        return sorted(str(path) for path in self.folder.glob(f"{table}.*.parquet"))


@pytest.fixture
def tables(tmp_path_factory):
    return lambda interactions, people: Tables(tmp_path_factory.mktemp("tables"), interactions, people)


def interaction(draw, number, person=None):
    """One random interaction near `NOW` and the edges of its windows; `draw` is a random.Random."""
    kind = draw.choice(["opened", "gift", "left", "sent", "sent"])
    age = draw.choice(EDGES) if draw.random() < 0.3 else timedelta(seconds=draw.randrange(-5 * 86_400, 600 * 86_400))
    received = NOW - age + draw.choice([timedelta(0), timedelta(0), age, age + timedelta(microseconds=1), timedelta(days=draw.randrange(40))])
    return {
        "interaction_id": f"i{number}",
        "person_id": person or f"p:{draw.randrange(25)}",
        "occurred_at": NOW - age,
        "received_at": max(received, NOW - age),
        "kind": kind,
        "channel": draw.choice(["email", "door"]),
        "topic": draw.choice(["housing", "climate", None]),
        "direction": "out" if kind == "sent" else "in",
        "value": draw.choice([None, 5.0, 12.25, 1000.01]) if kind == "gift" else None,
        "source_id": "s",
        "collected_how": "observed",
        "is_machine": draw.random() < 0.1,
    }


def person(draw, number):
    return {
        "person_id": f"p:{number}",
        "birth_year": draw.choice([None, 1950, 1999, 2026, 2030]),
        "joined_at": draw.choice([None, NOW, NOW - timedelta(microseconds=1), NOW - timedelta(days=300), NOW + timedelta(days=3)]),
        "status": "member",
        "source_id": "s",
        "size": draw.choice([None, 1.0, 4.0]),
        "gender": draw.choice([None, "f", "m", "x y"]),
    }


def random_history(seed, interactions=600, people=20):
    draw = random.Random(seed)
    return [interaction(draw, number) for number in range(interactions)], [person(draw, number) for number in range(people)]


# --- the oracle: one hand-written SQL statement per family -------------------------------------------------------------------------

T = "TIMESTAMP '2026-03-01 12:30:00'"
WINDOWS = {
    "7d": f"AND occurred >= {T} - INTERVAL 7 DAY",
    "30d": f"AND occurred >= {T} - INTERVAL 30 DAY",
    "400d": f"AND occurred >= {T} - INTERVAL 400 DAY",
    "all": "",
}
ANSWER = "NOT is_machine AND kind IN ('opened', 'gift')"
KINDS = ("opened", "gift", "left", "sent")
TOPICS = ("housing", "climate")
AGE_DAYS = f"(epoch_us({T}) - epoch_us(occurred)) / 86400000000.0"


def counted(column, condition, window):
    return f"""count(*) FILTER ({condition} {WINDOWS[window]}) AS "{column}" """


def oracle_counts():
    """Yield per column of whole numbers its SQL aggregate over a person's visible interactions."""
    for window in WINDOWS:
        yield counted(f"count|kind=any-engagement|channel=any|topic=any|window={window}", ANSWER, window)
        yield counted(f"count|kind=any-engagement|channel=any|topic=any-topic|window={window}", f"{ANSWER} AND topic IS NOT NULL", window)
        for kind in KINDS:
            yield counted(f"count|kind={kind}|channel=any|topic=any|window={window}", f"NOT is_machine AND kind = '{kind}'", window)
        for topic in TOPICS:
            yield counted(f"count|kind=any-engagement|channel=any|topic={topic}|window={window}", f"{ANSWER} AND topic = '{topic}'", window)
    for window in ("7d", "30d", "all"):
        yield counted(f"machine|kind=any|channel=any|topic=any|window={window}", "is_machine", window)
        for topic in TOPICS:
            sent = f"NOT is_machine AND direction = 'out' AND topic = '{topic}'"
            yield counted(f"count|kind=any-out|channel=any|topic={topic}|window={window}", sent, window)
        for channel, way in product(("email", "door"), ("in", "out")):
            condition = f"NOT is_machine AND direction = '{way}' AND channel = '{channel}'"
            yield counted(f"count|kind=any-{way}|channel={channel}|topic=any|window={window}", condition, window)
    for window, topic, kind in product(("30d", "all"), TOPICS, ("opened", "gift")):
        condition = f"NOT is_machine AND kind = '{kind}' AND topic = '{topic}'"
        yield counted(f"count|kind={kind}|channel=any|topic={topic}|window={window}", condition, window)


def oracle_amounts():
    """Yield per column of sums, shares, recencies and decayed counts its SQL aggregate over a person's visible interactions."""
    for window, since in WINDOWS.items():
        gift = f"NOT is_machine AND kind = 'gift' {since}"
        yield f"""coalesce(sum(value) FILTER ({gift}), 0) AS "sum|kind=gift|channel=any|topic=any|window={window}" """
    for window, topic in product(("30d", "all"), TOPICS):
        part = f"count(*) FILTER ({ANSWER} AND topic = '{topic}' {WINDOWS[window]})"
        whole = f"count(*) FILTER ({ANSWER} AND topic IS NOT NULL {WINDOWS[window]})"
        name = f"share|kind=any-engagement|channel=any|topic={topic}|window={window}"
        yield f"""CASE WHEN {whole} = 0 THEN 0 ELSE {part} * 1.0::DOUBLE / {whole} END AS "{name}" """
    about = {"kind=any-engagement|channel=any|topic=any": ANSWER}
    about |= {f"kind={kind}|channel=any|topic=any": f"NOT is_machine AND kind = '{kind}'" for kind in KINDS}
    about |= {f"kind=any-engagement|channel=any|topic={topic}": f"{ANSWER} AND topic = '{topic}'" for topic in TOPICS}
    for fields, condition in about.items():
        yield f"""min({AGE_DAYS}) FILTER ({condition}) AS "recency|{fields}" """
    about |= {f"kind=any-out|channel=any|topic={topic}": f"NOT is_machine AND direction = 'out' AND topic = '{topic}'" for topic in TOPICS}
    for (fields, condition), half_life in product(about.items(), (10, 60)):
        yield f"""coalesce(sum(pow(2, -({AGE_DAYS}) / {half_life})) FILTER ({condition}), 0) AS "decayed|{fields}|half_life={half_life}d" """


def oracle_of_people():
    """Yield per column what `people` says, NULL where the person was not known yet."""
    yield """CASE WHEN birth_year <= 2026 THEN 2026 - birth_year END AS "age|since=birth_year" """
    yield f"""(epoch_us({T}) - epoch_us(joined)) / 86400000000.0 AS "tenure|since=joined_at" """
    yield """size AS "attribute|id=size" """
    for category, name in (("f", "f"), ("m", "m"), ("x y", "x.20y")):
        yield f"""(gender = '{category}')::INT AS "attribute|id=gender|category={name}" """


def oracle(interactions, people):
    """Return the expected frame, by SQL written for each family and run apart from the product's engine."""
    with duckdb.connect(config={"threads": 1}) as connection:
        for name, rows in (("interactions", interactions), ("people", people)):
            table = pa.Table.from_pylist(rows, schema=arrow_schema(TABLES[name], WORDS))
            times = [place for place, field in enumerate(table.schema) if pa.types.is_timestamp(field.type)]
            for place in times:
                table = table.set_column(place, table.schema[place].name, table.column(place).cast(pa.timestamp("us")))
            connection.register(f"{name}_given", table)
        connection.execute(f"CREATE TABLE seen AS SELECT *, occurred_at AS occurred FROM interactions_given WHERE occurred_at < {T} AND received_at <= {T}")
        connection.execute(f"CREATE TABLE known AS SELECT *, joined_at AS joined FROM people_given WHERE joined_at IS NULL OR joined_at < {T}")
        connection.execute("CREATE TABLE base AS SELECT person_id FROM seen UNION SELECT person_id FROM known")
        counts = connection.execute(
            f"SELECT base.person_id, {', '.join((*oracle_counts(), *oracle_amounts()))} FROM base LEFT JOIN seen USING (person_id) GROUP BY base.person_id"
        ).df()
        of_people = connection.execute(f"SELECT base.person_id, {', '.join(oracle_of_people())} FROM base LEFT JOIN known USING (person_id)").df()
        frame = counts.merge(of_people, on="person_id").set_index("person_id")
        for topic in TOPICS:
            sends = f"direction = 'out' AND NOT is_machine AND topic = '{topic}' {WINDOWS['30d']}"
            per_person = connection.execute(
                f"SELECT (SELECT count(*) FROM seen WHERE {sends}) * 1.0::DOUBLE / greatest((SELECT count(*) FROM base), 1)"
            ).fetchone()[0]
            frame[f"supply|kind=any-out|channel=any|topic={topic}|window=30d"] = per_person
    return frame.sort_index().astype("float64")


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(4))
def test_vectors_equal_hand_written_sql_for_every_family(tables, seed):
    interactions, people = random_history(seed)
    found = build(tables(interactions, people), WORDS, NOW).frame()
    expected = oracle(interactions, people)
    assert sorted(found.columns) == sorted(expected.columns), "every column has its oracle"
    expected = expected.loc[sorted(found.index, key=str.encode), found.columns]
    assert list(found.index) == list(expected.index)
    for name in found.columns:
        if name.startswith(("count", "machine", "age", "attribute")):
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
        else:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-6, atol=1e-9, err_msg=name)


# --- the laws ----------------------------------------------------------------------------------------------------------------------

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def same(one, other):
    assert one.person_ids.equals(other.person_ids)
    assert one.names == other.names
    assert one.matrix.tobytes() == other.matrix.tobytes()


@few
@given(seeds)
def test_the_future_changes_nothing(tables, seed):
    interactions, people = random_history(seed, 120)
    draw = random.Random(seed)
    future = []
    for number in range(60):
        row = interaction(draw, f"f{number}", person=draw.choice(["p:1", "p:2", "new:1"]))
        ahead = timedelta(microseconds=draw.choice([0, 1, 10**6, 10**12]))
        if draw.random() < 0.5:
            row |= {"occurred_at": NOW + ahead, "received_at": NOW + ahead}
        else:
            row |= {"occurred_at": NOW - ahead, "received_at": NOW + ahead + timedelta(microseconds=1)}
        future.append(row)
    joins = person(draw, 99) | {"person_id": "new:2", "joined_at": NOW}
    same(build(tables(interactions, people), WORDS, NOW), build(tables(interactions + future, [*people, joins]), WORDS, NOW))


@few
@given(seeds)
def test_the_order_of_rows_and_people_changes_no_bit(tables, seed):
    interactions, people = random_history(seed, 200)
    draw = random.Random(seed)
    shuffled = draw.sample(interactions, len(interactions)), draw.sample(people, len(people))
    same(build(tables(interactions, people), WORDS, NOW), build(tables(*shuffled), WORDS, NOW))


@few
@given(seeds)
def test_a_part_of_the_people_gets_the_same_rows(tables, seed):
    history = tables(*random_history(seed, 150))
    whole = build(history, WORDS, NOW)
    ids = random.Random(seed).sample(whole.person_ids.to_pylist(), min(5, len(whole)))
    part = build(history, WORDS, NOW, people=[*ids, ids[0], "nobody:1"])
    assert part.person_ids.to_pylist() == sorted(ids, key=str.encode)
    assert part.matrix.tobytes() == whole.matrix[whole.rows(part.person_ids.to_pylist())].tobytes()


@few
@given(seeds)
def test_rows_of_one_time_equal_a_build_and_rows_of_many_times_equal_many_builds(tables, seed):
    history = tables(*random_history(seed, 150))
    draw = random.Random(seed)
    times = [NOW, NOW - timedelta(days=7, microseconds=1), NOW - timedelta(days=700)]
    builds = {as_of: build(history, WORDS, as_of) for as_of in times}
    asked = [(person_id, as_of) for as_of in times for person_id in builds[as_of].person_ids.to_pylist()]
    asked = draw.sample(asked, len(asked))
    rows = build_rows(history, WORDS, pd.DataFrame(asked, columns=["person_id", "as_of"]))
    assert rows.person_ids.to_pylist() == [person_id for person_id, _ in asked]
    assert rows.as_ofs.tolist() == [as_of.replace(tzinfo=None) for _, as_of in asked]
    assert rows.as_of == max(as_of for _, as_of in asked)
    expected = np.stack([builds[as_of].matrix[builds[as_of].rows([person_id])[0]] for person_id, as_of in asked])
    assert rows.matrix.tobytes() == expected.tobytes()


def test_supply_is_exact_for_any_number_of_times(tables):
    draw = random.Random(5)
    interactions = [interaction(draw, number) for number in range(300)]
    history = tables(interactions, [])
    times = [NOW - timedelta(minutes=997 * step) for step in range(120)]
    column = "supply|kind=any-out|channel=any|topic=housing|window=30d"
    found = build_rows(history, WORDS, pd.DataFrame({"person_id": "p:1", "as_of": times})).frame()[column].to_numpy()
    for place in (0, 1, 50, 119):
        as_of = times[place]
        seen = [row for row in interactions if row["occurred_at"] < as_of and row["received_at"] <= as_of]
        sends = [
            row
            for row in seen
            if row["kind"] == "sent" and row["topic"] == "housing" and not row["is_machine"] and row["occurred_at"] >= as_of - timedelta(days=30)
        ]
        assert found[place] == np.float32(len(sends) / len({row["person_id"] for row in seen}))


# --- small and odd histories -------------------------------------------------------------------------------------------------------


def test_an_empty_history_makes_empty_vectors(tables):
    vectors = build(tables([], []), WORDS, NOW)
    assert vectors.matrix.shape == (0, len(vectors.names))
    assert vectors.rows(["a:1"]).tolist() == [-1]


def test_one_person_without_interactions(tables):
    frame = build(tables([], [person(random.Random(0), 1) | {"joined_at": None}]), WORDS, NOW).frame()
    assert list(frame.index) == ["p:1"]
    assert (frame.filter(like="count|") == 0).all(axis=None)
    assert frame.filter(like="recency|").isna().all(axis=None)
    assert (frame.filter(like="share|") == 0).all(axis=None)
    assert frame["tenure|since=joined_at"].isna().all()


def test_an_asked_person_whom_nobody_knows_has_no_interactions(tables):
    frame = build_rows(tables(*random_history(1, 50)), WORDS, pd.DataFrame({"person_id": ["nobody:1"], "as_of": [NOW]})).frame()
    assert (frame.filter(like="count|") == 0).all(axis=None)
    assert frame.filter(like="attribute|").isna().all(axis=None)


def test_words_that_left_the_vocabulary_count_for_any(tables):
    row = interaction(random.Random(0), 0) | {"person_id": "p:1", "occurred_at": NOW - timedelta(days=1), "received_at": NOW, "is_machine": False}
    row |= {"kind": "gone", "channel": "email", "topic": "gone", "direction": "in"}
    frame = build(tables([row], []), WORDS, NOW).frame()
    counted_in = [name for name in frame.filter(like="count|") if frame[name].item()]
    assert counted_in == [f"count|kind=any-in|channel=email|topic=any|window={window}" for window in ("7d", "30d", "all")]


def test_versions_are_noted_and_read(tables):
    history = tables(*random_history(2, 30))
    assert build(history, WORDS, NOW).table_versions == {"interactions": 3, "people": 5}
    nobody = build(history, WORDS, NOW, versions={"people": -1})
    assert nobody.table_versions == {"interactions": 3, "people": -1}
    assert nobody.frame()["age|since=birth_year"].isna().all()


def test_progress_rises_to_one(tables):
    told = []
    build(tables(*random_history(3, 30)), WORDS, NOW, progress=lambda stage, fraction: told.append((stage, fraction)))
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)


def test_a_value_too_large_is_refused_without_naming_anyone(tables):
    row = interaction(random.Random(0), 0) | {"person_id": "p:1", "kind": "gift", "direction": "in", "is_machine": False, "value": 1e12}
    row |= {"occurred_at": NOW - timedelta(days=1), "received_at": NOW}
    with pytest.raises(VectorsError, match="too large") as caught:
        build(tables([row], []), WORDS, NOW)
    assert "p:1" not in str(caught.value)


@pytest.mark.parametrize("as_of", [datetime(2026, 1, 1), "2026-01-01", None])  # noqa: DTZ001 - the very thing that is refused
def test_a_time_without_zone_is_refused(tables, as_of):
    with pytest.raises(VectorsError, match="time zone"):
        build(tables([], []), WORDS, as_of)


def test_any_zone_means_the_same_moment(tables):
    history = tables(*random_history(4, 80))
    brussels = datetime.fromisoformat("2026-03-01T13:30:00+01:00")
    same(build(history, WORDS, NOW), build(history, WORDS, brussels))
    assert build(history, WORDS, brussels).as_of == NOW


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (pd.DataFrame({"person": ["a:1"]}), "missing: person_id, as_of; given: person"),
        (pd.DataFrame({"person_id": ["a:1"], "as_of": pd.to_datetime(["2026-01-01"])}), "with a time zone"),
        (pd.DataFrame({"person_id": ["a:1"], "as_of": ["2026-01-01"]}), "with a time zone"),
        (pd.DataFrame({"person_id": ["a:1", None], "as_of": pd.to_datetime(["2026-01-01"] * 2, utc=True)}), "the first at position 1"),
        (pd.DataFrame({"person_id": ["a:1"], "as_of": pd.to_datetime([None], utc=True)}), "the first at position 0"),
        (pd.DataFrame({"person_id": [], "as_of": pd.to_datetime([], utc=True)}), "no rows"),
    ],
)
def test_rows_that_cannot_be_built_are_refused(tables, rows, said):
    with pytest.raises(VectorsError, match=said):
        build_rows(tables([], []), WORDS, rows)
