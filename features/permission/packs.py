"""Law packs: rules as data, with the dates they are in force, their sources, and whether a named person confirmed them.

A pack is `packs/<id>.toml`. It extends another one: what it says of a rule's id takes the place of what that one says, while it is in force. A rule
that changes is written twice, the old one with `until` and the new one with `from`, so that a past decision can be made again.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from features.faults import did_you_mean
from features.permission.cases import Case, CaseEvent, CasePerson, CaseSource, CaseUse
from features.permission.rules import PERSON_CHECKS, USE_CHECKS, Question, Verdict
from features.permission.use import JURISDICTIONS, Activity, ChannelClass, Purpose, SponsorType, Use
from features.vocabulary import Frozen, Language

FOLDER = Path(__file__).parent / "packs"
Level = Literal["use", "person"]


class PackError(ValueError):
    """A pack, or what audience.toml says of one, cannot be used; each line names pack, rule and key, what was given and what is allowed."""


class Condition(Frozen):
    """Which uses are meant: all that is said here holds; what is left out does not matter."""

    purposes: tuple[Purpose, ...] | None = None
    channel_classes: tuple[ChannelClass, ...] | None = None
    sponsor_types: tuple[SponsorType, ...] | None = None
    activities: tuple[Activity, ...] | None = None
    political: bool | None = None
    special: bool | None = None

    def holds(self, use: Use, activity: Activity, special: bool) -> bool:
        """Return whether the use, what is done with it, and whether something special is asked for are meant."""
        among = ((self.purposes, use.purpose), (self.channel_classes, use.channel_class), (self.sponsor_types, use.sponsor_type), (self.activities, activity))
        same = ((self.political, use.political), (self.special, special))
        return all(wanted is None or given in wanted for wanted, given in among) and all(wanted is None or given == wanted for wanted, given in same)


class Texts(Frozen):
    """What a person can be told."""

    en: str = Field(min_length=1)
    fr: str = Field(min_length=1)
    nl: str = Field(min_length=1)

    def words(self, language: Language) -> str:
        """Return the words in that language."""
        return str(getattr(self, language))


class Rule(Frozen):
    """One rule: whom or what its `check` forbids, for the uses that any of `when` means (all, where it is empty), from `begins` until before `until`.

    Days are UTC days. `sure` says how sure we are of the law, `[M]` meaning that it was written down from memory.
    """

    id: str = Field(pattern=r"^L[1-9][0-9]?[a-z]?$")
    code: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    status: Literal[403, 409, 410, 451]
    check: str
    begins: date | None = Field(default=None, alias="from")
    until: date | None = None
    source: str = Field(min_length=1)
    sure: str = Field(min_length=1)
    text: Texts
    when: tuple[Condition, ...] = ()
    parameters: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def level(self) -> Level:
        """Whether it refuses the use as a whole, or people."""
        return "use" if self.check in USE_CHECKS else "person"

    def applies(self, use: Use, activity: Activity, special: bool) -> bool:
        """Return whether the rule is meant for that use."""
        return not self.when or any(condition.holds(use, activity, special) for condition in self.when)

    def in_force(self, day: date) -> bool:
        """Return whether the rule is in force on that day."""
        return (self.begins is None or self.begins <= day) and (self.until is None or day < self.until)

    def verdict(self, question: Question) -> Verdict | bool:
        """Return what the check says: of each person, or of the use as a whole."""
        function, _ = (USE_CHECKS if self.level == "use" else PERSON_CHECKS)[self.check]
        return function(question, self._parsed)

    @cached_property
    def _parsed(self) -> Frozen:
        return {**USE_CHECKS, **PERSON_CHECKS}[self.check][1](**self.parameters)


class PackFile(Frozen):
    """One file of packs/, alone. `order`: in which the rules' ids are gone through; the pack that says it last counts."""

    id: str = Field(pattern=r"^[a-z]+$")
    title: str = Field(min_length=1)
    version: str = Field(pattern=r"^[0-9]{4}\.[0-9]+$")
    state: Literal["unconfirmed"]
    extends: str | None = None
    order: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    uses: Mapping[str, CaseUse] = Field(default_factory=dict)
    cases: tuple[Case, ...] = ()


class Confirmation(Frozen):
    """A named person's word, in `[permission.confirmed.<pack>]` of audience.toml, that a pack of that version is right."""

    version: str = Field(min_length=1)
    by: str = Field(min_length=1, pattern=r"\S")
    on: date


class Pack(Frozen):
    """A pack with all that it extends, `chain` naming these from itself downwards. `rules` in the pack's order, those of the most special pack first."""

    id: str
    title: str
    version: str
    state: Literal["unconfirmed"]
    chain: tuple[str, ...]
    rules: tuple[Rule, ...]
    declared_by: tuple[str, ...]
    """Which pack each of `rules` stands in."""
    uses: Mapping[str, CaseUse]
    cases: tuple[Case, ...]

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of all that decides and is told: id, version and the rules in their order, not of the cases."""
        said = self.model_dump(mode="json", by_alias=True, include={"id", "title", "version", "chain", "rules", "declared_by"})
        return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def in_force(self, day: date) -> tuple[Rule, ...]:
        """Return the rules in force on that (UTC) day, in order, of each id the most special pack's."""
        found: dict[str, Rule] = {}
        for rule in self.rules:
            if rule.in_force(day):
                found.setdefault(rule.id, rule)
        return tuple(found.values())

    def confirmation(self, given: Mapping[str, Confirmation]) -> Confirmation | None:
        """Return the confirmation of this very version, if there is one among those given by pack."""
        confirmed = given.get(self.id)
        return confirmed if confirmed is not None and confirmed.version == self.version else None


@cache
def load_pack(identifier: str) -> Pack:
    """Return the shipped pack of that id with all that it extends. Raises PackError."""
    return merged(identifier, shipped())


def shipped() -> dict[str, PackFile]:
    """Return the files of packs/, by id. Raises PackError."""
    return {path.stem: parse_pack(path.read_text(encoding="utf-8"), path.stem) for path in sorted(FOLDER.glob("*.toml"))}


def merged(identifier: str, files: Mapping[str, PackFile]) -> Pack:
    """Return the pack made of the file of that id and all that it extends. Raises PackError."""
    chain = _chain(identifier, files)
    order = next((file.order for file in chain if file.order), ())
    pairs = [(rule, file.id) for file in chain for rule in file.rules]
    missing = {rule.id for rule, _ in pairs} - set(order)
    if missing:
        raise PackError(f"pack {identifier}: order leaves out {', '.join(sorted(missing))}; it names every rule once")
    pairs.sort(key=lambda pair: order.index(pair[0].id))
    levels = [rule.level for rule, _ in pairs]
    if levels != sorted(levels, reverse=True):
        raise PackError(f"pack {identifier}: order names a rule about people before one about the use; those about the use come first")
    uses: dict[str, CaseUse] = {}
    cases: dict[str, Case] = {}
    for file in reversed(chain):
        uses |= file.uses
        cases |= {case.id: case for case in file.cases}
    _check_cases(identifier, cases.values(), uses, set(order))
    first = chain[0]
    rules, declared_by = tuple(rule for rule, _ in pairs), tuple(file for _, file in pairs)
    return Pack(
        id=first.id,
        title=first.title,
        version=first.version,
        state=first.state,
        chain=tuple(file.id for file in chain),
        rules=rules,
        declared_by=declared_by,
        uses=uses,
        cases=tuple(cases.values()),
    )


def parse_pack(text: str, identifier: str) -> PackFile:
    """Return the pack written in a TOML text, whose id has to be `identifier`. Raises PackError, one line per fault."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PackError(f"pack {identifier}: not TOML: {error}") from None
    try:
        pack = PackFile(**document)
    except ValidationError as error:
        raise PackError("\n".join(_fault(identifier, document, fault, ()) for fault in error.errors())) from None
    faults = [*_own_faults(pack, identifier), *(fault for number in range(len(pack.rules)) for fault in _rule_faults(pack, document, number))]
    if faults:
        raise PackError("\n".join(faults))
    return pack


def parse_confirmations(document: Mapping[str, Any]) -> dict[str, Confirmation]:
    """Return what `[permission.confirmed.<pack>]` of a parsed audience.toml says, by pack. Raises PackError, one line per fault."""
    given = document.get("permission", {}).get("confirmed", {})
    faults, found = [], {}
    for name, said in given.items():
        where = f"audience.toml: [permission.confirmed.{name}]"
        if name not in JURISDICTIONS:
            faults.append(f"{where}: there is no such pack; allowed: {', '.join(JURISDICTIONS)}.{did_you_mean(name, JURISDICTIONS)}")
            continue
        try:
            found[name] = Confirmation.model_validate(said)
        except ValidationError as error:
            faults += [f"{where} {_said(fault, Confirmation)}" for fault in error.errors()]
    if faults:
        raise PackError("\n".join(faults))
    return found


def _chain(identifier: str, files: Mapping[str, PackFile]) -> list[PackFile]:
    chain: list[PackFile] = []
    following: str | None = identifier
    while following is not None:
        if following not in files:
            whose = f"pack {chain[-1].id}: extends = {following!r}" if chain else f"pack {following!r}"
            raise PackError(f"{whose} is not there; there are {', '.join(sorted(files))}.{did_you_mean(following, tuple(sorted(files)))}")
        if any(file.id == following for file in chain):
            raise PackError(f"pack {identifier}: extends goes in a circle by way of {following}")
        chain.append(files[following])
        following = chain[-1].extends
    return chain


def _own_faults(pack: PackFile, identifier: str) -> Iterable[str]:
    if pack.id != identifier:
        yield f"pack {identifier}: id = {pack.id!r} is not the name of its file"
    for kind, names in (("order", pack.order), ("cases", [case.id for case in pack.cases])):
        if len(set(names)) < len(names):
            yield f"pack {identifier}: {kind}: {', '.join(sorted({name for name in names if list(names).count(name) > 1}))} is there more than once"
    for number, rule in enumerate(pack.rules):
        if rule.begins is not None and rule.until is not None and rule.begins >= rule.until:
            yield f"pack {identifier}: rule {rule.id}: until = {rule.until} is not after from = {rule.begins}"
        for other in pack.rules[:number]:
            if other.id == rule.id and _overlap(rule, other):
                yield f"pack {identifier}: rule {rule.id} is there twice for the same days; the older one ends (until) when the newer one begins (from)"


def _overlap(one: Rule, other: Rule) -> bool:
    return all(first.until is None or second.begins is None or second.begins < first.until for first, second in ((one, other), (other, one)))


def _rule_faults(pack: PackFile, document: Mapping[str, Any], number: int) -> Iterable[str]:
    rule = pack.rules[number]
    checks = {name: parameters for name, (_, parameters) in (*USE_CHECKS.items(), *PERSON_CHECKS.items())}
    if rule.check not in checks:
        known = tuple(checks)
        yield f"pack {pack.id}: rule {rule.id}: check = {rule.check!r} is not known; allowed: {', '.join(known)}.{did_you_mean(rule.check, known)}"
        return
    try:
        checks[rule.check](**rule.parameters)
    except ValidationError as error:
        prefix = ("rules", number, "parameters")
        yield from (_fault(pack.id, document, fault, prefix, checks[rule.check]) for fault in error.errors())


def _check_cases(identifier: str, cases: Iterable[Case], uses: Mapping[str, CaseUse], rules: set[str]) -> None:
    faults = []
    for case in cases:
        for key, given, known in (("use", case.use, tuple(uses)), ("rule", case.rule, tuple(sorted(rules)))):
            if given not in known:
                faults.append(f"pack {identifier}: case {case.id!r}: {key} = {given!r}; allowed: {', '.join(known)}.{did_you_mean(given, known)}")
    if faults:
        raise PackError("\n".join(faults))


_MODELS: Mapping[tuple[str, ...], type[Frozen]] = {
    (): PackFile,
    ("rules",): Rule,
    ("rules", "text"): Texts,
    ("rules", "when"): Condition,
    ("uses",): CaseUse,
    ("cases",): Case,
    ("cases", "person"): CasePerson,
    ("cases", "person", "source"): CaseSource,
    ("cases", "events"): CaseEvent,
}


def _fault(identifier: str, document: Mapping[str, Any], fault: Any, prefix: tuple[str | int, ...], model: type[Frozen] | None = None) -> str:
    """Return a fault in words: the path with the rule's or case's id for its number."""
    path = (*prefix, *fault["loc"])
    where = f"pack {identifier}: "
    if len(path) > 1 and path[0] in {"rules", "cases"} and isinstance(path[1], int):
        item = document[path[0]][path[1]]
        where += f"{path[0][:-1]} {item.get('id', f'number {path[1] + 1}') if isinstance(item, Mapping) else path[1] + 1}: "
        rest: Sequence[str | int] = path[2:]
    else:
        rest = path
    words = tuple(part for part in path if isinstance(part, str))
    parent = words[:1] if words[:1] == ("uses",) else words[:-1]
    return where + _said({**fault, "loc": rest}, model or _MODELS.get(parent))


def _said(fault: Any, model: type[Frozen] | None) -> str:
    """Return key, what is wrong, what was given, and for an unknown key what is allowed."""
    key = ".".join(map(str, fault["loc"]))
    given = "" if fault["type"] == "missing" else f" (given: {fault['input']!r})"
    hint = ""
    if fault["type"] == "extra_forbidden" and model is not None:
        allowed = tuple(sorted(info.alias or name for name, info in model.model_fields.items()))
        hint = f"; allowed: {', '.join(allowed) or 'nothing'}.{did_you_mean(str(fault['loc'][-1]), allowed)}"
    return f"{key}: {fault['msg'].removeprefix('Value error, ')}{given}{hint}"
