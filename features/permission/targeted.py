"""Which way of targeting the register says last: one that was left and taken up again is written anew, or a notice would tell of the one between."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from features.database.chain import canonical
from features.database.schema import REGISTER
from features.permission.register import Register
from features.permission.targeting import Targeting


def register_targeting(register: Register, connection: Connection, way: Targeting, *, now: datetime) -> None:
    """Write the entry in a serial transaction, unless what the register says last of the campaign is the same already."""
    said: dict[Hashable, str] = {}
    for body in _of_campaign(connection, way.body["campaign"]):
        said |= stated(body)
    if any(said.get(about) != value for about, value in stated(way.body).items()):
        register.write(connection, "targeting", way.body, now=now, digest=way.digest)


def stated(body: Mapping[str, Any]) -> dict[Hashable, str]:
    """Return what an entry says (canonical JSON), by what it is about: of two entries on a campaign, the later is what holds of each such thing.

    That is the way itself (activity, use and scores), and whatever a notice tells by the latest entry alone.
    """
    use = canonical(body["use"])
    said: dict[Hashable, Any] = {(body["activity"], use, *body["parameters"]["scores"]): body, ("sources", use): body["sources"]}
    said |= {name: body[name] for name in ("dpia", "risk_assessment", "ai")}
    said |= {("model", each["model"]): each["digest"] for each in body["techniques"]}
    return {about: canonical({"says": value}) for about, value in said.items()}


def _of_campaign(connection: Connection, campaign: str | None) -> list[dict[str, Any]]:
    """Return what the entries on a campaign's targeting say, in their order."""
    named = REGISTER.c.body.contains(canonical({"campaign": campaign})[1:-1], autoescape=True)
    texts = connection.execute(select(REGISTER.c.body).where(REGISTER.c.kind == "targeting", named).order_by(REGISTER.c.seq)).scalars()
    return [body for body in map(json.loads, texts) if body["campaign"] == campaign]
