"""Signed-in auditors: a random cookie, stored as its SHA-256, that dies with its key; and tokens that tie a form to its cookie."""

from __future__ import annotations

import hmac
import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from features.database.schema import KEYS, SESSIONS
from features.database.store import Store
from serving.keys import Key, secret_digest

_TOKEN_BYTES = 32
_FORM_CONTEXT = b"audience-scoring/console/form"


def open_session(store: Store, key: Key, *, now: datetime, minutes: int) -> str:
    """Return the cookie of a new session of that key, good for so many minutes; sessions that have ended are forgotten."""
    token = random_token()
    row = {"digest": secret_digest(token), "key_id": key.key_id, "created_at": now, "expires_at": now + timedelta(minutes=minutes)}
    with store.write() as connection:
        connection.execute(delete(SESSIONS).where(SESSIONS.c.expires_at <= now))
        connection.execute(SESSIONS.insert(), row)
    return token


def find_session(store: Store, token: str, *, now: datetime) -> Key | None:
    """Return the key of a session that has not ended and whose key still stands, or None."""
    query = (
        select(KEYS)
        .join(SESSIONS, SESSIONS.c.key_id == KEYS.c.key_id)
        .where(SESSIONS.c.digest == secret_digest(token), SESSIONS.c.expires_at > now, KEYS.c.revoked_at.is_(None))
    )
    with store.read() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else Key(row.key_id, row.name, frozenset(row.scopes.split()), row.created_at, row.revoked_at)


def close_session(store: Store, token: str) -> None:
    """End a session; one that is not there is no error."""
    with store.write() as connection:
        connection.execute(delete(SESSIONS).where(SESSIONS.c.digest == secret_digest(token)))


def random_token() -> str:
    """Return 256 random bits as text for a cookie."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def form_token(key: bytes, cookie: str) -> str:
    """Return the token that a form carries: only who has the server's key can make it for a cookie."""
    return hmac.new(hmac.digest(key, _FORM_CONTEXT, "sha256"), cookie.encode("utf-8", "surrogatepass"), "sha256").hexdigest()


def form_token_matches(key: bytes, cookie: str, given: str) -> bool:
    """Return whether a form's token belongs to the cookie, in constant time."""
    return hmac.compare_digest(form_token(key, cookie).encode(), given.encode("utf-8", "surrogatepass"))
