from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from models.outcome_scale import OutcomeScale
from models.persuadability import Persuadability
from training import plots_uplift
from training.figures import uplift_figures


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


def panel(n_values, name="age (years)"):
    effect = np.linspace(-1, 2, n_values)
    return plots_uplift.Panel(name, [f"value {number}" for number in range(n_values)], effect, effect - 1, effect + 1, np.full(n_values, 1 / n_values))


@pytest.mark.parametrize("panels", [0, 1, 3])
def test_effects_by_feature_have_a_panel_each_with_its_unit(panels, tmp_path):
    figure = plots_uplift.effects_by_feature([panel(number + 1) for number in range(panels)], average=0.5, coverage=0.9, unit="points", title="Effects")
    figure.savefig(tmp_path / "effects.png")
    assert len(figure.axes) == panels
    for number, axes in enumerate(figure.axes):
        assert [label.get_text() for label in axes.get_yticklabels()] == [f"value {value}" for value in range(number + 1)]
        assert axes.get_ylabel() == "age (years)"
        assert axes.get_xlabel() == "effect of contact (points)"


def test_a_group_without_an_interval_has_its_point_alone(tmp_path):
    shown = panel(3)
    shown.low[2] = shown.high[2] = np.nan
    figure = plots_uplift.effects_by_feature([shown], average=0.5, coverage=0.9, unit="points", title="Effects")
    figure.savefig(tmp_path / "effects.png")
    (points,) = [each for each in figure.axes[0].collections if len(each.get_offsets()) == 3]
    assert np.isfinite(np.asarray(points.get_offsets())).all()


def test_policies_are_drawn_beside_every_rival():
    share = np.arange(1, 21) / 20
    curve = (3 * share, 2 * share, 4 * share)
    rivals = {"as many at random": curve, "everybody": curve}
    figure = plots_uplift.policy_by_capacity(share, curve, share, rivals, average=3.0, coverage=0.9, unit="points", title="Policies")
    left, right = figure.axes
    labels = [text.get_text() for text in left.get_legend().get_texts()]
    assert labels == ["90% band, point by point", "model's order", "highest baseline risk first", "as many at random", "everybody"]
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["over as many at random", "over everybody"]
    for axes in (left, right):
        assert axes.get_xlabel() == "people contacted (%)"
        assert axes.get_ylabel() == "gain per person of everyone (points)"
    assert len(right.lines[0].get_xdata()) == 9, "every tenth of people but all, where policies are one and the same"


def test_a_run_keeps_the_pictures_of_its_uplift(tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"age|since=birth_year": rng.integers(18, 90, 800), "attribute|id=tenure|category=owner": rng.random(800) < 0.5}).astype(np.float32)
    X.iloc[::9, 0] = np.nan
    contact = (rng.random(400) < 0.5).repeat(2).astype(float)
    y = (rng.random(800) < 0.2 + 0.3 * contact * (X.iloc[:, 1] > 0)).astype(float)
    model = Persuadability(n_folds=3, nuisance_trees=5, num_trees=10, learning_rate=0.2, n_jobs=1)
    model.fit(X, y, treatment=contact, propensity=0.5, groups=np.arange(800) // 2)
    trial = SimpleNamespace(X=X, y=y.to_numpy(), arm="letter", experiment=SimpleNamespace(id="autumn", control="silence"), scale=OutcomeScale("share"))
    evaluation = model.evaluate()
    figures = uplift_figures(model, trial, evaluation)
    assert list(figures) == ["toc", "gain", "policies", "calibration", "effects", "contributions"]
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png")
    assert {axes.get_ylabel() for axes in figures["effects"].axes} == {"age · birth_year\n(years)", "attribute · tenure · owner\n(0 or 1)"}
    at_20 = np.flatnonzero(np.isclose(figures["policies"].axes[0].lines[0].get_xdata(), 20))
    assert figures["policies"].axes[0].lines[0].get_ydata()[at_20] == pytest.approx(100 * evaluation.estimates["policy_none"].value)
    assert figures["gain"].axes[0].lines[0].get_ydata()[-1] == pytest.approx(100 * evaluation.estimates["ate"].value)
