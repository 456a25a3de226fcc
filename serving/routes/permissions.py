"""`POST /v1/permissions`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from serving.access import require
from serving.answering import recorded
from serving.audit import Answer
from serving.body import body
from serving.described import body_of, problems
from serving.keys import Key
from serving.permission_schemas import PERMISSION_ANSWER, PermissionAnswer, PermissionRequest
from serving.permitting import answer_permissions
from serving.server import new_answer_id, now, server_of

router = APIRouter(prefix="/v1", tags=["permission"])


@router.post(
    "/permissions",
    response_class=Response,
    openapi_extra=body_of(PermissionRequest),
    responses={200: {"model": PermissionAnswer, "description": "the decision on each person"}, **problems(401, 403, 413, 415, 422, 451, 503)},
)
def post_permissions(
    request: Request,
    key: Annotated[Key, Depends(require("permissions", "scores"))],
    asked: Annotated[PermissionRequest, Depends(body(PermissionRequest))],
) -> Response:
    """Decide who may be used for what: for each person allowed, or the rule that forbids it. Nothing is worked out. In the audit log before it leaves."""
    server = server_of(request)

    def made() -> tuple[PermissionAnswer, Answer]:
        answer = answer_permissions(server.permission, server.reloader.current, asked, answer_id=new_answer_id(), at=now())
        decisions = server.audit.of_permissions(answer.results)
        told = Answer(answer.answer_id, answer.permission.decided_at, "api", "POST /v1/permissions", 200, key.key_id, people=len(asked.people))
        return answer, replace(told, decisions=decisions, basis=answer.permission, activity=asked.activity)

    answer = recorded(server, made)
    return Response(PERMISSION_ANSWER.dump_json(answer), media_type="application/json", headers={"Cache-Control": "no-store"})
