"""Whether a model still is for the people of today: what was kept at its training against the workspace now.

Four parts: the published vectors by feature, counted in SQL; the scores of a sample; what was done and sent; predictions against what happened since.
Vectors and scores, then and now, are those of people who may be learned from: whoever objected is in neither.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from features.definition import definitions_hash
from features.publication import open_current
from features.vectors import Vectors
from features.workspace import Workspace
from models import artefact
from models.affinity import TopicAffinity
from training import drift_words, plots_drift
from training.activity import Activity, activities, listed
from training.bins import centre, count
from training.config import AffinityConfig, DriftConfig, read_config
from training.drift_lines import (
    ActivityLine,
    CalibrationLine,
    FeatureLine,
    PaceLine,
    ScoreLine,
    activity_lines,
    calibration_lines,
    feature_lines,
    features_verdict,
    pace_line,
    score_lines,
)
from training.figures import short_name
from training.permitted import readable
from training.plots_drift import Curve
from training.reference import Reference
from training.registry import champion_folder
from training.resampling import PersonBootstrap
from training.snapshots import SnapshotError, affinity_dataset
from training.tally import tally
from training.verdicts import Verdict, worst

Progress = Callable[[str, float], None] | None

OLD_DAYS = 7
"""Vectors and imports that are older than this are said to be."""


class DriftError(ValueError):
    """Drift cannot be measured; the message says what is missing and what to do."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Calibration on the latest complete label window: vectors as of a day, labels over [begin, end), of people whom the model never saw."""

    as_of: str
    begin: str
    end: str
    people: int
    lines: tuple[CalibrationLine, ...]


@dataclass(frozen=True)
class Drift:
    """All that was compared, with a verdict per line, per part and overall; `activities` are those then and now."""

    model: str
    version: str
    measured_at: datetime
    trained_as_of: datetime
    vectors_as_of: datetime
    people_then: int
    people_now: int
    people_scored: int
    features: tuple[FeatureLine, ...]
    scores: tuple[ScoreLine, ...]
    activity: tuple[ActivityLine, ...]
    pace: PaceLine
    activities: tuple[Activity, Activity]
    calibration: Labels | None
    unmeasured: str
    config: DriftConfig
    words: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """The verdict on each part; a part that was not measured has none."""
        found = {
            "features": features_verdict(self.features, self.config),
            "scores": worst(line.verdict for line in self.scores),
            "activity": worst([self.pace.verdict, *(line.verdict for line in self.activity)]),
        }
        if self.calibration is not None:
            found["calibration"] = worst(line.verdict for line in self.calibration.lines)
        return found

    @property
    def verdict(self) -> Verdict:
        """The verdict on the whole: that of the worst part."""
        return worst(self.verdicts.values())

    @property
    def actions(self) -> tuple[str, ...]:
        """What to do, in words."""
        labels = () if self.calibration is None else self.calibration.lines
        return drift_words.actions(self.verdicts, self.features, self.activity, self.pace, labels, late=self.late)

    @property
    def late(self) -> str:
        """That nothing has happened for a while, in words; empty where something has."""
        today = self.activities[1]
        if today.last is None:
            return f"there is no interaction of the {today.days} days before {self.measured_at:%Y-%m-%d}"
        days = (self.measured_at - datetime.fromisoformat(today.last)).days
        return f"the newest interaction is of {today.last[:10]}, {days} days before, so later windows and labels are empty" if days >= OLD_DAYS else ""

    def to_state(self) -> dict[str, Any]:
        """Return the whole report as JSON-able values."""
        then, now = self.activities
        calibration: dict[str, Any] = {"unmeasured": self.unmeasured}
        if (labels := self.calibration) is not None:
            about = {"as_of": labels.as_of, "begin": labels.begin, "end": labels.end, "people": labels.people}
            calibration = {**about, "lines": [line.to_state() for line in labels.lines]}
        return {
            "model": self.model,
            "version": self.version,
            "verdict": self.verdict,
            "verdicts": self.verdicts,
            "actions": list(self.actions),
            "notes": list(self.notes),
            "measured_at": self.measured_at.isoformat(),
            "then": {"as_of": self.trained_as_of.isoformat(), "people": self.people_then},
            "now": {"as_of": self.vectors_as_of.isoformat(), "people": self.people_now, "scored": self.people_scored},
            "features": [{**line.to_state(), "words": self.words[line.name]} for line in self.features],
            "scores": [line.to_state() for line in self.scores],
            "activity": {
                "pace": self.pace.to_state(),
                "dimensions": [line.to_state() for line in self.activity],
                "then": then.to_state(),
                "now": now.to_state(),
            },
            "calibration": calibration,
            "levels": self.config.model_dump(mode="json"),
        }

    def to_json(self) -> str:
        """Return the whole report as one line of JSON."""
        return json.dumps(self.to_state(), allow_nan=False, ensure_ascii=False)

    def __str__(self) -> str:
        return drift_words.text(self)

    def figure(self) -> Figure:
        """Return the picture: features by PSI beside the scores of each topic then and now."""
        lines = self.features[: plots_drift.FEATURES]
        curves = {line.topic: Curve(np.array(line.edges), *(np.array(each) for each in line.below)) for line in self.scores}
        return plots_drift.drift(
            [short_name(line.name) for line in lines],
            np.array([line.beyond for line in lines]),
            [line.verdict for line in lines],
            curves,
            levels=self.config.psi,
            title=f"{self.model} version {self.version}: {self.trained_as_of:%Y-%m-%d} then, {self.vectors_as_of:%Y-%m-%d} now",
        )


@dataclass(frozen=True, slots=True)
class _Champion:
    """The model in office, with what was kept at its training."""

    version: str
    model: TopicAffinity
    reference: Reference
    definitions_hash: str
    own: bool = False
    """Whether it was made of own rows alone, and has to be compared with such."""


def measure_drift(workspace: Workspace, name: str = "affinity", *, now: datetime, config: DriftConfig | None = None, progress: Progress = None) -> Drift:
    """Return how far the workspace, as it is known at `now`, has moved from what the champion `name` was made for.

    Vectors and scores are those of the published vectors, whatever their time, of the people who may be learned from at `now`. Raises DriftError or
    NoReferenceError where there is nothing to compare with, VectorsError without published vectors, ConfigError for levels that cannot be or where no use is
    stated, StoreError or HistoryError where it cannot be decided who may be learned from.
    """
    config = config or read_config(workspace).drift
    champion = _champion(workspace, name)
    own = champion.own and (workspace.own_vectors / "CURRENT").exists()
    vectors = open_current(workspace.own_vectors if own else workspace.vectors)
    reference, place = champion.reference, _columns(champion, vectors.names)
    counted = _counted(workspace, vectors, now)
    rows = np.flatnonzero(counted)[_sampled(int(counted.sum()), config)]
    sample = vectors.matrix[rows]
    features = _features(reference, vectors, place, sample, counted=counted, config=config, progress=progress)
    scores = _scores(champion, sample[:, [place[column] for column in champion.model.columns_]], config)
    (today,) = activities(workspace, [now], days=reference.activity.days)
    calibration, unmeasured = _calibration(workspace, champion, config, now=now, progress=progress)
    vocabulary, language = workspace.vocabulary, workspace.settings.language
    return Drift(
        model=name,
        version=champion.version,
        measured_at=now,
        trained_as_of=datetime.fromisoformat(reference.as_of),
        vectors_as_of=vectors.as_of,
        people_then=reference.people,
        people_now=int(counted.sum()),
        people_scored=len(rows),
        features=features,
        scores=scores,
        activity=activity_lines(reference.activity, today, reference.usual_activity, listed(vocabulary), config),
        pace=pace_line(reference.activity, today, reference.usual_activity, config),
        activities=(reference.activity, today),
        calibration=calibration,
        unmeasured=unmeasured,
        config=config,
        words={line.name: drift_words.feature_words(line, vocabulary, language) for line in features},
        notes=tuple(_notes(champion, vectors, now)),
    )


def save_figure(report: Drift, path: Path) -> None:
    """Save the report's picture as a PNG."""
    report.figure().savefig(path, format="png")


def _champion(workspace: Workspace, name: str) -> _Champion:
    if name.partition(".")[0] == "persuadability":
        raise DriftError("drift is measured for topic affinity: an experiment's people and outcomes do not change any more. Name --model affinity")
    folder = champion_folder(workspace, name) if name == "affinity" else None
    if folder is None:
        raise DriftError(f"no model {name!r} is champion here: `audience train affinity` and `audience promote affinity` make affinity one")
    reference, model = Reference.read(folder), artefact.load(folder)
    if not isinstance(model, TopicAffinity):
        raise DriftError(f"the champion {name!r} is a {type(model).__name__}, no topic affinity")
    said = artefact.check(folder).metadata
    return _Champion(folder.name, model, reference, str(said.get("definitions_hash")), own=said.get("rows_of") == "own")


def _columns(champion: _Champion, names: Sequence[str]) -> dict[str, int]:
    """Return where the model's columns stand among those given. Raises DriftError where some are not there, or mean something else."""
    place = {name: number for number, name in enumerate(names)}
    missing = [column for column in champion.model.columns_ if column not in place]
    if missing:
        raise DriftError(
            f"{len(missing)} of the model's {len(champion.model.columns_)} features are not made any more, such as {missing[0]!r}: audience.toml or the "
            "release has changed since. Train again with `audience train affinity`"
        )
    if champion.definitions_hash != definitions_hash(champion.model.columns_):
        raise DriftError(
            "the features' names mean something else in this release than in the one that trained the model. Train again with `audience train affinity`"
        )
    return place


def _counted(workspace: Workspace, vectors: Vectors, now: datetime) -> NDArray[np.bool_]:
    """Return which rows (n,) of the vectors are of people who may be learned from. Raises DriftError where nobody may."""
    people, order = vectors.ordered
    counted = readable(workspace, people, now=now)
    if not counted.any():
        raise DriftError("nobody of the published vectors may be learned from for the use of the training; `audience decide` says why")
    return counted if order is None else counted[np.argsort(order)]


def _features(
    reference: Reference,
    vectors: Vectors,
    place: Mapping[str, int],
    sample: NDArray[np.float32],
    *,
    counted: NDArray[np.bool_],
    config: DriftConfig,
    progress: Progress,
) -> tuple[FeatureLine, ...]:
    """Return the features' lines: centres are those of the sample, counts those of everyone who is counted (n,)."""
    kept = {feature: bins for feature, bins in reference.features.items() if feature in place}
    centres = {feature: centre(sample[:, place[feature]]) for feature, bins in kept.items() if bins.centre is not None}
    edges = [bins.edges_at(centres.get(feature)) for feature, bins in kept.items()]
    counts = tally(vectors.matrix, [place[feature] for feature in kept], edges, counted=counted, progress=progress)
    return feature_lines(kept, reference.usual, counts, centres, people=reference.people, config=config)


def _sampled(people: int, config: DriftConfig) -> NDArray[np.int64]:
    """Return the rows, rising, of a seeded sample of people."""
    if people <= config.people:
        return np.arange(people, dtype=np.int64)
    return np.sort(np.random.default_rng(config.seed).choice(people, config.people, replace=False)).astype(np.int64)


def _scores(champion: _Champion, matrix: NDArray[np.float32], config: DriftConfig) -> tuple[ScoreLine, ...]:
    model, reference = champion.model, champion.reference
    probability = np.asarray(model.predict_proba(pd.DataFrame(matrix, columns=list(model.columns_), copy=False)), dtype=np.float64)
    topics = [topic for topic in model.topics_ if topic in reference.scores]
    found = {topic: probability[:, model.topics_.index(topic)] for topic in topics}
    counts = {topic: count(values, reference.scores[topic].edges) for topic, values in found.items()}
    return score_lines(reference.scores, counts, {topic: float(values.mean()) for topic, values in found.items()}, reference.people, config)


def _calibration(workspace: Workspace, champion: _Champion, config: DriftConfig, *, now: datetime, progress: Progress) -> tuple[Labels | None, str]:
    """Return calibration on the latest complete labels of people held apart from training, or None and why there is none."""
    reference, model = champion.reference, champion.model
    if reference.source != "engagement":
        return None, "the model learned from a file of labels; only labels from the history are looked up again"
    told = AffinityConfig(**{**reference.label, "max_rows": config.people, "snapshots": 2})
    try:
        dataset = affinity_dataset(workspace, told, now=now, only_latest=True, progress=progress)
    except SnapshotError as error:
        return None, str(error)
    side, topics = dataset.test, [topic for topic in model.topics_ if topic in dataset.topics]
    place = _columns(champion, list(side.X.columns))
    X = side.X.iloc[:, [place[column] for column in model.columns_]]
    probability = np.asarray(model.predict_proba(X), dtype=np.float64)[:, [model.topics_.index(topic) for topic in topics]]
    y = side.y[:, [dataset.topics.index(topic) for topic in topics]]
    boot = PersonBootstrap(side.person_ids, draws=config.draws, seed=config.seed, coverage=config.coverage)
    lines = calibration_lines(boot, topics, y, probability, then=reference.rates, config=config)
    if not lines:
        return None, "too few labels are known: nobody was sent anything about, or engaged with, any topic in the latest complete window"
    begin = side.as_ofs.max().astype("datetime64[D]").item() + timedelta(days=told.gap_days)
    days = (str(side.as_ofs.max())[:10], begin.isoformat(), (begin + timedelta(days=told.horizon_days)).isoformat())
    return Labels(*days, boot.n_people, lines), ""


def _notes(champion: _Champion, vectors: Vectors, now: datetime) -> list[str]:
    reference, columns = champion.reference, champion.model.columns_
    notes = []
    if abs((now - vectors.as_of).days) > OLD_DAYS:
        notes.append(f"the published vectors are as of {vectors.as_of:%Y-%m-%d}; `audience vectors` builds those of {now:%Y-%m-%d}")
    if len(vectors.names) > len(columns):
        notes.append(f"{len(vectors.names) - len(columns)} features of today are unknown to the model and not compared")
    if reference.source != "engagement":
        notes.append(f"it was tested on the {reference.people:,} people of a file of labels, who may differ from everyone")
    return notes
