import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from training.divergence import Divergence, absence, jensen_shannon, psi
from training.verdicts import judged, worst


def draw(random, bins=8):
    return random.dirichlet(np.ones(bins)), random.dirichlet(np.ones(bins))


def test_the_index_by_hand():
    assert psi(np.array([0.5, 0.5]), np.array([0.9, 0.1]), floor=1e-9) == pytest.approx(0.4 * np.log(1.8) + 0.4 * np.log(5))
    assert psi(np.array([1.0, 0.0]), np.array([0.9, 0.1]), floor=0.01) == pytest.approx(0.1 * np.log(1 / 0.9) + 0.09 * np.log(10))


def test_the_index_is_symmetric_not_negative_and_zero_for_equal_shares():
    random = np.random.default_rng(0)
    for _ in range(50):
        p, q = draw(random)
        assert psi(p, q, floor=1e-6) == pytest.approx(psi(q, p, floor=1e-6))
        assert psi(p, q, floor=1e-6) > 0
        assert psi(p, p, floor=1e-6) == 0


def test_jensen_shannon_is_scipy_s():
    random = np.random.default_rng(1)
    for _ in range(50):
        p, q = draw(random)
        p[2] = 0
        assert jensen_shannon(p / p.sum(), q) == pytest.approx(jensenshannon(p / p.sum(), q, base=2) ** 2)
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1
    assert jensen_shannon(p, p) == 0


def test_equal_shares_of_any_number_of_rows_do_not_differ():
    shares = np.array([0.5, 0.25, 0.25, 0.0])
    found = Divergence.between(shares, shares, 100, 1_000_000)
    assert (found.psi, found.js, found.excess, found.p_value) == (0, 0, 0, 1)
    assert found.by_chance == pytest.approx(2 * (1 / 100 + 1e-6)), "a bin that is empty on both sides is none"


def test_chance_gives_what_is_said_and_alarms_as_often_as_said():
    random = np.random.default_rng(2)
    shares = np.array([0.3, 0.2, 0.2, 0.1, 0.1, 0.1])
    found = [Divergence.between(random.multinomial(400, shares) / 400, random.multinomial(900, shares) / 900, 400, 900) for _ in range(2000)]
    assert np.mean([each.psi for each in found]) == pytest.approx(found[0].by_chance, rel=0.06)
    p_values = np.array([each.p_value for each in found])
    for level in (0.01, 0.05, 0.2):
        assert np.mean(p_values < level) == pytest.approx(level, abs=3 * np.sqrt(level * (1 - level) / len(p_values)))


def test_an_empty_bin_of_few_people_is_not_far():
    few = Divergence.between(np.array([0.98, 0.02]), np.array([1.0, 0.0]), 10_000, 50)
    many = Divergence.between(np.array([0.98, 0.02]), np.array([1.0, 0.0]), 10_000, 10_000)
    assert few.psi < 0.02
    assert few.p_value > 0.2
    assert many.psi > few.psi
    assert many.p_value < 1e-12


def test_nothing_on_one_side_says_nothing():
    assert Divergence.between(np.zeros(0), np.zeros(0), 0, 10) == Divergence(0.0, 0.0, 0.0, 1.0)
    assert Divergence.between(np.ones(1), np.ones(1), 10, 10).p_value == 1


def test_absence_is_the_chance_that_all_fall_on_one_side():
    assert absence(0.03, 100, 100) == pytest.approx(1 / 8)
    assert absence(0.03, 100, 0) == 1
    assert absence(1.0, 0, 0) == 1


def test_verdicts():
    levels = (0.1, 0.25)
    assert [judged(size, levels, real=True) for size in (0.0999, 0.1, 0.2499, 0.25, 9.0)] == ["stable", "watch", "watch", "drifted", "drifted"]
    assert judged(9.0, levels, real=False) == "stable"
    assert worst(["stable", "drifted", "watch"]) == "drifted"
    assert worst(["watch", "stable"]) == "watch"
    assert worst([]) == "stable"
