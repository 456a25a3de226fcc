"""Reasons are the strongest contributions, in words."""

import math

import numpy as np
import pytest

from features.vocabulary import parse_vocabulary
from models.explanation import reasons

COUNT = "count|kind=any-engagement|channel=any|topic=housing|window=90d"
COLUMNS = (COUNT, "age|since=birth_year", "plain column", "topic")
PARTS = np.array([0.4, 0.0, -0.9, 0.1])
VECTOR = np.array([3, 44, np.nan], dtype=np.float32)


@pytest.fixture
def vocabulary():
    return parse_vocabulary(
        {
            "kinds": {"reply": {"direction": "in", "engagement": True, "en": ["reply", "replies"]}},
            "channels": {"email": {"en": "by e-mail"}},
            "topics": {"housing": {"en": "Housing", "fr": "Logement", "nl": "Wonen"}},
        }
    )


def test_reasons_are_the_strongest_by_size_and_none_is_nothing(vocabulary):
    found = reasons(PARTS, VECTOR, COLUMNS, vocabulary, top=9)
    assert [reason.feature for reason in found] == ["plain column", COUNT, "topic"]
    assert [reason.contribution for reason in found] == [-0.9, 0.4, 0.1]
    assert reasons(PARTS, VECTOR, COLUMNS, vocabulary, top=1) == found[:1]
    assert reasons(PARTS, VECTOR, COLUMNS, vocabulary, top=0) == []


def test_a_missing_value_is_none_and_said_to_be_unknown(vocabulary):
    reason = reasons(PARTS, VECTOR, COLUMNS, vocabulary, top=1)[0]
    assert reason.value is None
    assert reason.text == "plain column: not known"


@pytest.mark.parametrize("language", ["en", "fr", "nl"])
def test_catalogue_names_are_put_in_words_of_the_language(vocabulary, language):
    reason = reasons(PARTS, VECTOR, COLUMNS, vocabulary, top=2, language=language)[1]
    assert vocabulary.topic("housing").label(language).lower() in reason.text.lower()
    assert "|" not in reason.text
    assert "3" in reason.text
    assert reason.value == 3.0


@pytest.mark.parametrize("language", ["en", "fr", "nl"])
def test_the_topic_itself_has_words(vocabulary, language):
    named = reasons(PARTS, VECTOR, COLUMNS, vocabulary, top=3, language=language, topic="housing")[2]
    assert vocabulary.topic("housing").label(language) in named.text
    without = reasons(PARTS, VECTOR, COLUMNS, vocabulary, top=3, language=language)[2]
    assert "{" not in without.text
    assert without.value is None


def test_a_name_whose_words_are_gone_stands_as_it_is(vocabulary):
    gone = COUNT.replace("housing", "tax")
    assert reasons([1.0], [2.0], [gone], vocabulary, top=1)[0].text == f"{gone}: 2"
    assert reasons([1.0], [math.nan], ["x"], None, top=1)[0].text == "x: not known"


def test_equal_contributions_keep_the_order_of_columns():
    assert [reason.feature for reason in reasons([0.5, -0.5, 0.5], [1, 2, 3], ["c", "a", "b"], None, top=3)] == ["c", "a", "b"]


def test_lengths_must_fit():
    with pytest.raises(ValueError, match="one contribution and one value per column"):
        reasons([1.0, 2.0], [1.0], ["a", "b"], None, top=1)
