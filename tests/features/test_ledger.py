"""The ledger: appended once, as columns and as a person's own history, chained, and unreadable but whole once a person was erased."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from sqlalchemy import select

from features.database.schema import LEDGER
from features.database.store import Store, StoreError
from features.permission.facts import ERASED, NEVER, Events
from features.permission.ledger import Event, Ledger, LedgerError
from features.tables import CONSENT_EVENTS

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECRET = b"s" * 32
GIVEN = Event(
    "van:1",
    "given",
    "political_ads_online",
    "any",
    NOW - timedelta(days=9),
    valid_until=NOW + timedelta(days=30),
    legal_basis="gdpr_9_2_a",
    wording_hash="a" * 64,
    wording_version="3",
    language="fr",
    evidence="form 17, sheet 4",
)


@pytest.fixture
def store(tmp_path):
    opened = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    yield opened
    opened.close()


@pytest.fixture
def ledger(store):
    return Ledger(store, SECRET)


def said(event="given", person="van:1", purpose="campaign_messages", channel="any", days=5, **more):
    return Event(person, event, purpose, channel, NOW - timedelta(days=days), **more)


def test_what_is_appended_is_there_again_whole(ledger):
    found = ledger.append([GIVEN, said("objected", "van:2")], now=NOW, door="command")
    assert (found.stored, found.duplicate, found.erased, found.last) == (2, 0, 0, 2)
    (recorded,) = ledger.of_person("van:1")
    assert recorded.said == GIVEN
    assert (recorded.seq, recorded.recorded_at, recorded.door) == (1, NOW, "command")
    assert ledger.of_person("van:3") == []


def test_the_same_said_again_is_recorded_once(ledger):
    again = replace(GIVEN, evidence="another copy")
    assert ledger.append([GIVEN, again], now=NOW, door="import").duplicate == 1
    found = ledger.append([GIVEN, said(), said(), replace(GIVEN, at=GIVEN.at + timedelta(microseconds=1))], now=NOW, door="import")
    assert (found.stored, found.duplicate) == (2, 2)
    assert ledger.of_person("van:1")[0].said.evidence == "form 17, sheet 4", "the first stays"


def test_a_clock_that_is_behind_does_not_let_an_objection_lose_to_a_consent_of_before(ledger):
    behind = NOW - timedelta(minutes=2)
    ledger.append([said(days=0)], now=NOW, door="http")
    ledger.append([replace(said("objected", days=0), at=behind)], now=behind, door="http")
    ledger.append([replace(said("refused", days=0), at=behind - timedelta(days=1))], now=behind, door="http")
    recorded = ledger.of_person("van:1")
    assert [each.recorded_at for each in recorded] == [NOW] * 3, "the ledger's time does not go back"
    assert [each.said.at for each in recorded] == [NOW, NOW, behind - timedelta(days=1)], "what is said of another time keeps it"
    with ledger.store.write(serial=True) as connection:
        ledger.erase(connection, "van:1", now=behind, door="command")
    events = ledger.events()
    assert (events.at_us.max(), events.recorded_us.max()) == (events.at_us[0], events.at_us[0])


def test_who_says_again_what_they_unsaid_is_heard_in_the_same_moment_too(ledger):
    for event in ("objected", "given", "objected", "objected"):
        assert ledger.append([said(event, days=0)], now=NOW, door="http").stored == 1
    recorded = ledger.of_person("van:1")
    assert [(each.said.at - NOW).microseconds for each in recorded] == [0, 0, 1, 2]
    assert [each.recorded_at for each in recorded] == [each.said.at for each in recorded]
    assert ledger.append([said(days=0, person="van:2")] * 2, now=NOW, door="http").duplicate == 1, "said twice at once is said once"


def test_a_row_with_a_time_that_is_none_in_utc_can_still_be_told(ledger, monkeypatch):
    monkeypatch.setattr("features.permission.ledger.check", lambda event, now: None)  # as rows were stored before times were checked
    before, after = (timezone(timedelta(hours=hours)) for hours in (14, -12))
    odd = replace(GIVEN, at=datetime(1, 1, 1, tzinfo=before), valid_until=datetime(9999, 12, 31, 23, 59, 59, tzinfo=after))
    ledger.append([odd], now=NOW, door="http")
    (recorded,) = ledger.of_person("van:1")
    assert (recorded.said.at, recorded.said.valid_until) == (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    assert replace(recorded.said, at=odd.at, valid_until=odd.valid_until) == odd
    assert ledger.events().until_us.max() < NEVER
    assert ledger.first_break() is None, "the row itself is as it was"


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (said("sold"), "event = 'sold' is none of given, refused"),
        (said("erased"), "is none of"),
        (said(days=-1), "at lies in the future"),
        (replace(GIVEN, valid_until=GIVEN.at), "valid_until is not after valid_from"),
        (replace(GIVEN, valid_from=NOW, valid_until=NOW), "valid_until is not after valid_from"),
        (replace(GIVEN, at=GIVEN.at.replace(tzinfo=None)), "at has no time zone"),
        (replace(GIVEN, at=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))), "at lies outside of the years 1900 to 9999"),
        (replace(GIVEN, valid_until=datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-12)))), "valid_until lies outside"),
        (said(purpose="Campaign Messages"), "purpose = 'Campaign Messages' is none of any, political_ads_online, "),
        (said(person="van:1 2"), "person is no id: `system:id`"),
        (said(person="\ufeffvan:1"), "person is no id"),
        (said(person="van:1\u200b"), "person holds a character that nobody sees"),
        (said(channel=" "), "channel is not the id of a channel"),
        (said(channel="jan@example.org"), "channel is not the id of a channel"),
        (replace(GIVEN, wording_hash="jan@example.org"), "wording_hash is not a hash: .*what stands in the ledger stays there"),
        (replace(GIVEN, wording_hash="a b"), "wording_hash is not a hash"),
        (replace(GIVEN, wording_hash=""), "wording_hash is not a hash"),
        (replace(GIVEN, wording_hash="aa\n"), "wording_hash is not a hash"),
        (replace(GIVEN, legal_basis="said by van:1"), "legal_basis is not a short name"),
        (replace(GIVEN, legal_basis="jan@example.org"), "legal_basis is not a short name"),
        (replace(GIVEN, wording_version="van:1"), "wording_version is not a short name"),
        (replace(GIVEN, language="jan@example.org"), "language is not the code of a language, such as fr or fr-BE"),
        (replace(GIVEN, language="français"), "language is not the code of a language"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_of_it_stored(ledger, event, message):
    with pytest.raises(LedgerError, match=message) as raised:
        ledger.append([GIVEN, event], now=NOW, door="command")
    assert "van:1" not in str(raised.value)
    assert ledger.last() == 0


def test_what_hashes_versions_and_languages_look_like_is_taken(ledger):
    hashes = ("a" * 128, "sha256:9f2c", "sha512-oC3/l+Q==", "Zm9v_Yg.")
    others = (("gdpr_9_2_a", "2026-11-01", "fr-BE"), ("GDPR.9.2.a", "v1.2", "nl"), ("c", "3", "zh-Hant"), (None, None, None))
    events = [
        replace(GIVEN, person=f"van:{number}", wording_hash=text, legal_basis=basis, wording_version=version, language=language)
        for number, (text, (basis, version, language)) in enumerate(zip(hashes, others, strict=True))
    ]
    assert ledger.append(events, now=NOW, door="command").stored == 4


def test_events_come_as_columns_by_person_and_number(ledger):
    ledger.append([said(person="van:2"), GIVEN, said("withdrawn", "van:2", channel="email", days=1)], now=NOW, door="import")
    events = ledger.events()
    assert events.seq.tolist() == [1, 3, 2]
    assert [CONSENT_EVENTS[code] for code in events.event] == ["given", "withdrawn", "given"]
    assert [events.purposes[code] for code in events.purpose] == ["campaign_messages", "campaign_messages", "political_ads_online"]
    assert [events.channels[code] for code in events.channel] == ["any", "email", "any"]
    assert events.explicit.tolist() == [False, False, True]
    assert events.until_us.tolist() == [NEVER, NEVER, int((NOW + timedelta(days=30)).timestamp() * 1e6)]
    assert (events.from_us == events.at_us).all()


def test_a_bare_flag_is_no_explicit_consent(ledger):
    ledger.append([replace(GIVEN, wording_hash=None), replace(GIVEN, legal_basis=None, person="van:2")], now=NOW, door="import")
    assert not ledger.events().explicit.any()


def test_what_is_new_is_read_alone_with_the_codes_of_what_is_known(ledger):
    ledger.append([GIVEN, said(person="van:2", channel="email")], now=NOW, door="import")
    known = ledger.events()
    assert len(ledger.events(known)) == 0
    ledger.append([said("objected", "van:2", "any", "post", 1), said("withdrawn", days=1)], now=NOW, door="http")
    new = ledger.events(known)
    assert new.seq.tolist() == [4, 3], "by subject"
    assert new.purposes[: len(known.purposes)] == known.purposes
    together, whole = known.with_new(new), ledger.events()
    for name in ("seq", "subject", "event", "at_us", "explicit"):
        np.testing.assert_array_equal(getattr(together, name), getattr(whole, name))
    assert [together.purposes[code] for code in together.purpose] == [whole.purposes[code] for code in whole.purpose]
    assert together.of(whole.subject[:1]).seq.tolist() == whole.seq[whole.subject == whole.subject[0]].tolist()
    assert len(together.of(np.array([-1, 99]))) == 0
    assert len(Events.none().of(np.array([1]))) == 0


def test_an_erased_persons_events_stay_and_say_nothing(ledger, store, tmp_path):
    ledger.append([GIVEN, said(person="van:2")], now=NOW, door="import")
    with store.write(serial=True) as connection:
        assert ledger.erase(connection, "van:1", now=NOW, door="command") == 3
        assert ledger.erase(connection, "van:1", now=NOW, door="command") is None, "it was done before"
        assert ledger.erase(connection, "van:9", now=NOW, door="command") == 4
    assert ledger.of_person("van:1") == []
    events = ledger.events()
    assert events.event.tolist()[:2] == [0, ERASED]
    assert ledger.first_break() is None, "the chain is whole"
    assert ledger.append([GIVEN, said(person="van:9")], now=NOW, door="import").erased == 2, "an import does not bring them back"
    store.vacuum()
    store.close()
    assert not any(b"form 17" in path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ("UPDATE ledger SET event = 'given' WHERE seq = 2", 2),
        ("UPDATE ledger SET valid_until = NULL WHERE seq = 1", 1),
        ("UPDATE ledger SET sealed = NULL WHERE seq = 1", 1),
        ("DELETE FROM ledger WHERE seq = 2", 3),
    ],
)
def test_a_change_behind_its_back_is_found(ledger, store, change, first):
    ledger.append([GIVEN, said("objected"), said("given", "van:2")], now=NOW, door="import")
    with pytest.raises(StoreError), store.write() as connection:
        connection.exec_driver_sql(change)
    with store.write() as connection:
        for verb in ("update", "delete"):
            connection.exec_driver_sql(f"DROP TRIGGER ledger_no_{verb}")
        connection.exec_driver_sql(change)
    assert ledger.first_break() == first


def test_writers_at_once_keep_one_chain(ledger):
    def write(writer):
        for number in range(5):
            ledger.append([said(person=f"van:{writer}", days=number)], now=NOW, door="http")

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (ledger.last(), ledger.first_break()) == (30, None)


def test_a_thousand_events_are_one_transaction(ledger, store):
    told = []
    events = [said(person=f"van:{number % 300}", days=number) for number in range(1_000)]
    ledger.append(events, now=NOW, door="import", progress=lambda *words: told.append(words))
    assert told == [("recording 1,000 events", 0.0)]
    with pytest.raises(LedgerError):
        ledger.append([said(person="van:5000"), said("sold")], now=NOW, door="import")
    with store.read() as connection:
        assert len(connection.execute(select(LEDGER.c.seq)).all()) == 1_000
    assert ledger.first_break() is None
