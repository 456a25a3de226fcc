"""The picture of a study of settings: what matters, and how the trials went."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from training.plots import DARK, LIGHT, MIDDLE, empty_figure

Floats = NDArray[np.float64]

SHOWN = 0.8
"""Share of the complete trials, the best ones, that the log loss axis has room for; the rest stand at its top edge."""


def study_figure(names: Sequence[str], shares: Floats, values: Floats) -> Figure:
    """Plot the importance of each axis of a study, and the log loss of its trials in their order.

    `shares` (n_axes,) of the variation between trials that goes with the axes `names`, greatest first, NaN where too few trials can say; `values`
    (n_trials,) log losses, NaN for trials that ended early, the first being the setting in use.
    """
    figure = empty_figure(11.5, 1.8 + 0.34 * max(len(names), 6))
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    _importance(left, names, shares)
    _history(right, values)
    return figure


def _importance(axes: Axes, names: Sequence[str], shares: Floats) -> None:
    places, percent = np.arange(len(names))[::-1], np.nan_to_num(100 * shares)
    most = max(float(percent.max(initial=0.0)), 1.0)
    axes.barh(places, percent, color=DARK, height=0.62)
    axes.set(title="What matters: in use → best of the study", xlabel="share of the variation between trials (%)", yticks=places, xlim=(0, 1.12 * most))
    axes.set_yticklabels(list(names), fontsize=8)
    if not np.isfinite(shares).all():
        axes.text(0.5, 0.5, "too few complete trials to say", transform=axes.transAxes, ha="center", color=MIDDLE)
        return
    for place, share in zip(places, percent, strict=True):
        axes.text(share + 0.012 * most, place, f"{share:.0f}", va="center", fontsize=8, color=MIDDLE)


def _history(axes: Axes, values: Floats) -> None:
    number = np.arange(len(values))
    complete = np.isfinite(values)
    low, high = float(values[complete].min()), float(max(values[0], np.quantile(values[complete], SHOWN)))
    room = 0.08 * max(high - low, 1e-6)
    beyond = complete & (values > high)
    axes.axhline(values[0], color=MIDDLE, linestyle="--", linewidth=1.2, label="setting in use")
    axes.step(number, np.fmin.accumulate(values), where="post", color=LIGHT, linewidth=2.2, label="best so far")
    axes.plot(number[complete & ~beyond], values[complete & ~beyond], "o", color=DARK, markersize=4, label="trial")
    if beyond.any():
        axes.plot(number[beyond], np.full(beyond.sum(), high + room), "^", color=MIDDLE, markersize=5, fillstyle="none", label="trial beyond this scale")
    if not complete.all():
        axes.plot(number[~complete], np.full((~complete).sum(), low - room), "|", color=MIDDLE, markersize=7, label="ended early")
    axes.set(title="Trials", xlabel="trial (number)", ylabel="log loss (nats per pair of person and topic)", ylim=(low - 2 * room, high + 2 * room))
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, frameon=False, fontsize=8)
