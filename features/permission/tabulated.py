"""The rules of the law packs as Markdown, the tables of `docs/permission.md`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from features.permission.packs import Condition, Pack, Rule, load_pack
from features.permission.use import JURISDICTIONS


def rules_tables() -> str:
    """Return two tables: which rule is in force in which pack since when, and what each rule says, is meant for and rests on."""
    packs = [load_pack(name) for name in JURISDICTIONS]
    ids = list(dict.fromkeys(rule.id for name in ("fr", *JURISDICTIONS) for rule in load_pack(name).rules))
    return "\n".join([*_by_pack(ids, packs), "", *_by_rule(ids, packs)])


def _by_pack(ids: Iterable[str], packs: list[Pack]) -> Iterable[str]:
    yield "| rule | code | status | " + " | ".join(f"`{pack.id}`" for pack in packs) + " |"
    yield "|---|---|---|" + "---|" * len(packs)
    for identifier in ids:
        [(code, status)] = {(rule.code, rule.status) for pack in packs for rule in pack.rules if rule.id == identifier}
        cells = ["; ".join(_since(rule) for rule in _periods(pack, identifier)) or "no" for pack in packs]
        yield f"| {identifier} | `{code}` | {status} | " + " | ".join(cells) + " |"


def _by_rule(ids: Iterable[str], packs: list[Pack]) -> Iterable[str]:
    yield "| rule | stands in | a person is told | meant for | rests on | how sure |"
    yield "|---|---|---|---|---|---|"
    for identifier in ids:
        told: dict[str, None] = {}
        for pack in packs:
            for rule, where in zip(pack.rules, pack.declared_by, strict=True):
                line = f"| {identifier} | `{where}` | {rule.text.en} | {'; or '.join(map(_meant, rule.when)) or 'every use'} | {rule.source} | {rule.sure} |"
                if rule.id == identifier:
                    told.setdefault(line)
        yield from told


def _periods(pack: Pack, identifier: str) -> list[Rule]:
    """Return the rules of that id that are ever in force, as they come into force; one that another takes the place of from the first day is none."""
    days = sorted({rule.begins or date.min for rule in pack.rules if rule.id == identifier})
    found = [rule for day in days for rule in pack.in_force(day) if rule.id == identifier]
    return [rule for place, rule in enumerate(found) if rule not in found[:place]]


def _since(rule: Rule) -> str:
    since = f"since {rule.begins}" if rule.begins else "always"
    until = f" until before {rule.until}" if rule.until else ""
    set_to = [f"{name.replace('_', ' ')} {_value(value)}" for name, value in rule.parameters.items() if name != "types"]
    return f"{since}{until}" + (f" ({', '.join(set_to)})" if set_to else "")


def _meant(condition: Condition) -> str:
    said = condition.model_dump(exclude_none=True)
    return ", ".join(f"{name.replace('_', ' ')}: {_value(value)}" for name, value in said.items())


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " or ".join(f"`{one}`" for one in value) if isinstance(value, (tuple, list)) else str(value)
