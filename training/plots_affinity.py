"""Pictures of topic affinity: whether probabilities hold, what their order reaches, what more rows bring, which topics go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy import stats
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from models import metrics
from training.plots import DARK, LIGHT, LINES, MIDDLE, Floats, Integers, empty_figure
from training.resampling import PersonBootstrap

BINS = 10
LIFT_SHARES = np.arange(1, 101) / 100
"""Shares of pairs addressed at which a lift is stated."""
FEW = 5.0
"""A cell that chance alone is expected to fill with fewer rows says nothing (Cochran 1954)."""
INDEPENDENT = "pairs taken as independent"
"""What a Wilson interval takes for granted, and a person's several pairs are not."""
NARROWEST = 6.0
"""Inches that a title takes."""
MOST_TOPICS = 30
"""Topics of a co-engagement map, the most frequent ones: with more, its numbers cannot be read."""
TOGETHER = LinearSegmentedColormap.from_list("together", ["#ffffff", LIGHT, DARK])
"""From seldom to often together; its lightness falls all the way, so it reads the same in grey."""
_FAR = 2.0
"""Powers of 2 at which shades end: a few extreme pairs must not take all of them. Beyond that topics are no nearer or farther either."""
_RED_GREEN_BLUE = np.array([0.2126, 0.7152, 0.0722])
"""What each contributes to lightness (ITU-R BT.709)."""
_INK = 0.18
"""Lightness at which black and white can be read equally well: the contrast of either is 4.6."""


def reliability(probability: Floats, label: Floats, *, coverage: float = 0.90, title: str = "Calibration, all topics") -> Figure:
    """Plot observed rates against predicted probabilities, in tenths of the predictions, with Wilson intervals, which take pairs as independent.

    `probability` (n,) in [0, 1]; `label` (n,) 0 or 1. The points of a calibrated model lie on the diagonal.
    """
    figure = empty_figure(6, 5.5)
    axes = figure.add_subplot()
    _reliability(axes, probability, label, coverage)
    axes.set(title=title, xlabel="predicted probability (%)", ylabel="pairs of person and topic with an engagement (%)")
    axes.legend(loc="upper left", frameon=False)
    return figure


def reliability_by_topic(probability: Floats, label: Floats, topics: Sequence[str], *, coverage: float = 0.90) -> Figure:
    """Plot one small calibration curve per topic, in tenths of its predictions, with its expected calibration error (`models.metrics.ece`).

    Intervals as in `reliability`. `probability` and `label` are (n, n_topics), `label` NaN where unknown.
    """
    across = min(4, max(1, len(topics)))
    down = -(-len(topics) // across)
    figure = empty_figure(max(2.9 * across, NARROWEST), 0.3 + 2.9 * down)
    for position, topic in enumerate(topics):
        axes = figure.add_subplot(down, across, position + 1)
        known = ~np.isnan(label[:, position])
        _reliability(axes, probability[known, position], label[known, position], coverage)
        found = metrics.ece(label[known, position], probability[known, position])
        axes.set_title(f"{topic}\n" + (f"ECE {found:.3f}" if known.any() else "no label is known"), fontsize=10)
    figure.suptitle(f"Calibration by topic: tenths of the predictions, {coverage:.0%} intervals ({INDEPENDENT})", fontsize=11)
    figure.supxlabel("predicted probability (%)", fontsize=10)
    figure.supylabel("people who did engage (%)", fontsize=10)
    return figure


def gain(label: Floats, scores: Mapping[str, Floats], *, title: str = "Cumulative gain") -> Figure:
    """Plot the share of all engagements that is reached by addressing the best-scored pairs of person and topic first.

    `label` (n,) 0 or 1; `scores` name (n,) scores, the model's first. Random order is the diagonal.
    """
    figure = empty_figure(6, 5.5)
    axes = figure.add_subplot()
    axes.plot([0, 100], [0, 100], color=LIGHT, linewidth=1.2, label="random order")
    for position, (name, score) in enumerate(scores.items()):
        addressed, reached = gain_curve(label, score)
        _score_line(axes, position, name, addressed, 100 * reached)
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


def lift(
    label: Floats, scores: Mapping[str, Floats], *, band: tuple[Floats, Floats] | None = None, coverage: float = 0.90, title: str = "Cumulative lift"
) -> Figure:
    """Plot how many times the average rate is reached among the best-scored pairs of person and topic, by the share of pairs addressed.

    `label` (n,) 0 or 1; `scores` name (n,) scores, the model's first; `band` is the model's low and high (100,) at `LIFT_SHARES`, as
    `lift_band` gives it, with `coverage`. Random order is 1.
    """
    figure = empty_figure(6, 5.5)
    axes = figure.add_subplot()
    if band is not None:
        axes.fill_between(100 * LIFT_SHARES, *band, color=LIGHT, linewidth=0, label=f"{coverage:.0%} band over people, point by point")
    axes.axhline(1, color=MIDDLE, linewidth=1.2, label="random order")
    for position, (name, score) in enumerate(scores.items()):
        _score_line(axes, position, name, LIFT_SHARES, lift_curve(label, score))
    axes.set(title=title, xlabel="pairs of person and topic addressed (%)", ylabel="engagement rate among them (times the average)", xlim=(0, 100))
    axes.set_ylim(0, max(1.3, 1.05 * axes.get_ylim()[1]))
    axes.legend(loc="upper right", frameon=False)
    return figure


def lift_curve(label: Floats, score: Floats) -> Floats:
    """Return the lift (100,) at `LIFT_SHARES`: the share of the engagements reached over the share addressed; 1 where there are none."""
    return np.asarray(gain_curve(label, score, points=len(LIFT_SHARES) + 1)[1][1:] / LIFT_SHARES)


def lift_band(boot: PersonBootstrap, label: Floats, score: Floats, row: Integers) -> tuple[Floats, Floats]:
    """Return low and high (100,) of `lift_curve` over people, point by point: the curve ± z standard errors, not below 0.

    `label` and `score` (m,) are of pairs that belong to the rows `row` (m,) of `boot`. NaN where no draw has an engagement.
    """
    size = len(LIFT_SHARES)
    _, place, count = np.unique(-score, return_inverse=True, return_counts=True)
    cell = np.minimum(((np.cumsum(count) - count / 2) / max(len(score), 1) * size).astype(np.int64), size - 1)[place]
    code = boot.codes[row] * size + cell
    pairs, hits = (np.bincount(code, weight, boot.n_people * size).reshape(boot.n_people, size) for weight in (None, label))
    addressed, reached = (np.cumsum(boot.weights @ each, axis=1) for each in (pairs, hits))
    draws = [np.interp(LIFT_SHARES, np.r_[0, a / a[-1]], np.r_[0, h / h[-1]]) / LIFT_SHARES for a, h in zip(addressed, reached, strict=True) if h[-1] > 0]
    if len(draws) < 2:
        return np.full(size, np.nan), np.full(size, np.nan)
    reach = float(stats.norm.ppf(0.5 + boot.coverage / 2)) * np.std(draws, axis=0, ddof=1)
    value = lift_curve(label, score)
    return np.maximum(value - reach, 0.0), value + reach


def learning_curve(names: Sequence[str], measures: Mapping[str, tuple[Floats, Floats, Floats]], *, coverage: float, along: str, title: str) -> Figure:
    """Plot what models of more and more rows reach on the same test rows: a panel per measure, a point with its interval per model.

    `names` (m,) stand under the points and `along` under them; `measures` give value, low and high, each (m,), by the words of the
    panel's axis, unit included.
    """
    figure = empty_figure(max(0.6 + 4.2 * len(measures), 1.4 * NARROWEST), 4.5)
    figure.suptitle(title)
    places = np.arange(len(names))
    for position, (words, (value, low, high)) in enumerate(measures.items()):
        axes = figure.add_subplot(1, len(measures), position + 1)
        axes.axhline(value[-1], color=MIDDLE, linestyle="--", linewidth=1.2, label="all rows")
        reach = np.vstack([value - low, high - value])
        axes.errorbar(places, value, yerr=reach, fmt="o-", color=DARK, markersize=5, capsize=4, label=f"{coverage:.0%} interval over people")
        axes.set(ylabel=words, xticks=places, xlim=(-0.4, len(names) - 0.6))
        axes.set_xticklabels(names, fontsize=9)
        if position == 0:
            figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", frameon=False, fontsize=9)
    figure.supxlabel(along, fontsize=10)
    return figure


def co_engagement(label: Floats, topics: Sequence[str], *, title: str = "Topics that people engage with together") -> Figure:
    """Plot how many times as often as by chance people engage with both of two topics, topics that go together side by side.

    `label` (n, n_topics) 0, 1 or NaN for unknown. A number is `co_engagement_lift`; a cell is hatched where there are too few to say, and
    the diagonal has the share of rows with an engagement. Where a few people do most, most numbers lie above 1.
    Of more than `MOST_TOPICS` topics the most frequent are shown.
    """
    together, rate = co_engagement_lift(label)
    shown = np.sort(np.argsort(-np.nan_to_num(rate), kind="stable")[:MOST_TOPICS])
    order = shown[clustered(together[np.ix_(shown, shown)])]
    together, rate, names = together[np.ix_(order, order)], rate[order], [topics[topic] for topic in order]
    shade = _closeness(together)
    np.fill_diagonal(shade, 0.0)
    most = max(0.5, float(np.abs(shade).max(initial=0.0)))
    title = title if len(topics) <= MOST_TOPICS else f"{title}: the {MOST_TOPICS} most frequent of {len(topics)}"
    figure = empty_figure(max(2.6 + 0.44 * len(names), NARROWEST), max(2.0 + 0.44 * len(names), 0.8 * NARROWEST))
    axes = figure.add_subplot()
    axes.imshow(np.ma.array(shade, mask=np.eye(len(names), dtype=bool) | np.isnan(together)), cmap=TOGETHER, vmin=-most, vmax=most)
    _numbers(axes, together, rate, 0.5 + shade / (2 * most))
    axes.set(title=title, xticks=range(len(names)), yticks=range(len(names)), ylabel="topic")
    axes.set_xlabel("topic (diagonal: rows with an engagement, %; hatched: too few to say)", fontsize=9)
    axes.set_xticklabels(names, rotation=90, fontsize=9)
    axes.set_yticklabels(names, fontsize=9)
    axes.tick_params(length=0)
    extend = "both" if most == _FAR else "neither"
    bar = figure.colorbar(ScalarMappable(Normalize(-most, most), TOGETHER), ax=axes, ticks=_whole_powers(most), extend=extend, shrink=0.8, pad=0.02)
    bar.ax.set_yticklabels([f"{2.0**power:.3g}" for power in _whole_powers(most)])
    bar.set_label("engagements with both (times what independence would give)", fontsize=9)
    return figure


def co_engagement_lift(label: Floats) -> tuple[Floats, Floats]:
    """Return P(a and b) / (P(a)·P(b)) for each two topics (n_topics, n_topics), and the rate P(a) of each (n_topics,).

    `label` (n, n_topics) 0, 1 or NaN; two topics are compared on the rows where both are known. 1 is independence, and P(b | a) / P(b) is the
    same number. NaN where independence would give fewer than `FEW` rows with both, and for the rate of a topic without a known label.
    """
    known = (~np.isnan(label)).astype(np.float64)
    engaged = (label == 1).astype(np.float64)
    rows, alone, both = known.T @ known, engaged.T @ known, engaged.T @ engaged
    expected = np.divide(alone * alone.T, rows, out=np.zeros_like(rows), where=rows > 0)
    together = np.divide(both, expected, out=np.full_like(rows, np.nan), where=expected >= FEW)
    count = np.diag(rows)
    return together, np.divide(np.diag(both), count, out=np.full(len(count), np.nan), where=count > 0)


def clustered(together: Floats) -> Integers:
    """Return the order (n_topics,) in which topics that go together are neighbours, from a symmetric matrix of lifts, NaN counting as 1.

    Hierarchical clustering by average linkage of the largest log-lift less the pair's own, leaves in the order of Bar-Joseph et al. 2001.
    """
    if len(together) < 3:
        return np.arange(len(together), dtype=np.int64)
    closeness = _closeness(together)
    distance = closeness.max() - closeness
    np.fill_diagonal(distance, 0.0)
    links = hierarchy.linkage(squareform(distance, checks=False), method="average", optimal_ordering=True)
    return np.asarray(hierarchy.leaves_list(links), dtype=np.int64)


def _closeness(together: Floats) -> Floats:
    """Return lifts in powers of 2 within ±`_FAR`, 0 where they are missing."""
    return np.asarray(np.log2(np.clip(np.where(np.isnan(together), 1.0, together), 2.0**-_FAR, 2.0**_FAR)))


def reliability_points(probability: Floats, label: Floats, *, coverage: float, bins: int = BINS) -> tuple[Floats, Floats, Floats, Floats]:
    """Return mean prediction, observed rate and the Wilson interval's low and high per bin of equal size, each (m,), m <= bins.

    Equal predictions share a bin, as in `models.metrics.reliability`.
    """
    found = metrics.reliability(label, probability, n_bins=bins)
    mean, rate, count = (np.array([getattr(each, name) for each in found]) for name in ("predicted", "observed", "count"))
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
        mean,
        rate,
        yerr=np.vstack([rate - low, high - rate]),
        fmt="o-",
        markersize=4,
        color=DARK,
        capsize=3,
        label=f"observed, {coverage:.0%} interval ({INDEPENDENT})",
    )
    axes.set(xlim=(0, most), ylim=(0, most))


def _score_line(axes: Axes, position: int, name: str, addressed: Floats, reached: Floats) -> None:
    """Draw the curve of one score; the first is the model's."""
    tone, width = (DARK, 2.2) if position == 0 else (MIDDLE, 1.5)
    axes.plot(100 * addressed, reached, color=tone, linestyle=LINES[position % len(LINES)], linewidth=width, label=name)


def _numbers(axes: Axes, together: Floats, rate: Floats, part: Floats) -> None:
    """Write the lifts into their cells, hatched where missing, and the rates (n_topics,) on the diagonal; `part` in [0, 1] is how dark a cell is."""
    for row, column in np.ndindex(together.shape):
        if row == column:
            axes.text(column, row, _percent(float(rate[row])), ha="center", va="center", fontsize=7, color=DARK, style="italic")
        elif np.isnan(together[row, column]):
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=LIGHT, linewidth=0, hatch="////"))
        else:
            lightness = float(np.array(TOGETHER(part[row, column])[:3]) ** 2.2 @ _RED_GREEN_BLUE)
            ink = "black" if lightness > _INK else "white"
            axes.text(column, row, _short(float(together[row, column])), ha="center", va="center", fontsize=8, color=ink)


def _short(value: float) -> str:
    """Return a lift in at most four characters."""
    return f"{value:.2f}" if value < 0.095 else f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def _percent(rate: float) -> str:
    return "" if np.isnan(rate) else f"{100 * rate:.0f}%" if rate >= 0.095 else f"{100 * rate:.1f}%"


def _whole_powers(most: float) -> list[float]:
    """Return the powers of 2 that a colour bar over ±most names: whole ones, or halves where there is none but 0."""
    step = 1.0 if most >= 1 else 0.5
    return [float(power) for power in np.arange(-(most // step), most // step + 0.5) * step]
