"""The choice among messages, from what a training stored to `GET /v1/models`."""

import json

import pytest

from models.metrics import Estimate
from models.outcome_scale import OutcomeScale
from serving.messages import MessagesError, message_choice
from serving.refusal import load_refusal
from serving.uplift import uplift_wire
from tests.serving.conftest import load_now, promote, refuse, wait_until

PERCENT, EUROS = uplift_wire(OutcomeScale("share")), uplift_wire(OutcomeScale("outcome", turned=True))
STORY, FIGURES = "persuadability.rent.story", "persuadability.rent.figures"


def stored(**changed):
    """What a training stores: the figures work a little, the story works better, nobody is told by person."""
    effects = {arm: Estimate.normal("ate", value, 0.01).to_state() for arm, value in (("figures", 0.01), ("story", 0.05))}
    lead, by_person = (Estimate.normal("ate", value, 0.01).to_state() for value in (0.04, 0.002))
    found = {"effects": effects, "adjusted": {"figures": 0.317, "story": 0.00001}, "best": "story", "lead": lead, "by_person": by_person}
    return found | {"personal": False, "words": "in units of the outcome"} | changed


def test_it_is_told_in_the_scale_of_the_scores():
    found = message_choice(stored(), PERCENT)
    assert [(each.message, each.value, each.p_value) for each in found.effects] == [("story", 5.0, 0.00001), ("figures", 1.0, 0.317)]
    assert (found.best, found.personal, found.scale, found.sign_turned) == ("story", False, "uplift_pp", False)
    assert (found.lead.value, found.lead.coverage) == (4.0, 0.9)
    assert found.words == (
        "story works best on average, clearly ahead of the next (+4.00 percentage points, 90% interval [+2.36, +5.64]); choosing by person gains "
        "+0.20 percentage points, 90% interval [-1.44, +1.84] per person over it: not shown to do better, so it is sent to all."
    )


def test_units_of_the_outcome_and_a_turned_sign_are_said():
    found = message_choice(stored(personal=True), EUROS)
    assert (found.effects[0].value, found.scale, found.sign_turned) == (0.05, "uplift", True)
    assert "+0.0400 in units of the outcome" in found.words
    assert "shown to do better. Less of the outcome is the aim" in found.words


def test_where_even_the_best_does_harm_the_control_is_best():
    effects = {arm: Estimate.normal("ate", value, 0.01).to_state() for arm, value in (("figures", -0.05), ("story", -0.08))}
    found = message_choice(stored(best="nothing", effects=effects), PERCENT)
    assert found.best == "nothing"
    assert found.words.startswith("even the best message, figures, lowers the outcome on average (-5.00 percentage points")


def test_a_draw_that_is_not_known_to_be_sound_is_said(copied):
    words = []
    for failed in (["AUTOC"], ["AUTOC", "randomisation"]):
        refuse(copied, FIGURES, messages=stored(), failed=failed)
        words.append(load_refusal(copied.models / FIGURES).messages.words)
    assert words[1] == f"{words[0]} The draw of the experiment is not known to be sound, so none of this is to be relied on."


def test_none_was_stored():
    assert message_choice(None, PERCENT) is None


@pytest.mark.parametrize(
    "broken",
    [
        [],
        {},
        stored(effects={}),
        stored(adjusted={"story": 0.1}),
        stored(adjusted={"story": 0.1, "figures": 1.5}),
        stored(best=None),
        stored(personal="no"),
        stored(lead={"value": float("nan"), "se": 1.0, "low": 0.0, "high": 1.0, "coverage": 0.9}),
    ],
)
def test_what_is_no_choice_is_refused(broken):
    with pytest.raises(MessagesError, match="train it again"):
        message_choice(broken, PERCENT)


def test_champions_and_refused_models_say_it_and_scores_do_not(served_copy, made):
    promote(served_copy.workspace, STORY, "2", made.story, made.vectors, messages=stored())
    refuse(served_copy.workspace, FIGURES, messages=stored())
    told = lambda: served_copy.client.get("/v1/models", headers=served_copy.headers).json()  # noqa: E731
    wait_until(lambda: told()["models"][1]["messages"] and told()["refused"][0]["messages"])
    answer = told()
    affinity, story = answer["models"]
    (figures,) = answer["refused"]
    assert affinity["messages"] is None
    assert story["messages"] == figures["messages"]
    assert story["messages"]["effects"][0] == {"message": "story", "value": 5.0, "p_value": 0.00001} | {
        name: pytest.approx(value) for name, value in (("low", 3.355146), ("high", 6.644854), ("coverage", 0.9))
    }
    scores = served_copy.ask(scores=["persuadability:rent:figures"]).json()["results"][0]["scores"]
    assert "messages" not in json.dumps(scores)


def test_a_broken_choice_is_a_fault(copied, made, quick_trial):
    promote(copied, STORY, "2", made.story, made.vectors, messages={"best": "story"})
    refuse(copied, FIGURES, messages={"best": "story"})
    loaded = load_now(copied)
    assert STORY not in loaded.champions
    assert FIGURES not in loaded.refusals
    assert [fault for fault in loaded.faults if "choice among messages is not one; train it again" in fault] == list(loaded.faults)
    assert len(loaded.faults) == 2
