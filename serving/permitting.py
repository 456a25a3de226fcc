"""Permission beside scores: the decision on the people and scores of one request, and how it goes over the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.faults import did_you_mean
from features.history import HistoryError
from features.permission.decision import Decisions
from features.permission.live import Group, Permission
from features.permission.packs import Rule, load_pack
from features.permission.rules import is_special
from features.permission.use import ANY, Activity, Use
from features.vectors import Vectors
from features.vocabulary import Language, Vocabulary
from serving.loaded import Loaded
from serving.permission_schemas import PermissionAnswer, PermissionRequest, PersonDecision
from serving.problems import Problem, Refused
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
    special: frozenset[str] = frozenset()
    barred: Mapping[int, Rule] = field(default_factory=dict)
    """Which rule keeps the person in that row of `decisions` from the scores that are `special`, though not from others."""

    def person(self, row: int) -> PersonPermission:
        """Return the decision on the person in that row of `decisions`."""
        rule, event, source = stood_on(self.decisions, self.sources, row)
        return PersonPermission(rule is None, None if rule is None else rule.id, event, source)


def permit(permission: Permission, loaded: Loaded, use: Use, *, people: Sequence[str], names: Sequence[str], at: datetime) -> Permitted:
    """Return the decision on people and on the scores of those names.

    Raises Problem where there is nothing to decide from yet, where the use names a channel that is none, and where it is refused as a whole, with the
    rule's code and status; StoreError where the ledger cannot be read.
    """
    check_channel(permission, use, loaded.vocabulary, people=len(people), at=at)
    loaded = loaded.for_use(use)
    vectors, group = ready(loaded)
    elsewhere = loaded.third_party
    places = np.asarray(vectors.rows(people)).tolist()
    others = [person for person, place in zip(people, places, strict=True) if place < 0]
    asked = np.asarray(loaded.members([place for place in places if place >= 0]), dtype=np.int64)
    decisions = group.decide(asked, use, at, live=True, needs_third_party=elsewhere)
    refuse_use(permission, decisions, people=len(people))
    forbidden: dict[str, Rule] = {}
    special = special_scores(loaded, names, use)
    if special:
        rule = group.decide(asked[:0], use, at, live=True, special=True, needs_third_party=elsewhere).refused_use
        forbidden = {} if rule is None else dict.fromkeys(special, rule)
    barred: dict[int, Rule] = {}
    if special and not forbidden:
        closer = group.decide(asked, use, at, live=True, special=True, needs_third_party=elsewhere)
        barred = {row: rule for row in np.flatnonzero(decisions.allowed).tolist() if (rule := closer.forbidding(row)) is not None}
    return Permitted(decisions, group.sources, permission.erased(others), forbidden, basis(permission, decisions), special, barred)


def ready(loaded: Loaded) -> tuple[Vectors, Group]:
    """Return the vectors and the people in them to decide on. Raises Problem where either is not loaded."""
    if loaded.vectors is None or loaded.group is None:
        raise Problem("not_ready", "No vectors, or no tables to decide permission from, are loaded.", reasons=list(loaded.faults))
    return loaded.vectors, loaded.group


def check_in_person(asked: Refused, *, individual: bool) -> None:
    """Raise Problem where a use is about nobody in person, or where, on behalf of a political actor online, nobody said that it is.

    A rule of this service and of no law pack: groups are the default of those who may do the most harm with people in person.
    `asked` is what goes into the log.
    """
    use = asked.basis.use
    if use.channel_class == "aggregate":
        words = "The use says `aggregate`: ask POST /v1/aggregates or `audience aggregate`, which tell of groups and of nobody in person."
        raise Problem("groups_only", words, refused=asked)
    if use.sponsor_type == "political_actor" and use.channel_class == "online_targeted" and not individual:
        words = "Ask POST /v1/aggregates with channel_class `aggregate`; or, where people in person are really needed, say `individual`: true."
        raise Problem("aggregate_is_default", words, refused=asked)


def special_scores(loaded: Loaded, names: Sequence[str], use: Use) -> frozenset[str]:
    """Return those of the scores that are special for the use (rule L4): of a special topic, or made by a model that was fitted on a special attribute.

    Online they all are where the vectors that the use is answered from may rest on interactions about a topic that is special for it.
    """
    loaded = loaded.for_use(use)
    special = frozenset(topic.id for topic in loaded.vocabulary.topics if is_special(topic, use))
    every = {name: score for name in names if (score := loaded.scores.get(name)) is not None}
    if use.channel_class == "online_targeted" and not special <= loaded.withheld:
        return frozenset(every)
    return frozenset(name for name, score in every.items() if score.model in loaded.special or score.topic in special)


def answer_permissions(permission: Permission, loaded: Loaded, asked: PermissionRequest, *, answer_id: str, at: datetime) -> PermissionAnswer:
    """Return the decision on each person, whether they have a vector or not. Raises Problem as `permit` does, and StoreError."""
    check_channel(permission, asked.use, loaded.vocabulary, activity=asked.activity, people=len(asked.people), at=at)
    loaded = loaded.for_use(asked.use)
    group, rows = _deciding(permission, loaded, asked.people)
    decisions = group.decide(rows, asked.use, at, live=True, activity=asked.activity, needs_third_party=loaded.third_party)
    refuse_use(permission, decisions, people=len(asked.people))
    language = asked.language or loaded.settings.language
    results = [_person(person, f"{answer_id}-{row}", language, *stood_on(decisions, group.sources, row)) for row, person in enumerate(asked.people)]
    return PermissionAnswer(answer_id, asked.activity, basis(permission, decisions), results)


def _person(person: str, decision_id: str, language: Language, *stood_on: *tuple[Rule | None, int | None, str | None]) -> PersonDecision:
    rule, event, source = stood_on
    if rule is None:
        return PersonDecision(person, decision_id, True, None, None, None, event, source)  # noqa: FBT003 (a flag of the answer)
    return PersonDecision(person, decision_id, False, rule.code, words_of(rule, language), rule.id, event, source)  # noqa: FBT003


def _deciding(permission: Permission, loaded: Loaded, people: Sequence[str]) -> tuple[Group, NDArray[np.int64]]:
    """Return a group that holds all the people, and their rows in it: that of the vectors, or else one that is read from the tables for them."""
    if loaded.group is not None and loaded.vectors is not None:
        places = np.asarray(loaded.vectors.rows(people))
        if (places >= 0).all():
            return loaded.group, np.asarray(loaded.members(places.tolist()), dtype=np.int64)
    known, rows = np.unique(np.array(people, dtype=object), return_inverse=True)
    try:
        return permission.group(pa.array(known.tolist(), pa.large_string())), rows.astype(np.int64)
    except (HistoryError, OSError, pa.ArrowException) as error:
        raise Problem("not_ready", f"The tables to decide permission from cannot be read now ({type(error).__name__}).") from error


def check_channel(permission: Permission, use: Use, vocabulary: Vocabulary, *, activity: Activity = "score", people: int, at: datetime) -> None:
    """Raise Problem where the use names a channel that is none: what people said of the real one would not be heard."""
    wrong = None if use.channel is None else channel_fault(use.channel, vocabulary, also=())
    if wrong is not None:
        words = "The use names a channel that is not in audience.toml; see `errors`."
        named = use.model_copy(update={"channel": None})  # the name is the caller's text, and does not enter the log
        stands_on = PermissionBasis(named, pack_reference(permission, use), at, permission.events.refresh()[0], {})
        raise Problem("use_incomplete", words, refused=Refused(stands_on, activity, people), errors=[{"field": "use.channel", "message": wrong}])


def channel_fault(channel: str, vocabulary: Vocabulary, *, also: tuple[str, ...] = (ANY,)) -> str | None:
    """Return what is wrong with the name of a channel, or None; the name itself is the caller's text, and is not repeated."""
    known = (*(each.id for each in vocabulary.channels), *also)
    return None if channel in known else f"there is no such channel in audience.toml; allowed: {', '.join(known)}.{did_you_mean(channel, known)}"


def refuse_use(permission: Permission, decisions: Decisions, *, people: int, also: Sequence[str] = ()) -> None:
    """Raise Problem where a rule refuses the use for everybody, of whom there are `people`; `also` as of `serving.audit.Answer`."""
    rule = decisions.refused_use
    if rule is not None:
        refused = Refused(basis(permission, decisions), decisions.activity, people, also)
        raise Problem(rule.code, rule.text.en, status=rule.status, refused=refused, rule=rule.id, pack=f"{decisions.pack} {decisions.version}")


def basis(permission: Permission, decisions: Decisions) -> PermissionBasis:
    """Return what decisions stand on, as it goes over the wire."""
    reference = pack_reference(permission, decisions.use)
    return PermissionBasis(decisions.use, reference, decisions.at, decisions.ledger, dict(decisions.versions), decisions.own_rows)


def pack_reference(permission: Permission, use: Use) -> PackReference:
    """Return the law pack of a use, and whether a named person confirmed it."""
    pack = load_pack(use.jurisdiction)
    confirmed = pack.confirmation(permission.settings.confirmed)
    return PackReference(pack.id, pack.version, pack.digest, pack.state if confirmed is None else "confirmed", None if confirmed is None else confirmed.by)


def words_of(rule: Rule, language: Language) -> str:
    """Return a rule in the words that a person can be told."""
    return rule.text.words(language)


def stood_on(decisions: Decisions, sources: tuple[str, ...], row: int) -> tuple[Rule | None, int | None, str | None]:
    """Return the rule that forbids the person in that row, the number of the event and the id of the source that this stands on, None where on none."""
    event, source = int(decisions.event[row]), int(decisions.source[row])
    return decisions.forbidding(row), None if event < 0 else event, None if source < 0 else sources[source]
