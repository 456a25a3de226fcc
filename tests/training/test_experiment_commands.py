import json
import shutil

import pytest
from typer.testing import CliRunner

import audience
from features.history import History
from features.workspace import Workspace
from training.plan import read_plan


@pytest.fixture
def workspace(tmp_path, by_hand):
    workspace = by_hand.open_empty(tmp_path / "workspace")
    ids = [f"nb:{number:03d}" for number in range(200)]
    areas = [f"E{number % 5}" for number in range(200)]
    by_hand.store(workspace, "people", person_id=ids, area=areas, status=["contact"] * 200, source_id=["s"] * 200)
    return workspace


def run(workspace, *words):
    return CliRunner().invoke(audience.app, ["experiment", *map(str, words), "--workspace", str(workspace.root)])


SIZES = ("--baseline", 0.3, "--effect", 0.05)


def test_from_the_plan_over_the_draw_to_the_check(workspace, tmp_path):
    key = tmp_path / "draws.key"
    said = ["--hypothesis", "The letter helps.", "--arm", "letter=0.25", "--arm", "control=0.5", "--arm", "Card=0.25", "--holdout", 0.1, "--effect-sd", 0.1]
    done = run(workspace, "plan", "story", *SIZES, *said, "--draws", 20, "--blocked", "--strata", "area")
    assert done.exit_code == 0, done.output
    plan = read_plan(workspace, "story")
    assert plan.hash in done.output
    assert dict(plan.arms) == {"control": 0.5, "letter": 0.25, "Card": 0.25}
    assert (plan.analysis.capacity, plan.analysis.gate.autoc_alpha, plan.strata, plan.blocked) == (0.2, 0.01, ("area",), True)
    assert plan.sizing["people_at_hand"] == 200
    assert plan.sizing["people_for_learned_ranking"] > plan.sizing["people_for_ranking"] > plan.sizing["people_for_average"]
    assert "Bonferroni" in done.output
    assert "20 experiments" in done.output

    done = run(workspace, "assign", "story", "--key-file", key)
    assert done.exit_code == 0, done.output
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_bytes().hex() not in done.output
    assert "nb:" not in done.output
    assert len(History(workspace.tables, workspace.vocabulary).read("assignments")) > 150

    done = run(workspace, "check", "story", "--plot", tmp_path / "love.png", "--draws", 99)
    assert done.exit_code == 0, done.output
    assert "is followed" in done.output
    assert (tmp_path / "love.png").stat().st_size > 5000
    report = json.loads(run(workspace, "check", "story", "--json", "--draws", 99).stdout.splitlines()[-1])
    assert not report["broken"]


def test_sizes_can_be_seen_before_anything_is_written(workspace):
    done = run(workspace, "plan", "story", *SIZES, "--print-only", "--draws", 0, "--unit", "household", "--unit-size", 2.1, "--intra-unit", 0.2)
    assert done.exit_code == 0, done.output
    assert "design effect 1.22" in done.output
    assert not (workspace.root / "experiments").exists()


def test_a_plan_needs_a_hypothesis_and_is_amended_beside_itself(workspace):
    assert run(workspace, "plan", "story", *SIZES).exit_code == 2
    assert run(workspace, "plan", "story", *SIZES, "--hypothesis", "a", "--draws", 0).exit_code == 0
    assert run(workspace, "plan", "story", *SIZES, "--hypothesis", "b", "--draws", 0).exit_code != 0
    assert run(workspace, "plan", "story", *SIZES, "--hypothesis", "b", "--draws", 0, "--amend", "--capacity", 1).exit_code == 0
    assert sorted(path.name for path in (workspace.root / "experiments" / "story").iterdir()) == ["plan-2.json", "plan.json"]
    assert read_plan(workspace, "story").analysis.capacity == 1


def test_a_broken_draw_ends_with_exit_code_1(campaign, tmp_path, by_hand):
    shutil.copytree(campaign.root, tmp_path / "copy")
    workspace = Workspace.open(tmp_path / "copy")
    table = History(workspace.tables, workspace.vocabulary).read("assignments")
    path = tmp_path / "audience.toml"
    path.write_text(
        (workspace.root / "audience.toml")
        .read_text()
        .replace("[experiments.story]", "[experiments.again]\noutcome = 'pledge'\nengagement = 'higher'\nen = 'x'\n\n[experiments.story]")
    )
    shutil.copy(path, workspace.root / "audience.toml")
    workspace = Workspace.open(workspace.root)
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    by_hand.store(workspace, "assignments", **(columns | {"experiment_id": ["again"] * len(table), "unit_id": ["all"] * len(table)}))
    done = run(workspace, "check", "again", "--draws", 99)
    assert done.exit_code == 1, done.output
    assert "1 of 1 units have people in several arms" in done.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--arm", "letter"], "ARM=SHARE"),
        (["--arm", "control=0.5", "--arm", "lettre=0.5"], "'lettre' is not in"),
        (["--arm", "control=0.5", "--arm", "letter=0.6"], "sum to 1"),
        (["--unit", "household"], "--unit-size"),
        (["--strata", "street"], "no column 'street'"),
        (["--amend", "--hypothesis", "x"], "to amend"),
    ],
)
def test_mistakes_are_told(workspace, words, told):
    both = words if "--hypothesis" in words else [*words, "--print-only"]
    done = run(workspace, "plan", "story", *SIZES, "--draws", 0, *both)
    assert done.exit_code != 0
    assert told in str(done.exception)
