"""Who is who in ledger and log: a person's keyed hash, a random token, and a key of the person's own that seals what is personal.

Erasure deletes the row. What is sealed cannot be opened any more, token and number lead to nobody, and every other row stays as it was.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, delete, insert, select

from features.database.schema import LAST_HEARD, SUBJECTS, SUPPRESSIONS
from features.database.store import Store

_CONTEXT = b"audience-scoring/subjects/"
_NONCE = 12
_CHUNK = 500
"""How many people one query names: databases limit the parameters of a statement."""


class SubjectError(RuntimeError):
    """What was sealed cannot be opened: the key of the workspace is another one, or a row was changed."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One person in ledger and log; `key` (32 bytes) seals what is personal."""

    number: int
    token: str
    key: bytes

    def __repr__(self) -> str:
        return f"Subject({self.number})"

    def seal(self, fields: Mapping[str, object], about: str) -> bytes:
        """Return JSON-able fields, readable with this person's key alone and in the row `about` alone (AES-256-GCM)."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + AESGCM(self.key).encrypt(nonce, json.dumps(fields, sort_keys=True).encode(), about.encode())

    def unseal(self, sealed: bytes, about: str) -> dict[str, object]:
        """Return the fields of a row. Raises SubjectError."""
        fields: dict[str, object] = json.loads(_opened(self.key, sealed, about))
        return fields


class Subjects:
    """The people that ledger and log know of, in a store; `secret` is the workspace's signing key."""

    def __init__(self, store: Store, secret: bytes) -> None:
        self._store = store
        self._hash_key, self._wrapping = (hmac.digest(secret, _CONTEXT + use, sha256) for use in (b"person", b"wrap"))

    def hash_of(self, person: str) -> str:
        """Return HMAC-SHA256 (hex) of an id: the same person always has the same one, in this workspace only."""
        return hmac.digest(self._hash_key, person.encode("utf-8", "surrogatepass"), "sha256").hex()

    def hashes_of(self, people: pa.LargeStringArray) -> pa.LargeStringArray:
        """Return `hash_of` each of n people."""
        texts = (hmac.digest(self._hash_key, person, "sha256").hex() for person in people.cast(pa.large_binary()).to_pylist())
        return pa.array(texts, pa.large_string(), size=len(people))

    def numbers(self, hashes: pa.LargeStringArray, *, after: int = 0) -> tuple[NDArray[np.int64], int]:
        """Return the number (n,) of each of the people behind the hashes, of those made after number `after`, -1 for others; and the last number there is."""
        query = select(SUBJECTS.c.person, SUBJECTS.c.number).where(SUBJECTS.c.number > after)
        with self._store.read() as connection:
            rows = connection.execute(query).all()
        known = pa.array([row.person for row in rows], pa.large_string())
        place = pc.fill_null(pc.index_in(hashes, value_set=known), -1).to_numpy(zero_copy_only=False).astype(np.int64)
        numbers = np.array([row.number for row in rows] or [-1], dtype=np.int64)
        return np.where(place >= 0, numbers[place], -1), max(after, int(numbers.max()))

    def erased(self, hashes: pa.LargeStringArray) -> NDArray[np.bool_]:
        """Return which (n,) of the people behind the hashes were erased."""
        with self._store.read() as connection:
            known = pa.array(connection.execute(select(SUPPRESSIONS.c.person)).scalars().all(), pa.large_string())
        return np.asarray(pc.is_in(hashes, value_set=known).to_numpy(zero_copy_only=False), dtype=np.bool_)

    def fits(self) -> bool:
        """Return whether the key opens what is kept of somebody; true where nobody is known. Raises StoreError."""
        with self._store.read() as connection:
            row = connection.execute(select(SUBJECTS).limit(1)).one_or_none()
        try:
            return row is None or bool(self._subject(row))
        except SubjectError:
            return False

    def find(self, person: str) -> Subject | None:
        """Return a person that is known, or None. Raises StoreError or SubjectError."""
        with self._store.read() as connection:
            row = connection.execute(select(SUBJECTS).where(SUBJECTS.c.person == self.hash_of(person))).one_or_none()
        return None if row is None else self._subject(row)

    def find_all(self, connection: Connection, ids: Iterable[str]) -> dict[str, Subject]:
        """Return those of the ids that are known, by id."""
        found: dict[str, Subject] = {}
        for hashes in _chunks({self.hash_of(person): person for person in ids}):
            rows = connection.execute(select(SUBJECTS).where(SUBJECTS.c.person.in_(list(hashes))))
            found |= {hashes[row.person]: self._subject(row) for row in rows}
        return found

    def tokens(self, connection: Connection, ids: Iterable[str]) -> dict[str, str]:
        """Return the tokens of those of the ids that are known, by id: what `find_all` knows, without opening anybody's key."""
        found: dict[str, str] = {}
        for hashes in _chunks({self.hash_of(person): person for person in ids}):
            query = select(SUBJECTS.c.person, SUBJECTS.c.token).where(SUBJECTS.c.person.in_(list(hashes)))
            found |= {hashes[person]: token for person, token in connection.execute(query).all()}
        return found

    def ensure(self, connection: Connection, ids: Sequence[str], now: datetime) -> dict[str, Subject]:
        """Return everyone of the ids by id, made where they were not known; those who were erased are left out. In a serial transaction."""
        erased = self.suppressed(connection, ids)
        wanted = [person for person in dict.fromkeys(ids) if person not in erased]
        found = self.find_all(connection, wanted)
        fresh = [self._made(person, now) for person in wanted if person not in found]
        if fresh:
            connection.execute(insert(SUBJECTS), fresh)
            found |= self.find_all(connection, [person for person in wanted if person not in found])
        return found

    def suppressed(self, connection: Connection, ids: Iterable[str]) -> set[str]:
        """Return those of the ids who were erased and must not come back."""
        found: set[str] = set()
        for hashes in _chunks({self.hash_of(person): person for person in ids}):
            rows = connection.execute(select(SUPPRESSIONS.c.person).where(SUPPRESSIONS.c.person.in_(list(hashes))))
            found |= {hashes[row.person] for row in rows}
        return found

    def forget(self, connection: Connection, person: str, now: datetime) -> None:
        """Destroy a person's key and keep the hash alone, so that an import does not bring the person back. A second time changes nothing."""
        hashed = self.hash_of(person)
        for table in (SUBJECTS, LAST_HEARD):
            connection.execute(delete(table).where(table.c.person == hashed))
        if connection.execute(select(SUPPRESSIONS.c.person).where(SUPPRESSIONS.c.person == hashed)).one_or_none() is None:
            connection.execute(insert(SUPPRESSIONS), {"person": hashed, "kind": "erased", "at": now})

    def _made(self, person: str, now: datetime) -> dict[str, object]:
        token, nonce = secrets.token_hex(16), secrets.token_bytes(_NONCE)
        wrapped = nonce + AESGCM(self._wrapping).encrypt(nonce, secrets.token_bytes(32), token.encode())
        return {"person": self.hash_of(person), "token": token, "wrapped_key": wrapped, "created_at": now}

    def _subject(self, row: Row) -> Subject:
        return Subject(row.number, row.token, _opened(self._wrapping, row.wrapped_key, row.token))


def _opened(key: bytes, sealed: bytes, about: str) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], about.encode())
    except InvalidTag:
        raise SubjectError("what is sealed cannot be opened: signing.key is not the one it was sealed with, or the row was changed") from None


def _chunks(hashes: Mapping[str, str]) -> Iterator[dict[str, str]]:
    rest = iter(hashes.items())
    while chunk := dict(islice(rest, _CHUNK)):
        yield chunk
