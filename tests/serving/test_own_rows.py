"""Online targeting is answered from vectors of own rows alone, people and bands included; every other use from all rows."""

import shutil
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from features.database.store import Store
from features.history import History
from features.own_rows import build_both
from features.permission.live import Permission
from features.permission.use import Use
from features.publication import publish
from features.workspace import Workspace
from serving.access_document import document
from serving.audit import Answer, AuditLog
from serving.held_data import Records, held_data
from serving.loaded import stamp
from serving.permission_schemas import PermissionRequest
from serving.permitting import answer_permissions, permit, special_scores
from serving.schemas import NoScore, ScoreRequest
from serving.scorer import score
from tests.serving.conftest import AS_OF, DOORSTEP, load_now, make_vectors
from tests.serving.ruled import LONG_AGO, ONLINE, PARTY, copy_ruled, own_published, put, put_members, say

pytestmark = pytest.mark.usefixtures("quick_trial")

ADS = ONLINE | {"purpose": "political_ads"}
SAID = {"legal_basis": "gdpr_9_2_a", "wording_hash": "a" * 64}
BOUGHT, FREE = "van:0001", "van:0002"


@pytest.fixture
def ruled(made, tmp_path):
    """Two members who consented, one of whom did something that a broker told of."""
    copy = copy_ruled(made.workspace.root, tmp_path / "ruled")
    put_members(copy, [BOUGHT, FREE])
    row = {"channel": "email", "kind": "letter_open", "direction": "in", "source_id": "list", "collected_how": "third_party", "is_machine": False}
    put(copy, "interactions", [row | {"interaction_id": "i1", "person_id": BOUGHT, "occurred_at": LONG_AGO, "received_at": LONG_AGO}])
    for person in (BOUGHT, FREE):
        say(copy, person, "given", "political_ads_online", **SAID)
    return copy


def others_published(workspace, **more):
    """Publish own vectors that are other ones than those of all rows."""
    own_published(workspace, seed=7, as_of=AS_OF - timedelta(days=1), **more)


def asked(loaded, workspace, use, people=(BOUGHT, FREE)):
    """The decision and the answer."""
    use, now, people = Use(**use), datetime.now(UTC), list(people)
    with closing(Store(workspace.database_url)) as store:
        permission = Permission(workspace, store)
        permitted = permit(permission, loaded, use, people=people, names=["affinity:housing"], at=now)
        told = answer_permissions(permission, loaded, PermissionRequest(people=people, use=use), answer_id="b", at=now)
    answer = score(loaded, ScoreRequest(people=people, scores=["affinity:housing"], use=use), permitted, answer_id="a", now=now)
    there = loaded.for_use(use).vectors.rows(people) >= 0
    assert [one.code for one, row in zip(answer.results, there, strict=True) if row] == [one.code for one, row in zip(told.results, there, strict=True) if row]
    return answer


def test_without_vectors_of_own_rows_people_with_others_rows_are_refused(ruled):
    loaded = load_now(ruled)
    assert loaded.own is None
    assert [one.code for one in asked(loaded, ruled, ADS).results] == ["third_party_source", None]


def test_with_them_nobody_is_refused_for_rows_that_are_not_used(ruled):
    others_published(ruled)
    loaded = load_now(ruled)
    online, offline = asked(loaded, ruled, ADS), asked(loaded, ruled, DOORSTEP | {"channel_class": "offline"})
    assert [one.code for one in online.results] == [None, None]
    assert (online.as_of, offline.as_of) == (AS_OF - timedelta(days=1), AS_OF)
    own = loaded.for_use(Use(**ADS))
    assert own.third_party is False
    assert loaded.third_party is loaded.for_use(Use(**DOORSTEP)).third_party is True
    champion, row = loaded.champions["affinity"], own.vectors.rows([BOUGHT]).tolist()
    wanted = champion.serve(own.rows(row), [loaded.scores["affinity:housing"]])[0].values[0]
    assert online.results[0].scores[0].value == pytest.approx(wanted)
    assert online.results[0].scores[0].value != offline.results[0].scores[0].value
    assert own.bands["affinity:housing"] != loaded.bands["affinity:housing"]


def test_people_who_are_known_by_others_rows_alone_have_no_score_online(ruled):
    others_published(ruled, people=2)
    loaded = load_now(ruled)
    assert loaded.for_use(Use(**ADS)).group is not loaded.group
    assert [one.code for one in asked(loaded, ruled, ADS).results] == [None, "unknown_person"]


def test_it_is_loaded_when_it_comes_and_let_go_when_it_goes(ruled):
    first, seen = load_now(ruled), stamp(ruled)
    others_published(ruled)
    assert stamp(ruled) != seen
    second = load_now(ruled, previous=first)
    assert second.own.group is second.group, "the same people are decided on from the same facts"
    assert load_now(ruled, previous=second).own.vectors is second.own.vectors
    shutil.rmtree(ruled.own_vectors)
    assert load_now(ruled, previous=second).own is None


def test_vectors_of_all_rows_are_never_taken_for_own_ones(ruled):
    publish(make_vectors(ruled.vocabulary, seed=7), ruled.own_vectors)
    loaded = load_now(ruled)
    assert loaded.own is None
    assert any("rows from elsewhere" in fault for fault in loaded.faults)
    assert [one.code for one in asked(loaded, ruled, ADS).results] == ["third_party_source", None]


def test_access_tells_of_online_scores_what_was_done_and_may_be_done(ruled):
    """Made again from own rows, not said to be changed since; the use is allowed as the server allows it; the second vector is told too."""
    path = ruled.root / "audience.toml"
    path.write_text(path.read_text() + "\n" + "\n".join(["[uses.ads]", *(f'{name} = "{value}"' for name, value in ADS.items())]) + "\n")
    workspace = Workspace.open(ruled.root)
    own_published(workspace, seed=7, as_of=AS_OF - timedelta(days=1))
    with closing(Store(workspace.database_url)) as store:
        loaded, permission, log = load_now(workspace), Permission(workspace, store), AuditLog(store, workspace.signing_key())
        now, use = datetime.now(UTC), Use(**ADS)
        permitted = permit(permission, loaded, use, people=[BOUGHT], names=["affinity:housing"], at=now)
        answer = score(loaded, ScoreRequest(people=[BOUGHT], scores=["affinity:housing"], use=ADS), permitted, answer_id="a", now=now)
        entry = Answer("a", now, "api", "POST /v1/scores", 200, None, None, ["affinity:housing"], answer.as_of, 1, log.decisions(answer.results, []))
        log.record(replace(entry, basis=answer.permission, preconditions=permission.settings.preconditions))
        data = held_data(Records.open(workspace, store), BOUGHT, at=now, language="en")
    assert [(each.explained, each.value) for each in data.scores] == [("again", answer.results[0].scores[0].value)]
    assert [(each.allowed, each.code) for each in data.uses if each.name == "ads"] == [(True, None)]
    assert (data.vector_as_of, data.own_vector_as_of) == (AS_OF, AS_OF - timedelta(days=1))
    assert data.own_vector
    assert not set(data.own_vector) & set(data.vector), "only what is not the same"
    told = "\n".join(str(section) for section in document(data, workspace.vocabulary).sections)
    assert "these are not the same" in told


# Topics that online targeting may not see


def codes(loaded, workspace, use, person=FREE):
    """The codes of somebody's score, None where there is a number."""
    (result,) = asked(loaded, workspace, use, [person]).results
    return [score.code if isinstance(score, NoScore) else None for score in result.scores]


@pytest.mark.parametrize("withheld", [None, ()], ids=["there are no own ones", "own ones of before"])
def test_where_vectors_may_rest_on_a_special_topic_nobody_has_a_score_online(ruled, withheld):
    if withheld is not None:
        own_published(ruled, withheld=withheld)
    loaded = load_now(ruled)
    assert codes(loaded, ruled, ADS) == ["special_category_profiling"]
    assert codes(loaded, ruled, ADS | {"jurisdiction": "none"}) == codes(loaded, ruled, DOORSTEP) == [None], "where no law says so"
    own_published(ruled, withheld=("schools",))
    assert codes(load_now(ruled, previous=loaded), ruled, ADS) == [None]


def test_on_behalf_of_a_political_actor_topics_that_nobody_classed_are_withheld_too(ruled):
    assert ruled.vocabulary.withheld == ruled.vocabulary.topic_ids, "its audience.toml has such a use"
    names = ["affinity:housing", "affinity:schools", "persuadability:rent:story"]
    own_published(ruled, withheld=("schools",))
    some = load_now(ruled)
    assert special_scores(some, names, Use(**ADS)) == {"affinity:schools"}
    assert special_scores(some, names, Use(**PARTY)) == set(names)
    own_published(ruled)
    every = load_now(ruled)
    assert special_scores(every, names, Use(**PARTY)) == {"affinity:housing", "affinity:schools"}
    assert special_scores(every, names, Use(**PARTY | {"channel_class": "offline"})) == {"affinity:housing", "affinity:schools"}


def test_rows_about_a_special_topic_move_no_score_online(ruled):
    """Of two who did the same the one also wrote about schools: online they have the same score, at the door they have not."""
    text = (ruled.root / "audience.toml").read_text()
    (ruled.root / "audience.toml").write_text(text.replace('sponsor_type = "political_actor"', 'sponsor_type = "ngo"'))
    workspace = Workspace.open(ruled.root)
    assert workspace.vocabulary.withheld == ("schools",)
    row = {"kind": "letter_open", "channel": "email", "direction": "in", "source_id": "forms", "collected_how": "observed", "is_machine": False}
    told = [(BOUGHT, "housing"), (FREE, "housing"), (FREE, "schools"), (FREE, "housing;schools"), (FREE, "schools")]
    at = AS_OF - timedelta(days=3)
    rows = [row | {"interaction_id": f"t{number}", "person_id": person, "topic": topic} for number, (person, topic) in enumerate(told)]
    put(workspace, "interactions", [one | {"occurred_at": at, "received_at": at} for one in rows])
    every, own = build_both(History(workspace.tables, workspace.vocabulary), workspace, AS_OF)
    assert (own.withheld, every.withheld) == (("schools",), ())
    loaded = load_now(workspace)
    online, offline = (asked(loaded, workspace, use).results for use in (ADS, DOORSTEP))
    assert online[0].scores[0].value == online[1].scores[0].value
    assert offline[0].scores[0].value != offline[1].scores[0].value
