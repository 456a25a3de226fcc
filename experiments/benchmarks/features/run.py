# %% [markdown]
# What does it cost to make the whole catalogue of features, and what does it cost otherwise?
#
# Subject: `features.vectors.build` (`build_into` a file at 100 million interactions). Peers compute the same features from the same stored
# Parquet files and end, as we do, with a dense float32 matrix of people x features:
#
# - `DuckDB wide`: one query of filtered aggregates; `Polars wide`: the same as one `group_by().agg([...])` on the streaming engine;
# - `Polars long`: group-bys on (person, code) and a scatter with numpy, tuned by hand; `pandas`: group-by and unstack;
# - `featuretools`: what it can express, of 2,000 people.
#
# Peers do less: how surely people respond (the priors), the areas' totals, the supply and the clock's offsets are given to them, the wide forms
# leave out `switches` and `unanswered`, none keeps what a refresh needs. At the smallest size every value of every peer is compared with ours.
# A case is a process of its own, and memory its peak resident size (pages of mapped files included). Under a minute, the better of two runs in
# that process counts: fresh memory pages cost seconds per GB on a virtual machine, whoever asks for them. A case that takes more than 15 minutes,
# or nearly all memory there is, is ended; its ratio is then a lower bound.
#
# `python experiments/benchmarks/features/run.py [--sizes 1 20 100] [--peers NAME …] [--folder FOLDER]`: a folder that is named keeps the
# histories (40 bytes of disk per interaction, 250 while they are made; the matrices of 100 million take 12 GB each for the time of a case).

# ruff: noqa: PLC0415  each case loads only what it uses, so that the memory measured is its own

# %%
from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PEERS = {
    "DuckDB wide": ("duckdb-filter", None, ">= 20"),
    "DuckDB wide by CASE": ("duckdb-case", None, ">= 20"),
    "pandas": ("pandas", None, ">= 3"),
    "Polars wide": ("polars-wide", "polars", ">= 5"),
    "Polars long": ("polars-long", "polars", ">= 1.2"),
    "featuretools": ("featuretools", "featuretools", None),
}
"""Name: case, environment of its own, target of the ratio of rates."""
CASES = {
    "duckdb-filter": ("wide", "with_duckdb", "duckdb"),
    "duckdb-case": ("wide", "with_duckdb", "duckdb"),
    "polars-wide": ("wide", "with_polars", "polars"),
    "featuretools": ("wide", "with_featuretools", "featuretools"),
    "polars-long": ("long", "made", "polars"),
    "pandas": ("long", "made", "pandas"),
}
"""Case: its file, its function, the library that is loaded before time is taken."""
AT = {1: tuple(PEERS), 20: tuple(name for name in PEERS if name != "featuretools"), 100: ("Polars long",)}
"""Which peers run at which size (millions of interactions) when none are named."""
UPKEEP = 20
"""At which size lineage and refresh are measured."""
LIMIT_S = 500
TWICE_BELOW_S = 60
LEAST_FREE = 1500
"""Megabytes: a case that leaves less to others is ended."""
PART = 2_000
"""People that featuretools gets."""
REFRESHED = 0.01
"""Share of the people that are built again."""
REFRESHES = {
    "people drawn evenly": (0.01, timedelta(minutes=1)),
    "an hour's changes": (0.005, timedelta(hours=1)),
}
"""Which people: the share that something new comes in for, and how much later it is. In an hour a window slides for about half a percent
besides: people who do much, so that these and the others together hold 3.5% of all interactions."""


class CaseError(RuntimeError):
    """A case ended with an error, which it has printed."""


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# %% What a child does: one case, timed from the stored files to the matrix


def ours(task: dict[str, Any]) -> tuple[Any, Any, Any]:
    from features.publication import build_into
    from features.vectors import build

    history, vocabulary, as_of = opened(task)
    if task["into"]:
        shutil.rmtree(task["into"], ignore_errors=True)
        found = build_into(history, vocabulary, as_of, task["into"])
    else:
        found = build(history, vocabulary, as_of)
    Path(task["folder"], "context.json").write_text(json.dumps(found.context.to_state()), encoding="utf-8")
    return found.person_ids, found.matrix.T, found.names


def opened(task: dict[str, Any]) -> tuple[Any, Any, datetime]:
    from features.history import History
    from features.workspace import Workspace

    workspace = Workspace.open(task["workspace"])
    return History(workspace.tables, workspace.vocabulary), workspace.vocabulary, datetime.fromisoformat(task["as_of"])


def refreshed(task: dict[str, Any]) -> dict[str, float]:
    """Publish everyone, bring in two interactions each of some people in the time after, and refresh; seconds of the better of two of both."""
    import histories

    from features.publication import build_into
    from features.refresh import refresh
    from features.workspace import Workspace

    history, vocabulary, as_of = opened(task)
    share, later = REFRESHES[task["which"]]
    folders = [Path(task["into"]), Path(task["into"] + "-again")]
    whole = []
    for _ in folders:
        shutil.rmtree(folders[0], ignore_errors=True)
        began = time.perf_counter()
        people = len(build_into(history, vocabulary, as_of, folders[0]))
        whole.append(time.perf_counter() - began)
    shutil.copytree(*folders, copy_function=os.link, symlinks=True)
    histories.bring_in(Workspace.open(task["workspace"]), "interactions", histories.more(people, share, as_of, later), tell)
    os.sync()  # what the full builds wrote is on the disk before the refresh is timed
    part = []
    for folder in folders:
        began = time.perf_counter()
        done = refresh(history, vocabulary, as_of + later, folder)
        part.append(time.perf_counter() - began)
        tell(f"   {done}")
        if not 0.95 * REFRESHED < done.rebuilt / people < 1.05 * REFRESHED:
            raise CaseError(f"{done.rebuilt} of {people} people were built again, not {REFRESHED:.0%}")
    tell(f"   full {whole}, refresh {part}")
    return {"full": min(whole), "first": whole[0], "seconds": min(part)}


def lineages(task: dict[str, Any]) -> dict[str, float]:
    """Return the median and the longest milliseconds of one feature's lineage, over people and features of every statistic."""
    import duckdb
    import histories

    from features.context import Context
    from features.lineage import lineage

    history, vocabulary, as_of = opened(task)
    context = Context.from_state(json.loads(Path(task["folder"], "context.json").read_text(encoding="utf-8")))
    statistics = {name.partition("|")[0]: name for name in task["names"]}
    some = "SELECT person_id FROM read_parquet(?) WHERE joined_at < ? ORDER BY hash(person_id) LIMIT 4"
    people = [row[0] for row in duckdb.execute(some, [history.files("people"), histories.AS_OF]).fetchall()]
    took = []
    for person, name in [(people[0], task["names"][0]), *((person, name) for name in statistics.values() for person in people)]:
        began = time.perf_counter()
        lineage(history, vocabulary, person, name, as_of, context=context)
        took.append(1000 * (time.perf_counter() - began))
    return {"first": took[0], "median": sorted(took[1:])[len(took) // 2], "longest": max(took[1:])}


def case_of(name: str) -> Any:
    if name in {"ours", "refresh", "lineage"}:
        sys.path.insert(0, str(ROOT))
        __import__("features.builder")  # numba and ibis take seconds to load; loading is not measured, for no peer either

        return {"ours": ours, "refresh": refreshed, "lineage": lineages}[name]
    module, function, library = CASES[name]
    __import__(library)
    return getattr(__import__(module), function)


def child(path: Path) -> None:
    task = json.loads(path.read_text(encoding="utf-8"))
    case, best, cpu = case_of(task["peer"]), float("inf"), float("inf")
    if task["peer"] in {"refresh", "lineage"}:
        print(json.dumps({**case(task), **memory("self")}))
        return
    for _ in range(2):
        found = None
        begun, busy = time.perf_counter(), time.process_time()
        found = case(task)
        best, cpu = min(best, time.perf_counter() - begun), min(cpu, time.process_time() - busy)
        if best > TWICE_BELOW_S:
            break
    ids, matrix, names = found
    if task["check"]:
        import numpy as np

        np.savez(task["check"], ids=np.array(ids.to_pylist() if hasattr(ids, "to_pylist") else list(ids)), matrix=np.asarray(matrix), names=np.array(names))
    print(json.dumps({"seconds": best, "cpu": cpu, "interactions": task.get("seen"), "people": matrix.shape[1], "features": len(names), **memory("self")}))


def memory(process: str) -> dict[str, float]:
    """Return a process's peak resident size, and how much of its memory is no file's at present, in MB."""
    status = Path("/proc", process, "status").read_text(encoding="ascii")
    return {name: int(status.partition(f"{key}:")[2].split()[0]) * 1024 / 1e6 for name, key in (("peak", "VmHWM"), ("anonymous", "RssAnon"))}


def available() -> float:
    """Return the memory that could still be had, in MB."""
    return int(Path("/proc/meminfo").read_text(encoding="ascii").partition("MemAvailable:")[2].split()[0]) * 1024 / 1e6


# %% What the parent does: tasks, environments, processes


def environment(name: str | None) -> str | None:
    """Return the Python of a peer's own environment, made in `.bench` at first; None where it cannot be installed."""
    from experiments.benchmarks import environments

    return sys.executable if name is None else environments.environment(f"features-{name}", HERE / f"requirements-{name}.txt", tell)


def measured(name: str, python: str, task: dict[str, Any]) -> dict[str, Any]:
    """Run a case in a process of its own; `over` is there when it was ended at the limit."""
    folder = Path(task["folder"])
    path = folder / "task.json"
    path.write_text(json.dumps(task), encoding="utf-8")
    tell(f"-- {name}")
    begun, peak, anonymous = time.monotonic(), 0.0, 0.0
    quiet = {**os.environ, "PYTHONWARNINGS": "ignore"} if python != sys.executable else None  # featuretools foretells what pandas will do
    with (folder / "out.txt").open("w") as out, subprocess.Popen([python, __file__, "--child", path], stdout=out, cwd=HERE, env=quiet) as process:
        while process.poll() is None:
            try:
                now = memory(str(process.pid))
            except (FileNotFoundError, ProcessLookupError, IndexError):  # it has just ended
                break
            peak, anonymous = max(peak, now["peak"]), max(anonymous, now["anonymous"])
            if time.monotonic() - begun > LIMIT_S or available() < LEAST_FREE:
                process.kill()
                process.wait()
                seconds = time.monotonic() - begun
                over = f"over {LIMIT_S} s" if seconds > LIMIT_S else f"ended after {seconds:.0f} s for want of memory"
                tell(f"   {over}")
                return {"seconds": seconds, "cpu": seconds, "peak": peak, "anonymous": anonymous, "features": "?", "over": over}
            time.sleep(0.02)
    if process.returncode:
        raise CaseError(f"{name} failed")
    found = json.loads((folder / "out.txt").read_text(encoding="utf-8").splitlines()[-1])
    found |= {"peak": max(peak, found["peak"]), "anonymous": max(anonymous, found["anonymous"])}
    tell(f"   {found}")
    return found


def check(name: str, mine: Path, other: Path) -> None:
    """Compare a peer's values with ours: NaN where ours is, else equal within 1e-5 relative (1e-9 where decayed counts end)."""
    import numpy as np

    one, two = np.load(mine), np.load(other)
    rows, columns = ({value: place for place, value in enumerate(one[key].tolist())} for key in ("ids", "names"))
    at = np.array([rows[person] for person in two["ids"].tolist()])
    if len(at) != len(rows) and name != "featuretools":
        raise SystemExit(f"{name} has {len(at)} people of {len(rows)}")
    wrong = {}
    for feature, found in zip(two["names"].tolist(), two["matrix"], strict=True):
        expected = one["matrix"][columns[feature]][at]
        differ = ~np.isclose(found, expected, rtol=1e-5, atol=1e-9, equal_nan=True)
        if differ.any():
            wrong[feature] = (int(differ.sum()), found[differ][:3].tolist(), expected[differ][:3].tolist())
    for feature, what in list(wrong.items())[:20]:
        tell(f"   {feature}: {what}")
    if wrong:
        raise SystemExit(f"{name}: {len(wrong)} of {len(two['names'])} features differ from ours")
    tell(f"   {len(two['names'])} features of {len(at):,} people are equal to ours")


# %% The sizes


def at_size(root: Path, million: int, peers: list[str]) -> list[dict[str, Any]]:
    """Measure us and the peers at a size; the first size's values are compared."""
    import histories
    import report

    task = histories.told(histories.workspace(root, million * 1_000_000, tell)) | {"folder": str(root / "work"), "part": PART, "memory_limit": "10GB"}
    work = Path(task["folder"])
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    count, compare = million * 1_000_000, million == min(AT)
    task |= {"into": str(work / "ours") if million >= 100 else None, "peer": "ours", "check": str(work / "ours.npz") if compare else None}
    mine = measured(f"ours, {count:,} interactions", sys.executable, task)
    context = json.loads((work / "context.json").read_text(encoding="utf-8"))
    shutil.rmtree(work / "ours", ignore_errors=True)
    found = []
    for peer in peers:
        case, needs, target = PEERS[peer]
        python = environment(needs)
        if python is None:
            tell(f"-- {peer} is left out: its environment cannot be installed here")
            continue
        given = {**task, "peer": case, **{key: context[key] for key in ("priors", "supply", "areas")}, "check": str(work / f"{case}.npz") if compare else None}
        given["into"] = str(work / f"{case}.npy") if million >= 100 else None
        try:
            other = measured(f"{peer}, {count:,} interactions", python, given)
        except CaseError as error:
            tell(f"   {error}: it is left out")
            continue
        if compare and "over" not in other:
            check(peer, work / "ours.npz", work / f"{case}.npz")
        Path(given["into"] or work / "none").unlink(missing_ok=True)
        found += report.lines(million, peer, mine, other, target)
    found += report.lines(million, None, mine, None, None) if not peers else []
    if million == UPKEEP:
        found += upkeep(task, million)
    shutil.rmtree(work)
    return found


def upkeep(task: dict[str, Any], million: int) -> list[dict[str, Any]]:
    """Measure lineage, and a refresh in a copy of the workspace: what it brings in must not stay."""
    import report

    case = f"{million * 1_000_000:,} interactions"
    took = measured(f"lineage, {case}", sys.executable, {**task, "peer": "lineage"})
    found = [report.result(case, None, "lineage, a process's first, which loads numba and ibis", "ms", took["first"], target=None)]
    found += [report.result(case, None, f"lineage, {which}", "ms", took[which], target="<= 300") for which in ("median", "longest")]
    copy = Path(task["folder"]) / "copy"
    for which in REFRESHES:
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        shutil.copy(Path(task["workspace"], "audience.toml"), copy)
        shutil.copytree(Path(task["workspace"], "tables"), copy / "tables")
        given = {**task, "peer": "refresh", "which": which, "workspace": str(copy), "into": str(copy / "vectors")}
        took = measured(f"refresh of {REFRESHED:.0%} of people, {which}, {case}", sys.executable, given)
        metric = f"refresh of {REFRESHED:.0%}, {which}"
        row = report.result(case, "a full build into the same folder", metric, "s", took["seconds"], target="ratio >= 20 (5%)")
        found.append({**row, "peer_value": round(took["full"], 3), "ratio": round(took["full"] / took["seconds"], 3)})
    return [*found, report.result(case, None, report.ONCE, "s", took["first"], target=None)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=list(AT), help="millions of interactions")
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), help="of all sizes; by default those of AT")
    parser.add_argument("--folder", type=Path, help="keeps the histories")
    parser.add_argument("--child", type=Path)
    given = parser.parse_args()
    if given.child:
        child(given.child)
        return
    sys.path.insert(0, str(ROOT))
    import report

    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as passing:
        for million in sorted(given.sizes):
            root = (given.folder or Path(passing)).resolve() / f"{million}"
            results += at_size(root, million, list(AT.get(million, ())) if given.peers is None else given.peers)
            report.write(results + report.growth(results))  # so that what takes an hour is not lost
            if given.folder is None:
                shutil.rmtree(root)


if __name__ == "__main__":
    main()
