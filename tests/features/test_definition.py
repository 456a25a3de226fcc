"""A feature's name holds its whole definition and can be read back; what cannot be is refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.definition import DAYPARTS, FIELDS, WEEKDAYS, Feature, FeatureError, definitions_hash, parse_name

VALUES = {
    "kind": st.sampled_from(["any", "any-engagement", "any-in", "any-out", "any-declared", "gift", "x_1"]),
    "channel": st.sampled_from(["any", "email"]),
    "topic": st.sampled_from(["any", "any-topic", "housing"]),
    "window": st.sampled_from(["7d", "all"]),
    "over": st.sampled_from(["90d", "999999d"]),
    "half_life": st.sampled_from(["1d", "180d"]),
    "part": st.sampled_from(DAYPARTS),
    "day": st.sampled_from(WEEKDAYS),
    "which": st.sampled_from(["first", "last"]),
    "type": st.just("petition"),
    "id": st.just("household"),
    "since": st.just("joined_at"),
}
definitions = st.sampled_from(sorted(FIELDS)).flatmap(
    lambda statistic: st.builds(Feature, st.just(statistic), **{name: VALUES[name] for name in FIELDS[statistic]})
)
SOME = (Feature("count", "any", "any", "any", "7d"), Feature("recency", "gift", "any", "any"), Feature("age", since="birth_year"))
NAMES = tuple(feature.name for feature in SOME)


@given(definitions)
def test_any_definition_comes_back_from_its_name(feature):
    assert parse_name(feature.name) == feature
    assert feature.name == "|".join([feature.statistic, *(f"{name}={value}" for name, value in feature.fields)])
    assert re.fullmatch(r"[A-Za-z0-9_|=.-]+", feature.name)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_any_category_comes_back_from_its_name(category):
    feature = Feature("attribute", id="gender", category=category)
    assert parse_name(feature.name) == feature
    assert re.fullmatch(r"[A-Za-z0-9_|=.-]+", feature.name)


def test_days_are_numbers_and_all_time_is_none():
    trend = Feature("trend", "any", "any", "any", "7d", "90d")
    assert (trend.window_days, trend.over_days, trend.half_life_days) == (7, 90, None)
    assert Feature("count", "any", "any", "any", "all").window_days is None
    assert Feature("decayed", "any", "any", "any", half_life="30d").half_life_days == 30


def test_the_hash_follows_names_order_and_meaning(monkeypatch):
    assert re.fullmatch(r"[0-9a-f]{64}", definitions_hash(NAMES))
    assert definitions_hash(NAMES) == definitions_hash(iter(NAMES))
    found = {definitions_hash(NAMES), definitions_hash(NAMES[::-1]), definitions_hash(NAMES[1:])}
    monkeypatch.setattr("features.definition.MEANING", 10**6)
    assert len(found | {definitions_hash(NAMES)}) == 4


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"statistic": "median"}, "allowed: count"),
        ({"statistic": "count", "kind": "open"}, "kind, channel, topic, window"),
        ({"statistic": "recency", "kind": "open", "channel": "any", "topic": "any", "window": "7d"}, "given: kind, channel, topic, window"),
        ({"statistic": "count", "kind": "Open", "channel": "any", "topic": "any", "window": "7d"}, "kind='Open'"),
        ({"statistic": "count", "kind": "any", "channel": "any", "topic": "any", "window": "0d"}, "whole days such as 90d"),
        ({"statistic": "decayed", "kind": "any", "channel": "any", "topic": "any", "half_life": "all"}, "half_life='all'"),
        ({"statistic": "attribute", "id": "gender", "category": ""}, "not empty"),
        ({"statistic": "count", "kind": "any", "channel": "any-in", "topic": "any", "window": "7d"}, "channel='any-in'"),
        ({"statistic": "trend", "kind": "any", "channel": "any", "topic": "any", "window": "7d", "over": "0d"}, "over='0d'"),
        ({"statistic": "daypart", "kind": "any", "channel": "any", "topic": "any", "part": "noon"}, "part='noon'"),
        ({"statistic": "source", "which": "second", "type": "petition"}, "first, last"),
        ({"statistic": "count", "kind": 3, "channel": "any", "topic": "any", "window": "7d"}, "is text"),
    ],
)
def test_a_feature_that_cannot_be_is_refused(fields, said):
    with pytest.raises(FeatureError, match=re.escape(said)):
        Feature(**fields)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "count",
        "count|kind=open|channel=any|topic=any|window",
        "count|channel=any|kind=open|topic=any|window=7d",
        "count|kind=open|kind=open|channel=any|topic=any|window=7d",
        "count|kind=open|channel=any|topic=any|window=7d|__class__=x",
        "attribute|id=gender|category=.ff",
        "attribute|id=gender|category=a b",
        "attribute|id=gender|category=.41",
    ],
)
def test_what_is_no_name_is_refused(name):
    with pytest.raises(FeatureError):
        parse_name(name)


def test_a_sentence_about_what_is_gone_says_so():
    from tests.features.histories import WORDS

    with pytest.raises(FeatureError, match="'gone' is not in this audience"):
        Feature("recency", "gone", "any", "any").sentence(3.0, WORDS)


def test_a_feature_cannot_change():
    with pytest.raises(AttributeError):
        SOME[0].kind = "other"
