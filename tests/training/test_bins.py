import numpy as np
import pytest

from training.bins import BINS, LEAST_ROWS, MULTIPLES, Bins, centre, count, cut


def histories(random):
    """Yield values as features have them: continuous, counts with many zeros, few levels, ties at either end, missing."""
    yield random.normal(size=1_000).astype(np.float32)
    yield random.poisson(0.3, 1_000).astype(np.float32)
    yield np.where(random.random(1_000) < 0.7, 0, random.gamma(1.0, 100.0, 1_000)).astype(np.float32)
    yield random.choice([0.0, 1.0], 1_000, p=[0.97, 0.03]).astype(np.float32)
    yield np.where(random.random(1_000) < 0.5, np.nan, random.integers(0, 4, 1_000)).astype(np.float32)
    yield np.r_[np.full(500, -1.0), random.random(15), np.full(485, 1.0)].astype(np.float32)
    yield random.normal(size=45).astype(np.float32)
    yield random.beta(1, 20, 30_000)


@pytest.mark.parametrize("seed", range(4))
def test_bins_are_few_and_large_and_no_edge_is_a_value(seed):
    for values in histories(np.random.default_rng(seed)):
        edges, known = cut(values), values[~np.isnan(values)]
        counts = count(values, edges)[:-1]
        assert len(counts) <= BINS
        assert counts.min() >= LEAST_ROWS
        assert (np.diff(edges) > 0).all()
        assert not np.isin(edges, known).any()
        assert len(edges) == 0 or known.min() < edges[0] <= edges[-1] < known.max()
        assert counts.sum() == len(known)


def test_bins_of_a_continuous_value_are_tenths():
    values = np.random.default_rng(0).normal(size=20_000)
    assert count(values, cut(values)).tolist() == [2_000] * 10 + [0]


def test_what_many_have_has_a_bin_of_its_own_and_the_rest_share_the_others():
    random = np.random.default_rng(1)
    values = np.where(random.random(5_000) < 0.8, 0.0, random.gamma(2.0, 1.0, 5_000))
    counts = count(values, cut(values))
    assert counts[0] == (values == 0).sum()
    assert len(counts) == BINS + 1
    assert counts[1:-1].max() < 1.1 * counts[1:-1].min()
    middle = np.r_[random.normal(-3, 1, 500), np.zeros(500), random.normal(3, 1, 500)]
    assert 500 in count(middle, cut(middle)).tolist()


def test_one_value_and_few_values():
    constant = cut(np.full(50, np.float32(0.1)))
    assert constant[0] == np.float32(0.1)
    assert count(np.array([0.0, 0.1, 0.2], dtype=np.float32), constant).tolist() == [1, 1, 1, 0]
    assert cut(np.r_[np.arange(19.0), np.full(500, np.nan)]).tolist() == []
    assert cut(np.full(5, np.nan)).tolist() == []
    assert cut(np.zeros(0)).tolist() == []
    few = Bins.of(np.r_[np.arange(19.0), np.full(81, np.nan)])
    assert (few.edges, few.shares, few.means, few.mean) == ((), (0.19, 0.81), (None,), None)


def test_shares_and_means_are_those_of_the_rows():
    values = np.r_[np.zeros(60), np.ones(20), np.full(20, np.nan)]
    bins = Bins.of(values)
    assert (bins.edges, bins.shares, bins.means, bins.missing) == ((0.5,), (0.6, 0.2, 0.2), (0.0, 1.0), 0.2)
    assert bins.mean == pytest.approx(0.25)
    many = np.random.default_rng(0).gamma(1.0, 5.0, 2_000)
    assert Bins.of(many).mean == pytest.approx(many.mean())
    assert Bins.of(np.full(50, 3.0)).means == (None, 3.0, None)


def test_bins_around_a_centre_move_with_it_and_stay_large():
    random = np.random.default_rng(2)
    values = np.r_[0.06 * random.gamma(20.0, 1 / 20, 5_000), random.gamma(1.0, 0.2, 300), np.full(100, np.nan)].astype(np.float32)
    bins = Bins.of(values, around=True)
    counts = count(values, bins.edges)
    assert bins.centre == centre(values)
    assert bins.centre.value == pytest.approx(np.nanmedian(values), rel=0.02)
    assert set(np.round(np.array(bins.edges) / bins.centre.value, 9)) <= set(MULTIPLES)
    assert counts[:-1].min() >= LEAST_ROWS
    assert bins.edges_at(bins.centre) == bins.edges
    assert bins.edges_at(None) == bins.edges
    moved = 1.7 * values.astype(np.float64)
    assert count(moved, bins.edges_at(centre(moved))).tolist() == counts.tolist()
    assert Bins.of(values).edges_at(centre(moved)) == Bins.of(values).edges, "quantiles stay where they are"
    assert Bins.from_state(bins.to_state()) == bins


def test_the_error_of_a_centre_is_that_of_drawing_again():
    random = np.random.default_rng(3)
    found = [centre(random.lognormal(0.0, 0.5, 400)) for _ in range(300)]
    assert np.std(np.log([each.value for each in found])) == pytest.approx(np.mean([each.error for each in found]), rel=0.12)


def test_without_enough_people_or_above_zero_there_is_no_centre():
    assert centre(np.arange(1.0, 96.0)) is None
    assert centre(np.arange(1.0, 102.0)).value == pytest.approx(51, abs=1)
    assert centre(np.full(500, 0.25)) == (0.25, 0.0)
    assert centre(np.zeros(500)) is None
    assert centre(np.full(500, np.nan)) is None
    few = np.arange(50.0)
    assert Bins.of(few, around=True) == Bins.of(few)
