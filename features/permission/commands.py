"""The commands of permission: what people said, and who may be scored for what. Ids come from a file or standard input, never from the command itself."""

from __future__ import annotations

import re
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from features.permission import purge_commands, recipient_commands, register_commands
from features.permission.use import ACTIVITIES, ANY
from features.terminal import HERE, Folder, ids_of, moment, now, numbered_ids, table
from features.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from features.history import History
    from features.permission.decision import Decisions, Told
    from features.permission.ledger import Event
    from features.permission.live import Permission
    from features.permission.replaying import Compared

app = typer.Typer(rich_markup_mode=None)
for more in (recipient_commands, register_commands, purge_commands):
    app.add_typer(more.app)

Ids = Annotated[Path | None, typer.Option("--file", help="A file of person ids, one per line; standard input by default, or with `-`.")]
Purpose = Annotated[str, typer.Option(help="The purpose it is for, such as campaign_messages; `any` for all where it is an objection.")]
Channel = Annotated[str, typer.Option(help="The channel it is for; `any` for all.")]


@app.command()
def consent(
    event: Annotated[Literal["given", "refused", "withdrawn", "expired"], typer.Argument(help="What happened.")],
    purpose: Purpose,
    channel: Channel = ANY,
    at: Annotated[str | None, typer.Option(help="When it happened (ISO 8601); now by default.")] = None,
    until: Annotated[str | None, typer.Option(help="When a consent ends by itself.")] = None,
    basis: Annotated[str | None, typer.Option(help="The legal basis, such as gdpr_9_2_a for explicit consent.")] = None,
    wording: Annotated[str | None, typer.Option(help="Hash of the wording that was shown; without it no consent is explicit.")] = None,
    version: Annotated[str | None, typer.Option(help="Version of the wording.")] = None,
    language: Annotated[str | None, typer.Option(help="Language of the wording.")] = None,
    evidence: Annotated[str | None, typer.Option(help="Where the proof is kept; it is sealed.")] = None,
    file: Ids = None,
    workspace: Folder = HERE,
) -> None:
    """Record a consent, refusal or withdrawal of the people named; it is in force at once. Example: audience consent withdrawn --purpose campaign_messages."""
    from features.permission.ledger import Event

    opened, present, ends = Workspace.open(workspace), now(), None if until is None else moment(until)
    happened = present if at is None else moment(at)
    said = {"legal_basis": basis, "wording_hash": wording, "wording_version": version, "language": language, "evidence": evidence}
    _record(opened, [Event(person, event, purpose, channel, happened, None, ends, **said) for person in _people(file)], present)


@app.command(name="object")
def object_(purpose: Purpose = ANY, channel: Channel = ANY, file: Ids = None, workspace: Folder = HERE) -> None:
    """Record that the people named object; no reason is asked, and it is in force at once. Example: audience object --file objections.txt."""
    from features.permission.ledger import Event

    opened, present = Workspace.open(workspace), now()
    _record(opened, [Event(person, "objected", purpose, channel, present) for person in _people(file)], present)


@app.command()
def decide(
    use: Annotated[str | None, typer.Option(help="A [uses.…] of audience.toml.")] = None,
    activity: Annotated[str, typer.Option(help="What is done: score, audience, export, training or activation (of a model).")] = "score",
    at: Annotated[str | None, typer.Option(help="As of when (ISO 8601); now by default.")] = None,
    known: Annotated[int | None, typer.Option(help="Number of the last event of the ledger to look at, to make a past decision again.")] = None,
    version: Annotated[
        list[str] | None, typer.Option(help="A table's version to decide from, such as people=3; the present ones by default. Repeatable.")
    ] = None,
    each: Annotated[bool, typer.Option("--each", help="Tell of each person, with the rule and what it stood on; else numbers by code.")] = False,
    rules: Annotated[bool, typer.Option("--rules", help="Tell what every rule says of the one person named.")] = False,
    answer: Annotated[
        str | None, typer.Option(help="An answer of the log, by its id: make its decisions again and compare; exit code 1 if one differs.")
    ] = None,
    file: Ids = None,
    workspace: Folder = HERE,
) -> None:
    """Say who may be scored for a use: everybody in the table people, or those of --file (`-`: standard input). Example: audience decide --use doorstep."""
    from features.history import History
    from features.permission.live import Permission
    from features.permission.opening import opened as open_store

    opened = Workspace.open(workspace)
    if activity not in ACTIVITIES:
        raise typer.BadParameter(f"{activity!r} is none of {', '.join(ACTIVITIES)}")
    if (use is None) == (answer is None):
        raise typer.BadParameter("give --use, or --answer for what was decided before; not both")
    history = History(opened.tables, opened.vocabulary)
    versions = _versions(version or (), history)
    people = ids_of(file) if file is not None else history.read("people", columns=["person_id"]).column(0).to_pylist()
    elsewhere = activity != "training" and not (opened.own_vectors / "CURRENT").exists()  # what is learned or scored online is of own rows
    with closing(open_store(opened)) as store:
        permission = Permission(opened, store)
        if answer is not None:
            _show_replay(permission, answer, people)
            return
        stated = opened.permission.use(str(use))
        if rules:
            if len(people) != 1:
                raise typer.BadParameter(f"--rules tells of one person at a time: name one with --file, not {len(people):,}")
            verdicts = permission.every_rule(
                people[0], stated, permission.now(now()) if at is None else moment(at), activity=activity, known=known, needs_third_party=elsewhere
            )
            table([_verdict(told) for told in verdicts])
            return
        asked = partial(permission.decide, activity=activity, known=known, needs_third_party=elsewhere)
        decisions = asked(people, stated, moment(at), live=at is None, versions=versions)
    _show(decisions, people, each=each, confirmed=decisions.pack in opened.permission.confirmed)


def _show(decisions: Decisions, people: list[str], *, each: bool, confirmed: bool) -> None:
    if each:
        rules_of, events = [decisions.forbidding(row) for row in range(len(decisions))], decisions.event.tolist()
        told = [("allowed", "") if rule is None else (rule.code, rule.id) for rule in rules_of]
        found = zip(people, told, events, strict=True)
        table([{"person": person, "code": code, "rule": rule, "event": _number(event)} for person, (code, rule), event in found])
    else:
        table([{"code": code, "people": f"{count:,}"} for code, count in decisions.counts().items()])
    state = "confirmed" if confirmed else "unconfirmed"
    typer.echo(f"law pack {decisions.pack} {decisions.version} ({state}), ledger up to event {decisions.ledger}", err=True)


def _show_replay(permission: Permission, answer: str, people: list[str]) -> None:
    from features.permission.replaying import replay

    found = replay(permission, answer, people)
    table([{"person": one.person, "logged": one.logged.code, "again": "" if one.gone else one.again.code, "": _compared(one)} for one in found.compared])
    if any(found.refused):
        typer.echo(f"the use as a whole: logged {found.refused[0] or 'not refused'}, again {found.refused[1] or 'not refused'}")
    gone = sum(one.gone for one in found.compared)
    for count, words in ((gone, "cannot be compared"), (found.others - found.erased, "others of the answer were not named"), (found.erased, "were erased")):
        if count:
            typer.echo(f"{count:,} {words}", err=True)
    if not found.same:
        raise typer.Exit(1)


def _compared(one: Compared) -> str:
    if one.same or one.gone:
        return "same" if one.same else "not comparable: what it stood on is not held any more"
    parts = ((name, getattr(one.logged, name), getattr(one.again, name)) for name in ("code", "rule", "event", "source"))
    return "DIFFERENT: " + "; ".join(f"{name} {logged or 'none'}, again {again or 'none'}" for name, logged, again in parts if logged != again)


def _versions(said: Iterable[str], history: History) -> dict[str, int]:
    """Return the versions of tables that are said as NAME=NUMBER."""
    present, versions = history.versions(), {}
    for text in said:
        name, _, number = text.partition("=")
        if name not in present or not re.fullmatch(r"-1|[0-9]+", number) or int(number) > present[name]:
            raise typer.BadParameter(f"{text!r} is no version of a table: give NAME=NUMBER, such as people={max(present['people'], 0)}, up to the present one")
        versions[name] = int(number)
    return versions


def _verdict(told: Told) -> dict[str, str]:
    says = "forbids" if told.forbids else "allows" if told.applies else "is not meant for this use"
    return {"rule": told.rule.id, "code": told.rule.code, "says": says, "event": _number(told.event)}


def _number(event: int) -> str:
    return "" if event < 0 else str(event)


def _people(file: Path | None) -> list[str]:
    """Return the ids of a file or standard input. Raises BadParameter with the number of the first line that is none, never with the line."""
    from features.permission.ledger import LedgerError, check_person

    found = numbered_ids(file)
    for line, person in found.items():
        try:
            check_person(person)
        except LedgerError as error:
            raise typer.BadParameter(f"line {line:,}: {error}. Nothing was recorded") from None
    return list(found.values())


def _record(workspace: Workspace, events: list[Event], present: datetime) -> None:
    from features.history import History
    from features.permission.ledger import Ledger
    from features.permission.opening import opened
    from features.permission.unknown import unknown

    known = [ANY, *(channel.id for channel in workspace.vocabulary.channels)]
    if wrong := sorted({event.channel for event in events} - set(known)):
        raise typer.BadParameter(f"channel {wrong[0]!r} is none of {', '.join(known)}")
    with closing(opened(workspace)) as store:
        ledger = Ledger(store, workspace.signing_key())
        done = ledger.append(events, now=present, door="command")
        nobody = unknown(History(workspace.tables, workspace.vocabulary), ledger, [event.person for event in events])
    erased = f", {done.erased:,} of people who were erased (left out)" if done.erased else ""
    typer.echo(f"{done.stored:,} recorded, {done.duplicate:,} known already{erased}; the ledger is at event {done.last}")
    if nobody:
        typer.echo(f"{nobody:,} of those named are in no table: look for ids that are mistyped, or import these people later; what was said stands", err=True)
    elif nobody is None:
        typer.echo("the tables cannot be read now, so nobody knows how many of those named are in them; what was said stands", err=True)
