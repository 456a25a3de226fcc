"""`audience register`: the register of targeting use, the public notices made from it, and the record of processing."""
# ruff: noqa: PLC0415, PLR0917
# rooms are imported when the command runs, so that --help is fast

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from features.terminal import HERE, Folder, now, table
from features.vocabulary import LANGUAGES, Language
from features.workspace import Workspace

if TYPE_CHECKING:
    from features.database.store import Store
    from features.permission.register import Entry

app = typer.Typer(rich_markup_mode=None)

Format = Literal["json", "html", "md"]
_KINDS = "targeting, export, topic, law_pack, dpia or risk_assessment"


@app.command()
def register(
    kind: Annotated[list[str] | None, typer.Option(help=f"Only entries of this kind ({_KINDS}); may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the entries in full, one line of JSON each.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Check the register's chain; exit code 1 when it does not hold.")] = False,
    sync: Annotated[bool, typer.Option("--sync", help="Write down what audience.toml declares now, as the server does when it starts.")] = False,
    notice: Annotated[str | None, typer.Option(help="Make the public notice of this campaign.")] = None,
    processing: Annotated[bool, typer.Option("--processing", help="Make the record of processing activities (GDPR, article 30).")] = False,
    as_: Annotated[Format, typer.Option("--format", help="Of a notice or record: json, html (a notice alone) or md.")] = "md",
    language: Annotated[str | None, typer.Option(help=f"Of a notice: {', '.join(LANGUAGES)}; the workspace's by default.")] = None,
    output: Annotated[Path | None, typer.Option(help="A file to write a notice or record to, instead of printing it.")] = None,
    workspace: Folder = HERE,
) -> None:
    """Show the register of targeting use, or make a public notice from it. Example: audience register --notice housing-2026 --format html."""
    from features.permission.opening import opened as open_store

    if sum((verify, sync, notice is not None, processing)) > 1:
        raise typer.BadParameter("--verify, --sync, --notice and --processing are asked for one at a time")
    opened = Workspace.open(workspace)
    with closing(open_store(opened)) as store:
        if verify:
            _verify(opened, store)
        elif sync:
            _sync(opened, store)
        elif notice is not None:
            _write(_notice(opened, store, notice, as_, _language(language, opened)), output)
        elif processing:
            _write(_processing(opened, store, as_), output)
        else:
            _list(opened, store, kind or [], as_json=as_json)


def summary(kind: str, body: Mapping[str, Any]) -> str:
    """Return what an entry says, in a line."""
    if kind == "targeting":
        models = ", ".join(f"{each['model']} {each['version']}" for each in body["techniques"])
        return f"{body['campaign'] or '(no campaign)'}: {body['activity']}, {', '.join(body['parameters']['scores'])} by {models}"
    if kind == "export":
        outside = ", outside of the organisation" if body["outside"] else ""
        out = " to be left out" if body["selection"]["excluded"] else ""
        return f"{body['people']:,} people{out} to {body['recipient']}{outside}: {', '.join(body['scores'])}, approved by {body['approver']}"
    if kind == "topic":
        by = f"classed by {body['classed_by']}: {body['why']}" if body["classed_by"] and body["why"] else "classed by nobody, with no reason"
        return f"{body['topic']}: {body['sensitivity']}, {by}" + ("; special for political actors" if body["special_for_political_actors"] else "")
    if kind == "law_pack":
        return f"{body['pack']} {body['version']}: {body['state']}" + (f" by {body['by']} on {body['on']}" if body["by"] else "")
    return " ".join(str(value) for value in body.values() if value) or "none"


def _list(workspace: Workspace, store: Store, kinds: list[str], *, as_json: bool) -> None:
    from features.permission.register import KINDS, Register

    for kind in kinds:
        if kind not in KINDS:
            raise typer.BadParameter(f"{kind!r} is no kind of entry: {_KINDS}")
    entries = Register(store, workspace.signing_key()).entries(*kinds)
    if as_json:
        for entry in entries:
            typer.echo(json.dumps(document(entry), ensure_ascii=False))
        return
    table([{"number": each.seq, "since": f"{each.at:%Y-%m-%d %H:%M}", "kind": each.kind, "says": summary(each.kind, each.body)} for each in entries])


def document(entry: Entry) -> dict[str, Any]:
    """Return an entry as JSON-able values."""
    return {"number": entry.seq, "entry": entry.entry_id, "kind": entry.kind, "at": entry.at.isoformat(), "says": dict(entry.body)}


def _verify(workspace: Workspace, store: Store) -> None:
    from features.permission.register import Register

    found = Register(store, workspace.signing_key())
    broken = found.first_break()
    if broken is not None:
        typer.echo(f"the register does not hold: entry {broken} was changed, or entries were put in, taken out or moved before it")
        raise typer.Exit(1)
    typer.echo(f"{found.count():,} entries of the register hold")


def _sync(workspace: Workspace, store: Store) -> None:
    from features.permission.declared import declare
    from features.permission.register import Register

    new = declare(Register(store, workspace.signing_key()), workspace.vocabulary, workspace.permission, now=now())
    typer.echo(f"{new:,} new entries")


def _notice(workspace: Workspace, store: Store, campaign: str, as_: Format, language: Language) -> str:
    from features.permission.notices import notice_of, written
    from features.permission.register import Register

    made = notice_of(Register(store, workspace.signing_key()), workspace.permission, campaign, now=now())
    return written(made, workspace.vocabulary, as_, language)


def _processing(workspace: Workspace, store: Store, as_: Format) -> str:
    from features.permission.notices import record_of
    from features.permission.processing import as_markdown

    if as_ == "html":
        raise typer.BadParameter("the record of processing is made as json or md")
    record = record_of(workspace, store)
    return json.dumps(record, ensure_ascii=False, indent=2) + "\n" if as_ == "json" else as_markdown(record)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
        typer.echo(f"written to {output}", err=True)


def _language(given: str | None, workspace: Workspace) -> Language:
    if given is None:
        return workspace.settings.language
    for language in LANGUAGES:
        if language == given:
            return language  # type: ignore[return-value]  # one of the languages
    raise typer.BadParameter(f"{given!r} is none of {', '.join(LANGUAGES)}")
