"""A person's part of the ledger as consent records: JSON-LD with the terms of the Data Privacy Vocabulary (DPV 2), shaped on ISO/IEC TS 27560.

One record per purpose and channel, its events as parts in the order they happened. The context stands in the document: nothing is fetched to read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from features.permission.ledger import Recorded

CONTEXT = {
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "dct": "http://purl.org/dc/terms/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
STATUSES = {
    "given": "dpv:ConsentGiven",
    "refused": "dpv:ConsentRefused",
    "withdrawn": "dpv:ConsentWithdrawn",
    "expired": "dpv:ConsentExpired",
}
_BASES = {"gdpr_9_2_a": "eu-gdpr:A9-2-a", "gdpr_9_2_d": "eu-gdpr:A9-2-d", "gdpr_6_1_a": "eu-gdpr:A6-1-a", "gdpr_6_1_f": "eu-gdpr:A6-1-f"}
_SCHEMA = "ISO/IEC TS 27560:2023"


def consent_records(person: str, events: Sequence[Recorded], *, controller: str) -> dict[str, Any]:
    """Return the records of one person as a JSON-LD document; an objection is the exercise of a right (GDPR 21), beside them."""
    groups: dict[tuple[str, str], list[Recorded]] = {}
    objections: list[Recorded] = []
    for each in sorted(events, key=lambda each: (each.said.at, each.seq)):
        if each.said.event == "objected":
            objections.append(each)
        else:
            groups.setdefault((each.said.purpose, each.said.channel), []).append(each)
    records = [_record(person, parts, controller) for parts in groups.values()]
    return {"@context": CONTEXT, "@graph": [*records, *(_objection(person, each, controller) for each in objections)]}


def _record(person: str, parts: Sequence[Recorded], controller: str) -> dict[str, Any]:
    last = parts[-1].said
    return {
        "@id": f"urn:consent:{parts[0].event_id}",
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": _SCHEMA,
        "dpv:hasIdentifier": parts[0].event_id,
        "dpv:hasDataSubject": person,
        "dpv:hasDataController": controller,
        "dpv:hasPurpose": _purpose(last.purpose, last.channel),
        "dpv:hasConsentStatus": {"@id": STATUSES[last.event]},
        "dct:hasPart": [_event(each) for each in parts],
    }


def _event(each: Recorded) -> dict[str, Any]:
    said = each.said
    kinds = [STATUSES[said.event], *(["dpv:ExplicitlyExpressedConsent"] if said.explicit else [])]
    basis = None if said.legal_basis is None else _BASES.get(said.legal_basis, said.legal_basis)
    told: dict[str, Any] = {
        "@id": f"urn:consent-event:{each.event_id}",
        "@type": kinds,
        "dct:date": _moment(said.at),
        "dct:dateSubmitted": _moment(each.recorded_at),
        "dct:valid": None if said.valid_from is None and said.valid_until is None else _period(said.valid_from or said.at, said.valid_until),
        "dpv:hasLegalBasis": basis if basis is None or ":" not in basis else {"@id": basis},
        "dpv:hasNotice": None if said.wording_hash is None else _notice(each),
        "dct:provenance": said.evidence,
    }
    return {name: value for name, value in told.items() if value is not None}


def _objection(person: str, each: Recorded, controller: str) -> dict[str, Any]:
    return {
        "@id": f"urn:consent-event:{each.event_id}",
        "@type": "dpv:RightExerciseActivity",
        "dpv:hasRight": {"@id": "eu-gdpr:A21"},
        "dpv:hasDataSubject": person,
        "dpv:hasDataController": controller,
        "dpv:hasPurpose": _purpose(each.said.purpose, each.said.channel),
        "dct:date": _moment(each.said.at),
        "dct:dateSubmitted": _moment(each.recorded_at),
    }


def _purpose(purpose: str, channel: str) -> dict[str, Any]:
    return {"@type": "dpv:Purpose", "dct:title": purpose, "dct:medium": channel}


def _notice(each: Recorded) -> dict[str, Any]:
    said = each.said
    told = {"@type": "dpv:ConsentNotice", "dct:identifier": said.wording_hash, "dct:hasVersion": said.wording_version, "dct:language": said.language}
    return {name: value for name, value in told.items() if value is not None}


def _period(begin: datetime, end: datetime | None) -> dict[str, Any]:
    told = {"@type": "dct:PeriodOfTime", "dpv:hasStartTime": _moment(begin), "dpv:hasEndTime": None if end is None else _moment(end)}
    return {name: value for name, value in told.items() if value is not None}


def _moment(time: datetime) -> dict[str, str]:
    return {"@type": "xsd:dateTime", "@value": time.isoformat()}
