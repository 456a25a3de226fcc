"""The pictures of a training run, as functions of arrays: every axis with its unit, legible in grey, nobody's id on them.

Here are the tones they share and what both models use; the rest stands in `plots_affinity` and `plots_uplift`. Figures are made without
pyplot, so nothing is kept between calls; save one with `figure.savefig(path)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import ScalarFormatter
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DARK, MIDDLE, LIGHT = "#12355b", "#7d7d7d", "#b9c9dc"
"""Three tones that stay apart in grey."""
LINES = ("-", "--", "-.", ":", (0, (1, 3)))
DPI = 130
RANKS = "cividis"
"""From low to high ranks; its lightness rises all the way, so it reads the same in grey."""
MEDIANS = 20
"""Bins of a running median."""
CANDIDATES = 20
"""The strongest columns, among which the one that shades a dependence is looked for."""
_SKEWED = 10.0
"""An axis is logarithmic beyond 1 where the largest value is more than this many times the upper quartile."""


def beeswarm(contributions: Floats, values: Floats, columns: Sequence[str], *, unit: str, title: str, top: int = 15, seed: int = 0) -> Figure:
    """Plot contributions of the `top` columns as a swarm of points, one per row, shaded by the rank of the column's value.

    `contributions` and `values` are (n, n_columns), `values` NaN where missing, contributions NaN where a column does not apply to a row and so
    contributes nothing: both are marked as without a value, the latter at 0. `unit` is the contributions'. Columns are ordered by mean absolute
    contribution. After the summary plot of Lundberg et al. 2020.
    """
    shown = strongest(contributions, top)
    figure = empty_figure(9.5, 1.6 + 0.36 * len(shown))
    axes = figure.add_subplot()
    axes.axvline(0, color=MIDDLE, linewidth=1)
    random = np.random.default_rng(seed)
    for row, column in enumerate(shown[::-1]):
        along = contributions[:, column]
        applies = ~np.isnan(along)
        height = random.uniform(-0.4, 0.4, len(along))
        height[applies] = _spread(along[applies], random)
        _points(axes, np.nan_to_num(along), row + height, _ranks(np.where(applies, values[:, column], np.nan)))
    axes.set(title=title, xlabel=f"contribution ({unit})", yticks=range(len(shown)), ylim=(-0.6, len(shown) - 0.4))
    axes.set_yticklabels([columns[column] for column in shown[::-1]], fontsize=8)
    if len(shown):
        bar = figure.colorbar(_rank_scale(), ax=axes, ticks=[0, 1], aspect=30, pad=0.01)
        bar.ax.set_yticklabels(["low", "high"])
        bar.set_label("value of the feature (rank among people)", fontsize=9)
        if np.isnan(values[:, shown] + contributions[:, shown]).any():
            handles, labels = axes.get_legend_handles_labels()
            figure.legend(handles[:1], labels[:1], loc="outside lower right", frameon=False, fontsize=9)
    return figure


def dependence(
    contributions: Floats, values: Floats, columns: Sequence[str], units: Sequence[str], *, shown: Sequence[int] | Integers, unit: str, title: str
) -> Figure:
    """Plot what the columns `shown` contribute against their values, a panel for each, with the running median.

    `contributions` and `values` are (n, n_columns), contributions NaN where a column does not apply to a row, which is then not drawn, `values`
    NaN where missing: these stand apart on the left. `columns` and `units` (n_columns,) name the values and their units, `unit` is the
    contributions'; `shown` are positions, such as those of `strongest`. Points are shaded by the rank of a second column, the `companion`.
    After the dependence plot of Lundberg et al. 2020.
    """
    across, down = min(2, max(1, len(shown))), max(1, -(-len(shown) // 2))
    figure = empty_figure(1.2 + 4.7 * across, 0.8 + 3.3 * down)
    figure.suptitle(title)
    grid = figure.add_gridspec(down, across + 1, width_ratios=[1.0] * across + [0.03])
    candidates = strongest(contributions, CANDIDATES)
    for position, column in enumerate(shown):
        others = candidates[candidates != column]
        rows = np.flatnonzero(~np.isnan(contributions[:, column]))
        value, contribution = values[rows, column], contributions[rows, column]
        second = companion(contribution, value, values[np.ix_(rows, others)])
        shade = np.full(len(rows), 0.5) if second is None else _ranks(values[rows, others[second]])
        first, last = _panel(figure, grid[position // across, position % across], value, contribution, shade)
        first.set_ylabel(f"contribution ({unit})", fontsize=8)
        last.set_xlabel(f"{columns[column]} ({units[column]})", fontsize=8)
        last.set_title("" if second is None else f"shaded by {columns[others[second]]}", fontsize=8, loc="right")
    if not len(shown):
        figure.text(0.5, 0.5, "no feature with values that differ contributes", ha="center", va="center")
        return figure
    bar = figure.colorbar(_rank_scale(), cax=figure.add_subplot(grid[:, across]), ticks=[0, 1])
    bar.ax.set_yticklabels(["low", "high"], fontsize=8)
    bar.set_label("value of the second feature, by rank (cross: no value)\nline: running median", fontsize=8)
    return figure


def strongest(contributions: Floats, top: int, *, values: Floats | None = None) -> Integers:
    """Return the positions (k,), k <= top, of the columns with the largest mean absolute contributions, the largest first.

    `contributions` and `values` are (n, n_columns), NaN counting as no contribution. With `values`, only columns count that contribute and have
    two values at least.
    """
    strength = np.abs(np.nan_to_num(contributions)).mean(axis=0)
    order = np.argsort(-strength, kind="stable")
    if values is not None:
        known = np.where(np.isnan(values), -np.inf, values).max(axis=0, initial=-np.inf)
        varied = known > np.where(np.isnan(values), np.inf, values).min(axis=0, initial=np.inf)
        order = order[(varied & (strength > 0))[order]]
    return order[:top].astype(np.int64)


def running_median(value: Floats, contribution: Floats, *, bins: int = MEDIANS) -> tuple[Floats, Floats]:
    """Return the median value and the median contribution (m,), m <= bins, of bins of about equal size along `value` (n,), NaN left out.

    Equal values share a bin.
    """
    known = ~np.isnan(value)
    cells, along, up = _cells(value[known], bins), value[known], contribution[known]
    numbers = np.unique(cells)
    medians = [(float(np.median(along[cells == number])), float(np.median(up[cells == number]))) for number in numbers]
    found = np.array(medians, dtype=np.float64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def companion(contribution: Floats, value: Floats, others: Floats) -> int | None:
    """Return which column of `others` (n, k) goes most with what the running median along `value` (n,) leaves of `contribution` (n,).

    The measure is the absolute correlation of ranks with what is left, a missing rank counting as the middle. None where nothing is left
    or nothing goes with it. After the choice of interactions in the dependence plot of Lundberg et al. 2020.
    """
    known = ~np.isnan(value)
    cells, left = _cells(value[known], MEDIANS), contribution[known].copy()
    for number in np.unique(cells):
        left[cells == number] -= np.median(left[cells == number])
    ranks = [np.nan_to_num(_ranks(column[known]), nan=0.5) for column in others.T]
    found = np.array([_correlation(left, rank) for rank in ranks], dtype=np.float64)
    return int(np.argmax(found)) if len(found) and found.max() > 0 else None


def empty_figure(width: float, height: float) -> Figure:
    """Return a figure of this size in inches that draws itself without pyplot."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _panel(figure: Figure, cell: Any, value: Floats, contribution: Floats, shade: Floats) -> tuple[Axes, Axes]:
    """Draw one dependence; return its leftmost and its rightmost axes, which are one where no value is missing or all are."""
    missing = np.isnan(value)
    if missing.all() or not missing.any():
        axes = figure.add_subplot(cell)
        (_missing if missing.any() else _known)(axes, value, contribution, shade)
        return axes, axes
    parts = cell.subgridspec(1, 2, width_ratios=(1, 7), wspace=0.0)
    apart = figure.add_subplot(parts[0])
    axes = figure.add_subplot(parts[1], sharey=apart)
    axes.tick_params(labelleft=False)
    _missing(apart, value[missing], contribution[missing], shade[missing])
    _known(axes, value[~missing], contribution[~missing], shade[~missing])
    return apart, axes


def _known(axes: Axes, value: Floats, contribution: Floats, shade: Floats) -> None:
    _points(axes, value, contribution, shade)
    axes.plot(*running_median(value, contribution), color="black", linewidth=1.8, marker="o", markersize=2.5, path_effects=_OUTLINED)
    axes.axhline(0, color=MIDDLE, linewidth=1, zorder=0)
    if len(value) and value.min() >= 0 and value.max() > _SKEWED * max(float(np.quantile(value, 0.75)), 1.0):
        axes.set_xscale("symlog", linthresh=1.0)
        axes.set_xlim(-0.1, 1.4 * value.max())
        axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.tick_params(labelsize=8)


def _missing(axes: Axes, value: Floats, contribution: Floats, shade: Floats) -> None:
    _points(axes, np.random.default_rng(0).uniform(-0.3, 0.3, len(value)), contribution, shade)
    if len(value):
        axes.plot([-0.4, 0.4], [np.median(contribution)] * 2, color="black", linewidth=1.8, path_effects=_OUTLINED)
    axes.axhline(0, color=MIDDLE, linewidth=1, zorder=0)
    axes.set(xticks=[0], xticklabels=["missing"], xlim=(-0.6, 0.6))
    axes.tick_params(labelsize=8)


_OUTLINED = (Stroke(linewidth=3.6, foreground="white"), Normal())
"""A line that is seen on dark points as on light ones."""


_NO_VALUE: dict[str, Any] = {"marker": "x", "s": 9, "linewidths": 0.7, "color": LIGHT, "zorder": 0.9, "label": "no value"}
"""How a point without a value is marked: in no shade and no form of a rank."""


def _points(axes: Axes, along: Floats, up: Floats, shade: Floats) -> None:
    """Draw points shaded by ranks in [0, 1], light crosses beneath them where the rank is missing."""
    missing = np.isnan(shade)
    axes.scatter(along[missing], up[missing], **_NO_VALUE)
    axes.scatter(along[~missing], up[~missing], s=7, c=shade[~missing], cmap=RANKS, vmin=0, vmax=1, linewidths=0)


def _rank_scale() -> ScalarMappable:
    return ScalarMappable(Normalize(0, 1), RANKS)


def _ranks(values: Floats) -> Floats:
    """Return ranks scaled to [0, 1], NaN where the value is missing: a few large amounts must not take all the shades."""
    known = ~np.isnan(values)
    ranks = np.full(len(values), np.nan)
    if known.any():
        found = stats.rankdata(values[known], method="average") - 1
        ranks[known] = found / max(found.max(), 1.0) if found.max() > found.min() else 0.5
    return ranks


def _cells(values: Floats, bins: int) -> Integers:
    """Return the bin (n,) of equal mass of each value; equal values share a bin."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - count / 2
    return np.minimum((middle / max(len(values), 1) * bins).astype(np.int64), bins - 1)[place]


def _correlation(a: Floats, b: Floats) -> float:
    """Return the absolute correlation of a and b (n,), 0 where one of them is constant."""
    if len(a) < 2:
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return abs(float(a @ b)) / size if size > 0 else 0.0


def _spread(values: Floats, random: np.random.Generator) -> Floats:
    """Return heights (n,) within ±0.4 that are wide where many points fall together."""
    if len(values) < 2 or values.min() == values.max():
        return random.uniform(-0.4, 0.4, len(values))
    cell = np.minimum((100 * (values - values.min()) / (values.max() - values.min())).astype(np.int64), 99)
    count = np.bincount(cell, minlength=100)
    return np.asarray(0.4 * np.sqrt(count[cell] / count.max()) * random.uniform(-1, 1, len(values)))
