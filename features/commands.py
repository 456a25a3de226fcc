"""The commands of the ground floor: workspaces, imports, features, vectors, lineage."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from features.terminal import HERE, Bars, Folder, moment, now, say_unmatched, table
from features.vocabulary import Language
from features.workspace import Workspace

if TYPE_CHECKING:
    from features.history import History
    from features.own_rows import RefreshedBoth
    from features.vectors import Vectors

app = typer.Typer(rich_markup_mode=None)


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="A new or empty folder.")]) -> None:
    """Make a workspace with a commented audience.toml to fill in. Example: audience init riverside."""
    from features.workspace import create

    typer.echo(f"Wrote {create(folder)}: fill in your kinds, channels and topics, then `audience import`.")


@app.command(name="import")
def import_(
    table: Annotated[str, typer.Argument(help="interactions, people, sources, consents, assignments or outcomes.")],
    files: Annotated[list[Path], typer.Argument(help="CSV, Parquet or NDJSON files, plain, .gz or .zst.")],
    drop: Annotated[list[str] | None, typer.Option(help="A column of the files to leave out unread; again for each.")] = None,
    forget: Annotated[list[str] | None, typer.Option(help="A stored attribute that audience.toml no longer declares, to leave out; again for each.")] = None,
    workspace: Folder = HERE,
) -> None:
    """Store rows; bad ones go to a rejects file with their reasons. Example: audience import people people.csv --drop religion."""
    from features.imports import import_files

    with Bars() as bars:
        summary = import_files(Workspace.open(workspace), table, files, now=now(), drop=drop or (), forget=forget or (), progress=bars)
    typer.echo(summary)


@app.command()
def data(write: Annotated[bool, typer.Option("--write", help="Write it to docs/data.md instead.")] = False) -> None:
    """Print the data dictionary: every table, column, type, unit and allowed value. Example: audience data."""
    from features.tables import data_dictionary

    if write:
        Path("docs/data.md").write_text(data_dictionary(), encoding="utf-8")
    else:
        typer.echo(data_dictionary())


@app.command()
def features(
    families: Annotated[bool, typer.Option("--families", help="Only the families and how many features each has.")] = False, workspace: Folder = HERE
) -> None:
    """List the features that are made for this workspace, by family, each with a sentence about a value. Example: audience features --families."""
    from features import describe

    found = describe(workspace)
    for family, members in found.groupby("family", sort=False):
        typer.echo(f"{family}: {len(members)}")
        for name, row in ({} if families else members["for example"].to_dict()).items():
            typer.echo(f"  {name}\n      {row}")
    typer.echo(f"{len(found)} features in all")


@app.command()
def vectors(
    as_of: Annotated[str | None, typer.Option(help="Date or time with offset; now by default.")] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Build again only those for whom something has changed since.")] = False,
    watch: Annotated[float | None, typer.Option(min=0.1, help="Refresh every so many minutes, until Ctrl-C.")] = None,
    engine: Annotated[Literal["duckdb", "spark"], typer.Option(help="What computes: this machine, or Spark.")] = "duckdb",
    master: Annotated[str, typer.Option(help="Spark's master.")] = "local[2]",
    into: Annotated[str | None, typer.Option(help="Write them there as Parquet, from where Spark runs, instead of publishing them.")] = None,
    workspace: Folder = HERE,
) -> None:
    """Build everyone's vector as of a time and publish it, one of own rows too where others are stored. Example: audience vectors --as-of 2026-11-01."""
    from features.history import History
    from features.own_rows import build_both, refresh_both

    opened = Workspace.open(workspace)
    history = History(opened.tables, opened.vocabulary)
    say_unmatched(opened, history)
    if engine == "spark":
        if refresh or watch is not None:
            raise typer.BadParameter("--refresh and --watch are for vectors built on this machine: leave --engine spark out")
        _on_spark(history, opened, moment(as_of), master=master, into=into)
        return
    if into is not None:
        raise typer.BadParameter("--into is for --engine spark: on this machine vectors are published in the workspace")
    if watch is not None:
        _watch(lambda bars: _refreshed(workspace, bars), watch, as_of)
        return
    with Bars() as bars:
        if refresh:
            typer.echo(refresh_both(history, opened, moment(as_of), progress=bars))
            return
        _say_published(*build_both(history, opened, moment(as_of), progress=bars))


def _refreshed(workspace: Path, bars: Bars) -> RefreshedBoth:
    """Refresh by what audience.toml says now: who changes it builds anew, and that would be undone by the words of before."""
    from features.history import History
    from features.own_rows import refresh_both

    opened = Workspace.open(workspace)
    return refresh_both(History(opened.tables, opened.vocabulary), opened, now(), progress=bars)


def _say_published(built: Vectors, own: Vectors | None) -> None:
    typer.echo(f"{len(built):,} people, {len(built.names)} features as of {built.as_of:%Y-%m-%d %H:%M} UTC, published")
    if own is not None:
        typer.echo(f"{len(own):,} people of own rows alone, for online targeting, published beside them")


def _on_spark(history: History, opened: Workspace, as_of: datetime, *, master: str, into: str | None) -> None:
    from features.own_rows import wanted
    from features.publication import publish
    from features.relations import Standing
    from features.spark import Spark, build_vectors, write_vectors

    standing = Standing(history)
    with Spark(master) as spark, Bars() as bars:
        if into is not None:
            made = write_vectors(history, opened.vocabulary, as_of, into, spark=spark, progress=bars)
            typer.echo(f"{made['rows']:,} people, {len(made['names'])} features as of {as_of:%Y-%m-%d %H:%M} UTC, written to {into}")
            return
        built, own = build_vectors(standing, opened.vocabulary, as_of, spark=spark, progress=bars), None
        publish(built, opened.vectors, check=standing.check)
        for folder in wanted(standing, opened):
            own = build_vectors(standing, opened.vocabulary, as_of, spark=spark, own=True, progress=bars)
            publish(own, folder, check=standing.check)
    _say_published(built, own)


def _watch(once: Callable[[Bars], object], minutes: float, as_of: str | None) -> None:
    """Refresh again and again; what goes wrong once (an import is writing, a disk is full) is said, and tried again."""
    if as_of is not None:
        raise typer.BadParameter("--watch refreshes to the present moment each time: leave --as-of out")
    try:
        while True:
            try:
                with Bars() as bars:
                    done = once(bars)
                typer.echo(f"{now():%Y-%m-%d %H:%M:%S} {done}")
            except Exception as error:  # noqa: BLE001 - the next round may find it mended
                typer.echo(f"{now():%Y-%m-%d %H:%M:%S} not refreshed: {error}", err=True)
            sleep(60 * minutes)
    except KeyboardInterrupt:
        typer.echo("stopped; the vectors published last stay as they are")


@app.command()
def lineage(
    feature: Annotated[str, typer.Argument(help="A feature's name, in quotes; `audience features` lists them.")],
    as_of: Annotated[str | None, typer.Option(help="Date or time with offset; that of the published vectors by default.")] = None,
    json: Annotated[bool, typer.Option("--json", help="As one line of JSON.")] = False,
    own: Annotated[bool, typer.Option("--own", help="Of own rows alone, as online targeting sees them.")] = False,
    language: Annotated[Language | None, typer.Option(help="Of the sentence; the workspace's by default.")] = None,
    workspace: Folder = HERE,
) -> None:
    """Show what a value of the person whose id is read from standard input is made of. Example: audience lineage "recency|kind=gift|channel=any|topic=any"."""
    from features.history import History
    from features.lineage import lineage as lineage_of
    from features.permission.ledger import PERSON_ID
    from features.permission.unknown import in_no_table
    from features.publication import open_current
    from features.vectors import VectorsError

    opened = Workspace.open(workspace)
    published = open_current(opened.own_vectors if own else opened.vectors) if as_of is None else None
    versions, base = (published.table_versions, published.context) if published is not None else (None, None)
    at = moment(as_of) if published is None else published.as_of
    person_id = sys.stdin.readline().strip()  # never an argument: those stand in the shell's history and in lists of processes
    if not re.fullmatch(PERSON_ID, person_id):
        raise VectorsError("the first line of standard input is no person's id, such as van:123")
    history = History(opened.tables, opened.vocabulary)
    found = lineage_of(history, opened.vocabulary, person_id, feature, at, versions=versions, context=base, own=own)
    if not len(found.interactions) and in_no_table(history, [person_id]):
        raise VectorsError("no table holds anybody of that id: look whether it is mistyped; who was erased is in no table either")
    tongue = language or opened.settings.language
    if json:
        typer.echo(found.to_json(opened.vocabulary, tongue))
        return
    typer.echo(found.sentence(opened.vocabulary, tongue))
    for name, value in {**found.parts, **found.person, **found.figures}.items():
        typer.echo(f"  {name}: {value}")
    if len(found.interactions):
        table(found.interactions.to_pylist())
    else:
        typer.echo("made of no interaction")
