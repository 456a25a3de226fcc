"""`[retention]` of audience.toml: what it takes, what it says of a fault, and what of it makes published vectors stale."""

import tomllib

import pytest

from features.entering import Entering
from features.permission.retention import INACTIVE_DAYS, Retention
from features.vocabulary import VocabularyError, parse_vocabulary

WORDS = '[kinds.gift]\ndirection = "in"\nen = "gift"\n[channels.door]\nen = "door"\n'


def parsed(text=""):
    return parse_vocabulary(tomllib.loads(WORDS + text))


def test_without_a_table_no_row_has_a_limit_and_people_have_three_years():
    words = parsed()
    assert (words.retention, words.retention.limits) == (Retention(inactive_days=INACTIVE_DAYS), {})
    assert not Entering.of((), words, own=False).limited


def test_limits_are_read():
    kept = parsed("[retention]\ninactive_days = 730\ninteractions = 1000\nkinds = { gift = 30 }\n[retention.source_types]\npetition = 60\n").retention
    assert (kept.inactive_days, kept.interactions, kept.kinds, kept.source_types) == (730, 1000, {"gift": 30}, {"petition": 60})
    assert Entering.of((), parsed("[retention.source_types]\npetition = 60\n"), own=False).limited


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("inactiv_days = 3", "retention.inactiv_days.*allowed: inactive_days, interactions, kinds, source_types.*Did you mean 'inactive_days'"),
        ("inactive_days = 0", r"retention.inactive_days: .*greater than or equal to 1.*given: 0"),
        ("interactions = 2.5", "retention.interactions: .*integer"),
        ('interactions = "30"', "retention.interactions: .*integer"),
        ("kinds = { gifts = 3 }", r"\[retention.kinds\] 'gifts' is not among \[kinds\]. Did you mean 'gift'"),
        ("kinds = { gift = 99999 }", "retention.kinds.gift: .*less than or equal to 36525"),
        ("source_types = 3", "retention.source_types: "),
        ("source_types = { voter_file = 3 }", r"\[retention.source_types\] 'voter_file' is another word for 'voter_roll'.*write that one"),
        ("source_types = { voter_rol = 3 }", r"'voter_rol' is neither among \[source_types\] nor a type of the law. Did you mean 'voter_roll'"),
        ("source_types = { petitoin = 3 }\n[source_types.petition]\nen = 'petition'", "'petitoin' is neither.*Did you mean 'petition'"),
    ],
)
def test_faults_name_the_key_and_what_is_allowed(text, said):
    with pytest.raises(VocabularyError, match=said):
        parsed(f"[retention]\n{text}\n")


def test_limits_of_types_that_no_source_is_of_are_named():
    kept = Retention(source_types={"petition": 60, "partnership": 30, "event": 10})
    assert kept.unmatched(["event", "petition", "membership"]) == (
        "[retention.source_types]: no stored source is of the type partnership (there: event, membership, petition)"
    )
    assert kept.unmatched([]) is None, "before anything is imported"
    assert kept.unmatched(kept.source_types) is None


def test_only_limits_of_rows_make_published_vectors_stale():
    plain, limits = parsed().fingerprint, ["interactions = 30", "kinds = { gift = 30 }", "source_types = { petition = 30 }", "interactions = 31"]
    assert parsed("[retention]\ninactive_days = 30\n").fingerprint == plain
    assert len({plain, *(parsed(f"[retention]\n{limit}\n").fingerprint for limit in limits)}) == 5
