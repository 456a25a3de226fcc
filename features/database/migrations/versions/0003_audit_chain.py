"""The chain of the audit log, in a table of its own beside `answers`.

Numbers and links could have been columns of `answers`. Beside it nothing that is there has to change: the guards of `answers` and `decisions` stay on
while the step runs, no table is copied (SQLite can add no required column otherwise), and answers of before are chained by inserting alone. That is done by
the first server that opens the store, since it takes the workspace's key, which no step has; such entries are marked `late`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from features.database.guards import append_only
from features.database.schema import NUMBER

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table and its guards."""
    op.create_table(
        "chain",
        sa.Column("seq", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("answer_id", sa.String(32), sa.ForeignKey("answers.answer_id"), nullable=False, unique=True),
        sa.Column("late", sa.Boolean, nullable=False),
        sa.Column("link", sa.String(64), nullable=False),
    )
    for statement in append_only("chain", op.get_bind().dialect.name):
        op.get_bind().exec_driver_sql(statement)
