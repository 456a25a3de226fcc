"""The command that tells of groups."""
# ruff: noqa: PLC0415
# rooms are imported when their command runs, so that --help is fast

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from features.terminal import HERE, Folder, now, table

if TYPE_CHECKING:
    from serving.aggregate_schemas import AggregateAnswer, GroupCell, ScoreTable

app = typer.Typer(rich_markup_mode=None)
_ROUTE = "audience aggregate"


@app.command()
def aggregate(
    use: Annotated[str, typer.Option(help="A [uses.…] of audience.toml, with channel_class `aggregate`.")],
    score: Annotated[list[str], typer.Option(help="A score, such as affinity:housing or affinity:*; may be repeated.")],
    by: Annotated[list[str] | None, typer.Option(help="area, band or a category of audience.toml; may be repeated once.")] = None,
    workspace: Folder = HERE,
) -> None:
    """Tell of groups, never of a person; small ones are left out. Example: audience aggregate --use figures --score affinity:housing --by area."""
    from pydantic import ValidationError

    from serving.aggregate_schemas import AggregateRequest
    from serving.answering import answer_aggregates, told_of
    from serving.audit import Answer
    from serving.loaded import load
    from serving.problems import Problem
    from serving.server import Server, new_answer_id
    from serving.settings import Settings

    settings = Settings.from_environment(os.environ).model_copy(update={"workspace": workspace})
    server = Server.open(settings)
    try:
        loaded = load(server.workspace, server.permission, threads=settings.threads)
        asked = AggregateRequest(scores=score, by=by or [], use=server.workspace.permission.use(use))
        answer = answer_aggregates(server, loaded, asked, door="command", route=_ROUTE)
    except ValidationError as error:
        raise typer.BadParameter("; ".join(f"--{str(fault['loc'][0]).rstrip('s')}: {fault['msg']}" for fault in error.errors())) from None
    except Problem as problem:
        server.record(told_of(Answer(new_answer_id(), now(), "command", _ROUTE, problem.status, code=problem.code), problem))
        if faults := problem.members.get("errors"):
            raise typer.BadParameter("; ".join(f"--{each['field'].partition('.')[0]}: {each['message']}" for each in faults)) from None
        typer.echo(f"{problem.code}: {problem.detail}", err=True)
        raise typer.Exit(1) from None
    finally:
        server.store.close()
    _tell(answer)


def _tell(answer: AggregateAnswer) -> None:
    for found in answer.tables:
        typer.echo(f"\n{found.score}")
        if found.code is not None or found.total is None:
            typer.echo(f"  {found.code}: {found.words}")
            continue
        cells = [found.total, *found.groups, *found.cells]
        table([{**{name: cell.group.get(name, "all") for name in answer.by}, **_figures(cell, found)} for cell in cells])
    pack = answer.permission.pack
    typer.echo(f"\n{answer.people:,} people counted (to five), none of a group below {answer.k}; law pack {pack.id} {pack.version} ({pack.state})", err=True)


def _figures(cell: GroupCell, found: ScoreTable) -> dict[str, str]:
    if cell.hidden or cell.people is None or cell.expected is None or cell.mean is None:
        return {"people": "hidden", "expected": "", "mean": ""}
    mean = f"{cell.mean:.1%}" if found.scale == "probability" else f"{cell.mean:+.2f} points" if found.scale == "uplift_pp" else f"{cell.mean:+.4g}"
    return {"people": f"{cell.people:,}", "expected": f"{cell.expected:,g}", "mean": mean}
