import numpy as np
import pytest

from training import tally as tally_module
from training.bins import count, cut
from training.tally import tally


@pytest.fixture(scope="module")
def matrix():
    """Counts with many zeros, an attribute that is mostly missing, a constant, numbers that no float32 holds exactly, and one column of missing values."""
    random = np.random.default_rng(0)
    rows = 5_000
    columns = [
        random.poisson(0.4, rows),
        np.where(random.random(rows) < 0.8, np.nan, random.normal(50, 20, rows)),
        np.full(rows, 0.1),
        random.choice([0.1, 0.2, 0.3, 1 / 3], rows),
        np.full(rows, np.nan),
        random.gamma(0.2, 1e6, rows),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def counts_of(matrix, columns, edges):
    return [count(matrix[:, column], cuts).tolist() for column, cuts in zip(columns, edges, strict=True)]


def test_counts_are_numpy_s_also_on_the_edges(matrix):
    edges = [cut(matrix[:, column]).tolist() for column in range(matrix.shape[1])]
    edges[3] = [float(np.float32(0.1)), float(np.float32(0.2)), 0.25, float(np.float32(1 / 3))]
    found = tally(matrix, range(matrix.shape[1]), edges)
    assert [each.tolist() for each in found] == counts_of(matrix, range(matrix.shape[1]), edges)
    assert all(each.sum() == len(matrix) for each in found)
    assert found[4].tolist() == [0, len(matrix)]
    assert found[3][0] == 0, "a value that is an edge stands in the bin above it"
    assert found[2].tolist() == [0, len(matrix), 0, 0]


def test_neighbouring_numbers_are_told_apart():
    value = np.float32(0.1)
    column = np.array([np.nextafter(value, np.float32(-1)), value, np.nextafter(value, np.float32(1))], dtype=np.float32)[:, None]
    assert tally(column, [0], [[float(value)]])[0].tolist() == [1, 2, 0]
    assert tally(column, [0], [[float(np.nextafter(np.float64(value), 1))]])[0].tolist() == [2, 1, 0]


def test_blocks_of_any_size_give_the_same(matrix, monkeypatch):
    columns = [5, 0, 3]
    edges = [cut(matrix[:, column]).tolist() for column in columns]
    whole = [each.tolist() for each in tally(matrix, columns, edges)]
    told = []
    monkeypatch.setattr(tally_module, "ROWS", 1_999)
    monkeypatch.setattr(tally_module, "COLUMNS", 2)
    assert [each.tolist() for each in tally(matrix, columns, edges, progress=lambda stage, share: told.append(share))] == whole
    assert whole == counts_of(matrix, columns, edges)
    assert told == pytest.approx([number / 6 for number in range(1, 7)])
    some = (np.arange(len(matrix)) % 3 == 1) & (np.arange(len(matrix)) > 2_500)
    assert [each.tolist() for each in tally(matrix, columns, edges, counted=some)] == counts_of(matrix[some], columns, edges)


def test_a_memory_mapped_matrix_is_counted(matrix, tmp_path):
    np.save(tmp_path / "matrix.npy", matrix)
    mapped = np.load(tmp_path / "matrix.npy", mmap_mode="r")
    assert tally(mapped, [1], [[40.0, 60.0]])[0].tolist() == count(matrix[:, 1], [40.0, 60.0]).tolist()


def test_nobody_and_nothing():
    assert [each.tolist() for each in tally(np.empty((0, 2), dtype=np.float32), [0, 1], [[1.0], []])] == [[0, 0, 0], [0, 0]]
    assert tally(np.ones((3, 2), dtype=np.float32), [], []) == []
