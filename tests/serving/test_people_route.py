"""`POST /v1/people/consents` and `/objections`: in force before the answer leaves, all or nothing, and nobody named where nobody may be."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from features.database.schema import ANSWERS
from features.history import History
from features.workspace import Workspace
from serving.audit import AuditError
from tests.serving.ruled import DOORSTEP, PARTY, erase, only, put_members
from tests.serving.test_permitting import ruled, ruled_server  # noqa: F401 (fixtures)

WORDS = {"legal_basis": "gdpr_9_2_a", "wording_hash": "a" * 64, "wording_version": "3", "language": "fr", "evidence": "form 12, box B"}
EARLIER = datetime(2026, 9, 1, 12, tzinfo=UTC)


@pytest.fixture
def telling(ruled):  # noqa: F811
    """The server, with a key that may record what people say; `told` sends events, `object` an objection."""
    people = {"Authorization": f"Bearer {ruled.make_key('crm', 'people')[1]}"}
    ruled.told = lambda *events: ruled.client.post("/v1/people/consents", json={"events": list(events)}, headers=people)
    ruled.object = lambda **body: ruled.client.post("/v1/people/objections", json=body, headers=people)
    ruled.people = people
    return ruled


def event(person, **changed):
    return {"person": person, "event": "given", "purpose": "campaign_messages"} | changed


def code(served, person, use=DOORSTEP):
    return only(served.ask([person], ["persuadability:rent:story"], use=use, individual=True))["code"]


def test_a_withdrawal_is_in_force_when_its_answer_is_there_and_a_new_consent_too(telling):
    assert code(telling, "van:0200") is None
    for said, expected in (("withdrawn", "consent_withdrawn"), ("given", None), ("refused", "consent_refused")):
        assert telling.told(event("van:0200", event=said)).status_code == 200
        assert code(telling, "van:0200") == expected


def test_explicit_consent_with_all_that_belongs_to_it(telling):
    until = datetime.now(UTC) + timedelta(days=100)
    said = event("van:0210", purpose="political_ads_online", at=EARLIER.isoformat(), valid_until=until.isoformat(), **WORDS)
    answer = telling.told(said)
    assert answer.status_code == 200, answer.text
    assert code(telling, "van:0210", PARTY) is None
    (recorded,) = telling.server.permission.ledger.of_person("van:0210")
    kept = recorded.said
    assert (kept.at, kept.valid_from, kept.valid_until, kept.channel, kept.explicit) == (EARLIER, None, until, "any", True)
    assert {name: getattr(kept, name) for name in WORDS} == WORDS
    assert (recorded.door, recorded.seq) == ("http", answer.json()["ledger"])


def test_the_same_said_again_is_not_recorded_twice(telling):
    said = [event("van:0220", at=EARLIER.isoformat()), event("van:0221", at=EARLIER.isoformat())]
    first = telling.told(*said).json()
    again = telling.told(said[0], event("van:0222", at=EARLIER.isoformat()), said[0]).json()
    assert (first["stored"], first["duplicates"], first["erased"]) == (2, 0, 0)
    assert (again["stored"], again["duplicates"], again["ledger"]) == (1, 2, first["ledger"] + 1)
    with telling.server.store.read() as connection:
        logged = {row.answer_id: row for row in connection.execute(select(ANSWERS))}
    for answer in (first, again):
        assert (logged[answer["answer_id"]].ledger, logged[answer["answer_id"]].law) == (answer["ledger"], None)


def test_an_objection_is_to_everything_unless_it_says_less(telling):
    answer = telling.object(person="van:0230")
    assert (answer.status_code, answer.json()["stored"]) == (200, 1)
    for use in (DOORSTEP, DOORSTEP | {"channel": "email"}, DOORSTEP | {"purpose": "research"}, PARTY):
        assert code(telling, "van:0230", use) == "objected"
    telling.object(person="van:0231", purpose="research", channel="email")
    research = DOORSTEP | {"purpose": "research"}
    assert [code(telling, "van:0231", use) for use in (DOORSTEP, research, research | {"channel": "email"})] == [None, None, "objected"]


def test_an_objection_by_a_clock_that_is_behind_is_the_last_word(telling, monkeypatch):
    telling.told(event("van:0240", **WORDS))
    (given,) = telling.server.permission.ledger.of_person("van:0240")
    for module in ("serving.routes.people", "serving.answering"):
        monkeypatch.setattr(f"{module}.now", lambda: given.recorded_at - timedelta(hours=1))
    assert telling.object(person="van:0240").status_code == 200
    assert telling.told(event("van:0241", at=given.recorded_at.isoformat())).status_code == 200, "no time of which the ledger knows lies in the future"
    answer = telling.ask(["van:0240"], ["persuadability:rent:story"]).json()
    assert (answer["results"][0]["code"], answer["permission"]["decided_at"]) == ("objected", answer["scored_at"])
    assert telling.server.permission.ledger.of_person("van:0240")[1].said.at >= given.said.at


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"person": ""}, "events.0.person"),
        ({"person": "van:314159" * 40}, "events.0.person"),
        ({"event": "erased"}, "events.0.event"),
        ({"event": "van:314159"}, "events.0.event"),
        ({"purpose": "campaign_mesages"}, "events.0.purpose"),
        ({"purpose": "any"}, "events.0"),
        ({"channel": "van:314159"}, "events.0.channel"),
        ({"channel": "x" * 100}, "events.0.channel"),
        ({"at": "2026-09-01T12:00:00"}, "events.0.at"),
        ({"at": "van:314159"}, "events.0.at"),
        ({"at": "2999-01-01T00:00:00Z"}, "events.0"),
        ({"at": "2026-09-01T00:00:00Z", "valid_until": "2026-08-01T00:00:00Z"}, "events.0"),
        ({"evidence": "x" * 1001}, "events.0.evidence"),
        ({"wording_hash": "a" * 129}, "events.0.wording_hash"),
        ({"language": "van:314159\n"}, "events.0.language"),
        ({"van:314159": 1}, "events.0"),
    ],
)
def test_what_cannot_be_recorded_is_named_and_nothing_is_recorded(telling, changed, field):
    before = telling.server.permission.ledger.last()
    answer = telling.told(event("van:0240") | changed, event("van:0241"))
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]
    assert "314159" not in answer.text
    assert telling.server.permission.ledger.last() == before


@pytest.mark.parametrize(
    "body", [{}, {"person": "van:0250", "purpose": "everything"}, {"person": "van:0250", "channel": "fax"}, {"person": "van:0250", "why": 1}]
)
def test_an_objection_that_cannot_be_recorded(telling, body):
    before = telling.server.permission.ledger.last()
    answer = telling.object(**body)
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")
    assert telling.server.permission.ledger.last() == before


def test_how_many_at_a_time(telling):
    at = EARLIER.isoformat()
    many = [event(f"many:{number}", at=at) for number in range(1000)]
    assert telling.told(*many).json()["stored"] == 1000
    assert telling.told(*many, event("many:1000", at=at)).json()["errors"][0]["field"] == "events"
    assert telling.told().json()["errors"][0]["field"] == "events"


def test_who_was_erased_does_not_come_back(telling):
    erase(telling.workspace, "van:0260")
    answer = telling.told(event("van:0260", **WORDS), event("van:0261")).json()
    assert (answer["stored"], answer["erased"]) == (1, 1)
    assert telling.object(person="van:0260").json()["erased"] == 1
    assert code(telling, "van:0260") == "erased"


def test_how_many_are_in_no_table_is_told_and_recorded_all_the_same(telling, tmp_path, monkeypatch):
    shutil.copy(telling.workspace.root / "audience.toml", tmp_path)
    put_members(own := Workspace.open(tmp_path), ["van:0265"])
    monkeypatch.setattr(telling.server.permission, "history", History(own.tables, own.vocabulary))
    answer = telling.told(event("van:0265"), event("VAN:0265"), event("VAN:0265", event="withdrawn")).json()
    assert (answer["stored"], answer["unknown"]) == (3, 1)
    assert (telling.object(person="van:0265").json()["unknown"], telling.object(person="van:O265").json()["unknown"]) == (0, 1)
    erase(telling.workspace, "gone:1")
    answer = telling.object(person="gone:1").json()
    assert (answer["erased"], answer["unknown"]) == (1, 0)


def test_it_is_recorded_who_sent_it_and_about_how_many_and_no_id_is_stored(telling):
    answer = telling.told(event("secret:271828", evidence="letter of secret:271828"), event("secret:271828", event="withdrawn")).json()
    with telling.server.store.read() as connection:
        row = connection.execute(select(ANSWERS).where(ANSWERS.c.answer_id == answer["answer_id"])).one()
    assert (row.route, row.status, row.people, row.code) == ("POST /v1/people/consents", 200, 1, None)
    assert row.key_id.startswith("key_")
    assert telling.object(person="secret:271828").status_code == 200
    assert all(b"271828" not in path.read_bytes() for path in telling.workspace.root.glob("audience.db*"))


def test_a_withdrawal_stays_recorded_where_its_answer_cannot_be(telling, monkeypatch):
    def fail(_answer):
        raise AuditError("the answer could not be recorded in the audit log, so it is not given")

    with monkeypatch.context() as patched:
        patched.setattr(telling.server.audit, "record", fail)
        assert telling.object(person="van:0270").json()["code"] == "audit_unavailable"
    assert code(telling, "van:0270") == "objected"


@pytest.mark.parametrize("scope", ["scores", "permissions", "audit"])
def test_only_keys_for_people_may(telling, scope):
    headers = {"Authorization": f"Bearer {telling.make_key('some', scope)[1]}"}
    for path, body in (("consents", {"events": [event("van:0280")]}), ("objections", {"person": "van:0280"})):
        answer = telling.client.post(f"/v1/people/{path}", json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
        assert telling.client.post(f"/v1/people/{path}", json=body).status_code == 401
    assert code(telling, "van:0280") is None


def test_a_key_for_people_reads_nothing(telling):
    for path, body in (("/v1/scores", {"people": ["van:0001"], "scores": ["affinity:*"], "use": DOORSTEP}), ("/v1/permissions", {})):
        assert telling.client.post(path, json=body, headers=telling.people).status_code == 403
    assert telling.client.get("/v1/models", headers=telling.people).status_code == 403


def test_a_broken_store_records_nothing(served_copy):
    headers = {"Authorization": f"Bearer {served_copy.make_key('crm', 'people')[1]}"}
    with served_copy.server.store.write() as connection:
        connection.exec_driver_sql("ALTER TABLE ledger RENAME TO elsewhere")
    answer = served_copy.client.post("/v1/people/objections", json={"person": "van:0001"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
