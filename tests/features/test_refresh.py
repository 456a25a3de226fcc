"""A refresh equals a full build over random histories; replay gives back what was published; a crash leaves the vectors before."""

import random
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features import builder, publication, published
from features.permission.retention import Retention
from features.publication import build_into, open_current
from features.published import NobodyError, OvertakenError
from features.refresh import refresh, replay
from features.vectors import VectorsError, build
from features.vectors_erasure import erase_from_vectors
from tests.features.histories import LAWS, NOW, SOURCES, WORDS, Tables, interaction, person, random_history, random_rules

laws = settings(max_examples=LAWS, deadline=None, suppress_health_check=list(HealthCheck))
ending = settings(laws, max_examples=max(LAWS // 2, 3))


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Read the few who are built again at once, as in a base of millions, of which they are a small share."""
    monkeypatch.setattr(builder, "FEW", 2.0)


@pytest.fixture
def folders(tmp_path_factory):
    return lambda: tmp_path_factory.mktemp("refresh")


def same(found, expected):
    """Vectors are equal row by row, whatever the order of people, and so is what a later refresh needs."""
    ids = expected.person_ids.to_pylist()
    assert sorted(found.person_ids.to_pylist(), key=str.encode) == ids
    rows = found.rows(ids)
    wrong = [name for column, name in enumerate(found.names) if found.matrix[rows, column].tobytes() != expected.matrix[:, column].tobytes()]
    assert not wrong
    assert found.as_of == expected.as_of
    np.testing.assert_array_equal(found.upkeep.due[rows], expected.upkeep.due)
    assert sorted(found.upkeep.newcomers.to_pylist(), key=str) == sorted(expected.upkeep.newcomers.to_pylist(), key=str)


def later_interaction(draw, number, as_of):
    """An interaction that comes in at about `as_of`: of some time before, or not visible yet."""
    row = interaction(draw, number, person=draw.choice(["p:1", "p:2", "p:3", "new:1", "new:2"]))
    if draw.random() < 0.5:
        row["occurred_at"] = as_of - timedelta(seconds=draw.randrange(-3600, 7200))
    row["received_at"] = max(row["occurred_at"], as_of - timedelta(seconds=draw.randrange(-3600, 3600)))
    return row


def change(tables, draw, step, as_of):
    """Something happens to the tables: interactions come in, people change, people are deleted, or nothing."""
    what = draw.choice(["add", "add", "people", "delete", "nothing", "all"])
    if what in {"add", "all"}:
        tables.add([later_interaction(draw, f"{step}.{number}", as_of) for number in range(draw.randrange(12))])
    if what in {"people", "all"}:
        people = {row["person_id"]: row for row in tables.present("people")}
        people |= {row["person_id"]: row for row in (person(draw, draw.randrange(16)) for _ in range(3))}
        tables.replace_people(list(people.values()))
    if what in {"delete", "all"}:
        tables.delete({f"p:{draw.randrange(12)}", "nobody:1"})


@laws
@given(st.integers(0, 2**32 - 1))
def test_a_refresh_equals_a_full_build(folders, seed):
    draw = random.Random(seed)
    folder = folders()
    tables = Tables(folder, *random_history(seed, 80))
    first = build_into(tables, WORDS, NOW, folder / "vectors")
    as_of = NOW
    for step in range(2):
        as_of += draw.choice([timedelta(0), timedelta(microseconds=1), timedelta(minutes=30), timedelta(hours=5)])
        change(tables, draw, step, as_of)
        done = refresh(tables, WORDS, as_of, folder / "vectors")
        assert done.whole is None
        found = open_current(folder / "vectors")
        assert done.rows == len(found)
        same(found, build(tables, WORDS, as_of, context=first.context))


def test_what_comes_in_while_a_refresh_runs_is_for_the_next_one_whole(folders, monkeypatch):
    folder = folders()
    long_ago = interaction(random.Random(5), 0) | {"occurred_at": NOW - timedelta(days=100), "received_at": NOW - timedelta(days=100), "kind": "opened"}
    tables = Tables(folder, [long_ago | {"interaction_id": f"i{number}", "person_id": f"p:{number}"} for number in range(4)], [])
    first = build_into(tables, WORDS, NOW, folder / "vectors")
    late = [long_ago | {"interaction_id": f"late:{number}", "person_id": "p:1", "received_at": NOW} for number in range(3)]
    read = builder.build_base

    def meanwhile(*words, **more):
        if late:
            tables.add([late.pop() for _ in range(len(late))])
        return read(*words, **more)

    monkeypatch.setattr(builder, "build_base", meanwhile)
    as_of = NOW + timedelta(minutes=1)
    refresh(tables, WORDS, as_of, folder / "vectors")
    assert not late
    refresh(tables, WORDS, as_of, folder / "vectors")
    same(open_current(folder / "vectors"), build(tables, WORDS, as_of, context=first.context))


@ending
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_a_refresh_of_rows_that_end_equals_a_full_build(folders, seed, own):
    draw = random.Random(seed)
    folder = folders()
    words, sources = random_rules(seed)
    tables = Tables(folder, *random_history(seed, 80), sources)
    first = build_into(tables, words, NOW, folder / "vectors", own=own)
    as_of = NOW
    for step in range(2):
        as_of += draw.choice([timedelta(microseconds=1), timedelta(minutes=30), timedelta(hours=3), timedelta(hours=5)])
        change(tables, draw, step, as_of)
        assert refresh(tables, words, as_of, folder / "vectors", own=own).whole is None
        same(open_current(folder / "vectors"), build(tables, words, as_of, context=first.context, own=own))


def test_whoever_was_there_only_by_rows_that_ended_leaves(folders):
    folder = folders()
    rows = [interaction(random.Random(0), number, person=f"p:{number}") | {"source_id": f"s{number}"} for number in range(2)]
    for row in rows:
        row["occurred_at"] = row["received_at"] = NOW - timedelta(days=1)
    ending = [source | {"expires_at": NOW + timedelta(hours=1) if source["source_id"] == "s1" else None} for source in SOURCES]
    tables = Tables(folder, rows, [], ending)
    build_into(tables, WORDS, NOW, folder / "vectors")
    assert refresh(tables, WORDS, NOW + timedelta(minutes=59), folder / "vectors").rebuilt == 0
    done = refresh(tables, WORDS, NOW + timedelta(hours=1), folder / "vectors")
    assert (done.rows, done.removed, done.whole) == (1, 1, None)
    assert not any(b"p:1" in path.read_bytes() for path in (folder / "vectors").rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("change", "own", "whole"),
    [({"expires_at": NOW + timedelta(days=1)}, False, True), ({"collected_how": "public"}, True, True), ({"collected_how": "public"}, False, False)],
)
def test_sources_that_let_other_rows_in_build_everyone_anew(folders, change, own, whole):
    folder = folders()
    tables = Tables(folder, *random_history(3, 60))
    build_into(tables, WORDS, NOW, folder / "vectors", own=own)
    tables.replace_sources([source | change if source["source_id"] == "s0" else source for source in SOURCES])
    done = refresh(tables, WORDS, NOW, folder / "vectors", own=own)
    assert (done.whole is not None) == whole
    assert not whole or "sources" in done.whole
    same(open_current(folder / "vectors"), build(tables, WORDS, NOW, own=own))


def test_limits_that_change_build_everyone_anew(folders):
    folder = folders()
    tables = Tables(folder, *random_history(3, 60))
    build_into(tables, WORDS, NOW, folder / "vectors")
    waiting = WORDS.model_copy(update={"retention": Retention(inactive_days=30)})
    assert refresh(tables, waiting, NOW, folder / "vectors").whole is None, "who is inactive is the purge's matter: no row drops out"
    limited = WORDS.model_copy(update={"retention": Retention(interactions=30)})
    assert "audience.toml" in refresh(tables, limited, NOW, folder / "vectors").whole
    assert "other rows" in refresh(tables, limited, NOW, folder / "vectors", own=True).whole


@laws
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_what_was_published_is_built_again_bit_for_bit(folders, seed, own):
    draw = random.Random(seed)
    folder = folders()
    words, sources = random_rules(seed) if own else (WORDS, SOURCES)
    tables = Tables(folder, *random_history(seed, 80), sources)
    published = [build_into(tables, words, NOW, folder / "vectors", own=own)]
    tables.add([later_interaction(draw, f"a{number}", NOW) for number in range(10)])
    refresh(tables, words, NOW + timedelta(hours=2), folder / "vectors", own=own)
    published.append(open_current(folder / "vectors"))
    tables.add([later_interaction(draw, f"b{number}", NOW) for number in range(30)])
    tables.replace_people([person(draw, number) for number in range(16)])
    for was in published:
        same(was, replay(tables, words, was))


def test_only_those_are_built_again_for_whom_something_changed(folders):
    folder = folders()
    tables = Tables(folder, *random_history(5, 400, 10))
    build_into(tables, WORDS, NOW, folder / "vectors")
    assert refresh(tables, WORDS, NOW, folder / "vectors").rebuilt == 0
    row = interaction(random.Random(1), "late", person="p:4") | {"occurred_at": NOW - timedelta(hours=1), "received_at": NOW}
    tables.add([row])
    assert refresh(tables, WORDS, NOW, folder / "vectors").rebuilt == 1


def test_a_window_that_slides_is_enough(folders):
    folder = folders()
    rows = [interaction(random.Random(0), number, person=f"p:{number}") for number in range(2)]
    for row, hours in zip(rows, (1, 9), strict=True):
        row |= {"kind": "opened", "direction": "in", "is_machine": False, "occurred_at": NOW - timedelta(days=7) + timedelta(hours=hours)}
        row["received_at"] = row["occurred_at"]
    tables = Tables(folder, rows, [])
    first = build_into(tables, WORDS, NOW, folder / "vectors")
    done = refresh(tables, WORDS, NOW + timedelta(hours=1), folder / "vectors")
    assert done.rebuilt == 0, "at exactly the window's length an interaction still counts"
    assert refresh(tables, WORDS, NOW + timedelta(hours=1, microseconds=1), folder / "vectors").rebuilt == 1
    column = first.names.index("count|kind=any-engagement|channel=any|topic=any|window=7d")
    found = open_current(folder / "vectors")
    assert found.matrix[found.rows(["p:0", "p:1"]), column].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"as_of": NOW + timedelta(days=1)}, "a new day"),
        ({"as_of": NOW - timedelta(hours=1)}, "of a later time"),
        ({"words": WORDS.model_copy(update={"windows_days": (7, 30)})}, "audience.toml"),
    ],
)
def test_what_cannot_be_refreshed_is_built_anew(folders, changed, why):
    folder = folders()
    tables = Tables(folder, *random_history(3, 60))
    build_into(tables, WORDS, NOW, folder / "vectors")
    done = refresh(tables, changed.get("words", WORDS), changed.get("as_of", NOW), folder / "vectors")
    assert why in done.whole
    assert "built anew" in str(done)


def test_a_first_refresh_builds_everyone(folders):
    folder = folders()
    tables = Tables(folder, *random_history(3, 60))
    assert "before" in refresh(tables, WORDS, NOW, folder / "vectors").whole
    assert len(open_current(folder / "vectors"))


def test_nobody_who_was_deleted_is_left_on_the_disk(folders):
    folder = folders()
    tables = Tables(folder, *random_history(3, 120))
    first = build_into(tables, WORDS, NOW, folder / "vectors")
    row = first.matrix[first.rows(["p:3"])[0]].tobytes()
    tables.delete({"p:3"})
    done = refresh(tables, WORDS, NOW, folder / "vectors")
    assert (done.removed, done.rebuilt) == (1, 0)
    kept = [path.read_bytes() for path in (folder / "vectors").rglob("*") if path.is_file()]
    assert kept
    assert not any(b"p:3" in data or row in data for data in kept)


def long_ago(number, person, **changed):
    """An answer of a hundred days before, known at once."""
    then = {"occurred_at": NOW - timedelta(days=100), "received_at": NOW - timedelta(days=100), "kind": "opened"}
    return interaction(random.Random(5), number) | {"person_id": person} | then | changed


@pytest.mark.parametrize("many", [True, False], ids=["written anew", "patched"])
def test_who_is_erased_while_a_refresh_runs_is_not_published_again(folders, monkeypatch, many):
    """The erasure begins and ends between what the refresh read and what it publishes; p:new is in no vectors yet, p:1 is."""
    folder = folders()
    tables = Tables(folder, [long_ago(number, f"p:{number}") for number in range(10)], [])
    first = build_into(tables, WORDS, NOW, folder / "vectors")
    tables.add([long_ago(100 + number, f"p:{number}", received_at=NOW) for number in range(2, 9 if many else 3)])
    tables.add([long_ago(200, "p:new", received_at=NOW)])
    gone = ["p:1", "p:new"] if many else ["p:new"]
    publish = published.put

    def meanwhile(*words, **more):
        monkeypatch.setattr(published, "put", publish)
        tables.delete(set(gone))
        erase_from_vectors(folder / "vectors", gone)
        return publish(*words, **more)

    monkeypatch.setattr(published, "put", meanwhile)
    as_of = NOW + timedelta(minutes=1)
    refresh(tables, WORDS, as_of, folder / "vectors")
    same(open_current(folder / "vectors"), build(tables, WORDS, as_of, context=first.context))
    assert not any(person.encode() in path.read_bytes() for person in gone for path in (folder / "vectors").rglob("*") if path.is_file())


def test_a_refresh_that_is_overtaken_each_time_publishes_nothing(folders, monkeypatch):
    folder = folders()
    tables = Tables(folder, [long_ago(number, f"p:{number}") for number in range(9)], [])
    build_into(tables, WORDS, NOW, folder / "vectors")
    tables.add([long_ago(100, "p:1", received_at=NOW)])
    publish = published.put

    def meanwhile(at, write, **more):
        publish(at, lambda made: _copied(published.current(at)[0], made), **more)
        return publish(at, write, **more)

    monkeypatch.setattr(published, "put", meanwhile)
    with pytest.raises(OvertakenError, match="refresh again"):
        refresh(tables, WORDS, NOW + timedelta(minutes=1), folder / "vectors")
    assert open_current(folder / "vectors").as_of == NOW


def _copied(version, made):
    said = published.manifest(version)
    for name in said["files"]:
        shutil.copy(version / name, made / name)
    return {name: value for name, value in said.items() if name not in {"files", "format"}}


@pytest.mark.parametrize("again", [0, 1], ids=["whole", "patched"])
def test_whose_row_of_people_alone_is_deleted_keeps_nothing_of_it(folders, again):
    """As a purge does where a source may no longer be used, before it builds the vectors anew."""
    folder = folders()
    tables = Tables(folder, [long_ago(number, f"p:{number}") for number in range(9)], [person(random.Random(2), number) for number in range(7)])
    first = build_into(tables, WORDS, NOW, folder / "vectors")
    for number in range(again):
        tables.add([long_ago(100 + number, "p:1", received_at=NOW)])
        refresh(tables, WORDS, NOW, folder / "vectors")
    tables.delete({"p:1"}, ["people"])
    as_of = NOW + timedelta(minutes=1)
    assert refresh(tables, WORDS, as_of, folder / "vectors").rebuilt <= 1 + again
    same(open_current(folder / "vectors"), build(tables, WORDS, as_of, context=first.context))


def test_somebody_comes_after_everybody_left(folders):
    folder = folders()
    tables = Tables(folder, [long_ago(0, "p:1")], [])
    build_into(tables, WORDS, NOW, folder / "vectors")
    tables.delete({"p:1"})
    erase_from_vectors(folder / "vectors", ["p:1"])
    assert len(open_current(folder / "vectors")) == 0
    with pytest.raises(NobodyError, match="nobody is known"):
        refresh(tables, WORDS, NOW + timedelta(minutes=1), folder / "vectors")
    tables.add([long_ago(1, "p:2", received_at=NOW)])
    as_of = NOW + timedelta(minutes=2)
    assert "nobody was left" in refresh(tables, WORDS, as_of, folder / "vectors").whole
    same(open_current(folder / "vectors"), build(tables, WORDS, as_of))
    tables.add([long_ago(2, "p:3", received_at=NOW)])
    assert refresh(tables, WORDS, as_of, folder / "vectors").added == 1


def test_a_refresh_that_dies_leaves_the_vectors_before(folders, monkeypatch):
    folder = folders()
    tables = Tables(folder, *random_history(3, 60))
    first = build_into(tables, WORDS, NOW, folder / "vectors")
    tables.add([interaction(random.Random(2), "x", person="p:1") | {"occurred_at": NOW - timedelta(days=1), "received_at": NOW}])

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(publication, "_write_rest", die)
    with pytest.raises(KeyboardInterrupt):
        refresh(tables, WORDS, NOW, folder / "vectors")
    same(open_current(folder / "vectors"), replace(first, matrix=np.array(first.matrix)))


def test_readers_keep_what_they_have_open(folders):
    folder = folders()
    tables = Tables(folder, *random_history(3, 60))
    opened = build_into(tables, WORDS, NOW, folder / "vectors")
    before = opened.matrix.tobytes()
    for hour in range(1, 4):
        tables.add([interaction(random.Random(hour), f"x{hour}", person="p:1") | {"occurred_at": NOW - timedelta(days=1), "received_at": NOW}])
        refresh(tables, WORDS, NOW + timedelta(hours=hour), folder / "vectors")
    assert opened.matrix.tobytes() == before


def test_vectors_of_several_times_cannot_be_replayed(folders):
    folder = folders()
    tables = Tables(folder, *random_history(3, 60))
    with pytest.raises(VectorsError, match="do not say"):
        replay(tables, WORDS, replace(build(tables, WORDS, NOW), context=None))


def test_a_leap_day_and_a_change_of_the_clock_are_days_as_others(folders):
    folder = folders()
    rows = [interaction(random.Random(0), number, person=f"p:{number}") for number in range(2)]
    times = [datetime(2024, 2, 29, 12, tzinfo=UTC), datetime(2026, 3, 29, 1, 0, tzinfo=UTC)]
    for row, time in zip(rows, times, strict=True):
        row |= {"kind": "opened", "direction": "in", "is_machine": False, "occurred_at": time, "received_at": time}
    frame = build(Tables(folder, rows, []), WORDS, NOW).frame()
    assert frame["recency|kind=any-engagement|channel=any|topic=any"].tolist() == [761, 2]
    assert frame.loc["p:1", "daypart|kind=any-engagement|channel=any|topic=any|part=night"] == 1, "01:00 UTC is 03:00 on the first summer morning"
