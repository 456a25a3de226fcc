"""The log holds what was decided before an answer, and on what: use, law pack, ledger and tables; rule, event and source of each person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns; they are empty in rows of before, whose links in the chain stay as they are."""
    for column in (sa.Column("use", sa.Text), sa.Column("law", sa.String(200)), sa.Column("ledger", sa.BigInteger), sa.Column("tables", sa.Text)):
        op.add_column("answers", column)
    for column in (sa.Column("rule", sa.String(8)), sa.Column("event", sa.BigInteger), sa.Column("source", sa.String(1000))):
        op.add_column("decisions", column)
