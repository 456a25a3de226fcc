"""The commands of experiments: plan, assign, check."""
# ruff: noqa: PLC0415, PLR0917
# rooms are imported when their command runs, so that --help is fast

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from features.terminal import HERE, Bars, Folder, moment, now
from features.workspace import Workspace

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Plan a randomised experiment, draw its people, check the draw.")

UnitsFile = Annotated[Path | None, typer.Option(help="Households: a file of person_id, unit_id.")]
OnlyFile = Annotated[Path | None, typer.Option(help="Draw these people only: a file of person_id.")]


@app.command()
def plan(
    experiment: Annotated[str, typer.Argument(help="An [experiments.…] of audience.toml.")],
    baseline: Annotated[float, typer.Option(help="The outcome without a message: a rate, or a mean with --outcome-sd.")],
    effect: Annotated[float, typer.Option(help="The smallest average effect of interest, in units of the outcome.")],
    hypothesis: Annotated[str | None, typer.Option(help="What is expected, and why.")] = None,
    arm: Annotated[list[str] | None, typer.Option(help="ARM=SHARE, once for each, control too; equal shares by default.")] = None,
    unit: Annotated[Literal["person", "household", "area"], typer.Option(help="What is drawn as one.")] = "person",
    units: UnitsFile = None,
    unit_size: Annotated[float | None, typer.Option(min=1, help="Mean people in a unit; counted by default.")] = None,
    intra_unit: Annotated[float, typer.Option(min=0, max=1, help="Correlation of outcomes within a unit.")] = 0.0,
    effect_sd: Annotated[float | None, typer.Option(help="Standard deviation of the effect between people.")] = None,
    correlation: Annotated[float, typer.Option(help="Correlation of the ranking with the true effect.")] = 0.3,
    outcome_sd: Annotated[float | None, typer.Option(help="Standard deviation of an outcome that is no yes or no.")] = None,
    power: Annotated[float, typer.Option(help="Probability of finding what is there.")] = 0.8,
    alpha: Annotated[float, typer.Option(help="Level of the average effect, two-sided.")] = 0.05,
    attrition: Annotated[float, typer.Option(help="Share whose outcome will never be known.")] = 0.0,
    holdout: Annotated[float, typer.Option(min=0, max=0.9, help="Share of people kept out of every experiment.")] = 0.0,
    capacity: Annotated[float | None, typer.Option(min=0, max=1, help="Share that can be contacted; that of audience.toml by default, 1 for no limit.")] = None,
    strata: Annotated[list[str] | None, typer.Option(help="A column of people to draw within; may be repeated.")] = None,
    blocked: Annotated[bool, typer.Option("--blocked", help="Draw blocks with exact shares in each stratum, not each unit by itself.")] = False,
    learner: Annotated[str | None, typer.Option(help="The learner of the analysis; that of audience.toml by default.")] = None,
    only: OnlyFile = None,
    draws: Annotated[int, typer.Option(min=0, help="Simulated experiments; 0 for none.")] = 200,
    print_only: Annotated[bool, typer.Option("--print-only", help="Print the sizes and write nothing.")] = False,
    amend: Annotated[bool, typer.Option("--amend", help="Write an amendment beside the plan, before there are outcomes.")] = False,
    workspace: Folder = HERE,
) -> None:
    """Say how many people an experiment needs, and write its plan once. Example: audience experiment plan welcome_call --baseline 0.3 --effect 0.03."""
    from training.plan import write_plan
    from training.planning import Wishes, planned, sized

    if hypothesis is None and not print_only:
        raise typer.BadParameter("a plan has a --hypothesis: what is expected, and why. --print-only shows the sizes and writes nothing")
    wishes = Wishes(
        *(baseline, effect, hypothesis, arm or (), unit, units, unit_size, intra_unit, effect_sd, correlation, outcome_sd, power, alpha),
        *(attrition, holdout, capacity, strata or (), blocked, learner, only, draws),
    )
    opened, at = Workspace.open(workspace), now()
    with Bars() as bars:
        sizing = sized(opened, experiment, wishes, now=at, progress=bars)
    for words in sizing.words():
        typer.echo(words)
    if not print_only:
        made = planned(opened, experiment, wishes, sizing, now=at, amend=amend)
        typer.echo(f"written to {write_plan(opened, made)}, SHA-256 {made.hash}")


@app.command()
def assign(
    experiment: Annotated[str, typer.Argument(help="An experiment with a plan.")],
    key_file: Annotated[Path, typer.Option(help="The secret key of all draws; made, for its owner only, if it is not there.")],
    units: UnitsFile = None,
    only: OnlyFile = None,
    newcomers: Annotated[bool, typer.Option("--newcomers", help="Draw only those who were not drawn yet.")] = False,
    workspace: Folder = HERE,
) -> None:
    """Draw people into the arms of their plan, and import the assignments. Example: audience experiment assign welcome_call --key-file ~/draws.key."""
    from training.assignment import assign as assign_people
    from training.assignment import planned_for
    from training.randomise import read_key

    opened = Workspace.open(workspace)
    found = planned_for(opened, experiment)
    with Bars() as bars:
        drawn = assign_people(opened, found, read_key(key_file), now=now(), units=units, only=only, newcomers=newcomers, progress=bars)
    typer.echo(drawn)


@app.command()
def check(
    experiment: Annotated[str, typer.Argument(help="An experiment with assignments, drawn here or elsewhere.")],
    units: UnitsFile = None,
    as_of: Annotated[str | None, typer.Option("--now", help="Check as if it were this moment.")] = None,
    draws: Annotated[int, typer.Option(min=99, help="How often the arms are dealt anew.")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="The same seed deals the same.")] = 0,
    top: Annotated[int, typer.Option(min=0, help="How many of the largest differences are printed.")] = 10,
    json: Annotated[bool, typer.Option("--json", help="The whole report, as one line of JSON.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Save a love plot there, as PNG.")] = None,
    workspace: Folder = HERE,
) -> None:
    """Say whether a draw can be trusted; exit code 1 when something is broken. Example: audience experiment check welcome_call --plot balance.png."""
    from training.design_check import check_experiment, save_figure

    with Bars() as bars:
        report = check_experiment(Workspace.open(workspace), experiment, now=moment(as_of), households=units, draws=draws, seed=seed, progress=bars)
    if plot is not None:
        save_figure(report, plot)
    typer.echo(report.to_json() if json else report.text(top))
    if report.broken:
        raise typer.Exit(1)
