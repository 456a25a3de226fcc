"""Entries: every answer has one, numbered without a gap, whoever writes, however many write, and wherever a writer dies."""

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from features.database.chain import START
from features.database.schema import ANSWERS, CHAIN, DECISIONS
from features.database.store import Store
from serving.audit import Answer, AuditError, AuditLog, Decision
from serving.entries import entries_key, entry_link
from serving.verification import verify
from tests.conftest import ROOT

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECRET = b"s" * 32
KEY = entries_key(SECRET)


def answer(name, *, decisions=2, at=NOW, value=0.5):
    made = [Decision(f"{name}-{number}", "p" * 64, "affinity:housing", value=value, low=0, high=1) for number in range(decisions)]
    return Answer(name, at, "api", "POST /v1/scores", 200, "key_1", asked=["affinity:housing"], as_of=NOW, people=1, decisions=made)


def entries(store):
    with store.read() as connection:
        return connection.execute(select(CHAIN).order_by(CHAIN.c.seq)).all()


@pytest.fixture
def store(tmp_path):
    opened = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def either_store(request, tmp_path):
    opened = Store(f"sqlite:///{tmp_path / 'audience.db'}" if request.param == "sqlite" else request.getfixturevalue("new_postgres")())
    yield opened
    opened.close()


def test_each_answer_has_the_next_number(store):
    log = AuditLog(store, SECRET)
    for name in "abc":
        log.record(answer(name))
    assert [(row.seq, row.answer_id, row.late) for row in entries(store)] == [(1, "a", False), (2, "b", False), (3, "c", False)]
    assert verify(store, SECRET).holds


ROW = {"answer_id": "a", "at": NOW, "status": 200, "code": None, "as_of": None}
DECISION = {"decision_id": "a-0", "value": 0.5, "code": None}


def linked(answer=ROW, decisions=(DECISION,), *, previous=START, seq=1, late=False):
    return entry_link(KEY, previous, seq, answer, decisions, late=late)


def test_a_link_is_of_all_that_is_said():
    other = [
        linked(ROW | {"status": 201}),
        linked(ROW | {"code": "x"}),
        linked(ROW | {"code": ""}),
        linked(decisions=()),
        linked(decisions=(DECISION, DECISION)),
        linked(decisions=(DECISION | {"value": None},)),
        linked(decisions=(DECISION | {"code": "x"},)),
        linked(previous="1" * 64),
        linked(seq=2),
        linked(late=True),
    ]
    assert len({linked(), *other}) == 11


def test_a_column_that_a_later_release_adds_leaves_old_links_alone():
    assert linked(ROW | {"use": None}, (DECISION | {"rule": None},)) == linked()


def test_a_zero_has_no_sign_as_on_the_databases():
    assert linked(decisions=(DECISION | {"value": -0.0},)) == linked(decisions=(DECISION | {"value": 0.0},))


def test_every_database_gives_back_what_was_chained(either_store):
    for number, value in enumerate([0, -0.0, 1, 1e-300, 0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, None]):
        AuditLog(either_store, SECRET).record(answer(f"a{number}", decisions=12, value=value, at=NOW + timedelta(microseconds=number)))
    found = verify(either_store, SECRET)
    assert (found.bad, found.entries) == (None, 9)


def test_answers_of_before_the_chain_are_chained_once_in_their_order(either_store, monkeypatch):
    store = either_store
    monkeypatch.setattr("serving.entries._CHUNK", 3)
    names = [f"{(number * 7) % 11:02d}" for number in range(11)]
    with store.write() as connection:
        for number, name in enumerate(names):
            at = NOW + timedelta(minutes=number // 2)
            connection.execute(ANSWERS.insert(), {"answer_id": name, "at": at, "door": "api", "route": "x", "status": 200, "people": 0, "asked": "[]"})
            connection.execute(DECISIONS.insert(), {"decision_id": f"{name}-0", "answer_id": name, "person": "p", "at": at, "score": "s"})
    log = AuditLog(store, SECRET)
    log.begin()
    log.begin()
    log.record(answer("new"))
    expected = sorted(names, key=lambda name: (names.index(name) // 2, name))
    assert [row.answer_id for row in entries(store)] == [*expected, "new"]
    assert [row.late for row in entries(store)] == [True] * 11 + [False]
    found = verify(store, SECRET)
    assert (found.holds, found.entries, found.late) == (True, 12, 11)


def test_the_first_answer_chains_those_of_before_too(store):
    with store.write() as connection:
        connection.execute(ANSWERS.insert(), {"answer_id": "old", "at": NOW, "door": "api", "route": "x", "status": 200, "people": 0, "asked": "[]"})
    AuditLog(store, SECRET).record(answer("new"))
    assert [(row.answer_id, row.late) for row in entries(store)] == [("old", True), ("new", False)]


def test_no_answer_stands_without_its_entry(store, monkeypatch):
    log = AuditLog(store, SECRET)
    log.record(answer("a"))
    monkeypatch.setattr("serving.audit.append", lambda *_: (_ for _ in ()).throw(TypeError("no link")))
    with pytest.raises(AuditError):
        log.record(answer("b"))
    with store.read() as connection:
        assert connection.execute(select(ANSWERS.c.answer_id)).scalars().all() == ["a"]


WRITER = """
import os, sys
from datetime import UTC, datetime
import serving.audit
from features.database.store import Store
from serving.audit import Answer, AuditLog, Decision
url, name, count, dies = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "dies"
log = AuditLog(Store(url), b"s" * 32)
for number in range(count):
    if dies and number == count - 1:
        serving.audit.append = lambda *_: os._exit(9)
    one = f"{name}{number}"
    log.record(Answer(one, datetime.now(UTC), "api", "x", 200, decisions=[Decision(f"{one}-0", "p", "s", value=0.5)]))
"""


def writer(url, name, count, *, dies=False):
    return subprocess.Popen([sys.executable, "-c", WRITER, url, name, str(count), "dies" if dies else "lives"], cwd=ROOT, stderr=subprocess.PIPE)


def test_processes_that_write_at_once_keep_one_chain_even_when_one_dies(store, tmp_path):
    """Four processes of 25 answers; one is killed between its last answer and that one's entry."""
    url = f"sqlite:///{tmp_path / 'audience.db'}"
    running = [*(writer(url, name, 25) for name in "abc"), writer(url, "d", 26, dies=True)]
    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in running]
    assert ended == [(b"", 0)] * 3 + [(b"", 9)]
    assert [row.seq for row in entries(store)] == list(range(1, 101))
    found = verify(store, SECRET)
    assert (found.holds, found.entries) == (True, 100)


def test_writers_at_once_keep_one_chain_on_postgresql(new_postgres):
    stores = [Store(url) for url in [new_postgres()] for _ in range(4)]

    def write(number):
        for each in range(25):
            AuditLog(stores[number], SECRET).record(answer(f"{number}-{each}"))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = verify(stores[0], SECRET)
    assert (found.holds, found.entries) == (True, 100)
    for store in stores:
        store.close()
