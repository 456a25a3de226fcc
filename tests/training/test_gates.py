from dataclasses import replace

import pytest

from models.metrics import Estimate
from training.gates import Findings, failures, gate_lines, not_checked

AFFINITY_GATE = {"ece": 0.02, "topic_ece": 0.05, "coverage": 0.95}
SOUND = {"lines": [["plan", "look", "none was written"], ["balance", "ok", "p .4"]]}
PERSUADABILITY_GATE = {"autoc_alpha": 0.01, "slope_alpha": 0.01, "policy_alpha": 0.05, "capacity": 0.2}


def affinity(compared_with=None, **changed):
    values = {"prior.log_loss": 0.30, "share.log_loss": 0.28, "recency_frequency.log_loss": 0.27, "ece": 0.01, "log_loss": 0.2}
    values |= {f"log_loss_gain.{rule}": 0.02 for rule in ("prior", "share", "recency_frequency", "champion")}
    values |= {f"{name}.{topic}": value for topic in ("care", "tax") for name, value in (("ece", 0.03), ("log_loss_gain.prior", 0.004))} | changed
    metrics = {name: Estimate.normal(name, value, 0.001, 0.95) for name, value in values.items()}
    return Findings("affinity", metrics, AFFINITY_GATE, {"rows": 100, "topics": ["care", "tax", "unsupplied"]}, compared_with)


def persuadability(**changed):
    about = {"experiment": "story", "arm": "card", "design": changed.pop("design", SOUND)} | ({"plan": changed.pop("plan")} if "plan" in changed else {})
    gate = PERSUADABILITY_GATE | {"capacity": changed.pop("capacity", 0.2)}
    values = {"autoc": 0.02, "slope": 0.8, "policy_random": 0.01, "policy_risk": 0.01, "policy_unlimited": 0.01, "ate": 0.05} | changed
    se = {"autoc": 0.003, "slope": 0.1, "policy_random": 0.002, "policy_risk": 0.002, "policy_unlimited": 0.002, "ate": 0.01}
    metrics = {name: Estimate.normal(name, value, se[name]) for name, value in values.items()}
    return Findings("persuadability", metrics, gate, about)


def planned(**passed):
    return {"hash": "a" * 64, "lines": [[name, passed.get(name, True), f"words of {name} 1"] for name in ("time", "outcome", "capacity")]}


def failed(findings, champion=None):
    return [line.name for line in gate_lines(findings, champion) if not line.passed]


def test_good_findings_pass_every_line():
    assert failed(affinity()) == []
    assert failed(persuadability()) == []
    assert failed(persuadability(plan=planned())) == []
    assert failed(persuadability(capacity=1.0, policy_random=-1.0, policy_risk=-1.0)) == [], "without a limit nobody is left out to compare with"
    assert failed(persuadability(ate=-0.01)) == [], "an average effect that may be zero harms nobody"


@pytest.mark.parametrize(
    ("findings", "champion", "line"),
    [
        (affinity(**{"log_loss_gain.prior": 0.001}), None, "log loss against prior"),
        (affinity(**{"log_loss_gain.recency_frequency": -0.01}), None, "log loss against best rule"),
        (affinity("abc", **{"log_loss_gain.champion": 0.0}), ("abc", affinity()), "log loss against champion"),
        (affinity(ece=0.0201), None, "calibration"),
        (affinity(**{"ece.tax": 0.0501}), None, "calibration by topic"),
        (affinity(**{"log_loss_gain.prior.care": -0.003}), None, "topics against prior"),
        (persuadability(autoc=0.0098), None, "AUTOC"),
        (persuadability(slope=0.32), None, "calibration slope"),
        (persuadability(policy_random=0.0046), None, "policy"),
        (persuadability(autoc=-0.02), None, "AUTOC"),
        (persuadability(policy_risk=0.003), None, "policy against risk"),
        (persuadability(policy_unlimited=0.004, capacity=1.0), None, "policy against all"),
        (persuadability(ate=-0.02), None, "no demobilisation"),
        (persuadability(plan=planned(capacity=False)), None, "plan"),
        (persuadability(design={"lines": [*SOUND["lines"], ["attrition", "broken", "p below .001"]]}), None, "randomisation"),
    ],
)
def test_each_line_can_fail_alone_and_says_numbers(findings, champion, line):
    assert failed(findings, champion) == [line]
    words = failures(gate_lines(findings, champion))
    assert words.lower().startswith(line.lower())
    assert any(sign.isdigit() for sign in words)


def test_a_topic_fails_by_name_and_only_when_its_interval_lies_below_its_prior():
    assert failed(affinity(**{"log_loss_gain.prior.care": -0.001})) == [], "the interval still holds zero"
    words = failures(gate_lines(affinity(**{"ece.tax": 0.06, "log_loss_gain.prior.care": -0.01})))
    assert "tax 0.0600" in words
    assert "care [" in words
    assert "unsupplied 0" not in words, "a topic that nobody could answer has no figure"


def test_findings_without_topics_fail_rather_than_pass():
    findings = affinity()
    bare = replace(findings, metrics={name: found for name, found in findings.metrics.items() if not name.endswith((".care", ".tax"))})
    assert failed(bare) == ["calibration by topic", "topics against prior"]


def test_the_best_rule_is_the_one_of_least_loss_and_stands_in_for_a_champion_not_tried():
    findings = affinity(**{"share.log_loss": 0.2, "log_loss_gain.share": -0.05})
    assert failed(findings) == ["log loss against best rule"]
    worse = affinity("abc", **{"log_loss_gain.recency_frequency": -1.0})
    assert failed(worse, ("abc", affinity())) == []
    assert failed(worse, ("another", affinity())) == ["log loss against best rule"]


@pytest.mark.parametrize("gain", [0.02, -0.05])
def test_a_champion_that_was_not_compared_is_mentioned_with_the_reason(gain):
    findings = affinity(**{"log_loss_gain.recency_frequency": gain})
    (alone,), (beside,) = ([line for line in gate_lines(findings, each) if line.name == "log loss against best rule"] for each in (None, ("abc", affinity())))
    assert "champion" not in alone.words
    assert beside.passed == alone.passed == (gain > 0), "it decides nothing"
    assert beside.words.startswith(alone.words)
    assert "a champion, which was not compared with: it was tested on other rows" in beside.words


def test_topics_that_could_not_be_measured_are_named():
    for changed in ({}, {"ece.tax": 0.06, "log_loss_gain.prior.tax": -0.01}):
        lines = {line.name: line.words for line in gate_lines(affinity(**changed))}
        for name in ("calibration by topic", "topics against prior"):
            assert lines[name].endswith("; served without labels to test on, so not measured: unsupplied")
    everything = replace(affinity(), about={"topics": ["care", "tax"]})
    assert not any("not measured" in line.words for line in gate_lines(everything))


def test_a_champion_that_took_office_later_is_compared_by_what_both_logged_on_the_same_rows():
    def on(rows, loss):
        return replace(affinity(log_loss=loss), about={"test_hash": rows, "topics": ["care", "tax"]})

    assert failed(on("same", 0.2), ("abc", on("same", 0.25))) == []
    assert failed(on("same", 0.2), ("abc", on("same", 0.2))) == ["log loss against champion"]
    assert failed(on("same", 0.2), ("abc", on("same", 0.2025))) == ["log loss against champion"], "the interval reaches zero"
    assert failed(on("same", 0.2), ("abc", on("other", 0.1))) == []


def test_few_assignment_units_have_longer_bounds_that_the_words_tell():
    findings = persuadability(autoc=0.012)
    few = replace(findings, about=findings.about | {"units": 12, "least_units": 6})
    assert (failed(findings), failed(few)) == ([], ["AUTOC"])
    assert "(one-sided test at 0.01, with 6 assignment units in the smaller arm), not above zero" in gate_lines(few)[0].words
    assert failed(replace(findings, about=findings.about | {"units": 400, "least_units": 200})) == []
    assert "assignment units" not in gate_lines(findings)[0].words
    earlier = replace(findings, about=findings.about | {"units": 6})
    assert failed(earlier) == ["AUTOC"], "a release that did not count each arm's units"
    harmful = persuadability(ate=-0.018)
    assert failed(harmful) == ["no demobilisation"]
    assert failed(replace(harmful, about=harmful.about | {"units": 8, "least_units": 8})) == [], "of so few units it is not shown"
    one = replace(findings, about=findings.about | {"units": 5, "least_units": 1})
    assert "an arm has no more than one assignment unit" in gate_lines(one)[0].words
    assert set(failed(one)) == {"AUTOC", "calibration slope", "policy", "policy against risk"}


def test_a_value_without_any_slope_is_not_above_zero():
    assert failed(persuadability(slope=0.0)) == ["calibration slope"]


def test_without_a_standard_error_nothing_passes():
    metrics = persuadability().metrics | {"slope": Estimate("slope", 1.0, 0.0, 1.0, 1.0), "autoc": Estimate("autoc", 1.0, float("nan"), 0, 2)}
    assert failed(Findings("persuadability", metrics, PERSUADABILITY_GATE, {"design": SOUND})) == ["AUTOC", "calibration slope"]


def drawn_line(findings):
    (line,) = [line for line in gate_lines(findings) if line.name == "randomisation"]
    return line


def test_what_is_broken_in_the_draw_is_named_and_what_is_to_look_at_counted():
    assert drawn_line(persuadability()).words.endswith("in 2 lines of the design check, 1 to look at (plan)")
    line = drawn_line(persuadability(design={"lines": [*SOUND["lines"], ["attrition", "broken", "p below .001"]]}))
    assert "broken attrition: p below .001" in line.words
    assert "plan" not in line.words


def test_findings_of_a_release_that_checked_no_draw_are_refused():
    findings = persuadability()
    older = replace(findings, about={"experiment": "story"})
    assert failed(older) == ["randomisation"]
    assert "train again" in drawn_line(older).words
    line = drawn_line(replace(findings, about={"design": not_checked("arms dealt by a script")}))
    assert line.passed
    assert "not checked here: arms dealt by a script" in line.words


def test_findings_survive_being_stored():
    for findings in (affinity("abc"), persuadability()):
        assert Findings.from_state(findings.to_state()) == findings
