"""The house's own formats: the same rows whatever the format, exact lines, and a clear word for everything that can be wrong with a file."""

import csv
import gzip
import io
import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.checks import Checks
from features.faults import ImportFault
from features.importers import delimited as delimited_module
from features.importers import source as source_module
from features.importers.delimited import _Reader
from features.importers.own import OwnFile
from features.tables import TABLES

NOW = datetime(2025, 6, 1, tzinfo=UTC)
HEADER = "outcome,experiment_id,person_id,value,measured_at"
ROW = "voted,mailing,van:{},1,2025-05-01T00:00:00Z"
NAMES = tuple(HEADER.split(","))


@pytest.fixture
def read(workspace, tmp_path):
    """Write bytes to a file and read it back: rows as lists of dicts with their line, and faults."""

    def run(content, name="file", table="outcomes"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        file = OwnFile(path, Checks(TABLES[table], workspace.vocabulary, now=NOW))
        rows, faults = [], []
        for raw in file.batches():
            rows += [{"line": int(line), **row} for line, row in zip(raw.lines, raw.rows.to_pylist(), strict=True)]
            faults += [(row["line"], row["column"], row["reason"]) for row in raw.faults.table().to_pylist()]
        assert file.share == pytest.approx(1.0)
        return rows, faults

    return run


def lines(rows):
    return {row["line"]: row["person_id"] for row in rows}


def table_of(*ids, end="\n"):
    return end.join([HEADER, *(ROW.format(i) for i in ids)]) + end


# the same rows from every format


def test_plain_gzip_and_zstd_are_told_by_their_bytes(read):
    text = table_of(1, 2).encode()
    expected = read(text)
    assert lines(expected[0]) == {2: "van:1", 3: "van:2"}
    assert read(gzip.compress(text, mtime=0)) == expected
    assert read(pa.compress(text, codec="zstd", asbytes=True)) == expected
    assert read(gzip.compress(text[:70], mtime=0) + gzip.compress(text[70:], mtime=0)) == expected, "a gzip of several members"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_told_from_the_header(read, delimiter):
    rows, faults = read(table_of(1).replace(",", delimiter))
    assert rows == [{"line": 2, "outcome": "voted", "experiment_id": "mailing", "person_id": "van:1", "value": "1", "measured_at": "2025-05-01T00:00:00Z"}]
    assert not faults


@pytest.mark.parametrize("text", ["\ufeff" + table_of(1, 2), table_of(1, 2, end="\r\n"), table_of(1, 2).rstrip("\n"), "\n\n" + table_of(1, 2)])
def test_byte_order_mark_line_ends_and_blank_lines(read, text):
    rows, faults = read(text)
    assert [row["person_id"] for row in rows] == ["van:1", "van:2"]
    assert rows[1]["measured_at"] == "2025-05-01T00:00:00Z"
    assert not faults


def test_ndjson_takes_keys_in_any_order_and_leaves_out_nulls(read):
    first = {"person_id": "van:1", "experiment_id": "mailing", "outcome": "voted", "value": 1, "measured_at": "2025-05-01T00:00:00Z"}
    second = {"measured_at": "2025-05-01T00:00:00Z", "outcome": None, "person_id": "van:2", "value": 0.5}
    rows, faults = read(json.dumps(first) + "\n\n" + json.dumps(second))
    assert lines(rows) == {1: "van:1", 3: "van:2"}
    assert [row["value"] for row in rows] == ["1", "0.5"]
    assert rows[1]["outcome"] is None
    assert not faults


def test_parquet_counts_rows_from_one(read, tmp_path):
    pq.write_table(pa.table({name: [name] * 3 for name in NAMES}), tmp_path / "x.parquet", row_group_size=2)
    rows, _ = read((tmp_path / "x.parquet").read_bytes())
    assert [row["line"] for row in rows] == [1, 2, 3]


def test_parquet_text_that_is_not_utf8_is_a_fault_of_its_row(read, tmp_path):
    bad = pa.array([b"a", b"\xff", b"c"]).view(pa.string())
    pq.write_table(pa.table({**{name: ["x"] * 3 for name in NAMES}, "person_id": bad}), tmp_path / "x.parquet")
    rows, faults = read((tmp_path / "x.parquet").read_bytes())
    assert lines(rows) == {1: "a", 3: "c"}
    assert faults == [(2, "person_id", "is not UTF-8")]


# CSV, line by line


def test_ragged_rows_are_faults_with_their_line(read):
    text = f"{HEADER}\n{ROW.format(1)}\na,b\n\n{ROW.format(2)},extra\n{ROW.format(3)}\n"
    for content in (text, text.replace("a,b", '"a",b')):  # with a quote, the other parser
        rows, faults = read(content)
        assert lines(rows) == {2: "van:1", 6: "van:3"}
        assert faults == [(3, "", "the row has 2 cells, the header has 5"), (5, "", "the row has 6 cells, the header has 5")]


def test_lines_are_right_after_a_quoted_line_break(read):
    text = f'{HEADER}\n"one\ntwo\nthree",mailing,van:1,1,x\n{ROW.format(2)}\n'
    rows, faults = read(text)
    assert lines(rows) == {2: "van:1", 5: "van:2"}
    assert rows[0]["outcome"] == "one\ntwo\nthree"
    assert not faults


def test_a_quote_that_is_never_closed_costs_one_row(read):
    text = f'{HEADER}\n{ROW.format(1)}\n"voted,mailing,van:2,1,x\n{ROW.format(3)}\n{ROW.format(4)}\n'
    rows, faults = read(text)
    assert lines(rows) == {2: "van:1", 4: "van:3", 5: "van:4"}
    assert faults == [(3, "", "a quote is opened and never closed")]


def test_a_quote_that_closes_too_late_costs_one_row(read):
    text = f'{HEADER}\n"voted,mailing,van:1,1,x\n"voted",mailing,van:2,1,x\n{ROW.format(3)}\n'
    rows, faults = read(text)
    assert lines(rows) == {3: "van:2", 4: "van:3"}
    assert [line for line, _, _ in faults] == [2]
    assert "closing quote" in faults[0][2]


def test_a_cell_that_is_huge_costs_one_row(read):
    text = f'{HEADER}\n"{"x" * 200_000}",mailing,van:1,1,x\n{ROW.format(2)}\n'
    rows, faults = read(text)
    assert lines(rows) == {3: "van:2"}
    assert "longer than 131072" in faults[0][2]


def test_bytes_that_are_not_utf8_cost_their_row(read):
    text = f"{HEADER}\n{ROW.format(1)}\ncaf\u00e9,mailing,van:2,1,x\n{ROW.format(3)}\n".encode("latin-1")
    rows, faults = read(text)
    assert lines(rows) == {2: "van:1", 4: "van:3"}
    assert faults[0][:2] == (3, "outcome")
    assert "not UTF-8" in faults[0][2]


def test_a_quoted_record_goes_on_over_blocks(read, monkeypatch):
    monkeypatch.setattr(source_module, "BLOCK", 64)
    cell = "\n".join(["line"] * 100)
    text = f'{HEADER}\n{ROW.format(1)}\n"{cell}",mailing,van:2,1,x\n' + "".join(ROW.format(i) + "\n" for i in range(3, 40))
    rows, faults = read(text)
    assert [row["person_id"] for row in rows] == [f"van:{i}" for i in range(1, 40)]
    assert rows[1]["outcome"] == cell
    assert (rows[2]["line"], rows[-1]["line"]) == (103, 139)
    assert not faults


def test_a_quote_open_for_too_long_is_given_up(read, monkeypatch):
    monkeypatch.setattr(source_module, "BLOCK", 256)
    monkeypatch.setattr(delimited_module, "LONGEST_RECORD", 500)
    text = f'{HEADER}\n"voted,mailing,van:1,1,x\n' + "".join(ROW.format(i) + "\n" for i in range(2, 60))
    rows, faults = read(text)
    assert [row["person_id"] for row in rows] == [f"van:{i}" for i in range(2, 60)]
    assert [fault[0] for fault in faults] == [2]


_cells = st.text(st.sampled_from('ab,;"\n\r\té \x00'), max_size=5)


@settings(deadline=None, max_examples=150)
@given(records=st.lists(st.lists(_cells, min_size=3, max_size=3), max_size=5), block=st.integers(1, 60))
def test_what_the_standard_library_writes_is_read_back_whatever_the_blocks(records, block):
    records = [record for record in records if any(record)]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(records)
    assert _read_in_blocks(text.getvalue().encode(), block) == [[cell or None for cell in record] for record in records]


@settings(deadline=None, max_examples=150)
@given(data=st.text(st.sampled_from("ab,\n\ré"), min_size=1, max_size=60), drop=st.sampled_from([(), ("b",), ("a", "c")]))
def test_both_parsers_read_the_same_rows_lines_and_faults(data, drop):
    block = data.encode()
    reader = _Reader(("a", "b", "c"), ",", drop)
    if block.count(b"\r") != block.count(b"\r\n"):
        return
    fast, count = reader._by_arrow(block, 10)
    exact, rest, line = reader._by_record(block, 10, last=True)
    assert (fast.rows.to_pylist(), fast.lines.tolist()) == (_nulled(exact.rows.to_pylist()), exact.lines.tolist())
    assert fast.faults.table() == exact.faults.table()
    assert (rest, line) == (b"", 10 + count)


def _read_in_blocks(content, size):
    reader, rows, rest, line = _Reader(("a", "b", "c"), ","), [], b"", 1
    pieces, start = [], 0
    while start < len(content):  # cut after the first line feed past `size` bytes
        end = content.find(b"\n", min(start + size, len(content) - 1)) + 1 or len(content)
        pieces.append(content[start:end])
        start = end
    for number, piece in enumerate(pieces):
        raw, rest, line = reader.read(rest + piece, line, last=number == len(pieces) - 1)
        assert not raw.faults
        rows += [list(row.values()) for row in _nulled(raw.rows.to_pylist())]
    assert line == content.count(b"\n") + 1
    return rows


def _nulled(rows):
    return [{name: value or None for name, value in row.items()} for row in rows]


# files that cannot be read


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n\n", "only blank lines"),
        (HEADER.encode(), "a header and no rows"),
        (HEADER.encode() + b"\n\n\n", "a header and no rows"),
        (table_of(1).encode("utf-16"), "UTF-16"),
        (table_of(1).encode("utf-16-le"), "UTF-16"),
        (table_of(1).encode("utf-32-be"), "UTF-32"),
        (bytes(range(256)) * 4, "header is missing|not UTF-8|no text|header"),
        (b"PK\x03\x04" + b"x" * 100, "Excel"),
        (b"\xd0\xcf\x11\xe0" + b"x" * 100, "old Excel"),
        (b"BZh9" + b"x" * 100, "bzip2"),
        (b"\xfd7zXZ\x00" + b"x" * 100, "xz"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (gzip.compress(table_of(*range(2000)).encode(), mtime=0)[:-100], "is cut off"),
        (pa.compress(table_of(*range(2000)).encode(), codec="zstd", asbytes=True)[:-100], "is cut off"),
        (gzip.compress(b"PAR1" + b"x" * 100, mtime=0), "Parquet inside gzip"),
        (gzip.compress(table_of(1).encode("utf-16"), mtime=0), "UTF-16"),
        (b"PAR1" + b"x" * 100, "cut off or damaged"),
        (table_of(1, end="\r").encode(), "lone carriage return"),
        (table_of(1).replace("person_id", "p\u00e9rson").encode("latin-1"), "header that is not UTF-8"),
        (b'"person_id,status\n', "quotes do not match"),
        (b'[{"person_id": 1}]', "JSON array"),
        (b'{"person_id": "van:1", "colour": "red"}\n', "colour"),
    ],
)
def test_each_fault_of_a_file_has_its_own_words(read, content, words):
    with pytest.raises(ImportFault, match=words) as raised:
        read(content)
    assert "file: " in str(raised.value), "the message names the file"
    assert "van:" not in str(raised.value)


def test_damaged_gzip_in_the_middle(read):
    content = bytearray(gzip.compress(table_of(*range(200_000)).encode(), mtime=0))
    content[len(content) // 2 : len(content) // 2 + 20] = b"\x00" * 20
    with pytest.raises(ImportFault, match=r"damaged|cut off"):
        read(bytes(content))


def test_parquet_without_rows_and_with_nested_columns(read, tmp_path):
    pq.write_table(pa.table({name: pa.array([], pa.string()) for name in NAMES}), tmp_path / "x")
    with pytest.raises(ImportFault, match="no rows"):
        read((tmp_path / "x").read_bytes())
    pq.write_table(pa.table({**{name: ["x"] for name in NAMES}, "value": [[1.0]]}), tmp_path / "x")
    with pytest.raises(ImportFault, match="value is list"):
        read((tmp_path / "x").read_bytes())


def test_a_file_that_is_not_there_and_a_folder(workspace, tmp_path):
    checks = Checks(TABLES["outcomes"], workspace.vocabulary, now=NOW)
    with pytest.raises(ImportFault, match="nowhere: does not exist"):
        OwnFile(tmp_path / "nowhere", checks)
    with pytest.raises(ImportFault, match="is a folder"):
        OwnFile(tmp_path, checks)


def test_a_line_without_end(read, monkeypatch):
    monkeypatch.setattr(source_module, "LONGEST_LINE", 5 << 20)
    with pytest.raises(ImportFault, match="a line is longer than 5 MiB"):
        read(table_of(1) + "x" * (12 << 20))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "not JSON"),
        ("[1]", "no object"),
        ("null", "no object"),
        ('{"person_id": {"a": 1}}', "object or a list"),
        ('{"person_id": "a", "person_id": "b"}', "comes twice"),
        ('{"persn_id": "a"}', "Did you mean 'person_id'?"),
        ('{"person_id": "\\ud800"}', "half a character"),
        ('{"value": ' + "9" * 5000 + "}", "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_lines_that_are_no_rows(read, line, words):
    good = json.dumps({"person_id": "van:1", "experiment_id": "mailing", "outcome": "voted", "value": 1, "measured_at": "x"})
    rows, faults = read(f"{good}\n{line}\n{good}\n")
    assert [row["line"] for row in rows] == [1, 3]
    assert faults[0][0] == 2
    assert words in faults[0][2]


def test_json_objects_without_anything_are_rows_for_the_checks_to_refuse(read):
    rows, _ = read("{}\n{}\n")
    assert [row["line"] for row in rows] == [1, 2]


def test_a_json_line_that_is_not_utf8(read):
    good = json.dumps({"person_id": "van:1", "experiment_id": "mailing", "outcome": "voted", "value": True, "measured_at": "x"}).encode()
    rows, faults = read(good + b'\n{"person_id": "\xe9"}\n')
    assert rows[0]["value"] == "true"
    assert faults == [(2, "", "the line is not UTF-8")]
