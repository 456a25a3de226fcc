"""What a person's ledger looks like to another system: JSON-LD whose every term has a prefix that its own context declares."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from features.database.store import Store
from features.permission.consent_records import CONTEXT, consent_records
from features.permission.ledger import Event, Ledger

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def document(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'audience.db'}")
    ledger = Ledger(store, b"s" * 32)
    wording = {"legal_basis": "gdpr_9_2_a", "wording_hash": "a" * 64, "wording_version": "3", "language": "fr", "evidence": "form 17"}
    days = [NOW - timedelta(days=back) for back in (30, 20, 10, 5)]
    events = [
        Event("van:1", "withdrawn", "political_ads_online", "any", days[2]),
        Event("van:1", "given", "political_ads_online", "any", days[0], valid_until=NOW + timedelta(days=700), **wording),
        Event("van:1", "given", "campaign_messages", "email", days[1]),
        Event("van:1", "objected", "any", "any", days[3]),
        Event("van:2", "given", "campaign_messages", "any", days[1]),
    ]
    ledger.append(events, now=NOW, door="import")
    made = consent_records("van:1", ledger.of_person("van:1"), controller="Housing Now")
    store.close()
    return made


def test_there_is_one_record_per_purpose_and_channel_and_objections_beside(document):
    ads, messages, objection = document["@graph"]
    assert ads["dpv:hasConsentStatus"] == {"@id": "dpv:ConsentWithdrawn"}
    assert [part["@type"] for part in ads["dct:hasPart"]] == [["dpv:ConsentGiven", "dpv:ExplicitlyExpressedConsent"], ["dpv:ConsentWithdrawn"]]
    given = ads["dct:hasPart"][0]
    assert given["dpv:hasLegalBasis"] == {"@id": "eu-gdpr:A9-2-a"}
    assert given["dpv:hasNotice"] == {"@type": "dpv:ConsentNotice", "dct:identifier": "a" * 64, "dct:hasVersion": "3", "dct:language": "fr"}
    assert given["dct:valid"]["dpv:hasEndTime"]["@value"] == (NOW + timedelta(days=700)).isoformat()
    assert given["dct:provenance"] == "form 17"
    assert messages["dpv:hasPurpose"] == {"@type": "dpv:Purpose", "dct:title": "campaign_messages", "dct:medium": "email"}
    assert (objection["@type"], objection["dpv:hasRight"]) == ("dpv:RightExerciseActivity", {"@id": "eu-gdpr:A21"})
    assert all(record["dpv:hasDataSubject"] == "van:1" and record["dpv:hasDataController"] == "Housing Now" for record in document["@graph"])


def test_every_term_has_a_prefix_that_is_declared(document):
    found = set()

    def walk(value):
        if isinstance(value, dict):
            for name, each in value.items():
                found.add(name)
                if name in {"@type", "@id"}:
                    found.update([each] if isinstance(each, str) else each)
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    walk(document["@graph"])
    terms = {term for term in found if not term.startswith(("@", "urn:"))}
    assert {term.partition(":")[0] for term in terms} <= set(CONTEXT)
    assert json.loads(json.dumps(document)) == document


def test_nobody_known_has_no_record():
    assert consent_records("van:9", [], controller="x")["@graph"] == []
