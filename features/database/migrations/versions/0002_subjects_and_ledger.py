"""People's keys, who was erased, and the ledger of consent; ledger and log become append-only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from features.database.guards import append_only
from features.database.schema import NUMBER, UtcTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables and their guards."""
    op.create_table(
        "subjects",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("person", sa.String(64), nullable=False, unique=True),
        sa.Column("token", sa.String(32), nullable=False, unique=True),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "suppressions",
        sa.Column("person", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
    )
    op.create_table(
        "ledger",
        sa.Column("seq", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("event_id", sa.String(32), nullable=False, unique=True),
        sa.Column("subject", sa.BigInteger, nullable=False, index=True),
        sa.Column("event", sa.String(16), nullable=False),
        sa.Column("purpose", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("valid_from", sa.BigInteger, nullable=False),
        sa.Column("valid_until", sa.BigInteger),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.Column("legal_basis", sa.String(64)),
        sa.Column("wording_hash", sa.String(128)),
        sa.Column("wording_version", sa.String(64)),
        sa.Column("language", sa.String(16)),
        sa.Column("explicit", sa.Boolean, nullable=False),
        sa.Column("door", sa.String(16), nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("chain", sa.String(64), nullable=False),
        sqlite_autoincrement=True,
    )
    for table in ("answers", "decisions", "ledger"):
        for statement in append_only(table, op.get_bind().dialect.name):
            op.get_bind().exec_driver_sql(statement)
