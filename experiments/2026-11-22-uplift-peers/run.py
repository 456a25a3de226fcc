# %% [markdown]
# Persuadability and what else could be used, on the same experiments: `python experiments/2026-11-22-uplift-peers/run.py [--data NAME …] [--peers NAME …]`.
#
# Each peer runs in a process of its own for each data set, which is given the tasks and nothing else. Time is that of fitting and predicting, loading of
# libraries and rows left out; memory is the peak resident size of the process. Results are written after each data set; simulated experiments and deals, which
# take hours, are kept one by one in `draws/` of the folder of results, and an interrupted run goes on with the next.

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
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LIMIT_S = 1_200
"""A peer that takes longer on a data set is ended; the tasks it has done count."""
DRAWS, DEALS = 200, 100
"""Simulated experiments of each kind for the coverage of intervals; deals of the arms for what the gate lets through."""
CHOICES, COVERAGE, SHUFFLED = "choices", "coverage", "shuffled"
BEGUN = time.monotonic()


def tell(text: str) -> None:
    minutes, seconds = divmod(int(time.monotonic() - BEGUN), 60)
    print(f"[{minutes:02d}:{seconds:02d}] {text}", file=sys.stderr, flush=True)


# %% What a peer's process does


def child(spec: Path) -> int:
    """Run a peer on each task, write what it made, and after each task what it cost so far; print the kind of error where it failed."""
    from peers import PEERS
    from tasks import Task

    told = json.loads(spec.read_text(encoding="utf-8"))
    peer, seconds, cpu, out = PEERS[told["peer"]], [], [], Path(told["out"])
    try:
        for module in peer.needs:
            importlib.import_module(module)
        loaded = memory("VmRSS")
        for number, path in enumerate(told["tasks"]):
            task = Task.load(Path(path))
            begun, busy = time.perf_counter(), time.process_time()
            made = peer.make(task)
            seconds.append(time.perf_counter() - begun)
            cpu.append(time.process_time() - busy)
            made.save(out / f"{number}.npz")
            cost = {"seconds": sum(seconds) / len(seconds), "cpu": sum(cpu) / len(cpu), "peak_mb": memory("VmHWM"), "loaded_mb": loaded}
            (out / "cost.json").write_text(json.dumps(cost), encoding="utf-8")
    except Exception as error:  # noqa: BLE001  whatever stops a peer is told in its line of the table
        traceback.print_exc()
        print(json.dumps({"failed": type(error).__name__}))
        return 1
    return 0


def memory(line: str) -> float:
    """Return a line of the process's status, such as its peak resident size (`VmHWM`), in MB."""
    return int(Path("/proc/self/status").read_text(encoding="ascii").partition(f"{line}:")[2].split()[0]) * 1024 / 1e6


# %% What the parent does: tasks, processes, figures


def ran(name: str, paths: Sequence[Path], out: Path) -> tuple[dict[str, Any], list[Any]]:
    """Return a peer's status and cost, and what it made of each task that it did."""
    from peers import PEERS
    from tasks import Made

    from experiments.benchmarks.environments import environment

    peer = PEERS[name]
    python = environment("uplift-peers", HERE / "requirements-peers.txt", tell) if peer.elsewhere else sys.executable
    if python is None:
        return {"status": "not run: its environment cannot be installed here"}, []
    out.mkdir(parents=True)
    spec = out / "spec.json"
    spec.write_text(json.dumps({"peer": name, "tasks": [str(path) for path in paths], "out": str(out)}), encoding="utf-8")
    tell(f"-- {peer.label}")
    # two threads of linear algebra wait for each other more than they compute on matrices this small; boosters have threads of their own
    environ = {**os.environ, "PYTHONPATH": "" if peer.elsewhere else str(ROOT), "PYTHONWARNINGS": "ignore", "OPENBLAS_NUM_THREADS": "1"}
    status = "ran"
    try:
        done = subprocess.run([python, __file__, "--child", spec], cwd=HERE, env=environ, stdout=subprocess.PIPE, text=True, check=False, timeout=LIMIT_S)
        if done.returncode:
            lines = done.stdout.splitlines()
            why = json.loads(lines[-1])["failed"] if lines and lines[-1].startswith('{"failed"') else f"exit code {done.returncode}"
            status = f"failed ({why})"
    except subprocess.TimeoutExpired:
        status = f"ended after {LIMIT_S:,} s"
    made = [Made.load(file) for file in (out / f"{number}.npz" for number in range(len(paths))) if file.is_file()]
    status += "" if status == "ran" and len(made) == len(paths) else f", {len(made)} of {len(paths)} done"
    cost = json.loads((out / "cost.json").read_text(encoding="utf-8")) if made else {}
    tell(f"   {status} {rounded(cost)}")
    return {"status": status if status != "ran" else f"ran {len(made)}", **cost}, made


def compared(name: str, peers: Sequence[str], folder: Path, most: int | None) -> dict[str, Any]:
    """Return the figures of every peer on a data set, made in `folder`; of `most` tasks."""
    from data import SOURCES
    from peers import DEFINED, FIRST, PEERS

    source = SOURCES[name]
    tell(f"== {source.title}")
    drawn = source.make()[:most]
    paths = [folder / f"task-{number}.npz" for number in range(len(drawn))]
    for path, each in zip(paths, drawn, strict=True):
        each.task.save(path)
    status, made = {}, {}
    for peer in (FIRST, *(peer for peer in peers if peer not in (FIRST, DEFINED))):
        told = PEERS[peer]
        if (told.binary and not drawn[0].task.binary) or (told.real_only and source.simulated):
            continue
        status[told.label], found = ran(peer, paths if source.simulated else paths[: told.tasks], folder / f"out-{peer}")
        for label in dict.fromkeys(label for each in found for label in each.effects):
            status.setdefault(label, status[told.label])
            made[label] = [each.effects[label] for each in found]
        if PEERS[peer].label not in made and found and found[0].effects:
            del status[PEERS[peer].label]  # one process of several peers: each has a line of its own
        if peer == FIRST:
            first = found
    tell("   judging")
    figures, rivals = truth_of(drawn, made) if source.simulated else worth_of(first, made)
    about = {"kind": "simulated" if source.simulated else "real", "title": source.title, "aims": dict(source.aims), **about_of(drawn)}
    numbers = {}
    if DEFINED in peers and not source.simulated and drawn[0].task.binary:
        numbers = defined(drawn[0].task, first[0], figures, folder)
    return {**about, "peers": {label: {**state, **figures.get(label, {})} for label, state in status.items()} | rivals, "numbers": numbers}


def worth_of(first: Sequence[Any], made: Mapping[str, Sequence[Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the measures of each peer, and of the rankings beside ours, as means over the foldings that a peer has done."""
    import pandas as pd
    from measures import judged, less_ours, over_foldings
    from peers import OURS

    frames = [pd.DataFrame(dict(each.judging)) for each in first]
    figures, rivals = {}, {}
    for label, effects in made.items():
        found = [judged(frame, effect) for frame, effect in zip(frames, effects, strict=False)]
        figures[label] = {"measures": over_foldings([each["measures"] for each in found]), "accepted": [each["accepted"] for each in found]}
        figures[label]["foldings"] = [{key: each["measures"][key] for key in ("autoc", "qini", "slope", "slope_held")} for each in found]
        if label == OURS:
            figures[label]["gate"] = [each["gate"] for each in found]
            rivals = {name: {"status": "beside ours", "measures": over_foldings([each["rivals"][name] for each in found])} for name in found[0]["rivals"]}
        else:
            paired = [{"autoc": less_ours(*each)} for each in zip(frames, effects, made[OURS], strict=False)]
            figures[label]["less_ours"] = over_foldings(paired)["autoc"]
    return figures, rivals


def truth_of(drawn: Sequence[Any], made: Mapping[str, Sequence[Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the errors of each peer on simulated experiments, and their paired differences to ours; and the error of the average effect told to everyone."""
    import numpy as np
    from measures import errors, over_seeds
    from peers import OURS

    whole = {label: effects for label, effects in made.items() if len(effects) == len(drawn)}
    flat = [np.full(len(each.truth), each.truth.mean()) for each in drawn]
    found = {
        label: [errors(effect, each.truth) for effect, each in zip(effects, drawn, strict=True)]
        for label, effects in {**whole, "the true average for everyone": flat}.items()
    }
    figures = {label: {name: over_seeds([each[name] for each in values]) for name in ("pehe", "bias")} for label, values in found.items()}
    for label, values in found.items():
        if label != OURS:
            figures[label]["less_ours"] = over_seeds([each["pehe"] - own["pehe"] for each, own in zip(values, found[OURS], strict=True)])
    average = "the true average for everyone"
    return figures, {average: {"status": "known", **figures[average]}}


def defined(task: Any, first: Any, figures: Mapping[str, Any], folder: Path) -> dict[str, float]:
    """Return what other packages' measures say of ours' predictions in the first folding, beside ours."""
    from peers import DEFINED, OURS

    path = folder / "task-defined.npz"
    replace(task, known=first.effects[OURS]).save(path)
    _, found = ran(DEFINED, [path], folder / "out-defined")
    own = figures[OURS]["foldings"][0]
    mine = {f"ours: {name.upper()} (grf's), doubly robust scores, ranks within folds": own[name][0] for name in ("autoc", "qini")}
    return mine | dict(found[0].numbers if found else {})


def about_of(drawn: Sequence[Any]) -> dict[str, Any]:
    """Return what the figures of a data set are about."""
    task = drawn[0].task
    return {
        "rows": len(task.y),
        "treated": int(task.treatment.sum()),
        "units": int(task.group.max()) + 1,
        "columns": list(task.names),
        "folds": int(task.fold.max()) + 1,
        "foldings": len(drawn),
        "trees": dict(task.trees),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "date": datetime.now(UTC).date().isoformat(),
    }


def written(results: Mapping[str, Any], out: Path) -> None:
    """Write `results.json`, and the tables to README.md where there is one."""
    from data import SLOPE
    from report import tables

    from training.experiment import compact, write_results

    if (out / "README.md").is_file():
        with contextlib.redirect_stdout(io.StringIO()):  # the tables of all data sets, after each of them
            write_results(out, tables(results, SLOPE))
    (out / "results.json").write_text(compact(rounded(results)), encoding="utf-8")


def rounded(value: Any) -> Any:
    """Return the same with numbers of six digits behind the point; None for what is no number."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return (round(value, 6) if value == value else None) if isinstance(value, float) else value  # noqa: PLR0124  only NaN differs from itself


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from data import SLOPE, SOURCES
    from peers import PEERS
    from report import STANDING, tables

    from training.experiment import markdown
    from training.real_data import RealDataError

    names = [*SOURCES, CHOICES, COVERAGE, SHUFFLED]
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", nargs="+", choices=names, default=names)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--most", type=int, help="foldings or seeds of a data set, from the first; for a trial")
    parser.add_argument("--draws", type=int, default=DRAWS, help="experiments of each kind, for the coverage of intervals")
    parser.add_argument("--deals", type=int, default=DEALS, help="deals of the arms, for what the gate lets through")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of results.json, and of README.md where there is one")
    given = parser.parse_args()
    path, kept = given.out / "results.json", given.out / "draws"
    results = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for name in given.data:
        try:
            with tempfile.TemporaryDirectory(prefix=f"uplift-{name}-") as passing:
                alone = {CHOICES: choices, COVERAGE: lambda: covered(given.draws, kept), SHUFFLED: lambda: shuffled(given.deals, kept)}
                found = alone[name]() if name in alone else compared(name, given.peers, Path(passing), given.most)
        except RealDataError as error:
            tell(f"== {name} is left out: {error}")
            continue
        results = {key: found if key == name else results[key] for key in names if key == name or key in results}
        written(results, given.out)  # so that what takes hours is not lost
    made = tables(results, SLOPE)
    print(markdown(made.get(STANDING) or next(iter(made.values()))))
    tell("done")


def covered(draws: int, kept: Path) -> dict[str, Any]:
    """Return how often the intervals of ours hold the truth on the surfaces."""
    from intervals import all_covered

    tell("== coverage of intervals")
    return {"kind": COVERAGE, "draws": draws, "surfaces": all_covered(draws, kept, tell)}


def choices() -> dict[str, Any]:
    """Return which of several messages to send."""
    from choices import all_chosen

    tell("== several messages")
    return {"kind": CHOICES, "cases": all_chosen()}


def shuffled(deals: int, kept: Path) -> dict[str, Any]:
    """Return what the gate lets through when the arms are dealt anew."""
    from shuffles import all_dealt

    tell("== arms dealt anew")
    return {"kind": SHUFFLED, "contrasts": all_dealt(deals, kept, tell)}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        sys.exit(child(Path(sys.argv[2])))
    main()
