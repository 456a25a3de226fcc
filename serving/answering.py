"""From a request to the answer that may leave: the decision, the scores, and all of it again where somebody it is about spoke meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from serving.aggregate_schemas import AggregateAnswer, AggregateRequest
from serving.audit import Answer, LedgerMovedError
from serving.loaded import Loaded
from serving.permitting import check_in_person, permit
from serving.problems import Problem, Refused
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
    return replace(answer, at=refused.basis.decided_at, people=refused.people, basis=refused.basis, activity=refused.activity, also=refused.also)


def answer_aggregates(server: Server, loaded: Loaded, asked: AggregateRequest, *, door: str, route: str, key_id: str | None = None) -> AggregateAnswer:
    """Return the answer about groups, once its entry is in the log: which scores by what, k, how many people were counted, and what that stood on.

    Raises Problem as `Aggregates.answer` does, and StoreError.
    """
    known = [name for name in asked_names(loaded, asked.scores) if name in loaded.scores]

    def made() -> tuple[AggregateAnswer, Answer]:
        answer, people = server.aggregates.answer(loaded, asked, answer_id=new_answer_id(), at=now())
        about = [*known, *(f"by {name}" for name in asked.by), f"k {answer.k}"]
        told = Answer(answer.answer_id, answer.scored_at, door, route, 200, key_id, None, about, answer.as_of, people)
        return answer, replace(told, basis=answer.permission, about_groups=True)

    return recorded(server, made)


def answer_scores(server: Server, loaded: Loaded, asked: ScoreRequest) -> ScoreAnswer:
    """Return the answer to a request, ready to be recorded. Raises Problem as `permit` and `check_in_person` do, and StoreError.

    Scores of many people take seconds: whether somebody it is about has said something meanwhile is asked once more when it is recorded (`recorded`).
    """
    at = now()
    permitted = permit(server.permission, loaded, asked.use, people=asked.people, names=asked_names(loaded, asked.scores), at=at)
    check_in_person(Refused(permitted.basis, "score", len(asked.people)), individual=asked.individual)
    return score(loaded, asked, permitted, answer_id=new_answer_id(), now=permitted.basis.decided_at)
