"""What is declared stands in the register with who, when and why; what changes stands beside what was said before; nothing new writes nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from features.database.store import Store
from features.permission.declared import declare
from features.permission.packs import load_pack
from features.permission.register import Register
from features.permission.settings import parse_permission
from features.vocabulary import Topic, Vocabulary, parse_vocabulary

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
USE = {"purpose": "campaign_messages", "channel_class": "offline", "sponsor_type": "ngo", "jurisdiction": "be"}
WORDS = parse_vocabulary({"kinds": {"gift": {"direction": "in", "en": "gift"}}, "channels": {"door": {"en": "door"}}})


@pytest.fixture
def register(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    yield Register(store, b"s" * 32)
    store.close()


def words(*topics):
    return Vocabulary(**WORDS.model_dump() | {"topics": topics})


def said(register, kind):
    return [(entry.at, dict(entry.body)) for entry in register.entries(kind)]


def test_a_topic_that_is_classed_anew_stands_beside_what_it_was(register):
    housing, climate = Topic(id="housing", en="Housing"), Topic(id="climate", en="Climate", sensitivity="special", classed_by="A. Officer", why="opinions")
    nothing = parse_permission({})
    assert declare(register, words(housing, climate), nothing, now=NOW) == 2
    later = NOW + timedelta(days=1)
    classed = housing.model_copy(update={"classed_by": "B. Officer", "why": "everybody rents or owns"})
    assert declare(register, words(classed, climate), nothing, now=later) == 1
    assert declare(register, words(housing, climate), nothing, now=later + timedelta(days=1)) == 1
    entries = said(register, "topic")
    assert [(at, body["topic"], body["classed_by"], body["special_for_political_actors"]) for at, body in entries] == [
        (NOW, "housing", None, True),
        (NOW, "climate", "A. Officer", True),
        (later, "housing", "B. Officer", False),
        (later + timedelta(days=1), "housing", None, True),
    ]
    assert entries[1][1] | {"why": "opinions", "sensitivity": "special", "label": "Climate", "parent": None} == entries[1][1]


def test_who_confirmed_a_pack_and_what_was_assessed(register):
    document = {"uses": {"door": USE}, "permission": {}}
    assert declare(register, WORDS, parse_permission(document), now=NOW) == 1, "an assessment that never was is no entry"
    version = load_pack("be").version
    document["permission"] = {"dpia": "DPIA-1", "risk_assessment": NOW.date(), "risk_assessment_url": "https://example.org/risks"}
    document["permission"]["confirmed"] = {"be": {"version": version, "by": "A. Jurist", "on": NOW.date()}}
    assert declare(register, WORDS, parse_permission(document), now=NOW) == 3
    assert [(body["state"], body["by"], body["on"]) for _, body in said(register, "law_pack")] == [
        ("unconfirmed", None, None),
        ("confirmed", "A. Jurist", "2026-11-01"),
    ]
    assert said(register, "risk_assessment") == [(NOW, {"on": "2026-11-01", "url": "https://example.org/risks"})]
    document["permission"] = {}
    assert declare(register, WORDS, parse_permission(document), now=NOW) == 3
    assert [body["id"] for _, body in said(register, "dpia")] == ["DPIA-1", None], "what is taken back is said"


def test_nothing_new_takes_no_lock_and_writes_nothing(register, monkeypatch):
    arguments = (words(Topic(id="housing", en="Housing")), parse_permission({"uses": {"door": USE}, "permission": {"dpia": "DPIA-1"}}))
    declare(register, *arguments, now=NOW)
    monkeypatch.setattr(Store, "write", None)
    assert declare(register, *arguments, now=NOW + timedelta(days=400)) == 0
