# %% [markdown]
# How long does a history of twenty million interactions take to come in, and how much memory?
#
# Subject: `features.imports.import_files`: every value checked, duplicates left out, sorted by person, one commit; then the same file
# once more, which must store nothing. Peers do less: no checks, no look for duplicates, no sorting, only bytes into the same Delta
# Lake format. `duckdb` reads with `read_csv`/`read_parquet` and hands a stream to `write_deltalake`; `pandas` reads chunks of
# 500,000 rows and appends each. Every case runs in a process of its own; memory is that process's peak resident size.
#
# `python experiments/benchmarks/import/run.py [--rows N] [--folder EMPTY_FOLDER]`: needs about 8 GB of disk for 20 million rows.

# ruff: noqa: PLC0415, S608  each case loads only what it uses, so that the memory measured is its own; the SQL holds names of this file

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

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOST_MEMORY = 2000
"""Megabytes; the requirement of the import."""
KINDS = ("letter_open", "letter_sent", "petition_signed", "door_answered", "event_attended", "gift")
CHANNELS = ("email", "door", "post", "sms", "event", "web")
TOPICS = ("housing", "climate", "wages", "health", "transport", "schools", "energy", "taxes", "care", "pensions", "water", "safety")

# %% The input: people in random order, ids of every row, a value in one row of six


def generate(folder: Path, rows: int) -> None:
    import duckdb

    def pick(words: tuple[str, ...], salt: int) -> str:
        return f"[{', '.join(map(repr, words))}][1 + (hash(i + {salt}) % {len(words)})::BIGINT]"

    query = f"""
        SELECT 'i' || i AS interaction_id, 'sim:' || hash(i) % {max(rows // 40, 1)} AS person_id,
            TIMESTAMPTZ '2022-01-01 00:00:00+00' + to_microseconds((hash(i + 1) % 63072000000000)::BIGINT) AS occurred_at,
            occurred_at + to_microseconds((hash(i + 2) % 86400000000)::BIGINT) AS received_at,
            {pick(KINDS, 3)} AS kind, {pick(CHANNELS, 4)} AS channel,
            CASE WHEN hash(i + 5) % 13 > 0 THEN {pick(TOPICS, 6)} END AS topic,
            CASE WHEN kind = 'gift' THEN (hash(i + 7) % 10000) / 100.0 END AS value,
            'src_' || hash(i + 8) % 20 AS source_id, {pick(("from_person", "observed"), 9)} AS collected_how, hash(i + 10) % 20 = 0 AS is_machine,
            'c' || hash(i + 11) % 200 AS campaign_id, 'm' || hash(i + 12) % 2000 AS message_id, 'b' || hash(i + 13) % 5000 AS batch_id
        FROM range({rows}) AS t(i)"""
    with duckdb.connect(config={"memory_limit": "1500MB", "temp_directory": str(folder / "spill"), "threads": 2}) as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute(f"COPY ({query}) TO '{folder}/rows.parquet' (FORMAT parquet, COMPRESSION zstd)")
        iso = ", ".join(f"strftime({name}, '%Y-%m-%dT%H:%M:%S.%fZ') AS {name}" for name in ("occurred_at", "received_at"))
        database.execute(f"COPY (SELECT * REPLACE ({iso}) FROM '{folder}/rows.parquet') TO '{folder}/rows.csv' (HEADER)")


def words() -> str:
    kinds = "".join(f'[kinds.{kind}]\ndirection = "{"out" if kind == "letter_sent" else "in"}"\nen = "{kind}"\n' for kind in KINDS)
    others = "".join(f'[{group}.{word}]\nen = "{word}"\n' for group, some in (("channels", CHANNELS), ("topics", TOPICS)) for word in some)
    return f'[workspace]\nname = "Benchmark"\n{kinds}{others}'


# %% The cases; each is run by this file in a process of its own


def ours(path: Path, root: Path) -> int:
    from features.imports import import_files
    from features.workspace import Workspace

    if not root.exists():
        root.mkdir()
        (root / "audience.toml").write_text(words(), encoding="utf-8")
    told = {"tenth": -1}

    def progress(stage: str, share: float) -> None:
        if int(share * 10) > told["tenth"]:
            told["tenth"] = int(share * 10)
            print(f"   {share:4.0%} {stage}", file=sys.stderr, flush=True)

    return import_files(Workspace.open(root), "interactions", [path], now=NOW, progress=progress).stored


def with_duckdb(path: Path, root: Path) -> int:
    import duckdb
    from deltalake import DeltaTable, write_deltalake

    with duckdb.connect(config={"memory_limit": "900MB", "threads": 2, "temp_directory": str(root.with_suffix(".spill"))}) as database:
        database.execute("SET TimeZone = 'UTC'")
        reader = database.sql(f"FROM '{path}'").to_arrow_reader(122_880)
        write_deltalake(str(root), reader)
    return DeltaTable(str(root)).count()


def with_pandas(path: Path, root: Path) -> int:
    import pandas as pd
    import pyarrow as pa
    from deltalake import DeltaTable, write_deltalake

    times = ["occurred_at", "received_at"]
    for chunk in pd.read_csv(path, chunksize=500_000, parse_dates=times):
        table = pa.Table.from_pandas(chunk, preserve_index=False)
        write_deltalake(str(root), table, mode="append")
    return DeltaTable(str(root)).count()


CASES = {"ours": ours, "duckdb": with_duckdb, "pandas": with_pandas}


def child(case: str, path: Path, root: Path) -> None:
    import resource

    begun = time.perf_counter()
    stored = CASES[case](path, root)
    seconds = time.perf_counter() - begun
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"stored": stored, "seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "peak": peak_memory()}))


def peak_memory() -> float:
    """Return this process's peak resident size in MB; `ru_maxrss` would count the parent's from before the exec."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def measured(case: str, path: Path, root: Path, stored: int) -> dict[str, float]:
    print(f"-- {case}: {path.name}", file=sys.stderr, flush=True)
    done = subprocess.run([sys.executable, __file__, "--child", case, path, root], check=True, stdout=subprocess.PIPE)
    result = json.loads(done.stdout.splitlines()[-1])
    print(f"   {result}", file=sys.stderr, flush=True)
    if result["stored"] != stored:
        raise SystemExit(f"{case} stored {result['stored']} rows of {stored}")
    return result


# %% The table


def lines(rows: int, name: str, mine: dict[str, float], peers: dict[str, dict[str, float]]) -> list[dict[str, object]]:
    about = {"subject": "features.imports", "machine": f"{platform.machine()}, {os.cpu_count()} cores", "date": datetime.now(UTC).date().isoformat()}
    found: list[dict[str, object]] = []
    for peer, other in (peers or {"none": None}).items():
        for metric, unit, value, peer_value in (
            ("rate", "rows/s", rows / mine["seconds"], other and rows / other["seconds"]),
            ("processor time", "s", mine["cpu"], other and other["cpu"]),
            ("peak memory", "MB", mine["peak"], other and other["peak"]),
        ):
            more = metric == "rate"
            ratio = None if peer_value is None else round(value / peer_value if more else peer_value / value, 3)
            target = f"< {MOST_MEMORY}" if metric == "peak memory" else None
            row = {"case": f"{name}, {rows:,} interactions", "peer": peer, "metric": metric, "unit": unit, "value": round(value, 1)}
            found.append({**row, "peer_value": peer_value and round(peer_value, 1), "ratio": ratio, "target": target, **about})
    return found


def plot(results: list[dict[str, object]]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
    for axis, metric, unit in zip(axes, ("rate", "peak memory"), ("rows/s", "MB"), strict=True):
        bars: dict[str, float] = {}
        for row in results:
            if row["metric"] == metric:
                name = str(row["case"]).split(",")[0]
                bars[f"{name}\naudience"] = row["value"]
                if row["peer_value"] is not None:
                    bars[f"{name}\n{row['peer']}"] = row["peer_value"]
        axis.barh(list(bars), list(bars.values()), color=["#1f4e79" if "audience" in name else "#b0b8c0" for name in bars])
        axis.invert_yaxis()
        axis.set_xlabel(f"{metric} ({unit})")
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=7)
    axes[1].axvline(MOST_MEMORY, color="#c0392b", linewidth=1)
    figure.suptitle("Import: checked, free of duplicates and sorted (audience), against unchecked writes", fontsize=9)
    figure.savefig(HERE / "import.svg", metadata={"Date": None})


def run(folder: Path, rows: int) -> list[dict[str, object]]:
    print(f"-- making {rows:,} rows", file=sys.stderr, flush=True)
    generate(folder, rows)
    found: list[dict[str, object]] = []
    for name, path, peers in (("CSV", folder / "rows.csv", ("duckdb", "pandas")), ("Parquet", folder / "rows.parquet", ("duckdb",))):
        mine = measured("ours", path, folder / f"ours-{name}", rows)
        found += lines(rows, name, mine, {peer: measured(peer, path, folder / f"{peer}-{name}", rows) for peer in peers})
    again = measured("ours", folder / "rows.csv", folder / "ours-CSV", 0)
    found += lines(rows, "the same CSV again", again, {})
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--child", nargs=3, metavar=("CASE", "PATH", "ROOT"))
    given = parser.parse_args()
    if given.child:
        case, path, root = given.child
        child(case, Path(path), Path(root))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        results = run(Path(folder), given.rows)
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    plot(results)


if __name__ == "__main__":
    main()
