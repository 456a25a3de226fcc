"""The group-bys say what the kernel says, over the whole catalogue, by operations that were seen to agree on every engine."""

import itertools

import ibis
import numpy as np
import pytest
from ibis.expr import operations as ops

from features import context, contextual, query, reduction
from features.catalogue import catalogue
from features.definition import FIELDS, Feature
from features.engine import Engine
from features.entering import Entering
from features.grouped import group
from features.layout import layout
from features.outcomes import engagements, first_seen
from features.permission.retention import Retention
from features.relations import INTERACTIONS, people_columns
from features.vectors import build
from features.vocabulary import Channel, Kind, Vocabulary
from tests.features.random_history import AS_OF, WORDS, Stored, random_tables

AGREED = {
    "tables": {"UnboundTable", "Field", "Project", "Filter", "Aggregate", "Union", "Distinct", "Sort", "SortKey", "JoinChain", "JoinLink", "JoinReference"},
    "conditions": {"Or", "Not", "Equals", "NotEquals", "Less", "LessEqual", "Greater", "GreaterEqual", "Between", "IsNull", "NotNull", "InValues", "IsNan"},
    "choices": {"IfElse", "SearchedCase", "SimpleCase", "Coalesce", "NullIf", "Greatest", "Least", "Literal", "Cast"},
    "numbers": {"Add", "Subtract", "Multiply", "Divide", "FloorDivide", "Modulus", "Floor", "Abs", "Log2"},
    "reductions": {"Sum", "Min", "Max", "CountStar"},
    "order": {"WindowFunction", "RowNumber", "Lag"},
    "texts": {"StringContains"},
}
"""The operations that `tests/features/test_spark.py` sees to agree on DuckDB and Spark. Not among them, because they were seen to differ: rounding, hashing,
logarithms of 0, division by 0, decimals, whatever is approximate, and anything of time zones."""

PLAN = reduction.Plan(layout(catalogue(WORDS), WORDS), WORDS)
FORMULAS = context.formulas(PLAN.layout.features, WORDS)
NOW = 1_712_734_200_000_000
SPECIAL = [one.model_copy(update={"sensitivity": "special"}) for one in (WORDS.topics[1], WORDS.attributes[0])]
LIMITED = {"retention": Retention(interactions=400, kinds={"letter": 30}), "topics": (WORDS.topics[0], SPECIAL[0]), "attributes": (SPECIAL[1],)}
ENTERING = Entering.of((), WORDS.model_copy(update=LIMITED), own=True)
EXPRESSIONS = {
    "projection": query.projection(PLAN.layout, WORDS, NOW, ()),
    "base": reduction.base(WORDS, NOW),
    "attributes": query.attributes(WORDS),
    "span": query.span(),
    "topic texts": query.topic_texts(),
    "stored topics": query.stored_topics(),
    "sources": query.sources(),
    "projection of rows that end": query.projection(PLAN.layout, WORDS, NOW, (), limited=True),
    "base of rows that end": reduction.base(WORDS, NOW, limited=True),
    "interactions that may enter": ENTERING.interactions(INTERACTIONS | {"collected_how": ("collected_how", "VARCHAR")}),
    "people of own rows": ENTERING.people(people_columns(WORDS) | {"source_id": ("source_id", "VARCHAR")}),
    "measured": reduction.measured(PLAN),
    "pivoted": reduction.pivoted(PLAN, 0),
    "huge": reduction.huge(PLAN),
    "personal": reduction.personal(PLAN, NOW, 2024),
    "checks": reduction.checks(),
    "moments": contextual.moments(PLAN.layout.features, FORMULAS),
    "areas": contextual.areas(PLAN.layout.features, FORMULAS),
    "vectors": contextual.vectors(PLAN.layout.features, FORMULAS, kind="float32"),
    "engagements": engagements(WORDS, NOW, NOW),
    "first seen": first_seen(WORDS),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_only_operations_that_agree_on_both_engines_are_used(name):
    used = {type(node).__name__ for node in EXPRESSIONS[name].op().find(ops.Node)}
    assert used <= set(itertools.chain.from_iterable(AGREED.values())), sorted(used - set(itertools.chain.from_iterable(AGREED.values())))


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_number_in_the_text_is_whole(name):
    for node in EXPRESSIONS[name].op().find(ops.Literal):
        assert not isinstance(node.value, float), node.value


def test_no_operation_is_listed_that_nothing_uses():
    used = {type(node).__name__ for expression in EXPRESSIONS.values() for node in expression.op().find(ops.Node)}
    assert set(itertools.chain.from_iterable(AGREED.values())) <= used, sorted(set(itertools.chain.from_iterable(AGREED.values())) - used)


def test_the_vocabulary_of_these_tests_has_every_statistic():
    assert {feature.statistic for feature in catalogue(WORDS)} == set(FIELDS)


@pytest.mark.parametrize("seed", range(3))
def test_group_bys_and_kernel_agree_to_the_bit(tmp_path, seed):
    history = Stored(tmp_path, random_tables(seed))
    kernel = build(history, WORDS, AS_OF)
    with Engine() as engine:
        made = group(engine, history, WORDS, AS_OF)
        found = engine.run(made.expression("float32").order_by("row"))
    assert made.context == kernel.context
    assert found.column("person_id").to_pylist() == kernel.person_ids.to_pylist()
    assert found.column("row").to_pylist() == list(range(len(kernel)))
    for place, name in enumerate(kernel.names):
        np.testing.assert_array_max_ulp(found.column(name).to_numpy(), kernel.matrix[:, place], maxulp=1)
        assert np.isfinite(kernel.matrix[:, place]).any(), f"{name} is missing everywhere, so nothing is compared"


def test_a_context_that_is_given_is_used(tmp_path):
    history = Stored(tmp_path, random_tables(7))
    earlier = build(history, WORDS, AS_OF.replace(year=2023)).context
    kernel = build(history, WORDS, AS_OF, context=earlier)
    with Engine() as engine:
        made = group(engine, history, WORDS, AS_OF, given=earlier)
        found = engine.run(made.expression("float32").order_by("row"))
    for place, feature in enumerate(made.layout.features):
        if feature.statistic in {"rate", "area", "supply"}:
            np.testing.assert_array_max_ulp(found.column(feature.name).to_numpy(), kernel.matrix[:, place], maxulp=1)


SMALL = Vocabulary(kinds=(Kind(id="came", direction="in", engagement=True, en="visit"),), channels=(Channel(id="door", en="door"),))


@pytest.mark.parametrize("words", [SMALL, SMALL.model_copy(update={"windows_days": (), "half_lives_days": ()})])
def test_a_vocabulary_of_few_words(tmp_path, words):
    history = Stored(tmp_path, random_tables(5, people=20, interactions=100, words=words))
    kernel = build(history, words, AS_OF)
    with Engine() as engine:
        found = engine.run(group(engine, history, words, AS_OF).expression("float32").order_by("row"))
    np.testing.assert_array_equal(np.stack([found.column(name).to_numpy() for name in kernel.names], axis=1), kernel.matrix)


def test_nobody_at_all(tmp_path):
    with Engine() as engine:
        made = group(engine, Stored(tmp_path, {}), WORDS, AS_OF)
        assert (made.people, len(engine.run(made.expression("float32")))) == (0, 0)


def test_a_window_without_counts_is_refused():
    lone = Feature("sum", "gift", "any", "any", "5d")
    plan = reduction.Plan(layout([Feature("sum", "gift", "any", "any", "6d")], WORDS), WORDS)
    assert plan.targets(Feature("sum", "gift", "any", "any", "6d"))
    with pytest.raises(ValueError, match="6d, all"):
        plan._end(lone)


def test_windows_of_a_group_follow_each_other():
    for ends in PLAN.windows.values():
        numbers = list(ends.values())
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert list(ends) == sorted(ends)


def test_ibis_only_compiles():
    assert ibis.options.default_backend is None
