import numpy as np
import pytest

from training.plots_tuning import study_figure

NAMES = ["learning_rate: 0.025 → 0.041", "num_leaves: 16", "l2: 5 → 0.3"]


@pytest.mark.parametrize(
    ("shares", "values"),
    [
        ([0.7, 0.2, 0.1], [0.4, 0.39, np.nan, 0.385, 0.9, np.nan, 0.384]),
        ([np.nan, np.nan, np.nan], [0.4]),
        ([1.0, 0.0, 0.0], [0.4, np.nan, 0.4]),
    ],
)
def test_a_study_is_drawn_with_units(shares, values, tmp_path):
    figure = study_figure(NAMES, np.array(shares), np.array(values))
    figure.savefig(tmp_path / "study.png")
    assert (tmp_path / "study.png").stat().st_size > 5000
    left, right = figure.axes
    assert "(%)" in left.get_xlabel()
    assert "(nats per pair" in right.get_ylabel()
    assert [label.get_text() for label in left.get_yticklabels()] == NAMES
    assert [bar.get_width() for bar in left.patches] == pytest.approx(np.nan_to_num(100 * np.array(shares)).tolist())


def test_every_trial_has_its_mark():
    values = np.array([0.4, 0.39, np.nan, 0.385, 0.9, np.nan, 0.384])
    _, right = study_figure(NAMES, np.array([0.7, 0.2, 0.1]), values).axes
    marks = {line.get_label(): len(line.get_xdata()) for line in right.lines}
    assert (marks["trial"], marks["trial beyond this scale"], marks["ended early"]) == (4, 1, 2)
    best = next(line for line in right.lines if line.get_label() == "best so far")
    assert np.asarray(best.get_ydata()).tolist() == [0.4, 0.39, 0.39, 0.385, 0.385, 0.385, 0.384]
