"""Every cell feeds the columns it should, through disjoint buckets that add up to the windows."""

from itertools import product

import numpy as np
import pytest

from features.catalogue import Feature, catalogue
from features.definition import ENGAGEMENT
from features.layout import DAY, DECAY_RESOLUTION, NONE, Keys, layout, share_parts, weights
from features.vocabulary import Channel, Kind, Topic, Vocabulary

WORDS = Vocabulary(
    kinds=(
        Kind(id="sign", direction="in", engagement=True, unit="EUR", en="sign"),
        Kind(id="leave", direction="in", en="leave"),
        Kind(id="tell", direction="in", declares=True, en="tell"),
        Kind(id="sent", direction="out", en="sent"),
    ),
    channels=(Channel(id="email", en="email"), Channel(id="door", en="door")),
    topics=(Topic(id="housing", en="Housing"), Topic(id="climate", en="Climate")),
    windows_days=(7, 90),
)
FEATURES = catalogue(WORDS)
PLAN = layout(FEATURES, WORDS)
KEYS = Keys(WORDS)
KIND_IDS, CHANNEL_IDS, TOPIC_IDS = ("sign", "leave", "tell", "sent", None), ("email", "door", None), ("housing", "climate", None)
COMBINATIONS = list(product(KIND_IDS, CHANNEL_IDS, TOPIC_IDS, (0, 1), ("in", "out"), (False, True)))
"""Of every key, in the order of keys: kind, channel, topic, place of the topic, direction, machine; None for what is not listed."""


def fits(feature, combination):
    """Say by hand whether a feature is about an interaction."""
    kind, channel, topic, again, direction, machine = combination
    kinds = {"any": True, "any-engagement": kind == "sign", "any-declared": kind == "tell", "any-in": direction == "in", "any-out": direction == "out"}
    if feature.topic in {"any", "any-topic"} and (again or (feature.topic == "any-topic" and topic is None)):
        return False
    about = feature.topic in {"any", "any-topic"} or feature.topic == topic
    return kinds.get(feature.kind, feature.kind == kind) and feature.channel in {"any", channel} and about and machine == (feature.statistic == "machine")


def fed(links, source):
    return links.targets[links.starts[source] : links.starts[source + 1]].tolist()


def reached(links, rolling, source):
    """Follow a cell to its columns, and on through the windows that hold shorter ones."""
    found = fed(links, source)
    for shorter, longer in rolling.tolist():
        found += [longer] * found.count(shorter)
    return sorted(found)


def test_bounds_and_sizes():
    assert PLAN.bounds == (7 * DAY, 90 * DAY)
    assert PLAN.reduction.n_buckets == 3
    assert PLAN.shape == (5, 3, 3)
    assert len(COMBINATIONS) == KEYS.size
    assert len(PLAN.reduction.counts.starts) == KEYS.size * 3 + 1


def test_a_cell_reaches_each_window_that_holds_it_once():
    ends = {"7d": 0, "90d": 1, "all": 2}
    windowed = {column: FEATURES[column] for column in PLAN.columns("count", "machine")}
    for (key, combination), bucket in product(enumerate(COMBINATIONS), range(3)):
        expected = [column for column, feature in windowed.items() if ends[feature.window] >= bucket and fits(feature, combination)]
        assert reached(PLAN.reduction.counts, PLAN.reduction.rolling_counts, key * 3 + bucket) == expected, (combination, bucket)


def test_a_cell_feeds_its_sums():
    sums = PLAN.columns("sum")
    decayed = len(PLAN.columns("decayed"))
    assert PLAN.reduction.accumulated[decayed:].tolist() == sums
    for key, combination in enumerate(COMBINATIONS):
        expected = [decayed + number for number, column in enumerate(sums) if fits(FEATURES[column], combination)]
        assert reached(PLAN.reduction.sums, PLAN.reduction.rolling_sums, key * 3) == expected


@pytest.mark.parametrize(("name", "statistic"), [("recencies", "recency"), ("firsts", "first"), ("largest", "largest")])
def test_a_key_feeds_the_columns_about_it(name, statistic):
    for key, combination in enumerate(COMBINATIONS):
        expected = [column for column in PLAN.columns(statistic) if fits(FEATURES[column], combination)]
        assert fed(getattr(PLAN.reduction, name), key) == expected


def test_messages_and_answers_lead_to_the_same_places():
    columns = PLAN.reduction.unanswered.tolist()
    assert columns == PLAN.columns("unanswered")
    for key, combination in enumerate(COMBINATIONS):
        about = [FEATURES[column] for column in columns]
        assert fed(PLAN.reduction.messages, key) == [place for place, feature in enumerate(about) if fits(feature, combination)]
        answers = [Feature("unanswered", ENGAGEMENT, feature.channel, feature.topic) for feature in about]
        assert fed(PLAN.reduction.answers, key) == [place for place, feature in enumerate(answers) if fits(feature, combination)]


def test_declarations_lead_to_value_and_age():
    pairs = [(FEATURES[value].name, FEATURES[age].name) for value, age in PLAN.reduction.declarations]
    assert pairs == [(f"declared|kind=any-declared|channel=any|topic={t}", f"declared_age|kind=any-declared|channel=any|topic={t}") for t in WORDS.topic_ids]
    alone = layout([feature for feature in FEATURES if feature.statistic != "declared_age"], WORDS)
    assert alone.reduction.declarations[:, 1].tolist() == [NONE, NONE]


def test_answers_sequences_and_sources_are_of_people_and_of_main_topics():
    for key, (kind, _, topic, again, _, machine) in enumerate(COMBINATIONS):
        main = not again and not machine
        assert PLAN.reduction.answered[key] == (main and kind == "sign")
        assert PLAN.reduction.sourced[key] == main
        assert PLAN.reduction.sequence[key] == (TOPIC_IDS.index(topic) + 1 if main and kind == "sign" and topic else 0)


def test_formulas_point_at_the_counts_they_are_made_of():
    names = [feature.name for feature in FEATURES]
    for column, part, whole in PLAN.reduction.shares:
        assert [FEATURES[part], FEATURES[whole]] == list(share_parts(FEATURES[column]))
    for (column, short, long), expected in zip(PLAN.reduction.trends, PLAN.reduction.expected, strict=True):
        assert (FEATURES[column].window, FEATURES[column].over) == (FEATURES[short].window, FEATURES[long].window) == ("7d", "90d")
        assert FEATURES[column].topic == FEATURES[short].topic == FEATURES[long].topic
        assert expected == 7 / 90
    ((habit, overdue, recency, first, count),) = PLAN.reduction.habits
    of_answers = "kind=any-engagement|channel=any|topic=any"
    assert [names[place] for place in (habit, overdue, recency, first)] == [f"{one}|{of_answers}" for one in ("habit", "overdue", "recency", "first")]
    assert names[count] == f"count|{of_answers}|window=all"


def test_a_share_of_a_channel_is_of_all_channels_and_one_of_a_topic_of_all_topics():
    assert [one.name for one in share_parts(Feature("share", ENGAGEMENT, "door", "any", "all"))] == [
        "count|kind=any-engagement|channel=door|topic=any|window=all",
        "count|kind=any-engagement|channel=any|topic=any|window=all",
    ]
    assert share_parts(Feature("share", ENGAGEMENT, "any", "housing", "90d"))[1].topic == "any-topic"


def test_the_template_is_missing_until_something_is_found():
    missing = {feature.statistic for feature, value in zip(FEATURES, PLAN.reduction.template, strict=True) if np.isnan(value)}
    assert missing == {"recency", "first", "largest", "declared", "declared_age", "age", "tenure"}


def test_weights_halve_and_end_in_nothing():
    table = weights((1, 30))
    assert table[:, 0].tolist() == [2**40, 2**40]
    assert table[0, :4].tolist() == [2**40, 2**39, 2**38, 2**37]
    assert table[1, 30] == 2**39
    assert (table[:, -1] == 0).all()
    assert (np.diff(table) <= 0).all()
    np.testing.assert_allclose(table[1] * DECAY_RESOLUTION, 2.0 ** (-np.arange(table.shape[1]) / 30), atol=DECAY_RESOLUTION)
    assert weights(()).shape == (0, 1)


def test_a_window_without_all_time_drops_what_is_older():
    plan = layout([Feature("count", "any", "any", "any", "7d"), Feature("count", "sign", "any", "any", "90d")], WORDS)
    assert [reached(plan.reduction.counts, plan.reduction.rolling_counts, bucket) for bucket in range(3)] == [[0, 1], [1], []]


@pytest.mark.parametrize(
    "feature",
    [
        Feature("share", ENGAGEMENT, "any", "housing", "all"),
        Feature("entropy", ENGAGEMENT, "any", "any-topic", "all"),
        Feature("trend", ENGAGEMENT, "any", "any", "7d", "90d"),
        Feature("habit", ENGAGEMENT, "any", "any"),
    ],
)
def test_a_formula_without_its_counts_is_refused(feature):
    with pytest.raises(ValueError, match=r"in the same catalogue; missing: (count|recency)"):
        layout([feature], WORDS)


def test_no_features_at_all():
    plan = layout([], WORDS)
    assert plan.reduction.n_buckets == 1
    assert plan.reduction.rolling_counts.shape == (0, 2)
    assert plan.reduction.weights.shape == (0, 1)
    assert plan.reduction.switches == NONE


def test_a_layout_is_made_once_and_not_taken_for_another_vocabulary_s():
    made = layout(FEATURES, WORDS)
    assert layout(list(FEATURES), WORDS) is made
    assert layout(FEATURES, WORDS.model_copy(update={"timezone": "Europe/Brussels"})) is not made
