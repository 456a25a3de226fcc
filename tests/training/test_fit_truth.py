"""Both models against the simulated truth, on the way a user goes: files in, vectors, snapshots, fit; and MovieLens against its known figures."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.imports import import_files
from features.workspace import Workspace
from models.affinity import TopicAffinity
from models.metrics import auc, log_loss
from models.persuadability import Persuadability
from training.config import AffinityConfig, PersuadabilityConfig, read_config
from training.design_check import check_rows
from training.evaluation import evaluate_persuadability
from training.fit import train_affinity
from training.gates import gate_lines, not_checked
from training.simulation import UNTIL, simulate, write
from training.snapshots import affinity_dataset
from training.trials import experiment_rows, trial_datasets

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 22, tzinfo=UTC)
PEOPLE = 9_000


@pytest.fixture(scope="module")
def simulation():
    return simulate(people=PEOPLE, seed=3)


@pytest.fixture(scope="module")
def workspace(simulation, tmp_path_factory):
    folder = tmp_path_factory.mktemp("truth") / "campaign"
    write(simulation, folder)
    opened = Workspace.open(folder)
    for file in sorted((folder / "raw").iterdir()):
        summary = import_files(opened, file.name.split("-")[0].split(".")[0], [file], now=NOW)
        assert summary.rejected == 0
    return opened


@pytest.fixture(scope="module")
def affinity(simulation, workspace):
    """Predicted and true probabilities and the labels, each (n_test, n_topics)."""
    config = AffinityConfig(horizon_days=60, snapshots=4)
    dataset = affinity_dataset(workspace, config, now=UNTIL)
    model = TopicAffinity(list(dataset.topics), num_trees=150, learning_rate=0.06)
    model.fit(dataset.train.X, dataset.train.y, groups=dataset.train.person_ids, block=dataset.train.block)
    (as_of,) = np.unique(dataset.test.as_ofs)
    moment = as_of.astype("datetime64[us]").item().replace(tzinfo=UTC)
    told = simulation.affinity(moment, horizon_days=config.horizon_days, gap_days=config.gap_days).to_pandas()
    true = told.pivot_table(index="person_id", columns="topic", values="probability").loc[dataset.test.person_ids, list(dataset.topics)]
    return model.predict_proba(dataset.test.X), true.to_numpy(), dataset.test.y


def test_probabilities_are_calibrated_within_two_points_of_the_truth(affinity):
    """The mean gap to the true probabilities over tenths of the predictions, and over topics, is under .02; no tenth is off by .04.

    The highest tenth is off the most: the truth knows the sends of the two months to come, and the model was calibrated on an earlier season.
    """
    predicted, true, _ = affinity
    tenths = np.array_split(np.argsort(predicted.ravel()), 10)
    gaps = np.array([abs(predicted.ravel()[tenth].mean() - true.ravel()[tenth].mean()) for tenth in tenths])
    assert gaps.mean() < 0.02
    assert gaps.max() < 0.04
    assert abs(predicted.mean(axis=0) - true.mean(axis=0)).mean() < 0.02


def test_affinity_comes_near_the_truth_and_the_truth_is_not_beaten(affinity):
    predicted, true, label = affinity
    assert np.corrcoef(predicted.ravel(), true.ravel())[0, 1] > 0.55
    known, prior = label.ravel(), np.broadcast_to(label.mean(axis=0), label.shape).ravel()
    losses = [log_loss(known, each) for each in (true.ravel(), predicted.ravel(), prior)]
    assert losses == sorted(losses)
    assert auc(known, true.ravel()) > auc(known, predicted.ravel()) > 0.72


@pytest.fixture(scope="module")
def trials(workspace):
    found = {}
    for experiment in workspace.vocabulary.experiments:
        (dataset,) = trial_datasets(experiment_rows(workspace, experiment.id, now=UNTIL), PersuadabilityConfig())
        model = Persuadability().fit(dataset.X, dataset.y, treatment=dataset.treatment, propensity=dataset.propensity, groups=dataset.units)
        found[experiment.id] = dataset, model
    return found


def true_uplift(simulation, name, dataset):
    told = simulation.uplift.to_pandas()
    return told[told.experiment_id == name].set_index("person_id").uplift.loc[dataset.person_ids].to_numpy()


def test_uplift_finds_the_people_who_differ(simulation, trials):
    dataset, model = trials["tenants_story"]
    true, predicted = true_uplift(simulation, "tenants_story", dataset), model.out_of_fold_["uplift"].to_numpy()
    assert abs(model.ate_.value - true.mean()) < 4 * model.ate_.se
    assert np.corrcoef(true, predicted)[0, 1] > 0.4
    assert np.sqrt(np.mean((predicted - true) ** 2)) < true.std() * 0.93, "the average for everyone would give 1"
    findings, _ = evaluate_persuadability(model, dataset, PersuadabilityConfig())
    assert {name: findings.metrics[name].low > 0 for name in ("autoc", "slope")} == {"autoc": True, "slope": True}


def test_where_nobody_differs_the_gate_refuses(simulation, trials):
    dataset, model = trials["pensions_card"]
    true = true_uplift(simulation, "pensions_card", dataset)
    assert true.std() < 1e-9
    assert abs(model.ate_.value - true.mean()) < 4 * model.ate_.se
    findings, _ = evaluate_persuadability(model, dataset, PersuadabilityConfig(), design=not_checked("it is the effect that is asked about"))
    assert not all(line.passed for line in gate_lines(findings))


def test_the_draws_are_sound(workspace):
    for experiment in workspace.vocabulary.experiments:
        rows = experiment_rows(workspace, experiment.id, now=UNTIL)
        report = check_rows(workspace, rows)
        assert not report.broken, report.text()


@pytest.mark.data
@pytest.mark.timeout(300)
def test_movielens_reaches_the_known_figures(shared_data, tmp_path, monkeypatch):
    """The experiment's own workspace, through import and training with one booster instead of its bag of five: the floor of the data's README for
    micro AUC; that for NDCG@5 (.798) less the .004 by which one seed of the trees may miss it: bags are held by the experiment's committed figures."""
    monkeypatch.setenv("AUDIENCE_DATA", str(shared_data))
    script = next((ROOT / "experiments").glob("*-movielens-affinity")) / "tables.py"
    subprocess.run([sys.executable, script, tmp_path / "movielens"], check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    workspace = Workspace.open(tmp_path / "movielens")
    for file in sorted((workspace.root / "raw").iterdir()):
        import_files(workspace, file.name.partition(".")[0], [file], now=NOW)
    protocol, more = (pd.read_parquet(workspace.root / f"{name}.parquet") for name in ("labels", "labels_more"))
    assert len(more) > 3 * len(protocol)
    assert len(protocol.merge(more)) == len(protocol), "a row of the protocol is missing among more moments, or has another label"
    assert len(protocol[protocol["split"] == "test"]) == len(more[more["split"] == "test"]), "the tested rows are not the protocol's"
    config = read_config(workspace).affinity.model_copy(update={"draws": 50, "model": {}})
    metrics = train_affinity(workspace, now=NOW, config=config, labels=workspace.root / "labels.parquet").findings.metrics
    assert metrics["auc_micro"].value >= 0.858
    assert metrics["ndcg_5"].value >= 0.794
    assert metrics["prior.auc_micro"].value == pytest.approx(0.833, abs=0.001)
