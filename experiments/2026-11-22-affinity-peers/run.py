# %% [markdown]
# Topic affinity and what else could be built, on the same rows: `python experiments/2026-11-22-affinity-peers/run.py [--data NAME …] [--peers NAME …]`.
#
# The rows of a data set are made once; each peer then runs in a process of its own, which is given the training rows and the vectors of the test rows, and
# nothing else. Time is that of fitting and predicting at all origins of the data set, loading of libraries and rows left out; memory is the peak resident
# size of the process, pages of mapped files included. Predictions are judged here, all by the same draws of people. Results are written after each data set.

# ruff: noqa: PLC0415  a peer's process loads only what the peer uses, so that the memory measured is its own

# %%
from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LIMIT_S = 1_500
"""A peer that takes longer on a data set is ended."""
DRAWS, COVERAGE = 400, 0.95
BEGUN = time.monotonic()


def tell(text: str) -> None:
    minutes, seconds = divmod(int(time.monotonic() - BEGUN), 60)
    print(f"[{minutes:02d}:{seconds:02d}] {text}", file=sys.stderr, flush=True)


# %% What a peer's process does


def checked(P: Any, task: Any) -> Any:
    """Return predictions that are probabilities of the task's shape; raises ValueError."""
    shape = (len(task.asked), len(task.topics))
    if P.shape != shape or not ((P >= 0) & (P <= 1)).all():
        raise ValueError(f"probabilities of shape {shape} were wanted")
    return P


def child(spec: Path) -> int:
    """Run a peer at every origin, write its predictions, and print what it cost; print the kind of error where it failed."""
    import numpy as np
    import tasks
    from peers import PEERS

    told = json.loads(spec.read_text(encoding="utf-8"))
    peer, seconds, cpu = PEERS[told["peer"]], 0.0, 0.0
    try:
        for module in peer.needs:
            importlib.import_module(module)
        for number, folder in enumerate(told["tasks"]):
            task = tasks.Task.load(Path(folder))
            begun, busy = time.perf_counter(), time.process_time()
            found = peer.fit_predict(task)
            seconds, cpu = seconds + time.perf_counter() - begun, cpu + time.process_time() - busy
            named = found if isinstance(found, Mapping) else {peer.label: found}
            made = np.stack([checked(P, task) for P in named.values()])
            np.savez(Path(told["out"], f"{number}.npz"), names=np.array(list(named), dtype=str), P=made)
    except Exception as error:  # noqa: BLE001  whatever stops a peer is told in its line of the table
        traceback.print_exc()
        print(json.dumps({"failed": type(error).__name__}))
        return 1
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
    print(json.dumps({"seconds": round(seconds, 2), "cpu": round(cpu, 2), "peak_mb": round(peak, 1)}))
    return 0


# %% What the parent does: rows, processes, figures


def ran(name: str, folders: Sequence[Path], out: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a peer's status and cost, and its predictions (n, T) by name, the test rows of all origins one below the other."""
    import numpy as np
    from peers import PEERS

    python = python_of(elsewhere=PEERS[name].elsewhere)
    if python is None:
        return {"status": "not run: its environment cannot be installed here"}, {}
    out.mkdir(parents=True)
    spec = out / "spec.json"
    spec.write_text(json.dumps({"peer": name, "tasks": [str(folder) for folder in folders], "out": str(out)}), encoding="utf-8")
    tell(f"-- {PEERS[name].label}")
    # two threads of linear algebra wait for each other more than they compute on matrices this small; boosters have threads of their own
    environment = {**os.environ, "PYTHONPATH": "" if PEERS[name].elsewhere else str(ROOT), "PYTHONWARNINGS": "ignore", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run([python, __file__, "--child", spec], cwd=HERE, env=environment, stdout=subprocess.PIPE, text=True, check=False, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return {"status": f"ended after {LIMIT_S} s"}, {}
    lines = done.stdout.splitlines()
    if done.returncode:
        why = json.loads(lines[-1])["failed"] if lines and lines[-1].startswith('{"failed"') else f"exit code {done.returncode}"
        return {"status": f"failed ({why})"}, {}
    cost = json.loads(lines[-1])
    tell(f"   {cost}")
    parts = []
    for number in range(len(folders)):
        with np.load(out / f"{number}.npz", allow_pickle=False) as saved:
            parts.append(dict(zip(saved["names"].tolist(), saved["P"], strict=True)))
    return {"status": "ran", **cost}, {label: np.concatenate([part[label] for part in parts]) for label in parts[0]}


def python_of(*, elsewhere: bool) -> str | None:
    """Return the Python that a peer runs in; None where its environment cannot be installed."""
    from experiments.benchmarks.environments import environment

    return environment("affinity-peers", HERE / "requirements-peers.txt", tell) if elsewhere else sys.executable


def tested(origins: Sequence[Any]) -> Any:
    """Return the test rows of all origins, one below the other, and the parts of them that are told apart."""
    import numpy as np
    import rows
    from report import Tested

    from training.segments import COLD, segments

    sides = [origin.dataset.test for origin in origins]
    whose = [codes[len(origin.dataset.train) :] for origin, codes in zip(origins, rows.numbered(origins), strict=True)]
    place = np.repeat(np.arange(len(sides)), [len(side) for side in sides])
    parts = [segments(side.X) for side in sides]
    said = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Tested(
        y=np.concatenate([side.y for side in sides]),
        person=np.concatenate(whose),
        topics=origins[0].dataset.topics,
        origins={origin.name: place == number for number, origin in enumerate(origins)} if len(origins) > 1 else {},
        segments=said,
        cold=said[COLD],
    )


def compared(name: str, peers: Sequence[str], given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return the figures of every peer on a data set, made in `folder`."""
    import numpy as np
    import rows
    from measures import Judge
    from peers import COMPARED, OURS, PEERS
    from report import TRUTH, found_of

    title, make = rows.DATA[name]
    tell(f"== {title}")
    (folder / "workspace").mkdir(parents=True)
    origins = make(folder / "workspace", rows.Options(given.people, given.pairs))
    folders, judged = rows.save(origins, folder), tested(origins)
    tell(f"   {', '.join(f'{origin.name}: {len(origin.dataset.train):,} rows to learn from, {len(origin.dataset.test):,} tested' for origin in origins)}")
    status, predictions, maps = {}, {}, {}
    for peer in peers:
        label = PEERS[peer].label
        status[label], made = ran(peer, folders, folder / f"out-{peer}")
        (maps if peer == COMPARED else predictions).update(made)
    if all(origin.truth is not None for origin in origins):
        predictions[TRUTH], status[TRUTH] = np.concatenate([origin.truth for origin in origins]), {"status": "known"}
    tell("   judging")
    judge = Judge(judged.y, judged.person, draws=given.draws, coverage=COVERAGE)
    label = PEERS[OURS].label
    figures = found_of(judge, judged, predictions, label)
    told = found_of(judge, judged, maps, next(iter(maps), None))
    failed = {PEERS[COMPARED].label: status.pop(PEERS[COMPARED].label)} if COMPARED in peers else {}
    return {
        "title": title if name != "simulation" else f"{title} of {given.people:,} people",
        "about": about(origins, judged, given),
        "peers": {who: {**state, **figures.get(who, {})} for who, state in status.items()},
        "maps": told or failed,
    }


def about(origins: Sequence[Any], judged: Any, given: argparse.Namespace) -> dict[str, Any]:
    """Return what the figures of a data set are about."""
    import numpy as np

    known = ~np.isnan(judged.y)
    return {
        "people": len(np.unique(judged.person)),
        "rows": len(judged.y),
        "pairs": int(known.sum()),
        "positive": round(float(judged.y[known].mean()), 4),
        "cold": int(judged.cold.sum()),
        "topics": list(judged.topics),
        "origins": {origin.name: {"trained": len(origin.dataset.train), "tested": len(origin.dataset.test)} for origin in origins},
        "features": origins[0].dataset.train.X.shape[1],
        "draws": given.draws,
        "coverage": COVERAGE,
        "most_pairs": given.pairs,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "date": datetime.now(UTC).date().isoformat(),
    }


def written(results: Mapping[str, Any], out: Path) -> None:
    """Write `results.json`, and the tables to README.md where there is one."""
    from peers import OURS, PEERS
    from report import tables

    from training.experiment import compact, write_results

    if (out / "README.md").is_file():
        with contextlib.redirect_stdout(io.StringIO()):  # the tables of all data sets, after each of them
            write_results(out, tables(results, PEERS[OURS].label))
    (out / "results.json").write_text(compact(results), encoding="utf-8")


def main() -> None:
    sys.path.insert(0, str(ROOT))
    import rows
    from peers import OURS, PEERS
    from report import STANDING, tables

    from training.experiment import markdown
    from training.real_data import RealDataError

    usual = rows.Options()
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", nargs="+", choices=list(rows.DATA), default=list(rows.DATA))
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--people", type=int, default=usual.people, help="of the simulation")
    parser.add_argument("--pairs", type=int, default=usual.pairs, help="most (person, topic) pairs on either side of an origin of the simulation")
    parser.add_argument("--draws", type=int, default=DRAWS, help="of people, for the intervals")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of results.json, and of README.md where there is one")
    given = parser.parse_args()
    path = given.out / "results.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for name in given.data:
        try:
            with tempfile.TemporaryDirectory(prefix=f"peers-{name}-") as passing:
                found = compared(name, given.peers, given, Path(passing))
        except RealDataError as error:
            tell(f"== {name} is left out: {error}")
            continue
        results = {key: found if key == name else results[key] for key in rows.DATA if key == name or key in results}
        written(results, given.out)  # so that what takes half an hour is not lost
    print(markdown(tables(results, PEERS[OURS].label)[STANDING]))
    tell("done")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        sys.exit(child(Path(sys.argv[2])))
    main()
