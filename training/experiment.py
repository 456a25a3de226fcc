"""What a dated experiment needs: the command line as any user runs it, what a run found, and a README whose results are written by the script."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from features.workspace import Workspace
from training.gates import Findings
from training.registry import logged_findings
from training.tracking import Tracking

BEGIN, END = "<!-- results: written by run.py -->", "<!-- end of results -->"
Records = Sequence[dict[str, object]]


class ExperimentError(RuntimeError):
    """A step of an experiment failed, or its README has no place for results."""


def run(*words: str | Path, may_fail: bool = False) -> bool:
    """Run a Python script or module (`-m audience import …`) and return whether it succeeded; what it prints goes to the terminal.

    Raises ExperimentError on failure, unless `may_fail`: a refused promotion is an answer.
    """
    print("$ python", *words, flush=True)
    done = subprocess.run([sys.executable, *map(str, words)], check=False)  # noqa: S603 - the words are the experiment's own
    if done.returncode and not may_fail:
        raise ExperimentError(f"`python {' '.join(map(str, words))}` failed with exit code {done.returncode}")
    return done.returncode == 0


def import_all(workspace: Path) -> None:
    """Import every file of `raw/` into the table it is named for, through the command line."""
    for file in sorted((workspace / "raw").iterdir()):
        run("-m", "audience", "import", file.name.partition(".")[0], file, "--workspace", workspace)


def found(workspace: Path, name: str) -> Findings:
    """Return what the newest run of the model `name` found on rows it had not seen."""
    tracking = Tracking.of(Workspace.open(workspace))
    with tempfile.TemporaryDirectory(prefix="audience-experiment-") as scratch:
        return logged_findings(tracking.download(tracking.version(name), Path(scratch)))


def markdown(records: Records) -> str:
    """Return records of equal keys as a Markdown table."""
    heads = list(records[0])
    lines = [heads, ["---"] * len(heads), *([str(record[head]) for head in heads] for record in records)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def compact(results: Any) -> str:
    """Return JSON with an indent, in which a list of plain values stands on one line: an estimate is a line, not five."""
    text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False)
    return re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda found: "[" + re.sub(r",\s+", ", ", found[1]) + "]", text) + "\n"


def write_results(folder: Path, tables: dict[str, Records]) -> None:
    """Write `results.json` and, between the two marks of `README.md`, the tables under their titles. Raises ExperimentError without marks."""
    readme = folder / "README.md"
    before, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ExperimentError(f"{readme.name} has no place for results: it needs the lines {BEGIN} and {END}")
    (folder / "results.json").write_text(json.dumps(tables, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    text = "\n\n".join(f"**{title}**\n\n{markdown(records)}" for title, records in tables.items())
    readme.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
    print(text)
