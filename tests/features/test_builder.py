"""Built vectors equal the slow model in every column, and obey the laws: no future, no order, no difference between paths."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features import blocks, builder
from features.catalogue import CONTEXTUAL, catalogue
from features.vectors import VectorsError, build, build_rows
from tests.features.histories import NOW, SOURCES, WORDS, Tables, interaction, person, random_history
from tests.features.slow_model import SlowModel

FEATURES = catalogue(WORDS)
WHOLE = {"count", "machine", "recency", "first", "unanswered", "switches", "declared_age", "source", "attribute", "age", "tenure"}
"""Statistics whose values are whole numbers, and equal exactly."""


@pytest.fixture
def tables(tmp_path_factory):
    return lambda interactions, people: Tables(tmp_path_factory.mktemp("tables"), interactions, people)


@pytest.fixture
def of_one(tables):
    def made(*rows):
        base = interaction(random.Random(0), 0) | {"kind": "opened", "channel": "email", "topic": None, "direction": "in", "value": None}
        base |= {"person_id": "p:1", "is_machine": False, "source_id": "s9", "occurred_at": NOW - timedelta(days=1)}
        given = [base | {"interaction_id": f"i{number}"} | row for number, row in enumerate(rows)]
        for row in given:
            row["received_at"] = row["occurred_at"]
        return build(tables(given, []), WORDS, NOW).frame()

    return made


def ago(days=0, **less):
    return {"occurred_at": NOW - timedelta(days=days, **less)}


def sent(days=0, **others):
    return {"kind": "sent", "direction": "out", **ago(days), **others}


def context_of(history, as_of):
    return builder.base_context(history, WORDS, as_of, versions=None, progress=lambda *_: None)


def same(one, other):
    assert one.person_ids.equals(other.person_ids)
    assert one.names == other.names
    assert one.matrix.tobytes() == other.matrix.tobytes()


def equals(found, expected, feature):
    if feature.statistic in WHOLE:
        np.testing.assert_array_equal(found, np.array(expected, dtype=np.float32), err_msg=feature.name)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9, err_msg=feature.name)


# --- the oracle --------------------------------------------------------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(4))
def test_every_column_equals_the_slow_model(tables, seed):
    interactions, people = random_history(seed)
    found = build(tables(interactions, people), WORDS, NOW)
    expected = SlowModel(interactions, people, WORDS, NOW, SOURCES)
    assert found.person_ids.to_pylist() == expected.base
    assert found.names == tuple(feature.name for feature in FEATURES)
    for column, feature in enumerate(FEATURES):
        equals(found.matrix[:, column], [expected.value(one, feature) for one in expected.base], feature)


def test_the_histories_of_the_oracle_hold_something_for_every_statistic(tables):
    found = build(tables(*random_history(2)), WORDS, NOW)
    told = {feature.statistic for column, feature in enumerate(FEATURES) if np.nan_to_num(found.matrix[:, column]).any()}
    assert told == {feature.statistic for feature in FEATURES}


# --- the laws ----------------------------------------------------------------------------------------------------------------------

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


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
    joins = person(draw, 99) | {"person_id": "new:2", "joined_at": NOW, "area": "north"}
    found = build(tables(interactions + future, [*people, joins]), WORDS, NOW)
    same(build(tables(interactions, people), WORDS, NOW), found)
    assert {"new:1", "new:2"} <= set(found.upkeep.newcomers["person_id"].to_pylist())


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
    assert part.context == whole.context == context_of(history, NOW)
    assert (whole.context.people, whole.context.table_versions) == (len(whole), whole.table_versions)


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


def test_small_blocks_make_the_same_bytes(tables, monkeypatch):
    history = tables(*random_history(11))
    whole = build(history, WORDS, NOW)
    asked = pd.DataFrame({"person_id": [*whole.person_ids.to_pylist(), "p:1"], "as_of": [NOW] * len(whole) + [NOW - timedelta(days=40)]})
    rows = build_rows(history, WORDS, asked)
    monkeypatch.setattr(builder, "BLOCK_PEOPLE", 3)
    same(build(history, WORDS, NOW), whole)
    same(build_rows(history, WORDS, asked), rows)
    part = build(history, WORDS, NOW, people=["p:1", "p:3", "p:4", "p:5"])
    assert part.matrix.tobytes() == whole.matrix[whole.rows(part.person_ids.to_pylist())].tobytes()


def test_people_who_did_much_come_in_smaller_blocks(tables, monkeypatch):
    interactions = [interaction(random.Random(number), number, person=f"p:{number % 200}") for number in range(1000)]
    history = tables(interactions, [])
    whole = build(history, WORDS, NOW)
    sizes = []
    monkeypatch.setattr(builder, "BLOCK_INTERACTIONS", 3 * 5)
    monkeypatch.setattr(blocks, "block_of", lambda *given, real=blocks.block_of: sizes.append(given[3] - given[2]) or real(*given))
    same(build(history, WORDS, NOW), whole)
    assert len(sizes) == -(-len(whole) // 64)
    assert max(sizes) == 64


# --- the base as a whole -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("step", "shared"), [(timedelta(hours=5), "%Y-%m-%d"), (timedelta(days=6), "%Y-%m-01"), (timedelta(days=45), "%Y-01-01")])
def test_rows_of_many_times_share_the_contexts_of_the_start_of_their_day_month_or_year(tables, monkeypatch, step, shared):
    monkeypatch.setattr(builder, "MANY_TIMES", 3)
    interactions, people = random_history(5)
    history = tables(interactions, people)
    times = [NOW - number * step for number in range(8)]
    found = build_rows(history, WORDS, pd.DataFrame({"person_id": "p:1", "as_of": times}))
    assert found.context is None
    column = next(column for column, feature in enumerate(FEATURES) if feature.statistic == "supply")
    for place in (0, 7):
        start = datetime.fromisoformat(times[place].strftime(shared)).replace(tzinfo=UTC)
        expected = build_rows(history, WORDS, pd.DataFrame({"person_id": ["p:1"], "as_of": [times[place]]}), context=context_of(history, start))
        assert found.matrix[place].tobytes() == expected.matrix.tobytes()
        model = SlowModel(interactions, people, WORDS, start, SOURCES)
        assert found.matrix[place, column] == np.float32(model.value("p:1", FEATURES[column]))


def test_a_context_that_is_given_is_used(tables):
    history = tables(*random_history(6))
    earlier = build(history, WORDS, NOW - timedelta(days=100)).context
    plain, given_one = build(history, WORDS, NOW), build(history, WORDS, NOW, context=earlier)
    assert given_one.context is earlier
    differs = np.flatnonzero((plain.matrix != given_one.matrix) & ~np.isnan(plain.matrix) & ~np.isnan(given_one.matrix)) % len(FEATURES)
    assert differs.size
    assert {FEATURES[column].statistic for column in differs} <= CONTEXTUAL
    asked = pd.DataFrame({"person_id": given_one.person_ids.to_pylist(), "as_of": NOW})
    rows = build_rows(history, WORDS, asked, context=earlier)
    assert rows.matrix.tobytes() == given_one.matrix.tobytes()
    assert rows.context is earlier


def test_a_person_alone_in_an_area_has_no_neighbours(tables):
    people = [person(random.Random(n), n) | {"area": area, "joined_at": None} for n, area in enumerate(["north", "south", "south", None])]
    rows = [interaction(random.Random(0), f"{n}.{k}", person=f"p:{n}") for n in range(4) for k in range(4)]
    for number, row in enumerate(rows):
        row.update(sent(2) if number % 4 else ago(2) | {"kind": "opened", "direction": "in"})
        row.update(is_machine=False, received_at=NOW, topic=None)
    found = build(tables(rows, people), WORDS, NOW)
    area = found.frame()["area|kind=any-out|channel=any|topic=any|window=all"]
    mean, strength = found.context.priors["area|kind=any-out|channel=any|topic=any|window=all"]
    assert np.isnan(area["p:0"]), "nobody else lives there"
    assert np.isnan(area["p:3"]), "the area is not known"
    assert area["p:1"] == area["p:2"] == np.float32((1 + mean * strength) / (3 + strength))


# --- statistics that depend on the order of events ---------------------------------------------------------------------------------


def test_messages_after_the_last_answer_are_unanswered(of_one):
    frame = of_one(
        sent(9),
        sent(5, channel="door"),
        ago(4) | {"channel": "email", "topic": "housing"},
        sent(4),  # at the very time of the answer: not after it
        sent(3, topic="housing"),
        sent(2, topic="wages;housing"),
        sent(1, is_machine=True),
    ).iloc[0]
    said = {name.split("|", 2)[2]: value for name, value in frame.items() if name.startswith("unanswered|")}
    assert said == {
        "channel=any|topic=any": 2,
        "channel=email|topic=any": 2,
        "channel=door|topic=any": 1,
        "channel=any|topic=housing": 2,
        "channel=any|topic=climate": 0,
        "channel=any|topic=wages": 1,
    }


def test_what_was_stated_last_counts_and_of_two_at_once_the_larger(of_one):
    stated = {"kind": "stated", "topic": "housing"}
    frame = of_one(stated | ago(9) | {"value": 7.0}, stated | ago(2) | {"value": -3.5}, stated | ago(2), stated | ago(0) | {"topic": "gone"}).iloc[0]
    assert frame["declared|kind=any-declared|channel=any|topic=housing"] == 1, "an empty value is 1"
    assert frame["declared_age|kind=any-declared|channel=any|topic=housing"] == 2
    assert np.isnan(frame["declared|kind=any-declared|channel=any|topic=wages"])


def test_switches_follow_the_main_topics_in_the_order_of_time(of_one):
    topics = ["housing", "climate;housing", None, "climate", "gone", "wages;climate"]
    frame = of_one(*(ago(20 - number) | {"topic": topic} for number, topic in enumerate(topics)), ago(1) | {"topic": "housing", "is_machine": True})
    assert frame["switches|kind=any-engagement|channel=any|topic=any-topic"].tolist() == [2]
    tied = of_one(*(ago(3) | {"topic": topic} for topic in ("wages", "housing", "wages", "housing")))
    assert tied["switches|kind=any-engagement|channel=any|topic=any-topic"].tolist() == [1], "of one time, in the order of audience.toml"


def test_of_sources_at_the_same_time_the_first_of_the_vocabulary_counts(of_one):
    frame = of_one(
        ago(9) | {"source_id": "s1"}, ago(9) | {"source_id": "s0"}, ago(1) | {"source_id": "s9"}, ago(0, hours=1) | {"source_id": "s0", "is_machine": True}
    )
    said = {name: value for name, value in frame.iloc[0].items() if name.startswith("source|")}
    assert said == {
        f"source|which={which}|type={kind}": which == "first" and kind == "petition" for which in ("first", "last") for kind in ("petition", "event")
    }


def test_days_since_are_whole_utc_days(of_one):
    assert of_one(ago(0, microseconds=1))["recency|kind=opened|channel=any|topic=any"].item() == 0
    midnight = of_one({"occurred_at": NOW.replace(hour=0, minute=0) - timedelta(microseconds=1)})
    assert midnight["recency|kind=opened|channel=any|topic=any"].item() == 1


def test_an_empty_history_makes_empty_vectors(tables):
    vectors = build(tables([], []), WORDS, NOW)
    assert vectors.matrix.shape == (0, len(vectors.names))
    assert vectors.rows(["a:1"]).tolist() == [-1]
    assert vectors.context.people == 0


def test_one_person_without_interactions(tables):
    frame = build(tables([], [person(random.Random(0), 1) | {"joined_at": None}]), WORDS, NOW).frame()
    assert list(frame.index) == ["p:1"]
    for zero in ("count", "machine", "sum", "decayed", "unanswered", "switches", "supply"):
        assert (frame.filter(like=f"{zero}|") == 0).all(axis=None), zero
    for missing in (
        "recency",
        "first",
        "largest",
        "share",
        "rate",
        "area",
        "entropy",
        "habit",
        "overdue",
        "declared",
        "daypart",
        "weekday",
        "source",
        "tenure",
    ):
        assert frame.filter(like=f"{missing}|").isna().all(axis=None), missing
    assert (frame.filter(like="trend|") == 1).all(axis=None)


def test_an_asked_person_whom_nobody_knows_has_no_interactions(tables):
    frame = build_rows(tables(*random_history(1, 50)), WORDS, pd.DataFrame({"person_id": ["nobody:1"], "as_of": [NOW]})).frame()
    assert (frame.filter(like="count|") == 0).all(axis=None)
    assert frame.filter(like="attribute|").isna().all(axis=None)
    assert (frame.filter(like="supply|") > 0).any(axis=None)


def test_words_that_left_the_vocabulary_count_for_any(of_one):
    frame = of_one({"kind": "gone", "topic": "gone", "channel": "email"})
    counted_in = [name for name in frame.filter(like="count|") if frame[name].item()]
    assert counted_in == [f"count|kind=any-in|channel=email|topic=any|window={window}" for window in ("30d", "all")]


@pytest.mark.parametrize("as_of", [datetime(1969, 7, 20, 20, 17, tzinfo=UTC), datetime(1901, 1, 1, tzinfo=UTC), datetime(2180, 12, 31, 23, tzinfo=UTC)])
def test_any_time_that_can_be_stored_is_fine(tables, as_of):
    interactions, people = random_history(9, 40)
    shift = as_of - NOW
    for row in interactions:
        row |= {"occurred_at": row["occurred_at"] + shift, "received_at": row["received_at"] + shift}
    interactions[0] |= {"occurred_at": datetime(1900, 1, 1, tzinfo=UTC), "received_at": datetime(1900, 1, 1, tzinfo=UTC)}
    found = build(tables(interactions, people), WORDS, as_of)
    expected = SlowModel(interactions, people, WORDS, as_of, SOURCES)
    for column, feature in enumerate(FEATURES):
        equals(found.matrix[:, column], [expected.value(one, feature) for one in expected.base], feature)


def test_ids_of_any_text_are_kept_apart(tables):
    ids = ["o'brien:1", 'q":1', "é:1", "e\u0301:1", "\U0001f600:1", "%:1", "a\\:1", "a:" + "9" * 900, "A:1", "a:1", "'); DROP TABLE people; --"]
    rows = [interaction(random.Random(number), number, person=name) for number, name in enumerate(ids)]
    for row in rows:
        row.update(ago(1), received_at=NOW)
    found = build(tables(rows, []), WORDS, NOW)
    assert found.person_ids.to_pylist() == sorted(ids, key=str.encode)
    part = build(tables(rows, []), WORDS, NOW, people=[*ids[:2], ids[-1]])
    assert part.matrix.tobytes() == found.matrix[found.rows(part.person_ids.to_pylist())].tobytes()


def test_versions_are_noted_and_read(tables):
    history = tables(*random_history(2, 30))
    assert build(history, WORDS, NOW).table_versions == {"interactions": 3, "people": 5, "sources": 0}
    nobody = build(history, WORDS, NOW, versions={"people": -1})
    assert nobody.table_versions == {"interactions": 3, "people": -1, "sources": 0}
    assert nobody.frame()["age|since=birth_year"].isna().all()
    history.add([interaction(random.Random(1), "later")])
    same(build(history, WORDS, NOW, versions={"interactions": 3}), build(tables(*random_history(2, 30)), WORDS, NOW))


def test_progress_rises_to_one(tables):
    told = []
    build(tables(*random_history(3, 30)), WORDS, NOW, progress=lambda stage, fraction: told.append((stage, fraction)))
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)


@pytest.mark.parametrize("value", [1e12, -1e300, float("inf")])
def test_a_value_too_large_is_refused_without_naming_anyone(of_one, value):
    with pytest.raises(VectorsError, match="too large") as caught:
        of_one({"kind": "gift", "value": value})
    assert "p:1" not in str(caught.value)


@pytest.mark.parametrize("as_of", [datetime(2026, 1, 1), "2026-01-01", None])  # noqa: DTZ001 - the very thing that is refused
def test_a_time_without_zone_is_refused(tables, as_of):
    with pytest.raises(VectorsError, match="time zone"):
        build(tables([], []), WORDS, as_of)


def test_any_zone_means_the_same_moment(tables):
    history = tables(*random_history(4, 80))
    brussels = datetime.fromisoformat("2026-03-31T14:30:00+02:00")
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
