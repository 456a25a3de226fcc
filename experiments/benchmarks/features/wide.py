"""The features in wide form, one filtered aggregate each: a DuckDB query, a Polars `group_by().agg([...])`, and featuretools on a part.

Nothing of the product is used: see `long.py`. Left out here are `switches` and `unanswered`, which need an order or a second pass. The DuckDB query
comes in two forms, `count(*) FILTER (WHERE …)` and `count(CASE WHEN … THEN 1 END)`: DuckDB 2.0 copies every column once per FILTER, so that
the time of the first grows with the square of the number of aggregates.
"""

# ruff: noqa: S608, PLC0415  the SQL is made of the names of the task; a peer's own environment has only that peer

from __future__ import annotations

from functools import reduce
from operator import and_
from typing import Any

import numpy as np

DAY = 86_400_000_000
PARTS = ("night", "morning", "afternoon", "evening")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LEFT_OUT = ("switches", "unanswered")
AGGREGATES = ("count", "machine", "sum", "largest", "recency", "first", "decayed", "declared", "declared_age")


def fields_of(name: str) -> dict[str, str]:
    """Return a feature's statistic and fields."""
    statistic, *pairs = name.split("|")
    return {"statistic": statistic, **dict(pair.split("=") for pair in pairs)}


def columns(task: dict[str, Any]) -> dict[str, str]:
    """Return the SQL of the columns that conditions and aggregates are made of, over one interaction with `t`, its microseconds."""
    live = "NOT is_machine"
    found = {"machine": "is_machine", "live": live, "sometopic": "topic IS NOT NULL", "stated": "coalesce(value, 1e0)"}
    found["days"] = f"{task['as_of_us'] // DAY} - t // {DAY}"
    for group, kinds in (("engaged", task["engagement"]), ("sent", task["out"]), ("incoming", task["in"]), ("declares", task["declares"])):
        found[group] = f"{live} AND kind IN ({', '.join(map(repr, kinds))})"
    found |= {f"kind_{kind}": f"{live} AND kind = '{kind}'" for kind in task["kinds"]}
    found |= {f"channel_{channel}": f"channel = '{channel}'" for channel in task["channels"]}
    found |= {f"topic_{topic}": f"contains(topic, '{topic}')" for topic in task["topics"]}
    found |= {f"last_{days}d": f"t >= {task['as_of_us'] - days * DAY}" for days in task["windows_days"]}
    found |= {f"weight_{half}d": f"pow(2e0, (t // {DAY} - {task['as_of_us'] // DAY}) / {half}e0)" for half in task["half_lives_days"]}
    return found


def local(task: dict[str, Any]) -> str:
    """Return the SQL of an interaction's time on the clock of the time zone."""
    later = " ".join(f"WHEN t >= {since} THEN {offset}" for since, offset in reversed(task["offsets"][1:]))
    return f"t + CASE {later} ELSE {task['offsets'][0][1]} END"


def selection(feature: dict[str, str]) -> list[str]:
    """Return the names of the columns that must all be true."""
    if feature["statistic"] == "machine":
        kind = "machine"
    else:
        groups = {"any": "live", "any-engagement": "engaged", "any-out": "sent", "any-in": "incoming", "any-declared": "declares"}
        kind = groups.get(feature["kind"], f"kind_{feature['kind']}")
    found = [kind]
    if feature["channel"] != "any":
        found.append(f"channel_{feature['channel']}")
    if feature["topic"] != "any":
        found.append("sometopic" if feature["topic"] == "any-topic" else f"topic_{feature['topic']}")
    if feature.get("window", "all") != "all":
        found.append(f"last_{feature['window']}")
    return found


def formula(task: dict[str, Any], name: str, place: dict[str, str]) -> str:  # noqa: C901, PLR0911 - one case per statistic
    """Return the SQL of a feature that is made of others, or of what `people` says; `place` gives a feature's column."""
    feature = fields_of(name)
    statistic = feature["statistic"]

    def n(kind: str, channel: str, topic: str, window: str) -> str:
        return place[f"count|kind={kind}|channel={channel}|topic={topic}|window={window}"]

    def day(which: str) -> str:
        return place[f"{which}|kind={feature['kind']}|channel={feature['channel']}|topic={feature['topic']}"]

    mine = (*(feature.get(key, "any") for key in ("kind", "channel", "topic")), feature.get("window", "all"))
    if statistic == "share":
        whole = n(mine[0], mine[1], "any-topic", mine[3]) if mine[2] != "any" else n(mine[0], "any", "any", mine[3])
        return f"{n(*mine)} * 1e0 / nullif({whole}, 0)"
    if statistic == "entropy":
        counts = [f"({n(mine[0], mine[1], topic, mine[3])} * 1e0)" for topic in task["topics"]]
        total, parts = " + ".join(counts), " + ".join(f"{count} * log2(greatest({count}, 1e0))" for count in counts)
        return f"CASE WHEN {total} > 0 THEN log2({total}) - ({parts}) / ({total}) END"
    if statistic == "trend":
        return f"({n(*mine)} + 1e0) / ({n(*mine[:3], feature['over'])} * {int(feature['window'][:-1]) / int(feature['over'][:-1]):.17e} + 1e0)"
    if statistic in {"habit", "overdue"}:
        habit = f"({day('first')} - {day('recency')}) * 1e0 / ({n(*mine)} * 1e0 - 1e0)"
        value = habit if statistic == "habit" else f"{day('recency')} * 1e0 / greatest({habit}, 1e0)"
        return f"CASE WHEN {n(*mine)} > 1 THEN {value} END"
    if statistic in {"rate", "area"}:
        kinds = ["any-engagement"] if mine[0] == "any-out" else task["answers"][mine[0]]
        x, s = f"({' + '.join(n(kind, *mine[1:]) for kind in kinds)}) * 1e0", f"{n(*mine)} * 1e0"
        mean, strength = task["priors"][name]
        if statistic == "area":
            x, s = f"({place[f'x {name}']} - {x})", f"({place[f's {name}']} - {s})"
        return f"CASE WHEN {s} > 5e-1 THEN ({x} + {mean * strength:.17e}) / ({s} + {strength:.17e}) END"
    if statistic in {"daypart", "weekday"}:
        return f"{place[name + ' n']} * 1e0 / nullif({n('any-engagement', 'any', 'any', 'all')}, 0)"
    if statistic == "source":
        code = f"{feature['which']}_source"
        return f"CASE WHEN {code} IS NULL THEN NULL WHEN {code} = {task['source_types'].index(feature['type'])} THEN 1e0 ELSE 0e0 END"
    if statistic == "attribute" and "category" in feature:
        return f"CASE WHEN {feature['id']} IS NULL THEN NULL WHEN {feature['id']} = '{feature['category']}' THEN 1e0 ELSE 0e0 END"
    plain = {"age": f"{task['year']} - birth_year", "tenure": "tenure", "attribute": feature.get("id", ""), "supply": f"{task['supply'].get(name, 0.0):.17e}"}
    return plain[statistic]


class Wide:
    """The names of the features computed, and their columns: `a…` aggregates, `x…`, `s…` the areas' totals."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.task = task
        self.names = [name for name in task["names"] if fields_of(name)["statistic"] not in LEFT_OUT]
        self.aggregates = [name for name in self.names if fields_of(name)["statistic"] in AGGREGATES]
        self.rhythm = {name: fields_of(name) for name in self.names if fields_of(name)["statistic"] in {"daypart", "weekday"}}
        self.place = {name: f"a{number}" for number, name in enumerate([*self.aggregates, *(f"{name} n" for name in self.rhythm)])}
        self.counted = [column for name, column in self.place.items() if name.split("|")[0] in {"count", "machine", "sum", "decayed", "daypart", "weekday"}]
        areas = list(task["areas"])
        self.place |= {f"{letter} {name}": f"{letter}{number}" for number, name in enumerate(areas) for letter in "xs"}
        totals = {
            f"{letter}{number}": [of.get(area, [0, 0])[place] for area in self.areas]
            for number, of in enumerate(task["areas"].values())
            for place, letter in enumerate("xs")
        }
        self.totals = {"area": self.areas, **totals}

    @property
    def areas(self) -> list[str]:
        """The areas' names."""
        return sorted({area for known in self.task["areas"].values() for area in known})

    def formulas(self) -> list[str]:
        """Return the SQL of each feature over its aggregates."""
        return [self.place[name] if name in self.place else formula(self.task, name, self.place) for name in self.names]

    def slot(self, feature: dict[str, str]) -> str:
        """Return the name of the column and the number that an answer's part of the day (day of the week) has."""
        part = feature["statistic"] == "daypart"
        return f"{feature['statistic']} = {PARTS.index(feature['part']) if part else WEEKDAYS.index(feature['day'])}"


def with_duckdb(task: dict[str, Any]) -> tuple[Any, np.ndarray, list[str]]:
    """Return ids, matrix (features, people) and names by one wide query."""
    import duckdb
    import pyarrow as pa

    wide = Wide(task)
    hows = {"count": ("count", "1"), "machine": ("count", "1"), "sum": ("sum", "value"), "largest": ("max", "value"), "recency": ("min", "days")}
    hows |= {"first": ("max", "days"), "declared": ("arg_max", "stated"), "declared_age": ("min", "days")}

    def aggregate(how: str, argument: str, condition: str, name: str) -> str:
        last = ", t" if how.startswith("arg_") else ""
        if task["peer"] == "duckdb-filter":
            return f"{how}({argument}{last}) FILTER (WHERE {condition}) AS {name}"
        if last:
            return f"{how}({argument}, CASE WHEN {condition} THEN t END) AS {name}"
        return f"{how}(CASE WHEN {condition} THEN {argument} END) AS {name}"

    parts = [aggregate("arg_min", "source", "live", "first_source"), aggregate("arg_max", "source", "live", "last_source")]
    for name in wide.aggregates:
        feature = fields_of(name)
        how = ("sum", f"weight_{feature['half_life']}") if feature["statistic"] == "decayed" else hows[feature["statistic"]]
        parts.append(aggregate(*how, " AND ".join(selection(feature)), wide.place[name]))
    parts += [aggregate("count", "1", f"engaged AND {wide.slot(feature)}", wide.place[f"{name} n"]) for name, feature in wide.rhythm.items()]
    rows = ", ".join(f"{sql} AS {name}" for name, sql in columns(task).items())
    sources = ", ".join(f"('{name}', {code})" for name, code in task["sources"].items())
    replaced = ", ".join(f"coalesce({column}, 0) AS {column}" for column in wide.counted)
    joined, as_of_us = "joined_at IS NULL OR epoch_us(joined_at) <", task["as_of_us"]
    query = f"""
        WITH rows AS MATERIALIZED (
            SELECT *, ((local // {DAY}) + 3) % 7 AS weekday, (local % {DAY}) // {DAY // 4} AS daypart FROM (
                SELECT person_id, t, value, source, {rows}, {local(task)} AS local
                FROM (SELECT *, epoch_us(occurred_at) AS t FROM read_parquet({task["interactions"]}))
                LEFT JOIN (VALUES {sources}) AS s(source_id, source) USING (source_id)
                WHERE t < {as_of_us} AND epoch_us(received_at) <= {as_of_us}))
        SELECT person_id, {", ".join(f"CAST({sql} AS FLOAT)" for sql in wide.formulas())} FROM (
            SELECT * REPLACE ({replaced}), {as_of_us // DAY} - epoch_us(joined_at) // {DAY} AS tenure FROM read_parquet({task["people"]})
            LEFT JOIN areas USING (area) LEFT JOIN (SELECT person_id, {", ".join(parts)} FROM rows GROUP BY person_id) USING (person_id)
            WHERE {joined} {as_of_us})"""
    settings = {"memory_limit": task["memory_limit"], "temp_directory": task["folder"] + "/spill", "threads": 2, "preserve_insertion_order": False}
    with duckdb.connect(config=settings) as database:
        database.register("areas", pa.table(wide.totals))
        count = database.sql(f"SELECT count(*) FROM read_parquet({task['people']}) WHERE {joined} {as_of_us}").fetchall()[0][0]
        matrix, ids, first = np.empty((len(wide.names), count), dtype=np.float32), [], 0
        for batch in database.sql(query).to_arrow_reader(100_000):
            for number in range(len(wide.names)):
                matrix[number, first : first + len(batch)] = batch.column(number + 1).to_numpy(zero_copy_only=False)
            ids.append(batch.column(0))
            first += len(batch)
    return pa.chunked_array(ids), matrix, wide.names


def with_polars(task: dict[str, Any]) -> tuple[Any, np.ndarray, list[str]]:
    """Return ids, matrix and names by one `group_by().agg([...])` of filtered aggregations, on Polars' streaming engine."""
    import polars as pl

    wide = Wide(task)
    as_of_us = task["as_of_us"]

    def aggregate(name: str) -> Any:
        feature = fields_of(name)
        mask = reduce(and_, map(pl.col, selection(feature)))
        statistic = feature["statistic"]
        if statistic in {"count", "machine"}:
            return mask.sum()
        if statistic == "declared":
            return pl.col("stated").filter(mask).max_by(pl.col("t").filter(mask))
        column = {"sum": "value", "largest": "value", "decayed": f"weight_{feature.get('half_life')}"}.get(statistic, "days")
        kept = pl.when(mask).then(column)
        return kept.sum() if statistic in {"sum", "decayed"} else kept.max() if statistic in {"largest", "first"} else kept.min()

    source = pl.col("source_id").replace_strict(task["sources"], return_dtype=pl.Int8)
    rows = pl.scan_parquet(task["interactions"]).with_columns(t=pl.col("occurred_at").dt.timestamp("us"), source=source)
    rows = rows.filter(pl.col("t") < as_of_us, pl.col("received_at").dt.timestamp("us") <= as_of_us)
    rows = rows.select(
        "person_id", "t", "value", "source", *(_column(name, sql).alias(name) for name, sql in columns(task).items()), local=pl.sql_expr(local(task))
    )
    rows = rows.with_columns(weekday=(pl.col("local") // DAY + 3) % 7, daypart=pl.col("local") % DAY // (DAY // 4))
    live = [
        getattr(pl.col("source").filter("live"), how)(pl.col("t").filter("live")).alias(f"{which}_source")
        for how, which in (("min_by", "first"), ("max_by", "last"))
    ]
    slots = [(pl.col("engaged") & pl.sql_expr(wide.slot(feature))).sum().alias(wide.place[f"{name} n"]) for name, feature in wide.rhythm.items()]
    totals = rows.group_by("person_id").agg([*live, *(aggregate(name).alias(wide.place[name]) for name in wide.aggregates), *slots])
    joined_us = pl.col("joined_at").dt.timestamp("us")
    people = pl.scan_parquet(task["people"]).filter(joined_us.is_null() | (joined_us < as_of_us)).with_columns(tenure=as_of_us // DAY - joined_us // DAY)
    people = (
        people.join(pl.LazyFrame(wide.totals), on="area", how="left").join(totals, on="person_id", how="left").with_columns(pl.col(wide.counted).fill_null(0))
    )
    formulas = [pl.sql_expr(sql).cast(pl.Float32).alias(f"f{number}") for number, sql in enumerate(wide.formulas())]
    found = people.select("person_id", *formulas).collect(engine="streaming")
    ids = found["person_id"]
    matrix = np.empty((len(wide.names), len(ids)), dtype=np.float32)
    for number in range(len(wide.names)):
        matrix[number] = found[f"f{number}"].to_numpy()
    return ids, matrix, wide.names


def _column(name: str, sql: str) -> Any:
    import polars as pl

    topic = name.removeprefix("topic_")
    return pl.sql_expr(sql) if topic == name else pl.col("topic").str.contains(topic, literal=True)


def with_featuretools(task: dict[str, Any]) -> tuple[Any, np.ndarray, list[str]]:
    """Return ids, matrix and names of the first `part` people: counts by kind, channel and topic, sums and the largest, over every window."""
    import featuretools as ft
    import pandas as pd
    import pyarrow.parquet as pq

    as_of = pd.Timestamp(task["as_of_us"], unit="us")
    people = pq.read_table(task["people"], columns=["person_id", "joined_at"]).to_pandas()
    people["joined_at"] = people["joined_at"].dt.tz_localize(None)
    people = people[people["joined_at"] < as_of].sort_values("person_id")[["person_id"]].head(task["part"])
    rows = pq.read_table(task["interactions"], filters=[("person_id", "<=", people["person_id"].iloc[-1])]).to_pandas()
    rows = rows[rows["person_id"].isin(people["person_id"])]
    rows["t"] = rows["occurred_at"].dt.tz_localize(None)
    rows = rows[(rows["received_at"].dt.tz_localize(None) <= as_of) & ~rows["is_machine"]]
    groups = {"any-engagement": task["engagement"], "any-out": task["out"], "any-in": task["in"], **{kind: [kind] for kind in task["kinds"]}}
    computed = [name for name in task["names"] if fields_of(name)["statistic"] in {"count", "sum", "largest"}]
    masks = {}
    for name in computed:
        kind, channel, topic = (fields_of(name)[field] for field in ("kind", "channel", "topic"))
        if (kind, channel, topic) not in masks:
            about = rows["topic"].notna() if topic == "any-topic" else topic == "any" or rows["topic"].str.contains(topic, regex=False, na=False)
            masks[kind, channel, topic] = rows["kind"].isin(groups[kind]) & (channel == "any" or rows["channel"] == channel) & about
    flags = pd.DataFrame({f"m{number}": mask for number, mask in enumerate(masks.values())})
    entities = ft.EntitySet("history")
    entities.add_dataframe(people, "people", index="person_id", logical_types={"person_id": "Categorical"})
    rows = pd.concat([rows[["interaction_id", "person_id", "t", "value"]], flags], axis=1)
    types = {"interaction_id": "Unknown", "person_id": "Categorical", "value": "Double", **dict.fromkeys(flags.columns, "Boolean")}
    entities.add_dataframe(rows, "interactions", index="interaction_id", time_index="t", logical_types=types)
    entities.add_relationship("people", "person_id", "interactions", "person_id")
    place = {selected: f"m{number}" for number, selected in enumerate(masks)}
    matrix, ids = np.empty((len(computed), len(people)), dtype=np.float32), people["person_id"].tolist()
    for window in dict.fromkeys(fields_of(name).get("window", "all") for name in computed):
        mine = [name for name in computed if fields_of(name).get("window", "all") == window]
        features = [_entity_feature(entities, fields_of(name), place) for name in mine]
        span = None if window == "all" else ft.Timedelta(int(window[:-1]), "d")
        found = ft.calculate_feature_matrix(features, entities, cutoff_time=as_of, training_window=span, include_cutoff_time=False).loc[ids]
        for name, feature in zip(mine, features, strict=True):
            values = found[feature.get_name()].to_numpy(dtype=np.float32)
            matrix[computed.index(name)] = values if name.startswith("largest") else np.nan_to_num(values)
    task["seen"] = len(rows)
    return ids, matrix, computed


def _entity_feature(entities: Any, feature: dict[str, str], place: dict[tuple[str, str, str], str]) -> Any:
    import featuretools as ft
    from featuretools.primitives import Count, Max, Sum

    flag = ft.Feature(entities["interactions"].ww[place[feature["kind"], feature["channel"], feature["topic"]]])
    column, primitive = ("interaction_id", Count) if feature["statistic"] == "count" else ("value", Sum if feature["statistic"] == "sum" else Max)
    return ft.Feature(entities["interactions"].ww[column], parent_dataframe_name="people", where=flag, primitive=primitive)
