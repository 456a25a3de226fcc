"""One line and two numbers per request, by route and never by address: an address that a caller mistyped may name a person."""

from __future__ import annotations

import logging
import time
import traceback

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.problems import Problem

_log = logging.getLogger("audience.requests")
NO_ROUTE = "(none)"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

REQUESTS = Counter("audience_requests", "Requests answered.", ("method", "route", "status"))
SECONDS = Histogram("audience_request_seconds", "Time to answer.", ("route",), buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30))


def show_log() -> None:
    """Write what the server has to say to standard error: loads, faults, and one line per request."""
    log = logging.getLogger("audience")
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False


class Observed:
    """ASGI middleware: counts and times requests, and turns an unforeseen exception into a 500 whose log line holds no values."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, observed_send)
        except Exception as error:  # noqa: BLE001 (the last net: whatever it is, the caller gets a problem document)
            # neither the message nor the arguments: they may hold a person id
            _log.error("unforeseen %s at\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
            if not status:
                await Problem("internal", "An unforeseen error; the server's log says where.").response()(scope, receive, observed_send)
        _note(scope, status, time.perf_counter() - begun)


def _note(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", NO_ROUTE)
    method = scope["method"] if scope["method"] in _METHODS else "OTHER"
    REQUESTS.labels(method, route, str(status)).inc()
    SECONDS.labels(route).observe(seconds)
    _log.info("%s %s %d %.1f ms", method, route, status, seconds * 1000)
