"""The picture of a draw: how alike the arms were before anything was done."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from training.plots import DARK, LIGHT, MIDDLE, Floats, empty_figure

MARKS = (("o", DARK), ("s", MIDDLE), ("D", "white"), ("^", "black"), ("v", LIGHT))
"""Arms are told apart by shape first, and by tone."""
THRESHOLD = 0.1
"""A standardised difference that is worth seeing. Source: Austin 2009."""


def love_plot(
    names: Sequence[str], differences: Floats, arms: Sequence[str], *, control: str, title: str, top: int = 30, threshold: float = THRESHOLD
) -> Figure:
    """Plot the `top` largest standardised mean differences, a dot for each arm, with lines at ± `threshold`.

    `differences` (m, k) in standard deviations of the feature, `names` (m,) of features, `arms` (k,) those that are compared with `control`. Features are
    ordered by their largest absolute difference. After T. Love's plot, in Austin 2009; infinite ones are drawn at the edge.
    """
    strength = np.abs(differences).max(axis=1, initial=0.0)
    shown = np.argsort(-strength, kind="stable")[:top][::-1]
    figure = empty_figure(9.0, 1.7 + 0.27 * max(len(shown), 1))
    axes = figure.add_subplot()
    finite = np.abs(differences[shown])[np.isfinite(differences[shown])]
    reach = 1.15 * max(float(finite.max(initial=0.0)), threshold)
    rows = np.arange(len(shown))
    axes.hlines(rows, 0, np.clip(_widest(differences[shown]), -reach, reach), color=LIGHT, linewidth=1.5, zorder=1)
    for number, arm in enumerate(arms):
        shape, tone = MARKS[number % len(MARKS)]
        axes.scatter(
            np.clip(differences[shown, number], -reach, reach), rows, s=34, marker=shape, color=tone, edgecolors="black", linewidths=0.7, label=arm, zorder=3
        )
    axes.axvline(0, color=MIDDLE, linewidth=1, zorder=0)
    for number, edge in enumerate((-threshold, threshold)):
        axes.axvline(edge, color=MIDDLE, linestyle="--", linewidth=1.2, zorder=0, label=f"±{threshold:g}" if number else None)
    axes.set(title=title, xlabel=f"difference from {control} (standard deviations)", xlim=(-1.04 * reach, 1.04 * reach))
    axes.set(yticks=rows, ylim=(-0.7, max(len(shown), 1) - 0.3))
    axes.set_yticklabels([_short(names[row]) for row in shown], fontsize=8)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(arms) + 1, frameon=False)
    return figure


def _widest(differences: Floats) -> Floats:
    """Return each row's value that is furthest from 0, (m,)."""
    place = np.argmax(np.abs(differences), axis=1) if differences.size else np.zeros(len(differences), dtype=np.int64)
    return np.asarray(differences[np.arange(len(differences)), place])


def _short(name: str, limit: int = 70) -> str:
    return name if len(name) <= limit else f"{name[: limit - 1]}…"
