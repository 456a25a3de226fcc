"""From a request for everything that is held of a person to the answer that may leave: in the log first, then as JSON, a page, or a PDF."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Literal, get_args

from features.vocabulary import Language, Vocabulary
from serving.access_document import document
from serving.access_html import html
from serving.access_pdf import pdf
from serving.access_schemas import HELD_DATA, HeldData
from serving.audit import ACCESS, ALLOWED, Answer, Decision
from serving.held_data import Records, held_data
from serving.server import new_answer_id

Format = Literal["json", "html", "pdf", "jsonld"]
FORMATS: tuple[Format, ...] = get_args(Format)
MEDIA_TYPES: dict[Format, str] = {"json": "application/json", "html": "text/html", "pdf": "application/pdf", "jsonld": "application/ld+json"}
Record = Callable[[Answer], None]


def told(
    records: Records, person: str, *, at: datetime, language: Language | None, door: str, route: str, record: Record, key_id: str | None = None
) -> HeldData:
    """Return what is held of a person once the answer is in the log, without any of it there: that somebody asked, and whom it was about by token.

    Raises what `held_data` raises, and what `record` does: then nothing may be told.
    """
    answer_id, at = new_answer_id(), records.permission.now(at)
    data = replace(held_data(records, person, at=at, language=language), answer_id=answer_id)
    about = [] if data.token is None else [Decision(f"{answer_id}-0", data.token, ACCESS, ALLOWED)]
    record(Answer(answer_id, at, door, route, 200, key_id, people=1, decisions=about))
    return data


def written(data: HeldData, form: Format, vocabulary: Vocabulary) -> bytes:
    """Return the answer in its form; `jsonld` is the person's consent records alone. Raises PdfError."""
    if form == "json":
        return HELD_DATA.dump_json(data, indent=1)
    if form == "jsonld":
        return json.dumps(data.consents or {"@graph": []}, indent=1, ensure_ascii=False).encode()
    whole = document(data, vocabulary)
    return pdf(whole) if form == "pdf" else html(whole).encode()
