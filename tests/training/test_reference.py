import json
from datetime import UTC, datetime

import numpy as np
import pytest

from features.definition import parse_name
from training.bins import LEAST_ROWS, count
from training.config import read_config
from training.reference import REFERENCE, NoReferenceError, Rate, Reference, earlier_times, latest_rows, make_reference, rates, reference_of
from training.snapshots import Side, affinity_dataset

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def dataset(campaign):
    return affinity_dataset(campaign, read_config(campaign).affinity, now=NOW)


@pytest.fixture(scope="module")
def reference(campaign, dataset):
    probability = np.random.default_rng(0).beta(1, 4, dataset.test.y.shape)
    return make_reference(campaign, dataset, probability, read_config(campaign).affinity)


def test_a_reference_says_what_the_test_rows_are(reference, dataset):
    test = dataset.test
    assert reference.people == len(test)
    assert reference.as_of == f"{test.as_ofs.max()}"[:19] + "+00:00"
    assert set(reference.features) == {name for name in test.X.columns if parse_name(name).statistic != "supply"}
    assert len(reference.features) < test.X.shape[1] or not any("supply" in name for name in test.X.columns)
    for name, bins in reference.features.items():
        values = test.X[name].to_numpy()
        assert bins.missing == np.isnan(values).mean()
        assert np.allclose(np.array(bins.shares) * len(test), count(values, bins.edges))
    assert tuple(reference.scores) == dataset.topics
    for number, topic in enumerate(dataset.topics):
        assert reference.rates[topic].observed == pytest.approx(np.nanmean(test.y[:, number]))
    assert reference.activity.days == 30
    assert reference.activity.until == reference.as_of
    assert reference.activity.shares["kind"] == {"open": 1.0}
    assert reference.label == {"horizon_days": 30, "gap_days": 1, "settle_days": 2, "exposed_only": False, "test_share": 0.25, "seed": 0}


def test_it_says_how_far_things_moved_before(campaign, reference, dataset):
    assert len(earlier_times(dataset)) == 4
    assert set(reference.usual) == set(reference.features)
    assert max(moved.psi for moved in reference.usual.values()) > 0.1, "who is known for how long, if nothing else"
    assert reference.usual_activity.pace > 0
    assert reference.usual_activity.always["kind"] == ["open"]
    only_latest = affinity_dataset(campaign, read_config(campaign).affinity, now=NOW, only_latest=True)
    probability = np.full(only_latest.test.y.shape, 0.2)
    alone = make_reference(campaign, only_latest, probability, read_config(campaign).affinity)
    assert {moved.psi for moved in alone.usual.values()} == {0.0}
    again = make_reference(campaign, only_latest, probability, read_config(campaign).affinity, before=reference)
    assert (again.usual, again.usual_activity) == (reference.usual, reference.usual_activity)


def test_nothing_in_it_is_somebody_s(reference, dataset):
    text = reference.to_bytes()
    assert b"van:" not in text
    for name, bins in reference.features.items():
        values = dataset.test.X[name].to_numpy()
        counts = count(values, bins.edges)[:-1]
        assert all(number >= LEAST_ROWS or number == 0 for number in counts) or not bins.edges
        if np.unique(values[~np.isnan(values)]).size > 1:
            assert not {float(np.nanmin(values)), float(np.nanmax(values))} & set(bins.edges)
        assert all(mean is None or number >= LEAST_ROWS for number, mean in zip(counts, bins.means, strict=True))


def test_the_file_gives_the_same_back(reference, tmp_path):
    (tmp_path / REFERENCE).write_bytes(reference.to_bytes())
    again = Reference.read(tmp_path)
    assert again == reference
    assert again.to_bytes() == reference.to_bytes()


def test_a_reference_that_is_missing_or_broken_is_told_in_words(reference, tmp_path):
    with pytest.raises(NoReferenceError, match="Train again with `audience train affinity`"):
        Reference.read(tmp_path)
    assert reference_of(tmp_path) is None
    state = json.loads(reference.to_bytes())
    first = next(iter(state["features"]))
    broken = [
        state | {"format": "audience-scoring reference 9"},
        {key: value for key, value in state.items() if key != "activity"},
        state | {"features": {first: state["features"][first] | {"shares": [1.0]}}},
        state | {"features": []},
    ]
    for document in broken:
        (tmp_path / REFERENCE).write_text(json.dumps(document))
        with pytest.raises(NoReferenceError, match="cannot be read"):
            Reference.read(tmp_path)


def test_each_person_counts_once_by_the_latest_row():
    people, days = np.array(["b", "a", "b", "a", "c"]), ["2026-01-03", "2026-01-02", "2026-01-01", "2026-01-04", "2026-01-01"]
    side = Side(X=None, y=np.zeros((5, 1)), person_ids=people, as_ofs=np.array(days, dtype="datetime64[us]"), block=np.zeros(5, dtype=np.int64), exposed=None)
    assert latest_rows(side).tolist() == [0, 3, 4]


def test_rates_leave_out_what_is_unknown():
    y = np.array([[1.0, np.nan], [0.0, np.nan], [np.nan, np.nan]])
    assert rates(["housing", "care"], np.full((3, 2), 0.25), y) == {"housing": Rate(2, 0.25, 0.5)}
