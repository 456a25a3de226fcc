import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from training.design_check import CheckError, check_experiment, check_rows
from training.design_lines import _completed
from training.plan import Plan, write_plan
from training.trials import experiment_rows

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ASSIGNED = NOW - timedelta(days=60)
HALVES = {"control": 0.5, "letter": 0.5}


@pytest.fixture
def drawn(tmp_path, by_hand):
    """A function that makes a workspace of 300 people, assigns them as it is told, and checks the draw."""
    workspace = by_hand.open_empty(tmp_path / "workspace")
    random = np.random.default_rng(3)
    active = random.random(300) < 0.5
    ids = [f"nb:{number:03d}" for number in range(300)]

    def check(
        *,
        arm=None,
        probability=0.5,
        stratum=None,
        unit=None,
        measured=None,
        area=None,
        plan=None,
        missing=lambda _: False,
        households=None,
        at=None,
        drawn=None,
    ):
        by_hand.store(
            workspace, "people", person_id=ids, area=[area(number) if area else None for number in range(300)], status=["contact"] * 300, source_id=["s"] * 300
        )
        by_hand.interactions(workspace, [ids[number] for number in np.flatnonzero(active)], ASSIGNED - timedelta(days=10))
        chance = random.random(300)
        arms = [arm(number, active[number]) if arm else "letter" if chance[number] < 0.5 else "control" for number in range(300)]
        if plan:
            path = write_plan(workspace, plan)
            if drawn:
                path.with_name("draws.json").write_text(json.dumps([{"plan": plan.hash}]))
        by_hand.store(
            workspace,
            "assignments",
            experiment_id=["story"] * 300,
            person_id=ids,
            arm=arms,
            probability=[probability(number, arms[number]) if callable(probability) else probability for number in range(300)],
            assigned_at=[at(number) if at else ASSIGNED for number in range(300)],
            unit_id=[unit(number) if unit else None for number in range(300)],
            stratum=[stratum(number) if stratum else None for number in range(300)],
        )
        if measured:
            known = [number for number in range(300) if not missing(arms[number]) or number % 2]
            size = len(known)
            by_hand.store(
                workspace,
                "outcomes",
                experiment_id=["story"] * size,
                person_id=[ids[number] for number in known],
                outcome=["pledge"] * size,
                value=[1.0] * size,
                measured_at=[measured] * size,
            )
        return check_experiment(workspace, "story", now=NOW, households=households, draws=199)

    return check


def lines(report):
    return {line.name: line for line in report.lines}


def test_a_good_draw_from_elsewhere_is_ok_but_for_its_plan(drawn):
    report = drawn(measured=NOW - timedelta(days=1))
    verdicts = {name: line.verdict for name, line in lines(report).items()}
    assert verdicts.pop("plan") == "look"
    assert set(verdicts.values()) == {"ok"}, report.text()
    assert not report.broken
    assert (report.people, report.units, report.arms) == (300, 300, ("control", "letter"))
    assert "nb:" not in report.text() + report.to_json()


def test_a_draw_that_follows_its_plan(drawn):
    plan = Plan(
        experiment="story",
        created_at=ASSIGNED - timedelta(days=1),
        hypothesis="It helps.",
        outcome="pledge",
        engagement="higher",
        control="control",
        arms=HALVES,
    )
    assert lines(drawn(plan=plan, measured=NOW - timedelta(days=1)))["plan"].verdict == "ok"


def test_what_departs_from_the_plan_is_named(drawn):
    plan = Plan(
        experiment="story", created_at=NOW, hypothesis="It helps.", outcome="gift", engagement="higher", control="control", arms={"control": 0.4, "letter": 0.6}
    )
    line = lines(drawn(plan=plan, measured=NOW - timedelta(days=1)))["plan"]
    assert line.verdict == "look"
    assert all(word in line.words for word in ("time:", "outcome:", "probabilities:"))


def test_arms_that_were_chosen_are_broken(drawn):
    random = np.random.default_rng(0)
    report = drawn(arm=lambda _, active: "letter" if random.random() < (0.7 if active else 0.3) else "control")
    assert lines(report)["balance"].verdict == "broken"
    assert report.broken
    assert report.differences.largest > 0.5
    assert "engagement" in report.text() or "open" in report.text()


def by_the_minute(number):
    return ASSIGNED + timedelta(minutes=number)


def chosen(_, active):
    return "letter" if active else "control"


def test_times_of_their_own_hide_nothing(drawn):
    assert lines(drawn(at=by_the_minute))["balance"].verdict == "ok"


def test_arms_that_a_feature_decides_are_broken_whatever_the_times(drawn):
    assert lines(drawn(arm=chosen))["balance"].verdict == "broken"


def test_arms_that_a_feature_decides_are_broken_with_times_of_their_own(drawn):
    assert lines(drawn(arm=chosen, at=by_the_minute))["balance"].verdict == "broken"


def test_a_test_that_can_deal_nothing_says_so(drawn):
    """Probabilities that differ within the stratum: only who was assigned at one time could have had another's arm, and that is nobody."""
    line = lines(drawn(arm=chosen, at=by_the_minute, probability=lambda number, _: 0.5 if number % 2 else 0.4))["balance"]
    assert line.verdict == "look"
    assert "only 0 of 300 units" in line.words
    assert "cannot say" in line.words


def test_strata_of_their_own_leave_nothing_to_deal(drawn):
    line = lines(drawn(arm=chosen, stratum=lambda number: f"s{number}"))["balance"]
    assert line.verdict == "look"


def two_batches(number):
    return ASSIGNED + timedelta(days=number // 150)


def test_blocks_of_our_own_are_dealt_within_their_batch(drawn, monkeypatch):
    """Two draws of blocks: within each one, as many in each arm; the cells of the deal are those of the draws that are remembered here."""
    from training import design_lines

    seen = []
    real = design_lines.randomisation_test
    monkeypatch.setattr(design_lines, "randomisation_test", lambda *given, **named: seen.append(named["strata"]) or real(*given, **named))
    said = {"experiment": "story", "created_at": ASSIGNED, "hypothesis": "x", "outcome": "pledge", "engagement": "higher", "control": "control", "arms": HALVES}
    drawn(plan=Plan(**said, blocked=True), drawn=True, at=two_batches)
    assert np.bincount(seen[-1]).tolist() == [150, 150]


def test_blocks_from_elsewhere_are_dealt_within_strata(drawn, monkeypatch):
    from training import design_lines

    seen = []
    real = design_lines.randomisation_test
    monkeypatch.setattr(design_lines, "randomisation_test", lambda *given, **named: seen.append(named["strata"]) or real(*given, **named))
    drawn(at=two_batches)
    assert np.bincount(seen[-1]).tolist() == [300]


def test_too_few_in_an_arm_is_broken(drawn):
    report = drawn(arm=lambda number, _: "letter" if number % 3 == 0 else "control")
    assert lines(report)["ratio of arms"].verdict == "broken"


def test_probabilities_that_vary_within_a_stratum_or_exceed_one_are_broken(drawn):
    report = drawn(probability=lambda number, _: 0.5 if number % 2 else 0.4)
    assert "varies from person to person" in lines(report)["ratio of arms"].words


def test_probabilities_above_one_together_are_broken(drawn):
    assert "sum to more than 1" in lines(drawn(probability=0.7))["ratio of arms"].words


def test_strata_of_one_arm_are_no_overlap(drawn):
    report = drawn(arm=lambda number, _: "letter" if number < 150 else "control", stratum=lambda number: f"s{number // 150}")
    assert lines(report)["overlap"].verdict == "broken"
    assert "2 of 2 strata have one arm only" in lines(report)["overlap"].words


def test_outcomes_lost_in_one_arm_are_broken(drawn):
    report = drawn(measured=NOW - timedelta(days=1), missing=lambda arm: arm == "letter")
    assert lines(report)["attrition"].verdict == "broken"


def test_outcomes_before_the_assignment_are_broken(drawn):
    assert lines(drawn(measured=ASSIGNED - timedelta(days=1)))["attrition"].verdict == "broken"


def test_units_in_several_arms_are_broken(drawn):
    assert lines(drawn(unit=lambda number: f"h{number // 2}"))["units"].verdict == "broken"


def test_blocks_of_people_drawn_one_by_one_are_to_look_at_and_tested_whole(drawn):
    report = drawn(unit=lambda number: f"block-{number // 8}", measured=NOW - timedelta(days=1))
    found = lines(report)
    assert found["units"].verdict == "look"
    assert "they are blocks" in found["units"].words
    assert {name for name, line in found.items() if line.verdict == "ok"} >= {"ratio of arms", "balance", "attrition"}
    assert "whole units" in found["balance"].words


def test_arms_that_were_chosen_within_blocks_are_broken(drawn):
    random = np.random.default_rng(0)
    report = drawn(arm=lambda _, active: "letter" if random.random() < (0.75 if active else 0.25) else "control", unit=lambda number: f"block-{number // 8}")
    assert lines(report)["balance"].verdict == "broken"


def test_units_that_a_plan_draws_are_broken_when_all_hold_several_arms(drawn):
    said = {"experiment": "story", "created_at": ASSIGNED, "hypothesis": "x", "outcome": "pledge", "engagement": "higher", "control": "control", "arms": HALVES}
    assert lines(drawn(plan=Plan(**said, unit="area"), unit=lambda number: f"block-{number // 8}"))["units"].verdict == "broken"


def test_neighbours_in_several_arms_are_to_look_at(drawn):
    line = lines(drawn(area=lambda number: f"E{number // 5}"))["spill-over between neighbours"]
    assert line.verdict == "look"
    assert "of 60 areas" in line.words


def test_households_in_several_arms_are_to_look_at(drawn, tmp_path):
    homes = tmp_path / "homes.csv"
    homes.write_text("person_id,unit_id\n" + "".join(f"nb:{number:03d},h{number // 2}\n" for number in range(300)))
    line = lines(drawn(households=homes))["spill-over in households"]
    assert line.verdict == "look"
    assert "of 150 households hold several arms" in line.words
    homes.write_text("person_id,unit_id\nnb:x,h1\n")
    assert "knows none" in lines(drawn(households=homes))["spill-over in households"].words


def test_the_campaign_of_households_is_sound(campaign):
    report = check_experiment(campaign, "story", now=NOW, draws=99)
    assert (report.people, report.units, report.arms) == (360, 180, ("control", "letter", "Card"))
    assert not report.broken, report.text()
    document = json.loads(report.to_json())
    assert len(document["lines"]) == 8
    assert set(next(iter(document["differences"].values()))) == {"letter", "Card"}


def test_a_training_s_rows_say_what_the_tables_say(campaign):
    rows = experiment_rows(campaign, "story", now=NOW)
    one, other = check_rows(campaign, rows, draws=99), check_experiment(campaign, "story", now=NOW, draws=99)
    assert one.lines == other.lines
    assert one.text() == other.text()
    assert one.verdicts()["lines"][1][:2] == ["ratio of arms", "ok"]


def test_nothing_to_check(campaign, tmp_path, by_hand):
    with pytest.raises(CheckError, match="no assignments yet"):
        check_experiment(by_hand.open_empty(tmp_path), "story", now=NOW)
    with pytest.raises(CheckError, match="arms there: none"):
        check_experiment(campaign, "story", now=ASSIGNED - timedelta(days=1))


def test_an_arm_that_a_stratum_lacks_has_what_is_missing_to_one():
    stated = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.0], [0.5, 0.0, 0.0]])
    assert _completed(stated) == pytest.approx(np.array([[0.5, 0.3, 0.2]] * 3))
    assert _completed(np.array([[0.4, 0.4]])) == pytest.approx(np.array([[0.5, 0.5]])), "an arm that is in no table"
