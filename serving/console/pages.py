"""Pages from templates, with the headers that keep everything from outside out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup
from starlette.responses import Response

from serving.console.views import average_words, moment

_FOLDER = Path(__file__).parent
STYLE = (_FOLDER / "style.css").read_bytes()
HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def render_markdown(words: str) -> Markup:
    """Return Markdown as HTML; HTML inside it is shown as text, images are left out."""
    return Markup(_markdown.render(words))  # noqa: S704 (the renderer escapes everything it is given)


_environment = Environment(
    loader=FileSystemLoader(_FOLDER / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False
)
_environment.filters |= {"average": average_words, "moment": moment, "markdown": render_markdown}


def page(template: str, status: int = 200, **values: Any) -> Response:
    """Return a template as an HTTP response; values are escaped unless they are `Markup`."""
    body = _environment.get_template(template).render(**values)
    return Response(body, status, headers=dict(HEADERS), media_type="text/html")


def see_other(address: str) -> Response:
    """Return a redirect that a browser follows with GET."""
    return Response(status_code=303, headers={**HEADERS, "Location": address})
