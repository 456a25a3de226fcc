import contextlib
import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from features.workspace import Workspace
from models import artefact
from models.metrics import Estimate
from models.outcome_scale import OutcomeScale
from serving import refusal
from serving.refusal import load_refusal, refusal_code, refused_words
from training import registry
from training.gates import Findings
from training.registry import RegistryError, champion_digest, champion_folder, list_models, logged_findings, promote
from training.tracking import Tracking, TrackingError
from training.trained_models import trained_models

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
STORY = "persuadability.story.letter"


@pytest.fixture(autouse=True)
def _tried(request, monkeypatch):
    """A process of its own takes seconds: one test has it, the others take its success for granted."""
    if request.node.name != "test_a_good_version_is_copied_signed_and_named":
        monkeypatch.setattr(artefact, "try_in_process", lambda _folder: None)


@pytest.fixture
def workspace(tmp_path, by_hand, store_in):
    root = by_hand.open_empty(tmp_path / "workspace").root
    return Workspace.open(store_in(root))


@pytest.fixture(scope="session")
def models(trained):
    """The two small models, to be registered with findings of our own making."""
    workspace, affinity, arms, _ = trained
    tracking = Tracking.of(workspace)
    return {name: tracking.download(tracking.version(name), workspace.root.parent / name) for name in (affinity.name, arms[0].name)}


def findings(kind, *, design="ok", messages=None, **changed):
    checked = {} if design is None else {"design": {"lines": [["balance", design, "p .0042"]]}}
    checked |= {} if messages is None else {"messages": messages}
    if kind == "affinity":
        values = {
            "prior.log_loss": 0.4,
            "share.log_loss": 0.3,
            "recency_frequency.log_loss": 0.3,
            "ece": 0.01,
            "auc_micro": 0.8,
            "ndcg_5": 0.8,
            "log_loss": 0.2,
        }
        values |= {f"log_loss_gain.{rule}": 0.1 for rule in ("prior", "share", "recency_frequency")} | {"ece.care": 0.02, "log_loss_gain.prior.care": 0.1}
        gate = {"ece": 0.02, "coverage": 0.95}
    else:
        values = {"ate": 0.05, "autoc": 0.02, "slope": 0.8, "policy_random": 0.01, "policy_risk": 0.01}
        gate = {"autoc_alpha": 0.01, "slope_alpha": 0.01, "policy_alpha": 0.05, "capacity": 0.2}
    plan = {"plan": {"hash": "0" * 64, "lines": [["capacity", False, "is .3 instead of .2"]]}} if changed.pop("departs", False) else {}
    metrics = {name: Estimate.normal(name, value, 0.001) for name, value in (values | changed).items()}
    return Findings(kind, metrics, gate, {"experiment": "story", "arm": "letter", "topics": ["care"], **plan} | checked)


@pytest.fixture
def register(workspace, models, tmp_path):
    """A function that registers a version whose artefact holds the findings named."""

    def put(name="affinity", metadata=None, **changed):
        kind = name.split(".")[0]
        files = {"evaluation.json": json.dumps(findings(kind, **changed).to_state()).encode(), "card.md": b"# card"}
        tracking = Tracking.of(workspace)
        made = tmp_path / f"made-{len(tracking.runs())}"
        said = {"name": name, "workspace": "small", **OutcomeScale("share").to_state()} | (metadata or {})
        artefact.save(artefact.load(models[name]), made, metadata=said, files=files)
        with tracking.run(name, tags={"kind": kind}) as run:
            run.folder(made, "model")
        tracking.register(name, run.run_id, tags={"digest": artefact.digest(made)})
        return tracking

    return put


def test_a_good_version_is_copied_signed_and_named(workspace, register):
    tracking = register()
    found = promote(workspace, "affinity", now=NOW)
    assert found.accepted, str(found)
    home = workspace.models / "affinity"
    pointer = json.loads((home / "champion.json").read_text())
    assert pointer == {"name": "affinity", "version": 1, "digest": found.digest, "promoted_at": NOW.isoformat()}
    assert artefact.verify(home / "1", workspace.signing_key()) == found.digest
    assert champion_folder(workspace, "affinity") == home / "1"
    assert logged_findings(home / "1") == findings("affinity")
    assert artefact.load(home / "1").topics_ == ("housing", "climate", "care")
    version = tracking.version("affinity")
    assert version.aliases == ("champion",)
    assert "within 0.02" in version.tags["gate calibration"]
    assert list_models(workspace)[0]["alias"] == "champion"
    assert sorted(path.name for path in home.iterdir()) == ["1", "champion.json"]
    assert "passed  calibration" in str(found)


@pytest.mark.parametrize(("jurisdiction", "name"), [("be", "affinity"), ("uk", STORY)])
def test_no_model_takes_office_without_an_impact_assessment_where_the_law_asks_for_one(workspace, register, jurisdiction, name):
    register(name)
    path = workspace.root / "audience.toml"
    path.write_text(path.read_text().replace('jurisdiction = "none"', f'jurisdiction = "{jurisdiction}"'))
    found = promote(Workspace.open(workspace.root), name, now=NOW)
    assert not found.accepted
    assert f"FAILED  impact assessment: no_dpia (rule L29): none is named, and one is asked for by [uses.campaign] (law pack {jurisdiction} " in str(found)
    assert "write its id as `dpia` under [permission]" in str(found)
    assert not (workspace.models / name).exists(), "no champion, and no verdict on the model"
    assert "dpia" not in Tracking.of(workspace).version(name).tags
    with path.open("a") as file:
        file.write('\n[permission]\ndpia = "DPIA-7"\n')
    assert promote(Workspace.open(workspace.root), name, now=NOW).accepted
    assert Tracking.of(workspace).version(name).tags["dpia"] == "DPIA-7"


def test_what_was_trained_for_a_use_under_such_a_law_needs_one_whatever_the_uses_are_now(workspace, register):
    register()
    assert promote(workspace, "affinity", now=NOW).accepted, "no law asks for one"
    assert Tracking.of(workspace).version("affinity").tags["dpia"] == "(none)"
    use = {"name": "ads", "purpose": "campaign_messages", "channel_class": "offline", "sponsor_type": "ngo", "jurisdiction": "fr"}
    register(metadata={"permission": {"use": use}})
    found = promote(workspace, "affinity", now=NOW)
    assert (found.version, found.accepted) == (2, False)
    assert "asked for by the use it was trained for (law pack fr " in str(found)
    assert json.loads((workspace.models / "affinity" / "champion.json").read_text())["version"] == 1
    before_the_law = NOW.replace(year=2018, month=5, day=24)
    assert promote(workspace, "affinity", now=before_the_law).accepted


def test_promoting_again_and_going_back_work(workspace, register):
    register()
    register()
    assert promote(workspace, "affinity", now=NOW).version == 2
    assert promote(workspace, "affinity", 2, now=NOW).accepted
    assert promote(workspace, "affinity", 1, now=NOW).accepted
    assert json.loads((workspace.models / "affinity" / "champion.json").read_text())["version"] == 1
    assert [record["alias"] for record in list_models(workspace)] == ["", "champion"]


@pytest.mark.parametrize(
    ("name", "changed", "line"),
    [
        ("affinity", {"log_loss_gain.prior": 0.0}, "log loss against prior"),
        ("affinity", {"log_loss_gain.share": 0.0, "share.log_loss": 0.1}, "log loss against best rule"),
        ("affinity", {"ece": 0.03}, "calibration"),
        (STORY, {"autoc": 0.0}, "AUTOC"),
        (STORY, {"slope": 0.0}, "calibration slope"),
        (STORY, {"policy_random": 0.0}, "policy"),
        (STORY, {"policy_risk": 0.0}, "policy against risk"),
        (STORY, {"ate": -0.2}, "no demobilisation"),
        (STORY, {"design": "broken"}, "randomisation"),
        (STORY, {"design": None}, "randomisation"),
        (STORY, {"slope": float("nan")}, "calibration slope"),
    ],
)
def test_each_line_refuses_alone_and_nothing_changes(workspace, register, name, changed, line):
    register(name)
    assert promote(workspace, name, now=NOW).accepted
    before = {path: path.read_bytes() for path in workspace.models.rglob("*") if path.is_file()}
    tracking = register(name, **changed)
    found = promote(workspace, name, now=NOW)
    assert not found.accepted
    assert [each.name for each in found.lines if not each.passed] == [line]
    assert f"FAILED  {line}" in str(found)
    assert {path: path.read_bytes() for path in workspace.models.rglob("*") if path.is_file()} == before
    assert tracking.version(name, 1).aliases == ("champion",)
    assert set(tracking.version(name, 2).tags) == {"digest"}


def test_a_refused_uplift_without_champion_says_why_and_what_the_effect_is(workspace, register):
    register(STORY, autoc=0.0)
    assert not promote(workspace, STORY, now=NOW).accepted
    said = json.loads((workspace.models / STORY / "refused.json").read_text())
    assert set(said) == {"verdict", "failed", "outcome_unit", "sign_turned", "ate", "low", "high", "coverage", "experiment", "arm", "decided_at"}
    assert (said["failed"], said["outcome_unit"], said["sign_turned"]) == (["AUTOC"], "share", False)
    assert (said["ate"], said["experiment"], said["arm"], said["decided_at"]) == (0.05, "story", "letter", NOW.isoformat())
    assert said["low"] < said["ate"] < said["high"]
    assert "AUTOC" in said["verdict"]
    assert "slope" not in said["verdict"]
    register(STORY)
    assert promote(workspace, STORY, now=NOW).accepted
    assert not (workspace.models / STORY / "refused.json").exists()


TRAINED = {"trained": "2026-10-01T00:00:00+00:00", "rows": 4000, "dataset_hash": "a"}


@pytest.mark.parametrize(
    ("later", "withdrawn"),
    [
        ({"trained": "2026-10-09T00:00:00+00:00", "rows": 5000, "dataset_hash": "b"}, 1),
        ({"trained": "2026-10-09T00:00:00+00:00", "rows": 4000, "dataset_hash": "b"}, 1),
        ({"trained": "2026-10-09T00:00:00+00:00", "rows": 3999, "dataset_hash": "b"}, None),
        ({"trained": "2026-10-09T00:00:00+00:00", "rows": 4000, "dataset_hash": "a"}, None),
        ({"trained": "2026-09-09T00:00:00+00:00", "rows": 5000, "dataset_hash": "b"}, None),
        ({}, None),
    ],
)
def test_a_ranking_that_later_outcomes_do_not_bear_out_is_withdrawn(workspace, register, later, withdrawn):
    register(STORY, metadata=TRAINED)
    assert promote(workspace, STORY, now=NOW).accepted
    tracking = register(STORY, metadata=later, autoc=0.0)
    found = promote(workspace, STORY, now=NOW)
    assert not found.accepted
    assert found.withdrawn == withdrawn
    gone = withdrawn is not None
    assert ("version 1 is withdrawn" in str(found)) == gone
    assert (workspace.models / STORY / "refused.json").exists() == gone
    assert (workspace.models / STORY / "champion.json").exists() != gone
    assert tracking.version(STORY, 1).aliases == (() if gone else ("champion",))


@pytest.mark.parametrize("asked", [True, False])
def test_a_ranking_that_was_withdrawn_does_not_come_back(workspace, register, asked):
    register(STORY, metadata=TRAINED)
    later = {"trained": "2026-10-09T00:00:00+00:00", "rows": 5000, "dataset_hash": "b"}
    if asked:
        assert promote(workspace, STORY, now=NOW).accepted
    register(STORY, metadata=later, autoc=0.0, ate=0.03)
    if asked:
        assert promote(workspace, STORY, now=NOW).withdrawn == 1
    again = promote(workspace, STORY, 1, now=NOW)
    assert not again.accepted
    assert "FAILED  later outcomes: version 2, trained later on other and at least as many outcomes, does not pass (AUTOC)" in str(again)
    assert champion_digest(workspace, STORY) is None
    said = workspace.models / STORY / "refused.json"
    assert said.exists() == asked
    assert not asked or json.loads(said.read_text())["ate"] == 0.03, "the effect that later outcomes show"
    register(STORY, metadata=later | {"trained": "2026-10-20T00:00:00+00:00", "rows": 6000, "dataset_hash": "c"})
    assert promote(workspace, STORY, now=NOW).accepted, "more outcomes may show it again"


@pytest.mark.parametrize(
    ("changed", "failed", "said"),
    [
        ({"slope": 0.0}, ["calibration slope"], ("ranking_refused", "better than not ranking them")),
        ({"ate": -0.2}, ["no demobilisation"], ("message_lowers", "must not be sent to anybody")),
        ({"ate": -0.2, "autoc": 0.0}, ["AUTOC", "no demobilisation"], ("message_lowers", "better than not ranking them")),
        ({"departs": True}, ["plan"], ("ranking_refused", "No score per person: the analysis departs from the plan")),
    ],
)
def test_the_service_reads_from_a_refusal_which_lines_failed(workspace, register, changed, failed, said):
    code, words = said
    register(STORY, metadata=OutcomeScale("outcome", turned=True).to_state(), **changed)
    assert not promote(workspace, STORY, now=NOW).accepted
    average = load_refusal(workspace.models / STORY).average
    assert (average.failed, refusal_code(average)) == (failed, code)
    assert (average.scale, average.sign_turned, average.value) == ("uplift", True, changed.get("ate", 0.05))
    assert words in average.verdict
    assert all(name.lower() in average.verdict.lower() for name in failed)
    assert ("must not be sent" in average.verdict) == (code == "message_lowers")


def test_a_refusal_says_which_message_works_best(workspace, register, trained):
    _, _, arms, _ = trained
    register(STORY, slope=0.0)
    assert not promote(workspace, STORY, now=NOW).accepted
    assert load_refusal(workspace.models / STORY).messages is None, "the findings of one message, or of a release before"
    chosen = arms[0].findings.about["messages"]
    register(STORY, slope=0.0, messages=chosen)
    assert not promote(workspace, STORY, now=NOW).accepted
    found = load_refusal(workspace.models / STORY).messages
    assert (found.best, found.personal, found.scale) == (chosen["best"], chosen["personal"], "uplift_pp")
    assert {each.message: (each.value, each.p_value) for each in found.effects} == {
        arm: (effect["value"] * 100, chosen["adjusted"][arm]) for arm, effect in chosen["effects"].items()
    }


def test_an_uplift_without_an_average_effect_leaves_no_answer(workspace, register):
    register(STORY, ate=float("nan"))
    assert not promote(workspace, STORY, now=NOW).accepted
    assert not (workspace.models / STORY).exists()


def test_an_uplift_that_does_not_say_what_its_outcome_is_has_to_be_trained_again(workspace, register):
    register(STORY, metadata={"outcome_unit": None})
    found = promote(workspace, STORY, now=NOW)
    assert [line.name for line in found.lines] == ["artefact"]
    assert "train it again" in found.lines[0].words


def test_the_average_effect_of_a_broken_draw_is_not_to_be_relied_on(workspace, register):
    for changed, failed in (({"design": "broken"}, 1), ({"design": "broken", "slope": 0.0}, 2)):
        register(STORY, **changed)
        assert not promote(workspace, STORY, now=NOW).accepted
        average = load_refusal(workspace.models / STORY).average
        assert len(average.failed) == failed
        assert "not to be relied on either" in average.verdict
        assert refused_words(average, "en").endswith(refusal.draw_words("en"))
        assert ("better than not ranking them" in refused_words(average, "en")) == (failed == 2)
        assert refused_words(average, "fr") != refused_words(average, "nl")


def test_an_artefact_that_was_changed_after_training_is_refused(workspace, register):
    register(ece=0.5)
    (path,) = workspace.artifacts.rglob("evaluation.json")
    path.write_text(json.dumps(findings("affinity").to_state()))
    found = promote(workspace, "affinity", now=NOW)
    assert [line.name for line in found.lines] == ["artefact"]
    assert "SHA-256" in found.lines[0].words
    manifest = path.with_name("manifest.json")
    document = json.loads(manifest.read_text())
    document["files"]["evaluation.json"] = __import__("hashlib").sha256(path.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(document))
    found = promote(workspace, "affinity", now=NOW)
    assert "digest is not the one that was registered" in found.lines[0].words
    assert not workspace.models.exists()


def test_a_model_that_crashes_its_process_is_refused(workspace, register, monkeypatch):
    def crash(_folder):
        raise artefact.ArtefactError("the trial prediction crashed its process (signal 11)")

    register()
    monkeypatch.setattr(artefact, "try_in_process", crash)
    found = promote(workspace, "affinity", now=NOW)
    assert not found.accepted
    assert "signal 11" in found.lines[0].words


@pytest.mark.parametrize("metadata", [{"name": STORY}, {"workspace": "another"}])
def test_another_model_or_another_workspace_is_refused(workspace, register, metadata):
    register(metadata=metadata)
    found = promote(workspace, "affinity", now=NOW)
    assert not found.accepted
    assert "not 'affinity' of 'small'" in found.lines[0].words


def test_a_champion_that_was_tampered_with_is_not_used(workspace, register):
    register()
    assert champion_folder(workspace, "affinity") is None
    digest = promote(workspace, "affinity", now=NOW).digest
    assert champion_digest(workspace, "affinity") == digest
    (workspace.models / "affinity" / "1" / "card.md").write_text("# better")
    with pytest.raises(artefact.ArtefactError, match=r"card\.md"):
        champion_folder(workspace, "affinity")


def test_names_that_are_no_folder_or_not_there(workspace):
    for name in ("../affinity", "a/b", "", "affinity..x", "Affinity"):
        with pytest.raises(RegistryError, match="no model's name"):
            promote(workspace, name, now=NOW)
    with pytest.raises(TrackingError, match="audience train"):
        promote(workspace, "affinity", now=NOW)


def test_a_champion_that_is_promoted_again_is_there_at_every_moment(workspace, register, monkeypatch):
    register()
    assert promote(workspace, "affinity", now=NOW).accepted
    rename = Path.rename

    def killed(path, target):
        if path.name.startswith(".1."):
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", killed)
    with contextlib.suppress(KeyboardInterrupt):
        promote(workspace, "affinity", now=NOW)
    assert champion_folder(workspace, "affinity") == workspace.models / "affinity" / "1"


def test_two_promotions_take_their_turns(workspace, register, monkeypatch):
    register()
    tracking, write = register(), registry.write_json
    other = threading.Thread(target=promote, args=(workspace, "affinity", 2), kwargs={"now": NOW})

    def waiting(path, document):
        if document["version"] == 1:
            other.start()
            other.join(timeout=8)
        write(path, document)

    monkeypatch.setattr(registry, "write_json", waiting)
    assert promote(workspace, "affinity", 1, now=NOW).accepted
    other.join()
    assert json.loads((workspace.models / "affinity" / "champion.json").read_text())["version"] == 2
    assert tracking.version("affinity", 2).aliases == ("champion",)


def test_the_champion_is_the_one_that_is_served_where_a_promotion_was_killed(workspace, register, monkeypatch):
    register()
    register()
    assert promote(workspace, "affinity", 1, now=NOW).accepted
    write = registry.write_json
    monkeypatch.setattr(registry, "write_json", _killed)
    with pytest.raises(KeyboardInterrupt):
        promote(workspace, "affinity", 2, now=NOW)
    monkeypatch.setattr(registry, "write_json", write)
    assert [record["alias"] for record in list_models(workspace)] == ["", "champion"]
    assert {model.version for model in trained_models(workspace) if model.in_office} == {1, 2}, "an erasure takes neither for out of office"
    assert promote(workspace, "affinity", 2, now=NOW).accepted
    assert [record["alias"] for record in list_models(workspace)] == ["champion", ""]
    assert {model.version for model in trained_models(workspace) if model.in_office} == {2}


def _killed(*_):
    raise KeyboardInterrupt
