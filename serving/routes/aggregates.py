"""`POST /v1/aggregates`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from serving.access import require
from serving.aggregate_schemas import AGGREGATE_ANSWER, AggregateAnswer, AggregateRequest
from serving.answering import answer_aggregates
from serving.body import body
from serving.described import body_of, problems
from serving.keys import Key
from serving.server import server_of

router = APIRouter(prefix="/v1", tags=["groups"])


@router.post(
    "/aggregates",
    response_class=Response,
    openapi_extra=body_of(AggregateRequest),
    responses={200: {"model": AggregateAnswer, "description": "what is told of groups"}, **problems(401, 403, 413, 415, 422, 451, 503)},
)
def post_aggregates(
    request: Request, key: Annotated[Key, Depends(require("aggregates", "scores"))], asked: Annotated[AggregateRequest, Depends(body(AggregateRequest))]
) -> Response:
    """Tell of groups, by area, category or band: how many people, how many are expected to act, how strongly; small groups are left out. No row of a person."""
    server = server_of(request)
    answer = answer_aggregates(server, server.reloader.current, asked, door="api", route="POST /v1/aggregates", key_id=key.key_id)
    return Response(AGGREGATE_ANSWER.dump_json(answer), media_type="application/json", headers={"Cache-Control": "no-store"})
