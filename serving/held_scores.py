"""Every score that was answered about a person, with its reasons and what would bring it to another band: made again from what it was made of (rule L22)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.definition import FeatureError, parse_name
from features.vocabulary import Language, Vocabulary
from models import explanation as explaining
from models.counterfactual import Change, Floats, changed, counterfactual
from serving.access_names import name as word
from serving.access_schemas import HeldReason, HeldScore, OtherBand
from serving.access_words import number, percent, say
from serving.bands import band
from serving.champion import Champion
from serving.console.views import score_labels
from serving.held_rows import parsed
from serving.names import ScoreName, workspace_scores
from serving.past_scores import TOLERANCE, PastScores, value_of
from serving.schemas import Bands, Scale
from serving.words import effect_words, explained_words

REASONS = 5
Allowed = Callable[[str, Mapping[str, Any]], str | None]
"""Of a score and the use it was asked for: why no score of now may be worked out, in words; None where it may."""
_ARRIVED, _NOT_YET = -1.0, 1e-12


@dataclass(frozen=True, slots=True)
class _Telling:
    """What is shared by all scores that are told to one person."""

    person: str
    past: PastScores
    present: PastScores
    language: Language
    allowed: Allowed
    scores: Mapping[str, ScoreName]

    @property
    def vocabulary(self) -> Vocabulary:
        return self.past.workspace.vocabulary


def held_scores(
    person: str, lines: Sequence[Mapping[str, Any]], past: PastScores, own: PastScores, *, language: Language, allowed: Allowed
) -> tuple[HeldScore, ...]:
    """Return each score that stands in lines of the log, one for each value, model and time, the latest first. `allowed` as its type says.

    A score is made again from vectors of all rows (`past`) or of own rows (`own`), as the log says it was made; one of now as the server would make it.
    """
    scores = workspace_scores(past.workspace.vocabulary)
    groups: dict[tuple[object, ...], list[Mapping[str, Any]]] = {}
    for line in lines:
        if line["value"] is not None:
            key = tuple(line[name] for name in ("score", "digest", "as_of", "value"))
            groups.setdefault((*key, _of_own(line), own.vectors is not None and _online(line)), []).append(line)
    told = []
    for (*_, of_own, online), group in groups.items():
        made, present = own if of_own else past, own if online else past
        told.append(_held(_Telling(person, made, present, language, allowed, scores), group))
    return tuple(told)


def _of_own(line: Mapping[str, Any]) -> bool:
    """Return whether the log says that vectors of own rows alone were answered from."""
    stated = parsed(line["preconditions"])
    return isinstance(stated, dict) and bool(stated.get("own_rows"))


def _online(line: Mapping[str, Any]) -> bool:
    use = parsed(line["use"])
    return isinstance(use, dict) and use.get("channel_class") == "online_targeted"


def in_words(value: float, scale: str, language: Language) -> str:
    """Return a score's value as the language writes it: a percentage, or a number with two decimals."""
    return percent(value, language) if scale == "probability" else number(value, 2, language)


def _held(telling: _Telling, lines: Sequence[Mapping[str, Any]]) -> HeldScore:
    first, score = lines[0], telling.scores.get(lines[0]["score"])
    again = _again(telling, first, score)
    champion, row, why, present = (*again, None, None) if isinstance(again, tuple) else _instead(telling, first, score, again)
    shown = telling if isinstance(again, tuple) else replace(telling, past=telling.present)  # its bands are of the vectors that it is made from
    told = None if champion is None or row is None or score is None else _told(_Case(shown, champion, score, row))
    scale: Scale = told.scale if told is not None else "probability" if first["score"].startswith("affinity:") else "uplift_pp"
    label = first["score"] if score is None else score_labels({score.name: score}, telling.vocabulary, telling.language)[score.name]
    return HeldScore(
        first["score"],
        label,
        first["value"],
        scale,
        first["low"],
        first["high"],
        first["as_of"],
        [line["at"] for line in lines],
        first["model"],
        first["version"],
        first["digest"],
        "not" if told is None else "again" if isinstance(again, tuple) else "present",
        why,
        present,
        None if told is None else told.band,
        [] if told is None else told.reasons,
        None if told is None else told.about,
        None if told is None else told.other,
        None if told is None else told.other_words,
    )


def _again(telling: _Telling, line: Mapping[str, Any], score: ScoreName | None) -> tuple[Champion, pd.DataFrame] | str:
    """Return the model and the vector that give the recorded value once more, or why there are none: the end of a key of the words."""
    if score is None or line["as_of"] is None:
        return "unknown_score"
    champion = telling.past.model(str(line["model"]), str(line["version"]), str(line["digest"]))
    if champion is None or not champion.answers(score):
        return "model_gone"
    versions = parsed(line["tables"])
    row = telling.past.row(telling.person, line["as_of"], versions if isinstance(versions, dict) else None)
    if isinstance(row, str):
        return row
    found = value_of(champion, score, row)
    if found is None:
        return "redefined"
    return (champion, row) if abs(found - line["value"]) <= TOLERANCE else "differs"


def _instead(telling: _Telling, line: Mapping[str, Any], score: ScoreName | None, why: str) -> tuple[Champion | None, pd.DataFrame | None, str, float | None]:
    """Return the model and vector of now, where a score may still be worked out, with what is said of that and the score of now."""
    language = telling.language
    said = say("not_again", language, why=say(f"why_{why}", language))
    champion = None if score is None else telling.present.champions.get(score.model)
    if score is None or champion is None or not champion.answers(score):
        return None, None, f"{said} {say('no_present', language, why=say('why_no_present', language))}", None
    forbidden = telling.allowed(score.name, parsed(line["use"]) or {})
    if forbidden is not None:
        return None, None, f"{said} {say('no_present', language, why=forbidden)}", None
    row = telling.present.present(telling.person)
    value = None if row is None else value_of(champion, score, row)
    if row is None or value is None:
        return None, None, f"{said} {say('no_present', language, why=say('why_vector_gone', language))}", None
    return champion, row, f"{said} {say('present', language, value=in_words(value, champion.scale, language))}", value


@dataclass(frozen=True, slots=True)
class _Told:
    scale: Scale
    band: str | None
    reasons: list[HeldReason]
    about: str
    other: OtherBand | None
    other_words: str | None


@dataclass(frozen=True, slots=True)
class _Case:
    """A score to explain: the model that makes it, and the vector it is made from (1, F)."""

    telling: _Telling
    champion: Champion
    score: ScoreName
    row: pd.DataFrame

    @property
    def names(self) -> list[str]:
        return [str(name) for name in self.row.columns]

    @property
    def vector(self) -> NDArray[np.float32]:
        return np.ascontiguousarray(self.row.to_numpy(dtype=np.float32)[0])

    def served(self, rows: NDArray[np.float32], bands: Bands) -> _Banded:
        """Return what the model says of rows (k, F)."""
        served = self.champion.serve(pd.DataFrame(rows, columns=self.names, copy=False), [self.score])[0]
        signed, values = self.champion.scale != "probability", zip(served.values.tolist(), served.low.tolist(), served.high.tolist(), strict=True)
        named = [str(band(value, bands, low=low if np.isfinite(low) and np.isfinite(high) else None, signed=signed)) for value, low, high in values]
        return _Banded(served.values, named)


@dataclass(frozen=True, slots=True)
class _Banded:
    """Values (k,) and bands of rows."""

    values: Floats
    bands: list[str]


def _told(case: _Case) -> _Told:
    champion, language = case.champion, case.telling.language
    parts = champion.explain(case.row, case.score)
    vocabulary, topic = case.telling.vocabulary, case.score.topic
    found = explaining.reasons(parts.values[0], case.vector, parts.columns, vocabulary, top=REASONS, language=language, topic=topic)
    reasons = [HeldReason(each.text, effect_words(champion.unit, each.contribution, language), each.contribution) for each in found]
    about = explained_words(champion.unit, language, turned=champion.turned)
    bands = case.telling.past.bands(champion, case.score)
    if bands is None:
        return _Told(champion.scale, None, reasons, about, None, say("band_unknown", language))
    present = case.served(case.vector[None], bands)
    other = _other_band(case, bands, present)
    return _Told(champion.scale, present.bands[0], reasons, about, other, other.words if other is not None else say("no_other_band", language))


def _other_band(case: _Case, bands: Bands, present: _Banded) -> OtherBand | None:
    known = case.telling.past.moves(case.champion)
    if known is None:
        return None
    found, base = known
    border, upwards = nearest_border(float(present.values[0]), present.bands[0], bands, signed=case.champion.scale != "probability")

    def judge(rows: NDArray[np.float32]) -> Floats:
        tried = case.served(rows, bands)
        left = border - tried.values if upwards else tried.values - border
        arrived = np.array([name != present.bands[0] for name in tried.bands]) & (left <= 0)
        return np.where(arrived, _ARRIVED, np.maximum(left, _NOT_YET))

    changes = counterfactual(case.vector, found, judge, base)
    if changes is None:
        return None
    return _in_words(case, changes, case.served(changed(case.vector, found, changes)[None], bands), present.bands[0])


def nearest_border(value: float, own: str, bands: Bands, *, signed: bool) -> tuple[float, bool]:
    """Return the nearest value at which another band begins, and whether it lies above."""
    least = 0.0 if signed else -np.inf
    above = {"negative": 0.0, "low": bands.low_below, "medium": bands.high_from}
    below = {"high": max(bands.high_from, least), "medium": max(bands.low_below, least), **({"low": 0.0} if signed else {})}
    options = [(above[own], True)] if own in above else []
    options += [(below[own], False)] if own in below else []
    return min(options, key=lambda option: abs(option[0] - value))


def _in_words(case: _Case, changes: Sequence[Change], made: _Banded, own: str) -> OtherBand:
    language, vector = case.telling.language, case.vector
    texts = [_sentence(case, change.column, change.value) for change in changes]
    old = [_sentence(case, change.column, float(vector[change.column])) for change in changes]
    listed = ", ".join(say("instead_of", language, text=new, old=was) for new, was in zip(texts, old, strict=True))
    value, other = float(made.values[0]), made.bands[0]
    shown = in_words(value, case.champion.scale, language)
    return OtherBand(
        texts, old, value, other, say("other_band", language, changes=listed, value=shown, band=word(other, language), present=word(own, language))
    )


def _sentence(case: _Case, column: int, value: float) -> str:
    try:
        return parse_name(case.names[column]).sentence(value, case.telling.vocabulary, case.telling.language)
    except (FeatureError, KeyError):
        return case.names[column]
