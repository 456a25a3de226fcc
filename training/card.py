"""The model card: one page of Markdown that says what a model estimates, on what, how well, and what it must not be taken for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.metrics import Estimate
from models.uplift_evaluation import Evaluation
from models.uplift_groups import Gates
from training.config import AffinityConfig, PersuadabilityConfig
from training.evaluation import HalfSamples
from training.gates import RULES, Findings, GateLine
from training.snapshots import AffinityDataset, Side
from training.trials import TrialDataset

NAMES = {
    "log_loss": "log loss",
    "auc_micro": "AUC, all pairs of person and topic",
    "auc_macro": "AUC, mean over topics",
    "pr_auc": "average precision (area under precision and recall), all pairs",
    "ndcg_3": "NDCG@3, topics of one person",
    "ndcg_5": "NDCG@5, topics of one person",
    "lift_10": "lift of the best tenth of pairs",
    "ece": "expected calibration error",
    "ate": "average effect (ATE)",
    "autoc": "AUTOC (area under TOC, as grf)",
    "qini": "QINI (∫ q·TOC(q) dq, as grf)",
    "slope": "slope of effect on predicted uplift (1: calibrated)",
    "autoc_risk": "AUTOC of ranking by baseline risk instead",
    "qini_risk": "QINI of ranking by baseline risk instead",
    "autoc_random": "AUTOC of a random ranking",
    "policy_random": "gain of the policy over as many at random, per person",
    "policy_risk": "gain of the policy over as many by baseline risk, per person",
    "policy_all": "gain of the policy over contacting everybody, per person",
    "policy_none": "gain of the policy over contacting nobody, per person",
    "policy_unlimited": "gain, without a limit on contacts, of contacting whoever has a positive predicted uplift over everybody, per person",
    "gates_difference": "effect among the fifth with the highest predicted uplift less that among the lowest",
}


def _exposure(dataset: AffinityDataset, config: AffinityConfig) -> str:
    train, test = (side.exposed.mean() for side in (dataset.train, dataset.test))
    others = "the others count only where they answered" if config.exposed_only else "the silence of the others counts as a no like any other"
    reached = f"{train:.0%} of the pairs of row and topic to train on, and {test:.0%} of those to test on"
    return f"A message about the topic was sent in the label's window to {reached}; {others}."


def affinity_card(
    workspace: str,
    dataset: AffinityDataset,
    config: AffinityConfig,
    findings: Findings,
    lines: tuple[GateLine, ...],
    *,
    now: datetime,
    coverage: float,
    special: Sequence[str] = (),
    recalibrated_from: str | None = None,
) -> str:
    """Return the card of a topic affinity model; `coverage` is that of the intervals served with its scores, `special` are the special attributes it reads.

    `recalibrated_from` is the digest of the model whose trees it has, where the training rows only calibrated them.
    """
    if dataset.source == "engagement":
        label = (
            f"engages with the topic at least once within {config.horizon_days} days, beginning {_days(config.gap_days)} after the vector's time; machines do "
            "not count, and what was received after the training does not either"
        )
    else:
        label = (
            "has the label 1 for the topic in the file of labels that this workspace provided; that such a label looks no further ahead than "
            f"{_days(config.gap_days + config.horizon_days)} from the vector's time is the workspace's word"
        )
    return _page(
        f"Topic affinity, {workspace}",
        _section(
            "What it estimates",
            f"For each of {len(dataset.topics)} topics, the probability that a person {label}. The scale is a probability. The interval served with a score "
            f"is one for the rate among people with such a score, with {coverage:.0%} coverage; it is no interval for what one person will do.",
        ),
        _section(
            "What it learned from",
            f"{_learned(dataset.train, recalibrated_from)} {_rows(dataset.test)} of {findings.about['people']:,} other people to test on, as of "
            f"{_span(dataset.test.as_ofs)}. {dataset.sampled:,} rows were left out by the limit max_rows. {_exposure(dataset, config)} {_special(special)}",
        ),
        _section("How good it is", _affinity_table(findings) + "\n\n" + _topic_table(findings)),
        _section("For whom", _segment_table(findings)),
        _section("Gate, as of this training", "\n".join(f"- {line}" for line in lines)),
        _section(
            "What to know before using it",
            "- The model that was evaluated is the one registered: it was not fitted again afterwards, and has not seen the test's people.\n"
            f"- {_test_time(dataset, config)}\n"
            "- People's attributes (age, area, the workspace's own) are those of the table as imported last, also for earlier times.\n"
            "- It predicts what people do when approached as in the past. It does not say that approaching them makes them do it: that is persuadability.\n"
            "- A topic with few engagements borrows from the others; see its own line above before relying on it.",
        ),
        _section("To repeat it", _provenance(_affinity_facts(dataset), now)),
    )


def persuadability_card(
    workspace: str,
    dataset: TrialDataset,
    config: PersuadabilityConfig,
    findings: Findings,
    lines: tuple[GateLine, ...],
    *,
    evaluation: Evaluation,
    halves: HalfSamples,
    now: datetime,
    coverage: float,
    special: Sequence[str] = (),
) -> str:
    """Return the card of the model of one arm; `coverage` is that of the intervals served with its scores, `special` are the special attributes it reads.

    `halves` are standard errors beside the exact ones.
    """
    experiment, about = dataset.experiment, findings.about
    turned = "" if experiment.engagement == "higher" else " Lower values are better here, so effects have their sign turned: a positive uplift is good."
    return _page(
        f"Persuadability of {dataset.arm} against {experiment.control} in {experiment.id}, {workspace}",
        _section(
            "What it estimates",
            f"How much the message `{dataset.arm}` changes the outcome `{experiment.outcome}` of a person, compared with `{experiment.control}`: an uplift in "
            f"units of the outcome, learned from randomised assignment with known probabilities.{turned} The interval served with a score is one for the "
            f"average effect among people with such a score, with {coverage:.0%} coverage; one person's own effect is never observed.",
        ),
        _section(
            "What it learned from",
            f"{about['rows']:,} people in {about['units']:,} assignment units, {about['treated']:,} of them with the message, with vectors as of their "
            f"assignment ({_span(dataset.as_ofs)}). Of those assigned {dataset.counts['without_outcome']:,} are without the outcome; they stay, and "
            f"who answered stands in for them by the probability of answering. Left out: {dataset.counts['in_stratum_of_one_arm']:,} in a stratum that "
            f"lacks one of the two arms. {_special(special)}",
        ),
        _section("How people were drawn", _design_list(findings)),
        _section("How good it is", _uplift_table(findings, halves, config.capacity)),
        _section("Effects by fifth of predicted uplift", _fifths_table(evaluation.gates)),
        _section("What contacting some people gains", _policies_table(evaluation)),
        *([_section("Among the messages", _messages_table(about["messages"], dataset))] if "messages" in about else []),
        _section("Gate, as of this training", "\n".join(f"- {line}" for line in lines)),
        _section(
            "What to know before using it",
            "- Every measure is out of fold: each person was judged by models that saw neither the person nor the person's assignment unit. The registered "
            "model is the same recipe on all folds, fitted in the same call; nothing was fitted again after the evaluation.\n"
            "- Missing outcomes are taken to depend on the arm and the vector alone; if something else decides who answers, the effect is biased.\n"
            "- One unit's message must not change another unit's outcome.\n"
            "- It holds for this message, this outcome and people like those of the experiment. Predictions are shrunk to the average effect by the slope.\n"
            "- People's attributes are those of the table as imported last.",
        ),
        _section("To repeat it", _provenance(_trial_facts(dataset), now)),
    )


def _special(attributes: Sequence[str]) -> str:
    """Return which attributes of special sensitivity the model reads, and what follows."""
    if not attributes:
        return "It reads no attribute of special sensitivity."
    named = ", ".join(f"`{attribute}`" for attribute in attributes)
    return f"Of special sensitivity it reads {named}: so it scores nobody for online targeting (rule L4), whatever they consented to."


def _rows(side: Side) -> str:
    return f"{len(side):,} rows (person, as_of)"


def _learned(train: Side, recalibrated_from: str | None) -> str:
    """Return what the training rows were used for: for trees and calibration, or, of a recalibrated model, for calibration alone."""
    rows = f"{_rows(train)} of {len(set(train.person_ids.tolist())):,} people"
    if recalibrated_from is not None:
        return f"The trees are those of an earlier model (`{recalibrated_from}`). {rows} calibrate them, as of {_span(train.as_ofs)}."
    calibrates = "the latest block calibrates" if len(np.unique(train.block)) > 1 else "a share of these people calibrates"
    return f"{rows} to train on, as of {_span(train.as_ofs)}; {calibrates}."


def _test_time(dataset: AffinityDataset, config: AffinityConfig) -> str:
    """Return how the test's times lie to those of the training rows, and what the test cannot say because of it."""
    train, test = dataset.train.as_ofs, dataset.test.as_ofs
    reach = np.timedelta64(config.gap_days + config.horizon_days, "D")
    if train.max() + reach <= test.min():
        return "The test is of a later time: every label that was learned from was complete before it began."
    if train.min() == train.max() == test.min() == test.max():
        return (
            "The test is of the same season as what it learned its levels from: the same as_of, other people. It says how well the model does for people "
            "it has not seen, not how its levels hold later: only newer labels can tell."
        )
    return (
        "The test is not of a later time, going by as_of: it overlaps with the training rows and the window of their labels. It says how well the model "
        "does for people it has not seen, not how it holds later."
    )


def _affinity_facts(dataset: AffinityDataset) -> dict[str, object]:
    return {
        "training rows": dataset.train.hash,
        "test rows": dataset.test.hash,
        "feature definitions": dataset.definitions_hash,
        "vocabulary": dataset.vocabulary_fingerprint,
        "table versions": _versions(dataset.table_versions),
    }


def _trial_facts(dataset: TrialDataset) -> dict[str, object]:
    return {
        "rows": dataset.hash,
        "feature definitions": dataset.definitions_hash,
        "vocabulary": dataset.vocabulary_fingerprint,
        "table versions": _versions(dataset.table_versions),
    }


def _affinity_table(findings: Findings) -> str:
    who = {"": "model", **{f"{rule}.": rule.replace("_", "-") for rule in RULES}}
    if findings.compared_with:
        who["champion."] = "champion"
    measures = ("log_loss", "auc_micro", "auc_macro", "pr_auc", "ndcg_3", "ndcg_5", "lift_10")
    rows = [[NAMES[measure], *(_cell(findings.metrics.get(prefix + measure)) for prefix in who)] for measure in measures]
    rows.append([NAMES["ece"], _cell(findings.metrics.get("ece")), *("" for _ in range(len(who) - 1))])
    rules = "; ".join(f"{rule.replace('_', '-')}: {words}" for rule, words in RULES.items())
    coverage = f"{findings.gate['coverage']:.0%} intervals, from a bootstrap over people"
    return f"{_table(['', *who.values()], rows)}\n\n{rules}. Brackets: {coverage}. A rule's cells take their rates from the training rows."


def _topic_table(findings: Findings) -> str:
    metrics = findings.metrics
    columns = {"AUC": "auc", "expected calibration error": "ece", "gain in log loss over the topic's average rate": "log_loss_gain.prior"}
    rows = [[topic, *(_cell(metrics.get(f"{name}.{topic}")) for name in columns.values())] for topic in findings.about["topics"]]
    return _table(["topic", *columns], rows)


def _segment_table(findings: Findings) -> str:
    """Return the measures by segment; one with fewer people has wider intervals, and says less."""
    rows = [
        [str(line["segment"]), f"{line['people']:,}", f"{line['rate']:.1%}"]
        + [f"{line[name]:.4f} [{line[f'{name}_low']:.4f}, {line[f'{name}_high']:.4f}]" for name in ("auc", "pr_auc", "log_loss", "gain", "ece")]
        for line in findings.about.get("segments", ())
    ]
    if not rows:
        return "No segment of the test people had labels of both kinds."
    return _table(["people", "how many", "rate", "AUC", "average precision", "log loss", "gain over average rates", "expected calibration error"], rows)


def _uplift_table(findings: Findings, halves: HalfSamples, capacity: float) -> str:
    rows = [_uplift_row(estimate) for estimate in findings.metrics.values()]
    head = ["", "value", "standard error", "interval"]
    said = f"The policy addresses {capacity:.0%} of people. Effects are in units of the outcome."
    if halves.se:
        rows = [[*row[:3], f"{halves.se[name]:.4f}", *row[3:]] for name, row in zip(findings.metrics, rows, strict=True)]
        head.insert(3, "by half-samples")
        said += f" Standard errors by half-samples are of {halves.draws} draws of half of the assignment units; intervals and gate use the exact ones."
    return f"{_table(head, rows)}\n\n{said}"


def _fifths_table(gates: Gates) -> str:
    rows = []
    for number, (predicted, effect, low, high) in enumerate(zip(gates.predicted, gates.effect, gates.low, gates.high, strict=True), start=1):
        rows.append([f"{number}", f"{predicted:+.4f}", f"{effect:+.4f}", f"[{low:+.4f}, {high:+.4f}] ({gates.coverage:.0%})"])
    said = "Effects rise from fifth to fifth." if gates.monotone else "Effects do not rise from fifth to fifth."
    head = ["fifth, lowest first", "predicted uplift", "effect found", "interval"]
    return f"{_table(head, rows)}\n\n{said} Highest less lowest: {_cell(gates.difference)}."


def _policies_table(evaluation: Evaluation) -> str:
    rows = []
    for policy in evaluation.policies:
        risk = "" if policy.over_risk is None else _cell(policy.over_risk)
        rows.append([f"{policy.capacity:.0%}", _cell(policy.over_nobody), _cell(policy.over_everybody), _cell(policy.over_random), risk])
    open_one = evaluation.unlimited
    limit = f"Without a limit, whoever is predicted to gain: {open_one.share:.0%} of people, {_cell(open_one.over_everybody)} over everybody."
    head = ["share contacted", "over nobody", "over everybody", "over as many at random", "over as many by baseline risk"]
    return f"{_table(head, rows)}\n\nIn units of the outcome per person of everyone, those ranked highest first. {limit}"


def _messages_table(choice: Mapping[str, Any], dataset: TrialDataset) -> str:
    """Return the average effect of each message of the experiment, the highest first, and whether choosing by person does better than the best."""
    effects = {arm: Estimate.from_state(state) for arm, state in choice["effects"].items()}
    rows = []
    for arm, effect in sorted(effects.items(), key=lambda item: -item[1].value):
        interval = f"[{effect.low:+.4f}, {effect.high:+.4f}] ({effect.coverage:.0%})"
        p = choice["adjusted"][arm]
        of_this = ", of this model" if arm == dataset.arm else ""
        rows.append([f"`{arm}`{of_this}", f"{effect.value:+.4f}", interval, "below 0.001" if p < 0.001 else f"{p:.3f}"])
    head = ["message", f"average effect against `{dataset.experiment.control}`", "interval", "p after Holm's procedure"]
    how = "on the people whose stratum has every arm, with outcome models of all arms: so an effect can differ a little from the one above"
    return f"{_table(head, rows)}\n\nIn words: {choice['words']}. Messages are compared {how}."


def _design_list(findings: Findings) -> str:
    """Return what the check of the draw found, a line each."""
    design = findings.about.get("design", {"not_checked": "not at this training"})
    if "not_checked" in design:
        return f"The draw was not checked: {design['not_checked']}."
    found = "\n".join(f"- {verdict}: {name}: {words}" for name, verdict, words in design["lines"])
    return f"What the check of the draw says of everybody assigned, whatever their arm:\n\n{found}"


def _uplift_row(estimate: Estimate) -> list[str]:
    interval = f"[{estimate.low:.4f}, {estimate.high:.4f}] ({estimate.coverage:.0%})"
    return [NAMES.get(estimate.name, estimate.name), f"{estimate.value:.4f}", f"{estimate.se:.4f}", interval]


def _cell(estimate: Estimate | None) -> str:
    return "not measured" if estimate is None else f"{estimate.value:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _provenance(facts: Mapping[str, object], now: datetime) -> str:
    return "\n".join([f"- trained as of {now:%Y-%m-%d %H:%M} UTC", *(f"- {name}: `{value}`" for name, value in facts.items())])


def _versions(versions: Mapping[str, int]) -> str:
    return ", ".join(f"{table} {version}" for table, version in versions.items() if version >= 0)


def _span(as_ofs: NDArray[np.datetime64]) -> str:
    first, last = str(as_ofs.min())[:10], str(as_ofs.max())[:10]
    return first if first == last else f"{first} to {last}"


def _days(number: int) -> str:
    return f"{number} day{'' if number == 1 else 's'}"


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}"


def _page(title: str, *sections: str) -> str:
    return "\n\n".join([f"# {title}", *sections]) + "\n"
