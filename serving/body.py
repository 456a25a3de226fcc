"""Reading a request's JSON body: no larger than allowed, and never repeated in an error."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, get_args

from fastapi import Request
from pydantic import BaseModel, ValidationError

from serving.problems import Problem
from serving.server import server_of

_MOST_FAULTS = 20
Asked = TypeVar("Asked", bound=BaseModel)


def body(model: type[Asked]) -> Callable[[Request], Awaitable[Asked]]:
    """Return the dependency that reads a request's body as `model`. It raises Problem: 413, 415 or 422."""

    async def read(request: Request) -> Asked:
        _check_media_type(request)
        content = await _read(request, server_of(request).settings.max_body_bytes)
        try:
            return model.model_validate_json(content)
        except ValidationError as error:
            raise _problem(error, model) from None

    return read


def _problem(error: ValidationError, model: type[BaseModel]) -> Problem:
    faults = _faults(error, model)
    if all(fault["field"].partition(".")[0] == "use" for fault in faults):
        words = "Say what it is for (rule L1): `use` with purpose, channel_class, sponsor_type and jurisdiction; see `errors`."
        return Problem("use_incomplete", words, errors=faults)
    return Problem("request_invalid", "The fields in `errors` cannot be used.", errors=faults)


def _check_media_type(request: Request) -> None:
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem("media_type_unsupported", "Send the header `Content-Type: application/json`.")


async def _read(request: Request, most: int) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise Problem("body_too_large", f"A body has at most {most} bytes; ask for fewer people at a time.", headers={"Connection": "close"})
    return bytes(content)


def _faults(error: ValidationError, model: type[BaseModel]) -> list[dict[str, str]]:
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    listed = [_fault(fault, model) for fault in faults[:_MOST_FAULTS]]
    if len(faults) > _MOST_FAULTS:
        listed.append({"field": "body", "message": f"and {len(faults) - _MOST_FAULTS} more faults"})
    return listed


def _fault(fault: Any, model: type[BaseModel]) -> dict[str, str]:
    """Return a fault with the field's place; the name of an unknown field is the caller's own text, so it is not repeated."""
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        place = ".".join(str(part) for part in fault["loc"][:-1])
        known = list(_model_at(model, fault["loc"][:-1]).model_fields)
        close = difflib.get_close_matches(str(fault["loc"][-1]), known, n=1)
        hint = f"; did you mean `{close[0]}`?" if close else ""
        return {"field": place or "body", "message": f"there is a field that is not known; allowed: {', '.join(known)}{hint}"}
    return {"field": place or "body", "message": str(fault["msg"]).removeprefix("Value error, ")}


def _model_at(model: type[BaseModel], path: Sequence[str | int]) -> type[BaseModel]:
    """Return the model that stands at a place in the body, such as that of `use` or of each of `events`."""
    for part in path:
        if isinstance(part, str):
            annotation = model.model_fields[part].annotation
            model = next(each for each in (annotation, *get_args(annotation)) if isinstance(each, type) and issubclass(each, BaseModel))
    return model
