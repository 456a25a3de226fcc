import itertools
import xml.etree.ElementTree as ET

import pytest

from serving.console import interval, waterfall
from serving.schemas import Explanation, ModelReference, Reason, Score

SVG = "{http://www.w3.org/2000/svg}"


def explanation(unit="log_odds", parts=(0.8, -0.3, 0.1), base=-2.0, rest=0.05):
    listed = [Reason(f"feature{number}", 1.0, f"reason {number} <&> in words", part, "does something") for number, part in enumerate(parts)]
    return Explanation(unit, base, listed, rest, base + sum(parts) + rest, "what it adds up to")


def drawn(why):
    rows = waterfall.steps(why, base_label="base", rest_label="rest", score_label="score")
    return rows, ET.fromstring(waterfall.draw(why, rows, title='a "title" & more'))


def score(value, low=None, high=None, scale="probability"):
    from datetime import UTC, datetime

    now = datetime(2026, 11, 1, tzinfo=UTC)
    return Score("affinity:x", value, scale, low, high, 0.9, None, "high", ModelReference("m", "1", "0"), now, now, now, "d")


@pytest.mark.parametrize("unit", ["log_odds", "percentage_points", "outcome_units"])
@pytest.mark.parametrize("parts", [(), (0.8, -0.3, 0.1), (-5.0,), tuple([0.1] * 20)])
def test_bars_meet_end_to_end(unit, parts):
    why = explanation(unit, parts)
    rows, svg = drawn(why)
    assert (rows[0].start, rows[-1].end) == (why.base, why.margin)
    assert all(after.start == pytest.approx(before.end) for before, after in itertools.pairwise(rows))
    bars = svg.findall(f"{SVG}rect")
    assert len(bars) == len(parts) + 1
    for before, after in itertools.pairwise(bars):
        ends = [{round(float(bar.get("x")), 1), round(float(bar.get("x")) + float(bar.get("width")), 1)} for bar in (before, after)]
        assert min(abs(one - other) for one in ends[0] for other in ends[1]) <= 0.2


def test_it_is_well_formed_labelled_and_without_inline_style():
    _, svg = drawn(explanation())
    assert svg.find(f"{SVG}title").text == 'a "title" & more'
    assert svg.get("role") == "img"
    assert not any("style" in part.attrib for part in svg.iter())
    words = " ".join(part.text or "" for part in svg.iter(f"{SVG}text"))
    assert "reason 0 <&> in words" in words
    assert "\N{MINUS SIGN}0.30" in words


@pytest.mark.parametrize("factor", [1e-4, 1.0, 1e4])
def test_units_of_an_outcome_of_any_size_are_told_apart_on_the_axis(factor):
    why = explanation("outcome_units", (0.8 * factor, -0.3 * factor), base=0.2 * factor, rest=0.05 * factor)
    _, svg = drawn(why)
    ticks = [part.text for part in svg.iter(f"{SVG}text") if part.get("class") == "tick"]
    assert len(ticks) == len(set(ticks)) >= 2
    words = " ".join(part.text or "" for part in svg.iter(f"{SVG}text"))
    assert "in units of the outcome" in words
    assert "pp" not in words


def test_nothing_stands_outside():
    for why in (explanation(parts=(1e-9,), base=-20.0, rest=0.0), explanation("percentage_points", (300.0, -700.0)), explanation(parts=(9.0,), base=-9.0)):
        _, svg = drawn(why)
        _, _, width, height = map(float, svg.get("viewBox").split())
        for bar in svg.findall(f"{SVG}rect"):
            assert 0 <= float(bar.get("x")) <= float(bar.get("x")) + float(bar.get("width")) <= width
            assert 0 <= float(bar.get("y")) <= height


def test_intervals_share_one_scale_and_hold_their_value():
    scores = [score(0.1, 0.05, 0.2), score(0.4, 0.3, 0.5), score(0.02)]
    scale = interval.scale_of(scores)
    assert (scale.low, scale.high) == (0.0, 0.5)
    places = []
    for one in scores:
        svg = ET.fromstring(interval.draw(one, scale, title="words"))
        places.append(float(svg.find(f"{SVG}circle").get("cx")))
        ranges = [line for line in svg.findall(f"{SVG}line") if line.get("class") == "range"]
        assert len(ranges) == (one.low is not None)
        for line in ranges:
            assert float(line.get("x1")) <= places[-1] <= float(line.get("x2"))
    assert places == sorted(places[:1]) + places[1:]
    assert places[2] < places[0] < places[1]


def test_a_scale_of_uplifts_has_zero_inside():
    scale = interval.scale_of([score(-1.0, -3.0, 1.0, "uplift_pp")])
    assert scale.low == -3.0
    assert "zero" in interval.draw(score(-1.0, -3.0, 1.0, "uplift_pp"), scale, title="t")
    assert interval.scale_of([]).x(0.0) == interval.scale_of([score(0.0)]).x(0.0)
