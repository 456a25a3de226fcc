# %% [markdown]
# Do the intervals of topic affinity hold what they say they hold, later in time? README.md has the question; this writes its result.
#
# `python experiments/2026-11-22-affinity-intervals/run.py [--campaigns N] [--people N] [--only campaigns|real]`

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
PEERS = ROOT / "experiments" / "2026-11-22-affinity-peers"
"""Whose rolling origins on real data are these."""
sys.path[:0] = [str(ROOT), str(PEERS)]

from rows import DATA, Options
from scipy import special, stats

from features.imports import import_files
from features.workspace import Workspace
from models.affinity import TopicAffinity
from models.levels import steps_ahead
from training.config import AffinityConfig
from training.experiment import write_results
from training.fit import parents
from training.real_data import RealDataError
from training.simulation import UNTIL, simulate, write
from training.snapshots import AffinityDataset, affinity_dataset

Floats = np.ndarray[Any, np.dtype[np.float64]]
TENTHS, FIFTHS = 10, 5
"""Groups of a topic's people by their scores: of a simulated campaign, and of the few people of a real block."""
REAL = ("movielens-later", "polis-austria", "polis-biodiversity")
QUANTILES = (np.arange(200) + 0.5) / 200
"""At which a distribution is averaged over."""
NAMES = {
    "true rate": "groups whose true rate lies in the interval",
    "observed rate": "groups whose observed rate lies in what the interval foretells for so many people",
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


def coverage(model: TopicAffinity, dataset: AffinityDataset, true: Floats, generator: np.random.Generator) -> dict[str, float]:
    """Return which share of the groups (a tenth of a topic's scores) have their true rate, and their observed one, in their interval.

    A group's interval is the mean of its people's. So few people's observed rate has noise of its own: see `surprise`.
    """
    bounds, served = model.predict_interval(dataset.test.X), model.predict_proba(dataset.test.X)
    holds: dict[str, list[bool]] = {"true rate": [], "observed rate": []}
    widths = []
    for topic in range(len(model.topics_)):
        for group in np.array_split(np.argsort(served[:, topic], kind="stable"), TENTHS):
            low, high = bounds[group, topic].mean(axis=0)
            holds["true rate"].append(bool(low <= true[group, topic].mean() <= high))
            known = dataset.test.y[group, topic][~np.isnan(dataset.test.y[group, topic])]
            rank = surprise(int(known.sum()), len(known), (low, high), model, generator)
            holds["observed rate"].append(abs(rank - 0.5) <= model.coverage / 2)
            widths.append(high - low)
    return {name: float(np.mean(each)) for name, each in holds.items()} | {"width": float(np.mean(widths)), "steps": model.steps_[0].sd}


def surprise(events: int, people: int, interval: tuple[float, float], model: TopicAffinity, generator: np.random.Generator) -> float:
    """Return where, in [0, 1], the number of events lies in what the interval foretells; uniform if the interval is right.

    The logit of the rate has the t-distribution of that interval, with the degrees of freedom of the moves of levels, and events are binomial given the rate;
    between equal numbers it is drawn (randomised probability integral transform), since a group of 150 people with a rate of 1% has one event or two, and no
    share of such groups is exactly 90%.
    """
    ends, freedom = special.logit(interval), steps_ahead(model.steps_, model.lead).freedom
    logits = ends.mean() + (ends[1] - ends[0]) / 2 * stats.t.ppf(QUANTILES, freedom) / stats.t.ppf(0.5 + model.coverage / 2, freedom)
    below, up_to = (float(stats.binom.cdf(events - short, people, special.expit(logits)).mean()) for short in (1, 0))
    return below + float(generator.random()) * (up_to - below)


def one_block_earlier(dataset: AffinityDataset, topics_parents: dict[str, str]) -> TopicAffinity:
    """Return a model that knows nothing of the latest block, and is told that its predictions are used two blocks after its own latest."""
    train = dataset.train
    kept = train.block < train.block.max()
    model = TopicAffinity(list(dataset.topics), parents=topics_parents, lead=2.0)
    return model.fit(train.X[kept], train.y[kept], groups=train.person_ids[kept], block=train.block[kept])


# %% Real people, later in time: rolling origins of the peers' experiment, where only what they did is known


def real(name: str) -> dict[str, object]:
    """Return how many groups of people in later blocks did what their intervals foretell, at every origin of a real data set."""
    title, make = DATA[name]
    with tempfile.TemporaryDirectory() as passing:
        origins = make(Path(passing), Options())
    held, widths = [], []
    for number, origin in enumerate(origins):
        train, test = origin.dataset.train, origin.dataset.test
        model = TopicAffinity(list(origin.dataset.topics), parents=origin.parents)
        model.fit(train.X, train.y, groups=train.person_ids, block=train.block)
        generator = np.random.default_rng(number)
        one = one_row_each(test.person_ids, generator)
        bounds, served, y = model.predict_interval(test.X)[one], model.predict_proba(test.X)[one], test.y[one]
        inside = []
        for topic in range(served.shape[1]):
            known = np.flatnonzero(~np.isnan(y[:, topic]))
            for group in np.array_split(known[np.argsort(served[known, topic], kind="stable")], FIFTHS):
                if len(group):
                    low, high = bounds[group, topic].mean(axis=0)
                    rank = surprise(int(y[group, topic].sum()), len(group), (low, high), model, generator)
                    inside.append(abs(rank - 0.5) <= model.coverage / 2)
                    widths.append(high - low)
        held.append(inside)
    return {
        "": title,
        "blocks tested": len(origins),
        "groups": sum(map(len, held)),
        "share that did what was foretold": f"{np.mean(np.concatenate(held)):.3f}",
        "by block": ", ".join(f"{np.mean(each):.2f}" for each in held),
        "mean width": f"{np.mean(widths):.3f}",
    }


def one_row_each(people: np.ndarray[Any, Any], generator: np.random.Generator) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return one row of each person, drawn at random: several rows of one person are one person's answer, told again."""
    shuffled = generator.permutation(len(people))
    return np.sort(shuffled[np.unique(people[shuffled], return_index=True)[1]])


# %% All of it


def campaigns(given: argparse.Namespace) -> list[dict[str, object]]:
    """Return coverage over simulated campaigns, as a table."""
    config, found = AffinityConfig(), []
    for seed in range(given.first, given.first + given.campaigns):
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory() as passing:
            model, dataset, true = campaign(Path(passing) / "campaign", given.people, seed, config)
            generator = np.random.default_rng(seed)
            line = {"seed": seed, **coverage(model, dataset, true, generator)}
            earlier = coverage(one_block_earlier(dataset, dict(model.parents)), dataset, true, generator)
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
    return summary


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--campaigns", type=int, default=16)
    parser.add_argument("--people", type=int, default=6_000)
    parser.add_argument("--first", type=int, default=400, help="seed of the first campaign")
    parser.add_argument("--only", choices=("campaigns", "real"), help="one half of it, printed and not written")
    given = parser.parse_args()
    tables: dict[str, list[dict[str, object]]] = {}
    if given.only != "real":
        tables[f"{given.campaigns} campaigns of {given.people:,} people, intervals stated at 90%"] = campaigns(given)
    if given.only != "campaigns":
        lines = []
        for name in REAL:
            try:
                lines.append(real(name))
                print(lines[-1], file=sys.stderr, flush=True)
            except RealDataError as error:
                print(f"{name} is left out: {error}", file=sys.stderr, flush=True)
        if lines:
            tables["Later people of real data, intervals stated at 90%: groups are a fifth of a topic's people by score, each person once"] = lines
    if given.only is None:
        write_results(HERE, tables)
    else:
        print(tables)


if __name__ == "__main__":
    main()
