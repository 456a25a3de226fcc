"""Numbers as people read them: percentages, percentage points, units of an outcome, log-odds, with a true minus sign."""

from __future__ import annotations

import math

from serving.schemas import Scale, Unit

MINUS = "\N{MINUS SIGN}"
NARROW = "\N{NARROW NO-BREAK SPACE}"
_DIGITS, _MOST_DECIMALS = 3, 8


def percent(probability: float) -> str:
    """Return a probability as a percentage with two or three digits that say something: `0.42 %`, `3.1 %`, `64 %`."""
    share = probability * 100
    decimals = 0 if 10 <= share <= 90 else 1 if 1 <= share <= 99 else 2
    return f"{share:.{decimals}f}{NARROW}%"


def points(value: float, *, signed: bool = True) -> str:
    """Return percentage points: `+1.24 pp`."""
    return f"{plain(value, 2, signed=signed)}{NARROW}pp"


def units(value: float, *, signed: bool = True) -> str:
    """Return units of an outcome, which may be of any size, with three digits that say something: `+0.420`, `+12.3`, `+1250`."""
    size = math.floor(math.log10(abs(value))) if value else 0
    return plain(value, min(max(_DIGITS - 1 - size, 0), _MOST_DECIMALS), signed=signed)


def in_scale(value: float, scale: Scale) -> str:
    """Return a value in its scale."""
    return percent(value) if scale == "probability" else points(value) if scale == "uplift_pp" else units(value)


def plain(value: float, decimals: int, *, signed: bool = False) -> str:
    """Return a number with so many decimals; zero never has a minus."""
    shown = f"{abs(value):.{decimals}f}"
    if float(shown) == 0:
        return shown
    return f"{MINUS}{shown}" if value < 0 else f"+{shown}" if signed else shown


def amount(value: float, unit: Unit, *, signed: bool = True) -> str:
    """Return a contribution in its unit, without the unit's name for log-odds and units of the outcome."""
    if unit == "outcome_units":
        return units(value, signed=signed)
    return points(value, signed=signed) if unit == "percentage_points" else plain(value, 2, signed=signed)


def sigmoid(margin: float) -> float:
    """Return the probability of log-odds, without overflow."""
    return 1 / (1 + math.exp(-margin)) if margin >= 0 else math.exp(margin) / (1 + math.exp(margin))


def logit(probability: float) -> float:
    """Return the log-odds of a probability in (0, 1)."""
    return math.log(probability / (1 - probability))
