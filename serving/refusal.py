"""A model that the gate refused: what its experiment found on average, which lines failed, and what is answered because of them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.vocabulary import Language
from models.outcome_scale import OutcomeScale
from serving.messages import MessagesError, message_choice
from serving.schemas import AverageEffect, MessageChoice, RefusalCode
from serving.uplift import uplift_wire
from serving.words import draw_words, plan_words, refusal_words, turned_words

NO_DEMOBILISATION, PLAN, RANDOMISATION = "no demobilisation", "plan", "randomisation"
"""Lines of the gate that are about something else than the ranking, as `training.gates` names them."""


class RefusalError(ValueError):
    """`refused.json` cannot be read; the message says which."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is known of a refused model: the `average` effect, and the choice among the `messages` of its experiment where there are several."""

    average: AverageEffect
    messages: MessageChoice | None


def load_refusal(folder: Path) -> Refusal:
    """Return what `models/<name>/refused.json` holds, in the served scale. Raises RefusalError."""
    try:
        document = json.loads((folder / "refused.json").read_text(encoding="utf-8"))
        ate, low, high, coverage = (float(document[name]) for name in ("ate", "low", "high", "coverage"))
        verdict, failed = str(document["verdict"]), _names(document["failed"])
        wire = uplift_wire(OutcomeScale.from_state(document))
        messages = message_choice(document.get("messages"), wire, sound=RANDOMISATION not in failed)
    except MessagesError as error:
        raise RefusalError(f"{folder.name}: refused.json: {error}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        what = "an object with verdict, failed, ate, low, high, coverage, outcome_unit and sign_turned"
        raise RefusalError(f"{folder.name}: refused.json is not {what}; train the model again and promote it") from None
    if not all(map(math.isfinite, (ate, low, high, coverage))):
        raise RefusalError(f"{folder.name}: refused.json holds a number that is not finite")
    value, low, high = (number * wire.factor for number in (ate, low, high))
    return Refusal(AverageEffect(value, low, high, coverage, wire.scale, verdict, failed, wire.turned), messages)


def refusal_code(average: AverageEffect) -> RefusalCode:
    """Return what the lines that failed come to: a message that lowers engagement is for nobody, whatever else failed."""
    return "message_lowers" if NO_DEMOBILISATION in average.failed else "ranking_refused"


def refused_words(average: AverageEffect, language: Language) -> str:
    """Return why there is a score for nobody, that a broken draw says nothing of the average either, and what a positive average means if it was turned."""
    code = refusal_code(average)
    alone = {PLAN: plan_words, RANDOMISATION: draw_words}.get(average.failed[0]) if len(average.failed) == 1 else None
    parts = [refusal_words(code, language) if alone is None else alone(language)]
    if alone is None and RANDOMISATION in average.failed:
        parts.append(draw_words(language))
    return " ".join([*parts, turned_words(language)] if average.sign_turned else parts)


def _names(failed: Any) -> list[str]:
    if not isinstance(failed, list) or not failed or not all(isinstance(name, str) for name in failed):
        raise TypeError("not a list of names")
    return failed
