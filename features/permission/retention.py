"""How long rows count (rule L25): `[retention]` of audience.toml, and what is this organisation's own collection (rule L3). Pure settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

INACTIVE_DAYS = 1095
"""Three years: what the French authority recommends for prospects from whom nothing was heard since."""
OWN = ("from_person", "observed")
"""Values of `collected_how` that are this organisation's own collection: given by the person, or seen by the organisation itself."""

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
