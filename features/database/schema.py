"""Every SQL table of a workspace, as the migrations leave it: keys, sessions, answers, people's keys, the ledger.

`migrations/versions` changes a database step by step; a test holds the two against each other.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Dialect, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.types import TypeDecorator


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


METADATA = MetaData()
NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""A number that the database gives, rising and never given again; SQLite has it for INTEGER alone."""

KEYS = Table(
    "keys",
    METADATA,
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
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("key_id", String(32), ForeignKey("keys.key_id"), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
)
"""Signed-in auditors; `digest` is the SHA-256 of the cookie."""

ANSWERS = Table(
    "answers",
    METADATA,
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
    Column("use", Text),
    Column("law", String(200)),
    Column("ledger", BigInteger),
    Column("tables", Text),
    Column("activity", String(16)),
    Column("preconditions", Text),
)
"""One row per answer, refusals too; `asked` is the JSON list of score names that are known ones (of groups, also by what they were made, and k). What was
decided before it: the `use` (JSON), the `law` pack with version and digest, the number of the `ledger`'s last event, the versions of the `tables` (JSON), the
`activity`, and the `preconditions` (JSON; with whether own rows alone were answered from): with them the decision can be made again."""

DECISIONS = Table(
    "decisions",
    METADATA,
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
    Column("rule", String(8)),
    Column("event", BigInteger),
    Column("source", String(1000)),
    Index("decisions_of_a_person", "person", "at"),
)
"""One row per person and score; `person` is the subject's token, `code` says why there is no value; the permission stood on `rule`, `event`, `source`."""


CHAIN = Table(
    "chain",
    METADATA,
    Column("seq", NUMBER, primary_key=True, autoincrement=False),
    Column("answer_id", String(32), ForeignKey("answers.answer_id"), nullable=False, unique=True),
    Column("late", Boolean, nullable=False),
    Column("link", String(64), nullable=False),
)
"""The log's entries, numbered from 1 without a gap: `link` is a keyed digest of the answer, all its decisions and the link before; `late` says that the
answer was there before the chain."""

SUBJECTS = Table(
    "subjects",
    METADATA,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    Column("person", String(64), nullable=False, unique=True),
    Column("token", String(32), nullable=False, unique=True),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    sqlite_autoincrement=True,
)
"""Who is who: `person` is a keyed hash of the id, `token` random and what ledger and log name the person by, `wrapped_key` opens what is sealed. Erasure
deletes the row, and nothing leads from token or number to the person any more."""

SUPPRESSIONS = Table(
    "suppressions",
    METADATA,
    Column("person", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("at", UtcTime, nullable=False),
)
"""Whom a later import must not bring back: a keyed hash of the id, apart from that of `subjects`, and nothing else."""

LAST_HEARD = Table(
    "last_heard",
    METADATA,
    Column("person", String(64), primary_key=True),
    Column("heard_at", UtcTime, nullable=False),
)
"""When people were last heard of, where a purge took the row that told it and they stay: `person` is the keyed hash of `subjects`. It goes with the person."""

LEDGER = Table(
    "ledger",
    METADATA,
    Column("seq", NUMBER, primary_key=True, autoincrement=True),
    Column("event_id", String(32), nullable=False, unique=True),
    Column("subject", BigInteger, nullable=False, index=True),
    Column("event", String(16), nullable=False),
    Column("purpose", String(64), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("valid_from", BigInteger, nullable=False),
    Column("valid_until", BigInteger),
    Column("recorded_at", BigInteger, nullable=False),
    Column("legal_basis", String(64)),
    Column("wording_hash", String(128)),
    Column("wording_version", String(64)),
    Column("language", String(16)),
    Column("explicit", Boolean, nullable=False),
    Column("door", String(16), nullable=False),
    Column("sealed", LargeBinary),
    Column("chain", String(64), nullable=False),
    sqlite_autoincrement=True,
)
"""Consent, refusal, withdrawal, objection, expiry, erasure: events, never edited. Times are microseconds UTC; `sealed` holds what is personal beside them."""

REGISTER = Table(
    "register",
    METADATA,
    Column("seq", NUMBER, primary_key=True, autoincrement=True),
    Column("entry_id", String(32), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("about", String(64), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("body", Text, nullable=False),
    Column("chain", String(64), nullable=False),
    sqlite_autoincrement=True,
)
"""The register of targeting use, kept for seven years and longer: what was done with people's data, never with whose. `about` is the digest of what an entry
is about, so that the same is not said twice; `body` is JSON; `chain` a keyed digest of the entry and the chain before."""

EXPORTS = Table(
    "exports",
    METADATA,
    Column("export_id", String(32), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("recipient", String(200), nullable=False),
    Column("outside", Boolean, nullable=False),
    Column("approver", String(200), nullable=False),
    Column("use", Text, nullable=False),
    Column("scores", Text, nullable=False),
    Column("models", Text, nullable=False),
    Column("people", Integer, nullable=False),
    Column("law", String(200), nullable=False),
    Column("ledger", BigInteger, nullable=False),
    Column("tables", Text, nullable=False),
    Column("as_of", UtcTime, nullable=False),
    Column("file_digest", String(64), nullable=False),
)
"""What was handed out, to which named `recipient`, `outside` of the organisation or within, and who approved it; `file_digest` is the file's SHA-256."""

EXPORT_PEOPLE = Table(
    "export_people",
    METADATA,
    Column("reference", String(32), primary_key=True),
    Column("export_id", String(32), ForeignKey("exports.export_id"), nullable=False, index=True),
    Column("person", String(64), nullable=False, index=True),
)
"""Who was in an export: `person` is the token, `reference` a random name of the row in the file, by which its recipient can be told of it without an id."""

NOTICES = Table(
    "notices",
    METADATA,
    Column("notice_id", NUMBER, primary_key=True, autoincrement=True),
    Column("reference", String(32), ForeignKey("export_people.reference"), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("told_at", UtcTime),
    Column("told_by", String(200)),
    Unique("reference", "reason", name="notices_once"),
    sqlite_autoincrement=True,
)
"""The queue to recipients (GDPR, article 19): which row of which export has to go, and why; `told_at` is empty until its recipient was told."""

MARKS = Table(
    "marks",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("value", String(64), nullable=False),
)
"""What tells this database from another one, and the key that its rows were made with from another key."""

APPEND_ONLY = ("answers", "decisions", "chain", "ledger", "suppressions", "register", "exports", "export_people")
"""Tables whose rows the database itself refuses to change or delete."""
