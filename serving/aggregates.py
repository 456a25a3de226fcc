"""The same questions about groups: how many are interested, how strongly, and how much contact would change; no row of a person.

Who may be counted is decided for every person each time; what was worked out is kept only beside the very people it was worked out of.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.history import HistoryError
from features.permission.decision import Decisions
from features.permission.live import Permission
from features.vectors import Vectors
from features.vocabulary import Language
from features.workspace import AggregateSettings
from serving.aggregate_schemas import AggregateAnswer, AggregateRequest, ScoreTable
from serving.bands import BANDS, band_places
from serving.champion import Champion, Served
from serving.group_tables import PEOPLE_STEP, Dimension, tabulate
from serving.groups import BAND, fault, read
from serving.loaded import Loaded
from serving.names import ScoreName
from serving.permitting import basis, check_channel, ready, refuse_use, special_scores, words_of
from serving.problems import Problem, Refused
from serving.schemas import ModelReference
from serving.scorer import asked_names, unscored
from serving.words import refusal_words

_BLOCK = 10_000
"""People whose scores are worked out at a time: the vectors of everybody are not in memory at once."""
_KEPT = 256
"""Tables that are kept in memory; the one not asked for longest goes first."""
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A score to tell of, the model that makes it, and who (n,) may be counted; `key` is what its table is kept under."""

    score: ScoreName
    champion: Champion
    counted: Flags
    key: Hashable


class Aggregates:
    """Answers about groups in a workspace, and the tables that were worked out for them. One per process; it can be used by several threads."""

    def __init__(self, permission: Permission, settings: AggregateSettings) -> None:
        self._permission = permission
        self._settings = settings
        self._lock = threading.Lock()
        self._tables: OrderedDict[Hashable, ScoreTable] = OrderedDict()
        self._dimensions: dict[tuple[tuple[str, int], str], Dimension] = {}

    def answer(self, loaded: Loaded, asked: AggregateRequest, *, answer_id: str, at: datetime) -> tuple[AggregateAnswer, int]:
        """Return the answer, ready to be recorded, and how many people were counted.

        Raises Problem where the use is not about groups, where it is refused as a whole, where people cannot be grouped by what is asked, where fewer than k
        people may be counted, and where nothing is loaded; StoreError where the ledger cannot be read.
        """
        vectors, group = ready(loaded)
        _check(asked, loaded)
        check_channel(self._permission, asked.use, loaded.vocabulary, people=len(vectors), at=at)
        everybody = np.arange(len(vectors), dtype=np.int64)
        decisions = group.decide(everybody, asked.use, at, live=True)
        refuse_use(self._permission, decisions, people=len(vectors))
        people = int(decisions.allowed.sum())
        if people < self._settings.k:
            words = f"Fewer than {self._settings.k} people may be counted for this use: nothing is told of so small a group."
            raise Problem("audience_too_small", words, refused=Refused(basis(self._permission, decisions), decisions.activity, people))
        at = decisions.at
        tables = self._answered(loaded, asked, decisions)
        as_of = vectors.as_of.replace(tzinfo=UTC) if vectors.as_of.tzinfo is None else vectors.as_of.astimezone(UTC)
        until = as_of + timedelta(days=loaded.settings.scores_valid_days)
        told = (people + PEOPLE_STEP // 2) // PEOPLE_STEP * PEOPLE_STEP
        return AggregateAnswer(answer_id, as_of, at, until, basis(self._permission, decisions), self._settings.k, told, list(asked.by), tables), people

    def _answered(self, loaded: Loaded, asked: AggregateRequest, decisions: Decisions) -> list[ScoreTable]:
        names, every, language = asked_names(loaded, asked.scores), loaded.scores, asked.language or loaded.settings.language
        special = special_scores(loaded, names, asked.use)
        closer = decisions
        if special:
            _, group = ready(loaded)
            closer = group.decide(np.arange(len(decisions), dtype=np.int64), asked.use, decisions.at, special=True)
        tables: dict[str, ScoreTable] = {}
        wanted: list[_Wanted] = []
        for name in names:
            decided = closer if name in special else decisions
            absent = self._absent(loaded, name, decided, language)
            champion = loaded.champion(every[name]) if absent is None else None
            if absent is not None or champion is None:
                tables[name] = absent or ScoreTable(name)
                continue
            key = (loaded.vectors_stamp, decisions.versions["people"], champion.digest, name, tuple(asked.by), _digest(decided.allowed))
            wanted.append(_Wanted(every[name], champion, decided.allowed, key))
        with self._lock:  # one at a time: it takes all cores, and whoever waits may find it done
            found = self._found(loaded, wanted, asked.by, decisions.versions["people"])
        return [tables[name] if name in tables else found[name] for name in names]

    def _absent(self, loaded: Loaded, name: str, decided: Decisions, language: Language) -> ScoreTable | None:
        rule = decided.refused_use
        if rule is not None:
            return ScoreTable(name, rule.code, words_of(rule, language))
        found = unscored(loaded, name, language)
        if found is not None:
            return ScoreTable(name, found.code, found.words, found.average)
        if int(decided.allowed.sum()) < self._settings.k:
            return ScoreTable(name, "audience_too_small", refusal_words("audience_too_small", language))
        return None

    def _found(self, loaded: Loaded, wanted: Sequence[_Wanted], by: Sequence[str], version: int) -> dict[str, ScoreTable]:
        """Return the table of each score by its name, from those kept where the very same people are counted."""
        missing: OrderedDict[tuple[str, bytes], list[_Wanted]] = OrderedDict()
        for each in wanted:
            if each.key in self._tables:
                self._tables.move_to_end(each.key)
            else:
                missing.setdefault((each.champion.name, _digest(each.counted)), []).append(each)
        made = {each.key: table for alike in missing.values() for each, table in self._made(loaded, alike, by, version)}
        found = {each.score.name: made[each.key] if each.key in made else self._tables[each.key] for each in wanted}
        self._tables.update(made)
        while len(self._tables) > _KEPT:
            self._tables.popitem(last=False)
        return found

    def _made(self, loaded: Loaded, alike: Sequence[_Wanted], by: Sequence[str], version: int) -> list[tuple[_Wanted, ScoreTable]]:
        """Return the tables of scores that one model makes of the same people."""
        vectors, _ = ready(loaded)
        champion, rows = alike[0].champion, np.flatnonzero(alike[0].counted)
        groups = {name: self._dimension(loaded, name, version).of(rows) for name in by if name != BAND}
        made = []
        for each, served in zip(alike, _serve(loaded, vectors, champion, rows, [each.score for each in alike]), strict=True):
            dimensions = [groups[name] if name != BAND else _by_band(loaded, champion, each.score, served) for name in by]
            bands = loaded.bands[each.score.name]
            told = tabulate(served.values, champion.scale, dimensions, self._settings.k, typical=max(abs(bands.low_below), abs(bands.high_from)))
            model = ModelReference(champion.name, champion.version, champion.digest)
            head = (each.score.name, None, None, None, champion.scale, champion.turned, model)
            made.append((each, ScoreTable(*head, told.step, told.total, told.groups, told.cells)))
        return made

    def _dimension(self, loaded: Loaded, name: str, version: int) -> Dimension:
        """Return who is in which group, of everybody in the vectors; kept until vectors or people change."""
        vectors, _ = ready(loaded)
        key = (loaded.vectors_stamp, version)
        if (key, name) not in self._dimensions:
            self._dimensions = {kept: groups for kept, groups in self._dimensions.items() if kept[0] == key}
            try:
                found = read(self._permission.history, vectors.ordered[0], name, version=version, area_characters=self._settings.area_characters)
            except (HistoryError, OSError, pa.ArrowException) as error:
                raise Problem("not_ready", f"The tables to group people by cannot be read now ({type(error).__name__}).") from error
            self._dimensions[key, name] = found
        return self._dimensions[key, name]


def _check(asked: AggregateRequest, loaded: Loaded) -> None:
    """Raise Problem where the use is not about groups, or people cannot be grouped by what is asked."""
    if asked.use.channel_class != "aggregate":
        message = "groups are asked about with channel_class `aggregate`"
        raise Problem("request_invalid", "The fields in `errors` cannot be used.", errors=[{"field": "use.channel_class", "message": message}])
    faults = [(number, fault(name, loaded.vocabulary)) for number, name in enumerate(asked.by)]
    errors = [{"field": f"by.{number}", "message": message} for number, message in faults if message is not None]
    if errors:
        raise Problem("request_invalid", "The fields in `errors` cannot be used.", errors=errors)


def _digest(flags: Flags) -> bytes:
    return hashlib.sha256(np.packbits(flags).tobytes()).digest()


def _serve(loaded: Loaded, vectors: Vectors, champion: Champion, rows: NDArray[np.int64], scores: list[ScoreName]) -> list[Served]:
    """Return the values of each score of the people in those rows of the group, in blocks."""
    order = vectors.ordered[1]
    places = rows if order is None else order[rows]
    blocks = [champion.serve(loaded.rows(places[start : start + _BLOCK].tolist()), scores) for start in range(0, len(places), _BLOCK)]
    return [_joined([block[number] for block in blocks]) for number in range(len(scores))]


def _joined(parts: list[Served]) -> Served:
    values, low, high = (np.concatenate([getattr(part, name) for part in parts]) for name in ("values", "low", "high"))
    return Served(values, low, high)


def _by_band(loaded: Loaded, champion: Champion, score: ScoreName, served: Served) -> Dimension:
    signed = champion.scale != "probability"
    labels = BANDS if signed else tuple(band for band in BANDS if band != "negative")
    return Dimension(BAND, labels, band_places(served.values, served.low, loaded.bands[score.name], signed=signed).astype(np.int64))
