"""The chain: any change, removal, insertion or reordering is found at its first row; equal rows have equal links on every database."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.database.chain import START, chain_key, first_break, link

KEY = chain_key(b"s" * 32, "test")


def chained(rows, key=KEY):
    previous, found = START, []
    for row in rows:
        previous = link(key, previous, row)
        found.append((row, previous))
    return found


ROWS = [{"number": number, "text": f"row {number}", "none": None} for number in range(6)]


def test_what_was_not_touched_holds():
    assert first_break(KEY, chained(ROWS)) is None
    assert first_break(KEY, []) is None
    whole = chained(ROWS)
    assert first_break(KEY, whole[3:], start=whole[2][1]) is None


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda rows: rows[:2] + [({**rows[2][0], "text": "other"}, rows[2][1])] + rows[3:], 2),
        (lambda rows: rows[:2] + rows[3:], 2),
        (lambda rows: rows[1:], 0),
        (lambda rows: rows[:3] + [({"number": 9, "text": "x", "none": None}, "f" * 64)] + rows[3:], 3),
        (lambda rows: rows[:1] + [rows[2], rows[1]] + rows[3:], 1),
        (lambda rows: rows[:4] + [(rows[4][0], rows[4][1].replace(rows[4][1][0], "z", 1))] + rows[5:], 4),
    ],
)
def test_the_first_bad_row_is_named(change, place):
    assert first_break(KEY, change(chained(ROWS))) == place


def test_without_the_key_no_chain_can_be_made():
    assert first_break(KEY, chained(ROWS, chain_key(b"t" * 32, "test"))) == 0
    assert first_break(KEY, chained(ROWS, chain_key(b"s" * 32, "another"))) == 0


def test_a_time_is_the_same_in_every_zone():
    moment = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert link(KEY, START, {"at": moment}) == link(KEY, START, {"at": moment.astimezone(timezone(timedelta(hours=5)))})
    assert link(KEY, START, {"at": moment}) != link(KEY, START, {"at": moment + timedelta(microseconds=1)})
    with pytest.raises(TypeError, match="has a zone"):
        link(KEY, START, {"at": moment.replace(tzinfo=None)})
    with pytest.raises(TypeError, match="cannot hold a set"):
        link(KEY, START, {"at": set()})


VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=3), st.dictionaries(st.text(max_size=3), VALUES, max_size=3))
def test_rows_that_differ_have_links_that_differ(one, other):
    same = repr(sorted(one.items())) == repr(sorted(other.items()))
    assert (link(KEY, START, one) == link(KEY, START, other)) == same
