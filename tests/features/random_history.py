"""A vocabulary with every statistic, and random histories with everything that two engines could see differently."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.permission.retention import Retention
from features.tables import TABLES, arrow_schema
from features.vocabulary import Attribute, Channel, Kind, SourceType, Topic, Vocabulary

AS_OF = datetime(2024, 4, 10, 7, 30, tzinfo=UTC)
DAY = timedelta(days=1)
WORDS = Vocabulary(
    kinds=(
        Kind(id="letter", direction="out", en="letter"),
        Kind(id="text", direction="out", en="text"),
        Kind(id="opened", direction="in", engagement=True, answers=("letter",), en="letter opened"),
        Kind(id="signed", direction="in", engagement=True, answers=("letter", "text"), en="signature"),
        Kind(id="gift", direction="in", engagement=True, unit="EUR", en="gift"),
        Kind(id="survey", direction="in", declares=True, en="survey"),
        Kind(id="canvass", direction="in", engagement=True, declares=True, en="talk"),
    ),
    channels=(Channel(id="email", en="e-mail"), Channel(id="door", en="door")),
    topics=(Topic(id="housing", en="housing"), Topic(id="climate", en="climate")),
    attributes=(Attribute(id="size", type="numeric", en="size"), Attribute(id="gender", type="category", categories=("f", "m"), en="gender")),
    source_types=(SourceType(id="petition", en="petition"), SourceType(id="event", en="event")),
    windows_days=(7, 90),
    half_lives_days=(7, 180),
    timezone="Europe/Brussels",
)
KINDS = (*(kind.id for kind in WORDS.kinds), "unlisted")
TOPICS = ("housing", "climate", None, "unlisted", "climate;housing", "unlisted; housing ;climate;housing", "other;unlisted")


class Stored:
    """Tables as Parquet files, two per table, the second with the later rows: what a build reads of a history."""

    def __init__(self, folder, tables):
        self._files = {}
        for name, table in tables.items():
            half = len(table) // 2
            self._files[name] = []
            for number, part in enumerate((table.slice(0, half), table.slice(half))):
                path = folder / f"{name}-{number} {{a}}[b].parquet"  # a path is never a pattern
                pq.write_table(part, path)
                self._files[name].append(str(path))

    def files(self, table, version=None):
        return self._files.get(table, [])

    def versions(self):
        return dict.fromkeys(self._files, 0)


LIMITED = WORDS.model_copy(update={"retention": Retention(interactions=1500, kinds={"opened": 40, "gift": 90}, source_types={"broker": 30})})
"""The same words, with rows that end."""


def random_tables(seed, people=60, interactions=1500, words=WORDS, *, ending=False):
    """Tables by name: some people without a history, some in it whom `people` does not know, some who joined later; `ending`: sources that end."""
    random = np.random.default_rng(seed)
    ids = np.array([f"s:{number}" for number in range(people - 2)] + ["é:1", "\U0001f600:1"])
    return {
        "interactions": _interactions(random, ids[: -people // 10], interactions, words),
        "people": _people(random, ids[people // 10 :], words),
        "sources": _table(
            "sources",
            words,
            source_id=["p1", "p2", "e1", "o1"],
            type=["petition", "petition", "event", "broker"],
            expires_at=[None, AS_OF, AS_OF + timedelta(microseconds=1), None] if ending else [None] * 4,
            collected_how=["from_person", "from_person", "observed", "third_party"],
        ),
    }


def _interactions(random, ids, n, words):
    kinds = random.choice(KINDS, n)
    directions = np.where(np.isin(kinds, [kind.id for kind in words.kinds if kind.direction == "out"]), "out", "in")
    directions = np.where(random.random(n) < 0.03, "out", directions)
    occurred = _times(random, n)
    value = np.where(random.random(n) < 0.2, np.nan, np.round(random.gamma(2, 20, n), 2) * random.choice([-1, 1, 1], n))
    value = np.where(random.random(n) < 0.1, random.choice([0.0, -0.0, 1e9, 1e-9, 0.1 + 0.2], n), value)
    late = random.choice([timedelta(0), timedelta(0), timedelta(hours=1), 3 * DAY], n)
    return _table(
        "interactions",
        words,
        interaction_id=[f"i{number}" for number in range(n)],
        person_id=random.choice(ids, n),
        occurred_at=occurred,
        received_at=[time + delay for time, delay in zip(occurred, late, strict=True)],
        kind=kinds,
        channel=random.choice(["email", "door", "unlisted"], n),
        topic=[TOPICS[place] for place in random.choice(len(TOPICS), n)],
        direction=directions,
        value=[None if missing else one for one, missing in zip(value.tolist(), random.random(n) < 0.4, strict=True)],
        source_id=random.choice(["p1", "p2", "e1", "o1", "unknown"], n),
        is_machine=random.random(n) < 0.05,
        collected_how=random.choice(["from_person", "observed", "third_party"], n),
    )


def _times(random, n):
    """Times before `AS_OF`: edges of windows, ties, the hours about a change of the clock, leap days, years ago, and a few after it."""
    edges = [AS_OF - days * DAY + shift * timedelta(microseconds=1) for days in (0, 1, 7, 30, 90) for shift in (-1_000_000, -1, 0, 1, 1_000_000)]
    clock = [datetime(2024, 3, 31, 1, tzinfo=UTC) + shift * timedelta(minutes=20) for shift in range(-6, 7)]
    clock += [datetime(2023, 10, 29, 1, tzinfo=UTC) + shift * timedelta(minutes=20) for shift in range(-6, 7)]
    leaps = [datetime(2024, 2, 29, hour, tzinfo=UTC) for hour in (0, 22, 23)] + [datetime(2020, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)]
    old = [datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), datetime(1914, 5, 1, 3, tzinfo=UTC)]
    recent = [AS_OF - timedelta(hours=float(hours)) for hours in random.exponential(900, max(n, 1))]
    special = [*edges, *clock, *leaps, *old]
    return [recent[number] if random.random() < 0.6 else special[random.integers(len(special))] for number in range(n)]


def _people(random, ids, words):
    n = len(ids)
    joined = [AS_OF - float(days) * DAY for days in random.normal(400, 400, n)]
    return _table(
        "people",
        words,
        person_id=ids,
        birth_year=[None if number % 7 == 0 else int(year) for number, year in enumerate(random.integers(1930, 2026, n))],
        area=[(None, "", "1000", "9000", "4000")[place] for place in random.choice(5, n)],
        joined_at=[None if number % 9 == 0 else AS_OF if number % 11 == 0 else time for number, time in enumerate(joined)],
        size=[(None, float("nan"), 1.0, 2.5)[place] for place in random.choice(4, n)],
        gender=[(None, "f", "m", "unlisted")[place] for place in random.choice(4, n)],
        source_id=random.choice(["p1", "o1", "unknown"], n),
    )


def _table(name, words, **columns):
    """A stored table; columns that do not matter here are left out, as are attributes that the words do not have."""
    types = {field.name: field.type for field in arrow_schema(TABLES[name], words)}
    return pa.table({column: pa.array(list(values), types[column]) for column, values in columns.items() if column in types})
