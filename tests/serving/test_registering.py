"""The register beside answers: an entry in the same transaction, once for each way of targeting, by whichever server; no entry, no answer."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from features.database.schema import ANSWERS, REGISTER
from features.database.store import StoreError
from features.permission.notices import notice_of
from features.permission.register import Register
from features.permission.use import Use
from models import artefact
from serving.answering import answer_scores, recorded
from serving.audit import Answer
from serving.problems import Problem
from serving.registering import Registrar, targeting_of
from serving.schemas import ScoreRequest
from serving.scorer import asked_names
from serving.server import Server
from serving.settings import Settings
from tests.serving.ruled import DOORSTEP, LONG_AGO, ONLINE, copy_ruled, own_published, put

CAMPAIGN = ONLINE | {"campaign_id": "housing-2026"}
SOURCE = {"type": "membership", "collected_how": "from_person", "collected_at": LONG_AGO, "political_purpose_stated": False, "supports_sponsor": False}


@pytest.fixture(scope="module")
def registered(made, tmp_path_factory):
    """A workspace with two sources of one type and one of another; 3 members."""
    workspace = copy_ruled(made.workspace.root, tmp_path_factory.mktemp("registered") / "workspace")
    others = {"type": "newsletter\nvan:0001", "collected_how": "third_party"}
    put(workspace, "sources", [SOURCE | {"source_id": "a"}, SOURCE | {"source_id": "b"}, SOURCE | others | {"source_id": "c"}])
    put(workspace, "people", [{"person_id": f"van:000{number}", "status": "member", "source_id": "a", "joined_at": LONG_AGO} for number in range(3)])
    own_published(workspace)
    return workspace


@pytest.fixture(scope="module")
def online(registered, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(artefact, "try_in_process", lambda _folder: None)
        with opened(registered, f"sqlite:///{tmp_path_factory.mktemp('online') / 'audience.db'}") as server:
            yield server


@contextmanager
def opened(workspace, url):
    """The parts of one more server on the store, loaded but not listening; what is said in the stores of other tests is left behind."""
    workspace.database_id.unlink(missing_ok=True)
    server = Server.open(Settings(workspace=workspace.root, database_url=url))
    server.reloader.refresh()
    try:
        yield server
    finally:
        server.store.close()


def answer(server, scores=("affinity:housing",), use=CAMPAIGN, people=("van:0001",)):
    """What the route does."""
    loaded, asked = server.reloader.current, ScoreRequest(people=list(people), scores=list(scores), use=use)

    def made():
        found = answer_scores(server, loaded, asked)
        names = asked_names(loaded, scores)
        told = Answer(found.answer_id, found.scored_at, "api", "POST /v1/scores", 200, decisions=server.audit.decisions(found.results, names))
        return found, replace(told, basis=found.permission, targeting=server.registrar.targeting(loaded, asked.use, names, at=found.scored_at))

    return recorded(server, made)


def entries(served):
    return served.register.entries("targeting")


def test_an_online_answer_has_its_entry_and_the_next_the_same(online):
    before = len(entries(online))
    for people in (["van:0001"], ["van:0002"], ["van:0001", "van:0099"]):
        answer(online, ["affinity:housing", "persuadability:rent:story"], people=people)
    answer(online, ["persuadability:rent:story", "affinity:housing"])  # the order is no matter
    (entry,) = entries(online)[before:]
    said = entry.body
    assert (said["activity"], said["campaign"], said["political"], said["use"]) == ("score", "housing-2026", False, CAMPAIGN)
    assert said["parameters"]["scores"] == said["groups"]["scores"] == ["affinity:housing", "persuadability:rent:story"]
    assert [(each["model"], each["version"], each["technique"]) for each in said["techniques"]] == [
        ("affinity", "1", "gradient_boosted_trees"),
        ("persuadability.rent.story", "1", "uplift_stack"),
    ]
    models = {champion.name: champion.digest for champion in online.reloader.current.champions.values()}
    assert {each["model"]: each["digest"] for each in said["techniques"]} == models
    assert said["sources"] == [{"type": "membership", "collected_how": "from_person", "sources": 2}], "what came from elsewhere may not serve (L3)"
    assert (said["third_party_data"], said["special_categories"], said["ai"]["used"]) == (False, [], True)
    assert (said["dpia"], said["risk_assessment"]) == ("DPIA-1", datetime.now(UTC).date().isoformat())
    assert said["law"]["pack"] == "fr"
    assert {each["family"] for each in said["data_categories"]} >= {"frequency", "recency", "topics"}
    for main in said["parameters"]["main"]:
        assert 0 < sum(part["percent"] for part in main["families"]) <= 102
    assert "van:" not in str(said)


def test_what_is_not_targeting_online_or_gives_no_score_has_none(online):
    before = len(entries(online))
    answer(online, use=DOORSTEP)
    assert answer(online, ["affinity:schools"]).results[0].scores[0].code == "special_category_profiling"
    answer(online, ["persuadability:door:visit"])
    with pytest.raises(Problem, match="same message to all members"):
        answer(online, use=CAMPAIGN | {"channel_class": "online_member_broadcast"})
    assert len(entries(online)) == before


def test_another_campaign_or_score_is_another_entry_and_a_special_one_is_left_out(online):
    before = len(entries(online))
    answer(online, use=CAMPAIGN | {"campaign_id": "other"})
    answer(online, ["affinity:*"], CAMPAIGN | {"campaign_id": "other"})
    first, second = entries(online)[before:]
    assert first.body["campaign"] == second.body["campaign"] == "other"
    assert second.body["parameters"]["scores"] == ["affinity:housing", "affinity:transport"]


def test_where_the_law_lets_others_data_serve_the_entry_says_so(online):
    use = Use(**CAMPAIGN | {"jurisdiction": "none"})
    said = online.registrar.targeting(online.reloader.current, use, ["affinity:schools", "affinity:housing"], at=datetime.now(UTC)).body
    assert {"type": "(other)", "collected_how": "third_party", "sources": 1} in said["sources"], "words of somebody's are not repeated"
    assert (said["third_party_data"], said["special_categories"]) == (True, ["affinity:schools"])


def test_it_is_worked_out_once(online):
    loaded, use, at = online.reloader.current, Use(**CAMPAIGN), datetime.now(UTC)
    made = online.registrar.targeting(loaded, use, list(loaded.scores), at=at)
    assert online.registrar.targeting(loaded, use, list(loaded.scores)[::-1], at=at) is made
    assert targeting_of(online.permission, loaded, use, list(loaded.scores), day=at.date()).digest == made.digest
    assert targeting_of(online.permission, loaded, use, ["affinity:housing"], day=at.date(), activity="export").body["activity"] == "export"


def test_an_answer_over_http_has_it(served):
    """Under no law nothing but the entry is needed; what came from elsewhere may then serve, and special topics too: the entry says so."""
    campaign = f"http {served.key.key_id}"
    assert served.ask(use=CAMPAIGN | {"jurisdiction": "none", "campaign_id": campaign}).status_code == 200
    (entry,) = [entry for entry in served.server.register.entries("targeting") if entry.body["campaign"] == campaign]
    assert entry.body["law"]["pack"] == "none"


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_two_servers_say_it_once_and_after_a_restart_nothing_is_new(registered, request, tmp_path, database, quick_trial):
    url = f"sqlite:///{tmp_path / 'audience.db'}" if database == "sqlite" else request.getfixturevalue("new_postgres")()
    with opened(registered, url) as one, opened(registered, url) as other:
        for server in (one, other, one):
            answer(server)
    with opened(registered, url) as restarted:
        answer(restarted)
        assert [entry.body["campaign"] for entry in restarted.register.entries("targeting")] == ["housing-2026"]
        assert restarted.register.first_break() is None
        with restarted.store.read() as connection:
            assert connection.execute(select(func.count()).select_from(ANSWERS)).scalar() == 4
            kinds = connection.execute(select(REGISTER.c.kind, func.count()).group_by(REGISTER.c.kind)).all()
    assert dict(map(tuple, kinds)) == {"dpia": 1, "risk_assessment": 1, "law_pack": 2, "topic": 3, "targeting": 1}


def test_what_was_left_and_taken_up_again_is_said_again_and_told_by_the_notice(registered, tmp_path, quick_trial):
    """Settings A, B and A again, each under a server of its own; under B another score is asked for, which says of the assessment what holds then."""
    toml, url = registered.root / "audience.toml", f"sqlite:///{tmp_path / 'audience.db'}"
    before = toml.read_text()
    dpias = []
    try:
        for dpia, score in (("DPIA-1", "affinity:housing"), ("DPIA-2", "affinity:transport"), ("DPIA-1", "affinity:housing"), ("DPIA-1", "affinity:housing")):
            toml.write_text(before.replace("DPIA-1", dpia))
            with opened(registered, url) as server:
                answer(server, [score])
                answer(server, [score])
                made = notice_of(server.register, server.permission.settings, "housing-2026", now=datetime.now(UTC))
                assert made["dpia"] == dpia
                dpias = [entry.body["dpia"] for entry in entries(server)]
    finally:
        toml.write_text(before)
    assert dpias == ["DPIA-1", "DPIA-2", "DPIA-1"]


def test_a_model_that_is_back_in_office_is_said_again_by_the_same_server(registered, tmp_path, quick_trial):
    with opened(registered, f"sqlite:///{tmp_path / 'audience.db'}") as server:
        loaded = server.reloader.current
        for number, version in enumerate(("1", "2", "1", "1")):
            champion = replace(loaded.champions["affinity"], version=version, digest=version * 64)
            one = replace(loaded, champions=loaded.champions | {"affinity": champion})
            way = server.registrar.targeting(one, Use(**CAMPAIGN), ["affinity:housing"], at=datetime.now(UTC))
            server.audit.record(Answer(f"a{number}", datetime.now(UTC), "api", "POST /v1/scores", 200, targeting=way))
        assert [entry.body["techniques"][0]["version"] for entry in entries(server)] == ["1", "2", "1"]


def test_without_an_entry_there_is_no_answer_and_nothing_is_half_written(registered, tmp_path, quick_trial, monkeypatch):
    with opened(registered, f"sqlite:///{tmp_path / 'audience.db'}") as server:

        def fail(*_args, **_named):
            raise StoreError("the store cannot be written (OperationalError)")

        with monkeypatch.context() as patched:
            patched.setattr(Register, "write", fail)
            with pytest.raises(Problem) as refused:
                answer(server)
        assert (refused.value.code, refused.value.status) == ("audit_unavailable", 503)
        with server.store.read() as connection:
            assert connection.execute(select(ANSWERS)).all() == []
        answer(server)
        assert len(server.register.entries("targeting")) == 1, "a failure is not remembered as an entry"
        with server.store.write() as connection:
            connection.exec_driver_sql("DROP TABLE register")
        answer(server)
        with pytest.raises(Problem):
            answer(server, use=CAMPAIGN | {"campaign_id": "never seen"})


def test_no_more_ways_are_kept_than_a_few(online, monkeypatch):
    from serving import registering

    monkeypatch.setattr(registering, "_MOST", 2)
    registrar, loaded, at = Registrar(online.permission), online.reloader.current, datetime.now(UTC)
    for number in range(5):
        registrar.targeting(loaded, Use(**CAMPAIGN | {"campaign_id": f"c{number}"}), ["affinity:housing"], at=at)
        assert len(registrar._made[1]) <= 2
