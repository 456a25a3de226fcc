"""Who may ask: the bearer key of a request, checked against the store at every request so that a revoked key fails at once."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request, Security
from fastapi.security import HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param

from serving.keys import Key, Scope, find
from serving.problems import Problem, key_problem
from serving.server import server_of

_BEARER = Security(HTTPBearer(auto_error=False, description="A key made with `audience key create`"))


def check(key: Key | None, scopes: tuple[Scope, ...]) -> Key:
    """Return the key if it stands and has one of the scopes. Raises Problem."""
    if key is None:
        raise key_problem("key_unknown", "No key has this secret; `audience key create` makes one.")
    if key.revoked_at is not None:
        raise key_problem("key_revoked", "This key was revoked; ask for another one.")
    if not key.scopes.intersection(scopes):
        raise Problem("scope_missing", f"This needs a key with the scope {' or '.join(scopes)}; this one has {', '.join(sorted(key.scopes))}.")
    return key


def require(*scopes: Scope) -> Callable[..., Key]:
    """Return the dependency that lets through a request whose key has one of the scopes, and gives that key."""

    def checked(request: Request, _scheme: object = _BEARER) -> Key:
        scheme, secret = get_authorization_scheme_param(request.headers.get("Authorization"))
        if scheme.lower() != "bearer" or not secret.strip():
            raise key_problem("key_missing", "Send the header `Authorization: Bearer <key>`.")
        key = find(server_of(request).store, secret.strip())
        request.state.key = key
        return check(key, scopes)

    return checked
