"""When people were last heard of, where a purge took the row that told it: one time each, which goes with the person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from features.database.schema import UtcTime

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the table."""
    op.create_table("last_heard", sa.Column("person", sa.String(64), primary_key=True), sa.Column("heard_at", UtcTime, nullable=False))
