"""Values in plain words: no technical name shows, and the words agree with the number."""

import math
import re

import pytest

from features.catalogue import Feature, FeatureError, catalogue
from features.vocabulary import LANGUAGES, Attribute, Channel, Kind, Topic, Vocabulary

NAN = math.nan
WORDS = Vocabulary(
    kinds=(
        Kind(
            id="letter_open",
            direction="in",
            engagement=True,
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
    ),
    channels=(Channel(id="chan_post", en="post", fr="courrier", nl="post"),),
    topics=(Topic(id="topic_h", en="Housing", fr="Logement", nl="Wonen"),),
    attributes=(
        Attribute(id="attr_size", type="numeric", unit="people", en="household size", fr="taille du foyer", nl="grootte van het gezin"),
        Attribute(id="attr_g", type="category", categories=("woman", "man"), en="gender", fr="genre", nl="geslacht"),
    ),
)


def count(kind="letter_open", channel="any", topic="any", window="90d", statistic="count"):
    return Feature(statistic, kind, channel, topic, window)


@pytest.mark.parametrize(
    ("feature", "value", "en", "fr", "nl"),
    [
        (
            count(topic="topic_h"),
            4,
            "4 letters opened on the topic “Housing” in the last 90 days",
            "4 lettres ouvertes sur le thème «\u00a0Logement\u00a0» au cours des 90 derniers jours",
            "4 brieven geopend over het thema “Wonen” in de laatste 90 dagen",
        ),
        (
            count("door_answer", window="30d"),
            0,
            "no door answered in the last 30 days",
            "pas d\u2019accueil à la porte au cours des 30 derniers jours",
            "geen deuren geopend in de laatste 30 dagen",
        ),
        (count(window="1d"), 1, "1 letter opened in the last day", "1 lettre ouverte au cours du dernier jour", "1 brief geopend in de laatste dag"),
        (count(window="all"), 12345, "12,345 letters opened so far", "12\u202f345 lettres ouvertes à ce jour", "12.345 brieven geopend tot nu toe"),
        (
            count("any-out", "chan_post", window="7d"),
            2,
            "2 contact attempts via post in the last 7 days",
            "2 prises de contact via courrier au cours des 7 derniers jours",
            "2 contactpogingen via post in de laatste 7 dagen",
        ),
        (
            count("any-engagement", topic="any-topic", window="all"),
            3,
            "3 answers that carry a topic so far",
            "3 réponses ayant un thème à ce jour",
            "3 reacties met een thema tot nu toe",
        ),
        (
            count("any", statistic="machine"),
            1,
            "1 interaction made by a machine, not by the person in the last 90 days",
            "1 interaction du fait d\u2019une machine, non de la personne au cours des 90 derniers jours",
            "1 interactie door een machine, niet door de persoon in de laatste 90 dagen",
        ),
        (
            count("gift_in", statistic="sum"),
            25.5,
            "gifts in the last 90 days: 25.5 EUR in all",
            "dons au cours des 90 derniers jours\u00a0: 25,5 EUR en tout",
            "giften in de laatste 90 dagen: 25,5 EUR in totaal",
        ),
        (
            count("any-engagement", topic="topic_h", statistic="share"),
            0.25,
            "25% of the answers that carry a topic were on the topic “Housing” in the last 90 days",
            "25\u00a0% des réponses ayant un thème ont porté sur le thème «\u00a0Logement\u00a0» au cours des 90 derniers jours",
            "25% van de reacties met een thema ging over het thema “Wonen” in de laatste 90 dagen",
        ),
        (
            count("any-out", topic="topic_h", window="30d", statistic="supply"),
            0.8,
            "0.8 contact attempts per person of the base on the topic “Housing” in the last 30 days",
            "0,8 prise de contact par personne de la base sur le thème «\u00a0Logement\u00a0» au cours des 30 derniers jours",
            "0,8 contactpogingen per persoon van het bestand over het thema “Wonen” in de laatste 30 dagen",
        ),
        (
            Feature("recency", "letter_open", "any", "any"),
            12.7,
            "last letter opened 12 days ago",
            "lettre ouverte pour la dernière fois il y a 12 jours",
            "laatste brief geopend 12 dagen geleden",
        ),
        (
            Feature("recency", "letter_open", "any", "any"),
            1.0,
            "last letter opened 1 day ago",
            "lettre ouverte pour la dernière fois il y a 1 jour",
            "laatste brief geopend 1 dag geleden",
        ),
        (
            Feature("recency", "letter_open", "any", "any"),
            0.2,
            "last letter opened less than a day ago",
            "lettre ouverte pour la dernière fois il y a moins d\u2019un jour",
            "laatste brief geopend minder dan een dag geleden",
        ),
        (
            Feature("recency", "any-engagement", "any", "topic_h"),
            NAN,
            "answer on the topic “Housing”: never",
            "réponse sur le thème «\u00a0Logement\u00a0»\u00a0: jamais",
            "reactie over het thema “Wonen”: nooit",
        ),
        (
            Feature("decayed", "letter_open", "any", "any", half_life="30d"),
            1.75,
            "letters opened, recent ones counting most (half after 30 days): 1.75",
            "lettres ouvertes, ce qui est récent comptant le plus (moitié après 30 jours)\u00a0: 1,75",
            "brieven geopend, recente tellen het meest (de helft na 30 dagen): 1,75",
        ),
        (Feature("attribute", id="attr_size"), 3, "Household size: 3 people", "Taille du foyer\u00a0: 3 people", "Grootte van het gezin: 3 people"),
        (
            Feature("attribute", id="attr_size"),
            NAN,
            "Household size: not known",
            "Taille du foyer\u00a0: information absente",
            "Grootte van het gezin: onbekend",
        ),
        (Feature("attribute", id="attr_g", category="woman"), 1, "Gender: woman", "Genre\u00a0: woman", "Geslacht: woman"),
        (Feature("attribute", id="attr_g", category="woman"), 0, "Gender: not woman", "Genre\u00a0: autre que woman", "Geslacht: niet woman"),
        (Feature("age", since="birth_year"), 34, "34 years old", "34 ans", "34 jaar oud"),
        (Feature("age", since="birth_year"), NAN, "age not known", "âge inconnu", "leeftijd onbekend"),
        (Feature("tenure", since="joined_at"), 412.9, "in the base for 412 days", "dans la base depuis 412 jours", "412 dagen in het bestand"),
        (Feature("tenure", since="joined_at"), NAN, "date of joining not known", "date d\u2019arrivée inconnue", "begindatum onbekend"),
    ],
)
def test_sentences(feature, value, en, fr, nl):
    assert [feature.sentence(value, WORDS, language) for language in ("en", "fr", "nl")] == [en, fr, nl]


def test_no_technical_name_ever_shows():
    technical = re.compile(r"letter_|door_|gift_in|chan_|topic_|attr_|any|[_|={}]|birth_year|joined_at|nan|None|-")
    for feature in catalogue(WORDS):
        for language in LANGUAGES:
            for value in (0.0, 0.5, 1.0, 2.0, 1e6, NAN):
                if not (math.isnan(value) and feature.statistic not in {"recency", "attribute", "age", "tenure"}):
                    said = feature.sentence(value, WORDS, language)
                    assert not technical.search(said), said
                    assert "  " not in said


def test_english_stands_in_for_a_language_that_is_missing():
    bare = Vocabulary(kinds=(Kind(id="open", direction="in", en=("letter opened", "letters opened")),), channels=(Channel(id="post", en="post"),))
    assert count("open").sentence(2, bare, "fr") == "2 letters opened au cours des 90 derniers jours"


def test_an_id_that_is_gone_is_named():
    with pytest.raises(FeatureError, match="'gone' is not in this audience"):
        count("gone").sentence(2, WORDS)
