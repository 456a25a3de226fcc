import shutil
import tomllib
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import audience
from features.workspace import Workspace
from models.affinity import TopicAffinity
from models.metrics import Estimate
from training import tuning
from training.config import AffinityConfig, parse_config
from training.registry import list_runs
from training.rolling import RollingTask
from training.snapshots import AffinityDataset, Side
from training.study import Study
from training.tracking import Tracking
from training.tuning import Budget, Tuning, affinity_axes, gain_of_choice, tune_affinity

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
TOPICS = ("housing", "climate", "care")
CONFIG = AffinityConfig(draws=60, model={"num_trees": 8, "max_depth": 2, "min_child_samples": 10, "n_jobs": 1})


class Untouchable:
    """A test side that must not be looked at."""

    def __getattribute__(self, name):
        raise AssertionError(f"the test side was asked for {name}")


def synthetic(seed=0, n_people=80, n_blocks=4):
    random = np.random.default_rng(seed)
    person, block = (axis.ravel() for axis in np.indices((n_people, n_blocks)))
    taste = random.gamma(0.6, 1.0, (n_people, len(TOPICS)))
    counts = random.poisson(3 * taste[person]).astype(np.float32)
    columns = [f"count|kind=any-engagement|channel=any|topic={topic}|window=all" for topic in TOPICS]
    X = pd.DataFrame(np.column_stack([counts, random.normal(size=len(person))]).astype(np.float32), columns=[*columns, "tenure"])
    y = (random.random(counts.shape) < 1 - np.exp(-0.5 * taste[person])).astype(float)
    as_ofs = np.datetime64("2026-01-01", "us") + block * np.timedelta64(31, "D")
    train = Side(X, y, np.array([f"van:{each:03d}" for each in person]), as_ofs, block.astype(np.int64), np.ones(y.shape, dtype=bool))
    return AffinityDataset(train, Untouchable(), TOPICS, "labels", "d" * 64, "v" * 64, {}, 0)


@pytest.fixture
def rows(monkeypatch):
    """The synthetic rows in the place of the workspace's; give another seed to change them."""

    def use(seed=0):
        monkeypatch.setattr(tuning, "affinity_dataset", lambda *_args, **_kwargs: synthetic(seed))

    use()
    return use


@pytest.fixture
def fresh(by_hand, tmp_path, store_in):
    """A function that makes an empty workspace with an empty store."""

    def make(name):
        return Workspace.open(store_in(by_hand.open_empty(tmp_path / name).root))

    return make


def tuned(workspace, trials, **changed):
    return tune_affinity(workspace, **{"now": NOW, "config": CONFIG, "trials": trials} | changed)


def tried(workspace):
    """What the trials in the store are: name, status, setting and log loss."""
    tracking = Tracking.of(workspace)
    parents = sorted(tracking.runs(), key=lambda run: run.started_at)
    trials = [trial for parent in parents for trial in tracking.inside(parent.run_id)]
    return [(trial.name, trial.status, dict(trial.parameters), trial.metrics.get("log_loss")) for trial in trials]


def test_stopped_and_continued_is_what_never_stopped(rows, fresh, monkeypatch):
    whole, parts = fresh("whole"), fresh("parts")
    said = []
    straight = tuned(whole, 5, say=said.append)
    tuned(parts, 2)
    with monkeypatch.context() as patch:
        judged, real = [], RollingTask.predictions

        def interrupted(task, setting, fold, progress=None):
            judged.append(fold)
            if len(judged) == 5:
                raise KeyboardInterrupt
            return real(task, setting, fold, progress)

        patch.setattr(RollingTask, "predictions", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tuned(parts, 9)
    continued = tuned(parts, 2, say=said.append)
    assert [run for run in tried(parts) if run[1] == "FINISHED"] == tried(whole)
    assert [name for name, status, *_ in tried(parts) if status == "FAILED"] == ["trial 3"]
    assert (continued.best, continued.gain, continued.model) == (straight.best, straight.gain, straight.model)
    assert (continued.made, continued.complete + continued.ended_early) == (2, 5)
    assert "320 rows of 80 people in 3 folds: begins study" in said[0]
    assert said[1].endswith("after 3 trials")


def test_trials_are_runs_inside_the_run_of_the_call_and_do_not_flood_the_list(rows, fresh):
    workspace = fresh("workspace")
    found = tuned(workspace, 3)
    (listed,) = list_runs(workspace)
    assert (listed["name"], listed["status"], listed["result"]) == ("affinity.tuning", "finished", found.summary)
    tracking = Tracking.of(workspace)
    (parent,) = tracking.runs()
    assert parent.run_id == found.run_id
    assert parent.parameters["best.num_trees"] == "8"
    assert float(parent.parameters["best.learning_rate"]) == found.model["learning_rate"]
    assert parent.metrics["gain_low"] <= parent.metrics["gain"] <= parent.metrics["gain_high"]
    assert parent.metrics["log_loss"] == found.best <= parent.metrics["in_use.log_loss"] == found.in_use
    trials = tracking.inside(found.run_id)
    assert [trial.name for trial in trials] == ["trial 0", "trial 1", "trial 2"]
    assert all(trial.tags["mlflow.parentRunId"] == found.run_id for trial in trials)
    for trial in trials:
        assert {"log_loss", "auc_micro", "ndcg_5", "log_loss_after_1"} <= set(trial.metrics)
        assert {"num_trees", "learning_rate", "max_depth", "n_embedding"} <= set(trial.parameters)
    (picture,) = (workspace.artifacts / "affinity.tuning" / found.run_id / "artifacts" / "plots").iterdir()
    assert picture.stat().st_size > 5000
    for path in [workspace.root / "tuning" / "affinity.journal", workspace.root / "mlflow.db"]:
        assert b"van:0" not in path.read_bytes()


def test_the_first_trial_is_the_setting_in_use(rows, fresh):
    workspace = fresh("workspace")
    found = tuned(workspace, 1)
    train = synthetic().train
    task = RollingTask(train, TopicAffinity(list(TOPICS), parents={}, random_state=0).set_params(**CONFIG.model), 0)
    losses = []
    for fold in task.folds:
        model = TopicAffinity(list(TOPICS), parents={}, random_state=0, **CONFIG.model)
        model.fit(train.X.iloc[fold.fit], train.y[fold.fit], groups=train.person_ids[fold.fit], block=train.block[fold.fit])
        p, y = model.predict_proba(train.X.iloc[fold.judged]), train.y[fold.judged]
        losses.append(-np.where(y > 0, np.log(p), np.log1p(-p)))
    assert found.in_use == found.best == pytest.approx(np.concatenate(losses).mean())
    assert (found.number, found.gain.value, found.gain.se, found.worth_it) == (0, 0.0, 0.0, False)
    assert "Keep the defaults" in str(found)
    assert "[training" not in str(found)


def test_other_data_or_another_setting_in_use_begin_a_study_of_their_own(rows, fresh):
    workspace, said = fresh("workspace"), []
    tuned(workspace, 1)
    rows(seed=1)
    tuned(workspace, 1, say=said.append)
    tuned(workspace, 1, config=CONFIG.model_copy(update={"model": {**CONFIG.model, "l2": 2.0}}), say=said.append)
    assert said[0].endswith("not those of the study before are the data")
    assert said[1].endswith("not those of the study before are the setting in use")
    again = tuned(workspace, 1, config=CONFIG.model_copy(update={"model": {**CONFIG.model, "n_jobs": 2}}), say=said.append)
    assert said[2].endswith("after 1 trials"), "threads change nothing"
    assert again.made == 1


def test_a_trial_that_is_hopeless_ends_early(rows, fresh, monkeypatch):
    """Predictions of a stub: six settings, each better than the one before, then only bad ones."""
    workspace, calls = fresh("workspace"), []

    def stub(task, setting, fold, _progress=None):
        calls.append(setting)
        number = len({str(each) for each in calls})
        shift = -0.002 * number if number <= 6 else 0.3
        return np.clip(0.3 + 0.3 * task.train.y[fold.judged] - shift * (2 * task.train.y[fold.judged] - 1), 0.01, 0.99)

    monkeypatch.setattr(RollingTask, "predictions", stub)
    found = tuned(workspace, 9)
    assert (found.complete, found.ended_early, found.number) == (6, 3, 5)
    assert len(calls) == 6 * 3 + 3
    states = [trial.tags["state"] for trial in Tracking.of(workspace).inside(found.run_id)]
    assert states == ["complete"] * 6 + ["ended early"] * 3


def test_progress_never_goes_back_and_says_how_fast(rows, fresh):
    told = []
    tuned(fresh("workspace"), 2, progress=lambda stage, share: told.append((stage, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert told[0][0].startswith("trial 0 · fold 1/3")
    assert "/min · best 0." in told[-2][0]
    assert max(len(stage) for stage, _ in told) <= 44


def test_the_table_to_paste_is_the_setting_that_was_tried(tmp_path):
    model = {"refit": False, "n_jobs": 2, "num_trees": 600, "learning_rate": 1e-05, "l2": 0.5, "max_depth": 4}
    found = Tuning("f" * 32, "begins", 9, 7, 2, 0.4, 0.39, 3, Estimate.normal("gain", 0.01, 0.001, 0.95), model)
    assert parse_config(tomllib.loads(found.snippet())).affinity.model == model
    assert found.snippet() in str(found)
    assert "excludes zero" in str(found)
    unsure = Tuning("f" * 32, "begins", 9, 7, 2, 0.4, 0.39, 3, Estimate.normal("gain", 0.01, 0.02, 0.95), model)
    assert "does not exclude zero: keep the defaults" in str(unsure)


@pytest.mark.parametrize("given", [{}, {"num_trees": 20, "learning_rate": 0.9}, {"max_depth": 8, "num_leaves": 200, "l2": 0.0001}, {"num_trees": 6000}])
def test_the_axes_hold_the_setting_in_use(given):
    base = TopicAffinity(**given)
    axes = affinity_axes(base)
    assert set(axes) <= set(base.get_params())
    assert "num_trees" not in axes
    for name, axis in axes.items():
        assert axis.low <= getattr(base, name) <= axis.high
        assert axis.low < axis.high
    assert axes["max_depth"].high == max(5, base.max_depth)
    rate = affinity_axes(TopicAffinity())["learning_rate"]
    assert (600 * rate.low, 600 * rate.high) == pytest.approx((5, 45))


def test_the_choice_of_the_luckiest_of_equals_is_no_gain():
    """Forty settings that are all as good as the first: the best one looks better than it is, its gain does not."""
    random, flattered, claimed, values = np.random.default_rng(0), 0, 0, []
    for _ in range(60):
        losses = random.normal(40, 4, (40, 150))
        pairs = np.full(150, 100.0)
        gain = gain_of_choice(losses, pairs, draws=120, seed=1, coverage=0.95)
        best = losses.sum(axis=1).argmin()
        naive = (losses[0] - losses[best]) / pairs
        flattered += naive.mean() > 1.96 * naive.std(ddof=1) / np.sqrt(150)
        claimed += gain.low > 0
        values.append(gain.value)
    assert flattered > 12, "a plain paired interval is fooled far more often than in one case of forty"
    assert claimed <= 3
    assert abs(np.mean(values)) < 0.003, "the luckiest of equals gains nothing on average"


def test_a_true_gain_is_found():
    random = np.random.default_rng(3)
    losses = random.normal(40, 4, (10, 200))
    losses[4:6] -= 3
    gain = gain_of_choice(losses, np.full(200, 100.0), draws=200, seed=1, coverage=0.95)
    assert gain.low > 0
    assert gain.low < 0.03 < gain.high


def test_the_gain_of_people_who_are_all_drawn_is_unknown():
    gain = gain_of_choice(np.array([[2.0], [1.0]]), np.ones(1), draws=50, seed=1, coverage=0.9)
    assert np.isnan(gain.value)
    assert not gain.low > 0


def test_a_budget_of_minutes_begins_no_trial_that_would_be_late():
    clock = [0.0]
    budget = Budget(2.0, None, clock=lambda: clock[0])
    made = 0
    while budget.allows_another():
        clock[0] += 25.0
        budget.made = made = made + 1
    assert made == 4, "a fifth would have ended after 125 of 120 seconds"
    assert budget.spent(0.5) == pytest.approx(100 / 120)
    late = Budget(1.0, None, clock=lambda: clock[0])
    assert late.allows_another()
    clock[0] += 1000
    assert late.allows_another(), "the first is always made"
    assert late.spent(0.0) == 1.0


def test_a_budget_of_trials():
    budget = Budget(None, 2, clock=lambda: 0.0)
    assert budget.spent(0.5) == 0.25
    budget.made = 2
    assert not budget.allows_another()
    with pytest.raises(ValueError, match="minutes, trials or both"):
        Budget(None, None)


def test_the_command_tunes_a_workspace(trainable):
    words = ["tune", "affinity", "--trials", "1", "--now", "2026-11-01T12:00:00Z", "--workspace", str(trainable.root)]
    done = CliRunner().invoke(audience.app, words)
    assert done.exit_code == 0, done.output
    assert "begins study" in done.output
    assert "1 trials made now, 1 in all" in done.output
    assert "Keep the defaults" in done.output


def test_ctrl_c_is_told_in_a_sentence(fresh, monkeypatch):
    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "tune_affinity", interrupted)
    done = CliRunner().invoke(audience.app, ["tune", "affinity", "--workspace", str(fresh("workspace").root)])
    assert done.exit_code == 130
    assert "the same command continues" in done.output


def test_two_at_once_are_refused(rows, fresh):
    workspace = fresh("workspace")
    path = workspace.root / "tuning" / tuning.JOURNAL
    with Study.open(path, {}, first={}, facts={}, seed=0):
        done = CliRunner().invoke(audience.app, ["tune", "affinity", "--workspace", str(workspace.root)])
    assert "another process is tuning" in str(done.exception)
    shutil.rmtree(path.parent)
