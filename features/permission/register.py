"""The register of targeting use (rules L5, L26 and L28): what was done with people's data, by whom and how; entries are only ever appended.

It names nobody of the people, so that it can be kept for seven years and shown; it names who answers for what. Each entry's link is a keyed digest of it and
of the link before.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal, get_args

from sqlalchemy import Connection, func, insert, select

from features.database import chained
from features.database.chain import canonical, chain_key, link
from features.database.schema import REGISTER
from features.database.store import Store

EntryKind = Literal["targeting", "export", "topic", "law_pack", "dpia", "risk_assessment"]
KINDS: tuple[EntryKind, ...] = get_args(EntryKind)
"""`targeting`: what people were scored or picked with online. `export`: what was handed out, to whom, and who approved it. The others: what the organisation
declared, and who answers for it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: `kind` says what it is about, `body` is its JSON-able content."""

    seq: int
    entry_id: str
    kind: str
    about: str
    at: datetime
    body: Mapping[str, Any]


def digest_of(about: object) -> str:
    """Return the digest (SHA-256, hex) that an entry about this, any JSON-able value, is known by."""
    return sha256(canonical({"about": about}).encode()).hexdigest()


class Register:
    """The register in a store; `secret` is the workspace's signing key."""

    def __init__(self, store: Store, secret: bytes) -> None:
        self.store = store
        self._chain = chain_key(secret, "register")

    def append(self, connection: Connection, kind: EntryKind, body: Mapping[str, Any], *, now: datetime, about: object = None) -> str:
        """Write an entry in a serial transaction and return its id; where the last of the kind and `about` (any JSON-able value) says the same, return its id.

        Without `about` the whole body is what it is about: then the same is never said twice.
        """
        digest = digest_of(body if about is None else about)
        same = select(REGISTER.c.entry_id, REGISTER.c.body).where(REGISTER.c.kind == kind, REGISTER.c.about == digest)
        last = connection.execute(same.order_by(REGISTER.c.seq.desc()).limit(1)).one_or_none()
        if last is not None and last.body == canonical(body):
            return str(last.entry_id)
        return self.write(connection, kind, body, now=now, digest=digest)

    def write(self, connection: Connection, kind: EntryKind, body: Mapping[str, Any], *, now: datetime, digest: str) -> str:
        """Write an entry in a serial transaction, whatever was said before, and return its id; `digest` is of what it is about."""
        row = {"entry_id": secrets.token_hex(16), "kind": kind, "about": digest, "at": now, "body": canonical(body)}
        connection.execute(insert(REGISTER), row | {"chain": link(self._chain, chained.tip(connection, "register").link, row)})
        return str(row["entry_id"])

    def entries(self, *kinds: str, after: int = 0, limit: int | None = None) -> list[Entry]:
        """Return the entries, of these kinds or of all, as they were written: those numbered above `after`, at most `limit`. Raises StoreError."""
        query = select(REGISTER).where(REGISTER.c.seq > after).order_by(REGISTER.c.seq).limit(limit)
        with self.store.read() as connection:
            rows = connection.execute(query.where(REGISTER.c.kind.in_(kinds)) if kinds else query).all()
        return [Entry(row.seq, row.entry_id, row.kind, row.about, row.at, json.loads(row.body)) for row in rows]

    def latest(self, *kinds: str) -> dict[tuple[str, str], Entry]:
        """Return the last entry on each thing, by kind and `digest_of` what it is about. Raises StoreError."""
        newest = select(func.max(REGISTER.c.seq)).where(REGISTER.c.kind.in_(kinds)).group_by(REGISTER.c.kind, REGISTER.c.about)
        with self.store.read() as connection:
            rows = connection.execute(select(REGISTER).where(REGISTER.c.seq.in_(newest))).all()
        return {(row.kind, row.about): Entry(row.seq, row.entry_id, row.kind, row.about, row.at, json.loads(row.body)) for row in rows}

    def count(self) -> int:
        """Return how many entries there are. Raises StoreError."""
        return chained.count(self.store, "register")

    def first_break(self) -> int | None:
        """Return the number of the first entry that does not fit the chain, None where all do. Raises StoreError."""
        return chained.first_break(self.store, self._chain, "register")
