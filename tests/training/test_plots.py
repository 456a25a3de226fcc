import numpy as np
import pytest

from training import plots


@pytest.fixture
def predictions():
    random = np.random.default_rng(0)
    probability = random.beta(1, 9, (4000, 3))
    return probability, (random.random((4000, 3)) < probability).astype(float)


def test_reliability_of_calibrated_predictions_lies_on_the_diagonal(predictions):
    probability, label = (each.ravel() for each in predictions)
    mean, rate, low, high = plots.reliability_points(probability, label, coverage=0.999)
    assert (np.diff(mean) > 0).all()
    assert ((low <= rate) & (rate <= high)).all()
    assert ((low <= mean) & (mean <= high)).all()


def test_gain_of_a_perfect_order_and_of_none():
    label = np.r_[np.ones(25), np.zeros(75)]
    grid, reached = plots.gain_curve(label, label)
    assert np.allclose(reached, np.minimum(grid / 0.25, 1))
    grid, reached = plots.gain_curve(label, np.zeros(100))
    assert np.allclose(reached, grid), "equal scores count as drawn at random"
    assert np.allclose(plots.gain_curve(np.zeros(10), np.arange(10.0))[1], plots.gain_curve(label, np.zeros(100))[0])


def test_gain_does_not_depend_on_the_order_of_rows(predictions):
    probability, label = (each.ravel() for each in predictions)
    score = probability.round(2)
    order = np.random.default_rng(1).permutation(len(label))
    assert np.allclose(plots.gain_curve(label, score)[1], plots.gain_curve(label[order], score[order])[1])


def figures(predictions):
    probability, label = predictions
    share = np.linspace(0.01, 1, 50)
    yield plots.reliability(probability.ravel(), label.ravel())
    yield plots.reliability_by_topic(probability, np.where(probability > 0.5, np.nan, label), ["housing", "climate", "care"])
    yield plots.gain(label.ravel(), {"model": probability.ravel(), "popularity": np.tile([0.1, 0.2, 0.1], 4000)})
    yield plots.toc(share, 5 * (1 - share), -share, 6 - share, coverage=0.9, unit="percentage points", title="TOC")
    yield plots.uplift_calibration(*(np.array([1.0, 2.0]) + shift for shift in (0, 0.1, -1, 1)), coverage=0.9, unit="points", title="Uplift")
    values = np.where(probability > 0.4, np.nan, probability)
    yield plots.beeswarm(probability - 0.1, values, ["a", "b", "c"], unit="logits", title="Contributions", top=2)


def test_every_figure_is_drawn_with_units_on_its_axes(predictions, tmp_path):
    for number, figure in enumerate(figures(predictions)):
        path = tmp_path / f"{number}.png"
        figure.savefig(path)
        assert path.stat().st_size > 5000
        words = " ".join([figure.get_supxlabel(), figure.get_supylabel(), *(axes.get_xlabel() + axes.get_ylabel() for axes in figure.axes)])
        assert "(" in words, "an axis names its unit"


def test_swarms_of_one_row_and_of_one_value_are_drawn(tmp_path):
    for n in (1, 5):
        figure = plots.beeswarm(np.zeros((n, 2)), np.full((n, 2), np.nan), ["a", "b"], unit="logits", title="Nothing")
        figure.savefig(tmp_path / f"{n}.png")
