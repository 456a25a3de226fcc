"""Labels and first moments, against a plain count over the same rows."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from features import outcomes, query
from features.builder import microseconds
from features.engine import Engine
from features.relations import Relations
from tests.features.random_history import AS_OF, DAY, TOPICS, WORDS, Stored, random_tables

HORIZON = 40 * DAY
NOW = AS_OF + timedelta(hours=1)


def wanted(tables, start):
    """Every person twice: from a time on, and from ten days later on."""
    ids = [*tables["people"].column("person_id").to_pylist(), *tables["interactions"].column("person_id").to_pylist(), "nobody:1"]
    ids = [person for person in dict.fromkeys(ids) for _ in range(2)]
    starts = [microseconds(start + (number % 2) * 10 * DAY) for number in range(len(ids))]
    return pa.table({"number": np.arange(len(ids)), "person_id": ids, "start_us": starts})


def counted(tables, asked):
    """The pairs (number, topic) that plain loops find."""
    found = set()
    topics = {text: [WORDS.topic_ids.index(part.strip()) for part in (text or "").split(";") if part.strip() in WORDS.topic_ids] for text in TOPICS}
    for one in tables["interactions"].to_pylist():
        if one["received_at"] <= NOW and not one["is_machine"] and one["kind"] in WORDS.engagement_kinds:
            for row in asked.to_pylist():
                if row["person_id"] == one["person_id"] and 0 <= microseconds(one["occurred_at"]) - row["start_us"] < HORIZON // timedelta(microseconds=1):
                    found |= {(row["number"], topic) for topic in topics[one["topic"]]}
    return found


@pytest.mark.parametrize("seed", range(2))
def test_labels_are_those_of_plain_counting(tmp_path, seed):
    tables = random_tables(seed, people=20, interactions=300)
    asked = wanted(tables, AS_OF - 30 * DAY)
    with Engine() as engine:
        Relations(engine, Stored(tmp_path, tables), WORDS)
        engine.register("wanted", asked)
        found = engine.run(outcomes.engagements(WORDS, HORIZON // timedelta(microseconds=1), microseconds(NOW)))
    pairs = list(zip(found.column("number").to_pylist(), found.column("topic").to_pylist(), strict=True))
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == counted(tables, asked)
    assert pairs


def test_the_first_moment_is_the_first_time_that_sees_the_person(tmp_path):
    tables = random_tables(4, people=20, interactions=60)
    with Engine() as engine:
        Relations(engine, Stored(tmp_path, tables), WORDS)
        found = dict(zip(*engine.run(outcomes.first_seen(WORDS)).to_pydict().values(), strict=True))
        assert list(found) == sorted(found, key=str.encode)
        for time in sorted({microseconds(AS_OF), *(at + shift for at in found.values() if at > 0 for shift in (-1, 0))})[::3]:
            known = engine.run(query.visible_people(WORDS, time)).column("person_id").to_pylist()
            assert known == [person for person, at in found.items() if at <= time]


def test_without_people_or_interactions(tmp_path):
    with Engine() as engine:
        Relations(engine, Stored(tmp_path, {}), WORDS)
        assert len(engine.run(outcomes.first_seen(WORDS))) == 0
