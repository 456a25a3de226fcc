"""The guided tour behind `make demo`: the commands a user would type, in their order, on a simulated campaign."""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from features.permission.live import Permission
from features.permission.opening import opened
from features.publication import open_current
from features.workspace import Workspace
from serving.keys import create_key
from serving.run import STOP_SECONDS
from training.registry import list_models
from training.simulation import UNTIL

MARKER = ".made-by-audience-demo"
TABLES = ("sources", "people", "consents", "interactions", "assignments", "outcomes")
USE, ONLINE, FIGURES = "doorstep", "online_ads", "figures"
QUESTION, ONLINE_QUESTION = ("affinity:housing", "affinity:climate", "persuadability:*"), ("affinity:housing", "affinity:health")
NOTICE_LINES = 16
ANSWERS = "count|kind=any-engagement|channel=any|topic=any|window=all"
START_SECONDS = 90


class DemoError(RuntimeError):
    """The demo cannot go on; the message says what to do."""


def tour(command: Callable[..., Any], folder: Path, *, people: int, port: int, stay: bool) -> None:
    """Simulate, import, build, train, promote, serve and ask, printing each command before it runs.

    `command(*words)` runs one command line. `stay` keeps the server up until interrupted. Raises DemoError when `folder` holds
    something that the demo did not make, or when the server does not come up.
    """
    _make_room(folder)
    began = time.perf_counter()

    def run(*words: object) -> None:
        print(f"\n$ audience {' '.join(map(str, words))}", flush=True)
        command(*words)

    run("simulate", folder, "--people", people)
    (folder / MARKER).touch()
    os.environ["AUDIENCE_WORKSPACE"] = str(folder)
    print(f"\n$ export AUDIENCE_WORKSPACE={folder}")
    workspace = Workspace.open(folder)
    until = UNTIL.date().isoformat()
    for table in TABLES:
        run("import", table, *sorted((folder / "raw").glob(f"{table}[.-]*")))
    run("vectors", "--as-of", until)
    run("train", "affinity", "--now", until)
    for experiment in workspace.vocabulary.experiments:
        run("train", "persuadability", experiment.id, "--now", until)
    for use in (USE, ONLINE):
        run("decide", "--use", use)
    run("models")
    for record in list_models(workspace):
        run("promote", record["name"])  # a refusal is part of the tour, not a failure of it
    if not (workspace.models / "affinity" / "champion.json").exists():
        raise DemoError(
            "the gate refused the affinity model, as its lines say, so there is nothing to serve; with few people that happens by chance: try more --people"
        )
    run("aggregate", "--use", FIGURES, "--score", QUESTION[0], "--by", "band")
    _say_what_is_held(workspace, command)
    run("purge")
    run("register", "--sync")
    print(f"\nTrained and promoted in {time.perf_counter() - began:.0f} s, {_peak_gigabytes():.1f} GB of memory at most.", flush=True)
    _serve(workspace, folder, port, command, stay=stay)


def _say_what_is_held(workspace: Workspace, command: Callable[..., Any]) -> None:
    """Ask for everything that is held of one person, who does not exist, and print the beginning and how much it is."""
    person = _to_ask_about(workspace, USE, (10,))[0]
    print(f"\n$ echo {person} | audience access --language en --out answer.json", flush=True)
    with tempfile.TemporaryDirectory() as elsewhere:
        asked, answer = Path(elsewhere) / "person.txt", Path(elsewhere) / "answer.json"
        asked.write_text(person, encoding="utf-8")
        command("access", "--file", asked, "--language", "en", "--out", answer)
        held = json.loads(answer.read_text(encoding="utf-8"))
    print(held["words"])
    parts = {"rows": "rows", "sources": "sources", "events": "events", "vector": "numbers", "scores": "scores", "exports": "exports", "files": "files"}
    told = [f"{len(held[part])} {words}" for part, words in parts.items()]
    print(f"  {', '.join(told)}")
    print("\n".join(f"  {words}" for words in held["retention"]["words"]))


def _say_the_register(workspace: Workspace, command: Callable[..., Any]) -> None:
    """Print what the online answers left in the register, and how its public notice begins."""
    print("\n$ audience register --kind targeting", flush=True)
    command("register", "--kind", "targeting")
    campaign = workspace.permission.use(ONLINE).campaign_id
    print(f"\n$ audience register --notice {campaign} | head -n {NOTICE_LINES}", flush=True)
    with contextlib.redirect_stdout(io.StringIO()) as notice:
        command("register", "--notice", campaign)
    print("\n".join(notice.getvalue().splitlines()[:NOTICE_LINES]) + "\n")


def _peak_gigabytes() -> float:
    """Return the most memory that this process held; children are smaller."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e9 if sys.platform == "darwin" else 1e6)


def _make_room(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).exists():
            raise DemoError(f"{folder} holds something that the demo did not make: name another folder with --folder")
        shutil.rmtree(folder)


def _serve(workspace: Workspace, folder: Path, port: int, command: Callable[..., Any], *, stay: bool) -> None:
    store = opened(workspace)
    now = datetime.now(UTC)
    keys = {scope: create_key(store, scope=scope, label="demo", now=now) for scope in ("scores", "audit")}
    print(f"\n$ audience serve --port {port} &", flush=True)
    log = folder / "serve.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "audience", "serve", "--port", str(port), "--workspace", str(folder)], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait(server, port, log)
        _ask(workspace, port, keys["scores"], ONLINE, ONLINE_QUESTION, percents=(50, 90))
        _say_the_register(workspace, command)
        _ask(workspace, port, keys["scores"], USE, QUESTION, percents=(10, 50, 90))
        _say_where(folder, port, keys)
        if stay:
            print("\nServing until you press Ctrl-C …", flush=True)
            server.wait()
    except KeyboardInterrupt:
        print("\nStopping.")
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(timeout=STOP_SECONDS + 10)  # `audience serve` kills its own at STOP_SECONDS
        except subprocess.TimeoutExpired:
            server.kill()


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(START_SECONDS * 4):
        if server.poll() is not None:
            raise DemoError(
                f"the server stopped (is port {port} taken? choose another with --port); its last words in {log}:\n{log.read_text(errors='replace')[-800:]}"
            )
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.25)
    raise DemoError(f"the server was not ready after {START_SECONDS} s; see {log}")


def _to_ask_about(workspace: Workspace, use: str, percents: tuple[int, ...]) -> list[str]:
    """Return people to ask about: of those who ever answered and may be scored for the use, these in a hundred by answers; and one for each refusal."""
    vectors = open_current(workspace.own_vectors if use == ONLINE else workspace.vectors)
    with closing(opened(workspace)) as store:
        permission = Permission(workspace, store)
        people, stated = vectors.person_ids.to_pylist(), workspace.permission.use(use)
        decisions = permission.decide(people, stated, datetime.now(UTC), needs_third_party=not vectors.own)
    answers = np.where(decisions.allowed, vectors.matrix[:, vectors.names.index(ANSWERS)], 0)
    order = np.argsort(answers, kind="stable")[int((answers == 0).sum()) :]
    scored = [int(order[len(order) * percent // 100]) for percent in percents]
    refused = [int(np.flatnonzero(decisions.rule == rule)[0]) for rule in np.unique(decisions.rule) if rule >= 0]
    return [str(vectors.person_ids[row]) for row in (*scored, *refused)]


def _ask(workspace: Workspace, port: int, key: str, use: str, question: tuple[str, ...], *, percents: tuple[int, ...]) -> None:
    stated = workspace.permission.use(use).model_dump(exclude_none=True)
    body = json.dumps({"people": _to_ask_about(workspace, use, percents), "scores": list(question), "use": stated, "explain": 3})
    print(f"\n$ curl -s http://127.0.0.1:{port}/v1/scores -H 'Authorization: Bearer {key}' \\\n       -H 'Content-Type: application/json' -d '{body}'\n")
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/scores", data=body.encode(), headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        for result in json.load(answer)["results"]:
            print(_person(result))


def _person(result: dict[str, Any]) -> str:
    lines = [f"  {result['person']}"]
    if result["permission"] is not None and not result["permission"]["allowed"]:
        said = f"no score for this use: {result['code']} (rule {result['permission']['rule']}): {result['words']}"
        return "\n".join([*lines, *textwrap.wrap(said, 110, initial_indent="    ", subsequent_indent="        ")]) + "\n"
    for score in result["scores"]:
        if "code" in score:
            lines += textwrap.wrap(f"{score['name']}: no score, {score['code']}: {score['words']}", 110, initial_indent="    ", subsequent_indent="        ")
            if score["average"]:
                number, unit = (":+.1f", "points") if score["average"]["scale"] == "uplift_pp" else (":+.3g", "of the outcome")
                lines.append(f"        average effect {{value{number}}} {unit} [{{low{number}}}, {{high{number}}}]".format(**score["average"]))
            continue
        value, low, high = (None if score[key] is None else _number(score[key], score["scale"]) for key in ("value", "low", "high"))
        interval = f"[{low}, {high}]" if low is not None else f"no interval: {score['interval_absent']}"
        lines.append(f"    {score['name']:<38} {value:>12}  {interval}  {score['band']}")
        lines += [f"        {reason['contribution']:+.2f}  {reason['text']}" for reason in score["explanation"]["reasons"]]
    return "\n".join(lines) + "\n"


def _number(value: float, scale: str) -> str:
    return f"{value:.1%}" if scale == "probability" else f"{value:+.1f} points" if scale == "uplift_pp" else f"{value:+.3g} of the outcome"


def _say_where(folder: Path, port: int, keys: dict[str, str]) -> None:
    print(
        f"Addresses, on this machine only:\n"
        f"  scores    http://127.0.0.1:{port}/v1/scores   key {keys['scores']}\n"
        f"  console   http://127.0.0.1:{port}/console     key {keys['audit']}\n"
        f"  API       http://127.0.0.1:{port}/openapi.json\n"
        f"  MLflow    .venv/bin/mlflow server --host 127.0.0.1 --port 5000 --backend-store-uri sqlite:///{folder}/mlflow.db\n"
    )
