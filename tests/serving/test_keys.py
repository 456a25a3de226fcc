import hashlib
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from features.database.schema import KEYS
from features.database.store import Store, StoreError
from serving import keys

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    yield store
    store.close()


def test_a_key_is_found_by_its_secret_and_kept_as_a_hash_only(store, tmp_path):
    key, secret = keys.create(store, "campaign tool", ["scores"], now=NOW)
    assert keys.find(store, secret) == key
    with store.read() as connection:
        (row,) = connection.execute(select(KEYS)).all()
    assert row.digest == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in repr(row)
    store.close()
    assert all(secret.encode() not in path.read_bytes() for path in tmp_path.iterdir())


def test_the_command_lines_way(store):
    secret = keys.create_key(store, scope="scores, audit", label="everything", now=NOW)
    assert keys.find(store, secret).scopes == {"scores", "audit"}
    with pytest.raises(keys.KeysError, match="score"):
        keys.create_key(store, scope="score", label="x", now=NOW)


def test_secrets_are_long_and_never_the_same(store):
    secrets = {keys.create(store, f"key {number}", ["audit"], now=NOW)[1] for number in range(20)}
    assert len(secrets) == 20
    assert min(map(len, secrets)) >= 43


def test_a_revoked_key_says_when_and_stays_revoked(store):
    key, secret = keys.create(store, "campaign tool", ["scores", "audit"], now=NOW)
    later = NOW.replace(hour=13)
    assert keys.revoke(store, key.key_id, now=later).revoked_at == later
    assert keys.revoke(store, key.key_id, now=NOW.replace(hour=14)).revoked_at == later
    assert keys.find(store, secret).revoked_at == later
    assert [one.key_id for one in keys.find_all(store)] == [key.key_id]


@pytest.mark.parametrize(("name", "scopes", "words"), [("tool", [], "scopes"), ("tool", ["scores", "admin"], "admin"), ("  ", ["scores"], "name")])
def test_a_key_that_cannot_be_is_refused(store, name, scopes, words):
    with pytest.raises(keys.KeysError, match=words):
        keys.create(store, name, scopes, now=NOW)


def test_revoking_no_key_is_an_error(store):
    with pytest.raises(keys.KeysError, match="no key of that id"):
        keys.revoke(store, "key_none", now=NOW)


def test_an_unknown_or_absurd_secret_finds_nothing(store):
    for secret in ("", "aud_nothing", "é\udcff", "x" * 100_000):
        assert keys.find(store, secret) is None


def test_a_naive_time_is_refused(store):
    with pytest.raises(StoreError):
        keys.create(store, "tool", ["scores"], now=datetime(2026, 11, 1))  # noqa: DTZ001
