"""What a setting of topic affinity is judged by: folds that roll through time, inside the training rows, of people who are not fitted on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.affinity import TopicAffinity
from models.folds import group_codes, grouped_folds
from models.metrics import auc, ndcg_at_k
from training.evaluation import pair_losses
from training.snapshots import Side

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Progress = Callable[[str, float], None] | None

FOLDS = 3
CELLS = 400
"""Groups of people, drawn with the seed, whose losses are kept with a trial: enough to resample, and nobody's own number."""
NDCG_AT = 5


class RollingError(ValueError):
    """There is too little to judge a setting on, or the setting in use cannot be fitted; the message says which."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Rows to fit on (k,) and rows to judge on (m,): later rows of other people or, in a single block, rows of other people."""

    fit: Integers
    judged: Integers


def rolling_folds(block: Integers, part: Integers) -> tuple[Fold, ...]:
    """Return a fold for each part of the people, in time: it judges them in one of the last blocks, and fits on everyone else in the blocks before.

    `block` (n,) rises with time, `part` (n,) is 0 … FOLDS - 1. The last blocks are taken one each, the earliest (and smallest) fit first; with too few
    blocks the first parts share the second one. In a single block a fold fits on everyone else. So nobody is judged by a model that has seen
    them, or anything that came later than they did.
    """
    times = np.unique(block)
    folds = []
    for number in range(FOLDS):
        judged = times[max(len(times) - FOLDS + number, min(1, len(times) - 1))]
        earlier = block < judged if len(times) > 1 else np.ones(len(block), dtype=bool)
        folds.append(Fold(np.flatnonzero((part != number) & earlier), np.flatnonzero((part == number) & (block == judged))))
    return tuple(folds)


class RollingTask:
    """The judging of settings on training rows `train`, by estimators like `base` with another setting; people are cut into FOLDS parts with `seed`.

    Raises RollingError where a fold has nothing to judge on.

    Attributes
    ----------
    folds : tuple of Fold. cells : (n,) the group of people of each row. pairs : (n_cells,) judged pairs of each group. n_people : int.

    """

    def __init__(self, train: Side, base: TopicAffinity, seed: int) -> None:
        codes = group_codes(train.person_ids, len(train))
        self.n_people = int(codes.max(initial=-1)) + 1
        if self.n_people < FOLDS:
            raise RollingError(f"{self.n_people} people to tune on: at least {FOLDS} are needed, and hundreds before a gain can be told from chance")
        self.train = train
        self.base = base
        self.folds = rolling_folds(train.block, grouped_folds(codes, FOLDS, seed))
        n_cells = min(CELLS, self.n_people)
        self.cells = grouped_folds(codes, n_cells, seed + 1)
        self.pairs: Floats = np.zeros(n_cells)
        for number, fold in enumerate(self.folds, 1):
            known = (~np.isnan(train.y[fold.judged])).sum(axis=1)
            if not known.sum():
                raise RollingError(f"fold {number} of {FOLDS} has no known label to judge on. Hint: more people, or more snapshots")
            self.pairs += np.bincount(self.cells[fold.judged], known, n_cells)

    def predictions(self, setting: dict[str, Any], fold: Fold, progress: Progress = None) -> Floats:
        """Return probabilities (m, n_topics) of the fold's judged rows, by a model of this setting. Raises RollingError where it cannot be fitted."""
        train, rows = self.train, fold.fit
        model = TopicAffinity(**self.base.get_params()).set_params(**setting, origins=0)
        try:
            model.fit(train.X.iloc[rows], train.y[rows], groups=train.person_ids[rows], block=train.block[rows], progress=progress)
        except ValueError as error:
            raise RollingError(f"a fold of the training rows cannot be fitted: {error}") from error
        return model.predict_proba(train.X.iloc[fold.judged])


class Judgement:
    """What is known of a setting after some of the folds of `task`.

    Attributes
    ----------
    losses : (n_cells,) summed log loss of each group of people. running : list of the mean log loss of all pairs judged so far, after each fold.

    """

    def __init__(self, task: RollingTask) -> None:
        self._task = task
        self._labels: list[Floats] = []
        self._probabilities: list[Floats] = []
        self._pairs = 0.0
        self.losses: Floats = np.zeros(len(task.pairs))
        self.running: list[float] = []

    def add(self, fold: Fold, probability: Floats) -> float:
        """Add the probabilities (m, n_topics) of a fold's judged rows; return the mean log loss so far."""
        y = self._task.train.y[fold.judged]
        loss, known = pair_losses(y, probability)
        self.losses += np.bincount(self._task.cells[fold.judged], loss, len(self.losses))
        self._pairs += float(known.sum())
        self._labels.append(y)
        self._probabilities.append(probability)
        self.running.append(float(self.losses.sum() / self._pairs))
        return self.running[-1]

    def measures(self) -> dict[str, float]:
        """Return log loss, micro AUC and NDCG of the pairs judged so far; what cannot be said (one label only) is left out."""
        y, p = np.concatenate(self._labels), np.concatenate(self._probabilities)
        known = ~np.isnan(y)
        found = {"log_loss": self.running[-1], "auc_micro": auc(y[known], p[known]), f"ndcg_{NDCG_AT}": ndcg_at_k(y, p, NDCG_AT)}
        return {name: value for name, value in found.items() if np.isfinite(value)}
