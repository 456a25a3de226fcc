"""Values in plain words: no technical name shows, the words agree with the number, and every value is said, a missing one too.

Run as a program, this file prints what is said of every feature, to be read as a native speaker would.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from features import phrases
from features.catalogue import DECLARED, ENGAGEMENT, FIELDS, INCOMING, OUTGOING, SOME_TOPIC, Feature, FeatureError, catalogue, parse_name
from features.definition import DAYPARTS, WEEKDAYS
from features.vocabulary import LANGUAGES, Attribute, Channel, Kind, SourceType, Topic, Vocabulary

GOLDEN = Path(__file__).with_name("sentences.txt")
NAN = math.nan
VALUES = (0.0, 0.004, 0.12, 1.0, 2.0, 2.5, 1e6, NAN)
WORDS = Vocabulary(
    kinds=(
        Kind(
            id="letter_open",
            direction="in",
            engagement=True,
            answers=("letter_sent",),
            en=("letter opened", "letters opened"),
            fr=("lettre ouverte", "lettres ouvertes"),
            nl=("brief geopend", "brieven geopend"),
        ),
        Kind(
            id="door_answer",
            direction="in",
            engagement=True,
            en=("door answered", "doors answered"),
            fr=("accueil à la porte", "accueils à la porte"),
            nl=("deur geopend", "deuren geopend"),
        ),
        Kind(id="gift_in", direction="in", engagement=True, unit="EUR", en=("gift", "gifts"), fr=("don", "dons"), nl=("gift", "giften")),
        Kind(
            id="letter_sent",
            direction="out",
            en=("letter sent", "letters sent"),
            fr=("lettre envoyée", "lettres envoyées"),
            nl=("brief verzonden", "brieven verzonden"),
        ),
        Kind(
            id="survey_in",
            direction="in",
            declares=True,
            unit="points",
            en=("survey filled in", "surveys filled in"),
            fr=("enquête remplie", "enquêtes remplies"),
            nl=("enquête ingevuld", "enquêtes ingevuld"),
        ),
    ),
    channels=(Channel(id="chan_post", en="post", fr="courrier", nl="post"), Channel(id="chan_web", en="the website", fr="le site", nl="de website")),
    topics=(Topic(id="topic_h", en="Housing", fr="Logement", nl="Wonen"), Topic(id="topic_c", en="Climate", fr="Climat", nl="Klimaat")),
    attributes=(
        Attribute(id="attr_size", type="numeric", unit="m²", en="size of the home", fr="taille du logement", nl="grootte van de woning"),
        Attribute(id="attr_g", type="category", categories=("woman", "social_tenant"), en="gender", fr="genre", nl="geslacht"),
    ),
    source_types=(SourceType(id="type_p", en="petition", fr="pétition", nl="petitie"),),
)
TECHNICAL = re.compile(r"letter_|door_|gift_in|survey_in|chan_|topic_|attr_|type_p|\bany\b|any-|[_|={}]|birth_year|joined_at|\bnan\b|\bNone\b|\bout\b|e\+")
MORE = (
    Feature("count", DECLARED, "any", "any", "30d"),
    Feature("count", OUTGOING, "chan_post", "topic_h", "1d"),
    Feature("machine", OUTGOING, "chan_post", SOME_TOPIC, "all"),
    Feature("sum", ENGAGEMENT, "any", "any", "all"),
    Feature("largest", INCOMING, "any", "topic_h"),
    Feature("share", ENGAGEMENT, "any", "any", "all"),
    Feature("share", "letter_open", "chan_post", "topic_h", "7d"),
    Feature("rate", OUTGOING, "chan_post", "topic_h", "1d"),
    Feature("area", "letter_sent", "any", "any", "365d"),
    Feature("trend", ENGAGEMENT, "any", "any", "1d", "all"),
    Feature("trend", ENGAGEMENT, "any", "any", "1d", "1d"),
    Feature("entropy", "letter_open", "chan_post", SOME_TOPIC, "1d"),
    Feature("declared", DECLARED, "chan_post", "any"),
    Feature("declared_age", "survey_in", "any", SOME_TOPIC),
    Feature("switches", "letter_open", "chan_post", SOME_TOPIC),
    Feature("habit", "letter_open", "chan_post", "topic_h"),
    Feature("overdue", "gift_in", "any", "any"),
)
"""Features that no catalogue has and that must be said well too."""


def said(vocabulary: Vocabulary, values: tuple[float, ...] = VALUES) -> Iterator[tuple[Feature, float, tuple[str, ...]]]:
    """Yield what every feature of the vocabulary says for every value, in all languages."""
    for feature in (*catalogue(vocabulary), *MORE):
        for value in values:
            yield feature, value, tuple(feature.sentence(value, vocabulary, language) for language in LANGUAGES)


def golden() -> Iterator[tuple[str, float, list[str]]]:
    """Yield name, value and the three sentences of each block of sentences.txt."""
    blocks = GOLDEN.read_text(encoding="utf-8").split("\n\n")
    for block in blocks[1:]:
        head, *sentences = block.strip("\n").split("\n")
        name, value = head.rsplit(" ", 1)
        yield name, float(value), sentences


def count(kind="letter_open", channel="any", topic="any", window="90d", statistic="count"):
    return Feature(statistic, kind, channel, topic, window)


@pytest.mark.parametrize(("name", "value", "sentences"), list(golden()))
def test_sentences(name, value, sentences):
    assert [parse_name(name).sentence(value, WORDS, language) for language in LANGUAGES] == sentences


def test_every_statistic_has_its_golden_sentences():
    assert {name.partition("|")[0] for name, _, _ in golden()} == set(FIELDS)


def test_every_value_of_every_feature_is_said_without_technical_names():
    for feature, _, sentences in said(WORDS):
        for text in sentences:
            assert not TECHNICAL.search(text), (feature.name, text)
            assert "  " not in text, text
            assert text == text.strip(" .:,"), text
            assert text[0].isalnum(), text
            assert text.count("(") == text.count(")"), text
        assert len(set(sentences)) == len(LANGUAGES), sentences


def test_what_is_missing_is_said_in_words():
    missing = re.compile(r"not known|never|^no |fewer than 2|nothing|: no |stated so far")
    for feature, _, (english, *_) in said(WORDS, (NAN,)):
        assert missing.search(english), (feature.name, english)


def test_french_sets_its_marks_apart_with_spaces_that_do_not_break():
    for _, _, (_, french, _) in said(WORDS):
        assert not re.search(r"(?<!\u00a0)[:»%]|«(?!\u00a0)|'", french), french
    assert Feature("sum", "gift_in", "any", "any", "90d").sentence(12345.5, WORDS, "fr") == (
        "dons au cours des 90 derniers jours\u00a0: 12\u202f345,5 EUR en tout"
    )


def test_french_elides_before_a_vowel():
    assert count("door_answer").sentence(0, WORDS, "fr").startswith("pas d\u2019accueil ")
    assert count("gift_in").sentence(0, WORDS, "fr").startswith("pas de don ")


@pytest.mark.parametrize(("unit", "english"), [("points", "as last stated: 1 points"), (None, "interest in the topic “Housing” stated")])
def test_a_stated_interest_has_a_unit_only_where_all_its_kinds_share_one(unit, english):
    other = Kind(id="form_in", direction="in", declares=True, unit=unit, en="form")
    vocabulary = WORDS.model_copy(update={"kinds": (*WORDS.kinds, other)})
    assert Feature("declared", DECLARED, "any", "topic_h").sentence(1, vocabulary).endswith(english)
    assert Feature("declared", DECLARED, "any", "topic_h").sentence(8, vocabulary).endswith(f"stated: 8{' points' if unit else ''}")


def test_an_id_that_looks_like_a_selector_or_like_a_word_of_ours_is_an_id():
    kinds = (Kind(id="day", direction="in", en=("day with us", "days with us")),)
    vocabulary = Vocabulary(kinds=kinds, channels=WORDS.channels, topics=(Topic(id="anything", en="Anything"),))
    assert count("day", topic="anything").sentence(2, vocabulary) == "2 days with us on the topic “Anything” in the last 90 days"
    assert Feature("recency", "day", "any", "any").sentence(2, vocabulary) == "last day with us 2 days ago"


def test_words_stand_for_every_choice():
    assert {*DAYPARTS, *WEEKDAYS} <= set(phrases.PARTS)
    assert {ENGAGEMENT, INCOMING, OUTGOING, DECLARED, "any"} <= set(phrases.NOUNS)


def test_english_stands_in_for_a_language_that_is_missing():
    bare = Vocabulary(kinds=(Kind(id="open", direction="in", en=("letter opened", "letters opened")),), channels=(Channel(id="post", en="post"),))
    assert count("open").sentence(2, bare, "fr") == "2 letters opened au cours des 90 derniers jours"


@pytest.mark.parametrize(
    ("feature", "gone"),
    [(count("gone"), "gone"), (count(topic="lost"), "lost"), (count(channel="out"), "out"), (Feature("source", which="last", type="old"), "old")],
)
def test_an_id_that_is_gone_is_named(feature, gone):
    with pytest.raises(FeatureError, match=f"'{gone}' is not in this audience"):
        feature.sentence(2, WORDS)


if __name__ == "__main__":
    for feature, value, sentences in said(WORDS):
        print(f"{feature.name} {value:g}", *sentences, sep="\n")
        print()
