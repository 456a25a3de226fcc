import numpy as np

from features.rejects import Places


def test_rows_are_found_where_they_stand():
    places, truth = Places(), []
    for file, lines in (("a", [2, 3, 4]), ("a", []), ("a", [6, 9, 10]), ("b", [2]), ("b", [3, 4])):
        places.add(file, np.array(lines, dtype=np.int64))
        truth += [(file, line) for line in lines]
    assert places.rows == len(truth)
    for asked in (list(range(len(truth))), [0], [4], [2, 3, 8], []):
        rows = np.array(asked, dtype=np.int64)
        found = [(file, int(line)) for file, lines, which in places.of(rows) for line in lines for _ in [which]]
        assert found == [truth[row] for row in asked]
        assert [row for *_, which in places.of(rows) for row in asked[which]] == asked
