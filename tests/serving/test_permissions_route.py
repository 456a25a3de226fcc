"""`POST /v1/permissions`: the decisions alone, those that scores would come after, and nothing worked out."""

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from features.database.schema import ANSWERS, DECISIONS
from features.permission.packs import load_pack
from features.permission.use import Use
from serving.audit import ALLOWED, PERMISSION
from tests.serving.conftest import Served, serving, wait_until
from tests.serving.ruled import BROADCAST, DOORSTEP, LANGUAGES, ONLINE, PARTY, copy_ruled, erase, say
from tests.serving.test_permitting import ruled, ruled_server  # noqa: F401 (fixtures)

PEOPLE = ["van:0101", "van:0100", "nobody:1", "van:0101"]


@pytest.fixture
def deciding(ruled):  # noqa: F811
    """The server, with a key that may ask for decisions and no more."""
    ruled.headers = {"Authorization": f"Bearer {ruled.make_key('sender', 'permissions')[1]}"}
    ruled.decide = lambda people=("van:0100",), use=DOORSTEP, **more: ruled.client.post(
        "/v1/permissions", json={"people": list(people), "use": use, **more}, headers=ruled.headers
    )
    return ruled


def test_each_person_is_allowed_or_gets_the_rule_in_the_order_asked(deciding):
    number = say(deciding.workspace, "van:0100", "objected", "any")
    answer = deciding.decide(PEOPLE).json()
    assert [person["person"] for person in answer["results"]] == PEOPLE
    first, refused, unknown, again = answer["results"]
    rule = next(rule for rule in load_pack("none").rules if rule.id == "L18")
    assert refused == {
        "person": "van:0100",
        "decision_id": f"{answer['answer_id']}-1",
        "allowed": False,
        "code": "objected",
        "words": rule.text.en,
        "rule": "L18",
        "event": number,
        "source": None,
    }
    for person in (first, unknown, again):
        assert (person["allowed"], person["code"], person["words"], person["rule"]) == (True, None, None, None)
    assert answer["activity"] == "score"
    assert answer["permission"]["ledger"] >= number
    assert answer["permission"]["pack"]["digest"] == load_pack("none").digest


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_says_what_scores_say(deciding, language):
    say(deciding.workspace, "van:0110", "withdrawn", "any")
    people = ["van:0110", "van:0111"]
    keys = {"Authorization": f"Bearer {deciding.make_key('tool', 'scores')[1]}"}
    for use in (DOORSTEP, ONLINE, PARTY):
        alone = deciding.decide(people, use, language=language).json()
        body = {"people": people, "scores": ["affinity:housing"], "use": use, "language": language, "individual": True}
        scored = deciding.client.post("/v1/scores", json=body, headers=keys).json()
        for one, other in zip(alone["results"], scored["results"], strict=True):
            assert (one["code"], one["words"]) == (other["code"], other["words"])
            assert {name: one[name] for name in ("allowed", "rule", "event", "source")} == other["permission"]
        changing = {"decided_at"}
        assert {k: v for k, v in alone["permission"].items() if k not in changing} == {k: v for k, v in scored["permission"].items() if k not in changing}


def test_nothing_is_worked_out(deciding, monkeypatch):
    def fail(*_args, **_how):
        raise AssertionError("a score was made")

    monkeypatch.setattr("serving.champion.Champion.serve", fail)
    answer = deciding.decide(PEOPLE)
    assert answer.status_code == 200
    assert not {"value", "scores", "low", "high"} & set(answer.json()["results"][0])


def test_people_without_a_vector_are_decided_on_too(deciding):
    erase(deciding.workspace, "gone:7")
    say(deciding.workspace, "new:1", "objected", "any")
    people = ["new:1", "van:0120", "gone:7", "new:2"]
    answer = deciding.decide(people).json()
    assert [person["code"] for person in answer["results"]] == ["objected", None, "erased", None]
    strict = deciding.decide(people, DOORSTEP | {"jurisdiction": "be"}).json()
    assert [person["code"] for person in strict["results"]] == ["objected", "no_art9_basis", "erased", "no_art9_basis"]


def test_it_is_what_the_library_decides(deciding):
    permission = deciding.server.permission
    people = [f"van:{number:04d}" for number in range(130, 180)]
    for number, person in enumerate(people[::3]):
        say(deciding.workspace, person, ("objected", "withdrawn", "given")[number % 3], "any" if number % 2 else "campaign_messages")
    decisions = permission.decide(people, Use(**DOORSTEP), datetime.now(UTC))
    assert [person["code"] for person in deciding.decide(people).json()["results"]] == [decisions.code(row) for row in range(50)]
    assert decisions.counts()["allowed"] < 50


def test_some_rules_are_about_what_is_done(deciding):
    assert deciding.decide(use=BROADCAST, activity="audience").json()["code"] == "exemption_lost"
    assert deciding.decide(activity="export").json()["activity"] == "export"
    answer = deciding.decide(activity="selling")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "activity")


def test_the_election_of_a_use_is_said_back_and_written_down(deciding):
    answer = deciding.decide(use=DOORSTEP | {"election": "be-2026-10"}).json()
    assert answer["permission"]["use"]["election"] == "be-2026-10"
    with deciding.server.store.read() as connection:
        use = connection.execute(select(ANSWERS.c.use).where(ANSWERS.c.answer_id == answer["answer_id"])).scalar()
    assert json.loads(use) == DOORSTEP | {"election": "be-2026-10"}


def test_a_use_is_asked_for_here_as_well(deciding):
    answer = deciding.decide(use={"purpose": "service"})
    assert (answer.status_code, answer.json()["code"]) == (422, "use_incomplete")
    answer = deciding.decide(use=DOORSTEP | {"channel": "van:314159"})
    assert (answer.json()["code"], answer.json()["errors"][0]["field"]) == ("use_incomplete", "use.channel")
    assert "314159" not in answer.text


def test_it_is_in_the_audit_log_before_it_leaves(deciding, monkeypatch):
    say(deciding.workspace, "van:0190", "objected", "any")
    answer = deciding.decide(["van:0190", "van:0191"], activity="export").json()
    with deciding.server.store.read() as connection:
        head = connection.execute(select(ANSWERS).where(ANSWERS.c.answer_id == answer["answer_id"])).one()
        rows = connection.execute(select(DECISIONS).where(DECISIONS.c.answer_id == answer["answer_id"]).order_by(DECISIONS.c.decision_id)).all()
    assert (head.route, head.status, head.people, head.activity) == ("POST /v1/permissions", 200, 2, "export")
    assert [(row.person, row.score, row.code, row.value) for row in rows] == [
        (deciding.server.audit.pseudonym("van:0190"), PERMISSION, "objected", None),
        (deciding.server.audit.pseudonym("van:0191"), PERMISSION, ALLOWED, None),
    ]
    monkeypatch.setattr("serving.audit.AuditLog.record", _fail)
    answer = deciding.decide(["van:0191"])
    assert (answer.status_code, answer.json()["code"]) == (503, "audit_unavailable")
    assert "allowed" not in answer.text


def _fail(_log, _answer):
    from serving.audit import AuditError

    raise AuditError("the answer could not be recorded in the audit log, so it is not given")


@pytest.mark.parametrize(("scope", "status"), [("permissions", 200), ("scores", 200), ("audit", 403), ("people", 403)])
def test_which_keys_may_ask(deciding, scope, status):
    headers = {"Authorization": f"Bearer {deciding.make_key('some', scope)[1]}"}
    assert deciding.client.post("/v1/permissions", json={"people": ["van:0100"], "use": DOORSTEP}, headers=headers).status_code == status


def test_a_key_for_decisions_gets_no_score(deciding):
    answer = deciding.ask()
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


def test_it_needs_neither_vectors_nor_models(made, tmp_path):
    workspace = copy_ruled(made.workspace.root, tmp_path / "workspace")
    (workspace.vectors / "CURRENT").unlink()
    (workspace.models / "affinity" / "champion.json").unlink()
    (workspace.models / "persuadability.rent.story" / "champion.json").unlink()
    with serving(workspace.root) as (client, app):
        wait_until(lambda: app.state.server.reloader.current.faults != ("loading",))
        served = Served(client, app)
        answer = client.post("/v1/permissions", json={"people": ["van:0001"], "use": DOORSTEP}, headers=served.headers)
        assert answer.json()["results"][0]["allowed"]
        assert served.ask().json()["code"] == "not_ready"
