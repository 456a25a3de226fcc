"""Whether the ledger of what people said is whole: by its own chain, and by the log's answers, which say how far it reached when they were given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import func, select

from features.database.schema import ANSWERS
from features.database.store import Store
from features.permission.ledger import Ledger, Progress


@dataclass(frozen=True, slots=True)
class LedgerVerification:
    """The number of the ledger's last event, and what does not hold."""

    events: int
    bad: str | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return self.bad is None

    def words(self) -> Iterator[str]:
        """Yield the result in a sentence; none where nobody has said anything yet."""
        if self.bad is not None:
            yield f"the ledger does not hold: {self.bad}"
        elif self.events:
            yield f"{self.events:,} events of the ledger hold"


def verify_ledger(store: Store, secret: bytes, *, progress: Progress | None = None) -> LedgerVerification:
    """Read the ledger from its first event to its last and say whether it is whole; `secret` is the workspace's signing key. Raises StoreError."""
    with store.read() as connection:  # before the ledger is read, which goes on growing meanwhile
        told = connection.execute(select(func.coalesce(func.max(ANSWERS.c.ledger), 0))).scalar_one()
    ledger = Ledger(store, secret)
    broken = ledger.first_break(progress=progress)
    if broken is not None:
        return LedgerVerification(0, f"event {broken} was changed, or events were put in, taken out or moved before it")
    last = ledger.last()
    if told > last:
        return LedgerVerification(last, f"it ends at event {last}, and an answer of the log was given when it had reached event {told}: its end was cut off")
    return LedgerVerification(last)
