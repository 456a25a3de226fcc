"""From people and score names to an answer: pure, the same for the endpoint and the console."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.permission.packs import Rule
from features.vocabulary import Language
from models import explanation as explaining
from serving.bands import band
from serving.champion import Champion, Served
from serving.loaded import Loaded
from serving.names import ScoreName, closest, expand
from serving.permitting import Permitted, words_of
from serving.refusal import refusal_code, refused_words
from serving.schemas import AverageEffect, Basis, Explanation, ModelReference, NoScore, PersonScores, Reason, Score, ScoreAnswer, ScoreRequest
from serving.words import did_you_mean, effect_words, explained_words, no_interval_words, refusal_words

Entry = Score | NoScore


@dataclass(frozen=True)
class _Asking:
    """What all parts of one answer share; `decisions` are the decision ids of the known people, `X` their vectors."""

    loaded: Loaded
    explain: int
    language: Language
    as_of: datetime
    now: datetime
    X: pd.DataFrame
    decisions: list[str]
    forbidden: Mapping[str, Rule]


@dataclass(frozen=True, slots=True)
class Unscored:
    """Why there is a score for nobody: its code, in words, and the average effect of a model that was refused."""

    code: str
    words: str
    average: AverageEffect | None = None


def asked_names(loaded: Loaded, asked: Sequence[str]) -> list[str]:
    """Return the score names asked for, `*` filled in, each once; unknown ones stay."""
    return expand(asked, loaded.scores)


def score(loaded: Loaded, request: ScoreRequest, permitted: Permitted, *, answer_id: str, now: datetime) -> ScoreAnswer:
    """Return the answer to a request, people in the order asked; `loaded.vectors` must be there. `permitted` is the decision on them, and comes first.

    What may not or cannot be scored is a code in its place: it costs the others nothing, and nothing is worked out about it.
    """
    loaded = loaded.for_use(request.use)
    assert loaded.vectors is not None
    places = np.asarray(loaded.vectors.rows(request.people)).tolist()
    decisions = [f"{answer_id}-{index}" for index in range(len(places))]
    there = {index: row for row, index in enumerate(index for index, place in enumerate(places) if place >= 0)}
    known = [index for index, row in there.items() if permitted.decisions.allowed[row]]
    as_of = _utc(loaded.vectors.as_of)
    language = request.language or loaded.settings.language
    X = loaded.rows([places[index] for index in known])
    asking = _Asking(loaded, request.explain, language, as_of, now, X, [decisions[index] for index in known], permitted.forbidden)
    columns = _columns(asking, asked_names(loaded, request.scores)) if known else []
    scores = {index: [column[row] for column in columns] for row, index in enumerate(known)}
    for index, entries in scores.items():
        if there[index] in permitted.barred:
            scores[index] = [_without(entry, permitted, permitted.barred[there[index]], language) for entry in entries]
    results = []
    for index, (person, decision) in enumerate(zip(request.people, decisions, strict=True)):
        if index in scores:
            results.append(PersonScores(person, decision, scores[index], permission=permitted.person(there[index])))
        elif index in there:
            code, words = permitted.decisions.code(there[index]), permitted.decisions.reason(there[index], language)
            results.append(PersonScores(person, decision, [], code, words, permitted.person(there[index])))
        else:
            code = "erased" if person in permitted.erased else "unknown_person"
            results.append(PersonScores(person, decision, [], code, refusal_words(code, language)))
    return ScoreAnswer(answer_id, as_of, now, permitted.basis, results)


def _without(entry: Entry, permitted: Permitted, rule: Rule, language: Language) -> Entry:
    """Return the entry, or the rule in its place where it is a special one that the rule keeps the person from."""
    return NoScore(entry.name, rule.code, words_of(rule, language), entry.decision_id) if entry.name in permitted.special else entry


def _columns(asking: _Asking, names: list[str]) -> list[list[Entry]]:
    """Return one list of entries per score, each with one entry per known person; each model predicts once for all its scores."""
    every = asking.loaded.scores
    columns: dict[str, list[Entry]] = {}
    wanted: dict[str, list[ScoreName]] = {}
    for position, name in enumerate(names):
        refused = _refused(asking, name, position)
        if refused is None:
            wanted.setdefault(every[name].model, []).append(every[name])
        else:
            columns[name] = refused
    for model, scores in wanted.items():
        champion = asking.loaded.champions[model]
        for one, served in zip(scores, champion.serve(asking.X, scores), strict=True):
            columns[one.name] = _scored(asking, champion, one, served, names.index(one.name))
    return [columns[name] for name in names]


def unscored(loaded: Loaded, name: str, language: Language) -> Unscored | None:
    """Return why nobody gets a score of that name, or None where a model makes it."""
    one = loaded.scores.get(name)
    if one is None:
        words, hint = refusal_words("unknown_score", language), closest(name, loaded.scores)
        return Unscored("unknown_score", words if hint is None else f"{words} {did_you_mean(hint, language)}")
    if loaded.champion(one) is not None:
        why = "vectors_mismatch" if one.model in loaded.mismatched else "no_base" if name not in loaded.bands else None
        return None if why is None else Unscored(why, refusal_words(why, language))
    refusal = loaded.refusals.get(one.model)
    if refusal is None:
        return Unscored("no_model", refusal_words("no_model", language))
    return Unscored(refusal_code(refusal.average), refused_words(refusal.average, language), refusal.average)


def _refused(asking: _Asking, name: str, position: int) -> list[Entry] | None:
    """Return the entries of a score that nobody gets, or None where a model makes it."""
    if name in asking.forbidden:
        rule = asking.forbidden[name]
        why: Unscored | None = Unscored(rule.code, words_of(rule, asking.language))
    else:
        why = unscored(asking.loaded, name, asking.language)
    return None if why is None else [NoScore(name, why.code, why.words, f"{decision}-{position}", why.average) for decision in asking.decisions]


def _scored(asking: _Asking, champion: Champion, one: ScoreName, served: Served, position: int) -> list[Entry]:
    explanations = _explanations(asking, champion, one) if asking.explain else [None] * len(asking.decisions)
    model = ModelReference(champion.name, champion.version, champion.digest)
    valid_until = asking.as_of + timedelta(days=asking.loaded.settings.scores_valid_days)
    entries: list[Entry] = []
    bases: Sequence[Basis | None] = [None] * len(asking.decisions) if served.basis is None else served.basis
    rows = zip(served.values.tolist(), served.low.tolist(), served.high.tolist(), asking.decisions, explanations, bases, strict=True)
    for value, low, high, decision, explanation, basis in rows:
        has_interval = math.isfinite(low) and math.isfinite(high)
        entries.append(
            Score(
                one.name,
                value,
                champion.scale,
                low if has_interval else None,
                high if has_interval else None,
                champion.coverage,
                None if has_interval else no_interval_words(asking.language),
                band(value, asking.loaded.bands[one.name], low=low if has_interval else None, signed=champion.scale != "probability"),
                model,
                asking.as_of,
                asking.now,
                valid_until,
                f"{decision}-{position}",
                explanation,
                basis,
                champion.turned,
            )
        )
    return entries


def _explanations(asking: _Asking, champion: Champion, one: ScoreName) -> list[Explanation | None]:
    parts = champion.explain(asking.X, one)
    margins = parts.margin().tolist()
    vectors: NDArray[np.float32] = asking.X.to_numpy()
    explanations: list[Explanation | None] = []
    for row, margin in enumerate(margins):
        strongest = explaining.reasons(
            parts.values[row], vectors[row], parts.columns, asking.loaded.vocabulary, top=asking.explain, language=asking.language, topic=one.topic
        )
        explanations.append(_explanation(champion, float(parts.base[row]), margin, strongest, asking.language))
    return explanations


def _explanation(champion: Champion, base: float, margin: float, strongest: list[explaining.Reason], language: Language) -> Explanation:
    """Return the strongest contributions; `rest` is what they leave of the margin, so that the parts add up."""
    unit = champion.unit
    listed = [Reason(part.feature, part.value, part.text, part.contribution, effect_words(unit, part.contribution, language)) for part in strongest]
    rest = margin - base - math.fsum(part.contribution for part in listed)
    return Explanation(unit, base, listed, rest, margin, explained_words(unit, language, turned=champion.turned))


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
