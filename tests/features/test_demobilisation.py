"""An experiment whose aim is that fewer people take part cannot be declared."""

import pytest

from features.demobilisation import demobilising
from features.vocabulary import VocabularyError, parse_vocabulary


@pytest.mark.parametrize(
    ("outcome", "engagement", "texts"),
    [
        ("not_vote", "higher", ()),
        ("non-voting", "higher", ()),
        ("stayed_home", "higher", ()),
        ("abstention", "higher", ()),
        ("turnout", "lower", ()),
        ("voted_2026", "lower", ()),
        ("pledges", "lower", ()),
        ("pledge", "higher", ("Deterrence letter",)),
        ("pledge", "higher", ("voter suppression",)),
        ("oproep", "higher", ("Kiezers ontmoedigen",)),
        ("did_not_attend", "higher", ()),
        ("no_show", "higher", ()),
        ("didn't vote", "higher", ()),
        ("wont_vote", "higher", ()),
        ("did_not_turn_out", "higher", ()),
        ("not_registered", "higher", ()),
        ("voter_deregistration", "higher", ()),
        ("unsubscribed", "higher", ()),
        ("désabonnement", "higher", ()),
        ("uitgeschreven", "higher", ()),
        ("turn_out", "lower", ()),
        ("inscription", "higher", ("Décourager les électeurs",)),
    ],
)
def test_keeping_people_from_taking_part_is_refused(outcome, engagement, texts):
    assert "L30" in demobilising(outcome, engagement, texts)


@pytest.mark.parametrize(
    ("outcome", "engagement", "texts"),
    [
        ("turnout", "higher", ("A neighbour's letter", "Votre voix compte")),
        ("unsubscribed", "lower", ("fewer letters",)),
        ("not_registered", "lower", ()),
        ("no_show", "lower", ()),
        ("no_of_votes", "higher", ()),
        ("opting_in", "higher", ()),
        ("days_until_reply", "lower", ()),
        ("complaints", "lower", ("Story of a tenant",)),
        ("homes_visited", "higher", ("Stay in touch",)),
    ],
)
def test_what_raises_engagement_is_not(outcome, engagement, texts):
    assert demobilising(outcome, engagement, texts) is None


@pytest.mark.parametrize(
    "declared",
    [
        {"outcome": "not_vote", "engagement": "higher"},
        {"outcome": "turnout", "engagement": "lower"},
        {"outcome": "pledge", "engagement": "higher", "arms": {"letter": "Deterrence"}},
    ],
)
def test_a_workspace_that_declares_it_does_not_open(declared):
    kinds = {"letter": {"direction": "out", "en": "letter"}}
    with pytest.raises(VocabularyError, match=r"experiments.*rule L30"):
        parse_vocabulary({"kinds": kinds, "channels": {"post": {"en": "post"}}, "experiments": {"e": {"en": "An experiment", **declared}}})


def test_an_experiment_says_which_way_is_engagement():
    kinds = {"letter": {"direction": "out", "en": "letter"}}
    with pytest.raises(VocabularyError, match=r"experiments.*say engagement = 'higher' if more of 'pledge'"):
        parse_vocabulary({"kinds": kinds, "channels": {"post": {"en": "post"}}, "experiments": {"e": {"en": "An experiment", "outcome": "pledge"}}})
