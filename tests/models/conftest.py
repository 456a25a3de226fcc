"""What tests of the models share: the interpreter of the econml oracle."""

import os
from pathlib import Path

import pytest

from tests.conftest import ROOT, missing_tool


@pytest.fixture(scope="session")
def econml_python():
    """The interpreter of `.venv-econml` (`make econml`); without it the test is skipped, and fails where AUDIENCE_CI is set."""
    folder = Path(os.environ.get("AUDIENCE_ECONML", ROOT / ".venv-econml"))
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        missing_tool("the econml environment is not here: make econml")
    return python
