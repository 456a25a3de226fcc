"""The gates before `champion`: pure functions from what a run has logged to lines that passed or failed, in words with numbers.

The levels are read from the run too: they were fixed before its outcomes were seen, and editing `audience.toml` afterwards
changes nothing for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from models.metrics import Estimate
from models.uplift_evaluation import critical, lower_bound

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


NO_DEMOBILISATION, PLAN, RANDOMISATION = "no demobilisation", "plan", "randomisation"
"""Lines of persuadability that are about something else than the ranking; `serving.refusal` knows them by these names."""

TOPIC_ECE = 0.05
"""The level for one topic in findings of releases that had none."""

NOT_COMPARED = "; there is a champion, which was not compared with: it was tested on other rows (other people, times, labels or features)"
"""What is said of a champion whose findings say nothing about these rows."""

MANY_UNITS = 100
"""From so many assignment units in the smaller arm on, a bound is a fiftieth longer at most than that of the normal distribution, and the words do not tell."""

Champion = tuple[str, Findings]
"""The digest of the model in office, and what its own run found."""


def gate_lines(findings: Findings, champion: Champion | None = None) -> tuple[GateLine, ...]:
    """Return the lines of the gate of their kind; `champion` is the model in office, if any."""
    return affinity_lines(findings, champion) if findings.kind == "affinity" else persuadability_lines(findings)


def affinity_lines(findings: Findings, champion: Champion | None = None) -> tuple[GateLine, ...]:
    """Return the lines for topic affinity.

    The log loss must beat the prior rule, and the champion when both were tested on the same rows (the best rule otherwise, and the line then says that
    the champion was not compared with), each by an interval over people that excludes zero; the expected calibration error must stay within its level, over
    all and for each topic; and no topic may be shown to be worse than its own prior. The interval is paired, except against a champion that took office
    after this training: then both logged losses are taken as independent, which is wider.
    """
    metrics = findings.metrics
    against = _against_champion(findings, champion)
    if against is None:
        best = min((rule for rule in RULES if f"{rule}.log_loss" in metrics), key=lambda rule: metrics[f"{rule}.log_loss"].value, default="prior")
        against = _beats("log loss against best rule", f"the best rule ({RULES[best]})", metrics.get(f"log_loss_gain.{best}"))
        against = replace(against, words=against.words + ("" if champion is None else NOT_COMPARED))
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
    """Return the lines for persuadability, each by a one-sided bound: the ranking must be real, pay at the stated capacity, and harm nobody's participation.

    AUTOC and calibration slope above zero; with a capacity, the policy must beat contacting as many at random and beat the ranking by baseline
    risk; where capacity has no limit (1), contacting whoever gains must beat contacting all. The average effect must not be shown to be negative. An
    analysis that departs from the experiment's stored plan fails; without a plan, levels are those of `audience.toml` as they were at the training. So does an
    experiment whose design check found something broken, or was not made.
    The bounds are `models.uplift_evaluation.lower_bound`, wider than the published intervals: see `docs/decisions/0002`, and 0008 for few assignment units.
    Findings of releases that did not count each arm's units are judged by all of them; those that say none, as if there were very many.
    """
    metrics, gate, units = findings.metrics, findings.gate, findings.about.get("units")
    least = findings.about.get("least_units", units)
    level, share = gate["policy_alpha"], gate["capacity"]
    chosen = f"contacting the {share:.0%} with the highest predicted uplift"
    asked = (
        (("policy against all", "contacting whoever has a predicted uplift above zero instead of everybody", "policy_unlimited"),)
        if share >= 1
        else (
            ("policy", f"{chosen} instead of as many at random", "policy_random"),
            ("policy against risk", f"{chosen} instead of as many by baseline risk (the expected outcome without contact)", "policy_risk"),
        )
    )
    return (
        _above_zero("AUTOC", "ranking people by predicted uplift", metrics.get("autoc"), gate["autoc_alpha"], least),
        _above_zero("calibration slope", "the slope of the effect on the predicted uplift", metrics.get("slope"), gate["slope_alpha"], least),
        *(_above_zero(name, what, metrics.get(metric), level, least) for name, what, metric in asked),
        _not_below_zero(NO_DEMOBILISATION, metrics.get("ate"), level, units),
        _as_planned(findings.about.get("plan")),
        _as_drawn(findings.about.get("design")),
    )


def persuadability_verdict(lines: tuple[GateLine, ...]) -> str:
    """Return why there is no score per person, from the lines that failed: in general, then each of them by name in words with numbers."""
    failed = {line.name for line in lines if not line.passed}
    ranking = bool(failed - {NO_DEMOBILISATION, PLAN, RANDOMISATION})
    why = {
        "the message is shown to lower engagement on average, so it must not be sent to anybody": NO_DEMOBILISATION in failed,
        "it was not shown, on people the model had not seen, that ranking people by it is better than not ranking them": ranking,
        "the analysis departs from the plan that was stored before the outcomes": PLAN in failed,
        "the draw of the experiment is not known to be sound": RANDOMISATION in failed,
    }
    known = "The average effect is not to be relied on either" if RANDOMISATION in failed else "What is known is the average effect"
    return f"No score per person: {'; '.join(words for words, holds in why.items() if holds)}. {known}. {failures(lines)}"


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
    """Return whether every topic that was tested is calibrated within `level`; the words name those that could not be."""
    found = {topic: metrics[f"ece.{topic}"].value for topic in topics if f"ece.{topic}" in metrics}
    if not found:
        return GateLine("calibration by topic", passed=False, words="no topic's calibration error could be measured")
    above = [f"{topic} {value:.4f}" for topic, value in found.items() if value > level]
    worst = max(found, key=lambda topic: found[topic])
    words = f"above {level:g}: {', '.join(above)}" if above else f"within {level:g} for each of {len(found)} topics, {found[worst]:.4f} at most ({worst})"
    return GateLine("calibration by topic", passed=not above, words=f"expected calibration error {words}{_untested(topics, found)}")


def _topics_above_prior(metrics: Mapping[str, Estimate], topics: Sequence[str]) -> GateLine:
    """Return whether no topic's gain over its own average rate has an interval that lies below zero; the words name topics without one."""
    found = {topic: metrics[f"log_loss_gain.prior.{topic}"] for topic in topics if f"log_loss_gain.prior.{topic}" in metrics}
    if not found:
        return GateLine("topics against prior", passed=False, words="no topic's gain over its average rate could be measured")
    rest = _untested(topics, found)
    worse = [f"{topic} [{gain.low:+.5f}, {gain.high:+.5f}]" for topic, gain in found.items() if gain.high < 0]
    if worse:
        return GateLine("topics against prior", passed=False, words=f"log loss is worse than the topic's average rate for {', '.join(worse)}{rest}")
    least = min(found, key=lambda topic: found[topic].value)
    words = f"none of {len(found)} topics is shown to be worse than its average rate; the least gain is {found[least].value:+.5f} per person ({least})"
    return GateLine("topics against prior", passed=True, words=words + rest)


def _untested(topics: Sequence[str], found: Mapping[str, float | Estimate]) -> str:
    """Return words on the topics that were not measured, none where all were."""
    missing = [topic for topic in topics if topic not in found]
    return f"; served without labels to test on, so not measured: {', '.join(missing)}" if missing else ""


def _above_zero(name: str, what: str, estimate: Estimate | None, alpha: float, units: int | None) -> GateLine:
    if estimate is None:
        return GateLine(name, passed=False, words=f"{what} could not be measured")
    if units is not None and units < 2:
        return GateLine(name, passed=False, words=f"{what} cannot be tested: an arm has no more than one assignment unit")
    bound = lower_bound(estimate, alpha, units=units)
    passed = bound > 0
    side, few = "above" if passed else "not above", "" if units is None or units >= MANY_UNITS else f", with {units} assignment units in the smaller arm"
    words = f"{what} gives {estimate.value:+.4f} (se {estimate.se:.4f}), lower bound {bound:+.4f} (one-sided test at {alpha:g}{few}), {side} zero"
    return GateLine(name, passed, words)


def _not_below_zero(name: str, average: Estimate | None, alpha: float, units: int | None) -> GateLine:
    """Return whether the average effect is not shown to be negative: a message that keeps people away has no targets."""
    if average is None:
        return GateLine(name, passed=False, words="the average effect could not be measured")
    bound = average.value + critical(alpha, units) * average.se
    passed = bound >= 0
    said = "not shown to lower" if passed else "lowers"
    return GateLine(name, passed, f"the message {said} engagement on average: effect {average.value:+.4f}, upper bound {bound:+.4f} (one-sided at {alpha:g})")


def _as_planned(plan: Mapping[str, Any] | None) -> GateLine:
    """Return whether the analysis follows the experiment's plan: `hash` of it and `lines` of (name, whether it holds, words)."""
    if plan is None:
        return GateLine(PLAN, passed=True, words="no plan was stored before the outcomes; capacity and model are those of audience.toml at the training")
    departed = [f"{name}: {words}" for name, passed, words in plan["lines"] if not passed]
    head = f"the analysis {'departs from' if departed else 'follows'} the plan {plan['hash'][:12]}"
    return GateLine(PLAN, passed=not departed, words=f"{head} ({'; '.join(departed)})" if departed else head)


def not_checked(why: str) -> dict[str, Any]:
    """Return what findings say of the design where there is no workspace whose draw could be checked; the line of the gate then passes and tells `why`."""
    return {"not_checked": why}


def _as_drawn(design: Mapping[str, Any] | None) -> GateLine:
    """Return whether nothing was broken in the design check of the training: `lines` of (name, verdict, words), or why it was `not_checked`."""
    if design is None:
        return GateLine(RANDOMISATION, passed=False, words="the draw was not checked at this training, which an earlier release made: train again")
    if "not_checked" in design:
        return GateLine(RANDOMISATION, passed=True, words=f"not checked here: {design['not_checked']}")
    broken, look = ([f"{name}: {words}" for name, verdict, words in design["lines"] if verdict == said] for said in ("broken", "look"))
    if broken:
        return GateLine(RANDOMISATION, passed=False, words=f"the design check found broken {'; '.join(broken)}")
    names = f" ({', '.join(name for name, verdict, _ in design['lines'] if verdict == 'look')})" if look else ""
    words = f"nothing is broken in {len(design['lines'])} lines of the design check, {len(look)} to look at{names}"
    return GateLine(RANDOMISATION, passed=True, words=words)
