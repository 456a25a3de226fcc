"""A score with its interval as a small SVG bar, all bars of one kind on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from serving.console.drawing import element
from serving.schemas import Score

WIDTH, HEIGHT = 200.0, 24.0
_EDGE = 6.0


@dataclass(frozen=True, slots=True)
class Scale:
    """What the ends of the bars mean, in the score's own scale."""

    low: float
    high: float

    def x(self, value: float) -> float:
        """Return the place of a value, kept inside the bar."""
        share = (value - self.low) / (self.high - self.low)
        return _EDGE + min(max(share, 0.0), 1.0) * (WIDTH - 2 * _EDGE)


def scale_of(scores: Sequence[Score]) -> Scale:
    """Return one scale for scores of one kind: from zero for probabilities, both sides of zero for uplifts."""
    ends = [end for score in scores for end in (score.value, score.low, score.high) if end is not None]
    high, low = max([*ends, 0.0]), min([*ends, 0.0])
    return Scale(low, high if high > low else low + 1.0)


def draw(score: Score, scale: Scale, *, title: str) -> str:
    """Return the bar: a track, the interval as a thick line where there is one, the value as a dot, zero as a tick where it is inside."""
    middle = HEIGHT / 2
    parts = [element("title", escape(title)), element("line", class_="track", x1=_EDGE, x2=WIDTH - _EDGE, y1=middle, y2=middle)]
    if scale.low < 0:
        parts.append(element("line", class_="zero", x1=scale.x(0), x2=scale.x(0), y1=middle - 8, y2=middle + 8))
    if score.low is not None and score.high is not None:
        parts.append(element("line", class_="range", x1=scale.x(score.low), x2=scale.x(score.high), y1=middle, y2=middle))
    parts.append(element("circle", class_="dot", cx=scale.x(score.value), cy=middle, r=5))
    return element("svg", "".join(parts), class_="interval", viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}", role="img", xmlns="http://www.w3.org/2000/svg")
