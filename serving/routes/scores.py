"""`POST /v1/scores`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from serving.access import require
from serving.audit import UNKNOWN_SCORE, Answer
from serving.body import read_score_request
from serving.keys import Key
from serving.permitting import permit
from serving.schemas import SCORE_ANSWER, ProblemDocument, ScoreAnswer, ScoreRequest
from serving.scorer import asked_names, score
from serving.server import new_answer_id, now, server_of

router = APIRouter(prefix="/v1", tags=["scores"])

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemDocument, "description": words}
    for status, words in {401: "no key, or one that does not stand", 403: "the key has another scope", 413: "body too large", 415: "not JSON"}.items()
}
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ScoreRequest"}}}}}


@router.post(
    "/scores",
    response_class=Response,
    openapi_extra=_BODY,
    responses={
        200: {"model": ScoreAnswer, "description": "the scores, or codes where there is none"},
        **_PROBLEMS,
        422: {"model": ProblemDocument, "description": "a field cannot be used"},
        503: {"model": ProblemDocument, "description": "nothing is loaded yet, or the answer could not be recorded"},
    },
)
def post_scores(request: Request, key: Annotated[Key, Depends(require("scores"))], asked: Annotated[ScoreRequest, Depends(read_score_request)]) -> Response:
    """Score people: each with value, interval, band, model and reasons, or a code. The answer is in the audit log before it leaves."""
    server = server_of(request)
    loaded = server.reloader.current
    at = now()
    names = asked_names(loaded, asked.scores)
    permitted = permit(server.permission, loaded, asked.use, people=asked.people, names=names, at=at)
    answer = score(loaded, asked, permitted, answer_id=new_answer_id(), now=at)
    known = [name for name in names if name in loaded.scores]
    decisions = server.audit.decisions(answer.results, known or [UNKNOWN_SCORE])
    server.record(
        Answer(
            answer.answer_id,
            answer.scored_at,
            "api",
            "POST /v1/scores",
            200,
            key.key_id,
            asked=known,
            as_of=answer.as_of,
            people=len(asked.people),
            decisions=decisions,
        )
    )
    return Response(SCORE_ANSWER.dump_json(answer), media_type="application/json", headers={"Cache-Control": "no-store"})
