import os
import subprocess
import sys

from tests.conftest import ROOT

CODE = """
import sys
import serving.service
from bentoml._internal.utils.analytics.usage_stats import do_not_track
slow = {"mlflow", "shap", "ibis", "duckdb", "deltalake", "matplotlib", "numba"}
print(sorted(slow.intersection(sys.modules)), do_not_track())
"""


def test_the_server_tells_nobody_and_imports_nothing_it_does_not_need():
    """Above all neither mlflow nor shap: 4 s and 6 s of cold start. It also needs no workspace to be imported, so that a bento can be built."""
    environment = {name: value for name, value in os.environ.items() if name not in {"BENTOML_DO_NOT_TRACK", "AUDIENCE_WORKSPACE"}}
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.split("\n")[-2] == "[] True", done.stdout + done.stderr


def test_the_service_is_short():
    assert len((ROOT / "serving" / "service.py").read_text(encoding="utf-8").splitlines()) <= 40
