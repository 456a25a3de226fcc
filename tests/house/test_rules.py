"""House rules as small programs: packages, formats, clocks, layers, the lock."""

import ast
import importlib
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("features", "models", "training", "serving")
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")) + [ROOT / "audience.py"]


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("package", [*ROOMS, "audience"])
def test_each_package_lives_in_this_repository(package):
    assert Path(importlib.import_module(package).__file__).resolve().is_relative_to(ROOT)


PICKLE_LIKE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "skops", "shelve", "marshal"}


@pytest.mark.parametrize("path", [*SOURCES, *sorted((ROOT / "experiments").rglob("*.py"))], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_pickle_like_format_outside_tests(path):
    assert not PICKLE_LIKE & set(imported(path))
    assert not re.search(r"allow_pickle\s*=\s*True|\.(to|read)_pickle\(", path.read_text(encoding="utf-8"))


EDGE = {"commands.py", "terminal.py"}
"""The command line's part of a room: there the clock is read, and handed in."""
CLOCK = {"now", "utcnow", "today", "time", "time_ns", "monotonic", "perf_counter", "localtime", "gmtime"}
SQL_CLOCK = re.compile(r"\b(now\(\)|current_timestamp|current_date|get_current_time)", re.IGNORECASE)


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if path.parts[len(ROOT.parts)] in {"features", "models"} and path.name not in EDGE],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_clock_in_features_and_models(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            clock = node.func.attr in CLOCK and node.func.value.id in {"datetime", "date", "time", "dt", "pd", "Timestamp"}
            assert not clock, f"line {node.lineno} reads the clock: take `now` or `as_of` as an argument"
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not _is_docstring_like(node.value):
            assert not SQL_CLOCK.search(node.value), f"line {node.lineno}: SQL reads the clock"
    assert "time" not in set(imported(path)), "the module `time` is not for this room"


def _is_docstring_like(text):
    return "\n" in text and not re.search(r"\bselect\b", text, re.IGNORECASE)


def test_the_store_of_a_workspace_is_opened_in_one_place():
    """Where key and database are held against each other: else an objection could be looked for where it never was."""
    opening = {path.relative_to(ROOT).as_posix() for path in SOURCES if re.search(r"(?<!\w)Store\(", path.read_text(encoding="utf-8"))}
    assert opening == {"features/permission/opening.py"}


def test_folders_above_a_workspace_are_no_columns_of_its_tables():
    """DuckDB takes a folder `topic=housing` for every row's topic, unless it is told not to."""
    for path in SOURCES:
        words = path.read_text(encoding="utf-8")
        for call in re.finditer(r"read_parquet\(", words):
            assert "hive_partitioning = false" in words[call.end() : call.end() + 120], f"{path.relative_to(ROOT)} reads Parquet with what folders are named"


def test_only_commands_use_the_terminal():
    for path in SOURCES:
        modules = {node.module for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom)}
        edge = path.name.endswith("commands.py") or path.name == "audience.py"
        assert edge or not modules & {"features.terminal", "features.commands", "training.commands", "training.experiment_commands", "serving.commands"}


def test_only_tracking_imports_mlflow():
    assert [path.relative_to(ROOT).as_posix() for path in SOURCES if "mlflow" in set(imported(path))] == ["training/tracking.py"]


def test_imports_point_down():
    """The layers of `pyproject.toml`, by import-linter."""
    done = subprocess.run([str(Path(sys.executable).parent / "lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_no_package_marker_under_tests():
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_every_test_file_stands_beside_what_it_tests():
    """`tests/<room>/test_<file>.py` for `<room>/<file>.py`: a test file whose source is gone is dead."""
    stems = {path.stem for path in SOURCES} | {path.parent.name for path in SOURCES if path.name == "__init__.py"}
    for room in ROOMS:
        for path in (ROOT / "tests" / room).glob("test_*.py"):
            name = path.stem.removeprefix("test_")
            assert any(name == stem or name.startswith(f"{stem}_") or name.endswith("_oracle") for stem in stems), path.name


def test_the_lock_holds_versions_and_hashes_and_no_address():
    for name in ("requirements.lock", "requirements-econml.lock", "requirements-spark.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "--hash=sha256:" in text
        assert "://" not in text


def test_the_lock_holds_every_direct_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.match(r"[A-Za-z0-9._-]+", line).group().lower() for line in asked}
    locked = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE))
    assert names <= locked, sorted(names - locked)


def test_nothing_names_this_machine():
    paths = {f"{ROOT}/", f"{Path.home()}/", f"{ROOT.parent}/"} - {"//", "/", f"{tempfile.gettempdir()}/"}
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    for name in filter(None, tracked):
        path = ROOT / name
        if path.suffix in {".png", ".parquet", ".npy"} or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not [folder for folder in paths if folder in text], f"{name} names a path of this machine"
