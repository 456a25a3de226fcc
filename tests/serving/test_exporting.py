"""A file for a named recipient: who is in it may be in it when it is written down, and what is written down leads to nobody but by a token."""

import csv
import hashlib
import itertools
import json
import threading
from datetime import timedelta

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from features.database.schema import ANSWERS, DECISIONS, EXPORT_PEOPLE, EXPORTS
from features.database.store import Store
from features.permission.erasing import erase_people
from features.permission.ledger import Event, Ledger
from features.permission.notice import notice
from features.permission.reach import reached
from features.permission.recipients import letters, waiting
from features.permission.register import KINDS, Register
from features.permission.register_commands import summary
from features.permission.replaying import replay
from features.permission.use import Use
from features.publication import publish
from features.workspace import Workspace, WorkspaceError
from models import artefact
from serving import exporting
from serving.bulk import Scoring
from serving.chain_verification import verify_chain
from serving.commands import app
from serving.exporting import Asked, ExportError, export
from serving.problems import Problem
from serving.server import now
from serving.verification import verify
from tests.features import every_byte
from tests.serving.conftest import make_vectors
from tests.serving.members import DOORS, EXPLICIT, MEMBERS, PEOPLE, TODAY, copy_of, opened, stored
from tests.serving.ruled import DOORSTEP, PARTY, copy_ruled, erase, say

LEFT_OUT = {"band": "high", "exclude": True}


def asked(path, **changed):
    return Asked(**{"use": DOORS, "scores": ["affinity:housing"], "recipient": "Print shop X", "approver": "A. Name", "path": path} | changed)


def hand_out(server, path, *, chunk=300, progress=None, **changed):
    return export(server, server.reloader.current, asked(path, **changed), chunk=chunk, progress=progress)


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def people(path):
    return [row["person_id"] for row in rows(path)]


def nothing_was_handed_out(server, folder):
    return [list(folder.iterdir()), stored(server, EXPORTS), stored(server, EXPORT_PEOPLE), registered(server)] == [[], [], [], []]


def registered(server):
    return Register(server.store, server.key).entries("export")


@pytest.fixture
def folder(tmp_path):
    """Where files go that are outside of the workspace."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_the_file_holds_scores_and_references_and_the_record_tokens(server, made, folder):
    path = folder / "doors.csv"
    done = hand_out(server, path, scores=["affinity:housing", "affinity:transport"])
    found, expected = rows(path), made.affinity.predict_proba(made.vectors.frame())
    assert ([row["person_id"] for row in found], done.people, path.stat().st_mode & 0o777) == (PEOPLE, 600, 0o600)
    assert [float(row["affinity:transport"]) for row in found] == pytest.approx(expected[:, 1].tolist())
    assert all(float(row["affinity:housing low"]) <= float(row["affinity:housing high"]) for row in found)
    assert {row["affinity:housing band"] for row in found} == {"high", "medium", "low"}
    assert {(row["as_of"], row["valid_until"], row["affinity:housing model"]) for row in found} == {
        (f"{TODAY:%Y-%m-%d} 00:00:00.000000Z", f"{TODAY + timedelta(days=30):%Y-%m-%d} 00:00:00.000000Z", "affinity 1")
    }
    assert done.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    (head,) = stored(server, EXPORTS)
    assert (head["recipient"], head["approver"], head["people"], head["file_digest"], head["outside"]) == ("Print shop X", "A. Name", 600, done.digest, False)
    tokens = {row["reference"]: row["person"] for row in stored(server, EXPORT_PEOPLE)}
    assert {row["reference"]: server.audit.pseudonym(row["person_id"]) for row in found} == tokens
    assert len(set(tokens.values())) == 600
    assert [tokens[reference] for reference in sorted(tokens)] == sorted(tokens.values()), "written in order, in half the time"


def test_the_register_and_the_log_say_what_was_done_and_name_nobody(server, folder):
    done = hand_out(server, folder / "doors of van_0001.csv", top=60)
    (entry,) = registered(server)
    assert entry.body | {"period": None, "law": None, "tables": None, "models": None, "use": None} == {
        "export_id": done.export_id,
        "use": None,
        "scores": ["affinity:housing"],
        "models": None,
        "selection": {"by": "affinity:housing", "top": 60, "excluded": False},
        "people": 60,
        "recipient": "Print shop X",
        "outside": False,
        "approver": "A. Name",
        "file": {"sha256": done.digest, "name_sha256": hashlib.sha256(b"doors of van_0001.csv").hexdigest()},
        "law": None,
        "ledger": 0,
        "tables": None,
        "as_of": TODAY.isoformat(),
        "period": None,
    }
    assert (entry.body["use"], [model["name"] for model in entry.body["models"]]) == (DOORSTEP, ["affinity"])
    assert summary(entry.kind, entry.body) == "60 people to Print shop X: affinity:housing, approved by A. Name"
    assert entry.kind in KINDS
    answers = stored(server, ANSWERS)
    assert ({row["route"] for row in answers}, {row["activity"] for row in answers}, len(answers)) == ({"export"}, {"export"}, 3)
    assert verify(server.store, server.key, [], []).holds
    server.store.vacuum()
    held = b"".join(path.read_bytes() for path in server.workspace.root.glob("audience.db*"))
    assert b"van:00" not in held
    assert b"van_0001" not in held
    assert str(folder).encode() not in held


def test_a_file_for_online_targeting_is_in_the_register_as_targeting_too_and_its_people_are_in_the_notice(server, folder):
    online = Use(**DOORSTEP | {"channel_class": "online_targeted", "campaign_id": "housing"})
    register = Register(server.store, server.key)

    def of_exports():
        return [entry for entry in register.entries("targeting") if entry.body["activity"] == "export"]

    hand_out(server, folder / "doors.csv")
    assert of_exports() == [], "nobody is targeted online"
    done = hand_out(server, folder / "online.csv", use=online, top=70)
    (targeting,), handed = of_exports(), registered(server)[-1]
    assert (targeting.body["campaign"], targeting.body["use"]["purpose"], targeting.body["groups"]["scores"]) == (
        "housing", "campaign_messages", ["affinity:housing"],
    )  # fmt: skip
    assert (handed.body["export_id"], handed.body["people"], handed.body["use"]) == (done.export_id, 70, online.model_dump(exclude_none=True))
    assert targeting.seq < handed.seq, "it was there before the file"
    told = notice("housing", [targeting], reached(server.store, "housing"), server.permission.settings, made_at=now())
    (reach,) = told["reach"]
    assert (reach["exports"], reach["people_handed_out"]["number"], reach["people_scored"]["number"]) == (1, 70, 600)
    hand_out(server, folder / "again.csv", use=online, top=80)
    assert len(of_exports()) == 1, "the same way of targeting has one entry"
    (again,) = reached(server.store, "housing")
    assert (again.exports, again.handed_out) == (2, 80), "who was in both files is counted once"


def test_the_first_are_taken_and_a_band_is_a_band(server, made, folder):
    values = made.affinity.predict_proba(made.vectors.frame())[:, 0]
    done = hand_out(server, folder / "top.csv", top=70)
    best = sorted(range(600), key=lambda row: -values[row])[:70]
    assert people(folder / "top.csv") == [PEOPLE[row] for row in sorted(best)]
    assert done.left_out == {"not_selected": 530}
    hand_out(server, folder / "band.csv", band="high")
    high = people(folder / "band.csv")
    assert {row["affinity:housing band"] for row in rows(folder / "band.csv")} == {"high"}
    assert min(values[PEOPLE.index(person)] for person in high) > max(values[row] for row in range(600) if PEOPLE[row] not in high)
    hand_out(server, folder / "out.csv", band="high", exclude=True)
    assert people(folder / "out.csv") == high
    assert [entry.body["selection"]["excluded"] for entry in registered(server)] == [False, False, True]
    told = [summary(entry.kind, entry.body).partition(" Print")[0] for entry in registered(server)]
    assert told == ["70 people to", f"{len(high)} people to", f"{len(high)} people to be left out to"]


def test_parquet_holds_the_same(server, folder):
    hand_out(server, folder / "doors.csv")
    hand_out(server, folder / "doors.parquet")
    table = pq.read_table(folder / "doors.parquet")
    assert table.column_names == list(rows(folder / "doors.csv")[0])
    assert table.column("person_id").to_pylist() == PEOPLE


def test_whoever_speaks_after_their_own_chunk_was_scored_is_not_in_the_file(server, folder):
    told = []

    def speak(stage, _share):
        if not told:
            say(server.workspace, "van:0001", "withdrawn")
            say(server.workspace, "van:0002", "objected", "any")
            erase(server.workspace, "van:0003")
            say(server.workspace, "van:0301", "withdrawn")
        told.append(stage)

    done = hand_out(server, folder / "doors.csv", progress=speak)
    gone = {"van:0001", "van:0002", "van:0003", "van:0301"}
    assert people(folder / "doors.csv") == [person for person in PEOPLE if person not in gone]
    assert (done.people, done.left_out) == (596, {"consent_withdrawn": 2, "objected": 1, "erased": 1})
    assert (stored(server, EXPORTS)[0]["people"], len(stored(server, EXPORT_PEOPLE))) == (596, 596)
    assert waiting(server.store) == []
    last = stored(server, ANSWERS)[-1]
    codes = sorted(row["code"] for row in stored(server, DECISIONS) if row["answer_id"] == last["answer_id"])
    assert (last["people"], last["ledger"], codes) == (596, 4, ["consent_withdrawn", "erased", "objected"])


def test_whoever_speaks_at_any_moment_is_either_not_in_the_file_or_told_of(server, folder):
    """People withdraw one after the other, through another store, while files are made: none is in a file that was decided on later, none is forgotten."""
    done, said = threading.Event(), []

    def speak():
        store = Store(server.workspace.database_url)
        for person in itertools.takewhile(lambda _: not done.wait(0.03), sorted(PEOPLE[5::20], key=lambda person: person[::-1])):
            at = now()
            said.append((person, Ledger(store, server.key).append([Event(person, "withdrawn", "campaign_messages", "any", at)], now=at, door="http").last))
        store.close()

    thread = threading.Thread(target=speak)
    thread.start()
    for number in itertools.takewhile(lambda number: number < 3 or len(said) < 4, range(60)):
        hand_out(server, folder / f"{number}.csv", chunk=200)
    done.set()
    thread.join(60)
    told = {notice.reference for notice in waiting(server.store)}
    numbers = {row["file_digest"]: row["ledger"] for row in stored(server, EXPORTS)}
    for path in folder.iterdir():
        last = numbers[hashlib.sha256(path.read_bytes()).hexdigest()]
        held = {row["person_id"]: row["reference"] for row in rows(path)}
        assert {person for person, seq in said if seq > last} == {person for person, _ in said} & held.keys()
        assert {held[person] for person, seq in said if seq > last} == set(held.values()) & told
    assert len(said) > 3
    assert verify_chain(server.store, server.key, "register").holds


def test_whoever_speaks_when_the_file_is_written_is_not_in_it_when_it_is_handed_out(server, folder, monkeypatch):
    real, times = exporting._written, []

    def late(*args):
        digest = real(*args)
        if not times:
            say(server.workspace, "van:0007", "withdrawn")
            erase(server.workspace, "van:0008")
        times.append(digest)
        return digest

    monkeypatch.setattr(exporting, "_written", late)
    done = hand_out(server, folder / "doors.csv")
    found = rows(folder / "doors.csv")
    assert [row["person_id"] for row in found] == [person for person in PEOPLE if person not in {"van:0007", "van:0008"}]
    assert {row["reference"] for row in found} == {row["reference"] for row in stored(server, EXPORT_PEOPLE)}
    assert (len(times), done.left_out) == (2, {"consent_withdrawn": 1, "erased": 1})
    assert done.digest == hashlib.sha256((folder / "doors.csv").read_bytes()).hexdigest()
    last = stored(server, ANSWERS)[-1]
    out = {row["code"]: row["person"] for row in stored(server, DECISIONS) if row["answer_id"] == last["answer_id"]}
    assert out == {"consent_withdrawn": server.audit.pseudonym("van:0007"), "erased": "(erased)"}
    assert verify(server.store, server.key, [], []).holds


@pytest.mark.parametrize(("speaker", "again"), [("other:1", False), ("van:0007", True)])
def test_what_others_say_while_the_file_is_written_costs_those_who_wait_nothing(server, folder, monkeypatch, speaker, again):
    """Where the log is about to say something of the speaker, who was left out before, all are decided on once more."""
    real, decide, decided = exporting._written, Scoring.decide, []

    def late(*args):
        say(server.workspace, speaker, "objected", "any")
        decided.clear()
        return real(*args)

    monkeypatch.setattr(exporting, "_written", late)
    monkeypatch.setattr(Scoring, "decide", lambda self, rows: decided.append(len(rows)) or decide(self, rows))
    done = hand_out(server, folder / "doors.csv", progress=lambda *_: say(server.workspace, "van:0007", "withdrawn"))
    assert (done.people, dict(done.left_out), decided) == (599, {"consent_withdrawn": 1}, [599] * again)
    assert verify(server.store, server.key, [], []).holds


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_scores_past_their_time_go_into_no_file(server, folder, monkeypatch, when):
    if when == "before":
        publish(make_vectors(server.workspace.vocabulary, as_of=TODAY - timedelta(days=30)), server.workspace.vectors)
        server.reloader.refresh()
    over = []
    if when == "meanwhile":
        monkeypatch.setattr(exporting, "_valid_until", lambda _scoring: over[0] if over else TODAY + timedelta(days=30))
    with pytest.raises(Problem, match=r"The scores of all 600 people were valid until .* Build them anew with `audience vectors`") as caught:
        hand_out(server, folder / "doors.csv", progress=lambda *_: over.append(now()))
    assert (caught.value.code, caught.value.status) == ("scores_expired", 409)
    last = stored(server, ANSWERS)[-1]
    assert (last["code"], last["people"], json.loads(last["use"]), bool(stored(server, DECISIONS))) == ("scores_expired", 600, DOORSTEP, when == "meanwhile")
    assert nothing_was_handed_out(server, folder)


def test_whoever_speaks_afterwards_is_told_of_by_their_reference(server, folder):
    hand_out(server, folder / "doors.csv")
    references = {row["person_id"]: row["reference"] for row in rows(folder / "doors.csv")}
    say(server.workspace, "van:0100", "objected", "any")
    erase(server.workspace, "van:0200")
    assert {(notice.reference, notice.reason) for notice in waiting(server.store)} == {
        (references["van:0100"], "objected"),
        (references["van:0200"], "erased"),
    }
    told = json.dumps(letters(waiting(server.store), workspace="X", secret=server.key, now=now()))
    assert (references["van:0200"] in told, "van:" in told) == (True, False)
    hand_out(server, folder / "again.csv")
    assert not {"van:0100", "van:0200"} & set(people(folder / "again.csv"))


def test_a_file_about_few_people_is_refused_and_nothing_is_written(server, folder):
    with pytest.raises(Problem) as caught:
        hand_out(server, folder / "few.csv", top=49)
    assert (caught.value.code, caught.value.status) == ("audience_too_small", 403)
    last = stored(server, ANSWERS)[-1]
    assert (last["status"], last["code"], last["activity"], last["people"], json.loads(last["use"])) == (403, "audience_too_small", "export", 49, DOORSTEP)
    assert nothing_was_handed_out(server, folder)
    hand_out(server, folder / "enough.csv", top=50)
    assert len(people(folder / "enough.csv")) == 50


def test_a_file_that_shrinks_below_the_floor_at_the_end_is_refused(server, folder, monkeypatch):
    real = exporting._written

    def late(*args):
        say(server.workspace, people_left[0], "withdrawn")
        return real(*args)

    hand_out(server, folder / "fifty.csv", top=50)
    people_left = people(folder / "fifty.csv")
    (folder / "fifty.csv").unlink()
    monkeypatch.setattr(exporting, "_written", late)
    with pytest.raises(Problem, match="Fewer than 50 people"):
        hand_out(server, folder / "few.csv", scores=["affinity:housing"], top=50)
    assert (list(folder.iterdir()), len(stored(server, EXPORTS)), len(stored(server, EXPORT_PEOPLE)), len(registered(server))) == ([], 1, 50, 1)


def test_the_floor_can_be_raised_and_not_lowered(made, tmp_path):
    root = copy_ruled(made.workspace.root, tmp_path / "workspace").root
    text = (root / "audience.toml").read_text()
    for floor, held in ((50, 50), (200, 200)):
        (root / "audience.toml").write_text(f"{text}\n[exports]\nfloor = {floor}\n")
        assert Workspace.open(root).exports.floor == held
    (root / "audience.toml").write_text(f"{text}\n[exports]\nfloor = 49\n")
    with pytest.raises(WorkspaceError, match=r"exports.floor: Input should be greater than or equal to 50"):
        Workspace.open(root)


def test_what_rests_on_a_tie_is_in_no_file_for_another_controller(server, folder):
    at = now()
    agreed = [Event(person, "given", "campaign_messages", "any", at, **EXPLICIT) for person in PEOPLE[:60]]
    server.permission.ledger.append(agreed, now=at, door="command")
    say(server.workspace, "van:0060", "given")
    say(server.workspace, "van:0059", "withdrawn")
    done = hand_out(server, folder / "others.csv", use=MEMBERS, outside=True)
    assert people(folder / "others.csv") == PEOPLE[:59]
    assert done.left_out == {"disclosure_without_consent": 540, "consent_withdrawn": 1}
    assert hand_out(server, folder / "ours.csv", use=MEMBERS).people == 599


def test_nobody_is_a_target_who_is_not_shown_to_be_moved_the_right_way(server, made, folder):
    done = hand_out(server, folder / "story.csv", scores=["persuadability:rent:story"])
    interval = made.story.predict_interval(made.vectors.frame())
    shown = [person for person, (low, _) in zip(PEOPLE, interval.tolist(), strict=True) if low > 0]
    assert people(folder / "story.csv") == shown
    assert done.left_out == {"do_not_contact": 600 - len(shown)}
    assert 50 <= len(shown) < 600
    assert all(float(row["persuadability:rent:story low"]) > 0 for row in rows(folder / "story.csv"))


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"band": "low"}, "demobilisation"),
        ({"band": "low", "exclude": True}, "demobilisation"),
        *[({"use": Use(**PARTY), **more}, "special_category_profiling") for more in ({}, LEFT_OUT)],
        *[({"use": Use(**PARTY | {"channel_class": "online_member_broadcast"}), **more}, "exemption_lost") for more in ({}, LEFT_OUT)],
        ({"scores": ["persuadability:rent:figures"]}, "ranking_refused"),
        *[({"use": MEMBERS, "outside": True, **more}, "audience_too_small") for more in ({}, LEFT_OUT)],
    ],
)
def test_what_is_refused_is_in_the_log_and_in_no_file(shared, folder, changed, code):
    before = len(stored(shared, ANSWERS))
    with pytest.raises(Problem) as caught:
        hand_out(shared, folder / "a.csv", **changed)
    assert caught.value.code == code
    added = stored(shared, ANSWERS)[before:]
    assert [row["code"] for row in added if row["code"]] == [code]
    assert nothing_was_handed_out(shared, folder)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"approver": " "}, "who approved it"),
        ({"recipient": "X\n"}, "the recipient"),
        ({"path": "a.txt"}, "ends with .csv or .parquet"),
        ({"path": "workspace/a.csv"}, "to its folder `exports`"),
        ({"path": "there.csv"}, "not overwritten"),
        ({"band": "high", "top": 5}, "not both"),
        ({"exclude": True}, "say which, by band or as the first so many"),
    ],
)
def test_what_is_not_asked_for_in_full_is_told(shared, folder, changed, told):
    (folder / "there.csv").touch()
    place = {"workspace/a.csv": shared.workspace.root / "a.csv"}.get(changed.get("path"), folder / changed.get("path", "a.csv"))
    with pytest.raises(ExportError, match=told):
        hand_out(shared, place, **{name: value for name, value in changed.items() if name != "path"})
    assert (folder / "there.csv").read_bytes() == b""


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_what_is_interrupted_leaves_nothing_behind(server, folder, monkeypatch, failure):
    def stop(*_args, **_kwargs):
        raise failure

    with monkeypatch.context() as patched:
        patched.setattr(exporting, "write", stop)
        with pytest.raises(failure):
            hand_out(server, folder / "doors.csv")
    assert nothing_was_handed_out(server, folder)
    assert hand_out(server, folder / "doors.csv").people == 600


def test_a_file_that_another_one_took_the_name_of_is_not_put_in_its_place(server, folder, monkeypatch):
    real = exporting._write_down

    def replaced(*args):
        real(*args)
        (fresh,) = folder.iterdir()
        fresh.with_name("struck").write_bytes(b"person_id\n")
        fresh.with_name("struck").replace(fresh)

    monkeypatch.setattr(exporting, "_write_down", replaced)
    with pytest.raises(ExportError, match="export again to another place"):
        hand_out(server, folder / "doors.csv")
    assert (list(folder.iterdir()), len(stored(server, EXPORTS))) == ([], 1)


def test_after_an_erasure_nothing_of_an_exported_person_is_left(server):
    workspace, canary = server.workspace, "van:0042"
    for name in ("a.csv", "b.parquet"):
        hand_out(server, workspace.root / "exports" / name)
    references = {row["reference"] for row in rows(workspace.root / "exports" / "a.csv") if row["person_id"] == canary}
    (done,) = erase_people(workspace, server.store, [canary], now=now(), door="command", models=list)
    assert (done.missing, done.erased.files) == ([], {"files of exports": 2})
    assert every_byte.holding(workspace.root, canary) == []
    assert len(people(workspace.root / "exports" / "a.csv")) == 599
    assert json.loads(done.path.read_text())["recipients"] == [{"recipient": "Print shop X", "notices_queued": 2}]
    assert references < {notice.reference for notice in waiting(server.store)}
    assert Ledger(server.store, server.key).first_break() is None
    assert verify(server.store, server.key, [], []).holds


def test_the_command_hands_out_and_tells_why_it_does_not(server, folder, monkeypatch):
    monkeypatch.setattr(artefact, "try_in_process", lambda _folder: None)

    def run(*words):
        said = ["--use", "doorstep", "--score", "affinity:housing", "--to", "Print shop X", "--approver", "A. Name"]
        return CliRunner().invoke(app, ["export", *said, *map(str, words), "--workspace", str(server.workspace.root)])

    say(server.workspace, "van:0009", "objected", "any")
    done = run("--out", folder / "a.csv", "--top", "80")
    assert (done.exit_code, len(people(folder / "a.csv"))) == (0, 80)
    assert done.stdout.splitlines()[:-1] == [f"80 people in {folder / 'a.csv'}", "  not in it: 1 objected", "  not in it: 519 not_selected"]
    say(server.workspace, people(folder / "a.csv")[0], "objected", "any")
    left_out = run("--out", folder / "c.csv", "--top", "80", "--exclude").stdout.splitlines()
    told = "  to be left out; who may not be picked out at all is in no list, and must not be reached because of that"
    assert left_out[1:3] == [told, "  not in it: 2 objected"]
    assert len(set(people(folder / "a.csv")) - set(people(folder / "c.csv"))) == 1
    refused = run("--out", folder / "b.csv", "--band", "low")
    assert refused.exit_code == 1
    assert "refused: demobilisation (403): Nobody is picked out" in refused.output
    assert sorted(path.name for path in folder.iterdir()) == ["a.csv", "c.csv"]


def test_it_is_the_same_on_postgresql(membered, tmp_path, folder, new_postgres, monkeypatch):
    monkeypatch.setenv("AUDIENCE_DATABASE_URL", new_postgres())
    workspace = copy_of(membered, tmp_path / "workspace")
    with opened(workspace) as server:
        hand_out(server, folder / "doors.csv", progress=lambda *_: say(workspace, "van:0001", "withdrawn"))
        assert len(people(folder / "doors.csv")) == 599
        erase(workspace, "van:0200")
        assert [notice.reason for notice in waiting(server.store)] == ["erased"]
        assert verify(server.store, server.key, [], []).holds
        say(workspace, "van:0201", "objected", "any")
        assert verify_chain(server.store, server.key, "register").holds
        with server.store.write() as connection:
            connection.exec_driver_sql("DELETE FROM notices")
        assert verify_chain(server.store, server.key, "register").bad.endswith(": 1 erased, 1 objected")


def test_what_the_log_says_of_an_export_can_be_made_again(server, folder):
    """Also who was left out of a file for another controller, whom a special topic bars, and that the lowest were asked for."""
    for person in PEOPLE[:100]:
        say(server.workspace, person, "given", "campaign_messages", **EXPLICIT)
    hand_out(server, folder / "outside.csv", use=MEMBERS, outside=True)
    uk = Use(**DOORSTEP | {"jurisdiction": "uk", "sponsor_type": "political_actor", "purpose": "political_ads"})
    for more in ({"band": "low"}, {"use": uk}):
        with pytest.raises(Problem):
            hand_out(server, folder / "refused.csv", **more)
    found = [replay(server.permission, row["answer_id"], PEOPLE) for row in stored(server, ANSWERS)]
    assert all(each.same for each in found)
    assert {one.again.code for each in found for one in each.compared} == {"allowed", "disclosure_without_consent", "no_art9_basis"}
    assert {each.refused[0] for each in found} == {None, "demobilisation"}
