"""Permission before scores: what a use has to say, who gets a code instead of a number, and from when on."""

import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from features.catalogue import catalogue, special_attributes
from features.database.schema import ANSWERS, DECISIONS
from features.database.store import Store, StoreError
from features.permission.ledger import Event
from features.permission.live import Permission
from features.permission.packs import load_pack
from features.permission.replaying import replay
from features.permission.use import Use
from features.publication import publish
from features.workspace import Workspace
from serving import answering
from serving.loaded import load
from serving.permitting import permit, special_scores
from serving.problems import Problem
from tests.serving.conftest import Served, fit_affinity, load_now, make_vectors, promote, ready, serving, wait_until
from tests.serving.ruled import BROADCAST, DOORSTEP, LANGUAGES, LONG_AGO, ONLINE, PARTY, copy_ruled, erase, only, own_published, put, say


@pytest.fixture(scope="module")
def ruled_server(made, tmp_path_factory):
    workspace = copy_ruled(made.workspace.root, tmp_path_factory.mktemp("ruled") / "workspace")
    own_published(workspace)
    with ready(workspace) as server:
        yield server


@pytest.fixture
def ruled(ruled_server):
    """A server of a workspace with rules to meet. Its ledger is shared: every test speaks of its own people."""
    return Served(*ruled_server)


def answers(served):
    with served.server.store.read() as connection:
        return [row._asdict() for row in connection.execute(select(ANSWERS).order_by(ANSWERS.c.at))]


# The use


@pytest.mark.parametrize(
    ("use", "fields"),
    [
        (None, ["use"]),
        ("doorstep", ["use"]),
        ({}, ["use.purpose", "use.channel_class", "use.sponsor_type", "use.jurisdiction"]),
        ({name: value for name, value in DOORSTEP.items() if name != "jurisdiction"}, ["use.jurisdiction"]),
        (DOORSTEP | {"purpose": "van:314159"}, ["use.purpose"]),
        (DOORSTEP | {"sponsor_type": None, "channel_class": 3}, ["use.channel_class", "use.sponsor_type"]),
        (DOORSTEP | {"van:314159": 1}, ["use"]),
        (DOORSTEP | {"campaign_id": "van:314159\n"}, ["use.campaign_id"]),
        (DOORSTEP | {"election": "van:314159"}, ["use.election"]),
        (DOORSTEP | {"channel": "van:314159"}, ["use.channel"]),
    ],
)
def test_a_use_that_is_not_stated_in_full_is_refused_and_its_fields_are_named(served, use, fields):
    answer = served.ask(use=use)
    assert (answer.status_code, answer.json()["code"]) == (422, "use_incomplete")
    assert [fault["field"] for fault in answer.json()["errors"]] == fields
    assert "314159" not in answer.text
    assert answers(served)[-1]["code"] == "use_incomplete"


def test_a_request_without_any_use_is_refused(served):
    answer = served.client.post("/v1/scores", json={"people": ["van:0001"], "scores": ["affinity:*"]}, headers=served.headers)
    assert (answer.status_code, answer.json()["code"], answer.json()["errors"][0]["field"]) == (422, "use_incomplete", "use")


def test_a_misspelt_part_of_the_use_gets_a_hint(served):
    use = {name: value for name, value in DOORSTEP.items() if name != "purpose"} | {"purpos": "service"}
    missing, unknown = served.ask(use=use).json()["errors"]
    assert missing["field"] == "use.purpose"
    assert "did you mean `purpose`" in unknown["message"]
    (channel,) = served.ask(use=DOORSTEP | {"channel": "emial"}).json()["errors"]
    assert "Did you mean 'email'" in channel["message"]


def test_other_faults_beside_the_use_are_all_named(served):
    answer = served.ask(use=None, explain=99)
    assert answer.json()["code"] == "request_invalid"
    assert [fault["field"] for fault in answer.json()["errors"]] == ["use", "explain"]


@pytest.mark.parametrize(("use", "status", "code", "rule"), [(BROADCAST, 403, "exemption_lost", "L7"), (PARTY, 451, "risk_assessment_stale", "L28")])
def test_a_use_that_is_refused_as_a_whole_is_a_problem_with_the_rules_status(served, use, status, code, rule):
    """The workspace of `served` has no risk assessment."""
    answer = served.ask(["van:0001", "nobody:1"], use=use)
    problem = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status_code, problem["status"], problem["code"], problem["rule"]) == (status, status, code, rule)
    assert problem["detail"] == next(each for each in load_pack("fr").rules if each.code == code).text.en
    assert problem["pack"] == f"fr {load_pack('fr').version}"
    last = answers(served)[-1]
    assert (last["status"], last["code"], last["route"], last["key_id"]) == (status, code, "POST /v1/scores", served.key.key_id)
    with served.server.store.read() as connection:
        assert connection.execute(select(DECISIONS).where(DECISIONS.c.answer_id == last["answer_id"])).all() == []


def test_the_log_says_which_use_was_refused_under_which_law(served):
    pack, versions = load_pack("fr"), served.server.permission.history.versions()
    assert served.ask(["van:0001", "nobody:1"], use=PARTY).status_code == 451
    last = answers(served)[-1]
    assert (json.loads(last["use"]), last["law"]) == (PARTY, f"fr {pack.version} {pack.digest}")
    assert (last["people"], last["ledger"], last["activity"]) == (2, served.server.permission.ledger.last(), "score")
    assert json.loads(last["tables"]).items() <= versions.items()
    assert json.loads(last["preconditions"]) == {"dpia": None, "risk_assessment": None, "own_rows": False}
    headers = {"Authorization": f"Bearer {served.make_key('sender', 'permissions')[1]}"}
    served.client.post("/v1/permissions", json={"people": ["van:0001"], "use": BROADCAST, "activity": "audience"}, headers=headers)
    last = answers(served)[-1]
    assert (json.loads(last["use"]), last["activity"], last["people"]) == (BROADCAST, "audience", 1)


def test_a_use_of_a_channel_that_is_none_is_logged_without_its_name(served):
    served.ask(use=DOORSTEP | {"channel": "van:314159"})
    last = answers(served)[-1]
    assert (last["status"], last["code"], json.loads(last["use"])) == (422, "use_incomplete", DOORSTEP)
    assert last["law"].startswith("none ")
    assert "314159" not in str(last)
    served.ask(use=DOORSTEP | {"purpose": "van:314159"})
    assert (answers(served)[-1]["use"], answers(served)[-1]["law"]) == (None, None)


# People


@pytest.mark.parametrize(
    ("person", "event", "purpose", "code"),
    [
        ("van:0010", "objected", "any", "objected"),
        ("van:0011", "withdrawn", "campaign_messages", "consent_withdrawn"),
        ("van:0012", "refused", "any", "consent_refused"),
    ],
)
def test_who_said_no_gets_the_code_and_no_number_and_the_others_their_scores(ruled, person, event, purpose, code):
    rule = {"objected": "L18", "consent_withdrawn": "L17", "consent_refused": "L17b"}[code]
    number = say(ruled.workspace, person, event, purpose)
    words = {each.code: each.text for each in load_pack("none").rules}[code]
    for language in LANGUAGES:
        answer = ruled.ask(["van:0001", person, "van:0002"], ["affinity:housing", "persuadability:rent:story"], explain=2, language=language).json()
        first, refused, last = answer["results"]
        assert refused["scores"] == []
        assert (refused["code"], refused["words"]) == (code, words.words(language))
        assert refused["permission"] == {"allowed": False, "rule": rule, "event": number, "source": None}
        assert "value" not in str(refused)
        assert all(score["value"] for each in (first, last) for score in each["scores"])
        assert first["permission"] == {"allowed": True, "rule": None, "event": None, "source": None}
        assert answer["permission"]["ledger"] >= number
    with ruled.server.store.read() as connection:
        theirs = select(DECISIONS).where(DECISIONS.c.person == ruled.server.audit.pseudonym(person))
        assert {(row.code, row.value) for row in connection.execute(theirs)} == {(code, None)}


def test_explicit_consent_lets_in_for_its_purpose_alone(ruled):
    words = {"legal_basis": "gdpr_9_2_a", "wording_hash": "a" * 64}
    for purpose, code in (("campaign_messages", "no_live_political_consent"), ("political_ads_online", None)):
        say(ruled.workspace, "van:0020", "given", purpose, **words)
        assert only(ruled.ask(["van:0020"], ["persuadability:rent:story"], use=PARTY, individual=True))["code"] == code


def test_the_answer_says_what_the_decision_stands_on(ruled):
    basis = ruled.ask(use=ONLINE).json()["permission"]
    pack = load_pack("fr")
    assert basis["use"] == ONLINE | {"campaign_id": None, "election": None, "channel": None}
    assert basis["pack"] == {"id": "fr", "version": pack.version, "digest": pack.digest, "state": "unconfirmed", "confirmed_by": None}
    assert set(basis["table_versions"]) == {"interactions", "people", "sources"}
    assert datetime.fromisoformat(basis["decided_at"]) <= datetime.now(UTC)


# From when on


def test_under_load_no_answer_to_a_question_after_the_withdrawal_holds_a_score(ruled):
    person, seen, stopped, failed = "van:0030", [], threading.Event(), []

    def ask():
        try:
            while not stopped.is_set():
                begun = time.monotonic()
                first, second = ruled.ask([person, "van:0031"], ["affinity:*"], explain=1).json()["results"]
                seen.append((begun, first["code"], len(first["scores"]), len(second["scores"])))
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(seen) > 20 or failed)
    say(ruled.workspace, person, "withdrawn")
    returned = time.monotonic()
    wait_until(lambda: sum(begun > returned for begun, *_ in seen) > 20 or failed)
    stopped.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert {(code, scores) for begun, code, scores, _ in seen if begun > returned} == {("consent_withdrawn", 0)}
    assert any(code is None and scores == 3 for _, code, scores, _ in seen)
    assert {scores for *_, scores in seen} == {3}, "the other one has scores all the time"


def test_who_withdraws_while_scores_are_worked_out_is_out_of_that_very_answer(ruled, monkeypatch):
    made, score = [], answering.score

    def slow(*args, **how):
        made.append(score(*args, **how))
        if len(made) == 1:
            say(ruled.workspace, "van:0040", "withdrawn")
        return made[-1]

    monkeypatch.setattr(answering, "score", slow)
    gone, other = ruled.ask(["van:0040", "van:0041"]).json()["results"]
    assert [len(person.scores) for person in made[0].results] == [1, 1], "it was worked out"
    assert (gone["code"], gone["scores"], len(other["scores"])) == ("consent_withdrawn", [], 1)
    with ruled.server.store.read() as connection:
        theirs = select(DECISIONS.c.code).where(DECISIONS.c.person == ruled.server.audit.pseudonym("van:0040"))
        assert connection.execute(theirs).scalars().all() == ["consent_withdrawn"], "nor does the log hold what was worked out"


def test_what_others_say_meanwhile_does_not_have_scores_worked_out_again(ruled, monkeypatch):
    made, score = [], answering.score

    def slow(*args, **how):
        made.append(score(*args, **how))
        say(ruled.workspace, "van:0050", "withdrawn", "research")
        return made[-1]

    monkeypatch.setattr(answering, "score", slow)
    assert only(ruled.ask(["van:0051"]))["scores"][0]["value"] > 0
    assert len(made) == 1


def test_every_server_of_the_workspace_hears_it(ruled):
    with serving(ruled.workspace.root) as (client, app):
        wait_until(lambda: client.get("/readyz").status_code == 200)
        other = Served(client, app)
        assert [only(each.ask(["van:0060"]))["code"] for each in (ruled, other)] == [None, None]
        headers = {"Authorization": f"Bearer {ruled.make_key('crm', 'people')[1]}"}
        assert ruled.client.post("/v1/people/objections", json={"person": "van:0060"}, headers=headers).status_code == 200
        assert [only(each.ask(["van:0060"]))["code"] for each in (other, ruled)] == ["objected", "objected"]
        body = {"events": [{"person": "van:0061", "event": "withdrawn", "purpose": "campaign_messages"}]}
        assert client.post("/v1/people/consents", json=body, headers=headers).status_code == 200
        assert [only(each.ask(["van:0061"]))["code"] for each in (ruled, other)] == ["consent_withdrawn"] * 2


def test_who_was_erased_has_no_score_with_a_vector_and_without_one(ruled):
    for person in ("van:0070", "gone:1"):
        say(ruled.workspace, person, "given")
        erase(ruled.workspace, person)
    with_vector, without, unknown = ruled.ask(["van:0070", "gone:1", "gone:2"]).json()["results"]
    assert (with_vector["code"], with_vector["scores"], with_vector["permission"]["rule"]) == ("erased", [], "L19")
    assert (without["code"], without["scores"], without["permission"]) == ("erased", [], None)
    assert without["words"] == with_vector["words"]
    assert unknown["code"] == "unknown_person"


def test_without_its_ledger_nobody_is_scored(served_copy):
    assert served_copy.ask().status_code == 200
    with served_copy.server.store.write() as connection:
        connection.exec_driver_sql("ALTER TABLE ledger RENAME TO elsewhere")
    answer = served_copy.ask()
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert "value" not in answer.text
    assert answers(served_copy)[-1]["code"] == "store_unavailable"
    with served_copy.server.store.write() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO ledger")
    assert served_copy.ask().status_code == 200


def test_without_its_tables_nobody_is_scored_until_they_are_back(copied, quick_trial):
    log = copied.tables / "people" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text("no log of a table\n")
    with serving(copied.root) as (client, app):
        wait_until(lambda: app.state.server.reloader.current.undecided)
        served = Served(client, app)
        answer = served.ask()
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        assert any(reason.startswith("permission: people cannot be read") for reason in answer.json()["reasons"])
        assert client.get("/readyz").status_code == 503
        (log / "00000000000000000000.json").unlink()
        wait_until(lambda: served.ask().status_code == 200)


def test_a_store_that_fails_for_a_moment_does_not_silence_the_server(copied, quick_trial, monkeypatch):
    failing, group = [True, True], Permission.group

    def busy(self, *args, **how):
        if failing:
            failing.pop()
            raise StoreError("the store cannot be read (OperationalError)")
        return group(self, *args, **how)

    monkeypatch.setattr(Permission, "group", busy)
    with serving(copied.root) as (client, app):
        wait_until(lambda: client.get("/readyz").status_code == 200)
        assert Served(client, app).ask().status_code == 200
    assert failing == []


# What is special


def test_a_special_topic_online_is_refused_for_that_score_alone(ruled):
    for language in LANGUAGES:
        special, ordinary = only(ruled.ask(scores=["affinity:schools", "affinity:housing"], use=ONLINE, language=language))["scores"]
        assert (special["code"], special["name"]) == ("special_category_profiling", "affinity:schools")
        assert special["words"] == next(rule for rule in load_pack("fr").rules if rule.id == "L4").text.words(language)
        assert ordinary["value"] > 0
    assert only(ruled.ask(scores=["affinity:schools"], use=DOORSTEP))["scores"][0]["value"] > 0


def test_only_special_scores_are_codes_too(ruled):
    answer = ruled.ask(scores=["affinity:schools"], use=ONLINE)
    assert (answer.status_code, only(answer)["code"]) == (200, None)
    assert [score["code"] for score in only(answer)["scores"]] == ["special_category_profiling"]


def test_for_a_political_actor_every_topic_is_special_until_someone_said_why_not(ruled):
    say(ruled.workspace, "van:0080", "given", "political_ads_online", legal_basis="gdpr_9_2_a", wording_hash="a" * 64)
    scores = only(ruled.ask(["van:0080"], ["affinity:*", "persuadability:rent:story"], use=PARTY, individual=True))["scores"]
    assert [score.get("code") for score in scores] == ["special_category_profiling"] * 3 + [None]
    topic = ruled.workspace.vocabulary.topic("housing").model_copy(update={"classed_by": "Ann", "why": "says nothing of opinions"})
    others = tuple(each for each in ruled.workspace.vocabulary.topics if each.id != "housing")
    loaded = replace(ruled.server.reloader.current.for_use(Use(**PARTY)), vocabulary=ruled.workspace.vocabulary.model_copy(update={"topics": (topic, *others)}))
    assert special_scores(loaded, ["affinity:housing", "affinity:transport"], Use(**PARTY)) == {"affinity:transport"}


ATTRIBUTES = """
[attributes.faith]
type = "category"
categories = ["one", "another"]
sensitivity = "special"
classed_by = "An officer"
why = "members said so, for this"
in_models = true
en = "Faith"

[attributes.income]
type = "numeric"
en = "Income"
"""


def test_a_model_fitted_on_a_special_attribute_scores_nobody_online(made, tmp_path, quick_trial):
    workspace = copy_ruled(made.workspace.root, tmp_path / "workspace")
    (workspace.root / "audience.toml").write_text((workspace.root / "audience.toml").read_text() + ATTRIBUTES)
    workspace = Workspace.open(workspace.root)
    vectors = make_vectors(workspace.vocabulary, people=120)
    publish(vectors, workspace.vectors)
    own_published(workspace, people=120)
    promote(workspace, "affinity", "2", fit_affinity(vectors, ["housing"], num_trees=3), vectors)
    with serving(workspace.root) as (client, app):
        wait_until(lambda: app.state.server.reloader.current.champions)
        served = Served(client, app)
        assert "affinity" in served.server.reloader.current.special - served.server.reloader.current.mismatched
        for use, code in ((ONLINE, "special_category_profiling"), (DOORSTEP, None)):
            (score,) = only(served.ask(scores=["affinity:housing"], use=use))["scores"]
            assert score.get("code") == code
            assert ("value" in score) == (code is None)
        (model,) = (model for model in client.get("/v1/models", headers=served.headers).json()["models"] if model["name"] == "affinity")
        assert model["special_attributes"] == ["faith"]


def test_an_attribute_that_nobody_classes_any_more_is_special(made):
    vocabulary = made.workspace.vocabulary
    assert not special_attributes([feature.name for feature in catalogue(vocabulary)], vocabulary)
    assert special_attributes(["attribute|id=income", "attribute|id=faith|category=one", "attribute|id=faith|category=two"], vocabulary) == ("faith", "income")


# From elsewhere


@pytest.fixture
def opened(made, tmp_path, quick_trial):
    """A workspace, its permission and what a server has loaded of it, with interactions of a third party, and of a source that nobody knows."""
    workspace = copy_ruled(made.workspace.root, tmp_path / "workspace")
    moment = datetime(2026, 9, 1, tzinfo=UTC)
    said = {"received_at": moment, "occurred_at": moment, "kind": "letter_open", "channel": "email", "direction": "in"}
    rows = [("van:0001", "third_party", "forms"), ("van:0001", "from_person", "forms"), ("van:0002", "observed", "forms"), ("van:0003", "observed", "lost")]
    done = [said | {"person_id": person, "collected_how": how, "source_id": source, "is_machine": False} for person, how, source in rows]
    put(workspace, "interactions", [each | {"interaction_id": str(number)} for number, each in enumerate(done)])
    forms = {"source_id": "forms", "type": "membership", "collected_how": "from_person", "collected_at": LONG_AGO}
    put(workspace, "sources", [forms | {"political_purpose_stated": False, "supports_sponsor": False}])
    store = Store(workspace.database_url)
    permission = Permission(workspace, store)
    yield permission, load(workspace, permission, threads=1)
    store.close()


def test_what_came_from_elsewhere_is_in_the_vectors_so_its_people_are_not_scored_online(opened):
    permission, loaded = opened
    for use, codes in ((ONLINE, ["third_party_source", None, "third_party_source"]), (DOORSTEP, [None, None, None])):
        permitted = permit(permission, loaded, Use(**use), people=["van:0001", "van:0002", "van:0003"], names=[], at=datetime.now(UTC))
        assert [permitted.decisions.code(row) for row in range(3)] == codes


def test_decisions_are_in_the_order_of_the_people_whatever_that_of_the_vectors(opened, made):
    permission, loaded = opened
    turned = replace(made.vectors, person_ids=made.vectors.person_ids[::-1], matrix=made.vectors.matrix[::-1])
    say(Workspace.open(permission.history.folder.parent), "van:0003", "objected", "any")
    people = ["van:0002", "van:0003", "nobody:1", "van:0003"]
    for vectors in (made.vectors, turned):
        there = replace(loaded, vectors=vectors, group=permission.group(vectors.ordered[0]))
        permitted = permit(permission, there, Use(**DOORSTEP), people=people, names=[], at=datetime.now(UTC))
        assert [permitted.decisions.code(row) for row in range(3)] == [None, "objected", "objected"]


def test_nothing_is_decided_before_there_is_something_to_decide_from(opened):
    permission, loaded = opened
    for missing in ({"group": None}, {"vectors": None}):
        with pytest.raises(Problem) as caught:
            permit(permission, replace(loaded, **missing), Use(**DOORSTEP), people=["van:0001"], names=[], at=datetime.now(UTC))
        assert (caught.value.code, caught.value.status) == ("not_ready", 503)


def test_new_tables_are_decided_from_without_a_restart(made, tmp_path, quick_trial):
    workspace = copy_ruled(made.workspace.root, tmp_path / "workspace")
    before = load_now(workspace)
    rows = {"type": "employer_file", "collected_how": "third_party", "political_purpose_stated": False, "supports_sponsor": False}
    put(workspace, "sources", [rows | {"source_id": "works", "collected_at": datetime(2026, 1, 1, tzinfo=UTC)}])
    put(workspace, "people", [{"person_id": "van:0004", "status": "contact", "source_id": "works"}])
    store = Store(workspace.database_url)
    permission = Permission(workspace, store)
    after = load(workspace, permission, threads=1, previous=before)
    assert after.vectors is before.vectors
    permitted = permit(permission, after, Use(**ONLINE), people=["van:0004"], names=[], at=datetime.now(UTC))
    assert permitted.decisions.code(0) == "forbidden_source"
    assert permitted.person(0).source == "works"
    store.close()


def test_the_log_says_what_was_decided_and_on_what(ruled):
    """With use, law pack, ledger and tables a decision can be made again (rule L37)."""
    ledger = ruled.server.permission.ledger
    now = datetime.now(UTC)
    last = ledger.append([Event("van:0591", "objected", "any", "any", now)], now=now, door="command").last
    body = ruled.ask(["van:0592", "van:0591"]).json()
    with ruled.server.store.read() as connection:
        answer = connection.execute(select(ANSWERS).where(ANSWERS.c.answer_id == body["answer_id"])).mappings().one()
        rows = connection.execute(select(DECISIONS).where(DECISIONS.c.answer_id == body["answer_id"])).mappings().all()
    pack = load_pack("none")
    assert json.loads(answer["use"]) == DOORSTEP
    assert (answer["law"], answer["ledger"]) == (f"none {pack.version} {pack.digest}", last)
    assert json.loads(answer["tables"]) == body["permission"]["table_versions"]
    assert (answer["activity"], json.loads(answer["preconditions"])) == ("score", {"dpia": "DPIA-1", "risk_assessment": f"{now.date()}", "own_rows": False})
    by_token = {row["person"]: (row["code"], row["rule"], row["event"]) for row in rows}
    tokens = ruled.server.audit.pseudonyms(["van:0592", "van:0591"])
    assert by_token[tokens["van:0591"]] == ("objected", "L18", last)
    assert by_token[tokens["van:0592"]] == (None, None, None)
    found = replay(ruled.server.permission, body["answer_id"], ["van:0591", "van:0592", "van:0593"])
    assert ([one.person for one in found.compared], found.others, found.same) == (["van:0591", "van:0592"], 0, True)


def test_nothing_leads_to_who_was_erased(ruled):
    answered = ruled.ask(["van:0590"]).json()["answer_id"]
    ledger, audit = ruled.server.permission.ledger, ruled.server.audit
    token = audit.pseudonym("van:0590")
    assert answered in {request.answer_id for request in audit.requests_about("van:0590")}
    with ledger.store.write(serial=True) as connection:
        ledger.erase(connection, "van:0590", now=datetime.now(UTC), door="command")
    assert audit.requests_about("van:0590") == []
    assert audit.pseudonym("van:0590") == "(erased)"
    assert ruled.ask(["van:0590"]).json()["results"][0]["code"] == "erased"
    with ruled.server.store.read() as connection:
        assert {row.person for row in connection.execute(select(DECISIONS.c.person))} >= {token, "(erased)"}


def test_on_behalf_of_a_political_actor_online_people_in_person_have_to_be_asked_for(ruled):
    refused = ruled.ask(["van:0003"], use=PARTY)
    assert (refused.status_code, refused.json()["code"]) == (403, "aggregate_is_default")
    assert "/v1/aggregates" in refused.json()["detail"]
    last = answers(ruled)[-1]
    assert (last["code"], last["people"], json.loads(last["use"])["sponsor_type"]) == ("aggregate_is_default", 1, "political_actor")
    assert ruled.ask(["van:0003"], use=PARTY, individual=1).json()["code"] == "request_invalid"
    assert only(ruled.ask(["van:0003"], use=PARTY, individual=True))["code"] == "no_live_political_consent"
    for use in (ONLINE, PARTY | {"jurisdiction": "uk", "channel_class": "offline"}):
        assert ruled.ask(["van:0003"], use=use).status_code == 200, "nobody else has to say so"


@pytest.mark.parametrize("individual", [False, True])
def test_a_use_about_groups_gives_nobody_a_score(ruled, individual):
    refused = ruled.ask(["van:0003"], use=DOORSTEP | {"channel_class": "aggregate"}, individual=individual)
    assert (refused.status_code, refused.json()["code"]) == (403, "groups_only")
    assert "results" not in refused.json()


def test_a_rule_about_special_scores_keeps_those_from_them_who_did_not_consent(ruled):
    """In the UK a party may score nobody for what shows opinions without explicit consent: through the answer, not only in the rules."""
    use = PARTY | {"jurisdiction": "uk", "channel_class": "offline"}
    say(ruled.workspace, "van:0571", "given", "political_ads", legal_basis="gdpr_9_2_a", wording_hash="a" * 64)
    answer = ruled.ask(["van:0570", "van:0571", "nobody:1"], ["affinity:housing"], use=use).json()
    without, consenting, _ = answer["results"]
    found = replay(ruled.server.permission, answer["answer_id"], ["van:0570", "van:0571", "nobody:1"])
    assert ([one.person for one in found.compared], found.others, found.same) == (["van:0570", "van:0571"], 0, True), "of who has no vector nothing was decided"
    assert (without["permission"]["allowed"], without["scores"][0]["code"]) == (True, "no_art9_basis")
    assert "value" not in without["scores"][0]
    assert consenting["scores"][0]["value"] > 0
