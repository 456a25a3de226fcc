from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import metrics
from models.affinity import TopicAffinity
from training.rolling import FOLDS, Judgement, RollingError, RollingTask, rolling_folds
from training.snapshots import Side

BASE = TopicAffinity(["housing", "care"], num_trees=5, min_child_samples=5, max_depth=2, n_jobs=1)


def side(n_people=60, n_blocks=4):
    """Everyone at every block; people differ in how often they answer."""
    random = np.random.default_rng(2)
    person, block = (axis.ravel() for axis in np.indices((n_people, n_blocks)))
    X = pd.DataFrame(random.normal(size=(len(person), 4)).astype(np.float32), columns=["a", "b", "c", "d"])
    y = (random.random((len(person), 2)) < 1 / (1 + np.exp(1 - X[["a", "b"]].to_numpy()))).astype(float)
    as_ofs = np.datetime64("2026-01-01", "us") + block * np.timedelta64(31, "D")
    return Side(X, y, np.array([f"van:{each:03d}" for each in person]), as_ofs, block.astype(np.int64), np.ones(y.shape, dtype=bool))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40)), min_size=1, max_size=120))
def test_nobody_is_judged_by_a_model_that_saw_them_or_anything_later(rows):
    block, person = np.array(rows).T
    folds = rolling_folds(block, person % FOLDS)
    assert len(folds) == FOLDS
    judged = np.concatenate([fold.judged for fold in folds])
    assert len(set(judged.tolist())) == len(judged), "every row is judged once at most"
    for fold in folds:
        assert not set(person[fold.fit]) & set(person[fold.judged])
        if len(np.unique(block)) > 1 and len(fold.fit) and len(fold.judged):
            assert block[fold.fit].max() < block[fold.judged].min()


@pytest.mark.parametrize(("n_blocks", "judged"), [(1, [0, 0, 0]), (2, [1, 1, 1]), (3, [1, 1, 2]), (4, [1, 2, 3]), (6, [3, 4, 5])])
def test_the_last_blocks_are_judged_the_earliest_first(n_blocks, judged):
    block = np.repeat(np.arange(n_blocks), 30) * 10
    folds = rolling_folds(block, np.tile(np.arange(30) % FOLDS, n_blocks))
    assert [np.unique(block[fold.judged]).tolist() for fold in folds] == [[10 * each] for each in judged]
    before = [each if n_blocks > 1 else 1 for each in judged]
    assert [len(fold.fit) for fold in folds] == [20 * each for each in before]


def test_groups_of_people_hold_whole_people_and_add_up(monkeypatch):
    monkeypatch.setattr("training.rolling.CELLS", 7)
    train = side()
    train.y[::5] = np.nan
    task = RollingTask(train, BASE, 0)
    rows = np.concatenate([fold.judged for fold in task.folds])
    assert task.pairs.sum() == (~np.isnan(train.y[rows])).sum()
    assert len(task.pairs) == 7
    assert all(len(set(task.cells[train.person_ids == person])) == 1 for person in set(train.person_ids))


def test_a_judgement_is_that_of_all_judged_pairs():
    train = side()
    train.y[::5, 0] = np.nan
    task = RollingTask(train, BASE, 0)
    judgement = Judgement(task)
    labels, probabilities = [], []
    for fold in task.folds:
        p = task.predictions({"max_depth": 1}, fold)
        assert p.shape == (len(fold.judged), 2)
        labels.append(train.y[fold.judged])
        probabilities.append(p)
        known = ~np.isnan(np.concatenate(labels))
        assert judgement.add(fold, p) == pytest.approx(metrics.log_loss(np.concatenate(labels)[known], np.concatenate(probabilities)[known]))
    y, p = np.concatenate(labels), np.concatenate(probabilities)
    assert judgement.running[-1] == pytest.approx(judgement.losses.sum() / task.pairs.sum())
    assert judgement.measures()["auc_micro"] == pytest.approx(metrics.auc(y[~np.isnan(y)], p[~np.isnan(y)]))
    assert judgement.measures()["ndcg_5"] == pytest.approx(metrics.ndcg_at_k(y, p, 5))


def test_predictions_are_those_of_the_estimator_with_that_setting():
    train = side()
    task = RollingTask(train, BASE, 0)
    fold = task.folds[1]
    model = TopicAffinity(**BASE.get_params()).set_params(l2=3.0)
    model.fit(train.X.iloc[fold.fit], train.y[fold.fit], groups=train.person_ids[fold.fit], block=train.block[fold.fit])
    assert np.array_equal(task.predictions({"l2": 3.0}, fold), model.predict_proba(train.X.iloc[fold.judged]))
    assert BASE.l2 != 3.0


def test_too_little_is_refused_in_words():
    train = side(n_people=2)
    with pytest.raises(RollingError, match="2 people to tune on"):
        RollingTask(train, BASE, 0)
    train = side(n_people=12)
    with pytest.raises(RollingError, match=r"fold 1 of 3 has no known label"):
        RollingTask(replace(train, y=np.full_like(train.y, np.nan)), BASE, 0)
    task = RollingTask(replace(train, y=np.zeros_like(train.y)), BASE, 0)
    with pytest.raises(RollingError, match=r"cannot be fitted: .*both are needed"):
        task.predictions({}, task.folds[0])


def test_one_label_only_has_no_ranking():
    train = side(n_people=12)
    task = RollingTask(replace(train, y=np.zeros_like(train.y)), BASE, 0)
    judgement = Judgement(task)
    judgement.add(task.folds[0], np.full((len(task.folds[0].judged), 2), 0.1))
    assert judgement.measures() == {"log_loss": pytest.approx(-np.log(0.9))}
