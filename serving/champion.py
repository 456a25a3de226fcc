"""One promoted model: verified, checked and tried before it is loaded, and asked for values, intervals and contributions."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from models import artefact
from models.affinity import TopicAffinity
from models.contributions import Contributions
from models.outcome_scale import OutcomeScale, OutcomeScaleError
from models.persuadability import Persuadability
from serving.messages import MessagesError, message_choice
from serving.names import ScoreName
from serving.schemas import Basis, MessageChoice, Scale, Unit
from serving.uplift import UpliftWire, uplift_wire

_FEW = 32
"""Up to so many people one thread predicts: starting and joining a team of threads costs more than the trees, and far more on a busy machine."""
_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class ChampionError(ValueError):
    """A promoted model cannot be served; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Served:
    """Values of n people in the served scale: `values`, `low` and `high` (n,); NaN where there is no interval.

    `basis` (n,) says what an affinity rests on: the person's history; for who never engaged, the segment (attributes and what was sent); or, for a topic
    that nobody could have answered when the model was trained, nothing of the topic itself. None for a persuadability.
    """

    values: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    basis: Sequence[Basis] | None = None


@dataclass(frozen=True)
class Champion:
    """A loaded model with where it comes from. `pointer` is the text of its `champion.json`.

    The metadata of a persuadability say what its outcome is (`models.outcome_scale`): without that, what is asked of it raises OutcomeScaleError.
    """

    name: str
    version: str
    digest: str
    promoted_at: str | None
    pointer: str
    metadata: Mapping[str, Any]
    model: TopicAffinity | Persuadability
    card: str | None
    evaluation: Mapping[str, Any]

    @property
    def columns(self) -> tuple[str, ...]:
        """The feature columns the model was fitted on."""
        return tuple(self.model.columns_)

    @property
    def coverage(self) -> float:
        """The stated coverage of the model's intervals."""
        return float(self.model.coverage)

    @property
    def uplift(self) -> UpliftWire | None:
        """How the model's uplift is served; None where its scores are probabilities."""
        return None if isinstance(self.model, TopicAffinity) else uplift_wire(OutcomeScale.from_state(self.metadata))

    @property
    def scale(self) -> Scale:
        """The scale of the values served."""
        return "probability" if self.uplift is None else self.uplift.scale

    @property
    def unit(self) -> Unit:
        """The unit of the contributions."""
        return "log_odds" if self.uplift is None else self.uplift.unit

    @property
    def turned(self) -> bool:
        """Whether a positive value means less of the outcome."""
        return self.uplift is not None and self.uplift.turned

    @property
    def messages(self) -> MessageChoice | None:
        """The choice among the messages of the experiment, as the training found it; None where there was none to make."""
        about = self.evaluation.get("about")
        return message_choice(about.get("messages"), self.uplift) if isinstance(about, Mapping) and self.uplift is not None else None

    def answers(self, score: ScoreName) -> bool:
        """Return whether this model makes that score."""
        return score.model == self.name and (score.topic is None or score.topic in self._topics())

    def serve(self, X: pd.DataFrame, scores: list[ScoreName]) -> list[Served]:
        """Return the values and intervals of each score for the rows of X (n, F)."""
        model = self._model_for(X)
        if isinstance(model, TopicAffinity):
            return self._serve_affinity(model, X, scores)
        factor = self._factor()
        interval = np.asarray(model.predict_interval(X), dtype=np.float64) * factor
        values = np.asarray(model.predict_uplift(X), dtype=np.float64) * factor
        return [Served(values, interval[:, 0], interval[:, 1]) for _ in scores]

    def explain(self, X: pd.DataFrame, score: ScoreName) -> Contributions:
        """Return additive contributions in the served unit: log-odds of the probability, or those of the uplift."""
        model = self._model_for(X)
        if isinstance(model, TopicAffinity):
            return model.contributions(X, str(score.topic))
        parts, factor = model.contributions(X), self._factor()
        return Contributions(parts.base * factor, parts.values * factor, parts.columns)

    def _factor(self) -> float:
        return 1.0 if self.uplift is None else self.uplift.factor

    def _model_for(self, X: pd.DataFrame) -> TopicAffinity | Persuadability:
        if len(X) > _FEW:
            return self.model
        alone = copy.copy(self.model)  # the trees are shared, the number of threads is its own
        alone.n_jobs = 1
        return alone

    def _topics(self) -> list[str]:
        return list(self.model.topics_) if isinstance(self.model, TopicAffinity) else []

    def _serve_affinity(self, model: TopicAffinity, X: pd.DataFrame, scores: list[ScoreName]) -> list[Served]:
        topics = [str(score.topic) for score in scores]
        margins = model.predict_margin(X, topics=topics).T  # once for both: the trees are the cost; `predict_proba` is expit of the very same
        places = [model.topic_number(topic) for topic in topics]
        intervals = [np.asarray(model.intervals_.predict(margin, place)) for margin, place in zip(margins, places, strict=True)]
        own: list[Basis] = ["history" if known else "segment" for known in model.has_history(X).tolist()]
        fresh: list[Basis] = ["new_topic"] * len(own)
        bases = [own if model.layout_.named[place] else fresh for place in places]
        told = zip(margins, intervals, bases, strict=True)
        return [Served(expit(margin), interval[:, 0], interval[:, 1], basis) for margin, interval, basis in told]


def load_champion(folder: Path, key: bytes, *, threads: int) -> Champion:
    """Return the champion in `models/<name>`, after its signature, digests and structure were checked and a throw-away process tried it.

    Raises ChampionError.
    """
    pointer = (folder / "champion.json").read_text(encoding="utf-8")
    name, version, digest, promoted_at = _read_pointer(folder.name, pointer)
    champion = replace(_opened(folder / version, name, digest, key, tried=True), promoted_at=promoted_at, pointer=pointer)
    champion.model.n_jobs = threads
    try:
        _ = champion.messages
    except MessagesError as error:
        raise ChampionError(f"{name} {version}: {error}") from None
    return champion


def load_version(folder: Path, name: str, digest: str, key: bytes) -> Champion:
    """Return a model that is or was in office, from its signed copy `models/<name>/<version>`, one thread; it was tried when it was promoted.

    Raises ChampionError, also where its digest is another one.
    """
    champion = _opened(folder, name, digest, key, tried=False)
    champion.model.n_jobs = 1
    return champion


def in_office(folder: Path, key: bytes) -> Champion:
    """Return the champion in `models/<name>` untried, for a command that answers once and ends. Raises ChampionError or OSError."""
    name, version, digest, _ = _read_pointer(folder.name, (folder / "champion.json").read_text(encoding="utf-8"))
    return load_version(folder / version, name, digest, key)


def _opened(place: Path, name: str, digest: str, key: bytes, *, tried: bool) -> Champion:
    version = place.name
    try:
        if artefact.verify(place, key) != digest:
            raise ChampionError(f"{name} {version}: its manifest is not the one that was promoted; promote it again")
        metadata = artefact.check(place).metadata
        if tried:
            artefact.try_in_process(place)
        model = artefact.load(place)
        if isinstance(model, Persuadability):
            OutcomeScale.from_state(metadata)
    except (artefact.ArtefactError, OutcomeScaleError, OSError) as error:
        raise ChampionError(f"{name} {version}: {error}") from error
    if not isinstance(model, TopicAffinity | Persuadability):
        raise ChampionError(f"{name} {version}: a {type(model).__name__} cannot be served")
    return Champion(name, version, digest, None, "", metadata, model, _read_card(place), _read_evaluation(place))


def _read_pointer(folder: str, text: str) -> tuple[str, str, str, str | None]:
    try:
        pointer = json.loads(text)
        name, version, digest = str(pointer["name"]), str(pointer["version"]), str(pointer["digest"])
    except (ValueError, KeyError, TypeError):
        raise ChampionError(f"{folder}: champion.json is not an object with name, version and digest; promote the model again") from None
    if name != folder or not _FOLDER_NAME.fullmatch(version):
        raise ChampionError(f"{folder}: champion.json names another model or a version that is no folder; promote the model again")
    promoted_at = pointer.get("promoted_at")
    return name, version, digest, None if promoted_at is None else str(promoted_at)


def _read_card(folder: Path) -> str | None:
    path = folder / "card.md"
    return path.read_text(encoding="utf-8") if path.exists() else None


def _read_evaluation(folder: Path) -> Mapping[str, Any]:
    path = folder / "evaluation.json"
    document = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return document if isinstance(document, dict) else {}
