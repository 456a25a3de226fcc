"""How long rows count (rule L25): `[retention]` of audience.toml, and what is this organisation's own collection (rule L3). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

INACTIVE_DAYS = 1095
"""Three years: what the French authority recommends for prospects from whom nothing was heard since."""
OWN = ("from_person", "observed")
"""Values of `collected_how` that are this organisation's own collection: given by the person, or seen by the organisation itself."""

Reason = Literal["source_expired", "kind", "source_type", "interactions"]
"""Whose limit is the earliest: the source's end, or a limit of `[retention]`."""
Days = Annotated[int, Field(strict=True, ge=1, le=36_525)]


class Retention(BaseModel):
    """The `[retention]` table: whole days, each of 24 hours, from 1 to 36,525.

    A row of interactions counts as of a time only before `occurred_at` plus each limit that is its own: that of all `interactions`, of its kind, of its
    source's type (`kinds`, `source_types`); and before its source's `expires_at`. Whoever has done nothing for `inactive_days` is past the limit as a person.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    inactive_days: Days = INACTIVE_DAYS
    interactions: Days | None = None
    kinds: Mapping[str, Days] = Field(default_factory=dict)
    source_types: Mapping[str, Days] = Field(default_factory=dict)

    @property
    def limits(self) -> dict[str, Any]:
        """What decides which rows enter a vector, as JSON-able values; empty where no row has a limit."""
        said = self.model_dump(mode="json", exclude={"inactive_days"})
        return {name: value for name, value in said.items() if value}

    def unmatched(self, types: Iterable[str]) -> str | None:
        """Return in words which `source_types` no source is of, by the `types` of those that are stored; None where there is none such, or no source yet."""
        stored = sorted(set(types))
        words = sorted(set(self.source_types) - set(stored)) if stored else []
        return f"[retention.source_types]: no stored source is of the type {', '.join(words)} (there: {', '.join(stored)})" if words else None

    def end(self, *, expires_at: datetime | None, occurred_at: datetime | None = None, kind: str | None = None, source_type: str | None = None) -> End | None:
        """Return when a row ends: an interaction, or without `occurred_at` a row that has the end of its source alone; None where nothing limits it.

        The counterpart, of one row, of `features.entering`; of several limits that end together the first of Reason is told.
        """
        found = [] if expires_at is None else [End(expires_at, "source_expired")]
        if occurred_at is not None:
            limits: dict[Reason, int | None] = {
                "kind": self.kinds.get(kind or ""),
                "source_type": self.source_types.get(source_type or ""),
                "interactions": self.interactions,
            }
            found += [End(occurred_at + timedelta(days=days), reason) for reason, days in limits.items() if days is not None]
        return min(found, key=lambda end: end.at, default=None)


@dataclass(frozen=True, slots=True)
class End:
    """Until when a row counts, and whose limit that is."""

    at: datetime
    reason: Reason
