"""Rows past their limit and people of whom nothing was heard: told in counts, then deleted from every version of the tables and from the vectors (rule L25).

Nobody is suppressed: whoever comes back may come in again. The ledger stays, which nobody can change: an objection still stands then. Of whoever stays though
the last row that tells when they were heard of goes, that time is written down (`last_heard`); recipients of whoever goes are told (`recipients`, rule L20).
"""

# ruff: noqa: S608  the SQL here is made of declared names, whole numbers and quoted words

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from features.database.store import Store
from features.erasure import locked, strike
from features.history import History, HistoryError
from features.layout import DAY
from features.permission.decision import microseconds
from features.permission.last_heard import leave_only, spoke, write_down, written_down
from features.permission.private_files import put
from features.permission.recipients import handed_out, queue_purged
from features.permission.signing import signed
from features.permission.subjects import Subjects
from features.staging import MEMORY, THREADS, location, text
from features.tables import STORED
from features.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PURGES = "purges"
REASONS = {
    "source_expired": "its source may no longer be used",
    "kind": "the limit of its kind",
    "source_type": "the limit of its source's type",
    "interactions": "the limit of interactions",
    "person_inactive": "nothing was heard of the person within inactive_days",
    "person_source_expired": "the person's own source may no longer be used, and nothing else is held that may",
    "person_rows_ended": "every row of the person is past its own limit, and nothing else is held",
}
"""Why a row or a person goes, in words; where several hold, the first is told."""
_LOOKS = 3
"""How often is looked, where people of whom nothing was heard speak meanwhile."""
_SEEN = """
    CREATE TEMP TABLE seen AS
    WITH did AS (
        SELECT person_id, max(at_us) FILTER (own) AS did_us, min(known_us) AS known_us,
            max(at_us) FILTER (own AND stays) AS left_did_us, min(known_us) FILTER (stays) AS left_known_us
        FROM (
            SELECT person_id, epoch_us(occurred_at) AS at_us, epoch_us(received_at) AS known_us, direction = 'in' AND NOT is_machine AS own,
                ({past_limit}) IS NOT TRUE AS stays
            FROM interactions
        ) GROUP BY person_id
    ), drawn AS (SELECT person_id, min(epoch_us(assigned_at)) AS drawn_us FROM assignments GROUP BY person_id),
    listed AS (
        SELECT person_id, status = 'member' AS member, epoch_us(joined_at) AS joined_us, (source_id IN (SELECT source_id FROM expired)) IS NOT TRUE AS listed
        FROM people
    ),
    other AS (SELECT person_id, true AS other FROM (SELECT person_id FROM assignments UNION SELECT person_id FROM outcomes)),
    everybody AS (SELECT person_id FROM listed UNION SELECT person_id FROM did UNION SELECT person_id FROM other)
    FROM everybody LEFT JOIN listed USING (person_id) LEFT JOIN did USING (person_id) LEFT JOIN drawn USING (person_id) LEFT JOIN other USING (person_id)
"""
"""Of everybody, what tells when they were heard of: now, and once rows past their own limit are gone."""
_EVERYBODY = """
    CREATE TEMP TABLE everybody AS
    SELECT person_id, coalesce(member, false) AS member, coalesce(listed, false) OR left_known_us IS NOT NULL OR coalesce(other, false) AS stays,
        epoch_us(heard_at) AS heard_us, greatest(did_us, heard_us, coalesce(joined_us, heard_us, known_us, drawn_us)) AS last_us,
        greatest(left_did_us, coalesce(CASE WHEN listed THEN joined_us END, left_known_us, drawn_us)) AS left_us
    FROM seen LEFT JOIN written USING (person_id)
"""
"""Of everybody: the last time that they did something, or since when they are known if that is later; null where nothing tells. `left_us` is what the rows that
stay would tell of it by themselves, `heard_us` what was written down when rows went before."""


@dataclass(frozen=True)
class Past:
    """What is past its limit: `rows` counts by (table, kind, source type, reason), `people` by reason; people that stay though nothing was heard of them.

    `to_tell` counts rows of exports by recipient who has to be told that a person goes. `conditions` (SQL by table) and `relations` say which rows go, `gone`
    (n,) of whom nothing is left, `heard` when those were heard of who stay without the row that told it; `ledger` is the last event that was looked at.
    """

    rows: Mapping[tuple[str, str, str, str], int]
    people: Mapping[str, int]
    members: int
    undated: int
    to_tell: Mapping[str, int]
    conditions: Mapping[str, str]
    relations: Mapping[str, pa.Table]
    gone: pa.LargeStringArray
    heard: pa.Table
    ledger: int

    def records(self) -> list[dict[str, Any]]:
        """Return the counts as records of table, kind, source_type, reason and rows."""
        named = ("table", "kind", "source_type", "reason")
        return [{**dict(zip(named, key, strict=True)), "rows": count} for key, count in sorted(self.rows.items())]

    def to_state(self) -> dict[str, Any]:
        """Return all counts as JSON-able values; no id is among them."""
        stay = {"members": self.members, "undated": self.undated}
        tell = {"recipients": len(self.to_tell), "rows": sum(self.to_tell.values())}
        counts = {"rows": self.records(), "people": dict(self.people), "stay_though_inactive": stay}
        return counts | {"last_signs_kept": self.heard.num_rows, "to_tell": tell, "reasons": REASONS}


def past(workspace: Workspace, store: Store, now: datetime) -> Past:
    """Return what is past its limit at `now`. Raises HistoryError or StoreError."""
    history, subjects = History(workspace.tables, workspace.vocabulary), Subjects(store, workspace.signing_key())
    now_us = microseconds(now)
    with _reading(history) as database:
        database.execute(f"CREATE TEMP TABLE expired AS SELECT source_id FROM sources WHERE epoch_us(expires_at) <= {now_us}")
        limits = _limits(workspace, now_us)
        _look_at_everybody(database, store, subjects, limits)
        silent, members, ledger = _silent(database, store, subjects, _since(workspace, now))
        database.register("given", pa.table({"person_id": silent.cast(pa.string())}))
        database.execute("CREATE TEMP TABLE inactive AS FROM given")
        database.execute("CREATE TEMP TABLE unjoined AS FROM inactive SEMI JOIN (FROM people WHERE joined_at IS NULL) USING (person_id)")
        database.execute(_orphaned(limits))
        database.execute("CREATE TEMP TABLE gone AS SELECT person_id FROM everybody WHERE NOT stays UNION FROM inactive UNION FROM orphaned")
        conditions = {"interactions": {**limits, **_OF_PEOPLE}, "people": {"source_expired": limits["source_expired"], **_OF_PEOPLE}}
        conditions |= {"assignments": _OF_PEOPLE, "outcomes": _OF_PEOPLE}
        rows = {key: count for table, reasons in conditions.items() for key, count in _counted(database, table, reasons)}
        people, undated = _people_counted(database), _number(database, "SELECT count(*) FROM everybody WHERE last_us IS NULL AND NOT member")
        relations = {name: database.sql(f"FROM {name}").to_arrow_table() for name in ("expired", "sources", "inactive", "orphaned", "unjoined")}
        gone, heard = _people(database, "gone"), database.sql(_HEARD).to_arrow_table()
    with store.read() as connection:
        to_tell = handed_out(connection, _tokens(connection, subjects, gone))
    struck = {table: _any_of(reasons) for table, reasons in conditions.items()}
    return Past(rows, people, members, undated, to_tell, struck, relations, gone, heard, ledger)


def purge(workspace: Workspace, store: Store, now: datetime, *, progress: Callable[[str, float], None] | None = None) -> tuple[Past, Path]:
    """Delete what is past its limit at `now`, build the published vectors anew without it, keep no older ones, and write a signed report; returns its path.

    From the look to the last row that is deleted nobody else writes the tables. Killed in the middle it can be done again: then the rest is deleted, and the
    vectors are built whatever is left to delete. Raises HistoryError, StoreError, VectorsError.
    """
    told = progress or (lambda _stage, _share: None)
    history, subjects = History(workspace.tables, workspace.vocabulary), Subjects(store, workspace.signing_key())
    with locked(history, STORED) as staging:
        told("looking what is past its limit", 0.0)
        found = _settled(workspace, store, subjects, now)
        told("deleting rows from the tables", 0.2)
        removed = _struck(history, staging, found)
        leave_only(store, subjects, found.heard.column("person_id").combine_chunks().cast(pa.large_string()))
    built = _vectors(workspace, history, now, lambda stage, share: told(stage, 0.4 + 0.6 * share))
    with store.write(serial=True) as connection:  # again, because a file that was handed out from the vectors of before may hold them too
        found = replace(found, to_tell=queue_purged(connection, _tokens(connection, subjects, found.gone), now=now))
    limits = workspace.retention.model_dump(mode="json")
    said = {"kind": "purge", "workspace": workspace.settings.name, "made_at": now.isoformat(), "limits": limits, **found.to_state()}
    document = signed({**said, "removed": removed, "vectors_built": built}, workspace.signing_key())
    path = workspace.root / PURGES / f"purge-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}.json"
    put(path, json.dumps(document, indent=1, ensure_ascii=False).encode())
    told("the report is written", 1.0)
    return found, path


def _settled(workspace: Workspace, store: Store, subjects: Subjects, now: datetime) -> Past:
    """Look, and write down what nobody could tell once the rows are gone: when those who stay were heard of, and which recipients have to be told.

    Where one of those of whom nothing was heard has spoken since the look, it is done again. Raises HistoryError where that is so each time.
    """
    for _ in range(_LOOKS):
        found = past(workspace, store, now)
        fresh = found.heard.filter(pc.field("fresh"))
        write_down(store, subjects, dict(zip(fresh.column("person_id").to_pylist(), fresh.column("heard_at").to_pylist(), strict=True)))
        with store.write(serial=True) as connection:
            who, _ = spoke(connection, _since(workspace, now), after=found.ledger)
            inactive = found.relations["inactive"].column("person_id").cast(pa.large_string()).combine_chunks()
            if not len(who) or not pc.any(pc.is_in(subjects.hashes_of(inactive), value_set=who)).as_py():
                queue_purged(connection, _tokens(connection, subjects, found.gone), now=now)
                return found
    raise HistoryError(f"{_LOOKS} times somebody of whom nothing had been heard spoke while the purge was looking: nothing was deleted; start it again")


def _struck(history: History, staging: Mapping[str, Path], found: Past) -> dict[str, int]:
    """Delete the rows, and last of each person the one by which a purge that is done again knows that they go; return rows removed per table.

    Of who has no `joined_at` that is an interaction or a draw, of all others the row of `people`.
    """
    doomed, removed = found.conditions, Counter[str]()
    first = {"outcomes": doomed["outcomes"], "people": "person_id IN (SELECT person_id FROM unjoined)"}
    for step in (first, {name: doomed[name] for name in ("assignments", "interactions")}, {"people": doomed["people"]}):
        removed.update(strike(history, staging, step, found.relations))
    return {name: removed[name] for name in doomed}


_OF_PEOPLE = {
    "person_inactive": "person_id IN (SELECT person_id FROM inactive)",
    "person_source_expired": "person_id IN (SELECT person_id FROM orphaned)",
}
"""Conditions that every row of a person meets who goes."""
_HEARD = """
    SELECT person_id, make_timestamptz(last_us) AS heard_at, last_us IS DISTINCT FROM heard_us AS fresh
    FROM everybody ANTI JOIN gone USING (person_id) WHERE last_us IS DISTINCT FROM left_us
"""
"""When those were heard of who stay, where the rows that stay do not tell it; `fresh` where that is not written down yet."""


def _limits(workspace: Workspace, now_us: int) -> dict[str, str]:
    """Return by reason which interactions are past their limit, as SQL; the counterpart of `features.entering`."""
    kept, occurred = workspace.retention, "epoch_us(occurred_at)"
    kinds = " OR ".join(f"(kind = {text(kind)} AND {occurred} <= {now_us - days * DAY})" for kind, days in kept.kinds.items())
    of_type = "source_id IN (SELECT source_id FROM sources WHERE type = "
    types = " OR ".join(f"({of_type}{text(kind)}) AND {occurred} <= {now_us - days * DAY})" for kind, days in kept.source_types.items())
    every = "" if kept.interactions is None else f"{occurred} <= {now_us - kept.interactions * DAY}"
    found = {"source_expired": "source_id IN (SELECT source_id FROM expired)", "kind": kinds, "source_type": types, "interactions": every}
    return {reason: condition for reason, condition in found.items() if condition}


def _orphaned(limits: Mapping[str, str]) -> str:
    """Return the SQL that makes the relation of people whose own source has ended, and of whom no interaction is held that may be used."""
    return f"""
        CREATE TEMP TABLE orphaned AS SELECT DISTINCT person_id FROM people SEMI JOIN expired USING (source_id)
        ANTI JOIN (SELECT person_id FROM interactions WHERE ({_any_of(limits)}) IS NOT TRUE) USING (person_id)
    """


def _any_of(conditions: Mapping[str, str]) -> str:
    return " OR ".join(f"({condition})" for condition in conditions.values())


def _look_at_everybody(database: duckdb.DuckDBPyConnection, store: Store, subjects: Subjects, limits: Mapping[str, str]) -> None:
    """Make the relation `everybody`, with when each was last heard of."""
    database.execute(_SEEN.format(past_limit=_any_of(limits)))
    database.register("written", written_down(store, subjects, _people(database, "seen")))
    database.execute(_EVERYBODY)


def _silent(database: duckdb.DuckDBPyConnection, store: Store, subjects: Subjects, since_us: int) -> tuple[pa.LargeStringArray, int, int]:
    """Return of whom nothing was heard since, members apart; how many of these are members; and the ledger's last event that was looked at."""
    with store.read() as connection:
        spoken, ledger = spoke(connection, since_us)
    silent = {}
    for kind in ("NOT member", "member"):
        people = _people(database, f"everybody WHERE last_us <= {since_us} AND {kind}")
        silent[kind] = people.filter(pc.invert(pc.is_in(subjects.hashes_of(people), value_set=spoken)))
    return silent["NOT member"], len(silent["member"]), ledger


def _tokens(connection: Connection, subjects: Subjects, people: pa.LargeStringArray) -> list[str]:
    return list(subjects.tokens(connection, people.to_pylist()).values())


def _since(workspace: Workspace, now: datetime) -> int:
    """Return the time (us UTC) at which somebody has to have been heard of the last, or earlier, to go."""
    return microseconds(now) - workspace.retention.inactive_days * DAY


@contextmanager
def _reading(history: History) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the present tables as relations of their names, `sources` kept in memory."""
    settings = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false", "memory_limit": MEMORY, "threads": THREADS}
    try:
        with duckdb.connect(config=settings) as database:
            database.execute("SET TimeZone = 'UTC'")
            for table in STORED:
                paths = history.files(table)
                if not paths or table == "sources":
                    database.register(f"{table}_read", history.read(table))
                    database.execute(f"CREATE TEMP TABLE {table} AS FROM {table}_read")
                else:
                    listed = ", ".join(map(location, paths))
                    database.execute(f"CREATE TEMP VIEW {table} AS FROM read_parquet([{listed}], union_by_name = true, hive_partitioning = false)")
            yield database
    except duckdb.Error as error:
        raise HistoryError(f"the tables cannot be read ({type(error).__name__}); nothing was deleted") from error


def _counted(database: duckdb.DuckDBPyConnection, table: str, reasons: Mapping[str, str]) -> Iterable[tuple[tuple[str, str, str, str], int]]:
    """Yield how many rows of a table go, by (table, kind, source type, reason)."""
    reason = "CASE " + " ".join(f"WHEN {condition} THEN '{name}'" for name, condition in reasons.items()) + " END"
    kind = "kind" if table == "interactions" else "''"
    source = "coalesce((SELECT any_value(type) FROM sources WHERE sources.source_id = one.source_id), 'unknown')" if table in _SOURCED else "''"
    sql = f"SELECT kind, source_type, reason, count(*) FROM (SELECT {kind} AS kind, {source} AS source_type, {reason} AS reason FROM {table} AS one)"
    for *key, count in database.execute(f"{sql} WHERE reason IS NOT NULL GROUP BY ALL").fetchall():
        yield (table, *key), int(count)


_SOURCED = ("interactions", "people")


def _people_counted(database: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return how many people go, by reason."""
    found = dict.fromkeys(("person_inactive", "person_source_expired", "person_rows_ended"), 0)
    reason = "CASE WHEN inactive.person_id IS NOT NULL THEN 'person_inactive' WHEN orphaned.person_id IS NOT NULL THEN 'person_source_expired'"
    sql = (
        f"SELECT {reason} ELSE 'person_rows_ended' END AS reason, count(*) FROM gone LEFT JOIN inactive USING (person_id) LEFT JOIN orphaned USING (person_id)"
    )
    return found | dict(database.execute(f"{sql} GROUP BY reason").fetchall())


def _number(database: duckdb.DuckDBPyConnection, sql: str) -> int:
    return int(database.execute(sql).fetchall()[0][0])


def _people(database: duckdb.DuckDBPyConnection, relation: str) -> pa.LargeStringArray:
    return database.sql(f"SELECT person_id FROM {relation}").to_arrow_table().column(0).cast(pa.large_string()).combine_chunks()


def _vectors(workspace: Workspace, history: History, now: datetime, progress: Callable[[str, float], None]) -> bool:
    """Build what is published anew, without any version of before; where nobody is left nothing stays published. Returns whether vectors are there."""
    from features.own_rows import build_both, withdraw  # noqa: PLC0415 - as above
    from features.published import NobodyError  # noqa: PLC0415 - as above

    if not (workspace.vectors / "CURRENT").exists():
        withdraw(workspace.own_vectors)
        return False
    try:
        build_both(history, workspace, now, kept=0, progress=progress)
    except NobodyError:
        withdraw(workspace.vectors)
        withdraw(workspace.own_vectors)
        return False
    return True


__all__ = ["PURGES", "REASONS", "Past", "past", "purge"]
