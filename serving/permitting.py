"""Permission beside scores: the decision on the people and scores of one request, and how it goes over the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from features.permission.decision import Decisions
from features.permission.live import Permission
from features.permission.packs import Pack, Rule, load_pack
from features.permission.rules import is_special
from features.permission.use import Use
from features.vocabulary import Language
from serving.loaded import Loaded
from serving.problems import Problem
from serving.schemas import PackReference, PermissionBasis, PersonPermission


@dataclass(frozen=True, slots=True)
class Permitted:
    """What may be answered: `decisions` on the people asked about who have a vector, in their order; `erased` are those of the others who were erased.

    `forbidden` are scores that nobody gets for this use, such as that of a special topic, with the rule that says so.
    """

    decisions: Decisions
    sources: tuple[str, ...]
    erased: frozenset[str]
    forbidden: Mapping[str, Rule]
    basis: PermissionBasis

    def person(self, row: int) -> PersonPermission:
        """Return the decision on the person in that row of `decisions`."""
        rule, event, source = self.decisions.forbidding(row), int(self.decisions.event[row]), int(self.decisions.source[row])
        fact = None if source < 0 else self.sources[source]
        return PersonPermission(rule is None, None if rule is None else rule.id, None if event < 0 else event, fact)


def permit(permission: Permission, loaded: Loaded, use: Use, *, people: Sequence[str], names: Sequence[str], at: datetime) -> Permitted:
    """Return the decision on people and on the scores of those names.

    Raises Problem where there is nothing to decide from yet, and where the use is refused as a whole, with the rule's code and status; StoreError where
    the ledger cannot be read.
    """
    group = loaded.group
    if loaded.vectors is None or group is None:
        raise Problem("not_ready", "No vectors, or no tables to decide permission from, are loaded.", reasons=list(loaded.faults))
    places = np.asarray(loaded.vectors.rows(people)).tolist()
    others = [person for person, place in zip(people, places, strict=True) if place < 0]
    every, vocabulary = loaded.scores, loaded.vocabulary
    special = {name for name in names if name in every and (topic := every[name].topic) is not None and is_special(vocabulary.topic(topic), use)}
    pack = load_pack(use.jurisdiction)
    asked = np.asarray(loaded.members([place for place in places if place >= 0]), dtype=np.int64)
    decisions = group.decide(asked, use, at)
    refuse_use(decisions)
    forbidden: dict[str, Rule] = {}
    if special:
        rule = group.decide(asked[:0], use, at, special=True).refused_use
        forbidden = {} if rule is None else dict.fromkeys(special, rule)
    return Permitted(decisions, group.sources, permission.erased(others), forbidden, basis(permission, pack, decisions))


def refuse_use(decisions: Decisions) -> None:
    """Raise Problem where a rule refuses the use for everybody."""
    rule = decisions.refused_use
    if rule is not None:
        raise Problem(rule.code, rule.text.en, status=rule.status, rule=rule.id, pack=f"{decisions.pack} {decisions.version}")


def basis(permission: Permission, pack: Pack, decisions: Decisions) -> PermissionBasis:
    """Return what decisions stand on, as it goes over the wire."""
    confirmed = pack.confirmation(permission.settings.confirmed)
    reference = PackReference(pack.id, pack.version, pack.digest, pack.state if confirmed is None else "confirmed", None if confirmed is None else confirmed.by)
    return PermissionBasis(decisions.use, reference, decisions.at, decisions.ledger, dict(decisions.versions))


def words_of(rule: Rule, language: Language) -> str:
    """Return a rule in the words that a person can be told."""
    return rule.text.words(language)
