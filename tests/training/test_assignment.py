from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.history import History
from training import assignment
from training.assignment import AssignmentError, also_in, assign, eligible, planned_for
from training.plan import Plan, read_draws, write_plan

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
THIRDS = dict.fromkeys(("control", "letter", "Card"), 1 / 3)


def plan(**changes):
    said = {
        "experiment": "story",
        "created_at": NOW,
        "hypothesis": "It helps.",
        "outcome": "pledge",
        "engagement": "higher",
        "control": "control",
        "arms": THIRDS,
    }
    return Plan(**(said | changes))


@pytest.fixture
def workspace(tmp_path, by_hand):
    """240 people in 8 areas and two statuses; the last 20 join later, and 6 have no area."""
    workspace = by_hand.open_empty(tmp_path / "workspace")
    path = workspace.root / "audience.toml"
    path.write_text(
        path.read_text()
        + '\n[experiments.other]\noutcome = "pledge"\nengagement = "higher"\nen = "another"\n\n[experiments.other.arms]\nletter = "A letter."\n'
    )
    workspace = type(workspace).open(workspace.root)
    by_hand.store(
        workspace,
        "people",
        person_id=[f"nb:{number:03d}" for number in range(240)],
        area=[None if number < 6 else f"E{number % 8}" for number in range(240)],
        joined_at=[NOW + timedelta(days=3) if number >= 220 else NOW - timedelta(days=9) for number in range(240)],
        status=["member" if number % 3 else "contact" for number in range(240)],
        source_id=["s"] * 240,
    )
    return workspace


def stored(workspace, experiment="story"):
    rows = History(workspace.tables, workspace.vocabulary).read("assignments").to_pandas()
    return rows[rows["experiment_id"] == experiment].set_index("person_id").sort_index()


def test_who_can_be_drawn(workspace, tmp_path):
    who = eligible(workspace, NOW)
    assert len(who) == 220
    assert who.alone == 0
    assert who.unit_sizes == (1.0, 0.0)
    areas = eligible(workspace, NOW + timedelta(days=4), unit="area", strata=["status", "birth_year"])
    assert (len(areas), areas.alone, areas.people["unit_id"].nunique()) == (240, 6, 8 + 6)
    assert set(areas.people["stratum"]) == {"status=member, birth_year=", "status=contact, birth_year="}
    some = tmp_path / "some.csv"
    some.write_text("person_id,name\nnb:007,x\nnb:008,y\nnb:999,z\n")
    assert eligible(workspace, NOW, only=some).people["person_id"].tolist() == ["nb:007", "nb:008"]


def households(tmp_path, rows=None):
    path = tmp_path / "households.parquet"
    rows = rows or [(f"nb:{number:03d}", f"h{number // 3}") for number in range(239)]
    pq.write_table(pa.table({"person_id": [person for person, _ in rows], "unit_id": [unit for _, unit in rows]}), path)
    return path


def test_households_come_from_a_file(workspace, tmp_path):
    who = eligible(workspace, NOW + timedelta(days=4), unit="household", units=households(tmp_path))
    assert who.alone == 1
    assert who.people["unit_id"].value_counts().iloc[0] == 3
    assert who.unit_sizes[0] == pytest.approx(240 / 81)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("nb:001", "h1"), ("nb:001", "h2")], "1 people into two units"),
        ([("nb:001", "a\nb")], "control characters"),
        ([("nb:001", "x" * 1001)], "longer than"),
    ],
)
def test_households_that_cannot_be(workspace, tmp_path, rows, words):
    with pytest.raises(AssignmentError, match=words) as caught:
        eligible(workspace, NOW, unit="household", units=households(tmp_path, rows))
    assert "nb:" not in str(caught.value)


def test_files_and_columns_that_are_not_there(workspace, tmp_path):
    with pytest.raises(AssignmentError, match="--units"):
        eligible(workspace, NOW, unit="household")
    with pytest.raises(AssignmentError, match="no column 'street'"):
        eligible(workspace, NOW, strata=["street"])
    with pytest.raises(AssignmentError, match="does not exist"):
        eligible(workspace, NOW, only=tmp_path / "nothing.csv")
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("person\nnb:001\n")
    with pytest.raises(AssignmentError, match="columns person_id"):
        eligible(workspace, NOW, only=wrong)


def test_a_draw_stands_in_the_table_and_in_a_file(workspace):
    drawn = assign(workspace, plan(holdout=0.2, blocked=True, strata=("status",)), KEY, now=NOW)
    rows = stored(workspace)
    assert len(rows) + drawn.held_out == 220
    assert 20 < drawn.held_out < 70
    assert sum(people for people, _ in drawn.by_arm.values()) == len(rows)
    assert next(iter(drawn.by_arm)) == "control"
    for _, stratum in rows.groupby("stratum"):
        assert stratum["arm"].value_counts().max() - stratum["arm"].value_counts().min() <= 1
    assert set(rows["probability"]) == {1 / 3}
    assert set(rows["assigned_at"]) == {pd.Timestamp(NOW)}
    file = pd.read_csv(drawn.path).set_index("person_id").sort_index()
    assert file["arm"].tolist() == rows["arm"].tolist()
    assert drawn.path.stat().st_mode & 0o777 == 0o600
    (record,) = read_draws(drawn.path.parent)
    assert record["people"] == len(rows)
    assert record["plan"] == plan(holdout=0.2, blocked=True, strata=("status",)).hash
    assert "nb:" not in str(drawn)


def test_the_same_key_draws_the_same_people(workspace, tmp_path, by_hand):
    drawn = assign(workspace, plan(), KEY, now=NOW)
    first = stored(workspace)
    other = by_hand.open_empty(tmp_path / "twin")
    History(other.tables, other.vocabulary).append("people", iter(History(workspace.tables, workspace.vocabulary).read("people").to_batches()))
    assign(other, plan(), KEY, now=NOW)
    assert stored(other)["arm"].equals(first["arm"])
    assert drawn.warnings == ()


def test_an_experiment_is_drawn_once(workspace):
    assign(workspace, plan(), KEY, now=NOW)
    with pytest.raises(AssignmentError, match=r"220 people are assigned.*--newcomers"):
        assign(workspace, plan(), KEY, now=NOW)
    with pytest.raises(AssignmentError, match="nobody is left to draw"):
        assign(workspace, plan(), KEY, now=NOW, newcomers=True)
    later = NOW + timedelta(days=4)
    with pytest.raises(AssignmentError, match="another key"):
        assign(workspace, plan(), OTHER, now=later, newcomers=True)
    with pytest.raises(AssignmentError, match="another probability"):
        assign(workspace, plan(arms={"control": 0.5, "letter": 0.5}), KEY, now=later, newcomers=True)


@pytest.mark.parametrize("blocked", [False, True])
def test_newcomers_get_the_arm_of_their_unit(workspace, blocked):
    said = plan(unit="area", strata=("status",), blocked=blocked)
    assign(workspace, said, KEY, now=NOW)
    before = stored(workspace)
    drawn = assign(workspace, said, KEY, now=NOW + timedelta(days=4), newcomers=True)
    after = stored(workspace)
    assert (drawn.there_before, len(after)) == (220, 240)
    assert after.loc[before.index].equals(before)
    units = after[after["unit_id"].str.startswith("E")]
    assert len(units[["unit_id", "arm", "stratum"]].drop_duplicates()) == 8
    assert drawn.path.name == "assignments-2.csv"


def test_a_draw_that_was_killed_after_its_import_can_go_on_with_newcomers(workspace, monkeypatch):
    real = assignment.import_files

    def killed(*args, **options):
        real(*args, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(assignment, "import_files", killed)
    with pytest.raises(KeyboardInterrupt):
        assign(workspace, plan(), KEY, now=NOW)
    monkeypatch.setattr(assignment, "import_files", real)
    drawn = assign(workspace, plan(), KEY, now=NOW + timedelta(days=4), newcomers=True)
    assert drawn.there_before
    assert [record["file"] for record in read_draws(workspace.root / "experiments" / "story")] == ["assignments.csv", "assignments-2.csv"]


def test_the_holdout_is_the_same_in_each_experiment(workspace):
    assign(workspace, plan(holdout=0.3), KEY, now=NOW)
    halves = {"control": 0.5, "letter": 0.5}
    second = assign(workspace, plan(experiment="other", holdout=0.3, arms=halves), KEY, now=NOW)
    assert set(stored(workspace).index) == set(stored(workspace, "other").index)
    assert second.running == {"story": len(stored(workspace))}
    assert also_in(workspace, "story") == {"other": len(stored(workspace))}
    assert "may blur the other" in str(second)


def test_whole_units_are_held_out(workspace, tmp_path):
    homes, later = households(tmp_path), NOW + timedelta(days=4)
    drawn = assign(workspace, plan(holdout=0.3, unit="household"), KEY, now=later, units=homes)
    unit = eligible(workspace, later, unit="household", units=homes).people.set_index("person_id")["unit_id"]
    kept = set(stored(workspace).index)
    out = [person for person in unit.index if person not in kept]
    assert len(out) == drawn.held_out > 0
    assert not {unit[person] for person in out} & {unit[person] for person in kept}
    assert 0.15 < len({unit[person] for person in out}) / unit.nunique() < 0.45
    assert len(set(unit[out])) < len(out), "households of several people are among them"
    second = assign(workspace, plan(experiment="other", holdout=0.3, unit="household", arms={"control": 0.5, "letter": 0.5}), KEY, now=later, units=homes)
    assert set(stored(workspace, "other").index) == kept
    assert not second.other_units
    assert second.other_keys == ()


def test_a_holdout_of_other_units_is_said(workspace):
    assign(workspace, plan(holdout=0.3), KEY, now=NOW)
    second = assign(workspace, plan(experiment="other", holdout=0.3, unit="area", arms={"control": 0.5, "letter": 0.5}), KEY, now=NOW)
    assert second.other_units == ("story",)
    assert "'story' drew other units" in str(second)


def test_another_key_and_thin_strata_are_said(workspace):
    assign(workspace, plan(holdout=0.3), KEY, now=NOW)
    drawn = assign(workspace, plan(experiment="other", holdout=0.3, arms={"control": 0.5, "letter": 0.5}, unit="area", strata=("area",)), OTHER, now=NOW)
    words = " ".join(drawn.warnings)
    assert "'story' was drawn with another key" in words
    assert "fewer units than there are arms" in words
    assert "belong to no known unit" in words


def test_experiments_drawn_elsewhere_get_their_newcomers_there(campaign):
    with pytest.raises(AssignmentError, match="drawn elsewhere"):
        assign(campaign, plan(), KEY, now=NOW, newcomers=True)


def test_nobody_and_no_plan(tmp_path, by_hand):
    workspace = by_hand.open_empty(tmp_path / "empty")
    with pytest.raises(AssignmentError, match="has no plan"):
        planned_for(workspace, "story")
    write_plan(workspace, plan())
    assert planned_for(workspace, "story") == plan()
    with pytest.raises(AssignmentError, match="nobody is eligible"):
        assign(workspace, plan(), KEY, now=NOW)
    assert also_in(workspace, "story") == {}
