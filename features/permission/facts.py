"""What the rules look at: people, sources and events as columns. Pure data; `gathering` fills it from the stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.tables import CONSENT_EVENTS, STATUSES

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

NEVER = np.iinfo(np.int64).max
"""A time that does not come: no expiry, nobody informed."""
ALWAYS = np.iinfo(np.int64).min
"""A time before all others: it was so from the beginning."""
UNKNOWN = -1
"""The code of a status, a source or a subject that nobody knows."""
ERASED = len(CONSENT_EVENTS)
"""The code of the event that an erasure leaves in the ledger, after those of `features.tables.CONSENT_EVENTS`."""


@dataclass(frozen=True, eq=False, slots=True)
class Sources:
    """The table `sources` (k rows): what a row's source allows."""

    ids: tuple[str, ...]
    types: tuple[str, ...]
    collected_how: tuple[str, ...]
    political_purpose_stated: Flags
    supports_sponsor: Flags
    """Whether the petition or event itself supports the sponsor: only then does signing it make a regular contact (rule L10)."""
    has_notice: Flags
    expires_us: Integers
    elections: tuple[str | None, ...]
    """The election that a list of voters was issued for."""

    @classmethod
    def none(cls) -> Sources:
        """Return no source at all."""
        flags = np.zeros(0, dtype=np.bool_)
        return cls((), (), (), flags, flags, flags, np.zeros(0, dtype=np.int64), ())


@dataclass(frozen=True, eq=False, slots=True)
class Events:
    """The ledger (m events), sorted by subject and then by number.

    `seq` the event's number in the ledger. `event` its code: the place in `features.tables.CONSENT_EVENTS`, or ERASED. `purpose` and `channel`
    are codes of `purposes` and `channels`. `at_us` when it happened; it counts from `from_us` until before `until_us` (NEVER for no end). `recorded_us`
    when the ledger came to know. `explicit`: given in words that were shown, on the basis of explicit consent (`gdpr_9_2_a`).
    All times are microseconds UTC.
    """

    seq: Integers
    subject: Integers
    event: NDArray[np.int8]
    purpose: NDArray[np.int32]
    channel: NDArray[np.int32]
    at_us: Integers
    from_us: Integers
    until_us: Integers
    recorded_us: Integers
    explicit: Flags
    purposes: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.seq)

    def of(self, subjects: Integers) -> Events:
        """Return the events of these subjects (numbers, any order), sorted as they are."""
        wanted = np.unique(subjects)
        starts, ends = np.searchsorted(self.subject, wanted, "left"), np.searchsorted(self.subject, wanted, "right")
        counts = ends - starts
        places = np.arange(counts.sum()) + np.repeat(starts - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
        return self.take(places.astype(np.int64))

    def with_new(self, new: Events) -> Events:
        """Return these and newer ones, whose codes go on from these."""
        if not len(new):
            return self
        columns: dict[str, Any] = {name: np.concatenate((getattr(self, name), getattr(new, name))) for name in _COLUMNS}
        joined = replace(new, **columns)
        return joined.take(np.lexsort((joined.seq, joined.subject)))

    def take(self, places: Integers) -> Events:
        """Return the events in those places."""
        columns: dict[str, Any] = {name: getattr(self, name)[places] for name in _COLUMNS}
        return replace(self, **columns)

    @classmethod
    def none(cls) -> Events:
        """Return an empty ledger."""
        empty = np.zeros(0, dtype=np.int64)
        codes = np.zeros(0, dtype=np.int32)
        return cls(empty, empty, np.zeros(0, dtype=np.int8), codes, codes, empty, empty, empty, empty, np.zeros(0, dtype=np.bool_))


_COLUMNS = ("seq", "subject", "event", "purpose", "channel", "at_us", "from_us", "until_us", "recorded_us", "explicit")


@dataclass(frozen=True, eq=False, slots=True)
class Facts:
    """What is known of n people (any order, the one that decisions are wanted in).

    Attributes
    ----------
    subject
        (n,) number in the ledger; UNKNOWN for those of whom it holds nothing.
    birth_year
        (n,) 0 where it is not known.
    status
        (n,) int8, the place in `features.tables.STATUSES`; UNKNOWN for those who are not in the table `people`.
    source
        (n,) int32, the row of `sources` that the person came from; UNKNOWN where there is none.
    informed_us
        (n,) when people whose data came from elsewhere were told so; NEVER where they were not.
    joined_us
        (n,) when the person became known; NEVER where nobody wrote it down.
    elsewhere_us
        (n,) from when on the person has interactions that are not this organisation's own (`gathering`); NEVER for those who have none.
    suppressed
        (n,) whether the person was erased: nothing is known but that.
    versions, ledger
        What it was read from: versions of the tables, and the number of the ledger's last event.

    """

    subject: Integers
    birth_year: NDArray[np.int16]
    status: NDArray[np.int8]
    source: NDArray[np.int32]
    informed_us: Integers
    joined_us: Integers
    elsewhere_us: Integers
    suppressed: Flags
    sources: Sources
    events: Events
    versions: Mapping[str, int] = field(default_factory=dict)
    ledger: int = 0

    def __len__(self) -> int:
        return len(self.subject)

    def take(self, rows: Integers) -> Facts:
        """Return the facts of the people in those rows (k,), with the same sources and events."""
        return Facts(
            self.subject[rows],
            self.birth_year[rows],
            self.status[rows],
            self.source[rows],
            self.informed_us[rows],
            self.joined_us[rows],
            self.elsewhere_us[rows],
            self.suppressed[rows],
            self.sources,
            self.events,
            self.versions,
            self.ledger,
        )


__all__ = ["ALWAYS", "ERASED", "NEVER", "STATUSES", "UNKNOWN", "Events", "Facts", "Sources"]
