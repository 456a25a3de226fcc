"""What more rows bring: the same recipe fitted on parts of the training rows, each judged on all of the test rows.

The work is bounded: a handful of models, none of more rows than training has. A training run does it only when it is asked to
(`learning_curve = true` under `[training.affinity]`); a notebook calls `learning_curve` itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from models.affinity import TopicAffinity
from models.metrics import Estimate, ndcg_rows
from training.config import AffinityConfig
from training.evaluation import pair_losses
from training.resampling import PersonBootstrap
from training.snapshots import AffinityDataset, Side, held_apart

Progress = Callable[[str, float], None] | None
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MOST_POINTS = 5
STAGE = "learning curve"


@dataclass(frozen=True, slots=True)
class LearningPoint:
    """What a model of the rows of the latest `blocks` blocks and of a `share` of the people reaches on the test rows.

    `log_loss` is in nats per pair, `ndcg_5` in [0, 1]; `excess` is the log loss less that of the last point on the same pairs, paired: what
    the rows that this model lacks would have brought.
    """

    blocks: int
    share: float
    rows: int
    log_loss: Estimate
    ndcg_5: Estimate
    excess: Estimate


def learning_curve(
    dataset: AffinityDataset,
    config: AffinityConfig,
    *,
    shares: Sequence[float] | None = None,
    points: int = MOST_POINTS,
    whole: TopicAffinity | None = None,
    progress: Progress = None,
) -> list[LearningPoint]:
    """Return at most `points` points, from the fewest rows to all of them: models of the latest 1, 2, … blocks, evenly spread.

    With `shares` in (0, 1] of the people, or where the training rows are of one block, models of more and more people instead, of all blocks; the
    people of a share are among those of a larger one. The last point is always of all rows; `whole` is its model where that is fitted already, and
    the others then have its parameters. Without it the recipe is that of a training: the configuration's parameters, and the parents of the dataset's
    topics. A part too small to fit on is left out. Intervals are over people, as in `training.evaluation`. Raises ValueError for shares or points that
    cannot be.
    """
    if not 1 <= points <= MOST_POINTS:
        raise ValueError(f"points must lie in [1, {MOST_POINTS}], so that the work stays bounded: given {points}")
    parts, found = _parts(dataset.train, config, shares, points), []
    recipe = whole or TopicAffinity(list(dataset.topics), parents=dict(dataset.parents), random_state=config.seed).set_params(**config.model)
    for number, (blocks, share, rows) in enumerate(parts):
        if progress is not None:
            progress(STAGE, number / len(parts))
        last = number == len(parts) - 1
        try:
            model = whole if last and whole is not None else _fitted(clone(recipe), dataset.train, rows)
        except ValueError:
            if last:
                raise
            continue  # so few rows that a label or a topic is missing among them
        found.append((blocks, share, int(rows.sum()), np.asarray(model.predict_proba(dataset.test.X), dtype=np.float64)))
    if progress is not None:
        progress(STAGE, 1.0)
    return _judged(dataset.test, config, found)


def _parts(train: Side, config: AffinityConfig, shares: Sequence[float] | None, points: int) -> list[tuple[int, float, Flags]]:
    """Return (blocks, share, rows) of the parts, rising to all rows; `rows` (n,) says which are in it."""
    blocks = np.unique(train.block)
    if shares is None and len(blocks) > 1:
        counts = np.unique(np.linspace(1 if points > 1 else len(blocks), len(blocks), points).round().astype(np.int64))
        return [(int(count), 1.0, train.block >= blocks[-count]) for count in counts]
    wanted = np.unique([*(np.arange(1, points + 1) / points if shares is None else shares), 1.0])
    if not (wanted[0] > 0 and wanted[-1] <= 1 and len(wanted) <= MOST_POINTS):
        raise ValueError(f"shares are at most {MOST_POINTS} parts of the people in (0, 1], all of them (1) being one: given {shares}")
    # people are drawn by another key than the one that set the test's people apart
    return [(len(blocks), float(share), held_apart(train.person_ids, share=float(share), seed=config.seed + 1)) for share in wanted]


def _fitted(model: TopicAffinity, train: Side, rows: Flags) -> TopicAffinity:
    return model.fit(train.X.loc[rows], train.y[rows], groups=train.person_ids[rows], block=train.block[rows])


def _judged(test: Side, config: AffinityConfig, found: Sequence[tuple[int, float, int, Floats]]) -> list[LearningPoint]:
    boot = PersonBootstrap(test.person_ids, draws=config.draws, seed=config.seed, coverage=config.gate.coverage)
    best, _ = pair_losses(test.y, found[-1][3])
    points = []
    for blocks, share, rows, p in found:
        losses, counts = pair_losses(test.y, p)
        ranked = ndcg_rows(test.y, p, 5)
        points.append(
            LearningPoint(
                blocks,
                share,
                rows,
                log_loss=boot.mean("log_loss", losses, counts),
                ndcg_5=boot.mean("ndcg_5", np.nan_to_num(ranked), (~np.isnan(ranked)).astype(np.float64)),
                excess=boot.mean("log_loss_excess", losses - best, counts),
            )
        )
    return points
