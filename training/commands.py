"""The commands of training: simulate, train, tune, list, promote, watch for drift; and erasure, which reaches its store too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from features.terminal import HERE, Bars, Folder, moment, now, past_moment, table
from features.workspace import Workspace
from training import erasure_commands, experiment_commands

app = typer.Typer(rich_markup_mode=None)
train_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Train a model; the run stands in MLflow.")
app.add_typer(train_app, name="train")
tune_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Try other settings of a model on its training rows; the trials stand in MLflow.")
app.add_typer(tune_app, name="tune")
app.add_typer(experiment_commands.app, name="experiment")
app.add_typer(erasure_commands.app)


@train_app.command()
def affinity(
    now: Annotated[str | None, typer.Option(help="Train as if it were this moment.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Your own labels: person_id, as_of, topic, label[, split].")] = None,
    workspace: Folder = HERE,
) -> None:
    """Train topic affinity on snapshots over time. Example: audience train affinity --now 2026-11-01."""
    from training.fit import train_affinity

    with Bars() as bars:
        run = train_affinity(Workspace.open(workspace), now=past_moment(now), labels=labels, progress=bars)
    typer.echo(run)


@train_app.command()
def persuadability(experiment: str, now: Annotated[str | None, typer.Option(help="Train as if it were this moment.")] = None, workspace: Folder = HERE) -> None:
    """Train the uplift of every arm against control. Example: audience train persuadability welcome_call."""
    from training.fit import train_persuadability

    with Bars() as bars:
        trained = train_persuadability(Workspace.open(workspace), experiment, now=past_moment(now), progress=bars)
    typer.echo(trained)


@tune_app.command("affinity")
def tune_affinity(
    minutes: Annotated[float | None, typer.Option(min=0.1, help="How long; 20 unless --trials is given.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="How many more trials at most.")] = None,
    now: Annotated[str | None, typer.Option(help="Tune as if it were this moment.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Your own labels: person_id, as_of, topic, label[, split].")] = None,
    workspace: Folder = HERE,
) -> None:
    """Search for a better setting of topic affinity; the same again continues. Example: audience tune affinity --minutes 20 --now 2026-11-01."""
    from training import tuning

    with Bars() as bars:

        def say(words: str) -> None:
            bars.close()
            typer.echo(words)

        try:
            opened, at = Workspace.open(workspace), past_moment(now)
            found = tuning.tune_affinity(opened, now=at, minutes=minutes, trials=trials, labels=labels, progress=bars, say=say)
        except KeyboardInterrupt:
            say("stopped; the trials that were finished are kept, and the same command continues after them")
            raise typer.Exit(130) from None
    typer.echo(found)


@app.command()
def recalibrate(now: Annotated[str | None, typer.Option(help="As if it were this moment.")] = None, workspace: Folder = HERE) -> None:
    """Fit the affinity champion's levels and intervals anew on the latest complete labels; its trees stay. Example: audience recalibrate."""
    from training.fit import recalibrate_affinity

    with Bars() as bars:
        run = recalibrate_affinity(Workspace.open(workspace), now=past_moment(now), progress=bars)
    typer.echo(run)


@app.command()
def drift(
    model: Annotated[str, typer.Option(help="The model in office that is looked at.")] = "affinity",
    as_of: Annotated[str | None, typer.Option(help="Date or time with offset up to which interactions and labels count; now by default.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The whole report, as one line of JSON.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Save a picture there, as PNG.")] = None,
    workspace: Folder = HERE,
) -> None:
    """Say whether the champion still is for the people of today: features, scores, activity, calibration. Example: audience drift --plot drift.png."""
    from training.drift import measure_drift, save_figure

    with Bars() as bars:
        report = measure_drift(Workspace.open(workspace), model, now=moment(as_of), progress=bars)
    if plot is not None:
        save_figure(report, plot)
    typer.echo(report.to_json() if json else report)


@app.command()
def runs(workspace: Folder = HERE) -> None:
    """List the training runs, newest first. Example: audience runs."""
    from training.registry import list_runs

    table(list_runs(Workspace.open(workspace)))


@app.command()
def models(workspace: Folder = HERE) -> None:
    """List the registered models with their versions and aliases. Example: audience models."""
    from training.registry import list_models

    table(list_models(Workspace.open(workspace)))


@app.command()
def promote(
    name: Annotated[str, typer.Argument(help="A registered model: affinity, persuadability.EXPERIMENT.ARM.")],
    version: Annotated[int | None, typer.Option(help="The newest by default.")] = None,
    workspace: Folder = HERE,
) -> None:
    """Make a version champion if it passes the gate; exit code 1 when it is refused. Example: audience promote affinity."""
    from training.registry import promote as promote_version

    promotion = promote_version(Workspace.open(workspace), name, version, now=now())
    typer.echo(promotion)
    if not promotion.accepted:
        raise typer.Exit(1)


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    people: Annotated[int, typer.Option(min=100, help="How many people.")] = 20_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same campaign.")] = 0,
) -> None:
    """Make a campaign with known truth: a workspace, raw files, and the truth apart. Example: audience simulate trial."""
    from training.simulation import simulate as simulate_campaign
    from training.simulation import write

    write(simulate_campaign(people=people, seed=seed), folder, assessed=now().date())
    typer.echo(f"Wrote {folder}/audience.toml, {folder}/raw and {folder}/truth")
