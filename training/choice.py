"""Which message of an experiment works best, and whether choosing by person does better: told with every training of several arms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from models.messages import Messages
from models.metrics import Estimate
from models.persuadability import Persuadability
from training.config import PersuadabilityConfig
from training.trials import ExperimentRows, message_trial

Progress = Callable[[str, float], None] | None


@dataclass(frozen=True, slots=True)
class MessageChoice:
    """What was found: average `effects` of the messages against control, in units of the outcome, and the verdict in words.

    `lead` is by how much the best beats the next on average, `by_person` what choosing by person gains over the best to all (per person, out of fold), and
    `personal` whether that gain is shown.
    """

    effects: dict[str, Estimate]
    best: str
    lead: Estimate
    by_person: Estimate
    personal: bool
    words: str

    def __str__(self) -> str:
        order = sorted(self.effects, key=lambda arm: -self.effects[arm].value)
        lines = [
            f"  {arm}: average effect {e.value:+.4f}, {e.coverage:.0%} interval [{e.low:+.4f}, {e.high:+.4f}]" for arm in order for e in [self.effects[arm]]
        ]
        return "\n".join([f"messages: {self.words}", *lines])

    def metrics(self) -> dict[str, float]:
        """Return the figures by flat name, as a run logs them."""
        named = {f"ate.{arm}": estimate for arm, estimate in self.effects.items()} | {"lead": self.lead, "by_person": self.by_person}
        told = {f"{name}{end}": getattr(each, field) for name, each in named.items() for end, field in (("", "value"), (".low", "low"), (".high", "high"))}
        return told | {"personal": float(self.personal)}

    def to_state(self) -> dict[str, Any]:
        """Return what was found as JSON-able values."""
        effects = {arm: estimate.to_state() for arm, estimate in self.effects.items()}
        found = {"lead": self.lead.to_state(), "by_person": self.by_person.to_state(), "personal": self.personal, "words": self.words}
        return {"effects": effects, "best": self.best, **found}


def message_choice(rows: ExperimentRows, config: PersuadabilityConfig, *, progress: Progress = None) -> MessageChoice | None:
    """Return the choice among the messages of an experiment; None where there is none to make (`training.trials.message_trial`)."""
    trial = message_trial(rows, config)
    if trial is None:
        return None
    base = Persuadability(random_state=config.seed).set_params(**config.model)
    model = Messages(list(rows.arms), control=rows.experiment.control, base=base)
    model.fit(trial.X, trial.y, treatment=trial.arm, propensity=trial.propensity, groups=trial.units, progress=progress)
    assert model.lead_ is not None
    assert model.by_person_ is not None
    return MessageChoice(model.effects_, model.best_, model.lead_, model.by_person_, model.personal_, model.verdict())
