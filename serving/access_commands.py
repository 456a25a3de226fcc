"""The command of access: everything that is held of one person, as data, as a page, or as a PDF. The id comes from a file or standard input."""
# ruff: noqa: PLC0415
# rooms are imported when their command runs, so that --help is fast

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer

from features.terminal import HERE, Folder, ids_of, now
from features.vocabulary import Language
from features.workspace import Workspace

app = typer.Typer(rich_markup_mode=None)


@app.command()
def access(
    file: Annotated[Path | None, typer.Option(help="A file with one id; from standard input without it, or with `-`.")] = None,
    format_: Annotated[Literal["json", "html", "pdf", "jsonld"], typer.Option("--format", help="jsonld: the consent records alone.")] = "json",
    out: Annotated[Path | None, typer.Option(help="Where to write it, readable by its owner only; standard output without it.")] = None,
    language: Annotated[Language | None, typer.Option(help="By default the person's own, or the workspace's.")] = None,
    workspace: Folder = HERE,
) -> None:
    """Tell everything that is held of one person, and write into the audit log that it was told. Example: audience access --format pdf --out answer.pdf."""
    from features.permission.opening import opened as open_store
    from features.permission.private_files import put
    from serving.audit import AuditLog
    from serving.held_data import Records
    from serving.settings import Settings
    from serving.telling import told, written

    opened = Workspace.open(workspace)
    person = _only_one(ids_of(file))
    if format_ == "pdf" and out is None and sys.stdout.isatty():
        raise typer.BadParameter("a PDF is nothing for the terminal: say --out FILE")
    url = Settings.from_environment(os.environ).database_url or opened.database_url
    with closing(open_store(opened, url)) as store:
        record = AuditLog(store, opened.signing_key()).record
        data = told(Records.open(opened, store), person, at=now(), language=language, door="command", route="audience access", record=record)
        answer = written(data, format_, opened.vocabulary)
    if out is None:
        sys.stdout.buffer.write(answer if format_ == "pdf" else answer + b"\n")
        return
    put(out, answer)
    typer.echo(f"{out}: {len(answer):,} bytes, readable by its owner only", err=True)


def _only_one(ids: list[str]) -> str:
    if len(ids) != 1:
        raise typer.BadParameter(f"one person at a time: give one id on standard input or in a --file, not {len(ids):,}")
    return ids[0]
