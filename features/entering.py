"""Which stored rows may enter vectors, and until when (pure): limits of `[retention]`, the ends of sources, and what online targeting may see.

What is left out is left out of the relations `interactions` and `people` themselves, so that every engine, the lineage and the base as a whole see the same
rows. Where nothing limits anything, the relations are the stored files as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import ibis
import pyarrow as pa

from features.layout import DAY
from features.permission.retention import OWN
from features.permission.source_types import is_own
from features.vocabulary import Vocabulary

NEVER = 2**62
"""Until when a row counts that nothing limits: microseconds since 1970 that no time reaches."""
SOURCES = {
    "source_id": ("source_id", "VARCHAR"),
    "type": ("type", "VARCHAR"),
    "expires_us": ("expires_at", "EPOCH_US"),
    "collected_how": ("collected_how", "VARCHAR"),
}
"""Columns of the relation `sources`: each one's source column and SQL type."""
_TYPES = {"VARCHAR": "string", "DOUBLE": "float64", "BIGINT": "int64", "EPOCH_US": "int64", "BOOLEAN": "boolean"}

Columns = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, eq=False)
class Entering:
    """What keeps stored rows out, by the records of the table `sources` (columns of SOURCES); `own`: all that online targeting may not rest on.

    An interaction is own where its `collected_how` is and its source is known and own too (`source_types.is_own`, rule L3), and where none of its topics is
    withheld (rule L4). Of people who came from a source that is known and not own, no more is kept than since when they are known; of nobody an attribute that
    is special.
    """

    vocabulary: Vocabulary
    own: bool
    sources: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, records: Iterable[Mapping[str, Any]], vocabulary: Vocabulary, *, own: bool) -> Entering:
        """Return it from the records of `sources`."""
        return cls(vocabulary, own, {record["source_id"]: record for record in records})

    @property
    def limited(self) -> bool:
        """Whether rows may end: then the relation `interactions` has the column `until_us`."""
        return bool(self.vocabulary.retention.limits) or any(source["expires_us"] is not None for source in self.sources.values())

    @property
    def withholding(self) -> bool:
        """Whether interactions are left out for their topics: then they join the relation `withheld_topics`."""
        return self.own and bool(self.vocabulary.withheld)

    def marks(self) -> frozenset[tuple[Any, ...]]:
        """Return what the sources have to do with which rows enter and with what vectors say of them: where it changes, vectors do."""
        typed = bool(self.vocabulary.source_types) or bool(self.vocabulary.retention.source_types)
        found = (
            (name, source["type"] if typed else None, source["expires_us"], is_own(source["type"], source["collected_how"]) if self.own else None)
            for name, source in self.sources.items()
        )
        return frozenset(mark for mark in found if any(part is not None for part in mark[1:]))

    def tables(self) -> dict[str, pa.Table]:
        """Return the small relations that `interactions` and `people` join."""
        days = self.vocabulary.retention.source_types
        limits = [(name, source["expires_us"], days[source["type"]] * DAY if source["type"] in days else None) for name, source in self.sources.items()]
        limits = [one for one in limits if one[1:] != (None, None)]
        columns = {name: pa.array([one[place] for one in limits], kind) for place, (name, kind) in enumerate(_LIMITS.items())}
        return {"source_limits": pa.table(columns), "own_sources": self._named(own=True), "other_sources": self._named(own=False)}

    def withheld_topics(self, texts: Iterable[str | None]) -> pa.Table:
        """Return the relation `withheld_topics` of those texts (`faith`, or several as in `housing;faith`) of which one topic is withheld."""
        withheld = set(self.vocabulary.withheld)
        named = [text for text in texts if text is not None and not withheld.isdisjoint(map(str.strip, text.split(";")))]
        return pa.table({"named": pa.array(sorted(named), pa.string())})

    def interactions(self, columns: Columns) -> Any:
        """Return the interactions that may enter, of the relation `stored_interactions` (`columns` and, for own ones, collected_how), with `until_us`."""
        stored = ibis.table(_schema(columns), name="stored_interactions")
        if self.own:
            own = ibis.table({"named": "string"}, name="own_sources")
            stored = stored.filter(stored.collected_how.isin(OWN)).semi_join(own, stored.source_id == own.named)
            stored = stored.select(*(name for name in stored.columns if name != "collected_how"))
        if self.withholding:
            withheld = ibis.table({"named": "string"}, name="withheld_topics")
            stored = stored.anti_join(withheld, stored.topic == withheld.named)
        return self._until(stored) if self.limited else stored

    def people(self, columns: Columns) -> Any:
        """Return the people of the relation `stored_people` (`columns`, source_id), without what came from elsewhere and what is special."""
        stored = ibis.table(_schema(columns), name="stored_people")
        other = ibis.table({"named": "string"}, name="other_sources")
        joined = stored.left_join(other, stored.source_id == other.named)
        kept, special = {"person_id", "joined_us"}, {f"attribute_{name}" for name in self.vocabulary.withheld_attributes}
        selected = {
            name: joined[name] if name in kept else ibis.null(kind) if name in special else ibis.ifelse(joined.named.notnull(), ibis.null(kind), joined[name])
            for name, kind in _schema(columns).items()
            if name != "source_id"
        }
        return joined.select(**selected)

    def _until(self, stored: Any) -> Any:
        retention = self.vocabulary.retention
        never = ibis.literal(NEVER, type="int64")
        limits = ibis.table({"limited": "string", "expires_us": "int64", "after_us": "int64"}, name="source_limits")
        joined = stored.left_join(limits, stored.source_id == limits.limited)
        ends = [joined.expires_us.coalesce(never), (joined.occurred_us + joined.after_us).coalesce(never)]
        if retention.interactions is not None:
            ends.append(joined.occurred_us + retention.interactions * DAY)
        if retention.kinds:
            after = ibis.cases(*((joined.kind == kind, ibis.literal(days * DAY, type="int64")) for kind, days in retention.kinds.items()))
            ends.append((joined.occurred_us + after).coalesce(never))
        return joined.select(*stored.columns, until_us=reduce(ibis.least, ends))

    def _named(self, *, own: bool) -> pa.Table:
        named = [name for name, source in self.sources.items() if is_own(source["type"], source["collected_how"]) == own]
        return pa.table({"named": pa.array(named, pa.string())})


_LIMITS = {"limited": pa.string(), "expires_us": pa.int64(), "after_us": pa.int64()}


def _schema(columns: Columns) -> dict[str, str]:
    return {name: _TYPES[kind] for name, (_, kind) in columns.items()}
