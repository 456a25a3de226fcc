"""When people were last heard of: who spoke, by the ledger, and what is written down of it, in either database."""

from datetime import timedelta

import pyarrow as pa

from features.permission.last_heard import leave_only, spoke, write_down, written_down
from features.permission.ledger import Ledger
from features.permission.recipients import handed_out, queue_purged
from tests.features.test_recipients import LATER, NOW, SECRET, any_store, erase, hand_out, queued, say  # noqa: F401 (fixture)

PEOPLE = pa.array([f"van:{number}" for number in range(1, 5)], pa.large_string())


def micros(moment):
    return int(moment.timestamp() * 1_000_000)


def test_it_is_written_down_until_it_is_another_or_the_person_goes(any_store):  # noqa: F811
    subjects = Ledger(any_store, SECRET).subjects

    def told():
        return {row["person_id"]: row["heard_at"] for row in written_down(any_store, subjects, PEOPLE).to_pylist()}

    assert told() == {}
    erase(any_store, "van:4")
    write_down(any_store, subjects, {"van:1": NOW, "van:2": NOW, "van:4": NOW})
    write_down(any_store, subjects, {"van:2": LATER + timedelta(microseconds=1), "van:3": NOW})
    assert told() == {"van:1": NOW, "van:2": LATER + timedelta(microseconds=1), "van:3": NOW}, "of who was erased nothing is"
    erase(any_store, "van:1")
    leave_only(any_store, subjects, pa.array(["van:1", "van:2"], pa.large_string()))
    assert told() == {"van:2": LATER + timedelta(microseconds=1)}


def test_who_spoke_is_told_by_what_they_said_themselves_and_when(any_store):  # noqa: F811
    subjects = Ledger(any_store, SECRET).subjects
    say(any_store, ("van:1", "given", "service", "any"), now=NOW)
    say(any_store, ("van:2", "objected"), ("van:3", "expired", "service", "any"), now=LATER)

    def people(since, after=0):
        with any_store.read() as connection:
            hashes, last = spoke(connection, micros(since), after=after)
        assert last == 3
        return {person for person in PEOPLE.to_pylist() if subjects.hash_of(person) in hashes.to_pylist()}

    assert people(NOW - timedelta(days=1)) == {"van:1", "van:2"}
    assert people(NOW) == {"van:2"}
    assert (people(NOW - timedelta(days=1), after=1), people(NOW, after=3)) == ({"van:2"}, set())


def test_every_row_of_whoever_was_purged_is_queued_once(any_store):  # noqa: F811
    rows = hand_out(any_store, ["van:1", "van:2"])
    tokens = [Ledger(any_store, SECRET).subjects.find("van:1").token]
    for _ in range(2):
        with any_store.write(serial=True) as connection:
            assert handed_out(connection, tokens) == queue_purged(connection, tokens, now=LATER) == {"Print shop X": 1}
        assert queued(any_store) == [(rows["van:1"], "purged")]
