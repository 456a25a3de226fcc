"""Training runs and registered models, as MLflow keeps them: the only file that imports MLflow.

Runs and versions stand in `mlflow.db` and `artifacts/` of the workspace, or on the tracking server that `audience.toml` names.
Only folders of LightGBM text and JSON are logged, no model flavour, so that nothing is ever loaded by executing it. Nothing
personal is logged.
"""

from __future__ import annotations

import logging
import math
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from features.workspace import Workspace

CHAMPION = "champion"
CHALLENGER = "challenger"
"""The newest version that no gate has let through yet."""
MODEL_FOLDER = "model"
"""Where the artefact stands among a run's files."""
_PARENT = "mlflow.parentRunId"
"""The tag by which MLflow shows a run inside another."""
_PARAMETER_LENGTH = 6000
"""MLflow's own limit."""
_LISTED = 1000
_KINDS = "tags.kind LIKE '%'"
"""Asked of the store, so that a thousand trials do not crowd the runs out of its answer."""


class TrackingError(RuntimeError):
    """The tracking store does not hold what was asked for; the message names what it holds."""


@dataclass(frozen=True, slots=True)
class Run:
    """A training run as it is listed: newest metrics, parameters and tags by name; times are UTC."""

    run_id: str
    name: str
    status: str
    started_at: datetime
    seconds: float | None
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version of the model `name`."""

    name: str
    version: int
    run_id: str
    aliases: tuple[str, ...]
    created_at: datetime
    tags: Mapping[str, str]


class OpenRun:
    """A run that is under way: what is logged here stands under its id."""

    def __init__(self, client: Any, run_id: str) -> None:
        self._client = client
        self.run_id = run_id

    def parameters(self, values: Mapping[str, object]) -> None:
        """Log parameters; a value longer than MLflow takes is cut."""
        from mlflow.entities import Param  # noqa: PLC0415 - MLflow takes seconds to import: see `_client`

        self._client.log_batch(self.run_id, params=[Param(key, str(value)[:_PARAMETER_LENGTH]) for key, value in values.items()])

    def metrics(self, values: Mapping[str, float]) -> None:
        """Log metrics; one that is not finite is left out, because stores disagree on it."""
        from mlflow.entities import Metric  # noqa: PLC0415 - as above

        at = int(time.time() * 1000)
        self._client.log_batch(self.run_id, metrics=[Metric(key, float(value), at, 0) for key, value in values.items() if math.isfinite(value)])

    def tags(self, values: Mapping[str, object]) -> None:
        """Set tags."""
        for key, value in values.items():
            self._client.set_tag(self.run_id, key, str(value))

    def folder(self, folder: Path, to: str) -> None:
        """Log every file of `folder` under `to`."""
        self._client.log_artifacts(self.run_id, str(folder), to)


class Tracking:
    """The tracking store at `url`; `artifacts` is the folder for the files of a store that is a local database."""

    def __init__(self, url: str, artifacts: Path) -> None:
        self.url = url
        self._artifacts = artifacts
        self._client = _client(url)

    @classmethod
    def of(cls, workspace: Workspace) -> Tracking:
        """Return the store of the workspace."""
        return cls(workspace.tracking_url, workspace.artifacts)

    @contextmanager
    def run(self, name: str, *, tags: Mapping[str, str], parent: str | None = None) -> Iterator[OpenRun]:
        """Open a run of the model `name`, or one called so inside the run with the id `parent`; it ends as FINISHED, or as FAILED when the block raises."""
        experiment = self._experiment(name) if parent is None else self._client.get_run(parent).info.experiment_id
        inside = {} if parent is None else {_PARENT: parent}
        run_id = self._client.create_run(experiment, run_name=name, tags={**tags, **inside}).info.run_id
        try:
            yield OpenRun(self._client, run_id)
        except BaseException as error:
            # the kind of the failure only: a message may quote data
            self._client.set_tag(run_id, "failure", type(error).__name__)
            self._client.set_terminated(run_id, "FAILED")
            raise
        self._client.set_terminated(run_id, "FINISHED")

    def register(self, name: str, run_id: str, *, tags: Mapping[str, object]) -> int:
        """Register the artefact of the run as the next version of `name`, its challenger; return its number."""
        if not self._client.search_registered_models(f"name='{name}'"):
            self._client.create_registered_model(name)
        source = f"{self._client.get_run(run_id).info.artifact_uri}/{MODEL_FOLDER}"
        found = self._client.create_model_version(name, source=source, run_id=run_id, tags={key: str(value) for key, value in tags.items()})
        self._client.set_registered_model_alias(name, CHALLENGER, str(found.version))
        return int(found.version)

    def versions(self, name: str | None = None) -> list[Version]:
        """Return the registered versions, by name and then newest first; with `name`, of that model only."""
        names = [name] if name else [model.name for model in self._client.search_registered_models(max_results=_LISTED)]
        found = []
        for each in names:
            aliases = _aliases(self._client, each)
            versions = self._client.search_model_versions(f"name='{each}'", max_results=_LISTED)
            found += [_version(version, aliases) for version in versions]
        return sorted(found, key=lambda version: (version.name, -version.version))

    def version(self, name: str, version: int | None = None) -> Version:
        """Return that version of `name`, the newest one by default. Raises TrackingError, which names what there is."""
        every = self.versions()
        known = [each for each in every if each.name == name]
        for each in known:
            if version in {None, each.version}:
                return each
        if known:
            raise TrackingError(f"{name} has no version {version}; there: {', '.join(str(each.version) for each in reversed(known))}")
        raise TrackingError(f"no model {name!r} is registered; there: {', '.join(sorted({each.name for each in every})) or 'none yet: run `audience train`'}")

    def runs(self) -> list[Run]:
        """Return the training and tuning runs, newest first: those with the tag `kind`, which the trials inside a tuning run do not have."""
        experiments = [experiment.experiment_id for experiment in self._client.search_experiments(max_results=_LISTED)]
        found = self._client.search_runs(experiments, _KINDS, max_results=_LISTED) if experiments else []
        return sorted((_run(run) for run in found), key=lambda run: run.started_at, reverse=True)

    def inside(self, parent: str) -> list[Run]:
        """Return the runs inside the run with the id `parent`, oldest first."""
        experiment = self._client.get_run(parent).info.experiment_id
        found = self._client.search_runs([experiment], f"tags.`{_PARENT}` = '{parent}'", max_results=_LISTED)
        return sorted((_run(run) for run in found), key=lambda run: run.started_at)

    def download(self, version: Version, folder: Path) -> Path:
        """Copy the artefact of `version` into `folder`; return the copy. What it holds has not been checked."""
        folder.mkdir(parents=True, exist_ok=True)
        return Path(self._client.download_artifacts(version.run_id, MODEL_FOLDER, str(folder)))

    def tag(self, version: Version, tags: Mapping[str, object]) -> None:
        """Set tags of `version`."""
        for key, value in tags.items():
            self._client.set_model_version_tag(version.name, str(version.version), key, str(value))

    def make_champion(self, version: Version) -> None:
        """Move the alias `champion` of the model to `version`, which is no challenger any more."""
        self._client.set_registered_model_alias(version.name, CHAMPION, str(version.version))
        if CHALLENGER in version.aliases:
            self._client.delete_registered_model_alias(version.name, CHALLENGER)

    def withdraw_champion(self, name: str) -> None:
        """Take the alias `champion` from the model, which then has none."""
        self._client.delete_registered_model_alias(name, CHAMPION)

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        local = self.url.startswith(("sqlite:", "file:"))
        return str(self._client.create_experiment(name, artifact_location=(self._artifacts / name).as_uri() if local else None))


def _client(url: str) -> Any:
    """Return MLflow's client: telemetry off, loggers quiet. The import takes seconds, so it waits until a store is opened."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # by default a server that is down is asked for over a minute, in silence
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    with warnings.catch_warnings():
        # MLflow 3.17 declares a loader that SQLAlchemy 2.1 deprecates
        warnings.filterwarnings("ignore", message="The ``noload`` loader strategy is deprecated", category=DeprecationWarning)
        from mlflow import MlflowClient  # noqa: PLC0415 - the reason stands in the docstring

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        return MlflowClient(tracking_uri=url, registry_uri=url)


def _aliases(client: Any, name: str) -> dict[str, int]:
    found = client.search_registered_models(f"name='{name}'")
    return {alias: int(version) for model in found for alias, version in model.aliases.items()}


def _version(found: Any, aliases: Mapping[str, int]) -> Version:
    own = tuple(sorted(alias for alias, version in aliases.items() if version == int(found.version)))
    return Version(found.name, int(found.version), found.run_id, own, _moment(found.creation_timestamp), dict(found.tags))


def _run(found: Any) -> Run:
    info, data = found.info, found.data
    return Run(
        run_id=info.run_id,
        name=info.run_name,
        status=info.status,
        started_at=_moment(info.start_time),
        seconds=None if info.end_time is None else (info.end_time - info.start_time) / 1000,
        metrics=dict(data.metrics),
        parameters=dict(data.params),
        tags=dict(data.tags),
    )


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
