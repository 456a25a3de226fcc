"""The command line: one short function per command, each a call into a room below."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import typer

from features.workspace import Workspace

if TYPE_CHECKING:
    from features.history import History

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, help=__doc__)
train_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Train a model; the run stands in MLflow.")
key_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make, list and revoke the keys of the HTTP service.")
app.add_typer(train_app, name="train")
app.add_typer(key_app, name="key")

Folder = Annotated[Path, typer.Option("--workspace", "-w", envvar="AUDIENCE_WORKSPACE", help="The workspace's folder.")]
HERE = Path()
ROOMS = {"features", "models", "training", "serving", "demo"}
STORES = {"mlflow", "sqlalchemy", "deltalake"}
"""Packages behind the stores: what they cannot open or reach is said in their first line."""


def main() -> None:
    """Run the command line; a mistake is a sentence on standard error and exit code 2, not a traceback. A refusal by the gate is exit code 1."""
    try:
        app()
    except Exception as error:
        from_elsewhere = type(error).__module__.split(".")[0] in STORES or isinstance(error, OSError)
        if type(error).__module__.split(".")[0] not in ROOMS and not from_elsewhere:
            raise
        words = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}" if from_elsewhere and str(error).strip() else str(error)
        print(_traceback(error) if os.environ.get("AUDIENCE_TRACEBACK") else f"error: {words}", file=sys.stderr)
        sys.exit(2)


def _traceback(error: Exception) -> str:
    import traceback

    return "".join(traceback.format_exception(error))


def _now() -> datetime:
    return datetime.now(UTC)


def _time(text: str | None) -> datetime:
    """Return the moment `text` names (ISO 8601 with an offset, or a date: midnight UTC), or now."""
    if text is None:
        return _now()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no ISO 8601 time such as 2026-11-01 or 2026-11-01T06:00:00+01:00") from None
    if moment.tzinfo is None:
        if "T" in text or ":" in text:
            raise typer.BadParameter(f"{text!r} has no offset: add Z or +01:00")
        moment = moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise typer.BadParameter(f"{text!r} lies outside of the years 1 to 9999") from None


class Bars:
    """Progress on the terminal: a bar with the stage, its rate where it counts something, and the time left.

    Stages of one piece of work share a bar; a fraction that falls back begins the next piece, and so the next bar.
    """

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, stage: str, fraction: float) -> None:
        """Show that `fraction` (0 to 1) is done; a stage that counts ("reading 32,768 rows") shows its rate too."""
        from tqdm import tqdm

        if self._bar is not None and fraction < self._bar.n:
            self.close()
        if self._bar is None:
            self._bar = tqdm(
                total=1.0, desc=stage, file=sys.stderr, bar_format="  {desc:<44.44}{percentage:3.0f}% |{bar:20}| {elapsed}, {remaining} left{postfix}"
            )
        self._bar.set_description_str(stage, refresh=False)
        counted, elapsed = re.search(r"([\d,]+) (\w+)", stage), self._bar.format_dict["elapsed"]
        if counted and elapsed > 0.5:
            self._bar.set_postfix_str(f"{int(counted[1].replace(',', '')) / elapsed:,.0f} {counted[2]}/s", refresh=False)
        self._bar.update(min(fraction, 1.0) - self._bar.n)

    def close(self) -> None:
        """Leave the last bar as it stands."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="A new or empty folder.")]) -> None:
    """Make a workspace with a commented audience.toml to fill in. Example: audience init riverside."""
    from features.workspace import create

    typer.echo(f"Wrote {create(folder)}: fill in your kinds, channels and topics, then `audience import`.")


@app.command(name="import")
def import_(
    table: Annotated[str, typer.Argument(help="interactions, people, sources, consents, assignments or outcomes.")],
    files: Annotated[list[Path], typer.Argument(help="CSV, Parquet or NDJSON files, plain, .gz or .zst.")],
    workspace: Folder = HERE,
) -> None:
    """Store rows; bad ones go to a rejects file with their reasons. Example: audience import people people.csv."""
    from features.imports import import_files

    with Bars() as bars:
        summary = import_files(Workspace.open(workspace), table, files, now=_now(), progress=bars)
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
    """Build everyone's vector as of a time and publish it. Example: audience vectors --as-of 2026-11-01."""
    from features.history import History
    from features.publication import build_into
    from features.refresh import refresh as refreshed

    opened = Workspace.open(workspace)
    history = History(opened.tables, opened.vocabulary)
    if engine == "spark":
        if refresh or watch is not None:
            raise typer.BadParameter("--refresh and --watch are for vectors built on this machine: leave --engine spark out")
        _on_spark(history, opened, _time(as_of), master=master, into=into)
        return
    if into is not None:
        raise typer.BadParameter("--into is for --engine spark: on this machine vectors are published in the workspace")
    if watch is not None:
        _watch(lambda bars: refreshed(history, opened.vocabulary, _now(), opened.vectors, progress=bars), watch, as_of)
        return
    with Bars() as bars:
        if refresh:
            typer.echo(refreshed(history, opened.vocabulary, _time(as_of), opened.vectors, progress=bars))
            return
        built = build_into(history, opened.vocabulary, _time(as_of), opened.vectors, progress=bars)
    typer.echo(f"{len(built):,} people, {len(built.names)} features as of {built.as_of:%Y-%m-%d %H:%M} UTC, published")


def _on_spark(history: History, opened: Workspace, as_of: datetime, *, master: str, into: str | None) -> None:
    from features.publication import publish
    from features.spark import Spark, build_vectors, write_vectors

    with Spark(master) as spark, Bars() as bars:
        if into is not None:
            made = write_vectors(history, opened.vocabulary, as_of, into, spark=spark, progress=bars)
            typer.echo(f"{made['rows']:,} people, {len(made['names'])} features as of {as_of:%Y-%m-%d %H:%M} UTC, written to {into}")
            return
        built = build_vectors(history, opened.vocabulary, as_of, spark=spark, progress=bars)
    publish(built, opened.vectors)
    typer.echo(f"{len(built):,} people, {len(built.names)} features as of {built.as_of:%Y-%m-%d %H:%M} UTC, published")


def _watch(once: Callable[[Bars], object], minutes: float, as_of: str | None) -> None:
    """Refresh again and again; what goes wrong once (an import is writing, a disk is full) is said, and tried again."""
    if as_of is not None:
        raise typer.BadParameter("--watch refreshes to the present moment each time: leave --as-of out")
    try:
        while True:
            try:
                with Bars() as bars:
                    done = once(bars)
                typer.echo(f"{_now():%Y-%m-%d %H:%M:%S} {done}")
            except Exception as error:  # noqa: BLE001 - the next round may find it mended
                typer.echo(f"{_now():%Y-%m-%d %H:%M:%S} not refreshed: {error}", err=True)
            time.sleep(60 * minutes)
    except KeyboardInterrupt:
        typer.echo("stopped; the vectors published last stay as they are")


@app.command()
def lineage(
    feature: Annotated[str, typer.Argument(help="A feature's name, in quotes; `audience features` lists them.")],
    as_of: Annotated[str | None, typer.Option(help="Date or time with offset; that of the published vectors by default.")] = None,
    json: Annotated[bool, typer.Option("--json", help="As one line of JSON.")] = False,
    workspace: Folder = HERE,
) -> None:
    """Show what a value of the person whose id is read from standard input is made of. Example: audience lineage "recency|kind=gift|channel=any|topic=any"."""
    from features.history import History
    from features.lineage import lineage as lineage_of
    from features.publication import open_current

    opened = Workspace.open(workspace)
    published = open_current(opened.vectors) if as_of is None else None
    versions, base = (published.table_versions, published.context) if published is not None else (None, None)
    moment = _time(as_of) if published is None else published.as_of
    person_id = sys.stdin.readline().strip()  # never an argument: those stand in the shell's history and in lists of processes
    found = lineage_of(History(opened.tables, opened.vocabulary), opened.vocabulary, person_id, feature, moment, versions=versions, context=base)
    if json:
        typer.echo(found.to_json(opened.vocabulary))
        return
    typer.echo(found.sentence(opened.vocabulary))
    for name, value in {**found.parts, **found.person, **found.figures}.items():
        typer.echo(f"  {name}: {value}")
    if len(found.interactions):
        _table(found.interactions.to_pylist())
    else:
        typer.echo("made of no interaction")


@train_app.command()
def affinity(
    now: Annotated[str | None, typer.Option(help="Train as if it were this moment.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Your own labels: person_id, as_of, topic, label[, split].")] = None,
    workspace: Folder = HERE,
) -> None:
    """Train topic affinity on snapshots over time. Example: audience train affinity --now 2026-11-01."""
    from training.fit import train_affinity

    with Bars() as bars:
        run = train_affinity(Workspace.open(workspace), now=_time(now), labels=labels, progress=bars)
    typer.echo(run)


@train_app.command()
def persuadability(experiment: str, now: Annotated[str | None, typer.Option(help="Train as if it were this moment.")] = None, workspace: Folder = HERE) -> None:
    """Train the uplift of every arm against control. Example: audience train persuadability welcome_call."""
    from training.fit import train_persuadability

    with Bars() as bars:
        runs = train_persuadability(Workspace.open(workspace), experiment, now=_time(now), progress=bars)
    for run in runs:
        typer.echo(run)


@app.command()
def runs(workspace: Folder = HERE) -> None:
    """List the training runs, newest first. Example: audience runs."""
    from training.registry import list_runs

    _table(list_runs(Workspace.open(workspace)))


@app.command()
def models(workspace: Folder = HERE) -> None:
    """List the registered models with their versions and aliases. Example: audience models."""
    from training.registry import list_models

    _table(list_models(Workspace.open(workspace)))


@app.command()
def promote(
    name: Annotated[str, typer.Argument(help="A registered model: affinity, persuadability.EXPERIMENT.ARM.")],
    version: Annotated[int | None, typer.Option(help="The newest by default.")] = None,
    workspace: Folder = HERE,
) -> None:
    """Make a version champion if it passes the gate; exit code 1 when it is refused. Example: audience promote affinity."""
    from training.registry import promote as promote_version

    promotion = promote_version(Workspace.open(workspace), name, version, now=_now())
    typer.echo(promotion)
    if not promotion.accepted:
        raise typer.Exit(1)


@key_app.command()
def create(
    scope: Annotated[str, typer.Option(help="scores or audit.")], label: Annotated[str, typer.Option(help="Who will hold it.")], workspace: Folder = HERE
) -> None:
    """Make a key and print it once. Example: audience key create --scope scores --label "campaign tool"."""
    from serving.keys import create_key
    from serving.store import Store

    typer.echo(create_key(Store(Workspace.open(workspace).database_url), scope=scope, label=label, now=_now()))


@key_app.command(name="list")
def list_(workspace: Folder = HERE) -> None:
    """List the keys by id, label and scope; never the keys themselves. Example: audience key list."""
    from serving.keys import find_all
    from serving.store import Store

    found = find_all(Store(Workspace.open(workspace).database_url))
    _table([{"id": key.key_id, "label": key.name, "scopes": ", ".join(key.scopes), "made": key.created_at, "revoked": key.revoked_at or ""} for key in found])


@key_app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="As `audience key list` shows it.")], workspace: Folder = HERE) -> None:
    """End a key before the next answer. Example: audience key revoke key_3f9a5c1e07d2b846."""
    from serving.keys import revoke as revoke_key
    from serving.store import Store

    revoke_key(Store(Workspace.open(workspace).database_url), key_id, now=_now())
    typer.echo(f"{key_id} is revoked")


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    people: Annotated[int, typer.Option(min=100, help="How many people.")] = 20_000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same campaign.")] = 0,
) -> None:
    """Make a campaign with known truth: a workspace, raw files, and the truth apart. Example: audience simulate trial."""
    from training.simulation import simulate as simulate_campaign
    from training.simulation import write

    write(simulate_campaign(people=people, seed=seed), folder)
    typer.echo(f"Wrote {folder}/audience.toml, {folder}/raw and {folder}/truth")


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; only this machine by default.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 3000,
    workspace: Folder = HERE,
) -> None:
    """Serve scores and the auditor's console over HTTP. Example: audience serve --port 3000."""
    from serving.run import serve as run_server

    run_server(Workspace.open(workspace), host=host, port=port)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the demo's workspace is made.")] = Path("demo"),
    people: Annotated[int, typer.Option(min=1000, help="How many people to simulate.")] = 20_000,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to serve on.")] = 3000,
    exit_: Annotated[bool, typer.Option("--exit", help="Stop when all was shown, instead of serving on.")] = False,
) -> None:
    """Show the whole thing: simulate, import, train, promote, serve, ask. Example: audience demo --exit."""
    from demo import tour

    tour(lambda *words: app([str(word) for word in words], standalone_mode=False), folder, people=people, port=port, stay=not exit_)


def _table(records: list[dict[str, Any]]) -> None:
    """Print records as aligned columns; one line says so when there are none."""
    if not records:
        typer.echo("none yet")
        return
    rows = [list(records[0]), *([str(value) for value in record.values()] for record in records)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
