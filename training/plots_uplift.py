"""Pictures of persuadability: what addressing people in the order of predicted uplift brings, and whether the prediction holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.plots import DARK, LIGHT, LINES, MIDDLE, Floats, empty_figure

Curve = tuple[Floats, Floats, Floats]
"""Values, low and high."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One feature's effects: `names` (m,) of the groups of values, `effect`, `low`, `high` (m,), `share` (m,) of people; `feature` with its unit."""

    feature: str
    names: Sequence[str]
    effect: Floats
    low: Floats
    high: Floats
    share: Floats


def toc(share: Floats, value: Floats, low: Floats, high: Floats, *, coverage: float, unit: str, title: str) -> Figure:
    """Plot the targeting operator characteristic with its pointwise band.

    `share` (m,) of people addressed in (0, 1]; `value`, `low`, `high` (m,): how much larger the effect is among them than among
    everyone, in `unit`. Source: Yadlowsky et al. 2025, "Evaluating treatment prioritization rules via rank-weighted average
    treatment effects".
    """
    figure = empty_figure(6.4, 4.8)
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
    figure = empty_figure(6.4, 4.8)
    axes = figure.add_subplot()
    axes.fill_between(np.r_[0, 100 * share], np.r_[0, low], np.r_[0, high], color=LIGHT, linewidth=0, label=f"{coverage:.0%} band, point by point")
    axes.plot(np.r_[0, 100 * share], np.r_[0, value], color=DARK, linewidth=2, label="model's order")
    axes.plot([0, 100], [0, average], color=MIDDLE, linestyle="--", linewidth=1.2, label="random order")
    axes.set(title=title, xlabel="people addressed, highest predicted uplift first (%)", ylabel=f"gain per person of everyone ({unit})", xlim=(0, 100))
    axes.legend(loc="upper left", frameon=False)
    return figure


def uplift_calibration(predicted: Floats, effect: Floats, low: Floats, high: Floats, *, coverage: float, unit: str, title: str) -> Figure:
    """Plot estimated effects of groups of people against the uplift predicted for them, all (m,) in `unit`, with intervals."""
    figure = empty_figure(6, 5.2)
    axes = figure.add_subplot()
    ends = np.array([min(predicted.min(), low.min()), max(predicted.max(), high.max())])
    axes.plot(ends, ends, color=MIDDLE, linestyle="--", linewidth=1.2, label="predicted = estimated")
    axes.errorbar(predicted, effect, yerr=np.vstack([effect - low, high - effect]), fmt="o", color=DARK, capsize=4, label=f"estimate, {coverage:.0%} interval")
    axes.set(title=title, xlabel=f"mean predicted uplift ({unit})", ylabel=f"effect estimated from the experiment ({unit})")
    axes.legend(loc="upper left", frameon=False)
    return figure


def effects_by_feature(panels: Sequence[Panel], *, average: float, coverage: float, unit: str, title: str) -> Figure:
    """Plot effects by value of each feature, a panel each, with intervals that hold for a panel's groups at once; `average` is the line.

    Effects are in `unit`; a group without an interval (NaN) has its point alone, and a larger share of people a larger point.
    """
    down, across = max(1, -(-len(panels) // 2)), min(2, max(1, len(panels)))
    most = max([len(panel.names) for panel in panels], default=1)
    figure = empty_figure(0.8 + 4.9 * across, 1.1 + down * (0.9 + 0.3 * most))
    figure.suptitle(title)
    first: Axes | None = None
    for number, panel in enumerate(panels):
        axes = figure.add_subplot(down, across, number + 1, sharex=first)
        first = first or axes
        height = np.arange(len(panel.names))[::-1]
        axes.axvline(average, color=MIDDLE, linestyle="--", linewidth=1.2, label="average effect")
        axes.hlines(height, panel.low, panel.high, color=DARK, linewidth=1.6, label=f"{coverage:.0%} band, all groups of a panel at once")
        axes.scatter(panel.effect, height, s=15 + 120 * panel.share, color=DARK, zorder=3, label="estimate (size: share of people)")
        axes.set(ylim=(-0.6, len(panel.names) - 0.4), yticks=height)
        axes.set_yticklabels([str(name) for name in panel.names], fontsize=8)
        axes.set_ylabel(panel.feature, fontsize=8)
        axes.set_xlabel(f"effect of contact ({unit})", fontsize=8)
        axes.tick_params(axis="x", labelsize=8)
    if first is None:
        figure.text(0.5, 0.5, "no feature with values that differ contributes", ha="center", va="center")
        return figure
    figure.legend(*first.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def policy_by_capacity(
    capacity: Floats, value: Curve, risk: Floats, differences: Mapping[str, Curve], *, average: float, coverage: float, unit: str, title: str
) -> Figure:
    """Plot what contacting the `capacity` (m,) share of highest predicted uplift gains per person of everyone, beside what else could be done.

    Left, over contacting nobody: `value` with its band, as many by baseline `risk` (m,), as many at random, and everybody, who gain `average`. Right,
    paired `differences` from those rivals, by their name, with their bands. All in `unit`.
    """
    figure = empty_figure(11, 5.2)
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    share = 100 * capacity
    left.fill_between(np.r_[0, share], np.r_[0, value[1]], np.r_[0, value[2]], color=LIGHT, linewidth=0, label=f"{coverage:.0%} band, point by point")
    left.plot(np.r_[0, share], np.r_[0, value[0]], color=DARK, linewidth=2, label="model's order")
    left.plot(np.r_[0, share], np.r_[0, risk], color="black", linestyle=":", linewidth=1.6, label="highest baseline risk first")
    left.plot([0, 100], [0, average], color=MIDDLE, linestyle="--", linewidth=1.2, label="as many at random")
    left.axhline(average, color=MIDDLE, linestyle="-.", linewidth=1.2, label="everybody")
    left.axhline(0, color="black", linewidth=0.8)
    left.set(title="each policy over contacting nobody", ylabel=f"gain per person of everyone ({unit})")
    markers, every = ("o", "s", "^", "D"), max(1, len(share) // 10)
    for number, (name, (middle, low, high)) in enumerate(differences.items()):
        shown, shift = np.flatnonzero(share < 100)[every - 1 :: every], 1.1 * (number - (len(differences) - 1) / 2)
        error, look = np.vstack([middle - low, high - middle])[:, shown], {"markersize": 5, "linewidth": 1.2, "capsize": 2.5}
        marker, line, color = markers[number % 4], LINES[number % 3], (DARK, MIDDLE, "black")[number % 3]
        right.errorbar(share[shown] + shift, middle[shown], yerr=error, marker=marker, linestyle=line, color=color, label=f"over {name}", **look)
    right.axhline(0, color="black", linewidth=0.8)
    right.set(title=f"the model's order over each rival, paired, {coverage:.0%} intervals", ylabel=f"gain per person of everyone ({unit})")
    for axes in (left, right):
        axes.set(xlabel="people contacted (%)", xlim=(0, 100))
        axes.title.set_fontsize(10)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3, frameon=False, fontsize=8)
    return figure


def _room(axes: Axes, values: Floats) -> None:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = 0.08 * max(high - low, 1e-9)
    axes.set_ylim(low - room, high + room)
