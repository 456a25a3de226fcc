"""Everybody who is allowed for a use, scored in chunks: each is decided on anew, and its decisions are in the audit log before it is handed on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from features.permission.decision import Decisions
from features.permission.disclosure import CODE, RULE, held_back
from features.permission.live import Group
from features.permission.use import Activity, Use
from features.vectors import Vectors
from serving.audit import ERASED_PERSON, Answer, Decision
from serving.champion import Champion, Served
from serving.loaded import Loaded
from serving.names import ScoreName
from serving.permitting import basis, check_channel, check_in_person, refuse_use, special_scores, stood_on
from serving.problems import Problem, Refused
from serving.scorer import asked_names, unscored
from serving.server import Server, new_answer_id, now

CHUNK = 5_000
"""People of one chunk: those who write to the store, such as somebody's withdrawal, wait while one is recorded, a fraction of a second."""
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Bulk:
    """What is asked for: scores of everybody for a use, and what is done with them.

    `outside`: they go to another controller (rule L11). `lowest_first`: those who take part least are wanted (rule L30, which refuses it).
    """

    use: Use
    scores: Sequence[str]
    activity: Activity = "audience"
    outside: bool = False
    lowest_first: bool = False
    door: str = "command"
    route: str = "score everybody"


@dataclass(frozen=True, eq=False, slots=True)
class Chunk:
    """People of the vectors from row `begin` to before row `end`. `rows` (k,) are those who are allowed, `scores` theirs by name, of k people each.

    `left_out` counts the others by the code that forbids. The next chunk begins at `end`: what was interrupted after this one goes on from there.
    """

    answer_id: str
    begin: int
    end: int
    rows: NDArray[np.int64]
    scores: Mapping[str, Served]
    left_out: Mapping[str, int]


@dataclass(frozen=True, eq=False, slots=True)
class Decided:
    """The decision on people in `rows` (k,) of the vectors, as of one moment, under the name of one answer: `kept` (k,) are those who may be in it."""

    answer_id: str
    rows: NDArray[np.int64]
    decisions: Decisions
    kept: NDArray[np.bool_]

    def code(self, place: int) -> str | None:
        """Return why the person in that place is left out, None where it is kept."""
        return None if self.kept[place] else self.decisions.code(place) or CODE

    def counts(self) -> dict[str, int]:
        """Return how many are left out, by code."""
        return dict(Counter(str(self.code(place)) for place in np.flatnonzero(~self.kept).tolist()))


@dataclass(frozen=True, eq=False, slots=True)
class Scoring:
    """What a bulk is worked out with: one state of the server, from the first chunk to the last."""

    server: Server
    loaded: Loaded
    vectors: Vectors
    group: Group
    asked: Bulk
    names: tuple[str, ...]
    special: bool

    @classmethod
    def of(cls, server: Server, loaded: Loaded, asked: Bulk) -> Scoring:
        """Return it. Raises Problem where a score is for nobody, where there is nothing to decide from, and where the use is refused as a whole."""
        loaded = loaded.for_use(asked.use)
        if loaded.vectors is None or loaded.group is None:
            raise Problem("not_ready", "No vectors, or no tables to decide permission from, are loaded.", reasons=list(loaded.faults))
        check_channel(server.permission, asked.use, loaded.vocabulary, activity=asked.activity, people=len(loaded.vectors), at=now())
        names = tuple(asked_names(loaded, asked.scores))
        special = bool(special_scores(loaded, names, asked.use))
        made = cls(server, loaded, loaded.vectors, loaded.group, asked, names, special)
        first = made.decide(np.zeros(0, dtype=np.int64)).decisions
        refuse_use(server.permission, first, people=len(loaded.vectors), also=made.also)
        check_in_person(Refused(basis(server.permission, first), asked.activity, len(loaded.vectors)), individual=True)
        for name in names:
            why = unscored(loaded, name, loaded.settings.language)
            if why is not None:
                raise Problem(why.code, f"{name}: {why.words}", status=409)
        return made

    @property
    def champions(self) -> list[tuple[Champion, list[ScoreName]]]:
        """The models with the scores that each makes."""
        every, wanted = self.loaded.scores, dict[str, list[ScoreName]]()
        for name in self.names:
            wanted.setdefault(every[name].model, []).append(every[name])
        return [(self.loaded.champions[model], scores) for model, scores in wanted.items()]

    @property
    def also(self) -> tuple[str, ...]:
        """What else the rules are asked about, by name: without it the log's decisions could not be made again."""
        said = {"special": self.special, "lowest_first": self.asked.lowest_first, "outside": self.asked.outside}
        return tuple(name for name, holds in said.items() if holds)

    @property
    def as_of(self) -> datetime:
        """The time of the vectors."""
        return self.vectors.as_of if self.vectors.as_of.tzinfo is not None else self.vectors.as_of.replace(tzinfo=UTC)

    def model_of(self, name: str) -> Champion:
        """Return the model that makes a score."""
        return self.loaded.champions[self.loaded.scores[name].model]

    def decide(self, rows: NDArray[np.int64]) -> Decided:
        """Return the decision as of now on people in those rows (k,)."""
        asked, members = self.asked, np.asarray(self.loaded.members(rows.tolist()), dtype=np.int64)
        question = {"activity": asked.activity, "special": self.special, "lowest_first": asked.lowest_first}
        decisions = self.group.decide(members, asked.use, now(), live=True, needs_third_party=self.loaded.third_party, **question)
        kept = decisions.allowed & ~held_back(decisions) if asked.outside else decisions.allowed
        return Decided(new_answer_id(), rows, decisions, kept)

    def people(self, rows: NDArray[np.int64]) -> list[str]:
        """Return the ids of people in those rows (k,)."""
        found: list[str] = self.vectors.person_ids.take(rows).to_pylist()
        return found

    def tokens(self, rows: NDArray[np.int64]) -> list[str]:
        """Return what people in those rows (k,) go by in the log. Raises StoreError."""
        people = self.people(rows)
        tokens = self.server.audit.pseudonyms(people)
        return [tokens[person] for person in people]

    def left_out(self, decided: Decided, tokens: Sequence[str]) -> list[Decision]:
        """Return the log's entries on those who are left out: for every score one, with the code and what it stands on; `tokens` are what all (k,) go by."""
        entries = []
        for place in np.flatnonzero(~decided.kept).tolist():
            token = ERASED_PERSON if decided.code(place) == "erased" else tokens[place]
            rule, event, source = stood_on(decided.decisions, self.group.sources, place)
            rule_id = RULE if rule is None else rule.id
            for position, name in enumerate(self.names):
                decision_id = f"{decided.answer_id}-{place}-{position}"
                entries.append(Decision(decision_id, token, name, decided.code(place), rule=rule_id, event=event, source=source))
        return entries

    def answer(self, decided: Decided, entries: Sequence[Decision], *, people: int) -> Answer:
        """Return the log's entry of what was decided and worked out for people."""
        at, asked = decided.decisions.at, self.asked
        head = Answer(decided.answer_id, at, asked.door, asked.route, 200, asked=self.names, as_of=self.as_of, people=people)
        targeting = self.server.registrar.targeting(self.loaded, asked.use, self.names, at=at, activity=asked.activity)
        stands_on = basis(self.server.permission, decided.decisions)
        return replace(head, decisions=entries, basis=stands_on, activity=asked.activity, targeting=targeting, also=self.also)


def score_all(scoring: Scoring, *, chunk: int = CHUNK, begin: int = 0, progress: Progress | None = None) -> Iterator[Chunk]:
    """Yield everybody of the vectors in chunks, from row `begin`: who withdraws, objects or is erased is in no chunk that is decided on afterwards.

    Where one of its people speaks between decision and record, a chunk is decided on once more while it is recorded and nobody else can speak, so that a run
    ends however much comes in. `progress` is told how many were scored. Raises Problem, also where an entry cannot be recorded: then its chunk is not
    handed on.
    """
    total = len(scoring.vectors)
    for first in range(begin, total, chunk):
        rows = np.arange(first, min(first + chunk, total))
        yield _Work(scoring, rows).recorded()
        if progress is not None:
            progress(f"scoring {int(rows[-1]) + 1:,} people", (int(rows[-1]) + 1) / total)


class _Work:
    """People in `rows` (n,) of the vectors: each is scored once, and not before being allowed, however often they are decided on."""

    def __init__(self, scoring: Scoring, rows: NDArray[np.int64]) -> None:
        self._scoring = scoring
        self._rows = rows
        self._tokens = scoring.tokens(rows)
        self._scored = np.zeros(len(rows), dtype=np.bool_)
        self._numbers = {name: np.full((3, len(rows)), np.nan) for name in scoring.names}

    def recorded(self) -> Chunk:
        """Return the chunk once its entry is in the log. Raises Problem."""
        made = [self._made()]

        def again() -> Answer:
            made.append(self._made())
            return made[-1][1]

        self._scoring.server.record(made[0][1], again=again)
        return made[-1][0]

    def _made(self) -> tuple[Chunk, Answer]:
        """Return the chunk and its entry, as of now; nothing is written."""
        scoring, decided = self._scoring, self._scoring.decide(self._rows)
        refuse_use(scoring.server.permission, decided.decisions, people=len(self._rows), also=scoring.also)
        self._score(np.flatnonzero(decided.kept & ~self._scored))
        scores = {name: Served(*numbers[:, decided.kept]) for name, numbers in self._numbers.items()}
        entries = [*scoring.left_out(decided, self._tokens), *self._entries(decided)]
        made = Chunk(decided.answer_id, int(self._rows[0]), int(self._rows[-1]) + 1, self._rows[decided.kept], scores, decided.counts())
        return made, scoring.answer(decided, entries, people=len(self._rows))

    def _score(self, places: NDArray[np.int64]) -> None:
        """Work out the scores of the people in those places (k,) of the rows."""
        if not len(places):
            return
        X = self._scoring.loaded.rows(self._rows[places].tolist())
        for champion, theirs in self._scoring.champions:
            for one, served in zip(theirs, champion.serve(X, theirs), strict=True):
                self._numbers[one.name][:, places] = served.values, served.low, served.high
        self._scored[places] = True

    def _entries(self, decided: Decided) -> list[Decision]:
        """Return the log's entries on those who were scored, one for each score."""
        places, sources = np.flatnonzero(decided.kept).tolist(), self._scoring.group.sources
        stood = [stood_on(decided.decisions, sources, place)[1:] for place in places]
        entries = []
        for position, name in enumerate(self._scoring.names):
            model, numbers = self._scoring.model_of(name), self._numbers[name][:, places].T.tolist()
            for place, (event, source), (value, *ends) in zip(places, stood, numbers, strict=True):
                said = (self._tokens[place], name, None, value, *low_and_high(*ends), model.name, model.version, model.digest, None, event, source)
                entries.append(Decision(f"{decided.answer_id}-{place}-{position}", *said))
        return entries


def low_and_high(low: float, high: float) -> tuple[float, float] | tuple[None, None]:
    """Return the ends of an interval, None and None where there is none."""
    return (low, high) if math.isfinite(low) and math.isfinite(high) else (None, None)
