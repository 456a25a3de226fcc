"""The certificate of an erasure: what was removed where, what remains and why, and which models may have learned from the person. It names nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

FORMAT = "audience-scoring erasure 1"
State = Literal["kept_with_reason", "retired", "retrained"]
STATES: tuple[State, ...] = ("kept_with_reason", "retired", "retrained")
KEPT = "it holds sums over many people and no row of one; nothing in it leads to a person, and none is scored with it who was erased"
_BY_ROWS = "versions that read tables in which the person had rows: each may have learned from them, as far as they were in its sample and on its training side"
_BY_TIME = "every version registered before the erasure, because an earlier run has deleted rows already"
_WHOLE, _REST = "all that was held", "what an earlier run had left: that run recorded the erasure, and its counts are not known"
_TOLD = "every row of an export that held the person; each recipient is told of it by a random name of the row, and of no id"
_TOLD_BEFORE = "an earlier run recorded the erasure and put what recipients have to be told into the queue (`audience recipients`)"
REMAINS = (
    ("suppressions", "a keyed hash of the id, so that a later import does not bring the person back"),
    ("ledger", "the events, by a number and a token that lead to nobody any more; what was sealed in them cannot be opened"),
    ("decisions", "what was answered, by a random token that leads to nobody any more: the log is never changed, and shows what was done before"),
    ("people of exports", "names of rows in files that were handed out, by a token that leads to nobody any more: recipients are told of their rows by them"),
    ("base as a whole", "sums over everybody in the published vectors, until they are next built whole"),
)


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A registered version of a model: the versions of the tables that it read, its experiment (None: everybody), and what the organisation says of it."""

    name: str
    version: int
    digest: str
    registered_at: datetime
    in_office: bool
    table_versions: Mapping[str, int]
    experiment: str | None = None
    state: State = "kept_with_reason"
    reason: str = KEPT


@dataclass
class Erased:
    """What became of one person: `event` is the ledger's number of the erasure, None where an earlier run recorded it; `erased_at` when it began to count.

    `known`: whether the ledger knew them before. The rest is what this run removed and found.
    """

    event: int | None
    erased_at: datetime
    known: bool
    tables: Mapping[str, int] = field(default_factory=dict)
    vectors: int = 0
    files: dict[str, int] = field(default_factory=dict)
    recipients: Mapping[str, int] = field(default_factory=dict)
    """Named recipients of exports that held the person, with how many rows they have to be told of."""
    models: Sequence[TrainedModel] = ()
    found: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether anything was known or held of the person."""
        return self.known or self.event is None or bool(self.vectors or sum(self.tables.values()) or sum(self.files.values()) or self.found)

    @property
    def removed(self) -> dict[str, Any]:
        """The counts, by place."""
        return {"tables": {name: count for name, count in self.tables.items() if count}, "vectors": self.vectors, "files": dict(self.files)}


@dataclass(frozen=True, slots=True)
class Looked:
    """What was looked through for what is left, and what nobody could look into."""

    files: int
    size: int
    unreadable: Mapping[str, str]
    beyond: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    """Steps that could not be done, in words."""
    withdrawn: bool = False
    """Whether the published vectors are gone, because this release could not rewrite them."""


def missing(erased: Erased, looked: Looked) -> list[str]:
    """Return why the erasure is not complete, in words; [] where it is."""
    reasons = [f"the id still stands in {path}" for path in erased.found]
    return [*reasons, *(f"{path} could not be looked into: {why}" for path, why in sorted(looked.unreadable.items())), *looked.faults]


def certificate(erased: Erased, looked: Looked, *, workspace: str, made_at: datetime) -> dict[str, Any]:
    """Return the document, unsigned; JSON-able."""
    not_complete = missing(erased, looked)
    return {
        "format": FORMAT,
        "workspace": workspace,
        "made_at": made_at.isoformat(),
        "erased_at": erased.erased_at.isoformat(),
        "ledger_event": erased.event,
        "complete": not not_complete,
        "not_complete": not_complete,
        "anything_held": erased.anything,
        "removed": erased.removed,
        "removed_is": _WHOLE if erased.event is not None else _REST,
        "key": "destroyed",
        "looked_through": {"files": looked.files, "bytes": looked.size},
        "not_looked_into": list(looked.beyond),
        "models": [_model(each) for each in erased.models],
        "models_listed": _BY_ROWS if erased.event is not None else _BY_TIME,
        "recipients": [{"recipient": name, "notices_queued": rows} for name, rows in sorted(erased.recipients.items())],
        "recipients_are": _TOLD if erased.event is not None else _TOLD_BEFORE,
        "remains": [{"what": what, "why": why} for what, why in REMAINS],
    }


def _model(model: TrainedModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "version": model.version,
        "digest": model.digest,
        "registered_at": model.registered_at.isoformat(),
        "in_office": model.in_office,
        "state": model.state,
        "reason": model.reason,
    }
