"""What values are made of, and that no fraction ever stands in the SQL."""

import ibis
import pytest

from features import formulas
from features.catalogue import CONTEXTUAL, catalogue
from features.definition import Feature
from features.layout import layout
from tests.features.random_history import WORDS

TALLIED = {"count", "machine", "sum", "decayed", "recency", "first", "largest", "unanswered", "switches", "declared", "daypart", "weekday", "source"}


def test_values_are_made_of_tallies_only():
    for feature in catalogue(WORDS):
        needed = formulas.needs(feature, WORDS)
        assert {need.statistic for need in needed} <= TALLIED
        assert bool(needed) == (feature.statistic not in CONTEXTUAL | {"age", "tenure", "attribute"}), feature.name


@pytest.mark.parametrize(
    ("feature", "needed"),
    [
        (Feature("share", "any-engagement", "any", "housing", "90d"), ["housing|window=90d", "any-topic|window=90d"]),
        (Feature("share", "any-engagement", "door", "any", "all"), ["channel=door|topic=any|window=all", "channel=any|topic=any|window=all"]),
        (Feature("trend", "any-out", "any", "any", "7d", "90d"), ["window=7d", "window=90d"]),
        (Feature("declared_age", "any-declared", "any", "housing"), ["recency|kind=any-declared|channel=any|topic=housing"]),
    ],
)
def test_what_a_formula_needs(feature, needed):
    for need, ending in zip(formulas.needs(feature, WORDS), needed, strict=True):
        assert need.name.endswith(ending)


def test_a_fraction_is_refused():
    assert formulas.number(2.0).op().arg.value == 2
    with pytest.raises(ValueError, match="pass it as a column"):
        formulas.number(0.5)


def test_quotients_of_nothing_are_missing():
    table = ibis.table({"a": "float64", "b": "float64"}, name="t")
    assert "NULLIF" in ibis.to_sql(formulas.over(table.a, table.b), dialect="duckdb").upper()


def test_the_layout_has_the_keys_of_every_tally():
    plan = layout(catalogue(WORDS), WORDS)
    for feature in catalogue(WORDS):
        for need in formulas.needs(feature, WORDS):
            if need.kind is not None:
                assert len(plan.keys(need)), need.name
