"""What is held of a person, as a document in their language: headings, sentences, lists and tables, the same for a page and for paper (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from features.permission.use import ANY
from features.vocabulary import Language, Vocabulary
from serving.access_names import COLUMNS, column, name, value
from serving.access_names import place as place_words
from serving.access_schemas import HandedOut, HeldAnswer, HeldData, HeldEvent, HeldExport, HeldRow, HeldScore, HeldSource
from serving.access_words import day, moment, number, percent, say
from serving.console.views import score_labels
from serving.held_scores import in_words
from serving.names import workspace_scores


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a section: a heading of its own, sentences, items of a list, a table with the names of its columns, last sentences; each may be empty."""

    heading: str = ""
    sentences: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    closing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A whole answer: its title, sentences at the beginning, and sections."""

    title: str
    language: Language
    made_at: datetime
    sentences: tuple[str, ...]
    sections: tuple[Section, ...]


def document(data: HeldData, vocabulary: Vocabulary) -> Document:
    """Return what is held of a person as a document in the language of the data; words of the organisation come from its vocabulary."""
    writer = _Writer(data, vocabulary)
    language = data.language
    opening = [say("made", language, date=moment(data.made_at, language), person=data.person), data.words]
    if data.erased_at is not None:
        opening.append(say("erased_on", language, date=day(data.erased_at, language)))
    if data.answer_id is not None:
        opening.append(say("reference", language, reference=data.answer_id))
    parts = writer.sections() if data.state == "held" else [writer.checked()] if data.state == "nothing" else []
    return Document(f"{name('title', language)} \N{EM DASH} {data.controller}", language, data.made_at, tuple(opening), tuple(parts))


class _Writer:
    """Puts the parts of the data into sections."""

    def __init__(self, data: HeldData, vocabulary: Vocabulary) -> None:
        self.data, self.vocabulary, self.language = data, vocabulary, data.language
        self.sources = {source.source_id: source for source in data.sources}
        self.labels = score_labels(workspace_scores(vocabulary), vocabulary, data.language)

    def sections(self) -> list[Section]:
        data = self.data
        stored = [self._stored(table, [row for row in data.rows if row.table == table]) for table in ("people", "interactions", "assignments", "outcomes")]
        told = [section for section in stored if section.blocks[0].rows or section.blocks[0].items]
        return [
            *(section for section in told if section.heading == self.name("people")),
            Section(self.name("uses"), tuple(self._use(each.use, each.words) for each in data.uses) or (self._none(),)),
            self._table("events", ("when", "what", "for_what", "more"), map(self._event, data.events)),
            Section(self.name("scores"), self._scores()),
            self._exports(),
            self._table("answers", ("when", "who", "for_what", "what", "answer"), map(self._answer, data.answers)),
            self._section("sources", items=map(self._source, data.sources)),
            self._section("retention", items=data.retention.words if data.retention is not None else ()),
            *(section for section in told if section.heading != self.name("people")),
            self._section("files", items=[item for file in data.files for item in self._file(file.place, file.path, file.lines)]),
            self._vector(),
            self.checked(),
            Section(self.name("rights"), (Block(sentences=(say("rights", self.language),)),)),
        ]

    def checked(self) -> Section:
        told = tuple((each.holds[:1].upper() + each.holds[1:], each.words) for each in self.data.checked)
        known = [] if self.data.known_since is None else [say("known_since", self.language, date=day(self.data.known_since, self.language))]
        named = [] if self.data.token is None else [say("log_name", self.language, token=self.data.token)]
        columns = (self.name("place"), self.name("what"))
        return Section(self.name("checked"), (Block(sentences=(*known, *named)), Block(columns=columns, rows=told), Block(sentences=self.data.notes)))

    def name(self, key: str) -> str:
        return name(key, self.language)

    def _none(self) -> Block:
        return Block(sentences=(say("none", self.language),))

    def _section(self, key: str, *, items: Iterable[str]) -> Section:
        listed = tuple(items)
        return Section(self.name(key), (Block(items=listed) if listed else self._none(),))

    def _table(self, key: str, columns: Sequence[str], rows: Iterable[tuple[str, ...]]) -> Section:
        listed = tuple(rows)
        return Section(self.name(key), (Block(columns=tuple(map(self.name, columns)), rows=listed) if listed else self._none(),))

    def _stored(self, table: str, rows: Sequence[HeldRow]) -> Section:
        """Return a table's rows: each one's date, what it was, everything else that it says, and until when it is kept, where it has an end."""
        if table == "people":
            return Section(self.name(table), tuple(Block(items=tuple(self._cells(row, ()))) for row in rows) or (self._none(),))
        heads = _HEADS[table]
        told = sorted(rows, key=lambda row: str(row.values.get(heads[0])), reverse=True)
        listed = tuple((*(self._cell(row, key) for key in heads), "; ".join(self._cells(row, (*heads, "person_id")))) for row in told)
        columns = (self.name("when"), *(self._column(key) for key in heads[1:]), self.name("more"))
        return Section(self.name(table), (Block(columns=columns, rows=listed),))

    def _cells(self, row: HeldRow, without: Sequence[str]) -> list[str]:
        """Return each column that says something, with its value in words; what is nobody's own doing or the same as another is not said again."""
        declared = {*COLUMNS, *(attribute.id for attribute in self.vocabulary.attributes)}
        found = {key: said for key, said in row.values.items() if key in declared and key not in without and said is not None and said is not False}
        same = {"received_at": "occurred_at", "unit_id": "person_id"}
        cells = {key: self._cell(row, key) for key in found}
        pairs = [self._pair(self._column(key), said) for key, said in cells.items() if not self._starts(row, same.get(key), said)]
        end = [self._kept(row.kept_until, row.kept_by)] if row.kept_until is not None else []
        return [*pairs, *end, *([say("earlier", self.language)] if row.earlier else [])]

    def _starts(self, row: HeldRow, key: str | None, said: str) -> bool:
        """Return whether a cell says no more than another column of the row: the same, or its day."""
        return key is not None and row.values.get(key) is not None and self._cell(row, key).startswith(said)

    def _pair(self, label: str, said: str) -> str:
        return say("pair", self.language, label=label, said=said)

    def _column(self, key: str) -> str:
        own = {attribute.id: attribute.label(self.language) for attribute in self.vocabulary.attributes}
        return own.get(key) or column(key, self.language)

    def _cell(self, row: HeldRow, key: str) -> str:
        said = row.values.get(key)
        if isinstance(said, datetime):
            return moment(said, self.language) if key == "occurred_at" else day(said, self.language)
        if isinstance(said, bool):
            return self.name("yes" if said else "no")
        if isinstance(said, int):
            return str(said)
        if isinstance(said, float):
            return percent(said, self.language) if key == "probability" else number(said, 4, self.language)
        if key == "arm":
            return self._arm(row, str(said))
        return "" if said is None else self._words(key, str(said))

    def _arm(self, row: HeldRow, said: str) -> str:
        """Return what an arm of an experiment says; the control is the one that is compared with."""
        known = next((each for each in self.vocabulary.experiments if each.id == row.values.get("experiment_id")), None)
        if known is None:
            return said
        return self.name("control") if said == known.control else known.arms.get(said) or said

    def _words(self, key: str, said: str) -> str:
        """Return a text of a row: an id of the organisation's words as those words, a word of this system in the language, anything else as it stands."""
        own: Mapping[str, Callable[[str], str]] = {
            "kind": lambda each: self.vocabulary.kind(each).noun(1, self.language),
            "channel": lambda each: self.vocabulary.channel(each).label(self.language),
            "topic": lambda each: ", ".join(self.vocabulary.topic(part).label(self.language) for part in each.split(";")),
            "experiment_id": lambda each: self.vocabulary.experiment(each).label(self.language),
        }
        try:
            if key in own:
                return own[key](said)
        except (KeyError, ValueError):
            return said
        return value(said, self.language) if key in _SYSTEM_WORDS else said

    def _kept(self, until: datetime | None, by: str | None) -> str:
        if until is None:
            return say("kept", self.language)
        return say("kept_until", self.language, date=day(until, self.language), reason=self.name(f"until_{by}"))

    def _source(self, source: HeldSource) -> str:
        language = self.language
        if source.type is None:
            return self._pair(source.source_id, say("source_unknown", language))
        labels = {each.id: each.label(language) for each in self.vocabulary.source_types}
        said = [labels.get(source.type, source.type.replace("_", " "))]
        said += [value(source.collected_how, language)] if source.collected_how else []
        said += [say("collected_on", language, date=day(source.collected_at, language))] if source.collected_at else []
        said += [say("notice", language, hash=source.notice_hash) if source.notice_hash else say("no_notice", language)]
        said += [say("political_stated", language)] if source.political_purpose_stated else []
        said += [source.election_id] if source.election_id else []
        return self._pair(source.source_id, "; ".join([*said, self._kept(source.kept_until, "source_expired")]))

    def _use_words(self, use: Mapping[str, Any] | None) -> str:
        if not use:
            return say("use_unstated", self.language)
        words = {"purpose": "purpose", "channel": "channel_class", "sponsor": "sponsor_type"}
        said = say("for_use", self.language, **{word: value(str(use.get(key, "")), self.language) for word, key in words.items()})
        more = [f"{column('campaign_id', self.language)} {use['campaign_id']}"] if use.get("campaign_id") else []
        more += [f"{self.name('election')} {use['election']}"] if use.get("election") else []
        more += [self._words("channel", str(use["channel"]))] if use.get("channel") else []
        return ", ".join([said, *more])

    def _use(self, use: Mapping[str, Any], words: str | None) -> Block:
        told = say("use_allowed", self.language) if words is None else say("use_forbidden", self.language, words=words)
        shown = self._use_words(use)
        return Block(items=(f"{shown[:1].upper()}{shown[1:]}. {told}",))

    def _event(self, event: HeldEvent) -> tuple[str, ...]:
        shown = value(event.purpose, self.language)
        by_way = "" if event.channel == ANY else f", {self._words('channel', event.channel)}"
        more = [say("valid_until", self.language, date=day(event.valid_until, self.language))] if event.valid_until else []
        more += [say("notice", self.language, hash=event.wording_hash)] if event.wording_hash else []
        more += [value(event.legal_basis, self.language)] if event.legal_basis else []
        more += [event.evidence] if event.evidence else []
        return moment(event.at, self.language), value(event.event, self.language), f"{shown}{by_way}", "; ".join([*more, self.name(event.door)])

    def _scores(self) -> tuple[Block, ...]:
        return (Block(sentences=(say("scores_about", self.language),)), *(map(self._score, self.data.scores) if self.data.scores else (self._none(),)))

    def _score(self, score: HeldScore) -> Block:
        language = self.language
        shown = in_words(score.value, score.scale, language)
        said = say(f"score_{score.scale}", language, value=shown)
        if score.low is not None and score.high is not None:
            ends = (in_words(end, score.scale, language) for end in (score.low, score.high))
            said += f" ({say('score_interval', language, **dict(zip(('low', 'high'), ends, strict=True)))})"
        times = len(score.answered_at)
        count = say("once", language) if times == 1 else say("times", language, count=number(times, 0, language))
        as_of = day(score.as_of, language) if score.as_of else "?"
        last, model = day(max(score.answered_at), language), score.model or "?"
        dates = say("score_dates", language, as_of=as_of, count=count, last=last, model=model, version=score.version or "?")
        told = [f"{said[:1].upper()}{said[1:]}.", dates]
        told += [say("score_band", language, band=name(score.band, language))] if score.band and score.explained == "again" else []
        told += [score.why] if score.why else [say("again", language)]
        reasons = tuple(say("reason", language, text=each.text, effect=each.effect) for each in score.reasons)
        after = [words for words in (score.about, score.other_band_words) if words]
        return Block(score.label, tuple(told), reasons, closing=tuple(after))

    def _vector(self) -> Section:
        said = [each for each in self.data.vector if each.value]
        if not self.data.vector or self.data.vector_as_of is None:
            return Section(self.name("vector"), (self._none(),))
        left = number(len(self.data.vector) - len(said), 0, self.language)
        opening = say("vector_of", self.language, date=day(self.data.vector_as_of, self.language), left=left)
        return Section(self.name("vector"), (Block(sentences=(opening,), items=tuple(each.text for each in said)), *self._own_vector()))

    def _own_vector(self) -> tuple[Block, ...]:
        if self.data.own_vector_as_of is None:
            return ()
        key = "own_differs" if self.data.own_vector else "own_same"
        about = say(key, self.language, date=day(self.data.own_vector_as_of, self.language))
        return (Block(sentences=(about,), items=tuple(each.text for each in self.data.own_vector)),)

    def _answer(self, answer: HeldAnswer) -> tuple[str, ...]:
        who = answer.asked_by or self.name(answer.door)
        about = self.labels.get(answer.score) or self.name(answer.score)
        words = answer.words or self.name(answer.code or "none")
        said = words if answer.value is None else in_words(answer.value, scale_of(answer.score), self.language)
        use = self._use_words(answer.use) if answer.use or answer.score != "(access)" else ""
        return moment(answer.at, self.language), who, use, about, said

    def _exports(self) -> Section:
        if not self.data.exports:
            return Section(self.name("exports"), (Block(sentences=(say("no_exports", self.language),)),))
        return self._section("exports", items=map(self._export, self.data.exports))

    def _export(self, export: HeldExport) -> str:
        language = self.language
        where = say("outside" if export.outside else "inside", language)
        line = say("export_line", language, date=day(export.at, language), recipient=export.recipient, where=where, use=self._use_words(export.use))
        scores = "; ".join(map(self._handed_out, export.values))
        about = say("in_the_row", language, reference=export.reference, as_of=day(export.as_of, language), scores=scores)
        approved = say("approved_by", language, approver=export.approver)
        told = [
            say("notice_waiting", language, reason=value(each.reason, language))
            if each.told_at is None
            else say("notice_told", language, date=day(each.told_at, language), reason=value(each.reason, language))
            for each in export.notices
        ]
        return "; ".join([line, approved, about, *told])

    def _handed_out(self, handed: HandedOut) -> str:
        label, scale = self.labels.get(handed.score, handed.score), scale_of(handed.score)
        if handed.value is None:
            return label
        said = in_words(handed.value, scale, self.language)
        if handed.low is not None and handed.high is not None:
            ends = {name: in_words(end, scale, self.language) for name, end in (("low", handed.low), ("high", handed.high))}
            said += f" ({say('score_interval', self.language, **ends)})"
        return self._pair(label, said)

    def _file(self, place: str, path: str, lines: Sequence[str]) -> list[str]:
        holds = place_words(place, self.language)
        return [say("file_line", self.language, holds=holds[:1].upper() + holds[1:], path=path), *lines]


def scale_of(score: str) -> str:
    """Return on which scale a score is told, by its name: that of a topic is a probability."""
    return "probability" if score.startswith("affinity:") else "uplift"


_HEADS = {
    "interactions": ("occurred_at", "kind", "topic", "channel"),
    "assignments": ("assigned_at", "experiment_id", "arm"),
    "outcomes": ("measured_at", "experiment_id", "outcome", "value"),
}
"""Of each table, what has a column of its own: when it was, and what."""
_SYSTEM_WORDS = frozenset({"status", "direction", "collected_how"})
"""Columns whose values are words of this system."""
