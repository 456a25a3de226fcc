import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from features.history import History
from models import artefact
from models.outcome_scale import OutcomeScale
from training import fit, registry
from training.config import read_config
from training.faults import FitError
from training.fit import recalibrate_affinity, train_affinity, train_persuadability
from training.plan import Plan, folder_of
from training.reference import Reference, reference_of
from training.registry import RegistryError, list_models, list_runs, logged_findings, promote
from training.snapshots import SnapshotError, affinity_dataset
from training.tracking import Tracking

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def artefacts(trained, tmp_path_factory):
    workspace, affinity, arms, _ = trained
    tracking = Tracking.of(workspace)
    return {run.name: tracking.download(tracking.version(run.name), tmp_path_factory.mktemp("copy")) for run in [affinity, *arms]}


def test_every_run_is_registered_under_its_name(trained):
    workspace, affinity, arms, _ = trained
    assert (affinity.name, affinity.version) == ("affinity", 1)
    assert [run.name for run in arms] == ["persuadability.story.letter", "persuadability.story.card"]
    assert {record["name"] for record in list_models(workspace)} == {affinity.name, *(run.name for run in arms)}
    assert {record["status"] for record in list_runs(workspace)} == {"finished"}
    assert "affinity version 1" in str(affinity)


def test_a_run_logs_parameters_hashes_and_metrics_with_intervals(trained):
    workspace, affinity, arms, _ = trained
    runs = {run.run_id: run for run in Tracking.of(workspace).runs()}
    run = runs[affinity.run_id]
    assert run.parameters["horizon_days"] == "30"
    assert run.parameters["model.num_trees"] == "40"
    assert run.parameters["model.learning_rate"] == "0.025", "defaults are logged too"
    assert run.parameters["gate.ece"] == "0.02"
    assert all(len(run.parameters[key]) == 64 for key in ("definitions_hash", "vocabulary_fingerprint", "dataset_hash", "test_hash"))
    assert "'interactions': 0" in run.parameters["table_versions"]
    for metric in ("log_loss", "ece", "auc_micro", "ndcg_5", "log_loss_gain.prior", "share.log_loss", "auc.care"):
        assert run.metrics[f"{metric}_low"] <= run.metrics[metric] <= run.metrics[f"{metric}_high"]
    uplift = runs[arms[0].run_id]
    assert uplift.parameters["gate.autoc_alpha"] == "0.01"
    assert uplift.metrics["autoc_low"] < uplift.metrics["autoc"]


def test_the_artefact_is_sound_and_holds_findings_and_card(trained, artefacts):
    _, affinity, arms, _ = trained
    for run in [affinity, *arms]:
        folder = artefacts[run.name]
        checked = artefact.check(folder)
        assert artefact.digest(folder) == run.digest
        assert (checked.metadata["name"], checked.metadata["workspace"]) == (run.name, "small")
        if run is not affinity:
            assert OutcomeScale.from_state(checked.metadata) == OutcomeScale("share")
        assert logged_findings(folder) == run.findings
        card = (folder / "card.md").read_text()
        assert "not fitted again" in card or "nothing was fitted again" in card
        assert checked.metadata["dataset_hash"] in card
        assert "interval" in card


def test_the_draw_is_checked_and_every_model_of_the_experiment_says_what_was_found(trained, artefacts):
    _, _, arms, _ = trained
    for run in arms:
        found = {name: (verdict, words) for name, verdict, words in run.findings.about["design"]["lines"]}
        assert len(found) == 8
        assert "broken" not in {verdict for verdict, _ in found.values()}
        assert "199 draws" in found["balance"][1]
        (line,) = [line for line in run.lines if line.name == "randomisation"]
        assert line.passed
        card = (artefacts[run.name] / "card.md").read_text()
        assert f"- ok: units: {found['units'][1]}" in card


def test_a_broken_draw_cannot_become_champion(trainable, by_hand):
    """The control is whoever was active before: nothing that is learned of it may be served."""
    history = History(trainable.tables, trainable.vocabulary)
    active = set(history.read("interactions").to_pandas()["person_id"].value_counts().head(180).index)
    path = trainable.root / "audience.toml"
    path.write_text(
        path.read_text()
        + '\n[experiments.chosen]\noutcome = "pledge"\nengagement = "higher"\nen = "chosen"\n\n[experiments.chosen.arms]\nletter = "A letter."\n'
    )
    workspace = type(trainable).open(trainable.root)
    ids = sorted(history.read("people").to_pandas()["person_id"])
    shared = {"experiment_id": ["chosen"] * 360, "person_id": ids}
    arms = ["control" if each in active else "letter" for each in ids]
    by_hand.store(workspace, "assignments", **shared, arm=arms, probability=[0.5] * 360, assigned_at=[NOW - timedelta(days=60)] * 360)
    value = [float(number % 3 == 0) for number in range(360)]
    by_hand.store(workspace, "outcomes", **shared, outcome=["pledge"] * 360, value=value, measured_at=[NOW - timedelta(days=20)] * 360)
    stages = []
    (run,) = train_persuadability(workspace, "chosen", now=NOW, progress=lambda stage, _: stages.append(stage)).runs
    assert "dealing the arms anew" in stages
    assert "half-samples" in stages
    assert "messages" not in run.findings.about, "one message is no choice"
    (line,) = [line for line in run.lines if line.name == "randomisation"]
    assert not line.passed
    assert "broken balance" in line.words
    refused = promote(workspace, run.name, now=NOW)
    assert not refused.accepted
    assert "randomisation" in [line.name for line in refused.lines if not line.passed]


def test_the_artefact_of_an_uplift_keeps_the_whole_evaluation_and_the_card_tells_it(trained, artefacts):
    _, _, arms, _ = trained
    folder = artefacts[arms[0].name]
    whole = json.loads((folder / "uplift.json").read_text(encoding="utf-8"))
    assert whole["estimates"]["autoc"]["value"] == pytest.approx(arms[0].findings.metrics["autoc"].value)
    assert len(whole["gates"]["effect"]) == len(whole["gates"]["covariance"]) == 5
    assert [policy["capacity"] for policy in whole["policies"]] == [0.05, 0.1, 0.2, 0.5]
    card = (folder / "card.md").read_text(encoding="utf-8")
    told = whole["policies"][2]["over_random"]
    assert f"{told['value']:.4f} [{told['low']:.4f}, {told['high']:.4f}]" in card
    assert f"| 5 | {whole['gates']['predicted'][4]:+.4f} | {whole['gates']['effect'][4]:+.4f} |" in card


def test_standard_errors_by_half_samples_stand_beside_the_exact_ones_and_decide_nothing(trained, artefacts):
    workspace, _, arms, _ = trained
    folder = artefacts[arms[0].name]
    halves = json.loads((folder / "uplift.json").read_text(encoding="utf-8"))["half_samples"]
    metrics = {run.run_id: run.metrics for run in Tracking.of(workspace).runs()}[arms[0].run_id]
    assert halves["draws"] == 100
    assert set(halves["se"]) == set(arms[0].findings.metrics)
    assert {f"{name}.se_half": pytest.approx(se) for name, se in halves["se"].items()} == {key: metrics[key] for key in metrics if key.endswith(".se_half")}
    exact = arms[0].findings.metrics["ate"].se
    assert halves["se"]["ate"] == pytest.approx(exact, rel=0.3)
    assert halves["se"]["ate"] != exact
    assert "se_half" not in json.dumps(arms[0].findings.to_state())
    card = (folder / "card.md").read_text(encoding="utf-8")
    assert "| value | standard error | by half-samples | interval |" in card
    assert f"| {exact:.4f} | {halves['se']['ate']:.4f} | [" in card
    assert "100 draws of half of the assignment units" in card


def test_every_model_of_several_messages_says_which_works_best(trained, artefacts):
    workspace, _, arms, _ = trained
    (logged,) = [run.metrics for run in Tracking.of(workspace).runs() if run.name == "persuadability.story"]
    for run in arms:
        found = run.findings.about["messages"]
        assert set(found) == {"effects", "adjusted", "best", "lead", "by_person", "personal", "words"}
        assert found["best"] == "letter"
        assert found["effects"]["letter"]["value"] == pytest.approx(logged["ate.letter"])
        card = (artefacts[run.name] / "card.md").read_text(encoding="utf-8")
        section = card.partition("## Among the messages")[2].partition("\n## ")[0]
        assert found["words"] in section
        assert section.index("`letter`") < section.index("`Card`"), "the best comes first"
        assert f"`{run.findings.about['arm']}`, of this model | {found['effects'][run.findings.about['arm']]['value']:+.4f} | [" in section
        assert found["adjusted"]["letter"] < 0.001
        assert "| below 0.001 |" in section
        assert f"| {found['adjusted']['Card']:.3f} |" in section


def test_the_artefact_of_affinity_keeps_what_drift_is_measured_by(trained, artefacts):
    _, affinity, arms, _ = trained
    reference = Reference.read(artefacts[affinity.name])
    assert reference.people == affinity.findings.about["people"]
    assert set(reference.scores) == set(reference.rates) == set(affinity.findings.about["topics"])
    assert "reference.json" in artefact.check(artefacts[affinity.name]).manifest["files"]
    assert reference_of(artefacts[arms[0].name]) is None


def test_the_plots_are_kept(trained):
    workspace, affinity, arms, _ = trained
    for run, names in (
        (affinity, {"calibration", "calibration_by_topic", "gain", "lift", "contributions", "dependence", "co_engagement"}),
        (arms[0], {"toc", "gain", "policies", "calibration", "effects", "contributions"}),
    ):
        found = {path.stem for path in Path(workspace.artifacts / run.name / run.run_id / "artifacts" / "plots").glob("*.png")}
        assert found == names


def test_nothing_personal_is_logged(trained):
    workspace, *_ = trained
    for path in [path for path in workspace.artifacts.rglob("*") if path.suffix != ".png" and path.is_file()] + [workspace.root / "mlflow.db"]:
        assert b"van:0" not in path.read_bytes(), path.name


def test_progress_is_told_by_stages(trained):
    *_, stages = trained
    names = list(dict.fromkeys(stage for stage, _ in stages))
    assert len(names) > 2
    assert names[-1] == "evaluating"
    assert all(0 <= share <= 1 for _, share in stages)


def test_training_again_gives_the_same_model(trained, trainable):
    _, affinity, *_ = trained
    again = train_affinity(trainable, now=NOW)
    assert again.findings == affinity.findings
    assert again.digest == affinity.digest, "equal data, configuration and time give equal bytes"


def test_a_champion_is_tried_on_the_same_rows_and_not_replaced_by_its_equal(trainable, monkeypatch):
    config = read_config(trainable).affinity.model_copy(update={"draws": 50, "model": {"num_trees": 15, "refit": False, "n_jobs": 1}})
    first = train_affinity(trainable, now=NOW, config=config)
    monkeypatch.setattr(artefact, "try_in_process", lambda _folder: None)
    with monkeypatch.context() as patch:
        patch.setattr(registry, "gate_lines", lambda _findings, _champion: ())  # the first one takes office whatever it is worth
        assert promote(trainable, "affinity", now=NOW).accepted
    second = train_affinity(trainable, now=NOW, config=config)
    assert second.findings.compared_with == first.digest
    refused = promote(trainable, "affinity", now=NOW)
    assert not refused.accepted
    assert "log loss against champion" in [line.name for line in refused.lines if not line.passed]
    assert json.loads((trainable.models / "affinity" / "champion.json").read_text())["version"] == 1
    other = train_affinity(trainable, now=NOW, config=config.model_copy(update={"seed": 3, "learning_curve": True}))
    assert other.findings.compared_with is None, "with another split the champion may have seen the test's people"
    kept = [(trainable.artifacts / "affinity" / run.run_id / "artifacts" / "plots" / "learning_curve.png").exists() for run in (second, other)]
    assert kept == [False, True], "a learning curve is drawn when it is asked for"


def test_recalibration_keeps_the_trees_and_is_tried_against_the_champion(trainable, monkeypatch):
    config = read_config(trainable).affinity.model_copy(update={"draws": 50, "model": {"num_trees": 15, "n_jobs": 1}})
    with pytest.raises(RegistryError, match="no champion to recalibrate"):
        recalibrate_affinity(trainable, now=NOW)
    first = train_affinity(trainable, now=NOW - timedelta(days=35), config=config)
    monkeypatch.setattr(artefact, "try_in_process", lambda _folder: None)
    with monkeypatch.context() as patch:
        patch.setattr(registry, "gate_lines", lambda _findings, _champion: ())
        assert promote(trainable, "affinity", now=NOW).accepted
    again = recalibrate_affinity(trainable, now=NOW)
    tracking = Tracking.of(trainable)
    folder = tracking.download(tracking.version("affinity"), trainable.root / "copy")
    before = trainable.models / "affinity" / "1"
    assert again.version == 2
    assert again.findings.compared_with == first.digest
    assert "log_loss_gain.champion" in again.findings.metrics
    assert (folder / "model.txt").read_bytes() == (before / "model.txt").read_bytes()
    assert (folder / "model.json").read_bytes() != (before / "model.json").read_bytes()
    assert artefact.check(folder).metadata["recalibrated_from"] == first.digest
    assert artefact.check(folder).metadata["as_of"] > artefact.check(before).metadata["as_of"]
    card, old = ((each / "card.md").read_text() for each in (folder, before))
    assert f"The trees are those of an earlier model (`{first.digest}`)" in card
    assert "of the same season" in card
    assert "The test is of a later time" not in card
    assert "The test is of a later time" in old
    toml = trainable.root / "audience.toml"
    toml.write_text(toml.read_text().replace("[training.affinity]\n", "[training.affinity]\nseed = 3\n"))
    with pytest.raises(RegistryError, match=r"not those of the champion are the people held apart \(seed, test_share\): put them back"):
        recalibrate_affinity(trainable, now=NOW)
    toml.write_text(toml.read_text().replace("seed = 3\n", ""))
    with pytest.raises(RegistryError, match="none is newer"):
        recalibrate_affinity(trainable, now=NOW - timedelta(days=70))


def test_a_planned_experiment_is_analysed_as_planned_whatever_is_asked_for(trainable):
    said = {"capacity": 0.35, "seed": 3, "gate": {"autoc_alpha": 0.002}, "model": {"num_trees": 5, "nuisance_trees": 5, "n_folds": 3, "learner": "x"}}
    arms = dict.fromkeys(("control", "letter", "card"), 1 / 3)
    facts = {"experiment": "story", "hypothesis": "The letter helps.", "outcome": "pledge", "engagement": "higher", "control": "control"}
    plan = Plan(**facts, arms=arms, created_at=NOW - timedelta(days=70), analysis=said)
    folder = folder_of(trainable, "story")
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(plan.document(), encoding="utf-8")
    asked = read_config(trainable).persuadability.model_copy(update={"capacity": 0.1, "seed": 4, "half_samples": 0})
    first, *_ = train_persuadability(trainable, "story", now=NOW, config=asked).runs
    assert first.findings.gate == {"autoc_alpha": 0.002, "slope_alpha": 0.01, "policy_alpha": 0.05, "capacity": 0.35}
    assert first.findings.about["plan"]["hash"] == plan.hash
    run = {run.run_id: run for run in Tracking.of(trainable).runs()}[first.run_id]
    assert (run.parameters["seed"], run.parameters["model.learner"], run.parameters["model.num_trees"]) == ("3", "x", "5")
    assert run.parameters["half_samples"] == "0", "what decides nothing is no part of a plan"
    assert not [name for name in run.metrics if name.endswith(".se_half")]
    (card,) = (trainable.artifacts / first.name / first.run_id).rglob("card.md")
    assert "| value | standard error | interval |" in card.read_text(encoding="utf-8")


@pytest.mark.parametrize(("label", "words"), [(np.nan, "0 labels are 1 and 0 are 0"), (0.0, "0 labels are 1 and [1-9][0-9]* are 0")])
def test_a_test_side_that_nobody_could_be_judged_on_is_refused_before_anything_is_learned(trainable, monkeypatch, label, words):
    def silent(*args, **options):
        found = affinity_dataset(*args, **options)
        return replace(found, test=replace(found.test, y=np.full_like(found.test.y, label)))

    monkeypatch.setattr(fit, "affinity_dataset", silent)
    with pytest.raises(SnapshotError, match=words):
        train_affinity(trainable, now=NOW)


def test_labels_of_one_kind_only_are_a_fault_in_words(trainable, monkeypatch):
    def silent(*args, **options):
        found = affinity_dataset(*args, **options)
        return replace(found, train=replace(found.train, y=np.zeros_like(found.train.y)))

    monkeypatch.setattr(fit, "affinity_dataset", silent)
    with pytest.raises(FitError, match="what remains without the latest block: 0 labels are 1"):
        train_affinity(trainable, now=NOW)
    assert FitError.__module__.startswith("training."), "the command line says such errors as a sentence"


def test_a_failed_training_leaves_a_failed_run_and_no_version(trainable):
    with pytest.raises(SnapshotError):
        train_affinity(trainable, now=datetime(2026, 4, 1, tzinfo=UTC))
    (run,) = list_runs(trainable)
    assert (run["status"], run["result"]) == ("failed", "SnapshotError")
    assert list_models(trainable) == []


def test_a_time_without_a_zone_is_refused(trainable):
    with pytest.raises(ValueError, match="zone"):
        train_affinity(trainable, now=datetime(2026, 11, 1))  # noqa: DTZ001
