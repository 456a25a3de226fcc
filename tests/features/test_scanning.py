"""Looking for an id in files: found in every form and format, not mistaken for a longer id, and what cannot be opened is told."""

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.permission import scanning
from features.permission.scanning import UnreadableError, held_by_file, needles, scan

PERSON, LONGER = "van:canary-77", "van:canary-777"
TABLE = pa.table({"person_id": [LONGER, PERSON], "n": [1, 2]})
OTHERS = pa.table({"person_id": [LONGER, "x"], "n": [1, 2]})


def parquet(table, **options):
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def arrow(table, **options):
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def zipped(content, name="inside.csv"):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("empty/", b"")
        archive.writestr(name, content)
    return sink.getvalue()


def csv(person):
    return f"person_id,n\n{LONGER},1\n{person},2\n".encode()


def nested(person):
    column = pa.array([[{"who": person}], []], pa.list_(pa.struct([("who", pa.string())])))
    coded = pa.array(["a", person]).dictionary_encode()
    return pa.table({"deep": column}), pa.table({"coded": coded}), pa.table({"raw": pa.array([b"\0", person.encode()])})


FORMATS = {
    "text": csv,
    "gzip": lambda person: gzip.compress(csv(person)),
    "bz2": lambda person: bz2.compress(csv(person)),
    "xz": lambda person: lzma.compress(csv(person)),
    "zstd": lambda person: pa.compress(csv(person), codec="zstd", asbytes=True),
    "zip": lambda person: zipped(csv(person)),
    "zip of gzip": lambda person: zipped(gzip.compress(csv(person)), "inside.gz"),
    "gzip of parquet": lambda person: gzip.compress(parquet(pa.table({"a": [person]}))),
    "zstd of zstd": lambda person: pa.compress(pa.compress(csv(person), codec="zstd", asbytes=True), codec="zstd", asbytes=True),
    "parquet": lambda person: parquet(pa.table({"a": [LONGER, person]}), compression="zstd"),
    "parquet with shared beginnings": lambda person: parquet(
        pa.table({"a": [LONGER, person]}), use_dictionary=False, column_encoding={"a": "DELTA_BYTE_ARRAY"}, compression="snappy"
    ),
    "parquet with a name": lambda person: parquet(pa.table({person: [1]})),
    "parquet nested": lambda person: parquet(nested(person)[0]),
    "arrow": lambda person: arrow(pa.table({"a": pa.array([LONGER, person], pa.large_string())})),
    "arrow packed": lambda person: arrow(pa.table({"a": [LONGER, person]}), compression="zstd"),
    "arrow coded": lambda person: arrow(nested(person)[1]),
    "arrow raw": lambda person: arrow(nested(person)[2]),
    "utf-16": lambda person: b"\xff\xfe" + f"a,{person},b".encode("utf-16-le"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_is_found_in_every_format_and_not_where_it_is_not(name, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(FORMATS[name](PERSON))
    assert held_by_file(path, needles([PERSON, "van:nobody"])) == {PERSON}
    path.write_bytes(FORMATS[name]("someone"))
    assert held_by_file(path, needles([PERSON])) == set()


@pytest.mark.parametrize(
    "text",
    [
        f"{PERSON}",
        f'"{PERSON}"',
        f"a/{PERSON}.csv",
        f"id={PERSON}&",
        "van%3Acanary-77",
        json.dumps({"id": PERSON}),
        f"{LONGER} and {PERSON}",
    ],
)
def test_is_found_as_a_word(text, tmp_path):
    path = tmp_path / "log"
    path.write_text(text)
    assert held_by_file(path, needles([PERSON])) == {PERSON}


def test_odd_ids_are_found_as_json_and_csv_write_them(tmp_path):
    for person in ('a"b\\c', "Zoë:1", "名前", "a b", "half\udc80"):
        path = tmp_path / "file"
        for content in (json.dumps([person]).encode(), f'x,"{person.replace(chr(34), chr(34) * 2)}"'.encode("utf-8", "surrogatepass")):
            path.write_bytes(content)
            assert held_by_file(path, needles([person])) == {person}


def test_a_longer_id_is_not_mistaken_for_it(tmp_path):
    for content in (csv(LONGER), parquet(OTHERS), arrow(OTHERS), f"{LONGER},x{PERSON},{PERSON}é".encode()):
        path = tmp_path / "file"
        path.write_bytes(content)
        assert held_by_file(path, needles([PERSON])) == set()


BEGUN, ENDED = f"{PERSON}-3", f"my-{PERSON}"
"""Ids that begin with the id, and that end with it."""


@pytest.mark.parametrize("other", [BEGUN, ENDED, f"{PERSON}.b-2", f"a.{PERSON}-b"])
@pytest.mark.parametrize("name", [name for name in FORMATS if name not in {"utf-16", "parquet with a name"}])
def test_a_whole_cell_that_is_another_id_is_not_mistaken_for_it(name, other, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(FORMATS[name](other))
    assert held_by_file(path, needles([PERSON])) == set()
    assert held_by_file(path, needles([other])) == {other}


@pytest.mark.parametrize("write", [json.dumps, lambda ids: "\n".join(f'{{"person_id":"{one}","n":1}}' for one in ids), "|".join, "\n".join])
def test_a_whole_field_that_is_another_id_is_not_mistaken_for_it(write, tmp_path):
    path = tmp_path / "file"
    path.write_text(write([BEGUN, ENDED, LONGER]))
    assert held_by_file(path, needles([PERSON])) == set()
    path.write_text(write([BEGUN, ENDED, PERSON]))
    assert held_by_file(path, needles([PERSON])) == {PERSON}


@pytest.mark.parametrize(
    "cell",
    [
        f"{PERSON}.",
        f"{PERSON}.csv",
        f"{PERSON}-2026.png",
        f"{PERSON},{LONGER}",
        f"who: {BEGUN}",
        f"a/{PERSON}-b",
        f"crm:{PERSON}-b",
        f"-{PERSON}-",
        f"x={BEGUN}",
    ],
)
def test_what_may_be_the_person_counts_in_cells_fields_and_names(cell, tmp_path):
    path = tmp_path / "file"
    for content in (parquet(pa.table({"a": [cell]})), json.dumps([cell]).encode(), f"{cell}\n".encode(), cell.encode()):
        path.write_bytes(content)
        assert held_by_file(path, needles([PERSON])) == {PERSON}
    assert scanning.held_by_bytes(f"{cell}.txt".encode(), needles([PERSON]), text=True) == {PERSON}


def pages(*texts):
    """A file that puts texts side by side, as the pages of a database do."""
    return b"SQLite\0\0" + b"\0\3".join(text.encode() for text in texts)


@pytest.mark.parametrize("encode", [pages, lambda *texts: b"\xff\xfe" + "".join(texts).encode("utf-16-le")])
def test_in_bytes_a_longer_id_that_is_known_is_another_one_and_what_only_touches_is_not(encode, tmp_path):
    path = tmp_path / "file"
    known = needles([PERSON], lambda person: [one for one in (LONGER, BEGUN, ENDED) if person in one])
    for others in ((LONGER,), (BEGUN, LONGER), (f"x{ENDED}",)):
        path.write_bytes(encode(*others))
        assert held_by_file(path, known) == set()
        assert held_by_file(path, needles([PERSON])) == {PERSON}, "nobody knows that it is another one"
    for left in ((f"word{PERSON}word",), (LONGER, f"{PERSON}8"), (f"{PERSON}-4",), (PERSON,)):
        path.write_bytes(encode(*left))
        assert held_by_file(path, known) == {PERSON}


@pytest.mark.parametrize("shift", [-650, -330, -321, -320, -319, -20, -14, -8, -1, 0, 1, 5, 300, 321])
def test_blocks_hide_no_other_id_and_make_none_up(shift, tmp_path, monkeypatch):
    monkeypatch.setattr(scanning, "_BLOCK", 2048)
    path = tmp_path / "file.gz"
    for one, found in ((BEGUN, set()), (ENDED, set()), (PERSON, {PERSON})):
        path.write_bytes(gzip.compress(b"," * (4096 + shift) + one.encode() + b"," * 4000))
        assert held_by_file(path, needles([PERSON])) == found


def test_a_name_counts_too(tmp_path):
    (tmp_path / PERSON).mkdir()
    (tmp_path / PERSON / "empty").touch()
    (tmp_path / f"of {PERSON}.txt").touch()
    assert scan(tmp_path, [PERSON]).found[PERSON] == (f"of {PERSON}.txt", f"{PERSON}/empty")


def test_what_a_database_left_in_its_pages_is_found(tmp_path):
    path = tmp_path / "kept.db"
    database = sqlite3.connect(path)
    database.executescript("PRAGMA secure_delete=OFF; CREATE TABLE t (a TEXT, b TEXT)")
    database.execute("INSERT INTO t VALUES (?, 'b')", [f"word{PERSON}"])
    database.commit()
    database.execute("DELETE FROM t")
    database.commit()
    database.close()
    assert held_by_file(path, needles([PERSON])) == {PERSON}


def test_short_ids_are_looked_for_in_texts_and_columns_only(tmp_path):
    noise = tmp_path / "noise.npy"
    np.save(noise, np.random.default_rng(0).integers(0, 2**32, 200_000, dtype=np.uint32))
    text, column = tmp_path / "text", tmp_path / "column"
    text.write_text("12;7;120")
    column.write_bytes(parquet(pa.table({"a": ["120", "12"]})))
    wanted = needles(["7", "12", "0"])
    assert held_by_file(noise, wanted) == set()
    assert held_by_file(text, wanted) == {"7", "12"}
    assert held_by_file(column, wanted) == {"12"}


@pytest.mark.parametrize("shift", range(-3, 17))
def test_blocks_hide_nothing(shift, tmp_path, monkeypatch):
    monkeypatch.setattr(scanning, "_BLOCK", 64)
    place = 128 - shift
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(b"." * place + PERSON.encode() + b"." * 40))
    assert held_by_file(path, needles([PERSON])) == {PERSON}
    path.write_bytes(gzip.compress(b"." * place + LONGER.encode() + b"." * 40))
    assert held_by_file(path, needles([PERSON])) == set()


def test_what_cannot_be_opened_is_told_and_does_not_stop_the_rest(tmp_path):
    (tmp_path / "broken.gz").write_bytes(gzip.compress(csv(PERSON))[:-12])
    (tmp_path / "broken.parquet").write_bytes(parquet(TABLE)[:-9] + b"x" * 9)
    (tmp_path / "broken.zip").write_bytes(zipped(csv(PERSON))[:-30])
    deep = csv(PERSON)
    for _ in range(6):
        deep = gzip.compress(deep)
    (tmp_path / "deep.gz").write_bytes(deep)
    (tmp_path / "good.csv").write_bytes(csv(PERSON))
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    found = scan(tmp_path, [PERSON])
    assert found.found == {PERSON: ("good.csv",)}
    assert set(found.unreadable) == {"broken.gz", "broken.parquet", "broken.zip", "deep.gz"}
    assert PERSON not in str(found.unreadable)
    with pytest.raises(UnreadableError):
        held_by_file(tmp_path / "broken.gz", needles([PERSON]))


def test_tells_how_far_it_is(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text("x")
    told = []
    found = scan(tmp_path, [], progress=lambda stage, share: told.append((stage, share)))
    assert (found.files, found.size, found.found) == (3, 3, {})
    assert told == [(f"looking through {number + 1} files of 3", number / 3) for number in range(3)]
