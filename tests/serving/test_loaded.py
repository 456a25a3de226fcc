"""What is loaded, what is refused to be loaded, and how a running server comes to know of a change."""

import json
import shutil
from datetime import UTC, datetime

import numpy as np
import pytest

from features.database.store import Store
from features.permission.ledger import Event
from features.permission.live import Permission
from features.permission.use import Use
from features.publication import publish
from models import artefact
from serving.bands import cut
from serving.loaded import stamp
from serving.past_scores import PastScores
from serving.permitting import permit
from serving.schemas import ScoreRequest
from serving.scorer import score
from tests.serving.conftest import AS_OF, DOORSTEP, fit_affinity, load_now, make_vectors, point, promote, serving, wait_until
from tests.serving.ruled import erase, own_published, put_members

pytestmark = pytest.mark.usefixtures("quick_trial")


@pytest.fixture
def affinity_only(copied):
    shutil.rmtree(copied.models / "persuadability.rent.story")
    return copied


def test_a_good_workspace_is_ready(copied):
    loaded = load_now(copied)
    assert loaded.ready
    assert loaded.faults == ()
    assert list(loaded.champions) == ["affinity", "persuadability.rent.story"]
    assert set(loaded.bands) == {"affinity:housing", "affinity:transport", "affinity:schools", "persuadability:rent:story"}


@pytest.mark.parametrize("file", ["model.txt", "model.json", "manifest.json", "signature", "card.md"])
def test_a_file_that_was_changed_is_not_loaded(affinity_only, file):
    path = affinity_only.models / "affinity" / "1" / file
    path.write_bytes(path.read_bytes() + b"\n")
    loaded = load_now(affinity_only)
    if file == "signature":  # white space around a signature is none of it
        path.write_bytes(b"0" * 64)
        loaded = load_now(affinity_only)
    assert not loaded.ready
    assert loaded.faults[0].startswith("model affinity 1: ")


def test_a_model_signed_with_another_key_is_not_loaded(affinity_only):
    artefact.sign(affinity_only.models / "affinity" / "1", b"another key of 32 bytes, not ours")
    assert "signature" in load_now(affinity_only).faults[0]


def test_a_model_that_fails_its_trial_is_not_loaded(affinity_only, monkeypatch):
    def crash(_folder):
        raise artefact.ArtefactError("the trial prediction crashed its process (signal 11)")

    monkeypatch.setattr(artefact, "try_in_process", crash)
    assert "signal 11" in load_now(affinity_only).faults[0]


@pytest.mark.parametrize(
    "pointer",
    [
        "",
        "[]",
        "{}",
        '{"name": "affinity", "version": "../../etc", "digest": "0"}',
        '{"name": "other", "version": "1", "digest": "0"}',
        '{"name": "affinity", "version": "1", "digest": "0"}',
    ],
)
def test_a_pointer_that_cannot_be_used_is_a_fault(affinity_only, pointer):
    (affinity_only.models / "affinity" / "champion.json").write_text(pointer)
    loaded = load_now(affinity_only)
    assert not loaded.ready
    assert "promote" in loaded.faults[0]


def test_a_bad_promotion_does_not_silence_the_model_before(affinity_only):
    before = load_now(affinity_only)
    folder = affinity_only.models / "affinity"
    shutil.copytree(folder / "1", folder / "2")
    (folder / "2" / "model.txt").write_text("tree\n")
    point(affinity_only, "affinity", "2")
    after = load_now(affinity_only, previous=before)
    assert after.champions["affinity"] is before.champions["affinity"]
    assert "1 is still served" in after.faults[0]


def test_what_did_not_change_is_kept(copied):
    before = load_now(copied)
    seen = stamp(copied)
    assert stamp(copied) == seen
    after = load_now(copied, previous=before)
    assert after.vectors is before.vectors
    assert all(after.champions[name] is champion for name, champion in before.champions.items())
    assert after.bands == before.bands


def test_the_base_is_who_may_be_counted_when_vectors_or_model_are_loaded(copied, made):
    """Of the 600 people 60 with the highest score objected, 60 are under age, one was erased and one withdrew; consent online is not asked for."""
    own_published(copied)
    before, values = load_now(copied), made.affinity.predict_proba(made.vectors.frame())[:, 0]
    out = np.argsort(-values)[:122]
    people = [f"van:{row:04d}" for row in out]
    store, at = Store(copied.database_url), datetime.now(UTC)
    permission = Permission(copied, store)
    spoken = [Event(person, "objected", "campaign_messages", "any", at) for person in people[:60]]
    permission.ledger.append([*spoken, Event(people[60], "withdrawn", "political_ads", "any", at)], now=at, door="command")
    erase(copied, people[61])
    put_members(copied, people[62:], birth_year=at.year - 12)
    counted = np.delete(values, out)
    after = load_now(copied)
    for loaded in (after, after.own):
        assert loaded.bands["affinity:housing"] == cut(counted)
    assert load_now(copied, previous=before).bands == before.bands, "renewed with vectors or model, and not before"
    assert before.bands["affinity:housing"] == cut(values)
    for group in (None, after.group):
        past, housing = PastScores(copied, permission, after.vectors, group, after.champions, at), after.scores["affinity:housing"]
        assert past.bands(after.champions["affinity"], housing) == cut(counted)
        assert len(past.moves(after.champions["affinity"])[1]) == 600 - 122
    store.close()


def test_where_nobody_may_be_counted_nobody_has_a_band(copied):
    people = [f"van:{row:04d}" for row in range(600)]
    put_members(copied, people, birth_year=datetime.now(UTC).year - 12)
    loaded, store = load_now(copied), Store(copied.database_url)
    use = Use(**DOORSTEP)
    asked, permission = ScoreRequest(people=people[:1], scores=["affinity:housing"], use=use), Permission(copied, store)
    permitted = permit(permission, loaded, use, people=people[:1], names=asked.scores, at=datetime.now(UTC))
    (person,) = score(loaded, asked, permitted, answer_id="a", now=datetime.now(UTC)).results
    store.close()
    assert (loaded.bands, person.permission.allowed, [each.code for each in person.scores]) == ({}, True, ["no_base"])


def test_an_empty_workspace_says_what_to_do(copied):
    shutil.rmtree(copied.models)
    shutil.rmtree(copied.vectors)
    loaded = load_now(copied)
    assert not loaded.ready
    assert "audience vectors" in loaded.faults[0]
    assert "audience promote" in loaded.faults[1]
    with serving(copied.root) as (client, app):
        wait_until(lambda: app.state.server.reloader.current.faults == loaded.faults)
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        assert answer.json()["reasons"] == list(loaded.faults)
        assert client.get("/livez").json() == {"status": "alive", "reasons": []}


def test_a_new_champion_is_served_without_a_restart(served_copy, made):
    first = served_copy.ask().json()["results"][0]["scores"][0]
    model = fit_affinity(made.vectors, made.workspace.vocabulary.topic_ids, seed=5)
    promote(served_copy.workspace, "affinity", "2", model, made.vectors)
    wait_until(lambda: served_copy.ask().json()["results"][0]["scores"][0]["model"]["version"] == "2")
    second = served_copy.ask().json()["results"][0]["scores"][0]
    assert second["value"] == model.predict_proba(made.vectors.frame().loc[["van:0001"]])[0, 0] != first["value"]


def test_new_vectors_are_served_without_a_restart(served_copy, made):
    later = AS_OF.replace(month=11)
    vectors = make_vectors(made.workspace.vocabulary, seed=9, as_of=later)
    publish(vectors, served_copy.workspace.vectors)
    wait_until(lambda: served_copy.ask().json()["as_of"] == "2026-11-01T00:00:00Z")
    got = served_copy.ask().json()["results"][0]["scores"][0]["value"]
    assert got == made.affinity.predict_proba(vectors.frame().loc[["van:0001"]])[0, 0]


def test_vectors_of_other_columns_give_a_code_and_never_a_number(served_copy):
    text = (served_copy.workspace.root / "audience.toml").read_text().replace("[30, 90]", "[30, 60]")
    (served_copy.workspace.root / "audience.toml").write_text(text)
    vocabulary = type(served_copy.workspace).open(served_copy.workspace.root).vocabulary
    publish(make_vectors(vocabulary), served_copy.workspace.vectors)
    wait_until(lambda: served_copy.client.get("/readyz").status_code == 503)
    assert "columns differ" in " ".join(served_copy.client.get("/readyz").json()["reasons"])
    scores = served_copy.ask(scores=["affinity:*", "persuadability:rent:story"]).json()["results"][0]["scores"]
    assert {score["code"] for score in scores} == {"vectors_mismatch"}


def test_equal_names_of_other_definitions_are_a_mismatch(copied):
    folder = copied.models / "affinity" / "1"
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["metadata"]["definitions_hash"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))
    artefact.sign(folder, copied.signing_key())
    point(copied, "affinity", "1")
    loaded = load_now(copied)
    assert loaded.mismatched == {"affinity"}
    assert loaded.ready
    assert "other definitions" in loaded.faults[0]


def test_a_topic_the_model_never_saw_has_no_model(copied, made):
    model = fit_affinity(made.vectors, ["housing", "transport"])
    promote(copied, "affinity", "2", model, made.vectors)
    loaded = load_now(copied)
    assert loaded.champion(loaded.scores["affinity:schools"]) is None
    assert loaded.champion(loaded.scores["affinity:housing"]).version == "2"


def test_a_broken_refusal_is_a_fault(copied):
    (copied.models / "persuadability.rent.figures" / "refused.json").write_text('{"verdict": "no"}')
    loaded = load_now(copied)
    assert loaded.ready
    assert "refused.json" in loaded.faults[0]


@pytest.mark.parametrize("member", ["failed", "outcome_unit", "sign_turned"])
def test_a_refusal_that_does_not_say_what_failed_or_what_its_outcome_is_is_a_fault(copied, member):
    path = copied.models / "persuadability.rent.figures" / "refused.json"
    document = json.loads(path.read_text())
    del document[member]
    path.write_text(json.dumps(document))
    loaded = load_now(copied)
    assert loaded.refusals == {}
    assert "train the model again and promote it" in loaded.faults[0]


def test_an_uplift_that_does_not_say_what_its_outcome_is_is_not_served(copied, made):
    promote(copied, "persuadability.door.visit", "1", made.story, made.vectors, scale=None)
    loaded = load_now(copied)
    assert "persuadability.door.visit" not in loaded.champions
    assert "train it again" in loaded.faults[0]


def test_vectors_of_nobody_still_answer(copied, made):
    publish(make_vectors(made.workspace.vocabulary, people=0), copied.vectors)
    loaded = load_now(copied)
    assert loaded.bands == {}
    assert loaded.vectors is not None
