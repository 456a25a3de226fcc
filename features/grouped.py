"""Builds vectors by SQL alone, on any engine that runs it: group-bys where `features.builder` has a kernel, and the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import pyarrow as pa

from features import context, contextual, query, reduction
from features.catalogue import catalogue, definitions_hash
from features.context import Context, Formula, Sums
from features.definition import Feature
from features.layout import Layout, layout
from features.query import Dialect
from features.relations import Relations, Runner, StoredTables
from features.vectors import Progress, VectorsError
from features.vocabulary import Vocabulary

COUNT_LIMIT, TOTAL_LIMIT = 2**24, 2**62
"""As in `features.kernel`: float32 counts exactly below the first, sums of whole multiples fit 64 bits below the second."""


class SqlEngine(Runner, Protocol):
    """An engine that keeps results under a name."""

    @property
    def dialect(self) -> Dialect:
        """The dialect of SQL that Ibis compiles to for it."""
        ...

    def keep(self, name: str, sql: str) -> None:
        """Run `sql` once and keep its result as the relation `name`."""
        ...


@dataclass(frozen=True, eq=False)
class Grouped:
    """Vectors as a relation of an engine: one record per person of the base, `people` of them, rows 0, 1, … in the order of the ids.

    They are there until the next build on the same engine takes their place.
    """

    layout: Layout
    formulas: tuple[Formula, ...]
    context: Context
    as_of: datetime
    people: int
    table_versions: Mapping[str, int]
    vocabulary_fingerprint: str
    own: bool = False
    withheld: tuple[str, ...] = ()

    def expression(self, kind: str) -> Any:
        """Return row, person_id and a column per feature under its name, of the type `kind` (float32 or float64); missing is null."""
        return contextual.vectors(self.layout.features, self.formulas, kind=kind)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(feature.name for feature in self.layout.features)

    @property
    def definitions_hash(self) -> str:
        """The hash of the definitions."""
        return definitions_hash(self.names)


def group(
    engine: SqlEngine,
    history: StoredTables,
    vocabulary: Vocabulary,
    as_of: datetime,
    *,
    versions: Mapping[str, int] | None = None,
    given: Context | None = None,
    own: bool = False,
    progress: Progress = lambda _stage, _share: None,
) -> Grouped:
    """Make the relations of the vectors of the whole base as of a time on `engine`, and return how to read them.

    Raises VectorsError for an `as_of` without a time zone, and where counts or sums are too large to be exact.
    """
    as_of_us = _microseconds(as_of)
    progress("reading the tables", 0.0)
    features = catalogue(vocabulary)
    plan = reduction.Plan(layout(features, vocabulary), vocabulary)
    relations = Relations(engine, history, vocabulary, versions, own=own)
    keep = _keeper(engine)
    keep("rows", reduction.base(vocabulary, as_of_us, limited=relations.limited))
    progress("interactions", 0.1)
    keep("projected", query.projection(plan.layout, vocabulary, as_of_us, relations.offsets(as_of_us), limited=relations.limited))
    for name, table in plan.relations().items():
        engine.register(name, table)
    keep("measured", reduction.measured(plan))
    for chunk in range(len(plan.chunks)):
        keep(f"pivoted{chunk}", reduction.pivoted(plan, chunk))
    keep("personal", reduction.personal(plan, as_of_us, as_of.astimezone(UTC).year))
    progress("what the base as a whole says", 0.7)
    checked = {**engine.run(reduction.checks()).to_pylist()[0], **engine.run(reduction.huge(plan)).to_pylist()[0]}
    _refuse(checked)
    formulas = context.formulas(features, vocabulary)
    found = given or _context(relations, features, formulas, as_of)
    for name, table in contextual.relations(formulas, found).items():
        engine.register(name, table)
    progress("vectors", 0.8)
    made_of = vocabulary.fingerprint, own, vocabulary.withheld if own else ()
    return Grouped(plan.layout, formulas, found, as_of.astimezone(UTC), int(checked["people"]), relations.versions, *made_of)


def _context(relations: Relations, features: Sequence[Feature], formulas: Sequence[Formula], as_of: datetime) -> Context:
    engine = relations.engine
    totals = pa.table({"area": pa.array([], pa.string())})
    if any(formula.feature.statistic == "area" for formula in formulas):
        totals = engine.run(contextual.areas(features, formulas))
    sums = Sums(formulas)
    contextual.add(sums, engine.run(contextual.moments(features, formulas)), totals)
    return sums.context(as_of, relations.versions)


def _keeper(engine: SqlEngine) -> Callable[[str, Any], None]:
    return lambda name, expression: engine.keep(name, query.to_sql(expression, engine.dialect))


def _refuse(checked: Mapping[str, Any]) -> None:
    """Raise VectorsError where something is too large to be exact."""
    if checked["huge"]:
        raise VectorsError(f"an interaction's `value` is beyond ±{reduction.VALUE_LIMIT}, too large for an exact sum; use a larger unit")
    if (checked["most_added"] or 0) > TOTAL_LIMIT:
        raise VectorsError("one person's values or decayed counts add up to more than an exact sum can hold; use a larger unit")
    if (checked["most_counted"] or 0) >= COUNT_LIMIT:
        raise VectorsError(f"one person has {COUNT_LIMIT} interactions or more of one kind: more than float32 counts exactly")


def _microseconds(as_of: datetime) -> int:
    from features.builder import microseconds  # noqa: PLC0415 - numba takes seconds to import, and Spark's driver has no other need of it

    return microseconds(as_of)
