"""The one list of places in a workspace: what each holds, which of it is personal, and what erasure does there.

Erasure, access, purge and the scan for what is left walk this list. A test walks a workspace that everything has written to, and fails when a file is on no
place, or when a place that holds nobody names somebody. Whoever writes to a new place adds it here, with what erasure does to it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

Treatment = Literal["nothing", "tables", "vectors", "lines", "checkpoints", "asked", "keys", "row", "kept", "named"]
TREATMENTS: dict[Treatment, str] = {
    "nothing": "nothing: it holds nobody",
    "tables": "rows deleted, from every past version too",
    "vectors": "rows left out of the vectors, which are published anew; older versions removed",
    "lines": "lines removed",
    "checkpoints": "files that hold the id removed",
    "asked": "left as it is and named by path; rows removed with `--raw`",
    "keys": "row deleted, with the key that opened what is sealed",
    "row": "row deleted",
    "kept": "kept, without what led to the person",
    "named": "left as it is and named by path",
}
"""What erasure does to a place, in words."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place: files by patterns relative to the workspace (`*` within a folder, `**` across folders), or tables of the SQL store.

    `personal` says which data on persons it holds; it is empty where there are none. Of several places that a file fits, the first in the list is its own.
    """

    name: str
    holds: str
    paths: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    personal: str = ""
    erasure: Treatment = "nothing"


PLACES: tuple[Place, ...] = (
    Place(
        "checkpoints",
        "copies that a notebook editor keeps",
        ("**/.ipynb_checkpoints/**", ".ipynb_checkpoints/**"),
        personal="what a notebook has shown",
        erasure="checkpoints",
    ),
    Place("notebooks", "notebooks that somebody keeps here", ("**/*.ipynb", "*.ipynb"), personal="what they have shown", erasure="named"),
    Place("tables", "the stored tables", ("tables/*/v*/**",), personal="ids, attributes, interactions, assignments, outcomes", erasure="tables"),
    Place("table logs", "versions of the tables, their files and row counts; locks", ("tables/*/_delta_log/**", "tables/.*.lock")),
    Place("staging", "rows of an import under way", ("tables/.staging/**",), personal="as in the tables", erasure="tables"),
    Place("vectors", "published vectors, of all and of own rows", ("vectors*/v*/**", "vectors*/.new-*/**"), personal="ids and features", erasure="vectors"),
    Place("vectors' pointer", "which version is current; a lock", ("vectors*/CURRENT", "vectors*/.CURRENT", "vectors*/.lock")),
    Place("rejects", "why rows were refused: file, line, column, reason", ("rejects/**",), personal="lines of input files", erasure="lines"),
    Place(
        "draws", "who was drawn into which arm", ("experiments/*/assignments*.csv", "experiments/*/.*assignments*"), personal="ids and arms", erasure="lines"
    ),
    Place("plans", "plans of experiments; digests of draws", ("experiments/*/plan*.json", "experiments/*/.plan*", "experiments/*/*draws.json*")),
    Place("database", "the SQL tables below", ("audience.db", "audience.db-*"), personal="see there", erasure="keys"),
    Place("people's keys", "keyed hash, token and key of each person", tables=("subjects",), personal="pseudonyms and keys", erasure="keys"),
    Place(
        "last signs of life",
        "when people were last heard of, where a purge took the row",
        tables=("last_heard",),
        personal="a keyed hash, a time",
        erasure="row",
    ),
    Place("suppressions", "whom an import must not bring back", tables=("suppressions",), personal="a keyed hash", erasure="kept"),
    Place("ledger", "what people said about the use of their data", tables=("ledger",), personal="events by token; evidence, sealed", erasure="kept"),
    Place("decisions", "what was answered about whom", tables=("decisions",), personal="scores by token", erasure="kept"),
    Place("register", "what was done with people's data, never whose; who classed what", tables=("register",)),
    Place("exports", "what was handed out, and to whom", tables=("exports",)),
    Place("files of exports", "files for named recipients, until they are sent", ("exports/**",), personal="ids, names of rows, scores", erasure="lines"),
    Place("people of exports", "whose rows an export held", tables=("export_people",), personal="tokens beside names of rows", erasure="kept"),
    Place("queue to recipients", "which rows of exports have to go, and who was told", tables=("notices", "marks")),
    Place("letters to recipients", "which rows of exports have to go, by the names of rows alone", ("letters/**",)),
    Place("answers", "who asked what and when, in counts; keys and sessions of those who ask", tables=("answers", "keys", "sessions", "alembic_version")),
    Place("log's chain", "a link over each answer and its decisions", tables=("chain",)),
    Place("log's checkpoints", "signed links of the log", ("audit/**",)),
    Place("runs", "training runs: parameters, metrics, models, pictures", ("mlflow.db*", "artifacts/**")),
    Place("models", "checked and signed copies of promoted models", ("models/**",)),
    Place("tuning", "trials of settings", ("tuning/**",)),
    Place(
        "inputs",
        "files that somebody put here to import, to label or to draw from",
        ("raw/**", "labels*", "*.csv", "*.csv.gz", "*.csv.zst", "*.ndjson", "*.ndjson.gz", "*.ndjson.zst", "*.parquet"),
        personal="whatever they brought",
        erasure="asked",
    ),
    Place("truth", "what `audience simulate` knows of the people it made up", ("truth/**",), personal="ids of people who do not exist", erasure="asked"),
    Place("purges", "reports of purges, in counts", ("purges/**",)),
    Place("certificates", "certificates of erasure", ("certificates/**",)),
    Place("server's log", "what the server did; never about whom", ("serve.log",)),
    Place("reports", "pictures and reports that somebody saved here", ("*.png", "drift*.json", "balance*.json")),
    Place(
        "settings",
        "the organisation's words; secrets; the id of its database",
        ("audience.toml", "signing.key", ".signing.key.*", "*.key", "database.id", ".database.id.*", ".made-by-audience-demo"),
    ),
)


def place_of(path: str) -> Place | None:
    """Return the place of a file, by its path relative to the workspace (`/` between folders); None where it is on no place."""
    return next((place for place in PLACES for pattern in place.paths if _matcher(pattern).fullmatch(path)), None)


def place_of_table(table: str) -> Place | None:
    """Return the place of an SQL table, None where it is on no place."""
    return next((place for place in PLACES if table in place.tables), None)


def files(root: Path, *names: str) -> Iterator[tuple[Path, str, Place | None]]:
    """Yield every file under the workspace, its relative path and its place; with `names`, those of these places only.

    A folder that goes meanwhile, such as that of vectors that newer ones took the place of, is left out. One that cannot be listed stands for its files itself.
    """
    for path in sorted(_walk(root)):
        relative = path.relative_to(root).as_posix()
        place = place_of(relative)
        if not names or (place is not None and place.name in names):
            yield path, relative, place


def _walk(root: Path) -> Iterator[Path]:
    """Yield every file, those of folders that a link brings in from elsewhere too, and every folder that cannot be listed."""
    within, seen, closed = root.resolve(), set[Path](), list[OSError]()
    for name, folders, names in os.walk(root, followlinks=True, onerror=closed.append):
        folder, real = Path(name), Path(name).resolve()
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [each for each in folders if not (folder / each).is_symlink() or not (folder / each).resolve().is_relative_to(within)]
        yield from (folder / each for each in names)
    yield from (Path(error.filename) for error in closed if not isinstance(error, FileNotFoundError))


def places_table() -> str:
    """Return the list as a Markdown table."""
    lines = ["| place | where | holds | personal data | erasure |", "|---|---|---|---|---|"]
    for place in PLACES:
        where = ", ".join(f"`{path}`" for path in place.paths) or "SQL " + ", ".join(f"`{table}`" for table in place.tables)
        lines.append(f"| {place.name} | {where} | {place.holds} | {place.personal or 'none'} | {TREATMENTS[place.erasure]} |")
    return "\n".join(lines)


@cache
def _matcher(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", pattern)
    return re.compile("".join({"**": ".*", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts), re.DOTALL)
