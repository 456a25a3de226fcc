"""`GET /v1/register` and `GET /v1/notices/{campaign_id}`: what people are targeted with online, for those who check it and for those who publish it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from features.permission.notice import NoticeError
from features.permission.notices import Format, notice_of, written
from features.permission.register import EntryKind
from features.vocabulary import Language
from serving.access import require
from serving.audit import Answer
from serving.described import problems
from serving.keys import Key
from serving.problems import Problem
from serving.register_schemas import MOST_ENTRIES, REGISTER_ANSWER, RegisterAnswer, RegisterEntry
from serving.server import new_answer_id, now, server_of

router = APIRouter(prefix="/v1", tags=["register"])
Reader = Annotated[Key, Depends(require("register", "audit"))]
_TYPES = {"json": "application/json", "html": "text/html; charset=utf-8", "md": "text/markdown; charset=utf-8"}
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


@router.get(
    "/register",
    response_class=Response,
    responses={200: {"model": RegisterAnswer, "description": "entries, in their order"}, **problems(401, 403, 422, 503)},
)
def get_register(
    request: Request,
    key: Reader,
    kind: Annotated[EntryKind | None, Query(description="only entries of this kind")] = None,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="only entries numbered above this: `next` of the page before")] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_ENTRIES, description="how many at most")] = 100,
) -> Response:
    """List the register of targeting use: what was done with people's data, and what the organisation declared. It names nobody of the people."""
    server = server_of(request)
    found = server.register.entries(*([kind] if kind else []), after=after, limit=limit + 1)
    entries = [RegisterEntry(each.seq, each.entry_id, each.kind, each.at, dict(each.body)) for each in found[:limit]]
    answer = RegisterAnswer(entries, entries[-1].number if len(found) > limit else None)
    server.record(Answer(new_answer_id(), now(), "api", "GET /v1/register", 200, key.key_id))
    return Response(REGISTER_ANSWER.dump_json(answer), media_type="application/json", headers=_HEADERS)


@router.get(
    "/notices/{campaign_id}",
    response_class=Response,
    responses={200: {"description": "the notice"}, **problems(401, 403, 404, 422, 503)},
)
def get_notice(
    request: Request,
    campaign_id: str,
    key: Reader,
    form: Annotated[Format, Query(alias="format", description="json, or html or md in a language")] = "json",
    language: Annotated[Language | None, Query(description="of html and md; by default the workspace's")] = None,
) -> Response:
    """Make the public notice of a campaign's online targeting from the register and the log's counts, for the organisation to publish."""
    server = server_of(request)
    workspace, at = server.workspace, now()
    try:
        made = notice_of(server.register, workspace.permission, campaign_id, now=at)
    except NoticeError:
        raise Problem("not_found", "The register has no entry on targeting for a campaign of that name.") from None
    text = written(made, workspace.vocabulary, form, language or workspace.settings.language)
    server.record(Answer(new_answer_id(), at, "api", "GET /v1/notices/{campaign_id}", 200, key.key_id))
    return Response(text, media_type=_TYPES[form], headers=_HEADERS)
