"""What the OpenAPI document says of requests and problems: bodies are read by a dependency of ours, which FastAPI cannot see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from serving.schemas import ProblemDocument

_REF = "#/components/schemas/{model}"
_WORDS = {
    401: "no key, or one that does not stand",
    403: "the key has another scope, or a law pack forbids the use",
    404: "there is nothing of that name",
    413: "body too large",
    415: "not JSON",
    422: "a field cannot be used",
    501: "what this needs was not installed with this server",
    451: "a law pack forbids the use altogether",
    503: "nothing is loaded yet, the ledger cannot be reached, or the answer could not be recorded",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the problems that a route may answer with, as its `responses`."""
    return {status: {"model": ProblemDocument, "description": _WORDS[status]} for status in statuses}


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return a route's `openapi_extra` that names its body."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": {"$ref": _REF.format(model=model.__name__)}}}}}


def declare_requests(app: FastAPI, models: Iterable[type[BaseModel]]) -> None:
    """Add the schemas of the bodies to the application's OpenAPI document."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document["components"]["schemas"]
        for model in models:
            schema = model.model_json_schema(ref_template=_REF)
            for name, part in schema.pop("$defs", {}).items():
                schemas.setdefault(name, part)
            schemas.setdefault(model.__name__, schema)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
