"""Suppressions are append-only: whoever could delete one would let an import bring an erased person back."""

from __future__ import annotations

from alembic import op

from features.database.guards import append_only

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the guards."""
    for statement in append_only("suppressions", op.get_bind().dialect.name):
        op.get_bind().exec_driver_sql(statement)
