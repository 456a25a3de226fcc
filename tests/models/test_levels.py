"""Shifts of levels, and how far they move."""

import numpy as np
import pytest
from scipy import special

from models.levels import PRIOR_STEP_SD, PRIOR_STEPS, Shift, Steps, level_shift, steps_ahead, steps_by_lag, steps_of


def test_the_shift_meets_the_observed_rate():
    generator = np.random.default_rng(0)
    logit = generator.normal(-2, 1, 40_000)
    y = (generator.random(40_000) < special.expit(logit + 0.3)).astype(float)
    found = level_shift(logit, y, np.arange(40_000), np.ones(40_000))
    assert found.value == pytest.approx(0.3, abs=3 * found.se)
    assert special.expit(logit + found.value).mean() == pytest.approx(y.mean(), abs=1e-4)
    assert found.people == 40_000


def test_rows_of_one_person_are_no_independent_news():
    generator = np.random.default_rng(1)
    y = np.repeat((generator.random(500) < 0.2).astype(float), 4)
    alone = level_shift(np.full(2000, -1.4), y, np.arange(2000), np.ones(2000))
    together = level_shift(np.full(2000, -1.4), y, np.repeat(np.arange(500), 4), np.ones(2000))
    assert together.value == alone.value
    assert together.se == pytest.approx(2 * alone.se, rel=0.05)


def test_one_label_only_is_finite():
    assert np.isfinite(level_shift(np.zeros(5), np.zeros(5), np.arange(5), np.ones(5))[:2]).all()


@pytest.mark.parametrize("sd", [0.0, 0.15, 0.4])
def test_how_far_levels_move_comes_back_from_noisy_moves(sd):
    """Moves of many origins with sampling errors of their own; the prior counts as two origins more."""
    generator = np.random.default_rng(2)
    moves = []
    for _ in range(300):
        season = generator.normal(0, sd)
        noise = generator.normal(0, 0.05, (2, 8))
        moves.append([(Shift(before, 0.05, 100), Shift(season + after, 0.05, 100)) for before, after in noise.T])
    assert steps_of(moves).sd == pytest.approx(sd, abs=0.05)


def test_without_moves_it_is_the_prior_and_few_lean_on_it():
    assert steps_of([]) == Steps(PRIOR_STEP_SD, PRIOR_STEPS)
    assert steps_of([[]]) == Steps(PRIOR_STEP_SD, PRIOR_STEPS)
    still = [[(Shift(0.0, 0.0, 10), Shift(0.0, 0.0, 10))]]
    assert steps_of(still).sd == pytest.approx(PRIOR_STEP_SD * np.sqrt(2 / 3))


def _moves(generator, sd):
    return [[(Shift(0.0, 0.0, 10), Shift(float(move), 0.0, 10))] for move in generator.normal(0, sd, 400)]


def test_each_lag_learns_for_itself_and_starts_from_the_one_before():
    generator = np.random.default_rng(3)
    returning = steps_by_lag([_moves(generator, 0.2), _moves(generator, 0.2), []])
    assert [step.sd for step in returning] == pytest.approx([0.2, 0.2, 0.2 * 1.25**0.5], abs=0.02)
    assert returning[2] == (pytest.approx(returning[1].sd * 1.25**0.5), PRIOR_STEPS)
    wandering = steps_by_lag([_moves(generator, 0.2), _moves(generator, 0.2 * 2**0.5), _moves(generator, 0.2 * 3**0.5)])
    assert [step.sd for step in wandering] == pytest.approx([0.2, 0.283, 0.346], abs=0.03)


def test_steps_ahead_lie_between_lags_and_go_on_as_a_random_walk():
    steps = (Steps(0.2, 5.0), Steps(0.3, 4.0))
    assert steps_ahead(steps, 0.0).sd == 0.0
    assert steps_ahead(steps, 0.5) == Steps(pytest.approx(0.2 * 0.5**0.5), 5.0)
    assert steps_ahead(steps, 1.0) == Steps(pytest.approx(0.2), 5.0)
    assert steps_ahead(steps, 1.5) == Steps(pytest.approx(((0.04 + 0.09) / 2) ** 0.5), 4.0)
    assert steps_ahead(steps, 2.0) == Steps(pytest.approx(0.3), 4.0)
    assert steps_ahead(steps, 8.0) == Steps(pytest.approx(0.6), 4.0)
    assert steps_ahead((), 3.0).sd == 0.0


@pytest.mark.parametrize("shared", [0, 400])
def test_people_in_both_blocks_do_not_hide_that_levels_move(shared):
    """People differ for good; of 400 in a block, `shared` are in the next too. The learned variance of moves is right either way, on average."""
    generator = np.random.default_rng(7)
    estimates = []
    for _ in range(300):
        lasting, move = generator.normal(0, 1.5, 800), generator.normal(0, 0.3)
        before, after = np.arange(400), np.arange(400 - shared, 800 - shared)
        sides = []
        for who, level in ((before, 0.0), (after, move)):
            rows = np.repeat(who, 3)
            y = (generator.random(1200) < special.expit(level + lasting[rows])).astype(float)
            sides.append(level_shift(np.zeros(1200), y, rows, np.ones(1200)))
        steps = steps_of([[tuple(sides)]])
        estimates.append(steps.sd**2 * (PRIOR_STEPS + 1) - PRIOR_STEPS * PRIOR_STEP_SD**2)
    # a level's move shows smaller on a marginal logit where people differ: sd 1.5 among people shrinks it by about 1.25
    assert np.mean(estimates) == pytest.approx((0.3 / 1.25) ** 2, rel=0.25)
