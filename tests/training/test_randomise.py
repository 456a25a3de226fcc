import hashlib
import hmac

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from training.randomise import RandomiseError, by_hash, draw, held_out, in_blocks, key_check, read_key, uniforms

KEY = bytes(range(32))
SHARES = {"control": 0.5, "letter": 0.3, "call": 0.2}
UNITS = [f"h{number}" for number in range(20_000)]


def people(units=UNITS, stratum="all"):
    return pd.DataFrame({"person_id": [f"nb:{number}" for number in range(len(units))], "unit_id": list(units), "stratum": stratum})


def test_a_number_is_the_documented_hash():
    digest = hmac.new(KEY, b"experiment\0welcome\0h7", hashlib.sha256).digest()
    assert uniforms(KEY, "welcome", ["h7"]).tolist() == [(int.from_bytes(digest[:8], "big") >> 11) / 2**53]


def test_numbers_are_uniform_and_those_of_two_experiments_independent():
    one, other = uniforms(KEY, "welcome", UNITS), uniforms(KEY, "goodbye", UNITS)
    assert stats.kstest(one, "uniform").pvalue > 0.01
    arms = [by_hash(values, list(SHARES.values())) for values in (one, other)]
    table = np.zeros((3, 3))
    np.add.at(table, (arms[0], arms[1]), 1)
    assert stats.chi2_contingency(table).pvalue > 0.01
    assert np.array_equal(one, uniforms(KEY, "welcome", UNITS))
    assert not np.array_equal(one, uniforms(KEY[::-1], "welcome", UNITS))


def test_by_hash_each_arm_has_its_share_on_average():
    drawn = draw(people(), SHARES, key=KEY, experiment="welcome", blocked=False)
    counts = drawn["arm"].value_counts()[list(SHARES)]
    assert stats.chisquare(counts, np.array(list(SHARES.values())) * len(UNITS)).pvalue > 0.01
    assert (drawn["probability"] == drawn["arm"].map(SHARES)).all()


def test_in_blocks_each_stratum_has_its_shares_up_to_rounding():
    random = np.random.default_rng(0)
    stratum = np.array(["a", "b", "c", "d"])[np.minimum(random.integers(0, 40, 2003), 3)]
    drawn = draw(people(UNITS[:2003], stratum), SHARES, key=KEY, experiment="welcome", blocked=True)
    for _, rows in drawn.groupby("stratum"):
        for arm, share in SHARES.items():
            assert abs((rows["arm"] == arm).sum() - share * len(rows)) < 1


def test_in_blocks_every_unit_has_the_stated_probability_whatever_the_rounding():
    random = np.random.default_rng(1)
    shares = list(SHARES.values())
    strata = np.repeat([0, 1], [3, 4])
    found = np.array([in_blocks(random.random(7), strata, random.random(2), shares) for _ in range(6000)])
    for unit in range(7):
        counts = np.bincount(found[:, unit], minlength=3)
        assert stats.chisquare(counts, np.array(shares) * 6000).pvalue > 0.001


def test_units_are_drawn_as_one_and_rows_order_changes_nothing():
    frame = people([f"h{number // 3}" for number in range(999)])
    for blocked in (False, True):
        drawn = draw(frame, SHARES, key=KEY, experiment="welcome", blocked=blocked)
        assert len(drawn[["unit_id", "arm"]].drop_duplicates()) == drawn["unit_id"].nunique()
        mixed = draw(frame.sample(frac=1, random_state=0), SHARES, key=KEY, experiment="welcome", blocked=blocked)
        assert mixed.sort_index().equals(drawn)


def test_a_unit_of_several_strata_is_drawn_in_that_of_its_first_person():
    frame = pd.DataFrame({"person_id": ["nb:2", "nb:1", "nb:3"], "unit_id": ["h", "h", "g"], "stratum": ["south", "north", "south"]})
    drawn = draw(frame, SHARES, key=KEY, experiment="welcome", blocked=True)
    assert drawn["stratum"].tolist() == ["north", "north", "south"]


def test_newcomers_who_come_one_by_one_do_not_all_get_the_same_arm():
    shares = {"control": 0.5, "letter": 0.5}
    arms = [draw(people([f"h{batch}"]), shares, key=KEY, experiment="welcome", blocked=True, batch=batch)["arm"].iloc[0] for batch in range(400)]
    assert 150 < arms.count("letter") < 250


def test_nobody_to_draw():
    for blocked in (False, True):
        assert len(draw(people([]), SHARES, key=KEY, experiment="welcome", blocked=blocked)) == 0


def test_the_holdout_is_the_same_in_each_experiment_nested_and_independent_of_arms():
    ids = [f"nb:{number}" for number in range(20_000)]
    small, large = held_out(KEY, ids, 0.05), held_out(KEY, ids, 0.2)
    assert small.mean() == pytest.approx(0.05, abs=0.006)
    assert not (small & ~large).any()
    arms = by_hash(uniforms(KEY, "welcome", ids), list(SHARES.values()))
    table = np.array([np.bincount(arms[large], minlength=3), np.bincount(arms[~large], minlength=3)])
    assert stats.chi2_contingency(table).pvalue > 0.01
    assert not held_out(KEY, ids, 0.0).any()


def test_a_key_is_made_once_for_its_owner_only(tmp_path):
    path = tmp_path / "secrets" / "draw.key"
    key = read_key(path)
    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_key(path) == key
    assert [item.name for item in path.parent.iterdir()] == ["draw.key"]
    assert key_check(key) != key_check(KEY)
    assert key.hex()[:16] != key_check(key)


def test_a_key_that_others_can_read_or_that_is_short_is_refused(tmp_path):
    path = tmp_path / "draw.key"
    path.write_bytes(KEY)
    path.chmod(0o644)
    with pytest.raises(RandomiseError, match="chmod 600"):
        read_key(path)
    path.write_bytes(b"short")
    path.chmod(0o600)
    with pytest.raises(RandomiseError, match="5 bytes"):
        read_key(path)
