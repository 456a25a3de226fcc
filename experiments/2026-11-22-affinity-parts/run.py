# %% [markdown]
# What the parts of topic affinity bring, and what it says of a topic without a history. README.md has the question; this writes its result.
#
# `python experiments/2026-11-22-affinity-parts/run.py [--data NAME …]`

# %%
from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "experiments" / "2026-11-22-affinity-peers")]

import rows
from measures import Judge
from scipy import special

from models.affinity import TopicAffinity
from models.metrics import auc
from models.pooled import activity_column, topic_of
from models.ranking import TopicRanking
from training.experiment import write_results

Floats = np.ndarray[Any, np.dtype[np.float64]]
DATA = ("movielens-later", "polis-austria", "polis-biodiversity")
DRAWS = 400
PARTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "`refit` off": {"refit": False},
    "thresholds searched (`extra_trees` off)": {"extra_trees": False},
    "no columns of other topics (`n_history = 0`)": {"n_history": 0},
    "no embedding (`n_embedding = 0`)": {"n_embedding": 0},
    "`monotone` on": {"monotone": True},
    "`bag = 5`": {"bag": 5},
}
RANKING = "`TopicRanking`, orders only"


# %% One data set: every part, at every origin


def predicted(origins: Sequence[rows.Origin], parameters: dict[str, Any]) -> Floats:
    """Return probabilities (n, n_topics) of the test rows of all origins, one below the other."""
    found = []
    for origin in origins:
        train = origin.dataset.train
        model = TopicAffinity(list(origin.dataset.topics), parents=origin.parents, **parameters)
        model.fit(train.X, train.y, groups=train.person_ids, block=train.block)
        found.append(model.predict_proba(origin.dataset.test.X))
    return np.concatenate(found)


def ranked(origins: Sequence[rows.Origin]) -> Floats:
    """Return what the ranking head scores, as numbers in (0, 1) that order topics within a row and mean nothing else."""
    found = []
    for origin in origins:
        train = origin.dataset.train
        head = TopicRanking(TopicAffinity(list(origin.dataset.topics), parents=origin.parents))
        head.fit(train.X, train.y, groups=train.person_ids, block=train.block)
        found.append(special.expit(head.predict(origin.dataset.test.X)))
    return np.concatenate(found)


def parts_table(origins: Sequence[rows.Origin]) -> list[dict[str, object]]:
    """Return a line for each part: what changes without it, or with it."""
    whose = [codes[len(origin.dataset.train) :] for origin, codes in zip(origins, rows.numbered(list(origins)), strict=True)]
    judge = Judge(np.concatenate([origin.dataset.test.y for origin in origins]), np.concatenate(whose), draws=DRAWS)
    made = {name: predicted(origins, parameters) for name, parameters in PARTS.items()} | {RANKING: ranked(origins)}
    measured = {name: judge.measured(P) for name, P in made.items()}
    base = measured["as it is"]
    table = []
    for name, found in measured.items():
        line: dict[str, object] = {"": name}
        for measure, words in (("log_loss", "log loss"), ("auc_micro", "micro AUC"), ("ndcg_3", "NDCG@3")):
            if name == RANKING and measure != "ndcg_3":
                line[words] = ""
                continue
            change = judge.estimate(measure, found[measure] - base[measure])
            line[words] = f"{found[measure][0]:.4f}" if name == "as it is" else f"{change.value:+.4f} [{change.low:+.4f}, {change.high:+.4f}]"
        table.append(line)
    return table


# %% A topic without a history


def unknown(X: Any, topic: str) -> Any:
    """Return the vectors with nothing in the topic's own columns: no counts, and everything else missing."""
    emptied = X.copy()
    for name in X.columns:
        if topic_of(name) == topic:
            emptied[name] = np.float32(0) if name.startswith("count|") else np.float32(np.nan)
    return emptied


def new_topics(origins: Sequence[rows.Origin]) -> dict[str, float]:
    """Return mean AUC over topics and origins: by a model that knew the topic, by one that did not, and by activity."""
    found: dict[str, list[float]] = {"known": [], "new": [], "activity": []}
    for origin in origins:
        train, test, topics = origin.dataset.train, origin.dataset.test, origin.dataset.topics
        known = TopicAffinity(list(topics), parents=origin.parents).fit(train.X, train.y, groups=train.person_ids, block=train.block)
        P = known.predict_proba(test.X)
        column = activity_column(tuple(test.X.columns))
        assert column is not None
        for number, topic in enumerate(topics):
            labels = test.y[:, number]
            there = ~np.isnan(labels)
            if len(np.unique(labels[there])) < 2:
                continue
            y = train.y.copy()
            y[:, number] = np.nan
            model = TopicAffinity(list(topics), parents=origin.parents, num_trees=300, learning_rate=0.05)
            model.fit(unknown(train.X, topic), y, groups=train.person_ids, block=train.block)
            fresh = model.predict_proba(unknown(test.X, topic))[:, number]
            scores = {"known": P[:, number], "new": fresh, "activity": test.X.iloc[:, column].to_numpy(dtype=np.float64)}
            for name, score in scores.items():
                found[name].append(auc(labels[there], score[there]))
    return {name: float(np.mean(values)) for name, values in found.items()} | {"topics": float(len(found["new"]))}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    given = parser.parse_args()
    tables: dict[str, list[dict[str, object]]] = {}
    fresh: list[dict[str, object]] = []
    for name in given.data:
        begun, (title, make) = time.perf_counter(), rows.DATA[name]
        with tempfile.TemporaryDirectory(prefix=f"parts-{name}-") as passing:
            origins = make(Path(passing), rows.Options())
            tables[title] = parts_table(origins)
            found = new_topics(origins)
        fresh.append(
            {
                "": title,
                "topics at origins": int(found["topics"]),
                "topic known": f"{found['known']:.3f}",
                "topic new": f"{found['new']:.3f}",
                "by activity alone": f"{found['activity']:.3f}",
            }
        )
        print(f"{title}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    write_results(HERE, {"A topic without a history: mean AUC": fresh, **tables})


if __name__ == "__main__":
    main()
