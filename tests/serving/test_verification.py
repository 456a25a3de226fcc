"""What is done to the log by one who has the database, with every guard taken off, but not the key: it is found and named; a cut at the end by checkpoints."""

import itertools
import shutil
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import Boolean, DateTime, Float, Integer, select

from features.database.schema import ANSWERS, CHAIN, DECISIONS, UtcTime
from features.database.store import Store, StoreError
from serving.audit import Answer, AuditLog, Decision
from serving.checkpoint_files import Fault
from serving.checkpoints import Checkpoint
from serving.verification import verify

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECRET = b"s" * 32
ENTRIES = 6
TABLES = {"answers": ANSWERS, "decisions": DECISIONS, "chain": CHAIN}


def record(log, number):
    name = f"answer{number}"
    scores = [
        Decision(f"{name}-0", log.pseudonym("van:1"), "affinity:housing", None, 0.5, 0.25, 0.75, "affinity", "3", "d" * 64),
        Decision(f"{name}-1", log.pseudonym("van:2"), "affinity:housing", "unknown_person"),
    ]
    at = NOW + timedelta(minutes=number)
    log.record(Answer(name, at, "api", "POST /v1/scores", 200, "key_1", None, ["affinity:housing"], NOW, 2, scores if number % 2 else ()))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def made(request, tmp_path_factory):
    """A log of six answers, every second with decisions: a URL, and how to copy it."""
    folder, numbers = tmp_path_factory.mktemp("log"), itertools.count(1)
    if request.param == "sqlite":
        url = f"sqlite:///{folder / 'audience.db'}"

        def copied():
            number = next(numbers)
            shutil.copy(folder / "audience.db", folder / f"{number}.db")
            return f"sqlite:///{folder / f'{number}.db'}"
    else:
        new_postgres = request.getfixturevalue("new_postgres")
        url = new_postgres()

        def copied():
            return new_postgres(url)

    store = Store(url)
    log = AuditLog(store, SECRET)
    for number in range(1, ENTRIES + 1):
        record(log, number)
    store.close()
    return SimpleNamespace(copied=copied)


def attacked(store):
    @contextmanager
    def attack():
        """Yield a connection for which no guard and no reference is checked."""
        with store._engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
                for trigger in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars().all():
                    connection.exec_driver_sql(f"DROP TRIGGER {trigger}")
            else:
                connection.exec_driver_sql("SET session_replication_role = replica")
            yield connection
            connection.commit()

    return attack


@contextmanager
def opened(made):
    store = Store(made.copied())
    with store.read() as connection:
        links = dict(connection.execute(select(CHAIN.c.seq, CHAIN.c.link)).all())
    try:
        yield SimpleNamespace(store=store, attack=attacked(store), log=AuditLog(store, SECRET), links=links)
    finally:
        store.close()


@pytest.fixture
def target(made):
    with opened(made) as found:
        yield found


@pytest.fixture(scope="module")
def put_back(made):
    """A log whose changes are taken back by each test."""
    with opened(made) as found:
        yield found


def first_bad(target, *checkpoints):
    return verify(target.store, SECRET, checkpoints).bad


def checkpoint(target, seq, **changes):
    return Checkpoint(**{"seq": seq, "link": target.links[seq], "at": NOW + timedelta(hours=seq), "count": seq} | changes)


def test_what_was_not_touched_holds(target):
    seen = []
    kept = [checkpoint(target, seq) for seq in (2, 5)]
    found = verify(target.store, SECRET, kept, progress=lambda stage, done: seen.append((stage, done)))
    assert (found.holds, found.entries, found.late, found.checkpoints, found.covered) == (True, ENTRIES, 0, 2, 5)
    assert seen[0] == ("checking 6 entries", 1.0)
    assert list(found.words()) == [
        "6 entries hold; 2 checkpoints agree with them",
        "no checkpoint was made since entry 5: entries that were cut off at the end after that would not be missed",
    ]


def test_an_empty_log_holds(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    assert list(verify(store, SECRET).words()) == ["0 entries hold; 0 checkpoints agree with them"]
    store.close()


def test_without_the_key_nothing_holds(target):
    bad = verify(target.store, b"t" * 32).bad
    assert (bad.seq, bad.answer_id) == (1, "answer1")
    assert "another signing key" in str(bad)


def other_value(column, value):
    if isinstance(column.type, Boolean):
        return not value
    if isinstance(column.type, UtcTime | DateTime):
        return (value or NOW) + timedelta(microseconds=1)
    if isinstance(column.type, Float | Integer):
        return 7 if value is None else value + 2**-40 if isinstance(value, float) else value + 100
    return "x" if value is None else f"{value[:-1]}{'x' if value[-1] != 'x' else 'y'}"


@pytest.mark.parametrize("name", [f"{table}.{column.name}" for table, each in TABLES.items() for column in each.c])
def test_a_change_of_any_column_is_found(put_back, name):
    """Entry 3 has two decisions; what a change of its number, its answer or an id of it leaves is named as well as it can be."""
    table, column = TABLES[name.split(".")[0]], TABLES[name.split(".")[0]].c[name.split(".")[1]]
    primary = next(iter(table.primary_key.columns))
    place = 3 if table is CHAIN else "answer3-1" if table is DECISIONS else "answer3"
    with put_back.attack() as connection:
        before = connection.execute(select(column).where(primary == place)).scalar_one()
        changed = other_value(column, before)
        connection.execute(table.update().where(primary == place).values({column.name: changed}))
    try:
        bad = first_bad(put_back)
        assert bad is not None
        assert bad.seq == 3
        lost = {"chain.seq", "chain.answer_id", "answers.answer_id"}
        assert (bad.at == NOW + timedelta(minutes=3)) == (name not in lost | {"answers.at"})
        assert (bad.answer_id == "answer3") == (name not in lost - {"answers.answer_id"})
    finally:
        with put_back.attack() as connection:
            connection.execute(table.update().where(primary == (changed if column is primary else place)).values({column.name: before}))
    assert first_bad(put_back) is None


def test_emptying_and_filling_a_value_is_found(put_back):
    for change, back in (("value = NULL", "value = 0.5"), ("code = 'x'", "code = NULL")):
        for words in (change, back):
            with put_back.attack() as connection:
                connection.exec_driver_sql(f"UPDATE decisions SET {words} WHERE decision_id = 'answer3-0'")
            assert (first_bad(put_back) is None) == (words == back)


COLUMNS = "at, door, route, status, people, asked"
EXTRA = f"INSERT INTO answers (answer_id, {COLUMNS}) SELECT 'extra', {COLUMNS} FROM answers LIMIT 1"
PUT_IN = "INSERT INTO decisions (decision_id, answer_id, person, at, score) SELECT '{0}-0', '{0}', person, at, score FROM decisions WHERE score > '' LIMIT 1"
ATTACKS = {
    "an answer, its decisions and its entry deleted": (
        ["DELETE FROM decisions WHERE answer_id = 'answer3'", "DELETE FROM chain WHERE seq = 3", "DELETE FROM answers WHERE answer_id = 'answer3'"],
        (3, None, "it is missing"),
    ),
    "deleted, and the numbers closed up": (
        [
            "DELETE FROM decisions WHERE answer_id = 'answer3'",
            "DELETE FROM chain WHERE seq = 3",
            "DELETE FROM answers WHERE answer_id = 'answer3'",
            *(f"UPDATE chain SET seq = {seq - 1} WHERE seq = {seq}" for seq in (4, 5, 6)),
        ],
        (3, "answer4", "taken out"),
    ),
    "the first deleted": (["DELETE FROM chain WHERE seq = 1"], (1, None, "it is missing")),
    "an answer deleted": (["DELETE FROM answers WHERE answer_id = 'answer4'"], (4, "answer4", "its answer is missing")),
    "a decision deleted": (["DELETE FROM decisions WHERE decision_id = 'answer5-1'"], (5, "answer5", "changed")),
    "all decisions deleted": (["DELETE FROM decisions"], (1, "answer1", "changed")),
    "an entry deleted at the end": (["DELETE FROM chain WHERE seq = 6"], (None, "answer6", "its entry taken out")),
    "an answer put in": (
        [EXTRA],
        (None, "extra", "put in"),
    ),
    "an answer put in with an entry at the end": (
        [
            EXTRA,
            "INSERT INTO chain SELECT 7, 'extra', late, link FROM chain WHERE seq = 6",
        ],
        (7, "extra", "put in"),
    ),
    "an entry put in before the first": (
        ["UPDATE chain SET seq = 0 WHERE seq = 6"],
        (0, "answer6", "one too many"),
    ),
    "a decision put in": (
        [PUT_IN.format("answer4")],
        (4, "answer4", "changed"),
    ),
    "a decision put in for no answer": (
        [PUT_IN.format("z")],
        (None, "z", "no entry"),
    ),
    "a decision moved to another answer": (["UPDATE decisions SET answer_id = 'answer4' WHERE decision_id = 'answer5-1'"], (4, "answer4", "changed")),
    "entries reordered": (
        ["UPDATE chain SET seq = 99 WHERE seq = 2", "UPDATE chain SET seq = 2 WHERE seq = 4", "UPDATE chain SET seq = 4 WHERE seq = 99"],
        (2, "answer4", "moved"),
    ),
    "answers of two entries exchanged": (
        [f"UPDATE chain SET answer_id = '{to}' WHERE answer_id = '{of}'" for of, to in (("answer2", "z"), ("answer4", "answer2"), ("z", "answer4"))],
        (2, "answer4", "changed"),
    ),
    "two decisions exchanged": (
        [
            f"UPDATE decisions SET decision_id = '{to}' WHERE decision_id = '{of}'"
            for of, to in (("answer3-0", "z"), ("answer3-1", "answer3-0"), ("z", "answer3-1"))
        ],
        (3, "answer3", "changed"),
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_was_done_is_found_and_named(target, name):
    statements, (seq, answer_id, why) = ATTACKS[name]
    with target.attack() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    bad = first_bad(target)
    assert (bad.seq, bad.answer_id) == (seq, answer_id)
    assert why in str(bad)


def cut_off(target, after):
    with target.attack() as connection:
        for answer_id in [f"answer{number}" for number in range(after + 1, ENTRIES + 1)]:
            for table in ("decisions", "chain", "answers"):
                connection.exec_driver_sql(f"DELETE FROM {table} WHERE answer_id = '{answer_id}'")


def test_a_log_cut_off_is_missed_by_a_checkpoint_alone(target):
    cut_off(target, 4)
    unaided = verify(target.store, SECRET)
    assert unaided.holds
    assert "cut off at the end after that would not be missed" in " ".join(unaided.words())
    assert first_bad(target, checkpoint(target, 4)) is None
    found = verify(target.store, SECRET, [checkpoint(target, seq) for seq in (2, 5, 6)])
    assert (found.entries, found.checkpoints, found.bad.seq) == (4, 1, 5)
    assert "cut off; the checkpoint of 2026-11-01 17:00:00 UTC knew 5 entries" in str(found.bad)


def test_a_log_cut_off_and_gone_on_with_is_another(target):
    cut_off(target, 4)
    for number in (7, 8, 9):
        record(target.log, number)
    assert first_bad(target) is None
    bad = first_bad(target, checkpoint(target, 3), checkpoint(target, 5))
    assert (bad.seq, bad.answer_id) == (5, "answer7")
    assert "written anew" in str(bad)


def test_a_chain_thrown_away_and_made_again_is_marked_and_another(target):
    with target.attack() as connection:
        connection.exec_driver_sql("DELETE FROM chain")
        connection.exec_driver_sql("UPDATE answers SET status = 500 WHERE answer_id = 'answer2'")
    target.log.begin()
    found = verify(target.store, SECRET)
    assert (found.holds, found.late) == (True, ENTRIES)
    assert "the first 6 are of before the log was a chain" in " ".join(found.words())
    assert first_bad(target, checkpoint(target, 6)).seq == 6


def test_the_database_itself_refuses_while_its_guards_are_there(target):
    for change in ("UPDATE chain SET late = NOT late", "DELETE FROM chain"):
        with pytest.raises(StoreError, match="cannot be written"), target.store.write() as connection:
            connection.exec_driver_sql(change)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE answers SET at = 'van:0007' WHERE answer_id = 'answer3'",
        "UPDATE answers SET code = CAST(x'ff' AS TEXT) WHERE answer_id = 'answer3'",
        "UPDATE decisions SET as_of = 'never' WHERE answer_id = 'answer3'",
        "UPDATE decisions SET value = 9e999 WHERE decision_id = 'answer3-0'",
        "UPDATE decisions SET value = 'van:0007' WHERE decision_id = 'answer3-0'",
        "UPDATE answers SET status = x'00' WHERE answer_id = 'answer3'",
        "UPDATE chain SET link = x'00' WHERE seq = 3",
        "UPDATE chain SET answer_id = 'van:0007' WHERE seq = 3",
        "UPDATE chain SET answer_id = CAST(x'ff' AS TEXT) WHERE seq = 3",
    ],
)
def test_values_that_cannot_be_read_are_bad_and_not_repeated(tmp_path, change):
    """SQLite takes a value of any kind in any column."""
    store = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    log = AuditLog(store, SECRET)
    for number in range(1, 5):
        record(log, number)
    with attacked(store)() as connection:
        connection.exec_driver_sql(change)
    found = verify(store, SECRET)
    assert (found.entries, found.bad.seq) == (2, 3)
    assert "0007" not in " ".join(found.words())
    store.close()


def test_a_store_that_fails_is_no_bad_entry(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    with store.write() as connection:
        connection.exec_driver_sql("DROP TABLE chain")
    with pytest.raises(StoreError):
        verify(store, SECRET)
    store.close()


def test_a_forged_checkpoint_does_not_hold(target, tmp_path):
    found = verify(target.store, SECRET, forged=[Fault(tmp_path / "kept.jsonl", 3, "its hmac is not of this workspace's key")])
    assert (found.bad, found.holds) == (None, False)
    assert "line 3 of" in list(found.words())[-1]


def test_a_checkpoint_that_counted_other_entries_does_not_agree(target):
    assert first_bad(target, checkpoint(target, 4, count=3)).seq == 4


def test_many_entries_are_read_in_chunks(target, monkeypatch):
    monkeypatch.setattr("serving.verification._CHUNK", 2)
    seen = []
    assert verify(target.store, SECRET, progress=lambda stage, done: seen.append(round(done, 2))).entries == ENTRIES
    assert seen == [0.33, 0.67, 1.0, 1.0]
    with target.attack() as connection:
        connection.exec_driver_sql("UPDATE decisions SET low = 0.3 WHERE decision_id = 'answer5-0'")
    assert first_bad(target).seq == 5
