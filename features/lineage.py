"""From a value back to the very interactions, and the entry in `people`, that it is made of.

Nothing is defined again here: the interactions come from `features.query.projection`, which of them count from the layout of the vectors
(`features.evidence`), the value from the reduction that makes the vectors. Law: a history of these interactions and this entry alone, with
the same context, gives the value back to the bit.
"""

from __future__ import annotations

import difflib
import html
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from features import builder, query
from features.calendar import offsets
from features.catalogue import CONTEXTUAL, catalogue
from features.context import Context, Formula, formulas
from features.definition import Feature, FeatureError
from features.engine import Engine
from features.evidence import Mask, Records, inputs, made_of
from features.layout import Layout, layout
from features.query import Dialect
from features.relations import Relations, Runner, Standing, StoredTables
from features.vectors import VectorsError
from features.vocabulary import Language, Vocabulary

SHOWN = 20
"""Interactions that a notebook shows."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EVER = 2**62
"""Microseconds since 1970 that no time reaches: the rows of a lineage say what is visible."""
_TIME = pa.timestamp("us", tz="UTC")
_COLUMNS = {
    "interaction_id": ("interaction_id", pa.string()),
    "occurred_at": ("occurred_us", _TIME),
    "received_at": ("received_us", _TIME),
    "kind": ("kind", pa.string()),
    "channel": ("channel", pa.string()),
    "topic": ("topic", pa.string()),
    "direction": ("direction", pa.string()),
    "value": ("value", pa.float64()),
    "source_id": ("source_id", pa.string()),
    "batch_id": ("batch_id", pa.string()),
    "is_machine": ("is_machine", pa.bool_()),
}
"""Of `Lineage.interactions`: each column's name in the projection, and its type."""

_OF_PEOPLE = frozenset({"attribute", "age", "tenure", "area"})
"""Statistics whose value comes from `people`, or needs it."""


class LineageEngine(Runner, Protocol):
    """What `features.engine.Engine` and `features.spark.Spark` do, and any other engine has to do, for a lineage."""

    @property
    def dialect(self) -> Dialect:
        """The dialect of SQL that Ibis compiles to for it."""
        ...

    def table(self, sql: str) -> pa.Table:
        """Return the whole result of `sql`."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class Lineage:
    """A value of one person, as of a time, and what it is made of.

    Attributes
    ----------
    value
        The value in the vectors (float32); NaN where it is missing.
    interactions
        The person's interactions that it is made of, by time: interaction_id, occurred_at and received_at (UTC), kind, channel, topic,
        direction, value, source_id, batch_id, is_machine. Empty where it is made of none.
    parts
        Values of the features that a formula takes, by name.
    person
        What `people` says, where the value comes from there; None where it says nothing.
    figures
        The numbers of the base that were used. Those of others' interactions are shown as counts and never as rows: whoever may look into one
        person's value (that person too) has not been given leave to look into the others'.
    versions
        Versions of the tables that were read.
    """

    feature: Feature
    value: float
    as_of: datetime
    interactions: pa.Table
    parts: Mapping[str, float]
    person: Mapping[str, Any]
    figures: Mapping[str, float]
    versions: Mapping[str, int]

    def sentence(self, vocabulary: Vocabulary, language: Language = "en") -> str:
        """Return what the value says, in plain words; raises FeatureError for an id that is gone."""
        return self.feature.sentence(self.value, vocabulary, language)

    def to_json(self, vocabulary: Vocabulary, language: Language = "en") -> str:
        """Return all of it and the sentence as one line of JSON: times in ISO 8601, what is missing null; no person id."""
        said = {
            "feature": self.feature.name,
            "value": self.value,
            "sentence": self.sentence(vocabulary, language),
            "as_of": self.as_of,
            "parts": self.parts,
            "person": self.person,
            "figures": self.figures,
            "versions": self.versions,
            "interactions": self.interactions.to_pylist(),
        }
        return json.dumps(_plain(said), ensure_ascii=False, allow_nan=False)

    def __repr__(self) -> str:
        """Say the feature, its value and how many interactions make it; never whose."""
        return f"Lineage({self.feature.name} = {self.value:g}, {len(self.interactions):,} interactions, as of {self.as_of:%Y-%m-%d %H:%M} UTC)"

    def _repr_html_(self) -> str:
        """Return the value, its parts and the first of its interactions as small tables for notebooks."""
        facts = {**self.parts, **self.person, **self.figures}
        said = "".join(f"<tr><td>{_cell(name)}</td><td>{_cell(value)}</td></tr>" for name, value in facts.items())
        head = "".join(f"<th>{name}</th>" for name in self.interactions.schema.names)
        lines = "".join(
            f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in record.values())}</tr>" for record in self.interactions.slice(0, SHOWN).to_pylist()
        )
        more = len(self.interactions) - SHOWN
        return (
            f"<div><b>{_cell(self.feature.name)}</b> = {_cell(self.value)}, as of {self.as_of:%Y-%m-%d %H:%M} UTC, {len(self.interactions):,} interactions"
            + (f"<table><tbody>{said}</tbody></table>" if said else "")
            + (f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>" if lines else "")
            + (f"and {more:,} more" if more > 0 else "")
            + "</div>"
        )


def lineage(
    history: StoredTables,
    vocabulary: Vocabulary,
    person_id: str,
    feature: Feature | str,
    as_of: datetime,
    *,
    versions: Mapping[str, int] | None = None,
    context: Context | None = None,
    own: bool = False,
    engine: LineageEngine | None = None,
) -> Lineage:
    """Return the value of a feature (or of the feature of that name) for one person as of a time, and what it is made of.

    Where few interactions decide, these few are returned, ties included: the latest or earliest (recency, first, source), the latest
    statement (declared, declared_age), those of the largest value (largest), the messages counted and the last answer before them (unanswered),
    those with an amount (sum) and those that still weigh something (decayed). Otherwise all that count, or would, had the value not been
    missing: those of both parts of a quotient, and of each of the sums that a formula takes. Supply is a figure of the base alone.

    `versions` names the tables' versions to read; without it, the present ones. `context` is what is known of the base as a whole, such
    as `Vectors.context`; without it a rate, an area's rate or a supply reads the whole base, which takes as long as counting its interactions.
    `own` as in `features.vectors.build`. `engine` runs the queries; by default an `Engine` of its own. A person whom the tables do not know
    has no interactions.
    Raises FeatureError for a feature that is not made for the vocabulary, and VectorsError for an `as_of` without a time zone.
    """
    return lineages(history, vocabulary, person_id, [feature], as_of, versions=versions, context=context, own=own, engine=engine)[0]


def lineages(
    history: StoredTables,
    vocabulary: Vocabulary,
    person_id: str,
    features: Sequence[Feature | str],
    as_of: datetime,
    *,
    versions: Mapping[str, int] | None = None,
    context: Context | None = None,
    own: bool = False,
    engine: LineageEngine | None = None,
) -> tuple[Lineage, ...]:
    """Return the lineage of several features of one person, the history being read once; see `lineage`."""
    as_of_us = builder.microseconds(as_of)
    history = Standing(history)  # the base and the person are read of the same versions, whatever is imported in between
    words = _Words(vocabulary.fingerprint, vocabulary)
    plan = _plan(words)
    wanted = [plan.feature(feature) for feature in features]
    needed = [formula for formula in plan.formulas if formula.feature in wanted]
    if needed and context is None:
        if engine is not None:
            raise VectorsError("rates and supplies need the base as a whole: give `context`, such as that of the vectors which the engine made")
        context = builder.base_context(history, vocabulary, as_of, versions=versions, own=own, progress=lambda _stage, _share: None)
    _check_context(needed, context)
    with nullcontext(engine) if engine is not None else Engine() as used:
        relations = Relations(used, history, vocabulary, versions, low=_checked(person_id), high=person_id, own=own)
        found = _read(relations, used, words, person_id, as_of_us, stated=any(feature.statistic in _OF_PEOPLE for feature in wanted))
    row = builder.build_one(found.projected, found.known, plan.layout, vocabulary, formulas=needed, given=context)
    records = Records.of(found.projected, plan.layout)
    return tuple(
        Lineage(
            feature=feature,
            value=float(row[plan.place[feature]]),
            as_of=as_of.astimezone(UTC),
            interactions=_interactions(found.projected, made_of(feature, _inputs(words, feature), records, plan.layout)),
            parts={part.name: float(row[plan.place[part]]) for part in _inputs(words, feature) if part in plan.place and part != feature},
            person=_person(feature, found.stated),
            figures=_figures(feature, found.stated, context),
            versions=relations.versions,
        )
        for feature in wanted
    )


# --- what a vocabulary makes ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Words:
    """A vocabulary that stands for its fingerprint: vocabularies themselves cannot always be hashed."""

    fingerprint: str
    vocabulary: Vocabulary = field(compare=False)


class _Plan(NamedTuple):
    layout: Layout
    formulas: tuple[Formula, ...]
    place: dict[Feature, int]
    named: dict[str, Feature]

    def feature(self, given: Feature | str) -> Feature:
        """Return the feature of the vectors that is given or named."""
        name = given if isinstance(given, str) else given.name
        if name in self.named:
            return self.named[name]
        close = difflib.get_close_matches(name, list(self.named), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise FeatureError(f"{name!r} is none of the {len(self.place)} features of this audience.toml{hint}; `audience features` lists them")


@lru_cache(maxsize=4)
def _plan(words: _Words) -> _Plan:
    features = catalogue(words.vocabulary)
    place = {feature: column for column, feature in enumerate(features)}
    return _Plan(layout(features, words.vocabulary), formulas(features, words.vocabulary), place, {feature.name: feature for feature in features})


@lru_cache(maxsize=4096)
def _inputs(words: _Words, feature: Feature) -> tuple[Feature, ...]:
    return inputs(feature, words.vocabulary)


def _check_context(needed: Sequence[Formula], given: Context | None) -> None:
    for formula in needed:
        name = formula.feature.name
        known = {} if given is None else given.supply if formula.feature.statistic == "supply" else given.priors
        if name not in known:
            raise VectorsError(f"the context says nothing of {name}: it belongs to vectors of another audience.toml; build them again")


def _checked(person_id: str) -> str:
    """Return the id; a message about a bad one never repeats it."""
    if not isinstance(person_id, str) or not person_id:
        raise VectorsError("person_id is text such as 'system:id'; the one given is not text or is empty")
    try:
        person_id.encode()
    except UnicodeEncodeError:
        raise VectorsError("person_id is text of whole characters; the one given holds half of a pair of code units") from None
    return person_id


# --- what is stored about the person -------------------------------------------------------------------------------------------------


class _Found(NamedTuple):
    projected: pa.Table
    known: pa.Table
    stated: dict[str, Any]


def _read(relations: Relations, engine: LineageEngine, words: _Words, person_id: str, as_of_us: int, *, stated: bool) -> _Found:
    """Read the one person's part of the tables, which is all that the engine's relations hold; `stated`: what `people` says, word for word."""
    rows = {"row": pa.array([0], pa.int32()), "person_id": pa.array([person_id]), "as_of_us": pa.array([as_of_us], pa.int64())}
    engine.register("rows", pa.table(rows))
    known_sql, stated_sql, span_sql = _queries(words, engine.dialect)
    first_us = None if words.vocabulary.timezone == "UTC" else engine.table(span_sql).column("first_us")[0].as_py()
    years = None if first_us is None else (_year(min(first_us, as_of_us)), _year(as_of_us) + 1)
    projected = engine.table(_projection(words, years, engine.dialect, limited=relations.limited))
    known = engine.table(known_sql)
    return _Found(projected, known, engine.table(stated_sql).to_pylist()[0] if stated and len(known) else {})


@lru_cache(maxsize=8)
def _queries(words: _Words, dialect: Dialect) -> tuple[str, str, str]:
    """Return the SQL of what is known of the person as codes, of what is stated word for word, and of the span of the interactions."""
    expressions = (query.attributes(words.vocabulary), query.people(words.vocabulary), query.span())
    return tuple(query.to_sql(expression, dialect) for expression in expressions)  # type: ignore[return-value]


@lru_cache(maxsize=64)
def _projection(words: _Words, years: tuple[int, int] | None, dialect: Dialect, *, limited: bool) -> str:
    """Return the SQL of the projection, on the clock of interactions from the one year's begin to the other's; compiling it takes longer than running it."""
    changes = () if years is None else offsets(words.vocabulary.timezone, *(_year_us(year) for year in years))
    return query.to_sql(query.projection(_plan(words).layout, words.vocabulary, _EVER, changes, identified=True, limited=limited), dialect)


def _year(time_us: int) -> int:
    return int(np.datetime64(time_us, "us").astype("datetime64[Y]").astype(int)) + 1970


def _year_us(year: int) -> int:
    return int(np.datetime64(min(max(year, 1), 9999) - 1970, "Y").astype("datetime64[us]").astype(int))


def _interactions(projected: pa.Table, chosen: Mask) -> pa.Table:
    """Return the chosen records' interactions, each once though it has several topics."""
    records = projected.filter(pa.array(chosen))
    columns = {name: records.column(source).cast(kind) for name, (source, kind) in _COLUMNS.items()}
    _, first = np.unique(columns["interaction_id"].to_numpy(), return_index=True)
    table = pa.table(columns).take(pa.array(first))
    return table.sort_by([("occurred_at", "ascending"), ("interaction_id", "ascending")])


def _person(feature: Feature, stated: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `people` says that the value comes from."""
    if feature.statistic == "attribute":
        return {str(feature.id): stated.get(f"attribute_{feature.id}")}
    if feature.statistic == "age":
        return {"birth_year": stated.get("birth_year")}
    if feature.statistic == "tenure":
        joined = stated.get("joined_us")
        return {"joined_at": None if joined is None else _EPOCH + timedelta(microseconds=joined)}
    return {"area": stated.get("area")} if feature.statistic == "area" else {}


def _figures(feature: Feature, stated: Mapping[str, Any], known: Context | None) -> dict[str, float]:
    """Return the numbers of the base that the value comes from."""
    if known is None or feature.statistic not in CONTEXTUAL:
        return {}
    if feature.statistic == "supply":
        return {"messages": float(round(known.supply[feature.name] * known.people)), "people": known.people, "messages per person": known.supply[feature.name]}
    prior = known.priors[feature.name]
    figures = {"people": known.people, "usual answers per message": prior.mean, "weighs as messages": prior.strength}
    if feature.statistic == "area" and stated.get("area") is not None:
        answers, messages = known.areas[feature.name].get(stated["area"], (0.0, 0.0))
        figures |= {"answers in the area": answers, "messages in the area": messages}
    return figures


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: object) -> str:
    """Return a value as text for HTML."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return "missing" if math.isnan(value) else f"{value:g}"
    return html.escape("" if value is None else str(value))


__all__ = ["Lineage", "inputs", "lineage", "lineages"]
