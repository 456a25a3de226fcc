"""Forms of the console: small urlencoded bodies, each tied to the browser's cookie by a token."""

from __future__ import annotations

from urllib.parse import parse_qsl

from fastapi import Request

from serving.problems import Problem
from serving.server import server_of
from serving.sessions import form_token_matches

_MOST_BYTES = 16_384
_MOST_FIELDS = 20


async def read_form(request: Request) -> dict[str, str]:
    """Return the form's fields. Raises Problem: 413, 415 or 422."""
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise Problem("media_type_unsupported", "This address takes the form of its page.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise Problem("body_too_large", f"A form has at most {_MOST_BYTES} bytes.", headers={"Connection": "close"})
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"))
    except ValueError:
        raise Problem("request_invalid", "The form cannot be read.") from None


def check_form(request: Request, form: dict[str, str], cookie: str) -> None:
    """Raise Problem unless the form's token belongs to the cookie: another site can send a form, but not read a token."""
    if not cookie or not form_token_matches(server_of(request).key, cookie, form.get("form_token", "")):
        raise Problem("form_expired", "Load the page again and send the form once more.")
