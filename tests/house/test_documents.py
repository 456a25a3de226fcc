"""Documents match the code: links lead somewhere, the notebook runs, decisions stay short, the README names the real commands."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import typer
from nbclient import NotebookClient

import audience

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "experiments").rglob("*.md")])
NOTEBOOK = ROOT / "experiments" / "quickstart.ipynb"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_table_has_a_head_and_says_nothing_twice(path):
    blocks = re.findall(r"^\|.*(?:\n\|.*)*", re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    for rows in (block.splitlines() for block in blocks):
        assert re.fullmatch(r"\|[ :|-]+\|", rows[min(1, len(rows) - 1)]), f"rows without a head: {rows[0]}"
        assert len(set(rows)) == len(rows), f"a row that is there twice, after {rows[0]}"


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda path: path.name)
def test_decisions_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 30


def test_the_readme_names_real_targets_and_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)) <= targets
    known = set(typer.main.get_command(audience.app).commands)
    assert set(re.findall(r"\baudience ([a-z]+)\b", text)) <= known


def test_the_data_dictionary_is_the_tables_own():
    from features.tables import data_dictionary

    assert (ROOT / "docs" / "data.md").read_text(encoding="utf-8") == data_dictionary()


def test_the_rules_of_the_page_on_permission_are_the_packs_own():
    from features.permission.tabulated import rules_tables

    page = (ROOT / "docs" / "permission.md").read_text(encoding="utf-8")
    assert rules_tables() in page, "paste what rules_tables() of features/permission/tabulated.py returns into docs/permission.md"


def test_every_rule_of_the_law_has_its_place_on_the_page_on_permission():
    page = (ROOT / "docs" / "permission.md").read_text(encoding="utf-8")
    told = {int(number) for line in page.splitlines() if line.startswith("| L") for number in re.findall(r"\bL([0-9]+)", line.split("|")[1])}
    assert told == set(range(1, 39))


def test_the_notebook_was_executed_in_order_without_error():
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert sum("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs) >= 4


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_notebook_runs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=400, kernel_name="python3", resources={"metadata": {"path": str(ROOT / "experiments")}}).execute()
    assert [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"][-1]


def experiment_results(name):
    folder = next((ROOT / "experiments").glob(f"*-{name}"))
    tables = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert all(str(value) in readme for table in tables.values() for record in table for value in record.values()), "README.md is not of these results"
    return tables


def test_the_committed_figures_of_movielens_meet_their_floors():
    table = next(iter(experiment_results("movielens-affinity").values()))
    floors = {"": (0.861, 0.798), ", more moments of the same training people": (0.861, 0.802)}
    for rows, (auc, ndcg) in floors.items():
        ours = next(record for record in table if record[""] == f"**TopicAffinity{rows}, mean of the seeds**")
        assert float(ours["micro AUC"].split()[0]) >= auc
        assert float(ours["NDCG@5"].split()[0]) >= ndcg


def test_the_committed_figures_of_the_field_experiment_meet_what_was_fixed_before():
    real, dealt_anew = experiment_results("social-pressure").values()
    found = {record["arm against control"]: record for record in real}
    for arm, known in (("neighbors", 0.0198), ("self", 0.0112)):
        assert abs(float(found[arm]["AUTOC (se)"].split()[0]) - known) <= 0.006
    assert {arm: record["gate"] for arm, record in found.items() if arm in ("civic_duty", "hawthorne")} == {"civic_duty": "refused", "hawthorne": "refused"}
    assert {record["gate"] for record in dealt_anew} == {"refused"}


def test_help_needs_no_heavy_library():
    code = "import sys, audience; print({'mlflow', 'shap', 'bentoml', 'lightgbm', 'duckdb', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
