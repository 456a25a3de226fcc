"""One person's part of every place: rows of the stored tables, lines of the database, files. The I/O of `held_data`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import select

from features.database.schema import ANSWERS, DECISIONS, EXPORT_PEOPLE, EXPORTS, KEYS, LAST_HEARD, NOTICES, SUBJECTS, SUPPRESSIONS
from features.database.store import Store
from features.history import History, HistoryError
from features.permission.places import files
from features.permission.retention import End, Retention
from features.permission.scanning import UnreadableError, held_by_bytes, held_by_file, needles
from features.permission.subjects import Subjects
from features.tables import STORED
from serving.access_schemas import HandedOut, HeldExport, HeldFile, HeldNotice, HeldRow, HeldSource

LINES = ("rejects", "draws")
"""Places whose files are lines about people: those lines are given."""
_PUT_HERE = "inputs"
"""The place of files on no place too: nothing of this service writes them."""
NAMED = ("checkpoints", "notebooks", "staging", "files of exports", _PUT_HERE, "truth")
"""Places whose files are named, where they name the person."""
_LONGEST = 2_000_000
"""Bytes up to which a file's lines are read; a larger one is named alone."""


@dataclass(frozen=True, slots=True)
class Known:
    """Whether ledger and log know a person, by which random name and since when, when they were erased, and when heard of, where a purge wrote that down."""

    token: str | None
    since: datetime | None
    erased_at: datetime | None
    heard_at: datetime | None = None


def known(store: Store, subjects: Subjects, person: str) -> Known:
    """Return what the database's own lists of people say. Raises StoreError."""
    hashed = subjects.hash_of(person)
    with store.read() as connection:
        erased = connection.execute(select(SUPPRESSIONS.c.at).where(SUPPRESSIONS.c.person == hashed)).scalar_one_or_none()
        found = connection.execute(select(SUBJECTS.c.token, SUBJECTS.c.created_at).where(SUBJECTS.c.person == hashed)).one_or_none()
        heard_at = connection.execute(select(LAST_HEARD.c.heard_at).where(LAST_HEARD.c.person == hashed)).scalar_one_or_none()
    return Known(None if found is None else found.token, None if found is None else found.created_at, erased, heard_at)


def table_rows(history: History, person: str) -> tuple[list[HeldRow], list[HeldSource]]:
    """Return a person's rows of every stored table, of past versions too, each with its end, and the sources they name. Raises HistoryError."""
    found = [(table, row, earlier) for table in STORED if table != "sources" for row, earlier in _rows(history, table, person)]
    named = {str(row["source_id"]): None for _, row, _ in found if row.get("source_id")}
    sources = _sources(history, list(named))
    rows = []
    for table, row, earlier in found:
        end = row_end(table, row, sources, history.vocabulary.retention)
        until, by = (None, None) if end is None else (end.at, end.reason)
        rows.append(HeldRow(table, row, row.get("source_id"), until, earlier, by))
    return rows, list(sources.values())


def row_end(table: str, row: Mapping[str, Any], sources: Mapping[str, HeldSource], retention: Retention) -> End | None:
    """Return until when a row counts, by the end of its source and, of an interaction, the limits of `[retention]`; None where it has no end of its own."""
    source = sources.get(str(row.get("source_id")))
    expires, source_type = (None, None) if source is None else (source.kept_until, source.type)
    if table != "interactions":
        return retention.end(expires_at=expires)
    return retention.end(expires_at=expires, occurred_at=row["occurred_at"], kind=row["kind"], source_type=source_type)


def _rows(history: History, table: str, person: str) -> Iterable[tuple[dict[str, Any], bool]]:
    """Yield the rows of the present version, then those that only past versions hold, each once."""
    present = history.files(table)
    past = sorted({str(path) for path in (history.folder / table).glob("v*/*.parquet")} - set(present))
    seen: list[dict[str, Any]] = []
    for paths, earlier in ((present, False), (past, True)):
        for path in paths:
            for row in _of(table, path, person):
                if not earlier or row not in seen:
                    seen.append(row)
                    yield row, earlier


def _of(table: str, path: str, person: str) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = pq.read_table(path, filters=[("person_id", "==", person)]).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise HistoryError(f"{table} cannot be read now ({type(error).__name__})") from None
    return found


def _sources(history: History, wanted: Sequence[str]) -> dict[str, HeldSource]:
    rows = {row["source_id"]: row for row in history.read("sources").to_pylist() if row["source_id"] in set(wanted)}
    return {name: _source(name, rows.get(name, {})) for name in wanted}


def _source(name: str, row: Mapping[str, Any]) -> HeldSource:
    names = ("type", "collected_how", "collected_at", "notice_hash", "political_purpose_stated", "election_id")
    said = {column: row.get(column) for column in names}
    return HeldSource(name, **said, kept_until=row.get("expires_at"))


def answered(store: Store, token: str | None) -> list[dict[str, Any]]:
    """Return every line of the log about a person, newest first, each with its answer and the name of the key. Raises StoreError."""
    if token is None:
        return []
    columns = [*DECISIONS.c, ANSWERS.c.door, ANSWERS.c.use, ANSWERS.c.tables, ANSWERS.c.preconditions, ANSWERS.c.route, KEYS.c.name.label("asked_by")]
    query = (
        select(*columns)
        .join(ANSWERS, ANSWERS.c.answer_id == DECISIONS.c.answer_id)
        .outerjoin(KEYS, KEYS.c.key_id == ANSWERS.c.key_id)
        .where(DECISIONS.c.person == token)
        .order_by(DECISIONS.c.at.desc(), DECISIONS.c.answer_id, DECISIONS.c.decision_id)
    )
    with store.read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def exported(store: Store, token: str | None, lines: Sequence[Mapping[str, Any]]) -> list[HeldExport]:
    """Return every export that held a row of a person, newest first, with the notices to its recipient; `lines` are those of `answered`. Raises StoreError."""
    if token is None:
        return []
    query = (
        select(EXPORTS, EXPORT_PEOPLE.c.reference)
        .join(EXPORT_PEOPLE, EXPORT_PEOPLE.c.export_id == EXPORTS.c.export_id)
        .where(EXPORT_PEOPLE.c.person == token)
        .order_by(EXPORTS.c.at.desc(), EXPORTS.c.export_id, EXPORT_PEOPLE.c.reference)
    )
    with store.read() as connection:
        rows = connection.execute(query).all()
        notices: dict[str, list[HeldNotice]] = {row.reference: [] for row in rows}
        for row in connection.execute(select(NOTICES).where(NOTICES.c.reference.in_(list(notices))).order_by(NOTICES.c.at)):
            notices[row.reference].append(HeldNotice(row.reason, row.at, row.told_at))
    return [_export(row, notices[row.reference], lines) for row in rows]


def _export(row: Any, notices: list[HeldNotice], lines: Sequence[Mapping[str, Any]]) -> HeldExport:
    scores, use = parsed(row.scores), parsed(row.use)
    listed = [str(each) for each in scores] if isinstance(scores, list) else [str(row.scores)]
    values, stated = [_handed_out(row, score, lines) for score in listed], use if isinstance(use, dict) else None
    return HeldExport(row.export_id, row.reference, row.at, row.recipient, row.outside, row.approver, stated, listed, row.as_of, values, notices)


def _handed_out(row: Any, score: str, lines: Sequence[Mapping[str, Any]]) -> HandedOut:
    """Return what a row of a file said of a score: the last that the log has of an export before it was handed out, by a model of the file, as of its time."""
    models = parsed(row.models)
    digests = {model.get("digest") for model in models if isinstance(model, dict)} if isinstance(models, list) else set()
    for line in lines:
        if (line["route"], line["score"], line["as_of"]) == ("export", score, row.as_of) and line["at"] <= row.at and line["digest"] in digests:
            return HandedOut(score, line["value"], line["low"], line["high"])
    return HandedOut(score, None, None, None)


def parsed(text: str | None) -> Any:
    """Return what a JSON text holds; None where there is none, or where it cannot be read."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None


def named_files(root: Path, person: str) -> tuple[list[HeldFile], list[str]]:
    """Return the files of the places that are files, and of no place, which name a person, and those that could not be looked into."""
    wanted, found, unreadable = needles([person]), [], []
    for path, relative, place in files(root):
        name = _PUT_HERE if place is None else place.name
        if name not in LINES + NAMED:
            continue
        try:
            if held_by_file(path, wanted):
                found.append(HeldFile(name, relative, _lines(path, person) if name in LINES else []))
        except (UnreadableError, OSError):
            unreadable.append(relative)
    return found, unreadable


def _lines(path: Path, person: str) -> list[str]:
    """Return the lines of a text file that name a person, under its first line; none of a file that is too large or is no text."""
    if path.stat().st_size > _LONGEST:
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []
    theirs = [line for line in lines if held_by_bytes(line.encode("utf-8", "surrogatepass"), needles([person]), text=True)]
    return theirs if not theirs or theirs[0] == lines[0] else [lines[0], *theirs]
