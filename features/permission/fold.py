"""Where people stand: the ledger folded as of a time, for everybody at once (pure).

What counts
-----------
An event counts from `from_us` on, whatever it is; a `given` counts until before `until_us`. Of two events the later `at_us` speaks, then the higher number.

- `given` speaks for the one purpose it names: consent is specific (GDPR, articles 4(11) and 9(2)(a)). All others speak for theirs, or for all (`any`).
- A consent is ended by a later refusal, withdrawal or expiry. `expired` ends a consent and lifts nothing.
- A refusal or withdrawal stands until a later `given`; an objection until a later `given` that is explicit. Where that one ends, the objection stands again.
- In a political use an objection to one political purpose is one to all (rule L18).
- An erasure stands until a later `given` that is explicit, for whatever purpose. No door records one (`Ledger.append` leaves out who was erased), and rule L19
  forbids whoever is suppressed: an erasure ends for no id.
- A use with a channel looks at events for that channel and for `any`. For a use without one, consent to any one channel is consent, ended by what ends it on
  that channel or on all; objections, refusals and withdrawals for a single channel forbid nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.permission.facts import ERASED, UNKNOWN, Events, Facts, Flags, Integers
from features.permission.use import ANY, Use
from features.tables import CONSENT_EVENTS

GIVEN, REFUSED, WITHDRAWN, OBJECTED, EXPIRED = range(len(CONSENT_EVENTS))
NONE = -1
"""The number of an event that is not there."""
POLITICAL_PURPOSES = ("political_ads", "political_ads_online", "campaign_messages")
_FEW = 8
"""Where there are more than this many events for each person, only those people's are looked up."""


@dataclass(frozen=True, eq=False, slots=True)
class Standing:
    """Where n people stand towards one use: numbers of events in the ledger (`seq`), each (n,), NONE where there is none.

    `consent`, `explicit`: the latest live consent to the use's purpose, and the latest one that is explicit. `refusal`: a refusal or withdrawal that
    stands, and `withdrawn` whether it is the second. `objection`, `erasure`: those that stand. `spoken`: the last that was said of consent at
    all, a consent that has ended too.
    """

    consent: Integers
    explicit: Integers
    refusal: Integers
    withdrawn: Flags
    objection: Integers
    erasure: Integers
    spoken: Integers


def fold(facts: Facts, use: Use, at_us: int, *, known: int | None = None) -> Standing:
    """Return where the people of `facts` stand at `at_us` (microseconds UTC); events numbered above `known` are not looked at."""
    told = _told(facts, use, at_us, known)
    near, asked = told.near, told.own if use.channel is None else told.own & told.near
    ending = told.is_(REFUSED, WITHDRAWN, EXPIRED) & told.wide
    lives = told.live & asked & (np.arange(len(asked)) > told.last(ending & near)[told.person])
    if use.channel is None:
        lives &= ~_ended_on_their_channel(told, lives, ending & ~near)
    consent, explicit = told.last(lives), told.last(lives & told.explicit)
    no = told.last(told.is_(REFUSED, WITHDRAWN) & told.wide & near)
    objection = told.last(told.is_(OBJECTED) & told.widest & near)
    erasure = told.last(told.is_(ERASED))
    back = told.last(told.live & told.explicit)
    spoken = told.last((told.is_(GIVEN) & asked) | (ending & near))
    refusal = np.where(no > consent, no, NONE)
    rows = told.rows_of(facts.subject)
    withdrawn = np.append(told.event, np.int8(GIVEN))[refusal] == WITHDRAWN
    return Standing(
        told.numbers(consent, rows),
        told.numbers(explicit, rows),
        told.numbers(refusal, rows),
        np.append(withdrawn, np.False_)[rows],
        told.numbers(np.where(objection > explicit, objection, NONE), rows),
        told.numbers(np.where(erasure > back, erasure, NONE), rows),
        told.numbers(spoken, rows),
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Told:
    """The events that count at a time (m of them, of g people), sorted by person, then by when they happened, then by number."""

    seq: Integers
    event: NDArray[np.int8]
    channel: NDArray[np.int32]
    live: Flags
    """A `given` that has not ended by itself."""
    explicit: Flags
    own: Flags
    """For the use's own purpose; `wide`: or for any; `widest`: or, in a political use, for a political one."""
    wide: Flags
    widest: Flags
    near: Flags
    """For any channel, or for the use's."""
    subjects: Integers
    """(g,) rising."""
    person: Integers
    """(m,) the place in `subjects`."""

    def is_(self, *codes: int) -> Flags:
        found = self.event == codes[0]
        for code in codes[1:]:
            found |= self.event == code
        return found

    def last(self, chosen: Flags) -> Integers:
        """Return for each of the g people the place of the last chosen event, or NONE."""
        places = np.flatnonzero(chosen)
        person = self.person[places]
        ends = np.append(person[1:] != person[:-1], True)[: len(places)]
        found = np.full(len(self.subjects), NONE, dtype=np.int64)
        found[person[ends]] = places[ends]
        return found

    def rows_of(self, subject: Integers) -> Integers:
        """Return each subject's place in `subjects`, or NONE: (n,)."""
        if not len(self.subjects):
            return np.full(len(subject), NONE, dtype=np.int64)
        rows = np.minimum(np.searchsorted(self.subjects, subject), len(self.subjects) - 1)
        return np.where((self.subjects[rows] == subject) & (subject != UNKNOWN), rows, NONE)

    def numbers(self, places: Integers, rows: Integers) -> Integers:
        """Return the numbers in the ledger of the events at `places` (g,), for the people in `rows` (n,)."""
        return np.append(np.append(self.seq, NONE)[places], NONE)[rows]


def _theirs(facts: Facts) -> Integers | None:
    """Return the rows of these people's events; None for all events, where looking them up would save little."""
    events = facts.events
    if len(facts) * _FEW >= len(events):
        return None
    subjects = np.unique(facts.subject[facts.subject != UNKNOWN])
    first, end = np.searchsorted(events.subject, subjects), np.searchsorted(events.subject, subjects, side="right")
    length = end - first
    return np.arange(length.sum()) + np.repeat(first - (np.cumsum(length) - length), length)


def _told(facts: Facts, use: Use, at_us: int, known: int | None) -> _Told:
    events, rows = facts.events, _theirs(facts)
    own, wide, widest = _purposes(events, use)
    chosen: Integers | slice = slice(None) if rows is None else rows
    event = events.event[chosen]
    counts = (events.from_us[chosen] <= at_us) & (widest[events.purpose[chosen]] | (event == ERASED) | (event == GIVEN))
    if known is not None:
        counts &= events.seq[chosen] <= known
    kept = np.flatnonzero(counts) if rows is None else rows[counts]
    kept = kept[_order(events.subject[kept], events.at_us[kept])]
    subject, event, purpose, channel = events.subject[kept], events.event[kept], events.purpose[kept], events.channel[kept]
    first = np.append(True, subject[1:] != subject[:-1])[: len(kept)]
    return _Told(
        events.seq[kept],
        event,
        channel,
        (event == GIVEN) & (events.until_us[kept] > at_us),
        events.explicit[kept],
        own[purpose],
        wide[purpose],
        widest[purpose],
        np.array([name in {ANY, use.channel} for name in events.channels], dtype=np.bool_)[channel],
        subject[first],
        np.cumsum(first) - 1,
    )


def _order(subject: Integers, at_us: Integers) -> Integers | slice:
    """Return the order by subject and time; what is equal in both stays in the order of its numbers."""
    earlier = (at_us[1:] < at_us[:-1]) & (subject[1:] == subject[:-1])
    return np.lexsort((at_us, subject)) if earlier.any() else slice(None)


def heard(use: Use) -> frozenset[str]:
    """Return the ledger's purposes for which a refusal, withdrawal or expiry is heard in a use."""
    return frozenset({use.consent_purpose, use.purpose, ANY})


def heard_of_objections(use: Use) -> frozenset[str]:
    """Return the ledger's purposes for which an objection is heard in a use: in a political one, every political purpose (rule L18)."""
    return heard(use) | (frozenset(POLITICAL_PURPOSES) if use.political else frozenset())


def _purposes(events: Events, use: Use) -> tuple[Flags, Flags, Flags]:
    """Return for each of the ledger's purposes whether it is the use's own, or any, or counts for an objection."""
    meant: tuple[frozenset[str], ...] = (frozenset({use.consent_purpose}), heard(use), heard_of_objections(use))
    own, wide, widest = (np.array([name in purposes for name in events.purposes], dtype=np.bool_) for purposes in meant)
    return own, wide, widest


def _ended_on_their_channel(told: _Told, lives: Flags, ending: Flags) -> Flags:
    """Return which consents were ended later on the very channel they were given for."""
    ended = np.zeros(len(lives), dtype=np.bool_)
    ends = np.flatnonzero(ending)
    if not len(ends):
        return ended
    keys = told.person * (np.int64(told.channel.max()) + 1) + told.channel
    ends = ends[np.argsort(keys[ends], kind="stable")]
    ends = ends[np.append(keys[ends][1:] != keys[ends][:-1], True)]
    given = np.flatnonzero(lives)
    at = np.minimum(np.searchsorted(keys[ends], keys[given]), len(ends) - 1)
    ended[given] = (keys[ends][at] == keys[given]) & (ends[at] > given)
    return ended
