"""The list of names is a golden file; every vocabulary has a catalogue that can be laid out and built."""

import random
import re
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from features import context
from features.catalogue import CONTEXTUAL, LEAVABLE, FeatureError, catalogue, families, parse_name, special_attributes
from features.layout import layout
from features.vectors import build
from features.vocabulary import Attribute, Channel, Kind, SourceType, Topic, Vocabulary
from tests.features.histories import NOW, SOURCES, WORDS, Tables, interaction, random_history
from tests.features.slow_model import SlowModel

GOLDEN = Path(__file__).with_name("names.txt")


def vocabulary(kinds=("sign", "click", "sent"), topics=("housing", "climate"), channels=("email", "door"), **others):
    return Vocabulary(
        kinds=tuple(
            Kind(
                id=kind,
                direction="out" if kind == "sent" else "in",
                engagement=kind != "sent",
                answers=("sent",) if kind == "click" and "sent" in kinds else (),
                declares=kind == "sign",
                unit="EUR" if kind == "sign" else None,
                en=kind,
            )
            for kind in kinds
        ),
        channels=tuple(Channel(id=channel, en=channel) for channel in channels),
        topics=tuple(Topic(id=topic, en=topic) for topic in topics),
        attributes=(
            Attribute(id="household", type="numeric", en="household"),
            Attribute(id="age", type="category", categories=("18-24", "65 +", "ÿ=|."), en="age"),
        ),
        source_types=(SourceType(id="petition", en="petition"),),
        **others,
    )


LARGE = vocabulary(kinds=("sent", *(f"kind{n}" for n in range(7))), topics=tuple(f"topic{n}" for n in range(12)), channels=tuple(f"ch{n}" for n in range(5)))


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


def test_the_golden_file_has_every_statistic():
    from features.definition import FIELDS

    assert {feature.statistic for feature in catalogue(vocabulary())} == set(FIELDS)


def test_a_column_belongs_to_a_topic_if_and_only_if_it_has_the_field():
    of_topic = [feature.name for feature in catalogue(vocabulary()) if feature.topic == "housing"]
    assert of_topic == [feature.name for feature in catalogue(vocabulary()) if "topic=housing" in feature.name.split("|")]
    without = {feature.name for feature in catalogue(vocabulary(topics=("climate",)))}
    assert set(of_topic).isdisjoint(without)
    assert without < {feature.name for feature in catalogue(vocabulary())}


def test_twelve_topics_make_hundreds_of_columns_but_not_thousands():
    assert 200 <= len(catalogue(LARGE)) < 800


@pytest.mark.parametrize("words", [vocabulary(), LARGE, WORDS])
def test_families_partition_the_catalogue(words):
    found = families(words)
    members = [feature for family in found.values() for feature in family]
    assert sorted(members, key=catalogue(words).index) == list(catalogue(words))
    assert len(set(members)) == len(members)
    assert [catalogue(words).index(family[0]) for family in found.values()] == sorted(catalogue(words).index(family[0]) for family in found.values())
    assert all(family for family in found.values())


def test_windows_come_from_the_vocabulary():
    windows = {feature.window for feature in catalogue(vocabulary(windows_days=(730, 1460)))} - {None}
    assert windows == {"730d", "1460d", "all"}
    assert {feature.window for feature in catalogue(vocabulary(windows_days=()))} - {None} == {"all"}
    assert {feature.half_life for feature in catalogue(vocabulary(half_lives_days=(3, 40)))} - {None} == {"3d", "40d"}


@pytest.mark.parametrize("group", [{"kinds": ("any", "sent")}, {"topics": ("any",)}, {"channels": ("any",)}])
def test_the_id_any_is_refused(group):
    with pytest.raises(FeatureError, match="means whichever"):
        catalogue(vocabulary(**group))


@pytest.mark.parametrize("left", [*((family,) for family in LEAVABLE), LEAVABLE])
def test_families_that_are_left_out_are_needed_by_no_other(left):
    words = WORDS.model_copy(update={"leave_out": left})
    features = catalogue(words)
    assert list(families(words)) == [family for family in families(WORDS) if family not in left]
    assert set(features) < set(catalogue(WORDS))
    assert layout(features, words).features == features
    assert len(context.formulas(features, words)) == len([feature for feature in features if feature.statistic in CONTEXTUAL])


@pytest.mark.parametrize("in_models", [None, False, True])
def test_an_attribute_of_special_sensitivity_is_in_vectors_only_where_somebody_says_so(in_models):
    size, gender = WORDS.attributes
    words = WORDS.model_copy(update={"attributes": (size, gender.model_copy(update={"sensitivity": "special", "in_models": in_models}))})
    names = [feature.name for feature in catalogue(words)]
    every = [feature.name for feature in catalogue(WORDS)]
    assert names == [name for name in every if in_models or "gender" not in name]
    assert special_attributes(names, words) == (("gender",) if in_models else ())
    assert special_attributes(every, words) == ("gender",)


def test_a_family_that_others_are_made_of_cannot_be_left_out():
    with pytest.raises(FeatureError, match=r"'frequency' is not a family that can be left out; allowed: decay, "):
        catalogue(WORDS.model_copy(update={"leave_out": ("frequency",)}))


def test_too_many_topics_are_refused():
    with pytest.raises(FeatureError, match=r"1,024 topics are too many; at most 1,023"):
        catalogue(vocabulary(topics=tuple(f"t{number}" for number in range(1024))))


BARE = Vocabulary(kinds=(Kind(id="open", direction="in", en="letter opened"),), channels=(Channel(id="post", en="post"),))
WITHOUT = {
    "topics": {"topics": ()},
    "messages": {"kinds": tuple(kind.model_copy(update={"answers": ()}) for kind in WORDS.kinds if kind.direction == "in")},
    "answers": {"kinds": tuple(kind.model_copy(update={"engagement": False, "answers": ()}) for kind in WORDS.kinds)},
    "values": {"kinds": tuple(kind.model_copy(update={"unit": None}) for kind in WORDS.kinds)},
    "windows": {"windows_days": ()},
    "half-lives": {"half_lives_days": ()},
    "one window": {"windows_days": (730,)},
    "source types and attributes": {"source_types": (), "attributes": ()},
    "all that can be left out": {"leave_out": LEAVABLE},
    "a clock of its own": {"timezone": "UTC"},
}


@pytest.mark.oracle
@pytest.mark.parametrize("missing", [*WITHOUT, "all of it"])
def test_a_vocabulary_without_something_is_laid_out_and_built(tmp_path, missing):
    words = BARE if missing == "all of it" else Vocabulary.model_validate(WORDS.model_dump() | WITHOUT[missing])
    features = catalogue(words)
    assert layout(features, words).features == features
    assert {formula.feature for formula in context.formulas(features, words)} == {feature for feature in features if feature.statistic in CONTEXTUAL}
    interactions, people = random_history(1, 80)
    interactions.append(interaction(random.Random(0), "open") | {"kind": "open", "direction": "in", "occurred_at": NOW - timedelta(days=3), "received_at": NOW})
    found = build(Tables(tmp_path, interactions, people, words=words), words, NOW)
    model = SlowModel(interactions, people, words, NOW, SOURCES)
    assert found.person_ids.to_pylist() == model.base
    for column, feature in enumerate(features):
        np.testing.assert_allclose(found.matrix[:, column], [model.value(one, feature) for one in model.base], rtol=1e-6, atol=1e-9, err_msg=feature.name)


def test_what_a_vocabulary_has_no_words_for_has_no_columns():
    names = [feature.name for feature in catalogue(BARE)]
    assert "count|kind=open|channel=any|topic=any|window=90d" in names
    assert not any("any-topic" in name or "any-out" in name or name.startswith(("declared", "source", "attribute", "rate", "sum")) for name in names)
