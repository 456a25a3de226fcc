"""One import from files to table: laws (nothing twice, order of files, every format alike), rejects, kills, several at once."""

import csv
import gzip
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features import imports as imports_module
from features import staging as staging_module
from features.engine import Engine
from features.faults import ImportFault
from features.history import History, HistoryError
from features.importers import source as source_module
from features.imports import import_files
from features.tables import TABLES, arrow_schema
from features.workspace import Workspace

NOW = datetime(2025, 6, 1, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]
FIELDS = ["interaction_id", "person_id", "occurred_at", "kind", "channel", "topic", "value", "source_id", "collected_how", "is_machine"]


def interaction(number, **other):
    row = {
        "interaction_id": f"i{number}",
        "person_id": f"van:{number % 7}",
        "occurred_at": (datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=number)).isoformat(),
        "kind": "gift",
        "channel": "door",
        "topic": "housing",
        "value": "5",
        "source_id": "s",
        "collected_how": "from_person",
        "is_machine": "no",
    }
    return {**row, **other}


def person(number, **other):
    return {"person_id": f"van:{number}", "birth_year": "1980", "status": "member", "source_id": "s", "gender": "f", **other}


def write_csv(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
    return path


def counts(summary):
    assert summary.read == summary.stored + summary.duplicate + summary.updated + summary.rejected
    return summary.read, summary.stored, summary.duplicate, summary.updated, summary.rejected


def rejects(summary):
    return list(csv.DictReader(summary.rejects_file.read_text(encoding="utf-8").splitlines()))


def history(workspace):
    return History(workspace.tables, workspace.vocabulary)


def test_importing_twice_stores_nothing_twice(workspace, tmp_path):
    path = write_csv(tmp_path / "a.csv", [interaction(number) for number in range(20)])
    first = import_files(workspace, "interactions", [path], now=NOW)
    assert (counts(first), first.version, first.rejects_file) == ((20, 20, 0, 0, 0), 0, None)
    stored = history(workspace).read("interactions")
    second = import_files(workspace, "interactions", [path], now=NOW)
    assert (counts(second), second.version) == ((20, 0, 20, 0, 0), 0)
    assert history(workspace).read("interactions") == stored


def test_new_rows_are_added_as_one_version_and_the_first_of_equal_keys_stays(workspace, tmp_path):
    import_files(workspace, "interactions", [write_csv(tmp_path / "a.csv", [interaction(1), interaction(2)])], now=NOW)
    rows = [interaction(2, value="9"), interaction(3, value="1"), interaction(3, value="2")]
    summary = import_files(workspace, "interactions", [write_csv(tmp_path / "b.csv", rows)], now=NOW)
    assert (counts(summary), summary.version) == ((3, 1, 2, 0, 0), 1)
    stored = history(workspace).read("interactions").select(["interaction_id", "value"]).to_pylist()
    assert {row["interaction_id"]: row["value"] for row in stored} == {"i1": 5.0, "i2": 5.0, "i3": 1.0}


def test_an_id_that_is_another_interaction_s_is_refused_and_listed(workspace, tmp_path):
    first = write_csv(tmp_path / "van.csv", [interaction(number, source_id="van") for number in range(1, 6)])
    assert counts(import_files(workspace, "interactions", [first], now=NOW)) == (5, 5, 0, 0, 0)
    others = [
        interaction(1, source_id="shop"),
        interaction(9, kind="gfit", source_id="shop"),
        interaction(2, source_id="van"),
        interaction(3, person_id="van:99", source_id="van"),
        interaction(4, occurred_at="2025-02-01T00:00:00Z", source_id="van"),
        interaction(5, value="7", topic="climate", source_id="van"),
        interaction(7, source_id="shop"),
        interaction(7, source_id="shop"),
        interaction(7, source_id="Jan Peeters"),
        interaction(8, source_id="Jan Peeters"),
    ]
    more = write_csv(tmp_path / "shop.csv", [interaction(8, source_id="shop")])
    summary = import_files(workspace, "interactions", [write_csv(tmp_path / "others.csv", others), more], now=NOW)
    assert counts(summary) == (11, 2, 3, 0, 6)
    hint = "its source, person or time differ. Where each source counts from 1, give its ids a prefix"
    told = [(Path(row["file"]).name, row["line"], row["reason"].removesuffix(hint)) for row in rejects(summary) if row["column"] == "interaction_id"]
    assert told == [
        ("others.csv", "2", "is already the id of another interaction, of source 'van': "),
        ("others.csv", "5", "is already the id of another interaction, of source 'van': "),
        ("others.csv", "6", "is already the id of another interaction, of source 'van': "),
        ("others.csv", "10", "is already the id of another interaction, of source 'shop': "),
        ("shop.csv", "2", "is already the id of another interaction: "),
    ], "a source that looks like no id is not repeated"
    assert sorted(history(workspace).read("interactions").column("interaction_id").to_pylist()) == [f"i{number}" for number in (1, 2, 3, 4, 5, 7, 8)]
    again = import_files(workspace, "interactions", [tmp_path / "others.csv", more], now=NOW)
    assert (counts(again), again.version) == ((11, 0, 5, 0, 6), summary.version)


@pytest.mark.parametrize("seed", range(6))
def test_clashes_are_those_of_plain_counting(workspace, tmp_path, seed):
    random = np.random.default_rng(seed)
    rows = [
        interaction(
            int(random.integers(1, 12)), source_id=f"s{random.integers(2)}", person_id=f"van:{random.integers(2)}", kind=str(random.choice(["gift", "?"]))
        )
        for _ in range(40)
    ]
    known, wanted = {}, []
    for begin in (0, 15, 30):
        part, clashes, stored, bad = rows[begin : begin + 15], [], 0, 0
        path = write_csv(tmp_path / f"{begin}.csv", part)
        good = [(line, row) for line, row in enumerate(part, 2) if row["kind"] != "?"]
        bad = len(part) - len(good)
        for line, row in sorted(good, key=lambda one: one[1]["interaction_id"] not in known):
            same = (row["source_id"], row["person_id"])
            if row["interaction_id"] not in known:
                known[row["interaction_id"]], stored = same, stored + 1
            elif known[row["interaction_id"]] != same:
                clashes.append(line)
        wanted.append((len(part), stored, len(good) - stored - len(clashes), 0, bad + len(clashes)))
        summary = import_files(workspace, "interactions", [path], now=NOW)
        assert counts(summary) == wanted[-1]
        listed = [int(row["line"]) for row in rejects(summary) if row["column"] == "interaction_id"] if summary.rejects_file else []
        assert sorted(listed) == sorted(clashes)


def test_people_are_replaced_and_the_last_of_equal_keys_wins(workspace, tmp_path):
    import_files(workspace, "people", [write_csv(tmp_path / "a.csv", [person(1), person(2), person(3)])], now=NOW)
    rows = [person(1), person(2, status="contact"), person(2, status="former_member"), person(4)]
    summary = import_files(workspace, "people", [write_csv(tmp_path / "b.csv", rows)], now=NOW)
    assert (counts(summary), summary.version) == ((4, 1, 2, 1, 0), 1)
    stored = {row["person_id"]: row["status"] for row in history(workspace).read("people").to_pylist()}
    assert stored == {"van:1": "member", "van:2": "former_member", "van:3": "member", "van:4": "member"}
    again = import_files(workspace, "people", [tmp_path / "b.csv"], now=NOW)
    assert (counts(again), again.version) == ((4, 0, 4, 0, 0), 1), "the last row of b.csv is what is stored"


def test_stored_rows_are_sorted_by_person_and_time(workspace, tmp_path):
    import_files(workspace, "interactions", [write_csv(tmp_path / "a.csv", [interaction(number) for number in (5, 3, 12, 8, 1)])], now=NOW)
    rows = history(workspace).read("interactions").to_pylist()
    assert [(row["person_id"], row["occurred_at"]) for row in rows] == sorted((row["person_id"], row["occurred_at"]) for row in rows)


def test_bad_rows_are_listed_by_place_and_reason_only(workspace, tmp_path):
    rows = [interaction(1), interaction(2, kind="gfit"), interaction(3, person_id="Jan Peeters"), interaction(4, value="NaN", channel="?")]
    path = write_csv(tmp_path / "a.csv", rows)
    with path.open("a", encoding="utf-8") as file:
        file.write("a,b\n")
    summary = import_files(workspace, "interactions", [path], now=NOW)
    assert counts(summary) == (5, 1, 0, 0, 4)
    assert summary.rejects_file.parent == workspace.rejects
    listed = rejects(summary)
    assert [(row["file"], row["line"], row["column"]) for row in listed] == [
        (str(path), "3", "kind"),
        (str(path), "4", "person_id"),
        (str(path), "5", "channel"),
        (str(path), "5", "value"),
        (str(path), "6", ""),
    ]
    assert list(listed[0]) == ["file", "line", "column", "reason"]
    assert "Peeters" not in summary.rejects_file.read_text(encoding="utf-8")
    assert str(summary).splitlines() == [
        "5 rows read: 1 stored, 0 duplicate, 0 updated, 4 rejected; the table is at version 0",
        f"why rows were rejected: {summary.rejects_file}",
        "1 rows of a source that is not in the table sources (s): import sources, or see why one was refused",
    ]


def test_a_file_whose_name_is_not_in_utf_8_is_refused_before_anything_is_read(workspace, tmp_path):
    good, bad = write_csv(tmp_path / "a.csv", [interaction(1)]), tmp_path / os.fsdecode(b"caf\xe9.csv")
    bad.write_bytes(good.read_bytes())
    with pytest.raises(ImportFault, match=r"caf\\xe9.csv: has a name, or lies in a folder with a name, that is not in UTF-8: rename it") as told:
        import_files(workspace, "interactions", [good, bad], now=NOW)
    str(told.value).encode("utf-8")
    assert history(workspace).version("interactions") == -1


def test_two_imports_at_one_moment_keep_both_rejects(workspace, tmp_path):
    path = write_csv(tmp_path / "a.csv", [interaction(1, kind="?")])
    files = {import_files(workspace, "interactions", [path], now=NOW).rejects_file for _ in range(3)}
    assert len(files) == 3
    assert all(file.exists() for file in files)


def test_only_bad_rows_store_nothing_and_make_no_version(workspace, tmp_path):
    summary = import_files(workspace, "interactions", [write_csv(tmp_path / "a.csv", [interaction(1, kind="?")])], now=NOW)
    assert (counts(summary), summary.version) == ((1, 0, 0, 0, 1), -1)
    assert history(workspace).read("interactions").num_rows == 0


@pytest.mark.parametrize("begin", ["", "\ufeff", "\n\n"], ids=["plain", "byte order mark", "blank lines"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=["no line feed", "LF", "CRLF"])
def test_one_row_is_a_table_however_its_line_ends(workspace, begin, end):
    row = interaction(1)
    (workspace.root / "a.csv").write_bytes(f"{begin}{','.join(row)}{end or chr(10)}{','.join(row.values())}{end}".encode())
    assert counts(import_files(workspace, "interactions", [workspace.root / "a.csv"], now=NOW)) == (1, 1, 0, 0, 0)


def test_all_headers_are_looked_at_before_anything_is_stored(workspace, tmp_path):
    good = write_csv(tmp_path / "a.csv", [interaction(1, kind="?")])
    (tmp_path / "d.csv").write_text(",".join(interaction(1)), encoding="utf-8")
    files = [good, write_csv(tmp_path / "b.csv", [{"interaction_id": "x"}]), tmp_path / "c.csv", tmp_path / "d.csv"]
    with pytest.raises(ImportFault) as raised:
        import_files(workspace, "interactions", files, now=NOW)
    assert "b.csv: the columns do not fit" in str(raised.value)
    assert "c.csv: does not exist" in str(raised.value)
    assert "d.csv: has a header and no rows" in str(raised.value)
    assert history(workspace).version("interactions") == -1
    assert not workspace.rejects.exists()


def test_a_fault_far_into_a_file_leaves_the_table_as_it_was(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(source_module, "BLOCK", 1 << 16)
    rows = "".join(json.dumps(interaction(number)) + "\n" for number in range(5_000))
    (tmp_path / "cut.gz").write_bytes(gzip.compress((json.dumps(interaction(0, kind="?")) + "\n" + rows).encode(), mtime=0)[:-50])
    with pytest.raises(ImportFault, match="cut off"):
        import_files(workspace, "interactions", [tmp_path / "cut.gz"], now=NOW)
    assert history(workspace).version("interactions") == -1
    assert list(workspace.rejects.iterdir()) == [], "no report of an import that did not happen"


@pytest.mark.parametrize(("table", "paths", "words"), [("interaction", ["x"], "Did you mean 'interactions'"), ("people", [], "no file")])
def test_what_was_asked_is_checked(workspace, table, paths, words):
    with pytest.raises(ImportFault, match=words):
        import_files(workspace, table, paths, now=NOW)


def test_progress_rises_to_one_and_says_how_many_rows(workspace, tmp_path):
    files = [write_csv(tmp_path / f"{part}.csv", [interaction(number) for number in range(part * 50, part * 50 + 50)]) for part in range(3)]
    told = []
    import_files(workspace, "interactions", files, now=NOW, progress=lambda stage, share: told.append((stage, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert [stage for stage, _ in told][:3] == ["reading 50 rows", "reading 100 rows", "reading 150 rows"]


def test_many_ranges_give_the_same_table_as_one(workspace, tmp_path, monkeypatch):
    rows = [interaction(number) for number in range(300)]
    path = write_csv(tmp_path / "a.csv", rows)
    monkeypatch.setattr(staging_module, "ROWS_PER_FILE", 90)
    import_files(workspace, "interactions", [path], now=NOW)
    stored = history(workspace)
    assert len(stored.files("interactions")) > 2
    table = stored.read("interactions")
    assert table.column("interaction_id").to_pylist() == [row["interaction_id"] for row in sorted(rows, key=lambda row: (row["person_id"], row["occurred_at"]))]


# laws, over any valid rows


_ids = st.integers(0, 8)
_words = st.text(st.characters(exclude_categories=("C",)), min_size=1, max_size=6)
_rows = st.lists(
    st.fixed_dictionaries(
        {
            "interaction_id": _ids.map(lambda number: f"i{number}"),
            "person_id": st.builds(lambda system, number: f"{system}:{number}", st.sampled_from(["van", "nb"]), st.integers(0, 3)),
            "occurred_at": st.datetimes(datetime(1990, 1, 1), datetime(2025, 5, 31)).map(lambda moment: moment.replace(tzinfo=UTC)),  # noqa: DTZ001
            "kind": st.sampled_from(["gift", "letter_sent", "letter_open"]),
            "channel": st.sampled_from(["door", "email"]),
            "topic": st.sampled_from([None, "housing", "climate"]),
            "value": st.one_of(st.none(), st.floats(-(2**32), 2**32)),
            "source_id": _words,
            "collected_how": st.sampled_from(["public", "observed"]),
            "is_machine": st.booleans(),
        }
    ),
    min_size=1,
    max_size=8,
)
QUICK = settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture
def fresh(tmp_path_factory, workspace):
    """Return an empty workspace of the same words, each time it is asked."""

    def make():
        root = tmp_path_factory.mktemp("fresh")
        (root / "audience.toml").write_bytes((workspace.root / "audience.toml").read_bytes())
        return Workspace.open(root)

    return make


@QUICK
@given(rows=_rows)
def test_every_format_gives_the_same_table(fresh, rows):
    tables, summaries = [], []
    for write in (_as_csv, _as_ndjson, _as_parquet):
        workspace = fresh()
        summary = import_files(workspace, "interactions", [write(workspace.root / "rows", rows)], now=NOW)
        summaries.append(counts(summary))
        tables.append(history(workspace).read("interactions"))
    assert tables[0] == tables[1] == tables[2]
    firsts = {}
    for row in rows:
        firsts.setdefault(row["interaction_id"], row)
    clashes = sum(any(row[name] != firsts[row["interaction_id"]][name] for name in TABLES["interactions"].same) for row in rows)
    assert summaries[0] == summaries[1] == summaries[2] == (len(rows), len(firsts), len(rows) - len(firsts) - clashes, 0, clashes)
    assert {row["interaction_id"]: {name: row[name] for name in FIELDS} for row in tables[0].to_pylist()} == firsts


@QUICK
@given(rows=_rows, order=st.permutations(range(3)))
def test_the_order_of_files_does_not_change_what_is_stored(fresh, rows, order):
    unique = list({row["interaction_id"]: row for row in rows}.values())
    parts = [unique[0::3] + unique[:1], unique[1::3] + unique[:1], unique[2::3] + unique[:1]]
    tables = []
    for numbers in (range(3), order):
        workspace = fresh()
        files = [_as_csv(workspace.root / f"{number}", parts[number]) for number in numbers]
        import_files(workspace, "interactions", files, now=NOW)
        tables.append(history(workspace).read("interactions"))
    assert tables[0] == tables[1]


def _as_csv(path, rows):
    return write_csv(path, [{**row, "occurred_at": row["occurred_at"].isoformat(), "is_machine": str(row["is_machine"]).lower()} for row in rows])


def _as_ndjson(path, rows):
    path.write_text("".join(json.dumps({**row, "occurred_at": row["occurred_at"].isoformat()}) + "\n" for row in rows), encoding="utf-8")
    return path


def _as_parquet(path, rows):
    words = Workspace.open(path.parent).vocabulary
    schema = arrow_schema(TABLES["interactions"], words)
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema([schema.field(name) for name in FIELDS])), path)
    return path


# killed, and several at once

CHILD = """
import sys, time
from datetime import UTC, datetime
import features.history as history
from features.imports import import_files
from features.workspace import Workspace

root, path, where = sys.argv[1:]

def stop(*_, **__):
    print("here", flush=True)
    time.sleep(600)

def progress(stage, share):
    if where == "reading" and stage.startswith("reading") or where == "sorted" and share == 1.0:
        stop()

if where == "moved":
    history.CommitProperties = stop
import_files(Workspace.open(root), "interactions", [path], now=datetime(2025, 6, 1, tzinfo=UTC), progress=progress)
"""


def start(workspace, path, where):
    command = [sys.executable, "-c", CHILD, str(workspace.root), str(path), where]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"here\n"
    return child


def kill(child):
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()


@pytest.mark.parametrize("where", ["reading", "sorted", "moved"])
def test_a_killed_import_leaves_the_table_as_it_was(workspace, tmp_path, where):
    import_files(workspace, "interactions", [write_csv(tmp_path / "a.csv", [interaction(number) for number in range(5)])], now=NOW)
    stored = history(workspace)
    before, files = stored.read("interactions"), stored.files("interactions")
    path = write_csv(tmp_path / "b.csv", [interaction(number, kind="gift" if number else "?") for number in range(30)])
    child = start(workspace, path, where)
    try:
        with pytest.raises(HistoryError, match="another import or deletion is writing interactions"):
            import_files(workspace, "interactions", [path], now=NOW)
    finally:
        kill(child)
    assert (stored.version("interactions"), stored.files("interactions")) == (0, files)
    assert stored.read("interactions") == before
    summary = import_files(workspace, "interactions", [path], now=NOW)
    assert (counts(summary), summary.version) == ((30, 25, 4, 0, 1), 1)
    assert sorted(folder.name for folder in (workspace.tables / "interactions").glob("v*")) == ["v00000000", "v00000001"]
    assert not list((workspace.tables / ".staging").iterdir()), "what the killed import left is swept"
    assert not list(workspace.rejects.glob(".*"))


def test_imports_at_once_neither_lose_nor_double(workspace, tmp_path):
    files = [write_csv(tmp_path / f"{part}.csv", [interaction(number) for number in range(part * 10, part * 10 + 20)]) for part in range(4)]

    def until_done(path):
        while True:
            try:
                return import_files(workspace, "interactions", [path], now=NOW)
            except HistoryError:
                continue

    with ThreadPoolExecutor(4) as pool:
        summaries = list(pool.map(until_done, files))
    ids = history(workspace).read("interactions").column("interaction_id").to_pylist()
    assert Counter(ids) == Counter({f"i{number}": 1 for number in range(50)})
    assert sum(summary.stored for summary in summaries) == 50
    assert history(workspace).version("interactions") <= 3, "an import that finds nothing new makes no version"


@pytest.mark.parametrize("absurd", ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00", "99999-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_an_absurd_date_beside_an_unreadable_one_costs_two_rows(workspace, tmp_path, absurd):
    head = "interaction_id,person_id,occurred_at,kind,channel,source_id,collected_how"
    kind = next(kind.id for kind in workspace.vocabulary.kinds)
    channel = workspace.vocabulary.channels[0].id
    times = ("2024-05-01T12:00:00Z", absurd, "yesterday")
    rows = [f"i{number},a:{number},{time},{kind},{channel},s,observed" for number, time in enumerate(times)]
    (tmp_path / "dates.csv").write_text("\n".join([head, *rows]) + "\n")
    summary = import_files(workspace, "interactions", [tmp_path / "dates.csv"], now=datetime(2026, 1, 1, tzinfo=UTC))
    assert (summary.read, summary.stored, summary.rejected) == (3, 1, 2)


def test_folders_above_the_workspace_say_nothing_of_its_rows(workspace):
    """As in a lake where folders are named `topic=climate`: that is no column of what lies in them."""
    root = workspace.root / "topic=climate" / "party=green"
    root.mkdir(parents=True)
    (root / "audience.toml").write_bytes((workspace.root / "audience.toml").read_bytes())
    inside = Workspace.open(root)
    path = write_csv(workspace.root / "rows.csv", [interaction(number) for number in range(14)])
    import_files(inside, "interactions", [path], now=NOW)
    history = History(inside.tables, inside.vocabulary)
    history.delete_people(["van:1"])
    assert history.read("interactions").column("topic").to_pylist() == ["housing"] * 12
    assert {tuple(pq.read_schema(path).names) for path in history.files("interactions")} == {tuple(column.name for column in TABLES["interactions"].columns)}


@pytest.mark.parametrize(("other", "mine"), [("a1", "a?"), ("a1", "a*"), ("a1", "a[1]")])
def test_a_folder_s_name_is_no_pattern(workspace, other, mine):
    """Rows of a neighbour would be counted, and an erasure would write them among one's own."""
    path = write_csv(workspace.root / "rows.csv", [interaction(number) for number in range(14)])
    for name in (other, mine):
        (workspace.root / name).mkdir()
        (workspace.root / name / "audience.toml").write_bytes((workspace.root / "audience.toml").read_bytes())
        opened = Workspace.open(workspace.root / name)
        import_files(opened, "interactions", [path], now=NOW)
    with Engine() as engine:
        engine.files("found", history(opened).files("interactions"), {"person_id": ("person_id", "VARCHAR")})
        assert len(engine.table("FROM found")) == 14
    assert history(opened).delete_people(["van:1"])["interactions"] == 2
    assert history(opened).read("interactions").num_rows == 12


def test_consents_come_in_one_import_at_a_time(workspace, monkeypatch):
    """Two would write one file of rejects; the first ended with an error, and its rejects were gone."""
    said = {"person_id": "van:1", "event": "given", "purpose": "any", "channel": "any", "at": "2025-01-01T00:00:00Z"}
    path = write_csv(workspace.root / "consents.csv", [said, said | {"person_id": "nobody"}])
    checked, refused = imports_module._Reading._checked, []

    def meanwhile(*words):
        if not refused:
            with pytest.raises(HistoryError, match="another import or deletion is writing consents") as caught:
                import_files(workspace, "consents", [path], now=NOW)
            refused.append(caught)
        return checked(*words)

    monkeypatch.setattr(imports_module._Reading, "_checked", meanwhile)
    done = import_files(workspace, "consents", [path], now=NOW)
    assert (done.stored, done.rejected, len(refused)) == (1, 1, 1)
    assert "system:id" in done.rejects_file.read_text()
