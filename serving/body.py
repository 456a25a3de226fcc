"""Reading a request's JSON body: no larger than allowed, and never repeated in an error."""

from __future__ import annotations

import difflib
from typing import Any

from fastapi import Request
from pydantic import BaseModel, ValidationError

from serving.problems import Problem
from serving.schemas import ScoreRequest
from serving.server import server_of

_MOST_FAULTS = 20


async def read_score_request(request: Request) -> ScoreRequest:
    """Return the body of a request for scores. Raises Problem: 413, 415 or 422."""
    _check_media_type(request)
    body = await _read(request, server_of(request).settings.max_body_bytes)
    try:
        return ScoreRequest.model_validate_json(body)
    except ValidationError as error:
        faults = _faults(error, ScoreRequest)
        if all(fault["field"].partition(".")[0] == "use" for fault in faults):
            words = "Say what the scores are for (rule L1): `use` with purpose, channel_class, sponsor_type and jurisdiction; see `errors`."
            raise Problem("use_incomplete", words, errors=faults) from None
        raise Problem("request_invalid", "The fields in `errors` cannot be used.", errors=faults) from None


def _check_media_type(request: Request) -> None:
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem("media_type_unsupported", "Send the header `Content-Type: application/json`.")


async def _read(request: Request, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise Problem("body_too_large", f"A body has at most {most} bytes; ask for fewer people at a time.", headers={"Connection": "close"})
    return bytes(body)


def _faults(error: ValidationError, model: type[BaseModel]) -> list[dict[str, str]]:
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    listed = [_fault(fault, model) for fault in faults[:_MOST_FAULTS]]
    if len(faults) > _MOST_FAULTS:
        listed.append({"field": "body", "message": f"and {len(faults) - _MOST_FAULTS} more faults"})
    return listed


def _fault(fault: Any, model: type[BaseModel]) -> dict[str, str]:
    """Return a fault with the field's place; the name of an unknown field is the caller's own text, so it is not repeated."""
    known = list(model.model_fields)
    if fault["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(fault["loc"][-1]), known, n=1)
        hint = f"; did you mean `{close[0]}`?" if close else ""
        return {"field": "body", "message": f"there is a field that is not known; allowed: {', '.join(known)}{hint}"}
    place = ".".join(str(part) for part in fault["loc"]) or "body"
    return {"field": place, "message": str(fault["msg"])}
