import numpy as np
import pytest

from models import metrics
from training.evaluation import MODEL, evaluate_affinity, flat_metrics, pair_losses, summary
from training.gates import RULES, Findings


@pytest.fixture(scope="module")
def affinity(campaign):
    from datetime import UTC, datetime

    from models.affinity import TopicAffinity
    from training.config import read_config
    from training.snapshots import affinity_dataset

    config = read_config(campaign).affinity
    dataset = affinity_dataset(campaign, config, now=datetime(2026, 11, 1, 12, tzinfo=UTC))
    model = TopicAffinity(list(dataset.topics), num_trees=30, min_child_samples=10, max_depth=3, refit=False, n_jobs=1)
    model.fit(dataset.train.X, dataset.train.y, groups=dataset.train.person_ids, block=dataset.train.block)
    return model, dataset, config


def test_metrics_are_those_of_models_metrics(affinity):
    model, dataset, config = affinity
    found = evaluate_affinity(model, dataset, config)
    y, p = dataset.test.y, model.predict_proba(dataset.test.X)
    values = {name: estimate.value for name, estimate in found.findings.metrics.items()}
    assert np.array_equal(found.predictions[MODEL], p)
    assert values["log_loss"] == pytest.approx(metrics.log_loss(y.ravel(), p.ravel()))
    assert values["auc_micro"] == pytest.approx(metrics.auc(y.ravel(), p.ravel()))
    assert values["auc_macro"] == pytest.approx(np.mean([metrics.auc(y[:, t], p[:, t]) for t in range(3)]))
    assert values["auc.care"] == pytest.approx(metrics.auc(y[:, 2], p[:, 2]))
    assert values["ndcg_3"] == pytest.approx(metrics.ndcg_at_k(y, p, 3))
    assert values["ece"] == pytest.approx(metrics.ece(y.ravel(), p.ravel()))
    assert values["pr_auc"] == pytest.approx(metrics.average_precision(y.ravel(), p.ravel()))
    prior = found.predictions["prior"]
    assert values["log_loss_gain.prior.care"] == pytest.approx(metrics.log_loss(y[:, 2], prior[:, 2]) - metrics.log_loss(y[:, 2], p[:, 2]))
    top = np.sort(p.ravel())[::-1][: p.size // 10]
    assert values["lift_10"] == pytest.approx(y.ravel()[p.ravel() >= top[-1]].mean() / y.mean(), rel=0.15)
    for rule in RULES:
        assert values[f"log_loss_gain.{rule}"] == pytest.approx(values[f"{rule}.log_loss"] - values["log_loss"])
    assert values["prior.auc_macro"] == pytest.approx(0.5)


def test_segments_and_tenths_are_those_of_their_rows(affinity):
    model, dataset, config = affinity
    found = evaluate_affinity(model, dataset, config)
    y, p, about = dataset.test.y, found.predictions[MODEL], found.findings.about
    mine = dataset.test.X["count|kind=any-engagement|channel=any|topic=any|window=all"].to_numpy() >= 10
    (line,) = [line for line in about["segments"] if line["segment"] == "10 answers or more"]
    assert line["people"] == mine.sum()
    assert line["log_loss"] == pytest.approx(metrics.log_loss(y[mine].ravel(), p[mine].ravel()))
    assert line["auc"] == pytest.approx(metrics.auc(y[mine].ravel(), p[mine].ravel()))
    assert line["pr_auc"] == pytest.approx(metrics.average_precision(y[mine].ravel(), p[mine].ravel()))
    assert line["pr_auc_low"] < line["pr_auc"] < line["pr_auc_high"]
    assert line["gain_low"] < line["gain"] < line["gain_high"]
    tenths = [line for line in about["deciles"] if line["topic"] == "care"]
    assert sum(line["pairs"] for line in tenths) == len(y)
    assert sum(line["pairs"] * line["observed"] for line in tenths) == pytest.approx(y[:, 2].sum())


def test_a_topic_that_nobody_could_answer_is_measured_nowhere(affinity):
    from dataclasses import replace

    model, dataset, config = affinity
    test = replace(dataset.test, y=np.where([[False, False, True]], np.nan, dataset.test.y))
    metrics_found = evaluate_affinity(model, replace(dataset, test=test), config).findings.metrics
    assert "ece.care" not in metrics_found
    assert "log_loss_gain.prior.care" not in metrics_found
    assert np.isfinite(metrics_found["auc_macro"].value)


def test_unknown_labels_count_nowhere():
    y = np.array([[1.0, np.nan], [np.nan, np.nan]])
    losses, counts = pair_losses(y, np.full((2, 2), 0.25))
    assert losses.tolist() == [pytest.approx(-np.log(0.25)), 0.0]
    assert counts.tolist() == [1.0, 0.0]


def test_the_gain_is_paired(affinity):
    model, dataset, config = affinity
    findings = evaluate_affinity(model, dataset, config, champion=("digest", model)).findings
    gain = findings.metrics["log_loss_gain.champion"]
    assert (gain.value, gain.se) == (0.0, 0.0), "a model gains nothing over itself, and that is certain"
    assert findings.compared_with == "digest"
    assert findings.metrics["champion.auc_micro"].value == findings.metrics["auc_micro"].value


def test_the_same_seed_gives_the_same_findings_and_they_can_be_logged(affinity):
    model, dataset, config = affinity
    first, second = (evaluate_affinity(model, dataset, config).findings for _ in range(2))
    assert first == second
    assert Findings.from_state(first.to_state()) == first
    flat = flat_metrics(first)
    assert flat["ece_low"] <= flat["ece"] <= flat["ece_high"]
    assert "AUC" in summary(first)
    assert not any("van:" in str(value) for value in [*flat, first.about])


def test_persuadability_is_measured_out_of_fold(trained):
    _, _, runs, _ = trained
    findings = runs[0].findings
    assert {"ate", "autoc", "qini", "slope", "policy_random"} <= set(findings.metrics)
    assert findings.metrics["ate"].low < 0.25 < findings.metrics["ate"].high + 0.1
    assert findings.about["units"] < findings.about["rows"]
    assert findings.gate == {"autoc_alpha": 0.01, "slope_alpha": 0.01, "policy_alpha": 0.05, "capacity": 0.2}
    assert summary(findings).startswith("ATE")
