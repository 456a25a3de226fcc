"""The reductions are exact: the order of interactions changes no bit, and what cannot be exact is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import kernel
from features.catalogue import Feature
from features.layout import DAY, layout
from features.vocabulary import Channel, Kind, Vocabulary

WORDS = Vocabulary(
    kinds=(Kind(id="gift", direction="in", engagement=True, unit="EUR", en="gift"), Kind(id="sent", direction="out", en="sent")),
    channels=(Channel(id="post", en="post"),),
    windows_days=(7,),
)
FEATURES = (
    Feature("count", "any", "any", "any", "7d"),
    Feature("count", "any", "any", "any", "all"),
    Feature("recency", "gift", "any", "any"),
    Feature("decayed", "any", "any", "any", half_life="3d"),
    Feature("decayed", "gift", "any", "any", half_life="30d"),
    Feature("sum", "gift", "any", "any", "7d"),
    Feature("sum", "gift", "any", "any", "all"),
)
PLAN = layout(FEATURES, WORDS).reduction
GIFT, SENT = 0, 2 * 1 * 2 * 2 + 2


def batch(rows, gifts, ages, values):
    buckets = (np.asarray(ages) > 7 * DAY).astype(np.int64)
    cells = np.where(gifts, GIFT, SENT) * PLAN.n_buckets + buckets
    return kernel.Batch(np.array(rows, np.int32), cells.astype(np.int32), np.array(ages, np.int64), np.array(values, np.float64))


def reduced(given_batch, n_rows):
    matrix = np.zeros((n_rows, len(FEATURES)), np.float32)
    matrix[:, 2] = np.nan
    totals = np.zeros((n_rows, len(PLAN.accumulated)), np.int64)
    status = kernel.scatter(kernel.partition(given_batch, n_rows), PLAN, matrix, totals)
    return status, matrix, totals


def finished(given_batch, n_rows=3):
    status, matrix, totals = reduced(given_batch, n_rows)
    assert status == kernel.FINE
    kernel.finish(PLAN, matrix, totals)
    return matrix


interactions = st.lists(
    st.tuples(st.integers(0, 2), st.booleans(), st.integers(1, 4000 * DAY), st.floats(-1e6, 1e6)),
    max_size=40,
)


@settings(deadline=None)
@given(interactions, st.randoms(use_true_random=False))
def test_the_order_of_interactions_changes_no_bit(items, random):
    shuffled = random.sample(items, len(items))
    one, other = (finished(batch(*zip(*order, strict=True))) if order else finished(batch([], [], [], [])) for order in (items, shuffled))
    assert one.tobytes() == other.tobytes()


@settings(deadline=None)
@given(interactions)
def test_reductions_are_what_they_say(items):
    matrix = finished(batch(*zip(*items, strict=True)) if items else batch([], [], [], []))
    for row in range(3):
        mine = [(gift, age, value) for r, gift, age, value in items if r == row]
        gifts = [(age, value) for gift, age, value in mine if gift]
        count, count_all, recency, decayed, decayed_gift, total, total_all = matrix[row].tolist()
        assert count == sum(age <= 7 * DAY for _, age, _ in mine)
        assert count_all == len(mine)
        assert recency == np.float32(min(age for age, _ in gifts) / DAY) if gifts else np.isnan(recency)
        assert decayed == pytest.approx(sum(2.0 ** (-age / DAY / 3) for _, age, _ in mine), rel=1e-6, abs=1e-10)
        assert decayed_gift == pytest.approx(sum(2.0 ** (-age / DAY / 30) for age, _ in gifts), rel=1e-6, abs=1e-10)
        tolerance = 1e-6 * (1 + sum(abs(value) for _, value in gifts))
        assert total == pytest.approx(sum(value for age, value in gifts if age <= 7 * DAY), abs=tolerance)
        assert total_all == pytest.approx(sum(value for _, value in gifts), abs=tolerance)


def test_a_partition_keeps_every_interaction_and_brings_blocks_together():
    random = np.random.default_rng(3)
    size = 20_000
    rows = random.integers(0, 5000, size).astype(np.int32)
    given_batch = kernel.Batch(rows, np.arange(size, dtype=np.int32), np.arange(size, dtype=np.int64) * 3, np.arange(size) * 0.5)
    parted = kernel.partition(given_batch, 5000)
    assert (np.diff(parted.row >> kernel.BLOCK_BITS) >= 0).all()
    np.testing.assert_array_equal(parted.row, rows[parted.cell])
    np.testing.assert_array_equal(parted.age, parted.cell * 3)
    np.testing.assert_array_equal(parted.value, parted.cell * 0.5)
    np.testing.assert_array_equal(np.sort(parted.cell), np.arange(size))


def test_an_empty_matrix_and_an_empty_batch_work():
    assert kernel.partition(batch([], [], [], []), 0).row.size == 0
    assert finished(batch([], [], [], []), 0).shape == (0, len(FEATURES))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2.0**33, -(2.0**33)])
def test_a_value_that_cannot_be_summed_exactly_is_refused(value):
    assert reduced(batch([0], [True], [DAY], [value]), 1)[0] == kernel.VALUE_TOO_LARGE
    assert reduced(batch([0], [False], [DAY], [value]), 1)[0] == kernel.FINE, "only kinds with a unit have sums"


def test_a_total_that_would_overflow_is_refused():
    many = 3000
    status, _, _ = reduced(batch([0] * many, [True] * many, [DAY] * many, [2.0**31] * many), 1)
    assert status == kernel.TOTAL_TOO_LARGE


def test_finish_tells_the_largest_count():
    matrix = np.zeros((2, len(FEATURES)), np.float32)
    matrix[1, 0], matrix[1, 1] = 2.0**23, 2.0**23
    assert kernel.finish(PLAN, matrix, np.zeros((2, len(PLAN.accumulated)), np.int64)) == kernel.COUNT_LIMIT
