"""The demo as a stranger runs it, small: it shows scores and a refusal, leaves the machine never, and the documented calls work on it."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from features.permission.places import files
from serving.run import STOP_SECONDS
from tests.features import every_byte

ROOT = Path(__file__).resolve().parents[2]
GUARD = Path(__file__).parent / "guard"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A demo of 5,000 people that serves on, with all it printed; stopped as by Ctrl-C."""
    folder = tmp_path_factory.mktemp("demo")
    marks = folder / "marks"
    marks.touch()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": f"{GUARD}{os.pathsep}{ROOT}", "GUARD_MARKS": str(marks), "PYTHONWARNINGS": "default"}
    command = [sys.executable, "-m", "audience", "demo", "--folder", str(folder / "workspace"), "--people", "5000", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    watchdog = threading.Timer(280, process.kill)
    watchdog.start()
    lines = []
    try:
        for line in process.stdout:
            lines.append(line)
            if "Serving until you press Ctrl-C" in line:
                break
        output = "".join(lines)
        assert "Serving until" in output, output[-3000:]
        yield {"output": output, "port": port, "marks": marks, "process": process, "workspace": folder / "workspace"}
    finally:
        watchdog.cancel()
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=STOP_SECONDS + 60)
        finally:
            process.kill()
            process.stdout.close()


@pytest.mark.timeout(400)
def test_shows_scores_with_intervals_and_reasons(demo):
    output = demo["output"]
    assert re.search(r"affinity:housing +\d+\.\d% +\[\d+\.\d%, \d+\.\d%\]", output)
    assert re.search(r"^ +[+-]\d\.\d\d  \w", output, re.MULTILINE)
    assert "curl -s http://127.0.0.1:" in output
    assert "mlflow server" in output


@pytest.mark.timeout(400)
def test_shows_the_gate_refusing(demo):
    assert "refused" in demo["output"]
    assert "ranking_refused" in demo["output"]


@pytest.mark.timeout(400)
def test_shows_groups_what_is_held_of_one_person_what_is_past_its_limit_and_the_register(demo):
    output = demo["output"]
    assert re.search(r"^high +[\d,]+ +[\d,]+ +\d+\.\d%$", output, re.MULTILINE)
    assert re.search(r"everything that .+ holds of you", output)
    assert re.search(r"^  [1-9]\d* rows, [1-9]\d* sources, .* [1-9]\d* numbers, 0 scores", output, re.MULTILINE)
    assert "nothing was deleted: `audience purge --apply` deletes it" in output


@pytest.mark.timeout(400)
def test_shows_an_online_use_with_scores_and_refusals_the_register_s_entry_on_it_and_its_public_notice(demo):
    output = demo["output"]
    asked = output[output.index('"channel_class": "online_targeted"') : output.index("audience register --kind targeting")]
    assert re.search(r"affinity:housing +\d+\.\d% +\[\d+\.\d%, \d+\.\d%\]", asked)
    assert "affinity:health: no score, special_category_profiling" in asked
    refused = set(re.findall(r"no score for this use: (\w+) \(rule", asked))
    assert refused == {"objected", "under_age", "third_party_source", "source_purpose_missing", "no_live_political_consent"}
    assert re.search(r"targeting +housing-2026: score, affinity:housing by affinity 1$", output, re.MULTILINE)
    notice = output[output.index("# Transparency notice: housing-2026") :]
    assert "- Sponsor: Simulated campaign" in notice


@pytest.mark.timeout(400)
def test_never_leaves_the_machine(demo):
    assert demo["marks"].read_text() == ""


@pytest.mark.timeout(400)
def test_the_documented_calls_work_on_it(demo):
    """The `curl` and the Python example of docs/api.md, with the demo's own key and address."""
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    key = re.search(r"/v1/scores +key (\S+)", demo["output"])[1]
    environment = {**os.environ, "AUDIENCE_KEY": key, "AUDIENCE_URL": f"http://127.0.0.1:{demo['port']}"}
    person = re.search(r'"people": \["([^"]+)"', demo["output"])[1]
    for language, command in (("sh", ["bash", "-euc"]), ("python", [sys.executable, "-c"])):
        example = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)[1]
        example = re.sub(r"\b(sim|van|nb):[A-Za-z0-9]+", person, example).replace("http://127.0.0.1:3000", environment["AUDIENCE_URL"])
        done = subprocess.run([*command, example], env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr[-2000:]
        assert "affinity:housing" in done.stdout


@pytest.mark.timeout(400)
def test_every_file_of_it_is_on_the_list_of_places_and_quiet_places_name_nobody(demo):
    found = {relative: place for _, relative, place in files(demo["workspace"])}
    nowhere = [relative for relative, place in found.items() if place is None]
    assert not nowhere, f"on no place: {nowhere[:5]}: add them to PLACES of features/permission/places.py, with what erasure does to them"
    quiet = {relative for relative, place in found.items() if not place.personal or place.name == "database"}
    assert {"serve.log", "audience.db", "mlflow.db", "signing.key"} <= quiet
    naming = {name for name, piece in every_byte.pieces(demo["workspace"]) if name in quiet and re.search(rb"sim:\d{5,}", piece)}
    assert not naming, f"{sorted(naming)} name people, and their places are said to hold none"
