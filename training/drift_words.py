"""A report of drift in words: what changed, how sure that is, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from features.definition import FeatureError, parse_name
from features.vocabulary import Language, Vocabulary
from training.activity import MACHINE, PERSON
from training.divergence import Divergence
from training.drift_lines import ActivityLine, CalibrationLine, FeatureLine, PaceLine, ScoreLine
from training.verdicts import DRIFTED, STABLE, WATCH, Verdict

if TYPE_CHECKING:
    from training.drift import Drift

WORST = 10
"""How many features the text names."""
_TOLD = frozenset({"attribute", "age", "tenure"})
"""Statistics that are missing where nobody told them; the others are where nothing happened."""
_SAID = 0.005
"""A change of everyone's level that is said."""
_DIMENSIONS = {"kind": "kinds", "channel": "channels", "topic": "topics", "made_by": "made by people or machines"}
_TRAIN = "`audience train affinity`, then `audience promote affinity`"
_CALIBRATE = "`audience recalibrate`, then `audience promote affinity`"
_MADE_BY = {PERSON: "people", MACHINE: "machines"}


def feature_words(line: FeatureLine, vocabulary: Vocabulary, language: Language) -> str:
    """Return which people became more or fewer, in the words of `audience features`; the feature's name where those are lacking."""
    value = float("nan") if line.value is None else float(np.float32(line.value))
    try:
        said = parse_name(line.name).sentence(value, vocabulary, language)
    except FeatureError:
        said = f"{line.name} {'missing' if line.value is None else f'about {line.value:.3g}'}"
    all_of_them = f"; everyone's level {line.level - 1:+.0%}" if abs(line.level - 1) >= _SAID else ""
    return f"people such as “{said}”: {line.then:.0%} then, {line.now:.0%} now{all_of_them}"


def text(report: Drift) -> str:
    """Return the report as lines for a person."""
    then = f"then: {report.people_then:,} people as of {report.trained_as_of:%Y-%m-%d}, on whom it was tested"
    head = [
        f"{report.model} version {report.version}: {report.verdict}",
        f"  {then}; now: {report.people_now:,} people as of {report.vectors_as_of:%Y-%m-%d %H:%M} UTC",
        *(f"  note: {note}" for note in report.notes),
    ]
    return "\n".join([*head, *_features(report), *_scores(report), *_activity(report), *_calibration(report), "what to do", *_listed(report.actions)])


def actions(
    verdicts: Mapping[str, Verdict],
    features: Sequence[FeatureLine],
    activity: Sequence[ActivityLine],
    pace: PaceLine,
    calibration: Sequence[CalibrationLine],
    *,
    late: str = "",
) -> tuple[str, ...]:
    """Return what a person should do, the most urgent first; `late` says that nothing has happened for a while."""
    found = []
    if reasons := [*([late] if late else []), *_of_the_import(features, activity, pace)]:
        found.append(f"look at the import first: {'; '.join(reasons)}. A file that was forgotten or read wrongly looks like this")
    moved = [part for part in ("features", "scores", "activity") if verdicts[part] == DRIFTED]
    level, slope = (any(line.by[measure] != STABLE for line in calibration for measure in measures) for measures in (("offset", "ece"), ("slope",)))
    if moved:
        also = ", and its probabilities are not met" if level or slope else ""
        found.append(f"train again ({_TRAIN}): {' and '.join(moved)} moved away from what it was made for{also}")
    elif slope:
        found.append(f"train again ({_TRAIN}): probabilities lie too far apart or too close together, so no shift of all of them would mend that")
    elif level:
        found.append(f"recalibrate ({_CALIBRATE}): people are those it was made for, but probabilities are too high or too low")
    new = [value for line in activity for value in line.new if value not in line.unlisted]
    if new:
        found.append(f"train again once there is a horizon of labels with {', '.join(new)}: the model has never seen {'it' if len(new) == 1 else 'them'}")
    if not found and WATCH in verdicts.values():
        found.append("nothing yet: look again after the next import")
    return tuple(found) or ("nothing: today's people are those it was made for",)


def _of_the_import(features: Sequence[FeatureLine], activity: Sequence[ActivityLine], pace: PaceLine) -> Iterator[str]:
    """Yield what looks as if a file had been forgotten, or read wrongly."""
    odd = [value for line in activity for value in (*line.unlisted, *line.vanished)]
    if odd:
        yield f"{', '.join(odd)} {'is' if len(odd) == 1 else 'are'} unlisted or gone"
    told = [line for line in features if line.missing_verdict != STABLE and line.name.partition("|")[0] in _TOLD]
    if told:
        yield f"{len(told)} feature{' is' if len(told) == 1 else 's are'} missing more or less often than before"
    if pace.verdict != STABLE and pace.factor < 1:
        yield "far less was done and sent than before"


def _features(report: Drift) -> list[str]:
    counts = {verdict: sum(line.verdict == verdict for line in report.features) for verdict in (DRIFTED, WATCH, STABLE)}
    summary = f"{counts[DRIFTED]} drifted, {counts[WATCH]} to watch, {counts[STABLE]} stable of {len(report.features)}"
    lines = [f"features: {report.verdicts['features']} ({summary}; by population stability index, PSI)"]
    for number, line in enumerate(report.features[:WORST], start=1):
        lines.append(f"  {number:>2}. {line.verdict:<7} {_index(line.divergence, line.usual.psi)}  {report.words[line.name]}")
        lines.append(f"      {line.name}")
    return lines


def _scores(report: Drift) -> list[str]:
    return [f"scores: {report.verdicts['scores']} (of {report.people_scored:,} people)", *(f"  {_score(line)}" for line in report.scores)]


def _score(line: ScoreLine) -> str:
    then = "unknown" if line.means[0] is None else f"{line.means[0]:.1%}"
    return (
        f"{line.verdict:<7} PSI {line.divergence.psi:.3f} (by chance {line.divergence.by_chance:.3f})  {line.topic}: mean {then} then, {line.means[1]:.1%} now"
    )


def _activity(report: Drift) -> list[str]:
    then, now, pace = *report.activities, report.pace
    beside = f"factor {pace.factor:.2f}, usual up to {pace.usual:.2f}"
    lines = [
        f"what was done and sent: {report.verdicts['activity']} (the {now.days} days before {now.until[:10]} against those before {then.until[:10]})",
        f"  {pace.verdict:<7} {now.interactions:,} interactions now, {then.interactions:,} then: {pace.now:.2f} and {pace.then:.2f} per person ({beside})",
    ]
    for line in report.activity:
        named = [*(f"new: {_value(value)} ({share:.1%})" for value, share in line.new.items())]
        named += [f"gone: {_value(value)} ({share:.1%} then)" for value, share in line.vanished.items()]
        named += [f"not in audience.toml: {value}" for value in line.unlisted]
        lines.append(f"  {line.verdict:<7} {_index(line.divergence, line.usual)}  {'; '.join([_DIMENSIONS[line.dimension], *named])}")
    return lines


def _index(found: Divergence, usual: float | None = None) -> str:
    """Return the index beside what chance gives and what was usual."""
    beside = f"by chance {found.by_chance:.3f}" + ("" if usual is None else f", usual {usual:.3f}")
    return f"PSI {found.psi:.3f} ({beside})"


def _value(value: str) -> str:
    return _MADE_BY.get(value, value)


def _calibration(report: Drift) -> list[str]:
    if report.calibration is None:
        return [f"calibration: not measured: {report.unmeasured}"]
    labels = report.calibration
    same = ": no newer ones than those of its test are complete" if labels.as_of == f"{report.trained_as_of:%Y-%m-%d}" else ""
    people = f"{labels.people:,} people it never saw, as of {labels.as_of}"
    head = f"calibration: {report.verdicts['calibration']} ({people}, labels from {labels.begin} to {labels.end}{same})"
    return [head, *(f"  {_rates(line)}" for line in labels.lines)]


def _rates(line: CalibrationLine) -> str:
    found = line.found
    then = "" if line.then is None else f" (then {line.then.predicted:.1%} and {line.then.observed:.1%})"
    offset, slope = (f"{each.value:{sign}.2f} [{each.low:{sign}.2f}, {each.high:{sign}.2f}]" for each, sign in ((found.offset, "+"), (found.slope, "")))
    rates = f"predicted {found.predicted:.1%}, observed {found.observed.value:.1%}{then}"
    errors = f"ECE {found.ece.value:.3f} (by chance {found.ece_by_chance:.3f})"
    return f"{line.verdict:<7} {line.topic or 'all topics'}: {rates}; log-odds to add {offset}, slope {slope}; {errors}"


def _listed(sentences: Sequence[str]) -> list[str]:
    return [f"  - {sentence}" for sentence in sentences]
