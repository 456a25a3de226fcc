"""What an organisation declares in audience.toml and answers for, as entries of the register: topics (rule L5), law packs, assessments (rules L28, L29)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from features.database.chain import canonical
from features.permission.packs import load_pack
from features.permission.register import EntryKind, Register, digest_of
from features.permission.rules import is_special
from features.permission.settings import PermissionSettings
from features.permission.use import Use
from features.vocabulary import Topic, Vocabulary

_POLITICAL_ACTOR = Use(purpose="political_ads", channel_class="offline", sponsor_type="political_actor", jurisdiction="none")


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the register should say last about something; where it is `empty`, only once something else was said before."""

    kind: EntryKind
    about: str
    body: dict[str, Any]
    empty: bool = False


def declarations(vocabulary: Vocabulary, permission: PermissionSettings) -> Iterator[Declaration]:
    """Yield what audience.toml declares, topics first. Raises PackError for a pack that is none."""
    for topic in vocabulary.topics:
        yield Declaration("topic", topic.id, _topic(topic))
    packs = {*permission.confirmed, *(use.jurisdiction for use in permission.uses.values())}
    for identifier in sorted(packs):
        pack = load_pack(identifier)
        confirmed = pack.confirmation(permission.confirmed)
        stated: dict[str, Any] = {"pack": pack.id, "version": pack.version, "digest": pack.digest, "state": "confirmed" if confirmed else pack.state}
        yield Declaration("law_pack", pack.id, stated | {"by": confirmed.by if confirmed else None, "on": confirmed.on.isoformat() if confirmed else None})
    made = permission.risk_assessment
    yield Declaration("dpia", "dpia", {"id": permission.dpia}, permission.dpia is None)
    url = permission.risk_assessment_url
    yield Declaration("risk_assessment", "risk_assessment", {"on": made.isoformat() if made else None, "url": url}, made is None)


def declare(register: Register, vocabulary: Vocabulary, permission: PermissionSettings, *, now: datetime) -> int:
    """Write down what is declared and not said yet; what was said otherwise before stays beside it. Returns how many entries are new.

    Where nothing is new, nothing is written and nobody waits. Raises StoreError or PackError.
    """
    wanted = list(declarations(vocabulary, permission))
    said = register.latest(*{each.kind for each in wanted})
    last = {key: canonical(entry.body) for key, entry in said.items()}
    new = [each for each in wanted if _is_new(each, last.get((each.kind, digest_of(each.about))))]
    if new:
        with register.store.write(serial=True) as connection:
            for each in new:
                register.append(connection, each.kind, each.body, now=now, about=each.about)
    return len(new)


def _is_new(each: Declaration, last: str | None) -> bool:
    """Return whether it has to be written after what was said last of the same thing, None where nothing was."""
    return not each.empty if last is None else last != canonical(each.body)


def _topic(topic: Topic) -> dict[str, Any]:
    """Return what the register says of a topic: how it is classed, by whom and why, and what that means for a political actor."""
    said = {"topic": topic.id, "label": topic.en, "parent": topic.parent, "sensitivity": topic.sensitivity}
    return said | {"classed_by": topic.classed_by, "why": topic.why, "special_for_political_actors": is_special(topic, _POLITICAL_ACTOR)}
