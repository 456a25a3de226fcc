import numpy as np

from training import plots_uplift


def figures():
    share = np.linspace(0.01, 1, 50)
    curve = (5 * (1 - share), -share, 6 - share)
    yield plots_uplift.toc(share, *curve, coverage=0.9, unit="percentage points", title="TOC")
    yield plots_uplift.uplift_gain(share, *curve, average=2.0, coverage=0.9, unit="percentage points", title="Gain")
    yield plots_uplift.uplift_calibration(*(np.array([1.0, 2.0]) + shift for shift in (0, 0.1, -1, 1)), coverage=0.9, unit="points", title="Uplift")


def test_every_figure_is_drawn_with_units_on_its_axes(tmp_path):
    for number, figure in enumerate(figures()):
        path = tmp_path / f"{number}.png"
        figure.savefig(path)
        assert path.stat().st_size > 5000
        (axes,) = figure.axes
        assert "(%)" in axes.get_xlabel() or "points)" in axes.get_xlabel()
        assert "points)" in axes.get_ylabel()


def test_the_band_over_a_handful_of_people_does_not_flatten_the_curve():
    share = np.linspace(0.01, 1, 100)
    wide = np.where(share < 0.03, 500.0, 1.0)
    (axes,) = plots_uplift.toc(share, np.zeros(100), -wide, wide, coverage=0.9, unit="points", title="TOC").axes
    assert axes.get_ylim()[1] < 2
