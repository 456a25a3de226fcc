"""`POST /v1/people/access`: everything that is held of one person, in the log before it leaves."""

from __future__ import annotations

from typing import Annotated, Any, cast

import pyarrow as pa
from fastapi import APIRouter, Depends, Request, Response

from features.history import HistoryError
from features.permission.subjects import SubjectError
from serving.access import require
from serving.access_html import POLICY
from serving.access_pdf import PdfError
from serving.access_schemas import AccessRequest, HeldData
from serving.body import body
from serving.described import body_of, problems
from serving.held_data import Records
from serving.keys import Key
from serving.problems import Problem
from serving.server import now, server_of
from serving.telling import MEDIA_TYPES, Format, told, written

router = APIRouter(prefix="/v1/people", tags=["people"])
_ROUTE = "POST /v1/people/access"
_CONTENT: dict[str, Any] = {"text/html": {"schema": {"type": "string"}}, "application/pdf": {"schema": {"type": "string", "format": "binary"}}}
_HEADERS = {"Cache-Control": "no-store", "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


@router.post(
    "/access",
    response_class=Response,
    openapi_extra=body_of(AccessRequest),
    responses={200: {"model": HeldData, "content": _CONTENT, "description": "everything that is held"}, **problems(401, 403, 413, 415, 422, 501, 503)},
)
def post_access(request: Request, key: Annotated[Key, Depends(require("access"))], asked: Annotated[AccessRequest, Depends(body(AccessRequest))]) -> Response:
    """Tell everything that is held of a person: data, sources, purposes, recipients, scores with reasons. HTML or PDF by `format` or Accept."""
    server = server_of(request)
    loaded, form = server.reloader.current, wanted(request.headers.get("Accept", ""), asked)
    own, groups = (None, (loaded.group, None)) if loaded.own is None else (loaded.own.vectors, (loaded.group, loaded.own.group))
    records = Records(server.workspace, server.store, server.permission, loaded.vectors, loaded.champions, own=own, groups=groups)
    try:
        data = told(records, asked.person, at=now(), language=asked.language, door="api", route=_ROUTE, record=server.record, key_id=key.key_id)
        content = written(data, form, server.workspace.vocabulary)
    except PdfError as error:
        raise Problem("not_installed", str(error)) from error
    except (HistoryError, SubjectError, OSError, pa.ArrowException) as error:
        raise Problem("not_ready", f"What is held cannot be read now ({type(error).__name__}); nothing was told, rather than half of it.") from error
    return Response(content, media_type=MEDIA_TYPES[form], headers=_HEADERS)


def wanted(accept: str, asked: AccessRequest) -> Format:
    """Return the form of the answer: that of the body, else the first that the header Accept names, else JSON."""
    if asked.format is not None:
        return asked.format
    named = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    forms = {MEDIA_TYPES[form]: form for form in cast("tuple[Format, ...]", ("json", "html", "pdf"))}
    return next((forms[media_type] for media_type in named if media_type in forms), "json")
