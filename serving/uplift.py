"""How an uplift goes over the wire: percentage points where the outcome is 0 or 1, otherwise the outcome's own units, as the estimator gives them."""

from __future__ import annotations

from dataclasses import dataclass

from models.outcome_scale import OutcomeScale
from serving.schemas import UpliftScale, UpliftUnit


@dataclass(frozen=True, slots=True)
class UpliftWire:
    """The `scale` of values, the `unit` of contributions, by how much the estimator's numbers are multiplied, and whether a positive one means less."""

    scale: UpliftScale
    unit: UpliftUnit
    factor: float
    turned: bool


def uplift_wire(outcome: OutcomeScale) -> UpliftWire:
    """Return how an uplift on that outcome is served."""
    if outcome.unit == "share":
        return UpliftWire("uplift_pp", "percentage_points", 100.0, outcome.turned)
    return UpliftWire("uplift", "outcome_units", 1.0, outcome.turned)
