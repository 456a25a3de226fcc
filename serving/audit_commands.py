"""The commands of the audit log: verify, checkpoint, public-key."""
# ruff: noqa: PLC0415
# rooms are imported when their command runs, so that --help is fast

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.terminal import HERE, Bars, Folder, now
from features.workspace import Workspace

if TYPE_CHECKING:
    from features.database.store import Store

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Verify the audit log, and write down elsewhere where it ends.")

Copies = Annotated[list[Path] | None, typer.Option(help="A copy of checkpoints that was kept elsewhere; may be repeated.")]


@app.command()
def verify(checkpoints: Copies = None, workspace: Folder = HERE) -> None:
    """Check log, ledger and register; exit code 1 if one does not hold. Example: audience audit verify --checkpoints /mnt/elsewhere/checkpoints.jsonl."""
    from features.database.chained import CHAINED
    from serving.chain_verification import verify_chain
    from serving.checkpoint_files import paths, read
    from serving.checkpoints import Signer
    from serving.verification import verify as verify_log

    opened = Workspace.open(workspace)
    signer = Signer(opened.signing_key())
    ours = paths(opened, signer)
    for path in ours:
        if not path.exists():
            typer.echo(f"{path} is not there: no checkpoint of it was compared")
    kept = [read(path, signer) for path in [*filter(Path.exists, ours), *(checkpoints or [])]]
    known = [checkpoint for each, _ in kept for checkpoint in each]
    store, secret = _store(opened), opened.signing_key()
    with Bars() as bars:
        found = verify_log(store, secret, known, [fault for _, faults in kept for fault in faults], progress=bars)
        chains = [verify_chain(store, secret, name, known, progress=bars) for name in CHAINED]
    for words in (*found.words(), *(words for chain in chains for words in chain.words())):
        typer.echo(words)
    if not (found.holds and all(chain.holds for chain in chains)):
        raise typer.Exit(1)


@app.command()
def checkpoint(workspace: Folder = HERE) -> None:
    """Write down, signed, where the log ends; exit code 1 when it contradicts the one before. Example: audience audit checkpoint."""
    from serving.checkpoint_files import keep
    from serving.checkpoints import Signer

    opened = Workspace.open(workspace)
    kept = keep(opened, _store(opened), Signer(opened.signing_key()), now=now())
    if kept.checkpoint is None:
        typer.echo("no new entry since the last checkpoint")
    else:
        typer.echo(f"entry {kept.checkpoint.seq:,}, link {kept.checkpoint.link}, written to {' and '.join(map(str, kept.paths))}")
    if kept.contradicts:
        typer.echo(kept.contradicts)
        raise typer.Exit(1)


@app.command()
def public_key(workspace: Folder = HERE) -> None:
    """Print the key that checks checkpoints' signatures, as PEM; it is no secret. Example: audience audit public-key > audit.pem."""
    from serving.checkpoints import Signer

    typer.echo(Signer(Workspace.open(workspace).signing_key()).public_key(), nl=False)


def _store(workspace: Workspace) -> Store:
    """Return the store that the server of this environment writes to."""
    from features.permission.opening import opened
    from serving.settings import Settings

    return opened(workspace, Settings.from_environment(os.environ).database_url)
