"""A file for a named recipient: everybody who is allowed for a use when it is written down; who spoke until then is asked in that very transaction.

Who withdraws, objects or is erased before that is not in the file; who does so later is told of to its recipient (`features.permission.recipients`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from io import BufferedRandom
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sqlalchemy import Connection

from features.permission.exports import Export, new_references, write
from features.permission.private_files import beside, take_place, within
from features.permission.register import Register
from features.permission.use import Use
from serving.answering import told_of
from serving.audit import Answer, Decision, said_since
from serving.bands import Band, band
from serving.bulk import CHUNK, Bulk, Decided, Progress, Scoring, low_and_high, score_all
from serving.loaded import Loaded
from serving.permitting import basis
from serving.problems import Problem, Refused
from serving.server import Server, new_answer_id, now

ROUTE = "export"
FORMATS = (".csv", ".parquet")
_LONGEST = 200


class ExportError(ValueError):
    """An export was not asked for in full, or its file cannot be put in its place; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One file: which scores of whom, for which use, for whom, approved by whom.

    `band` and `top` pick by the first score; without them it is everybody allowed. `exclude`: the recipient is to leave out those whom they pick. The file
    holds the same people as one of those to reach, because that is a selection too and decided on alike (rule L8). `outside`: the recipient is another
    controller (rule L11).
    """

    use: Use
    scores: Sequence[str]
    recipient: str
    approver: str
    path: Path
    outside: bool = False
    band: Band | None = None
    top: int | None = None
    exclude: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was handed out: its name in the record, its people, and why the others are not in it, counted by code."""

    export_id: str
    path: Path
    people: int
    digest: str
    left_out: Mapping[str, int]


@dataclass(frozen=True, eq=False, slots=True)
class _Columns:
    """People in `rows` (k,) of the vectors, rising, with value, low and high of each score by its name, (k, 3), NaN where there is no interval."""

    rows: NDArray[np.int64]
    scores: Mapping[str, NDArray[np.float64]]

    def take(self, kept: NDArray[Any]) -> _Columns:
        return _Columns(self.rows[kept], {name: values[kept] for name, values in self.scores.items()})


@dataclass(frozen=True, eq=False, slots=True)
class _Final:
    """The n rows of the file, ready to be written down: the decision they stand on, whose they are by token, the rows' names, and the file's columns."""

    decided: Decided
    rows: NDArray[np.int64]
    tokens: Sequence[str]
    references: Sequence[str]
    table: pa.Table

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, decided: Decided) -> _Final:
        """Return those who are still allowed by a later decision on all n."""
        kept = np.flatnonzero(decided.kept)
        tokens, references = ([texts[place] for place in kept.tolist()] for texts in (self.tokens, self.references))
        return _Final(decided, self.rows[kept], tokens, references, self.table.take(kept))


@dataclass(frozen=True, eq=False, slots=True)
class _Export:
    """What all steps of one export share."""

    scoring: Scoring
    asked: Asked
    export_id: str
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def signed(self) -> Mapping[str, bool]:
        """Which of the scores are uplifts."""
        return {name: self.scoring.model_of(name).scale != "probability" for name in self.scoring.names}


def export(server: Server, loaded: Loaded, asked: Asked, *, chunk: int = CHUNK, progress: Progress | None = None) -> Exported:
    """Score everybody who is allowed, and put the file in its place. A refusal is in the audit log too, and then nothing is written.

    Interrupted, it leaves nothing but entries of the log, and starts again from the beginning. Raises Problem where it is refused, and ExportError.
    """
    path = _checked(server, asked)
    try:
        scoring = Scoring.of(server, loaded, Bulk(asked.use, asked.scores, "export", asked.outside, asked.band == "low", route=ROUTE))
        made = _Export(scoring, asked, new_answer_id())
        _check(made, scoring.decide(np.zeros(0, dtype=np.int64)), len(scoring.vectors))
        picked = _picked(made, _collected(made, chunk, progress))
        return _handed_out(made, picked, path)
    except Problem as problem:
        if problem.code != "audit_unavailable":
            refused = Answer(new_answer_id(), now(), "command", ROUTE, problem.status, code=problem.code, activity="export")
            server.record(told_of(refused, problem))
        raise


def _checked(server: Server, asked: Asked) -> Path:
    """Return where the file goes. Raises ExportError."""
    for what, name in (("the recipient", asked.recipient), ("who approved it", asked.approver)):
        if not name.strip() or not name.isprintable() or len(name) > _LONGEST:
            raise ExportError(f"name {what}: up to {_LONGEST} printable characters")
    path, within_workspace = asked.path.resolve(), within(server.workspace.root, asked.path)
    if path.suffix not in FORMATS:
        raise ExportError(f"the file's name ends with {' or '.join(FORMATS)}, which says what it becomes; given {path.suffix or 'no ending'}")
    if within_workspace is not None and within_workspace.parts[0] != "exports":
        raise ExportError("within the workspace files for recipients go to its folder `exports`; or name a place elsewhere")
    if path.exists():
        raise ExportError("there is a file of that name already: what was handed out is not overwritten")
    if asked.top is not None and (asked.top < 1 or asked.band is not None):
        raise ExportError("take those of a band, or the first so many, at least one; not both")
    if asked.exclude and asked.band is None and asked.top is None:
        raise ExportError("a list of those to leave out holds these people themselves: say which, by band or as the first so many; everybody is none")
    return path


def _collected(made: _Export, chunk: int, progress: Progress | None) -> _Columns:
    """Return everybody who is allowed, with their scores."""
    names = made.scoring.names
    rows, scores = [np.zeros(0, dtype=np.int64)], {name: [np.zeros((0, 3))] for name in names}
    for found in score_all(made.scoring, chunk=chunk, progress=progress):
        made.left_out.update(found.left_out)
        rows.append(found.rows)
        for name, served in found.scores.items():
            scores[name].append(np.column_stack((served.values, served.low, served.high)))
    return _Columns(np.concatenate(rows), {name: np.concatenate(parts) for name, parts in scores.items()})


def _picked(made: _Export, columns: _Columns) -> _Columns:
    """Return those whom contact is shown to move the right way, where an uplift is asked for (rule L31), and of these the ones that are asked for."""
    asked, first = made.asked, made.scoring.names[0]
    moved = np.ones(len(columns.rows), dtype=np.bool_)
    for name, signed in made.signed.items():
        if signed:
            moved &= (columns.scores[name][:, 0] > 0) & (columns.scores[name][:, 1] > 0)
    made.left_out["do_not_contact"] += int((~moved).sum())
    columns = columns.take(moved)
    chosen = np.ones(len(columns.rows), dtype=np.bool_)
    if asked.band is not None:
        chosen = np.array([each == asked.band for each in _bands(made, first, columns)], dtype=np.bool_)
    elif asked.top is not None:
        chosen[np.argsort(-columns.scores[first][:, 0], kind="stable")[asked.top :]] = False
    made.left_out["not_selected"] += int((~chosen).sum())
    return columns.take(chosen)


def _handed_out(made: _Export, columns: _Columns, path: Path) -> Exported:
    """Write the file and the record of it, and put it in its place; who may not be in it any more is not."""
    final, left_out = _final(made, columns)
    with beside(path) as (fresh, file):
        digest = _written(file, path.suffix, final.table)
        with made.scoring.server.store.write(serial=True) as connection:
            if said_since(connection, final.decided.decisions.ledger, {*final.tokens, *(entry.person for entry in left_out)}):
                last = made.scoring.decide(final.rows)
                made.left_out.update(last.counts())
                left_out, before, final = [*left_out, *made.scoring.left_out(last, final.tokens)], final, final.take(last)
                _check(made, last, len(final))
                digest = digest if len(final) == len(before) else _written(file, path.suffix, final.table)
            _write_down(made, connection, final, digest)
            _log(made, connection, final, left_out)
        try:
            take_place(fresh, path, file)
        except OSError as error:
            words = "it is written down as handed out, but the file could not be put in its place"
            raise ExportError(f"{words} ({type(error).__name__}): export again to another place") from error
    return Exported(made.export_id, path, len(final), digest, {code: count for code, count in made.left_out.items() if count})


def _final(made: _Export, columns: _Columns) -> tuple[_Final, list[Decision]]:
    """Return everybody who is still allowed, ready to be written down, with the log's entries on those who are not."""
    scoring, tokens = made.scoring, made.scoring.tokens(columns.rows)
    references = _references(tokens)
    table = _table(made, columns, references)
    decided = scoring.decide(columns.rows)
    made.left_out.update(decided.counts())
    final = _Final(decided, columns.rows, tokens, references, table).take(decided)
    _check(made, decided, len(final))
    return final, scoring.left_out(decided, tokens)


def _references(tokens: Sequence[str]) -> list[str]:
    """Return a new name for each row, in the order of their tokens: both are random, and a database writes what is in order in half the time."""
    references = np.empty(len(tokens), dtype=object)
    references[np.argsort(np.array(tokens, dtype=object), kind="stable")] = sorted(new_references(len(tokens)))
    found: list[str] = references.tolist()
    return found


def _check(made: _Export, decided: Decided, people: int) -> None:
    """Raise Problem where the scores' time is over by then, and where so few people are left that the file would be about them one by one (rule L32)."""
    server, until = made.scoring.server, _valid_until(made.scoring)
    refused = Refused(basis(server.permission, decided.decisions), "export", people, made.scoring.also)
    if decided.decisions.at >= until:
        days = made.scoring.loaded.settings.scores_valid_days
        words = (
            f"The scores of all {people:,} people were valid until {until:%Y-%m-%d %H:%M} UTC, {days} days after the time of the vectors. Build them anew with "
            "`audience vectors`, so that everybody is scored again, and export then."
        )
        raise Problem("scores_expired", words, refused=refused)
    floor = server.workspace.exports.floor
    if people < floor:
        words = f"Fewer than {floor} people are left, and a file holds at least so many."
        raise Problem("audience_too_small", words, status=403, refused=refused, rule="L32")


def _write_down(made: _Export, connection: Connection, final: _Final, digest: str) -> None:
    """Write whose rows are handed out to whom, and the register's entry, which names none of them."""
    asked, scoring, decisions = made.asked, made.scoring, final.decided.decisions
    champions = [champion for champion, _ in scoring.champions]
    models = [{"name": champion.name, "version": champion.version, "digest": champion.digest} for champion in champions]
    law = f"{decisions.pack} {decisions.version} {decisions.digest}"
    export_ = Export(
        made.export_id,
        decisions.at,
        asked.recipient,
        asked.outside,
        asked.approver,
        asked.use,
        scoring.names,
        models,
        law,
        decisions.ledger,
        decisions.versions,
        scoring.as_of,
        digest,
    )
    write(connection, export_, dict(zip(final.references, final.tokens, strict=True)))
    selection = {"by": scoring.names[0], "band": asked.band, "top": asked.top, "excluded": asked.exclude}
    body = {
        "export_id": made.export_id,
        "use": asked.use.model_dump(mode="json", exclude_none=True),
        "scores": list(scoring.names),
        "models": models,
        "selection": {key: value for key, value in selection.items() if value is not None},
        "people": len(final),
        "recipient": asked.recipient,
        "outside": asked.outside,
        "approver": asked.approver,
        "file": {"sha256": digest, "name_sha256": hashlib.sha256(asked.path.name.encode()).hexdigest()},
        "law": law,
        "ledger": decisions.ledger,
        "tables": dict(decisions.versions),
        "as_of": scoring.as_of.isoformat(),
        "period": {"from": decisions.at.isoformat(), "until": _valid_until(scoring).isoformat()},
    }
    Register(scoring.server.store, scoring.server.key).append(connection, "export", body, now=decisions.at)


def _log(made: _Export, connection: Connection, final: _Final, left_out: Sequence[Decision]) -> None:
    """Write into the audit log what the file stands on, and who had to leave since they were scored."""
    server = made.scoring.server
    numbered = [replace(entry, decision_id=f"{final.decided.answer_id}-{number}") for number, entry in enumerate(left_out)]
    answer = made.scoring.answer(final.decided, numbered, people=len(final))
    server.audit.enter(connection, replace(answer, preconditions=server.permission.settings.preconditions))


def _table(made: _Export, columns: _Columns, references: Sequence[str]) -> pa.Table:
    scoring, n = made.scoring, len(columns.rows)
    found: dict[str, pa.Array] = {"person_id": scoring.vectors.person_ids.take(columns.rows), "reference": pa.array(references, pa.string())}
    for name in scoring.names:
        values, champion = columns.scores[name], scoring.model_of(name)
        both = np.isfinite(values[:, 1:]).all(axis=1)
        found[name] = pa.array(values[:, 0])
        found |= {f"{name} {end}": pa.array(values[:, place], mask=~both) for place, end in ((1, "low"), (2, "high"))}
        found[f"{name} band"] = pa.array(_bands(made, name, columns), pa.string())
        found[f"{name} model"] = pa.repeat(pa.scalar(f"{champion.name} {champion.version}"), n)
    for name, moment in (("as_of", scoring.as_of), ("valid_until", _valid_until(scoring))):
        found[name] = pa.repeat(pa.scalar(moment, pa.timestamp("us", tz="UTC")), n)
    return pa.table(found)


def _bands(made: _Export, name: str, columns: _Columns) -> list[Band]:
    bands, signed = made.scoring.loaded.bands[name], made.signed[name]
    rows = columns.scores[name].tolist()
    return [band(value, bands, low=low_and_high(low, high)[0], signed=signed) for value, low, high in rows]


def _valid_until(scoring: Scoring) -> datetime:
    return scoring.as_of + timedelta(days=scoring.loaded.settings.scores_valid_days)


def _written(file: BufferedRandom, suffix: str, table: pa.Table) -> str:
    """Write the table over whatever the file holds, and return the SHA-256 of the file."""
    file.seek(0)
    file.truncate()
    if suffix == ".parquet":
        pq.write_table(table, file)
    else:
        pa_csv.write_csv(table, file)
    file.flush()
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()
