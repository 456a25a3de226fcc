"""The fold of the ledger, against a slow and obvious one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.permission.facts import ERASED, NEVER, UNKNOWN, Events, Facts, Sources
from features.permission.fold import EXPIRED, GIVEN, NONE, OBJECTED, POLITICAL_PURPOSES, REFUSED, WITHDRAWN, fold
from features.permission.use import Use

PURPOSES = ("any", "political_ads_online", "campaign_messages", "research", "political_ads")
CHANNELS = ("email", "any", "sms")
USES = [
    Use(purpose="political_ads", channel_class="online_targeted", sponsor_type="ngo", jurisdiction="eu"),
    Use(purpose="campaign_messages", channel_class="offline", sponsor_type="ngo", jurisdiction="eu"),
    Use(purpose="campaign_messages", channel_class="offline", sponsor_type="political_actor", jurisdiction="eu", channel="sms"),
    Use(purpose="research", channel_class="aggregate", sponsor_type="company", jurisdiction="eu", channel="email"),
    Use(purpose="fundraising", channel_class="offline", sponsor_type="ngo", jurisdiction="eu", channel="post"),
]
FIELDS = ("consent", "explicit", "refusal", "withdrawn", "objection", "erasure", "spoken")
MOMENTS = st.integers(0, 5)
EVENT = st.tuples(
    st.integers(0, 1),
    st.sampled_from([GIVEN, GIVEN, GIVEN, REFUSED, WITHDRAWN, OBJECTED, EXPIRED, ERASED]),
    st.sampled_from(PURPOSES),
    st.sampled_from(["any", *CHANNELS]),
    MOMENTS,
    st.sampled_from([0, 0, 1]),
    st.sampled_from([None, None, 3, 4, 5]),
    st.booleans(),
)
"""Person, event, purpose, channel, when, how much later it begins to count, until when, explicit."""


def ledger(told):
    """Return the events numbered 1, 2, … in their order, sorted as `Events` are; the first of each tuple is the subject."""
    numbered = sorted(((event[0], seq, event) for seq, event in enumerate(told, 1)), key=lambda one: one[:2])
    rows = [event for _, _, event in numbered]
    at = np.array([event[4] for event in rows], dtype=np.int64)
    return Events(
        seq=np.array([seq for _, seq, _ in numbered], dtype=np.int64),
        subject=np.array([event[0] for event in rows], dtype=np.int64),
        event=np.array([event[1] for event in rows], dtype=np.int8),
        purpose=np.array([PURPOSES.index(event[2]) for event in rows], dtype=np.int32),
        channel=np.array([CHANNELS.index(event[3]) for event in rows], dtype=np.int32),
        at_us=at,
        from_us=at + np.array([event[5] for event in rows], dtype=np.int64),
        until_us=np.array([NEVER if event[6] is None else event[6] for event in rows], dtype=np.int64),
        recorded_us=at,
        explicit=np.array([event[7] for event in rows], dtype=np.bool_),
        purposes=PURPOSES,
        channels=CHANNELS,
    )


def people(subjects, events):
    n = len(subjects)
    never = np.full(n, NEVER, dtype=np.int64)
    return Facts(
        np.array(subjects, dtype=np.int64),
        np.zeros(n, dtype=np.int16),
        np.full(n, UNKNOWN, dtype=np.int8),
        np.full(n, UNKNOWN, dtype=np.int32),
        never,
        never,
        never,
        np.zeros(n, dtype=np.bool_),
        Sources.none(),
        events,
    )


def obvious(told, subject, use, at, known):
    """Return where one person stands, by going through their events as one would by hand."""
    mine = [(when, seq, event, purpose, channel, until, explicit) for seq, (who, event, purpose, channel, when, later, until, explicit) in enumerate(told, 1)
            if who == subject and when + later <= at and (known is None or seq <= known)]  # fmt: skip
    mine.sort()
    general = {"any", use.channel}
    political = POLITICAL_PURPOSES if use.political else ()

    def end(event, purpose, where):
        return event in (REFUSED, WITHDRAWN, EXPIRED) and purpose in (use.consent_purpose, use.purpose, "any") and where in general

    def live(place):
        _, _, event, purpose, channel, until, _ = mine[place]
        if event != GIVEN or purpose != use.consent_purpose or (until is not None and until <= at):
            return False
        if use.channel is not None and channel not in general:
            return False
        later = mine[place + 1 :]
        return not any(end(event, purpose, "any" if use.channel is None and where == channel else where) for _, _, event, purpose, where, _, _ in later)

    places = range(len(mine))
    consents = [place for place in places if live(place)]
    explicits = [place for place in consents if mine[place][6]]
    noes = [place for place in places if mine[place][2] in (REFUSED, WITHDRAWN) and end(*mine[place][2:5])]
    noes = [place for place in noes[-1:] if not any(other > place for other in consents)]
    against = [
        place
        for place in places
        if mine[place][2] == OBJECTED and mine[place][3] in (use.consent_purpose, use.purpose, "any", *political) and mine[place][4] in general
    ]
    against = [place for place in against[-1:] if not any(other > place for other in explicits)]
    back = [place for place in places if mine[place][2] == GIVEN and mine[place][6] and (mine[place][5] is None or mine[place][5] > at)]
    gone = [place for place in places if mine[place][2] == ERASED][-1:]
    gone = [place for place in gone if not any(other > place for other in back)]
    said = [place for place in places if end(*mine[place][2:5])
            or (mine[place][2] == GIVEN and mine[place][3] == use.consent_purpose and (use.channel is None or mine[place][4] in general))]  # fmt: skip

    def number(chosen):
        return mine[chosen[-1]][1] if chosen else NONE

    return {
        "consent": number(consents),
        "explicit": number(explicits),
        "refusal": number(noes),
        "withdrawn": bool(noes) and mine[noes[-1]][2] == WITHDRAWN,
        "objection": number(against),
        "erasure": number(gone),
        "spoken": number(said),
    }


ONE = (0, GIVEN, "campaign_messages", "email", 1, 0, None, True)
TOLD = [
    ([ONE, (0, WITHDRAWN, "any", "email", 2, 0, None, False)], USES[1]),
    ([(0, GIVEN, "campaign_messages", "any", 1, 0, None, True), (0, WITHDRAWN, "any", "email", 2, 0, None, False)], USES[1]),
    ([(0, OBJECTED, "political_ads_online", "any", 1, 0, None, False)], USES[2]),
    ([(0, OBJECTED, "campaign_messages", "any", 1, 0, None, False)], USES[0]),
    ([(0, OBJECTED, "political_ads", "any", 1, 0, None, False)], USES[1]),
    ([(0, OBJECTED, "any", "any", 1, 0, None, False), (0, GIVEN, "campaign_messages", "any", 2, 0, None, False)], USES[1]),
    ([(0, REFUSED, "any", "any", 1, 0, None, False), (0, GIVEN, "campaign_messages", "any", 2, 0, None, False)], USES[1]),
    ([(0, GIVEN, "campaign_messages", "any", 1, 0, 4, True)], USES[1]),
]
"""What chance seldom tells: ended on one channel, objections to another political purpose, a consent that is not explicit, one that ends in the moment."""


@pytest.mark.parametrize(("told", "use"), TOLD)
def test_what_chance_seldom_tells(told, use):
    wanted, standing = obvious(told, 0, use, 4, None), fold(people([0], ledger(told)), use, 4)
    assert {name: getattr(standing, name)[0] for name in FIELDS} == wanted


@settings(max_examples=500)
@given(
    st.lists(EVENT, min_size=1, max_size=12), st.sampled_from(USES), st.integers(2, 6), st.one_of(st.none(), st.integers(0, 12)), st.permutations([0, 1, 7, -1])
)
def test_everybody_stands_where_going_through_their_events_leads(told, use, at, known, subjects):
    standing = fold(people(subjects, ledger(told)), use, at, known=known)
    for row, subject in enumerate(subjects):
        wanted = obvious(told, subject, use, at, known) if subject != UNKNOWN else obvious([], subject, use, at, known)
        assert {name: getattr(standing, name)[row] for name in FIELDS} == wanted


@settings(max_examples=60)
@given(st.lists(EVENT, min_size=20, max_size=30), st.sampled_from(USES), st.integers(2, 6))
def test_one_person_alone_stands_where_they_stand_among_all(told, use, at):
    events = ledger(told)
    everybody = people([1, 0, 7, 1, 0], events)
    together = fold(everybody, use, at)
    for row in range(len(everybody)):
        alone = fold(everybody.take(np.array([row])), use, at)
        for name in FIELDS:
            assert getattr(alone, name).tolist() == [getattr(together, name)[row]]


@settings(max_examples=60)
@given(st.lists(EVENT, max_size=12), st.sampled_from(USES), st.integers(0, 10), st.integers(0, 12))
def test_what_was_not_known_yet_is_as_if_it_had_not_been_written(told, use, at, known):
    before = fold(people([0, 1], ledger(told[:known])), use, at)
    after = fold(people([0, 1], ledger(told)), use, at, known=known)
    for name in FIELDS:
        assert getattr(before, name).tolist() == getattr(after, name).tolist()


@pytest.mark.parametrize("subjects", [[], [5], [UNKNOWN, 5]])
def test_nobody_and_an_empty_ledger(subjects):
    for events in (Events.none(), ledger([(0, OBJECTED, "any", "any", 0, 0, None, False)])):
        standing = fold(people(subjects, events), USES[0], 9)
        assert standing.objection.tolist() == [NONE] * len(subjects)
        assert standing.withdrawn.tolist() == [False] * len(subjects)
        assert standing.consent.dtype == np.int64


@pytest.mark.parametrize("event", [REFUSED, WITHDRAWN, OBJECTED])
@pytest.mark.parametrize("purpose", ["campaign_messages", "research", "political_ads"])
@pytest.mark.parametrize("channel_class", ["online_targeted", "offline"])
def test_a_no_to_the_very_purpose_is_heard_online_too(event, purpose, channel_class):
    """A political use online looks for a consent of its own; a no to what it is for is a no all the same."""
    use = Use(purpose=purpose, channel_class=channel_class, sponsor_type="political_actor", jurisdiction="eu")
    standing = fold(people([0], ledger([(0, event, purpose, "any", 1, 0, None, False)])), use, 3)
    found = standing.objection if event == OBJECTED else standing.refusal
    assert found.tolist() == [1]
