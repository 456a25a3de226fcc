"""The register of targeting use, what was handed out to whom, and the queue to its recipients; marks of the database; more of what was decided."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from features.database.guards import append_only
from features.database.schema import NUMBER, UtcTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the tables, their guards and the columns; the columns are empty in rows of before, whose links in the chain stay as they are."""
    op.create_table(
        "register",
        sa.Column("seq", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("entry_id", sa.String(32), nullable=False, unique=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("about", sa.String(64), nullable=False, index=True),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("chain", sa.String(64), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "exports",
        sa.Column("export_id", sa.String(32), primary_key=True),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("recipient", sa.String(200), nullable=False),
        sa.Column("outside", sa.Boolean, nullable=False),
        sa.Column("approver", sa.String(200), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("use", "scores", "models")),
        sa.Column("people", sa.Integer, nullable=False),
        sa.Column("law", sa.String(200), nullable=False),
        sa.Column("ledger", sa.BigInteger, nullable=False),
        sa.Column("tables", sa.Text, nullable=False),
        sa.Column("as_of", UtcTime, nullable=False),
        sa.Column("file_digest", sa.String(64), nullable=False),
    )
    op.create_table(
        "export_people",
        sa.Column("reference", sa.String(32), primary_key=True),
        sa.Column("export_id", sa.String(32), sa.ForeignKey("exports.export_id"), nullable=False, index=True),
        sa.Column("person", sa.String(64), nullable=False, index=True),
    )
    op.create_table(
        "notices",
        sa.Column("notice_id", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("reference", sa.String(32), sa.ForeignKey("export_people.reference"), nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("told_at", UtcTime),
        sa.Column("told_by", sa.String(200)),
        sa.UniqueConstraint("reference", "reason", name="notices_once"),
        sqlite_autoincrement=True,
    )
    op.create_table("marks", sa.Column("name", sa.String(32), primary_key=True), sa.Column("value", sa.String(64), nullable=False))
    for table in ("register", "exports", "export_people"):
        for statement in append_only(table, op.get_bind().dialect.name):
            op.get_bind().exec_driver_sql(statement)
    op.add_column("answers", sa.Column("activity", sa.String(16)))
    op.add_column("answers", sa.Column("preconditions", sa.Text))
