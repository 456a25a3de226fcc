"""Erasure that reaches everything: first the ledger, which is in force at once in every worker, then every place of the list, then a search for what is left.

Every step can be done again, so that an erasure that was interrupted is finished by asking for it once more.
"""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import make_url, select

from features.database.schema import SUPPRESSIONS
from features.database.store import Store, StoreError
from features.history import History, HistoryError
from features.permission.certificate import Erased, Looked, TrainedModel, certificate, missing
from features.permission.exports import recipients_of
from features.permission.held import Held, held
from features.permission.ledger import PERSON_ID, Ledger
from features.permission.places import files
from features.permission.private_files import put
from features.permission.scanning import UnreadableError, held_by_file, needles, scan
from features.permission.signing import signed
from features.permission.striking import strike_lines, strike_rows
from features.published import VectorsError
from features.spill import clear_left_behind
from features.vectors_erasure import erase_from_vectors
from features.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

Progress = Callable[[str, float], None]
Listing = Callable[[], Sequence[TrainedModel]]
CERTIFICATES = "certificates"


class ErasingError(RuntimeError):
    """An erasure could not be finished; the message says what has been done and what to do."""


@dataclass(frozen=True, slots=True)
class Certified:
    """The certificate of one person's erasure: where it is, what it says is missing ([] for nothing), what became of the person and of the vectors."""

    path: Path
    missing: Sequence[str]
    erased: Erased
    withdrawn: bool = False

    def __str__(self) -> str:
        event = "recorded before" if self.erased.event is None else f"event {self.erased.event:,} of the ledger"
        removed = self.erased.removed
        counts = {**removed["tables"], "vectors": removed["vectors"], **removed["files"]}
        said = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count) or "nothing"
        lines = [f"{event}; rows removed: {said}"]
        lines += [f"  to be told: {name}, of {rows:,} rows (`audience recipients`)" for name, rows in self.erased.recipients.items()]
        if not self.erased.anything:
            lines.append("  nothing was known or held of this person; from now on nothing comes in of them")
        lines += [f"  may have learned from this person: {model.name} version {model.version}, {_told(model)}" for model in self.erased.models]
        lines += [f"  not complete: {reason}" for reason in self.missing]
        if self.withdrawn:
            lines.append("  the published vectors were of another release and had to be removed: build them with `audience vectors`")
        return "\n".join([*lines, f"  certificate: {self.path}"])


def erase_people(
    workspace: Workspace,
    store: Store,
    people: Sequence[str],
    *,
    now: datetime,
    door: str,
    raw: bool = False,
    models: Listing | None = None,
    progress: Progress | None = None,
) -> list[Certified]:
    """Erase people from everything that the workspace holds, and write a signed certificate for each, in their order.

    `raw` takes their rows out of files that somebody put into the workspace too. `models` lists the registered versions, which stay as they are. Raises
    ErasingError when a step could not be done: then it is in force nevertheless, and the same again does the rest. What is no id is refused before
    anything is done: no row could be its own, and lines of files that hold such a word are other people's.
    """
    people = list(dict.fromkeys(people))
    if wrong := sum(re.fullmatch(PERSON_ID, person) is None for person in people):
        raise ErasingError(f"{wrong:,} of {len(people):,} are no ids of persons (`system:id`, such as system = van, without spaces): nobody was erased")
    told = progress or (lambda _stage, _share: None)
    history = History(workspace.tables, workspace.vocabulary)
    told("writing it into the ledger", 0.0)
    erased = _record(Ledger(store, workspace.signing_key()), people, now, door)
    with _goes_on():
        told("looking what is held", 0.02)
        what = held(history, people)
        listed, faults = _listed(models)
        learned = _learned(what, history, listed)
        told("deleting rows from the tables", 0.1)
        history.delete_people(people)
        clear_left_behind()
        told("taking rows out of the vectors", 0.3)
        left = erase_from_vectors(workspace.vectors, people).both(erase_from_vectors(workspace.own_vectors, people))
        told("taking lines out of files", 0.4)
        struck = _strike(workspace.root, people, raw=raw)
        told("overwriting what the database let go", 0.5)
        faults += _overwritten(store)
        found = scan(workspace.root, people, others=_others(history), progress=lambda stage, share: told(stage, 0.6 + 0.4 * share))
        for person, one in erased.items():
            one.tables, one.vectors = what.rows[person], int(person in left.people)
            one.files, one.found = dict(struck[person]), _masked(found.found[person], people)
            one.models = learned[person] if one.event is not None else _or_before(listed, learned[person], one.erased_at)
        unreadable = dict(zip(_masked(tuple(found.unreadable), people), found.unreadable.values(), strict=True))
        looked = Looked(found.files, found.size, unreadable, _beyond(workspace), tuple(faults), left.withdrawn)
        certified = [_certify(workspace, erased[person], looked, now) for person in people]
    told("looked through everything", 1.0)
    return certified


def _record(ledger: Ledger, people: Sequence[str], now: datetime, door: str) -> dict[str, Erased]:
    """Write the erasure of all of them into the ledger and destroy their keys, all or nothing."""
    with ledger.store.write(serial=True) as connection:
        known = ledger.subjects.find_all(connection, people)
        had = {person: recipients_of(connection, subject.token) for person, subject in known.items()}
        numbers = {person: ledger.erase(connection, person, now=now, door=door) for person in people}
        query = select(SUPPRESSIONS.c.at)
        since = {person: connection.execute(query.where(SUPPRESSIONS.c.person == ledger.subjects.hash_of(person))).scalar_one() for person in people}
    return {person: Erased(numbers[person], since[person], person in known, recipients=had.get(person, {})) for person in people}


@contextmanager
def _goes_on() -> Iterator[None]:
    """Say of whatever stops the rest that the erasure is in force already."""
    try:
        yield
    except (HistoryError, StoreError, OSError, ValueError) as error:
        words = str(error) if isinstance(error, HistoryError | StoreError | VectorsError) else type(error).__name__
        said = "It is in the ledger already, so nobody is scored; what is stored is not all deleted yet: ask for the same erasure again"
        raise ErasingError(f"{words}. {said}") from error


def _listed(models: Listing | None) -> tuple[Sequence[TrainedModel], list[str]]:
    """Return the registered versions; where they cannot be listed nothing stops, and the certificate says so."""
    if models is None:
        return (), ["nobody asked which models were trained"]
    try:
        return models(), []
    except Exception as error:  # noqa: BLE001 - whatever a tracking server answers, the data have to go
        return (), [f"the registered models could not be listed ({type(error).__name__})"]


def _learned(what: Held, history: History, listed: Sequence[TrainedModel]) -> dict[str, list[TrainedModel]]:
    found: dict[str, list[TrainedModel]] = {person: [] for person in what.rows}
    for model in listed:
        for person in what.learned_from(history, model.table_versions, model.experiment):
            found[person].append(model)
    return found


def _or_before(listed: Sequence[TrainedModel], learned: Sequence[TrainedModel], since: datetime) -> list[TrainedModel]:
    """Return the versions that learned from rows that are still there, and all that were registered before the erasure: of rows that are gone nobody knows."""
    return [model for model in listed if model in learned or model.registered_at <= since]


def _strike(root: Path, people: Sequence[str], *, raw: bool) -> dict[str, Counter[str]]:
    """Take the people's lines and rows out of the files of the places where that is done; return how many, by person and place."""
    struck: dict[str, Counter[str]] = {person: Counter() for person in people}
    for path, _, place in list(files(root)):
        if place is None or place.erasure not in {"lines", "checkpoints", *(("asked",) if raw else ())}:
            continue
        try:
            theirs = held_by_file(path, needles(people))
            if not theirs:
                continue
            counts = _strike_file(path.resolve(), place.name, place.erasure, theirs)  # of a link what it leads to, or that would stay as it is
        except (OSError, ValueError, UnreadableError):
            continue  # the search for what is left names it
        for person, count in counts.items():
            struck[person][place.name] += count
    return struck


def _strike_file(path: Path, place: str, treatment: str, people: set[str]) -> Mapping[str, int]:
    if treatment == "checkpoints":
        path.unlink()
        return Counter(people)
    if place == "rejects":
        return strike_lines(path, people)
    return strike_rows(path, people, ready=(lambda fresh: _tell_draws(path, fresh)) if place == "draws" else None)


def _tell_draws(path: Path, fresh: Path) -> None:
    """Put the digest of what takes the place of a file of assignments into the list of draws: killed before it does, the next time makes the same file."""
    draws = path.with_name("draws.json")
    if not draws.exists():
        return
    records = json.loads(draws.read_text(encoding="utf-8"))
    for record in records:
        if record.get("file") == path.name:
            record["sha256"] = sha256(fresh.read_bytes()).hexdigest()
    put(draws, json.dumps(records, indent=1).encode())


def _overwritten(store: Store) -> list[str]:
    """Overwrite what the database let go; return what could not be done, in words."""
    try:
        store.vacuum()
    except StoreError as error:
        return [f"what was deleted from the database is not overwritten yet: {error}; the same erasure again does it"]
    return []


def _others(history: History) -> Callable[[str], Sequence[str]]:
    """Return what names the ids of the tables that hold an id within them; the tables are read when it is first asked."""

    @cache
    def known() -> pa.LargeStringArray:
        tables = [history.read(table, columns=["person_id"]).column(0) for table in ("people", "interactions")]
        return pc.unique(pa.chunked_array([chunk.cast(pa.large_string()) for column in tables for chunk in column.chunks], pa.large_string()))

    @cache
    def others(person: str) -> Sequence[str]:
        ids = known()
        longer = pc.and_(pc.match_substring(ids, person), pc.not_equal(ids, person))
        return tuple(ids.filter(longer).to_pylist())

    return others


def _masked(paths: Sequence[str], people: Sequence[str]) -> tuple[str, ...]:
    """Return paths in which nobody of the people is named."""
    for person in people:
        paths = [path.replace(person, "…") for path in paths]
    return tuple(paths)


def _beyond(workspace: Workspace) -> tuple[str, ...]:
    """Return what lies outside of the folder, where no file can be looked into."""
    beyond = [
        "copies outside of the workspace: backups, and files that somebody took elsewhere",
        "temporary files of commands that are at work, until these end",
    ]
    for words, url, default in (
        ("the SQL store", workspace.database_url, f"sqlite:///{workspace.root / 'audience.db'}"),
        ("the tracking store", workspace.tracking_url, f"sqlite:///{workspace.root / 'mlflow.db'}"),
    ):
        if url != default:
            beyond.append(f"{words}, which is kept elsewhere ({_scheme(url)}); it is not given any id, and its own logs and copies may hold what was deleted")
    return tuple(beyond)


def _scheme(url: str) -> str:
    try:
        return make_url(url).get_backend_name()
    except Exception:  # noqa: BLE001 - whatever it is called, its address may hold a password
        return url.partition(":")[0]


def _certify(workspace: Workspace, erased: Erased, looked: Looked, now: datetime) -> Certified:
    document = signed(certificate(erased, looked, workspace=workspace.settings.name, made_at=now), workspace.signing_key())
    path = workspace.root / CERTIFICATES / f"erasure-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}.json"
    put(path, json.dumps(document, indent=1, ensure_ascii=False).encode())
    return Certified(path, missing(erased, looked), erased, looked.withdrawn)


def _told(model: TrainedModel) -> str:
    return f"{model.state.replace('_', ' ')}{' (in office)' if model.in_office else ''}"
