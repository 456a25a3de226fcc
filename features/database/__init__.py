"""The SQL store of a workspace: SQLite by default, PostgreSQL by URL."""
