"""Random small histories: ties, edges of windows, late arrivals, machines, several topics, words that nobody knows."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq

from features.permission.retention import Retention
from features.tables import TABLES, arrow_schema
from features.vocabulary import Attribute, Channel, Kind, SourceType, Topic, Vocabulary

LAWS = int(os.environ.get("AUDIENCE_LAWS", "6"))
"""How many random histories the laws are tried on at least: `AUDIENCE_LAWS=200` for a thorough run."""

NOW = datetime(2026, 3, 31, 12, 30, tzinfo=UTC)
"""Two days after the clocks of Brussels went forward; two years after a leap day."""

WORDS = Vocabulary(
    kinds=(
        Kind(id="opened", direction="in", engagement=True, answers=("sent",), en="opened"),
        Kind(id="gift", direction="in", engagement=True, unit="EUR", en="gift"),
        Kind(id="stated", direction="in", declares=True, unit="points", en="stated"),
        Kind(id="left", direction="in", en="left"),
        Kind(id="sent", direction="out", en="sent"),
        Kind(id="called", direction="out", en="called"),
    ),
    channels=(Channel(id="email", en="email"), Channel(id="door", en="door")),
    topics=(Topic(id="housing", en="Housing"), Topic(id="climate", en="Climate"), Topic(id="wages", en="Wages")),
    attributes=(Attribute(id="size", type="numeric", en="size"), Attribute(id="gender", type="category", categories=("f", "m", "x y"), en="gender")),
    source_types=(SourceType(id="petition", en="petition"), SourceType(id="event", en="event")),
    windows_days=(7, 30, 400),
    half_lives_days=(10, 60),
    timezone="Europe/Brussels",
)
SOURCES = [
    {"source_id": f"s{n}", "type": kind, "collected_how": "observed", "collected_at": NOW, "political_purpose_stated": False, "supports_sponsor": False}
    for n, kind in enumerate(("petition", "event", "broker"))
]


def random_rules(seed):
    """Return words with random limits of how long rows count and something special, and sources that end at random times and were collected in random ways."""
    draw = random.Random(seed)
    days = [7, 30, 60, 400, 790]
    retention = Retention(
        interactions=draw.choice([None, 400, 790]),
        kinds={kind: draw.choice(days) for kind in draw.sample(["opened", "sent", "gift", "stated"], draw.randrange(4))},
        source_types={kind: draw.choice(days) for kind in draw.sample(["petition", "event", "broker"], draw.randrange(3))},
    )
    ends = [None, None, NOW, NOW + timedelta(microseconds=1), NOW + timedelta(hours=3), NOW - timedelta(days=3), NOW + timedelta(days=99)]
    ways = ["from_person", "observed", "observed", "third_party", "public"]
    special = {draw.choice(["housing", "climate", "wages"]), draw.choice(["size", "gender"])}
    classed = {group: tuple(_classed(one, special) for one in getattr(WORDS, group)) for group in ("topics", "attributes")}
    sources = [row | {"expires_at": draw.choice(ends), "collected_how": draw.choice(ways)} for row in SOURCES]
    return WORDS.model_copy(update={"retention": retention, **classed}), sources


def _classed(one, special):
    if one.id not in special:
        return one
    return one.model_copy(update={"sensitivity": "special"} | ({"in_models": True} if isinstance(one, Attribute) else {}))


EDGES = [timedelta(days=days, seconds=seconds) for days in (0, 7, 30, 400) for seconds in (-1, 0, 1)] + [timedelta(microseconds=n) for n in (-1, 1)]
CLOCKS = [datetime(2026, 3, 29, hour, minute, tzinfo=UTC) for hour in (0, 1) for minute in (0, 59)] + [datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)]


def interaction(draw, number, person=None):
    """Return one random interaction near `NOW`, the edges of its windows and the changes of the clock; `draw` is a random.Random."""
    kind = draw.choice(["opened", "opened", "gift", "stated", "left", "sent", "sent", "called", "unheard_of"])
    age = draw.choice(EDGES) if draw.random() < 0.25 else timedelta(seconds=draw.randrange(-5 * 86_400, 800 * 86_400))
    occurred = draw.choice(CLOCKS) if draw.random() < 0.1 else NOW - age
    received = occurred + draw.choice([timedelta(0), timedelta(0), age, age + timedelta(microseconds=1), timedelta(days=draw.randrange(40))])
    return {
        "interaction_id": f"i{number}",
        "person_id": person or f"p:{draw.randrange(12)}",
        "occurred_at": occurred,
        "received_at": max(received, occurred),
        "kind": kind,
        "channel": draw.choice(["email", "email", "door", "pigeon"]),
        "topic": draw.choice(["housing", "climate", "wages", "housing;climate", "wages;gone;housing", "gone", None, None]),
        "direction": "out" if kind in {"sent", "called"} else "in",
        "value": draw.choice([None, 5.0, 12.25, 1000.01, -3.5]) if kind in {"gift", "stated"} else None,
        "source_id": draw.choice(["s0", "s1", "s2", "s9"]),
        "collected_how": draw.choice(["from_person", "observed", "observed", "observed", "third_party", "public"]),
        "is_machine": draw.random() < 0.1,
        "batch_id": draw.choice(["b1", None]),
    }


def person(draw, number):
    """Return one random row of `people`."""
    return {
        "person_id": f"p:{number}",
        "birth_year": draw.choice([None, 1950, 1999, 2026, 2030]),
        "area": draw.choice([None, "north", "north", "south"]),
        "joined_at": draw.choice([None, NOW, NOW - timedelta(microseconds=1), NOW - timedelta(days=300), NOW + timedelta(days=3)]),
        "status": "member",
        "source_id": draw.choice(["s0", "s1", "s2", "s9"]),
        "size": draw.choice([None, 1.0, 4.0]),
        "gender": draw.choice([None, "f", "m", "x y"]),
    }


def random_history(seed, interactions=250, people=10):
    """Return interactions and people, as lists of dicts."""
    draw = random.Random(seed)
    return [interaction(draw, number) for number in range(interactions)], [person(draw, number) for number in range(people)]


class Tables:
    """Parquet tables that answer as the stored history does: versions, new files, deletions that rewrite files of the past too."""

    def __init__(self, folder, interactions, people, sources=SOURCES, words=WORDS):
        self.folder = folder
        self.words = words
        self.rows = {}
        self.past = {"interactions": [[], [], []], "people": [[], [], [], [], []], "sources": []}  # versions of before, which had no rows
        self.successors = {}
        half = len(interactions) // 2
        first = [self._write("interactions", part) for part in (interactions[:half], interactions[half:])]
        self.past["interactions"].append(first)
        self.past["people"].append([self._write("people", people)])
        self.past["sources"].append([self._write("sources", list(sources))])

    def _write(self, name, rows):
        path = str(self.folder / f"{name}.{len(self.rows)}.parquet")
        pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(TABLES[name], self.words)), path)
        self.rows[path] = rows
        return path

    def versions(self):
        return {name: len(past) - 1 for name, past in self.past.items()}

    def files(self, table, version=None):
        paths = self.past[table][-1 if version is None else version]
        while any(path in self.successors for path in paths):
            paths = [self.successors.get(path, path) for path in paths]
        return [path for path in paths if path]

    def add(self, interactions):
        """Append interactions in a file of their own."""
        self.past["interactions"].append([*self.files("interactions"), self._write("interactions", interactions)])

    def replace_people(self, people):
        """Store `people` instead of the present ones."""
        self.past["people"].append([self._write("people", people)])

    def replace_sources(self, sources):
        """Store `sources` instead of the present ones."""
        self.past["sources"].append([self._write("sources", sources)])

    def delete(self, ids, tables=("interactions", "people")):
        """Delete people from everything, or from these tables only."""
        for table in tables:
            for path in {path for paths in self.past[table] for path in paths if path and path not in self.successors}:
                rows = self.rows[path]
                if any(row["person_id"] in ids for row in rows):
                    self.successors[path] = self._write(table, [row for row in rows if row["person_id"] not in ids])
            self.past[table].append(self.files(table))

    def present(self, table):
        """Return the present rows."""
        return [row for path in self.files(table) for row in self.rows[path]]
