"""Rows past their limit and people of whom nothing was heard: told in counts, then deleted from every version of the tables and from the vectors (rule L25).

Nobody is suppressed: whoever comes back may come in again. The ledger stays, which nobody can change: an objection still stands then.
"""

# ruff: noqa: S608  the SQL here is made of declared names, whole numbers and quoted words

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.database.store import Store
from features.history import History, HistoryError
from features.layout import DAY
from features.permission.decision import microseconds
from features.permission.live import Permission
from features.permission.private_files import put
from features.permission.signing import signed
from features.staging import MEMORY, THREADS, text
from features.tables import CONSENT_EVENTS, STORED
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
}
"""Why a row goes, in words; where several hold, the first is told."""
_SAID = [place for place, event in enumerate(CONSENT_EVENTS) if event != "expired"]
"""Codes of the events of the ledger that a person's own word made."""
_LAST = """
    WITH did AS (
        SELECT person_id, max(CASE WHEN direction = 'in' AND NOT is_machine THEN epoch_us(occurred_at) END) AS did_us, min(epoch_us(received_at)) AS known_us
        FROM interactions GROUP BY person_id
    ), drawn AS (SELECT person_id, min(epoch_us(assigned_at)) AS known_us FROM assignments GROUP BY person_id),
    everybody AS (SELECT person_id FROM people UNION SELECT person_id FROM did UNION SELECT person_id FROM drawn UNION SELECT person_id FROM outcomes)
    SELECT person_id, status = 'member' AS member,
        greatest(did_us, coalesce(epoch_us(joined_at), did.known_us, drawn.known_us)) AS last_us
    FROM everybody LEFT JOIN people USING (person_id) LEFT JOIN did USING (person_id) LEFT JOIN drawn USING (person_id)
"""
"""Of everybody: the last time that they did something, or since when they are known if that is later; null where nothing tells."""


@dataclass(frozen=True)
class Past:
    """What is past its limit: `rows` counts by (table, kind, source type, reason), `people` by reason; people that stay though nothing was heard of them.

    `conditions` (SQL by table) and `relations` say which rows they are.
    """

    rows: Mapping[tuple[str, str, str, str], int]
    people: Mapping[str, int]
    members: int
    undated: int
    conditions: Mapping[str, str]
    relations: Mapping[str, pa.Table]

    def records(self) -> list[dict[str, Any]]:
        """Return the counts as records of table, kind, source_type, reason and rows."""
        named = ("table", "kind", "source_type", "reason")
        return [{**dict(zip(named, key, strict=True)), "rows": count} for key, count in sorted(self.rows.items())]

    def to_state(self) -> dict[str, Any]:
        """Return all counts as JSON-able values; no id is among them."""
        stay = {"members": self.members, "undated": self.undated}
        return {"rows": self.records(), "people": dict(self.people), "stay_though_inactive": stay, "reasons": REASONS}


def past(workspace: Workspace, store: Store, now: datetime) -> Past:
    """Return what is past its limit at `now`. Raises HistoryError or StoreError."""
    history, now_us = History(workspace.tables, workspace.vocabulary), microseconds(now)
    with _reading(history) as database:
        database.execute(f"CREATE TEMP TABLE expired AS SELECT source_id FROM sources WHERE epoch_us(expires_at) <= {now_us}")
        silent, members, undated = _silent(database, Permission(workspace, store), now_us - workspace.retention.inactive_days * DAY)
        database.register("given", pa.table({"person_id": silent.cast(pa.string())}))
        database.execute("CREATE TEMP TABLE inactive AS FROM given")
        limits = _limits(workspace, now_us)
        database.execute(_orphaned(limits))
        conditions = {"interactions": {**limits, **_OF_PEOPLE}, "people": {"source_expired": limits["source_expired"], **_OF_PEOPLE}}
        conditions |= {"assignments": _OF_PEOPLE, "outcomes": _OF_PEOPLE}
        rows = {key: count for table, reasons in conditions.items() for key, count in _counted(database, table, reasons)}
        people = {
            "person_inactive": len(silent),
            "person_source_expired": _number(database, "SELECT count(*) FROM orphaned ANTI JOIN inactive USING (person_id)"),
        }
        database.execute("CREATE TEMP TABLE unjoined AS FROM inactive SEMI JOIN (FROM people WHERE joined_at IS NULL) USING (person_id)")
        relations = {name: database.sql(f"FROM {name}").to_arrow_table() for name in ("expired", "sources", "inactive", "orphaned", "unjoined")}
    struck = {table: " OR ".join(f"({condition})" for condition in reasons.values()) for table, reasons in conditions.items()}
    return Past(rows, people, members, undated, struck, relations)


def purge(workspace: Workspace, store: Store, now: datetime, *, progress: Callable[[str, float], None] | None = None) -> tuple[Past, Path]:
    """Delete what is past its limit at `now`, build the published vectors anew without it, keep no older ones, and write a signed report; returns its path.

    Killed in the middle it can be done again: then the rest is deleted, and the vectors are built whatever is left to delete. Raises HistoryError, StoreError,
    VectorsError.
    """
    told = progress or (lambda _stage, _share: None)
    told("looking what is past its limit", 0.0)
    found = past(workspace, store, now)
    history = History(workspace.tables, workspace.vocabulary)
    told("deleting rows from the tables", 0.2)
    removed = _struck(history, found)
    built = _vectors(workspace, history, now, lambda stage, share: told(stage, 0.4 + 0.6 * share))
    limits = workspace.retention.model_dump(mode="json")
    said = {"kind": "purge", "workspace": workspace.settings.name, "made_at": now.isoformat(), "limits": limits, **found.to_state()}
    document = signed({**said, "removed": removed, "vectors_built": built}, workspace.signing_key())
    path = workspace.root / PURGES / f"purge-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}.json"
    put(path, json.dumps(document, indent=1, ensure_ascii=False).encode())
    told("the report is written", 1.0)
    return found, path


def _struck(history: History, found: Past) -> dict[str, int]:
    """Delete the rows, and last of each person the one by which a purge that is done again knows that they go; return rows removed per table.

    Of who has no `joined_at` that is an interaction or a draw, of all others the row of `people`.
    """
    from features.erasure import strike  # noqa: PLC0415 - DuckDB and Ibis take seconds to import

    doomed, removed = found.conditions, Counter[str]()
    first = {"outcomes": doomed["outcomes"], "people": "person_id IN (SELECT person_id FROM unjoined)"}
    for step in (first, {name: doomed[name] for name in ("assignments", "interactions")}, {"people": doomed["people"]}):
        removed.update(strike(history, step, found.relations))
    return {name: removed[name] for name in doomed}


_OF_PEOPLE = {
    "person_inactive": "person_id IN (SELECT person_id FROM inactive)",
    "person_source_expired": "person_id IN (SELECT person_id FROM orphaned)",
}
"""Conditions that every row of a person meets who goes."""


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
    past_limit = " OR ".join(f"({condition})" for condition in limits.values())
    return f"""
        CREATE TEMP TABLE orphaned AS SELECT DISTINCT person_id FROM people SEMI JOIN expired USING (source_id)
        ANTI JOIN (SELECT person_id FROM interactions WHERE ({past_limit}) IS NOT TRUE) USING (person_id)
    """


def _silent(database: duckdb.DuckDBPyConnection, permission: Permission, since_us: int) -> tuple[pa.LargeStringArray, int, int]:
    """Return of whom nothing was heard since, and how many of the others are members, or have nothing that tells when they were heard of."""
    undated = _number(database, f"SELECT count(*) FROM ({_LAST}) WHERE last_us IS NULL AND member IS NOT TRUE")
    silent = database.sql(f"SELECT person_id, coalesce(member, false) AS member FROM ({_LAST}) WHERE last_us <= {since_us}").to_arrow_table()
    people = silent.column("person_id").cast(pa.large_string()).combine_chunks()
    order = pc.sort_indices(people)
    people, member = people.take(order), silent.column("member").combine_chunks().take(order).to_numpy(zero_copy_only=False).astype(bool)
    if len(people):
        facts = permission.group(people).facts()
        events = facts.events
        spoke = np.unique(events.subject[np.isin(events.event, _SAID) & (events.at_us > since_us)])
        heard = np.isin(facts.subject, spoke)
        people, member = people.filter(pa.array(~heard)), member[~heard]
    return people.filter(pa.array(~member)), int(member.sum()), undated


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
                    listed = ", ".join(map(text, paths))
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


def _number(database: duckdb.DuckDBPyConnection, sql: str) -> int:
    return int(database.execute(sql).fetchall()[0][0])


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
