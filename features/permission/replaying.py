"""The decisions of an answer in the log, made again from all that stands beside it: use, law pack, ledger, tables, time, activity and preconditions.

What comes out the same shows that the log says what was decided; what does not, that something it stood on was changed, or that the log was.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, func, select

from features.database.schema import ANSWERS, DECISIONS, SUBJECTS
from features.permission.disclosure import CODE, RULE, held_back
from features.permission.facts import UNKNOWN
from features.permission.held import held as held_of
from features.permission.live import Group, Permission
from features.permission.packs import FOLDER, load_pack
from features.permission.rules import Preconditions
from features.permission.use import Use

ALLOWED = "allowed"
_UNDECIDED = "unknown_person"
"""The code of who had no vector: of them nothing was decided."""
_CHUNK = 500
"""How many people one query names: databases limit the parameters of a statement."""


class ReplayError(ValueError):
    """The decisions of an answer cannot be made again; the message says why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was decided of one person: a code, or `allowed`, and what it stood on."""

    code: str
    rule: str | None
    event: int | None
    source: str | None


@dataclass(frozen=True, slots=True)
class Compared:
    """One person's decision as the log has it, and as it is made again.

    `gone`: it comes out otherwise, and cannot be compared, because the tables of then hold nothing of the person any more, or no row of `people` although it
    stood on the source that this named: a purge took it since.
    """

    person: str
    logged: Outcome
    again: Outcome
    gone: bool = False

    @property
    def same(self) -> bool:
        """Whether it is the same, and stands on the same."""
        return self.logged == self.again


@dataclass(frozen=True, slots=True)
class Replay:
    """An answer's decisions made again: of the people who were named, how many others the answer is about, and how many of these were erased.

    `refused`: the code of the rule with which the use was refused for everybody, in the log and made again; None where none did, also where this service
    refused it for a reason of its own.
    """

    compared: tuple[Compared, ...]
    others: int
    refused: tuple[str | None, str | None]
    erased: int = 0

    @property
    def same(self) -> bool:
        """Whether everything that can be compared came out the same."""
        return self.refused[0] == self.refused[1] and all(each.same or each.gone for each in self.compared)


def replay(permission: Permission, answer_id: str, people: Sequence[str]) -> Replay:
    """Make the decisions on those of the people who are in the answer again. Raises ReplayError, StoreError or HistoryError."""
    subjects = permission.ledger.subjects
    with permission.ledger.store.read() as connection:
        head = connection.execute(select(ANSWERS).where(ANSWERS.c.answer_id == answer_id)).one_or_none()
        if head is None:
            raise ReplayError("the log holds no answer of that id")
        asked = _asked(head)
        logged = _logged(connection, answer_id)
        named = {person: logged[subject.token] for person, subject in subjects.find_all(connection, people).items() if subject.token in logged}
        erased = len(logged) - _known(connection, logged)
    ids, versions = sorted(named), json.loads(head.tables)
    group = permission.group(pa.array(ids, pa.large_string()), versions=versions)
    outside = asked.pop("outside")
    decisions = group.decide(np.arange(len(ids)), **asked)
    held = held_back(decisions) if outside else np.zeros(len(ids), dtype=np.bool_)
    refused = None if decisions.refused_use is None else decisions.refused_use.code
    told = None if logged or head.code not in {rule.code for rule in decisions.rules} else head.code
    compared = tuple(Compared(person, named[person], _made(group, decisions, row, held=bool(held[row]))) for row, person in enumerate(ids))
    differing = [one.person for one in compared if not one.same]
    there = held_of(permission.history, differing).learned_from(permission.history, versions, None) if differing else frozenset()
    unlisted = {person for person, row in zip(ids, group.facts().source.tolist(), strict=True) if row == UNKNOWN}  # or never listed: then none was stood on
    gone = {one.person for one in compared if one.person not in there or (one.logged.source is not None and one.person in unlisted)}
    compared = tuple(replace(one, gone=True) if one.person in gone and not one.same else one for one in compared)
    return Replay(compared, len(logged) - len(ids), (told, refused), erased)


def _asked(head: Any) -> dict[str, Any]:
    """Return what was asked of the group. Raises ReplayError where the log does not say all of it, or the law pack is not this release's."""
    if head.law is None or head.use is None or not json.loads(head.tables):
        raise ReplayError("nothing was decided for that answer, or it is of a release that did not write down on what")
    name, version, digest = head.law.split(" ")
    if not (FOLDER / f"{name}.toml").exists() or load_pack(name).digest != digest:
        now = f"; this release has {name} {load_pack(name).version}" if (FOLDER / f"{name}.toml").exists() else ""
        raise ReplayError(f"the answer was decided under the law pack {name} {version} of another release{now}: it can be made again with the release of then")
    if head.preconditions is None or head.activity is None:
        raise ReplayError("the answer is of a release that did not write down what was done with the people, and what had been done before")
    stated = json.loads(head.preconditions)
    made = stated["risk_assessment"]
    before = Preconditions(stated["dpia"], None if made is None else date.fromisoformat(made))
    question = {"known": head.ledger, "activity": head.activity, "preconditions": before, "needs_third_party": not stated.get("own_rows", False)}
    question |= {name: stated.get(name, False) for name in ("special", "lowest_first", "outside")}
    return {"use": Use(**json.loads(head.use)), "at": head.at, **question}


def _logged(connection: Connection, answer_id: str) -> dict[str, Outcome]:
    """Return what the log says was decided, by token; those of whom nothing was decided are left out."""
    rows = connection.execute(select(DECISIONS).where(DECISIONS.c.answer_id == answer_id)).all()
    decided = [row for row in rows if row.code != _UNDECIDED]
    return {row.person: Outcome(row.code if row.rule is not None else ALLOWED, row.rule, row.event, row.source) for row in decided}


def _known(connection: Connection, tokens: Collection[str]) -> int:
    """Return how many of the tokens lead to somebody: those of the others were erased."""
    listed = list(tokens)
    parts = (listed[begin : begin + _CHUNK] for begin in range(0, len(listed), _CHUNK))
    return sum(int(connection.execute(select(func.count()).select_from(SUBJECTS).where(SUBJECTS.c.token.in_(part))).scalar_one()) for part in parts)


def _made(group: Group, decisions: Any, row: int, *, held: bool) -> Outcome:
    rule, event, source = decisions.forbidding(row), int(decisions.event[row]), int(decisions.source[row])
    where = None if source < 0 else group.sources[source]
    code, rule_id = (CODE, RULE) if held else (ALLOWED, None) if rule is None else (rule.code, rule.id)
    return Outcome(code, rule_id, None if event < 0 else event, where)
