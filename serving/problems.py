"""Errors as `application/problem+json` (RFC 9457), each with a code of a fixed list."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

if TYPE_CHECKING:
    from features.permission.use import Activity
    from serving.schemas import PermissionBasis

MEDIA_TYPE = "application/problem+json"

CODES: dict[str, tuple[int, str]] = {
    "key_missing": (401, "A bearer key is needed"),
    "key_unknown": (401, "This key is not known"),
    "key_revoked": (401, "This key was revoked"),
    "scope_missing": (403, "This key may not do that"),
    "groups_only": (403, "This use is about groups, and about nobody in person"),
    "aggregate_is_default": (403, "On behalf of a political actor online, groups are asked about unless people in person are asked for"),
    "audience_too_small": (403, "Too few people to tell anything about"),
    "scores_expired": (409, "The scores' time is over"),
    "form_expired": (403, "This form has expired"),
    "not_found": (404, "There is nothing here"),
    "method_not_allowed": (405, "This address does not take that method"),
    "body_too_large": (413, "The body is too large"),
    "media_type_unsupported": (415, "The body must be JSON"),
    "request_invalid": (422, "The request cannot be used"),
    "use_incomplete": (422, "The use is not stated in full"),
    "internal": (500, "The server failed"),
    "not_installed": (501, "This server was built without that"),
    "not_ready": (503, "The server has nothing to score with yet"),
    "store_unavailable": (503, "The store cannot be reached"),
    "audit_unavailable": (503, "The answer could not be recorded"),
    "erasing_unfinished": (503, "The erasure is in force, and not finished"),
}
"""code: (HTTP status, title)."""


_FORBIDDEN = "The law pack forbids this use"


@dataclass(frozen=True, slots=True)
class Refused:
    """What a use was refused on, for the log alone: use, law and tables, what was to be done, and with how many people."""

    basis: PermissionBasis
    activity: Activity
    people: int
    also: Sequence[str] = ()


class Problem(Exception):  # noqa: N818 (the RFC's word)
    """An answer that is an error: a code, what went wrong in words that hold no personal value, and further members.

    The code is one of `CODES`, or, with the `status` it gives, one of a law pack's rules. `refused` goes into the log, where it is a use that is refused.
    """

    def __init__(
        self, code: str, detail: str, *, headers: Mapping[str, str] | None = None, status: int | None = None, refused: Refused | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.refused = refused
        self._status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members

    @property
    def status(self) -> int:
        """The HTTP status of the code."""
        return CODES[self.code][0] if self._status is None else self._status

    @property
    def title(self) -> str:
        """The code's title, the same for every occurrence."""
        return CODES[self.code][1] if self._status is None else _FORBIDDEN

    def document(self) -> dict[str, Any]:
        """Return the members of the problem+json document."""
        head = {"type": f"urn:audience-scoring:problem:{self.code}", "title": self.title, "status": self.status, "code": self.code, "detail": self.detail}
        return head | self.members

    def response(self) -> Response:
        """Return the problem as an HTTP response."""
        body = json.dumps(self.document(), ensure_ascii=False).encode()
        return Response(body, self.status, headers={"Cache-Control": "no-store", **self.headers}, media_type=MEDIA_TYPE)


def key_problem(code: str, detail: str) -> Problem:
    """Return a 401 problem with the header that names the scheme."""
    return Problem(code, detail, headers={"WWW-Authenticate": 'Bearer realm="audience-scoring"'})
