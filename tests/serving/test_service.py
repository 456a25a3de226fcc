import os
import subprocess
import sys

import pytest

from features.database.store import Store
from tests.conftest import ROOT

CODE = """
import sys
import serving.service
from bentoml._internal.utils.analytics.usage_stats import do_not_track
slow = {"mlflow", "shap", "ibis", "duckdb", "alembic", "matplotlib", "numba"}
print(sorted(slow.intersection(sys.modules)), do_not_track())
"""
LOADED = """
import sys
from datetime import UTC, datetime
import numpy as np
from features.permission.use import Use
from serving.server import Server
from serving.settings import Settings
server = Server.open(Settings(workspace=sys.argv[1]))
server.reloader.refresh()
loaded = server.reloader.current
use = Use(purpose="research", channel_class="offline", sponsor_type="ngo", jurisdiction="none")
print(loaded.ready, loaded.group.decide(np.arange(3), use, datetime.now(UTC)).counts())
print(sorted({"mlflow", "shap", "ibis", "duckdb", "alembic", "matplotlib", "numba"}.intersection(sys.modules)))
"""


@pytest.fixture
def store_there(made):
    """Brought up to date, as `check_workspace` does before any worker starts."""
    Store(made.workspace.database_url).close()


def test_the_server_tells_nobody_and_imports_nothing_it_does_not_need():
    """Above all neither mlflow nor shap: 4 s and 6 s of cold start. It also needs no workspace to be imported, so that a bento can be built."""
    environment = {name: value for name, value in os.environ.items() if name not in {"BENTOML_DO_NOT_TRACK", "AUDIENCE_WORKSPACE"}}
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.split("\n")[-2] == "[] True", done.stdout + done.stderr


def test_nor_does_it_when_it_has_loaded_models_and_decided_on_people(made, store_there):
    done = subprocess.run([sys.executable, "-c", LOADED, str(made.workspace.root)], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["True {'allowed': 3}", "[]"], done.stdout + done.stderr


def test_the_service_is_short():
    assert len((ROOT / "serving" / "service.py").read_text(encoding="utf-8").splitlines()) <= 40
