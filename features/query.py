"""Definitions to relational expressions (pure). Ibis only compiles them: one definition, the same SQL on every engine.

The expressions stand on relations that `features.relations` provides: `interactions` and `people`, with times as whole microseconds
since 1970 UTC; `rows` (row, person_id, as_of_us), one for each row of the matrix; and the codes of what the vocabulary lists. House
rules for expressions: whole numbers for times and ages, no rounding, no hashing, nothing approximate, no division by what can be zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import ibis

from features.calendar import Offset
from features.entering import NEVER
from features.layout import DAY, Layout
from features.vocabulary import Vocabulary

Dialect = Literal["duckdb", "databricks"]

_HOUR = DAY // 24
_BEFORE_WEEKS = 7 * 400_000
"""Days that are added before a remainder by 7, so that it is never negative (whole weeks)."""

_INTERACTIONS = {
    "interaction_id": "string",
    "person_id": "string",
    "occurred_us": "int64",
    "received_us": "int64",
    "kind": "string",
    "channel": "string",
    "topic": "string",
    "direction": "string",
    "value": "float64",
    "source_id": "string",
    "is_machine": "boolean",
    "batch_id": "string",
}
_ROWS = {"row": "int32", "person_id": "string", "as_of_us": "int64"}
CODES = {
    "kind_codes": {"kind": "string", "kind_code": "int64"},
    "channel_codes": {"channel": "string", "channel_code": "int64"},
    "topic_codes": {"topic": "string", "topic_code": "int64", "again": "int64"},
    "source_codes": {"source_id": "string", "source_code": "int64"},
}
"""The small relations that give what stands in the tables its number; a text of several topics has a record for each."""


def to_sql(expression: Any, dialect: Dialect = "duckdb") -> str:
    """Return the SQL of an expression."""
    return str(ibis.to_sql(expression, dialect=dialect))


def interactions(*, limited: bool = False) -> Any:
    """Return the relation `interactions`; `limited`: with the column `until_us`, the time before which a row counts (`features.entering`)."""
    return ibis.table(_INTERACTIONS | ({"until_us": "int64"} if limited else {}), name="interactions")


def visible(source: Any, as_of_us: Any) -> Any:
    """Return those of the interactions that are visible as of a time: occurred before it, received by then, and not past their limit."""
    ends = [source.until_us > as_of_us] if "until_us" in source.columns else []
    return source.filter(source.occurred_us < as_of_us, source.received_us <= as_of_us, *ends)


def people(vocabulary: Vocabulary) -> Any:
    """Return the relation `people`; the vocabulary's attributes are its columns `attribute_<id>`."""
    attributes = {f"attribute_{item.id}": "float64" if item.type == "numeric" else "string" for item in vocabulary.attributes}
    return ibis.table({"person_id": "string", "birth_year": "int64", "joined_us": "int64", "area": "string", **attributes}, name="people")


def projection(layout: Layout, vocabulary: Vocabulary, latest_us: int, offsets: Sequence[Offset], *, identified: bool = False, limited: bool = False) -> Any:
    """Return one record per (row, visible interaction of its person, topic of the interaction).

    Columns: row, cell, days (whole UTC days since), slot (7 weekdays x 4 parts of the day) and source int32; age int64 microseconds;
    value float64, null where there is none. `identified` adds what tells which interaction it is. Visible as of a row: occurred before
    `as_of`, received at `as_of` or before and, where rows are `limited`, not past their limit. `latest_us` is the latest `as_of` of the rows.
    """
    source = interactions(limited=limited)
    source = source.filter(source.occurred_us < latest_us, source.received_us <= latest_us)
    rows = ibis.table(_ROWS, name="rows")
    joined = source.join(rows, source.person_id == rows.person_id)
    joined = visible(joined, joined.as_of_us)
    for name in _needed(vocabulary):
        codes = ibis.table(CODES[name], name=name)
        joined = joined.left_join(codes, joined[codes.columns[0]] == codes[codes.columns[0]])
    age = joined.as_of_us - joined.occurred_us
    bucket = ibis.cases(*((age <= bound, number) for number, bound in enumerate(layout.bounds)), else_=len(layout.bounds)) if layout.bounds else ibis.literal(0)
    about = {
        name: joined[name]
        for name in ("interaction_id", "occurred_us", "received_us", "kind", "channel", "topic", "direction", "source_id", "batch_id", "is_machine")
    }
    return joined.select(
        joined.row,
        cell=(_key(joined, layout) * (len(layout.bounds) + 1) + bucket).cast("int32"),
        days=(_day(joined.as_of_us) - _day(joined.occurred_us)).cast("int32"),
        age=age,
        value=joined.value,
        slot=_slot(joined.occurred_us, offsets),
        source=(joined.source_code.coalesce(len(vocabulary.source_types)) if vocabulary.source_types else ibis.literal(0)).cast("int32"),
        **(about if identified else {}),
    )


def visible_people(vocabulary: Vocabulary, as_of_us: int, *, limited: bool = False) -> Any:
    """Return the ids of the base as of a time, sorted by their UTF-8 bytes.

    The base: people without `joined_at` or with one before `as_of`, and persons with a visible interaction.
    """
    known = people(vocabulary)
    seen = visible(interactions(limited=limited), as_of_us).select("person_id")
    joined = known.filter(known.joined_us.isnull() | (known.joined_us < as_of_us)).select("person_id")
    return ibis.union(seen, joined, distinct=True).order_by("person_id")


def upcoming(vocabulary: Vocabulary, as_of_us: int, *, wanted: bool, limited: bool = False) -> Any:
    """Return, per person, the earliest `as_of` after this one (`at_us`) that sees something else.

    That is an interaction more, that the person joined, or, where rows are `limited`, an interaction less. With `wanted`, only of the persons of that relation.
    """
    source, known = interactions(limited=limited), people(vocabulary)
    parts = [  # apart, so that each is answered from the files' own statistics where nothing lies ahead
        entering(later) for later in (source.filter(source.occurred_us >= as_of_us), source.filter(source.received_us > as_of_us))
    ]
    if limited:
        seen = visible(source, as_of_us)
        parts.append(seen.filter(seen.until_us < NEVER).select(seen.person_id, at_us=seen.until_us))
    joining = known.filter(known.joined_us >= as_of_us).select("person_id", at_us=known.joined_us + 1)
    both = ibis.union(*parts, joining)
    if wanted:
        both = both.semi_join(ibis.table({"person_id": "string"}, name="wanted"), "person_id")
    return both.group_by("person_id").agg(at_us=both.at_us.min())


def entering(later: Any) -> Any:
    """Return when interactions become visible, (person_id, at_us), without those that are past their limit by then."""
    at_us = ibis.greatest(later.occurred_us + 1, later.received_us)
    later = later.filter(later.until_us > at_us) if "until_us" in later.columns else later
    return later.select(later.person_id, at_us=ibis.greatest(later.occurred_us + 1, later.received_us))


def attributes(vocabulary: Vocabulary) -> Any:
    """Return what `people` says of each row's person, as far as the person was known then; categories as codes, null where not known."""
    known = people(vocabulary)
    rows = ibis.table(_ROWS, name="rows")
    joined = rows.join(known, rows.person_id == known.person_id)
    joined = joined.filter(joined.joined_us.isnull() | (joined.joined_us < joined.as_of_us))
    columns = {}
    for item in vocabulary.attributes:
        column = joined[f"attribute_{item.id}"]
        codes = ibis.ifelse(column.isnull(), ibis.null("int32"), _code(column, item.categories)) if item.categories else column
        columns[f"attribute_{item.id}"] = codes.cast("float64")
    return joined.select(joined.row, joined.as_of_us, joined.area, birth_year=joined.birth_year.cast("float64"), joined_us=joined.joined_us, **columns)


def span() -> Any:
    """Return the earliest and the latest time of the interactions: first_us, last_us (null without any)."""
    source = interactions()
    return source.aggregate(first_us=source.occurred_us.min(), last_us=source.occurred_us.max())


def sources() -> Any:
    """Return what the table `sources` says of each source: source_id, type, expires_us (null for never) and collected_how."""
    return ibis.table({"source_id": "string", "type": "string", "expires_us": "int64", "collected_how": "string"}, name="sources")


def stored_topics() -> Any:
    """Return the distinct texts in the column `topic` of `stored_interactions`, before anything is left out of them."""
    return ibis.table({"interaction_id": "string", "topic": "string"}, name="stored_interactions").select("topic").distinct()


def topic_texts() -> Any:
    """Return the distinct texts of several topics, such as `housing;climate`."""
    source = interactions()
    return source.filter(source.topic.contains(";")).select("topic").distinct()


def _needed(vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return which code relations a projection joins."""
    return ("kind_codes", "channel_codes", *(["topic_codes"] if vocabulary.topics else []), *(["source_codes"] if vocabulary.source_types else []))


def _key(joined: Any, layout: Layout) -> Any:
    """Return the key's number, in the order of `features.layout`."""
    kinds, channels, topics = (size - 1 for size in layout.shape)
    code = joined.kind_code.coalesce(kinds)
    code = code * (channels + 1) + joined.channel_code.coalesce(channels)
    code = code * (topics + 1) + (joined.topic_code.coalesce(topics) if topics else 0)
    code = code * 2 + (joined.again.coalesce(0) if topics else 0)
    code = code * 2 + ibis.ifelse(joined.direction == "out", 1, 0)
    return code * 2 + ibis.ifelse(joined.is_machine, 1, 0)


def _day(time_us: Any) -> Any:
    """Return the UTC day's number, 1970-01-01 being 0."""
    return (time_us // DAY).cast("int64")


def _slot(occurred_us: Any, offsets: Sequence[Offset]) -> Any:
    """Return weekday * 4 + part of the day on the local clock, Monday night being 0."""
    local = occurred_us
    if len(offsets) == 1:
        local = occurred_us + offsets[0].offset_us
    elif offsets:
        later = sorted(offsets[1:], key=lambda offset: -offset.since_us)  # the newest first: most interactions are recent
        local = occurred_us + ibis.cases(*((occurred_us >= offset.since_us, offset.offset_us) for offset in later), else_=offsets[0].offset_us)
    day = _day(local)
    weekday = (day + 3 + _BEFORE_WEEKS) % 7
    part = ((local - day * DAY) // (6 * _HOUR)).cast("int64")
    return (weekday * 4 + part).cast("int32")


def _code(column: Any, ids: tuple[str, ...]) -> Any:
    """Return the position of the column's value among `ids`, or their number for anything else and for null."""
    number = column.cases(*((identifier, code) for code, identifier in enumerate(ids)), else_=len(ids)) if ids else ibis.literal(0)
    return number.cast("int32")
