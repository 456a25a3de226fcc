from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from training.own_labels import LabelsError, read_labels

NOW = datetime(2026, 11, 1, tzinfo=UTC)
REACH = timedelta(days=31)


def frame(**changed):
    columns = {
        "person_id": ["van:1", "van:1", "van:2"],
        "as_of": pd.to_datetime(["2026-01-01", "2026-01-01", "2025-12-01"], utc=True),
        "topic": ["care", "housing", "housing"],
        "label": [1.0, 0.0, 1.0],
    }
    return pd.DataFrame(columns | changed)


def read(table, campaign, tmp_path, name="labels.parquet"):
    path = tmp_path / name
    table.to_csv(path, index=False) if name.endswith(".csv") else table.to_parquet(path)
    return read_labels(path, campaign.vocabulary, now=NOW, reach=REACH)


@pytest.mark.parametrize("name", ["labels.parquet", "labels.csv"])
def test_rows_are_sorted_by_time_and_topics_come_in_the_vocabulary_s_order(campaign, tmp_path, name):
    rows, y, topics = read(frame(), campaign, tmp_path, name)
    assert rows["person_id"].tolist() == ["van:2", "van:1"]
    assert topics == ("housing", "care")
    assert np.array_equal(y, [[1.0, np.nan], [0.0, 1.0]], equal_nan=True)
    assert rows["split"].isna().all()


def test_an_empty_label_is_unknown(campaign, tmp_path):
    _, y, _ = read(frame(label=["1", "", "0"]), campaign, tmp_path, "labels.csv")
    assert np.array_equal(y, [[0.0, np.nan], [np.nan, 1.0]], equal_nan=True)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"topic": ["care", "houssing", "housing"]}, "houssing.*Did you mean 'housing'"),
        ({"topic": ["van:1", "van:2", "housing"]}, "not in audience.toml: 2 others$"),
        ({"van:1": [1, 1, 1]}, "unknown columns: 1 others;"),
        ({"label": [1.0, 0.5, 1.0]}, "0, 1 or empty"),
        ({"label": ["yes", "no", "1"]}, "0, 1 or empty"),
        ({"person_id": ["van:1", None, "van:2"]}, "1 labels have no person_id"),
        ({"as_of": ["2026-01-01 10:00", "2026-01-01", "2025-12-01"]}, "times with a zone"),
        ({"as_of": pd.to_datetime(["2026-01-01", "2026-12-01", "2025-12-01"], utc=True)}, "1 labels have an as_of at 2026-11-01.*future"),
        ({"topic": ["care", "care", "housing"]}, "1 labels repeat"),
        ({"split": ["train", "test", "train"]}, "several values of `split`"),
        ({"split": ["train", "train", "dev"]}, "train or test"),
        ({"split": ["train", "train", None]}, "every row"),
        ({"block": [1.0, 1.0, None]}, "`block` stands on every row"),
        ({"weight": [1, 1, 1]}, "unknown columns: weight.*allowed besides: split, block"),
    ],
)
def test_faults_are_named_without_people(campaign, tmp_path, changed, words):
    with pytest.raises(LabelsError, match=words) as caught:
        read(frame(**changed), campaign, tmp_path)
    assert "van:" not in str(caught.value)


def test_a_label_whose_window_has_not_ended_is_refused(campaign, tmp_path):
    whole = ["2026-09-30T23:59:59Z", "2026-10-01T00:00:00Z", "2025-12-01T00:00:00Z"]
    assert len(read(frame(as_of=pd.to_datetime(whole, utc=True)), campaign, tmp_path)[0]) == 3, "windows that end now are known"
    begun = ["2026-10-01T00:00:01Z", "2026-10-31T00:00:00Z", "2025-12-01T00:00:00Z"]
    with pytest.raises(
        LabelsError, match=r"2 labels have an as_of less than 31 days \(gap_days \+ horizon_days\) before 2026-11-01.*not ended.*training\.affinity"
    ) as caught:
        read(frame(as_of=pd.to_datetime(begun, utc=True)), campaign, tmp_path)
    assert "van:" not in str(caught.value)


def test_a_person_on_both_sides_is_refused(campaign, tmp_path):
    both = frame(person_id=["van:1"] * 3, split=["train", "train", "test"])
    with pytest.raises(LabelsError, match="1 people stand on both sides"):
        read(both, campaign, tmp_path)


def test_files_that_are_not_labels(campaign, tmp_path):
    with pytest.raises(LabelsError, match="does not exist"):
        read_labels(tmp_path / "none.csv", campaign.vocabulary, now=NOW, reach=REACH)
    (tmp_path / "labels.txt").write_text("x")
    with pytest.raises(LabelsError, match=r"parquet or \.csv"):
        read_labels(tmp_path / "labels.txt", campaign.vocabulary, now=NOW, reach=REACH)
    (tmp_path / "broken.parquet").write_text("x")
    with pytest.raises(LabelsError, match="cannot be read"):
        read_labels(tmp_path / "broken.parquet", campaign.vocabulary, now=NOW, reach=REACH)
    with pytest.raises(LabelsError, match="missing columns: as_of, label"):
        read(frame()[["person_id", "topic"]], campaign, tmp_path)
    with pytest.raises(LabelsError, match="no label"):
        read(frame().iloc[:0], campaign, tmp_path)
