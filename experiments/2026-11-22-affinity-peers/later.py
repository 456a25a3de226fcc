"""Rolling origins where people come, act for an hour and are gone: the training people came before, the test people came after.

People are sorted into blocks of equal number by when they first came, in real time. At an origin those of one block are tested, and learned is
from those of the blocks before it, as far as their labels were complete when the first of the tested was to be judged. So a person is on one side only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

CUTS = (0.0, 0.3, 0.5, 0.7)
"""Parts of a person's events that precede a row; the first is the person of whom nothing is known yet."""
BEFORE, NEXT = 5, 10
"""Events that precede a later cut at least, and events that the label looks at."""
BLOCKS, ORIGINS = 6, 3


def cuts(n: int) -> list[int]:
    """Return after how many of a person's `n` events there is a row: `NEXT` follow, and none or at least `BEFORE` precede."""
    places = {int(n * part) for part in CUTS}
    return sorted(cut for cut in places if (cut == 0 or cut >= BEFORE) and n - cut >= NEXT)


def at_cuts(events: pd.DataFrame, hits: pd.DataFrame, *, least: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return rows (person_id, as_of, arrived, began, ended, block) and their labels: at least `least` of the next `NEXT` events hit the topic.

    `events` are in the order of each person, with person_id, occurred_at (the clock of the features) and seconds (real time); `hits` are theirs, true
    or false, with a column per topic. `arrived` is when the person's first event was, `began` and `ended` when the first and the last of the next
    were, in real time.
    """
    found = hits.to_numpy(dtype=bool)
    times, seconds = events["occurred_at"].to_numpy(), events["seconds"].to_numpy()
    rows, labels = [], []
    for person, places in events.groupby("person_id", sort=True).indices.items():
        for cut in cuts(len(places)):
            coming = places[cut : cut + NEXT]
            rows.append((person, times[coming[0]], seconds[places[0]], seconds[coming[0]], seconds[coming[-1]]))
            labels.append(found[coming].sum(axis=0) >= least)
    frame = pd.DataFrame(rows, columns=["person_id", "as_of", "arrived", "began", "ended"])
    frame["as_of"] = pd.to_datetime(frame["as_of"], utc=True)
    frame["block"] = blocks_of(frame["person_id"].to_numpy(dtype=str), frame["arrived"].to_numpy())
    return frame, pd.DataFrame(np.array(labels, dtype=bool).reshape(len(rows), hits.shape[1]), columns=hits.columns)


def blocks_of(person: Sequence[str] | NDArray, arrived: NDArray, blocks: int = BLOCKS) -> Integers:
    """Return the block (n,) in 0 … blocks - 1 of each row: people in the order of their arrival, in equal numbers."""
    people, first, codes = np.unique(np.asarray(person), return_index=True, return_inverse=True)
    rank = np.empty(len(people), dtype=np.int64)
    rank[np.lexsort((people, np.asarray(arrived)[first]))] = np.arange(len(people))
    return (rank * blocks // max(len(people), 1))[codes]


def origins(block: Integers, began: NDArray, ended: NDArray, last: int = ORIGINS) -> Iterator[tuple[int, Flags, Flags]]:
    """Yield the block that is tested, which rows (n,) are learned from and which are tested, for the `last` blocks."""
    highest = int(block.max())
    for origin in range(highest - last + 1, highest + 1):
        test = block == origin
        yield origin, (block < origin) & (ended < began[test].min()), test


def label_file(rows: pd.DataFrame, labels: pd.DataFrame, train: Flags, test: Flags) -> pd.DataFrame:
    """Return the labels of one origin as `audience train --labels` reads them: person_id, as_of, split, block, topic, label.

    `rows` have a block; `labels` have a column per topic.
    """
    kept = train | test
    keys = rows.loc[kept, ["person_id", "as_of", "block"]].assign(split=np.where(test[kept], "test", "train"))
    wide = labels[kept].astype(int)
    return pd.concat([keys, wide], axis=1).melt(id_vars=list(keys), var_name="topic", value_name="label")
