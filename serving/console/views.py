"""What the pages show, made from an answer: words, formatted numbers and drawings; no template computes anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from markupsafe import Markup

from features.permission.use import SponsorType
from features.vocabulary import Language, Vocabulary
from serving.audit import Request
from serving.console import interval, waterfall
from serving.console.numbers import amount, in_scale, percent, plain
from serving.names import ScoreName
from serving.schemas import AverageEffect, NoScore, PermissionBasis, PersonPermission, Scale, Score, ScoreAnswer

_SPONSORS: Mapping[SponsorType, str] = {
    "political_actor": "a political actor",
    "union": "a union",
    "ngo": "an NGO",
    "public_body": "a public body",
    "company": "a company",
    "individual": "an individual",
}
_BANDS = {"high": "High", "medium": "Medium", "low": "Low", "negative": "Do not contact"}


@dataclass(frozen=True, slots=True)
class ReasonView:
    """One reason: its words, its amount, whether it raises or lowers the score, and what that means."""

    text: str
    amount: str
    direction: str
    effect: str
    feature: str


@dataclass(frozen=True, slots=True)
class ScoreView:
    """One score as a row that opens."""

    name: str
    label: str
    value: str
    band: str
    band_words: str
    band_rule: str
    interval_words: str
    interval: Markup
    waterfalls: Markup
    """Drawn twice, for wide screens and for narrow ones; the styles show one."""
    sum_words: str
    reasons: list[ReasonView]
    score: Score


@dataclass(frozen=True, slots=True)
class NoScoreView:
    """One score that is not there, with the reason; `average` describes the average effect where a gate refused the model."""

    name: str
    label: str
    words: str
    code: str
    average: str | None
    verdict: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """The scores of one kind, the highest first, and those that are not there."""

    title: str
    about: str
    scores: list[ScoreView]
    absent: list[NoScoreView]


@dataclass(frozen=True, slots=True)
class DecisionView:
    """The decision that came before the scores: what it was about, what was decided, under which law, and what it stood on."""

    allowed: bool
    code: str | None
    rule: str | None
    use: str
    law: str
    stood_on: str


@dataclass(frozen=True, slots=True)
class PersonView:
    """The page of one person; `decision` is None where nobody of that id is known."""

    person: str
    scored: bool
    words: str | None
    decision: DecisionView | None
    as_of: str
    scored_at: str
    valid_until: str
    expired: bool
    answer_id: str
    groups: list[Group]
    requests: Sequence[Request]


def person_view(answer: ScoreAnswer, labels: Mapping[str, str], rules: Mapping[str, str], requests: Sequence[Request], *, days: int) -> PersonView:
    """Return the page of an answer about one person; `labels` names each score, `rules` says how its bands are cut."""
    result = answer.results[0]
    valid_until = answer.as_of + timedelta(days=days)
    groups = [_group(kind, [entry for entry in result.scores if entry.name.startswith(f"{kind}:")], labels, rules) for kind in _TITLES]
    return PersonView(
        result.person,
        result.code is None,
        result.words,
        None if result.permission is None else _decision(result.permission, result.code, answer.permission),
        moment(answer.as_of),
        moment(answer.scored_at),
        moment(valid_until),
        answer.scored_at > valid_until,
        answer.answer_id,
        [group for group in groups if group.scores or group.absent],
        requests,
    )


def _decision(permission: PersonPermission, code: str | None, basis: PermissionBasis) -> DecisionView:
    use, pack = basis.use, basis.pack
    words = [word.replace("_", " ") for word in (use.purpose, use.channel_class, f"for {_SPONSORS[use.sponsor_type]}")]
    words += [f"{what} {name}" for what, name in (("channel", use.channel), ("campaign", use.campaign_id), ("election", use.election)) if name]
    state = f"confirmed by {pack.confirmed_by}" if pack.confirmed_by else "not confirmed by anybody yet"
    facts = [f"event {permission.event} of the ledger"] if permission.event is not None else []
    facts += [f"source {permission.source}"] if permission.source is not None else []
    known = f"the ledger up to event {basis.ledger}"
    return DecisionView(
        permission.allowed,
        code,
        permission.rule,
        ", ".join(words),
        f"{pack.id}, version {pack.version}, {state}",
        f"{' and '.join(facts)}; {known}" if facts else known,
    )


def moment(time: datetime | str | None) -> str:
    """Return a time, or one in ISO 8601, for people: `22 Nov 2026, 14:05 UTC`; another text stays as it is."""
    if time is None:
        return "not stated"
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError:
            return str(time)
    utc = time if time.tzinfo is None else time.astimezone(UTC)
    return f"{utc:%d %b %Y, %H:%M} UTC".lstrip("0")


def score_labels(names: Mapping[str, ScoreName], vocabulary: Vocabulary, language: Language) -> dict[str, str]:
    """Return what each score is about: the topic's label, or the experiment's and what its arm says."""
    return {name: _label(score, vocabulary, language) for name, score in names.items()}


def _label(score: ScoreName, vocabulary: Vocabulary, language: Language) -> str:
    if score.topic is not None:
        return vocabulary.topic(score.topic).label(language)
    experiment = vocabulary.experiment(str(score.experiment))
    return f"{experiment.label(language)} \N{MIDDLE DOT} {experiment.arms[str(score.arm)] or score.arm}"


def average_words(average: AverageEffect) -> str:
    """Return an average effect with its interval, and what a positive one means where the sign was turned."""
    value, low, high = (in_scale(number, average.scale) for number in (average.value, average.low, average.high))
    turned = "; positive means less of the outcome" if average.sign_turned else ""
    return f"{value}{_units_words(average.scale)} ({average.coverage:.0%} interval {low} to {high}{turned})"


_TITLES = {
    "affinity": ("Topic affinity", "The probability that this person will engage with a topic within the horizon."),
    "persuadability": ("Persuadability", "How much contact with a message changes the outcome for this person, learned from randomised assignment."),
}


def _group(kind: str, entries: list[Score | NoScore], labels: Mapping[str, str], rules: Mapping[str, str]) -> Group:
    scores = sorted((entry for entry in entries if isinstance(entry, Score)), key=lambda entry: (_measure(entry), -entry.value))
    scales = {measure: interval.scale_of(list(alike)) for measure, alike in groupby(scores, key=_measure)}
    title, about = _TITLES[kind]
    return Group(
        title,
        about,
        [_score(score, labels[score.name], rules.get(score.name, ""), scales[_measure(score)]) for score in scores],
        [_absent(entry, labels[entry.name]) for entry in entries if isinstance(entry, NoScore)],
    )


def _measure(score: Score) -> tuple[bool, str]:
    """Return what scores must share to be put in one order and on one scale: units of an outcome are those of one experiment."""
    return (True, score.name.split(":")[1]) if score.scale == "uplift" else (False, score.scale)


def _units_words(scale: Scale) -> str:
    return " in units of the outcome" if scale == "uplift" else ""


def _score(score: Score, label: str, rule: str, scale: interval.Scale) -> ScoreView:
    shown = in_scale(score.value, score.scale)
    words = _interval_words(score)
    drawn, sentence, listed = "", "", []
    if score.explanation is not None:
        explanation = score.explanation
        rows = waterfall.steps(
            explanation, base_label="Starting point, before anything is known", rest_label="Everything else", score_label="This person's score"
        )
        title = f"How the score for {label} comes about, from the starting point to {shown}"
        drawn = "".join(waterfall.draw(explanation, rows, title=title, layout=layout) for layout in (waterfall.WIDE, waterfall.NARROW))
        sentence = _sum_words(score)
        listed = [
            ReasonView(part.text, amount(part.contribution, explanation.unit), "raises" if part.contribution >= 0 else "lowers", part.effect, part.feature)
            for part in explanation.reasons
        ]
    bar = interval.draw(score, scale, title=f"{label}: {shown}, {words}")
    return ScoreView(score.name, label, shown, score.band, _BANDS[score.band], rule, words, Markup(bar), Markup(drawn), sentence, listed, score)  # noqa: S704 (drawing.py escapes)


def _interval_words(score: Score) -> str:
    if score.low is None or score.high is None:
        return f"no interval: {score.interval_absent}"
    return f"{score.coverage:.0%} interval {in_scale(score.low, score.scale)} to {in_scale(score.high, score.scale)}{_units_words(score.scale)}"


def _sum_words(score: Score) -> str:
    explanation = score.explanation
    assert explanation is not None
    listed = sum(part.contribution for part in explanation.reasons)
    numbers = (explanation.base, listed, explanation.rest, explanation.margin)
    if explanation.unit != "log_odds":
        parts = [amount(number, explanation.unit) for number in numbers]
        told = f"{parts[0]} to start with, {parts[1]} from the reasons listed, {parts[2]} from everything else: {parts[3]}"
        return f"{told}{_units_words(score.scale)}. {explanation.words}"
    odds = [plain(number, 3, signed=True) for number in numbers]
    return (
        f"In log-odds: {odds[0]} to start with, {odds[1]} from the reasons listed, {odds[2]} from everything else "
        f"= {odds[3]}, which is a probability of {percent(score.value)}. {explanation.words}"
    )


def _absent(entry: NoScore, label: str) -> NoScoreView:
    average = entry.average
    return NoScoreView(entry.name, label, entry.words, entry.code, average_words(average) if average else None, average.verdict if average else None)
