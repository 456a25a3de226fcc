"""What was measured, as rows of results.json, as a plot and as a printed table."""

# ruff: noqa: PLC0415  cases import nothing of this

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MOST_MEMORY = {20: 4000, 100: 8000}
ONCE = "full build into a folder, the first"
APART = 1.3
"""Labels in the plot are at least this factor apart."""


def lines(million: int, peer: str | None, mine: dict[str, Any], other: dict[str, Any] | None, target: str | None) -> list[dict[str, Any]]:
    """Return the rows of a size and a peer: rate and peak memory."""
    count, most = million * 1_000_000, MOST_MEMORY.get(million)
    theirs = count if other is None or peer != "featuretools" else other["interactions"]
    about = None if other is None else f"{peer}, {other['features']} of {mine['features']} features" + (f", {other['over']}" if "over" in other else "")
    found = []
    for metric, unit, value, peer_value, wanted in (
        ("rate", "interactions/s", count / mine["seconds"], other and theirs / other["seconds"], target),
        ("time", "s", mine["seconds"], other and other["seconds"], None),
        ("processor time", "s", mine["cpu"], other and other["cpu"], None),
        ("peak memory", "MB", mine["peak"], other and other["peak"], most and f"<= {most}"),
    ):
        row = result(f"{count:,} interactions", about, metric, unit, value, target=wanted)
        if peer_value is not None:
            row |= {"peer_value": round(peer_value, 3), "ratio": round(value / peer_value if metric == "rate" else peer_value / value, 3)}
        found.append(row)
    return [found[0], found[3]] if peer == "featuretools" else found


def result(case: str, peer: str | None, metric: str, unit: str, value: float, *, target: str | None) -> dict[str, Any]:
    """Return one row of results.json."""
    row = {"case": case, "subject": "features", "peer": peer or "none", "metric": metric, "unit": unit, "value": round(value, 3), "peer_value": None}
    return {**row, "ratio": None, "target": target, "machine": f"{platform.machine()}, {os.cpu_count()} cores", "date": datetime.now(UTC).date().isoformat()}


def growth(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how much longer 100 million take than 20 million: both into a file, both the first build of their process."""
    low, high = (f"{count:,} interactions" for count in (20_000_000, 100_000_000))
    small = [row["value"] for row in results if row["case"] == low and row["metric"] == ONCE]
    large = [row["value"] for row in results if row["case"] == high and row["metric"] == "time"]
    if not (small and large):
        return []
    case = f"from {low.partition(' ')[0]} to {high}, into a file"
    return [result(case, None, "growth of time", "times", large[0] / small[0], target="<= 5.5")]


def ended(row: dict[str, Any]) -> bool:
    """Return whether the peer's case was ended before it was done."""
    return ", over " in row["peer"] or ", ended " in row["peer"]


def curves(results: list[dict[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """Return per subject (interactions, seconds), by size."""
    found: dict[str, dict[int, float]] = {"audience": {}}
    for row in results:
        if row["metric"] == "time":
            count = int(row["case"].partition(" ")[0].replace(",", ""))
            found["audience"][count] = row["value"]
            if row["peer_value"] is not None:
                found.setdefault(row["peer"].partition(",")[0], {})[count] = row["peer_value"]
    return {subject: sorted(points.items()) for subject, points in found.items()}


def plot(results: list[dict[str, Any]]) -> None:
    """Write the plot of seconds against interactions."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "features"
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
    styles = {"audience": ("#000000", "-", "o"), "Polars long": ("#404040", "--", "s"), "pandas": ("#606060", "-.", "^")}
    styles |= {"Polars wide": ("#808080", ":", "D"), "DuckDB wide": ("#707070", (0, (5, 1)), "v"), "DuckDB wide by CASE": ("#909090", (0, (1, 1)), "x")}
    labels: list[tuple[int, float, str, str]] = []
    for subject, points in curves(results).items():
        if subject not in styles or not points:
            continue
        colour, line, marker = styles[subject]
        counts, seconds = zip(*points, strict=True)
        axis.plot(counts, seconds, color=colour, linestyle=line, marker=marker, markersize=5, linewidth=2.2 if subject == "audience" else 1.2)
        over = any(ended(row) and row["peer"].startswith(f"{subject},") for row in results)
        labels.append((counts[-1], seconds[-1], colour, f"{subject} (ended after {seconds[-1]:.0f} s)" if over else subject))
    placed: dict[int, float] = {}
    for count, second, colour, text in sorted(labels):
        placed[count] = max(second, APART * placed.get(count, 0.0))  # so that no label covers another
        axis.annotate(text, (count, placed[count]), xytext=(8, 0), textcoords="offset points", va="center", fontsize=8, color=colour)
    axis.set(xscale="log", yscale="log", xlabel="interactions (20 per person)", ylabel="time from stored files to matrix (s)")
    axis.set_title(f"All features of everyone, {os.cpu_count()} cores", fontsize=9, loc="left")
    axis.grid(which="major", color="#e0e0e0", linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(x=0.18)
    axis.tick_params(labelsize=8)
    figure.savefig(HERE / "features.svg", metadata={"Date": None})


def write(results: list[dict[str, Any]]) -> None:
    """Write results.json and the plot, and print the table."""
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    plot(results)
    print("{:>28} {:<52} {:<26} {:>12} {:<15} {:>12} {:>8}  {}".format("case", "peer", "metric", "audience", "unit", "peer's", "ratio", "target"))
    for row in results:
        about = {key: "" if value is None else value for key, value in row.items()}
        print("{case:>28} {peer:<52} {metric:<26} {value:>12,} {unit:<15} {peer_value:>12} {ratio:>8}  {target}".format(**about))
