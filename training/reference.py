"""What a model was made for, in bins, kept beside it: whoever comes later can say whether the people of today are still those people.

The test rows are taken: people whom the trees and the calibration never saw, as of the latest time of the training. How far things moved by themselves is
told by the training rows, which are of the times before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.workspace import Workspace
from training.activity import Activity, activities
from training.bins import Bins
from training.config import AffinityConfig
from training.snapshots import AffinityDataset, Side
from training.usual import Usual, UsualActivity, usual

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

REFERENCE = "reference.json"
"""The file of the artefact; the manifest covers it."""
FORMAT = "audience-scoring reference 1"
BASE_WIDE = "supply"
"""The statistic that is the same for everyone at a time: it says nothing of how people are distributed."""
DRAWN = ("rate", "area")
"""Statistics that are drawn towards the average of the base, which moves for everyone at once: their bins are multiples of where most people are."""
LABEL = ("horizon_days", "gap_days", "settle_days", "exposed_only", "test_share", "seed")
"""Of the training's configuration, what decides what a label is and who is tested on."""


class NoReferenceError(ValueError):
    """A model has no reference, or one that cannot be read; the message says what to do."""


class Rate(NamedTuple):
    """Of the pairs with a known label: how many, their mean prediction and their observed rate."""

    pairs: int
    predicted: float
    observed: float


@dataclass(frozen=True, slots=True)
class Reference:
    """Distributions of features and of each topic's scores, rates by topic, activity, and how far features and activity moved between the training's times.

    `as_of` is the latest of the rows' times; `people` is how many the distributions are of, one row of each; `label` holds the settings named by LABEL,
    `source` is where labels came from (`engagement` or `labels`).
    """

    as_of: str
    people: int
    source: str
    label: Mapping[str, Any]
    features: Mapping[str, Bins]
    scores: Mapping[str, Bins]
    rates: Mapping[str, Rate]
    activity: Activity
    usual: Mapping[str, Usual]
    usual_activity: UsualActivity

    @classmethod
    def read(cls, folder: Path) -> Reference:
        """Return the reference of a model's folder, which has been checked. Raises NoReferenceError."""
        try:
            text = (folder / REFERENCE).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise NoReferenceError(
                f"the champion keeps no {REFERENCE} to compare with: another release trained it, or it is no topic affinity. Train again with "
                "`audience train affinity`, and `audience promote affinity`"
            ) from None
        try:
            return cls.from_state(json.loads(text))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise NoReferenceError(f"the champion's {REFERENCE} cannot be read ({type(error).__name__}: {error}): train again") from None

    def to_bytes(self) -> bytes:
        """Return the reference as the bytes of its file."""
        state = {
            "format": FORMAT,
            "as_of": self.as_of,
            "people": self.people,
            "source": self.source,
            "label": dict(self.label),
            "features": {name: bins.to_state() for name, bins in self.features.items()},
            "scores": {topic: bins.to_state() for topic, bins in self.scores.items()},
            "rates": {topic: rate._asdict() for topic, rate in self.rates.items()},
            "activity": self.activity.to_state(),
            "usual": {name: moved._asdict() for name, moved in self.usual.items()},
            "usual_activity": self.usual_activity.to_state(),
        }
        return json.dumps(state, sort_keys=True, allow_nan=False).encode()

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Reference:
        """Return the reference of a parsed file; raises ValueError for another format."""
        if state["format"] != FORMAT:
            raise ValueError(f"format {state['format']!r} is not {FORMAT!r}")
        return cls(
            **{key: state[key] for key in ("as_of", "people", "source", "label")},
            features={name: Bins.from_state(bins) for name, bins in state["features"].items()},
            scores={topic: Bins.from_state(bins) for topic, bins in state["scores"].items()},
            rates={topic: Rate(**rate) for topic, rate in state["rates"].items()},
            activity=Activity.from_state(state["activity"]),
            usual={name: Usual(**moved) for name, moved in state["usual"].items()},
            usual_activity=UsualActivity.from_state(state["usual_activity"]),
        )


def make_reference(
    workspace: Workspace, dataset: AffinityDataset, probability: Floats, config: AffinityConfig, *, before: Reference | None = None
) -> Reference:
    """Return what is to be kept of a training: `probability` (n, n_topics) are what the model gives the test rows, topics in the order of the data set.

    A data set of one time (recalibration) says nothing of what is usual: then it is what the model's reference of `before` says.
    """
    test, own = dataset.test, latest_rows(dataset.test)
    until, *earlier = (_time(each) for each in (test.as_ofs.max(), *earlier_times(dataset)))
    now, *others = activities(workspace, [until, *earlier], days=config.horizon_days, versions=dataset.table_versions)
    statistics = {name: str(name).partition("|")[0] for name in test.X.columns}
    features = {name: Bins.of(test.X[name].to_numpy()[own], around=kind in DRAWN) for name, kind in statistics.items() if kind != BASE_WIDE}
    moved = _moved(dataset, features, len(own)), UsualActivity.of(now, others)
    if not earlier and before is not None:
        moved = dict(before.usual), before.usual_activity
    return Reference(
        as_of=until.isoformat(),
        people=len(own),
        source=dataset.source,
        label={key: getattr(config, key) for key in LABEL},
        features=features,
        scores={topic: Bins.of(probability[own, number]) for number, topic in enumerate(dataset.topics)},
        rates=rates(dataset.topics, probability, test.y),
        activity=now,
        usual=moved[0],
        usual_activity=moved[1],
    )


def reference_of(folder: Path) -> Reference | None:
    """Return the reference of a model's folder, None where there is none that can be read."""
    try:
        return Reference.read(folder)
    except NoReferenceError:
        return None


def earlier_times(dataset: AffinityDataset) -> list[np.datetime64]:
    """Return the latest time of each training block, as far as it lies before that of the test."""
    train = dataset.train
    times = [train.as_ofs[train.block == block].max() for block in np.unique(train.block)]
    return [time for time in times if time < dataset.test.as_ofs.max()]


def latest_rows(side: Side) -> Integers:
    """Return the row of each person's latest time: labels of one's own may have many rows of one person, who is still one person."""
    order = np.lexsort((side.as_ofs, side.person_ids))
    last = np.r_[side.person_ids[order][1:] != side.person_ids[order][:-1], True][: len(order)]
    return np.sort(order[last]).astype(np.int64)


def rates(topics: Sequence[str], probability: Floats, y: Floats) -> dict[str, Rate]:
    """Return predicted and observed rates of the topics that have a known label; `probability` and y (n, n_topics), NaN for unknown."""
    found = {}
    for number, topic in enumerate(topics):
        known = ~np.isnan(y[:, number])
        if known.any():
            found[topic] = Rate(int(known.sum()), float(probability[known, number].mean()), float(y[known, number].mean()))
    return found


def _moved(dataset: AffinityDataset, features: Mapping[str, Bins], people: int) -> dict[str, Usual]:
    train = dataset.train
    past = train.as_ofs < dataset.test.as_ofs.max()
    return {name: usual(bins, people, train.X[name].to_numpy()[past], train.block[past]) for name, bins in features.items()}


def _time(moment: np.datetime64) -> datetime:
    found: datetime = moment.astype("datetime64[us]").item()
    return found.replace(tzinfo=UTC)
