"""The command of erasure: everything that is held of people, in every room, and the certificates of it."""
# ruff: noqa: PLC0415, PLR0917
# rooms are imported when their command runs, so that --help is fast

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from features.terminal import HERE, Bars, Folder, ids_of, now
from features.workspace import Workspace

app = typer.Typer(rich_markup_mode=None)


@app.command()
def erase(
    person: Annotated[list[str] | None, typer.Option(help="An id; may be repeated. It then stands in the shell's history.")] = None,
    file: Annotated[Path | None, typer.Option(help="A file of ids, one per line; from standard input without it.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Take rows out of files that somebody put into the workspace too.")] = False,
    models: Annotated[list[str] | None, typer.Option(help="What becomes of models: kept, retired, retrained; or NAME[/VERSION]=STATE. Repeatable.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why models are kept.")] = None,
    verify: Annotated[Path | None, typer.Option(help="Check a certificate instead, and erase nobody.")] = None,
    workspace: Folder = HERE,
) -> None:
    """Erase people from everything, and write a signed certificate for each; exit code 1 where something is left. Example: audience erase --file ids.txt."""
    from features.permission.erasing import erase_people
    from features.permission.opening import opened as open_store
    from training.trained_models import Statement, trained_models

    opened = Workspace.open(workspace)
    if verify is not None:
        _verify(opened, verify)
        return
    said = [Statement.of(text) for text in models or ()]
    people = person or ids_of(file)
    store = open_store(opened)
    try:
        with Bars() as bars:
            done = erase_people(opened, store, people, now=now(), door="command", raw=raw, models=lambda: trained_models(opened, said, reason), progress=bars)
    finally:
        store.close()
    for certified in done:
        typer.echo(certified)
    if any(certified.missing for certified in done):
        raise typer.Exit(1)


def _verify(workspace: Workspace, path: Path) -> None:
    from features.permission.signing import SignatureError, check

    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        check(document if isinstance(document, dict) else {}, workspace.signing_key())
    except (SignatureError, ValueError) as error:
        typer.echo(f"not a certificate of this workspace: {error}" if isinstance(error, SignatureError) else "not a certificate: it is no JSON")
        raise typer.Exit(1) from None
    state = "complete" if document["complete"] else "NOT complete: " + "; ".join(document["not_complete"])
    typer.echo(f"signed by this workspace and unchanged; erased {document['erased_at']}, {state}")
