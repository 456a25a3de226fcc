"""How long one person's data are kept: the limits of rows, and when everything goes because nothing was heard of them; told in words (pure, rule L25).

The counterpart, of one person, of `features.permission.purging`, which deletes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from features.tables import CONSENT_EVENTS
from features.vocabulary import Language, Vocabulary
from serving.access_schemas import HeldEvent, HeldRetention, HeldRow
from serving.access_words import day, number, say

_NOT_SAID = "expired"
"""The event of the ledger that nobody said."""


def held_retention(
    rows: Sequence[HeldRow], events: Iterable[HeldEvent], vocabulary: Vocabulary, language: Language, *, written: datetime | None = None
) -> HeldRetention:
    """Return how long a person's data are kept, by their present rows and what the ledger holds of them.

    `written`: when they were heard of, where a purge took the row that told it.
    """
    retention, present = vocabulary.retention, [row for row in rows if not row.earlier]
    member = any(row.table == "people" and row.values.get("status") == "member" for row in present)
    heard = heard_at(present, events, written)
    until = None if member or heard is None else heard + timedelta(days=retention.inactive_days)
    days = number(retention.inactive_days, 0, language)
    if member:
        about = say("inactive_member", language, days=days)
    elif until is None:
        about = say("inactive_undated", language)
    else:
        about = say("inactive_on", language, date=day(until, language), days=days)
    dated = [] if written is None else [say("heard_written", language, date=day(written, language))]
    words = [*_limits(vocabulary, language), about, *dated, say("kept_for_good", language)]
    kinds, types = dict(retention.kinds), dict(retention.source_types)
    return HeldRetention(retention.interactions, kinds, types, retention.inactive_days, heard, until, member, words, written)


def heard_at(rows: Sequence[HeldRow], events: Iterable[HeldEvent], written: datetime | None = None) -> datetime | None:
    """Return when a person was last heard of: by what they did or said themselves, or since when they are known; None where nothing tells."""
    kept = [] if written is None else [written]
    did = _times(rows, "interactions", "occurred_at", direction="in", is_machine=False)
    known = _times(rows, "people", "joined_at") or kept or _times(rows, "interactions", "received_at") or _times(rows, "assignments", "assigned_at")
    if not known:
        return None
    said = [event.at for event in events if event.event in CONSENT_EVENTS and event.event != _NOT_SAID]
    return max([min(known), *kept, *did, *said])


def _times(rows: Sequence[HeldRow], table: str, column: str, **where: Any) -> list[datetime]:
    told = (row.values for row in rows if row.table == table and all(row.values.get(name) == value for name, value in where.items()))
    return [values[column] for values in told if values.get(column) is not None]


def _limits(vocabulary: Vocabulary, language: Language) -> list[str]:
    """Return the limits of rows in words."""
    retention = vocabulary.retention
    types = {each.id: each.label(language) for each in vocabulary.source_types}
    said = [] if retention.interactions is None else [say("limit_interactions", language, days=number(retention.interactions, 0, language))]
    for kind, days in retention.kinds.items():
        said.append(say("limit_kind", language, kind=vocabulary.kind(kind).noun(2, language), days=number(days, 0, language)))
    for source, days in retention.source_types.items():
        said.append(say("limit_source_type", language, kind=types.get(source, source.replace("_", " ")), days=number(days, 0, language)))
    return [*said, say("limit_source" if said else "limit_source_only", language)]


__all__ = ["heard_at", "held_retention"]
