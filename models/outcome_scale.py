"""What an uplift is measured in: a share of people where the outcome is 0 or 1, its own unit otherwise; and whether its sign was turned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Unit = Literal["share", "outcome"]


class OutcomeScaleError(ValueError):
    """What was stored does not say what the outcome is; the message says what to do."""


@dataclass(frozen=True, slots=True)
class OutcomeScale:
    """`unit`: `share` for outcomes of 0 and 1, whose uplift is a difference of shares (-1 to 1); `outcome` for any other, whose uplift is in its own unit.

    `turned`: less of the outcome is the aim, so it was turned before learning (no for yes, or its sign): a positive uplift means less of it.
    """

    unit: Unit
    turned: bool = False

    @classmethod
    def of(cls, y: NDArray[np.float64], *, turned: bool = False) -> OutcomeScale:
        """Return the scale of outcomes y (n,), more of which is better, NaN where missing; `turned` says that they were turned to that end."""
        return cls("share" if np.isin(y[~np.isnan(y)], (0.0, 1.0)).all() else "outcome", turned)

    def to_state(self) -> dict[str, Any]:
        """Return `outcome_unit` and `sign_turned`, as the metadata of a model and a refusal hold them."""
        return {"outcome_unit": self.unit, "sign_turned": self.turned}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> OutcomeScale:
        """Return the scale that `to_state` put among other entries. Raises OutcomeScaleError, as for models of releases that did not say it."""
        unit = next((unit for unit in get_args(Unit) if unit == state.get("outcome_unit")), None)
        turned = state.get("sign_turned")
        if unit is None or not isinstance(turned, bool):
            raise OutcomeScaleError("it does not say in which unit its outcome is (outcome_unit, sign_turned); train it again")
        return cls(unit, turned)
