"""Permission as it stands now: facts of the people at hand, and the ledger, whose last number is asked before every decision.

A withdrawal, wherever it was recorded, is in the columns before the next decision is made from them. What the tables say changes with their versions, and
is read anew with the vectors.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.database.store import Store
from features.history import History
from features.permission.decision import Decisions, Told, decide, every_rule, microseconds
from features.permission.facts import UNKNOWN, Events, Facts, Integers, Sources
from features.permission.gathering import gather
from features.permission.ledger import Ledger
from features.permission.packs import load_pack
from features.permission.rules import EPOCH, Question
from features.permission.use import Use
from features.workspace import Workspace

_FEW = 5_000
"""Up to so many people are decided on from their own events alone; beyond, all events are put in order first."""
_TAIL = 10_000
"""So many new events stand apart from those in order before they are put among them."""


class LiveLedger:
    """The ledger's events in memory: read once, then kept up by what is new. Every worker process has its own; its threads share it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._lock = threading.Lock()
        self._ordered = Events.none()
        self._new = Events.none()
        self._last = self._recorded_us = 0

    def refresh(self) -> tuple[int, int]:
        """Read what is new; return the number of the last event and the latest time of recording (us UTC). Raises StoreError: then nobody may be decided on."""
        with self._lock:
            if self.ledger.last() != self._last:
                found = self.ledger.events(self._new if len(self._new) else self._ordered)
                self._new = self._new.with_new(found) if len(self._new) else found
                self._last, self._recorded_us = int(self._new.seq.max()), max(self._recorded_us, int(found.recorded_us.max()))
                if len(self._new) > _TAIL:
                    self._order()
            return self._last, self._recorded_us

    def of(self, subjects: Integers) -> Events:
        """Return the events of these subjects (n,); of more than a few, all events."""
        with self._lock:
            if len(subjects) <= _FEW:
                return self._ordered.of(subjects).with_new(self._new.of(subjects))
            self._order()
            return self._ordered

    def _order(self) -> None:
        self._ordered, self._new = self._ordered.with_new(self._new), Events.none()


class Group:
    """People who are decided on again and again, such as those of the published vectors; ids are rising and each there once."""

    def __init__(self, permission: Permission, people: pa.LargeStringArray, *, versions: Mapping[str, int] | None = None) -> None:
        self._permission = permission
        self._lock = threading.Lock()
        self._hashes = permission.ledger.subjects.hashes_of(people)
        self._facts = replace(gather(permission.history, people, versions=versions), suppressed=permission.ledger.subjects.erased(self._hashes))
        self._seen = self._newest = 0

    def __len__(self) -> int:
        return len(self._facts)

    @property
    def sources(self) -> tuple[str, ...]:
        """The ids of the sources that decisions name by their row."""
        return self._facts.sources.ids

    @property
    def all_sources(self) -> Sources:
        """What the table `sources` says of where data came from."""
        return self._facts.sources

    def facts(self) -> Facts:
        """Return everything that rules look at, of everybody in the group, from the ledger as it is now. Raises StoreError."""
        facts, last, _ = self._now()
        return replace(facts, events=self._permission.events.of(facts.subject[facts.subject != UNKNOWN]), ledger=last)

    def decide(self, rows: NDArray[np.int64], use: Use, at: datetime, *, live: bool = False, **question: Any) -> Decisions:
        """Return the decision on the people in those rows (k,), from the ledger as it is now; `question` as in `decision.decide`. Raises StoreError.

        `live`: `at` is what this machine's clock says, and gives way to the time at which the ledger's last event was recorded, where that clock was ahead.
        """
        facts, last, recorded_us = self._now()
        at = max(at, EPOCH + timedelta(microseconds=recorded_us)) if live else at
        asked = facts if len(rows) == len(facts) and (rows == np.arange(len(facts))).all() else facts.take(rows)
        events = self._permission.events.of(asked.subject[asked.subject != UNKNOWN])
        if (
            events.seq.max(initial=0) > last
        ):  # another thread read on meanwhile: the decision stands on what it says it stands on, or it could not be made again
            events = events.take(np.flatnonzero(events.seq <= last))
        return self._permission.decided(replace(asked, events=events, ledger=last), use, at, **question)

    def _now(self) -> tuple[Facts, int, int]:
        """Return the facts, with those of whom the ledger has heard since, the number of its last event, and when that was recorded (us UTC)."""
        last, recorded_us = self._permission.events.refresh()
        with self._lock:
            if last != self._seen:
                numbers, self._newest = self._permission.ledger.subjects.numbers(self._hashes, after=self._newest)
                subjects = np.where(numbers != UNKNOWN, numbers, self._facts.subject)
                self._facts = replace(self._facts, subject=subjects, suppressed=self._permission.ledger.subjects.erased(self._hashes))
                self._seen = last
            return self._facts, last, recorded_us


class Permission:
    """Who may be scored for what, in a workspace. Make one per process; it can be used by several threads."""

    def __init__(self, workspace: Workspace, store: Store) -> None:
        self.settings = workspace.permission
        self.history = History(workspace.tables, workspace.vocabulary)
        self.ledger = Ledger(store, workspace.signing_key())
        self.events = LiveLedger(self.ledger)

    def group(self, people: pa.LargeStringArray, *, versions: Mapping[str, int] | None = None) -> Group:
        """Return people to decide on again and again. Raises HistoryError or StoreError."""
        return Group(self, people, versions=versions)

    def decide(self, people: Sequence[str], use: Use, at: datetime, *, versions: Mapping[str, int] | None = None, **question: Any) -> Decisions:
        """Return the decision on people, in their order, from tables and ledger as they are now, or at `versions`; `question` as in `decision.decide`.

        Raises HistoryError or StoreError.
        """
        known, rows = np.unique(np.array(people, dtype=object), return_inverse=True)
        return self.group(pa.array(known.tolist(), pa.large_string()), versions=versions).decide(rows.astype(np.int64), use, at, **question)

    def now(self, clock: datetime) -> datetime:
        """Return the clock's time, or that at which the ledger's last event was recorded, where another clock was ahead. Raises StoreError."""
        return max(clock, EPOCH + timedelta(microseconds=self.events.refresh()[1]))

    def every_rule(self, person: str, use: Use, at: datetime, **question: Any) -> tuple[Told, ...]:
        """Return what every rule in force says of one person, in the pack's order, for an auditor. Raises HistoryError or StoreError."""
        facts = self.group(pa.array([person], pa.large_string())).facts()
        question.setdefault("preconditions", self.settings.preconditions)
        question.setdefault("needs_third_party", True)
        return every_rule(Question(facts, use, microseconds(at), **question), load_pack(use.jurisdiction))

    def erased(self, people: Sequence[str]) -> frozenset[str]:
        """Return those of the people who were erased: nothing else is known of them. Raises StoreError."""
        if not people:
            return frozenset()
        with self.ledger.store.read() as connection:
            return frozenset(self.ledger.subjects.suppressed(connection, people))

    def decided(self, facts: Facts, use: Use, at: datetime, **question: Any) -> Decisions:
        """Return the decision from facts, under the pack of the use and what this organisation has done before."""
        question.setdefault("preconditions", self.settings.preconditions)
        question.setdefault("needs_third_party", True)  # vectors hold what came from elsewhere, and cannot leave it out
        return decide(facts, use, at, pack=load_pack(use.jurisdiction), **question)
