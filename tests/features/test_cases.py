"""Every case of every law pack is asked, and every rule is shown to refuse somebody and to leave somebody alone."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from features.permission.cases import Case, CaseEvent, facts_of
from features.permission.decision import answer, case_question, every_rule
from features.permission.facts import NEVER, UNKNOWN
from features.permission.packs import load_pack, shipped
from features.permission.use import JURISDICTIONS

CASES = [pytest.param(name, case, id=f"{name}: {case.id}") for name in JURISDICTIONS for case in load_pack(name).cases]

ONE = timedelta(days=1)


@pytest.mark.parametrize(("name", "case"), CASES)
def test_a_case_is_answered_as_its_pack_expects(name, case):
    pack = load_pack(name)
    question = case_question(case, pack)
    decisions = answer(question, pack)
    assert (decisions.code(0) or "allowed") == case.expected
    if case.expected != "allowed":
        assert decisions.forbidding(0).id == case.rule
    told = every_rule(question, pack)
    assert [one.rule.code for one in told if one.forbids][:1] == ([] if case.expected == "allowed" else [case.expected])


def test_there_are_enough_cases_of_both_kinds():
    expected = [case.expected for file in shipped().values() for case in file.cases]
    assert len(expected) >= 120
    assert expected.count("allowed") >= 50
    assert len(expected) - expected.count("allowed") >= 60


@pytest.mark.parametrize("name", JURISDICTIONS)
def test_every_rule_refuses_a_case_and_allows_a_near_miss(name):
    pack = load_pack(name)
    answers = {rule.id: {case.expected for case in pack.cases if case.rule == rule.id} for rule in pack.rules}
    for rule in pack.rules:
        assert {rule.code, "allowed"} <= answers[rule.id], f"{name}: {rule.id} lacks a case that it refuses, or a near miss"


@pytest.mark.parametrize("file", shipped().values(), ids=lambda file: file.id)
def test_every_rule_has_its_cases_in_the_file_it_stands_in(file):
    for rule in file.rules:
        assert {rule.code, "allowed"} <= {case.expected for case in file.cases if case.rule == rule.id}, rule.id


@pytest.mark.parametrize("name", JURISDICTIONS)
def test_the_first_day_of_every_rule_is_a_case_and_the_day_before(name):
    pack = load_pack(name)
    for rule in pack.rules:
        if rule.begins is not None:
            on = {day: {case.expected for case in pack.cases if case.rule == rule.id and case.at.date() == day} for day in (rule.begins, rule.begins - ONE)}
            assert rule.code in on[rule.begins], f"{name}: {rule.id} on its first day"
            assert rule.code not in on[rule.begins - ONE], f"{name}: {rule.id} on the day before"
            assert on[rule.begins - ONE], f"{name}: {rule.id} on the day before"


def test_what_a_case_leaves_out_is_not_known():
    facts = facts_of(Case(id="a", rule="L2", why="b", use="c", expected="allowed").person, ())
    assert (facts.subject[0], facts.status[0], facts.source[0], facts.birth_year[0]) == (UNKNOWN, UNKNOWN, UNKNOWN, 0)
    assert (facts.informed_us[0], facts.joined_us[0]) == (NEVER, NEVER)
    assert len(facts) == 1


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValidationError, match="timezone"):
        CaseEvent(event="given", at="2026-01-01T00:00:00")
