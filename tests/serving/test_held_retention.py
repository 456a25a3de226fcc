"""What a person is told of how long their data are kept is what a purge does: row by row, and person by person."""

from datetime import timedelta

import pytest

from features.history import History
from features.permission.ledger import Ledger
from features.vocabulary import LANGUAGES
from serving.held_data import _event
from serving.held_retention import held_retention
from serving.held_rows import known, table_rows
from tests.features import test_purging as purging
from tests.features.test_purging import DAY, NOW, ROWS

kept = purging.kept
GONE = {"gone:1", "silent:1", "told:1"}
"""Of the workspace of that test: of whom nothing was heard for so long."""
PEOPLE = (*GONE, "live:1", "spoke:1", "member:1", "new:1", "undated:1", "roll:1", "roll:2")


@pytest.fixture
def told(kept):
    """A function that returns a person's rows and how long they are kept."""
    workspace, store = kept
    history, ledger = History(workspace.tables, workspace.vocabulary), Ledger(store, workspace.signing_key())

    def tell(person, language="en"):
        rows, _ = table_rows(history, person)
        written = known(store, ledger.subjects, person).heard_at
        return rows, held_retention(rows, map(_event, ledger.of_person(person)), workspace.vocabulary, language, written=written)

    return tell


def test_rows_end_when_a_purge_takes_them(told):
    ended = [(row.table, row.kept_until <= NOW) for person in PEOPLE for row in told(person)[0] if row.kept_until is not None]
    for table in ("interactions", "people"):
        assert ended.count((table, True)) == sum(count for (of, *_, reason), count in ROWS.items() if of == table and reason != "person_inactive")
    assert ended.count(("interactions", False)) > 2
    assert {row.kept_by for row in told("live:1")[0] if row.table == "interactions"} == {"kind", "source_type", "interactions", "source_expired"}


def test_everything_goes_on_the_day_on_which_a_purge_removes_the_person(told):
    found = {person: told(person)[1] for person in PEOPLE}
    assert {person for person, one in found.items() if one.inactive_on is not None and one.inactive_on <= NOW} == GONE
    assert found["silent:1"].inactive_on == NOW, "to the moment"
    assert found["spoke:1"].heard_at == NOW - timedelta(days=10), "an objection is a sign of life"
    assert (found["told:1"].heard_at, found["live:1"].heard_at) == (NOW - timedelta(days=2000), NOW - timedelta(days=3)), "what was sent is none"
    assert [person for person, one in found.items() if one.inactive_on is None] == ["member:1", "undated:1"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_limit_is_told_in_words(told, language):
    words = told("live:1", language)[1].words
    assert len(words) == 6
    assert all(days in said for days, said in zip(("900", "400", "300"), words, strict=False))
    assert "2029" in words[4]
    assert len({words[4], told("member:1", language)[1].words[4], told("undated:1", language)[1].words[4]}) == 3


def test_the_day_stays_the_same_when_a_purge_takes_the_row_that_told_it_and_the_date_is_told(kept, told):
    workspace, store = kept
    purging.put(workspace, "people", [purging.known("gave:1", 1500), purging.known("nodate:1", None)])
    rows = [purging.did(30, "gave:1", 500, "gift"), purging.did(31, "nodate:1", 600, "gift"), purging.did(32, "sent:1", 950, direction="out")]
    purging.put(workspace, "interactions", [*rows, purging.did(33, "sent:1", 20, direction="out")])
    people = {"gave:1": 500, "nodate:1": 400, "sent:1": 50}
    before = {person: told(person)[1] for person in people}
    assert {person: one.inactive_on for person, one in before.items()} == {person: NOW + days * DAY for person, days in people.items()}
    assert {one.heard_written for one in before.values()} == {None}
    purging.purge(workspace, store, NOW)
    for person in people:
        rows, after = told(person)
        assert (after.heard_at, after.inactive_on) == (before[person].heard_at, before[person].inactive_on)
        assert after.heard_written == after.heard_at
        assert len(after.words) == len(before[person].words) + 1
        assert f"{after.heard_at:%Y}" in after.words[-2]
        assert len([row for row in rows if row.table == "interactions"]) == (person == "sent:1")
