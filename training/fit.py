"""Training runs: from a workspace to a registered version, with everything that is needed to judge it and to repeat it.

What is evaluated is what is registered: nothing is fitted again after the test.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from features.arms import persuadability_model
from features.catalogue import special_attributes
from features.workspace import Workspace
from models import artefact
from models.affinity import TopicAffinity
from models.artefact import ArtefactError
from models.persuadability import Persuadability
from training import figures
from training.card import affinity_card, persuadability_card
from training.choice import MessageChoice, message_choice
from training.config import AffinityConfig, PersuadabilityConfig, parameters, read_config
from training.design_check import check_rows
from training.evaluation import MODEL, evaluate_affinity, evaluate_persuadability, flat_metrics, half_samples, summary, uplift_document
from training.faults import in_words
from training.gates import Findings, GateLine, gate_lines
from training.learning import learning_curve
from training.plan import analysis_follows, read_plan
from training.reference import REFERENCE, Reference, make_reference, reference_of
from training.registry import CARD, FINDINGS, UPLIFT, RegistryError, champion, champion_folder
from training.snapshots import AffinityDataset, Side, SnapshotError, affinity_dataset, parents_of
from training.tracking import MODEL_FOLDER, OpenRun, Tracking
from training.trials import TrialDataset, experiment_rows, trial_datasets

Progress = Callable[[str, float], None] | None
AFFINITY = "affinity"


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """A registered version that no gate has seen yet: `lines` say how its gate stands today."""

    name: str
    version: int
    run_id: str
    digest: str
    findings: Findings
    lines: tuple[GateLine, ...]

    def __str__(self) -> str:
        head = f"{self.name} version {self.version} is registered (run {self.run_id[:12]}): {summary(self.findings)}"
        would = "would pass its gate" if all(line.passed for line in self.lines) else "would not pass its gate"
        return "\n".join([head, f"  it {would}; `audience promote {self.name}` asks it", *(f"  {line}" for line in self.lines)])


@dataclass(frozen=True, slots=True)
class TrainedExperiment:
    """What a training on an experiment brought: a run per message, and the choice among messages where there are several."""

    runs: list[TrainedRun]
    choice: MessageChoice | None

    def __str__(self) -> str:
        return "\n".join(map(str, [*self.runs, *([] if self.choice is None else [self.choice])]))


def train_affinity(
    workspace: Workspace, *, now: datetime, config: AffinityConfig | None = None, labels: Path | None = None, progress: Progress = None
) -> TrainedRun:
    """Train topic affinity on what was known at `now`, evaluate it on later times and other people, log the run and register a version.

    `labels` names a file of the user's own labels. Raises ConfigError, SnapshotError, LabelsError or FitError, in words.
    """
    now = _utc(now)
    config = config or read_config(workspace).affinity
    tracking = Tracking.of(workspace)
    with tracking.run(AFFINITY, tags=_tags(workspace, AFFINITY, now)) as run:
        dataset = affinity_dataset(workspace, config, now=now, labels=labels, progress=progress)
        _can_be_judged(dataset)
        model = TopicAffinity(list(dataset.topics), parents=parents(workspace, dataset.topics), random_state=config.seed).set_params(**config.model)
        train = dataset.train
        if dataset.source == "engagement":  # own labels keep their own time
            model.set_params(lead=_lead(train, config, now))
        run.parameters(parameters(config) | _resolved(model) | {"now": now.isoformat(), "label_source": dataset.source})
        with in_words():
            model.fit(train.X, train.y, groups=train.person_ids, block=train.block, progress=progress)
        _tell(progress, "evaluating", 0.0)
        others = _champion(workspace, dataset, config)
        asked = {"learning_curve": _learning(model, dataset, config, progress)} if config.learning_curve else {}
        trained = _finish_affinity(workspace, tracking, run, model, dataset, config=config, now=now, champion_model=others, drawn=asked)
        _tell(progress, "evaluating", 1.0)
    return trained


def recalibrate_affinity(workspace: Workspace, *, now: datetime, progress: Progress = None) -> TrainedRun:
    """Register the champion's trees with a calibration and intervals of the latest complete snapshot, judged on other people of the same snapshot.

    Nothing is grown again. Raises RegistryError without a champion, where no label is newer than those it was trained on, or where labels, features or the
    people held apart are others than its own; and what `train_affinity` raises.
    """
    now = _utc(now)
    config = read_config(workspace).affinity
    folder = champion_folder(workspace, AFFINITY)
    if folder is None:
        raise RegistryError(
            "there is no champion to recalibrate: `audience train affinity` and `audience promote affinity` make one. Hint: a first model that the gate "
            "refused for its calibration has to learn from more: more `snapshots`, a longer `horizon_days`, or people whose history reaches further back"
        )
    said, model = artefact.check(folder).metadata, artefact.load(folder)
    assert isinstance(model, TopicAffinity)
    if said.get("label_source") != "engagement":
        raise RegistryError("the champion was trained on labels of your own; it can be calibrated anew only by training on newer ones")
    tracking = Tracking.of(workspace)
    with tracking.run(AFFINITY, tags=_tags(workspace, AFFINITY, now)) as run:
        dataset = affinity_dataset(workspace, config, now=now, only_latest=True, progress=progress)
        _can_be_judged(dataset)
        latest = dataset.train.as_ofs.max()
        if latest <= np.datetime64(str(said["as_of"])):
            raise RegistryError(
                f"the champion knows labels as of {str(said['as_of'])[:10]}; the latest complete ones are as of {str(latest)[:10]}: none is newer"
            )
        if other := [_WORDS[key] for key, value in _comparable(dataset, config).items() if said.get(key) != value]:
            raise RegistryError(f"not those of the champion are the {', the '.join(other)}: put them back, or train again with `audience train affinity`")
        before = artefact.digest(folder), model
        with in_words():
            made = model.recalibrated(dataset.train.X, dataset.train.y, groups=dataset.train.person_ids, lead=_lead(dataset.train, config, now))
        told = {"now": now.isoformat(), "label_source": dataset.source, "recalibrated_from": before[0]}
        run.parameters(parameters(config) | _resolved(made) | told)
        _tell(progress, "evaluating", 0.0)
        trained = _finish_affinity(
            workspace,
            tracking,
            run,
            made,
            dataset,
            config=config,
            now=now,
            champion_model=before,
            facts={"recalibrated_from": before[0]},
            before=reference_of(folder),
        )
        _tell(progress, "evaluating", 1.0)
    return trained


def _finish_affinity(
    workspace: Workspace,
    tracking: Tracking,
    run: OpenRun,
    model: TopicAffinity,
    dataset: AffinityDataset,
    *,
    config: AffinityConfig,
    now: datetime,
    champion_model: tuple[str, TopicAffinity] | None,
    drawn: Mapping[str, Figure] = MappingProxyType({}),
    facts: Mapping[str, Any] | None = None,
    before: Reference | None = None,
) -> TrainedRun:
    """Evaluate, draw, log and register a model whose run is open; `drawn` are figures to keep beside its own, `before` is what its trees' first run kept."""
    train = dataset.train
    evaluation = evaluate_affinity(model, dataset, config, champion=champion_model)
    drawn = figures.affinity_figures(model, dataset, evaluation) | dict(drawn)
    findings = evaluation.findings
    lines = gate_lines(findings, champion(workspace, AFFINITY))
    source = (facts or {}).get("recalibrated_from")
    told: dict[str, Any] = {"coverage": model.coverage, "special": special_attributes(model.columns_, workspace.vocabulary), "recalibrated_from": source}
    card = affinity_card(workspace.settings.name, dataset, config, findings, lines, now=now, **told)
    said = _facts(dataset) | _comparable(dataset, config) | dict(facts or {})
    said |= {"dataset_hash": train.hash, "test_hash": dataset.test.hash, "rows": len(train), "as_of": str(train.as_ofs.max())}
    reference = make_reference(workspace, dataset, evaluation.predictions[MODEL], config, before=before)
    metadata = _metadata(workspace, AFFINITY, now, said)
    digest = _log(run, model, findings, drawn, card=card, metadata=metadata, files={REFERENCE: reference.to_bytes()})
    version = _register(tracking, AFFINITY, run, findings, digest=digest, now=now)
    return TrainedRun(AFFINITY, version, run.run_id, digest, findings, lines)


def _can_be_judged(dataset: AffinityDataset) -> None:
    """Raise SnapshotError, before anything is learned, where the test side does not hold labels of both kinds."""
    test = dataset.test
    engaged, silent = int((test.y == 1).sum()), int((test.y == 0).sum())
    if not engaged or not silent:
        raise SnapshotError(
            f"{engaged} labels are 1 and {silent} are 0 on the {len(test)} rows to test on, as of {str(test.as_ofs.max())[:10]}; both are needed to judge. "
            "Was anything sent, and did anybody engage, in the window after it? Hint: a --now before the pause, or import what is missing"
        )


def _lead(train: Side, config: AffinityConfig, now: datetime) -> float:
    """Return how many spacings of snapshots lie between the latest one that calibrates and `now`, when scores begin to be used; at least 1."""
    behind = np.datetime64(now.replace(tzinfo=None), "us") - train.as_ofs.max()
    return max(1.0, float(behind / np.timedelta64(config.spacing, "D")))


def _learning(model: TopicAffinity, dataset: AffinityDataset, config: AffinityConfig, progress: Progress) -> Figure:
    return figures.learning_figure(learning_curve(dataset, config, whole=model, progress=progress))


def parents(workspace: Workspace, topics: Sequence[str]) -> dict[str, str]:
    """Return the parent of each of these topics that has one in `audience.toml`."""
    return parents_of(workspace.vocabulary, topics)


def train_persuadability(
    workspace: Workspace, experiment: str, *, now: datetime, config: PersuadabilityConfig | None = None, progress: Progress = None
) -> TrainedExperiment:
    """Train one uplift model per arm of the experiment against control, evaluate each out of fold, log the runs and register versions.

    The draw is checked once, on the same rows, and each gate asks what was found. With several messages it is found first which works best on average, and
    whether choosing by person does better (a run of its own), and each model says it. Where a plan was stored, capacity, levels, model and seed are the
    plan's; else those of `config`, by default of audience.toml.

    Raises ConfigError, VocabularyError, TrialError or FitError, in words.
    """
    now = _utc(now)
    plan = read_plan(workspace, experiment)
    config = config or read_config(workspace).persuadability
    if plan is not None:
        config = config.model_copy(update=dict(plan.analysis))
    rows = experiment_rows(workspace, experiment, now=now, progress=progress)
    datasets = trial_datasets(rows, config)
    design = check_rows(workspace, rows, seed=config.seed, progress=progress)
    tracking = Tracking.of(workspace)
    choice = message_choice(rows, config, progress=progress) if len(datasets) > 1 else None
    if choice is not None:
        name = f"persuadability.{experiment}"
        with tracking.run(name, tags=_tags(workspace, "messages", now)) as run:
            run.parameters(parameters(config) | {"now": now.isoformat(), "experiment": experiment})
            run.metrics(choice.metrics())
            run.tags({"summary": choice.words})
    told: dict[str, Any] = {"design": design.verdicts(), "messages": None if choice is None else choice.to_state()}
    return TrainedExperiment([_train_arm(workspace, tracking, dataset, config, told=told, now=now, progress=progress) for dataset in datasets], choice)


def _train_arm(
    workspace: Workspace,
    tracking: Tracking,
    dataset: TrialDataset,
    config: PersuadabilityConfig,
    *,
    told: Mapping[str, Any],
    now: datetime,
    progress: Progress,
) -> TrainedRun:
    """Train, evaluate and register the model of one arm; `told` are `design` and `messages`, found once for all arms, as findings hold them."""
    name = persuadability_model(dataset.experiment.id, dataset.arm)
    with tracking.run(name, tags=_tags(workspace, "persuadability", now)) as run:
        model = Persuadability(random_state=config.seed).set_params(**config.model)
        run.parameters(parameters(config) | _resolved(model) | {"now": now.isoformat(), "experiment": dataset.experiment.id, "arm": dataset.arm})
        with in_words():
            model.fit(dataset.X, dataset.y, treatment=dataset.treatment, propensity=dataset.propensity, groups=dataset.units, progress=progress)
        _tell(progress, "evaluating", 0.0)
        findings, evaluation = evaluate_persuadability(model, dataset, config, plan=_planned(workspace, dataset.experiment.id), **told)
        halves = half_samples(model, dataset, config, progress=progress)
        drawn = figures.uplift_figures(model, dataset, evaluation)
        lines = gate_lines(findings)
        measured: dict[str, Any] = {"evaluation": evaluation, "halves": halves, "special": special_attributes(model.columns_, workspace.vocabulary)}
        card = persuadability_card(workspace.settings.name, dataset, config, findings, lines, now=now, coverage=model.coverage, **measured)
        about = {"experiment": dataset.experiment.id, "arm": dataset.arm, "as_of": str(dataset.as_ofs.max()), **dataset.scale.to_state()}
        facts = _facts(dataset) | {"dataset_hash": dataset.hash, "rows": len(dataset)} | about
        metadata, files = _metadata(workspace, name, now, facts), {UPLIFT: uplift_document(evaluation, halves)}
        run.metrics(halves.metrics())
        digest = _log(run, model, findings, drawn, card=card, metadata=metadata, files=files)
        version = _register(tracking, name, run, findings, digest=digest, now=now)
        _tell(progress, "evaluating", 1.0)
    return TrainedRun(name, version, run.run_id, digest, findings, lines)


def _planned(workspace: Workspace, experiment: str) -> dict[str, Any] | None:
    """Return the plan's hash and whether this analysis follows it, line by line; None where no plan was stored."""
    plan = read_plan(workspace, experiment)
    if plan is None:
        return None
    lines = analysis_follows(plan, workspace)
    return {"hash": plan.hash, "lines": [[line.name, line.passed, line.words] for line in lines]}


def _log(
    run: OpenRun,
    model: TopicAffinity | Persuadability,
    findings: Findings,
    drawn: Mapping[str, Figure],
    *,
    card: str,
    metadata: Mapping[str, Any],
    files: Mapping[str, bytes] | None = None,
) -> str:
    """Log metrics, figures, the card and the artefact, with `files` in it; return the artefact's digest."""
    run.metrics(flat_metrics(findings))
    run.tags({"summary": summary(findings), "rows": metadata["rows"], "dataset_hash": metadata["dataset_hash"]})
    run.parameters({key: value for key, value in metadata.items() if key in _LOGGED_FACTS} | _permission_facts(metadata))
    with tempfile.TemporaryDirectory(prefix="audience-train-") as scratch:
        found = json.dumps(findings.to_state(), indent=1, sort_keys=True, allow_nan=False).encode()
        folder = artefact.save(model, Path(scratch) / MODEL_FOLDER, metadata=metadata, files={FINDINGS: found, CARD: card.encode(), **(files or {})})
        plots = Path(scratch) / "plots"
        plots.mkdir()
        for name, figure in drawn.items():
            figure.savefig(plots / f"{name}.png")
        run.folder(folder, MODEL_FOLDER)
        run.folder(plots, "plots")
        return artefact.digest(folder)


def _permission_facts(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run logs of the decision on whom it may learn from: the snapshot's hash, the use, the pack and the ledger."""
    said = metadata.get("permission")
    if said is None:
        return {}
    pack = said["pack"]
    told = {"hash": said["hash"], "use": said["use"]["name"], "pack": f"{pack['id']} {pack['version']}", "ledger": said["ledger"], **said["counts"]}
    return {f"permission.{name}": value for name, value in told.items()}


_LOGGED_FACTS = ("definitions_hash", "vocabulary_fingerprint", "dataset_hash", "test_hash", "table_versions", "rows", "rows_of")


def _register(tracking: Tracking, name: str, run: OpenRun, findings: Findings, *, digest: str, now: datetime) -> int:
    return tracking.register(name, run.run_id, tags={"digest": digest, "summary": summary(findings), "now": now.isoformat(), "kind": findings.kind})


def _facts(dataset: AffinityDataset | TrialDataset) -> dict[str, Any]:
    return {
        "definitions_hash": dataset.definitions_hash,
        "vocabulary_fingerprint": dataset.vocabulary_fingerprint,
        "table_versions": dict(dataset.table_versions),
        "permission": None if dataset.permission is None else dataset.permission.to_state(),
        "rows_of": "own" if dataset.own else "all",
    }


def _metadata(workspace: Workspace, name: str, now: datetime, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "workspace": workspace.settings.name, "trained": now.isoformat(), **facts}


def _tags(workspace: Workspace, kind: str, now: datetime) -> dict[str, str]:
    return {"kind": kind, "workspace": workspace.settings.name, "now": now.isoformat()}


def _resolved(model: TopicAffinity | Persuadability) -> dict[str, Any]:
    """Return every parameter of the estimator, defaults too: a default that changes later must not change what a run says."""
    return {f"model.{key}": value for key, value in model.get_params().items() if key != "topics"}


def _champion(workspace: Workspace, dataset: AffinityDataset, config: AffinityConfig) -> tuple[str, TopicAffinity] | None:
    """Return the champion with its digest if it can be tried on the test rows: same columns, topics, label and split; None otherwise.

    With the same split, no person of the test was among those that the champion was trained on.
    """
    try:
        folder = champion_folder(workspace, AFFINITY)
        if folder is None:
            return None
        said, model = artefact.check(folder).metadata, artefact.load(folder)
    except ArtefactError:
        return None
    same = all(said.get(key) == value for key, value in _comparable(dataset, config).items())
    return (artefact.digest(folder), model) if same and isinstance(model, TopicAffinity) else None


def _comparable(dataset: AffinityDataset, config: AffinityConfig) -> dict[str, Any]:
    """Return what two affinity models must share before one's test says something about the other."""
    return {
        "definitions_hash": dataset.definitions_hash,
        "topics": list(dataset.topics),
        "label_source": dataset.source,
        "horizon_days": config.horizon_days,
        "gap_days": config.gap_days,
        "split": {"seed": config.seed, "test_share": config.test_share},
    }


_WORDS = {
    "definitions_hash": "features",
    "topics": "topics",
    "label_source": "source of labels",
    "horizon_days": "horizon_days",
    "gap_days": "gap_days",
    "split": "people held apart (seed, test_share)",
}
"""What `_comparable` compares, in words."""


def _tell(progress: Progress, stage: str, fraction: float) -> None:
    if progress is not None:
        progress(stage, fraction)


def _utc(now: datetime) -> datetime:
    if now.tzinfo is None:
        raise ValueError("now must be a time with a zone, such as datetime(2026, 11, 1, tzinfo=UTC); the one given has none")
    return now.astimezone(UTC)
