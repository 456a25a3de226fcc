import json

import numpy as np
import pytest

from models.outcome_scale import OutcomeScale, OutcomeScaleError


@pytest.mark.parametrize(
    ("y", "turned", "unit"),
    [
        ([0, 1, np.nan, 1], False, "share"),
        ([1, 1], False, "share"),
        ([0, 1, np.nan], True, "share"),
        ([0, 1, 2], False, "outcome"),
        ([0, -1, -2], True, "outcome"),
        ([0.0, 0.42], False, "outcome"),
        ([-1, 0, 1], False, "outcome"),
        ([-1, 0], False, "outcome"),
    ],
)
def test_only_zeros_and_ones_are_shares(y, turned, unit):
    assert OutcomeScale.of(np.array(y, dtype=float), turned=turned) == OutcomeScale(unit, turned)


@pytest.mark.parametrize("scale", [OutcomeScale("share"), OutcomeScale("outcome", turned=True)])
def test_what_is_stored_among_other_entries_comes_back(scale):
    state = json.loads(json.dumps({"name": "persuadability.rent.story", **scale.to_state()}))
    assert OutcomeScale.from_state(state) == scale


@pytest.mark.parametrize("state", [{}, {"outcome_unit": "euros", "sign_turned": False}, {"outcome_unit": "share"}, {"outcome_unit": "share", "sign_turned": 1}])
def test_what_does_not_say_it_has_to_be_trained_again(state):
    with pytest.raises(OutcomeScaleError, match="train it again"):
        OutcomeScale.from_state(state)
