"""Samples of columns: bounded, spread over a batch, and blind to how a column is laid out."""

import pyarrow as pa
import pytest

from features import samples
from features.samples import DISTINCT, ROWS, Sample

RELIGIONS = ["catholic", "muslim", "jewish", "none"]


def batch(**columns):
    return pa.record_batch({name: pa.array(values) for name, values in columns.items()})


def found(sample):
    return [(one.column, one.category, one.found) for one in sample.special()]


def test_only_the_columns_asked_for_are_looked_at():
    sample = Sample(["area", "elsewhere"])
    sample.add(batch(area=RELIGIONS * 20, group=RELIGIONS * 20))
    assert found(sample) == [("area", "religion or belief", "content")]


def test_no_batch_no_rows_and_only_empty_cells_are_nothing():
    sample = Sample(["area"])
    assert sample.special() == []
    sample.add(batch(area=pa.array([], pa.string())))
    sample.add(batch(area=pa.array([None, "", None], pa.string())))
    assert sample.special() == []


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_the_layout_of_texts_does_not_matter(kind):
    sample = Sample(["area"])
    sample.add(batch(area=pa.array(RELIGIONS).cast(kind)))
    assert len(sample.special()) == 1


def test_numbers_are_passed_over():
    sample = Sample(["area"])
    sample.add(batch(area=[1, 2, 3]))
    assert sample.special() == []


def test_few_filled_cells_of_a_large_batch_are_seen():
    values = [None] * 20_000
    values[::1000] = (RELIGIONS * 5)[:20]
    sample = Sample(["area"])
    sample.add(batch(area=pa.array(values, pa.string())))
    assert len(sample.special()) == 1


def test_a_batch_costs_as_many_rows_at_most_and_they_are_spread_over_it(monkeypatch):
    looked = []
    monkeypatch.setattr(samples, "by_content", lambda counts: looked.append(dict(counts)))
    sample = Sample(["area"])
    sample.add(batch(area=["first"] * 10_000 + ["last"] * 10_000))
    sample.special()
    assert looked == [{"first": ROWS // 2, "last": ROWS // 2}]


def test_a_column_of_ids_is_let_go():
    sample = Sample(["area"])
    for number in range(1 + DISTINCT // ROWS):
        sample.add(batch(area=[f"id {number} {row}" for row in range(ROWS)]))
    sample.add(batch(area=RELIGIONS * 100))
    assert sample.special() == []
