"""Opening a workspace's SQL store, sure that store and signing key belong together: with another key, or in another store, nobody's hash is found.

Then objections, withdrawals and erasures would be heard by nobody, without a word. Both are marked in the store before it first names a person (`marks`), and
the workspace keeps the store's id in a file.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from pathlib import Path

from sqlalchemy import Connection, insert, make_url, select

from features.database.schema import MARKS, SUBJECTS, SUPPRESSIONS
from features.database.store import Store, StoreError, alone
from features.permission.subjects import Subjects
from features.workspace import Workspace

_KEY, _DATABASE = "key", "database"
_CONTEXT = b"audience-scoring/marks/key"
_HEARD = "so nobody's objection, withdrawal or erasure would be found in it"
_NO_KEY = f"signing.key is missing, and what the database holds was made with it, {_HEARD}: put the key back from a copy"
_OTHER_KEY = f"signing.key is not the one that the database was made with, {_HEARD}: put the right one back from a copy"
_OTHER_STORE = (
    f"the database is not the one of this workspace, {_HEARD}: mend database_url in audience.toml or AUDIENCE_DATABASE_URL, or put the database back from a "
    "copy. Only if what people said is meant to be left behind, remove the file database.id: the next command takes this database for the workspace's"
)


class OtherStoreError(StoreError):
    """Store and signing key do not belong to this workspace; the message says which, and what to do."""


def opened(workspace: Workspace, url: str | None = None) -> Store:
    """Return the store of a workspace, at another URL than it says if one is given; `close` it when done.

    Raises OtherStoreError where it is not the store, or the key not the one, that people's hashes were made with; StoreError as `Store` does.
    """
    url = url or workspace.database_url
    if workspace.database_id.exists() and not is_there(url):
        raise OtherStoreError(_OTHER_STORE)
    store = Store(url)
    try:
        _check(workspace, store)
    except BaseException:
        store.close()
        raise
    store.claim = _Claim(workspace, store)
    return store


def is_there(url: str) -> bool:
    """Return whether the store can hold anything: not where it is a file that was never made."""
    parsed = make_url(url)
    return parsed.get_backend_name() != "sqlite" or not parsed.database or Path(parsed.database).exists()


def _check(workspace: Workspace, store: Store) -> None:
    stated = _stated(workspace)
    with store.read() as connection:
        marks = _marks(connection)
        named = [connection.execute(select(column).limit(1)).first() for column in (SUBJECTS.c.person, SUPPRESSIONS.c.person)]
    if not marks:
        if stated is not None:
            raise OtherStoreError(_OTHER_STORE)
        if not any(named):
            return
    if not (workspace.root / "signing.key").exists():
        raise OtherStoreError(_NO_KEY)
    secret = workspace.signing_key()
    if not (hmac.compare_digest(marks[_KEY], _key_mark(secret)) if marks else Subjects(store, secret).fits()):
        raise OtherStoreError(_OTHER_KEY)
    if not marks or stated is None:
        _Claim(workspace, store)()
    elif stated != marks[_DATABASE]:
        raise OtherStoreError(_OTHER_STORE)


class _Claim:
    """Called before whatever may name a person: marks key and store, then writes the store's id into the workspace, once."""

    def __init__(self, workspace: Workspace, store: Store) -> None:
        self._workspace = workspace
        self._store = store
        self._done = False

    def __call__(self) -> None:
        if self._done:
            return
        with self._store.write() as connection:
            alone(connection)
            marks = _marks(connection)
            if not marks:
                marks = {_KEY: _key_mark(self._workspace.signing_key()), _DATABASE: secrets.token_hex(16)}
                connection.execute(insert(MARKS), [{"name": name, "value": value} for name, value in marks.items()])
        _keep(self._workspace, marks[_DATABASE])  # after the marks are there: a store without them, beside the file, would be another one
        self._done = True


def _marks(connection: Connection) -> dict[str, str]:
    rows = connection.execute(select(MARKS.c.name, MARKS.c.value).where(MARKS.c.name.in_([_KEY, _DATABASE])))
    return {row.name: row.value for row in rows}


def _key_mark(secret: bytes) -> str:
    return hmac.digest(secret, _CONTEXT, "sha256").hex()


def _stated(workspace: Workspace) -> str | None:
    try:
        return workspace.database_id.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise OtherStoreError(f"the file database.id cannot be read ({type(error).__name__})") from None


def _keep(workspace: Workspace, database: str) -> None:
    """Write the file if it is not there, whole or not at all. Raises OtherStoreError where another process wrote that of another store meanwhile."""
    path = workspace.database_id
    try:
        if not path.exists():
            fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
            with fresh.open("w", encoding="ascii") as file:
                file.write(f"{database}\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)
            fresh.unlink()
    except OSError as error:
        raise OtherStoreError(f"the file database.id cannot be written into the workspace ({type(error).__name__})") from error
    if _stated(workspace) != database:
        raise OtherStoreError(_OTHER_STORE)
