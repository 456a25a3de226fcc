"""Rules of sources at import: which rows are kept out, by which rule, and which column has to be mended."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from features.checks import Checks
from features.permission.source_types import FORBIDDEN, ROLL, RULES, TOLD
from features.tables import TABLES, data_dictionary

NOW = datetime(2025, 6, 1, tzinfo=UTC)
SOURCE = {"source_id": "s", "type": "petition", "collected_how": "from_person", "collected_at": "2025-01-01T00:00:00Z"}
SHOWN = {"political_purpose_stated": "yes", "notice_hash": "9f2c"}
OF_AN_ELECTION = {"election_id": "be-2026-10", "expires_at": "2026-10-11T00:00:00Z"}


@pytest.fixture
def check(workspace):
    def run(*rows):
        names = list(dict.fromkeys(name for row in rows for name in row))
        batch = pa.record_batch({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names})
        return Checks(TABLES["sources"], workspace.vocabulary, now=NOW).rows(batch, np.arange(2, len(rows) + 2))

    return run


def reasons(checked):
    return {(row["line"], row["column"]): row["reason"] for row in checked.faults.table().to_pylist()}


@pytest.mark.parametrize("name", ["jan@example.org", "van:123", "a/b", " s", "s" * 101])
def test_a_source_goes_by_a_name_that_is_no_address_because_the_log_keeps_it(check, name):
    (((_, column), reason),) = reasons(check({**SOURCE, "source_id": name})).items()
    assert (column, "is not a name: letters and digits" in reason) == ("source_id", True)
    assert check({**SOURCE, "source_id": "Pétition d'été"[:8]}, {**SOURCE, "source_id": "form 2026-10_b.v2"}).rows.num_rows == 2


@pytest.mark.parametrize("word", [*FORBIDDEN, "Scraped public", "SCRAPED-PUBLIC", "web_scraping", "municipal_file", "Employer", "fichier public"])
def test_what_may_never_be_stored_is_refused_however_it_is_written_and_whatever_else_it_says(check, word):
    checked = check({**SOURCE, **SHOWN, **OF_AN_ELECTION, "type": word})
    assert checked.rows.num_rows == 0
    (((_, column), reason),) = reasons(checked).items()
    assert column == "type"
    assert "rule L12, forbidden_source" in reason


@pytest.mark.parametrize("word", TOLD)
def test_where_politics_was_not_shown_nothing_is_stored(check, word):
    checked = check(
        {**SOURCE, "type": word},
        {**SOURCE, **SHOWN, "type": word},
        {**SOURCE, **SHOWN, "type": word, "notice_hash": "  "},
        {**SOURCE, **SHOWN, "type": word, "political_purpose_stated": "no"},
    )
    assert checked.rows.num_rows == 1
    assert set(reasons(checked)) == {(2, "political_purpose_stated"), (2, "notice_hash"), (4, "notice_hash"), (5, "political_purpose_stated")}
    assert all("rule L13, source_purpose_missing" in reason for reason in reasons(checked).values())


@pytest.mark.parametrize(
    ("word", "law"), [("Liste électorale", ROLL), ("liste des électeurs", ROLL), ("Kiezerslijsten", ROLL), ("courtier en données", "broker")]
)
def test_a_word_is_known_with_its_accents_too(check, word, law):
    said = reasons(check({**SOURCE, **SHOWN, **OF_AN_ELECTION, "type": word}))
    assert said == {(2, "type"): f"is another word for {law!r}: write that one, because the rules of law go by it"}


def test_a_voter_roll_is_of_an_election_and_ends_with_it(check):
    checked = check(
        {**SOURCE, **OF_AN_ELECTION, "type": ROLL},
        {**SOURCE, "type": ROLL},
        {**SOURCE, "type": ROLL, "election_id": "be-2026-10"},
        {**SOURCE, **OF_AN_ELECTION, "type": ROLL, "expires_at": "election day"},
    )
    assert checked.rows.column("election_id").to_pylist() == ["be-2026-10"]
    assert sorted(reasons(checked)) == [(3, "election_id"), (3, "expires_at"), (4, "expires_at"), (5, "expires_at")]
    assert "rule L14" in reasons(checked)[3, "election_id"]


@pytest.mark.parametrize(("other", "word"), [("Broker", "broker"), ("data broker", "broker"), ("concours", "contest"), ("electoral_roll", "voter_roll")])
def test_another_word_for_a_type_that_rules_go_by_is_refused_with_the_word_to_write(check, other, word):
    checked = check({**SOURCE, **SHOWN, **OF_AN_ELECTION, "type": other})
    assert checked.rows.num_rows == 0
    assert f"another word for {word!r}" in reasons(checked)[2, "type"]


@pytest.mark.parametrize("word", ["petition", "event", "membership", "canvass", "website", "email_platform", "quiz night", "partner organisation event"])
def test_all_other_types_pass_without_more(check, word):
    (row,) = check({**SOURCE, "type": word}).rows.to_pylist()
    assert (row["type"], row["supports_sponsor"], row["election_id"], row["political_purpose_stated"]) == (word, False, None, False)


def test_no_rows_and_an_empty_type_are_looked_at(check):
    checked = check(SOURCE, {**SOURCE, "type": None})
    assert checked.rows.num_rows == 1
    assert "is empty" in reasons(checked)[3, "type"]


def test_the_dictionary_of_data_tells_the_rules():
    text = data_dictionary()
    assert all(f"- {rule}" in text for rule in RULES)
