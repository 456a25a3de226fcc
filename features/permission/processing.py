"""The record of processing activities (GDPR, article 30; rule L29), made of audience.toml, the tables' declarations and what the store knows (pure).

What only the organisation knows, and has not said in `[processing]`, is null and named in `missing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from features.permission.notice_settings import Party
from features.permission.places import PLACES
from features.permission.retention import Retention
from features.permission.settings import PermissionSettings
from features.tables import STATUSES, TABLES, columns
from features.vocabulary import Vocabulary

SECURITY = (
    "people stand in the log, the ledger and exports under a random token; what leads from it to them is destroyed when they are erased",
    "evidence of consent is sealed under a key of each person's own",
    "answers, decisions, consents and the register are append-only and chained; signed checkpoints show what was cut off or written anew",
    "every answer is written down before it leaves; without an entry there is no answer",
    "access needs a key with a scope, of which only a digest is kept, and which can be revoked at once",
    "the service listens to its own machine alone, unless it is told otherwise",
    "models are signed, hold no row of the data, and are loaded without running code of theirs",
    "columns of special categories are refused at the import unless a named person answers for them",
)
"""Technical measures that this service takes by itself (article 32(1))."""
NEEDED = ("controller.name", "controller.address", "controller.contact", "data_protection_officer", "transfers", "dpia", "purposes")


def processing(
    vocabulary: Vocabulary,
    permission: PermissionSettings,
    *,
    sources: Sequence[Mapping[str, Any]],
    recipients: Sequence[Mapping[str, Any]],
    scores_valid_days: int,
    name: str,
) -> dict[str, Any]:
    """Return the record as JSON-able values.

    `sources` are types of sources with their counts, as `targeting.source_kinds` gives them; `recipients` have `recipient` and `outside`, as exports have them.
    """
    said = permission.processing
    made: dict[str, Any] = {
        "format": "audience-scoring record of processing 1",
        "workspace": name,
        "controller": _party(said.controller),
        "representative": None if said.representative is None else _party(said.representative),
        "data_protection_officer": said.data_protection_officer,
        "purposes": [{"use": use, **stated.model_dump(mode="json", exclude_none=True)} for use, stated in sorted(permission.uses.items())],
        "categories_of_people": list(STATUSES),
        "categories_of_data": _data(vocabulary),
        "special_categories": _special(vocabulary),
        "sources": [dict(source) for source in sources],
        "recipients": [dict(recipient) for recipient in recipients],
        "transfers": said.transfers,
        "retention": {
            **_retention(vocabulary.retention),
            "scores": f"valid for {scores_valid_days} days",
            "log, ledger and register": "kept, the register for at least seven years; nothing in them leads to a person who was erased",
        },
        "places": [{"place": place.name, "holds": place.personal, "erasure": place.erasure} for place in PLACES if place.personal],
        "security": [*SECURITY, *said.security],
        "dpia": permission.dpia,
        "risk_assessment": None if permission.risk_assessment is None else permission.risk_assessment.isoformat(),
    }
    return made | {"missing": [path for path in NEEDED if not _at(made, path)]}


def as_markdown(record: Mapping[str, Any]) -> str:
    """Return the record as Markdown."""
    parts = [
        f"# Record of processing: {record['workspace']}",
        "GDPR, article 30(1). Made from the workspace's configuration; what is missing is named at the end.",
    ]
    parts += ["## Who answers for it", _listed([f"{key}: {_or_missing(value)}" for key, value in record["controller"].items()])]
    parts.append(
        _listed(
            [f"{key.replace('_', ' ')}: {_or_missing(_flat(record[key]))}" for key in ("representative", "data_protection_officer", "dpia", "risk_assessment")]
        )
    )
    parts += ["## Purposes", _listed([f"{each['use']}: {_flat({key: value for key, value in each.items() if key != 'use'})}" for each in record["purposes"]])]
    parts += ["## People and data", _listed([f"people: {', '.join(record['categories_of_people'])}"])]
    parts.append(_listed([f"{each['table']}: {each['meaning']} ({', '.join(each['columns'])})" for each in record["categories_of_data"]]))
    special = [
        f"{each['kind']} {each['id']}: {each['why'] or 'no reason given'} ({each['classed_by'] or 'classed by nobody'})"
        for each in record["special_categories"]
    ]
    parts += ["### Special categories", _listed(special)]
    parts += ["## Sources", _listed([f"{each['type']}, {each['collected_how']}: {each['sources']}" for each in record["sources"]])]
    outside = {True: "outside of the organisation", False: "within the organisation"}
    parts += ["## Recipients", _listed([f"{each['recipient']} ({outside[each['outside']]})" for each in record["recipients"]])]
    parts += ["## Transfers", _or_missing(record["transfers"])]
    parts += ["## Retention", _listed([f"{key}: {value}" for key, value in record["retention"].items()])]
    parts += ["## Where personal data lie", _listed([f"{each['place']}: {each['holds']}" for each in record["places"]])]
    parts += ["## Security", _listed(record["security"]), "## Missing", _listed(record["missing"])]
    return "\n\n".join(parts) + "\n"


def _data(vocabulary: Vocabulary) -> list[dict[str, Any]]:
    return [{"table": table.name, "meaning": table.meaning, "columns": [column.name for column in columns(table, vocabulary)]} for table in TABLES.values()]


def _retention(retention: Retention) -> dict[str, str]:
    """Return until when rows are kept and people are known, in words: what is past its limit enters no vector, and `audience purge` deletes it."""
    limits = {"every interaction": retention.interactions}
    limits |= {f"interactions of the kind {kind}": days for kind, days in retention.kinds.items()}
    limits |= {f"interactions from sources of the type {source}": days for source, days in retention.source_types.items()}
    told = {name: f"{days} days from the day of each" for name, days in limits.items() if days is not None}
    return {
        "rows": "until the expiry of their source (`sources.expires_at`), where it has one, or the earliest limit below; then they enter no vector, and "
        "`audience purge` deletes them",
        **told,
        "people of whom nothing is heard": f"{retention.inactive_days} days from the last sign of life, members excepted; then `audience purge` deletes "
        "everything of them but the proofs below",
    }


def _special(vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """Return topics and attributes that are special, with who said so and why."""
    kinds = (("topic", vocabulary.topics), ("attribute", vocabulary.attributes))
    return [
        {"kind": kind, "id": each.id, "classed_by": each.classed_by, "why": each.why}
        for kind, group in kinds
        for each in group
        if each.sensitivity == "special"
    ]


def _party(party: Party) -> dict[str, str | None]:
    return {"name": party.name, "address": party.address, "contact": party.contact, "website": party.website}


def _flat(value: Any) -> str | None:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {part}" for key, part in value.items() if part) or None
    return None if value is None else str(value)


def _or_missing(value: object) -> str:
    return " ".join(str(value).split()) if value else "*not stated*"


def _listed(items: Sequence[str]) -> str:
    return "\n".join(f"- {item}" for item in items) or "- none"


def _at(document: Mapping[str, Any], path: str) -> Any:
    found: Any = document
    for part in path.split("."):
        found = found[part]
    return found
