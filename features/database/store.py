"""The SQL store of a workspace: SQLite in its folder by default, PostgreSQL by URL; brought up to date when it is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from sqlalchemy import Connection, create_engine, event, make_url
from sqlalchemy.exc import SQLAlchemyError

from features.database.migrations import MigrationError, newest, revision, upgrade

_BUSY_MILLISECONDS = 5000
"""How long a writer waits for another one before SQLite gives up."""
_TRIES, _PAUSE_SECONDS = 6, 0.2
"""How often emptying the log is tried, each time for as long as a writer waits, and how long in between."""
_WRITERS_LOCK = 0x61756469656E6365
"""The number under which PostgreSQL lets one writer of a chain in at a time."""


class StoreError(RuntimeError):
    """The store cannot be reached, read or written. The message holds no address and no password."""


class Store:
    """The store at a SQLAlchemy URL, its tables made or brought up to date; `close` it when done. Raises StoreError."""

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
            if parsed.get_backend_name() == "sqlite" and parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            self._engine = create_engine(parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite")
            if self._engine.dialect.name == "sqlite":
                event.listen(self._engine, "connect", _set_pragmas)
            with self._engine.connect() as connection:
                there = revision(connection)
            if there != newest():
                with self._engine.begin() as connection:
                    alone(connection)
                    upgrade(connection)
        except MigrationError as error:
            raise StoreError(str(error)) from error
        except (SQLAlchemyError, OSError, ImportError) as error:
            raise StoreError(f"the store cannot be opened ({type(error).__name__}); check database_url in audience.toml or AUDIENCE_DATABASE_URL") from error
        self.claim: Callable[[], None] = lambda: None
        """Called before each serial transaction: who opened the store may note whose it is before anybody is named in it."""

    @contextmanager
    def write(self, *, serial: bool = False) -> Iterator[Connection]:
        """Yield a connection whose work is committed at the end, all or nothing. Raises StoreError.

        `serial`: no other serial writer works from its beginning to its end, so that what it reads first is still so when it writes.
        """
        if serial:
            self.claim()
        try:
            with self._engine.begin() as connection:
                if serial:
                    alone(connection)
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

    def vacuum(self) -> None:
        """Give back, and so overwrite, what deleted rows leave in the files: the database's pages and its write-ahead log. Raises StoreError.

        Also when somebody reads for so long that the log cannot be emptied: what was deleted would still stand in it. While a server answers, others write and
        read all the time; so it is tried for some 30 seconds.
        """
        for steps_left in reversed(range(_TRIES)):
            try:
                self._vacuum()
            except StoreError:
                if not steps_left:
                    raise
                _rest(_PAUSE_SECONDS)
            else:
                return

    def _vacuum(self) -> None:
        busy = 0
        try:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM")
                if self._engine.dialect.name == "sqlite":
                    busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one()
        except SQLAlchemyError as error:
            raise StoreError(f"the store cannot be vacuumed ({type(error).__name__}); is someone else using it for long?") from error
        if busy:
            raise StoreError("the store's log cannot be emptied, so what was deleted still stands in it: someone has been reading for long; try again")

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _rest(seconds: float) -> None:
    Event().wait(seconds)


def alone(connection: Connection) -> None:
    """Wait until no other serial writer is at work, and keep others out until the transaction ends."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS_LOCK})")


def _set_pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
        "recursive_triggers=ON",
        f"busy_timeout={_BUSY_MILLISECONDS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
