import numpy as np
import pytest

from serving.bands import BANDS, SAMPLE, band, band_places, cut, sample_rows


def test_a_fifth_is_high_and_half_is_low():
    values = np.random.default_rng(0).random(2000)
    bands = cut(values)
    shares = {name: np.mean([band(value, bands) == name for value in values]) for name in ("high", "medium", "low")}
    assert shares == {"high": pytest.approx(0.2, abs=0.002), "medium": pytest.approx(0.3, abs=0.002), "low": pytest.approx(0.5, abs=0.002)}


def test_a_negative_uplift_is_never_high():
    bands = cut(np.linspace(-9, -1, 100))
    assert band(-0.5, bands, signed=True) == "negative"
    assert band(0.5, bands, low=0.1, signed=True) == "high"
    for low in (-0.1, 0.0, None):
        assert band(0.5, bands, low=low, signed=True) == "medium", "no label from a point estimate"
    assert band(-0.5, bands) == "high"


@pytest.mark.parametrize("signed", [False, True])
def test_bands_of_many_are_those_of_each(signed):
    draw = np.random.default_rng(1)
    values = draw.normal(0.5, 1, 500) if signed else draw.random(500)
    low = np.where(draw.random(500) < 0.1, np.nan, values - draw.random(500))
    bands = cut(values, signed=signed)
    values[:2] = bands.low_below, bands.high_from
    one_by_one = [band(value, bands, low=None if np.isnan(end) else end, signed=signed) for value, end in zip(values, low, strict=True)]
    assert [BANDS[place] for place in band_places(values, low, bands, signed=signed)] == one_by_one


def test_equal_values_have_one_band():
    assert band(0.3, cut(np.full(10, 0.3))) == "high"


@pytest.mark.parametrize("people", [0, 1, 2, SAMPLE, SAMPLE + 1, 10 * SAMPLE])
def test_the_sample_is_of_the_base(people):
    rows = sample_rows(people)
    assert len(rows) == min(people, SAMPLE)
    assert len(set(rows.tolist())) == len(rows)
    assert people == 0 or (rows[0] == 0 and rows[-1] in {people - 1, 0})
