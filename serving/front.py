"""Ahead of BentoML's own addresses: every request goes to our application, so that all answers, 404 and health included, are ours."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class Front:
    """ASGI middleware that answers HTTP with `ours` and leaves everything else (the lifespan) to BentoML.

    BentoML has pages of its own at `/`, `/schema.json`, `/healthz`, `/livez`, `/readyz` and `/metrics`: an index that loads assets
    from outside, errors that are no problem documents, and metrics labelled with the raw address, which a caller's mistake could
    fill with person ids.
    """

    def __init__(self, app: ASGIApp, ours: ASGIApp) -> None:
        self.app = app
        self.ours = ours

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        await (self.ours if scope["type"] == "http" else self.app)(scope, receive, send)
