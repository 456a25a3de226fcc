"""What the routes share: the workspace, the store, the audit log and what is loaded."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import cast

from anyio import CapacityLimiter
from starlette.requests import HTTPConnection

from features.database.store import Store
from features.permission.declared import declare
from features.permission.live import Permission
from features.permission.opening import opened
from features.permission.register import Register
from features.workspace import Workspace
from serving.aggregates import Aggregates
from serving.audit import Answer, AuditError, AuditLog
from serving.checkpointing import Checkpointer
from serving.problems import Problem
from serving.registering import Registrar
from serving.reloading import Reloader
from serving.settings import Settings


@dataclass(frozen=True)
class Server:
    """The parts of one running server; it hangs on the application's state."""

    settings: Settings
    workspace: Workspace
    store: Store
    audit: AuditLog
    reloader: Reloader
    permission: Permission
    checkpointer: Checkpointer
    aggregates: Aggregates
    key: bytes
    register: Register
    registrar: Registrar
    erasing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    """One erasure at a time: those that wait take no thread from answers."""

    @classmethod
    def open(cls, settings: Settings) -> Server:
        """Return the parts for a workspace, its log made a chain if it was none, and what it declares in the register.

        Raises WorkspaceError, VocabularyError or StoreError.
        """
        workspace = Workspace.open(settings.workspace)
        store = opened(workspace, settings.database_url)
        key = workspace.signing_key()
        permission = Permission(workspace, store)
        reloader = Reloader(workspace, permission, threads=settings.threads, every_seconds=settings.reload_seconds)
        audit = AuditLog(store, key)
        audit.begin()
        register = Register(store, key)
        declare(register, workspace.vocabulary, workspace.permission, now=now())
        checkpointer, aggregates = Checkpointer(workspace, store, key, now=now), Aggregates(permission, workspace.aggregates)
        return cls(settings, workspace, store, audit, reloader, permission, checkpointer, aggregates, key, register, Registrar(permission))

    def record(self, answer: Answer, *, again: Callable[[], Answer] | None = None) -> None:
        """Write an answer to the audit log, with what the organisation has done before; `again` as of `AuditLog.record`.

        Raises Problem `audit_unavailable`: then the answer must not leave.
        """

        def stated(answer: Answer) -> Answer:
            return replace(answer, preconditions=self.permission.settings.preconditions)

        try:
            if again is None:
                self.audit.record(stated(answer))
            else:
                self.audit.record(stated(answer), again=lambda: stated(again()))
        except AuditError as error:
            raise Problem("audit_unavailable", str(error)) from error


def server_of(connection: HTTPConnection) -> Server:
    """Return the server that a request came to."""
    return cast("Server", connection.app.state.server)


def now() -> datetime:
    """Return the time of the clock, in UTC: the one place where the server reads it."""
    return datetime.now(UTC)


def new_answer_id() -> str:
    """Return 128 random bits as hex: the name of an answer."""
    return secrets.token_hex(16)
