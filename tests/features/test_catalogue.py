"""Names hold the whole definition, are unique and can be read back; the list of names is a golden file."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.catalogue import Feature, FeatureError, catalogue, definitions_hash, parse_name
from features.vocabulary import Attribute, Channel, Kind, Topic, Vocabulary

GOLDEN = Path(__file__).with_name("names.txt")


def vocabulary(kinds=("sign", "click", "sent"), topics=("housing", "climate"), channels=("email", "door"), **others):
    return Vocabulary(
        kinds=tuple(
            Kind(id=kind, direction="out" if kind == "sent" else "in", engagement=kind != "sent", unit="EUR" if kind == "sign" else None, en=kind)
            for kind in kinds
        ),
        channels=tuple(Channel(id=channel, en=channel) for channel in channels),
        topics=tuple(Topic(id=topic, en=topic) for topic in topics),
        attributes=(
            Attribute(id="household", type="numeric", en="household"),
            Attribute(id="age", type="category", categories=("18-24", "65 +", "ÿ=|."), en="age"),
        ),
        **others,
    )


def test_names_are_those_of_the_golden_file():
    names = [feature.name for feature in catalogue(vocabulary())]
    assert names == GOLDEN.read_text().splitlines(), (
        "a changed name is a changed meaning: models trained on the old one no longer fit; write the file anew only on purpose"
    )


def test_names_are_unique_reversible_and_fit_for_lightgbm():
    features = catalogue(vocabulary())
    names = [feature.name for feature in features]
    assert len(set(names)) == len(names)
    for feature in features:
        assert parse_name(feature.name) == feature
        assert re.fullmatch(r"[A-Za-z0-9_|=.-]+", feature.name)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_any_category_comes_back_from_its_name(category):
    feature = Feature("attribute", id="gender", category=category)
    assert parse_name(feature.name) == feature
    assert re.fullmatch(r"[A-Za-z0-9_|=.-]+", feature.name)


def test_a_column_belongs_to_a_topic_if_and_only_if_it_has_the_field():
    of_topic = [feature.name for feature in catalogue(vocabulary()) if feature.topic == "housing"]
    assert of_topic == [feature.name for feature in catalogue(vocabulary()) if "topic=housing" in feature.name.split("|")]
    without = {feature.name for feature in catalogue(vocabulary(topics=("climate",)))}
    assert set(of_topic).isdisjoint(without)
    assert without < {feature.name for feature in catalogue(vocabulary())}


def test_the_catalogue_stays_small():
    large = vocabulary(
        kinds=("sent", *(f"kind{n}" for n in range(7))), topics=tuple(f"topic{n}" for n in range(12)), channels=tuple(f"ch{n}" for n in range(5))
    )
    assert 300 < len(catalogue(large)) < 520


def test_windows_come_from_the_vocabulary():
    windows = {feature.window for feature in catalogue(vocabulary(windows_days=(730, 1460)))} - {None}
    assert windows == {"730d", "1460d", "all"}
    assert {feature.window for feature in catalogue(vocabulary(windows_days=()))} - {None} == {"all"}
    assert {feature.half_life for feature in catalogue(vocabulary(half_lives_days=(3, 40)))} - {None} == {"3d", "40d"}


def test_a_vocabulary_without_topics_or_attributes_has_features_too():
    bare = Vocabulary(kinds=(Kind(id="open", direction="in", en="letter opened"),), channels=(Channel(id="post", en="post"),))
    names = [feature.name for feature in catalogue(bare)]
    assert "count|kind=open|channel=any|topic=any|window=90d" in names
    assert not any("any-topic" in name for name in names)


def test_the_hash_follows_names_and_order():
    features = catalogue(vocabulary())
    assert re.fullmatch(r"[0-9a-f]{64}", definitions_hash(features))
    assert definitions_hash(features) == definitions_hash(tuple(features))
    assert definitions_hash(features) != definitions_hash(features[::-1])
    assert definitions_hash(features) != definitions_hash(features[1:])


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


@pytest.mark.parametrize("group", [{"kinds": ("any", "sent")}, {"topics": ("any",)}, {"channels": ("any",)}])
def test_the_id_any_is_refused(group):
    with pytest.raises(FeatureError, match="means whichever"):
        catalogue(vocabulary(**group))


def test_a_feature_cannot_change():
    with pytest.raises(AttributeError):
        catalogue(vocabulary())[0].kind = "other"
