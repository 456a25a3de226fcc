"""The waterfall of one score as SVG: from the base, through each reason, to the score; drawn by the server."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Literal

from serving.console.drawing import element, text, wrap
from serving.console.numbers import amount, logit, percent, plain, sigmoid
from serving.schemas import Explanation, Unit

_LINE, _PAD, _GAP, _BAR, _TOP, _AXIS = 17.0, 9.0, 3.0, 16.0, 8.0, 44.0
_LABEL_LINES = 3
_TICK_PROBABILITIES = (0.0001, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
_MARGIN_SHARE = 0.06
_TICK_ROOM = 18.0
_AXES: dict[Unit, str] = {
    "log_odds": "probability (the bars add up in log-odds)",
    "percentage_points": "effect of contact, in percentage points",
    "outcome_units": "effect of contact, in units of the outcome",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """How a waterfall is laid out: bars between `left` and `right`; labels beside them, or above them where it is `stacked`."""

    name: str
    width: float
    left: float
    right: float
    characters: int
    ticks: int
    stacked: bool = False


WIDE = Layout("wide", 760, 322, 664, 46, 6)
NARROW = Layout("slim", 340, 4, 336, 38, 4, stacked=True)


@dataclass(frozen=True, slots=True)
class Step:
    """One row: a bar from `start` to `end`; `total` rows (the base, the score) stand as a mark."""

    label: str
    start: float
    end: float
    kind: Literal["total", "up", "down", "rest"]
    shown: str


def steps(explanation: Explanation, *, base_label: str, rest_label: str, score_label: str) -> list[Step]:
    """Return the rows of an explanation; each bar starts where the one before ended and the last one ends at the margin."""
    rows = [Step(base_label, explanation.base, explanation.base, "total", _total(explanation.base, explanation))]
    position = explanation.base
    for part in explanation.reasons:
        kind: Literal["up", "down"] = "up" if part.contribution >= 0 else "down"
        rows.append(Step(part.text, position, position + part.contribution, kind, amount(part.contribution, explanation.unit)))
        position += part.contribution
    rows.append(Step(rest_label, position, explanation.margin, "rest", amount(explanation.rest, explanation.unit)))
    rows.append(Step(score_label, explanation.margin, explanation.margin, "total", _total(explanation.margin, explanation)))
    return rows


def draw(explanation: Explanation, rows: list[Step], *, title: str, layout: Layout = WIDE) -> str:
    """Return the SVG of those rows, with a title that says the same in words."""
    canvas = _Canvas(layout, *_span(rows))
    labels = [wrap(row.label, layout.characters, lines=_LABEL_LINES) for row in rows]
    heights = [len(lines) * _LINE + 2 * _PAD + (_BAR + _GAP if layout.stacked else 0) for lines in labels]
    tops = [_TOP + sum(heights[:number]) for number in range(len(rows))]
    bottom = _TOP + sum(heights)
    middles = [top + (height - 2 * _PAD - _BAR / 2 if layout.stacked else height / 2) for top, height in zip(tops, heights, strict=True)]
    parts = [element("title", escape(title)), *canvas.axis(explanation, bottom)]
    if not layout.stacked:  # between stacked rows stand words
        parts += [canvas.link(row.start, before, middle) for row, (before, middle) in zip(rows[1:], pairwise(middles), strict=True)]
    for row, lines, top, middle in zip(rows, labels, tops, middles, strict=True):
        first = top + 12 if layout.stacked else middle - (len(lines) - 1) * _LINE / 2 + 4.5
        parts += canvas.row(row, lines, first, middle)
    size = f"0 0 {layout.width:.0f} {bottom + _AXIS:.0f}"
    return element("svg", "".join(parts), class_=f"waterfall {layout.name}", viewBox=size, role="img", xmlns="http://www.w3.org/2000/svg")


@dataclass(frozen=True, slots=True)
class _Canvas:
    layout: Layout
    low: float
    high: float

    def x(self, value: float) -> float:
        return self.layout.left + (value - self.low) / (self.high - self.low) * (self.layout.right - self.layout.left)

    def row(self, row: Step, lines: list[str], first: float, middle: float) -> Iterator[str]:
        strong = " strong" if row.kind == "total" else ""
        for number, line in enumerate(lines):
            yield text(line, 0, first + number * _LINE, class_=f"label{strong}")
        start, end = sorted((self.x(row.start), self.x(row.end)))
        if row.kind == "total":
            yield element("line", class_="mark", x1=start, x2=start, y1=middle - _BAR / 2 - 1, y2=middle + _BAR / 2 + 1)
        else:
            yield element("rect", class_=f"bar {row.kind}", x=start, y=middle - _BAR / 2, width=max(end - start, 1.0), height=_BAR, rx=2)
        height = first if self.layout.stacked else middle + 4.5
        yield text(row.shown, self.layout.width, height, class_=f"amount {row.kind}{strong}", text_anchor="end")

    def link(self, value: float, before: float, middle: float) -> str:
        return element("line", class_="link", x1=self.x(value), x2=self.x(value), y1=before + _BAR / 2, y2=middle - _BAR / 2)

    def axis(self, explanation: Explanation, bottom: float) -> Iterator[str]:
        for value, words in _ticks(explanation, self.low, self.high, self.layout.ticks):
            x = self.x(value)
            yield element("line", class_="grid", x1=x, x2=x, y1=_TOP, y2=bottom)
            yield text(words, min(max(x, _TICK_ROOM), self.layout.width - _TICK_ROOM), bottom + 17, class_="tick", text_anchor="middle")
        yield text(_AXES[explanation.unit], (self.layout.left + self.layout.right) / 2, bottom + 37, class_="axis", text_anchor="middle")


def _total(value: float, explanation: Explanation) -> str:
    return percent(sigmoid(value)) if explanation.unit == "log_odds" else amount(value, explanation.unit)


def _span(rows: list[Step]) -> tuple[float, float]:
    ends = [end for row in rows for end in (row.start, row.end)]
    low, high = min(ends), max(ends)
    room = max((high - low) * _MARGIN_SHARE, 1e-6)
    return low - room, high + room


def _ticks(explanation: Explanation, low: float, high: float, most: int) -> list[tuple[float, str]]:
    if explanation.unit == "log_odds":
        inside = [(logit(probability), percent(probability)) for probability in _TICK_PROBABILITIES if low <= logit(probability) <= high]
        if len(inside) >= 2:
            return inside[:: -(-len(inside) // most)]
        return [(value, percent(sigmoid(value))) for value in (low + (high - low) * share for share in (0.1, 0.5, 0.9))]
    step = _round_step((high - low) / (most - 1))
    first = math.floor(low / step) + 1
    decimals = max(0, -math.floor(math.log10(step * (1 + 1e-9))))
    return [(number * step, plain(number * step, decimals, signed=True)) for number in range(first, math.floor(high / step) + 1)]


def _round_step(step: float) -> float:
    magnitude = 10.0 ** math.floor(math.log10(step))
    return next(magnitude * factor for factor in (1, 2, 5, 10) if magnitude * factor >= step * (1 - 1e-9))
