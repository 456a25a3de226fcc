"""The relations that expressions stand on, made from the stored files for one engine: tables of a version, and the codes of what is listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from features import query
from features.calendar import Offset, offsets
from features.engine import Engine
from features.entering import SOURCES, Entering
from features.published import OvertakenError
from features.vocabulary import Vocabulary

INTERACTIONS = {
    "interaction_id": ("interaction_id", "VARCHAR"),
    "person_id": ("person_id", "VARCHAR"),
    "occurred_us": ("occurred_at", "EPOCH_US"),
    "received_us": ("received_at", "EPOCH_US"),
    "kind": ("kind", "VARCHAR"),
    "channel": ("channel", "VARCHAR"),
    "topic": ("topic", "VARCHAR"),
    "direction": ("direction", "VARCHAR"),
    "value": ("value", "DOUBLE"),
    "source_id": ("source_id", "VARCHAR"),
    "is_machine": ("is_machine", "BOOLEAN"),
    "batch_id": ("batch_id", "VARCHAR"),
}


class StoredTables(Protocol):
    """What a build reads of `features.history.History`."""

    def files(self, table: str, version: int | None = None) -> list[str]:
        """Return the Parquet files of a table at a version."""
        ...

    def versions(self) -> dict[str, int]:
        """Return every table's version."""
        ...


class Standing:
    """Stored tables as they stand when this is made: what is stored later is not there, and each table's log is read once."""

    def __init__(self, history: StoredTables) -> None:
        self._history = history
        self._versions = history.versions()
        self._files: dict[tuple[str, int], list[str]] = {}

    def files(self, table: str, version: int | None = None) -> list[str]:
        """Return the Parquet files of a table at a version, by default the one it has here."""
        at = self._versions[table] if version is None else version
        if (table, at) not in self._files:
            self._files[table, at] = self._history.files(table, at)
        return self._files[table, at]

    def versions(self) -> dict[str, int]:
        """Return every table's version here."""
        return self._versions

    def stands(self) -> bool:
        """Return whether the files that were named here are still those of their versions: they are not where somebody's rows were deleted since."""
        return all(files == self._history.files(table, at) for (table, at), files in self._files.items())

    def check(self) -> None:
        """Raise OvertakenError where somebody's rows were deleted since: what was made of them may not be published."""
        if not self.stands():
            raise OvertakenError("people were deleted from the tables while vectors were built: nothing was published; build them again")


class Runner(Protocol):
    """What `features.engine.Engine` does, and any other engine has to do, for the relations below."""

    def files(self, name: str, paths: Sequence[str], columns: Mapping[str, tuple[str, str]]) -> None:
        """Make the relation `name` from Parquet files."""
        ...

    def register(self, name: str, table: pa.Table) -> None:
        """Make the relation `name` from an Arrow table."""
        ...

    def define(self, name: str, expression: object) -> None:
        """Make the relation `name` of an Ibis expression, which is run whenever the relation is read."""
        ...

    def between(self, name: str, source: str, column: str, low: str | None = None, high: str | None = None) -> None:
        """Make the relation `name` of the records of `source` whose `column` lies between two texts."""
        ...

    def run(self, expression: object) -> pa.Table:
        """Return the whole result of an Ibis expression."""
        ...


def people_columns(vocabulary: Vocabulary) -> dict[str, tuple[str, str]]:
    """Return the columns of the relation `people`: each one's source column and SQL type."""
    attributes = {f"attribute_{item.id}": (item.id, "DOUBLE" if item.type == "numeric" else "VARCHAR") for item in vocabulary.attributes}
    known = {"person_id": ("person_id", "VARCHAR"), "birth_year": ("birth_year", "BIGINT"), "joined_us": ("joined_at", "EPOCH_US"), "area": ("area", "VARCHAR")}
    return {**known, **attributes}


def names_of(paths: Sequence[str]) -> list[str]:
    """Return the files' names with the folder they lie in, which is all of them that tells versions apart."""
    return ["/".join(Path(path).parts[-2:]) for path in paths]


class Relations:
    """The relations `interactions`, `people` and the codes of `query.CODES`, on one engine, at stated versions.

    `between` narrows `interactions` and `people` to a range of person ids; at first they hold everything, or the range from `low` to `high`.
    The codes of several topics are those of what they hold when these are registered, which is at first unless `coded` is false. Rows that may not enter
    are not there (`features.entering`): `own` leaves out what online targeting may not rest on, and where rows may end (`limited`), `interactions` says
    until when each counts.
    """

    def __init__(
        self,
        engine: Runner,
        history: StoredTables,
        vocabulary: Vocabulary,
        versions: Mapping[str, int] | None = None,
        *,
        low: str | None = None,
        high: str | None = None,
        own: bool = False,
        coded: bool = True,
    ) -> None:
        present = history.versions()
        self.engine = engine
        self.vocabulary = vocabulary
        self.versions = {table: int((versions or present).get(table, present.get(table, -1))) for table in ("interactions", "people", "sources")}
        self._paths = {table: history.files(table, version) if version >= 0 else [] for table, version in self.versions.items()}
        self.files = {table: names_of(paths) for table, paths in self._paths.items()}
        engine.files("sources", self._paths["sources"], SOURCES)
        self.entering = Entering.of(engine.run(query.sources()).to_pylist(), vocabulary, own=own)
        self.limited = self.entering.limited
        self._stored()
        self.between(low, high)
        if coded:
            self.register_codes()

    def _stored(self) -> None:
        """Make the relations `all_interactions` and `all_people` of what may enter."""
        engine, entering, people = self.engine, self.entering, people_columns(self.vocabulary)
        for name, table in entering.tables().items() if entering.own or entering.limited else ():
            engine.register(name, table)
        if entering.own or entering.limited:
            interactions = INTERACTIONS | ({"collected_how": ("collected_how", "VARCHAR")} if entering.own else {})
            engine.files("stored_interactions", self._paths["interactions"], interactions)
            if entering.withholding:
                engine.register("withheld_topics", entering.withheld_topics(engine.run(query.stored_topics()).column("topic").to_pylist()))
            engine.define("all_interactions", entering.interactions(interactions))
        else:
            engine.files("all_interactions", self._paths["interactions"], INTERACTIONS)
        if entering.own:
            people |= {"source_id": ("source_id", "VARCHAR")}
            engine.files("stored_people", self._paths["people"], people)
            engine.define("all_people", entering.people(people))
        else:
            engine.files("all_people", self._paths["people"], people)

    def between(self, low: str | None = None, high: str | None = None) -> None:
        """Narrow `interactions` and `people` to the persons between two ids, both included."""
        for table in ("interactions", "people"):
            self.engine.between(table, f"all_{table}", "person_id", low, high)

    def narrow(self, engine: Engine, people: pa.Array, *, small: bool) -> None:
        """Keep nothing but what is held of these persons, read once: for the few among millions. Ids of interactions and batches become null."""
        engine.among("all_interactions", "person_id", people, blank=("interaction_id", "batch_id"), small=small)
        engine.among("all_people", "person_id", people, small=small)
        self.between()

    def offsets(self, latest_us: int) -> tuple[Offset, ...]:
        """Return the offsets of the vocabulary's time zone over the interactions before a time; none are needed for UTC."""
        if self.vocabulary.timezone == "UTC":
            return ()
        span = self.engine.run(query.span())
        first, last = (span.column(name)[0].as_py() for name in ("first_us", "last_us"))
        if first is None or first >= latest_us:
            return ()
        years = np.array([first, min(last, latest_us)], dtype="datetime64[us]").astype("datetime64[Y]") + np.array([0, 1])
        return offsets(self.vocabulary.timezone, *years.astype("datetime64[us]").astype(np.int64).tolist())

    def topic_codes(self) -> pa.Table:
        """Return the relation `topic_codes` of the topics listed and of the texts of several topics that `interactions` has now."""
        ids = self.vocabulary.topic_ids
        records = [(topic, code, 0) for code, topic in enumerate(ids)]
        for text in sorted(self.engine.run(query.topic_texts()).column("topic").to_pylist()) if ids else ():
            listed = dict.fromkeys(ids.index(topic) for part in text.split(";") if (topic := part.strip()) in ids)
            records += [(text, code, min(number, 1)) for number, code in enumerate(listed)]
        return _table(records, "topic_codes")

    def register_codes(self) -> None:
        """Make the relations of `query.CODES`."""
        vocabulary = self.vocabulary
        self.engine.register("kind_codes", _table([(kind.id, code) for code, kind in enumerate(vocabulary.kinds)], "kind_codes"))
        self.engine.register("channel_codes", _table([(channel.id, code) for code, channel in enumerate(vocabulary.channels)], "channel_codes"))
        self.engine.register("topic_codes", self.topic_codes())
        types = {item.id: code for code, item in enumerate(vocabulary.source_types)}
        sources = self.entering.sources.values() if types else ()
        self.engine.register("source_codes", _table([(one["source_id"], types.get(one["type"], len(types))) for one in sources], "source_codes"))


def _table(records: Sequence[tuple[object, ...]], name: str) -> pa.Table:
    kinds = {"string": pa.string(), "int64": pa.int64()}
    columns = query.CODES[name]
    return pa.table({column: pa.array([record[number] for record in records], kinds[kind]) for number, (column, kind) in enumerate(columns.items())})
