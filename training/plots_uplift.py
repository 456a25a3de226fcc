"""Pictures of persuadability: what addressing people in the order of predicted uplift brings, and whether the prediction holds."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.plots import DARK, LIGHT, MIDDLE, Floats, empty_figure


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
    axes.fill_between(100 * share, low, high, color=LIGHT, linewidth=0, label=f"{coverage:.0%} band, point by point")
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


def _room(axes: Axes, values: Floats) -> None:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = 0.08 * max(high - low, 1e-9)
    axes.set_ylim(low - room, high + room)
