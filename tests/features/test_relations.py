"""The relations of a version: all of it or a range of ids, the codes of what is listed, the clock's offsets."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from features import query
from features.engine import Engine
from features.relations import Relations, names_of, people_columns
from features.vocabulary import Vocabulary
from tests.features.histories import NOW, WORDS, Tables, interaction, person, random_history

NOW_US = int(NOW.timestamp()) * 1_000_000


@pytest.fixture
def related(tmp_path):
    engine = Engine()

    def made(interactions=(), people=(), words=WORDS, **more):
        return Relations(engine, Tables(tmp_path, list(interactions), list(people), words=words), words, **more)

    yield made
    engine.close()


def rows(relations, sql):
    return [tuple(record.values()) for record in relations.engine.table(sql).to_pylist()]


def test_tables_are_read_at_their_versions(related):
    interactions, people = random_history(1, 20, 4)
    found = related(interactions, people)
    assert found.versions == {"interactions": 3, "people": 5, "sources": 0}
    assert found.files["people"][0].endswith("/people.2.parquet")
    assert rows(found, "SELECT count(*) FROM interactions") == [(20,)]
    expected = sorted((row["person_id"], int((row["occurred_at"] - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))) for row in interactions)
    assert rows(found, "SELECT person_id, occurred_us FROM interactions ORDER BY ALL") == expected


def test_a_version_that_never_was_has_nobody(related):
    found = related(*random_history(1, 20, 4), versions={"interactions": 2, "people": -1})
    assert found.versions == {"interactions": 2, "people": -1, "sources": 0}
    assert found.files["people"] == []
    assert rows(found, "SELECT * FROM people") == rows(found, "SELECT * FROM interactions") == []


IDS = ["A:1", "a'b:1", "a:1", "a:10", "a:9", "b:1", "é:1", "\U0001f600:1"]


@pytest.mark.parametrize(
    ("low", "high"), [("a'b:1", "a:9"), ("a:10", "a:10"), ("é:1", None), (None, "A:1"), ("x", "y"), (None, None), ("'", "'; DROP VIEW people; --")]
)
def test_a_range_of_ids_is_that_of_their_bytes(related, low, high):
    found = related(
        [interaction(random.Random(n), n, person=name) for n, name in enumerate(IDS)], [person(random.Random(0), 0) | {"person_id": name} for name in IDS]
    )
    found.between(low, high)
    inside = [(name,) for name in IDS if (low is None or name.encode() >= low.encode()) and (high is None or name.encode() <= high.encode())]
    for table in ("interactions", "people"):
        assert rows(found, f"SELECT person_id FROM {table} ORDER BY person_id") == inside
    found.between()
    assert len(rows(found, "SELECT person_id FROM people")) == len(IDS)


def test_texts_of_several_topics_have_a_code_for_each_listed_one_in_their_order(related):
    texts = ["wages; housing", "gone;climate;climate", "gone;lost", "housing", " ;wages"]
    found = related([interaction(random.Random(0), n) | {"topic": text} for n, text in enumerate(texts)])
    assert rows(found, "SELECT * FROM topic_codes ORDER BY ALL") == sorted(
        [
            ("housing", 0, 0),
            ("climate", 1, 0),
            ("wages", 2, 0),
            ("wages; housing", 2, 0),
            ("wages; housing", 0, 1),
            ("gone;climate;climate", 1, 0),
            (" ;wages", 2, 0),
        ]
    )


def test_sources_have_the_codes_of_their_types(related):
    found = related()
    assert rows(found, "SELECT * FROM source_codes ORDER BY ALL") == [("s0", 0), ("s1", 1), ("s2", 2)], "a type that is not listed comes last"
    assert rows(found, "SELECT kind FROM kind_codes ORDER BY kind_code") == [(kind.id,) for kind in WORDS.kinds]
    assert rows(found, "SELECT channel FROM channel_codes ORDER BY channel_code") == [("email",), ("door",)]


def test_a_vocabulary_without_topics_and_source_types_has_no_codes(related):
    words = Vocabulary(kinds=WORDS.kinds, channels=WORDS.channels)
    found = related(*random_history(1, 20, 0), words=words)
    assert rows(found, "SELECT * FROM topic_codes") == rows(found, "SELECT * FROM source_codes") == []
    assert found.offsets(NOW_US) == (), "UTC needs none"


def test_offsets_cover_the_interactions(related):
    row = interaction(random.Random(0), 0) | {"occurred_at": NOW - timedelta(days=400), "received_at": NOW}
    hours = 3_600_000_000
    assert [one.offset_us for one in related([row]).offsets(NOW_US)] == [hours, 2 * hours, hours], "of the whole year"


def test_without_interactions_there_is_one_offset_at_most(related):
    assert len(related().offsets(NOW_US)) <= 1


def test_names_keep_the_folder_they_lie_in():
    assert names_of(["/a/b/interactions/x.parquet", "y.parquet"]) == ["interactions/x.parquet", "y.parquet"]


def test_attributes_are_columns_of_people():
    columns = people_columns(WORDS)
    assert columns["attribute_size"] == ("size", "DOUBLE")
    assert columns["attribute_gender"] == ("gender", "VARCHAR")
    assert set(query.people(WORDS).columns) == set(columns)
