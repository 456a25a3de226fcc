# %% [markdown]
# Do the intervals of topic affinity hold what they say they hold, later in time? README.md has the question; this writes its result.
#
# `python experiments/2026-11-22-affinity-intervals/run.py [--campaigns N] [--people N]`

# %%
from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from scipy import stats

from features.imports import import_files
from features.workspace import Workspace
from models.affinity import TopicAffinity
from training.config import AffinityConfig
from training.experiment import write_results
from training.fit import parents
from training.simulation import UNTIL, simulate, write
from training.snapshots import AffinityDataset, affinity_dataset

Floats = np.ndarray[Any, np.dtype[np.float64]]
TENTHS = 10
NAMES = {
    "true rate": "groups whose true rate lies in the interval",
    "observed rate": "groups whose observed rate does, its own noise added",
    "width": "mean width of the interval",
    "steps": "how far levels move between blocks, as learned (log-odds)",
    "true rate, two blocks later": "the same two blocks after the latest known one: true rate",
    "observed rate, two blocks later": "observed rate, two blocks later",
    "width, two blocks later": "mean width, two blocks later",
    "served": "mean probability served",
    "true": "mean true probability",
}
NOW = datetime(2026, 11, 22, tzinfo=UTC)


# %% One campaign: its history comes in as a user's would, the model is trained with its defaults


def campaign(folder: Path, people: int, seed: int, config: AffinityConfig) -> tuple[TopicAffinity, AffinityDataset, Floats]:
    """Return the model, its dataset and the true probabilities (n_test, n_topics)."""
    simulation = simulate(people=people, seed=seed)
    write(simulation, folder)
    workspace = Workspace.open(folder)
    for file in sorted((folder / "raw").iterdir()):
        import_files(workspace, file.name.split("-")[0].split(".")[0], [file], now=NOW)
    dataset = affinity_dataset(workspace, config, now=UNTIL)
    model = TopicAffinity(list(dataset.topics), parents=parents(workspace, dataset.topics))
    model.fit(dataset.train.X, dataset.train.y, groups=dataset.train.person_ids, block=dataset.train.block)
    (as_of,) = np.unique(dataset.test.as_ofs)
    moment = as_of.astype("datetime64[us]").item().replace(tzinfo=UTC)
    told = simulation.affinity(moment, horizon_days=config.horizon_days, gap_days=config.gap_days).to_pandas()
    true = told.pivot_table(index="person_id", columns="topic", values="probability").loc[dataset.test.person_ids, list(dataset.topics)]
    return model, dataset, true.to_numpy()


def coverage(model: TopicAffinity, dataset: AffinityDataset, true: Floats) -> dict[str, float]:
    """Return which share of the groups (a tenth of a topic's scores) have their true rate, and their observed one, in their interval.

    A group's interval is the mean of its people's. The observed rate of so many people has noise of its own, which is added in quadrature.
    """
    bounds, z = model.predict_interval(dataset.test.X), float(stats.norm.ppf(0.5 + model.coverage / 2))
    served = model.predict_proba(dataset.test.X)
    holds: dict[str, list[bool]] = {"true rate": [], "observed rate": []}
    widths = []
    for topic in range(len(model.topics_)):
        for group in np.array_split(np.argsort(served[:, topic], kind="stable"), TENTHS):
            low, high = bounds[group, topic].mean(axis=0)
            mean = served[group, topic].mean()
            holds["true rate"].append(bool(low <= true[group, topic].mean() <= high))
            noise = z * np.sqrt(mean * (1 - mean) / len(group))
            observed = float(np.nanmean(dataset.test.y[group, topic]))
            reach = np.hypot(mean - low if observed < mean else high - mean, noise)
            holds["observed rate"].append(bool(abs(observed - mean) <= reach))
            widths.append(high - low)
    return {name: float(np.mean(each)) for name, each in holds.items()} | {"width": float(np.mean(widths)), "steps": model.steps_.sd}


def one_block_earlier(dataset: AffinityDataset, topics_parents: dict[str, str]) -> TopicAffinity:
    """Return a model that knows nothing of the latest block, and is told that its predictions are used two blocks after its own latest."""
    train = dataset.train
    kept = train.block < train.block.max()
    model = TopicAffinity(list(dataset.topics), parents=topics_parents, lead=2.0)
    return model.fit(train.X[kept], train.y[kept], groups=train.person_ids[kept], block=train.block[kept])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--campaigns", type=int, default=12)
    parser.add_argument("--people", type=int, default=6_000)
    parser.add_argument("--first", type=int, default=300, help="seed of the first campaign")
    given = parser.parse_args()
    config, found = AffinityConfig(), []
    for seed in range(given.first, given.first + given.campaigns):
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory() as passing:
            model, dataset, true = campaign(Path(passing) / "campaign", given.people, seed, config)
            line = {"seed": seed, **coverage(model, dataset, true)}
            earlier = coverage(one_block_earlier(dataset, dict(model.parents)), dataset, true)
            line |= {f"{name}, two blocks later": earlier[name] for name in ("true rate", "observed rate", "width")}
            line |= {"served": float(model.predict_proba(dataset.test.X).mean()), "true": float(true.mean())}
        found.append(line)
        print(f"{line} ({time.perf_counter() - begun:.0f} s)", file=sys.stderr, flush=True)
    summary: list[dict[str, object]] = []
    for name in (name for name in found[0] if name != "seed"):
        values = np.array([line[name] for line in found])
        error = values.std(ddof=1) / np.sqrt(len(values))
        summary.append(
            {"": NAMES[name], "mean": f"{values.mean():.3f}", "standard error": f"{error:.3f}", "range": f"{values.min():.3f} to {values.max():.3f}"}
        )
    write_results(HERE, {f"{given.campaigns} campaigns of {given.people:,} people, intervals stated at 90%": summary})


if __name__ == "__main__":
    main()
