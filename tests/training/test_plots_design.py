import numpy as np

from training.plots_design import love_plot


def test_a_love_plot_is_drawn_with_units_arms_and_thresholds(tmp_path):
    random = np.random.default_rng(0)
    values = random.normal(0, 0.05, (40, 2))
    values[7] = [0.4, np.inf]
    names = [f"feature {number}" for number in range(40)]
    figure = love_plot(names, values, ["letter", "call"], control="control", title="Balance", top=12)
    figure.savefig(tmp_path / "love.png")
    assert (tmp_path / "love.png").stat().st_size > 5000
    (axes,) = figure.axes
    assert "standard deviations" in axes.get_xlabel()
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert len(labels) == 12
    assert labels[-1] == "feature 7"
    low, high = axes.get_xlim()
    assert low < -0.1 < 0.1 < high < 1
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {"letter", "call", "±0.1"}


def test_a_love_plot_of_nothing_is_still_a_figure(tmp_path):
    figure = love_plot([], np.zeros((0, 1)), ["letter"], control="control", title="Balance")
    figure.savefig(tmp_path / "love.png")
    assert (tmp_path / "love.png").stat().st_size > 0
    assert not figure.axes[0].get_yticklabels()
