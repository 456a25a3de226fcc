from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from features.history import History
from training.activity import Activity, activities, listed, shares

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


@pytest.fixture
def workspace(tmp_path, by_hand):
    workspace = by_hand.open_empty(tmp_path)
    by_hand.store(workspace, "people", person_id=["a:silent"], status=["contact"], source_id=["s"])
    return workspace


def activity(workspace, *, until, days, versions=None):
    (found,) = activities(workspace, [until], days=days, versions=versions)
    return found


def test_edges_of_the_window_late_arrivals_and_machines(workspace, by_hand):
    begin = NOW - timedelta(days=30)
    moments = [begin, NOW - INSTANT, begin - INSTANT, NOW, begin, begin, begin]
    received = [begin, NOW, begin, NOW, NOW, NOW + INSTANT, begin]
    kinds = ["open", "send", "before", "after", "known", "late", "open"]
    by_hand.interactions(workspace, [f"a:{number}" for number in range(7)], moments, kind=kinds, received_at=received, is_machine=[False] * 6 + [True])
    found = activity(workspace, until=NOW, days=30)
    assert found.interactions == 3
    assert found.shares["kind"] == {kind: pytest.approx(1 / 3) for kind in ("open", "send", "known")}
    assert found.shares["made_by"] == {"machine": 0.25, "person": 0.75}
    assert found.people == 1 + 5, "who is known: also the silent; not whose only interaction is late or still to come"
    assert found.until == "2026-11-01T12:00:00+00:00"
    assert found.last == "2026-11-01T11:59:59.999999+00:00"


def test_interactions_with_several_topics_count_for_each_and_nothing_listed_is_needed(workspace, by_hand):
    topics = ["housing;climate", "housing", None, "boats"]
    by_hand.interactions(workspace, [f"a:{number}" for number in range(4)], NOW - timedelta(days=1), topic=topics, kind=["open", "open", "send", "regatta"])
    found = activity(workspace, until=NOW, days=30)
    assert found.shares["topic"] == {"boats": 0.2, "climate": 0.2, "housing": 0.4, "no topic": 0.2}
    assert found.shares["channel"] == {"email": 1.0}
    known = listed(workspace.vocabulary)
    assert {value for values in found.shares.values() for value in values} - set().union(*known.values()) == {"boats", "regatta"}


def test_interactions_of_one_person_are_worth_less(workspace, by_hand):
    by_hand.interactions(workspace, ["a:1"] * 6 + ["a:2", "a:3"], NOW - timedelta(days=1))
    found = activity(workspace, until=NOW, days=30)
    assert (found.interactions, found.effective) == (8, pytest.approx(64 / 38))
    assert found.pace == pytest.approx(8.5 / 4)


def test_versions_of_the_past_are_read(workspace, by_hand):
    by_hand.interactions(workspace, ["a:1"], NOW - timedelta(days=1))
    versions = History(workspace.tables, workspace.vocabulary).versions()
    before = activity(workspace, until=NOW, days=30)
    by_hand.interactions(workspace, ["a:2"], NOW - timedelta(days=1), kind="send", prefix="later-")
    assert activity(workspace, until=NOW, days=30, versions=versions) == before
    assert activity(workspace, until=NOW, days=30).interactions == 2


def test_nothing_at_all(workspace):
    found = activity(workspace, until=NOW, days=30)
    assert (found.interactions, found.effective, found.people, found.last) == (0, 0.0, 1, None)
    assert all(values == {} for values in found.shares.values())
    assert Activity.from_state(found.to_state()) == found


def test_shares_of_one_dimension_sum_to_one():
    cells = pa.table({"kind": ["a", "b"], "channel": ["x", "x"], "topic": ["t;u", None], "is_machine": [False, False], "number": [3, 1]})
    found = shares(cells)
    assert all(sum(values.values()) == pytest.approx(1) for values in found.values())
    assert found["topic"] == {"no topic": pytest.approx(1 / 7), "t": pytest.approx(3 / 7), "u": pytest.approx(3 / 7)}
