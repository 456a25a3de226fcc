"""`/console`: the auditor signs in with a key, finds a person, and reads why each score is what it is. Every view is recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Depends, Request, Response

from features.vocabulary import LANGUAGES, Language
from serving.access import check
from serving.answering import answer_scores, recorded, told_of
from serving.audit import Answer
from serving.console.forms import check_form, read_form
from serving.console.pages import HEADERS, STYLE, page, see_other
from serving.console.views import person_view, score_labels
from serving.keys import Key, find
from serving.problems import Problem
from serving.routes.models import models_answer, summary
from serving.schemas import ScoreAnswer, ScoreRequest
from serving.server import Server, new_answer_id, now, server_of
from serving.sessions import close_session, find_session, form_token, open_session, random_token

router = APIRouter(prefix="/console", include_in_schema=False)

SESSION, FORM = "audience_session", "audience_form"
_REASONS = 8
_LONGEST_ID = 319
Form = Annotated[dict[str, str], Depends(read_form)]


class SignedOut(Exception):  # noqa: N818 (no error: the visitor is sent to the page where they sign in)
    """The visitor is not signed in."""


def auditor(request: Request) -> Key:
    """Return the key of the signed-in auditor. Raises SignedOut."""
    key = find_session(server_of(request).store, request.cookies.get(SESSION, ""), now=now())
    if key is None:
        raise SignedOut
    request.state.key = key
    return key


Auditor = Annotated[Key, Depends(auditor)]


@router.get("")
def index() -> Response:
    """Send the visitor to the first page."""
    return see_other("/console/people")


@router.get("/style.css")
def style() -> Response:
    """Return the styles."""
    return Response(STYLE, media_type="text/css", headers={**HEADERS, "Cache-Control": "no-cache"})


@router.get("/login")
def login_page(request: Request) -> Response:
    """Show where to sign in."""
    return _login_page(request, None)


@router.post("/login")
def login(request: Request, form: Form) -> Response:
    """Sign in with a key that has the scope `audit`."""
    check_form(request, form, request.cookies.get(FORM, ""))
    server = server_of(request)
    try:
        key = check(find(server.store, form.get("key", "").strip()), ("audit",))
    except Problem as problem:
        _record(server, "POST /console/login", problem.status, None, problem.code)
        return _login_page(request, problem)
    _record(server, "POST /console/login", 303, key)
    answer = see_other("/console/people")
    token = open_session(server.store, key, now=now(), minutes=server.settings.session_minutes)
    _set_cookie(request, answer, SESSION, token, seconds=server.settings.session_minutes * 60)
    answer.delete_cookie(FORM, path="/console")
    return answer


@router.post("/logout")
def logout(request: Request, form: Form, key: Auditor) -> Response:
    """Sign out."""
    cookie = request.cookies.get(SESSION, "")
    check_form(request, form, cookie)
    _record(server_of(request), "POST /console/logout", 303, key)
    close_session(server_of(request).store, cookie)
    answer = see_other("/console/login")
    answer.delete_cookie(SESSION, path="/console")
    return answer


@router.get("/people")
def people(request: Request, key: Auditor) -> Response:
    """Show where to find a person."""
    server = server_of(request)
    return page("find.html", **_frame(request, key, "people"), **_finder(server, "", server.workspace.settings.language, ""), fault=None)


@router.post("/people")
def person(request: Request, form: Form, key: Auditor) -> Response:
    """Show one person's scores; the id is in the body only."""
    check_form(request, form, request.cookies.get(SESSION, ""))
    server, loaded = server_of(request), server_of(request).reloader.current
    identifier = form.get("person", "").strip()
    language = _language(form.get("language"), server.workspace.settings.language)
    uses = server.workspace.permission.uses
    use = form.get("use", "")
    fault = None
    if not 0 < len(identifier) <= _LONGEST_ID:
        fault = f"Give a person's id of 1 to {_LONGEST_ID} characters, such as van:123."
    elif loaded.vectors is None:
        fault = "No vectors are loaded yet: " + "; ".join(loaded.faults)
    elif use not in uses:
        fault = "Say what the scores are for: choose a use. Uses are declared in audience.toml, under [uses.NAME]."
    if fault is not None:
        _record(server, "POST /console/people", 422, key, "request_invalid")
        return page("find.html", 422, **_frame(request, key, "people"), **_finder(server, identifier, language, use), fault=fault)
    names = loaded.scores
    asked = ScoreRequest.model_construct(people=[identifier], scores=list(names), use=uses[use], explain=_REASONS, language=language, individual=True)

    def made() -> tuple[ScoreAnswer, Answer]:
        answer = answer_scores(server, loaded, asked)
        decisions = server.audit.decisions(answer.results, list(names))
        told = Answer(answer.answer_id, answer.scored_at, "console", "POST /console/people", 200, key.key_id, None, list(names), answer.as_of, 1, decisions)
        return answer, replace(told, basis=answer.permission, targeting=server.registrar.targeting(loaded, asked.use, list(names), at=answer.scored_at))

    requests = server.audit.requests_about(identifier)
    try:
        answer = recorded(server, made)
    except Problem as problem:
        server.record(told_of(Answer(new_answer_id(), now(), "console", "POST /console/people", problem.status, key.key_id, problem.code), problem))
        return page("find.html", problem.status, **_frame(request, key, "people"), **_finder(server, identifier, language, use), fault=problem.detail)
    rules = {name: bands.rule for name, bands in loaded.for_use(uses[use]).bands.items()}
    labels = score_labels(names, loaded.vocabulary, language)
    view = person_view(answer, labels, rules, requests, days=loaded.settings.scores_valid_days)
    return page("person.html", **_frame(request, key, "people"), **_finder(server, identifier, language, use), view=view)


@router.get("/models")
def models(request: Request, key: Auditor) -> Response:
    """List the models that score now, and those that were refused."""
    server = server_of(request)
    _record(server, "GET /console/models", 200, key)
    loaded = server.reloader.current
    return page("models.html", **_frame(request, key, "models"), answer=models_answer(loaded), faults=loaded.faults, vectors=loaded.vectors)


@router.get("/models/{name}/{version}")
def model(request: Request, name: str, version: str, key: Auditor) -> Response:
    """Show one model's card."""
    server, loaded = server_of(request), server_of(request).reloader.current
    champion = loaded.champions.get(name)
    if champion is None or champion.version != version:
        raise Problem("not_found", "No such model scores now; the page of models lists those that do.")
    _record(server, "GET /console/models/{name}/{version}", 200, key)
    labels = score_labels(loaded.scores, loaded.vocabulary, server.workspace.settings.language)
    return page("model.html", **_frame(request, key, "models"), model=summary(loaded, champion), labels=labels)


def _login_page(request: Request, problem: Problem | None) -> Response:
    server = server_of(request)
    cookie = request.cookies.get(FORM) or random_token()
    answer = page(
        "login.html", problem.status if problem else 200, workspace=server.workspace.settings.name, form_token=form_token(server.key, cookie), problem=problem
    )
    _set_cookie(request, answer, FORM, cookie, seconds=3600)
    return answer


def _finder(server: Server, person: str, language: Language, use: str) -> dict[str, Any]:
    """Return what the form that finds a person shows."""
    return {"person": person, "language": language, "use": use, "uses": list(server.workspace.permission.uses)}


def _frame(request: Request, key: Key, here: str) -> dict[str, Any]:
    """Return what every page of a signed-in auditor shows around its content."""
    server = server_of(request)
    token = form_token(server.key, request.cookies.get(SESSION, ""))
    return {"workspace": server.workspace.settings.name, "auditor": key.name, "here": here, "form_token": token, "languages": LANGUAGES}


def _record(server: Server, route: str, status: int, key: Key | None, code: str | None = None) -> None:
    server.record(Answer(new_answer_id(), now(), "console", route, status, key.key_id if key else None, code))


def _set_cookie(request: Request, answer: Response, name: str, value: str, *, seconds: int) -> None:
    answer.set_cookie(name, value, max_age=seconds, path="/console", httponly=True, samesite="strict", secure=request.url.scheme == "https")


def _language(given: str | None, default: Language) -> Language:
    return given if given in get_args(Language) else default  # type: ignore[return-value]
