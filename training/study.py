"""A study of settings that can be stopped and continued: the only file that imports Optuna.

Trials are lines of JSON that are only ever added to (the journal of Optuna's JournalStorage), read back without executing anything: that storage pickles only
for backends that keep snapshots, and this one keeps none. Optuna's database storage is as safe, but needs tables and migrations; its own journal on
a file locks by a link that outlives a killed process, and cannot read past the half of a line that one left.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial, TrialState

Setting = dict[str, int | float]

RANDOM_TRIALS = 10
"""Finished trials before the estimator proposes, the setting in use being the first: those between are drawn at random. Optuna's own default."""
PRUNE_AFTER = 5
"""Complete trials before any trial is ended early."""
DIGITS = 3
"""Significant digits of a proposed number: what is pasted is exactly what was tried."""
_FACTS, _SETTING = "facts", "setting"


class StudyError(RuntimeError):
    """The study's file cannot be used now; the message says why."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One dimension of the search, from `low` to `high`, both included; `log` where factors count rather than differences, `whole` for whole numbers."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def holding(self, value: float) -> Axis:
        """Return the axis, made as long as it takes to hold `value`."""
        return Axis(min(self.low, value), max(self.high, value), self.log, self.whole)

    def rounded(self, value: float) -> int | float:
        """Return `value` with DIGITS significant digits, within the axis; whole numbers as they are."""
        return int(value) if self.whole else min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def distribution(self) -> BaseDistribution:
        """Return the axis in Optuna's words."""
        return IntDistribution(int(self.low), int(self.high), log=self.log) if self.whole else FloatDistribution(self.low, self.high, log=self.log)


@dataclass(frozen=True, slots=True)
class Tried:
    """A finished trial: its setting, its value (None when it was ended early), and the facts that were kept with it."""

    setting: Setting
    value: float | None
    facts: Mapping[str, Any]


class OpenTrial:
    """A trial under way. It ends as complete when it is given a `value`, else as ended early."""

    def __init__(self, trial: optuna.Trial, setting: Setting) -> None:
        self._trial = trial
        self.setting = setting
        self.value: float | None = None

    def hopeless(self, step: int, value: float) -> bool:
        """Return whether `value` after `step` (from 1) lies above the median of the complete trials at that step: then the trial should end here."""
        self._trial.report(value, step)
        return self._trial.should_prune()

    def keep(self, facts: Mapping[str, Any]) -> None:
        """Keep JSON-able facts with the trial."""
        for key, value in facts.items():
            self._trial.set_user_attr(key, value)


class Study:
    """Trials of settings along named axes, the first one being the setting in use; lower values are better.

    Proposals come from a multivariate tree-structured Parzen estimator (Bergstra et al. 2011; Watanabe 2023), which draws the random numbers of each trial
    from the seed and from how many trials are finished. So a study that was stopped and continued tries what one that never stopped would have tried.
    A trial that is interrupted counts for nothing and is proposed again.

    Attributes
    ----------
    axes : dict of Axis by name. first : Setting. name : str. story : str, whether it is new and why, or how many trials it continues.
    continued : int, finished trials that were there before.

    """

    def __init__(self, study: optuna.Study, axes: Mapping[str, Axis], *, first: Setting, seed: int, story: str) -> None:
        self._study = study
        self._seed = seed
        self.axes = dict(axes)
        self.first = first
        self.name = study.study_name
        self.story = story
        self.continued = len(self.finished())

    @classmethod
    @contextmanager
    def open(cls, path: Path, axes: Mapping[str, Axis], *, first: Setting, facts: Mapping[str, str], seed: int) -> Iterator[Self]:
        """Lend the study in the file `path` whose facts are `facts`; a new one where a fact is another than it was.

        Facts are what must be equal for two trials to be comparable. The file is held until the end. Raises StudyError when another process holds
        it, or when it cannot be read.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with _held(path) as file:
            try:
                storage = JournalStorage(_Journal(file))
                last = _last_facts(storage)
                study = optuna.create_study(storage=storage, study_name=_name(facts), load_if_exists=True, direction="minimize", pruner=_pruner())
                if study.user_attrs.get(_FACTS) is None:
                    study.set_user_attr(_FACTS, dict(facts))
                for trial in study.get_trials(states=(TrialState.RUNNING,)):
                    study.tell(trial.number, state=TrialState.FAIL)  # whoever ran it was killed: the file is ours alone
                opened = cls(study, axes, first=first, seed=seed, story=_story(study, last, facts))
            except (ValueError, LookupError, TypeError, AssertionError) as error:
                raise StudyError(f"{path} cannot be read ({type(error).__name__}): it was changed or damaged. Move it away to begin a study anew") from error
            yield opened

    def finished(self) -> list[Tried]:
        """Return the trials that are complete or were ended early, in their order; the first is the setting in use."""
        trials = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        return [_tried(trial) for trial in trials]

    @contextmanager
    def trial(self) -> Iterator[OpenTrial]:
        """Lend the next trial; when the block raises, or is interrupted, it counts for nothing."""
        asked = self._ask()
        opened = OpenTrial(asked, self._setting(asked.params))
        try:
            opened.keep({_SETTING: opened.setting})
            yield opened
        except BaseException:
            self._study.tell(asked, state=TrialState.FAIL)
            raise
        if opened.value is None:
            self._study.tell(asked, state=TrialState.PRUNED)
        else:
            self._study.tell(asked, opened.value)

    def importances(self) -> dict[str, float]:
        """Return each axis' share in the variation of the value, greatest first; nothing while fewer than RANDOM_TRIALS trials are complete, or all are equal.

        Source: functional analysis of variance on a random forest (Hutter, Hoos & Leyton-Brown 2014), over the whole range of the axes.
        """
        values = [tried.value for tried in self.finished() if tried.value is not None]
        if len(values) < RANDOM_TRIALS or min(values) == max(values):
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=self._seed)
        return {name: float(share) for name, share in optuna.importance.get_param_importances(self._study, evaluator=evaluator).items()}

    def _ask(self) -> optuna.Trial:
        number = len(self.finished())
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        self._study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS)
        if not number and not self._study.get_trials(states=(TrialState.WAITING,)):
            self._study.enqueue_trial(self.first)
        return self._study.ask({name: axis.distribution() for name, axis in self.axes.items()})

    def _setting(self, proposed: Mapping[str, Any]) -> Setting:
        same = {name for name, value in proposed.items() if value == self.first[name]}
        return {name: self.first[name] if name in same else axis.rounded(proposed[name]) for name, axis in self.axes.items()}


class _Journal(BaseJournalBackend):
    """Lines of JSON in an open file that is ours alone."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._starts = [0]

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """Return what the lines from that number on say."""
        self._file.seek(self._starts[log_number_from])
        lines = self._file.readlines()
        del self._starts[log_number_from + 1 :]
        for line in lines:
            self._starts.append(self._starts[-1] + len(line))
        return [json.loads(line) for line in lines]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add a line for each."""
        self._file.write("".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode())
        self._file.flush()


@contextmanager
def _held(path: Path) -> Iterator[BinaryIO]:
    """Lend the file, held against other processes however this one ends, without the half of a line that a killed one may have left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StudyError(f"another process is tuning with {path.name}: wait until it has ended, then start this one again") from None
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        yield file


def _name(facts: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(facts), sort_keys=True).encode()).hexdigest()[:12]


def _pruner() -> optuna.pruners.BasePruner:
    return optuna.pruners.MedianPruner(n_startup_trials=PRUNE_AFTER)


def _last_facts(storage: JournalStorage) -> Mapping[str, str] | None:
    studies = storage.get_all_studies()
    return studies[-1].user_attrs.get(_FACTS) if studies else None


def _story(study: optuna.Study, last: Mapping[str, str] | None, facts: Mapping[str, str]) -> str:
    count = sum(trial.state in {TrialState.COMPLETE, TrialState.PRUNED} for trial in study.get_trials(deepcopy=False))
    if count:
        return f"continues study {study.study_name} after {count} trials"
    other = [key for key in facts if last is not None and last.get(key) != facts[key]]
    return f"begins study {study.study_name}" + (f": not those of the study before are the {', the '.join(other)}" if other else "")


def _tried(trial: FrozenTrial) -> Tried:
    facts = {key: value for key, value in trial.user_attrs.items() if key != _SETTING}
    return Tried(dict(trial.user_attrs[_SETTING]), trial.value if trial.state == TrialState.COMPLETE else None, facts)
