"""The command that hands out a file: who is allowed, with their scores, for a named recipient."""
# ruff: noqa: PLC0415, PLR0917
# rooms are imported when their command runs, so that --help is fast

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from features.terminal import HERE, Bars, Folder
from features.workspace import Workspace

app = typer.Typer(rich_markup_mode=None)


@app.command()
def export(
    use: Annotated[str, typer.Option(help="A [uses.…] of audience.toml.")],
    score: Annotated[list[str], typer.Option(help="A score, such as affinity:housing; may be repeated. The first one picks.")],
    to: Annotated[str, typer.Option(help="Who gets the file, by name.")],
    approver: Annotated[str, typer.Option(help="Who approved it, by name.")],
    out: Annotated[Path, typer.Option(help="The new file, .csv or .parquet; within the workspace in its folder `exports`.")],
    outside: Annotated[bool, typer.Option("--outside", help="The recipient is another controller: nobody whose only basis is a tie with us is in it.")] = False,
    band: Annotated[Literal["high", "medium", "low"] | None, typer.Option(help="Only those of a band of the first score.")] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Only so many people, those with the highest first score.")] = None,
    exclude: Annotated[bool, typer.Option("--exclude", help="The recipient is to leave out those of --band or --top; decided on alike.")] = False,
    workspace: Folder = HERE,
) -> None:
    """Hand out a file. Example: audience export --use doorstep --score affinity:housing --to "Print shop X" --approver "A. Name" --out doors.csv."""
    from serving.exporting import Asked
    from serving.exporting import export as hand_out
    from serving.problems import Problem
    from serving.server import Server
    from serving.settings import Settings

    opened = Workspace.open(workspace)
    asked = Asked(opened.permission.use(use), score, to.strip(), approver.strip(), out, outside, band, top, exclude)
    server = Server.open(Settings.from_environment(os.environ).model_copy(update={"workspace": workspace}))
    try:
        server.reloader.refresh()
        with Bars() as bars:
            done = hand_out(server, server.reloader.current, asked, progress=bars)
    except Problem as problem:
        typer.echo(f"refused: {problem.code} ({problem.status}): {problem.detail}", err=True)
        for reason in problem.members.get("reasons", []):
            typer.echo(f"  {reason}", err=True)
        raise typer.Exit(1) from None
    finally:
        server.store.close()
    typer.echo(f"{done.people:,} people in {done.path}")
    if exclude:
        typer.echo("  to be left out; who may not be picked out at all is in no list, and must not be reached because of that")
    for code, count in done.left_out.items():
        typer.echo(f"  not in it: {count:,} {code}")
    typer.echo(f"export {done.export_id}, SHA-256 of the file {done.digest}")
