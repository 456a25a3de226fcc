"""Rows are the same wherever they are kept; a file of them is a plain `.npy` with room at its end."""

import numpy as np
import pytest

from features.matrix import InFile, InMemory, InOrder, spare

BLOCKS = ((0, 3), (3, 6), (6, 7))
WANTED = np.random.default_rng(0).random((7, 5), dtype=np.float32)


def filled(rows):
    for first, last in BLOCKS:
        block = rows.fresh(first, last)
        assert block.shape == (last - first, 5)
        block[:] = WANTED[first:last]
        rows.put(first, last, block)
    return rows


def doubled(rows):
    """Take every block again, as the second phase of a build does."""
    for first, last in BLOCKS[::-1]:
        block = rows.taken(first, last)
        block *= 2
        rows.put(first, last, block)
    return rows.whole()


@pytest.mark.parametrize("again", [False, True])
def test_memory_order_and_file_hold_the_same(tmp_path, again):
    order = np.array([6, 0, 5, 1, 4, 2, 3])
    finish, expected = (doubled, WANTED * 2) if again else (lambda rows: rows.whole(), WANTED)
    assert finish(filled(InMemory(7, 5))).tobytes() == expected.tobytes()
    assert finish(filled(InOrder(order, 5)))[order].tobytes() == expected.tobytes()
    found = finish(filled(InFile(tmp_path / "m.npy", 7, 5, spare=spare(7))))
    assert found.tobytes() == expected.tobytes()
    assert not found.flags.writeable


def test_a_file_is_a_plain_npy_with_room_at_its_end(tmp_path):
    path = tmp_path / "m.npy"
    filled(InFile(path, 7, 5, spare=10)).whole()
    np.testing.assert_array_equal(np.load(path, allow_pickle=False), WANTED)
    begin = path.stat().st_size - 17 * 5 * 4
    assert path.read_bytes()[begin : begin + WANTED.nbytes] == WANTED.tobytes()
    assert not any(path.read_bytes()[begin + WANTED.nbytes :])


def test_no_rows_are_fine(tmp_path):
    assert InFile(tmp_path / "m.npy", 0, 5, spare=spare(0)).whole().shape == (0, 5)
    assert InMemory(0, 5).whole().shape == (0, 5)


def test_rows_that_nobody_wants_take_one_block():
    rows = InMemory.passing(3, 5)
    for first, last in BLOCKS:
        block = rows.fresh(first, last)
        assert block.shape == (last - first, 5)
        block[:] = 1
        rows.put(first, last, block)
    assert rows.whole().shape == (3, 5)


def test_blocks_that_do_not_lie_together_are_written_too(tmp_path):
    rows = InFile(tmp_path / "m.npy", 7, 5)
    rows.put(0, 7, np.asfortranarray(WANTED))
    assert rows.whole().tobytes() == WANTED.tobytes()


def test_room_grows_with_the_matrix():
    assert [spare(rows) for rows in (0, 64, 6400)] == [64, 65, 164]
