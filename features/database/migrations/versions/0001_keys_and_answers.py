"""Keys, sessions, and the log of answers and decisions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from features.database.schema import UtcTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "keys",
        sa.Column("key_id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("scopes", sa.String(200), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("revoked_at", UtcTime),
    )
    op.create_table(
        "sessions",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("key_id", sa.String(32), sa.ForeignKey("keys.key_id"), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime, nullable=False),
    )
    op.create_table(
        "answers",
        sa.Column("answer_id", sa.String(32), primary_key=True),
        sa.Column("at", UtcTime, nullable=False, index=True),
        sa.Column("door", sa.String(16), nullable=False),
        sa.Column("route", sa.String(100), nullable=False),
        sa.Column("key_id", sa.String(32)),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("code", sa.String(64)),
        sa.Column("people", sa.Integer, nullable=False),
        sa.Column("asked", sa.Text, nullable=False),
        sa.Column("as_of", UtcTime),
    )
    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.String(48), primary_key=True),
        sa.Column("answer_id", sa.String(32), sa.ForeignKey("answers.answer_id"), nullable=False, index=True),
        sa.Column("person", sa.String(64), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("score", sa.String(200), nullable=False),
        sa.Column("code", sa.String(64)),
        sa.Column("value", sa.Float),
        sa.Column("low", sa.Float),
        sa.Column("high", sa.Float),
        sa.Column("model", sa.String(200)),
        sa.Column("version", sa.String(64)),
        sa.Column("digest", sa.String(64)),
        sa.Column("as_of", UtcTime),
    )
    op.create_index("decisions_of_a_person", "decisions", ["person", "at"])
