"""From a request for scores to the answer that may leave: the decision, the scores, and the decision again where the ledger moved meanwhile."""

from __future__ import annotations

from serving.loaded import Loaded
from serving.permitting import permit
from serving.schemas import ScoreAnswer, ScoreRequest
from serving.scorer import asked_names, score
from serving.server import Server, new_answer_id, now


def answer_scores(server: Server, loaded: Loaded, asked: ScoreRequest) -> ScoreAnswer:
    """Return the answer to a request, ready to be recorded. Raises Problem as `permit` does, and StoreError where the ledger cannot be read.

    Scores of many people take seconds. Who withdraws meanwhile has none in this answer either: the ledger's last number is read before the clock, and
    once more when the scores are there.
    """
    names = asked_names(loaded, asked.scores)
    answer, before, seen = None, None, -1
    while answer is None or server.permission.ledger.last() != seen:
        seen = server.permission.ledger.last()
        at = now()
        permitted = permit(server.permission, loaded, asked.use, people=asked.people, names=names, at=at)
        if answer is None or before is None or not permitted.same(before):
            answer = score(loaded, asked, permitted, answer_id=new_answer_id(), now=at)
        before = permitted
    return answer
