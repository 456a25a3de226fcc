"""Tuning topic affinity: a study of settings, judged inside the training rows. The test side is never looked at."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from features.workspace import Workspace
from models.affinity import TopicAffinity
from models.metrics import Estimate
from training.config import AffinityConfig, parameters, read_config
from training.fit import parents
from training.plots_tuning import study_figure
from training.resampling import PersonBootstrap
from training.rolling import CELLS, FOLDS, Judgement, RollingTask
from training.snapshots import AffinityDataset, affinity_dataset, hash_rows
from training.study import Axis, OpenTrial, Setting, Study, Tried
from training.tracking import OpenRun, Tracking

Floats = NDArray[np.float64]
Progress = Callable[[str, float], None] | None

RUN = "affinity.tuning"
JOURNAL = "affinity.journal"
MINUTES = 20.0
LEARNING = (5.0, 45.0)
"""How far all trees together may go, num_trees times learning_rate: a third of the default's 15 to three times as far."""
RATE_LIMIT = 0.3


@dataclass(frozen=True, slots=True)
class Tuning:
    """What the study has found so far.

    `made` trials are of this call, `complete` and `ended_early` of all; `in_use` and `best` are mean log losses of the judged pairs; `model` is the table of
    the best setting, that of trial `number` (0: the setting in use); `gain` is what it is worth beyond the setting in use, on people who had no say in
    the choice.
    """

    run_id: str
    story: str
    made: int
    complete: int
    ended_early: int
    in_use: float
    best: float
    number: int
    gain: Estimate
    model: Mapping[str, Any]

    @property
    def worth_it(self) -> bool:
        """Whether the interval of the gain lies above zero."""
        return self.gain.low > 0

    @property
    def summary(self) -> str:
        """The result in one line."""
        gain = f"gain {self.gain.value:.5f} [{self.gain.low:.5f}, {self.gain.high:.5f}]"
        return f"log loss {self.in_use:.5f} in use, {self.best:.5f} at best of {self.complete + self.ended_early} trials, {gain}"

    def snippet(self) -> str:
        """Return the best setting as the table of `audience.toml` to paste."""
        return "\n".join(["[training.affinity.model]", *(f"{key} = {json.dumps(value)}" for key, value in self.model.items() if value is not None)])

    def __str__(self) -> str:
        total = self.complete + self.ended_early
        lines = [
            f"{self.made} trials made now, {total} in all, {self.ended_early} of them ended early (run {self.run_id[:12]})",
            f"  log loss {self.in_use:.5f} with the setting in use, {self.best:.5f} with the best",
        ]
        if self.number == 0:
            return "\n".join([*lines, "Keep the defaults (the setting in use): no other did better."])
        interval = f"[{self.gain.low:.5f}, {self.gain.high:.5f}] ({self.gain.coverage:.0%}, over people, allowing for the choice among {self.complete})"
        lines.append(f"  gain of the best, trial {self.number}: {self.gain.value:.5f} {interval}")
        if self.worth_it:
            return "\n".join([*lines, "The interval excludes zero. For audience.toml, before `audience train affinity`:", "", self.snippet()])
        return "\n".join([*lines, "The interval does not exclude zero: keep the defaults (the setting in use). The best was", "", self.snippet()])


def tune_affinity(
    workspace: Workspace,
    *,
    now: datetime,
    minutes: float | None = None,
    trials: int | None = None,
    config: AffinityConfig | None = None,
    labels: Path | None = None,
    progress: Progress = None,
    say: Callable[[str], None] | None = None,
) -> Tuning:
    """Add trials to the study of what was known at `now` until `minutes` are spent or `trials` are made (by default 20 minutes); return what it has found.

    Each trial is a run inside the run of this call. `say` is told which study it is before the first. Interrupted, it leaves the study as it is: the
    next call continues it. Raises ConfigError, SnapshotError, LabelsError, RollingError or StudyError, in words.
    """
    config = config or read_config(workspace).affinity
    dataset = affinity_dataset(workspace, config, now=now, labels=labels, progress=progress)
    base = TopicAffinity(list(dataset.topics), parents=parents(workspace, dataset.topics), random_state=config.seed).set_params(**config.model)
    task, axes = RollingTask(dataset.train, base, config.seed), affinity_axes(base)
    first: Setting = {name: getattr(base, name) for name in axes}
    tracking, path = Tracking.of(workspace), workspace.root / "tuning" / JOURNAL
    with Study.open(path, axes, first=first, facts=_facts(dataset, base, axes), seed=config.seed) as study:
        if say is not None:
            say(f"{len(dataset.train):,} rows of {task.n_people:,} people in {len(task.folds)} folds: {study.story}")
        at = now.astimezone(UTC).isoformat()
        tags = {"kind": "tuning", "workspace": workspace.settings.name, "now": at, "dataset_hash": dataset.train.hash, "rows": str(len(dataset.train))}
        with tracking.run(RUN, tags=tags | {"study": study.name}) as run:
            run.parameters(parameters(config) | {"now": at, "label_source": dataset.source, "study": study.name, "continued": study.continued})
            budget = Budget(MINUTES if minutes is None and trials is None else minutes, trials)
            make_trials(study, task, budget, tracking=tracking, parent=run.run_id, progress=progress)
            found = conclude(study, task, config, run_id=run.run_id)
            _log(run, found, study)
    return found


class Budget:
    """Minutes, trials or both (None: no limit, for one of the two); the clock, in seconds, starts at once."""

    def __init__(self, minutes: float | None, trials: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        if minutes is None and trials is None:
            raise ValueError("a budget needs minutes, trials or both")
        self.seconds = None if minutes is None else 60 * minutes
        self.trials = trials
        self._clock = clock
        self._begun = clock()
        self.made = 0

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._begun

    def allows_another(self) -> bool:
        """Return whether one more trial is due: the first always, a later one where it will be over in time if it takes as long as those before did."""
        if self.made and self.seconds is not None and self.elapsed * (1 + 1 / self.made) > self.seconds:
            return False
        return self.trials is None or self.made < self.trials

    def spent(self, part: float) -> float:
        """Return the share of the budget, 0 to 1, that is spent when `part` of the present trial is done."""
        by_time = 0.0 if self.seconds is None else self.elapsed / self.seconds
        by_trials = 0.0 if self.trials is None else (self.made + part) / self.trials
        return min(max(by_time, by_trials), 1.0)


def affinity_axes(base: TopicAffinity) -> dict[str, Axis]:
    """Return what is searched. The number of trees stays: it is what training and explaining cost, and the learning rate then says how far they go.

    Trees of more than five levels are not tried, because explaining them takes long. An axis is made longer where the setting in use lies outside.
    """
    least, most = (learning / base.num_trees for learning in LEARNING)
    axes = {
        "learning_rate": Axis(min(least, RATE_LIMIT / 3), min(most, RATE_LIMIT), log=True),
        "num_leaves": Axis(4, 32, log=True, whole=True),
        "max_depth": Axis(3, 5, whole=True),
        "min_child_samples": Axis(10, 500, log=True, whole=True),
        "l2": Axis(0.1, 100.0, log=True),
        "column_share": Axis(0.2, 1.0),
        "row_share": Axis(0.3, 1.0),
        "n_history": Axis(0, 3, whole=True),
        "n_embedding": Axis(0, 12, whole=True),
    }
    return {name: axis.holding(getattr(base, name)) for name, axis in axes.items()}


def make_trials(study: Study, task: RollingTask, budget: Budget, *, tracking: Tracking, parent: str, progress: Progress = None) -> None:
    """Add trials to the study while the budget allows it, each a run inside the run `parent`."""
    while budget.allows_another():
        tried = study.finished()
        with study.trial() as trial, tracking.run(f"trial {len(tried)}", tags={}, parent=parent) as run:
            run.parameters({"num_trees": task.base.num_trees, **trial.setting})
            judgement = judge(task, trial, tried[0] if tried else None, _Teller(budget, tried, progress))
            run.metrics(judgement.measures() | {f"log_loss_after_{step}": value for step, value in enumerate(judgement.running, 1)})
            run.tags({"state": "ended early" if trial.value is None else "complete"})
        budget.made += 1
    if progress is not None:
        progress(f"trials in all: {len(study.finished())}", 1.0)


def judge(task: RollingTask, trial: OpenTrial, first: Tried | None, teller: _Teller) -> Judgement:
    """Judge the trial's setting fold by fold, and keep with it what was found; a trial that is judged in every fold has its mean log loss as value.

    After a fold the trial ends early when its mean log loss so far, less that of the `first` trial (None: this is it) on the same pairs, lies above the median.
    """
    judgement = Judgement(task)
    for step, fold in enumerate(task.folds, 1):
        loss = judgement.add(fold, task.predictions(trial.setting, fold, teller.of_fold(step, len(task.folds))))
        # the pruner compares a trial's best step, and folds differ in how hard they are: a difference on the same pairs does not
        usual = loss if first is None else first.facts["running"][step - 1]
        if trial.hopeless(step, loss - usual) and step < len(task.folds):
            break
    else:
        trial.value = judgement.running[-1]
        trial.keep({"losses": judgement.losses.tolist()})
    trial.keep({"running": judgement.running, **judgement.measures()})
    return judgement


def gain_of_choice(losses: Floats, pairs: Floats, *, draws: int, seed: int, coverage: float) -> Estimate:
    """Return how much less the log loss of the best setting is than that of the first, on people who had no say in choosing it.

    `losses` (n_settings, n_cells) are sums over groups of people with `pairs` (n_cells,) pairs. The best of many is lucky on the very people it was chosen
    on. So the value is the mean, over bootstrap draws of groups, of the gain on the groups not drawn of the setting that is best on those drawn; its
    standard error is that of the paired gain of the setting that is best on all. Zero, and certain, when that is the first.
    Of 400 studies of settings that were all equal it claims a gain in 2%, where a paired interval of the best one claims it in 15 to 40%.
    Source: the bootstrap bias correction of Tsamardinos, Greasidou & Borboudakis 2018.
    """
    best = int(losses.sum(axis=1).argmin())
    if best == 0:
        return Estimate.normal("gain", 0.0, 0.0, coverage)
    boot = PersonBootstrap(np.arange(len(pairs)), draws=draws, seed=seed, coverage=coverage)
    chosen = (boot.weights @ losses.T).argmin(axis=1)
    left_out = boot.weights == 0
    with np.errstate(invalid="ignore"):
        gains = ((losses[0] - losses[chosen]) * left_out).sum(axis=1) / (left_out @ pairs)
    known = gains[np.isfinite(gains)]
    error = boot.mean("gain", losses[0] - losses[best], pairs).se
    return Estimate.normal("gain", float(known.mean()) if len(known) else float("nan"), error, coverage)


def conclude(study: Study, task: RollingTask, config: AffinityConfig, *, run_id: str) -> Tuning:
    """Return what the study's complete trials say: the best setting, and its gain over the first."""
    tried = study.finished()
    complete = [(number, trial, trial.value) for number, trial in enumerate(tried) if trial.value is not None]
    losses = np.array([trial.facts["losses"] for _, trial, _ in complete])
    number, best, value = complete[int(losses.sum(axis=1).argmin())]
    return Tuning(
        run_id=run_id,
        story=study.story,
        made=len(tried) - study.continued,
        complete=len(complete),
        ended_early=len(tried) - len(complete),
        in_use=complete[0][2],
        best=value,
        number=number,
        gain=gain_of_choice(losses, task.pairs, draws=config.draws, seed=config.seed, coverage=config.gate.coverage),
        model={**config.model, "num_trees": task.base.num_trees, **best.setting},
    )


def figure_of(study: Study, found: Tuning, importances: Mapping[str, float]) -> Figure:
    """Return the picture of the study: how much each axis matters, with its value in use and the best one, and the log loss of every trial."""
    shares = importances or dict.fromkeys(study.axes, float("nan"))
    words = [f"{study.first[name]:g}" if study.first[name] == found.model[name] else f"{study.first[name]:g} → {found.model[name]:g}" for name in shares]
    names = [f"{name}: {changed}" for name, changed in zip(shares, words, strict=True)]
    values = [np.nan if trial.value is None else trial.value for trial in study.finished()]
    return study_figure(names, np.array(list(shares.values())), np.array(values))


class _Teller:
    """Tells how far a trial is, how many are made a minute, and the best log loss so far."""

    def __init__(self, budget: Budget, tried: Sequence[Tried], progress: Progress) -> None:
        self._budget = budget
        self._progress = progress
        self._name = f"trial {len(tried)}"
        values = [trial.value for trial in tried if trial.value is not None]
        rate = [f"{60 * budget.made / max(budget.elapsed, 1e-9):.1f}/min"] if budget.made else []
        self._known = [*rate, *([f"best {min(values):.4f}"] if values else [])]
        self._furthest = 0.0

    def of_fold(self, step: int, steps: int) -> Progress:
        """Return what the fit of a fold reports to."""
        progress = self._progress
        if progress is None:
            return None

        def report(_stage: str, fraction: float) -> None:
            # a fit may have stages of its own, each from 0 to 1: the bar never goes back
            self._furthest = max(self._furthest, self._budget.spent((step - 1 + fraction) / steps))
            progress(" · ".join([self._name, f"fold {step}/{steps}", *self._known]), self._furthest)

        return report


def _facts(dataset: AffinityDataset, base: TopicAffinity, axes: Mapping[str, Axis]) -> dict[str, str]:
    """Return what must be equal for two trials to be comparable, by name."""
    train = dataset.train
    data = [hash_rows(train.person_ids, train.as_ofs, train.y, train.X.to_numpy(), train.block), *dataset.topics]
    search = [*(f"{name} {axis}" for name, axis in axes.items()), str(FOLDS), str(CELLS)]
    return {
        "data": hashlib.sha256("\n".join(data).encode()).hexdigest(),
        "releases": ", ".join(f"{name} {version(name)}" for name in ("audience-scoring", "lightgbm", "optuna")),
        "setting in use": json.dumps({key: value for key, value in base.get_params().items() if key not in {"topics", "n_jobs"}}, sort_keys=True),
        "search": hashlib.sha256("\n".join(search).encode()).hexdigest(),
    }


def _log(run: OpenRun, found: Tuning, study: Study) -> None:
    """Log the best setting, the measures and the picture with the run of the call."""
    run.parameters({f"best.{key}": value for key, value in found.model.items()})
    gain = {"gain": found.gain.value, "gain_low": found.gain.low, "gain_high": found.gain.high}
    run.metrics({"log_loss": found.best, "in_use.log_loss": found.in_use, **gain, "trials": found.complete + found.ended_early})
    importances = study.importances()
    run.metrics({f"importance.{name}": share for name, share in importances.items()})
    run.tags({"summary": found.summary, "verdict": "change" if found.worth_it else "keep the defaults", "best_trial": found.number})
    with tempfile.TemporaryDirectory(prefix="audience-tune-") as scratch:
        figure_of(study, found, importances).savefig(Path(scratch) / "study.png")
        run.folder(Path(scratch), "plots")
