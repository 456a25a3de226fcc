"""Every cell feeds the columns it should, through disjoint buckets that add up to the windows."""

import numpy as np
import pytest

from features.catalogue import Feature, catalogue
from features.layout import DAY, layout
from features.vocabulary import Channel, Kind, Topic, Vocabulary

WORDS = Vocabulary(
    kinds=(
        Kind(id="sign", direction="in", engagement=True, unit="EUR", en="sign"),
        Kind(id="leave", direction="in", en="leave"),
        Kind(id="sent", direction="out", en="sent"),
    ),
    channels=(Channel(id="email", en="email"), Channel(id="door", en="door")),
    topics=(Topic(id="housing", en="Housing"), Topic(id="climate", en="Climate")),
    windows_days=(7, 90),
)
FEATURES = catalogue(WORDS)


def cell(plan, kind, channel, topic, bucket, *, out=0, machine=0):
    _, channels, topics = plan.shape
    return ((((kind * channels + channel) * topics + topic) * 2 + out) * 2 + machine) * plan.reduction.n_buckets + bucket


def fed(plan, links, source):
    return {plan.features[target].name for target in links.targets[links.starts[source] : links.starts[source + 1]]}


def test_bounds_and_sizes():
    plan = layout(FEATURES, WORDS)
    assert plan.bounds == (7 * DAY, 90 * DAY)
    assert plan.reduction.n_buckets == 3
    assert plan.shape == (4, 3, 3)
    assert len(plan.reduction.counts.starts) == 4 * 3 * 3 * 2 * 2 * 3 + 1


def test_an_answer_feeds_its_kind_its_topic_and_all_answers_in_its_shortest_window():
    plan = layout(FEATURES, WORDS)
    assert fed(plan, plan.reduction.counts, cell(plan, 0, 1, 0, 1)) == {
        "count|kind=any-engagement|channel=any|topic=any|window=90d",
        "count|kind=any-engagement|channel=any|topic=any-topic|window=90d",
        "count|kind=sign|channel=any|topic=any|window=90d",
        "count|kind=any-in|channel=door|topic=any|window=90d",
        "count|kind=any-engagement|channel=any|topic=housing|window=90d",
        "count|kind=sign|channel=any|topic=housing|window=90d",
    }


def test_what_the_vocabulary_does_not_list_counts_for_any_only():
    plan = layout(FEATURES, WORDS)
    assert fed(plan, plan.reduction.counts, cell(plan, 3, 0, 2, 0)) == {"count|kind=any-in|channel=email|topic=any|window=7d"}
    assert fed(plan, plan.reduction.counts, cell(plan, 0, 2, 2, 2)) == {
        "count|kind=any-engagement|channel=any|topic=any|window=all",
        "count|kind=sign|channel=any|topic=any|window=all",
    }


def test_a_machine_feeds_machine_counts_only():
    plan = layout(FEATURES, WORDS)
    source = cell(plan, 0, 0, 0, 0, machine=1)
    assert fed(plan, plan.reduction.counts, source) == {"machine|kind=any|channel=any|topic=any|window=7d"}
    for links in (plan.reduction.recencies, plan.reduction.decays):
        assert fed(plan, links, source // 3) == set()
    assert fed(plan, plan.reduction.sums, source) == set()


def test_windows_roll_up_in_order():
    plan = layout(FEATURES, WORDS)
    names = [feature.name for feature in FEATURES]
    pairs = [(names[a].rpartition("|")[0], names[a].rpartition("=")[2], names[b].rpartition("=")[2]) for a, b in plan.reduction.rolling_counts]
    of_sign = [pair[1:] for pair in pairs if pair[0] == "count|kind=sign|channel=any|topic=any"]
    assert of_sign == [("7d", "90d"), ("90d", "all")]


def test_a_window_without_all_time_drops_what_is_older():
    plan = layout([Feature("count", "any", "any", "any", "7d"), Feature("count", "sign", "any", "any", "90d")], WORDS)
    assert fed(plan, plan.reduction.counts, cell(plan, 0, 0, 0, 1)) == {"count|kind=sign|channel=any|topic=any|window=90d"}
    assert fed(plan, plan.reduction.counts, cell(plan, 0, 0, 0, 2)) == set()


def test_a_share_without_its_counts_is_refused():
    with pytest.raises(ValueError, match="needs the counts"):
        layout([Feature("share", "any-engagement", "any", "housing", "all")], WORDS)


def test_no_features_at_all():
    plan = layout([], WORDS)
    assert plan.reduction.n_buckets == 1
    assert plan.reduction.rolling_counts.shape == (0, 2)
    assert plan.reduction.half_lives.dtype == np.float64
