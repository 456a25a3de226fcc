"""Definitions to relational expressions (pure). Ibis only compiles them: one definition, the same SQL on every engine.

The expressions stand on three relations that `features.engine` provides: `interactions` and `people`, with times as whole microseconds
since 1970 UTC, and `rows` (row, person_id, as_of_us), one for each row of the matrix. House rules for expressions: whole numbers for
times and ages, no rounding, no hashing, nothing approximate, no division.
"""

from __future__ import annotations

from typing import Any, Literal

import ibis

from features.layout import Layout
from features.vocabulary import Vocabulary

Dialect = Literal["duckdb", "databricks"]

FOREVER = -(2**62)
"""The entry time of a person of whom the organisation does not say since when it knows them."""

_INTERACTIONS = {
    "person_id": "string",
    "occurred_us": "int64",
    "received_us": "int64",
    "kind": "string",
    "channel": "string",
    "topic": "string",
    "direction": "string",
    "value": "float64",
    "is_machine": "boolean",
}
_ROWS = {"row": "int32", "person_id": "string", "as_of_us": "int64"}


def to_sql(expression: Any, dialect: Dialect = "duckdb") -> str:
    """Return the SQL of an expression."""
    return str(ibis.to_sql(expression, dialect=dialect))


def interactions() -> Any:
    """Return the relation `interactions`."""
    return ibis.table(_INTERACTIONS, name="interactions")


def people(vocabulary: Vocabulary) -> Any:
    """Return the relation `people`; the vocabulary's attributes are its columns `attribute_<id>`."""
    attributes = {f"attribute_{item.id}": "float64" if item.type == "numeric" else "string" for item in vocabulary.attributes}
    return ibis.table({"person_id": "string", "birth_year": "int64", "joined_us": "int64", **attributes}, name="people")


def projection(layout: Layout, vocabulary: Vocabulary, latest_us: int) -> Any:
    """Return one record per (row, visible interaction of its person): row and cell (int32), age (int64 microseconds), value (float64).

    Visible as of a row: occurred before `as_of`, received at `as_of` or before. `latest_us` is the latest `as_of` of the rows.
    """
    source = interactions()
    source = source.filter(source.occurred_us < latest_us, source.received_us <= latest_us)
    rows = ibis.table(_ROWS, name="rows")
    keyed = source.select(source.person_id, source.occurred_us, source.received_us, source.value, key=_key(source, layout, vocabulary))
    joined = keyed.join(rows, keyed.person_id == rows.person_id)
    joined = joined.filter(joined.occurred_us < joined.as_of_us, joined.received_us <= joined.as_of_us)
    age = joined.as_of_us - joined.occurred_us
    bucket = ibis.cases(*((age <= bound, number) for number, bound in enumerate(layout.bounds)), else_=len(layout.bounds)) if layout.bounds else ibis.literal(0)
    return joined.select(
        joined.row,
        cell=(joined.key * (len(layout.bounds) + 1) + bucket).cast("int32"),
        age=age,
        value=joined.value.coalesce(ibis.literal(0.0, type="float64")),
    )


def entries(vocabulary: Vocabulary, latest_us: int) -> Any:
    """Return, per person, the earliest `as_of` (microseconds) at which the person belongs to the base.

    That is after `joined_at` (always, where it is empty), or when the first interaction became visible, whichever came first. People
    who enter after `latest_us` may be left out.
    """
    source, known = interactions(), people(vocabulary)
    joined = known.select(known.person_id, entry=(known.joined_us + 1).coalesce(ibis.literal(FOREVER, type="int64")))
    seen = source.select(source.person_id, entry=ibis.greatest(source.occurred_us + 1, source.received_us))
    both = ibis.union(seen.filter(seen.entry <= latest_us), joined)
    return both.group_by("person_id").agg(entry=both.entry.min())


def population(as_of_us: int, *, wanted: bool) -> Any:
    """Return the ids of the base as of a time, sorted by their UTF-8 bytes; with `wanted`, only those of the relation `wanted`."""
    base = ibis.table({"person_id": "string", "entry": "int64"}, name="entries")
    base = base.filter(base.entry <= as_of_us)
    if wanted:
        base = base.semi_join(ibis.table({"person_id": "string"}, name="wanted"), "person_id")
    return base.select("person_id").order_by("person_id")


def sends(vocabulary: Vocabulary, latest_us: int) -> Any:
    """Return what was sent about a listed topic: topic (int32 code), occurred_us, and visible_us, the first `as_of` that sees it."""
    source = interactions()
    visible = ibis.greatest(source.occurred_us + 1, source.received_us)
    source = source.filter(source.direction == "out", ~source.is_machine, source.topic.isin(vocabulary.topic_ids), visible <= latest_us)
    return source.select(
        topic=_code(source.topic, vocabulary.topic_ids),
        occurred_us=source.occurred_us,
        visible_us=ibis.greatest(source.occurred_us + 1, source.received_us),
    )


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
    return joined.select(joined.row, joined.as_of_us, birth_year=joined.birth_year.cast("float64"), joined_us=joined.joined_us, **columns)


def _key(source: Any, layout: Layout, vocabulary: Vocabulary) -> Any:
    """Return the key's number, in the order of `features.layout`."""
    channels, topics = layout.shape[1:]
    code = _code(source.kind, tuple(kind.id for kind in vocabulary.kinds)).cast("int64")
    code = code * channels + _code(source.channel, tuple(channel.id for channel in vocabulary.channels))
    code = code * topics + _code(source.topic, vocabulary.topic_ids)
    code = code * 2 + ibis.ifelse(source.direction == "out", 1, 0)
    return code * 2 + ibis.ifelse(source.is_machine, 1, 0)


def _code(column: Any, ids: tuple[str, ...]) -> Any:
    """Return the position of the column's value among `ids`, or their number for anything else and for null."""
    number = column.cases(*((identifier, code) for code, identifier in enumerate(ids)), else_=len(ids)) if ids else ibis.literal(0)
    return number.cast("int32")
