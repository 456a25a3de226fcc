"""The features in long form, as users of Polars and of pandas would write them: group-bys on (person, code) into a dense matrix.

Nothing of the product is used: `task` says which features, words and files there are, and which numbers of the base are given. The matrix
is held feature by feature, which suits these peers best. People are taken in chunks, which are faster than everything at once and bound memory.
"""

# ruff: noqa: PLC0415  a peer's own environment has only that peer

from __future__ import annotations

from typing import Any

import numpy as np

DAY = 86_400_000_000
COLUMNS = ("person_id", "occurred_at", "received_at", "kind", "channel", "topic", "value", "source_id", "is_machine")
PARTS = ("night", "morning", "afternoon", "evening")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Polars:
    """Reads and groups with Polars: one integer key, several aggregates, then a scatter with numpy."""

    chunk = 25_000

    def __init__(self, task: dict[str, Any]) -> None:
        import polars as pl

        self.pl, self.task = pl, task

    def people(self) -> dict[str, np.ndarray]:
        """Read who is in the base; return its columns, sorted by person."""
        pl = self.pl
        found = pl.scan_parquet(self.task["people"]).filter(pl.col("joined_at").is_null() | (pl.col("joined_at").dt.timestamp("us") < self.task["as_of_us"]))
        found = found.with_columns(pl.col("joined_at").dt.timestamp("us").cast(pl.Float64)).sort("person_id").collect()
        self.ids = found["person_id"]
        return {name: found[name].to_numpy() for name in found.columns if name != "person_id"}

    def read(self, first: int, last: int) -> dict[str, np.ndarray]:
        """Read the interactions of people `first` to `last` (without it), each with its person's row; texts become codes."""
        pl, task = self.pl, self.task
        ids = self.ids[first:last]
        occurred, received = (pl.col(name).dt.timestamp("us") for name in ("occurred_at", "received_at"))
        codes = [pl.col(name).cast(pl.Enum(task[f"{name}s"])).to_physical().cast(pl.Int32) for name in ("kind", "channel")]
        found = (
            pl.scan_parquet(task["interactions"])
            .filter(pl.col("person_id").is_between(pl.lit(ids[0]), pl.lit(ids[-1])), occurred < task["as_of_us"], received <= task["as_of_us"])
            .select("person_id", occurred.alias("t"), *codes, pl.col("topic", "source_id").cast(pl.Categorical), "value", "is_machine")
            .collect()
        )
        runs = found["person_id"].rle().struct.unnest()
        rows = {name: found[name].to_numpy() for name in ("t", "kind", "channel", "value", "is_machine")}
        for name in ("topic", "source_id"):
            texts = found[name].unique().drop_nulls().cast(pl.String).to_list()
            rows[name], rows[f"{name}s"] = found[name].cast(pl.Enum(texts)).to_physical().cast(pl.Int64).fill_null(-1).to_numpy(), texts
        return rows | {"row": np.repeat(ids.search_sorted(runs["value"]).to_numpy().astype(np.int64), runs["len"].to_numpy())}

    def grouped(self, row: np.ndarray, code: np.ndarray, shape: tuple[int, int], **values: tuple[np.ndarray, str]) -> dict[str, np.ndarray]:
        """Return n and each of `values` (column, how) of every (person, code), dense (codes, people): 0, or NaN where nothing can be said."""
        pl, (codes, people) = self.pl, shape
        frame = pl.DataFrame({"key": code * people + row, **{name: column for name, (column, _) in values.items()}})
        found = frame.lazy().group_by("key").agg(pl.len().alias("n"), *(getattr(pl.col(name), how)() for name, (_, how) in values.items())).collect()
        key, dense = found["key"].to_numpy(), {}
        for name in ("n", *values):
            missing = name in values and values[name][1] != "sum"
            times = name in values and values[name][0].dtype == np.int64
            dense[name] = np.full(codes * people, np.nan, np.float64 if times else np.float32) if missing else np.zeros(codes * people, np.float32)
            dense[name][key] = found[name].to_numpy()
            dense[name] = dense[name].reshape(codes, people)
        return dense


class Pandas:
    """Reads and groups with pandas: group by person and code, then unstack."""

    chunk = 50_000

    def __init__(self, task: dict[str, Any]) -> None:
        import pandas as pd

        self.pd, self.task = pd, task

    def people(self) -> dict[str, np.ndarray]:
        """Read who is in the base; return its columns, sorted by person."""
        pd = self.pd
        found = pd.read_parquet(self.task["people"]).sort_values("person_id")
        found = found[found["joined_at"].isna() | (found["joined_at"] < pd.Timestamp(self.task["as_of_us"], unit="us", tz="UTC"))]
        self.ids = pd.Index(found["person_id"])
        joined = found["joined_at"].dt.tz_localize(None).astype("datetime64[us]")
        found["joined_at"] = np.where(joined.isna(), np.nan, joined.astype("int64"))
        return {name: found[name].to_numpy() for name in found.columns if name != "person_id"}

    def read(self, first: int, last: int) -> dict[str, np.ndarray]:
        """Read the interactions of people `first` to `last` (without it), each with its person's row; texts become codes."""
        pd, task = self.pd, self.task
        ids = self.ids[first:last]
        found = pd.read_parquet(task["interactions"], columns=list(COLUMNS), filters=[("person_id", ">=", ids[0]), ("person_id", "<=", ids[-1])])
        times = {name: found[name].dt.tz_localize(None).astype("datetime64[us]").astype("int64").to_numpy() for name in ("occurred_at", "received_at")}
        seen = (times["occurred_at"] < task["as_of_us"]) & (times["received_at"] <= task["as_of_us"])
        found, rows = found[seen], {"t": times["occurred_at"][seen]}
        for name in ("kind", "channel"):
            rows[name] = found[name].astype(pd.CategoricalDtype(task[f"{name}s"])).cat.codes.to_numpy().astype(np.int64)
        for name in ("topic", "source_id"):
            rows[name], texts = pd.factorize(found[name])
            rows[f"{name}s"] = list(texts)
        numbers, texts = pd.factorize(found["person_id"])
        return rows | {"value": found["value"].to_numpy(), "is_machine": found["is_machine"].to_numpy(), "row": ids.get_indexer(texts)[numbers]}

    def grouped(self, row: np.ndarray, code: np.ndarray, shape: tuple[int, int], **values: tuple[np.ndarray, str]) -> dict[str, np.ndarray]:
        """Return n and each of `values` (column, how) of every (person, code), dense (codes, people): 0, or NaN where nothing can be said."""
        pd, (codes, people) = self.pd, shape
        groups = pd.DataFrame({"row": row, "code": code, **{name: column for name, (column, _) in values.items()}}).groupby(["row", "code"])
        found = {"n": groups.size(), **{name: getattr(groups[name], how)() for name, (_, how) in values.items()}}
        dense = {}
        for name, series in found.items():
            empty = np.nan if name in values and values[name][1] != "sum" else 0
            dense[name] = series.unstack(fill_value=empty).reindex(index=range(people), columns=range(codes), fill_value=empty).to_numpy().T  # noqa: PD010 - it is what is measured
        return dense


class Chunk:
    """The features of the people of one chunk, written into `out` (features, people)."""

    def __init__(self, engine: Polars | Pandas, rows: dict[str, np.ndarray], out: np.ndarray) -> None:
        self.engine, self.task, self.out = engine, engine.task, out
        self.place = {name: number for number, name in enumerate(self.task["names"])}
        self.people = out.shape[1]
        self.n_kinds, self.n_channels, self.n_topics = (len(self.task[name]) for name in ("kinds", "channels", "topics"))
        self.windows = [f"{days}d" for days in self.task["windows_days"]] + ["all"]
        self.n_windows = len(self.windows)
        self.engaged = np.isin(self.task["kinds"], self.task["engagement"])
        self.sent = np.isin(self.task["kinds"], self.task["out"])
        topics = [[self.task["topics"].index(topic) for topic in (text or "").split(";") if topic in self.task["topics"]] for text in rows.pop("topics")]
        types = [self.task["sources"][source] for source in rows.pop("source_ids")]
        rows["source"] = np.array(types, dtype=np.int8)[rows.pop("source_id")]
        self._machines(rows)
        live = np.flatnonzero(~rows.pop("is_machine"))
        rows = {name: column[live] for name, column in rows.items()}
        age = self.task["as_of_us"] - rows["t"]
        rows["bucket"] = np.searchsorted(np.array(self.task["windows_days"]) * DAY, age).astype(np.int64)
        rows["days"] = (self.task["as_of_us"] // DAY - rows["t"] // DAY).astype(np.int32)
        halves = np.array(self.task["half_lives_days"])[:, None]
        weights = 2.0 ** (-np.arange(int(rows["days"].max(initial=0)) + 1) / halves)
        for half, weight in zip(self.task["half_lives_days"], weights, strict=True):
            rows[f"w{half}"] = weight[rows["days"]]
        self.rows = rows
        self.each = self._each_topic(topics)

    def _each_topic(self, topics: list[list[int]]) -> dict[str, np.ndarray]:
        """Return the rows once per topic, and set each row's main topic, -1 for none."""
        parts, code = [], self.rows.pop("topic").astype(np.int64)
        needed = [name for name in self.rows if name not in {"channel", "source"}]
        code[(code < 0) | (code >= len(topics))] = len(topics)
        for place in range(max(map(len, topics), default=0)):
            listed = np.array([some[place] if place < len(some) else -1 for some in [*topics, []]])[code]
            if place == 0:
                self.rows["main"] = listed
            chosen = np.flatnonzero(listed >= 0)
            parts.append({name: self.rows[name][chosen] for name in needed} | {"topic": listed[chosen]})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def grouped(self, rows: dict[str, np.ndarray], chosen: np.ndarray | None, code: np.ndarray, codes: int, **values: Any) -> dict[str, np.ndarray]:
        """Group the chosen rows by person and code; `values` are name = (column, how)."""
        taken = {name: (rows[column], how) for name, (column, how) in values.items()}
        row, code = rows["row"], np.broadcast_to(code, rows["row"].shape)
        if chosen is not None:
            row, code, taken = row[chosen], code[chosen], {name: (column[chosen], how) for name, (column, how) in taken.items()}
        return self.engine.grouped(row, code, (codes, self.people), **taken)

    def put(self, value: Any, statistic: str, kind: str = "any", channel: str = "any", topic: str = "any", **fields: str) -> None:
        """Write a column, if the catalogue has it."""
        self._write("|".join([statistic, f"kind={kind}", f"channel={channel}", f"topic={topic}", *(f"{key}={text}" for key, text in fields.items())]), value)

    def _write(self, name: str, value: Any) -> None:
        if name in self.place:
            self.out[self.place[name]] = value

    def get(self, kind: str, channel: str, topic: str, window: str) -> np.ndarray:
        """Return a column of counts."""
        return self.out[self.place[f"count|kind={kind}|channel={channel}|topic={topic}|window={window}"]].astype(np.float64)

    def windowed(self, counts: np.ndarray, *about: str, statistic: str = "count") -> None:
        """Write counts (buckets, people) as windows."""
        total: Any = 0
        for window, column in zip(self.windows, counts, strict=True):
            total = total + column
            self.put(total, statistic, *about, window=window)

    def fill(self) -> None:
        """Write every column."""
        for step in (self._kinds, self._channels, self._topics, self._values, self._unanswered, self._declared, self._rhythm, self._sources):
            step()
        for name in self.task["names"]:
            statistic, *pairs = name.split("|")
            formula = FORMULAS.get(statistic)
            if formula is not None:
                fields = dict(pair.split("=") for pair in pairs)
                self._write(name, formula(self, name, *(fields.get(key, "any") for key in ("kind", "channel", "topic")), fields))

    def _machines(self, rows: dict[str, np.ndarray]) -> None:
        bucket = np.searchsorted(np.array(self.task["windows_days"]) * DAY, self.task["as_of_us"] - rows["t"]).astype(np.int64)
        self.windowed(self.grouped(rows, rows["is_machine"], bucket, self.n_windows)["n"], "any", statistic="machine")

    def _kinds(self) -> None:
        halves = {f"w{half}": (f"w{half}", "sum") for half in self.task["half_lives_days"]}
        code = self.rows["kind"] * self.n_windows + self.rows["bucket"]
        found = self.grouped(self.rows, None, code, self.n_kinds * self.n_windows, low=("days", "min"), high=("days", "max"), **halves)
        found = {name: column.reshape(self.n_kinds, self.n_windows, self.people) for name, column in found.items()}
        low, high = (how(found[name], axis=1) for name, how in (("low", np.fmin.reduce), ("high", np.fmax.reduce)))
        for number, kind in enumerate(self.task["kinds"]):
            self.windowed(found["n"][number], kind)
            self.put(low[number], "recency", kind)
            for half in halves:
                self.put(found[half][number].sum(axis=0), "decayed", kind, half_life=f"{half[1:]}d")
        for group, chosen in (("any-engagement", self.engaged), ("any-out", self.sent)):
            self.windowed(found["n"][chosen].sum(axis=0), group)
        self.put(np.fmin.reduce(low[self.engaged]), "recency", "any-engagement")
        self.put(np.fmax.reduce(high[self.engaged]), "first", "any-engagement")
        for half in halves:
            self.put(found[half][self.engaged].sum(axis=(0, 1)), "decayed", "any-engagement", half_life=f"{half[1:]}d")

    def _channels(self) -> None:
        group = np.where(self.engaged, 0, np.where(self.sent, 2, 1))[self.rows["kind"]]
        code = (group * self.n_channels + self.rows["channel"]) * self.n_windows + self.rows["bucket"]
        counts = self.grouped(self.rows, None, code, 3 * self.n_channels * self.n_windows)["n"].reshape(3, self.n_channels, self.n_windows, self.people)
        for number, channel in enumerate(self.task["channels"]):
            for name, part in (("any-engagement", counts[0]), ("any-in", counts[0] + counts[1]), ("any-out", counts[2])):
                self.windowed(part[number], name, channel)

    def _topics(self) -> None:
        named = [kind for kind in self.task["kinds"] if kind in self.task["engagement"]]
        position = np.array([named.index(kind) if kind in named else len(named) if kind in self.task["out"] else -1 for kind in self.task["kinds"]])
        kind = position[self.each["kind"]]
        code = (kind * self.n_topics + self.each["topic"]) * self.n_windows + self.each["bucket"]
        shape = (len(named) + 1, self.n_topics, self.n_windows, self.people)
        counts = self.grouped(self.each, kind >= 0, code, int(np.prod(shape[:3])))["n"].reshape(shape)
        answers = counts[:-1].sum(axis=0)
        code = np.where(kind == len(named), self.n_topics, 0) + self.each["topic"]
        halves = {f"w{half}": (f"w{half}", "sum") for half in self.task["half_lives_days"]}
        found = self.grouped(self.each, kind >= 0, code, 2 * self.n_topics, low=("days", "min"), **halves)
        for number, topic in enumerate(self.task["topics"]):
            self.windowed(answers[number], "any-engagement", "any", topic)
            self.windowed(counts[-1, number], "any-out", "any", topic)
            for one, name in enumerate(named):
                self.windowed(counts[one, number], name, "any", topic)
            self.put(found["low"][number], "recency", "any-engagement", "any", topic)
            for half in halves:
                self.put(found[half][number], "decayed", "any-engagement", "any", topic, half_life=f"{half[1:]}d")
                self.put(found[half][self.n_topics + number], "decayed", "any-out", "any", topic, half_life=f"{half[1:]}d")
        main = self.engaged[self.rows["kind"]] & (self.rows["main"] >= 0)
        self.windowed(self.grouped(self.rows, main, self.rows["bucket"], self.n_windows)["n"], "any-engagement", "any", "any-topic")
        row, topic = self.rows["row"][main], self.rows["main"][main]  # the files are sorted by person and time
        changes = np.flatnonzero((row[1:] == row[:-1]) & (topic[1:] != topic[:-1]))
        switches = self.grouped({"row": row[changes]}, None, np.zeros(1, dtype=np.int64), 1)["n"][0]
        self.put(switches, "switches", "any-engagement", "any", "any-topic")

    def _values(self) -> None:
        for kind in self.task["with_unit"]:
            chosen = (self.rows["kind"] == self.task["kinds"].index(kind)) & ~np.isnan(self.rows["value"])
            found = self.grouped(self.rows, chosen, self.rows["bucket"], self.n_windows, sum=("value", "sum"), largest=("value", "max"))
            self.windowed(found["sum"], kind, statistic="sum")
            self.put(np.fmax.reduce(found["largest"]), "largest", kind)

    def _unanswered(self) -> None:
        for rows, about, size in ((self.rows, None, 1), (self.rows, "channel", self.n_channels), (self.each, "topic", self.n_topics)):
            code = rows[about] if about else np.zeros(len(rows["row"]), dtype=np.int64)
            last = self.grouped(rows, self.engaged[rows["kind"]], code, size, last=("t", "max"))["last"]
            messages = self.sent[rows["kind"]] & ~(rows["t"] <= last[code, rows["row"]])
            for number, column in enumerate(self.grouped(rows, messages, code, size)["n"]):
                self.put(column, "unanswered", "any-out", **({about: self.task[f"{about}s"][number]} if about else {}))

    def _declared(self) -> None:
        chosen = np.isin(self.task["kinds"], self.task["declares"])[self.each["kind"]]
        order = np.flatnonzero(chosen)[np.argsort(self.each["t"][chosen], kind="stable")]
        rows = {name: self.each[name][order] for name in ("row", "topic", "value", "days")}
        rows["value"] = np.where(np.isnan(rows["value"]), 1.0, rows["value"])
        found = self.grouped(rows, None, rows["topic"], self.n_topics, value=("value", "last"), days=("days", "last"))
        for number, topic in enumerate(self.task["topics"]):
            self.put(found["value"][number], "declared", "any-declared", "any", topic)
            self.put(found["days"][number], "declared_age", "any-declared", "any", topic)

    def _rhythm(self) -> None:
        since, offset = (np.array([pair[place] for pair in self.task["offsets"]], dtype=np.int64) for place in (0, 1))
        local = self.rows["t"] + offset[np.maximum(np.searchsorted(since, self.rows["t"], side="right") - 1, 0)]
        slot = (local // DAY + 3) % 7 * 4 + local % DAY // (DAY // 4)
        counts = self.grouped(self.rows, self.engaged[self.rows["kind"]], slot, 28)["n"].reshape(7, 4, self.people)
        with np.errstate(invalid="ignore"):
            shares = counts / counts.sum(axis=(0, 1))
        for number, part in enumerate(PARTS):
            self.put(shares[:, number].sum(axis=0), "daypart", "any-engagement", part=part)
        for number, day in enumerate(WEEKDAYS):
            self.put(shares[number].sum(axis=0), "weekday", "any-engagement", day=day)

    def _sources(self) -> None:
        found = self.grouped(self.rows, None, np.zeros(1, dtype=np.int64), 1, first=("source", "first"), last=("source", "last"))
        for which in ("first", "last"):
            for number, kind in enumerate(self.task["source_types"]):
                self._write(f"source|which={which}|type={kind}", np.where(np.isnan(found[which][0]), np.nan, found[which][0] == number))

    # What follows are formulas over columns that are there by now.

    def _share(self, _: str, kind: str, channel: str, topic: str, fields: dict[str, str]) -> np.ndarray:
        whole = self.get(kind, channel, "any-topic", fields["window"]) if topic != "any" else self.get(kind, "any", "any", fields["window"])
        with np.errstate(invalid="ignore"):
            return self.get(kind, channel, topic, fields["window"]) / whole

    def _entropy(self, _: str, kind: str, channel: str, topic: str, fields: dict[str, str]) -> np.ndarray:
        del topic
        counts = np.array([self.get(kind, channel, topic, fields["window"]) for topic in self.task["topics"]])
        total = counts.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = counts / total
            return np.where(total > 0, -np.where(counts > 0, shares * np.log2(shares), 0).sum(axis=0), np.nan)

    def _trend(self, _: str, kind: str, channel: str, topic: str, fields: dict[str, str]) -> np.ndarray:
        expected = int(fields["window"][:-1]) / int(fields["over"][:-1])
        return (self.get(kind, channel, topic, fields["window"]) + 1) / (self.get(kind, channel, topic, fields["over"]) * expected + 1)

    def _days_between(self, kind: str, channel: str, topic: str) -> tuple[np.ndarray, np.ndarray]:
        recency, first = (self.out[self.place[f"{name}|kind={kind}|channel={channel}|topic={topic}"]].astype(np.float64) for name in ("recency", "first"))
        n = self.get(kind, channel, topic, "all")
        return recency, np.where(n > 1, (first - recency) / np.maximum(n - 1, 1), np.nan)

    def _habit(self, _: str, kind: str, channel: str, topic: str, __: dict[str, str]) -> np.ndarray:
        return self._days_between(kind, channel, topic)[1]

    def _overdue(self, _: str, kind: str, channel: str, topic: str, __: dict[str, str]) -> np.ndarray:
        recency, habit = self._days_between(kind, channel, topic)
        return recency / np.maximum(habit, 1)

    def _answers(self, kind: str, channel: str, topic: str, window: str) -> tuple[np.ndarray, np.ndarray]:
        kinds = ["any-engagement"] if kind == "any-out" else self.task["answers"][kind]
        return np.sum([self.get(one, channel, topic, window) for one in kinds], axis=0), self.get(kind, channel, topic, window)

    def _rate(self, name: str, kind: str, channel: str, topic: str, fields: dict[str, str]) -> np.ndarray:
        x, s = self._answers(kind, channel, topic, fields["window"])
        mean, strength = self.task["priors"][name]
        return np.where(s > 0, (x + mean * strength) / (s + strength), np.nan)

    def _area(self, name: str, kind: str, channel: str, topic: str, fields: dict[str, str]) -> np.ndarray:
        x, s = self._answers(kind, channel, topic, fields["window"])
        mean, strength = self.task["priors"][name]
        known = self.task["areas"][name]
        totals = np.array([known.get(area, (0, 0)) for area in self.areas[0]], dtype=np.float64)[self.areas[1]]
        others = np.where(self.areas[1] < len(self.areas[0]) - 1, totals[:, 1] - s, 0)
        return np.where(others > 0, (totals[:, 0] - x + mean * strength) / (others + strength), np.nan)

    def _supply(self, name: str, *_: Any) -> float:
        return self.task["supply"][name]

    def attributes(self, people: dict[str, np.ndarray], areas: tuple[list[str], np.ndarray]) -> None:
        """Write what `people` says; `areas` are their names, None last, and each person's place among them."""
        self.areas = areas
        self._write("age|since=birth_year", self.task["year"] - people["birth_year"])
        self._write("tenure|since=joined_at", self.task["as_of_us"] // DAY - people["joined_at"] // DAY)
        for name, categories in self.task["attributes"].items():
            if not categories:
                self._write(f"attribute|id={name}", people[name])
            missing = np.array([not isinstance(value, str) for value in people[name]]) if categories else None
            for category in categories:
                self._write(f"attribute|id={name}|category={category}", np.where(missing, np.nan, people[name] == category))


FORMULAS = {"share": Chunk._share, "entropy": Chunk._entropy, "trend": Chunk._trend, "habit": Chunk._habit}  # noqa: SLF001 - the class's own
FORMULAS |= {"overdue": Chunk._overdue, "rate": Chunk._rate, "area": Chunk._area, "supply": Chunk._supply}  # noqa: SLF001


def made(task: dict[str, Any]) -> tuple[list[str], np.ndarray, list[str]]:
    """Return the ids, the matrix (features, people) and the names of its features; in a file when `task` names one."""
    engine = {"polars-long": Polars, "pandas": Pandas}[task["peer"]](task)
    people = engine.people()
    count = len(engine.ids)
    area = [value if isinstance(value, str) else None for value in people["area"].tolist()]
    areas = [*sorted({value for value in area if value is not None}), None]
    numbers = {value: number for number, value in enumerate(areas)}
    place = np.array([numbers[value] for value in area])
    shape = (len(task["names"]), count)
    out = np.lib.format.open_memmap(task["into"], "w+", np.float32, shape) if task.get("into") else np.empty(shape, dtype=np.float32)
    for first in range(0, count, engine.chunk):
        last = min(first + engine.chunk, count)
        chunk = Chunk(engine, engine.read(first, last), out[:, first:last])
        chunk.attributes({name: column[first:last] for name, column in people.items()}, (areas, place[first:last]))
        chunk.fill()
    return engine.ids, out, task["names"]
