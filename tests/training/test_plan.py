import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from features.vocabulary import Experiment, VocabularyError
from training.config import Analysis
from training.plan import Plan, PlanError, analysis_follows, drawn_probabilities, first_outcome_at, folder_of, follows, read_plan, read_plans, write_plan

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
THIRDS = dict.fromkeys(("control", "letter", "Card"), 1 / 3)


def plan(**changes):
    return Plan(
        **{"experiment": "story", "created_at": NOW, "hypothesis": "The letter helps.", "outcome": "pledge", "engagement": "higher", "control": "control"}
        | {"arms": THIRDS}
        | changes
    )


@pytest.fixture
def workspace(tmp_path, by_hand):
    return by_hand.open_empty(tmp_path / "workspace")


def outcomes(by_hand, workspace, measured=NOW + timedelta(days=9)):
    by_hand.store(workspace, "outcomes", experiment_id=["story"], person_id=["nb:1"], outcome=["pledge"], value=[1.0], measured_at=[measured])


def test_a_plan_is_written_once_and_read_again(workspace):
    path = write_plan(workspace, plan())
    assert path == workspace.root / "experiments" / "story" / "plan.json"
    assert read_plan(workspace, "story") == plan()
    assert [item.name for item in path.parent.iterdir()] == ["plan.json"]
    before = path.read_bytes()
    with pytest.raises(PlanError, match=r"was written on 2026-11-01.*--amend"):
        write_plan(workspace, plan(hypothesis="Something else."))
    assert path.read_bytes() == before


def test_the_hash_is_that_of_the_canonical_content(workspace):
    document = json.loads(write_plan(workspace, plan(hypothesis="Été")).read_text(encoding="utf-8"))
    text = json.dumps(document["plan"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert document["sha256"] == hashlib.sha256(text.encode()).hexdigest() == read_plan(workspace, "story").hash
    assert plan().hash != plan(created_at=NOW + timedelta(seconds=1)).hash
    assert plan().model_copy(update={"outcome": "turnout"}).hash == plan(outcome="turnout").hash
    assert plan(arms=dict(reversed(THIRDS.items()))).hash == plan().hash


def test_no_plan_and_no_such_experiment(workspace):
    assert read_plan(workspace, "story") is None
    with pytest.raises(VocabularyError):
        read_plan(workspace, "../story")


def test_an_edited_plan_is_noticed(workspace):
    path = write_plan(workspace, plan())
    path.write_text(path.read_text().replace("pledge", "turnout"))
    with pytest.raises(PlanError, match="was changed after it was written"):
        read_plan(workspace, "story")
    path.write_text("{}")
    with pytest.raises(PlanError, match="is no plan"):
        read_plan(workspace, "story")


def test_an_amendment_names_the_plan_before_it(workspace):
    write_plan(workspace, plan())
    later = NOW + timedelta(hours=1)
    amended = plan(created_at=later, analysis=Analysis(capacity=0.1), amends=plan().hash)
    assert write_plan(workspace, amended).name == "plan-2.json"
    assert read_plan(workspace, "story") == amended
    assert read_plans(workspace, "story") == (plan(), amended)
    with pytest.raises(PlanError, match="read it again"):
        write_plan(workspace, plan(created_at=later + timedelta(hours=1), amends=plan().hash))
    with pytest.raises(PlanError, match="not after the plan before"):
        write_plan(workspace, plan(created_at=later, amends=amended.hash))
    (workspace.root / "experiments" / "story" / "plan.json").write_text(plan(hypothesis="Another.").document())
    with pytest.raises(PlanError, match="a plan was replaced"):
        read_plan(workspace, "story")


def test_nothing_to_amend(workspace):
    with pytest.raises(PlanError, match="no plan of 'story' to amend"):
        write_plan(workspace, plan(amends="0" * 64))


def test_no_plan_and_no_amendment_after_the_first_outcome(workspace, by_hand):
    write_plan(workspace, plan())
    outcomes(by_hand, workspace)
    assert first_outcome_at(workspace, "story") == NOW + timedelta(days=9)
    with pytest.raises(PlanError, match="is no plan"):
        write_plan(workspace, plan(created_at=NOW + timedelta(hours=1), amends=plan().hash))
    assert len(read_plans(workspace, "story")) == 1


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"arms": {"letter": 1.0}}, "at least one other"),
        ({"arms": {"control": 0.5, "letter": 0.6}}, "sum to 1"),
        ({"created_at": NOW.replace(tzinfo=None)}, "no time zone"),
        ({"hypothesis": ""}, "hypothesis"),
        ({"unit": "street"}, "unit"),
    ],
)
def test_plans_that_cannot_be(changed, words):
    with pytest.raises(ValueError, match=words):
        plan(**changed)


EXPERIMENT = Experiment(id="story", en="Story", control="control", outcome="pledge", engagement="higher")
AS_PLANNED = {"experiment": EXPERIMENT, "arms": dict.fromkeys(THIRDS, (1 / 3,)), "first_outcome_at": None}


def test_an_analysis_as_planned_follows(campaign):
    found = AS_PLANNED | {"arms": drawn_probabilities(campaign, "story"), "first_outcome_at": first_outcome_at(campaign, "story")}
    lines = follows(plan(created_at=NOW - timedelta(days=70)), **found)
    assert all(line.passed for line in lines), lines
    assert drawn_probabilities(campaign, "nothing") == {}


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"experiment": EXPERIMENT.model_copy(update={"outcome": "turnout"})}, "outcome"),
        ({"experiment": EXPERIMENT.model_copy(update={"control": "letter"})}, "control"),
        ({"experiment": EXPERIMENT.model_copy(update={"engagement": "lower"})}, "engagement"),
        ({"arms": {"control": (0.5,), "letter": (0.5,)}}, "arms"),
        ({"arms": AS_PLANNED["arms"] | {"Card": (1 / 3, 0.4)}}, "probabilities"),
        ({"first_outcome_at": NOW - timedelta(seconds=1)}, "time"),
        ({"unknown_plans": ["f" * 64]}, "draw"),
    ],
)
def test_what_departs_from_the_plan_is_said(changed, name):
    lines = {line.name: line for line in follows(plan(), **(AS_PLANNED | changed))}
    assert not lines[name].passed
    assert all(line.passed for other, line in lines.items() if other not in {name, "probabilities"})


def test_a_draw_by_a_plan_that_was_replaced_is_noticed(workspace):
    folder = write_plan(workspace, plan()).parent
    (folder / "draws.json").write_text(json.dumps([{"plan": plan().hash}]), encoding="utf-8")
    assert {line.name: line.passed for line in analysis_follows(plan(), workspace)}["draw"]
    (folder / "draws.json").write_text(json.dumps([{"plan": plan().hash}, {"plan": "f" * 64}]), encoding="utf-8")
    line = {line.name: line for line in analysis_follows(plan(), workspace)}["draw"]
    assert not line.passed
    assert "ffffffffffff" in line.words


@pytest.mark.parametrize("model", [{"learner": "nonsense"}, {"num_trees": 0}, {"n_folds": "five"}])
def test_a_plan_names_an_analysis_that_can_be_made(model):
    with pytest.raises(ValueError, match=r"learner|num_trees|valid integer"):
        plan(analysis={"model": model})


BEFORE_HALF_SAMPLES = """{"plan": {"amends": null, "analysis": {"capacity": 0.1, "gate": {"autoc_alpha": 0.005, "policy_alpha": 0.05, "slope_alpha": 0.01},
    "minimum_per_arm": 100, "model": {"learner": "x", "n_folds": 4}, "seed": 3}, "arms": {"Card": 0.25, "control": 0.5, "letter": 0.25}, "average_alpha": 0.05,
    "blocked": false, "control": "control", "created_at": "2026-10-01T09:00:00+00:00", "engagement": "higher", "experiment": "story", "holdout": 0.0,
    "hypothesis": "The letter helps.", "metric": "autoc", "outcome": "pledge", "reasoning": [], "sizing": {}, "strata": [], "unit": "person"},
    "sha256": "798353549e1abebc76e59374aabb9e14234c7e55da06912c1e4d166ae0375853"}"""
"""A plan as the release wrote it that had no `half_samples`."""


def test_a_plan_of_before_half_samples_still_verifies_and_holds_what_decides(workspace):
    folder = folder_of(workspace, "story")
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(BEFORE_HALF_SAMPLES, encoding="utf-8")
    analysis = read_plan(workspace, "story").analysis
    assert (analysis.capacity, analysis.seed, analysis.gate.autoc_alpha, analysis.model["learner"]) == (0.1, 3, 0.005, "x")
    (folder / "plan.json").write_text(BEFORE_HALF_SAMPLES.replace('"seed": 3', '"seed": 3, "half_samples": 50'), encoding="utf-8")
    with pytest.raises(PlanError, match="is no plan"):
        read_plan(workspace, "story")


def test_levels_can_be_stricter_and_never_looser():
    assert plan(analysis={"gate": {"autoc_alpha": 0.001}}).analysis.gate.autoc_alpha == 0.001
    for level, looser in (("autoc_alpha", 0.02), ("slope_alpha", 0.02), ("policy_alpha", 0.06)):
        with pytest.raises(ValueError, match=level):
            plan(analysis={"gate": {level: looser}})
