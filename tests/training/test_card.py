from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from models.metrics import Estimate
from training.card import affinity_card
from training.config import AffinityConfig
from training.gates import Findings
from training.snapshots import AffinityDataset, Side

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
CONFIG = AffinityConfig(horizon_days=30, gap_days=1)
LATER, SAME, OVERLAPPING = "The test is of a later time", "of the same season", "The test is not of a later time"


def side(days, first, blocks=None):
    times = np.array(days, dtype="datetime64[us]")
    people = np.array([f"van:{first + number}" for number in range(len(days))])
    y = np.zeros((len(days), 1))
    block = np.arange(len(days)) if blocks is None else np.array(blocks)
    return Side(pd.DataFrame({"age": np.arange(len(days), dtype=np.float32)}), y, people, times, block, y > 0)


def card(train, test, *, blocks=None, source="engagement", **said):
    dataset = AffinityDataset(side(train, 0, blocks), side(test, 100), ("care",), source, "d" * 64, "v" * 64, {"interactions": 3}, 0)
    metrics = {name: Estimate.normal(name, 0.25, 0.01, 0.95) for name in ("log_loss", "pr_auc", "prior.pr_auc")}
    segment = {"segment": "under 35", "people": 40, "rate": 0.1} | {
        f"{name}{end}": value for name in ("auc", "pr_auc", "log_loss", "gain", "ece") for end, value in (("", 0.5), ("_low", 0.4), ("_high", 0.625))
    }
    segment |= {"pr_auc": 0.3125}
    findings = Findings("affinity", metrics, {"coverage": 0.95}, {"people": len(test), "topics": ["care"], "segments": [segment]})
    return affinity_card("small", dataset, CONFIG, findings, (), now=NOW, coverage=0.9, **said)


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        (["2026-01-01", "2026-02-01"], ["2026-03-04"], LATER),
        (["2026-01-01", "2026-02-01"], ["2026-03-03"], OVERLAPPING),
        (["2026-01-01", "2026-06-01"], ["2026-01-01", "2026-06-01"], OVERLAPPING),
        (["2026-06-01"], ["2026-01-01"], OVERLAPPING),
        (["2026-01-01", "2026-01-01"], ["2026-01-01"], SAME),
    ],
)
def test_what_is_said_of_the_test_s_time_is_what_the_rows_say(train, test, words):
    text = card(train, test)
    assert [each in text for each in (LATER, SAME, OVERLAPPING)] == [each == words for each in (LATER, SAME, OVERLAPPING)]
    assert "has not seen the test's people" in text
    assert words == LATER or "for people it has not seen, not how it" in text
    assert "not seen the test's time" not in text


def test_a_recalibrated_model_says_whose_trees_it_has_and_what_its_rows_did():
    text = card(["2026-01-01"] * 3, ["2026-01-01"], recalibrated_from="abc123")
    assert "The trees are those of an earlier model (`abc123`). 3 rows (person, as_of) of 3 people calibrate them" in text
    assert "to train on" not in text.partition("## How good it is")[0].partition("A message about the topic")[0]
    assert "latest block" not in text
    assert SAME in text


def test_what_calibrates_is_a_block_where_there_are_several():
    assert "the latest block calibrates" in card(["2026-01-01", "2026-02-01"], ["2026-04-01"])
    alone = card(["2026-01-01", "2026-02-01"], ["2026-04-01"], blocks=[0, 0])
    assert "a share of these people calibrates" in alone
    assert "latest block" not in alone


def test_how_far_own_labels_look_ahead_is_the_workspace_s_word():
    given = card(["2026-01-01"], ["2026-04-01"], source="labels")
    assert "no further ahead than 31 days from the vector's time is the workspace's word" in given
    assert "word" not in card(["2026-01-01"], ["2026-04-01"])


def test_average_precision_stands_in_both_tables():
    text = card(["2026-01-01"], ["2026-04-01"])
    (line,) = [line for line in text.splitlines() if line.startswith("| average precision")]
    assert line.count("0.2500 [") == 2, "the model's and the prior rule's"
    (head,) = [line for line in text.splitlines() if line.startswith("| people | how many")]
    (row,) = [line for line in text.splitlines() if line.startswith("| under 35")]
    assert row.split(" | ")[head.split(" | ").index("average precision")].startswith("0.3125")


def test_which_attributes_of_special_sensitivity_it_reads_is_said_or_that_it_reads_none():
    assert "It reads no attribute of special sensitivity." in card(["2026-01-01"], ["2026-04-01"])
    read = card(["2026-01-01"], ["2026-04-01"], special=("faith", "union"))
    assert "Of special sensitivity it reads `faith`, `union`: so it scores nobody for online targeting (rule L4)" in read
