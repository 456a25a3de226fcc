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
from serving.problems import Problem
from serving.schemas import MOST_ANSWERED, MOST_EXPLAINED, SCORE_ANSWER, ScoreAnswer, ScoreRequest
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
    names = asked_names(loaded, asked.scores)
    _check_size(asked, len(names))
    known = [name for name in names if name in loaded.scores]

    def made() -> tuple[ScoreAnswer, Answer]:
        answer = answer_scores(server, loaded, asked)
        decisions = server.audit.decisions(answer.results, known or [UNKNOWN_SCORE])
        told = Answer(answer.answer_id, answer.scored_at, "api", "POST /v1/scores", 200, key.key_id, None, known, answer.as_of, len(asked.people), decisions)
        return answer, replace(told, basis=answer.permission, targeting=server.registrar.targeting(loaded, asked.use, known, at=answer.scored_at))

    answer = recorded(server, made)
    return Response(SCORE_ANSWER.dump_json(answer), media_type="application/json", headers={"Cache-Control": "no-store"})


def _check_size(asked: ScoreRequest, names: int) -> None:
    """Raise Problem where the answer would hold more scores than one request may ask for: others wait meanwhile, and it is made in memory."""
    wanted, most = len(asked.people) * names, MOST_EXPLAINED if asked.explain else MOST_ANSWERED
    if wanted <= most:
        return
    fewer = f"ask for at most {max(1, most // names)} people at a time, for fewer scores{', or without reasons (`explain` 0)' if asked.explain else ''}"
    words = f"{len(asked.people)} people times {names} scores are {wanted}; an answer {'with reasons ' if asked.explain else ''}holds at most {most} of them"
    raise Problem("request_invalid", "The fields in `errors` cannot be used.", errors=[{"field": "people", "message": f"{words}: {fewer}"}])
