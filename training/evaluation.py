"""What a model is worth on rows it never saw: measured the same way for the rules it has to beat and for the champion in office."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.affinity import TopicAffinity
from models.metrics import CLIP, Estimate, ndcg_rows, reliability
from models.persuadability import Persuadability
from models.uplift_bootstrap import LEAST_UNITS
from models.uplift_evaluation import Evaluation as UpliftEvaluation
from training.config import AffinityConfig, PersuadabilityConfig
from training.gates import Findings
from training.resampling import PersonBootstrap
from training.rules import rule_probabilities
from training.segments import segments
from training.snapshots import AffinityDataset, Side
from training.trials import TrialDataset

Floats = NDArray[np.float64]
Progress = Callable[[str, float], None]

MODEL, CHAMPION = "model", "champion"
TOP_SHARE = 0.10
"""Share of pairs addressed first whose lift is stated."""
NDCG_AT = (3, 5)


@dataclass(frozen=True, slots=True)
class AffinityEvaluation:
    """The findings, and the predictions (n_test, n_topics) they were made from, by whose they are: the model's, the rules', the champion's."""

    findings: Findings
    predictions: Mapping[str, Floats]


def evaluate_affinity(
    model: TopicAffinity, dataset: AffinityDataset, config: AffinityConfig, *, champion: tuple[str, TopicAffinity] | None = None
) -> AffinityEvaluation:
    """Return what the model is worth on the test rows, beside the rules and, when given with its digest, the champion.

    Intervals come from a bootstrap over people; a `log_loss_gain.X` is X's log loss less the model's on the same pairs, paired.
    """
    test = dataset.test
    predictions = {MODEL: np.asarray(model.predict_proba(test.X), dtype=np.float64)} | rule_probabilities(dataset)
    if champion is not None:
        predictions[CHAMPION] = np.asarray(champion[1].predict_proba(test.X), dtype=np.float64)
    boot = PersonBootstrap(test.person_ids, draws=config.draws, seed=config.seed, coverage=config.gate.coverage)
    metrics = _ranking(boot, test, predictions[MODEL], "", dataset.topics)
    metrics += [metric for who, p in predictions.items() if who != MODEL for metric in _ranking(boot, test, p, f"{who}.")]
    metrics += _gains(boot, test, predictions)
    metrics += _topic_gains(boot, test, predictions, dataset.topics)
    metrics += _calibration(boot, test, predictions[MODEL], dataset.topics)
    findings = Findings(
        kind="affinity",
        metrics={metric.name: metric for metric in metrics},
        gate={"ece": config.gate.ece, "topic_ece": config.gate.topic_ece, "coverage": config.gate.coverage},
        about={
            "rows": len(test),
            "people": boot.n_people,
            "topics": list(dataset.topics),
            "test_hash": test.hash,
            "segments": segment_table(dataset, predictions, config),
            "deciles": decile_table(test, predictions[MODEL], dataset.topics),
        },
        compared_with=champion[0] if champion else None,
    )
    return AffinityEvaluation(findings, predictions)


def evaluate_persuadability(
    model: Persuadability,
    dataset: TrialDataset,
    config: PersuadabilityConfig,
    *,
    plan: Mapping[str, Any] | None = None,
    design: Mapping[str, Any] | None = None,
    messages: Mapping[str, Any] | None = None,
) -> tuple[Findings, UpliftEvaluation]:
    """Return what the uplift is worth out of fold: every person judged by models that saw neither the person nor the person's unit.

    `plan` says whether the analysis follows the experiment's plan: its `hash`, and `lines` of (name, whether it holds, words).
    `design` is what the check of the draw found: `lines` of (name, verdict, words). `messages` is the choice among the experiment's messages
    (`training.choice.MessageChoice.to_state`), of which this is one.
    """
    evaluation = model.evaluate(capacity=config.capacity, turned=dataset.scale.turned)
    gate = {f"{name}_alpha": getattr(config.gate, f"{name}_alpha") for name in ("autoc", "slope", "policy")}
    about = {
        "experiment": dataset.experiment.id,
        "arm": dataset.arm,
        "control": dataset.experiment.control,
        "outcome": dataset.experiment.outcome,
        "rows": len(dataset),
        "treated": int(dataset.treatment.sum()),
        "units": evaluation.n_groups,
        "least_units": evaluation.least_units,
        **dataset.counts,
        **({} if plan is None else {"plan": dict(plan)}),
        **({} if design is None else {"design": dict(design)}),
        **({} if messages is None else {"messages": dict(messages)}),
    }
    return Findings("persuadability", evaluation.estimates, gate | {"capacity": config.capacity}, about), evaluation


@dataclass(frozen=True, slots=True)
class HalfSamples:
    """Standard errors `se` of the estimates, by name, from so many `draws` of half of the assignment units; none of either where none were drawn."""

    draws: int = 0
    se: Mapping[str, float] = field(default_factory=dict)

    def metrics(self) -> dict[str, float]:
        """Return them as a run logs them: `name.se_half`."""
        return {f"{name}.se_half": se for name, se in self.se.items()}


def half_samples(model: Persuadability, dataset: TrialDataset, config: PersuadabilityConfig, *, progress: Progress | None = None) -> HalfSamples:
    """Return standard errors by half-samples, beside the exact ones that the gate uses; none where config says 0, or with too few units to draw from."""
    if config.half_samples == 0 or model.n_groups_ < LEAST_UNITS:
        return HalfSamples()
    found = model.half_sample_estimates(capacity=config.capacity, turned=dataset.scale.turned, n_draws=config.half_samples, progress=progress)
    return HalfSamples(config.half_samples, {name: estimate.se for name, estimate in found.items()})


def uplift_document(evaluation: UpliftEvaluation, halves: HalfSamples) -> bytes:
    """Return all that was measured of an uplift as JSON, null for what is no finite number.

    The evaluation (estimates, TOC, effects by fifth with their covariance, policies), and under `half_samples` the standard errors by half-samples.
    """
    state = evaluation.to_state() | {"half_samples": {"draws": halves.draws, "se": halves.se}}
    return json.dumps(_finite(state), indent=1, sort_keys=True, allow_nan=False).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def segment_table(dataset: AffinityDataset, predictions: Mapping[str, Floats], config: AffinityConfig) -> list[dict[str, float | str]]:
    """Return, per segment of people with labels of both kinds: people, pairs, rate, and the model's measures there with low and high.

    `gain` is the log loss of the prior rule less the model's, per pair; intervals come from a bootstrap over the segment's people.
    """
    test, own, prior = dataset.test, predictions[MODEL], predictions["prior"]
    table = []
    for name, mine in segments(test.X).items():
        y, p = test.y[mine], own[mine]
        row, column = np.nonzero(~np.isnan(y))
        label = y[row, column]
        if not 0 < label.sum() < len(label):
            continue
        boot = PersonBootstrap(test.person_ids[mine], draws=config.draws, seed=config.seed, coverage=config.gate.coverage)
        (losses, counts), (others, _) = pair_losses(y, p), pair_losses(y, prior[mine])
        found = [
            boot.mean("log_loss", losses, counts),
            boot.mean("gain", others - losses, counts),
            boot.average("auc", [boot.auc(label, p[row, column], row)]),
            boot.average("pr_auc", [boot.average_precision(label, p[row, column], row)]),
            boot.calibration_error("ece", label, p[row, column], row),
        ]
        line: dict[str, float | str] = {"segment": name, "people": boot.n_people, "pairs": len(label), "rate": float(label.mean())}
        for each in found:
            line |= {each.name: each.value, f"{each.name}_low": each.low, f"{each.name}_high": each.high}
        table.append(line)
    return table


def decile_table(test: Side, p: Floats, topics: Sequence[str]) -> list[dict[str, float | str]]:
    """Return, per topic and tenth of its predictions from low to high: pairs, mean prediction, observed rate."""
    table: list[dict[str, float | str]] = []
    for number, topic in enumerate(topics):
        known = ~np.isnan(test.y[:, number])
        bins = reliability(test.y[known, number], p[known, number], n_bins=10) if known.any() else []
        table += [
            {"topic": topic, "tenth": tenth, "pairs": found.count, "predicted": found.predicted, "observed": found.observed}
            for tenth, found in enumerate(bins, start=1)
        ]
    return table


def flat_metrics(findings: Findings) -> dict[str, float]:
    """Return metrics as a run logs them: `name`, `name_low`, `name_high`."""
    flat: dict[str, float] = {}
    for name, estimate in findings.metrics.items():
        flat |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return flat


def summary(findings: Findings) -> str:
    """Return the result in one line."""
    metrics = findings.metrics
    if findings.kind == "affinity":
        ranking = f"AUC {metrics['auc_micro'].value:.3f}, NDCG@5 {metrics['ndcg_5'].value:.3f}"
        return f"{ranking}, log loss {metrics['log_loss'].value:.4f}, ECE {metrics['ece'].value:.4f}"
    return f"ATE {metrics['ate'].value:+.4f}, AUTOC {metrics['autoc'].value:+.4f} (se {metrics['autoc'].se:.4f}), slope {metrics['slope'].value:.2f}"


def pair_losses(y: Floats, p: Floats) -> tuple[Floats, Floats]:
    """Return each row's summed log loss over its known topics and how many there are, both (n,), from y and p (n, n_topics)."""
    known = ~np.isnan(y)
    clipped = np.clip(p, CLIP, 1 - CLIP)
    losses = -np.where(y > 0, np.log(clipped), np.log1p(-clipped))
    return np.where(known, losses, 0.0).sum(axis=1), known.sum(axis=1).astype(np.float64)


def _ranking(boot: PersonBootstrap, test: Side, p: Floats, prefix: str, topics: Sequence[str] = ()) -> list[Estimate]:
    """Return log loss, AUC, NDCG and lift of the predictions, their names with `prefix`; AUC by topic for the `topics` named."""
    row, column = np.nonzero(~np.isnan(test.y))
    by_topic = [_topic_auc(boot, test, p, number) for number in range(p.shape[1])]
    return [
        boot.mean(f"{prefix}log_loss", *pair_losses(test.y, p)),
        boot.average(f"{prefix}auc_micro", [boot.auc(test.y[row, column], p[row, column], row)]),
        boot.average(f"{prefix}auc_macro", by_topic),
        boot.average(f"{prefix}pr_auc", [boot.average_precision(test.y[row, column], p[row, column], row)]),
        *(boot.average(f"{prefix}auc.{topic}", [found]) for topic, found in zip(topics, by_topic, strict=False)),
        *(_ndcg(boot, test, p, k, prefix) for k in NDCG_AT),
        _lift(boot, test, p, prefix),
    ]


def _topic_auc(boot: PersonBootstrap, test: Side, p: Floats, number: int) -> tuple[float, Floats]:
    rows = np.flatnonzero(~np.isnan(test.y[:, number]))
    label = test.y[rows, number]
    return boot.auc(label, p[rows, number], rows) if 0 < label.sum() < len(rows) else (float("nan"), np.zeros(0))


def _gains(boot: PersonBootstrap, test: Side, predictions: Mapping[str, Floats]) -> list[Estimate]:
    losses = {who: pair_losses(test.y, p) for who, p in predictions.items()}
    own, counts = losses.pop(MODEL)
    return [boot.mean(f"log_loss_gain.{who}", loss - own, counts) for who, (loss, _) in losses.items()]


def _topic_gains(boot: PersonBootstrap, test: Side, predictions: Mapping[str, Floats], topics: Sequence[str]) -> list[Estimate]:
    """Return each topic's gain in log loss over the prior rule, for topics with a known label."""
    gains = []
    for number, topic in enumerate(topics):
        if not np.isnan(test.y[:, number]).all():
            (other, count), (own, _) = (pair_losses(test.y[:, [number]], predictions[who][:, [number]]) for who in ("prior", MODEL))
            gains.append(boot.mean(f"log_loss_gain.prior.{topic}", other - own, count))
    return gains


def _calibration(boot: PersonBootstrap, test: Side, p: Floats, topics: Sequence[str]) -> list[Estimate]:
    row, column = np.nonzero(~np.isnan(test.y))
    found = [boot.calibration_error("ece", test.y[row, column], p[row, column], row)]
    for number, topic in enumerate(topics):
        rows = np.flatnonzero(~np.isnan(test.y[:, number]))
        if len(rows):
            found.append(boot.calibration_error(f"ece.{topic}", test.y[rows, number], p[rows, number], rows))
    return found


def _ndcg(boot: PersonBootstrap, test: Side, p: Floats, k: int, prefix: str) -> Estimate:
    found = ndcg_rows(test.y, p, k)
    return boot.mean(f"{prefix}ndcg_{k}", np.nan_to_num(found), (~np.isnan(found)).astype(np.float64))


def _lift(boot: PersonBootstrap, test: Side, p: Floats, prefix: str) -> Estimate:
    """Return how many times the average rate the tenth of pairs with the highest predictions reaches; equal predictions count in part."""
    known = ~np.isnan(test.y)
    label = np.where(known, test.y, 0.0)
    threshold = np.quantile(p[known], 1 - TOP_SHARE)
    above, level = known & (p > threshold), known & (p == threshold)
    part = (TOP_SHARE * known.sum() - above.sum()) / max(level.sum(), 1)
    chosen = above + np.clip(part, 0.0, 1.0) * level
    top, everyone = (((weight * label).sum(axis=1), weight.sum(axis=1)) for weight in (chosen, known.astype(np.float64)))
    return boot.ratio(f"{prefix}lift_10", top, everyone)
