"""The store behind the service: keys, sessions and the audit log, in SQLite by default and in PostgreSQL by URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import TypeDecorator

_BUSY_MILLISECONDS = 5000
"""How long a writer waits for another one before SQLite gives up."""


class StoreError(RuntimeError):
    """The store cannot be reached, read or written. The message holds no address and no password."""


class UtcTime(TypeDecorator[datetime]):
    """A timezone-aware UTC time; a naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the time as it is stored: UTC, and without its zone where the database knows none."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a timezone cannot be stored; give it in UTC")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy's signature)
        """Return the stored time with its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_metadata = MetaData()

KEYS = Table(
    "keys",
    _metadata,
    Column("key_id", String(32), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("scopes", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("revoked_at", UtcTime),
)
"""Bearer keys; `digest` is the SHA-256 of the secret, which is kept nowhere."""

SESSIONS = Table(
    "sessions",
    _metadata,
    Column("digest", String(64), primary_key=True),
    Column("key_id", String(32), ForeignKey("keys.key_id"), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
)
"""Signed-in auditors; `digest` is the SHA-256 of the cookie."""

ANSWERS = Table(
    "answers",
    _metadata,
    Column("answer_id", String(32), primary_key=True),
    Column("at", UtcTime, nullable=False, index=True),
    Column("door", String(16), nullable=False),
    Column("route", String(100), nullable=False),
    Column("key_id", String(32)),
    Column("status", Integer, nullable=False),
    Column("code", String(64)),
    Column("people", Integer, nullable=False),
    Column("asked", Text, nullable=False),
    Column("as_of", UtcTime),
)
"""One row per answer, refusals too; `asked` is the JSON list of score names that are known ones."""

DECISIONS = Table(
    "decisions",
    _metadata,
    Column("decision_id", String(48), primary_key=True),
    Column("answer_id", String(32), ForeignKey("answers.answer_id"), nullable=False, index=True),
    Column("person", String(64), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("score", String(200), nullable=False),
    Column("code", String(64)),
    Column("value", Float),
    Column("low", Float),
    Column("high", Float),
    Column("model", String(200)),
    Column("version", String(64)),
    Column("digest", String(64)),
    Column("as_of", UtcTime),
    Index("decisions_of_a_person", "person", "at"),
)
"""One row per person and score; `person` is a keyed hash, `code` says why there is no value."""


class Store:
    """The store at a SQLAlchemy URL, its tables made when they are missing; `close` it when done. Raises StoreError."""

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
            if parsed.get_backend_name() == "sqlite" and parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            self._engine = create_engine(parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite")
            if self._engine.dialect.name == "sqlite":
                event.listen(self._engine, "connect", _set_pragmas)
            _metadata.create_all(self._engine)
        except (SQLAlchemyError, OSError, ImportError) as error:
            raise StoreError(f"the store cannot be opened ({type(error).__name__}); check database_url in audience.toml or AUDIENCE_DATABASE_URL") from error

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection whose work is committed at the end, all or nothing. Raises StoreError."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StoreError(f"the store cannot be written ({type(error).__name__})") from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection to read with. Raises StoreError."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StoreError(f"the store cannot be read ({type(error).__name__})") from error

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _set_pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_BUSY_MILLISECONDS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
