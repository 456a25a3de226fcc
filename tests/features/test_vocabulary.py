"""The words of `audience.toml`: what they say, and what is refused, by its key."""

import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from features.vocabulary import Experiment, Labels, Vocabulary, VocabularyError, parse_vocabulary

FEATURES = Path(__file__).resolve().parents[2] / "features"
WORDS = {
    "kinds": {
        "letter_open": {
            "direction": "in",
            "engagement": True,
            "answers": ["letter_sent"],
            "en": ["letter opened", "letters opened"],
            "fr": ["lettre ouverte", "lettres ouvertes"],
        },
        "letter_sent": {"direction": "out", "en": ["letter sent", "letters sent"]},
        "sms": {"direction": "out", "en": "sms"},
        "form": {"direction": "in", "declares": True, "en": "form"},
    },
    "channels": {"email": {"en": "e-mail", "fr": "courriel"}},
    "topics": {"housing": {"en": "housing", "nl": "wonen"}, "rent": {"en": "rent", "parent": "housing", "sensitivity": "special"}},
    "attributes": {"gender": {"type": "category", "categories": ["f", "m"], "en": "gender", "sensitivity": "special"}},
    "source_types": {"petition": {"en": "petition", "fr": "pétition"}},
    "experiments": {"mailing": {"outcome": "voted", "engagement": "higher", "en": "mailing", "arms": {"a": "hello"}}},
    "features": {"windows_days": [7, 30]},
}


def words(**other):
    return {**WORDS, **other}


def test_what_the_file_says_is_found_by_its_id():
    vocabulary = parse_vocabulary(WORDS)
    assert vocabulary.kind("letter_open").engagement
    assert vocabulary.topic("rent").parent == "housing"
    assert vocabulary.channel("email").label("fr") == "courriel"
    assert vocabulary.attribute("gender").categories == ("f", "m")
    assert vocabulary.experiment("mailing").control == "control"
    assert vocabulary.topic_ids == ("housing", "rent")
    assert vocabulary.engagement_kinds == ("letter_open",)
    assert (vocabulary.windows_days, vocabulary.half_lives_days) == ((7, 30), (7, 30, 180))
    assert vocabulary.timezone == "UTC"
    assert vocabulary.source_type("petition").label("fr") == "pétition"
    assert [kind.id for kind in vocabulary.kinds if kind.declares] == ["form"]


def test_what_answers_a_message_is_found_by_the_message():
    vocabulary = parse_vocabulary(WORDS)
    assert vocabulary.answers_to("letter_sent") == ("letter_open",)
    assert vocabulary.answers_to("sms") == ()


def test_the_zone_of_the_clock_is_one_that_is_known():
    assert parse_vocabulary(words(features={"timezone": "Europe/Brussels"})).timezone == "Europe/Brussels"


def test_the_starter_says_what_the_defaults_are():
    starter = tomllib.loads((FEATURES / "starter.toml").read_text(encoding="utf-8"))
    vocabulary, defaults = parse_vocabulary(starter), parse_vocabulary({**starter, "features": {}})
    assert vocabulary == defaults
    assert set(starter["features"]) == {"windows_days", "half_lives_days", "timezone"}
    assert vocabulary.answers_to("email_sent") == ("email_click",)


def test_what_the_starter_shows_in_comments_can_be_used():
    lines = (FEATURES / "starter.toml").read_text(encoding="utf-8").splitlines()
    examples, inside = [], False
    for line in lines:
        inside = line.startswith("# [") or (inside and line.startswith("# "))
        examples += [line.removeprefix("# ")] if inside else []
    vocabulary = parse_vocabulary({**WORDS, **tomllib.loads("\n".join(examples))})
    assert vocabulary.kind("interest_stated").declares
    assert vocabulary.source_type("petition").label("nl") == "petitie"
    assert vocabulary.experiment("welcome_call").arms


def test_labels_fall_back_to_english():
    assert parse_vocabulary(WORDS).topic("housing").label("fr") == "housing"
    assert Labels(en="a", nl="b").label("nl") == "b"


@pytest.mark.parametrize(
    ("count", "language", "noun"),
    [(1, "en", "letter opened"), (0, "en", "letters opened"), (1.5, "fr", "lettre ouverte"), (0, "fr", "lettre ouverte"), (2, "fr", "lettres ouvertes")],
)
def test_nouns_count_as_their_language_does(count, language, noun):
    assert parse_vocabulary(WORDS).kind("letter_open").noun(count, language) == noun


def test_one_word_serves_as_singular_and_plural():
    assert parse_vocabulary(WORDS).kind("sms").noun(2) == "sms"


def test_the_fingerprint_changes_with_every_word_and_only_then():
    same, other = parse_vocabulary(WORDS), parse_vocabulary(words(features={"windows_days": [7]}))
    assert parse_vocabulary(WORDS).fingerprint == same.fingerprint
    assert other.fingerprint != same.fingerprint
    assert len(same.fingerprint) == 64


SPECIAL = {"housing": {"en": "housing", "sensitivity": "special"}, "peace": {"en": "peace"}, "rents": {"en": "rents", "classed_by": "Ann", "why": "rents"}}
PARTY = {"sponsor_type": "political_actor", "channel_class": "online_targeted"}


@pytest.mark.parametrize(
    ("uses", "withheld"),
    [
        ({}, ("housing",)),
        ({"a": PARTY | {"sponsor_type": "union"}, "b": PARTY | {"channel_class": "offline"}}, ("housing",)),
        ({"a": PARTY | {"sponsor_type": "union"}, "b": PARTY}, ("housing", "peace")),
    ],
)
def test_online_targeting_may_not_see_what_is_special_nor_a_political_actor_what_nobody_classed(uses, withheld):
    assert parse_vocabulary(words(topics=SPECIAL, uses=uses)).withheld == withheld


def test_what_is_withheld_makes_published_vectors_stale():
    some, more = (parse_vocabulary(words(topics=SPECIAL, uses=uses)) for uses in ({}, {"party": PARTY}))
    assert some.fingerprint != more.fingerprint
    ordinary = {name: topic | {"classed_by": "Ann", "why": "it shows nothing"} for name, topic in SPECIAL.items() if name != "housing"}
    assert parse_vocabulary(words(topics=ordinary, uses={"party": PARTY})).fingerprint == parse_vocabulary(words(topics=ordinary)).fingerprint


def test_a_vocabulary_cannot_be_changed():
    with pytest.raises(ValidationError):
        parse_vocabulary(WORDS).kinds = ()


def test_the_workspaces_own_tables_are_left_alone():
    assert parse_vocabulary(words(workspace={"name": "x"}, training={})) == parse_vocabulary(WORDS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kinds": {"a": {"en": "a"}}}, r"kinds\.a\.direction: Field required"),
        ({"kinds": {"a": {"en": "a", "direction": "up"}}}, r"kinds\.a\.direction.*given: 'up'"),
        ({"kinds": {"a": {"en": "a", "direction": "out", "engagement": True}}}, "what is sent to a person is not an answer"),
        ({"kinds": {"a": {"en": "a", "direction": "out", "declares": True}}}, r"kinds\.a.*declares needs direction = 'in'"),
        ({"kinds": {"a": {"en": "a", "direction": "out", "answers": ["a"]}}}, r"kinds\.a.*answers needs direction = 'in'"),
        ({"kinds": {**WORDS["kinds"], "a": {"en": "a", "direction": "in", "answers": ["leter_sent"]}}}, r"\[kinds\.a\].*Did you mean 'letter_sent'"),
        ({"kinds": {**WORDS["kinds"], "a": {"en": "a", "direction": "in", "answers": ["letter_open"]}}}, "not a kind with direction = 'out'"),
        ({"source_types": {"Big Type": {"en": "a"}}}, "an id is made of a-z"),
        ({"source_types": {"a": {"en": "a", "nll": "b"}}}, r"source_types\.a\.nll.*Did you mean 'nl'"),
        ({"source_types": {"a": {}}}, r"source_types\.a\.en: Field required"),
        ({"features": {"timezone": "Brussels"}}, "'Brussels' is not a zone such as 'Europe/Brussels'"),
        ({"kinds": {"a": {"en": "a", "direction": "in", "unti": "EUR"}}}, r"kinds\.a\.unti.*Did you mean 'unit'"),
        ({"kinds": {"Big Kind": {"en": "a", "direction": "in"}}}, "an id is made of a-z"),
        ({"kinds": {}}, r"at least one \[kinds"),
        ({"kinds": []}, r"\[kinds\] holds tables"),
        ({"topics": {"a": {"en": "a", "parent": "housng"}, "housing": {"en": "h"}}}, "Did you mean 'housing'"),
        ({"topics": {"a": {"en": "a", "parent": "a"}}}, "is not another topic"),
        ({"attributes": {"a": {"en": "a", "type": "numeric", "categories": ["x"]}}}, "a numeric one has none"),
        ({"attributes": {"a": {"en": "a", "type": "category"}}}, "lists its `categories`"),
        (
            {"attributes": {"a": {"en": "a", "type": "numeric", "in_models": False}}},
            r"attributes\.a: in_models is asked of attributes with sensitivity",
        ),
        ({"attributes": {"a": {"en": "a", "type": "numeric", "in_model": True}}}, r"attributes\.a\.in_model.*Did you mean 'in_models'"),
        ({"features": {"windows_days": [30, 7]}}, "rising, each once"),
        ({"features": {"half_lives_days": [0]}}, "at least 1"),
        ({"features": {"window_days": [7]}}, "window_days"),
    ],
)
def test_each_fault_names_its_key(change, message):
    with pytest.raises(VocabularyError, match=message):
        parse_vocabulary(words(**change))


def test_several_faults_come_as_several_lines():
    with pytest.raises(VocabularyError) as raised:
        parse_vocabulary(words(kinds={"a": {"en": "a"}, "b": {"direction": "in"}}))
    assert len(str(raised.value).splitlines()) == 2


def test_an_experiment_that_is_not_there():
    with pytest.raises(VocabularyError, match=r"there: mailing.*Did you mean 'mailing'"):
        parse_vocabulary(WORDS).experiment("mailng")
    with pytest.raises(VocabularyError, match="none is declared"):
        parse_vocabulary(words(experiments={})).experiment("x")


def test_what_is_not_there_is_a_key_error():
    vocabulary = parse_vocabulary(WORDS)
    for look_up in (vocabulary.kind, vocabulary.topic, vocabulary.channel, vocabulary.attribute, vocabulary.source_type):
        with pytest.raises(KeyError):
            look_up("nothing")


def test_a_vocabulary_goes_through_json_unchanged():
    vocabulary = parse_vocabulary(WORDS)
    assert Vocabulary.model_validate_json(vocabulary.model_dump_json()) == vocabulary


@pytest.mark.parametrize("arms", [("Letter A", "letter-a"), ("lettre é", "lettre è"), ("短信", "电话")])
def test_arms_of_one_experiment_have_models_of_their_own(arms):
    story = {"outcome": "pledge", "engagement": "higher", "en": "a story"}
    with pytest.raises(ValidationError, match=f"arms '{arms[0]}' and '{arms[1]}' would have one model"):
        Experiment(id="story", arms=dict.fromkeys(arms, "a message"), **story)
    assert Experiment(id="story", control=arms[0], arms=dict.fromkeys(arms, "a message"), **story), "control has no model"
