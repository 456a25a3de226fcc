"""`POST /v1/scores`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from serving.access import require
from serving.answering import answer_scores, recorded
from serving.audit import UNKNOWN_SCORE, Answer
from serving.body import body
from serving.described import body_of, problems
from serving.keys import Key
from serving.schemas import SCORE_ANSWER, ScoreAnswer, ScoreRequest
from serving.scorer import asked_names
from serving.server import server_of

router = APIRouter(prefix="/v1", tags=["scores"])


@router.post(
    "/scores",
    response_class=Response,
    openapi_extra=body_of(ScoreRequest),
    responses={200: {"model": ScoreAnswer, "description": "the scores, or codes where there is none"}, **problems(401, 403, 413, 415, 422, 451, 503)},
)
def post_scores(request: Request, key: Annotated[Key, Depends(require("scores"))], asked: Annotated[ScoreRequest, Depends(body(ScoreRequest))]) -> Response:
    """Score people for a use: each with value, interval, band, model and reasons, or the code of what forbids it. In the audit log before it leaves."""
    server = server_of(request)
    loaded = server.reloader.current
    known = [name for name in asked_names(loaded, asked.scores) if name in loaded.scores]

    def made() -> tuple[ScoreAnswer, Answer]:
        answer = answer_scores(server, loaded, asked)
        decisions = server.audit.decisions(answer.results, known or [UNKNOWN_SCORE])
        told = Answer(answer.answer_id, answer.scored_at, "api", "POST /v1/scores", 200, key.key_id, None, known, answer.as_of, len(asked.people), decisions)
        return answer, replace(told, basis=answer.permission, targeting=server.registrar.targeting(loaded, asked.use, known, at=answer.scored_at))

    answer = recorded(server, made)
    return Response(SCORE_ANSWER.dump_json(answer), media_type="application/json", headers={"Cache-Control": "no-store"})
