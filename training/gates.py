"""The gates before `champion`: pure functions from what a run has logged to lines that passed or failed, in words with numbers.

The levels are read from the run too: they were fixed before its outcomes were seen, and editing `audience.toml` afterwards
changes nothing for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from models.metrics import Estimate
from models.uplift_evaluation import lower_bound

Kind = Literal["affinity", "persuadability"]


@dataclass(frozen=True, slots=True)
class GateLine:
    """One condition: whether it holds, and why in words."""

    name: str
    passed: bool
    words: str

    def __str__(self) -> str:
        return f"{'passed' if self.passed else 'FAILED'}  {self.name}: {self.words}"


@dataclass(frozen=True, slots=True)
class Findings:
    """What a run found on rows its model never saw.

    `metrics` by name; `gate` the levels that were fixed beforehand; `about` what was tested on (rows, people, hashes, and for an
    experiment its id, arm and outcome); `compared_with` the digest of the champion that was tried on the same rows, if any.
    """

    kind: Kind
    metrics: Mapping[str, Estimate]
    gate: Mapping[str, float]
    about: Mapping[str, Any] = field(default_factory=dict)
    compared_with: str | None = None

    def to_state(self) -> dict[str, Any]:
        """Return the findings as JSON-able values; a metric that is not a finite number is left out, and its line of the gate fails."""
        metrics = {name: estimate.to_state() for name, estimate in self.metrics.items() if math.isfinite(estimate.value + estimate.se)}
        return {"kind": self.kind, "metrics": metrics, "gate": dict(self.gate), "about": dict(self.about), "compared_with": self.compared_with}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Findings:
        """Return the findings of `to_state`."""
        metrics = {name: Estimate.from_state(estimate) for name, estimate in state["metrics"].items()}
        return cls(state["kind"], metrics, dict(state["gate"]), dict(state["about"]), state["compared_with"])


RULES = {
    "prior": "the prior rule (every topic's average rate)",
    "share": "the share of the person's own history",
    "recency_frequency": "the recency-frequency table",
}
"""The rules a model is measured against, by the prefix of their metrics."""


TOPIC_ECE = 0.05
"""The level for one topic in findings of releases that had none."""

Champion = tuple[str, Findings]
"""The digest of the model in office, and what its own run found."""


def gate_lines(findings: Findings, champion: Champion | None = None) -> tuple[GateLine, ...]:
    """Return the lines of the gate of their kind; `champion` is the model in office, if any."""
    return affinity_lines(findings, champion) if findings.kind == "affinity" else persuadability_lines(findings)


def affinity_lines(findings: Findings, champion: Champion | None = None) -> tuple[GateLine, ...]:
    """Return the lines for topic affinity.

    The log loss must beat the prior rule, and the champion when both were tested on the same rows (the best rule otherwise), each by
    an interval over people that excludes zero; the expected calibration error must stay within its level, over all and for each topic; and no topic may
    be shown to be worse than its own prior. The interval is paired, except against a champion that took office after this training: then both logged
    losses are taken as independent, which is wider.
    """
    metrics = findings.metrics
    against = _against_champion(findings, champion)
    if against is None:
        best = min((rule for rule in RULES if f"{rule}.log_loss" in metrics), key=lambda rule: metrics[f"{rule}.log_loss"].value, default="prior")
        against = _beats("log loss against best rule", f"the best rule ({RULES[best]})", metrics.get(f"log_loss_gain.{best}"))
    prior = _beats("log loss against prior", RULES["prior"], metrics.get("log_loss_gain.prior"))
    topics = [str(topic) for topic in findings.about.get("topics", ())]
    return (
        prior,
        against,
        _within(metrics, "calibration", "ece", findings.gate["ece"]),
        _topics_within(metrics, topics, findings.gate.get("topic_ece", TOPIC_ECE)),
        _topics_above_prior(metrics, topics),
    )


def persuadability_lines(findings: Findings) -> tuple[GateLine, ...]:
    """Return the lines for persuadability: AUTOC, calibration slope and the policy's gain, each by a one-sided lower bound above zero.

    The bounds are `models.uplift_evaluation.lower_bound`, wider than the published intervals: see `docs/decisions/0002`.
    """
    metrics, gate = findings.metrics, findings.gate
    policy = f"treating the {gate['capacity']:.0%} with the highest predicted uplift instead of as many at random"
    return (
        _above_zero("AUTOC", "ranking people by predicted uplift", metrics.get("autoc"), gate["autoc_alpha"]),
        _above_zero("calibration slope", "the slope of the effect on the predicted uplift", metrics.get("slope"), gate["slope_alpha"]),
        _above_zero("policy", policy, metrics.get("policy_random"), gate["policy_alpha"]),
    )


def failures(lines: tuple[GateLine, ...]) -> str:
    """Return the words of the lines that failed, as one sentence each."""
    return " ".join(f"{line.name[0].upper()}{line.name[1:]}: {line.words}." for line in lines if not line.passed)


def _against_champion(findings: Findings, champion: Champion | None) -> GateLine | None:
    """Return the line against the model in office; None when there is none, or when it was tested on other rows."""
    if champion is None:
        return None
    digest, own = champion
    if digest == findings.compared_with:
        return _beats("log loss against champion", "the champion", findings.metrics.get("log_loss_gain.champion"))
    if own.about.get("test_hash") is None or own.about["test_hash"] != findings.about.get("test_hash"):
        return None
    theirs, ours = own.metrics["log_loss"], findings.metrics["log_loss"]
    gain = Estimate.normal("log_loss_gain.champion", theirs.value - ours.value, math.hypot(theirs.se, ours.se), findings.gate["coverage"])
    return _beats("log loss against champion", "the champion (tested on the same rows)", gain)


def _beats(name: str, rule: str, gain: Estimate | None) -> GateLine:
    if gain is None:
        return GateLine(name, passed=False, words=f"the gain over {rule} could not be measured")
    passed = gain.low > 0
    verb = "beats" if passed else "does not beat"
    interval = f"{gain.coverage:.0%} interval [{gain.low:+.5f}, {gain.high:+.5f}] over people"
    return GateLine(name, passed, f"log loss {verb} {rule}: gain {gain.value:+.5f} per pair of person and topic, {interval}")


def _within(metrics: Mapping[str, Estimate], name: str, metric: str, level: float) -> GateLine:
    found = metrics.get(metric)
    if found is None:
        return GateLine(name, passed=False, words="the expected calibration error could not be measured")
    passed = found.value <= level
    return GateLine(name, passed, f"expected calibration error {found.value:.4f}, {'within' if passed else 'above'} {level:g}")


def _topics_within(metrics: Mapping[str, Estimate], topics: Sequence[str], level: float) -> GateLine:
    """Return whether every topic that was tested is calibrated within `level`."""
    found = {topic: metrics[f"ece.{topic}"].value for topic in topics if f"ece.{topic}" in metrics}
    if not found:
        return GateLine("calibration by topic", passed=False, words="no topic's calibration error could be measured")
    above = [f"{topic} {value:.4f}" for topic, value in found.items() if value > level]
    worst = max(found, key=lambda topic: found[topic])
    words = f"above {level:g}: {', '.join(above)}" if above else f"within {level:g} for each of {len(found)} topics, {found[worst]:.4f} at most ({worst})"
    return GateLine("calibration by topic", passed=not above, words=f"expected calibration error {words}")


def _topics_above_prior(metrics: Mapping[str, Estimate], topics: Sequence[str]) -> GateLine:
    """Return whether no topic's gain over its own average rate has an interval that lies below zero."""
    found = {topic: metrics[f"log_loss_gain.prior.{topic}"] for topic in topics if f"log_loss_gain.prior.{topic}" in metrics}
    if not found:
        return GateLine("topics against prior", passed=False, words="no topic's gain over its average rate could be measured")
    worse = [f"{topic} [{gain.low:+.5f}, {gain.high:+.5f}]" for topic, gain in found.items() if gain.high < 0]
    if worse:
        return GateLine("topics against prior", passed=False, words=f"log loss is worse than the topic's average rate for {', '.join(worse)}")
    least = min(found, key=lambda topic: found[topic].value)
    words = f"none of {len(found)} topics is shown to be worse than its average rate; the least gain is {found[least].value:+.5f} per person ({least})"
    return GateLine("topics against prior", passed=True, words=words)


def _above_zero(name: str, what: str, estimate: Estimate | None, alpha: float) -> GateLine:
    if estimate is None:
        return GateLine(name, passed=False, words=f"{what} could not be measured")
    bound = lower_bound(estimate, alpha)
    passed = bound > 0
    side = "above" if passed else "not above"
    words = f"{what} gives {estimate.value:+.4f} (se {estimate.se:.4f}), lower bound {bound:+.4f} (one-sided test at {alpha:g}), {side} zero"
    return GateLine(name, passed, words)
