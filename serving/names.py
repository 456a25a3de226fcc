"""The names of scores: `affinity:<topic>` and `persuadability:<experiment>:<arm>`, and which registered model answers each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from features.arms import persuadability_model
from features.vocabulary import Vocabulary

AFFINITY_MODEL = "affinity"


@dataclass(frozen=True, slots=True)
class ScoreName:
    """One score of the workspace: its full name, the registered model that makes it, and the topic or the experiment's arm."""

    name: str
    kind: Literal["affinity", "persuadability"]
    model: str
    topic: str | None = None
    experiment: str | None = None
    arm: str | None = None


def workspace_scores(vocabulary: Vocabulary) -> dict[str, ScoreName]:
    """Return every score that the vocabulary speaks of, by name, in the order of `audience.toml`."""
    topics = [ScoreName(f"affinity:{topic}", "affinity", AFFINITY_MODEL, topic=topic) for topic in vocabulary.topic_ids]
    arms = [
        ScoreName(f"persuadability:{experiment.id}:{arm}", "persuadability", persuadability_model(experiment.id, arm), experiment=experiment.id, arm=arm)
        for experiment in vocabulary.experiments
        for arm in experiment.arms
        if arm != experiment.control
    ]
    return {score.name: score for score in [*topics, *arms]}


def expand(asked: Sequence[str], known: Iterable[str]) -> list[str]:
    """Return the names asked for, `*` filled in, each once, in the order asked; a name that matches none stays as it is."""
    every = list(known)
    names: dict[str, None] = {}
    for name in asked:
        names.update(dict.fromkeys([one for one in every if _matches(one, name)] or [name]))
    return list(names)


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like `name`, or None when none is."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


def _matches(name: str, pattern: str) -> bool:
    parts, wanted = name.split(":"), pattern.split(":")
    if wanted[-1] == "*":
        return parts[: len(wanted) - 1] == wanted[:-1]
    return parts == wanted
