import json
import logging
import os

import pytest

from training.tracking import Tracking, TrackingError


@pytest.fixture
def tracking(tmp_path, store_in):
    folder = tmp_path / "a work space"
    folder.mkdir()
    store_in(folder)
    return Tracking(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")


@pytest.fixture
def artefact(tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"files": {}}))
    return folder


def train(tracking, artefact, name="affinity", **tags):
    with tracking.run(name, tags={"kind": "affinity"} | tags) as run:
        run.parameters({"horizon_days": 30, "long": "x" * 9000})
        run.metrics({"log_loss": 0.25, "log_loss_low": 0.2, "unknown": float("nan")})
        run.folder(artefact, "model")
    return run.run_id


def test_a_run_holds_what_was_logged(tracking, artefact):
    run_id = train(tracking, artefact, rows="12")
    (run,) = tracking.runs()
    assert (run.run_id, run.name, run.status) == (run_id, "affinity", "FINISHED")
    assert run.metrics == {"log_loss": 0.25, "log_loss_low": 0.2}
    assert run.parameters["horizon_days"] == "30"
    assert run.tags["rows"] == "12"
    assert run.seconds >= 0
    assert run.started_at.utcoffset().total_seconds() == 0


def test_versions_count_up_and_champion_moves(tracking, artefact, tmp_path):
    first = tracking.register("affinity", train(tracking, artefact), tags={"digest": "a"})
    second = tracking.register("affinity", train(tracking, artefact), tags={"digest": "b"})
    assert (first, second) == (1, 2)
    tracking.make_champion(tracking.version("affinity", 1))
    assert [version.aliases for version in tracking.versions("affinity")] == [("challenger",), ("champion",)]
    tracking.make_champion(tracking.version("affinity"))
    assert [version.aliases for version in tracking.versions("affinity")] == [("champion",), ()]
    tracking.tag(tracking.version("affinity"), {"gate": "passed"})
    assert tracking.version("affinity").tags == {"digest": "b", "gate": "passed"}
    copy = tracking.download(tracking.version("affinity", 1), tmp_path / "copy")
    assert (copy / "manifest.json").read_bytes() == (artefact / "manifest.json").read_bytes()


def test_files_stand_in_the_artifacts_folder(tracking, artefact):
    train(tracking, artefact)
    found = list((tracking._artifacts / "affinity").rglob("manifest.json"))
    assert len(found) == 1


def test_a_failed_run_says_so_without_the_message(tracking):
    with pytest.raises(ValueError, match="van:123"), tracking.run("affinity", tags={"kind": "affinity"}):
        raise ValueError("van:123 has no vector")
    (run,) = tracking.runs()
    assert run.status == "FAILED"
    assert run.tags["failure"] == "ValueError"
    assert "van:123" not in str(run)


def test_a_run_inside_another_stands_beside_it_and_is_not_listed(tracking):
    with tracking.run("affinity", tags={"kind": "affinity"}) as parent:
        for number in range(3):
            with tracking.run(f"trial {number}", tags={"state": "complete"}, parent=parent.run_id) as run:
                run.metrics({"log_loss": 0.3 - number / 100})
    assert [run.run_id for run in tracking.runs()] == [parent.run_id]
    inside = tracking.inside(parent.run_id)
    assert [(run.name, run.status, run.metrics["log_loss"]) for run in inside] == [(f"trial {each}", "FINISHED", 0.3 - each / 100) for each in range(3)]
    assert {run.tags["mlflow.parentRunId"] for run in inside} == {parent.run_id}
    assert len(tracking._client.search_experiments()) == 2, "the default one, and that of the parent"


def test_what_is_not_there_is_named(tracking, artefact):
    with pytest.raises(TrackingError, match="none yet: run `audience train`"):
        tracking.version("affinity")
    tracking.register("affinity", train(tracking, artefact), tags={})
    with pytest.raises(TrackingError, match="there: affinity"):
        tracking.version("afinity")
    with pytest.raises(TrackingError, match="no version 7; there: 1"):
        tracking.version("affinity", 7)


def test_empty_store_lists_nothing(tracking):
    assert tracking.runs() == []
    assert tracking.versions() == []


def test_telemetry_is_off_and_loggers_are_quiet(tracking):
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert logging.getLogger("mlflow").getEffectiveLevel() >= logging.WARNING
    assert logging.getLogger("alembic").getEffectiveLevel() >= logging.WARNING
