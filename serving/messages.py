"""The choice among the messages of an experiment, as its training found it, in the scale in which uplifts are served."""

from __future__ import annotations

import math
from typing import Any

from models.messages import choice_words
from models.metrics import Estimate
from serving.schemas import Difference, MessageChoice, MessageEffect
from serving.uplift import UpliftWire
from serving.words import turned_words

_UNITS = {"uplift_pp": ("percentage points", 2), "uplift": ("in units of the outcome", 4)}
"""How a number of each scale is told: its unit, and with how many decimals."""
_UNSOUND = "The draw of the experiment is not known to be sound, so none of this is to be relied on."


class MessagesError(ValueError):
    """What was stored of the choice among messages cannot be read."""


def message_choice(stored: Any, wire: UpliftWire, *, sound: bool = True) -> MessageChoice | None:
    """Return the choice that a training stored (`messages` of its findings), None where it stored none. Raises MessagesError.

    Where the draw of the experiment is not known to be `sound`, the words say it.
    """
    if stored is None:
        return None
    try:
        effects = {str(arm): _scaled(each, wire) for arm, each in stored["effects"].items()}
        p_values = {arm: float(stored["adjusted"][arm]) for arm in effects}
        lead, by_person = (_scaled(stored[name], wire) for name in ("lead", "by_person"))
        best, personal = stored["best"], stored["personal"]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise MessagesError("its choice among messages is not one; train it again") from None
    if not effects or not isinstance(best, str) or not isinstance(personal, bool) or not all(0 <= p <= 1 for p in p_values.values()):
        raise MessagesError("its choice among messages is not one; train it again")
    words = f"{choice_words(effects, lead, by_person, best=best, personal=personal, said=lambda estimate: _told(estimate, wire))}."
    told = [words, *([turned_words("en")] if wire.turned else []), *([] if sound else [_UNSOUND])]
    ranked = sorted(effects, key=lambda arm: -effects[arm].value)
    return MessageChoice(
        best,
        [MessageEffect(arm, p_value=p_values[arm], **_fields(effects[arm])) for arm in ranked],
        Difference(**_fields(lead)),
        Difference(**_fields(by_person)),
        personal,
        wire.scale,
        " ".join(told),
        wire.turned,
    )


def _scaled(stored: Any, wire: UpliftWire) -> Estimate:
    value, se, coverage = (float(stored[name]) for name in ("value", "se", "coverage"))
    low, high = (float(stored[name]) for name in ("low", "high"))
    if not all(map(math.isfinite, (value, se, low, high, coverage))):
        raise ValueError("not finite")
    return Estimate("", value * wire.factor, se * wire.factor, low * wire.factor, high * wire.factor, coverage)


def _fields(estimate: Estimate) -> dict[str, float]:
    return {name: getattr(estimate, name) for name in ("value", "low", "high", "coverage")}


def _told(estimate: Estimate, wire: UpliftWire) -> str:
    unit, decimals = _UNITS[wire.scale]
    value, low, high = (f"{number:+.{decimals}f}" for number in (estimate.value, estimate.low, estimate.high))
    return f"{value} {unit}, {estimate.coverage:.0%} interval [{low}, {high}]"
