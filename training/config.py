"""What a training run is told: the `[training.affinity]`, `[training.persuadability]` and `[training.drift]` tables of `audience.toml`.

Gate levels stand here too, so that they are fixed, and logged with the run, before anyone has seen an outcome.
"""

from __future__ import annotations

import difflib
import inspect
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, get_type_hints

from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError, field_validator, model_validator

from features.vocabulary import Frozen
from features.workspace import Workspace
from models.affinity import TopicAffinity
from models.persuadability import Persuadability

LEAST_DRAWS = 20
"""Of so many half-samples the Monte Carlo error of a standard error is 1/√(2·20) of it."""
Parameter = bool | int | float | str | None


class ConfigError(ValueError):
    """A training table of `audience.toml` cannot be used; the message names the key, the value given and what is allowed."""


class AffinityGate(Frozen):
    """What an affinity model must show before it may become champion."""

    ece: float = Field(default=0.02, gt=0, lt=1, description="largest expected calibration error, probability")
    topic_ece: float = Field(default=0.05, gt=0, lt=1, description="the same for each topic by itself")
    coverage: float = Field(default=0.95, gt=0.5, lt=1, description="coverage of the paired interval that must exclude zero")


class PersuadabilityGate(Frozen):
    """What a persuadability model must show before it may become champion; each `alpha` is one-sided, and can be made stricter, never looser."""

    autoc_alpha: float = Field(default=0.01, gt=0, le=0.01)
    slope_alpha: float = Field(default=0.01, gt=0, le=0.01)
    policy_alpha: float = Field(default=0.05, gt=0, le=0.05)


def _known_parameters(estimator: type, given: Mapping[str, Any], reserved: set[str]) -> Mapping[str, Any]:
    """Return `given` when the estimator takes all of it; the run itself sets the `reserved` ones."""
    allowed = sorted(set(inspect.signature(estimator).parameters) - reserved)
    for key in given:
        if key not in allowed:
            raise ValueError(f"{key!r} is no parameter of {estimator.__name__}; allowed: {', '.join(allowed)}{_did_you_mean(key, allowed)}")
    types = get_type_hints(vars(estimator)["__init__"])
    for key, value in given.items():
        try:
            TypeAdapter(types[key]).validate_python(value, strict=True)
        except ValidationError as error:
            raise ValueError(f"{key} = {value!r}: {error.errors()[0]['msg']}") from None
    return given


class AffinityConfig(Frozen):
    """`[training.affinity]`: labels, snapshots, split, model parameters and gate of topic affinity."""

    horizon_days: int = Field(default=30, ge=1, le=3660, description="length of the label window")
    gap_days: int = Field(default=1, ge=0, le=365, description="days between as_of and the label window: the delay of ingestion")
    settle_days: int = Field(default=7, ge=0, le=365, description="days a label window must have ended before it counts as complete: late arrivals")
    snapshots: int = Field(default=6, ge=2, le=60, description="as_of times, the last one being the test's")
    spacing_days: int | None = Field(default=None, ge=1, le=3660, description="days between snapshots; horizon + gap when left out")
    exposed_only: bool = Field(default=False, description="whether a pair to whom nothing was sent, and who did not answer, is unknown instead of a no")
    max_rows: int = Field(default=30_000, ge=100, description="most (person, as_of) rows to train on, and to test on; a seeded sample beyond")
    test_share: float = Field(default=0.25, ge=0.05, le=0.5, description="share of people who are only ever tested on")
    labels: str | None = Field(default=None, description="own labels: a Parquet or CSV file in the workspace")
    learning_curve: bool = Field(default=False, description="whether a run also fits up to four smaller models, to show what more rows bring")
    draws: int = Field(default=400, ge=50, le=10_000, description="bootstrap draws of people")
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    gate: AffinityGate = AffinityGate()
    model: Mapping[str, Parameter] = Field(default_factory=dict, description="parameters of TopicAffinity")

    @field_validator("model")
    @classmethod
    def _model_parameters_exist(cls, given: Mapping[str, Parameter]) -> Mapping[str, Parameter]:
        _known_parameters(TopicAffinity, given, {"topics", "parents", "random_state", "lead"})
        TopicAffinity().set_params(**given).check_parameters()
        return given

    @model_validator(mode="after")
    def _windows_do_not_overlap(self) -> AffinityConfig:
        if self.spacing < self.horizon_days + self.gap_days:
            raise ValueError(
                f"spacing_days = {self.spacing_days} is less than horizon_days + gap_days = {self.horizon_days + self.gap_days}: "
                "a training label would reach past the next snapshot; leave spacing_days out or raise it"
            )
        return self

    @property
    def spacing(self) -> int:
        """Days between two snapshots."""
        return self.spacing_days or self.horizon_days + self.gap_days


class Analysis(Frozen):
    """What of `[training.persuadability]` decides something, and a plan fixes: folds and parameters of the model, capacity of the policy, and the gate."""

    capacity: float = Field(default=0.2, gt=0, le=1, description="share of people the policy may contact; 1 where there is no limit")
    minimum_per_arm: int = Field(default=100, ge=10, description="fewest people with an outcome in either arm")
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    gate: PersuadabilityGate = PersuadabilityGate()
    model: Mapping[str, Parameter | Mapping[str, int]] = Field(default_factory=dict, description="parameters of Persuadability, such as n_folds")

    @field_validator("model")
    @classmethod
    def _model_parameters_can_be(cls, given: Mapping[str, Parameter | Mapping[str, int]]) -> Mapping[str, Parameter | Mapping[str, int]]:
        _known_parameters(Persuadability, given, {"random_state"})
        Persuadability().set_params(**given).check_parameters()
        return given


class PersuadabilityConfig(Analysis):
    """`[training.persuadability]`: the analysis, and what is told beside it."""

    half_samples: int = Field(default=100, ge=0, le=10_000, description="draws for standard errors by half-samples beside the exact ones; 0 for none")

    @field_validator("half_samples")
    @classmethod
    def _enough_draws(cls, given: int) -> int:
        if 0 < given < LEAST_DRAWS:
            raise ValueError(f"0 for none, or at least {LEAST_DRAWS}, of which a standard error is known to a sixth: given {given}")
        return given


def _rising(levels: tuple[float, float]) -> tuple[float, float]:
    if not 0 < levels[0] <= levels[1]:
        raise ValueError(f"two positive numbers, the level of `watch` before that of `drifted`: given {list(levels)}")
    return levels


Levels = Annotated[tuple[float, float], AfterValidator(_rising)]
"""From which size on a change is to be watched, and from which on it is drift."""


class DriftConfig(Frozen):
    """`[training.drift]`: from which sizes on `audience drift` says `watch` and `drifted`; what chance explains never counts."""

    psi: Levels = Field(default=(0.1, 0.25), description="population stability index, less what chance is expected to give")
    missing: Levels = Field(default=(0.05, 0.2), description="change of the share of people without a value")
    pace: Levels = Field(default=(1.5, 3.0), description="factor, up or down, of interactions per person, and of rates that everyone shares")
    offset: Levels = Field(default=(0.2, 0.5), description="what would have to be added to all log-odds to meet the observed rate")
    slope: Levels = Field(default=(0.25, 0.5), description="distance from 1 of the slope of log-odds")
    ece: Levels = Field(default=(0.02, 0.05), description="expected calibration error, less what chance is expected to give")
    feature_share: float = Field(default=0.05, ge=0, le=1, description="share of features that must have drifted before the features have")
    noise: float = Field(default=0.01, gt=0, lt=0.5, description="probability of an alarm by chance, in each part")
    coverage: float = Field(default=0.95, gt=0.5, lt=1, description="coverage of the intervals that are shown")
    people: int = Field(default=20_000, ge=100, description="most people who are scored, and whose labels are looked at; a seeded sample beyond")
    draws: int = Field(default=400, ge=50, le=10_000, description="bootstrap draws of people")
    seed: int = Field(default=0, ge=0, le=2**31 - 1)


class TrainingConfig(Frozen):
    """`[training]`: what the models are for, one table per kind of model, and one for drift."""

    use: str | None = Field(default=None, description="the [uses.…] that models are trained for; the only one where there is one")
    affinity: AffinityConfig = AffinityConfig()
    persuadability: PersuadabilityConfig = PersuadabilityConfig()
    drift: DriftConfig = DriftConfig()


def parse_config(document: Mapping[str, Any]) -> TrainingConfig:
    """Return the configuration of a parsed `audience.toml`; only `[training]` is read. Raises ConfigError, one line per fault."""
    try:
        return TrainingConfig(**document.get("training", {}))
    except ValidationError as error:
        raise ConfigError("\n".join(_fault(fault) for fault in error.errors())) from None


def read_config(workspace: Workspace) -> TrainingConfig:
    """Return the training configuration of the workspace. Raises ConfigError, which says what to mend."""
    return parse_config(tomllib.loads((workspace.root / "audience.toml").read_text(encoding="utf-8")))


def parameters(config: BaseModel) -> dict[str, str | int | float | bool]:
    """Return every value of `config` under a flat dotted name, as a run logs it; what is unset is left out."""
    return dict(_flat(config.model_dump(mode="json"), ""))


def _flat(values: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{key}.")
        elif value is not None:
            found.append((f"{prefix}{key}", value))
    return found


def _fault(fault: Any) -> str:
    path = [str(part) for part in fault["loc"]]
    given = "" if fault["type"] in {"missing", "value_error"} else f" (given: {fault['input']!r})"
    hint = ""
    if fault["type"] == "extra_forbidden":
        allowed = sorted(_model_at(path[:-1]).model_fields)
        hint = f"; allowed: {', '.join(allowed)}{_did_you_mean(path[-1], allowed)}"
    return f"audience.toml: {'.'.join(['training', *path])}: {fault['msg']}{given}{hint}"


def _model_at(path: list[str]) -> type[BaseModel]:
    model: Any = TrainingConfig
    for part in path:
        model = model.model_fields[part].annotation
    found: type[BaseModel] = model
    return found


def _did_you_mean(given: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(given, allowed, n=1)
    return f". Did you mean {close[0]!r}?" if close else ""
