"""Bearer keys: random, shown once, stored as their SHA-256, with scopes, revocable."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import Row, select, update

from features.database.schema import KEYS
from features.database.store import Store

Scope = Literal["scores", "aggregates", "permissions", "people", "access", "erasures", "register", "audit"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
_PREFIX = "aud_"
_SECRET_BYTES = 32
_NAME_LENGTH = 200


class KeysError(ValueError):
    """A key cannot be made or revoked; the message says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key: everything but its secret."""

    key_id: str
    name: str
    scopes: frozenset[str]
    created_at: datetime
    revoked_at: datetime | None = None


def secret_digest(secret: str) -> str:
    """Return the SHA-256 (hex) of a secret. Plain SHA-256 is enough: secrets are 256 random bits, not passwords."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def create(store: Store, name: str, scopes: Iterable[str], *, now: datetime) -> tuple[Key, str]:
    """Make a key and return it with its secret, which is kept nowhere and cannot be shown again. Raises KeysError."""
    wanted = frozenset(scopes)
    unknown = sorted(wanted - set(SCOPES))
    if unknown or not wanted:
        raise KeysError(f"scopes {', '.join(unknown) or '(none)'}: a key needs one or more of {', '.join(SCOPES)}")
    if not name.strip() or len(name) > _NAME_LENGTH:
        raise KeysError(f"a key needs a name of 1 to {_NAME_LENGTH} characters that says who uses it")
    secret = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    key = Key("key_" + secrets.token_hex(8), name.strip(), wanted, now)
    row = {"key_id": key.key_id, "name": key.name, "digest": secret_digest(secret), "scopes": " ".join(sorted(wanted)), "created_at": now}
    with store.write() as connection:
        connection.execute(KEYS.insert(), row)
    return key, secret


def create_key(store: Store, *, scope: str, label: str, now: datetime) -> str:
    """Make a key of a scope, or of several with commas between, and return its secret. Raises KeysError."""
    return create(store, label, [part.strip() for part in scope.split(",")], now=now)[1]


def find(store: Store, secret: str) -> Key | None:
    """Return the key of that secret, revoked or not, or None."""
    with store.read() as connection:
        row = connection.execute(select(KEYS).where(KEYS.c.digest == secret_digest(secret))).one_or_none()
    return None if row is None else _key(row)


def find_all(store: Store) -> list[Key]:
    """Return every key, oldest first."""
    with store.read() as connection:
        return [_key(row) for row in connection.execute(select(KEYS).order_by(KEYS.c.created_at, KEYS.c.key_id))]


def revoke(store: Store, key_id: str, *, now: datetime) -> Key:
    """Revoke a key at once, its sessions with it; a second time changes nothing. Raises KeysError where there is no such key."""
    with store.write() as connection:
        connection.execute(update(KEYS).where(KEYS.c.key_id == key_id, KEYS.c.revoked_at.is_(None)).values(revoked_at=now))
        row = connection.execute(select(KEYS).where(KEYS.c.key_id == key_id)).one_or_none()
    if row is None:
        raise KeysError("there is no key of that id; `audience key list` shows them")
    return _key(row)


def _key(row: Row) -> Key:
    return Key(row.key_id, row.name, frozenset(row.scopes.split()), row.created_at, row.revoked_at)
