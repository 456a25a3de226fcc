import re

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from scipy import stats

from models import metrics
from training import plots_affinity as plots
from training.resampling import PersonBootstrap

NAMES_ONLY = {"topic"}
"""Axes along which names stand, which have no unit."""


@pytest.fixture
def predictions():
    random = np.random.default_rng(0)
    probability = random.beta(1, 9, (4000, 3))
    return probability, (random.random((4000, 3)) < probability).astype(float)


@pytest.fixture
def blocks():
    """Labels of six topics in an order that hides them: 0, 2, 4 go together, and 1, 3, 5 do."""
    random = np.random.default_rng(1)
    taste = random.random((3000, 2)) < 0.3
    chance = np.where(taste[:, [0, 1, 0, 1, 0, 1]], 0.6, 0.1)
    return (random.random((3000, 6)) < chance).astype(float)


def test_reliability_of_calibrated_predictions_lies_on_the_diagonal(predictions):
    probability, label = (each.ravel() for each in predictions)
    mean, rate, low, high = plots.reliability_points(probability, label, coverage=0.999)
    assert len(mean) == plots.BINS
    assert (np.diff(mean) > 0).all()
    assert ((low <= rate) & (rate <= high)).all()
    assert ((low <= mean) & (mean <= high)).all()


def test_equal_predictions_are_one_point_of_the_reliability():
    label = np.r_[np.ones(30), np.zeros(70)]
    mean, rate, low, high = plots.reliability_points(np.full(100, 0.2), label, coverage=0.9)
    assert (mean.tolist(), rate.tolist()) == ([pytest.approx(0.2)], [pytest.approx(0.3)])
    wilson = stats.binomtest(30, 100).proportion_ci(0.9, method="wilson")
    assert (low[0], high[0]) == pytest.approx((wilson.low, wilson.high))


def test_each_topic_states_its_calibration_error(predictions):
    probability, label = predictions
    label[:, 2] = np.nan
    figure = plots.reliability_by_topic(probability, label, ["housing", "climate", "care"])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == f"housing\nECE {metrics.ece(label[:, 0], probability[:, 0]):.3f}"
    assert titles[2] == "care\nno label is known"


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


def test_lift_of_a_perfect_order_and_of_none():
    label = np.r_[np.ones(25), np.zeros(75)]
    assert np.allclose(plots.lift_curve(label, label), np.minimum(4, 1 / plots.LIFT_SHARES))
    assert np.allclose(plots.lift_curve(label, np.zeros(100)), 1)
    assert np.allclose(plots.lift_curve(np.zeros(100), np.arange(100.0)), 1), "without an engagement no order is better than another"


def test_lift_at_a_tenth_is_the_rate_there_over_the_average(predictions):
    probability, label = (each.ravel() for each in predictions)
    top = np.argsort(-probability, kind="stable")[: len(label) // 10]
    assert plots.lift_curve(label, probability)[9] == pytest.approx(label[top].mean() / label.mean())


def test_the_band_is_that_of_people_drawn_with_their_rows():
    random = np.random.default_rng(2)
    person = random.integers(0, 150, 1200)
    score = random.beta(1, 6, 1200).round(3)
    label = (random.random(1200) < score).astype(float)
    boot = PersonBootstrap(person, draws=150, seed=0, coverage=0.9)
    low, high = plots.lift_band(boot, label, score, np.arange(1200))
    repeats = boot.weights[:, boot.codes].astype(int)
    drawn = np.array([plots.lift_curve(np.repeat(label, often), np.repeat(score, often)) for often in repeats])
    assert (high - low)[4:] / 2 == pytest.approx(1.6449 * drawn.std(axis=0, ddof=1)[4:], rel=0.06, abs=2e-3)
    assert (high - low)[-1] == pytest.approx(0, abs=1e-9), "everybody is the average"
    value = plots.lift_curve(label, score)
    assert ((low <= value) & (value <= high)).all()
    assert (low >= 0).all()


def test_a_band_without_engagements_is_not_drawn(tmp_path):
    boot = PersonBootstrap(np.arange(50), draws=60, seed=0, coverage=0.9)
    band = plots.lift_band(boot, np.zeros(50), np.arange(50.0), np.arange(50))
    assert np.isnan(band).all()
    plots.lift(np.zeros(50), {"model": np.arange(50.0)}, band=band).savefig(tmp_path / "lift.png")


def test_co_engagement_is_the_rate_given_one_topic_over_the_rate(blocks):
    together, rate = plots.co_engagement_lift(blocks)
    assert rate == pytest.approx(blocks.mean(axis=0))
    given = blocks[blocks[:, 0] == 1]
    assert together[0, 1] == pytest.approx(given[:, 1].mean() / blocks[:, 1].mean())
    assert together == pytest.approx(together.T)
    assert together[0, 2] > 1.5
    assert together[0, 1] == pytest.approx(1, abs=0.15), "two tastes drawn apart"


def test_topics_are_compared_where_both_are_known(blocks):
    blocks[:1000, 0] = np.nan
    together, rate = plots.co_engagement_lift(blocks)
    assert rate[0] == pytest.approx(blocks[1000:, 0].mean())
    assert together[0, 1] == pytest.approx((blocks[1000:, 0] * blocks[1000:, 1]).mean() / (blocks[1000:, 0].mean() * blocks[1000:, 1].mean()))


def test_too_few_rows_say_nothing():
    label = np.zeros((100, 3))
    label[:22, 0] = label[:22, 1] = 1
    label[0, 2] = 1
    together, rate = plots.co_engagement_lift(label)
    assert np.isnan(together[0, 1]), "4.84 rows are expected by chance"
    label[:23, 0] = label[:23, 1] = 1
    together, rate = plots.co_engagement_lift(label)
    assert together[0, 1] == pytest.approx(100 / 23)
    assert np.isnan(together[:, 2]).all()
    assert rate[2] == pytest.approx(0.01)
    assert np.isnan(plots.co_engagement_lift(np.full((9, 2), np.nan))[1]).all()


def test_topics_that_go_together_are_neighbours(blocks):
    order = plots.clustered(plots.co_engagement_lift(blocks)[0]).tolist()
    assert {frozenset(order[:3]), frozenset(order[3:])} == {frozenset({0, 2, 4}), frozenset({1, 3, 5})}
    shuffled = [5, 0, 3, 2, 1, 4]
    again = [shuffled[topic] for topic in plots.clustered(plots.co_engagement_lift(blocks[:, shuffled])[0])]
    assert again in (order, order[::-1])
    for size in (0, 1, 2, 4):
        assert sorted(plots.clustered(np.full((size, size), np.nan)).tolist()) == list(range(size))


def contrast(one, other):
    light, dark = sorted((float(np.array(to_rgb(each)[:3]) ** 2.2 @ [0.2126, 0.7152, 0.0722]) for each in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_numbers_can_be_read_on_every_shade(blocks):
    blocks[blocks[:, 0] == 1, 1] = 0
    figure = plots.co_engagement(blocks, list("abcdef"))
    image, cells = figure.axes[0].images[0], figure.axes[0].texts
    assert len(cells) == 36, "nothing is missing here"
    shades = image.to_rgba(image.get_array())
    for cell in cells:
        column, row = (int(place) for place in cell.get_position())
        if row != column:
            assert contrast(shades[row, column, :3], cell.get_color()) >= 4.5, cell.get_text()


def test_a_map_shows_the_most_frequent_of_many_topics(tmp_path):
    random = np.random.default_rng(3)
    rates = np.linspace(0.02, 0.5, 45)
    figure = plots.co_engagement((random.random((900, 45)) < rates).astype(float), [f"topic {number}" for number in range(45)])
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert set(names) == {f"topic {number}" for number in range(15, 45)}
    assert "30 most frequent of 45" in figure.axes[0].get_title()


def curve(*values):
    value = np.array(values)
    return value, value - 0.01, value + 0.02


def figures(predictions):
    probability, label = predictions
    known = np.where(probability > 0.5, np.nan, label)
    scores = {"model": probability.ravel(), "popularity": np.tile([0.1, 0.2, 0.1], 4000)}
    band = plots.lift_band(PersonBootstrap(np.arange(4000), draws=60, seed=0, coverage=0.9), label.ravel(), scores["model"], np.repeat(np.arange(4000), 3))
    yield plots.reliability(probability.ravel(), label.ravel())
    yield plots.reliability_by_topic(probability, known, ["housing", "climate", "care"])
    yield plots.gain(label.ravel(), scores)
    yield plots.lift(label.ravel(), scores, band=band)
    yield plots.co_engagement(known, ["housing", "climate", "care"])
    measures = {"log loss (nats per pair)": curve(0.5, 0.4, 0.38), "NDCG@5 (0 to 1)": curve(0.6, 0.7, 0.71)}
    yield plots.learning_curve(["1\n100", "2\n200", "3\n300"], measures, coverage=0.9, along="snapshots (number)", title="More rows")


def edges():
    one, none, constant = np.r_[np.ones(10), np.zeros(30)], np.zeros(40), np.full(40, 0.25)
    yield plots.reliability(constant, none)
    yield plots.reliability_by_topic(np.column_stack([constant] * 3), np.column_stack([one, none, np.full(40, np.nan)]), ["a", "b", "c"])
    yield plots.reliability_by_topic(constant[:, None], one[:, None], ["a"])
    yield plots.gain(none, {"model": constant})
    yield plots.lift(one, {"model": constant})
    yield plots.lift(np.ones(1), {"model": np.ones(1)})
    yield plots.co_engagement(one[:, None], ["a"])
    yield plots.co_engagement(np.column_stack([one, none]), ["a", "b"])
    yield plots.co_engagement(np.column_stack([none, none, np.full(40, np.nan)]), ["a", "b", "c"])
    yield plots.co_engagement(np.ones((40, 3)), ["a", "b", "c"])
    yield plots.learning_curve(["1\n100"], {"log loss (nats per pair)": curve(0.5)}, coverage=0.9, along="snapshots (number)", title="One point")


def test_every_figure_is_drawn_with_units_on_its_axes(predictions, tmp_path):
    for number, figure in enumerate([*figures(predictions), *edges()]):
        path = tmp_path / f"{number}.png"
        figure.savefig(path)
        assert path.stat().st_size > 4000
        drawn = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
        along, up = (
            [words for words in (each, *own) if words]
            for each, own in (
                (figure.get_supxlabel(), [axes.get_xlabel() for axes in drawn]),
                (figure.get_supylabel(), [axes.get_ylabel() for axes in drawn]),
            )
        )
        bars = [axes.get_xlabel() or axes.get_ylabel() for axes in figure.axes if axes not in drawn]
        assert along, "something is said along the figure"
        assert up, "and upwards"
        for words in [*along, *up, *bars]:
            assert re.search(r"\(.*[\w%].*\)$", words) or words in NAMES_ONLY, f"{words!r} names no unit"


def test_whoever_reads_a_reliability_is_told_what_is_counted_and_what_is_taken_for_granted(predictions):
    probability, label = predictions
    overall = plots.reliability(probability.ravel(), label.ravel()).axes[0]
    assert overall.get_ylabel() == "pairs of person and topic with an engagement (%)"
    assert "90% interval (pairs taken as independent)" in overall.get_legend().get_texts()[1].get_text()
    by_topic = plots.reliability_by_topic(probability, label, ["housing", "climate", "care"])
    assert "(pairs taken as independent)" in by_topic.get_suptitle()
