"""Who is held by a tie alone is in nothing that goes to another controller; whoever agreed explicitly is, for as long as that lives."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from features.permission.decision import decide
from features.permission.disclosure import TEXT, held_back
from features.permission.facts import NEVER, Events, Facts, Sources
from features.permission.ledger import CODES
from features.permission.packs import load_pack
from features.permission.rules import EPOCH, Preconditions
from features.permission.use import Use
from features.tables import STATUSES

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DOORS = Use(purpose="campaign_messages", channel_class="offline", sponsor_type="ngo", jurisdiction="be")
MEMBER, CONTACT = STATUSES.index("member"), STATUSES.index("contact")


def micros(days):
    return (NOW + timedelta(days=days) - EPOCH) // timedelta(microseconds=1)


def events(*said):
    """Each a person, an event, whether it is explicit, and the day it ends, if it does."""
    n = len(said)
    at = np.array([micros(-10 + number) for number in range(n)], dtype=np.int64)
    codes = np.zeros(n, dtype=np.int32)
    ends = np.array([NEVER if day is None else micros(day) for *_, day in said], dtype=np.int64)
    made = Events(
        np.arange(1, n + 1),
        np.array([person for person, *_ in said], dtype=np.int64),
        np.array([CODES[event] for _, event, *_ in said], dtype=np.int8),
        codes,
        codes,
        at,
        at,
        ends,
        at,
        np.array([explicit for _, _, explicit, _ in said], dtype=np.bool_),
        ("campaign_messages",),
        ("any",),
    )
    return made.take(np.lexsort((made.seq, made.subject)))


def facts(statuses, said):
    n = len(statuses)
    never, flags = np.full(n, NEVER, dtype=np.int64), np.zeros(n, dtype=np.bool_)
    ages, source = np.zeros(n, dtype=np.int16), np.zeros(n, dtype=np.int32)
    no, forms = flags[:1], np.array([NEVER], dtype=np.int64)
    sources = Sources(("forms",), ("membership",), ("from_person",), no, no, no, forms, (None,))
    return Facts(np.arange(n), ages, np.array(statuses, dtype=np.int8), source, never, never, never, flags, sources, said)


def held(use, statuses, said):
    before = Preconditions("D", NOW.date())
    decisions = decide(facts(statuses, said), use, NOW, pack=load_pack(use.jurisdiction), activity="export", preconditions=before)
    return decisions.allowed.tolist(), held_back(decisions).tolist()


def test_only_explicit_consent_that_lives_lets_a_member_go_elsewhere():
    said = events(
        (1, "given", True, None),
        (2, "given", False, None),
        (3, "given", True, -1),
        (4, "given", True, None),
        (4, "expired", False, None),
        (5, "given", True, 9),
    )
    allowed, back = held(DOORS, [MEMBER] * 6, said)
    assert allowed == [True] * 6
    assert back == [True, False, True, True, True, False]


def test_who_is_not_allowed_is_not_held_back_as_well():
    said = events((0, "given", True, None), (0, "withdrawn", False, None), (2, "given", True, None))
    assert held(DOORS, [MEMBER, CONTACT, CONTACT], said) == ([False, False, True], [False, False, False])


@pytest.mark.parametrize(
    ("use", "ties"),
    [
        (DOORS, True),
        (DOORS.model_copy(update={"jurisdiction": "fr", "sponsor_type": "union", "channel_class": "online_targeted"}), True),
        (DOORS.model_copy(update={"jurisdiction": "eu", "purpose": "service"}), False),
        (DOORS.model_copy(update={"jurisdiction": "uk"}), False),
        (DOORS.model_copy(update={"jurisdiction": "none"}), False),
    ],
)
def test_a_tie_matters_where_a_rule_in_force_rests_on_it(use, ties):
    assert held(use, [MEMBER], events()) == ([True], [ties])


def test_before_the_rule_was_in_force_it_held_nobody_back():
    decisions = decide(facts([MEMBER], events()), DOORS, NOW, pack=load_pack("be"), activity="export", preconditions=Preconditions("D", NOW.date()))
    before = replace(decisions, rules=tuple(rule for rule in decisions.rules if rule.check != "no_art9_basis"))
    assert (held_back(decisions).tolist(), held_back(before).tolist()) == ([True], [False])


def test_a_person_can_be_told_in_three_languages():
    assert all(len(TEXT.words(language)) > 40 for language in ("en", "fr", "nl"))
