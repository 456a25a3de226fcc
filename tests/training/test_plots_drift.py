import numpy as np
import pytest

from training import plots_drift
from training.plots_drift import Curve

LEVELS = (0.1, 0.25)
VERDICTS = ["drifted"] * 4 + ["watch"] * 3 + ["stable"] * 13


def curve(shift=0.0, least=0.01):
    edges = np.geomspace(least, 0.4, 9)
    then = np.linspace(0.1, 0.9, 9)
    return Curve(edges, then, np.clip(then - shift, 0, 1))


@pytest.fixture
def figure():
    names = [f"count · answers · topic {number} · 90d" for number in range(20)]
    scores = {f"topic {number}": curve(0.02 * number) for number in range(14)}
    return plots_drift.drift(names, np.linspace(1.2, 0.0, 20), VERDICTS, scores, levels=LEVELS)


def test_the_furthest_features_and_topics_are_drawn_with_both_thresholds(figure, tmp_path):
    figure.savefig(tmp_path / "drift.png")
    assert (tmp_path / "drift.png").stat().st_size > 20_000
    left, right = figure.subfigs
    (bars,) = left.axes
    assert len(bars.patches) == plots_drift.FEATURES
    assert bars.patches[0].get_width() == pytest.approx(1.2)
    assert bars.get_yticklabels()[0].get_text().endswith("topic 0 · 90d")
    assert [line.get_xdata()[0] for line in bars.lines] == list(LEVELS)
    assert {text.get_text() for text in bars.texts} == {"watch: 0.1", "drifted: 0.25"}
    assert len({patch.get_facecolor() for patch in bars.patches}) == 3, "the verdict is the tone"
    assert len(right.axes) == plots_drift.TOPICS
    assert all(len(axes.lines) == 2 for axes in right.axes)
    assert "(" in bars.get_xlabel()
    assert "(%)" in right.get_supxlabel()
    assert "(%)" in right.get_supylabel()


def test_a_curve_goes_through_its_shares(figure):
    axes = figure.subfigs[1].axes[3]
    then, now = axes.lines
    assert np.allclose(then.get_xdata(), 100 * curve().edges)
    assert np.allclose(then.get_ydata(), 100 * curve().then)
    assert np.allclose(now.get_ydata(), 100 * curve(0.06).now)


@pytest.mark.parametrize("n_topics", [0, 1, 3])
def test_little_and_extreme_is_drawn_too(n_topics, tmp_path):
    scores = {f"topic {number}": curve(least=0.2) for number in range(n_topics)} | ({"nobody": Curve(*[np.zeros(0)] * 3)} if n_topics else {})
    for psi in (np.zeros(0), np.array([14.0, 0.3])):
        figure = plots_drift.drift(["a", "b"][: len(psi)], psi, ["drifted", "drifted"][: len(psi)], scores, levels=LEVELS)
        figure.savefig(tmp_path / "drift.png")
    assert len(figure.subfigs[1].axes) == len(scores)
