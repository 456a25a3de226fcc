import pytest

from serving.console.numbers import amount, in_scale, logit, percent, plain, points, sigmoid, units


@pytest.mark.parametrize(("probability", "words"), [(0.0042, "0.42"), (0.031, "3.1"), (0.642, "64"), (0.951, "95.1"), (0.9991, "99.91"), (0.0, "0.00")])
def test_percent(probability, words):
    assert percent(probability) == f"{words}\N{NARROW NO-BREAK SPACE}%"


@pytest.mark.parametrize(("value", "words"), [(1.239, "+1.24"), (-0.5, "\N{MINUS SIGN}0.50"), (-0.001, "0.00"), (0.0, "0.00")])
def test_signs(value, words):
    assert plain(value, 2, signed=True) == words
    assert points(value).startswith(words)


@pytest.mark.parametrize(
    ("value", "words"), [(0.42, "+0.420"), (12.34, "+12.3"), (-0.00123, "\N{MINUS SIGN}0.00123"), (1250.4, "+1250"), (0.0, "0.00"), (1e-12, "0.00000000")]
)
def test_units_of_an_outcome_have_three_digits_at_any_size(value, words):
    assert units(value) == amount(value, "outcome_units") == in_scale(value, "uplift") == words


def test_each_scale_has_its_own_way_of_writing():
    assert [in_scale(0.42, scale) for scale in ("probability", "uplift_pp", "uplift")] == [percent(0.42), points(0.42), units(0.42)]


def test_sigmoid_and_logit_are_inverse():
    for margin in (-30.0, -2.0, 0.0, 3.5):
        assert logit(sigmoid(margin)) == pytest.approx(margin)
    assert (sigmoid(-1000.0), sigmoid(1000.0)) == (0.0, 1.0)
