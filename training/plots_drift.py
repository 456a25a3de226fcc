"""The picture of drift: which features moved furthest, and where each topic's scores were and are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from training.plots import DARK, LIGHT, MIDDLE, Floats, empty_figure
from training.verdicts import DRIFTED, STABLE, WATCH, Verdict

FEATURES = 15
"""Features shown, those that moved furthest."""
TOPICS = 12
"""Topics shown, those whose scores moved furthest."""
_LONG = 8.0
"""An axis of bars is logarithmic beyond the level of drift where the longest bar is more than this many times that level."""
_OUTLINED = (Stroke(linewidth=3.4, foreground="white"), Normal())
"""A line that is seen on dark bars as on white."""
_TONES: Mapping[Verdict, str] = {DRIFTED: DARK, WATCH: MIDDLE, STABLE: LIGHT}
_WORDS: Mapping[Verdict, str] = {DRIFTED: "drifted", WATCH: "to watch", STABLE: "stable"}


class Curve(NamedTuple):
    """Scores of a topic: the shares of people, then and now, whose probability lies below each of the rising edges, all (k,)."""

    edges: Floats
    then: Floats
    now: Floats


def drift(
    names: Sequence[str], psi: Floats, verdicts: Sequence[Verdict], scores: Mapping[str, Curve], *, levels: tuple[float, float], title: str = "Drift"
) -> Figure:
    """Plot features by how far they moved beside the scores of each topic then and now.

    `names`, `psi` (m,) and `verdicts` are those of features, the furthest first: at most FEATURES are drawn; `psi` is the population stability index less
    what chance is expected to give and what was usual, `levels` from where on it is to be watched and has drifted. Of `scores` the first TOPICS are drawn.
    """
    shown, topics = min(len(names), FEATURES), list(scores)[:TOPICS]
    across = 1 if len(topics) == 1 else 2 if len(topics) <= 4 else 3
    down = max(-(-len(topics) // across), 1)
    figure = empty_figure(7.4 + 2.3 * across, max(2.4 + 0.3 * shown, 1.4 + 2.1 * down))
    parts = figure.add_gridspec(1, 2, width_ratios=[7.4, 2.3 * across])
    left, right = figure.add_subfigure(parts[0]), figure.add_subfigure(parts[1])
    figure.suptitle(title)
    _bars(left.add_subplot(), list(names)[:shown], psi[:shown], list(verdicts)[:shown], levels)
    _curves(right, {topic: scores[topic] for topic in topics}, down, across)
    return figure


def _bars(axes: Axes, names: Sequence[str], psi: Floats, verdicts: Sequence[Verdict], levels: tuple[float, float]) -> None:
    place = np.arange(len(names))[::-1]
    axes.barh(place, psi, color=[_TONES[verdict] for verdict in verdicts], height=0.7)
    for level, style, word in zip(levels, ("--", "-"), ("watch", "drifted"), strict=True):
        axes.axvline(level, color="black", linestyle=style, linewidth=1.3, path_effects=_OUTLINED)
        axes.annotate(f"{word}: {level:g}", (level, 1), xycoords=("data", "axes fraction"), xytext=(2, 2), textcoords="offset points", fontsize=8, rotation=30)
    most = max(float(psi.max(initial=0.0)), levels[1])
    if most > _LONG * levels[1]:
        axes.set_xscale("symlog", linthresh=levels[1])
        axes.set_xticks([0.0, *(step for step in (0.1, 0.25, 0.5, 1, 2, 5, 10, 20) if step <= 1.2 * most)])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set(
        xlim=(0, 1.15 * most), ylim=(-0.6, max(len(names), 1) - 0.4), yticks=place, xlabel="population stability index beyond chance and the usual (0: as ever)"
    )
    axes.set_yticklabels(names, fontsize=8)
    axes.legend(
        handles=[Patch(color=tone, label=_WORDS[verdict]) for verdict, tone in _TONES.items()],
        loc="lower right",
        fontsize=8,
        title="features",
        title_fontsize=8,
    )


def _curves(figure: SubFigure, scores: Mapping[str, Curve], down: int, across: int) -> None:
    """Draw the shares of people below each edge, then and now; a curve to the right of the other has higher scores."""
    for position, (topic, curve) in enumerate(scores.items()):
        axes = figure.add_subplot(down, across, position + 1)
        axes.set_title(topic, fontsize=9)
        if len(curve.edges) == 0:
            axes.text(0.5, 0.5, "too few people", ha="center", va="center", transform=axes.transAxes, fontsize=8)
            axes.set(xticks=[], yticks=[])
            continue
        axes.plot(100 * curve.edges, 100 * curve.then, color=MIDDLE, linestyle="--", marker="o", markersize=3, linewidth=1.3, label="then")
        axes.plot(100 * curve.edges, 100 * curve.now, color=DARK, linestyle="-", marker="s", markersize=3, linewidth=1.8, label="now")
        axes.set(ylim=(0, 100))
        _probabilities(axes, 100 * curve.edges)
        if position == 0:
            axes.legend(fontsize=8, loc="lower right", frameon=False)
    figure.supxlabel("probability (%)", fontsize=10)
    figure.supylabel("people with a lower one (%)", fontsize=10)


def _probabilities(axes: Axes, edges: Floats) -> None:
    """Make the axis logarithmic where probabilities differ by factors, with few and plain numbers."""
    if edges.min() > 0 and edges.max() > 5 * edges.min():
        axes.set_xscale("log")
        ticks = [tick for tick in (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100) if edges.min() <= 1.2 * tick and tick <= 1.2 * edges.max()]
        axes.set_xticks(ticks)
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(labelsize=8)
