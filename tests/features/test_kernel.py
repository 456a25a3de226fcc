"""The reductions are exact: the order of interactions changes no bit, and what cannot be exact is refused."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import kernel
from features.catalogue import catalogue
from features.layout import DAY, Keys, layout
from tests.features.histories import WORDS

FEATURES = catalogue(WORDS)
PLAN = layout(FEATURES, WORDS).reduction
KEYS = Keys(WORDS)
NAMES = {feature.name: column for column, feature in enumerate(FEATURES)}
ANSWERS = "kind=any-engagement|channel=any|topic=any"


def cell(age, kind="gift", *, topic=3, again=0, machine=0):
    out = int(kind in {"sent", "called"})
    key = np.ravel_multi_index((KEYS.kinds.index(kind), 0, topic, again, out, machine), KEYS.shape)
    return int(key) * PLAN.n_buckets + int(np.searchsorted(PLAN.bounds, age))


def batch(items):
    """Interactions (row, kind, topic's code, age, value, slot, source) as the kernel takes them; its days run from midnight, as here."""
    columns = [list(column) for column in zip(*items, strict=True)] or [[]] * 7
    rows, kinds, topics, ages, values, slots, sources = columns
    cells = [cell(age, kind, topic=topic) for kind, topic, age in zip(kinds, topics, ages, strict=True)]
    days = [-(-age // DAY) for age in ages]
    given_columns = (rows, cells, days, ages, values, slots, sources)
    made = kernel.Batch(*(np.array(column, kind) for column, kind in zip(given_columns, ("i4", "i4", "i4", "i8", "f8", "i4", "i4"), strict=True)))
    for array in made:
        array.setflags(write=False)
    return made


def reduced(items, n_rows=3, workers=1):
    matrix = np.full((n_rows, len(FEATURES)), 7.0, np.float32)
    with ThreadPoolExecutor(max_workers=1) as pool:
        status, slides = kernel.reduce(batch(items), PLAN, matrix, pool, workers)
    return status, matrix, slides


def finished(items, **more):
    status, matrix, _ = reduced(items, **more)
    assert status == kernel.FINE
    return matrix


interactions = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["gift", "opened", "sent", "stated", "left"]),
        st.integers(0, 3),
        st.sampled_from([1, DAY, 7 * DAY, 7 * DAY + 1]) | st.integers(1, 4000 * DAY),
        st.just(np.nan) | st.floats(-1e6, 1e6),
        st.integers(0, 27),
        st.integers(0, 2),
    ),
    max_size=40,
)


@settings(max_examples=50)
@given(interactions, st.randoms(use_true_random=False))
def test_neither_the_order_of_interactions_nor_the_number_of_workers_changes_a_bit(items, random):
    shuffled = random.sample(items, len(items))
    assert finished(items).tobytes() == finished(shuffled).tobytes() == finished(items, workers=2).tobytes()
    assert reduced(items)[2].tolist() == reduced(shuffled, workers=3)[2].tolist()


@settings(max_examples=50)
@given(interactions)
def test_reductions_are_what_they_say(items):
    matrix = finished(items)
    for row in range(3):
        mine = [item for item in items if item[0] == row]
        answers = [item for item in mine if item[1] in {"gift", "opened"}]
        gifts = [(age, value) for _, kind, _, age, value, _, _ in mine if kind == "gift" and not np.isnan(value)]
        days = [-(-item[3] // DAY) for item in answers]
        said = {name: matrix[row, column].item() for name, column in NAMES.items()}
        assert said[f"count|{ANSWERS}|window=7d"] == sum(item[3] <= 7 * DAY for item in answers)
        assert said[f"count|{ANSWERS}|window=all"] == len(answers)
        np.testing.assert_equal([said[f"recency|{ANSWERS}"], said[f"first|{ANSWERS}"]], [float(min(days)), float(max(days))] if days else [np.nan] * 2)
        assert said[f"decayed|{ANSWERS}|half_life=10d"] == pytest.approx(sum(2.0 ** (-day / 10) for day in days), rel=1e-6, abs=1e-10)
        tolerance = 1e-6 * (1 + sum(abs(value) for _, value in gifts))
        assert said["sum|kind=gift|channel=any|topic=any|window=7d"] == pytest.approx(sum(value for age, value in gifts if age <= 7 * DAY), abs=tolerance)
        assert said["sum|kind=gift|channel=any|topic=any|window=all"] == pytest.approx(sum(value for _, value in gifts), abs=tolerance)
        largest = np.float32(max(value for _, value in gifts)) if gifts else np.nan
        np.testing.assert_equal(said["largest|kind=gift|channel=any|topic=any"], largest)
        monday = sum(item[5] < 4 for item in answers) / len(answers) if answers else np.nan
        np.testing.assert_equal(said[f"weekday|{ANSWERS}|day=monday"], np.float32(monday))


@settings(max_examples=50)
@given(interactions)
def test_a_row_slides_when_its_next_interaction_leaves_a_window(items):
    slides = reduced(items)[2]
    for row in range(3):
        leaving = [min(bound for bound in PLAN.bounds if age <= bound) - age + 1 for r, _, _, age, *_ in items if r == row and age <= PLAN.bounds[-1]]
        assert slides[row] == min(leaving, default=kernel.NEVER)


def test_interactions_are_brought_together_by_row():
    rows = np.random.default_rng(3).integers(0, 500, 20_000).astype(np.int32)
    starts, order = kernel.grouped(rows, 501)
    np.testing.assert_array_equal(rows[order], np.sort(rows))
    np.testing.assert_array_equal(np.diff(starts), np.bincount(rows, minlength=501))
    np.testing.assert_array_equal(order, np.argsort(rows, kind="stable"))


def test_an_empty_matrix_and_an_empty_batch_work():
    assert finished([], n_rows=0).shape == (0, len(FEATURES))
    assert finished([], n_rows=1)[0, NAMES[f"count|{ANSWERS}|window=all"]] == 0


def item(kind="gift", value=np.nan, age=DAY):
    return (0, kind, 3, age, value, 0, 0)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 2.0**33, -(2.0**33)])
def test_a_value_that_cannot_be_summed_exactly_is_refused(value):
    assert reduced([item(value=value)])[0] == kernel.VALUE_TOO_LARGE
    assert reduced([item("opened", value)])[0] == kernel.FINE, "only kinds with a unit have sums"
    assert reduced([item(value=2.0**32)])[0] == kernel.FINE


def test_a_total_that_would_overflow_is_refused():
    assert reduced([item(value=2.0**31)] * 3000)[0] == kernel.TOTAL_TOO_LARGE
    apart = [item(value=2.0**31, age=age) for age in (DAY, 20 * DAY) for _ in range(1500)]
    assert reduced(apart)[0] == kernel.TOTAL_TOO_LARGE, "each window alone would do"


def test_a_count_that_float32_does_not_hold_is_refused():
    out = np.zeros(len(FEATURES), np.float32)
    out[[NAMES[f"count|{ANSWERS}|window=7d"], NAMES[f"count|{ANSWERS}|window=30d"]]] = 2.0**23
    assert kernel._finish.py_func(out, np.zeros(PLAN.accumulated.size, np.int64), PLAN) == kernel.COUNT_TOO_LARGE
    out[:] = 0
    assert kernel._finish.py_func(out, np.zeros(PLAN.accumulated.size, np.int64), PLAN) == kernel.FINE


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from([1, DAY, 250, 290, 560, 600, 8000]).map(lambda one: one * 366 * DAY if 1 < one < DAY else one)), max_size=8
    )
)
@settings(max_examples=200, deadline=None)
def test_topics_change_as_often_as_in_plain_order_however_long_ago(answers):
    items = [(0, "gift", topic, age, np.nan, 0, 0) for topic, age in answers]
    ordered = [topic for topic, _ in sorted(answers, key=lambda one: (-one[1], one[0])) if topic < len(WORDS.topics)]
    changes = sum(before != after for before, after in itertools.pairwise(ordered))
    assert finished(items)[0, NAMES["switches|kind=any-engagement|channel=any|topic=any-topic"]] == changes


def test_a_switch_285_years_ago_counts():
    items = [(0, "gift", topic, age * 366 * DAY, np.nan, 0, 0) for topic, age in ((0, 1), (1, 300), (0, 400), (0, 570), (1, 600))]
    assert finished(items)[0, NAMES["switches|kind=any-engagement|channel=any|topic=any-topic"]] == 3
