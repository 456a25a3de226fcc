import os
import re
import socket
import subprocess
import sys
from datetime import UTC, datetime

import httpx
import pytest
import yaml

from features.database.store import Store
from serving import keys
from serving.bento import DIRECT, LOCK, SERVER_LOCK, server_part
from serving.run import stop
from tests.conftest import ROOT
from tests.serving.conftest import DOORSTEP, wait_until

WITHOUT_THE_REPOSITORY = """
import os, sys
sys.path[:] = [part for part in sys.path if not os.path.exists(os.path.join(part or ".", "audience.py"))]
"""
"""As `sitecustomize`, this undoes the editable install in every process, so that ours can only be imported from the bento."""


def test_the_servers_lock_is_part_of_the_lock():
    """`python -m serving.bento` writes it anew."""
    assert SERVER_LOCK.read_text(encoding="utf-8") == server_part(LOCK.read_text(encoding="utf-8"))


def test_it_holds_what_serves_and_nothing_that_trains():
    names = set(re.findall(r"^([a-z0-9._-]+)==", SERVER_LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    assert DIRECT - names <= {"psycopg"}
    assert names.isdisjoint({"mlflow", "shap", "pytest", "duckdb", "ibis-framework", "matplotlib", "playwright"})


def test_only_what_is_needed_is_kept():
    entries = (
        "a==1 \\\n    --hash=sha256:0\n    # via audience-scoring",
        "b==2 ; python_version < '3.12' \\\n    --hash=sha256:1\n    # via\n    #   a\n    #   z",
        "c==3 \\\n    --hash=sha256:2\n    # via z",
        "z==4 \\\n    --hash=sha256:3\n",
    )
    lock = "\n".join(entries)
    part = server_part(lock, frozenset({"a"}))
    assert part.splitlines()[1:] == ["a==1 \\", "    --hash=sha256:0", "b==2 ; python_version < '3.12' \\", "    --hash=sha256:1"]


def test_the_bento_holds_code_and_no_data():
    document = yaml.safe_load((ROOT / "bentofile.yaml").read_text(encoding="utf-8"))
    assert document["service"] == "serving.service:AudienceScores"
    assert {pattern.split("/")[0] for pattern in document["include"]} == {"serving", "models", "features"}
    for pattern in document["include"]:
        assert list(ROOT.glob(pattern)), pattern


def bentoml(*words, cwd, environment):
    command = [sys.executable, "-m", "bentoml", *map(str, words)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def is_ready(url):
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.timeout(180)
def test_it_is_built_and_serves_without_the_repository(made, tmp_path):
    """As docs/bento.md says: build, export, unpack elsewhere, serve, ask; the packages are this environment's."""
    others = {name: value for name, value in os.environ.items() if name != "PYTHONPATH" and not name.startswith("AUDIENCE_")}
    environment = {**others, "BENTOML_HOME": str(tmp_path / "home"), "BENTOML_DO_NOT_TRACK": "True"}
    bentoml("build", cwd=ROOT, environment=environment)
    bentoml("export", "audience_scores:latest", tmp_path / "audience_scores.bento", cwd=tmp_path, environment=environment)
    bento, elsewhere, site = (tmp_path / name for name in ("bento", "elsewhere", "site"))
    bento.mkdir()
    subprocess.run(["tar", "-xf", tmp_path / "audience_scores.bento", "-C", bento], check=True, timeout=60)
    elsewhere.mkdir()
    site.mkdir()
    (site / "sitecustomize.py").write_text(WITHOUT_THE_REPOSITORY, encoding="utf-8")

    include = yaml.safe_load((ROOT / "bentofile.yaml").read_text(encoding="utf-8"))["include"]
    ours = {path.relative_to(ROOT) for pattern in include for path in ROOT.glob(pattern)}
    held = {path.relative_to(bento / "src") for path in (bento / "src").rglob("*") if path.is_file()}
    assert ours <= held
    assert {path.parts[0] for path in held if len(path.parts) > 1} == {"serving", "models", "features"}

    environment |= {"PYTHONPATH": str(site), "AUDIENCE_WORKSPACE": str(made.workspace.root), "BENTOML_HOME": str(tmp_path / "another")}
    alone = subprocess.run([sys.executable, "-c", "import serving"], cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=60)
    assert "ModuleNotFoundError: No module named 'serving'" in alone.stderr

    store = Store(made.workspace.database_url)
    secret = keys.create_key(store, scope="scores", label="tool", now=datetime.now(UTC))
    store.close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, log = f"http://127.0.0.1:{port}", tmp_path / "serve.log"
    command = [sys.executable, "-m", "bentoml", "serve", str(bento), "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=elsewhere, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        wait_until(lambda: process.poll() is not None or is_ready(url), seconds=60)
        assert process.poll() is None, log.read_text()
        body = {"people": ["van:0001"], "scores": ["affinity:housing"], "use": DOORSTEP}
        answer = httpx.post(f"{url}/v1/scores", json=body, headers={"Authorization": f"Bearer {secret}"}, timeout=30)
        assert answer.status_code == 200, answer.text
        value = answer.json()["results"][0]["scores"][0]["value"]
        assert value == made.affinity.predict_proba(made.vectors.frame().loc[["van:0001"]])[0, 0]
    finally:
        status = stop(process)
    assert status == 0, log.read_text()
