"""A purge takes what is past its limit, and nothing else: counts first, then rows of every version, people and vectors, with a signed report."""

import json
import random
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from typer.testing import CliRunner

import audience
from features import erasure, published
from features.database.schema import LAST_HEARD
from features.database.store import Store
from features.history import History, HistoryError
from features.own_rows import build_both
from features.permission import purging
from features.permission.ledger import Event, Ledger
from features.permission.places import place_of
from features.permission.purging import past, purge
from features.permission.recipients import tell, waiting
from features.permission.signing import check
from features.publication import open_current
from features.tables import TABLES, arrow_schema
from features.workspace import Workspace
from tests.features import test_recipients as queueing
from tests.features.conftest import TOML

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LIMITS = "\n[retention]\ninactive_days = 1000\nkinds = { gift = 400 }\nsource_types = { event = 300 }\ninteractions = 900\n"
SOURCES = {"form": ("membership", "from_person", None), "fair": ("event", "observed", None), "roll": ("voter_roll", "third_party", NOW - DAY)}


def put(workspace, table, rows):
    schema = arrow_schema(TABLES[table], workspace.vocabulary)
    arrays = [pa.array([row.get(field.name) for row in rows], type=field.type) for field in schema]
    History(workspace.tables, workspace.vocabulary).append(table, iter([pa.record_batch(arrays, schema=schema)]))


def did(number, person, days, kind="letter_open", source="form", **more):
    at = NOW - days * DAY
    row = {"interaction_id": f"i{number}", "person_id": person, "occurred_at": at, "received_at": at, "kind": kind, "channel": "door", "direction": "in"}
    return row | {"source_id": source, "collected_how": SOURCES[source][1], "is_machine": False} | more


def known(person, joined, status="contact", source="form"):
    return {"person_id": person, "status": status, "source_id": source, "joined_at": None if joined is None else NOW - joined * DAY}


@pytest.fixture
def kept(tmp_path):
    """A workspace in which every reason holds for something, and everything that must stay is beside it."""
    (tmp_path / "audience.toml").write_text(TOML + LIMITS, encoding="utf-8")
    workspace = Workspace.open(tmp_path)
    told = {"collected_at": NOW - 2000 * DAY, "political_purpose_stated": False, "supports_sponsor": False}
    put(workspace, "sources", [told | dict(zip(("type", "collected_how", "expires_at"), row, strict=True), source_id=one) for one, row in SOURCES.items()])
    rows = [
        did(0, "live:1", 3),
        did(1, "live:1", 400, "gift"),
        did(2, "live:1", 300, source="fair"),
        did(3, "live:1", 900),
        did(4, "live:1", 10, source="roll"),
    ]
    rows += [did(5, "live:1", 399, "gift"), did(6, "live:1", 299, source="fair"), did(7, "live:1", 899)]
    rows += [did(8, "gone:1", 1000, "gift"), did(9, "told:1", 5, "letter_sent", direction="out"), did(10, "told:1", 1500, is_machine=True)]
    rows += [did(11, "spoke:1", 1100), did(12, "roll:2", 5), did(13, "roll:1", 950), did(14, "member:1", 1800)]
    put(workspace, "interactions", rows[:8])
    put(workspace, "interactions", rows[8:])
    people = [known("live:1", 2000), known("gone:1", 2000), known("told:1", 2000), known("spoke:1", 2000), known("member:1", 2000, "member")]
    people += [known("new:1", 999), known("silent:1", 1000), known("undated:1", None), known("roll:1", 20, source="roll"), known("roll:2", 20, source="roll")]
    put(workspace, "people", people)
    put(workspace, "assignments", [{"experiment_id": "mailing", "person_id": one, "arm": "control", "probability": 0.5, "assigned_at": NOW - 1200 * DAY}
                                   for one in ("gone:1", "live:1")])  # fmt: skip
    put(workspace, "outcomes", [{"experiment_id": "mailing", "person_id": "gone:1", "outcome": "voted", "value": 1.0, "measured_at": NOW - 1100 * DAY}])
    with closing(Store(workspace.database_url)) as store:
        at = NOW - 10 * DAY
        Ledger(store, workspace.signing_key()).append([Event("spoke:1", "objected", "any", "any", at)], now=at, door="command")
        yield workspace, store


def ids(workspace, table, column="person_id"):
    return sorted(History(workspace.tables, workspace.vocabulary).read(table).column(column).to_pylist())


ROWS = {
    ("interactions", "gift", "membership", "kind"): 2,
    ("interactions", "letter_open", "event", "source_type"): 1,
    ("interactions", "letter_open", "membership", "interactions"): 5,
    ("interactions", "letter_open", "voter_roll", "source_expired"): 1,
    ("interactions", "letter_sent", "membership", "person_inactive"): 1,
    ("people", "", "membership", "person_inactive"): 3,
    ("people", "", "voter_roll", "source_expired"): 2,
    ("assignments", "", "", "person_inactive"): 1,
    ("outcomes", "", "", "person_inactive"): 1,
}


def test_what_is_past_its_limit_is_told_and_nothing_is_deleted(kept):
    workspace, store = kept
    before = ids(workspace, "interactions", "interaction_id")
    found = past(workspace, store, NOW)
    assert found.rows == ROWS
    assert found.people == {"person_inactive": 3, "person_source_expired": 1, "person_rows_ended": 0}
    assert (found.members, found.undated) == (1, 1)
    assert ids(workspace, "interactions", "interaction_id") == before
    assert not (workspace.root / "purges").exists()


def test_a_purge_leaves_what_is_within_its_limit_and_nothing_else(kept):
    workspace, store = kept
    history = History(workspace.tables, workspace.vocabulary)
    build_both(history, workspace, NOW - DAY)
    done, report = purge(workspace, store, NOW)
    assert done.rows == ROWS
    assert ids(workspace, "interactions", "interaction_id") == sorted(["i0", "i5", "i6", "i7", "i12"])
    assert ids(workspace, "people") == ["live:1", "member:1", "new:1", "spoke:1", "undated:1"]
    assert (ids(workspace, "assignments"), ids(workspace, "outcomes")) == (["live:1"], [])
    assert History(workspace.tables, workspace.vocabulary).files("interactions", 0), "versions of before stay readable, without what went"
    everything = [path for path in workspace.root.rglob("*") if path.is_file() and not path.name.startswith("audience.")]
    for gone in (b"gone:1", b"silent:1", b"told:1", b"roll:1"):
        assert not [path for path in everything if gone in path.read_bytes()]
    assert len(list(workspace.vectors.glob("v*"))) == 1
    assert open_current(workspace.vectors).person_ids.to_pylist() == ["live:1", "member:1", "new:1", "roll:2", "spoke:1", "undated:1"]
    assert not (workspace.own_vectors / "CURRENT").exists(), "nothing from elsewhere is stored any more"
    said = json.loads(report.read_text())
    check(said, workspace.signing_key())
    assert said["removed"] == {"interactions": 10, "people": 5, "assignments": 1, "outcomes": 1}
    assert sum(record["rows"] for record in said["rows"]) == 17
    assert not any(word in report.read_text() for word in (":1", ":2"))
    assert place_of(report.relative_to(workspace.root).as_posix()).name == "purges"
    again, _ = purge(workspace, store, NOW)
    assert (again.rows, again.people["person_inactive"]) == ({}, 0)


def test_a_purge_that_died_is_finished_by_the_next(kept, monkeypatch):
    workspace, store = kept
    build_both(History(workspace.tables, workspace.vocabulary), workspace, NOW - DAY)
    stop = published.put

    def die(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(published, "put", die)
    with pytest.raises(KeyboardInterrupt):
        purge(workspace, store, NOW)
    monkeypatch.setattr(published, "put", stop)
    assert past(workspace, store, NOW).rows == {}
    purge(workspace, store, NOW)
    assert open_current(workspace.vectors).person_ids.to_pylist() == ["live:1", "member:1", "new:1", "roll:2", "spoke:1", "undated:1"]


def test_whoever_was_purged_may_come_in_again_and_an_objection_stands(kept):
    workspace, store = kept
    purge(workspace, store, NOW)
    put(workspace, "people", [known("gone:1", 0)])
    assert "gone:1" in ids(workspace, "people")
    assert past(workspace, store, NOW + 1001 * DAY).people["person_inactive"] >= 2
    purge(workspace, store, NOW + 1001 * DAY)
    assert "spoke:1" not in ids(workspace, "people")
    ledger = Ledger(store, workspace.signing_key())
    assert ledger.last() == 1, "an objection is kept of somebody of whom nothing else is"


def test_the_command_tells_counts_and_deletes_only_when_it_is_told_to(kept):
    workspace, _ = kept
    path = workspace.root / "audience.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("event = 300", "event = 300, fare = 30"), encoding="utf-8")
    first = CliRunner().invoke(audience.app, ["purge", "--workspace", str(workspace.root)])
    assert first.exit_code == 0, first.output
    assert "nothing was deleted: `audience purge --apply`" in first.stdout
    assert "no stored source is of the type fare (there: event, membership, voter_roll)" in first.stderr
    assert not (workspace.root / "purges").exists()
    second = CliRunner().invoke(audience.app, ["purge", "--apply", "--workspace", str(workspace.root)])
    assert second.exit_code == 0, second.output
    (report,) = (workspace.root / "purges").iterdir()
    assert report.name in second.stdout
    assert not any(f"{name}:1" in first.stdout + second.stdout for name in ("live", "gone", "told", "roll"))


def test_an_empty_workspace_has_nothing_past_its_limit(workspace):
    with closing(Store(workspace.database_url)) as store:
        assert past(workspace, store, NOW).rows == {}
        _, report = purge(workspace, store, NOW)
        assert json.loads(report.read_text())["vectors_built"] is False


@pytest.mark.parametrize("steps", [3, 4])
def test_a_purge_that_is_killed_between_two_tables_does_the_rest_when_it_is_done_again(kept, monkeypatch, steps):
    """Also of those who have no `joined_at`, and of those whose last sign would be younger without their row of `people`; who stays keeps their last sign."""
    workspace, store = kept
    put(workspace, "people", [known("gave:1", 1500)])
    put(workspace, "interactions", [did(23, "gave:1", 500, "gift")])
    put(workspace, "people", [known("only:1", None), known("only:2", None), known("drawn:1", None), known("sent:1", 1500)])
    put(workspace, "interactions", [did(20, "only:1", 1200), did(21, "only:2", 1200), did(22, "sent:1", 30, "letter_sent", direction="out")])
    drawn = {"experiment_id": "mailing", "arm": "control", "probability": 0.5, "assigned_at": NOW - 1200 * DAY}
    measured = {"experiment_id": "mailing", "outcome": "voted", "value": 1.0, "measured_at": NOW - 1100 * DAY}
    some = ("only:1", "drawn:1", "sent:1", "roll:1")
    put(workspace, "assignments", [drawn | {"person_id": one} for one in some])
    put(workspace, "outcomes", [measured | {"person_id": one} for one in some])
    strike, done = erasure._strike_from, []

    def killed(*words):
        if len(done) == steps:
            raise KeyboardInterrupt
        done.append(words[1])
        return strike(*words)

    monkeypatch.setattr(erasure, "_strike_from", killed)
    with pytest.raises(KeyboardInterrupt):
        purge(workspace, store, NOW)
    monkeypatch.undo()
    purge(workspace, store, NOW)
    assert ids(workspace, "people") == ["gave:1", "live:1", "member:1", "new:1", "spoke:1", "undated:1"]
    assert (
        past(workspace, store, NOW + 500 * DAY - timedelta(microseconds=1)).people["person_inactive"] + 1
        == past(workspace, store, NOW + 500 * DAY).people["person_inactive"]
    )
    assert (ids(workspace, "assignments"), ids(workspace, "outcomes")) == (["live:1"], [])
    assert sorted(set(ids(workspace, "interactions"))) == ["live:1", "roll:2"]


def written(store):
    """Return how many days ago those were heard of whose last sign is written down."""
    with store.read() as connection:
        return sorted(((NOW - row.heard_at) / DAY for row in connection.execute(LAST_HEARD.select())), reverse=True)


def test_people_go_when_nothing_was_heard_of_them_for_so_long_whatever_rows_went_before(tmp_path):
    """In a workspace with limits of rows and in one without the same people go at each purge."""
    drawn, people, rows = random.Random(7), [], []
    for number in range(40):
        people.append(known(f"van:{number}", drawn.choice([None, drawn.randrange(2000)]), source=drawn.choice(["form", "fair"])))
        for sign in range(drawn.randrange(4)):
            more = drawn.choice([{}, {}, {"direction": "out", "kind": "letter_sent"}, {"is_machine": True}])
            rows.append(did(f"{number}-{sign}", f"van:{number}", drawn.randrange(1200), source=drawn.choice(["form", "fair"]), **more))
    told = {"collected_at": NOW - 2000 * DAY, "political_purpose_stated": False, "supports_sponsor": False}
    sources = [told | {"source_id": one, "type": kind, "collected_how": how} for one, (kind, how, _) in SOURCES.items()]
    made = []
    for name, limits in (("limits", LIMITS), ("none", "\n[retention]\ninactive_days = 1000\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "audience.toml").write_text(TOML + limits, encoding="utf-8")
        workspace = Workspace.open(tmp_path / name)
        for table, listed in (("sources", sources), ("people", people), ("interactions", rows)):
            put(workspace, table, listed)
        made.append((workspace, Store(workspace.database_url)))
    left = []
    for days in (0, 221, 600):
        for workspace, store in made:
            if days == 221:
                put(workspace, "interactions", [did("back", ids(workspace, "people")[0], -200)])
            purge(workspace, store, NOW + days * DAY)
        with_limits, without = (ids(workspace, "people") for workspace, _ in made)
        assert with_limits == without, days
        left.append(len(without))
        rows_left = [len(ids(workspace, "interactions")) for workspace, _ in made]
        assert days or rows_left[0] < rows_left[1], "rows go earlier where they have limits"
    assert left == sorted(set(left), reverse=True), "each time somebody goes"
    for _, store in made:
        store.close()


def test_the_last_sign_of_life_is_written_down_goes_with_the_person_and_is_counted_to_the_moment(kept):
    workspace, store = kept
    put(workspace, "people", [known("gave:1", 1500), known("nodate:1", None), known("erased:1", 1500)])
    put(workspace, "interactions", [did(30, "gave:1", 500, "gift"), did(31, "nodate:1", 600, "gift"), did(32, "erased:1", 450, "gift")])
    found, report = purge(workspace, store, NOW)
    assert found.heard.num_rows == json.loads(report.read_text())["last_signs_kept"] == len(written(store))
    assert written(store) == [1800, 1100, 600, 500, 450], "a member's and that of somebody who spoke, too"
    with store.write(serial=True) as connection:
        Ledger(store, workspace.signing_key()).erase(connection, "erased:1", now=NOW, door="command")
    assert written(store) == [1800, 1100, 600, 500]
    for person, days in (("nodate:1", 400), ("gave:1", 500)):
        purge(workspace, store, NOW + days * DAY - timedelta(microseconds=1))
        assert person in ids(workspace, "people")
        purge(workspace, store, NOW + days * DAY)
        assert person not in ids(workspace, "people")
    assert written(store) == [1800, 1100]


def test_nobody_writes_the_tables_between_the_look_and_the_last_row_that_is_deleted(kept, monkeypatch):
    workspace, store = kept
    strike, refused = erasure._strike_from, []

    def meanwhile(*words):
        with pytest.raises(HistoryError, match="another import or deletion"):
            put(workspace, "interactions", [did(30, "gone:1", 0)])
        refused.append(words[1])
        return strike(*words)

    monkeypatch.setattr(erasure, "_strike_from", meanwhile)
    purge(workspace, store, NOW)
    assert len(refused) == 5
    put(workspace, "interactions", [did(30, "gone:1", 0)])
    assert "gone:1" in ids(workspace, "interactions"), "it can be done afterwards, and stays"


def test_whoever_speaks_while_a_purge_looks_stays_and_where_that_goes_on_nothing_is_deleted(kept, monkeypatch):
    workspace, store = kept
    put(workspace, "people", [known("quiet:1", 1500)])
    ledger, speaking = Ledger(store, workspace.signing_key()), ["silent:1", "told:1"]

    def looked(*words):
        found = past(*words)
        if speaking:
            ledger.append([Event(speaking.pop(0), "given", "service", "any", NOW)], now=NOW, door="http")
        return found

    monkeypatch.setattr(purging, "past", looked)
    monkeypatch.setattr(purging, "_LOOKS", 2)
    before = ids(workspace, "interactions", "interaction_id")
    with pytest.raises(HistoryError, match="nothing was deleted; start it again"):
        purge(workspace, store, NOW)
    assert ids(workspace, "interactions", "interaction_id") == before
    speaking += ["gone:1", "live:1"]
    found, _ = purge(workspace, store, NOW)
    assert (found.people["person_inactive"], speaking) == (1, []), "what others say makes nobody look again"
    assert {"gone:1", "silent:1", "told:1"} < set(ids(workspace, "people"))
    assert (ids(workspace, "assignments"), ids(workspace, "outcomes")) == (["gone:1", "live:1"], ["gone:1"])
    assert "quiet:1" not in ids(workspace, "people")


def test_recipients_are_told_of_the_rows_of_whoever_goes_once_and_by_reference(kept, monkeypatch):
    workspace, store = kept
    monkeypatch.setattr(queueing, "SECRET", workspace.signing_key())
    put(workspace, "interactions", [did(30, "guest:1", 950), did(31, "guest:2", 20)])
    first = queueing.hand_out(store, ["gone:1", "live:1", "guest:1", "guest:2", "roll:2"], at=NOW - 2000 * DAY)
    second = queueing.hand_out(store, ["gone:1", "roll:1"], recipient="Mailer Y", at=NOW - 2000 * DAY)
    expected = {first["gone:1"], first["guest:1"], second["gone:1"], second["roll:1"]}
    assert past(workspace, store, NOW).to_tell == {"Mailer Y": 2, "Print shop X": 2}
    assert waiting(store) == [], "nobody is told of what is only looked at"
    vectors, late, told = purging._vectors, {}, []

    def handed_out_meanwhile(*words):
        told.append(len(waiting(store)))
        late.update(queueing.hand_out(store, ["silent:1"], at=NOW - 2000 * DAY))
        return vectors(*words)

    monkeypatch.setattr(purging, "_vectors", handed_out_meanwhile)
    done, report = purge(workspace, store, NOW)
    assert told == [len(expected)], "before a row is deleted, so that a purge that dies has told"
    assert done.people == {"person_inactive": 3, "person_source_expired": 1, "person_rows_ended": 1}
    assert json.loads(report.read_text())["to_tell"] == {"recipients": 2, "rows": 5}
    notices = waiting(store)
    assert {(notice.reference, notice.reason) for notice in notices} == {(row, "purged") for row in (*expected, late["silent:1"])}
    tell(store, notices, by="A. Name", now=NOW)
    put(workspace, "people", [known("gone:1", 1400)])
    purge(workspace, store, NOW)
    assert waiting(store) == [], "each row is told of once"
