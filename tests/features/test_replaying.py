"""Decisions of the log made again: the same from all that stands beside them, whatever was said and stored since."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

import audience
from features.database.schema import ANSWERS, DECISIONS
from features.erasure import locked, strike
from features.permission.ledger import Event
from features.permission.live import Permission
from features.permission.opening import opened
from features.permission.purging import purge
from features.permission.replaying import ReplayError, replay
from features.permission.rules import Preconditions
from features.permission.use import Use
from features.workspace import Workspace
from serving.audit import Answer, AuditLog, Decision
from serving.permitting import basis
from tests.features.test_live import PEOPLE, peopled, put  # noqa: F401 (fixture)

NOW = datetime.now(UTC) - timedelta(hours=1)
LONG_AGO = NOW - timedelta(days=400)
DOORSTEP = Use(purpose="fundraising", channel_class="offline", sponsor_type="ngo", jurisdiction="fr")
ASSESSED = Preconditions("DPIA-1", NOW.date())


class Logged:
    """A workspace of which a log tells; `answer` decides on people and writes it down."""

    def __init__(self, workspace, store):
        self.workspace, self.store = workspace, store
        self.permission, self.log = Permission(workspace, store), AuditLog(store, workspace.signing_key())

    def say(self, person, event, at=NOW):
        self.permission.ledger.append([Event(person, event, "any", "any", at)], now=at, door="command")

    def answer(self, name, people=PEOPLE, *, use=DOORSTEP, preconditions=ASSESSED, code=None, turned=None):
        group_ids = sorted(people)
        decisions = self.permission.decide(group_ids, use, NOW, live=True, preconditions=preconditions)
        tokens = self.log.pseudonyms(group_ids)
        sources = self.permission.history.read("sources").column("source_id").to_pylist()
        made = []
        for row, person in enumerate(group_ids):
            rule, event, source = decisions.forbidding(row), int(decisions.event[row]), int(decisions.source[row])
            said = "allowed" if rule is None else turned or rule.code
            stood = {"rule": rule and rule.id, "event": None if event < 0 else event, "source": None if source < 0 else sources[source]}
            made.append(Decision(f"{name}-{row}", tokens[person], "(permission)", said, **stood))
        told = Answer(name, decisions.at, "api", "POST /v1/permissions", 200, people=len(people), decisions=() if code else made, code=code)
        self.log.record(replace(told, basis=basis(self.permission, decisions), activity="score", preconditions=preconditions))


@pytest.fixture
def logged(peopled):  # noqa: F811
    store = opened(peopled)
    yield Logged(peopled, store)
    store.close()


def compared(logged, name, people=PEOPLE):
    return {one.person: (one.logged.code, one.again.code, one.same) for one in replay(logged.permission, name, people).compared}


def test_the_same_comes_out_whatever_was_said_and_stored_since(logged):
    logged.say("van:1", "objected")
    logged.answer("first")
    before = compared(logged, "first")
    assert {person: code for person, (code, _, _) in before.items()} == {
        "van:1": "objected",
        "van:2": "under_age",
        "van:3": "source_purpose_missing",
        "van:4": "no_art9_basis",
    }
    logged.say("van:1", "given", NOW + timedelta(minutes=1))
    logged.say("van:2", "objected", NOW + timedelta(minutes=1))
    put(logged.workspace, "people", [{"person_id": "van:2", "status": "member", "source_id": "forms", "joined_at": LONG_AGO, "birth_year": 1980}])
    assert compared(logged, "first") == before
    assert all(same for _, _, same in before.values())
    logged.answer("second")
    assert compared(logged, "second")["van:2"] == ("objected", "objected", True)


def test_a_log_that_says_something_else_is_told_by_person(logged):
    logged.answer("turned", turned="objected")
    found = replay(logged.permission, "turned", PEOPLE)
    assert not found.same
    assert compared(logged, "turned")["van:2"] == ("objected", "under_age", False)
    assert compared(logged, "turned")["van:1"] == ("allowed", "allowed", True)


def test_only_those_of_the_answer_are_made_again_and_the_others_counted(logged):
    logged.answer("few", ["van:1", "van:2"])
    found = replay(logged.permission, "few", ["van:2", "van:3", "nobody:1"])
    assert ([one.person for one in found.compared], found.others, found.same) == (["van:2"], 1, True)


def test_preconditions_are_those_of_then_and_a_refused_use_is_made_again(logged):
    logged.answer("without", preconditions=Preconditions(), code="no_dpia")
    found = replay(logged.permission, "without", PEOPLE)
    assert (found.compared, found.refused, found.same) == ((), ("no_dpia", "no_dpia"), True)


def test_what_this_service_refused_for_a_reason_of_its_own_was_refused_by_no_rule(logged):
    logged.answer("groups", code="aggregate_is_default")
    assert (replay(logged.permission, "groups", PEOPLE).refused, replay(logged.permission, "groups", PEOPLE).same) == ((None, None), True)


def test_what_cannot_be_made_again_says_why(logged, monkeypatch):
    with pytest.raises(ReplayError, match="no answer of that id"):
        replay(logged.permission, "none", PEOPLE)
    logged.log.record(Answer("models", NOW, "api", "GET /v1/models", 200))
    with pytest.raises(ReplayError, match="nothing was decided for that answer"):
        replay(logged.permission, "models", PEOPLE)
    logged.answer("old", preconditions=None)
    with pytest.raises(ReplayError, match="did not write down what was done"):
        replay(logged.permission, "old", PEOPLE)
    logged.answer("other")
    monkeypatch.setattr("features.permission.replaying.load_pack", lambda _name: SimpleNamespace(version="2031.1", digest="d" * 64))
    with pytest.raises(ReplayError, match=r"law pack fr 20\d\d\.\d+ of another release; this release has fr 2031\.1: .* with the release of then"):
        replay(logged.permission, "other", PEOPLE)


def test_the_command_compares_those_on_standard_input_or_everybody(logged):
    logged.answer("a1")
    logged.answer("a2", turned="objected")

    def run(*words, ids=""):
        return CliRunner().invoke(audience.app, ["decide", *words, "--workspace", str(logged.workspace.root)], input=ids)

    everybody = run("--answer", "a1")
    assert everybody.exit_code == 0, everybody.output
    assert [line.split()[0] for line in everybody.stdout.splitlines()[1:]] == PEOPLE[:3]
    assert "1 others of the answer were not named" in everybody.stderr
    one = run("--answer", "a2", "--file", "-", ids="van:2\n")
    assert one.exit_code == 1
    assert one.stdout.splitlines()[1].split() == ["van:2", "objected", "under_age", "DIFFERENT:", "code", "objected,", "again", "under_age"]
    for words in ((), ("--answer", "a1", "--use", "doorstep"), ("--use", "doorstep", "--version", "people=9"), ("--use", "doorstep", "--version", "nobody=0")):
        assert run(*words).exit_code == 2


def test_the_command_decides_from_past_versions_of_the_tables(logged):
    path = logged.workspace.root / "audience.toml"
    path.write_text(path.read_text() + '\n[uses.door]\npurpose = "fundraising"\nchannel_class = "offline"\nsponsor_type = "ngo"\njurisdiction = "fr"\n')
    path.write_text(path.read_text() + '[permission]\ndpia = "D"\n')
    assert Workspace.open(logged.workspace.root).permission.dpia == "D"
    put(logged.workspace, "people", [{"person_id": "van:2", "status": "member", "source_id": "forms", "joined_at": LONG_AGO, "birth_year": 1980}])

    def code(*words):
        found = CliRunner().invoke(
            audience.app, ["decide", "--use", "door", "--each", "--file", "-", *words, "--workspace", str(logged.workspace.root)], input="van:2\n"
        )
        assert found.exit_code == 0, found.output
        return found.stdout.splitlines()[1].split()[1]

    assert (code(), code("--version", "people=0")) == ("allowed", "under_age")


def test_whoever_was_purged_or_erased_since_is_counted_and_called_neither_same_nor_different(logged):
    put(logged.workspace, "people", [{"person_id": f"van:{number}", "status": "contact", "source_id": "bought", "joined_at": LONG_AGO} for number in (5, 6, 7)])
    people = [*PEOPLE, "van:5", "van:6", "van:7"]
    logged.say("van:6", "objected", LONG_AGO)
    logged.answer("before", people)
    with logged.store.write(serial=True) as connection:
        logged.permission.ledger.erase(connection, "van:7", now=NOW, door="command")
    logged.permission.history.delete_people(["van:7"])
    purge(logged.workspace, logged.store, LONG_AGO + timedelta(days=2000))
    put(logged.workspace, "people", [{"person_id": "van:5", "status": "member", "source_id": "forms", "joined_at": NOW}])
    found = replay(logged.permission, "before", people)
    assert {one.person for one in found.compared if one.gone} == {"van:3", "van:5"}, "also who came back: what it was decided from is gone"
    assert compared(logged, "before", people)["van:6"] == ("objected", "objected", True), "what stands on the ledger alone comes out again"
    assert (found.same, found.others, found.erased) == (True, 1, 1)
    told = CliRunner().invoke(
        audience.app, ["decide", "--answer", "before", "--file", "-", "--workspace", str(logged.workspace.root)], input="\n".join(people[1:])
    )
    assert (told.exit_code, told.stderr.splitlines()[-3:]) == (0, ["2 cannot be compared", "1 others of the answer were not named", "1 were erased"])
    assert [line.split()[:5] for line in told.stdout.splitlines() if line.startswith("van:3")] == [
        ["van:3", "source_purpose_missing", "not", "comparable:", "what"]
    ]
    logged.answer("turned", people[:6], turned="objected")
    assert not replay(logged.permission, "turned", people).same


def test_whose_row_of_people_went_by_itself_cannot_be_compared_where_it_was_stood_on(logged):
    """As where a purge takes the row because its source ended, while interactions stay."""
    put(logged.workspace, "people", [{"person_id": "van:8", "status": "contact", "source_id": "bought", "joined_at": LONG_AGO}])
    did = {"interaction_id": "8", "person_id": "van:8", "occurred_at": LONG_AGO, "received_at": LONG_AGO, "kind": "letter_open"}
    put(
        logged.workspace,
        "interactions",
        [did | {"channel": "post", "direction": "in", "source_id": "forms", "collected_how": "from_person", "is_machine": False}],
    )
    logged.answer("part", [*PEOPLE, "van:8"])
    with locked(logged.permission.history, ["people"]) as staging:
        strike(logged.permission.history, staging, {"people": "person_id = 'van:8'"}, {})
    found = {one.person: one for one in replay(logged.permission, "part", [*PEOPLE, "van:8"]).compared}
    assert found["van:8"].logged.source is not None
    assert {person for person, one in found.items() if one.gone} == {"van:8"}


@pytest.fixture
def rolls(logged):
    """Beside the others two members: one from the list of voters of October 2026, one from that of 2029."""
    source = {"type": "voter_roll", "collected_how": "public", "collected_at": LONG_AGO, "political_purpose_stated": False, "supports_sponsor": False}
    days = {"be-2026-10": NOW + timedelta(days=30), "be-2029-06": NOW + timedelta(days=900)}
    put(logged.workspace, "sources", [source | {"source_id": name, "election_id": name, "expires_at": day} for name, day in days.items()])
    member = {"status": "member", "joined_at": NOW, "informed_at": NOW}
    put(logged.workspace, "people", [member | {"person_id": f"roll:{name}", "source_id": name} for name in days])
    return [f"roll:{name}" for name in days]


def test_a_list_of_voters_serves_its_own_election_alone_then_and_again(logged, rolls):
    october, summer = (DOORSTEP.model_copy(update={"election": name, "jurisdiction": "be"}) for name in ("be-2026-10", "be-2029-06"))
    for name, use, codes in (("october", october, ["allowed", "roll_expired"]), ("summer", summer, ["roll_expired", "allowed"])):
        logged.answer(name, rolls, use=use)
        assert list(compared(logged, name, rolls).values()) == [(code, code, True) for code in codes]
    for jurisdiction in ("eu", "fr", "be"):
        logged.answer(jurisdiction, rolls, use=october.model_copy(update={"election": None, "jurisdiction": jurisdiction}))
        assert [code for code, *_ in compared(logged, jurisdiction, rolls).values()] == ["roll_expired"] * 2, "a use that names none is for another one"
    assert "another election" in logged.permission.decide(rolls, october, NOW, preconditions=ASSESSED).reason(1)
    with logged.store.read() as connection:
        uses = dict(connection.execute(select(ANSWERS.c.answer_id, ANSWERS.c.use)).all())
    assert json.loads(uses["october"])["election"] == "be-2026-10"
    assert "election" not in json.loads(uses["fr"]), "what names none is written as it was before there were elections"


def test_the_command_takes_the_election_of_the_use(logged, rolls):
    path = logged.workspace.root / "audience.toml"
    table = '\n[uses.{}]\npurpose = "fundraising"\nchannel_class = "offline"\nsponsor_type = "ngo"\njurisdiction = "be"\n'
    path.write_text(path.read_text() + table.format("door") + table.format("vote") + 'election = "be-2026-10"\n[permission]\ndpia = "D"\n')
    for use, codes in (("door", ["roll_expired", "roll_expired"]), ("vote", ["allowed", "roll_expired"])):
        words = ["decide", "--use", use, "--each", "--file", "-", "--workspace", str(logged.workspace.root)]
        found = CliRunner().invoke(audience.app, words, input="\n".join(rolls))
        assert [line.split()[1] for line in found.stdout.splitlines()[1:]] == codes, found.output


def test_the_log_stays_as_it_was(logged):
    logged.answer("kept")
    with logged.store.read() as connection:
        before = json.dumps([tuple(row) for row in connection.execute(select(DECISIONS))], default=str)
    replay(logged.permission, "kept", PEOPLE)
    with logged.store.read() as connection:
        assert json.dumps([tuple(row) for row in connection.execute(select(DECISIONS))], default=str) == before
