import numpy as np
import pytest

from training.activity import DIMENSIONS, Activity
from training.bins import Bins, count
from training.divergence import Divergence
from training.usual import NEVER_SEEN, UsualActivity, compared, usual


def test_the_furthest_of_the_earlier_times_is_usual():
    random = np.random.default_rng(0)
    now = random.normal(size=2_000)
    blocks = [random.normal(size=1_000), random.normal(0.6, 1, 1_000), np.where(random.random(1_000) < 0.3, np.nan, random.normal(size=1_000))]
    bins = Bins.of(now)
    found = usual(bins, len(now), np.concatenate(blocks), np.repeat([0, 1, 2], 1_000))
    each = [Divergence.between(np.array(bins.shares), count(block, bins.edges) / 1_000, 2_000, 1_000).excess for block in blocks]
    assert each[0] < 0.01
    assert each[1] > 0.2
    assert found.psi == max(each)
    assert found.missing == pytest.approx(np.isnan(blocks[2]).mean())
    assert found.level == 0
    assert usual(bins, len(now), np.zeros(0), np.zeros(0, dtype=np.int64)) == NEVER_SEEN


def test_a_level_that_moves_for_everyone_is_told_apart():
    random = np.random.default_rng(1)
    now, before = (0.06 * level * random.gamma(40.0, 1 / 40, 3_000) for level in (1.0, 1.2))
    found = usual(Bins.of(now, around=True), len(now), before, np.zeros(3_000, dtype=np.int64))
    assert found.psi < 0.01
    assert np.exp(found.level) == pytest.approx(1.2, rel=0.02)
    assert usual(Bins.of(now), len(now), before, np.zeros(3_000, dtype=np.int64)).psi > 0.5


def at(kinds, *, interactions=1_000, people=500):
    shares = {dimension: {} for dimension in DIMENSIONS} | {"kind": kinds}
    return Activity("2026-11-01T00:00:00+00:00", 30, people, interactions, float(interactions), None, shares)


def test_usual_activity_knows_what_was_ever_and_always_there():
    now, *others = at({"open": 0.8, "sign": 0.2}), at({"open": 1.0}, interactions=500), at({"open": 0.5, "call": 0.5}, interactions=1_500)
    found = UsualActivity.of(now, others)
    assert (found.ever["kind"], found.always["kind"]) == (["call", "open", "sign"], ["open"])
    assert found.psi["kind"] == max(compared(now, other, "kind").excess for other in others) > 0.5
    assert found.psi["topic"] == 0
    assert np.exp(found.pace) == pytest.approx(1_000.5 / 500.5)
    assert UsualActivity.from_state(found.to_state()) == found


def test_without_earlier_times_nothing_is_usual():
    found = UsualActivity.of(at({"open": 1.0}), [])
    assert (set(found.psi.values()), found.pace, found.ever["kind"], found.always["kind"]) == ({0.0}, 0.0, ["open"], ["open"])
