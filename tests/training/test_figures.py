import numpy as np
import pandas as pd
import pytest

from models.affinity import TopicAffinity
from models.metrics import Estimate
from training.config import AffinityConfig
from training.evaluation import evaluate_affinity
from training.figures import affinity_figures, learning_figure, short_name, unit_name
from training.learning import LearningPoint
from training.snapshots import AffinityDataset, Side


def test_names_beside_a_swarm_are_short_and_plain():
    assert short_name("count|kind=any-engagement|channel=any|topic=own-topic|window=90d") == "count · answers · this topic · 90d"
    assert short_name("recency|kind=letter_open|channel=any|topic=any") == "recency · letter_open"
    assert short_name("attribute|id=tenure|category=owner") == "attribute · tenure · owner"
    assert short_name("topic") == "topic"


def test_values_have_the_unit_that_their_name_says():
    assert unit_name("count|kind=any-engagement|channel=any|topic=own-topic|window=90d") == "interactions"
    assert unit_name("recency|kind=any-engagement|channel=any|topic=housing") == "days"
    assert unit_name("share|kind=any-engagement|channel=any|topic=own-topic|window=all") == "0 to 1"
    assert unit_name("attribute|id=tenure|category=owner") == "0 or 1"
    assert unit_name("sum|kind=gift|channel=any|topic=any|window=30d") == "its own unit"
    assert unit_name("topic") == "its own unit"


def side(people, topics, block, random):
    """Rows of as many people with a count and a share of each topic, a recency that is missing throughout, and an age."""
    columns = {}
    for topic in topics:
        columns[f"count|kind=any-engagement|channel=any|topic={topic}|window=all"] = random.poisson(1.5, len(people)).astype(float)
        columns[f"share|kind=any-engagement|channel=any|topic={topic}|window=all"] = np.where(
            random.random(len(people)) < 0.3, np.nan, random.random(len(people))
        )
        columns[f"recency|kind=any-engagement|channel=any|topic={topic}"] = np.full(len(people), np.nan)
    counts = np.column_stack([columns[name] for name in columns if name.startswith("count")])
    columns["age|since=birth_year"] = random.integers(18, 90, len(people)).astype(float)
    y = (random.random(counts.shape) < counts / 8).astype(float)
    return Side(
        X=pd.DataFrame(columns).astype(np.float32),
        y=y,
        person_ids=np.array([f"van:{who}" for who in people]),
        as_ofs=np.full(len(people), np.datetime64("2026-01-01", "us")),
        block=block,
        exposed=np.ones(y.shape, dtype=bool),
    )


def drawn(topics, change=lambda *_: None):
    random = np.random.default_rng(0)
    sides = side(np.arange(300), topics, np.arange(300) % 2, random), side(np.arange(500, 640), topics, np.full(140, 2), random)
    change(*sides)
    rows = AffinityDataset(*sides, tuple(topics), "engagement", "", "", {}, 0)
    model = TopicAffinity(list(topics), num_trees=12, min_child_samples=5, n_jobs=1)
    model.fit(rows.train.X, rows.train.y, groups=rows.train.person_ids, block=rows.train.block)
    return affinity_figures(model, rows, evaluate_affinity(model, rows, AffinityConfig(draws=50)))


def test_a_run_keeps_these_pictures():
    figures = drawn(["housing", "climate", "care"])
    assert list(figures) == ["calibration", "calibration_by_topic", "gain", "lift", "contributions", "dependence", "co_engagement"]
    panels = [axes.get_xlabel() for axes in figures["dependence"].axes if axes.get_xlabel()]
    assert len(panels) <= 4
    assert any("this topic" in words for words in panels)
    assert not any(words.startswith("recency") for words in panels), "a feature that is missing throughout moves nothing"
    assert [text.get_text() for legend in figures["contributions"].legends for text in legend.get_texts()] == ["no value"]
    assert "95% band over people" in figures["lift"].axes[0].get_legend().get_texts()[0].get_text()


def test_one_topic_is_drawn(tmp_path):
    for name, figure in drawn(["housing"]).items():
        figure.savefig(tmp_path / f"{name}.png")


def test_a_topic_without_engagements_and_one_without_labels_are_drawn(tmp_path):
    def change(train, test):
        train.y[:, 1] = test.y[:, 1] = 0.0
        test.y[:, 2] = np.nan

    for name, figure in drawn(["housing", "climate", "care"], change).items():
        figure.savefig(tmp_path / f"{name}.png")


def point(blocks, share, rows, loss):
    measures = [Estimate.normal(name, value, 0.01, 0.95) for name, value in (("log_loss", loss), ("ndcg_5", 1 - loss), ("log_loss_excess", loss - 0.4))]
    return LearningPoint(blocks, share, rows, log_loss=measures[0], ndcg_5=measures[1], excess=measures[2])


@pytest.mark.parametrize(
    ("points", "along", "names"),
    [
        ([point(1, 1.0, 900, 0.5), point(3, 1.0, 2900, 0.4)], "latest snapshots", ["1\n900", "3\n2,900"]),
        ([point(1, 0.5, 450, 0.5), point(1, 1.0, 900, 0.4)], "people", ["50%\n450", "100%\n900"]),
    ],
)
def test_a_learning_curve_says_what_its_models_were_trained_on(points, along, names):
    figure = learning_figure(points)
    assert figure.get_supxlabel().startswith(along)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == names
    assert [axes.get_ylabel().split(" (")[0] for axes in figure.axes] == ["log loss", "log loss beyond that of all", "NDCG@5 of a person's topics"]
