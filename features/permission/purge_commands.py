"""The command that deletes what is past its limit."""
# ruff: noqa: PLC0415
# rooms are imported when their command runs, so that --help is fast

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from features.terminal import HERE, Bars, Folder, now, say_unmatched, table
from features.workspace import Workspace

app = typer.Typer(rich_markup_mode=None)


@app.command()
def purge(apply: Annotated[bool, typer.Option("--apply", help="Delete it; else only tell.")] = False, workspace: Folder = HERE) -> None:
    """Tell what is past its limit, in counts; with --apply, delete it for good and write a signed report. Example: audience purge --apply."""
    from features.history import History
    from features.permission.opening import opened as open_store
    from features.permission.purging import past
    from features.permission.purging import purge as delete

    opened, path = Workspace.open(workspace), None
    say_unmatched(opened, History(opened.tables, opened.vocabulary))
    with closing(open_store(opened)) as store, Bars() as bars:
        if apply:
            found, path = delete(opened, store, now(), progress=bars)
        else:
            found = past(opened, store, now())
    table(found.records())
    recipients, rows = len(found.to_tell), sum(found.to_tell.values())
    told = ", ".join(f"{reason} {count:,}" for reason, count in found.people.items())
    typer.echo(f"people who go: {told}; who stay though nothing was heard of them: members {found.members:,}, undated {found.undated:,}")
    typer.echo(
        f"who stay by the date of a last sign of life alone: {found.heard.num_rows:,}; recipients of exports to be told: {recipients:,}, of {rows:,} rows"
    )
    typer.echo("nothing was deleted: `audience purge --apply` deletes it" if path is None else f"deleted; report: {path}")
