# %% [markdown]
# How much does `TopicAffinity` cost over plain LightGBM on the same rows, and how fast are everybody's topics scored?
#
# Subject: `models.affinity.TopicAffinity.fit`, all of it: pooled rows, trees, calibration, intervals, and how far levels move. Peer: LightGBM
# itself, given the pooled rows of the training blocks as one float32 matrix, with the same parameters, labels and number of trees, and nothing
# else; the time it takes to make that matrix is not counted. The rows: a million known pairs of person and topic to grow on, 200 pooled columns,
# twelve topics, six blocks of time, and a seventh that calibrates. Each case runs in a process of its own, twice, and the faster run counts; memory
# is the process's peak resident size less what it had before the fit.
#
# Then the scores of all twelve topics for 1,000,000 people, in one pass, with intervals.
#
# `python experiments/benchmarks/affinity/run.py [--rows N] [--people N]`

# ruff: noqa: PLC0415  each case loads only what it uses, so that the memory measured is its own

# %%
from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT))
TOPICS = tuple(f"topic_{number}" for number in range(12))
OWN, BLOCKS, WIDTH = 14, 7, 200
"""Templates of a topic's own columns; blocks of time, the last of which calibrates; pooled columns."""
RUNS = 2


# %% The rows: tastes, counts that follow them, and columns that say nothing


def columns() -> list[str]:
    wide = "kind=any-engagement|channel=any"
    own = [f"count|{wide}|topic={topic}|window=all" for topic in TOPICS]
    own += [f"share|{wide}|topic={topic}|window=all" for topic in TOPICS]
    own += [f"decayed|{wide}|topic={topic}|half_life=30d" for topic in TOPICS]
    own += [f"count|{wide}|topic={topic}|window={days}d" for days in range(10, 10 * (OWN - 2), 10) for topic in TOPICS]
    general = WIDTH - 1 - OWN - 2 * len(TOPICS) - 4 - 2
    return [*own, f"count|{wide}|topic=any|window=all", *(f"value_{number}" for number in range(general - 1))]


def rows(people: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a matrix (people, columns), labels (people, topics) and blocks (people,), people in order of their block."""
    from scipy import special

    random = np.random.default_rng(seed)
    names = columns()
    matrix = np.empty((people, len(names)), dtype=np.float32)
    taste = random.gamma(0.4, 2.0, (people, len(TOPICS)))
    counts = random.poisson(taste).astype(np.float32)
    for template in range(OWN):
        part = slice(template * len(TOPICS), (template + 1) * len(TOPICS))
        if template == 0:
            matrix[:, part] = counts
        elif template == 1:
            matrix[:, part] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        else:
            matrix[:, part] = random.binomial(counts.astype(np.int64), template / (OWN + 1))
    rest = OWN * len(TOPICS)
    matrix[:, rest] = counts.sum(axis=1)
    matrix[:, rest + 1 :] = random.normal(size=(people, len(names) - rest - 1))
    y = (random.random(taste.shape) < special.expit(-3 + 0.8 * np.log1p(taste) + 0.2 * matrix[:, [rest + 1]])).astype(np.float64)
    return matrix, y, np.sort(np.arange(people) % BLOCKS)


# %% The cases


def measured(work: Any) -> dict[str, float]:
    """Return seconds of the fastest of the runs, and peak memory above what there was before."""
    before = memory()
    best = float("inf")
    for _ in range(RUNS):
        begun = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begun)
    return {"seconds": best, "peak": memory() - before}


def memory() -> float:
    """Return the peak resident size in MB."""
    return int(Path("/proc/self/status").read_text(encoding="ascii").partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def ours(folder: Path) -> dict[str, float]:
    import pandas as pd

    from models.affinity import TopicAffinity

    X = pd.DataFrame(np.load(folder / "matrix.npy"), columns=columns(), copy=False)
    y, block = np.load(folder / "y.npy"), np.load(folder / "block.npy")
    made = []
    found = measured(lambda: made.append(TopicAffinity(list(TOPICS), max_rows=None).fit(X, y, block=block)))
    model = made[-1]
    (folder / "model.txt").write_text(model.booster_.model_to_string(), encoding="utf-8")
    (folder / "state.json").write_text(json.dumps(model.to_state()), encoding="utf-8")
    return found | {"width": float(model.layout_.width)}


def plain(folder: Path) -> dict[str, float]:
    import lightgbm as lgb

    given = json.loads((folder / "plain.json").read_text(encoding="utf-8"))
    matrix, y = np.load(folder / "pooled.npy"), np.load(folder / "pooled_y.npy")

    def train() -> None:
        data = lgb.Dataset(matrix, y, categorical_feature=[0], params=dict(given["parameters"]))
        lgb.train(dict(given["parameters"]), data, given["num_trees"])

    return measured(train) | {"pairs": float(len(matrix)), "matrix": matrix.nbytes / 1e6}


def scores(folder: Path) -> dict[str, float]:
    import lightgbm as lgb
    import pandas as pd

    from models.affinity import TopicAffinity

    booster = lgb.Booster(model_str=(folder / "model.txt").read_text(encoding="utf-8"))
    model = TopicAffinity.from_state(json.loads((folder / "state.json").read_text(encoding="utf-8")), booster)
    X = pd.DataFrame(np.load(folder / "people.npy", mmap_mode="r"), columns=columns(), copy=False)
    before, begun = memory(), time.perf_counter()
    margins = model.predict_margin(X)
    for topic in range(len(TOPICS)):
        model.intervals_.predict(margins[:, topic], topic)
    return {"seconds": time.perf_counter() - begun, "peak": memory() - before}


# %% The parent


def prepare(folder: Path, pairs: int, people: int) -> None:
    """Write the rows, and the pooled rows that plain LightGBM gets: those of the blocks before the last."""
    from models.affinity import TopicAffinity
    from models.labels import Labels

    matrix, y, block = rows(round(pairs / len(TOPICS) * BLOCKS / (BLOCKS - 1)), 0)
    np.save(folder / "matrix.npy", matrix)
    np.save(folder / "y.npy", y)
    np.save(folder / "block.npy", block)
    model = TopicAffinity(list(TOPICS))
    labels = Labels.of(y, TOPICS, columns(), n_rows=len(matrix), groups=None, block=block, sample_weight=None)
    layout = model.layout_for(matrix, labels, tuple(columns()))
    grown = np.flatnonzero(block < BLOCKS - 1)
    pooled = np.lib.format.open_memmap(folder / "pooled.npy", mode="w+", dtype=np.float32, shape=(len(grown) * len(TOPICS), layout.width))
    for topic in range(len(TOPICS)):
        pooled[topic * len(grown) : (topic + 1) * len(grown)] = layout.rows(matrix[grown], topic)
    pooled.flush()
    np.save(folder / "pooled_y.npy", y[grown].T.ravel())
    given = {"parameters": model.tree_parameters(layout), "num_trees": model.num_trees}
    (folder / "plain.json").write_text(json.dumps(given), encoding="utf-8")
    many = np.lib.format.open_memmap(folder / "people.npy", mode="w+", dtype=np.float32, shape=(people, matrix.shape[1]))
    for first in range(0, people, len(matrix)):
        many[first : first + len(matrix)] = matrix[: min(len(matrix), people - first)]
    many.flush()


def run(case: str, folder: Path) -> dict[str, float]:
    print(f"-- {case}", file=sys.stderr, flush=True)
    done = subprocess.run([sys.executable, __file__, "--child", case, "--folder", folder], check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"   {found}", file=sys.stderr, flush=True)
    return found


def result(
    case: str, metric: str, unit: str, value: float, *, peer: str = "none", peer_value: float | None = None, target: str | None = None
) -> dict[str, Any]:
    ratio = None if peer_value is None else round(peer_value / value, 3)
    theirs = None if peer_value is None else round(peer_value, 3)
    row = {"case": case, "subject": "TopicAffinity", "peer": peer, "metric": metric, "unit": unit, "value": round(value, 3), "peer_value": theirs}
    return row | {"ratio": ratio, "target": target, "machine": f"{platform.machine()}, {os.cpu_count()} cores", "date": datetime.now(UTC).date().isoformat()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000, help="pairs of person and topic to grow on")
    parser.add_argument("--people", type=int, default=1_000_000, help="people to score")
    parser.add_argument("--child", choices=["ours", "plain", "scores"])
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.child:
        print(json.dumps({"ours": ours, "plain": plain, "scores": scores}[given.child](given.folder)))
        return
    with tempfile.TemporaryDirectory() as passing:
        folder = Path(passing)
        prepare(folder, given.rows, given.people)
        theirs, mine = run("plain", folder), run("ours", folder)
        scored = run("scores", folder)
    case = f"{int(theirs['pairs']):,} pairs of person and topic, {int(mine['width'])} columns"
    peer = "LightGBM on a pooled matrix"
    all_of_it, above = "time to fit, with calibration and intervals", "peak memory above the input"
    everyone = f"{given.people:,} people, {len(TOPICS)} topics"
    results = [
        result(case, all_of_it, "s", mine["seconds"], peer=peer, peer_value=theirs["seconds"], target="ratio >= 0.909 (1.10 times)"),
        result(case, above, "MB", mine["peak"], peer=peer, peer_value=theirs["peak"]),
        result(case, above, "MB", mine["peak"], peer="the pooled matrix itself", peer_value=theirs["matrix"], target="ratio >= 0.667 (1.5 times)"),
        result(everyone, "time to score, with intervals", "s", scored["seconds"]),
        result(everyone, above, "MB", scored["peak"]),
    ]
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
