"""The pictures of a training run, as functions of arrays: every axis with its unit, legible in grey, nobody's id on them.

Figures are made without pyplot, so nothing is kept between calls; save one with `figure.savefig(path)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

DARK, MIDDLE, LIGHT = "#12355b", "#7d7d7d", "#b9c9dc"
"""Three tones that stay apart in grey."""
LINES = ("-", "--", "-.", ":", (0, (1, 3)))
BINS = 10
DPI = 130


def reliability(probability: Floats, label: Floats, *, coverage: float = 0.90, title: str = "Calibration, all topics") -> Figure:
    """Plot observed rates against predicted probabilities, in tenths of the predictions, with Wilson intervals.

    `probability` (n,) in [0, 1]; `label` (n,) 0 or 1. The points of a calibrated model lie on the diagonal.
    """
    figure = _figure(6, 5.5)
    axes = figure.add_subplot()
    _reliability(axes, probability, label, coverage)
    axes.set(title=title, xlabel="predicted probability (%)", ylabel="people who did engage (%)")
    axes.legend(loc="upper left", frameon=False)
    return figure


def reliability_by_topic(probability: Floats, label: Floats, topics: Sequence[str], *, coverage: float = 0.90) -> Figure:
    """Plot one small calibration curve per topic: `probability` and `label` are (n, n_topics), `label` NaN where unknown."""
    across = min(4, max(1, len(topics)))
    down = -(-len(topics) // across)
    figure = _figure(2.9 * across, 2.7 * down)
    for position, topic in enumerate(topics):
        axes = figure.add_subplot(down, across, position + 1)
        known = ~np.isnan(label[:, position])
        _reliability(axes, probability[known, position], label[known, position], coverage)
        axes.set_title(topic, fontsize=10)
    figure.supxlabel("predicted probability (%)", fontsize=10)
    figure.supylabel("people who did engage (%)", fontsize=10)
    return figure


def gain(label: Floats, scores: Mapping[str, Floats], *, title: str = "Cumulative gain") -> Figure:
    """Plot the share of all engagements that is reached by addressing the best-scored pairs of person and topic first.

    `label` (n,) 0 or 1; `scores` name (n,) scores, the model's first. Random order is the diagonal.
    """
    figure = _figure(6, 5.5)
    axes = figure.add_subplot()
    axes.plot([0, 100], [0, 100], color=LIGHT, linewidth=1.2, label="random order")
    for position, (name, score) in enumerate(scores.items()):
        addressed, reached = gain_curve(label, score)
        tone = DARK if position == 0 else MIDDLE
        axes.plot(100 * addressed, 100 * reached, color=tone, linestyle=LINES[position % len(LINES)], linewidth=2.2 if position == 0 else 1.5, label=name)
    axes.set(title=title, xlabel="pairs of person and topic addressed (%)", ylabel="engagements reached (%)", xlim=(0, 100), ylim=(0, 101))
    axes.legend(loc="lower right", frameon=False)
    return figure


def gain_curve(label: Floats, score: Floats, *, points: int = 201) -> tuple[Floats, Floats]:
    """Return the share addressed and the share reached, both (points,) in [0, 1]; equal scores count as drawn at random."""
    order = np.argsort(-score, kind="stable")
    sorted_scores = score[order]
    ends = np.r_[np.flatnonzero(np.diff(sorted_scores)), len(score) - 1]
    reached = np.r_[0.0, np.cumsum(label[order])[ends]]
    addressed = np.r_[0.0, (ends + 1) / len(score)]
    grid = np.linspace(0, 1, points)
    total = reached[-1]
    return grid, np.interp(grid, addressed, reached / total if total > 0 else addressed)


def toc(share: Floats, value: Floats, low: Floats, high: Floats, *, coverage: float, unit: str, title: str) -> Figure:
    """Plot the targeting operator characteristic with its pointwise band.

    `share` (m,) of people addressed in (0, 1]; `value`, `low`, `high` (m,): how much larger the effect is among them than among
    everyone, in `unit`. Source: Yadlowsky et al. 2025, "Evaluating treatment prioritization rules via rank-weighted average
    treatment effects".
    """
    figure = _figure(6.4, 4.8)
    axes = figure.add_subplot()
    axes.fill_between(100 * share, low, high, color=LIGHT, linewidth=0, label=f"{coverage:.0%} band, point by point")
    axes.plot(100 * share, value, color=DARK, linewidth=2, label="model's order")
    axes.axhline(0, color=MIDDLE, linestyle="--", linewidth=1.2, label="random order")
    axes.set(title=title, xlabel="people with the highest predicted uplift (%)", ylabel=f"effect beyond the average effect ({unit})", xlim=(0, 100))
    # the band over a handful of people would flatten all the rest
    shown = share >= min(0.05, share.max())
    _room(axes, np.r_[low[shown], high[shown], 0.0])
    axes.legend(loc="upper right", frameon=False)
    return figure


def uplift_gain(share: Floats, value: Floats, low: Floats, high: Floats, *, average: float, coverage: float, unit: str, title: str) -> Figure:
    """Plot what addressing the first `share` (m,) of people brings per person of everyone: `value`, `low`, `high` (m,) in `unit`.

    `average` is what addressing everyone brings; as many at random bring their share of it. The area between the curves is QINI.
    """
    figure = _figure(6.4, 4.8)
    axes = figure.add_subplot()
    axes.fill_between(100 * share, low, high, color=LIGHT, linewidth=0, label=f"{coverage:.0%} band, point by point")
    axes.plot(np.r_[0, 100 * share], np.r_[0, value], color=DARK, linewidth=2, label="model's order")
    axes.plot([0, 100], [0, average], color=MIDDLE, linestyle="--", linewidth=1.2, label="random order")
    axes.set(title=title, xlabel="people addressed, highest predicted uplift first (%)", ylabel=f"gain per person of everyone ({unit})", xlim=(0, 100))
    axes.legend(loc="upper left", frameon=False)
    return figure


def uplift_calibration(predicted: Floats, effect: Floats, low: Floats, high: Floats, *, coverage: float, unit: str, title: str) -> Figure:
    """Plot estimated effects of groups of people against the uplift predicted for them, all (m,) in `unit`, with intervals."""
    figure = _figure(6, 5.2)
    axes = figure.add_subplot()
    ends = np.array([min(predicted.min(), low.min()), max(predicted.max(), high.max())])
    axes.plot(ends, ends, color=MIDDLE, linestyle="--", linewidth=1.2, label="predicted = estimated")
    axes.errorbar(predicted, effect, yerr=np.vstack([effect - low, high - effect]), fmt="o", color=DARK, capsize=4, label=f"estimate, {coverage:.0%} interval")
    axes.set(title=title, xlabel=f"mean predicted uplift ({unit})", ylabel=f"effect estimated from the experiment ({unit})")
    axes.legend(loc="upper left", frameon=False)
    return figure


def beeswarm(contributions: Floats, values: Floats, columns: Sequence[str], *, unit: str, title: str, top: int = 15, seed: int = 0) -> Figure:
    """Plot contributions of the `top` columns as a swarm of points, one per row, shaded by the rank of the column's value.

    `contributions` and `values` are (n, n_columns), `values` NaN where missing; `unit` is the contributions'. Columns are ordered by
    mean absolute contribution. After the summary plot of Lundberg et al. 2020.
    """
    strength = np.abs(contributions).mean(axis=0)
    shown = np.argsort(-strength, kind="stable")[: min(top, len(columns))]
    figure = _figure(9.5, 1.6 + 0.36 * len(shown))
    axes = figure.add_subplot()
    axes.axvline(0, color=MIDDLE, linewidth=1)
    points = None
    random = np.random.default_rng(seed)
    for row, column in enumerate(shown[::-1]):
        height = row + _spread(contributions[:, column], random)
        shade = _ranks(values[:, column])
        missing = np.isnan(shade)
        axes.scatter(contributions[missing, column], height[missing], s=7, color="none", edgecolors=MIDDLE, linewidths=0.5)
        points = axes.scatter(contributions[~missing, column], height[~missing], s=7, c=shade[~missing], cmap="cividis", vmin=0, vmax=1, linewidths=0)
    axes.set(title=title, xlabel=f"contribution ({unit})", yticks=range(len(shown)), ylim=(-0.6, len(shown) - 0.4))
    axes.set_yticklabels([columns[column] for column in shown[::-1]], fontsize=8)
    if points is not None:
        bar = figure.colorbar(points, ax=axes, ticks=[0, 1], aspect=30, pad=0.01)
        bar.ax.set_yticklabels(["low", "high"])
        bar.set_label("value of the feature (hollow: missing)", fontsize=9)
    return figure


def reliability_points(probability: Floats, label: Floats, *, coverage: float, bins: int = BINS) -> tuple[Floats, Floats, Floats, Floats]:
    """Return mean prediction, observed rate and the Wilson interval's low and high per bin of equal size, each (m,), m <= bins."""
    order = np.argsort(probability, kind="stable")
    groups = [group for group in np.array_split(order, bins) if len(group)]
    mean = np.array([probability[group].mean() for group in groups])
    rate = np.array([label[group].mean() for group in groups])
    count = np.array([len(group) for group in groups], dtype=np.float64)
    z = float(stats.norm.ppf(0.5 + coverage / 2))
    centre = (rate + z**2 / (2 * count)) / (1 + z**2 / count)
    reach = z / (1 + z**2 / count) * np.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2))
    return mean, rate, np.minimum(centre - reach, rate), np.maximum(centre + reach, rate)


def _reliability(axes: Axes, probability: Floats, label: Floats, coverage: float) -> None:
    if not len(probability):
        return
    mean, rate, low, high = (100 * each for each in reliability_points(probability, label, coverage=coverage))
    most = max(float(high.max()), float(mean.max())) * 1.05
    axes.plot([0, most], [0, most], color=MIDDLE, linestyle="--", linewidth=1.2, label="calibrated")
    axes.errorbar(
        mean, rate, yerr=np.vstack([rate - low, high - rate]), fmt="o-", markersize=4, color=DARK, capsize=3, label=f"observed, {coverage:.0%} interval"
    )
    axes.set(xlim=(0, most), ylim=(0, most))


def _ranks(values: Floats) -> Floats:
    """Return ranks scaled to [0, 1], NaN where the value is missing: a few large amounts must not take all the shades."""
    known = ~np.isnan(values)
    ranks = np.full(len(values), np.nan)
    if known.any():
        found = stats.rankdata(values[known], method="average") - 1
        ranks[known] = found / max(found.max(), 1.0) if found.max() > found.min() else 0.5
    return ranks


def _spread(values: Floats, random: np.random.Generator) -> Floats:
    """Return heights (n,) within ±0.4 that are wide where many points fall together."""
    if len(values) < 2 or values.min() == values.max():
        return random.uniform(-0.4, 0.4, len(values))
    cell = np.minimum((100 * (values - values.min()) / (values.max() - values.min())).astype(np.int64), 99)
    count = np.bincount(cell, minlength=100)
    return np.asarray(0.4 * np.sqrt(count[cell] / count.max()) * random.uniform(-1, 1, len(values)))


def _room(axes: Axes, values: Floats) -> None:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = 0.08 * max(high - low, 1e-9)
    axes.set_ylim(low - room, high + room)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure
