"""`POST /v1/scores` end to end, in process."""

import math

import numpy as np
import pytest

from serving.routes import scores as route
from serving.schemas import MOST_ANSWERED, MOST_EXPLAINED, MOST_PEOPLE


def values(answer, position=0):
    return [person["scores"][position]["value"] for person in answer.json()["results"]]


def test_values_are_the_notebooks_to_the_bit(served, made):
    people = [f"van:{number:04d}" for number in (7, 3, 599, 0)]
    X = made.vectors.frame().loc[people]
    answer = served.ask(people, ["affinity:*", "persuadability:rent:story"])
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [person["person"] for person in results] == people
    got = np.array([[score["value"] for score in person["scores"]] for person in results])
    assert (got[:, :3] == made.affinity.predict_proba(X)).all()
    assert (got[:, 3] == made.story.predict_uplift(X) * 100).all()
    low_high = np.array([[(score["low"], score["high"]) for score in person["scores"]] for person in results])
    assert (low_high[:, :3] == made.affinity.predict_interval(X)).all()


def test_one_at_a_time_is_the_same_as_together(served):
    people = [f"van:{number:04d}" for number in range(50)]
    together = values(served.ask(people))
    assert together == [values(served.ask([person]))[0] for person in people]


def test_order_of_people_changes_nothing(served):
    people = [f"van:{number:04d}" for number in range(40)]
    assert values(served.ask(people)) == values(served.ask(people[::-1]))[::-1]


@pytest.mark.parametrize("explain", [1, 5, 20])
def test_explanations_add_up_in_log_odds(served, explain):
    for person in served.ask(["van:0005", "van:0009"], ["affinity:*"], explain=explain).json()["results"]:
        for score in person["scores"]:
            why = score["explanation"]
            assert why["unit"] == "log_odds"
            assert len(why["reasons"]) <= explain
            assert why["base"] + math.fsum(part["contribution"] for part in why["reasons"]) + why["rest"] == pytest.approx(why["margin"], abs=1e-9)
            assert 1 / (1 + math.exp(-why["margin"])) == pytest.approx(score["value"], abs=1e-9)


def test_explanations_of_an_uplift_add_up_in_percentage_points(served, made):
    score = served.ask(scores=["persuadability:rent:story"], explain=4).json()["results"][0]["scores"][0]
    why = score["explanation"]
    assert (score["scale"], why["unit"]) == ("uplift_pp", "percentage_points")
    assert why["base"] + math.fsum(part["contribution"] for part in why["reasons"]) + why["rest"] == pytest.approx(why["margin"], abs=1e-9)
    assert why["margin"] == pytest.approx(score["value"], abs=1e-9)
    assert score["value"] == made.story.predict_uplift(made.vectors.frame().loc[["van:0001"]])[0] * 100


@pytest.mark.parametrize(("explain", "most"), [(0, "MOST_ANSWERED"), (3, "MOST_EXPLAINED")])
def test_what_would_keep_the_server_busy_is_refused_with_what_will_do(served, monkeypatch, explain, most):
    people = [f"van:{number:04d}" for number in range(40)]
    monkeypatch.setattr(route, most, 119)
    answer = served.ask(people, ["affinity:*"], explain=explain)
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")
    (fault,) = answer.json()["errors"]
    with_reasons, without = ("with reasons ", ", or without reasons (`explain` 0)") if explain else ("", "")
    assert fault == {
        "field": "people",
        "message": f"40 people times 3 scores are 120; an answer {with_reasons}holds at most 119 of them: "
        f"ask for at most 39 people at a time, for fewer scores{without}",
    }
    assert served.ask(people[:39], ["affinity:*"], explain=explain).status_code == 200
    assert served.ask(people, ["affinity:housing", "affinity:schools"], explain=explain).status_code == 200


def test_the_limits_let_the_usual_through():
    assert MOST_PEOPLE * 50 <= MOST_ANSWERED
    assert MOST_PEOPLE * 5 <= MOST_EXPLAINED


DIFFERENCE = {"en": "difference", "fr": "différence", "nl": "verschil"}


@pytest.mark.parametrize("language", DIFFERENCE)
def test_words_of_an_uplift_speak_of_the_difference_contact_makes_and_of_no_outcome(served, language):
    scores = served.ask(scores=["affinity:housing", "persuadability:rent:story"], explain=20, language=language).json()["results"][0]["scores"]
    affinity, uplift = (score["explanation"] for score in scores)
    for words in (uplift["words"], *(part["effect"] for part in uplift["reasons"])):
        assert DIFFERENCE[language] in words
        assert "contact" in words
    assert not any(DIFFERENCE[language] in part["effect"] for part in affinity["reasons"])
    for why in (affinity, uplift):
        said = {part["contribution"] > 0: part["effect"] for part in why["reasons"]}
        assert len({part["effect"] for part in why["reasons"]}) == len(said), "one wording for each direction"
        assert len(set(said.values())) == len(said)


def test_a_score_says_all_that_a_score_must(served, made):
    answer = served.ask(explain=2).json()
    score = answer["results"][0]["scores"][0]
    assert score["scale"] == "probability"
    assert score["low"] <= score["high"]
    assert score["coverage"] == made.affinity.coverage
    assert score["interval_absent"] is None
    assert score["band"] in {"high", "medium", "low"}
    assert score["model"]["name"] == "affinity"
    assert len(score["model"]["digest"]) == 64
    assert score["as_of"] == answer["as_of"] == "2026-10-01T00:00:00Z"
    assert score["valid_until"] == "2026-10-31T00:00:00Z"
    assert score["scored_at"] == answer["scored_at"]
    assert score["decision_id"].startswith(answer["answer_id"])
    first, second = score["explanation"]["reasons"]
    assert abs(first["contribution"]) >= abs(second["contribution"])
    assert "|" not in first["text"]


def test_a_score_says_whether_it_rests_on_a_history(served, made):
    answers = made.vectors.frame()["count|kind=any-engagement|channel=any|topic=any|window=all"]
    people = [answers.index[answers > 0][0], answers.index[answers == 0][0]]
    results = served.ask(people, ["affinity:*", "persuadability:rent:story"]).json()["results"]
    assert [[score["basis"] for score in person["scores"]] for person in results] == [["history"] * 3 + [None], ["segment"] * 3 + [None]]


def test_without_explain_there_is_no_explanation(served):
    assert served.ask().json()["results"][0]["scores"][0]["explanation"] is None


def test_reasons_come_in_the_language_asked_for(served):
    texts = {language: served.ask(explain=5, language=language).json()["results"][0]["scores"][0]["explanation"] for language in ("en", "fr", "nl")}
    words = {language: [part["text"] for part in why["reasons"]] for language, why in texts.items()}
    assert len({tuple(text) for text in words.values()}) == 3
    default = served.ask(explain=5).json()["results"][0]["scores"][0]["explanation"]
    assert [part["text"] for part in default["reasons"]] == words["en"]


def test_an_unknown_person_costs_the_others_nothing(served):
    results = served.ask(["van:0001", "nobody:1", "van:0002"]).json()["results"]
    assert [person["code"] for person in results] == [None, "unknown_person", None]
    assert results[1]["scores"] == []
    assert results[1]["words"]
    assert results[0]["scores"][0]["value"] > 0


def test_only_unknown_people_is_an_answer_too(served):
    answer = served.ask(["nobody:1"], ["affinity:*"], explain=3)
    assert answer.status_code == 200
    assert answer.json()["results"][0]["code"] == "unknown_person"


def test_the_same_person_twice_is_answered_twice(served):
    first, second = values(served.ask(["van:0001", "van:0001"]))
    assert first == second


def test_an_unknown_score_comes_with_a_hint(served):
    known, unknown = served.ask(scores=["affinity:housing", "affinity:housnig"]).json()["results"][0]["scores"]
    assert known["value"] > 0
    assert unknown["code"] == "unknown_score"
    assert "affinity:housing" in unknown["words"]


def test_no_model_is_a_code(served):
    (score,) = served.ask(scores=["persuadability:door:visit"]).json()["results"][0]["scores"]
    assert (score["code"], score["average"]) == ("no_model", None)


def test_a_refused_ranking_gives_the_average_effect(served):
    (score,) = served.ask(scores=["persuadability:rent:figures"]).json()["results"][0]["scores"]
    assert score["code"] == "ranking_refused"
    assert score["average"] == {
        "value": pytest.approx(3.1),
        "low": pytest.approx(1.2),
        "high": 5.0,
        "coverage": 0.9,
        "scale": "uplift_pp",
        "verdict": "AUTOC covers zero.",
        "failed": ["AUTOC"],
        "sign_turned": False,
    }


def test_stars_stand_for_all(served):
    scores = served.ask(scores=["persuadability:*", "affinity:schools", "affinity:*"]).json()["results"][0]["scores"]
    assert [score["name"] for score in scores] == [
        "persuadability:rent:story",
        "persuadability:rent:figures",
        "persuadability:door:visit",
        "affinity:schools",
        "affinity:housing",
        "affinity:transport",
    ]


def test_a_thousand_people_at_once(served):
    people = [f"van:{number % 600:04d}" for number in range(1000)]
    answer = served.ask(people, ["affinity:*"])
    assert len(answer.json()["results"]) == 1000
    assert served.ask([*people, "van:0001"]).status_code == 422
