"""From a request for scores to the answer that may leave: the decision, the scores, and all of it again where somebody it is about spoke meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from serving.audit import Answer, LedgerMovedError
from serving.loaded import Loaded
from serving.permitting import permit
from serving.problems import Problem
from serving.schemas import ScoreAnswer, ScoreRequest
from serving.scorer import asked_names, score
from serving.server import Server, new_answer_id, now

_ROUNDS = 20
"""How often an answer is decided on again because somebody said something meanwhile, before the caller is asked to come back."""
Made = TypeVar("Made")


def recorded(server: Server, make: Callable[[], tuple[Made, Answer]]) -> Made:
    """Return what `make` makes once its entry is in the log, made again where the ledger moved on before. Raises Problem."""
    for _ in range(_ROUNDS):
        made, entry = make()
        try:
            server.record(entry)
        except LedgerMovedError:
            continue
        return made
    raise Problem("audit_unavailable", "The ledger changes faster than this can be decided on; ask for fewer people, or again in a moment.")


def told_of(answer: Answer, problem: Problem) -> Answer:
    """Return the entry of an answer that is a problem, with the use that it refuses, if it does, and what that was refused on."""
    refused = problem.refused
    if refused is None:
        return answer
    return replace(answer, at=refused.basis.decided_at, people=refused.people, basis=refused.basis, activity=refused.activity)


def answer_scores(server: Server, loaded: Loaded, asked: ScoreRequest) -> ScoreAnswer:
    """Return the answer to a request, ready to be recorded. Raises Problem as `permit` does, and StoreError where the ledger cannot be read.

    Scores of many people take seconds: whether somebody it is about has said something meanwhile is asked once more when it is recorded (`recorded`).
    """
    at = now()
    permitted = permit(server.permission, loaded, asked.use, people=asked.people, names=asked_names(loaded, asked.scores), at=at)
    return score(loaded, asked, permitted, answer_id=new_answer_id(), now=permitted.basis.decided_at)
