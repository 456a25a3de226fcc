import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from features.workspace import Workspace
from training.config import AffinityConfig
from training.own_labels import LabelsError
from training.snapshots import SnapshotError, affinity_dataset, hash_rows, held_apart, snapshot_times

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
CONFIG = AffinityConfig(horizon_days=30, gap_days=1, settle_days=2, snapshots=5)


@pytest.fixture(scope="module")
def dataset(campaign):
    return affinity_dataset(campaign, CONFIG, now=NOW)


def test_times_are_midnights_whose_label_windows_are_complete_and_do_not_overlap():
    times = snapshot_times(NOW - timedelta(days=400), NOW, CONFIG)
    assert len(times) == 5
    assert all((time.hour, time.minute, time.second, time.microsecond) == (0, 0, 0, 0) for time in times)
    ends = [time + timedelta(days=31) for time in times]
    assert ends[-1] + timedelta(days=2) <= NOW
    assert all(end <= later for end, later in zip(ends, times[1:], strict=False))


def test_a_short_history_gives_fewer_times_or_says_what_it_needs():
    assert len(snapshot_times(NOW - timedelta(days=130), NOW, CONFIG)) == 3
    with pytest.raises(SnapshotError, match=r"needs about 95 days.*shorter \[training.affinity\] horizon_days"):
        snapshot_times(NOW - timedelta(days=70), NOW, CONFIG)
    first = datetime(1, 1, 2, tzinfo=UTC)
    with pytest.raises(SnapshotError, match="1-01-02 is too early for snapshots"):
        snapshot_times(first, first, CONFIG)


def test_the_split_is_over_time_and_people(dataset):
    train, test = dataset.train, dataset.test
    assert not set(train.person_ids) & set(test.person_ids)
    assert (train.as_ofs + np.timedelta64(31, "D")).max() <= test.as_ofs.min()
    assert len(set(test.as_ofs)) == 1
    assert len(set(train.as_ofs)) == 4
    assert train.block[train.as_ofs == train.as_ofs.max()].min() == train.block.max()
    assert 0.15 < len(test) / 360 < 0.35


def test_labels_are_those_of_hand_written_counting(campaign, dataset):
    from features.history import History

    rows = History(campaign.tables, campaign.vocabulary).read("interactions").to_pandas()
    for side in (dataset.train, dataset.test):
        for number in np.linspace(0, len(side) - 1, 60).astype(int):
            as_of = pd.Timestamp(side.as_ofs[number], tz="UTC")
            start, end = as_of + pd.Timedelta(days=1), as_of + pd.Timedelta(days=31)
            own = rows[(rows.person_id == side.person_ids[number]) & (rows.occurred_at >= start) & (rows.occurred_at < end)]
            assert side.y[number].tolist() == [float((own.topic == topic).any()) for topic in dataset.topics]
    assert 0.05 < dataset.train.y.mean() < 0.6


def test_exposure_is_looked_up_and_can_be_required(campaign, dataset):
    from features.history import History

    rows = History(campaign.tables, campaign.vocabulary).read("interactions").to_pandas()
    known = affinity_dataset(campaign, CONFIG.model_copy(update={"exposed_only": True}), now=NOW)
    side = dataset.train
    for number in np.linspace(0, len(side) - 1, 40).astype(int):
        as_of = pd.Timestamp(side.as_ofs[number], tz="UTC")
        own = rows[(rows.person_id == side.person_ids[number]) & (rows.direction == "out") & ~rows.is_machine]
        own = own[(own.occurred_at >= as_of + pd.Timedelta(days=1)) & (own.occurred_at < as_of + pd.Timedelta(days=31))]
        assert side.exposed[number].tolist() == [bool((own.topic == topic).any()) for topic in dataset.topics]
    silent = (side.y == 0) & ~side.exposed
    assert silent.any()
    np.testing.assert_array_equal(np.isnan(known.train.y), silent)
    np.testing.assert_array_equal(known.train.y[~silent], side.y[~silent])


def test_edges_of_the_label_window_machines_late_arrivals_and_sends(tmp_path, by_hand):
    workspace = by_hand.open_empty(tmp_path)
    (as_of,) = snapshot_times(NOW - timedelta(days=400), NOW, CONFIG)[-1:]
    first, instant = as_of + timedelta(days=1), timedelta(microseconds=1)
    moments = {
        "a:start": (first, {}),
        "a:end": (first + timedelta(days=30) - instant, {}),
        "a:before": (first - instant, {}),
        "a:after": (first + timedelta(days=30), {}),
        "a:machine": (first, {"is_machine": True}),
        "a:sent": (first, {"kind": "send"}),
        "a:late": (first, {"received_at": NOW + instant}),
        "a:known": (first, {"received_at": NOW}),
    }
    by_hand.interactions(workspace, list(moments), NOW - timedelta(days=200), topic="climate")
    for number, (person, (moment, fields)) in enumerate(moments.items()):
        by_hand.interactions(workspace, [person], moment, prefix=f"{number}-", **fields)
    wanted = {"a:start": 1, "a:end": 1, "a:before": 0, "a:after": 0, "a:machine": 0, "a:sent": 0, "a:late": 0, "a:known": 1}
    labels = {}
    for seed in range(12):  # whoever is tested on at the last time shows a label; the seed decides who
        test = affinity_dataset(workspace, CONFIG.model_copy(update={"test_share": 0.5, "seed": seed}), now=NOW).test
        labels |= dict(zip(test.person_ids.tolist(), test.y[:, 0].tolist(), strict=True))
    assert labels == wanted


def answering(tmp_path, by_hand):
    """A workspace in whose every label window some of forty people answer about the first topic, the people, and the last snapshot's time."""
    workspace = by_hand.open_empty(tmp_path)
    times = snapshot_times(NOW - timedelta(days=400), NOW, CONFIG)
    people = [f"a:{number}" for number in range(40)]
    by_hand.interactions(workspace, people, NOW - timedelta(days=400), prefix="old")
    for number, time in enumerate(times):
        by_hand.interactions(workspace, people[number::6], time + timedelta(days=5), prefix=f"h{number}")
    return workspace, people, times[-1]


def test_a_topic_that_nobody_was_asked_about_nor_answered_is_unknown_and_not_a_no(tmp_path, by_hand):
    workspace, people, last = answering(tmp_path, by_hand)
    by_hand.interactions(workspace, people, last + timedelta(days=3), topic="care", kind="send", prefix="sent")
    found = affinity_dataset(workspace, CONFIG, now=NOW)
    assert np.isfinite(found.train.y[:, 0]).all()
    assert np.isnan(found.train.y[:, 1:]).all(), "nothing was sent about climate or care before the last snapshot"
    assert np.isnan(found.test.y[:, 1]).all()
    assert (found.test.y[:, 2] == 0).all(), "care was sent then, and nobody answered"


def test_whether_a_rare_topic_is_tested_does_not_hang_on_who_is_tested(tmp_path, by_hand):
    workspace, people, last = answering(tmp_path, by_hand)
    tested = affinity_dataset(workspace, CONFIG, now=NOW).test.person_ids.tolist()
    answered = next(person for person in people if person not in tested)
    by_hand.interactions(workspace, [answered], last + timedelta(days=3), topic="climate", prefix="rare")
    found = affinity_dataset(workspace, CONFIG, now=NOW)
    assert (found.test.y[:, 1] == 0).all(), "somebody engaged with climate then, though nobody of those who are tested"
    assert np.isnan(found.train.y[:, 1]).all()
    assert np.isnan(found.test.y[:, 2]).all()


def test_the_latest_snapshot_alone_has_both_sides(campaign, dataset):
    latest = affinity_dataset(campaign, CONFIG, now=NOW, only_latest=True)
    assert set(np.unique(latest.train.as_ofs)) == set(np.unique(latest.test.as_ofs)) == set(np.unique(dataset.test.as_ofs))
    assert latest.test.hash == dataset.test.hash
    assert not set(latest.train.person_ids) & set(latest.test.person_ids)


def test_an_interaction_with_several_topics_is_an_engagement_with_each(tmp_path, by_hand):
    workspace = by_hand.open_empty(tmp_path)
    (as_of,) = snapshot_times(NOW - timedelta(days=400), NOW, CONFIG)[-1:]
    people = [f"a:{number}" for number in range(20)]
    by_hand.interactions(workspace, people, NOW - timedelta(days=200))
    by_hand.interactions(workspace, people, as_of + timedelta(days=2), topic=["care;housing", "climate"] * 10, prefix="later-")
    test = affinity_dataset(workspace, CONFIG.model_copy(update={"test_share": 0.5}), now=NOW).test
    wanted = {"a:0": [1.0, 0.0, 1.0], "a:1": [0.0, 1.0, 0.0]}
    assert [row.tolist() for row in test.y] == [wanted[f"a:{int(person[2:]) % 2}"] for person in test.person_ids]
    assert len(np.unique(test.y, axis=0)) == 2


def test_the_population_is_the_build_s(campaign, dataset):
    from features.history import History
    from features.vectors import build

    as_of = pd.Timestamp(dataset.train.as_ofs.min(), tz="UTC").to_pydatetime()
    built = build(History(campaign.tables, campaign.vocabulary), campaign.vocabulary, as_of)
    train = dataset.train
    first = train.as_ofs == train.as_ofs.min()
    test = held_apart(built.person_ids.to_pylist(), share=CONFIG.test_share, seed=CONFIG.seed)
    assert sorted(train.person_ids[first]) == np.array(built.person_ids.to_pylist())[~test].tolist()
    assert np.array_equal(train.X.to_numpy()[first][np.argsort(train.person_ids[first])], built.matrix[~test], equal_nan=True)


def test_people_keep_their_side_and_the_share_is_met():
    ids = [f"van:{number}" for number in range(20_000)]
    side = held_apart(ids, share=0.25, seed=0)
    assert abs(side.mean() - 0.25) < 0.01
    assert (held_apart(ids[::-1], share=0.25, seed=0)[::-1] == side).all()
    assert (held_apart(ids, share=0.4, seed=0) >= side).all(), "a larger share only adds people"
    assert (held_apart(ids, share=0.25, seed=1) != side).any()
    assert held_apart([], share=0.25, seed=0).tolist() == []


def test_equal_data_have_equal_hashes_and_any_change_shows(campaign, dataset):
    again = affinity_dataset(campaign, CONFIG, now=NOW)
    assert (again.train.hash, again.test.hash) == (dataset.train.hash, dataset.test.hash)
    ids, times, y = np.array(["a", "b"]), np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[us]"), np.zeros((2, 1))
    hashes = {
        hash_rows(ids, times, y),
        hash_rows(ids[::-1], times, y),
        hash_rows(ids, times[::-1], y),
        hash_rows(ids, times, y + 1),
        hash_rows(ids, times, y.astype(np.float32)),
    }
    assert len(hashes) == 5


def test_rows_beyond_the_limit_are_drawn_with_the_seed_and_counted(campaign, dataset):
    limited = affinity_dataset(campaign, CONFIG.model_copy(update={"max_rows": 100}), now=NOW)
    assert len(limited.train) == 100
    assert limited.sampled == len(dataset.train) + len(dataset.test) - len(limited.train) - len(limited.test)
    assert len(set(limited.train.block)) == 4


def test_without_interactions_it_says_what_to_do(tmp_path, by_hand):
    with pytest.raises(SnapshotError, match="audience import interactions"):
        affinity_dataset(by_hand.open_empty(tmp_path), CONFIG, now=NOW)


def test_labels_do_not_reach_beyond_what_the_history_can_know(campaign):
    from features.history import History

    imported = History(campaign.tables, campaign.vocabulary).imported_at("interactions")
    beyond = max(imported, NOW) + timedelta(days=CONFIG.settle_days + 1)
    with pytest.raises(SnapshotError, match=r"last imported on .* count as silence. Hint: import what is newer, or give --now 20") as told:
        affinity_dataset(campaign, CONFIG, now=beyond + timedelta(days=1))
    hinted = datetime.fromisoformat(str(told.value).rsplit(" ", 1)[1]).replace(tzinfo=UTC)
    found = affinity_dataset(campaign, CONFIG, now=hinted, only_latest=True)
    assert found.test.as_ofs.max() + np.timedelta64(31, "D") <= np.datetime64(max(imported, NOW).replace(tzinfo=None), "us")


def test_a_lull_before_an_import_is_known_and_one_after_it_is_not(tmp_path, by_hand, monkeypatch):
    from features.history import History

    workspace = by_hand.open_empty(tmp_path)
    people = [f"a:{number}" for number in range(40)]
    times = snapshot_times(NOW - timedelta(days=400), NOW, CONFIG)
    for number, time in enumerate(times):
        by_hand.interactions(workspace, people[number::6], time + timedelta(days=5), prefix=f"h{number}")
    by_hand.interactions(workspace, people, NOW - timedelta(days=400), prefix="old")
    end = times[-1] + timedelta(days=31)
    monkeypatch.setattr(History, "imported_at", lambda *_: end)
    assert (affinity_dataset(workspace, CONFIG, now=NOW).test.y[:, 0] == 0).any(), "the import says that nothing more happened"
    monkeypatch.setattr(History, "imported_at", lambda *_: end - timedelta(microseconds=1))
    with pytest.raises(SnapshotError, match=f"window ends on {end:%Y-%m-%d}"):
        affinity_dataset(workspace, CONFIG, now=NOW)
    by_hand.interactions(workspace, ["a:0"], NOW - timedelta(days=300), received_at=end, prefix="late")
    assert len(affinity_dataset(workspace, CONFIG, now=NOW).test), "what is received by then is known, whatever the clock said at the import"


def write_labels(path, people, times, **columns):
    rows = [(person, time, topic) for person in people for time in times for topic in ("housing", "care")]
    frame = pd.DataFrame(rows, columns=["person_id", "as_of", "topic"])
    frame["label"] = (np.arange(len(frame)) % 3 == 0).astype(float)
    for name, make in columns.items():
        frame[name] = [make(person, time) for person, time, _ in rows]
    frame.to_parquet(path)
    return path


def test_own_labels_with_their_own_split(campaign, tmp_path):
    people = [f"van:{number:04d}" for number in range(40)]
    times = [pd.Timestamp("2026-08-01", tz="UTC"), pd.Timestamp("2026-09-01", tz="UTC")]
    path = write_labels(tmp_path / "labels.parquet", people, times, split=lambda person, _: "test" if person < "van:0010" else "train")
    found = affinity_dataset(campaign, CONFIG, now=NOW, labels=path)
    assert found.source == "labels"
    assert found.topics == ("housing", "care")
    assert (len(found.train), len(found.test)) == (60, 20)
    assert set(found.train.block) == {0, 1}
    assert set(found.test.person_ids) == set(people[:10])


def test_own_labels_without_a_split_are_split_over_time_and_people(campaign, tmp_path):
    people = [f"van:{number:04d}" for number in range(100)]
    times = [pd.Timestamp(day, tz="UTC") for day in ("2026-06-01", "2026-07-15", "2026-09-01")]
    found = affinity_dataset(campaign, CONFIG, now=NOW, labels=write_labels(tmp_path / "labels.parquet", people, times))
    assert set(found.test.as_ofs) == {np.datetime64("2026-09-01")}
    assert set(found.train.as_ofs) == {np.datetime64("2026-06-01"), np.datetime64("2026-07-15")}
    assert not set(found.train.person_ids) & set(found.test.person_ids)
    spread = [pd.Timestamp("2026-03-01", tz="UTC") + timedelta(days=3 * number) for number in range(50)]
    found = affinity_dataset(campaign, CONFIG, now=NOW, labels=write_labels(tmp_path / "many.parquet", people, spread))
    assert (found.train.as_ofs + np.timedelta64(31, "D")).max() <= found.test.as_ofs.min()
    assert len(set(found.train.block)) == CONFIG.snapshots - 1 or len(set(found.train.block)) <= CONFIG.snapshots
    assert (np.diff(found.train.block[np.argsort(found.train.as_ofs, kind="stable")]) >= 0).all()


def test_own_labels_look_as_far_ahead_as_the_configuration_says(campaign, tmp_path):
    people = [f"van:{number:04d}" for number in range(20)]
    path = write_labels(
        tmp_path / "labels.parquet", people, [pd.Timestamp("2026-10-10", tz="UTC")], split=lambda person, _: "test" if person < "van:0005" else "train"
    )
    with pytest.raises(LabelsError, match="40 labels have an as_of less than 31 days"):
        affinity_dataset(campaign, CONFIG, now=NOW, labels=path)
    nearer = CONFIG.model_copy(update={"horizon_days": 7, "gap_days": 0})
    assert len(affinity_dataset(campaign, nearer, now=NOW, labels=path).test) == 5


def test_the_dataset_says_which_topics_have_a_parent(tmp_path, by_hand):
    root = by_hand.open_empty(tmp_path).root
    words = (root / "audience.toml").read_text().replace("[topics.care]\n", '[topics.care]\nparent = "housing"\n')
    (root / "audience.toml").write_text(words)
    workspace = Workspace.open(root)
    by_hand.interactions(workspace, [f"a:{number}" for number in range(20)], NOW - timedelta(days=200), topic="care")
    assert affinity_dataset(workspace, CONFIG, now=NOW).parents == {"care": "housing"}


def test_for_online_targeting_nothing_is_learned_of_nor_from_a_special_topic(campaign, by_hand, tmp_path):
    root = shutil.copytree(campaign.root, tmp_path / "workspace", ignore=shutil.ignore_patterns("audience.db*", "database.id"))
    words = (root / "audience.toml").read_text().replace("[topics.care]\n", '[topics.care]\nsensitivity = "special"\n')
    (root / "audience.toml").write_text(words.replace('channel_class = "offline"', 'channel_class = "online_targeted"'))
    workspace = Workspace.open(root)
    source = {
        "source_id": "s",
        "type": "platform",
        "collected_how": "observed",
        "collected_at": NOW,
        "political_purpose_stated": True,
        "supports_sponsor": False,
    }
    by_hand.store(workspace, "sources", **{name: [value] for name, value in source.items()})
    people, time = [f"van:{number:04d}" for number in range(100)], pd.Timestamp("2026-08-01", tz="UTC")
    path = write_labels(tmp_path / "labels.parquet", people, [time], split=lambda person, _: "test" if person < "van:0050" else "train")
    for found in (affinity_dataset(workspace, CONFIG.model_copy(update={"snapshots": 2}), now=NOW, labels=labels) for labels in (None, path)):
        assert found.own
        care = found.topics.index("care")
        for side in (found.train, found.test):
            counts = {topic: side.X[f"count|kind=any-engagement|channel=any|topic={topic}|window=all"].to_numpy() for topic in ("housing", "care")}
            assert (counts["housing"].any(), counts["care"].any()) == (True, False)
            assert np.isnan(side.y[:, care]).all()
            assert np.isfinite(np.delete(side.y, care, axis=1)).all()


def test_where_no_interaction_may_be_learned_from_online_it_says_so(tmp_path, by_hand):
    root = by_hand.open_empty(tmp_path).root
    words = (root / "audience.toml").read_text()
    (root / "audience.toml").write_text(words.replace('channel_class = "offline"', 'channel_class = "online_targeted"'))
    workspace = Workspace.open(root)
    by_hand.interactions(workspace, [f"a:{number}" for number in range(20)], NOW - timedelta(days=200), topic="climate")
    with pytest.raises(SnapshotError, match="import `sources`"):
        affinity_dataset(workspace, CONFIG, now=NOW)


def test_labels_that_leave_one_side_empty_say_so(campaign, tmp_path):
    path = write_labels(tmp_path / "labels.parquet", ["van:0001", "van:0002"], [pd.Timestamp("2026-08-01", tz="UTC")])
    with pytest.raises(SnapshotError, match="both are needed"):
        affinity_dataset(campaign, CONFIG, now=NOW, labels=path)
