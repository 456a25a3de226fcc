"""Which message of an experiment works best, and whether choosing by person does better: told with every training of several arms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scipy import stats

from models.messages import Messages
from models.metrics import Estimate
from models.persuadability import Persuadability
from training.config import PersuadabilityConfig
from training.faults import in_words
from training.trials import ExperimentRows, message_trial

Progress = Callable[[str, float], None] | None


@dataclass(frozen=True, slots=True)
class MessageChoice:
    """What was found: average `effects` of the messages against control, in units of the outcome, and the verdict in words.

    `adjusted` are the two-sided p-values of the effects after Holm's procedure over all messages (Holm 1979).
    `lead` is by how much the best beats the next on average, `by_person` what choosing by person gains over the best to all (per person, out of fold), and
    `personal` whether that gain is shown.
    """

    effects: dict[str, Estimate]
    adjusted: dict[str, float]
    best: str
    lead: Estimate
    by_person: Estimate
    personal: bool
    words: str

    def __str__(self) -> str:
        order = sorted(self.effects, key=lambda arm: -self.effects[arm].value)
        return "\n".join([f"messages: {self.words}", *(f"  {arm}: {self._told(arm)}" for arm in order)])

    def _told(self, arm: str) -> str:
        effect = self.effects[arm]
        interval = f"{effect.coverage:.0%} interval [{effect.low:+.4f}, {effect.high:+.4f}]"
        p = self.adjusted[arm]
        return f"average effect {effect.value:+.4f}, {interval}, p {'below 0.001' if p < 0.001 else f'= {p:.3f}'} after Holm's procedure"

    def metrics(self) -> dict[str, float]:
        """Return the figures by flat name, as a run logs them."""
        named = {f"ate.{arm}": estimate for arm, estimate in self.effects.items()} | {"lead": self.lead, "by_person": self.by_person}
        told = {f"{name}{end}": getattr(each, field) for name, each in named.items() for end, field in (("", "value"), (".low", "low"), (".high", "high"))}
        return told | {f"p.{arm}": p for arm, p in self.adjusted.items()} | {"personal": float(self.personal)}

    def to_state(self) -> dict[str, Any]:
        """Return what was found as JSON-able values."""
        effects = {arm: estimate.to_state() for arm, estimate in self.effects.items()}
        found = {"lead": self.lead.to_state(), "by_person": self.by_person.to_state(), "personal": self.personal, "words": self.words}
        return {"effects": effects, "adjusted": self.adjusted, "best": self.best, **found}


def holm(effects: Mapping[str, Estimate]) -> dict[str, float]:
    """Return two-sided p-values of effects against 0, adjusted so that whoever takes those below a level is wrong about any of them that often (Holm 1979)."""
    plain = {name: 1.0 if each.se == 0 else float(2 * stats.norm.sf(abs(each.value) / each.se)) for name, each in effects.items()}
    adjusted, highest = {}, 0.0
    for place, name in enumerate(sorted(plain, key=lambda name: plain[name])):
        highest = max(highest, min(1.0, (len(plain) - place) * plain[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in effects}


def message_choice(rows: ExperimentRows, config: PersuadabilityConfig, *, progress: Progress = None) -> MessageChoice | None:
    """Return the choice among the messages of an experiment; None where there is none to make (`training.trials.message_trial`)."""
    trial = message_trial(rows, config)
    if trial is None:
        return None
    base = Persuadability(random_state=config.seed).set_params(**config.model)
    model = Messages(list(rows.arms), control=rows.experiment.control, base=base)
    with in_words():
        model.fit(trial.X, trial.y, treatment=trial.arm, propensity=trial.propensity, groups=trial.units, progress=progress)
    assert model.lead_ is not None
    assert model.by_person_ is not None
    return MessageChoice(model.effects_, holm(model.effects_), model.best_, model.lead_, model.by_person_, model.personal_, model.verdict())
