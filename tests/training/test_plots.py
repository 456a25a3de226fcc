import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from training import plots
from training.plots_affinity import TOGETHER


def lightness(colour):
    """The relative luminance of a colour, as a picture in grey shows it: 0 black, 1 white."""
    return float(np.array(to_rgb(colour)) ** 2.2 @ [0.2126, 0.7152, 0.0722])


@pytest.fixture
def explained():
    """Contributions of three columns of 600 rows, the first moved by the third, with missing values; and the values."""
    random = np.random.default_rng(0)
    values = np.column_stack([random.uniform(0, 1, 600), random.uniform(0, 1, 600), random.normal(size=600)])
    contributions = np.column_stack([2 * values[:, 0] - 1 + 0.2 * values[:, 2], 0.1 * values[:, 1], 0.01 * values[:, 2]])
    values[::10, 0] = np.nan
    return contributions, values


def test_tones_and_shades_stay_apart_in_grey():
    tones = [lightness(tone) for tone in (plots.DARK, plots.MIDDLE, plots.LIGHT, "white")]
    assert (np.diff(tones) > 0.15).all()
    for shades, direction in ((colormaps[plots.RANKS], 1), (TOGETHER, -1)):
        steps = np.diff([lightness(shades(each)[:3]) for each in np.linspace(0, 1, 50)])
        assert (direction * steps > 0).all()


def test_the_strongest_columns_come_first():
    contributions = np.array([[0.1, -2.0, 0.0, np.nan], [0.1, 1.0, 0.0, 0.4]])
    assert plots.strongest(contributions, 3).tolist() == [1, 3, 0]
    assert plots.strongest(contributions, 9).tolist() == [1, 3, 0, 2]
    values = np.array([[1.0, np.nan, 1.0, 1.0], [2.0, np.nan, 2.0, 1.0]])
    assert plots.strongest(contributions, 9, values=values).tolist() == [0], "missing, without a contribution, and constant ones are left out"


def test_the_running_median_follows_and_leaves_missing_values_out():
    value = np.r_[np.linspace(0, 1, 1000), np.nan]
    along, up = plots.running_median(value, np.r_[np.linspace(0, 1, 1000) ** 2, 1e9])
    assert len(along) == plots.MEDIANS
    assert up == pytest.approx(along**2, abs=2e-3)
    assert (np.diff(along) > 0).all()


def test_equal_values_share_a_bin_of_the_median():
    along, up = plots.running_median(np.repeat([0.0, 1.0], [900, 100]), np.repeat([1.0, 5.0], [900, 100]))
    assert (along.tolist(), up.tolist()) == ([0.0, 1.0], [1.0, 5.0])
    assert [len(each) for each in plots.running_median(np.full(3, np.nan), np.ones(3))] == [0, 0]


def test_the_companion_is_the_column_that_moves_what_is_left(explained):
    contributions, values = explained
    others = np.column_stack([values[:, 1], np.full(600, np.nan), values[:, 2], np.ones(600)])
    assert plots.companion(contributions[:, 0], values[:, 0], others) == 2
    assert plots.companion(contributions[:, 0], values[:, 0], others[:, [1, 3]]) is None
    assert plots.companion(np.zeros(600), values[:, 0], others) is None, "nothing is left to go with"
    assert plots.companion(contributions[:, 0], values[:, 0], np.empty((600, 0))) is None


def test_missing_values_stand_apart(explained):
    contributions, values = explained
    figure = plots.dependence(contributions, values, ["a", "b", "c"], ["days"] * 3, shown=[0], unit="logits", title="Dependence")
    apart, beside, bar = figure.axes
    assert [label.get_text() for label in apart.get_xticklabels()] == ["missing"]
    points = [sum(len(dots.get_offsets()) for dots in axes.collections) for axes in (apart, beside)]
    assert points == [60, 540]
    assert apart.get_ylim() == beside.get_ylim()
    assert beside.get_xlabel() == "a (days)"
    assert beside.get_title(loc="right") == "shaded by c"
    assert "rank" in bar.get_ylabel()


def test_points_without_a_value_are_marked_apart_in_a_swarm_and_named(explained):
    contributions, values = explained
    contributions[:50, 1] = np.nan
    figure = plots.beeswarm(contributions, values, ["a", "b", "c"], unit="logits", title="Swarm")
    drawn = figure.axes[0].collections
    without = [dots for dots in drawn if dots.get_label() == "no value"]
    assert [len(dots.get_offsets()) for dots in without] == [0, 50, 60], "c, b, a from below"
    assert (without[1].get_offsets()[:, 0] == 0).all(), "a column that does not apply contributes nothing"
    assert sum(len(dots.get_offsets()) for dots in drawn) == 3 * 600
    shades = colormaps[plots.RANKS](np.linspace(0, 1, 256))[:, :3]
    assert np.linalg.norm(shades - without[1].get_edgecolors()[0][:3], axis=1).min() > 0.2, "no shade of a rank"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["no value"]
    whole = plots.beeswarm(np.nan_to_num(contributions), np.nan_to_num(values), ["a", "b", "c"], unit="logits", title="Swarm")
    assert whole.legends == []


def test_rows_to_which_a_column_does_not_apply_are_not_drawn(explained):
    contributions, values = explained
    contributions[values[:, 2] > 0, 0] = np.nan
    figure = plots.dependence(contributions, values, ["a", "b", "c"], ["days"] * 3, shown=[0], unit="logits", title="Dependence")
    drawn = sum(len(dots.get_offsets()) for axes in figure.axes[:2] for dots in axes.collections)
    assert drawn == (values[:, 2] <= 0).sum()


def test_every_figure_is_drawn_with_units_on_its_axes(explained, tmp_path):
    contributions, values = explained
    for number, figure in enumerate(
        (
            plots.beeswarm(contributions, values, ["a", "b", "c"], unit="logits", title="Contributions", top=2),
            plots.dependence(contributions, values, ["a", "b", "c"], ["days", "euro", "0 to 1"], shown=[0, 1, 2], unit="logits", title="Dependence"),
        )
    ):
        figure.savefig(tmp_path / f"{number}.png")
        assert (tmp_path / f"{number}.png").stat().st_size > 5000
        words = " ".join(axes.get_xlabel() + axes.get_ylabel() for axes in figure.axes)
        assert "(logits)" in words


@pytest.mark.parametrize("n", [1, 5])
def test_few_rows_one_value_and_columns_missing_throughout_are_drawn(n, tmp_path):
    values = np.column_stack([np.full(n, np.nan), np.full(n, 3.0), np.arange(n, dtype=float)])
    plots.beeswarm(np.zeros((n, 2)), np.full((n, 2), np.nan), ["a", "b"], unit="logits", title="Nothing").savefig(tmp_path / "swarm.png")
    for shown in ([], [0], [1], [0, 1, 2]):
        figure = plots.dependence(np.zeros((n, 3)), values, ["a", "b", "c"], ["days"] * 3, shown=shown, unit="logits", title="Nothing")
        figure.savefig(tmp_path / "dependence.png")


def test_amounts_of_which_a_few_are_huge_are_spread(tmp_path):
    amounts = np.r_[np.arange(200.0) % 5, 4000.0]
    figure = plots.dependence(np.zeros((201, 1)), amounts[:, None], ["sum"], ["EUR"], shown=[0], unit="logits", title="Gifts")
    assert figure.axes[0].get_xscale() == "symlog"
    figure.savefig(tmp_path / "gifts.png")
