"""The average effects of several messages, told so that testing many finds no more by chance than testing one."""

import numpy as np
import pytest
from scipy import stats

from models.metrics import Estimate
from training.choice import MessageChoice, holm


def _of(p_values):
    return {name: Estimate.normal("ate", float(stats.norm.isf(p / 2)), 1.0) for name, p in p_values.items()}


def test_p_values_are_multiplied_from_the_smallest_on_and_never_fall():
    assert holm(_of({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert holm(_of({"a": 0.9, "b": 0.8})) == pytest.approx({"a": 1.0, "b": 1.0})
    assert holm(_of({"alone": 0.2})) == pytest.approx({"alone": 0.2})
    assert holm({"constant": Estimate.normal("ate", 0.0, 0.0)}) == {"constant": 1.0}


def test_with_nothing_to_find_something_is_found_in_one_experiment_of_twenty_at_most():
    rng = np.random.default_rng(0)
    found = sum(min(holm({arm: Estimate.normal("ate", float(rng.normal()), 1.0) for arm in "abc"}).values()) < 0.05 for _ in range(2000))
    assert 60 <= found <= 130, "100 are expected, with a standard deviation of 10"


def test_no_p_value_is_told_as_zero():
    effects = {"call": Estimate.normal("ate", 6.0, 1.0), "text": Estimate.normal("ate", 1.0, 1.0)}
    lines = str(MessageChoice(effects, holm(effects), "call", effects["call"], effects["text"], personal=False, words="call works best")).splitlines()
    assert lines[1].endswith(", p below 0.001 after Holm's procedure")
    assert lines[2].endswith(", p = 0.317 after Holm's procedure")
