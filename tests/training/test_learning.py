from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from models import metrics
from models.affinity import TopicAffinity
from training.config import AffinityConfig
from training.learning import MOST_POINTS, learning_curve
from training.snapshots import AffinityDataset, Side

CONFIG = AffinityConfig(draws=50, model={"num_trees": 8, "min_child_samples": 5, "max_depth": 2, "n_jobs": 1})


def side(person, block, random):
    X = pd.DataFrame(random.normal(size=(len(person), 3)).astype(np.float32), columns=["age", "tenure", "noise"])
    chance = 1 / (1 + np.exp(1 - X["age"].to_numpy()))
    y = (random.random((len(person), 2)) < chance[:, None]).astype(float)
    ids = np.array([f"van:{who:03d}" for who in person])
    return Side(X=X, y=y, person_ids=ids, as_ofs=np.datetime64("2026-01-01", "us") + 30 * block.astype("timedelta64[D]"), block=block, exposed=y > 0)


def dataset(*, people=60, blocks=4):
    random = np.random.default_rng(0)
    person, block = (each.ravel() for each in np.indices((people, blocks)))
    sides = side(person, block, random), side(np.arange(500, 540), np.full(40, blocks), random)
    return AffinityDataset(*sides, ("housing", "care"), "engagement", "", "", {}, 0)


def test_parts_are_the_latest_blocks_up_to_all_of_them():
    rows = dataset()
    points = learning_curve(rows, CONFIG)
    assert [(point.blocks, point.share, point.rows) for point in points] == [(1, 1.0, 60), (2, 1.0, 120), (3, 1.0, 180), (4, 1.0, 240)]
    latest = rows.train.block >= 2
    model = TopicAffinity(["housing", "care"]).set_params(**CONFIG.model)
    model.fit(rows.train.X[latest], rows.train.y[latest], groups=rows.train.person_ids[latest], block=rows.train.block[latest])
    p = model.predict_proba(rows.test.X)
    assert points[1].log_loss.value == pytest.approx(metrics.log_loss(rows.test.y.ravel(), p.ravel()))
    assert points[1].ndcg_5.value == pytest.approx(metrics.ndcg_at_k(rows.test.y, p, 5))
    assert all(point.log_loss.low < point.log_loss.value < point.log_loss.high for point in points)


def test_what_is_missing_is_measured_on_the_same_pairs():
    points = learning_curve(dataset(), CONFIG)
    for point in points:
        assert point.excess.value == pytest.approx(point.log_loss.value - points[-1].log_loss.value)
    assert (points[-1].excess.value, points[-1].excess.se) == (0, 0)
    assert 0 < points[0].excess.se < points[0].log_loss.se, "what people share falls out of a difference"


def test_the_work_is_bounded(monkeypatch):
    fits = []
    fit = TopicAffinity.fit
    monkeypatch.setattr(TopicAffinity, "fit", lambda self, X, *args, **kwargs: fits.append(len(X)) or fit(self, X, *args, **kwargs))
    points = learning_curve(dataset(people=30, blocks=11), CONFIG)
    assert [point.blocks for point in points] == [1, 4, 6, 8, 11]
    assert len(fits) == MOST_POINTS
    assert [point.blocks for point in learning_curve(dataset(), CONFIG, points=1)] == [4]


def test_a_model_that_is_fitted_is_not_fitted_again_and_gives_the_others_its_parameters(monkeypatch):
    rows = dataset()
    whole = TopicAffinity(["housing", "care"], num_trees=3, min_child_samples=5, n_jobs=1)
    whole.fit(rows.train.X, rows.train.y, groups=rows.train.person_ids, block=rows.train.block)
    trees = []
    fit = TopicAffinity.fit
    monkeypatch.setattr(TopicAffinity, "fit", lambda self, *args, **kwargs: trees.append(self.num_trees) or fit(self, *args, **kwargs))
    points = learning_curve(rows, CONFIG, whole=whole)
    assert trees == [3, 3, 3]
    assert points[-1].log_loss.value == pytest.approx(metrics.log_loss(rows.test.y.ravel(), whole.predict_proba(rows.test.X).ravel()))


def test_without_a_model_the_others_have_the_parents_that_training_gives(monkeypatch):
    seen = []
    fit = TopicAffinity.fit
    monkeypatch.setattr(TopicAffinity, "fit", lambda self, *args, **kwargs: seen.append(self.parents) or fit(self, *args, **kwargs))
    learning_curve(replace(dataset(), parents={"care": "housing"}), CONFIG, points=2)
    assert seen == [{"care": "housing"}] * 2


def test_rows_of_one_block_are_cut_by_people():
    points = learning_curve(dataset(people=200, blocks=1), CONFIG)
    assert [point.share for point in points] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    rows = [point.rows for point in points]
    assert rows == sorted(rows)
    assert rows[-1] == 200
    assert rows[0] == pytest.approx(40, abs=20)


def test_a_share_of_people_keeps_people_whole(monkeypatch):
    seen = []
    fit = TopicAffinity.fit
    monkeypatch.setattr(TopicAffinity, "fit", lambda self, *args, groups, **kwargs: seen.append(groups) or fit(self, *args, groups=groups, **kwargs))
    points = learning_curve(dataset(), CONFIG, shares=[0.5])
    assert [(point.blocks, point.share) for point in points] == [(4, 0.5), (4, 1.0)]
    _, rows = np.unique(seen[0], return_counts=True)
    assert (rows == 4).all()
    assert set(seen[0]) < set(seen[1])


def test_a_part_too_small_to_fit_on_is_left_out():
    rows = dataset()
    rows.train.y[rows.train.block == 3] = 0.0
    rows.train.y[(rows.train.block == 3) & (np.arange(240) < 20), 0] = 1.0
    rows.train.y[rows.train.block == 2] = 0.0
    assert [point.blocks for point in learning_curve(rows, CONFIG)] == [1, 3, 4], "trees of the second latest block alone would see no engagement"
    rows.train.y[:] = 0.0
    with pytest.raises(ValueError, match="both are needed"):
        learning_curve(rows, CONFIG)


@pytest.mark.parametrize("given", [{"shares": [0.0]}, {"shares": [1.5]}, {"shares": [0.1, 0.2, 0.3, 0.4, 0.5]}, {"points": 0}, {"points": 6}])
def test_parts_that_cannot_be_are_refused(given):
    with pytest.raises(ValueError, match="given"):
        learning_curve(dataset(), CONFIG, **given)


def test_progress_is_told():
    told = []
    learning_curve(dataset(), CONFIG, progress=lambda stage, share: told.append((stage, share)))
    assert [share for _, share in told] == [0, 0.25, 0.5, 0.75, 1]
