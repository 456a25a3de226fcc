"""`audience aggregate`: what it prints, what it refuses, and that either is in the log."""

import json
import shutil

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

import audience
from features.database.schema import ANSWERS
from features.database.store import Store
from features.workspace import Workspace
from models import artefact

USES = """
[uses.figures]
purpose = "campaign_messages"
channel_class = "aggregate"
sponsor_type = "ngo"
jurisdiction = "none"

[uses.law]
purpose = "campaign_messages"
channel_class = "aggregate"
sponsor_type = "political_actor"
jurisdiction = "eu"
"""


@pytest.fixture(scope="module")
def workspace(made, tmp_path_factory):
    root = tmp_path_factory.mktemp("figures") / "workspace"
    shutil.copytree(made.workspace.root, root, ignore=shutil.ignore_patterns("audience.db*", "database.id"))
    (root / "audience.toml").write_text((root / "audience.toml").read_text() + USES)
    return Workspace.open(root)


@pytest.fixture
def run(workspace, monkeypatch):
    """Run the command; gives its exit code, what it printed, and the last entry in the log."""
    monkeypatch.setattr(artefact, "try_in_process", lambda _folder: None)
    for name in ("AUDIENCE_DATABASE_URL", "AUDIENCE_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)

    def run(*words):
        done = CliRunner().invoke(audience.app, ["aggregate", *words, "--workspace", str(workspace.root)])
        store = Store(workspace.database_url)
        with store.read() as connection:
            last = connection.execute(select(ANSWERS).order_by(ANSWERS.c.at.desc()).limit(1)).one_or_none()
        store.close()
        return done, last

    return run


def test_it_tells_of_groups_and_leaves_an_entry(run):
    done, last = run("--use", "figures", "--score", "affinity:housing", "--score", "persuadability:rent:*", "--by", "band")
    assert done.exit_code == 0, done.output
    first, *_ = done.stdout.split("\n\n")
    lines = [line.split() for line in first.strip().splitlines()]
    assert lines[:2] == [["affinity:housing"], ["band", "people", "expected", "mean"]]
    assert [line[0] for line in lines[2:]] == ["all", "high", "medium", "low"]
    assert [line[1] for line in lines[2:]] == ["600", "120", "180", "300"]
    assert lines[2][3].endswith("%")
    assert "points" in done.stdout
    assert "ranking_refused" in done.stdout
    assert "600 people counted" in done.stderr
    assert "van:" not in done.output
    assert (last.door, last.route, last.status, last.people, last.key_id) == ("command", "audience aggregate", 200, 600, None)
    assert json.loads(last.asked)[-2:] == ["by band", "k 50"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--use", "figures", "--score", "affinity:housing", "--by", "aera"), 2, "Did you mean 'area'"),
        (("--use", "doorstep", "--score", "affinity:housing"), 2, "channel_class"),
        (("--use", "figures", "--score", "housing"), 2, "--score"),
        (("--use", "law", "--score", "affinity:housing"), 1, "no_dpia"),
    ],
)
def test_what_it_refuses_it_says(run, words, code, said):
    done, last = run(*words)
    assert done.exit_code == code
    assert said in " ".join(done.output.replace("│", " ").split())
    assert said == "--score" or last.status in {409, 422}
