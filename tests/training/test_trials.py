import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from features.history import History
from features.vectors import build_rows
from features.vocabulary import Experiment, VocabularyError
from models.outcome_scale import OutcomeScale
from training.choice import message_choice
from training.config import PersuadabilityConfig
from training.trials import ExperimentRows, TrialError, _arms, experiment_rows, known_propensity, message_trial, trial_datasets

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
CONFIG = PersuadabilityConfig(minimum_per_arm=10)
ASSIGNED = NOW - timedelta(days=60)


@pytest.fixture(scope="module")
def datasets(campaign):
    return trial_datasets(experiment_rows(campaign, "story", now=NOW), CONFIG)


def test_one_contrast_per_arm_in_the_order_of_the_vocabulary(datasets):
    assert [dataset.arm for dataset in datasets] == ["letter", "Card"]
    for dataset in datasets:
        assert dataset.counts == {"assigned": 360, "without_outcome": 12, "in_stratum_of_one_arm": 0, "not_permitted": 0}
        assert np.allclose(dataset.propensity, 0.5)
        assert set(dataset.treatment) == {0.0, 1.0}
        assert len(set(dataset.person_ids)) == len(dataset)
    controls = [set(dataset.person_ids[dataset.treatment == 0]) for dataset in datasets]
    assert controls[0] == controls[1]


def test_vectors_are_as_of_assignment_and_outcomes_are_the_stored_ones(campaign, datasets):
    dataset = datasets[0]
    rows = pd.DataFrame({"person_id": dataset.person_ids, "as_of": pd.Timestamp(ASSIGNED)})
    built = build_rows(History(campaign.tables, campaign.vocabulary), campaign.vocabulary, rows)
    assert np.array_equal(dataset.X.to_numpy(), built.matrix, equal_nan=True)
    stored = History(campaign.tables, campaign.vocabulary).read("outcomes").to_pandas().set_index("person_id")["value"]
    expected = stored.reindex(dataset.person_ids).to_numpy(dtype=float)
    np.testing.assert_array_equal(dataset.y, expected)
    assert 0 < np.isnan(expected).sum() < 12, "people without an outcome stay, and are told apart"
    assert len(set(dataset.units)) < len(dataset)


def test_hashes_are_stable_and_differ_between_arms(campaign, datasets):
    again = trial_datasets(experiment_rows(campaign, "story", now=NOW), CONFIG)
    assert [dataset.hash for dataset in again] == [dataset.hash for dataset in datasets]
    assert datasets[0].hash != datasets[1].hash


def frame(rows):
    return pd.DataFrame(rows, columns=["stratum", "arm", "probability"])


def test_propensity_is_that_of_the_arm_given_one_of_the_two():
    rows = frame([("a", "letter", 0.1), ("a", "control", 0.3), ("b", "letter", 0.5), ("b", "control", 0.5), ("c", "letter", 0.2)])
    assert known_propensity(rows, "letter", "control").tolist()[:4] == pytest.approx([0.25, 0.25, 0.5, 0.5])
    assert np.isnan(known_propensity(rows, "letter", "control")[4])


def test_probabilities_that_vary_within_a_stratum_are_refused():
    rows = frame([("a", "letter", 0.1), ("a", "letter", 0.2), ("a", "control", 0.3)])
    with pytest.raises(TrialError, match=r"in 1 of 2 pairs.*into one `stratum`"):
        known_propensity(rows, "letter", "control")
    known_propensity(frame([("a", "letter", 0.1), ("a", "letter", 0.1 + 1e-12), ("a", "control", 0.3)]), "letter", "control")


@pytest.fixture
def bare(tmp_path, by_hand):
    """A workspace with 60 people, and a function that assigns them and says what became of them."""
    workspace = by_hand.open_empty(tmp_path)
    ids = [f"nb:{number:02d}" for number in range(60)]
    by_hand.interactions(workspace, ids, NOW - timedelta(days=100))

    def fill(arm=lambda number: "letter" if number % 2 else "control", *, stratum=None, measured=NOW - timedelta(days=1), outcome="pledge", value=1.0):
        size = len(ids)
        strata = [stratum(number) for number in range(size)] if stratum else [None] * size
        by_hand.store(
            workspace,
            "assignments",
            experiment_id=["story"] * size,
            person_id=ids,
            arm=[arm(number) for number in range(size)],
            probability=[0.5] * size,
            assigned_at=[ASSIGNED] * size,
            unit_id=[None] * size,
            stratum=strata,
        )
        by_hand.store(
            workspace,
            "outcomes",
            experiment_id=["story"] * size,
            person_id=ids,
            outcome=[outcome] * size,
            value=[value] * size,
            measured_at=[measured] * size,
        )
        return workspace

    return fill


def test_strata_with_one_arm_only_are_left_out_and_counted(bare):
    workspace = bare(stratum=lambda number: "lone" if number % 6 == 1 else "shared")
    (dataset,) = trial_datasets(experiment_rows(workspace, "story", now=NOW), CONFIG)
    assert dataset.counts["in_stratum_of_one_arm"] == 10
    assert len(dataset) == 50
    assert set(dataset.units) == set(dataset.person_ids), "without a unit everyone was drawn alone"


def test_lower_is_better_turns_the_sign(bare):
    workspace = bare(outcome="complaints")
    path = workspace.root / "audience.toml"
    path.write_text(path.read_text().replace('outcome = "pledge"\nengagement = "higher"', 'outcome = "complaints"\nengagement = "lower"'))
    (dataset,) = trial_datasets(experiment_rows(type(workspace).open(workspace.root), "story", now=NOW), CONFIG)
    assert set(dataset.y) == {0.0}, "of yes and no, no is better"
    assert dataset.scale == OutcomeScale("share", turned=True)


@pytest.mark.parametrize(("value", "turned"), [([0.0, 1.0, np.nan], [1.0, 0.0, np.nan]), ([0.0, 2.5, np.nan], [0.0, -2.5, np.nan])])
def test_yes_and_no_stay_what_they_are_where_lower_is_better(value, turned):
    experiment = Experiment(id="rent", en="Rent", outcome="complaints", engagement="lower")
    rows = ExperimentRows(experiment, pd.DataFrame({"value": value}), pd.DataFrame(), (), {}, "", "", {})
    np.testing.assert_array_equal(rows.outcome, turned)


def test_arms_of_an_experiment_are_all_measured_in_the_unit_of_the_whole(campaign, datasets):
    assert {dataset.scale for dataset in datasets} == {OutcomeScale("share")}
    rows = experiment_rows(campaign, "story", now=NOW)
    one_card = rows.drawn.index[(rows.drawn["arm"] == "Card") & rows.drawn["value"].notna()][0]
    rows.drawn.loc[one_card, "value"] = 2.0
    letter, card = trial_datasets(rows, CONFIG)
    assert set(letter.y[~np.isnan(letter.y)]) == {0.0, 1.0}
    assert letter.scale == card.scale == OutcomeScale("outcome")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"arm": lambda _: "letter"}, "nobody was drawn into the control arm 'control'; arms there: letter"),
        ({"arm": lambda _: "control"}, "nothing to compare"),
        ({"measured": ASSIGNED - timedelta(seconds=1)}, "60 outcomes were measured before"),
        ({"outcome": "turnout"}, "nobody has the outcome 'pledge'"),
        ({"measured": NOW + timedelta(seconds=1)}, "nobody has the outcome 'pledge'"),
        ({"arm": lambda number: "letter" if number < 5 else "control"}, "arm 'letter'.* has 5 people.*at least 10"),
    ],
)
def test_experiments_that_cannot_be_learned_from(bare, changed, words):
    with pytest.raises(TrialError, match=words) as caught:
        trial_datasets(experiment_rows(bare(**changed), "story", now=NOW), CONFIG)
    assert "nb:" not in str(caught.value)


def test_ids_in_the_place_of_arms_are_not_repeated():
    story = Experiment(id="story", outcome="pledge", engagement="higher", en="a story")
    with pytest.raises(TrialError, match=r"arms there: letter, 2 others\. Is"):
        _arms(pd.DataFrame({"arm": ["van:1", "van:2", "letter"]}), story)


def test_arms_whose_models_would_have_one_name_are_refused():
    story = Experiment(id="story", outcome="pledge", engagement="higher", en="a story")
    with pytest.raises(TrialError, match=r"arms 'lettre è' and 'lettre é' were drawn, which would have one model, 'lettre__'"):
        _arms(pd.DataFrame({"arm": ["control", "lettre é", "lettre è"]}), story)


def test_unknown_and_missing_experiments(campaign, tmp_path, by_hand):
    with pytest.raises(VocabularyError, match="Did you mean 'story'"):
        trial_datasets(experiment_rows(campaign, "storry", now=NOW), CONFIG)
    with pytest.raises(TrialError, match="audience import assignments"):
        trial_datasets(experiment_rows(by_hand.open_empty(tmp_path), "story", now=NOW), CONFIG)
    with pytest.raises(TrialError, match="nobody is assigned"):
        trial_datasets(experiment_rows(campaign, "story", now=ASSIGNED), CONFIG)


def test_messages_stand_beside_each_other_with_probabilities_that_add_up(campaign):
    rows = experiment_rows(campaign, "story", now=NOW)
    trial = message_trial(rows, CONFIG)
    assert set(trial.arm) == {"control", "letter", "Card"}
    assert list(trial.propensity.columns) == ["control", "letter", "Card"]
    np.testing.assert_allclose(trial.propensity.sum(axis=1), 1.0)
    assert len(trial.X) == len(trial.y) == len(trial.units) == 360
    assert message_trial(rows, PersuadabilityConfig(minimum_per_arm=10_000)) is None
    one = replace(rows, arms=("letter",))
    assert message_trial(one, CONFIG) is None


def test_the_choice_among_messages_is_told_with_every_effect(campaign):
    rows = experiment_rows(campaign, "story", now=NOW)
    config = CONFIG.model_copy(update={"model": {"n_folds": 3, "nuisance_trees": 10, "num_trees": 10, "n_jobs": 1}})
    choice = message_choice(rows, config)
    assert choice.best in {"letter", "Card"}
    assert set(choice.effects) == {"letter", "Card"}
    assert choice.effects[choice.best].value == max(estimate.value for estimate in choice.effects.values())
    assert choice.best in str(choice).splitlines()[1], "the best comes first"
    assert {"ate.letter", "ate.Card.low", "lead", "by_person.high", "personal"} <= set(choice.metrics())
    assert json.loads(json.dumps(choice.to_state()))["best"] == choice.best
