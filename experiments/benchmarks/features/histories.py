"""Simulated histories of any size, made by SQL from hashes of row numbers (the same on every run), and brought into a workspace once."""

# ruff: noqa: S608  the SQL is made of the names in this file

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from features.calendar import offsets
from features.catalogue import catalogue
from features.history import History
from features.imports import import_files
from features.workspace import Workspace

EACH = 20
"""Interactions per person on average; one person in fifty does more than a hundred, the busiest about a thousand."""
AS_OF = datetime(2024, 1, 1, tzinfo=UTC)
BEGIN = "TIMESTAMPTZ '2022-01-01 00:00:00+00'"
SPAN_US = 730 * 86_400_000_000
NOW = datetime(2025, 1, 1, tzinfo=UTC)

TOPICS = ("housing", "climate", "wages", "health", "transport", "schools", "energy", "taxes", "care", "pensions", "water", "safety")
SOURCE_TYPES = ("petition", "event", "membership", "contest")
HOUSEHOLDS = ("single", "couple", "family")
AREAS = 300
WORDS = """
[workspace]
name = "Benchmark"
[features]
timezone = "Europe/Brussels"
[kinds.email_sent]
direction = "out"
[kinds.letter_sent]
direction = "out"
[kinds.email_opened]
direction = "in"
[kinds.link_followed]
direction = "in"
engagement = true
answers = ["email_sent"]
[kinds.petition_signed]
direction = "in"
engagement = true
answers = ["email_sent", "letter_sent"]
[kinds.event_attended]
direction = "in"
engagement = true
[kinds.gift]
direction = "in"
engagement = true
answers = ["letter_sent"]
unit = "EUR"
[kinds.survey_answered]
direction = "in"
engagement = true
declares = true
[channels.email]
[channels.post]
[channels.door]
[channels.event]
[channels.web]
[attributes.household_size]
type = "numeric"
"""
_SHARES = (
    ("email_sent", 40, ("email",)),
    ("letter_sent", 8, ("post", "door")),
    ("email_opened", 22, ("email",)),
    ("link_followed", 10, ("email",)),
    ("petition_signed", 7, ("web", "door", "event")),
    ("event_attended", 4, ("event",)),
    ("gift", 4, ("web", "post", "event")),
    ("survey_answered", 5, ("door", "web")),
)
"""Kind, percent of the interactions, its channels."""


def audience_toml() -> str:
    """Return the workspace's words: 8 kinds, 5 channels, 12 topics, 4 source types, 2 attributes."""
    text = WORDS
    text += f'[attributes.household]\ntype = "category"\ncategories = {json.dumps(HOUSEHOLDS)}\n'
    text += "".join(f"[{group}.{word}]\n" for group, words in (("topics", TOPICS), ("source_types", SOURCE_TYPES)) for word in words)
    lines = []
    for line in text.splitlines():
        lines.append(line)
        if "." in line and line.startswith("["):
            lines.append(f'en = "{line.strip("[]").partition(".")[2].replace("_", " ")}"')
    return "\n".join(lines) + "\n"


def workspace(root: Path, interactions: int, tell: Callable[[str], None]) -> Workspace:
    """Return the workspace of that many interactions in `root`, made and imported when it is not there; about 40 bytes of disk per interaction."""
    done = root / "imported"
    if not done.exists():
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        (root / "audience.toml").write_text(audience_toml(), encoding="utf-8")
        opened = Workspace.open(root)
        people = interactions // EACH
        for table, query in (("sources", _sources()), ("people", _people(people)), ("interactions", _interactions(interactions, people))):
            bring_in(opened, table, query, tell)
        done.touch()
    return Workspace.open(root)


def bring_in(opened: Workspace, table: str, query: str, tell: Callable[[str], None]) -> None:
    """Write what the query says to a file and import it."""
    tell(f"making {table}")
    path = opened.root / f"{table}.parquet"
    with duckdb.connect(config={"memory_limit": "1500MB", "temp_directory": str(opened.root / "spill"), "threads": 2}) as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    tell(f"importing {table}")
    found = import_files(opened, table, [path], now=NOW)
    if found.rejected or found.duplicate:
        raise SystemExit(f"{table}: {found}")
    path.unlink()
    shutil.rmtree(opened.root / "spill", ignore_errors=True)


def more(people: int, share: float, begin: datetime, within: timedelta) -> str:
    """Return the query of new interactions, two each, of that share of the people, drawn evenly, in that time after `begin`."""
    who = f"hash(i // 2 + 17) % {people}"
    span_us = within // timedelta(microseconds=1) * 5 // 6
    return _rows(f"range({2 * int(people * share)}) AS t(i)", who, "later_", f"TIMESTAMPTZ '{begin:%Y-%m-%d %H:%M:%S}+00'", span_us, late=False)


def told(opened: Workspace) -> dict[str, Any]:
    """Return what every case is told: times, words and files as plain values."""
    words, history, as_of_us = opened.vocabulary, History(opened.tables, opened.vocabulary), int(AS_OF.timestamp()) * 1_000_000
    sources = {one["source_id"]: one["type"] for one in history.read("sources").to_pylist()}
    types = [item.id for item in words.source_types]
    return {
        "workspace": str(opened.root),
        "as_of": AS_OF.isoformat(),
        "as_of_us": as_of_us,
        "year": AS_OF.year,
        "names": [feature.name for feature in catalogue(words)],
        "interactions": history.files("interactions"),
        "people": history.files("people"),
        "sources": {source: types.index(kind) if kind in types else len(types) for source, kind in sources.items()},
        "source_types": types,
        "kinds": [kind.id for kind in words.kinds],
        "engagement": list(words.engagement_kinds),
        "out": [kind.id for kind in words.kinds if kind.direction == "out"],
        "in": [kind.id for kind in words.kinds if kind.direction == "in"],
        "declares": [kind.id for kind in words.kinds if kind.declares],
        "with_unit": [kind.id for kind in words.kinds if kind.unit],
        "answers": {kind.id: list(words.answers_to(kind.id)) for kind in words.kinds if kind.direction == "out"},
        "channels": [channel.id for channel in words.channels],
        "topics": list(words.topic_ids),
        "attributes": {item.id: list(item.categories) for item in words.attributes},
        "windows_days": list(words.windows_days),
        "half_lives_days": list(words.half_lives_days),
        "offsets": [list(one) for one in offsets(words.timezone, as_of_us - SPAN_US, as_of_us)],
    }


def person(number: str) -> str:
    """Return the id of a person's number, ids being in another order than activity."""
    return f"printf('sim:%07d', ({number})::BIGINT * 7919 % 10000000)"


def _uniform(salt: int) -> str:
    return f"((hash(i + {salt}) % 1000000007)::DOUBLE / 1000000007)"


def _pick(words: tuple[str, ...], salt: int) -> str:
    return f"[{', '.join(map(repr, words))}][1 + (hash(i + {salt}) % {len(words)})::BIGINT]"


def _interactions(interactions: int, people: int) -> str:
    """Return the query; density of the person's number x in [0, 1) is (3 u^2 + c)^-1 with u uniform and c = 0.02: few do much."""
    u = _uniform(100_000_007)
    who = f"least(floor({people} * (pow({u}, 3) + 0.02 * {u}) / 1.02)::BIGINT, {people - 1})"
    return _rows(f"range({interactions}) AS t(i)", who, "i", BEGIN, SPAN_US, late=True)


def _rows(source: str, who: str, prefix: str, begin: str, span_us: int, *, late: bool) -> str:
    percent = "(hash(i + 200000033) % 100)"
    kinds, channels, reached = [], [], 0
    for kind, share, ways in _SHARES:
        reached += share
        kinds.append(f"WHEN {percent} < {reached} THEN '{kind}'")
        channels.append(f"WHEN {percent} < {reached} THEN {_pick(ways, 300_000_007)}")
    topic, further = _pick(TOPICS, 400_000_009), _pick(TOPICS, 500_000_003)
    delay = "CASE WHEN hash(i + 600000001) % 33 = 0 THEN hash(i + 700000001) % 2592000000000 ELSE hash(i + 700000001) % 3600000000 END" if late else "0"
    return f"""
        SELECT '{prefix}' || i AS interaction_id, {person(who)} AS person_id,
            {begin} + to_microseconds((hash(i + 800000011) % {span_us})::BIGINT) AS occurred_at,
            occurred_at + to_microseconds(({delay})::BIGINT) AS received_at,
            CASE {" ".join(kinds)} END AS kind, CASE {" ".join(channels)} END AS channel,
            CASE WHEN hash(i + 900000011) % 5 = 0 THEN NULL
                WHEN hash(i + 900000011) % 7 = 0 AND {topic} <> {further} THEN {topic} || ';' || {further} ELSE {topic} END AS topic,
            CASE kind WHEN 'gift' THEN (hash(i + 1000000007) % 20000) / 100.0 WHEN 'survey_answered' THEN 1 + hash(i + 1000000007) % 5 END::DOUBLE AS value,
            'source_' || hash(i + 1100000009) % 40 AS source_id, {_pick(("from_person", "observed"), 1_200_000_041)} AS collected_how,
            kind = 'email_opened' AND hash(i + 1300000003) % 4 = 0 AS is_machine,
            'c' || hash(i + 1400000009) % 200 AS campaign_id, 'm' || hash(i + 1500000013) % 2000 AS message_id, 'b' || hash(i + 1600000009) % 5000 AS batch_id
        FROM {source}"""


def _people(people: int) -> str:
    """Return the query: everybody joined before the first interaction, but for a few who join after `AS_OF` and are not in the base."""
    return f"""
        SELECT {person("i")} AS person_id, CASE WHEN hash(i + 1) % 10 > 0 THEN 1940 + (hash(i + 2) % 65)::BIGINT END AS birth_year,
            CASE WHEN hash(i + 3) % 50 > 0 THEN 'area_' || hash(i + 4) % {AREAS} END AS area, {_pick(("fr", "nl"), 5)} AS language,
            CASE WHEN i >= {people} THEN TIMESTAMPTZ '2024-02-01 00:00:00+00'
                ELSE TIMESTAMPTZ '2016-01-01 00:00:00+00' + to_days((hash(i + 6) % 2190)::INTEGER) END AS joined_at,
            {_pick(("member", "regular_contact", "contact"), 7)} AS status, 'source_' || hash(i + 8) % 40 AS source_id,
            1.0 + hash(i + 9) % 6 AS household_size, CASE WHEN hash(i + 10) % 4 > 0 THEN {_pick(HOUSEHOLDS, 11)} END AS household
        FROM range({people + people // 100}) AS t(i)"""


def _sources() -> str:
    return f"""
        SELECT 'source_' || i AS source_id, [{", ".join(map(repr, (*SOURCE_TYPES, "broker")))}][1 + i % {len(SOURCE_TYPES) + 1}] AS type,
            'from_person' AS collected_how, TIMESTAMPTZ '2021-01-01 00:00:00+00' AS collected_at,
            true AS political_purpose_stated, sha256('what people were shown') AS notice_hash FROM range(40) AS t(i)"""
