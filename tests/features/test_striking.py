"""Rows of people leave files of any format; everything else stays byte for byte, and what cannot be read stays whole."""

import gzip
import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.permission.striking import strike_lines, strike_rows

GONE = ["van:2", 'a:"q"']
CSV = (
    "\ufeffname;person_id;note\r\n"
    "\r\n"
    "x;van:1;\r\n"
    'y;van:2;"two\r\nlines"\r\n'
    'z;"van:2";z\r\n'
    'w;van:22;"speaks of van:2; twice"\r\n'
    'v;"a:""q""";\r\n'
    "short\r\n"
    "u;van:3;no line end"
)
LEFT = '\ufeffname;person_id;note\r\n\r\nx;van:1;\r\nw;van:22;"speaks of van:2; twice"\r\nshort\r\nu;van:3;no line end'
PACK = {
    "plain": (lambda data: data, lambda data: data),
    "gzip": (gzip.compress, gzip.decompress),
    "zstd": (lambda data: pa.compress(data, codec="zstd", asbytes=True), lambda data: pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()),
}


@pytest.mark.parametrize("packed", PACK)
def test_csv(packed, tmp_path):
    pack, unpack = PACK[packed]
    path = tmp_path / "people.csv"
    path.write_bytes(pack(CSV.encode()))
    path.chmod(0o640)
    assert strike_rows(path, GONE) == Counter({"van:2": 2, 'a:"q"': 1})
    assert unpack(path.read_bytes()) == LEFT.encode()
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("packed", PACK)
def test_ndjson(packed, tmp_path):
    pack, unpack = PACK[packed]
    lines = [json.dumps({"n": 1, "person_id": person}) for person in ("van:1", "van:2", "van:22", 'a:"q"')]
    rest = ["", "no json", json.dumps(["van:2"]), json.dumps({"person_id": 2}), '{"about": "van:2"}']
    path = tmp_path / "rows.ndjson"
    path.write_bytes(pack("\n".join([*lines, *rest]).encode()))
    assert strike_rows(path, GONE) == Counter({"van:2": 1, 'a:"q"': 1})
    assert unpack(path.read_bytes()).decode().split("\n") == [lines[0], lines[2], *rest]


@pytest.mark.parametrize("codec", ["zstd", "none", "snappy"])
def test_parquet(codec, tmp_path):
    path = tmp_path / "rows.parquet"
    table = pa.table({"n": range(6), "person_id": ["van:1", "van:2", None, "van:22", "van:2", "van:3"]})
    pq.write_table(table, path, compression=codec, row_group_size=2)
    assert strike_rows(path, GONE) == Counter({"van:2": 2})
    assert pq.read_table(path).to_pydict() == {"n": [0, 2, 3, 5], "person_id": ["van:1", None, "van:22", "van:3"]}
    assert b"van:2\x00" not in path.read_bytes()


def test_latin_bytes_stay(tmp_path):
    path = tmp_path / "people.csv"
    path.write_bytes(b"person_id,name\nvan:1,Zo\xeb\nvan:2,Zo\xeb\n")
    strike_rows(path, GONE)
    assert path.read_bytes() == b"person_id,name\nvan:1,Zo\xeb\n"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"id,name\nvan:2,x\n", b"person_id\n", b"person_id,n\nvan:1,2\n"])
def test_a_file_without_them_is_not_touched(content, tmp_path):
    path = tmp_path / "other.csv"
    path.write_bytes(content)
    before = path.stat()
    assert strike_rows(path, GONE) == Counter()
    assert (path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns) == (content, before.st_ino, before.st_mtime_ns)


def test_parquet_without_a_person_is_not_touched(tmp_path):
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"id": ["van:2"]}), path)
    assert strike_rows(path, GONE) == Counter()
    assert pq.read_table(path).num_rows == 1


@pytest.mark.parametrize("content", [gzip.compress(CSV.encode())[:-9], b"PAR1 and no more", b'person_id,n\nvan:2,"' + b"x" * 200_000 + b'"\nvan:2,1\n'])
def test_what_cannot_be_read_stays_whole(content, tmp_path):
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read"):
        strike_rows(path, GONE)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_lines_go_where_an_id_stands_as_a_word(tmp_path):
    path = tmp_path / "rejects.csv"
    path.write_text('file,line\n"in/van:2.csv",1\n"in/van:22.csv",2\nother.csv,3\n')
    assert strike_lines(path, GONE) == Counter({"van:2": 1})
    assert path.read_text() == 'file,line\n"in/van:22.csv",2\nother.csv,3\n'
