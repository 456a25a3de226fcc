"""Checks of `features.permission.rules`, over several people at once."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from features.permission.facts import NEVER, UNKNOWN, Events, Facts, Sources
from features.permission.rules import (
    PERSON_CHECKS,
    USE_CHECKS,
    Basis,
    Bought,
    Days,
    Nothing,
    Preconditions,
    Question,
    Roll,
    Types,
    VotingAge,
    is_special,
    no_art9_basis,
    no_dpia,
    not_informed,
    not_own_collection,
    risk_assessment_stale,
    roll_expired,
    source_expired,
    source_purpose_missing,
    under_age,
    unknown_source,
)
from features.permission.use import Use
from features.tables import STATUSES
from features.vocabulary import Topic

DAY = 86_400_000_000
AT = datetime(2026, 3, 1, tzinfo=UTC)
AT_US = int(AT.timestamp()) * 1_000_000
OFFLINE = Use(purpose="campaign_messages", channel_class="offline", sponsor_type="ngo", jurisdiction="eu")
ONLINE = Use(purpose="campaign_messages", channel_class="online_targeted", sponsor_type="ngo", jurisdiction="eu")
SOURCES = Sources(
    ids=("form", "petition", "support", "contest", "honest contest", "rented", "roll", "roll of old", "website"),
    types=("membership", "petition", "petition", "contest", "contest", "rented_list", "voter_roll", "voter_roll", "web"),
    collected_how=("from_person", "from_person", "from_person", "from_person", "from_person", "third_party", "public", "public", "observed"),
    political_purpose_stated=np.array([0, 0, 0, 0, 1, 0, 0, 0, 0], dtype=np.bool_),
    supports_sponsor=np.array([0, 0, 1, 0, 0, 0, 0, 0, 0], dtype=np.bool_),
    has_notice=np.array([0, 0, 0, 1, 1, 0, 0, 0, 0], dtype=np.bool_),
    expires_us=np.array([NEVER, NEVER, NEVER, NEVER, NEVER, AT_US + 1, NEVER, AT_US, NEVER]),
    elections=(None, None, None, None, None, None, "be-2026-10", "be-2024-10", None),
)
"""Nine sources; the last but one expired in this moment, the rented list does in the next."""


def facts(source=(), **columns):
    """Return people who came from these sources, by the row; what is not given is not known."""
    n = len(source)
    known = {
        "subject": np.full(n, UNKNOWN),
        "birth_year": np.zeros(n, dtype=np.int16),
        "status": np.full(n, UNKNOWN, dtype=np.int8),
        "informed_us": np.full(n, NEVER),
        "joined_us": np.full(n, NEVER),
        "elsewhere_us": np.full(n, NEVER),
        "suppressed": np.zeros(n, dtype=np.bool_),
    }
    return Facts(**known | columns, source=np.array(source, dtype=np.int32), sources=SOURCES, events=Events.none())


def asked(people, use=OFFLINE, **further):
    return Question(people, use, AT_US, **further)


def test_ages_are_barred_only_where_no_birthday_could_change_it():
    people = facts([UNKNOWN] * 5, birth_year=np.array([0, 1926, 2009, 2010, 2026], dtype=np.int16))
    assert under_age(asked(people), VotingAge(voting_age=18)).forbidden.tolist() == [False, False, False, True, True]
    assert under_age(asked(people), VotingAge(voting_age=19)).forbidden.tolist() == [False, False, True, True, True]


def test_own_collection_is_from_the_person_or_observed():
    people = facts([*range(9), UNKNOWN], elsewhere_us=np.array([AT_US, AT_US + 1, *8 * [NEVER]]))
    verdict = not_own_collection(asked(people, ONLINE), Nothing())
    assert np.flatnonzero(verdict.forbidden).tolist() == [5, 6, 7]
    assert verdict.source.tolist() == [-1, -1, -1, -1, -1, 5, 6, 7, -1, -1]
    needed = not_own_collection(asked(people, ONLINE, needs_third_party=True), Nothing())
    assert np.flatnonzero(needed.forbidden).tolist() == [0, 5, 6, 7]
    assert needed.source[0] == UNKNOWN, "the person's own source is not the reason"


def test_who_is_of_the_table_people_needs_a_source_that_is_known():
    people = facts([*range(9), UNKNOWN, UNKNOWN], status=np.array([0] * 10 + [UNKNOWN], dtype=np.int8))
    verdict = unknown_source(asked(people), Nothing())
    assert np.flatnonzero(verdict.forbidden).tolist() == [9], "who is known by interactions alone has no source of their own"


def test_contests_are_allowed_only_where_they_said_so_and_never_online():
    parameters = Bought(types=("contest",), never_channel_classes=("online_targeted",))
    people = facts([*range(9), UNKNOWN])
    assert np.flatnonzero(source_purpose_missing(asked(people), parameters).forbidden).tolist() == [3]
    assert np.flatnonzero(source_purpose_missing(asked(people, ONLINE), parameters).forbidden).tolist() == [3, 4]


def test_expiry_is_in_force_from_its_first_moment():
    people = facts([*range(9), UNKNOWN])
    assert np.flatnonzero(source_expired(asked(people), Nothing()).forbidden).tolist() == [7]
    assert np.flatnonzero(roll_expired(asked(people), Roll(types=("voter_roll",))).forbidden).tolist() == [7]
    assert np.flatnonzero(roll_expired(asked(people), Roll(types=("voter_roll",), needs_expiry=True)).forbidden).tolist() == [6, 7]


@pytest.mark.parametrize(("election", "forbidden"), [("be-2026-10", [7]), ("be-2024-10", [6, 7]), ("be-2026-1", [6, 7]), (None, [6, 7])])
def test_a_list_of_voters_serves_the_election_it_was_issued_for_and_no_use_that_names_none(election, forbidden):
    use, roll = OFFLINE.model_copy(update={"election": election}), Roll(types=("voter_roll",), one_election=True)
    found = roll_expired(asked(facts([*range(9), UNKNOWN]), use), roll)
    assert np.flatnonzero(found.forbidden).tolist() == forbidden
    assert found.source[forbidden].tolist() == forbidden
    alone = roll_expired(asked(facts([6]), use), roll)
    assert alone.forbidden.tolist() == [6 in forbidden]


def test_who_came_from_elsewhere_is_told_within_the_days():
    joined = AT_US - np.array([0, 30, 31, 32, 400, 31]) * DAY
    people = facts([5, 5, 5, 6, 0, 5], joined_us=joined, informed_us=np.array([NEVER, NEVER, NEVER, NEVER, NEVER, AT_US]))
    assert not_informed(asked(people), Days(days=31)).forbidden.tolist() == [False, False, True, True, False, False]
    unknown = facts([5, 0])
    assert not_informed(asked(unknown), Days(days=31)).forbidden.tolist() == [True, False]


def test_ties_stand_in_for_consent_but_not_one_petition():
    status = np.array(
        [STATUSES.index(name) for name in ("member", "former_member", "regular_contact", "regular_contact", "regular_contact", "contact")] + [UNKNOWN]
    )
    people = facts([1, 0, 0, 1, 2, 0, 0], status=status.astype(np.int8))
    verdict = no_art9_basis(asked(people), Basis(statuses=("member", "former_member", "regular_contact")))
    assert verdict.forbidden.tolist() == [False, False, False, True, False, True, True]
    assert verdict.source[3] == 1
    assert no_art9_basis(asked(people), Basis()).forbidden.all()


@pytest.mark.parametrize(("made", "stale"), [("2025-03-01", False), ("2025-02-28", True), ("2026-03-01", False), ("2026-03-02", True)])
def test_a_risk_assessment_counts_for_its_days(made, stale):
    question = asked(facts(), preconditions=Preconditions(risk_assessment=date.fromisoformat(made)))
    assert risk_assessment_stale(question, Days(days=365)) is stale
    assert risk_assessment_stale(asked(facts()), Days(days=365))


@pytest.mark.parametrize(("dpia", "refused"), [(None, True), ("", True), ("  ", True), ("2026-04", False)])
def test_an_impact_assessment_is_named(dpia, refused):
    assert no_dpia(asked(facts(), preconditions=Preconditions(dpia=dpia)), Nothing()) is refused


@pytest.mark.parametrize(
    ("sponsor", "sensitivity", "classed_by", "why", "special"),
    [
        ("political_actor", "ordinary", None, None, True),
        ("political_actor", "ordinary", "A. Jurist", None, True),
        ("political_actor", "ordinary", "A. Jurist", " ", True),
        ("political_actor", "ordinary", " ", "shows nothing", True),
        ("political_actor", "ordinary", "A. Jurist", "shows nothing", False),
        ("political_actor", "special", "A. Jurist", "shows faith", True),
        ("ngo", "ordinary", None, None, False),
        ("union", "special", None, None, True),
    ],
)
def test_for_a_political_actor_every_topic_is_special_until_a_named_person_says_why_not(sponsor, sensitivity, classed_by, why, special):
    topic = Topic(id="a", en="A", sensitivity=sensitivity, classed_by=classed_by, why=why)
    assert is_special(topic, OFFLINE.model_copy(update={"sponsor_type": sponsor})) is special


PARAMETERS = {
    VotingAge: {"voting_age": 18},
    Days: {"days": 31},
    Types: {"types": ("contest",)},
    Bought: {"types": ("contest",)},
    Roll: {"types": ("voter_roll",)},
}


@pytest.mark.parametrize("name", PERSON_CHECKS)
@pytest.mark.parametrize("n", [0, 1, 3])
def test_a_check_of_people_says_something_of_each(name, n):
    function, parameters = PERSON_CHECKS[name]
    verdict = function(asked(facts([UNKNOWN] * n)), parameters(**PARAMETERS.get(parameters, {})))
    assert verdict.forbidden.shape == (n,)
    assert verdict.forbidden.dtype == np.bool_
    for column in (verdict.event, verdict.source):
        assert column is None or column.shape == (n,)


@pytest.mark.parametrize("name", USE_CHECKS)
def test_a_check_of_the_use_says_yes_or_no(name):
    function, parameters = USE_CHECKS[name]
    assert function(asked(facts()), parameters(**PARAMETERS.get(parameters, {}))) in (True, False)


@pytest.mark.parametrize("name", PERSON_CHECKS)
def test_a_check_says_of_one_person_alone_what_it_says_of_them_among_all(name):
    function, parameters = PERSON_CHECKS[name]
    people = facts([*range(9), UNKNOWN], status=np.arange(10, dtype=np.int8) % 5 - 1, birth_year=np.arange(2005, 2015, dtype=np.int16))
    given = parameters(**PARAMETERS.get(parameters, {}))
    together = function(asked(people), given)
    for row in range(10):
        alone = function(asked(people.take(np.array([row]))), given)
        assert alone.forbidden[0] == together.forbidden[row]
        for one, all_of_them in ((alone.event, together.event), (alone.source, together.source)):
            assert one is None or one[0] == all_of_them[row]
