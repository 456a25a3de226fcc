"""The command of the queue to recipients: who has to be told which rows of an export have to go, the letters, and that they were told."""
# ruff: noqa: PLC0415
# rooms are imported when their command runs, so that --help is fast

from __future__ import annotations

import json
import re
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.terminal import HERE, Folder, now, table
from features.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.permission.recipients import Notice

app = typer.Typer(rich_markup_mode=None)


@app.command()
def recipients(
    write: Annotated[Path | None, typer.Option(help="A folder: a signed letter is written there for each recipient who has to be told.")] = None,
    told: Annotated[str | None, typer.Option(help="A recipient who was told of all that waits, or a letter that was sent: then of what stands in it.")] = None,
    by: Annotated[str | None, typer.Option(help="Who told them; with --told.")] = None,
    workspace: Folder = HERE,
) -> None:
    """List which recipients of exports have to be told that rows have to go, and why. Example: audience recipients --write letters."""
    from features.permission.opening import opened as open_store
    from features.permission.recipients import counted, tell, waiting

    opened = Workspace.open(workspace)
    if (told is None) != (by is None) or (by is not None and not by.strip()):
        raise typer.BadParameter("--told and --by go together: whom was told, and by whom")
    with closing(open_store(opened)) as store:
        notices = waiting(store)
        if told is not None and by is not None:
            done = tell(store, _chosen(opened, notices, told), by=by.strip(), now=now())
            typer.echo(f"{done:,} notices: told by {by.strip()}; {len(notices) - done:,} wait")
        elif write is not None:
            _write(opened, notices, write)
        else:
            table(counted(notices))


def _chosen(workspace: Workspace, notices: Sequence[Notice], told: str) -> list[Notice]:
    """Return the notices of a recipient, or those that a letter of ours tells of."""
    from features.permission.recipients import FORMAT, rows_of
    from features.permission.signing import SignatureError, check

    path = Path(told)
    if path.suffix == ".json" and path.is_file():
        try:
            letter = json.loads(path.read_text(encoding="utf-8"))
            check(letter if isinstance(letter, dict) else {}, workspace.signing_key())
        except (SignatureError, ValueError) as error:
            raise typer.BadParameter(f"not a letter of this workspace: {error if isinstance(error, SignatureError) else 'it is no JSON'}") from None
        if letter.get("format") != FORMAT:
            raise typer.BadParameter("not a letter of this workspace: it is signed here, and is something else")
        rows = rows_of(letter)
        return [notice for notice in notices if (notice.reference, notice.reason) in rows]
    theirs = [notice for notice in notices if notice.recipient == told]
    if not theirs:
        raise typer.BadParameter(f"nothing waits for a recipient of that name; there wait: {', '.join(sorted({n.recipient for n in notices})) or 'none'}")
    return theirs


def _write(workspace: Workspace, notices: Sequence[Notice], folder: Path) -> None:
    from features.permission.private_files import put, within
    from features.permission.recipients import letters

    place = folder.resolve()
    relative = within(workspace.root, place)
    if relative is not None and relative.parts[:1] != ("letters",):
        raise typer.BadParameter("within the workspace letters go to its folder `letters`; or name a folder elsewhere")
    at = now()
    for recipient, letter in letters(notices, workspace=workspace.settings.name, secret=workspace.signing_key(), now=at).items():
        slug = re.sub(r"[^a-z0-9]+", "-", recipient.lower()).strip("-")[:40]
        path = place / f"{slug or 'recipient'}-{sha256(recipient.encode()).hexdigest()[:8]}-{at:%Y%m%dT%H%M%SZ}.json"
        put(path, json.dumps(letter, indent=1, ensure_ascii=False).encode())
        typer.echo(path)
    if not notices:
        typer.echo("nobody has to be told of anything")
