"""The real thing: `bentoml serve` in a process of its own, asked over HTTP with the examples of docs/api.md, and stopped."""

import os
import re
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from features.workspace import WorkspaceError
from serving import keys
from serving.run import environment, start, stop
from serving.settings import SettingsError
from serving.store import Store
from tests.conftest import ROOT
from tests.serving.conftest import wait_until


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def answers(url):
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def running(made, tmp_path_factory):
    log = tmp_path_factory.mktemp("log") / "serve.log"
    port = free_port()
    store = Store(made.workspace.database_url)
    secret = keys.create_key(store, scope="scores", label="tool", now=datetime.now(UTC))
    store.close()
    with log.open("wb") as output:
        process = start(made.workspace, port=port, log=output.fileno())
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is not None or answers(f"{url}/readyz"), seconds=120)
        assert process.poll() is None, log.read_text()
        yield {"url": url, "secret": secret, "log": log, "process": process, "port": port}
    finally:
        assert stop(process) == 0
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


@pytest.mark.timeout(300)
def test_it_answers_and_every_address_is_ours(running, made):
    headers = {"Authorization": f"Bearer {running['secret']}"}
    body = {"people": ["van:0001"], "scores": ["affinity:housing"], "explain": 3}
    score = httpx.post(f"{running['url']}/v1/scores", json=body, headers=headers).json()["results"][0]["scores"][0]
    assert score["value"] == made.affinity.predict_proba(made.vectors.frame().loc[["van:0001"]])[0, 0]
    assert httpx.get(f"{running['url']}/livez").json() == {"status": "alive", "reasons": []}
    for path in ("/", "/healthz", "/schema.json", "/docs.json", "/v1/people/van:314159?id=van:314159"):
        answer = httpx.get(running["url"] + path)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
    metrics = httpx.get(f"{running['url']}/metrics").text
    assert 'route="/v1/scores"' in metrics
    assert "314159" not in metrics + running["log"].read_text()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("language", "command"), [("sh", ["bash", "-euc"]), ("python", [sys.executable, "-c"])])
def test_the_documented_examples_work(running, language, command):
    words = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    example = re.search(rf"```{language}\n(.*?)```", words, re.DOTALL)[1].replace("http://127.0.0.1:3000", running["url"])
    done = subprocess.run([*command, example], env={**os.environ, "AUDIENCE_KEY": running["secret"]}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "affinity:housing" in done.stdout
    assert "on the topic" in done.stdout


@pytest.mark.timeout(300)
def test_it_listens_on_this_machine_only(running):
    lines = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    local = {line[1] for line in lines if line[3] == "0A" and line[1].endswith(f":{running['port']:04X}")}
    assert local == {f"0100007F:{running['port']:04X}"}


def test_it_does_not_start_on_what_is_no_workspace(tmp_path, monkeypatch):
    with pytest.raises(WorkspaceError, match="audience init"):
        environment(tmp_path)
    monkeypatch.setenv("AUDIENCE_WORKSPACES", "x")
    with pytest.raises(SettingsError, match="AUDIENCE_WORKSPACES"):
        environment(tmp_path)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_by_a_signal(made, number):
    call = f"serve({str(made.workspace.root)!r}, port={free_port()}, started=lambda: print('started', flush=True))"
    words = f"import sys\nfrom serving.run import serve\nsys.exit({call})"
    process = subprocess.Popen([sys.executable, "-c", words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout.readline() == "started\n"
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output


def test_the_servers_environment(made):
    given = environment(made.workspace)
    assert (given["BENTOML_DO_NOT_TRACK"], given["AUDIENCE_WORKSPACE"]) == ("True", str(made.workspace.root))
