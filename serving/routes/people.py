"""`POST /v1/people/consents` and `POST /v1/people/objections`: what people say of the use of their data, in force before the answer leaves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from features.permission.ledger import Event, LedgerError
from features.permission.ledger import check as check_event
from features.permission.unknown import unknown
from serving.access import require
from serving.audit import Answer
from serving.body import body
from serving.described import body_of, problems
from serving.keys import Key
from serving.permission_schemas import RECORDED_ANSWER, ConsentsRequest, ObjectionRequest, RecordedAnswer
from serving.permitting import channel_fault
from serving.problems import Problem
from serving.server import Server, new_answer_id, now, server_of

router = APIRouter(prefix="/v1/people", tags=["people"])
_RESPONSES = {200: {"model": RecordedAnswer, "description": "what became of it"}, **problems(401, 403, 413, 415, 422, 503)}
People = Annotated[Key, Depends(require("people"))]


@router.post("/consents", response_class=Response, openapi_extra=body_of(ConsentsRequest), responses=_RESPONSES)
def post_consents(request: Request, key: People, asked: Annotated[ConsentsRequest, Depends(body(ConsentsRequest))]) -> Response:
    """Record what people said: consents, refusals, withdrawals, objections, expiries. All or nothing, and in force in the very next answer."""
    at = now()
    events = [each.recorded(at) for each in asked.events]
    server = server_of(request)
    _check(server, events, [f"events.{number}." for number in range(len(events))], server.permission.now(at))
    return _record(server, key, "POST /v1/people/consents", events, at)


@router.post("/objections", response_class=Response, openapi_extra=body_of(ObjectionRequest), responses=_RESPONSES)
def post_objections(request: Request, key: People, asked: Annotated[ObjectionRequest, Depends(body(ObjectionRequest))]) -> Response:
    """Record that a person objects; no reason is asked. In force in the very next answer."""
    at = now()
    events = [Event(asked.person, "objected", asked.purpose, asked.channel, at)]
    server = server_of(request)
    _check(server, events, [""], server.permission.now(at))
    return _record(server, key, "POST /v1/people/objections", events, at)


def _check(server: Server, events: Sequence[Event], places: Sequence[str], at: datetime) -> None:
    """Raise Problem with the places of the events that cannot be recorded."""
    faults = []
    for place, event in zip(places, events, strict=True):
        wrong = channel_fault(event.channel, server.workspace.vocabulary)
        if wrong is not None:
            faults.append({"field": f"{place}channel", "message": wrong})
            continue
        try:
            check_event(event, at)
        except LedgerError as error:
            faults.append({"field": place.rstrip(".") or "body", "message": str(error)})
    if faults:
        raise Problem("request_invalid", "The fields in `errors` cannot be used; nothing was recorded.", errors=faults[:20])


def _record(server: Server, key: Key, route: str, events: Sequence[Event], at: datetime) -> Response:
    people, permission = {event.person for event in events}, server.permission
    found = permission.ledger.append(events, now=at, door="http")
    nobody = unknown(permission.history, permission.ledger, people)
    answer = RecordedAnswer(new_answer_id(), found.stored, found.duplicate, found.erased, nobody, found.last)
    server.record(Answer(answer.answer_id, at, "api", route, 200, key.key_id, people=len(people), ledger=found.last))
    return Response(RECORDED_ANSWER.dump_json(answer), media_type="application/json", headers={"Cache-Control": "no-store"})
