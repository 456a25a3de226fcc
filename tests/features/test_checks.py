"""Checks of batches: laws first (what passes is valid, neighbours do not matter), then every reason by its words."""

import math
import re
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.checks import Checks
from features.faults import Faults, ImportFault, did_you_mean, listed, shown
from features.history import History
from features.imports import import_files
from features.tables import TABLES, Column
from features.values import TIME, accepts, parse, several_of

NOW = datetime(2025, 6, 1, tzinfo=UTC)
PYTHON_PERSON_ID = r"\A[A-Za-z0-9_.][A-Za-z0-9_.\-]{0,62}:.{1,255}\Z"
GOOD = {
    "interaction_id": "i1",
    "person_id": "van:1",
    "occurred_at": "2025-05-01T12:00:00+02:00",
    "kind": "gift",
    "channel": "door",
    "topic": "housing",
    "value": "12.5",
    "source_id": "s",
    "collected_how": "from_person",
}
PERSON = {"person_id": "van:1", "birth_year": "1980", "status": "member", "source_id": "s", "household_size": "2", "gender": "f"}
ASSIGNED = {"experiment_id": "mailing", "person_id": "van:1", "arm": "control", "probability": "0.5", "assigned_at": "2025-05-01T00:00:00Z"}


@pytest.fixture
def check(workspace):
    def run(table, *rows):
        names = list(dict.fromkeys(name for row in rows for name in row))
        batch = pa.record_batch({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names})
        return Checks(TABLES[table], workspace.vocabulary, now=NOW).rows(batch, np.arange(2, len(rows) + 2))

    return run


def reasons(checked):
    return {row["column"]: row["reason"] for row in checked.faults.table().to_pylist()}


def test_a_good_row_passes_with_its_defaults(check):
    (row,) = check("interactions", GOOD).rows.to_pylist()
    assert row["occurred_at"] == datetime(2025, 5, 1, 10, tzinfo=UTC)
    assert row["received_at"] == row["occurred_at"]
    assert (row["direction"], row["is_machine"], row["value"], row["campaign_id"]) == ("in", False, 12.5, None)
    assert check("assignments", ASSIGNED).rows.to_pylist()[0]["unit_id"] == "van:1"


def test_what_passes_has_the_stored_schema_exactly(check, workspace):
    checks = Checks(TABLES["people"], workspace.vocabulary, now=NOW)
    assert check("people", PERSON).rows.schema == checks.schema
    assert check("people", PERSON).rows.column("household_size").to_pylist() == [2.0]


def test_bad_rows_do_not_stop_good_ones(check):
    checked = check("interactions", GOOD, {**GOOD, "kind": "gfit"}, {**GOOD, "interaction_id": "i3"})
    assert checked.rows.column("interaction_id").to_pylist() == ["i1", "i3"]
    assert checked.faults.lines.tolist() == [3]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("person_id", "12", "system:id"),
        ("person_id", "van: 12", "system:id"),
        ("person_id", "-1:1", "system:id"),
        ("person_id", '-1:1+HYPERLINK("https://example.org"&B2)', "system:id"),
        ("person_id", "van:1\u200b2", "system:id"),
        ("person_id", None, "is empty"),
        ("interaction_id", "", "is empty"),
        ("interaction_id", "x" * 1001, "longer than 1000 bytes"),
        ("interaction_id", "a\tb", "control character"),
        ("occurred_at", "2025-05-01T12:00:00", "naive"),
        ("occurred_at", "2025-05-01", "naive"),
        ("occurred_at", "1 May 2025", "ISO 8601"),
        ("occurred_at", "2025-02-30T00:00:00Z", "ISO 8601"),
        ("occurred_at", "1714564800", "ISO 8601"),
        ("occurred_at", "2025-06-01T00:00:00.000001Z", "after the moment of import"),
        ("occurred_at", "0202-05-01T12:00:00Z", "before 1900"),
        ("received_at", "2025-04-30T00:00:00Z", "before occurred_at"),
        ("kind", "gifft", "Did you mean 'gift'?"),
        ("kind", "qqqqqq", "allowed: letter_sent, letter_open, gift"),
        ("channel", "dor", "Did you mean 'door'?"),
        ("topic", "housng", "Did you mean 'housing'?"),
        ("topic", "climate;housng", "at least one is not among the topics of audience.toml (allowed: housing, climate). Did you mean 'housing'?"),
        ("topic", "housing;", "empty place"),
        ("topic", "housing; ;climate", "empty place"),
        ("topic", ";", "empty place"),
        ("topic", "housing,climate", "is not among the topics"),
        ("topic", "   ", "is not among the topics"),
        ("kind", "gift;gift", "is not among the kinds"),
        ("direction", "out", "disagrees"),
        ("direction", "sideways", "allowed: in, out"),
        ("collected_how", "observd", "Did you mean 'observed'?"),
        ("value", "NaN", "is NaN"),
        ("value", "-inf", "is infinite"),
        ("value", "1e999", "is infinite"),
        ("value", "12,50", "is not a number"),
        ("is_machine", "perhaps", "is not a flag"),
    ],
)
def test_every_refusal_of_an_interaction_says_why(check, column, value, words):
    checked = check("interactions", {**GOOD, column: value})
    assert checked.rows.num_rows == 0
    assert words in reasons(checked)[column]
    if value and len(value) > 2 and value not in {"NaN", "out"}:
        assert value not in reasons(checked)[column], "a reason never repeats the value"


@pytest.mark.parametrize(
    ("table", "row", "column", "words"),
    [
        ("people", {**PERSON, "birth_year": "1880"}, "birth_year", "is below 1890"),
        ("people", {**PERSON, "birth_year": "2101"}, "birth_year", "is above 2100"),
        ("people", {**PERSON, "birth_year": "1980.5"}, "birth_year", "is not a whole number"),
        ("people", {**PERSON, "birth_year": "nan"}, "birth_year", "is NaN"),
        ("people", {**PERSON, "gender": "female"}, "gender", "allowed: f, m, x"),
        ("people", {**PERSON, "status": "membr"}, "status", "Did you mean 'member'?"),
        ("assignments", {**ASSIGNED, "experiment_id": "mailng"}, "experiment_id", "Did you mean 'mailing'?"),
        ("assignments", {**ASSIGNED, "arm": "neighbors"}, "arm", "allowed: control, neighbours"),
        ("assignments", {**ASSIGNED, "probability": "1.5"}, "probability", "is above 1"),
    ],
)
def test_every_refusal_of_other_tables_says_why(check, table, row, column, words):
    assert words in reasons(check(table, row))[column]


def test_a_source_may_expire_in_the_future_but_not_begin_there(check):
    source = {"source_id": "s", "type": "petition", "collected_how": "public", "collected_at": "2025-01-01T00:00:00Z", "expires_at": "2030-01-01T00:00:00Z"}
    assert check("sources", source).rows.num_rows == 1
    assert "collected_at" in reasons(check("sources", {**source, "collected_at": "2026-01-01T00:00:00Z"}))


def test_one_row_may_have_several_faults_and_counts_once(check):
    checked = check("interactions", {**GOOD, "kind": "x", "value": "y"})
    assert set(reasons(checked)) == {"kind", "value"}
    assert checked.faults.lines.tolist() == [2]


@pytest.mark.parametrize("flag", ["true", "TRUE", "1", "yes", "Yes"])
def test_words_for_true(check, flag):
    assert check("interactions", {**GOOD, "is_machine": flag}).rows.column("is_machine").to_pylist() == [True]


def test_no_rows_at_all_is_fine(check, workspace):
    checks = Checks(TABLES["interactions"], workspace.vocabulary, now=NOW)
    empty = pa.record_batch({name: pa.array([], pa.string()) for name in GOOD})
    checked = checks.rows(empty, np.empty(0, dtype=np.int64))
    assert checked.rows.num_rows == 0
    assert not checked.faults


def test_now_needs_a_time_zone(workspace):
    with pytest.raises(ValueError, match="naive"):
        Checks(TABLES["people"], workspace.vocabulary, now=datetime(2025, 1, 1))  # noqa: DTZ001


# several topics in one cell


def test_several_topics_are_written_in_one_way(check):
    given = ["housing", None, "climate;housing", " climate ; housing ", "housing;housing", "climate;housing;climate", "", " housing"]
    rows = [{**GOOD, "topic": topic, "interaction_id": f"i{number}"} for number, topic in enumerate(given)]
    checked = check("interactions", *rows)
    assert not checked.faults
    wanted = ["housing", None, "climate;housing", "climate;housing", "housing", "climate;housing", None, "housing"]
    assert checked.rows.column("topic").to_pylist() == wanted


def test_a_refused_list_of_topics_stops_its_own_row_only(check):
    given = ["housing;climate", "housing;wages", "climate", ";climate", "housing;wages"]
    checked = check("interactions", *({**GOOD, "topic": topic, "interaction_id": f"i{number}"} for number, topic in enumerate(given)))
    assert checked.rows.column("topic").to_pylist() == ["housing;climate", "climate"]
    assert checked.faults.lines.tolist() == [3, 5, 6]


@settings(deadline=None, max_examples=60)
@given(values=st.lists(st.lists(st.sampled_from(["a", "b", " a", "c ", "d", ""]), min_size=1, max_size=4).map(";".join), min_size=1, max_size=6))
def test_lists_of_ids_are_those_of_plain_python(values):
    known = ("a", "b", "c")
    parsed = parse(Column("topic", "text", "", nullable=True), pa.array(values, pa.string()), now=NOW)
    several_of(parsed, known, "known")
    expected = []
    for value in values:
        ids = [one.strip() for one in value.split(";")]
        expected.append(";".join(dict.fromkeys(ids)) if set(ids) <= set(known) else None)
    assert parsed.values.to_pylist() == expected
    refused = {int(row) for rows, _ in parsed.faults for row in rows}
    assert refused == {row for row, value in enumerate(values) if value and expected[row] is None}


def test_several_topics_come_from_files_of_every_delimiter(workspace, tmp_path):
    row = {**GOOD, "topic": "climate; housing"}
    comma, semicolon = tmp_path / "comma.csv", tmp_path / "semicolon.csv"
    comma.write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n", encoding="utf-8")
    values = {**row, "interaction_id": "i2", "topic": '"climate;housing;climate"'}
    semicolon.write_text(";".join(row) + "\n" + ";".join(values.values()) + "\n", encoding="utf-8")
    assert import_files(workspace, "interactions", [comma, semicolon], now=NOW).stored == 2
    stored = History(workspace.tables, workspace.vocabulary).read("interactions")
    assert stored.column("topic").to_pylist() == ["climate;housing"] * 2


# headers


def test_header_diff_shows_missing_and_unknown_with_a_hint(workspace):
    checks = Checks(TABLES["people"], workspace.vocabulary, now=NOW)
    with pytest.raises(ImportFault) as raised:
        checks.header(["person_id", "statuss", "source_id"])
    text = str(raised.value)
    assert "- status  (required, missing)" in text
    assert "+ 'statuss'  (not a column of people). Did you mean 'status'?" in text
    assert "[attributes] of audience.toml" in text


def test_a_missing_header_is_told_without_repeating_the_data(workspace):
    checks = Checks(TABLES["people"], workspace.vocabulary, now=NOW)
    with pytest.raises(ImportFault, match="header line missing") as raised:
        checks.header(["van:17", "1980", "Jan Peeters"])
    assert "Peeters" not in str(raised.value)


def test_a_header_name_that_is_no_word_is_not_repeated(workspace):
    checks = Checks(TABLES["people"], workspace.vocabulary, now=NOW)
    with pytest.raises(ImportFault) as raised:
        checks.header(["person_id", "status", "source_id", "jan@example.org"])
    assert "example" not in str(raised.value)
    assert "column 4" in str(raised.value)


def test_a_column_that_comes_twice(workspace):
    with pytest.raises(ImportFault, match="'status' comes twice"):
        Checks(TABLES["people"], workspace.vocabulary, now=NOW).header(["person_id", "status", "source_id", "status"])


def test_nullable_and_defaulted_columns_may_be_left_out(workspace):
    Checks(TABLES["interactions"], workspace.vocabulary, now=NOW).header([name for name in GOOD if name not in {"topic", "value"}])


# Parquet types


@pytest.mark.parametrize(
    ("column", "kind", "words"),
    [
        ("occurred_at", pa.timestamp("us"), "naive"),
        ("occurred_at", pa.date32(), "no time of day"),
        ("occurred_at", pa.int64(), "ISO 8601"),
        ("person_id", pa.int64(), "text is needed"),
        ("value", pa.list_(pa.float64()), "a number"),
        ("is_machine", pa.float64(), "true/false"),
    ],
)
def test_types_that_do_not_fit(workspace, column, kind, words):
    with pytest.raises(ImportFault, match=words):
        Checks(TABLES["interactions"], workspace.vocabulary, now=NOW).types(pa.schema([(column, kind)]))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Brussels", "+02:00"])
def test_timestamps_of_any_unit_and_zone_are_one_moment(unit, zone):
    moment = datetime(2025, 5, 1, 10, tzinfo=UTC)
    raw = pa.array([moment], pa.timestamp("us", tz="UTC")).cast(pa.timestamp(unit, tz=zone))
    assert parse(Column("at", "time", ""), raw, now=NOW).values.to_pylist() == [moment]


def test_timestamps_that_would_overflow_are_refused():
    raw = pa.array([2**60, 0], pa.timestamp("s", tz="UTC"))
    parsed = parse(Column("at", "time", "", nullable=True), raw, now=NOW)
    assert parsed.values.to_pylist() == [None, datetime(1970, 1, 1, tzinfo=UTC)]
    assert parsed.faults[0][0].tolist() == [0]


@pytest.mark.parametrize("array", [pa.array(["a", ""]).dictionary_encode(), pa.array(["a", ""], pa.large_string()), pa.array(["a", ""], pa.string_view())])
def test_texts_of_any_layout(array):
    assert accepts(Column("x", "text", ""), array.type) is None
    assert parse(Column("x", "text", "", nullable=True), array, now=NOW).values.to_pylist() == ["a", None]


def test_typed_numbers_and_flags():
    assert parse(Column("x", "integer", ""), pa.array([1980.0, None, math.nan]), now=NOW).values.to_pylist() == [1980, None, None]
    assert parse(Column("x", "float", ""), pa.array([1, 2], pa.int16()), now=NOW).values.to_pylist() == [1.0, 2.0]
    assert parse(Column("x", "flag", ""), pa.array([1, 0, 2]), now=NOW).values.to_pylist() == [True, False, None]
    assert parse(Column("x", "flag", ""), pa.array([True, None]), now=NOW).values.to_pylist() == [True, None]


# laws

_texts = st.one_of(
    st.sampled_from(["", "1", "1.5", "nan", "inf", "0x10", " 1", "1e5", "+3", "true", "no", "2025-01-01T00:00:00Z", "2025-01-01", "20250101T000000Z"]),
    st.text(max_size=8),
    st.floats(width=32).map(repr),
    st.datetimes(datetime(1800, 1, 1), datetime(2030, 1, 1)).map(lambda moment: moment.isoformat() + "Z"),  # noqa: DTZ001
)


@settings(deadline=None, max_examples=60)
@given(values=st.lists(_texts, min_size=1, max_size=6), kind=st.sampled_from(["text", "time", "float", "integer", "flag"]))
def test_a_value_is_read_the_same_alone_and_among_others(values, kind):
    column = Column("x", kind, "", nullable=True)
    together = parse(column, pa.array(values, pa.string()), now=NOW)
    alone = [parse(column, pa.array([value], pa.string()), now=NOW) for value in values]
    assert together.values.to_pylist() == [one.values[0].as_py() for one in alone]
    refused = {int(row) for rows, _ in together.faults for row in rows}
    assert refused == {row for row, one in enumerate(alone) if one.faults}


@settings(deadline=None, max_examples=100)
@given(
    ids=st.lists(
        st.one_of(
            st.text("ab:.", max_size=5),
            st.text(st.characters(max_codepoint=0x24FF, exclude_categories=("Cn", "Cs")), max_size=5),
            st.integers(60, 66).map(lambda size: "a" * size + ":b"),
        ),
        max_size=4,
    )
)
def test_person_ids_are_those_of_the_expression(ids):
    parsed = parse(Column("person_id", "text", "", nullable=True), pa.array([*ids, "van:" + "x" * 251], pa.string()), now=NOW)
    expected = [text if re.search(PYTHON_PERSON_ID, text) and text.isprintable() and " " not in text else None for text in ids]
    assert parsed.values.to_pylist()[:-1] == expected


@settings(deadline=None, max_examples=60)
@given(moment=st.datetimes(datetime(1900, 1, 1), datetime(2025, 5, 31)), hours=st.integers(-14, 14))  # noqa: DTZ001
def test_every_iso_time_is_read_as_python_reads_it(moment, hours):
    aware = moment.replace(tzinfo=UTC)
    text = aware.astimezone(timezone(timedelta(hours=hours))).isoformat()
    assert parse(Column("at", "time", ""), pa.array([text]), now=NOW).values == pa.array([aware], TIME)


# faults


def test_faults_are_sorted_by_line_and_counted_by_row():
    faults = Faults()
    assert not faults
    assert len(faults.table()) == 0
    faults.add([5, 3], "b", ["x", "y"])
    faults.add(3, "a", "z")
    assert faults.table().to_pylist() == [
        {"line": 3, "column": "b", "reason": "y"},
        {"line": 3, "column": "a", "reason": "z"},
        {"line": 5, "column": "b", "reason": "x"},
    ]
    assert faults.lines.tolist() == [3, 5]


def test_words_of_messages():
    assert listed(["a", "b"]) == "a, b"
    assert listed([]) == "none"
    assert listed(map(str, range(14))).endswith("11, … (2 more)")
    assert did_you_mean("x" * 100, ("x",)) == ""
    assert "no plain word" in shown("O'Neil", 3)
