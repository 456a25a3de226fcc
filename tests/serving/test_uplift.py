"""An uplift of which outcome it may be, from the estimator over the wire to the auditor's page; and what is said where the gate refused it."""

import math

import numpy as np
import pytest

from models.outcome_scale import OutcomeScale
from models.persuadability import Persuadability
from serving.uplift import UpliftWire, uplift_wire
from serving.words import refusal_words, turned_words
from tests.serving.conftest import promote, refuse, wait_until
from tests.serving.test_console import Auditor

VISIT, VISIT_MODEL = "persuadability:door:visit", "persuadability.door.visit"
PEOPLE = [f"van:{number:04d}" for number in (1, 5, 77, 300)]
LANGUAGES = ("en", "fr", "nl")
LESS = {"en": "less of the outcome", "fr": "moins de ce résultat", "nl": "minder van de uitkomst"}
NOBODY = {"en": "not send it to anybody", "fr": "ne l'envoyez à personne", "nl": "stuur het naar niemand"}


@pytest.fixture(scope="module")
def euros(made):
    """An uplift model of an outcome in euros."""
    X = made.vectors.frame()
    draw = np.random.default_rng(3)
    treatment = draw.integers(0, 2, len(X))
    y = draw.gamma(2.0, 10.0, len(X)) + treatment * 4.0 * (X.iloc[:, 0].to_numpy() - 1.0)
    return Persuadability(n_folds=3, nuisance_trees=10, nuisance_min_child_samples=20, num_trees=15).fit(X, y, treatment=treatment, propensity=0.5)


def entries(served, scores, **asked):
    return [person["scores"][0] for person in served.ask(PEOPLE, scores, **asked).json()["results"]]


def serve(served, made, model, scale):
    promote(served.workspace, VISIT_MODEL, "1", model, made.vectors, scale=scale)
    wait_until(lambda: "value" in entries(served, [VISIT])[0])


def test_shares_are_served_in_percentage_points_and_nothing_else_is_multiplied():
    assert uplift_wire(OutcomeScale("share", turned=True)) == UpliftWire("uplift_pp", "percentage_points", 100.0, turned=True)
    assert uplift_wire(OutcomeScale("outcome")) == UpliftWire("uplift", "outcome_units", 1.0, turned=False)


def test_an_outcome_in_euros_is_served_in_euros(served_copy, made, euros):
    serve(served_copy, made, euros, OutcomeScale("outcome"))
    X = made.vectors.frame().loc[PEOPLE]
    found = entries(served_copy, [VISIT], explain=4)
    assert [score["value"] for score in found] == euros.predict_uplift(X).tolist()
    assert [[score["low"], score["high"]] for score in found] == euros.predict_interval(X).tolist()
    assert {(score["scale"], score["explanation"]["unit"], score["sign_turned"]) for score in found} == {("uplift", "outcome_units", False)}
    for score in found:
        why = score["explanation"]
        assert why["base"] + math.fsum(part["contribution"] for part in why["reasons"]) + why["rest"] == pytest.approx(why["margin"], abs=1e-9)
        assert why["margin"] == pytest.approx(score["value"], abs=1e-9)
        assert "difference" in why["words"]
        assert LESS["en"] not in why["words"]
        assert (score["band"] == "negative") == (score["value"] < 0)


def test_bands_of_an_uplift_in_euros_leave_out_whom_contact_harms(served_copy, made, euros):
    serve(served_copy, made, euros, OutcomeScale("outcome"))
    people = made.vectors.frame().index.tolist()
    scores = [person["scores"][0] for person in served_copy.ask(people, [VISIT]).json()["results"]]
    harmed = [score["band"] for score in scores if score["value"] < 0]
    assert set(harmed) == {"negative"}, "there are such people in this sample, and they are never high"
    models = served_copy.client.get("/v1/models", headers=served_copy.headers).json()["models"]
    (bands,) = [model["scores"][VISIT] for model in models if model["name"] == VISIT_MODEL]
    assert "negative is an uplift below zero" in bands["rule"]
    assert bands["high_from"] == pytest.approx(np.percentile(euros.predict_uplift(made.vectors.frame()), 80))


@pytest.mark.parametrize("unit", ["share", "outcome"])
def test_a_turned_sign_is_said_in_every_language_and_never_otherwise(served_copy, made, unit):
    serve(served_copy, made, made.story, OutcomeScale(unit, turned=True))
    (turned, plain) = served_copy.ask(scores=[VISIT, "persuadability:rent:story"]).json()["results"][0]["scores"]
    assert (turned["sign_turned"], plain["sign_turned"]) == (True, False)
    assert turned["value"] == plain["value"] / (100 if unit == "outcome" else 1), "no sign is turned a second time"
    for language in LANGUAGES:
        said = served_copy.ask(scores=[VISIT, "persuadability:rent:story"], explain=2, language=language).json()["results"][0]["scores"]
        assert [LESS[language] in score["explanation"]["words"] for score in said] == [True, False]


@pytest.mark.parametrize(("unit", "factor"), [("share", 100.0), ("outcome", 1.0)])
def test_the_average_effect_of_a_refused_one_is_in_the_unit_of_its_outcome(served_copy, unit, factor):
    refuse(served_copy.workspace, VISIT_MODEL, scale=OutcomeScale(unit, turned=True), ate=0.42, low=0.1, high=0.74)
    wait_until(lambda: entries(served_copy, [VISIT])[0]["average"] is not None)
    for language in LANGUAGES:
        found = entries(served_copy, [VISIT], language=language)[0]
        average = found["average"]
        assert [average[name] for name in ("value", "low", "high")] == [0.42 * factor, 0.1 * factor, 0.74 * factor]
        assert (average["scale"], average["sign_turned"]) == ({"share": "uplift_pp", "outcome": "uplift"}[unit], True)
        assert found["words"] == f"{refusal_words('ranking_refused', language)} {turned_words(language)}"


@pytest.mark.parametrize(
    ("failed", "code"),
    [
        (["AUTOC"], "ranking_refused"),
        (["policy against risk", "plan"], "ranking_refused"),
        (["plan"], "ranking_refused"),
        (["no demobilisation"], "message_lowers"),
        (["AUTOC", "no demobilisation", "plan"], "message_lowers"),
    ],
)
def test_a_refusal_says_what_failed(served_copy, failed, code):
    refuse(served_copy.workspace, VISIT_MODEL, failed=failed, verdict="the verdict, line by line")
    wait_until(lambda: entries(served_copy, [VISIT])[0]["average"] is not None)
    for language in LANGUAGES:
        found = entries(served_copy, [VISIT], language=language)[0]
        assert (found["code"], found["average"]["failed"], found["average"]["verdict"]) == (code, failed, "the verdict, line by line")
        assert (NOBODY[language] in found["words"]) == (code == "message_lowers")
        assert (found["words"] == refusal_words("ranking_refused", language)) == (code == "ranking_refused" and failed != ["plan"])
    refused = served_copy.client.get("/v1/models", headers=served_copy.headers).json()["refused"]
    assert {model["name"]: model["code"] for model in refused} == {VISIT_MODEL: code, "persuadability.rent.figures": "ranking_refused"}


def test_the_page_shows_units_of_the_outcome_beside_percentage_points(served_copy, made, euros):
    serve(served_copy, made, euros, OutcomeScale("outcome", turned=True))
    lowers = {"failed": ["no demobilisation"], "ate": -4.2, "low": -6.0, "high": -2.4}
    refuse(served_copy.workspace, "persuadability.rent.figures", scale=OutcomeScale("outcome", turned=True), **lowers)
    wait_until(lambda: entries(served_copy, ["persuadability:rent:figures"])[0]["code"] == "message_lowers")
    auditor = Auditor(served_copy)
    assert auditor.sign_in().status_code == 303
    page = auditor.find("van:0005").text
    assert "effect of contact, in units of the outcome" in page
    assert "effect of contact, in percentage points" in page
    assert page.count(" in units of the outcome") >= 4
    assert "a positive number means less of the outcome" in page
    minus = "\N{MINUS SIGN}"
    average = f"Average effect: {minus}4.20 in units of the outcome (90% interval {minus}6.00 to {minus}2.40; positive means less of the outcome)"
    assert average in page
    assert "do not send it to anybody" in page
    models = auditor.client.get("/console/models").text
    assert average in models
    assert "Do not send this message to anybody" in models
