"""What an erasure is told of models: versions of tables, experiment, office, and what the organisation says of each."""

import shlex
import sys

import pytest

from features.history import History
from features.permission.certificate import KEPT
from features.permission.held import held
from serving.registered import listing
from training.tracking import Tracking
from training.trained_models import Statement, StatementError, as_json, trained_models

NAMES = {"affinity", "persuadability.story.letter", "persuadability.story.card"}


def test_every_version_says_which_tables_it_read(trained):
    workspace, affinity, arms, _ = trained
    found = {model.name: model for model in trained_models(workspace)}
    assert set(found) == NAMES
    assert found["affinity"].experiment is None
    assert {model.experiment for name, model in found.items() if name != "affinity"} == {"story"}
    versions = History(workspace.tables, workspace.vocabulary).versions()
    for run in (affinity, *arms):
        model = found[run.name]
        assert (model.version, model.digest, model.in_office) == (run.version, run.digest, False)
        assert model.table_versions == versions
        assert (model.state, model.reason) == ("kept_with_reason", KEPT)


def test_who_was_in_those_tables_is_told_for_each(trained):
    workspace, *_ = trained
    history = History(workspace.tables, workspace.vocabulary)
    what = held(history, ["van:0007", "van:stranger"])
    for model in trained_models(workspace):
        assert what.learned_from(history, model.table_versions, model.experiment) == {"van:0007"}
        assert what.learned_from(history, model.table_versions | {"interactions": -1, "people": -1, "assignments": -1}, model.experiment) == set()
    assert what.learned_from(history, history.versions(), "another") == set()


def test_what_is_said_counts_and_the_last_word_most(trained):
    workspace, *_ = trained
    said = [Statement.of(text) for text in ("retired", "persuadability.story.letter=retrained", "affinity/1=kept", "affinity/2=retired")]
    found = {model.name: (model.state, model.reason) for model in trained_models(workspace, said, "as decided on 3 May")}
    assert found == {
        "affinity": ("kept_with_reason", "as decided on 3 May"),
        "persuadability.story.letter": ("retrained", "as decided on 3 May"),
        "persuadability.story.card": ("retired", "as decided on 3 May"),
    }


@pytest.mark.parametrize("text", ["", "gone", "affinity=", "affinity/x=retired", "=retired", "a b=retired"])
def test_what_says_nothing_is_refused(text):
    with pytest.raises(StatementError, match="NAME/VERSION=STATE"):
        Statement.of(text)


def test_a_version_in_office_is_kept_whatever_was_said(trained, tmp_path, monkeypatch):
    workspace, *_ = trained
    real = Tracking.versions

    def in_office(self, name=None):
        from dataclasses import replace

        return [replace(version, aliases=("champion",)) if version.name == "affinity" else version for version in real(self, name)]

    monkeypatch.setattr(Tracking, "versions", in_office)
    found = {model.name: model for model in trained_models(workspace, [Statement.of("retired")])}
    assert (found["affinity"].state, found["affinity"].in_office) == ("kept_with_reason", True)
    assert "not retired yet" in found["affinity"].reason
    assert found["persuadability.story.card"].state == "retired"


def test_where_nothing_was_trained_there_is_no_store_to_ask(campaign):
    assert trained_models(campaign) == []
    assert not (campaign.root / "mlflow.db").exists()


def test_a_server_that_erases_reads_what_the_module_prints(trained, tmp_path):
    workspace, *_ = trained
    found = trained_models(workspace)
    (tmp_path / "models.json").write_text(as_json(found))
    program = "import pathlib, sys; print(pathlib.Path(sys.argv[1], 'models.json').read_text())"
    assert listing(shlex.join([sys.executable, "-c", program]), tmp_path)() == found
