"""`POST /v1/people/erasures`: people erased from everything, one request at a time, and the signed certificates of it."""

from __future__ import annotations

import json
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Depends, Request, Response

from serving.access import require
from serving.access_schemas import ERASURES_ANSWER, ErasuresAnswer, ErasuresRequest
from serving.audit import Answer
from serving.body import body
from serving.described import body_of, problems
from serving.keys import Key
from serving.problems import Problem
from serving.registered import listing
from serving.server import Server, new_answer_id, now, server_of

router = APIRouter(prefix="/v1/people", tags=["people"])
_ROUTE = "POST /v1/people/erasures"


@router.post(
    "/erasures",
    response_class=Response,
    openapi_extra=body_of(ErasuresRequest),
    responses={200: {"model": ErasuresAnswer, "description": "the certificates"}, **problems(401, 403, 413, 415, 422, 501, 503)},
)
async def post_erasures(
    request: Request, key: Annotated[Key, Depends(require("erasures"))], asked: Annotated[ErasuresRequest, Depends(body(ErasuresRequest))]
) -> Response:
    """Erase people from everything that the workspace holds, at once in force everywhere. Takes seconds; a signed certificate for each says what was done."""
    server = server_of(request)
    answer = await anyio.to_thread.run_sync(_erase, server, key, asked, limiter=server.erasing)
    return Response(ERASURES_ANSWER.dump_json(answer), media_type="application/json", headers={"Cache-Control": "no-store"})


def _erase(server: Server, key: Key, asked: ErasuresRequest) -> ErasuresAnswer:
    """Erase, take up what is published without them, and write into the log how many were erased, never who."""
    try:
        from features.permission.erasing import ErasingError, erase_people  # noqa: PLC0415 - the server starts without DuckDB, and a bento has none
    except ImportError as error:
        raise Problem("not_installed", "This server was built without the engine that rewrites tables: erase with `audience erase`.") from error
    at, models = now(), listing(server.settings.models_command, server.workspace.root)
    try:
        done = erase_people(server.workspace, server.store, asked.people, now=at, door="http", raw=asked.raw, models=models)
    except ErasingError as error:
        raise Problem("erasing_unfinished", str(error)) from error
    finally:
        server.reloader.refresh()
    certificates: list[dict[str, Any]] = [json.loads(each.path.read_text(encoding="utf-8")) for each in done]
    answer = ErasuresAnswer(new_answer_id(), not any(each.missing for each in done), certificates)
    server.record(Answer(answer.answer_id, at, "api", _ROUTE, 200, key.key_id, people=len(done)))
    return answer
