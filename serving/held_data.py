"""Everything that is held of one person, in one call (GDPR, article 15; rules L20, L21, L22): the list of places is walked, and each is answered from.

`ANSWERED` says how each place that can hold personal data is answered from; a test fails when one is not in it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from features.catalogue import family_of, special_attributes
from features.database.store import Store
from features.definition import FeatureError, parse_name
from features.permission.consent_records import consent_records
from features.permission.ledger import Recorded
from features.permission.live import Group, Permission
from features.permission.packs import load_pack
from features.permission.places import PLACES
from features.permission.use import Use
from features.publication import open_current
from features.vectors import Vectors, VectorsError
from features.vocabulary import Language
from features.workspace import Workspace
from serving.access_names import place as place_words
from serving.access_schemas import CheckedPlace, HeldAnswer, HeldData, HeldEvent, HeldFeature, HeldFile, HeldRow, HeldUse
from serving.access_words import PLACES_TOLD, number, say
from serving.champion import Champion, ChampionError, in_office
from serving.held_retention import held_retention
from serving.held_rows import LINES, NAMED, Known, answered, exported, known, named_files, parsed, table_rows
from serving.held_scores import Allowed, held_scores
from serving.loaded import Loaded
from serving.past_scores import MOST_BUILT, PastScores
from serving.permitting import special_scores
from serving.words import refusal_words

Answered = Literal["rows", "vector", "events", "answers", "exports", "files", "lines", "key", "heard", "suppressed", "database"]
ANSWERED: Mapping[str, Answered] = {
    "tables": "rows",
    "vectors": "vector",
    "ledger": "events",
    "decisions": "answers",
    "people of exports": "exports",
    "people's keys": "key",
    "last signs of life": "heard",
    "suppressions": "suppressed",
    "database": "database",
    **dict.fromkeys(LINES, "lines"),
    **dict.fromkeys(NAMED, "files"),
}
"""How each place of `features.permission.places` that can hold personal data is answered from, by its name."""


@dataclass(frozen=True)
class Records:
    """What an answer is read from: the workspace's stores, and what scores now. `own` and `most_built` as of `serving.past_scores`."""

    workspace: Workspace
    store: Store
    permission: Permission
    vectors: Vectors | None
    champions: Mapping[str, Champion]
    most_built: int = MOST_BUILT
    own: Vectors | None = None
    groups: tuple[Group | None, Group | None] = (None, None)
    """The people of `vectors` and of `own`, where they are at hand."""

    @classmethod
    def open(cls, workspace: Workspace, store: Store) -> Records:
        """Return the records of a workspace that is not being served. Models that cannot be used are left out: what they said is still told."""
        champions = {}
        for pointer in sorted(workspace.models.glob("*/champion.json")):
            try:
                champions[pointer.parent.name] = in_office(pointer.parent, workspace.signing_key())
            except (ChampionError, OSError):
                continue
        vectors, own = _opened(workspace.vectors), _opened(workspace.own_vectors)
        own = own if own is not None and own.own else None
        return cls(workspace, store, Permission(workspace, store), vectors, champions, own=own)


def _opened(folder: Path) -> Vectors | None:
    try:
        return open_current(folder)
    except (VectorsError, OSError):
        return None


@dataclass
class _Asked:
    """One person, what was found of them, and how they are told."""

    records: Records
    person: str
    at: datetime
    language: Language
    known: Known
    notes: list[str] = field(default_factory=list)


def held_data(records: Records, person: str, *, at: datetime, language: Language | None = None) -> HeldData:
    """Return everything that is held of a person, told in `language`; by default their own, where it is one of these, or the workspace's.

    Of somebody who was erased it says that and nothing else. Raises StoreError, HistoryError or SubjectError where a place cannot be read: nothing is told,
    rather than half of it.
    """
    asked = _Asked(records, person, at, language or records.workspace.settings.language, _known(records, person))
    if asked.known.erased_at is None:
        rows, sources = table_rows(records.permission.history, person)
        asked.language = language or _own_language(rows) or asked.language
        told = replace(_told(asked, rows), sources=tuple(sources))
        asked.known = _known(records, person)
        if asked.known.erased_at is None:
            return told
    empty = _empty(asked)
    return replace(empty, state="erased", words=say("erased", asked.language), erased_at=asked.known.erased_at)


def _known(records: Records, person: str) -> Known:
    return known(records.store, records.permission.ledger.subjects, person)


def _empty(asked: _Asked) -> HeldData:
    controller = asked.records.workspace.settings.name
    return HeldData(asked.person, controller, asked.at, asked.language, "nothing", say("nothing", asked.language))


def _own_language(rows: Sequence[HeldRow]) -> Language | None:
    said = next((str(row.values.get("language") or "") for row in rows if row.table == "people" and not row.earlier), "")
    spoken: tuple[Language, ...] = get_args(Language)
    return next((language for language in spoken if said.lower().replace("_", "-").split("-")[0] == language), None)


def _told(asked: _Asked, rows: list[HeldRow]) -> HeldData:
    """Return what is held of somebody who was not erased, without the sources of the rows."""
    records, token = asked.records, asked.known.token
    lines = answered(records.store, token)
    vector, own = _vector(asked, records.vectors, records.workspace.vectors), _vector(asked, records.own, records.workspace.own_vectors)
    differing = tuple(feature for feature in own if feature not in frozenset(vector))
    recorded = records.permission.ledger.of_person(asked.person)
    exports, (files, unreadable) = exported(records.store, token, lines), named_files(records.workspace.root, asked.person)
    notes = [say("unreadable", asked.language, paths=", ".join(unreadable))] if unreadable else []
    written = asked.known.heard_at
    counts = {"rows": len(rows), "vector": len(vector) + len(own), "events": len(recorded), "answers": len(lines), "exports": len(exports)}
    counts["heard"] = int(written is not None)
    empty = replace(_empty(asked), checked=_checked(asked, counts, files))
    if not (any(counts.values()) or files or token):
        return replace(empty, notes=(*notes, say("beyond", asked.language)))
    group = records.permission.group(pa.array([asked.person], pa.large_string()))
    events = tuple(map(_event, recorded))
    return replace(
        empty,
        state="held",
        words=say("held", asked.language, controller=empty.controller),
        known_since=asked.known.since,
        token=token,
        rows=tuple(rows),
        retention=held_retention(rows, events, records.workspace.vocabulary, asked.language, written=written),
        uses=tuple(_use(asked, group, name, use) for name, use in records.workspace.permission.uses.items()),
        vector_as_of=records.vectors.as_of if vector and records.vectors is not None else None,
        vector=vector,
        own_vector_as_of=records.own.as_of if own and records.own is not None else None,
        own_vector=differing,
        events=events,
        consents=consent_records(asked.person, recorded, controller=empty.controller),
        answers=tuple(_answer(line, asked.language) for line in lines),
        scores=held_scores(asked.person, lines, _past(asked), _past(asked, own=True), language=asked.language, allowed=_allowed(asked, group)),
        exports=tuple(exports),
        files=tuple(files),
        notes=(*asked.notes, *notes, say("beyond", asked.language)),
    )


def _past(asked: _Asked, *, own: bool = False) -> PastScores:
    records = asked.records
    vectors, group = records.own if own else records.vectors, records.groups[own]
    return PastScores(records.workspace, records.permission, vectors, group, records.champions, asked.at, records.most_built, own)


def _vector(asked: _Asked, vectors: Vectors | None, folder: Path) -> tuple[HeldFeature, ...]:
    """Return every number of the person's vector, of those published in a folder, in words."""
    vocabulary = asked.records.workspace.vocabulary
    if vectors is None:
        if (folder / "CURRENT").exists():
            asked.notes.append(say("no_vectors", asked.language))
        return ()
    place = int(vectors.rows([asked.person])[0])
    if place < 0:
        return ()
    told = []
    for name, value in zip(vectors.names, vectors.matrix[place].tolist(), strict=True):
        shown = None if math.isnan(value) else value
        try:
            feature = parse_name(name)
            told.append(HeldFeature(name, family_of(feature), shown, feature.sentence(value, vocabulary, asked.language)))
        except (FeatureError, KeyError):
            told.append(HeldFeature(name, "other", shown, name))
    return tuple(told)


def _use(asked: _Asked, group: Group, name: str, use: Use) -> HeldUse:
    decisions = group.decide(np.zeros(1, dtype=np.int64), use, asked.at, needs_third_party=_third_party(asked, use))
    rule, event, source = decisions.forbidding(0), int(decisions.event[0]), int(decisions.source[0])
    return HeldUse(
        name,
        use.model_dump(mode="json", exclude_none=True),
        f"{decisions.pack} {decisions.version}",
        rule is None,
        None if rule is None else rule.code,
        None if rule is None else rule.id,
        None if rule is None else rule.text.words(asked.language),
        None if event < 0 else event,
        None if source < 0 else group.sources[source],
    )


def _third_party(asked: _Asked, use: Use) -> bool:
    """Return whether a use is answered from rows from elsewhere too, as the server says: online targeting is not, where there are vectors of own rows."""
    return use.channel_class != "online_targeted" or asked.records.own is None


def _allowed(asked: _Asked, group: Group) -> Allowed:
    """Return what says whether a score of now may be worked out for the use that an earlier one was asked for; nothing is, where no use was stated."""
    records = asked.records
    special = frozenset(name for name, champion in records.champions.items() if special_attributes(champion.columns, records.workspace.vocabulary))
    loaded = Loaded(records.workspace.vocabulary, records.workspace.settings, champions=records.champions, special=special)

    def forbidden(score: str, stated: Mapping[str, Any]) -> str | None:
        try:
            use = Use.model_validate(dict(stated))
        except ValidationError:
            return f"{say('use_unstated', asked.language)}."
        elsewhere = _third_party(asked, use)
        among = special_scores(replace(loaded, vectors=records.vectors if elsewhere else records.own), [score], use)
        question = {"special": bool(among), "needs_third_party": elsewhere}
        rule = group.decide(np.zeros(1, dtype=np.int64), use, asked.at, **question).forbidding(0)
        return None if rule is None else rule.text.words(asked.language)

    return forbidden


def _event(recorded: Recorded) -> HeldEvent:
    said = recorded.said
    return HeldEvent(
        recorded.seq,
        said.event,
        said.purpose,
        said.channel,
        said.at,
        recorded.recorded_at,
        said.valid_from,
        said.valid_until,
        said.legal_basis,
        said.wording_hash,
        said.wording_version,
        said.language,
        said.evidence,
        recorded.door,
    )


def _answer(line: Mapping[str, Any], language: Language) -> HeldAnswer:
    use = parsed(line["use"])
    use = use if isinstance(use, dict) else None
    same = ("score", "code", "value", "low", "high", "model", "version", "digest", "as_of", "rule")
    said = {name: line[name] for name in same}
    return HeldAnswer(line["answer_id"], line["at"], line["door"], line["asked_by"], use, words=code_words(line["code"], use, language), **said)


def code_words(code: str | None, use: Mapping[str, Any] | None, language: Language) -> str | None:
    """Return what a code of the log says, by the law pack of the use as it is now, or by this service; None where nothing is known of it."""
    if code is None:
        return None
    try:
        return refusal_words(code, language)
    except KeyError:
        pass
    try:
        rules = load_pack(str((use or {}).get("jurisdiction", "none"))).rules
    except (KeyError, ValueError, OSError):
        return None
    return next((rule.text.words(language) for rule in rules if rule.code == code), None)


def _checked(asked: _Asked, counts: Mapping[str, int], files: Sequence[HeldFile]) -> tuple[CheckedPlace, ...]:
    """Return every place that can hold personal data, with how it was answered from; one that nobody thought of says that it was not."""
    by_place = Counter(file.place for file in files)
    told = []
    for place in PLACES:
        if not place.personal:
            continue
        how: str = ANSWERED.get(place.name, "not_asked")
        found = counts.get(how, by_place[place.name])
        if (how == "key" and asked.known.token is None) or (how in {"files", "lines"} and not found):
            how = "nothing"
        count = number(found, 0, asked.language)
        told.append(CheckedPlace(place.name, place_words(place.name, asked.language), PLACES_TOLD[how][asked.language].format(count=count)))
    return tuple(told)
