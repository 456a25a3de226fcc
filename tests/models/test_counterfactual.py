"""What a person would have had to do: the model itself says that it is enough, it is as little as possible, and only what one can do is changed."""

import numpy as np
import pytest

from features.catalogue import catalogue, family_of, parse_name
from features.vocabulary import Channel, Kind, Topic, Vocabulary
from models.counterfactual import ACTIONABLE, Change, Moves, actionable, changed, counterfactual, moves

WORDS = Vocabulary(
    kinds=(
        Kind(id="letter_open", direction="in", engagement=True, answers=("letter_sent",), en="letter opened"),
        Kind(id="letter_sent", direction="out", en="letter"),
    ),
    channels=(Channel(id="email", en="e-mail"),),
    topics=(Topic(id="housing", en="housing"), Topic(id="climate", en="climate")),
    windows_days=(30, 90),
)
FEATURES = catalogue(WORDS)
COLUMNS = tuple(feature.name for feature in FEATURES)
BASE = np.random.default_rng(5).poisson(3, (200, len(COLUMNS))).astype(np.float32)
FREE = Moves((0, 1, 2), (np.array([0, 1, 2, 3], np.float32),) * 3, ((),) * 3, ((),) * 3)
SMALL = np.repeat(np.arange(4, dtype=np.float32)[:, None], 3, axis=1)


def above(weights, border):
    return lambda rows: border - rows.astype(float) @ np.asarray(weights, float)


def test_only_what_people_do_is_changed():
    places = actionable(COLUMNS, WORDS)
    assert places
    for place in places:
        feature = parse_name(COLUMNS[place])
        assert family_of(feature) in ACTIONABLE
        assert feature.kind not in {"any-out", "letter_sent", "any"}, "what is sent to people is not their doing"
        assert feature.statistic not in {"age", "area", "tenure", "supply", "rate", "attribute", "source", "first", "machine"}
    assert actionable(["age|since=birth_year", "no feature", *COLUMNS], WORDS) == [place + 2 for place in places]


def test_values_occur_in_the_base_and_none_at_all_only_where_that_does():
    base = BASE.copy()
    recency = COLUMNS.index("recency|kind=letter_open|channel=any|topic=any")
    base[::4, recency] = np.nan
    found = moves(COLUMNS, base, WORDS)
    for column, values in zip(found.columns, found.values, strict=True):
        known = values[~np.isnan(values)]
        assert np.isin(known, base[:, column]).all()
        assert np.isnan(values).any() == np.isnan(base[:, column]).any() == (column == recency)


def test_one_change_that_is_enough_is_taken_before_two_and_the_shortest_of_them():
    row = np.zeros(3, np.float32)
    assert counterfactual(row, FREE, above([1, 1, 1], 2.0), SMALL) == (Change(0, 2.0),)
    assert counterfactual(row, FREE, above([0, 1, 3], 3.0), SMALL) == (Change(2, 1.0),)


def test_two_and_three_changes_where_one_is_not_enough_and_none_where_three_are_not():
    row = np.zeros(3, np.float32)
    assert {change.column for change in counterfactual(row, FREE, above([1, 1, 1], 5.0), SMALL)} == {0, 1}
    assert len(counterfactual(row, FREE, above([1, 1, 1], 9.0), SMALL)) == 3
    assert counterfactual(row, FREE, above([1, 1, 1], 9.5), SMALL) is None
    assert counterfactual(row, FREE, above([1, 1, 1], 5.0), SMALL, most=1) is None
    assert counterfactual(row, Moves((), (), (), ()), above([1, 1, 1], 1.0), SMALL) is None


@pytest.mark.parametrize("seed", range(8))
def test_what_is_found_is_enough_and_less_is_not(seed):
    draw = np.random.default_rng(seed)
    weights, found = draw.normal(size=len(COLUMNS)), moves(COLUMNS, BASE, WORDS)
    row = BASE[seed]
    judge = above(weights, float(row.astype(float) @ weights) + 3.0)
    changes = counterfactual(row, found, judge, BASE)
    assert changes is not None
    assert judge(changed(row, found, changes)[None])[0] <= 0
    for left in range(len(changes)):
        fewer = [change for place, change in enumerate(changes) if place != left]
        if left == len(changes) - 1:
            assert judge(changed(row, found, fewer)[None])[0] > 0
    same = np.flatnonzero(changed(row, found, changes) == row)
    assert set(range(len(COLUMNS))) - set(same.tolist()) <= set(actionable(COLUMNS, WORDS))


def test_windows_stay_within_each_other():
    found = moves(COLUMNS, BASE, WORDS)
    names = [f"count|kind=letter_open|channel=any|topic=any|window={window}" for window in ("30d", "90d", "all")]
    month, quarter, ever = map(COLUMNS.index, names)
    row = np.zeros(len(COLUMNS), np.float32)
    up = changed(row, found, [Change(month, 4.0)])
    assert up[[month, quarter, ever]].tolist() == [4, 4, 4]
    row[[month, quarter, ever]] = (2, 5, 9)
    assert changed(row, found, [Change(quarter, 1.0)])[[month, quarter, ever]].tolist() == [1, 1, 9]
    assert changed(row, found, [Change(month, 7.0)])[[month, quarter, ever]].tolist() == [7, 7, 9]
    judge = above(np.isin(np.arange(len(COLUMNS)), [month, quarter]).astype(float), 9.0)
    changes = counterfactual(np.zeros(len(COLUMNS), np.float32), found, judge, BASE)
    assert changes is not None
    assert len({change.column for change in changes} & {month, quarter, ever}) == 1, "one thing is said once"


def test_a_value_that_is_missing_can_be_where_it_begins():
    found = Moves((0,), (np.array([3, np.nan], np.float32),), ((),), ((),))
    row = np.array([np.nan], np.float32)
    assert counterfactual(row, found, lambda rows: np.where(np.isnan(rows[:, 0]), 1.0, -1.0), row[None]) == (Change(0, 3.0),)
    assert counterfactual(np.array([3], np.float32), found, lambda rows: np.where(np.isnan(rows[:, 0]), -1.0, 1.0), row[None])[0].column == 0
