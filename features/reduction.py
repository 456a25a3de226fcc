"""From projected interactions to one row of values per person, as relational expressions alone (pure): what `features.kernel` is to one machine.

The steps, each an expression over the one before: `projected` (`features.query.projection`) → `measured`, per row and target, a *target* being a
group of cells (kind, channel, topic) in one of its windows → `pivoted`, a column per tally, chunk by chunk → `personal`, all that a person's own
interactions say; then `features.contextual`. An engine keeps each of them: others read them several times, or would make queries too large to
plan. Rules for expressions as in `features.query`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from features import formulas, query
from features.catalogue import CONTEXTUAL
from features.definition import ANY, DAYPARTS, ENGAGEMENT, WEEKDAYS, Feature
from features.formulas import number
from features.layout import DAY, VALUE_RESOLUTION, Indices, Layout, weights
from features.vocabulary import Vocabulary

CHUNK = 64
"""Tallies that one group-by makes. Every record of `measured` is held against each of them; and Spark compiles no more than 100 columns as one."""

VALUE_LIMIT = 2**32
"""As in `features.kernel`: largest absolute value of one interaction."""

_PROJECTION = {"row": "int32", "cell": "int32", "days": "int32", "age": "int64", "value": "float64", "slot": "int32", "source": "int32"}
_LINKS = {
    "links": {"cell": "int32", "target": "int32"},
    "contacts": {"cell": "int32", "target": "int32", "is_answer": "boolean"},
    "statements": {"cell": "int32", "target": "int32"},
    "cells": {"cell": "int32", "topic": "int32", "is_answer": "boolean", "is_person": "boolean"},
}
_ARROW = {"int32": pa.int32(), "int64": pa.int64(), "float64": pa.float64(), "boolean": pa.bool_(), "string": pa.string()}

Group = tuple[bool, str, str, str]
"""Whether machines', then kind, channel, topic."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What the expressions of one catalogue need: targets and their numbers, and the small relations that lead cells to them."""

    layout: Layout
    vocabulary: Vocabulary

    @cached_property
    def tallies(self) -> tuple[Feature, ...]:
        """The features whose tallies the catalogue's values are made of, each once: the columns `t0`, `t1` and so on."""
        return tuple(dict.fromkeys(need for feature in self.layout.features for need in formulas.needs(feature, self.vocabulary)))

    @cached_property
    def windows(self) -> Mapping[Group, Mapping[int, int]]:
        """Per group of cells, its windows: the age bucket each ends with (rising) and the number of its target; numbers follow each other."""
        ends: dict[Group, set[int]] = {}
        for tally in self.tallies:
            if tally.statistic in _GROUPED:
                ends.setdefault(_group(tally), set()).add(self._end(tally))
        found: dict[Group, dict[int, int]] = {}
        taken = 0
        for group, buckets in ends.items():
            found[group] = {bucket: taken + place for place, bucket in enumerate(sorted(buckets))}
            taken += len(buckets)
        return found

    @cached_property
    def others(self) -> Mapping[object, int]:
        """The targets that are no group of cells: slots of the week, messages, statements, switches, the first and the last source."""
        start = sum(map(len, self.windows.values()))
        named = [
            *range(len(DAYPARTS) * len(WEEKDAYS)),
            *(one for one in self.tallies if one.statistic in {"unanswered", "declared", "switches"}),
            "first",
            "last",
        ]
        return {name: start + place for place, name in enumerate(named)}

    @cached_property
    def half_lives(self) -> tuple[int, ...]:
        """The half-lives in days, rising; columns `w0`, `w1`, … of `measured`."""
        return tuple(sorted({one.half_life_days or 1 for one in self.tallies if one.statistic == "decayed"}))

    @cached_property
    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """The tallies' places in chunks of CHUNK, neighbours by their targets: a record of `measured` is of interest to one or two chunks."""
        order = sorted(range(len(self.tallies)), key=lambda place: self.span(self.tallies[place]))
        return tuple(tuple(order[first : first + CHUNK]) for first in range(0, len(order), CHUNK))

    def span(self, tally: Feature) -> tuple[int, int]:
        """Return the first and the last target that a tally is about; not all between them need be."""
        if tally.statistic in {"daypart", "weekday"}:
            return self.others[0], self.others[len(DAYPARTS) * len(WEEKDAYS) - 1]
        return self.targets(tally)

    def targets(self, tally: Feature) -> tuple[int, int]:
        """Return the first and the last target whose measures, taken together, are the tally's."""
        if tally.statistic in _GROUPED:
            found = self.windows[_group(tally)]
            return min(found.values()), found[self._end(tally)]
        name: object = tally.which if tally.statistic == "source" else tally
        return self.others[name], self.others[name]

    def relations(self) -> dict[str, pa.Table]:
        """Return the small relations: links, contacts, statements, cells and weights."""
        messages = [one for one in self.tallies if one.statistic == "unanswered"]
        asked = [(one, Feature("recency", ENGAGEMENT, one.channel, one.topic)) for one in messages]
        contacts = [(cells, self.others[one], role) for one, answer in asked for cells, role in ((self._cells(one), False), (self._cells(answer), True))]
        stated = [(self._cells(one), self.others[one]) for one in self.tallies if one.statistic == "declared"]
        days = weights(self.half_lives)
        decays = {f"weight{place}": pa.array(row) for place, row in enumerate(days)}
        return {
            "links": _table("links", self._links()),
            "contacts": _table("contacts", contacts),
            "statements": _table("statements", stated),
            "cells": self._flags(),
            "weights": pa.table({"days": pa.array(np.arange(days.shape[1], dtype=np.int32)), **decays}),
        }

    def _end(self, tally: Feature) -> int:
        """Return the last age bucket of the tally's window; raises ValueError for a window without buckets of its own."""
        days = tally.window_days
        if days is None:
            return len(self.layout.bounds)
        if days * DAY not in self.layout.bounds:
            known = ", ".join(f"{bound // DAY}d" for bound in self.layout.bounds)
            raise ValueError(f"{tally.name}: no count of the catalogue has this window; windows: {known or 'none'}, all")
        return self.layout.bounds.index(days * DAY)

    def _cells(self, feature: Feature) -> Indices:
        """Return the cells of all ages of the interactions that a feature is about."""
        buckets = np.arange(len(self.layout.bounds) + 1)
        return (self.layout.keys(feature)[:, None] * len(buckets) + buckets).ravel()

    def _links(self) -> Iterable[tuple[Indices, int]]:
        """Yield cells and the target of the shortest window that holds them."""
        n_buckets = len(self.layout.bounds) + 1
        for (machine, kind, channel, topic), ends in self.windows.items():
            keys = self.layout.keys(Feature("machine", kind, channel, topic, "all") if machine else Feature("recency", kind, channel, topic))
            for bucket in range(n_buckets):
                for target in [target for end, target in ends.items() if end >= bucket][:1]:
                    yield keys * n_buckets + bucket, target

    def _flags(self) -> pa.Table:
        size = int(np.prod(self.layout.shape)) * 8 * (len(self.layout.bounds) + 1)
        topic, answers, people = np.zeros(size, dtype=np.int32), np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
        answers[self._cells(formulas.ANSWERS)] = True
        people[self._cells(Feature("recency", ANY, ANY, ANY))] = True
        for place, identifier in enumerate(self.vocabulary.topic_ids):
            topic[np.intersect1d(self._cells(Feature("recency", ENGAGEMENT, ANY, identifier)), np.flatnonzero(answers))] = place + 1
        return pa.table({"cell": pa.array(np.arange(size, dtype=np.int32)), "topic": topic, "is_answer": answers, "is_person": people})


def base(vocabulary: Vocabulary, as_of_us: int, *, limited: bool = False) -> Any:
    """Return the relation `rows` of the whole base: people numbered from 0 in the order of their ids' bytes."""
    people = query.visible_people(vocabulary, as_of_us, limited=limited)
    row = ibis.row_number().over(ibis.window(order_by="person_id")).cast("int32")
    return people.select(row=row, person_id=people.person_id, as_of_us=ibis.literal(as_of_us, type="int64"))


def measured(plan: Plan) -> Any:
    """Return per row and target: n, units (values in multiples of VALUE_RESOLUTION), largest, last and first (days), code, huge, and weights."""
    parts = [_by_cell(plan), _by_slot(plan), _sources(plan)]
    statistics = {one.statistic for one in plan.tallies}
    parts += [_unanswered(plan)] if "unanswered" in statistics else []
    parts += [_switches(plan)] if "switches" in statistics else []
    parts += [_statements(plan)] if "declared" in statistics else []
    return ibis.union(*parts, distinct=False)


def pivoted(plan: Plan, chunk: int) -> Any:
    """Return per row a column `t<number>` per tally of a chunk of `plan.chunks`; rows of which the chunk has nothing to say are left out."""
    source = _relation("measured", _measure_types(plan))
    spans = [plan.span(plan.tallies[place]) for place in plan.chunks[chunk]]
    source = source.filter(source.target.between(min(first for first, _ in spans), max(last for _, last in spans)))
    return source.group_by("row").agg(**{f"t{place}": _tally(plan, plan.tallies[place], source) for place in plan.chunks[chunk]})


def personal(plan: Plan, as_of_us: int, as_of_year: int) -> Any:
    """Return one record per row: row, person_id, area, a column `f<number>` per feature that is not contextual, and what the checks need."""
    rows = ibis.table({"row": "int32", "person_id": "string", "as_of_us": "int64"}, name="rows")
    joined = rows
    for chunk, places in enumerate(plan.chunks):
        tallies = ibis.table({"row": "int32", **{f"t{place}": "float64" for place in places}}, name=f"pivoted{chunk}")
        joined = joined.left_join(tallies, rows.row == tallies.row, rname=f"{{name}}_{chunk}")
    known = query.attributes(plan.vocabulary)
    joined = joined.left_join(known, rows.row == known.row, rname="{name}_of_people")
    place = {tally: number for number, tally in enumerate(plan.tallies)}

    def at(feature: Feature) -> Any:
        column = joined[f"t{place[feature]}"]
        return column if feature.statistic in _NULLABLE else column.coalesce(number(0))

    columns = {}
    for position, feature in enumerate(plan.layout.features):
        if feature.statistic in {"age", "tenure", "attribute"}:
            columns[f"f{position}"] = formulas.personal(feature, joined, as_of_us, as_of_year, plan.vocabulary)
        elif feature.statistic not in CONTEXTUAL:
            columns[f"f{position}"] = formulas.value(feature, at, plan.vocabulary)
    most = {name: _most([at(tally) for tally in plan.tallies if tally.statistic in statistics]) for name, statistics in _CHECKED.items()}
    return joined.select(joined.row, joined.person_id, joined.area, **columns, **most)


def checks() -> Any:
    """Return one record about `personal`: how many people, and what must stay below the limits of exact numbers."""
    source = ibis.table({"most_counted": "float64", "most_added": "float64"}, name="personal")
    return source.aggregate(people=source.count(), most_counted=source.most_counted.max(), most_added=source.most_added.max())


def huge(plan: Plan) -> Any:
    """Return one record about `measured`: how many values, `huge`, no exact sum can hold."""
    source = _relation("measured", _measure_types(plan))
    spans = [plan.span(tally) for tally in plan.tallies if tally.statistic == "sum"]
    summed = ibis.or_(*(source.target.between(*span) for span in spans)) if spans else ibis.literal(value=False)
    return source.aggregate(huge=source.huge.sum(where=summed).coalesce(0).cast("int64"))


def _by_cell(plan: Plan) -> Any:
    """Return the measures of groups of cells."""
    source = _relation("projected", _PROJECTION)
    ages = ibis.table({"days": "int32", **{f"weight{place}": "int64" for place in range(len(plan.half_lives))}}, name="weights")
    weighed = source.left_join(ages, source.days == ages.days)
    value = ibis.ifelse(weighed.value.isnan(), ibis.null("float64"), weighed.value)
    summed = ibis.ifelse(value.abs() <= VALUE_LIMIT, value, ibis.null("float64"))
    units = (summed * int(1 / VALUE_RESOLUTION) + number(1) / number(2)).floor().cast("int64")
    tallied = weighed.group_by(["row", "cell"]).agg(
        n=weighed.count(),
        units=_whole(units),
        largest=value.max(),
        last=weighed.days.min(),
        first=weighed.days.max(),
        huge=_whole(ibis.ifelse(value.abs() > VALUE_LIMIT, 1, 0)),
        **{f"w{place}": _whole(weighed[f"weight{place}"]) for place in range(len(plan.half_lives))},
    )
    links = _relation("links", _LINKS["links"])
    linked = tallied.join(links, tallied.cell == links.cell)
    return _measures(
        plan,
        linked.group_by(["row", "target"]).agg(
            **{name: _whole(linked[name]) for name in ("n", "units", "huge", *_weights(plan))},
            largest=linked.largest.max(),
            last=linked["last"].min(),
            first=linked["first"].max(),
        ),
    )


def _by_slot(plan: Plan) -> Any:
    """Return how many answers fell in each slot of the week."""
    source = _with_cells()
    source = source.filter(source.is_answer)
    target = (source.slot + plan.others[0]).cast("int32")
    return _measures(plan, source.group_by("row", target=target).agg(n=source.count()))


def _unanswered(plan: Plan) -> Any:
    """Return how many messages came after the last answer, per selection of messages."""
    source, contacts = _relation("projected", _PROJECTION), _relation("contacts", _LINKS["contacts"])
    joined = source.join(contacts, source.cell == contacts.cell)
    answer = ibis.ifelse(joined.is_answer, joined.age, ibis.null("int64"))
    dated = joined.mutate(answered=answer.min().over(ibis.window(group_by=["row", "target"])))
    after = dated.filter(~dated.is_answer, dated.answered.isnull() | (dated.age < dated.answered))
    return _measures(plan, after.group_by(["row", "target"]).agg(n=after.count()))


def _switches(plan: Plan) -> Any:
    """Return how many answers have another topic than the one before."""
    source = _with_cells()
    source = source.filter(source.topic > 0)
    before = source.topic.lag().over(ibis.window(group_by="row", order_by=[ibis.desc("age"), ibis.asc("topic")]))
    ordered = source.select("row", "topic", before=before)
    changed = ordered.filter(ordered.before.notnull(), ordered.before != ordered.topic)
    target = next(target for name, target in plan.others.items() if isinstance(name, Feature) and name.statistic == "switches")
    return _measures(plan, changed.group_by("row", target=ibis.literal(target, "int32")).agg(n=changed.count()))


def _statements(plan: Plan) -> Any:
    """Return what was stated last, per topic; the larger of two that were stated at once."""
    source, statements = _relation("projected", _PROJECTION), _relation("statements", _LINKS["statements"])
    joined = source.join(statements, source.cell == statements.cell)
    dated = joined.mutate(latest=joined.age.min().over(ibis.window(group_by=["row", "target"])))
    dated = dated.filter(dated.age == dated.latest)
    said = ibis.ifelse(dated.value.isnan(), number(1), dated.value.coalesce(number(1)))
    return _measures(plan, dated.group_by(["row", "target"]).agg(largest=said.max()))


def _sources(plan: Plan) -> Any:
    """Return the code of the source of the first and of the last interaction that is a person's."""
    source = _with_cells()
    source = source.filter(source.is_person)
    mine = ibis.window(group_by="row")
    dated = source.select("row", "age", "source", oldest=source.age.max().over(mine), newest=source.age.min().over(mine))
    ends = []
    for name, end in (("first", dated.oldest), ("last", dated.newest)):
        found = dated.filter(dated.age == end)
        ends.append(_measures(plan, found.group_by("row", target=ibis.literal(plan.others[name], "int32")).agg(code=found.source.min().cast("int64"))))
    return ibis.union(*ends, distinct=False)


def _tally(plan: Plan, tally: Feature, source: Any) -> Any:
    """Return the aggregation over `measured` that gives a tally, as float64."""
    if tally.statistic == "daypart":
        part = DAYPARTS.index(str(tally.part))
        wanted = source.target.isin([plan.others[slot] for slot in range(28) if slot % 4 == part])
    elif tally.statistic == "weekday":
        day = WEEKDAYS.index(str(tally.day))
        wanted = source.target.between(plan.others[day * 4], plan.others[day * 4 + 3])
    else:
        first, last = plan.targets(tally)
        wanted = source.target == last if first == last else source.target.between(first, last)
    found = {
        "sum": lambda: source.units.sum(where=wanted),
        "decayed": lambda: source[f"w{plan.half_lives.index(tally.half_life_days or 1)}"].sum(where=wanted),
        "recency": lambda: source["last"].min(where=wanted),
        "first": lambda: source["first"].max(where=wanted),
        "largest": lambda: source.largest.max(where=wanted),
        "declared": lambda: source.largest.max(where=wanted),
        "source": lambda: source.code.min(where=wanted),
    }.get(tally.statistic, lambda: source.n.sum(where=wanted))()
    return found.cast("float64")


def _measures(plan: Plan, found: Any) -> Any:
    """Return `found` with all columns of `measured`, in their order; what it lacks is null."""
    kinds = _measure_types(plan)
    there = set(found.columns)
    return found.select(**{name: found[name].cast(kind) if name in there else ibis.null(kind) for name, kind in kinds.items()})


def _measure_types(plan: Plan) -> dict[str, str]:
    found = {"row": "int32", "target": "int32", "n": "int64", "units": "int64", "largest": "float64", "last": "int32", "first": "int32", "code": "int64"}
    return found | {"huge": "int64"} | dict.fromkeys(_weights(plan), "int64")


def _weights(plan: Plan) -> list[str]:
    return [f"w{place}" for place in range(len(plan.half_lives))]


def _with_cells() -> Any:
    source, cells = _relation("projected", _PROJECTION), _relation("cells", _LINKS["cells"])
    return source.join(cells, source.cell == cells.cell)


def _relation(name: str, columns: Mapping[str, str]) -> Any:
    return ibis.table(dict(columns), name=name)


def _whole(column: Any) -> Any:
    """Return the sum of whole numbers as int64 (engines differ in what type a sum has)."""
    return column.sum().cast("int64")


def _most(columns: Sequence[Any]) -> Any:
    """Return the largest absolute value of a record's columns."""
    return ibis.greatest(*(column.abs() for column in columns), number(0)) if columns else number(0)


def _group(tally: Feature) -> Group:
    return tally.statistic == "machine", str(tally.kind), str(tally.channel), str(tally.topic)


def _table(name: str, records: Iterable[tuple[Any, ...]]) -> pa.Table:
    """Return a relation of cells, each with what stands beside it."""
    held = list(records)
    sizes = [len(record[0]) for record in held]
    columns = [np.concatenate([record[0] for record in held]) if held else np.empty(0, dtype=np.int32)]
    columns += [np.repeat([record[place] for record in held], sizes) for place in range(1, len(_LINKS[name]))]
    return pa.table({column: pa.array(values, type=_ARROW[kind], safe=False) for (column, kind), values in zip(_LINKS[name].items(), columns, strict=True)})


_GROUPED = frozenset({"count", "machine", "sum", "decayed", "recency", "first", "largest"})
_NULLABLE = frozenset({"recency", "first", "largest", "declared", "source"})
_CHECKED = {"most_counted": {"count", "machine"}, "most_added": {"sum", "decayed"}}

__all__ = ["Plan", "base", "checks", "huge", "measured", "personal", "pivoted"]
