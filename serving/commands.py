"""The commands of the service: serve, export, the keys, the audit log."""

from __future__ import annotations

from typing import Annotated

import typer

from features.terminal import HERE, Folder, now, table
from features.workspace import Workspace
from serving import access_commands, aggregate_commands, audit_commands, export_commands

app = typer.Typer(rich_markup_mode=None)
key_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make, list and revoke the keys of the HTTP service.")
app.add_typer(export_commands.app)
app.add_typer(aggregate_commands.app)
app.add_typer(key_app, name="key")
app.add_typer(audit_commands.app, name="audit")
app.add_typer(access_commands.app)


@key_app.command()
def create(
    scope: Annotated[str, typer.Option(help="scores, aggregates, permissions, people, access, erasures, register or audit; several with commas between.")],
    label: Annotated[str, typer.Option(help="Who will hold it.")],
    workspace: Folder = HERE,
) -> None:
    """Make a key and print it once. Example: audience key create --scope scores --label "campaign tool"."""
    from features.permission.opening import opened
    from serving.keys import create_key

    typer.echo(create_key(opened(Workspace.open(workspace)), scope=scope, label=label, now=now()))


@key_app.command(name="list")
def list_(workspace: Folder = HERE) -> None:
    """List the keys by id, label and scope; never the keys themselves. Example: audience key list."""
    from features.permission.opening import opened
    from serving.keys import find_all

    found = find_all(opened(Workspace.open(workspace)))
    table([{"id": key.key_id, "label": key.name, "scopes": ", ".join(key.scopes), "made": key.created_at, "revoked": key.revoked_at or ""} for key in found])


@key_app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="As `audience key list` shows it.")], workspace: Folder = HERE) -> None:
    """End a key before the next answer. Example: audience key revoke key_3f9a5c1e07d2b846."""
    from features.permission.opening import opened
    from serving.keys import revoke as revoke_key

    revoke_key(opened(Workspace.open(workspace)), key_id, now=now())
    typer.echo(f"{key_id} is revoked")


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; only this machine by default.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 3000,
    workspace: Folder = HERE,
) -> None:
    """Serve scores and the auditor's console over HTTP. Example: audience serve --port 3000."""
    from serving.run import serve as run_server

    run_server(Workspace.open(workspace), host=host, port=port)
