"""What the routes of the register send: one class per JSON object."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

MOST_ENTRIES = 1000


@dataclass(frozen=True, slots=True)
class RegisterEntry:
    """One entry: its number, its name, what kind it is of, since when it holds, and what it says."""

    number: int
    entry: str
    kind: str
    at: datetime
    says: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RegisterAnswer:
    """Entries in their order; `next` is the `after` of the next page, null where this is the last."""

    entries: list[RegisterEntry]
    next: int | None


REGISTER_ANSWER: TypeAdapter[RegisterAnswer] = TypeAdapter(RegisterAnswer)
