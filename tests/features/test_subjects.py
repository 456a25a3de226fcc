"""Who is who: hashes that need the secret, keys that open nothing but their own, and nothing that leads back once the row is gone."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import select

from features.database.schema import SUBJECTS
from features.database.store import Store
from features.permission.subjects import SubjectError, Subjects

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECRET = b"s" * 32


@pytest.fixture
def store(tmp_path):
    opened = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    yield opened
    opened.close()


def ensure(subjects, store, *ids):
    with store.write(serial=True) as connection:
        return subjects.ensure(connection, list(ids), NOW)


def forget(subjects, store, person):
    with store.write(serial=True) as connection:
        subjects.forget(connection, person, NOW)


def test_a_person_is_known_by_one_number_and_one_token(store):
    subjects = Subjects(store, SECRET)
    first = ensure(subjects, store, "van:1", "van:2", "van:1")
    again = ensure(Subjects(store, SECRET), store, "van:2", "van:3")
    assert set(first) == {"van:1", "van:2"}
    assert again["van:2"] == first["van:2"] == subjects.find("van:2")
    assert len({each.number for each in (*first.values(), *again.values())}) == 3
    assert subjects.find("van:4") is None


def test_many_are_known_alike(store):
    ids = [f"van:{number}" for number in range(1_203)]
    found = ensure(Subjects(store, SECRET), store, *ids)
    assert sorted(found) == sorted(ids)
    assert ensure(Subjects(store, SECRET), store, *ids) == found


def test_the_store_names_nobody(store, tmp_path):
    ensure(Subjects(store, SECRET), store, "van:canary-7")
    store.close()
    assert not any(b"canary-7" in path.read_bytes() for path in tmp_path.iterdir())


def test_what_is_sealed_opens_with_the_persons_key_in_its_own_row(store):
    subjects = Subjects(store, SECRET)
    people = ensure(subjects, store, "van:1", "van:2")
    one, other = people["van:1"], people["van:2"]
    sealed = one.seal({"evidence": "form 7"}, "row-1")
    assert subjects.find("van:1").unseal(sealed, "row-1") == {"evidence": "form 7"}
    assert one.seal({"evidence": "form 7"}, "row-1") != sealed, "equal texts do not look alike"
    for key, row in ((other, "row-1"), (one, "row-2")):
        with pytest.raises(SubjectError, match="cannot be opened"):
            key.unseal(sealed, row)
    assert one.key.hex() not in repr(one)


def test_another_secret_knows_nobody_and_opens_nothing(store):
    ensure(Subjects(store, SECRET), store, "van:1")
    assert Subjects(store, b"t" * 32).find("van:1") is None
    with store.write() as connection:
        connection.execute(SUBJECTS.update().values(person=Subjects(store, b"t" * 32).hash_of("van:1")))
    with pytest.raises(SubjectError):
        Subjects(store, b"t" * 32).find("van:1")


def test_who_was_erased_does_not_come_back_and_nobody_takes_the_number(store):
    subjects = Subjects(store, SECRET)
    before = ensure(subjects, store, "van:1", "van:2")
    forget(subjects, store, "van:2")
    forget(subjects, store, "van:2")
    forget(subjects, store, "van:9")
    assert subjects.find("van:2") is None
    after = ensure(subjects, store, "van:2", "van:3")
    assert set(after) == {"van:3"}
    assert after["van:3"].number > before["van:2"].number, "a number that led to somebody leads to nobody else"
    with store.read() as connection:
        assert subjects.suppressed(connection, ["van:1", "van:2", "van:3", "van:9"]) == {"van:2", "van:9"}
        assert before["van:2"].token not in connection.execute(select(SUBJECTS.c.token)).scalars().all()


def test_many_people_are_looked_up_by_their_hashes(store):
    subjects = Subjects(store, SECRET)
    people = pa.array(["van:1", "van:2", "van:3", "van:é"], pa.large_string())
    hashes = subjects.hashes_of(people)
    assert hashes.to_pylist() == [subjects.hash_of(person) for person in people.to_pylist()]
    assert subjects.numbers(hashes)[0].tolist() == [-1] * 4
    known = ensure(subjects, store, "van:3", "van:é")
    numbers, last = subjects.numbers(hashes)
    assert numbers.tolist() == [-1, -1, known["van:3"].number, known["van:é"].number]
    later = ensure(subjects, store, "van:1")["van:1"].number
    fresh, newest = subjects.numbers(hashes, after=last)
    assert (fresh.tolist(), newest) == ([later, -1, -1, -1], later)
    forget(subjects, store, "van:3")
    np.testing.assert_array_equal(subjects.erased(hashes), [False, False, True, False])
