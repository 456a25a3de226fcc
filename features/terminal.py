"""What commands share: options, moments, progress bars and tables on the terminal."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

if TYPE_CHECKING:
    from features.history import History
    from features.workspace import Workspace

Folder = Annotated[Path, typer.Option("--workspace", "-w", envvar="AUDIENCE_WORKSPACE", help="The workspace's folder.")]
HERE = Path()
SKEW = timedelta(minutes=5)
"""By which clocks may differ: a moment that lies so little ahead is not of the future."""


def now() -> datetime:
    """Return the present moment, UTC."""
    return datetime.now(UTC)


def moment(text: str | None) -> datetime:
    """Return the moment `text` names (ISO 8601 with an offset, or a date: midnight UTC), or now."""
    if text is None:
        return now()
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no ISO 8601 time such as 2026-11-01 or 2026-11-01T06:00:00+01:00") from None
    if found.tzinfo is None:
        if "T" in text or ":" in text:
            raise typer.BadParameter(f"{text!r} has no offset: add Z or +01:00")
        found = found.replace(tzinfo=UTC)
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise typer.BadParameter(f"{text!r} lies outside of the years 1 to 9999") from None


def past_moment(text: str | None) -> datetime:
    """Return the `moment` that `text` names, or now. Raises BadParameter for one that lies ahead of the clock: nobody can know yet what happens until then."""
    found, present = moment(text), now()
    if found > present + SKEW:
        raise typer.BadParameter(f"--now {text} lies in the future: it is {present:%Y-%m-%d %H:%M} UTC, and what happens until then cannot be known yet")
    return found


def ids_of(file: Path | None) -> list[str]:
    """Return the person ids of a file or, without one or for `-`, of standard input: one per line, blank lines left out. Raises BadParameter for none.

    Also for what is no UTF-8, of which ids could be others.
    """
    return list(numbered_ids(file).values())


def numbered_ids(file: Path | None) -> dict[int, str]:
    """Return the person ids by the number of their line, from 1 on, as `ids_of` reads them."""
    try:
        text = (sys.stdin.buffer.read() if file is None or str(file) == "-" else file.read_bytes()).decode("utf-8")
    except UnicodeDecodeError:
        raise typer.BadParameter("the ids are not in UTF-8: save them as UTF-8 text, one per line; nothing was done") from None
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    ids = {number: line.strip() for number, line in enumerate(lines, 1) if line.strip()}
    if not ids:
        raise typer.BadParameter("nobody is named: give ids, one per line, on standard input or with --file")
    return ids


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
        counted, elapsed = re.search(r"(\d[\d,]*) (\w+)", stage), self._bar.format_dict["elapsed"]
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


def table(records: list[dict[str, Any]]) -> None:
    """Print records as aligned columns; one line says so when there are none."""
    if not records:
        typer.echo("none yet")
        return
    rows = [list(records[0]), *([str(value) for value in record.values()] for record in records)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def say_unmatched(workspace: Workspace, history: History) -> None:
    """Say which limits of `[retention.source_types]` no stored source has, on standard error: such a word may be mistyped."""
    if workspace.retention.source_types:
        words = workspace.retention.unmatched(history.read("sources").column("type").to_pylist())
        if words is not None:
            typer.echo(words, err=True)
