"""A value's lineage is the person's own interactions that make it, all of them and no more; they alone give the value back to the bit."""

import json
import math
import random
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import builder
from features.catalogue import catalogue
from features.context import Context, Prior
from features.definition import FIELDS, Feature, FeatureError
from features.engine import Engine
from features.evidence import inputs
from features.lineage import lineage, lineages
from features.vectors import VectorsError, build, build_rows
from tests.features.histories import LAWS, NOW, SOURCES, WORDS, Tables, interaction, person, random_rules
from tests.features.slow_model import SlowModel

FEATURES = catalogue(WORDS)
BY_STATISTIC = {statistic: [feature for feature in FEATURES if feature.statistic == statistic] for statistic in FIELDS}
PEOPLE = [f"p:{number}" for number in range(8)]
ANSWERED = "unanswered|kind=any-out|channel=any|topic=any"
COUNT = "count|kind=any-engagement|channel=any|topic=any|window=all"
RATE = "rate|kind=any-out|channel=any|topic=any|window=all"
SUPPLY = "supply|kind=any-out|channel=any|topic=housing|window=30d"


def some_history(seed, interactions=120):
    """Eight people who did much, one or more of whom `people` does not know."""
    draw = random.Random(seed)
    return [interaction(draw, number, draw.choice(PEOPLE)) for number in range(interactions)], [person(draw, number) for number in (0, 1, 2, 3, 4, 5, 9)]


def some_context(seed):
    """Any base: what it says need not have to do with the history."""
    draw = random.Random(seed)
    rates = {feature.name: Prior(draw.random(), draw.uniform(0.5, 50)) for feature in BY_STATISTIC["rate"] + BY_STATISTIC["area"]}
    areas = {feature.name: {"north": (90.0, 300.0 + draw.randrange(100))} for feature in BY_STATISTIC["area"]}
    return Context(NOW, 12, rates, {feature.name: draw.random() for feature in BY_STATISTIC["supply"]}, areas)


def histories(interactions, people, folder, sources=SOURCES):
    made = Path(folder)
    made.mkdir(exist_ok=True)
    return Tables(made, interactions, people, sources)


UNSAID = {"status": "member", "source_id": "s9"}
"""What the table `people` has of everybody, and no value is made of."""


def again(folder, found, known, context):
    """The value of each lineage for a history of its interactions and the person's entry in `people` (if any) alone, on the same base."""
    ids = [f"again:{number:04}" for number in range(len(found))]
    rows = [{**row, "person_id": who, "collected_how": "observed"} for who, one in zip(ids, found, strict=True) for row in one.interactions.to_pylist()]
    tables = histories(rows, [{**UNSAID, **entry, "person_id": who} for who, entry in zip(ids, known, strict=True) if entry], folder)
    asked = pd.DataFrame({"person_id": ids, "as_of": pd.to_datetime([one.as_of for one in found], utc=True)})
    made = build_rows(tables, WORDS, asked, context=context)
    return [made.matrix[row, made.names.index(one.feature.name)] for row, one in enumerate(found)]


def same(one, other):
    return np.float32(one).tobytes() == np.float32(other).tobytes() or (math.isnan(one) and math.isnan(other))


# --- the oracle: which interactions, in plain words -------------------------------------------------------------------------------


def expected(model, who, feature):
    """The ids of the interactions that a value is made of."""
    return {row["interaction_id"] for row in _EXPECTED.get(feature.statistic, _counted)(model, who, feature)}


def _about(feature):
    return feature.kind, feature.channel, feature.topic


def _counted(model, who, feature):
    return model.rows(who, *_about(feature), feature.window or "all", machine=feature.statistic == "machine")


def _at(rows, time):
    return [row for row in rows if row["occurred_at"] == time]


def _latest(model, who, feature):
    rows = _counted(model, who, feature)
    return _at(rows, max((row["occurred_at"] for row in rows), default=None))


def _earliest(model, who, feature):
    rows = _counted(model, who, feature)
    return _at(rows, min((row["occurred_at"] for row in rows), default=None))


def _valued(model, who, feature):
    return [row for row in _counted(model, who, feature) if row["value"] is not None]


def _largest(model, who, feature):
    rows = _valued(model, who, feature)
    return [row for row in rows if row["value"] == max(row["value"] for row in rows)]


def _stated(model, who, feature):
    rows = _latest(model, who, feature)
    said = {row["interaction_id"]: 1.0 if row["value"] is None else row["value"] for row in rows}
    return [row for row in rows if said[row["interaction_id"]] == max(said.values())]


def _share(model, who, feature):
    whole = ("any", "any") if feature.topic == "any" else (feature.channel, "any-topic")
    return [*_counted(model, who, feature), *model.rows(who, feature.kind, *whole, feature.window)]


def _trend(model, who, feature):
    return [row for window in (feature.window, feature.over) for row in model.rows(who, *_about(feature), window)]


def _rate(model, who, feature):
    if feature.kind == "any-out":
        answers = model.rows(who, "any-engagement", feature.channel, feature.topic, feature.window)
    else:
        answers = [row for kind in WORDS.answers_to(feature.kind) for row in model.rows(who, kind, "any", "any", feature.window)]
    return [*answers, *_counted(model, who, feature)]


def _unanswered(model, who, feature):
    answers = model.rows(who, "any-engagement", feature.channel, feature.topic)
    last = max((row["occurred_at"] for row in answers), default=None)
    messages = _counted(model, who, feature)
    after = [row for row in messages if last is None or row["occurred_at"] > last]
    return after + (_at(answers, last) if len(after) < len(messages) else [])


def _source(model, who, feature):
    everything = Feature("recency", "any", "any", "any")
    rows = (_earliest if feature.which == "first" else _latest)(model, who, everything)
    types = [item.id for item in WORDS.source_types]
    code = {row["interaction_id"]: types.index(found) if (found := model.types.get(row["source_id"])) in types else len(types) for row in rows}
    return [row for row in rows if code[row["interaction_id"]] == min(code.values())]


def _weighing(model, who, feature):
    half_life = feature.half_life_days
    return [row for row in _counted(model, who, feature) if model.days_since([row])[0] <= 41 * half_life]


def _nothing(*_):
    return []


_EXPECTED = {
    **dict.fromkeys(("attribute", "age", "tenure", "supply"), _nothing),
    **dict.fromkeys(("rate", "area"), _rate),
    **dict.fromkeys(("declared", "declared_age"), _stated),
    "recency": _latest,
    "first": _earliest,
    "sum": _valued,
    "largest": _largest,
    "share": _share,
    "trend": _trend,
    "unanswered": _unanswered,
    "source": _source,
    "decayed": _weighing,
}


# --- the law ------------------------------------------------------------------------------------------------------------------------


def law_of_eight_histories(seed):
    """Check eight people's random histories, each as of a time of its own; return the statistics of the features asked for."""
    draw = random.Random(seed)
    interactions, people = some_history(seed, draw.choice([8, 160, 160]))
    found, models, context = [], [], some_context(seed)
    words, sources = random_rules(seed) if draw.random() < 0.5 else (WORDS, SOURCES)
    own = draw.random() < 0.3
    with tempfile.TemporaryDirectory() as folder, Engine() as engine:
        history = histories(interactions, people, f"{folder}/all", sources)
        for who in PEOPLE:
            as_of = NOW + draw.choice([0, 0, -1, -40]) * timedelta(days=1)
            features = [draw.choice(BY_STATISTIC[statistic]) for statistic in draw.sample(list(FIELDS), 8)]
            found += lineages(history, words, who, features, as_of, context=context, own=own, engine=engine)
            models += [(SlowModel(interactions, people, words, as_of, sources, own=own), who)] * len(features)
        known = [model.known.get(who) for model, who in models]
        values = again(f"{folder}/again", found, known, context)
    for one, value, (model, who) in zip(found, values, models, strict=True):
        check(one, value, model, who)
    return {one.feature.statistic for one in found}


def check(one, value, model, who):
    """Check that a lineage gives its value back, by the very interactions that the oracle names, each word for word as it was stored."""
    stored = {row["interaction_id"]: row for row in model.seen[who]}
    rows = one.interactions.to_pylist()
    assert same(one.value, value), one.feature.name
    ids = sorted(expected(model, who, one.feature), key=lambda known: (stored[known]["occurred_at"], known))
    assert [row["interaction_id"] for row in rows] == ids, one.feature.name
    assert all(row[column] == stored[row["interaction_id"]].get(column) for row in rows for column in row)


def test_the_interactions_returned_are_those_of_the_value_and_give_it_back():
    covered = set()

    @settings(max_examples=max(16, LAWS // 8 + 1))
    @given(st.integers(0, 10**9))
    def law(seed):
        covered.update(law_of_eight_histories(seed))

    law()
    assert covered == set(FIELDS)


@pytest.mark.parametrize("seed", range(3))
def test_the_value_is_that_of_the_vectors(tmp_path, seed):
    history = histories(*some_history(seed), tmp_path)
    vectors = build(history, WORDS, NOW)
    for who in PEOPLE[-3:]:
        row = vectors.rows([who])[0]
        found = lineages(history, WORDS, who, vectors.names, NOW, versions=vectors.table_versions, context=vectors.context)
        assert [one.feature.name for one in found] == list(vectors.names)
        assert all(same(one.value, value) for one, value in zip(found, vectors.matrix[row], strict=True))
        assert all(one.versions == vectors.table_versions for one in found)


def test_without_any_one_of_them_the_value_is_another(tmp_path):
    minimal = [feature for statistic in ("count", "machine", "sum", "unanswered", "recency", "first", "largest") for feature in BY_STATISTIC[statistic]]
    history = histories(*some_history(2, 240), tmp_path / "all")
    without = []
    for one in lineages(history, WORDS, "p:0", minimal, NOW):
        rows = one.interactions.to_pylist()
        if one.feature.statistic in {"recency", "first", "largest"} and len(rows) > 1:
            continue  # a tie: each of them decides
        for number, row in enumerate(rows):
            if one.feature.statistic != "unanswered" or row["direction"] == "out":  # the last answer says where counting begins
                without.append(replace(one, interactions=pa.Table.from_pylist(rows[:number] + rows[number + 1 :], one.interactions.schema)))
    values = again(tmp_path / "again", without, [None] * len(without), some_context(0))
    assert len(values) > 100
    assert not [one for one, value in zip(without, values, strict=True) if same(one.value, value)]


# --- one by one --------------------------------------------------------------------------------------------------------------------


def only(kind, days, **fields):
    row = interaction(random.Random(0), fields.get("interaction_id", f"{kind}{days}"), "p:0")
    time = NOW - timedelta(days=days)
    return {**row, "occurred_at": time, "received_at": time, "kind": kind, "channel": "email", "topic": "housing", "value": None, "is_machine": False, **fields}


def sent(days):
    return only("sent", days, direction="out")


def test_the_last_answer_stands_with_the_messages_after_it(tmp_path):
    history = histories([sent(9), only("opened", 5, direction="in"), only("opened", 4, direction="in"), sent(3), sent(2)], [], tmp_path)
    found = lineage(history, WORDS, "p:0", ANSWERED, NOW)
    assert found.value == 2
    assert [(row["kind"], (NOW - row["occurred_at"]).days) for row in found.interactions.to_pylist()] == [("opened", 4), ("sent", 3), ("sent", 2)]


def test_an_answer_after_which_nothing_was_sent_stands_alone(tmp_path):
    history = histories([sent(9), only("opened", 5, direction="in")], [], tmp_path)
    assert lineage(history, WORDS, "p:0", ANSWERED, NOW).interactions.column("kind").to_pylist() == ["opened"]


def test_an_interaction_with_several_topics_stands_once(tmp_path):
    history = histories([only("opened", 3, direction="in", topic="wages;gone;housing")], [], tmp_path)
    found = lineage(history, WORDS, "p:0", "entropy|kind=any-engagement|channel=any|topic=any-topic|window=all", NOW)
    assert found.value == 1.0
    assert found.interactions.column("topic").to_pylist() == ["wages;gone;housing"]
    assert sorted(found.parts.values()) == [0, 1, 1]


def test_what_comes_from_people_is_said_in_its_words(tmp_path):
    joined = NOW - timedelta(days=300)
    known = {"person_id": "p:0", "birth_year": 1950, "area": "north", "joined_at": joined, "gender": "x y", "status": "member", "source_id": "s0"}
    history = histories([sent(9), only("opened", 5, direction="in")], [known], tmp_path)
    asked = {
        "age|since=birth_year": {"birth_year": 1950},
        "tenure|since=joined_at": {"joined_at": joined},
        "attribute|id=gender|category=x.20y": {"gender": "x y"},
        "attribute|id=size": {"size": None},
        "area|kind=any-out|channel=any|topic=any|window=all": {"area": "north"},
        COUNT: {},
    }
    found = lineages(history, WORDS, "p:0", list(asked), NOW, context=some_context(1))
    assert [one.person for one in found] == list(asked.values())
    assert [len(one.interactions) for one in found] == [0, 0, 0, 0, 2, 1]
    assert lineage(history, WORDS, "p:0", "age|since=birth_year", NOW - timedelta(days=301)).person == {"birth_year": None}


def test_what_others_did_is_shown_as_counts(tmp_path):
    interactions, people = some_history(4)
    history = histories(interactions, people, tmp_path)
    context = build(history, WORDS, NOW).context
    supply, rate, area = lineages(history, WORDS, "p:0", [SUPPLY, RATE, "area|kind=any-out|channel=any|topic=any|window=all"], NOW, context=context)
    model = SlowModel(interactions, people, WORDS, NOW, SOURCES)
    assert supply.figures["messages"] == sum(model.n(who, *_about(supply.feature), "30d") for who in model.base)
    assert len(supply.interactions) == 0
    assert rate.figures == {
        "people": len(model.base),
        "usual answers per message": context.priors[RATE].mean,
        "weighs as messages": context.priors[RATE].strength,
    }
    assert rate.parts == {part.name: model.n("p:0", *_about(part), "all") for part in inputs(rate.feature, WORDS)}
    assert {"answers in the area", "messages in the area"} <= set(area.figures) or area.person == {"area": None}


def test_the_base_is_counted_where_no_context_is_given(tmp_path):
    history = histories(*some_history(5), tmp_path)
    context = build(history, WORDS, NOW).context
    for name in (RATE, SUPPLY):
        assert same(lineage(history, WORDS, "p:1", name, NOW).value, lineage(history, WORDS, "p:1", name, NOW, context=context).value)


def test_nothing_of_anybody_else_is_ever_in_reach(tmp_path):
    asked = []

    class Watched(Engine):
        def table(self, sql):
            there = super().table("SELECT view_name AS name FROM duckdb_views() UNION SELECT table_name FROM duckdb_tables()").column("name").to_pylist()
            for name in {"interactions", "people"} & set(there):
                assert super().table(f"SELECT DISTINCT person_id FROM {name}").column("person_id").to_pylist() in ([], ["p:1"])
            asked.append(sql)
            return super().table(sql)

    with Watched() as engine:
        history = histories(*some_history(6), tmp_path)
        found = [lineage(history, WORDS, "p:1", COUNT, NOW, engine=engine) for _ in range(2)]
    assert found[0].interactions.equals(found[1].interactions)
    assert found[0].value > 0
    assert len(asked) == 10


# --- what is said -------------------------------------------------------------------------------------------------------------------


def test_base_and_person_are_read_of_the_same_versions(tmp_path, monkeypatch):
    """Though an import comes in between."""
    tables = histories(*some_history(3), tmp_path)
    read = builder.base_context

    def meanwhile(*words, **more):
        found = read(*words, **more)
        tables.add([interaction(random.Random(number), f"late:{number}", "p:1") | {"received_at": NOW - timedelta(days=1)} for number in range(40)])
        return found

    monkeypatch.setattr(builder, "base_context", meanwhile)
    found = lineage(tables, WORDS, "p:1", RATE, NOW)
    was = build(tables, WORDS, NOW, versions=found.versions)
    assert np.float32(found.value).tobytes() == was.matrix[was.rows(["p:1"])[0], was.names.index(RATE)].tobytes()


def test_it_is_said_in_words_and_shown_in_notebooks_without_a_name(tmp_path):
    rows = [only("opened", number + 1, direction="in", interaction_id=f"<i{number:02}>") for number in range(25)]
    found = lineage(histories(rows, [], tmp_path), WORDS, "p:0", COUNT, NOW)
    assert repr(found) == f"Lineage({COUNT} = 25, 25 interactions, as of 2026-03-31 12:30 UTC)"
    assert "25" in found.sentence(WORDS, "nl")
    shown = found._repr_html_()
    assert "p:0" not in shown + repr(found)
    assert shown.count("&lt;i") == 20
    assert "and 5 more" in shown


def test_it_goes_out_as_json(tmp_path):
    found = lineage(histories([sent(9), only("opened", 5, direction="in")], [], tmp_path), WORDS, "p:0", ANSWERED, NOW)
    said = json.loads(found.to_json(WORDS, "fr"))
    assert (said["value"], said["as_of"], said["feature"]) == (0, "2026-03-31T12:30:00+00:00", ANSWERED)
    assert said["sentence"] == found.sentence(WORDS, "fr")
    assert [(row["kind"], row["value"], row["occurred_at"]) for row in said["interactions"]] == [("opened", None, "2026-03-26T12:30:00+00:00")]
    assert "p:0" not in found.to_json(WORDS)


def test_a_missing_value_is_shown_as_missing(tmp_path):
    found = lineage(histories([], [], tmp_path), WORDS, "p:0", RATE, NOW, context=some_context(1))
    assert math.isnan(found.value)
    assert ("= missing" in found._repr_html_(), "nan" in found._repr_html_()) == (True, False)
    assert json.loads(found.to_json(WORDS))["value"] is None


def test_a_person_whom_nobody_knows_has_no_interactions(tmp_path):
    found = lineage(histories(*some_history(1), tmp_path), WORDS, "nobody's:'1'\x00", COUNT, NOW)
    assert (found.value, len(found.interactions)) == (0, 0)
    assert found.interactions.schema.field("occurred_at").type.tz == "UTC"


def test_a_feature_that_is_not_made_is_refused_with_a_hint(tmp_path):
    with pytest.raises(FeatureError, match=r"none of the 192 features .* did you mean 'count\|kind=gift\|channel=any\|topic=any\|window=30d'"):
        lineage(histories([], [], tmp_path), WORDS, "p:0", "count|kind=gift|channel=any|topic=any|window=31d", NOW)


@pytest.mark.parametrize("wrong", ["", None, 7, "half of a pair: \ud800"])
def test_what_is_no_person_id_is_refused_and_never_repeated(tmp_path, wrong):
    with pytest.raises(VectorsError, match="person_id is text") as refused:
        lineage(histories([], [], tmp_path), WORDS, wrong, COUNT, NOW)
    assert "half of a pair:" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_time_without_a_zone_a_foreign_context_and_a_missing_one_are_refused(tmp_path):
    history = histories([], [], tmp_path)
    with pytest.raises(VectorsError, match="time zone"):
        lineage(history, WORDS, "p:0", COUNT, NOW.replace(tzinfo=None))
    with pytest.raises(VectorsError, match=r"another audience\.toml"):
        lineage(history, WORDS, "p:0", RATE, NOW, context=Context(NOW, 0, {}, {}, {}))
    with Engine() as engine, pytest.raises(VectorsError, match="give `context`"):
        lineage(history, WORDS, "p:0", RATE, NOW, engine=engine)
