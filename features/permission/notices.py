"""From a workspace and its store to a public notice and to the record of processing: the I/O of `notice` and `processing`."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select

from features.database.schema import EXPORTS
from features.database.store import Store
from features.history import History
from features.permission.labels import labels
from features.permission.notice import notice
from features.permission.notice_page import as_html, as_markdown
from features.permission.processing import processing
from features.permission.reach import reached
from features.permission.register import Register
from features.permission.settings import PermissionSettings
from features.permission.targeting import source_kinds
from features.vocabulary import Language, Vocabulary
from features.workspace import Workspace

Format = Literal["json", "html", "md"]


def notice_of(register: Register, permission: PermissionSettings, campaign: str, *, now: datetime) -> dict[str, Any]:
    """Return the notice of a campaign as of now. Raises NoticeError or StoreError."""
    return notice(campaign, register.entries("targeting"), reached(register.store, campaign), permission, made_at=now)


def written(made: dict[str, Any], vocabulary: Vocabulary, form: Format, language: Language) -> str:
    """Return a notice as text: JSON, which is the same in every language, or words in that one."""
    if form == "json":
        return json.dumps(made, ensure_ascii=False, indent=2) + "\n"
    named = labels(vocabulary, made["targeting"]["groups"]["jurisdictions"], language)
    return as_html(made, language, named) if form == "html" else as_markdown(made, language, named)


def record_of(workspace: Workspace, store: Store) -> dict[str, Any]:
    """Return the record of processing as of now. Raises StoreError or HistoryError."""
    with store.read() as connection:
        rows = connection.execute(select(EXPORTS.c.recipient, EXPORTS.c.outside).distinct().order_by(EXPORTS.c.recipient, EXPORTS.c.outside)).all()
    sources = History(workspace.tables, workspace.vocabulary).read("sources", columns=["type", "collected_how"])
    return processing(
        workspace.vocabulary,
        workspace.permission,
        sources=source_kinds(sources.column("type").to_pylist(), sources.column("collected_how").to_pylist()),
        recipients=[{"recipient": row.recipient, "outside": row.outside} for row in rows],
        scores_valid_days=workspace.settings.scores_valid_days,
        name=workspace.settings.name,
    )
