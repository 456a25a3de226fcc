"""The public notice of a campaign's online targeting (rule L27), as data: from the register, counts of the log, and what the organisation says (pure).

Names follow the headings of Regulation (EU) 2024/900, articles 12 and 19, as regulators' pages tell them. The exact form of Implementing Regulation (EU)
2025/1410 was not read, and is not claimed. What is not known is null, and named in `missing`: nothing is made up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from features.database.chain import canonical
from features.permission.notice_settings import NoticeSettings, Party
from features.permission.packs import load_pack
from features.permission.reach import Reached
from features.permission.register import Entry
from features.permission.settings import PermissionSettings
from features.permission.use import Use

FORMAT = "audience-scoring notice 1"
FLOOR = 50
"""Counts of fewer people are told as "fewer than 50": rule L32's floor."""
NEEDED: Mapping[str, str] = {
    "sponsor.name": "sponsor",
    "sponsor.address": "address",
    "sponsor.contact": "contact",
    "controlling_entity.name": "controlling_entity",
    "election_or_process": "election_or_process",
    "funding_origin": "funding_origin",
    "period.stated_from": "period_from",
    "period.stated_until": "period_until",
    "amounts.stated": "amounts",
    "amounts.how_computed": "amounts_computed",
    "repositories": "repositories",
    "reporting": "reporting",
    "suspension": "suspension",
    "internal_policy": "policy",
    "rights.contact": "rights_contact",
    "risk_assessment.date": "risk_assessment",
    "risk_assessment.url": "risk_assessment_url",
    "dpia": "dpia",
}
"""What a notice needs, by path, and the key of its words; each that is empty stands in `missing`."""


class NoticeError(ValueError):
    """There is nothing to make a notice of; the message says what is known."""


def of_campaign(entries: Sequence[Entry], campaign: str) -> list[Entry]:
    """Return the entries on the targeting of a campaign, in their order, of any age."""
    return [entry for entry in entries if entry.kind == "targeting" and entry.body["campaign"] == campaign]


def notice(campaign: str, entries: Sequence[Entry], reached: Sequence[Reached], permission: PermissionSettings, *, made_at: datetime) -> dict[str, Any]:
    """Return the notice of a campaign as JSON-able values.

    `entries` are the register's on targeting, those of other campaigns are left out; `reached` is what the log counts for this one. Raises NoticeError where
    the register has no entry on the campaign.
    """
    theirs = of_campaign(entries, campaign)
    if not theirs:
        known = sorted({str(entry.body["campaign"]) for entry in entries if entry.kind == "targeting" and entry.body["campaign"]})
        raise NoticeError(f"the register has no entry on targeting for campaign {campaign!r}; campaigns there: {', '.join(known) or 'none'}")
    bodies, stated = [entry.body for entry in theirs], permission.notices.get(campaign, NoticeSettings())
    made: dict[str, Any] = {
        "format": FORMAT,
        "campaign": campaign,
        "made_at": made_at.isoformat(timespec="seconds"),
        "political_advertisement": any(body["political"] for body in bodies),
        "sponsor": {"types": _distinct(body["use"]["sponsor_type"] for body in bodies), **_party(stated.sponsor)},
        "controlling_entity": _party(stated.controlling_entity or Party()),
        "election_or_process": stated.election_or_process,
        "funding_origin": stated.funding_origin,
        "amounts": {"stated": stated.amounts, "how_computed": stated.amounts_computed},
        "period": _period(stated, theirs, reached),
        "repositories": list(stated.repositories),
        "reporting": stated.reporting,
        "suspension": stated.suspension,
        "targeting": _targeting(bodies),
        "reach": [_reach(each) for each in reached],
        "law": _distinct(body["law"] for body in bodies),
        "internal_policy": stated.policy,
        "risk_assessment": {"date": bodies[-1]["risk_assessment"], "url": permission.risk_assessment_url},
        "dpia": bodies[-1]["dpia"],
        "legal_basis": _legal_basis(theirs),
        "rights": {"contact": stated.rights_contact, "data_protection_officer": permission.processing.data_protection_officer},
        "register": [{"entry": entry.entry_id, "since": entry.at.isoformat(timespec="seconds")} for entry in theirs],
    }
    return made | {"missing": [path for path in NEEDED if not _at(made, path)]}


def small(number: int) -> dict[str, int | None]:
    """Return a count of people as it is told: the `number`, or null where it is `fewer_than` the floor."""
    return {"number": number, "fewer_than": None} if number >= FLOOR else {"number": None, "fewer_than": FLOOR}


def _targeting(bodies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what all entries of a campaign say together; of sources and of what counts most, what the latest says."""
    categories: dict[str, set[str]] = {}
    for category in _every(bodies, "data_categories"):
        categories.setdefault(category["family"], set()).update(category["attributes"])
    main = {each["model"]: each for body in bodies for each in body["parameters"]["main"]}
    return {
        "activities": _distinct(body["activity"] for body in bodies),
        "purposes": _distinct(body["use"]["purpose"] for body in bodies),
        "techniques": _distinct(_every(bodies, "techniques")),
        "main_parameters": list(main.values()),
        "bands": _distinct(rule for body in bodies for rule in body["parameters"]["bands"]),
        "groups": {
            "scores": sorted({score for body in bodies for score in body["groups"]["scores"]}),
            "jurisdictions": _distinct(body["groups"]["jurisdiction"] for body in bodies),
            "channels": sorted({body["groups"]["channel"] for body in bodies if body["groups"]["channel"]}),
        },
        "data_categories": [{"family": name, "attributes": sorted(attributes)} for name, attributes in sorted(categories.items())],
        "special_categories": sorted({score for body in bodies for score in body["special_categories"]}),
        "sources": list(bodies[-1]["sources"]),
        "third_party_data": any(body["third_party_data"] for body in bodies),
        "ai": {"used": any(body["ai"]["used"] for body in bodies), "statement": bodies[-1]["ai"]["statement"]},
    }


def _legal_basis(entries: Sequence[Entry]) -> list[str]:
    """Return what the law packs asked of everybody scored, under the rules of each entry's day: explicit consent (rule L2); nothing where not of all."""
    for entry in entries:
        use, rules = Use.model_validate(entry.body["use"]), load_pack(entry.body["law"]["pack"]).in_force(entry.at.date())
        if not any(rule.check == "no_explicit_consent" and rule.applies(use, entry.body["activity"], special=False) for rule in rules):
            return []
    return ["explicit_consent"]


def _reach(each: Reached) -> dict[str, Any]:
    refused = {code: small(number) for code, number in sorted(each.refused.items())}
    told = {"use": dict(each.use), "first_day": _day(each.first), "last_day": _day(each.last), "people_scored": small(each.scored), "people_refused": refused}
    return told | ({"exports": each.exports, "people_handed_out": small(each.handed_out)} if each.exports else {})


def _period(stated: NoticeSettings, entries: Sequence[Entry], reached: Sequence[Reached]) -> dict[str, str | None]:
    first = min([entries[0].at, *(each.first for each in reached)])
    last = max([entries[0].at, *(each.last for each in reached)])
    return {"stated_from": _iso(stated.period_from), "stated_until": _iso(stated.period_until), "first_targeting": _day(first), "last_targeting": _day(last)}


def _party(party: Party) -> dict[str, str | None]:
    return {"name": party.name, "address": party.address, "contact": party.contact, "website": party.website}


def _every(bodies: Sequence[Mapping[str, Any]], name: str) -> Iterator[Any]:
    return (each for body in bodies for each in body[name])


def _distinct(values: Iterator[Any]) -> list[Any]:
    """Return JSON-able values, each once, as they came."""
    return list({canonical({"value": value}): value for value in values}.values())


def _day(at: datetime) -> str:
    return at.date().isoformat()


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _at(document: Mapping[str, Any], path: str) -> Any:
    found: Any = document
    for part in path.split("."):
        found = found[part]
    return found
