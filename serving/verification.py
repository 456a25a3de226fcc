"""Whether the audit log is whole: every entry is made again from the rows and compared, with the chain and with every checkpoint.

The log is read in its order, some entries at a time and one row at a time: memory does not grow with it. Servers may go on writing meanwhile.
"""

from __future__ import annotations

import hmac
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy import Connection, Row, Select, func, select

from features.database.chained import NOTHING, Progress, Tip
from features.database.schema import ANSWERS, CHAIN, DECISIONS
from features.database.store import Store, StoreError
from serving.checkpoint_files import Fault
from serving.checkpoints import Checkpoint
from serving.entries import by_decision, entries_key, entry_link

_CHUNK = 1000
"""Entries that are read at a time; their decisions come one by one."""
_BELOW_ALL = -(2**63)
_PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True)
class Bad:
    """The first thing that is wrong: which entry (None: rows in no entry), whose answer, of when, as far as that can still be said, and why."""

    seq: int | None
    answer_id: str | None
    at: datetime | None
    why: str

    def __str__(self) -> str:
        """Return it in words."""
        what = "rows in no entry" if self.seq is None else f"the first bad entry is number {self.seq}"
        of = [f"answer {self.answer_id}"] if self.answer_id else []
        of += [_utc(self.at)] if self.at else []
        known = f" ({', '.join(of)})" if of else ""
        return f"{what}{known}: {self.why}"


@dataclass(frozen=True, slots=True)
class Verification:
    """How many entries hold, from the first on, how many of them are older than the chain, how many checkpoints agree, and what does not hold."""

    entries: int
    late: int
    checkpoints: int
    covered: int
    bad: Bad | None
    forged: tuple[Fault, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return self.bad is None and not self.forged

    def words(self) -> Iterator[str]:
        """Yield the result in sentences."""
        yield f"{self.entries:,} entries hold{' before it' if self.bad else ''}; {self.checkpoints:,} checkpoints agree with them"
        if self.late:
            yield f"the first {self.late:,} are of before the log was a chain: what was done to them before it became one cannot be told"
        if self.bad is None and self.entries > self.covered:
            since = f"entry {self.covered:,}" if self.covered else "the beginning"
            yield f"no checkpoint was made since {since}: entries that were cut off at the end after that would not be missed"
        yield from map(str, self.forged)
        if self.bad:
            yield str(self.bad)


def verify(
    store: Store, secret: bytes, checkpoints: Iterable[Checkpoint] = (), forged: Iterable[Fault] = (), *, progress: Progress = lambda _stage, _done: None
) -> Verification:
    """Read the log from its first entry to its last and say whether it is whole; `secret` is the workspace's signing key.

    Stops at the first bad entry. Raises StoreError when the store cannot be read.
    """
    walk = _Walk(store, entries_key(secret), checkpoints)
    total = walk.total()
    while walk.step():
        progress(f"checking {walk.tip.seq:,} entries", min(walk.tip.seq / max(total, 1), 1.0))
    progress("looking for rows in no entry", 1.0)
    bad = walk.bad or walk.cut_off() or _unchained(store)
    return Verification(walk.tip.seq, walk.late, walk.agreed, walk.covered, bad, tuple(forged))


class _Walk:
    """A walk along the chain: `tip` is the last entry that holds, `bad` the first that does not."""

    def __init__(self, store: Store, key: bytes, checkpoints: Iterable[Checkpoint]) -> None:
        self._store = store
        self._key = key
        self._stated: dict[int, set[Checkpoint]] = defaultdict(set)
        for checkpoint in checkpoints:
            self._stated[checkpoint.seq].add(checkpoint)
        self._size = _CHUNK
        self.tip = NOTHING
        self.late = self.agreed = self.covered = 0
        self.bad: Bad | None = None

    def total(self) -> int:
        """Return how many entries there are."""
        with self._store.read() as connection:
            return connection.execute(select(func.count()).select_from(CHAIN)).scalar_one()

    def step(self) -> bool:
        """Check the next entries; return whether there may be more."""
        try:
            with self._store.read() as connection:
                return self._check(connection)
        except (StoreError, TypeError, ValueError) as error:  # somebody may have put in what is no time, no number or no text
            if self._size > 1:
                self._size = 1
                return True
            self.bad = self._unreadable(error)
            return False

    def cut_off(self) -> Bad | None:
        """Return the entry after the last one, where a checkpoint knows of it."""
        beyond = [checkpoint for seq, stated in self._stated.items() if seq > self.tip.seq for checkpoint in stated]
        if not beyond:
            return None
        first = min(beyond, key=lambda checkpoint: (checkpoint.seq, checkpoint.at))
        why = f"it is missing, with all after it: the log was cut off; the checkpoint of {_utc(first.at)} knew {first.seq:,} entries"
        return Bad(self.tip.seq + 1, None, None, why)

    def _check(self, connection: Connection) -> bool:
        heads = connection.execute(_heads(self.tip.seq).limit(self._size)).all()
        if not heads:
            return False
        query = _decisions(connection, heads[0].seq, heads[-1].seq)
        with connection.execute(query, execution_options={"yield_per": _CHUNK}) as rows:
            by_entry = groupby(rows, key=lambda row: row[0])
            mine = next(by_entry, None)
            for head in heads:
                has_some = mine is not None and mine[0] == head.seq
                self.bad = self._wrong_place(head) or self._wrong_link(head, mine[1] if mine is not None and has_some else ())
                if self.bad is not None:
                    return False
                self.tip = Tip(head.seq, head.link)
                self.late += head.late
                mine = next(by_entry, None) if has_some else mine
        return True

    def _wrong_place(self, head: Row) -> Bad | None:
        expected = self.tip.seq + 1
        if head.seq > expected:
            return Bad(expected, None, None, "it is missing: deleted, or given another number")
        if head.seq < expected:
            return Bad(head.seq, _plain(head.chained), head.at, "it is one too many: the first entry is number 1")
        if head.answer_id is None:
            return Bad(head.seq, _plain(head.chained), None, "its answer is missing")
        return None

    def _wrong_link(self, head: Row, rows: Iterable[Row]) -> Bad | None:
        answer = {column.name: head[place] for place, column in enumerate(ANSWERS.c, 4)}
        decisions = (dict(zip(DECISIONS.c.keys(), row[1:], strict=True)) for row in rows)
        made = entry_link(self._key, self.tip.link, head.seq, answer, decisions, late=head.late)
        if not isinstance(head.link, str) or not hmac.compare_digest(made.encode(), head.link.encode()):
            other = ", or all were written with another signing key" if head.seq == 1 else ""
            why = f"the answer, its decisions or their entry were changed, or entries were put in, taken out or moved here{other}"
            return Bad(head.seq, _plain(head.chained), head.at, why)
        for stated in sorted(self._stated.get(head.seq, ()), key=lambda checkpoint: checkpoint.at):
            if stated.link != made or stated.count != head.seq:
                why = f"it is not the one of the checkpoint of {_utc(stated.at)}: the log was written anew with the key, here or before"
                return Bad(head.seq, _plain(head.chained), head.at, why)
            self.agreed += 1
            self.covered = head.seq
        return None

    def _unreadable(self, error: Exception) -> Bad:
        """Return the next entry as bad. Raises StoreError where not even its number can be read: then it is the store that fails."""
        with self._store.read() as connection:
            seq = connection.execute(select(CHAIN.c.seq).where(CHAIN.c.seq > _before(self.tip.seq)).order_by(CHAIN.c.seq).limit(1)).scalar_one()
        return Bad(seq, None, None, f"its rows hold what cannot stand in them ({type(error.__cause__ or error).__name__})")


def _before(seq: int) -> int:
    return seq or _BELOW_ALL


def _heads(after: int) -> Select:
    """Return the query of the next entries with their answers."""
    chain = (CHAIN.c.seq, CHAIN.c.late, CHAIN.c.link, CHAIN.c.answer_id.label("chained"))
    joined = CHAIN.outerjoin(ANSWERS, ANSWERS.c.answer_id == CHAIN.c.answer_id)
    return select(*chain, *ANSWERS.c).select_from(joined).where(CHAIN.c.seq > _before(after)).order_by(CHAIN.c.seq)


def _decisions(connection: Connection, first: int, last: int) -> Select:
    """Return the query of the decisions of some entries, each behind its entry's number: by entry, and in it by id."""
    joined = select(CHAIN.c.seq, *DECISIONS.c).join(CHAIN, CHAIN.c.answer_id == DECISIONS.c.answer_id)
    return joined.where(CHAIN.c.seq.between(first, last)).order_by(CHAIN.c.seq, by_decision(connection))


def _unchained(store: Store) -> Bad | None:
    """Return an answer or a decision that stands in no entry."""
    lone = select(ANSWERS.c.answer_id).outerjoin(CHAIN, CHAIN.c.answer_id == ANSWERS.c.answer_id).where(CHAIN.c.seq.is_(None)).limit(1)
    stray = select(DECISIONS.c.answer_id).outerjoin(CHAIN, CHAIN.c.answer_id == DECISIONS.c.answer_id).where(CHAIN.c.seq.is_(None)).limit(1)
    with store.read() as connection:
        answer_id = connection.execute(lone).scalar()
        if answer_id is not None:
            return Bad(None, _plain(answer_id), _time_of(store, answer_id), "an answer was put in, or its entry taken out")
        answer_id = connection.execute(stray).scalar()
    return None if answer_id is None else Bad(None, _plain(answer_id), None, "decisions were put in for an answer that is in no entry")


def _time_of(store: Store, answer_id: str) -> datetime | None:
    try:
        with store.read() as connection:
            return connection.execute(select(ANSWERS.c.at).where(ANSWERS.c.answer_id == answer_id)).scalar()
    except (StoreError, TypeError, ValueError):
        return None


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _plain(answer_id: object) -> str | None:
    """Return an answer's id if it looks like one: what somebody else has put in its place is not printed."""
    return answer_id if isinstance(answer_id, str) and _PLAIN_ID.fullmatch(answer_id) else None
