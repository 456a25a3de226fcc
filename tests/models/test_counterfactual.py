"""What a person would have had to do: the model itself says that it is enough, it is as little as possible, and only what one can do is changed."""

import numpy as np
import pytest

from features.catalogue import catalogue, family_of, parse_name
from features.vocabulary import Channel, Kind, Topic, Vocabulary
from models.counterfactual import ACTIONABLE, Change, Follow, Moves, actionable, changed, counterfactual, moves

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
FREE = Moves((0, 1, 2), (np.array([0, 1, 2, 3], np.float32),) * 3, (Follow(),) * 3)
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
    assert counterfactual(row, Moves((), (), ()), above([1, 1, 1], 1.0), SMALL) is None


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
    other = changed(row, found, changes)
    assert all(other[change.column] == change.value for change in changes), "a later change leaves an earlier one as it was said"
    moved = {COLUMNS[place] for place in np.flatnonzero(other != row)} - {COLUMNS[change.column] for change in changes}
    assert {parse_name(name).statistic for name in moved} <= {"count", "recency"}, "only counts and times since follow"


def place_of(statistic, kind="letter_open", topic="any", window=None, channel="any"):
    return COLUMNS.index(f"{statistic}|kind={kind}|channel={channel}|topic={topic}" + (f"|window={window}" if window else ""))


def test_windows_stay_within_each_other():
    found = moves(COLUMNS, BASE, WORDS)
    month, quarter, ever = (place_of("count", window=window) for window in ("30d", "90d", "all"))
    row = np.zeros(len(COLUMNS), np.float32)
    up = changed(row, found, [Change(month, 4.0)])
    assert up[[month, quarter, ever]].tolist() == [4, 4, 4]
    row[[month, quarter, ever]] = (2, 5, 9)
    assert changed(row, found, [Change(quarter, 1.0)])[[month, quarter, ever]].tolist() == [1, 1, 9]
    assert changed(row, found, [Change(month, 7.0)])[[month, quarter, ever]].tolist() == [7, 7, 9]


def test_parts_stay_within_the_whole_and_times_since_agree_with_counts():
    found = moves(COLUMNS, BASE, WORDS)
    row = np.zeros(len(COLUMNS), np.float32)
    row[[place for place, name in enumerate(COLUMNS) if name.startswith("recency|")]] = np.nan
    month, ever = place_of("count", window="30d"), place_of("count", window="all")
    answers, housing = place_of("count", "any-engagement", window="30d"), place_of("count", "any-engagement", "housing", "30d")
    last, last_answer, last_housing = place_of("recency"), place_of("recency", "any-engagement"), place_of("recency", "any-engagement", "housing")
    up = changed(row, found, [Change(housing, 3.0)])
    assert (up[housing], up[answers]) == (3, 3)
    assert (up[last_housing], up[last_answer]) == (29, 29)
    assert np.isnan(up[place_of("recency", "any-engagement", "climate")])
    seen = changed(up, found, [Change(last_housing, 40.0)])
    assert (seen[housing], seen[last_answer], seen[answers]) == (0, 29, 3), "somebody who answered on something else did so later"
    recent = changed(row, found, [Change(last, 5.0)])
    assert (recent[month], recent[ever], recent[last_answer]) == (1, 1, 5)
    never = changed(up, found, [Change(place_of("count", "any-engagement", window="all"), 0.0)])
    assert (never[housing], never[answers]) == (0, 0)
    assert np.isnan(never[[last_housing, last_answer]]).all()


def test_a_value_that_is_missing_can_be_where_it_begins():
    found = Moves((0,), (np.array([3, np.nan], np.float32),), (Follow(),))
    row = np.array([np.nan], np.float32)
    assert counterfactual(row, found, lambda rows: np.where(np.isnan(rows[:, 0]), 1.0, -1.0), row[None]) == (Change(0, 3.0),)
    assert counterfactual(np.array([3], np.float32), found, lambda rows: np.where(np.isnan(rows[:, 0]), -1.0, 1.0), row[None])[0].column == 0
