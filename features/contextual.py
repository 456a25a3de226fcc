"""What the base as a whole says, and the features that need it, as relational expressions over `personal` (pure): see `features.context`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from features.context import Context, Formula, Sums
from features.definition import Feature
from features.formulas import number

Features = Sequence[Feature]


def moments(features: Features, formulas: Sequence[Formula]) -> Any:
    """Return one record: how many people, and per formula `x<j>`, `s<j>`, `xx<j>`, `xs<j>`, `ss<j>`; whole numbers, so that no order matters."""
    source = _personal(features)
    sums: dict[str, Any] = {}
    for j, formula in enumerate(formulas):
        x, s = _parts(source, formula)
        sums |= {f"x{j}": x, f"s{j}": s, f"xx{j}": x * x, f"xs{j}": x * s, f"ss{j}": s * s}
    return source.aggregate(people=source.count(), **{name: column.sum().coalesce(number(0)) for name, column in sums.items()})


def areas(features: Features, formulas: Sequence[Formula]) -> Any:
    """Return per area `x<j>` and `s<j>` of every formula that is about areas."""
    source = _personal(features)
    source = source.filter(source.area.notnull())
    sums: dict[str, Any] = {}
    for j, formula in _of_areas(formulas):
        x, s = _parts(source, formula)
        sums |= {f"x{j}": x.sum(), f"s{j}": s.sum()}
    return source.group_by("area").agg(**sums)


def add(sums: Sums, moments: pa.Table, areas: pa.Table) -> None:
    """Add to `sums` what the two expressions above gave."""
    record = moments.to_pylist()[0]
    formulas = range(len(sums.formulas))
    added = np.array([[record[f"{name}{j}"] for name in ("x", "s", "xx", "xs", "ss")] for j in formulas]).reshape(-1, 5)
    totals = {one["area"]: np.array([[one.get(f"x{j}", 0.0), one.get(f"s{j}", 0.0)] for j in formulas]) for one in areas.to_pylist()}
    sums.add_totals(int(record["people"]), added, totals)


def relations(formulas: Sequence[Formula], known: Context) -> dict[str, pa.Table]:
    """Return a context as the relations `base` (one record) and `area_totals`, so that its numbers reach every engine to the bit."""
    base = {"one": pa.array([1], pa.int32())}
    for j, formula in enumerate(formulas):
        name = formula.feature.name
        mean, strength = (known.supply[name], 0.0) if formula.feature.statistic == "supply" else known.priors[name]
        base |= {f"mean{j}": pa.array([mean], pa.float64()), f"strength{j}": pa.array([strength], pa.float64())}
    about = [(f"{letter}{j}", place, known.areas[formula.feature.name]) for j, formula in _of_areas(formulas) for place, letter in enumerate("xs")]
    named = sorted({area for _, _, totals in about for area in totals})
    columns = {name: pa.array([totals.get(area, (0.0, 0.0))[place] for area in named], pa.float64()) for name, place, totals in about}
    return {"base": pa.table(base), "area_totals": pa.table({"known_area": pa.array(named, pa.string()), **columns})}


def vectors(features: Features, formulas: Sequence[Formula], *, kind: str = "float64") -> Any:
    """Return one record per row: row, person_id, and a column per feature under its name, of the type `kind`; missing is null."""
    source = _personal(features)
    wide = ibis.table({"one": "int32", **{f"{name}{j}": "float64" for j in range(len(formulas)) for name in ("mean", "strength")}}, name="base")
    joined = source.cross_join(wide)
    if _of_areas(formulas):
        totals = ibis.table({"known_area": "string", **{f"{name}{j}": "float64" for j, _ in _of_areas(formulas) for name in "xs"}}, name="area_totals")
        joined = joined.left_join(totals, joined.area == totals.known_area)
    places = {formula.column: j for j, formula in enumerate(formulas)}
    columns = {}
    for position, feature in enumerate(features):
        found = joined[f"f{position}"] if position not in places else _value(joined, formulas[places[position]], places[position])
        columns[feature.name] = found.cast(kind)
    return joined.select("row", "person_id", **columns)


def _value(joined: Any, formula: Formula, j: int) -> Any:
    mean, strength = joined[f"mean{j}"], joined[f"strength{j}"]
    if formula.feature.statistic == "supply":
        return mean
    x, s = _parts(joined, formula)
    if formula.feature.statistic == "area":
        known = joined.area.notnull()
        x, s = (ibis.ifelse(known, joined[f"{name}{j}"].coalesce(number(0)) - own, number(0)) for name, own in (("x", x), ("s", s)))
        x = ibis.greatest(x, number(0))
    shrunk = (x + mean * strength) / (ibis.greatest(s, number(0)) + strength)
    return ibis.ifelse(s > 0, shrunk, ibis.null("float64"))


def _parts(source: Any, formula: Formula) -> tuple[Any, Any]:
    """Return the columns of answers and messages of a formula."""
    messages = source[f"f{formula.messages}"]
    answers = messages * 0
    for column in formula.answers:
        answers = answers + source[f"f{column}"]
    return answers, messages


def _of_areas(formulas: Sequence[Formula]) -> list[tuple[int, Formula]]:
    return [(j, formula) for j, formula in enumerate(formulas) if formula.feature.statistic == "area"]


def _personal(features: Features) -> Any:
    """Return the relation `personal`; contextual features are none of its columns."""
    own = {f"f{position}": "float64" for position, feature in enumerate(features) if feature.statistic not in {"rate", "area", "supply"}}
    return ibis.table({"row": "int32", "person_id": "string", "area": "string", **own}, name="personal")
