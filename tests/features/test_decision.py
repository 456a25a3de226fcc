"""Decisions: the first rule that forbids, for each person, with what it stood on."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest

from features.permission import packs
from features.permission.decision import ALLOWED, decide, every_rule
from features.permission.facts import ERASED, NEVER, UNKNOWN, Events, Facts, Sources
from features.permission.packs import load_pack, merged, parse_pack, shipped
from features.permission.rules import Preconditions, Question
from features.permission.use import Use
from features.tables import CONSENT_EVENTS, STATUSES

DAY = 86_400_000_000
AT = datetime(2026, 3, 1, tzinfo=UTC)
AT_US = int(AT.timestamp()) * 1_000_000
READY = Preconditions(dpia="2026-04", risk_assessment=date(2026, 1, 1))
PARTY = Use(purpose="political_ads", channel_class="online_targeted", sponsor_type="political_actor", jurisdiction="fr")
GIVEN, REFUSED, WITHDRAWN, OBJECTED, EXPIRED = range(len(CONSENT_EVENTS))
PURPOSE = ("political_ads_online", "any")
N = 8


def events():
    """Subjects 1 to 7; numbers 101 to 108. The fifth withdraws a day before AT."""
    told = [(1, GIVEN), (2, OBJECTED), (3, REFUSED), (4, ERASED), (5, GIVEN), (5, WITHDRAWN), (6, GIVEN), (7, GIVEN)]
    at = AT_US - np.array([30, 30, 30, 30, 30, 1, 30, 30]) * DAY
    m = len(told)
    return Events(
        np.arange(101, 101 + m),
        np.array([subject for subject, _ in told]),
        np.array([event for _, event in told], dtype=np.int8),
        np.zeros(m, dtype=np.int32),
        np.zeros(m, dtype=np.int32),
        at,
        at,
        np.full(m, NEVER),
        at,
        np.ones(m, dtype=np.bool_),
        PURPOSE[:1],
        ("any",),
    )


def facts():
    """Eight people: consent, objection, refusal, erasure, withdrawal, from a rented list, too young, and one of whom nothing is known."""
    sources = Sources(
        ("form", "rented"),
        ("membership", "rented_list"),
        ("from_person", "third_party"),
        np.zeros(2, dtype=np.bool_),
        np.zeros(2, dtype=np.bool_),
        np.zeros(2, dtype=np.bool_),
        np.full(2, NEVER),
        (None, None),
    )
    return Facts(
        subject=np.array([1, 2, 3, 4, 5, 6, 7, UNKNOWN]),
        birth_year=np.array([1980] * 6 + [2012, 0], dtype=np.int16),
        status=np.full(N, STATUSES.index("member"), dtype=np.int8),
        source=np.array([0, 0, 0, 0, 0, 1, 0, 0], dtype=np.int32),
        informed_us=np.full(N, AT_US - 30 * DAY),
        joined_us=np.full(N, AT_US - 60 * DAY),
        elsewhere_us=np.full(N, NEVER),
        suppressed=np.zeros(N, dtype=np.bool_),
        sources=sources,
        events=events(),
        versions={"people": 3},
        ledger=108,
    )


def decided(people=None, at=AT, **further):
    pack = further.pop("pack", load_pack("fr"))
    return decide(facts() if people is None else people, further.pop("use", PARTY), at, pack=pack, **{"preconditions": READY} | further)


CODES = [None, "objected", "consent_refused", "erased", "consent_withdrawn", "third_party_source", "under_age", "no_live_political_consent"]


def test_each_person_has_the_first_rule_that_forbids_and_what_it_stood_on():
    decisions = decided()
    assert [decisions.code(row) for row in range(N)] == CODES
    assert [decisions.status(row) for row in range(N)] == [200, 409, 409, 410, 409, 409, 409, 409]
    assert decisions.allowed.tolist() == [True] + 7 * [False]
    assert decisions.event.tolist() == [101, 102, 103, 104, 106, -1, -1, -1]
    assert decisions.source.tolist() == [0, -1, -1, -1, -1, 1, -1, -1]
    assert decisions.rule.dtype == np.int16
    assert len(decisions) == N


def test_what_is_needed_to_decide_again_is_kept():
    decisions, pack = decided(), load_pack("fr")
    assert (decisions.pack, decisions.version, decisions.digest) == ("fr", pack.version, pack.digest)
    assert (decisions.at, decisions.ledger, decisions.versions) == (AT, 108, {"people": 3})
    assert (decisions.use, decisions.activity) == (PARTY, "score")


def test_counts_are_by_code_in_the_order_of_the_rules():
    counts = decided().counts()
    assert sum(counts.values()) == N
    assert list(counts) == [
        "allowed",
        "erased",
        "objected",
        "consent_withdrawn",
        "consent_refused",
        "under_age",
        "third_party_source",
        "no_live_political_consent",
    ]


def test_reasons_come_in_the_persons_language():
    decisions = decided()
    assert decisions.reason(0) is None
    assert "objected" in decisions.reason(1)
    assert "opposée" in decisions.reason(1, "fr")
    assert "bezwaar" in decisions.reason(1, "nl")
    assert "17 ans" in decisions.reason(6, "fr")


def test_one_person_alone_has_the_decision_they_have_among_all():
    people, together = facts(), decided()
    for row in range(N):
        alone = decided(people.take(np.array([row])))
        assert (alone.code(0), alone.event[0], alone.source[0]) == (together.code(row), together.event[row], together.source[row])


def test_a_refused_use_is_refused_for_everybody_nobody_too():
    for people in (facts(), facts().take(np.arange(0))):
        decisions = decided(people, special=True)
        assert decisions.refused_use.code == "special_category_profiling"
        assert [decisions.code(row) for row in range(len(people))] == ["special_category_profiling"] * len(people)
    assert decided(facts().take(np.arange(0))).refused_use is None
    assert decided(special=True).status(3) == 451


def test_without_a_word_on_preconditions_there_are_none():
    decisions = decide(facts(), PARTY, AT, pack=load_pack("fr"))
    assert decisions.refused_use.code == "risk_assessment_stale"
    assert decided(preconditions=Preconditions(risk_assessment=READY.risk_assessment)).refused_use.code == "no_dpia"
    assert decided(activity="audience", lowest_first=True).refused_use.code == "demobilisation"


def test_a_withdrawal_counts_from_its_moment_and_the_past_stays_what_it_was():
    moment = AT - timedelta(days=1)
    assert decided(at=moment).code(4) == "consent_withdrawn"
    assert decided(at=moment - timedelta(microseconds=1)).code(4) is None
    before = decided(known=105)
    assert (before.code(4), before.event[4], before.ledger) == (None, 105, 105)
    assert decided(known=999).ledger == 108


def test_another_zone_is_the_same_moment():
    there = AT.astimezone(timezone(timedelta(hours=5)))
    assert decided(at=there).rule.tolist() == decided().rule.tolist()
    assert decided(at=there).at == AT


def test_a_changed_pack_changes_answers_from_its_date_on_only():
    files = shipped()
    text = (packs.FOLDER / "fr.toml").read_text(encoding="utf-8")
    start = text.index('[[rules]]\nid = "L6"')
    rule = text[start : text.index("[[rules]]", start + 1)]
    newer = rule.replace("from = 2025-10-10", "from = 2026-02-01").replace("voting_age = 18", "voting_age = 16")
    changed = text.replace(rule, rule.replace("from = 2025-10-10", "from = 2025-10-10\nuntil = 2026-02-01") + newer).replace("2026.1", "2026.2")
    new = merged("fr", {**files, "fr": parse_pack(changed, "fr")})
    people = facts().take(np.array([6]))
    people.birth_year[:] = 2010
    before, after = datetime(2026, 1, 31, 23, 59, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    assert [decided(people, at, pack=load_pack("fr")).code(0) for at in (before, after)] == ["under_age", "under_age"]
    assert [decided(people, at, pack=new).code(0) for at in (before, after)] == ["under_age", None]
    assert new.digest != load_pack("fr").digest


def test_every_rule_is_told_of_one_person():
    people = facts().take(np.array([5]))
    told = every_rule(Question(people, PARTY, AT_US, preconditions=READY, needs_third_party=True), load_pack("fr"))
    assert [one.rule.id for one in told] == [rule.id for rule in decided().rules]
    forbidding = {one.rule.id: (one.event, one.source) for one in told if one.forbids}
    assert forbidding == {"L3": (-1, 1)}
    assert [one.rule.id for one in told if not one.applies] == ["L30", "L7", "L4"]
    withdrawn = every_rule(Question(facts().take(np.array([4])), PARTY, AT_US, preconditions=READY), load_pack("fr"))
    assert {one.rule.id: one.event for one in withdrawn if one.forbids} == {"L17": 106, "L2": 106}
    with pytest.raises(ValueError, match="one person at a time, given 8"):
        every_rule(Question(facts(), PARTY, AT_US), load_pack("fr"))


def test_what_cannot_be_decided_is_said():
    with pytest.raises(ValueError, match="under 'fr', and the pack given is 'be'"):
        decided(pack=load_pack("be"))
    with pytest.raises(ValueError, match="with a time zone"):
        decided(at=datetime(2026, 3, 1))  # noqa: DTZ001


def test_there_is_no_rule_beyond_those_in_force():
    long_ago = decided(at=datetime(2017, 1, 1, tzinfo=UTC))
    assert {rule.id for rule in long_ago.rules} == {"L30", "L19", "L18", "L17", "L17b", "L25"}
    assert long_ago.rule.tolist() == [ALLOWED] * N
