"""What the base as a whole says: priors worked out by hand, the same in any order and in any blocks, and through JSON."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.catalogue import Feature
from features.context import LEAST_STRENGTH, MOST_STRENGTH, Context, Moments, Prior, Sums, denominator, fill, formulas, moments, numerators, prior
from tests.features.histories import WORDS

NOW = datetime(2026, 3, 31, 12, 30, tzinfo=UTC)
ANSWERS = Feature("count", "any-engagement", "any", "any", "all")
SENT = Feature("count", "any-out", "any", "any", "all")
RATE, AREA, SUPPLY = (Feature(statistic, "any-out", "any", "any", "all") for statistic in ("rate", "area", "supply"))
FEATURES = (ANSWERS, SENT, RATE, AREA, SUPPLY)
FORMULAS = formulas(FEATURES, WORDS)


def of(x, s):
    return prior(moments(np.array(x, float), np.array(s, float)))


def people(x, s):
    matrix = np.full((len(x), len(FEATURES)), np.nan, np.float32)
    matrix[:, 0], matrix[:, 1] = x, s
    return matrix


def context(x, s, area=None, areas=()):
    sums = Sums(FORMULAS)
    sums.add(people(x, s), np.array(area if area is not None else [-1] * len(x), np.int32), areas)
    return sums.context(NOW, {"interactions": 3})


def test_sums_are_those_of_the_units():
    assert moments(np.array([0.0, 10, 2]), np.array([10.0, 10, 4])) == Moments(12, 24, 104, 108, 216)


def test_a_prior_by_hand():
    # mean 12/24; sum of (x - s/2)^2 = 25 + 25 + 0; less 12 answers that Poisson alone scatters: 38; strength 0.5 * 216 / 38
    found = of([0, 10, 2], [10, 10, 4])
    assert found.mean == 0.5
    assert found.strength == pytest.approx(108 / 38, rel=1e-15)


@pytest.mark.parametrize(
    ("x", "s", "expected"),
    [
        ([], [], (0.0, 1.0)),
        ([3, 1], [0, 0], (0.0, 1.0)),
        ([0, 0], [5, 9], (0.0, 1.0)),
        ([5, 5, 5], [10, 10, 10], (0.5, MOST_STRENGTH)),  # everyone alike: less scatter than Poisson has
        ([0, 100], [1, 1], (50.0, LEAST_STRENGTH)),  # strength by moments 50 * 2 / 4900, clipped
    ],
)
def test_a_prior_without_messages_without_answers_without_differences_or_with_nothing_but_them(x, s, expected):
    assert of(x, s) == expected


def test_a_prior_finds_the_gamma_that_rates_were_drawn_from():
    random = np.random.default_rng(1)
    rates = random.gamma(4.0, 0.3 / 4.0, 200_000)
    sent = random.integers(0, 40, rates.size).astype(float)
    found = of(random.poisson(rates * sent), sent)
    assert found.mean == pytest.approx(0.3, rel=0.01)
    assert found.strength == pytest.approx(4 / 0.3, rel=0.03)


def test_rates_are_shrunk_and_areas_leave_the_person_out():
    x, s, area = [0, 10, 2, 1], [10, 10, 4, 0], [0, 0, 1, 0]
    found = context(x, s, area, ["north", "south"])
    matrix = people(x, s)
    fill(matrix, np.array(area, np.int32), ["north", "south"], FORMULAS, found)
    mean, strength = found.priors[RATE.name]
    np.testing.assert_array_equal(
        matrix[:, 2], np.float32([mean * strength / (10 + strength), (10 + mean * strength) / (10 + strength), (2 + mean * strength) / (4 + strength), np.nan])
    )
    mean, strength = found.priors[AREA.name]
    assert (mean, strength) == of([11, 2], [20, 4])
    assert found.areas[AREA.name] == {"north": (11, 20), "south": (2, 4)}
    expected = [(11 + mean * strength) / (10 + strength), (1 + mean * strength) / (10 + strength), np.nan, (10 + mean * strength) / (20 + strength)]
    np.testing.assert_array_equal(matrix[:, 3], np.float32(expected))
    assert found.supply == {SUPPLY.name: 6.0}
    assert (matrix[:, 4] == 6).all()


def test_an_area_that_the_context_does_not_know_or_of_nobody_is_missing():
    found = context([1, 1], [2, 2], [0, 0], ["north"])
    matrix = people([1, 1], [2, 2])
    fill(matrix, np.array([0, -1], np.int32), ["elsewhere"], FORMULAS, found)
    assert np.isnan(matrix[:, 3]).all()
    fill(matrix, np.array([-1, -1], np.int32), [], FORMULAS, found)
    assert np.isnan(matrix[:, 3]).all()


def test_nobody_is_fine():
    found = context([], [])
    assert (found.people, found.priors[RATE.name], found.supply[SUPPLY.name], found.areas[AREA.name]) == (0, Prior(0.0, 1.0), 0.0, {})


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 2**20), st.sampled_from([None, "n", "s", "é"])), max_size=30),
    st.randoms(use_true_random=False),
)
def test_people_add_up_to_the_same_in_any_order_and_in_any_blocks(units, random):
    def added(blocks):
        sums = Sums(FORMULAS)
        for block in blocks:
            areas = list(dict.fromkeys(area for *_, area in block if area))
            place = np.array([areas.index(area) if area else -1 for *_, area in block], np.int32)
            sums.add(people([x for x, _, _ in block], [s for _, s, _ in block]), place, areas)
        return sums.context(NOW)

    shuffled = random.sample(units, len(units))
    cut = random.randrange(len(units) + 1)
    assert added([units]) == added([shuffled[:cut], shuffled[cut:]]) == added([[one] for one in shuffled])


def test_a_context_goes_through_json_unchanged():
    found = context([0, 10, 2], [10, 10, 3], [0, 0, 1], ["north", "é\u2028'"])
    assert Context.from_state(json.loads(json.dumps(found.to_state()))) == found
    assert found.table_versions == {"interactions": 3}


def test_what_is_printed_names_no_area():
    assert "north" not in repr(context([1], [2], [0], ["north"]))


def test_a_kind_of_message_is_answered_by_its_answers():
    rate = Feature("rate", "sent", "any", "any", "30d")
    assert numerators(rate, WORDS) == (Feature("count", "opened", "any", "any", "30d"),)
    assert denominator(rate) == Feature("count", "sent", "any", "any", "30d")
    of_topic = Feature("area", "any-out", "any", "housing", "all")
    assert numerators(of_topic, WORDS) == (Feature("count", "any-engagement", "any", "housing", "all"),)
    assert numerators(SUPPLY, WORDS) == ()


def test_a_rate_without_its_counts_is_refused():
    with pytest.raises(ValueError, match=r"missing: count\|kind=any-engagement"):
        formulas([RATE, SENT], WORDS)
