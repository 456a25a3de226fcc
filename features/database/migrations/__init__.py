"""The steps from an empty database to today's: `versions`, one file each, run in order by `upgrade` in the caller's transaction."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import Connection, inspect

FOLDER = Path(__file__).parent
FIRST = "0001"


class MigrationError(RuntimeError):
    """The database cannot be brought up to date; the message says why."""


def newest() -> str:
    """Return the number of the last step."""
    return max(match[1] for path in (FOLDER / "versions").iterdir() if (match := re.match(r"(\d{4})_\w+\.py$", path.name)))


def upgrade(connection: Connection) -> None:
    """Bring a database to the newest step; one that is there already costs a query. Raises MigrationError for one of a later release."""
    there = revision(connection)
    if there == newest():
        return
    if there is not None and there > newest():
        raise MigrationError(f"the store is at step {there}, this release knows steps up to {newest()}: use the release that wrote it, or a later one")
    from alembic import command  # noqa: PLC0415 - seldom needed, and takes a while to import
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    if there is None and inspect(connection).has_table("keys"):
        command.stamp(config, FIRST)  # made before there were steps
    command.upgrade(config, "head")


def revision(connection: Connection) -> str | None:
    """Return the number of the step that a database is at, or None for one that knows of no steps."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)
