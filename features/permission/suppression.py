"""Rows of people who were erased do not come in again: they are left out of what an import stores, and counted."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select

from features.database.schema import SUPPRESSIONS
from features.permission.opening import is_there, opened
from features.permission.subjects import Subjects
from features.workspace import Workspace

_REMEMBERED = 500_000
"""Of how many people it is remembered that they were not erased: some 60 MB."""


class LeftOut:
    """Leaves the erased out of the batches of one import; `rows` counts what was left out."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._erased: pa.LargeStringArray | None = None
        self._subjects: Subjects | None = None
        self._others: set[str] = set()
        self.rows = 0

    def begin(self) -> None:
        """Read who was erased, with the table's lock held: who is erased from now on is deleted from it when the lock is free. Raises StoreError."""
        self.rows = 0
        self._others.clear()
        if not self._workspace.database_id.exists() and not is_there(self._workspace.database_url):
            return
        store = opened(self._workspace)
        try:
            with store.read() as connection:
                erased = connection.execute(select(SUPPRESSIONS.c.person)).scalars().all()
            self._subjects = Subjects(store, self._workspace.signing_key()) if erased else None
            self._erased = pa.array(erased, pa.large_string())
        finally:
            store.close()

    def kept(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows (k ≤ n) of those who were not erased."""
        position = rows.schema.get_field_index("person_id")
        if self._subjects is None or position < 0 or not rows.num_rows:
            return rows
        people = rows.column(position)
        erased = self._erased_of(people, self._subjects)
        if not len(erased):
            return rows
        kept = rows.filter(pc.invert(pc.is_in(people, value_set=erased.cast(people.type))))
        self.rows += rows.num_rows - kept.num_rows
        return kept

    def _erased_of(self, people: pa.Array, subjects: Subjects) -> pa.LargeStringArray:
        """Return those of the people who were erased; who was found not to be is not hashed again."""
        fresh = pa.array([person for person in people.unique().to_pylist() if person not in self._others], pa.large_string())
        erased = pc.is_in(subjects.hashes_of(fresh), value_set=self._erased)
        if len(self._others) < _REMEMBERED:
            self._others.update(fresh.filter(pc.invert(erased)).to_pylist())
        return fresh.filter(erased)
