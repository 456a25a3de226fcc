"""Permission as it stands now: from the very tables and ledger, the next decision after a withdrawal, in every process that shares the store."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from features.database.store import Store
from features.history import History
from features.permission.ledger import Event
from features.permission.live import Permission
from features.permission.use import Use
from features.tables import TABLES, arrow_schema

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=400)
ONLINE = Use(purpose="campaign_messages", channel_class="online_targeted", sponsor_type="ngo", jurisdiction="none")
FRENCH = ONLINE.model_copy(update={"jurisdiction": "fr"})
PARTY = Use(purpose="political_ads", channel_class="online_targeted", sponsor_type="political_actor", jurisdiction="fr")
PEOPLE = ["van:1", "van:2", "van:3", "van:4"]


def put(workspace, table, rows):
    schema = arrow_schema(TABLES[table], workspace.vocabulary)
    arrays = [pa.array([row.get(field.name) for row in rows], type=field.type) for field in schema]
    History(workspace.tables, workspace.vocabulary).append(table, iter([pa.record_batch(arrays, schema=schema)]))


@pytest.fixture
def peopled(workspace):
    source = {"collected_how": "from_person", "collected_at": LONG_AGO, "political_purpose_stated": False, "supports_sponsor": False}
    put(
        workspace,
        "sources",
        [{"source_id": "forms", "type": "membership", **source}, {"source_id": "bought", "type": "broker", **source, "collected_how": "third_party"}],
    )
    person = {"status": "member", "source_id": "forms", "joined_at": LONG_AGO}
    rows = [{"person_id": name, **person} for name in PEOPLE[:3]]
    rows[1] |= {"birth_year": 2012}
    rows[2] |= {"source_id": "bought", "status": "contact"}
    put(workspace, "people", rows)
    return workspace


@pytest.fixture
def store(workspace):
    opened = Store(workspace.database_url)
    yield opened
    opened.close()


def said(person, event="withdrawn", purpose="campaign_messages", **more):
    return Event(person, event, purpose, "any", NOW - timedelta(days=1), **more)


CONSENT = {"legal_basis": "gdpr_9_2_a", "wording_hash": "a" * 64}


def assessed(workspace):
    settings = workspace.permission.model_copy(update={"dpia": "DPIA-1", "risk_assessment": NOW.date()})
    return replace(workspace, permission=settings)


def codes(decisions):
    return [decisions.code(row) for row in range(len(decisions))]


def test_facts_come_from_the_tables(peopled, store):
    peopled = assessed(peopled)
    decisions = Permission(peopled, store).decide(PEOPLE, FRENCH, NOW)
    assert codes(decisions)[:3] == [None, "under_age", "third_party_source"]
    assert decisions.versions == {"interactions": -1, "people": 0, "sources": 0}
    assert codes(Permission(peopled, store).decide(PEOPLE[::-1], FRENCH, NOW)) == codes(decisions)[::-1], "in the order asked"
    assert codes(Permission(peopled, store).decide(["van:1", "van:1"], FRENCH, NOW)) == [None, None]


def test_a_workspace_without_tables_knows_nobody(workspace, store):
    assert codes(Permission(workspace, store).decide(PEOPLE, ONLINE, NOW)) == [None] * 4


def test_who_withdraws_is_out_of_the_next_decision_everywhere(peopled, store):
    people = pa.array(PEOPLE, pa.large_string())
    workers = [Permission(peopled, Store(peopled.database_url)) for _ in range(2)]
    groups = [worker.group(people) for worker in workers]
    rows = np.arange(4)
    for group in groups:
        assert codes(group.decide(rows, ONLINE, NOW)) == [None] * 4
    workers[0].ledger.append([said("van:4"), said("van:1", "objected", "any")], now=NOW, door="http")
    for group in groups:
        decisions = group.decide(rows, ONLINE, NOW)
        assert codes(decisions) == ["objected", None, None, "consent_withdrawn"]
        assert decisions.event.tolist() == [2, -1, -1, 1]
        assert codes(group.decide(rows[3:], ONLINE, NOW)) == ["consent_withdrawn"]
        assert decisions.ledger == 2
    workers[1].ledger.append([said("van:4", "given", **CONSENT)], now=NOW, door="http")
    workers[1].ledger.append([replace(said("van:4", "given", **CONSENT), at=NOW)], now=NOW, door="http")
    assert [codes(group.decide(rows, ONLINE, NOW))[3] for group in groups] == [None, None]
    for worker in workers:
        worker.ledger.store.close()


def test_a_worker_whose_clock_is_behind_hears_at_once_what_another_recorded(peopled, store):
    permission, behind = Permission(peopled, store), NOW - timedelta(hours=1)
    group = permission.group(pa.array(PEOPLE, pa.large_string()))
    assert permission.now(behind) == behind
    permission.ledger.append([replace(said("van:1", "objected", "any"), at=NOW)], now=NOW, door="http")
    assert permission.now(behind) == NOW
    decisions = group.decide(np.array([0]), ONLINE, behind, live=True)
    assert (codes(decisions), decisions.at) == (["objected"], NOW)
    assert codes(group.decide(np.array([0]), ONLINE, decisions.at, known=decisions.ledger)) == ["objected"]
    assert codes(group.decide(np.array([0]), ONLINE, behind)) == [None], "as of then it was not said yet"
    assert group.decide(np.array([0]), ONLINE, NOW + timedelta(hours=1), live=True).at == NOW + timedelta(hours=1)


def test_consent_lets_in_and_its_end_shuts_out(peopled, store):
    permission = Permission(assessed(peopled), store)
    group = permission.group(pa.array(PEOPLE, pa.large_string()))
    assert codes(group.decide(np.array([0]), PARTY, NOW)) == ["no_live_political_consent"]
    ends = NOW + timedelta(days=2)
    permission.ledger.append([said("van:1", "given", "political_ads_online", valid_until=ends, **CONSENT)], now=NOW, door="http")
    assert codes(group.decide(np.array([0]), PARTY, NOW)) == [None]
    assert codes(group.decide(np.array([0]), PARTY, ends)) == ["no_live_political_consent"]
    assert codes(group.decide(np.array([0]), PARTY, NOW, known=0)) == ["no_live_political_consent"], "replayed as it was known before"


def test_who_was_erased_is_known_no_more(peopled, store):
    permission = Permission(peopled, store)
    group = permission.group(pa.array(PEOPLE, pa.large_string()))
    permission.ledger.append([said("van:2", "given", **CONSENT)], now=NOW, door="http")
    assert codes(group.decide(np.arange(4), ONLINE, NOW)) == [None] * 4
    with store.write(serial=True) as connection:
        for person in ("van:2", "van:3"):
            permission.ledger.erase(connection, person, now=NOW, door="command")
    for each in (group, permission.group(pa.array(PEOPLE, pa.large_string()))):
        assert codes(each.decide(np.arange(4), ONLINE, NOW)) == [None, "erased", "erased", None]
    assert permission.erased(["van:1", "van:3", "van:9"]) == {"van:3"}


def test_what_another_thread_reads_meanwhile_is_not_in_a_decision_that_names_an_earlier_number(peopled, store, monkeypatch):
    permission = Permission(peopled, store)
    group, rows = permission.group(pa.array(PEOPLE, pa.large_string())), np.arange(4)
    permission.ledger.append([said("van:1", "given")], now=NOW, door="http")
    of = permission.events.of

    def read_on(subjects):
        if permission.ledger.last() == 1:
            permission.ledger.append([said("van:1", "objected", "any")], now=NOW, door="http")
            permission.events.refresh()
        return of(subjects)

    monkeypatch.setattr(permission.events, "of", read_on)
    decisions = group.decide(rows, ONLINE, NOW)
    assert (decisions.ledger, codes(decisions)) == (1, [None] * 4)
    decisions = group.decide(rows, ONLINE, NOW)
    assert (decisions.ledger, codes(decisions)) == (2, ["objected", None, None, None])


def test_many_new_events_are_read_like_few(peopled, store, monkeypatch):
    monkeypatch.setattr("features.permission.live._TAIL", 3)
    monkeypatch.setattr("features.permission.live._FEW", 2)
    permission = Permission(peopled, store)
    group = permission.group(pa.array(PEOPLE, pa.large_string()))
    for number, person in enumerate(PEOPLE * 2):
        event = "objected" if number < 4 else "given"
        permission.ledger.append(
            [Event(person, event, "any" if number < 4 else "campaign_messages", "any", NOW - timedelta(hours=9 - number), **CONSENT)], now=NOW, door="http"
        )
        expected = ["objected" if row <= number < row + 4 else None for row in range(4)]
        assert codes(group.decide(np.arange(4), ONLINE, NOW)) == expected
        assert codes(group.decide(np.array([number % 4]), ONLINE, NOW)) == [expected[number % 4]]
