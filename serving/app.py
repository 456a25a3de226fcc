"""The FastAPI application: routes, problems as problem+json, and the server's life from start to end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from features.database.store import StoreError
from serving.access_schemas import AccessRequest, ErasuresRequest
from serving.aggregate_schemas import AggregateRequest
from serving.answering import told_of
from serving.audit import Answer
from serving.console.pages import page, see_other
from serving.described import declare_requests
from serving.observing import Observed
from serving.permission_schemas import ConsentsRequest, ObjectionRequest, PermissionRequest
from serving.problems import Problem
from serving.routes import access, aggregates, console, erasures, health, models, people, permissions, register, scores
from serving.schemas import ScoreRequest
from serving.server import Server, new_answer_id, now, server_of
from serving.settings import Settings

_TITLE = "Audience scoring"
_DESCRIPTION = "Calibrated topic affinity and honest persuadability of people, with exact reasons. Errors are `application/problem+json` with a code."
_GUARDED = ("/v1/", "/console")


def create_app(settings: Settings) -> FastAPI:
    """Return the application; the workspace is opened when it starts, not before, so that it can be built where there is none."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        server = Server.open(settings)
        app.state.server = server
        server.reloader.start()
        server.checkpointer.start()
        try:
            yield
        finally:
            await run_in_threadpool(server.reloader.stop)
            await run_in_threadpool(server.checkpointer.stop)
            server.store.close()

    app = FastAPI(title=_TITLE, version="1", description=_DESCRIPTION, docs_url=None, redoc_url=None, lifespan=lifespan, redirect_slashes=False)
    for route in (scores, aggregates, permissions, people, access, erasures, register, models, health, console):
        app.include_router(route.router)
    app.add_middleware(Observed)
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(StoreError, _answer_problem)
    app.add_exception_handler(HTTPException, _answer_problem)
    app.add_exception_handler(RequestValidationError, _answer_problem)
    app.add_exception_handler(console.SignedOut, _show_login)
    declare_requests(app, (ScoreRequest, AggregateRequest, PermissionRequest, ConsentsRequest, ObjectionRequest, AccessRequest, ErasuresRequest))
    return app


async def _answer_problem(request: Request, error: Exception) -> Response:
    """Return the problem, recorded first where a key guards the route: refusals are answers too."""
    problem = _problem(error)
    route = getattr(request.scope.get("route"), "path", "")
    if route.startswith(_GUARDED):
        key = getattr(request.state, "key", None)
        door = "console" if route.startswith("/console") else "api"
        answer = told_of(Answer(new_answer_id(), now(), door, f"{request.method} {route}", problem.status, key.key_id if key else None, problem.code), problem)
        try:
            await run_in_threadpool(server_of(request).record, answer)
        except Problem as unrecorded:
            problem = unrecorded
    return page("problem.html", problem.status, problem=problem) if request.url.path.startswith("/console") else problem.response()


async def _show_login(_request: Request, _error: Exception) -> Response:
    return see_other("/console/login")


def _problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, StoreError):
        return Problem("store_unavailable", str(error))
    if isinstance(error, HTTPException) and error.status_code == 404:
        return Problem("not_found", "The addresses are in /openapi.json.")
    if isinstance(error, HTTPException) and error.status_code == 405:
        return Problem("method_not_allowed", "The methods of each address are in /openapi.json.", headers=error.headers)
    return Problem("request_invalid", "The request cannot be read.")
